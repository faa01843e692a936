/*
 * Read from the real /proc, whatever --path.procfs names: these are this program's own
 * processes, by the pids of its own PID namespace.
 */
#include "agent/usage.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Fields of /proc/<pid>/stat behind the name, counted from "state" = 0: proc(5). */
enum { STAT_UTIME = 11, STAT_STIME = 12, STAT_VSIZE = 20, STAT_RSS = 21 };

enum { STAT_BYTES = 1024, STAT_FIELDS = STAT_RSS + 1, PATH_BYTES = 64 };

/* The numbers of one process, or `is_known` false. */
struct sample {
    bool is_known;
    uint64_t fields[STAT_FIELDS];
};

static struct sample read_stat(pid_t pid)
{
    char path[PATH_BYTES], buffer[STAT_BYTES];
    struct sample sample = {0};
    struct str rest, word;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (fdio_read_at(AT_FDCWD, path, buffer, sizeof buffer, &rest) != 0)
        return sample;
    ptrdiff_t name_end = str_find_last(rest, ')');
    if (name_end < 0 || (size_t)name_end + 2 > rest.n)
        return sample;
    size_t from = (size_t)name_end + 2;
    rest = str_part(rest, from, rest.n - from);
    size_t n = 0;
    while (n < STAT_FIELDS && str_split(&rest, ' ', &word)) {
        if (!str_u64(word, &sample.fields[n]))
            sample.fields[n] = 0; /* the state's letter, a negative number */
        n++;
    }
    sample.is_known = n == STAT_FIELDS;
    return sample;
}

/* Return: entries of the directory, or -1. */
static int64_t list_descriptors(const char *path, pid_t pid)
{
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    int64_t count = pid == getpid() ? -1 : 0; /* the one that reads this */
    for (const struct dirent *entry = readdir(directory); entry;
         entry = readdir(directory))
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count;
}

/* Return: open descriptors of PID, or -1. Since Linux 6.2 the directory's size tells;
 * listing it takes a microsecond for each. */
static int64_t count_descriptors(pid_t pid)
{
    struct stat directory;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    if (stat(path, &directory) == 0 && directory.st_size > 0)
        return directory.st_size;
    return list_descriptors(path, pid);
}

static void add(struct value_u64 *sum, bool is_known, uint64_t n)
{
    sum->v += n;
    if (!is_known)
        sum->state = VALUE_ERROR;
}

/* Both numbers are of the process that uses the largest share of its limit. */
static void take_descriptors(struct process_usage *usage, pid_t pid,
                             double *largest_share)
{
    struct rlimit limit;
    int64_t count = count_descriptors(pid);
    if (count < 0 || prlimit(pid, RLIMIT_NOFILE, NULL, &limit) != 0) {
        usage->open_descriptors.state = usage->max_descriptors.state = VALUE_ERROR;
        return;
    }
    uint64_t open = (uint64_t)count;
    double share = (double)open / (double)(limit.rlim_cur ? limit.rlim_cur : 1);
    if (share > *largest_share) {
        *largest_share = share;
        usage->open_descriptors.v = open;
        usage->max_descriptors.v = limit.rlim_cur;
    }
}

/* Seconds that the children which have ended and been waited for took. */
static double ended_children_seconds(void)
{
    struct rusage ended;
    if (getrusage(RUSAGE_CHILDREN, &ended) != 0)
        return 0;
    return (double)(ended.ru_utime.tv_sec + ended.ru_stime.tv_sec) +
           (double)(ended.ru_utime.tv_usec + ended.ru_stime.tv_usec) / 1e6;
}

struct process_usage usage_read(const pid_t *pids, size_t count)
{
    struct process_usage usage = {
        .cpu_seconds = value_double_ok(0),
        .resident_bytes = value_u64_ok(0),
        .virtual_bytes = value_u64_ok(0),
        .open_descriptors = value_u64_ok(0),
        .max_descriptors = value_u64_ok(0),
    };
    uint64_t ticks = 0;
    double largest_share = -1;
    double ticks_per_second = (double)sysconf(_SC_CLK_TCK);
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < count; i++) {
        if (pids[i] <= 0)
            continue;
        struct sample sample = read_stat(pids[i]);
        ticks += sample.fields[STAT_UTIME] + sample.fields[STAT_STIME];
        if (!sample.is_known)
            usage.cpu_seconds.state = VALUE_ERROR;
        add(&usage.resident_bytes, sample.is_known, sample.fields[STAT_RSS] * page_bytes);
        add(&usage.virtual_bytes, sample.is_known, sample.fields[STAT_VSIZE]);
        take_descriptors(&usage, pids[i], &largest_share);
    }
    usage.cpu_seconds.v = (double)ticks / ticks_per_second + ended_children_seconds();
    return usage;
}
