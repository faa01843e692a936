/* Two lines out of a file of sixty; the rest is never looked at. */
#include "source/identity/proc_status.h"

#include <errno.h>

/* Puts what stands behind KEY and its tab into *VALUE. Return: false without such a line.
 */
static bool find_value(struct str text, struct str key, struct str *value)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        if (!str_starts(line, key))
            continue;
        *value = str_trim(str_part(line, key.n, line.n - key.n));
        return true;
    }
    return false;
}

int proc_status_parse_uid(struct str text, uint32_t *uid)
{
    struct str numbers, real;
    if (!find_value(text, STR("Uid:"), &numbers) || !str_split(&numbers, '\t', &real) ||
        !str_u32(real, uid))
        return -EBADMSG;
    return 0;
}

size_t proc_status_count_namespaces(struct str text)
{
    struct str numbers, number;
    size_t count = 0;
    if (!find_value(text, STR("NSpid:"), &numbers))
        return 0;
    while (str_split(&numbers, '\t', &number))
        count++;
    return count;
}
