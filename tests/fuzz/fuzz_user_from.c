/* --user.from, and a name in JupyterHub's escaping behind a NUL: any bytes. */
#include "model/user.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_escaped(struct str text)
{
    struct arena *arena = arena_new(1 << 20);
    const char *escaped = arena ? arena_copy(arena, text) : NULL;
    const char *plain = escaped ? user_unescape(arena, escaped) : NULL;
    if (plain && strlen(plain) > strlen(escaped))
        abort();
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, spec, wrong;
    struct pod_keys keys = {.count = 0};
    struct user_chain chain = {.count = 0};
    if (!str_split(&text, '\0', &spec))
        return 0;
    if (user_chain_parse(spec, &chain, &keys, &wrong) == 0) {
        if (chain.count == 0 || chain.count > USER_RULES_MAX)
            abort();
        for (size_t i = 0; i < chain.count; i++) {
            if (keys.count && chain.rules[i].key >= keys.count)
                abort();
        }
    }
    if (text.p)
        check_escaped(text);
    struct label_names names = {.count = 0};
    if (label_names_add(&names, &keys, spec) == 0 &&
        strlen(names.entries[0].text) > LABEL_NAME_BYTES)
        abort();
    return 0;
}
