/*
 * The one file that is read of every process in every collection: its start time tells
 * whether the pid still means the same process. Parsing stops at the field it wants.
 */
#include "source/identity/proc_stat.h"

#include "source/identity/proc_file.h"

#include <errno.h>

/* Field numbers as in proc_pid_stat(5); the first one behind the name is 3. */
enum { FIELD_AFTER_COMM = 3, FIELD_START_TIME = 22 };

int proc_stat_parse(struct str text, struct proc_stat *out)
{
    ptrdiff_t open = str_find(text, '(');
    ptrdiff_t close = str_find_last(text, ')');
    if (open < 0 || close < open || (size_t)close + 2 > text.n ||
        close - open - 1 > PROC_COMM_BYTES)
        return -EBADMSG;
    struct str comm = str_part(text, (size_t)open + 1, (size_t)(close - open) - 1);
    struct str rest = str_part(text, (size_t)close + 2, text.n - (size_t)close - 2);
    struct str field;
    for (int number = FIELD_AFTER_COMM; str_split(&rest, ' ', &field); number++) {
        if (number < FIELD_START_TIME)
            continue;
        uint64_t start_ticks;
        if (!str_u64(str_trim(field), &start_ticks))
            return -EBADMSG;
        *out = (struct proc_stat){start_ticks, comm};
        return 0;
    }
    return -EBADMSG;
}

int proc_stat_read(int dirfd, const char *path, char *buffer, size_t capacity,
                   struct proc_stat *out)
{
    struct str text;
    int rc = proc_file_read_head(dirfd, path, buffer, capacity, &text);
    return rc < 0 ? rc : proc_stat_parse(text, out);
}
