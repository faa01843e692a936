/* Keys of pod labels and annotations, and the metric labels that are made of them. */
#include "model/pod_keys.h"

#include <ctype.h>
#include <errno.h>

static bool is_alphanumeric(char c)
{
    return isalnum((unsigned char)c) && (unsigned char)c < 0x80;
}

/* Looser than the API server, which sees to the rest: no key that it takes is refused. */
static bool is_key(struct str name)
{
    if (name.n == 0 || name.n > POD_KEY_BYTES)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (!is_alphanumeric(name.p[i]) && !strchr("._-/", name.p[i]))
            return false;
    }
    return is_alphanumeric(name.p[0]) && is_alphanumeric(name.p[name.n - 1]);
}

ptrdiff_t pod_keys_find(const struct pod_keys *keys, bool is_annotation, struct str name)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->entries[i].is_annotation == is_annotation &&
            str_equal(keys->entries[i].name, name))
            return (ptrdiff_t)i;
    }
    return -1;
}

ptrdiff_t pod_keys_add(struct pod_keys *keys, bool is_annotation, struct str name)
{
    if (!is_key(name))
        return -EINVAL;
    ptrdiff_t at = pod_keys_find(keys, is_annotation, name);
    if (at >= 0)
        return at;
    if (keys->count == POD_KEYS_MAX)
        return -ENOSPC;
    keys->entries[keys->count] = (struct pod_key){is_annotation, name};
    return (ptrdiff_t)keys->count++;
}

static bool is_hump(char before, char c)
{
    return isupper((unsigned char)c) &&
           (islower((unsigned char)before) || isdigit((unsigned char)before));
}

static char label_character(char c)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
    const char *at = memchr(upper, c, sizeof upper - 1);
    if (at)
        return lower[at - upper];
    if (is_alphanumeric(c))
        return c;
    return '_';
}

static void write_name(struct str key, char text[LABEL_NAME_BYTES + 1])
{
    size_t n = 6;
    memcpy(text, "label_", n);
    for (size_t i = 0; i < key.n; i++) {
        if (i > 0 && is_hump(key.p[i - 1], key.p[i]))
            text[n++] = '_';
        text[n++] = label_character(key.p[i]);
    }
    text[n] = '\0';
}

int label_names_add(struct label_names *names, struct pod_keys *keys, struct str key)
{
    ptrdiff_t at = pod_keys_add(keys, false, key);
    if (at < 0)
        return (int)at;
    char text[LABEL_NAME_BYTES + 1];
    write_name(key, text);
    for (size_t i = 0; i < names->count; i++) {
        if (names->entries[i].key == (size_t)at)
            return 0;
        if (strcmp(names->entries[i].text, text) == 0)
            return -EEXIST;
    }
    if (names->count == LABEL_NAMES_MAX)
        return -ENOSPC;
    struct label_name *name = &names->entries[names->count++];
    name->key = (size_t)at;
    memcpy(name->text, text, sizeof text);
    return 0;
}
