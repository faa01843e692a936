/* One number out of a file of sixty lines; the rest is never looked at. */
#include "source/identity/proc_status.h"

#include <errno.h>

int proc_status_parse_uid(struct str text, uint32_t *uid)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        if (!str_starts(line, STR("Uid:")))
            continue;
        struct str numbers = str_trim(str_part(line, 4, line.n - 4));
        struct str real;
        if (!str_split(&numbers, '\t', &real) || !str_u32(real, uid))
            return -EBADMSG;
        return 0;
    }
    return -EBADMSG;
}
