/*
 * What every part that builds the node needs: messages that name the field, names of
 * copies, and ids that are made from a seed, so that the same scenario gives the same
 * node.
 */
#include "sim/node/scenario_build.h"

#include "base/cleanup.h"
#include "sim/node/scenario_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_BYTES = 200, EXPANDED_BYTES_MAX = 4096 };

int scenario_field_error(const struct scenario_build *build, const char *field,
                         const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    for (char *c = message; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?'; /* the file's own bytes are quoted: keep them off the terminal */
    }
    if (!field)
        return err_set(build->err, EINVAL, ERR_USAGE, 0, "scenario %s: %s: %s",
                       build->out->label, build->section, message);
    return err_set(build->err, EINVAL, ERR_USAGE, 0, "scenario %s: %s[%zu].%s: %s",
                   build->out->label, build->section, build->position, field, message);
}

int scenario_out_of_memory(const struct scenario_build *build)
{
    return err_set(build->err, ENOMEM, ERR_ERRNO, ENOMEM,
                   "scenario %s: more than %d MiB of memory needed; make it smaller",
                   build->out->label, SCENARIO_ARENA_BYTES >> 20);
}

const char *scenario_expand_copy(const struct scenario_build *build, const char *text,
                                 uint64_t n)
{
    if (!text)
        return NULL;
    if (!strchr(text, '{'))
        return arena_copy(build->arena, str_from(text));
    CLEANUP(buf_done) struct buf buf = BUF_INIT(EXPANDED_BYTES_MAX);
    scenario_text_expand(&buf, str_from(text), n);
    return buf_is_full(&buf) ? NULL : arena_copy(build->arena, buf_str(&buf));
}

/* FNV-1a with a final mix: ids only have to look random and stay the same. */
static uint64_t hash_text(const char *text, uint64_t salt)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ (salt * UINT64_C(0x9E3779B97F4A7C15));
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    hash ^= hash >> 33U;
    hash *= UINT64_C(0xFF51AFD7ED558CCD);
    return hash ^ (hash >> 33U);
}

void scenario_hex(char *hex, size_t count, const char *seed)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % 16 == 0)
            hash = hash_text(seed, i / 16 + 1);
        hex[i] = digits[(hash >> (4 * (i % 16))) & 0xFU];
    }
    hex[count] = '\0';
}

void scenario_uuid(char uuid[37], const char *seed)
{
    char hex[33];
    scenario_hex(hex, 32, seed);
    (void)snprintf(uuid, 37, "%.8s-%.4s-4%.3s-a%.3s-%.12s", hex, hex + 8, hex + 13,
                   hex + 17, hex + 20);
}
