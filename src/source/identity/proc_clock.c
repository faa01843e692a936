/* Uptime and boot time, from the same /proc as the processes' start times. */
#include "source/identity/proc_clock.h"

#include "base/cleanup.h"
#include "source/identity/proc_file.h"

#include <errno.h>
#include <fcntl.h>

enum { STAT_BUDGET_BYTES = 4 * 1024 * 1024, STAT_LINE_BYTES = 4096 };

int proc_uptime_parse(struct str text, uint64_t ticks_per_second, uint64_t *ticks)
{
    struct str seconds, fraction, rest = text;
    if (!str_split(&rest, ' ', &fraction) || !str_split(&fraction, '.', &seconds))
        return -EBADMSG;
    fraction = str_trim(fraction);
    uint64_t whole, part, scale = 1, result;
    if (!str_u64(seconds, &whole) || fraction.n > 9 || !str_u64(fraction, &part))
        return -EBADMSG;
    for (size_t i = 0; i < fraction.n; i++)
        scale *= 10;
    if (__builtin_mul_overflow(whole, ticks_per_second, &result) ||
        __builtin_add_overflow(result, part * ticks_per_second / scale, &result))
        return -EBADMSG;
    *ticks = result;
    return 0;
}

int proc_boot_time_read(int procfs, uint64_t *seconds)
{
    CLEANUP(close_fdp) int fd = openat(procfs, "stat", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    char buffer[STAT_LINE_BYTES];
    struct line_reader reader = LINE_READER(fd, buffer, sizeof buffer, STAT_BUDGET_BYTES);
    struct str line;
    int rc;
    while ((rc = line_reader_next(&reader, &line)) == LINE_READER_LINE) {
        const struct str key = STR("btime ");
        if (str_starts(line, key))
            return str_u64(str_part(line, key.n, line.n - key.n), seconds) ? 0 : -EBADMSG;
    }
    return rc < 0 ? rc : -EBADMSG;
}
