/*
 * A pidfd is opened by number, so it might be another process's: it is confirmed by the
 * directory, which stands for one process whatever becomes of its pid. If that process is
 * still there after the pidfd was opened, it had the pid all the time, and the pidfd is
 * its own.
 */
#include "source/identity/process_watch.h"

#include "base/cleanup.h"
#include "source/identity/proc_file.h"
#include "source/identity/proc_status.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Whether pids below PROCFS are those of our own PID namespace: there we have one pid,
 * not also one in a namespace further in. */
static bool is_own_procfs(int procfs)
{
    enum { STATUS_BYTES = 4096 };
    char buffer[STATUS_BYTES];
    struct str text;
    struct statfs about;
    return fstatfs(procfs, &about) == 0 && about.f_type == PROC_SUPER_MAGIC &&
           proc_file_read_head(procfs, "self/status", buffer, sizeof buffer, &text) ==
               0 &&
           proc_status_count_namespaces(text) == 1;
}

int process_watch_open(int procfs)
{
    return is_own_procfs(procfs) ? epoll_create1(EPOLL_CLOEXEC) : -1;
}

/* glibc has a function for it only since 2.36; without it, 2.34 is enough. */
static int open_pidfd(uint32_t pid)
{
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);
}

int process_watch_add(int watch, uint32_t pid, int directory, void *subject)
{
    if (watch < 0)
        return -1;
    CLEANUP(close_fdp) int pidfd = open_pidfd(pid);
    if (pidfd < 0 || faccessat(directory, "stat", F_OK, 0) != 0)
        return -1;
    /* Once: what has been told needs no telling again, whoever else holds the pidfd. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = subject};
    if (epoll_ctl(watch, EPOLL_CTL_ADD, pidfd, &event) != 0)
        return -1;
    return take_fd(&pidfd);
}

size_t process_watch_ended(int watch, void **ended, size_t capacity)
{
    enum { EVENTS = 64 };
    struct epoll_event events[EVENTS];
    if (watch < 0)
        return 0;
    int wanted = capacity < EVENTS ? (int)capacity : EVENTS;
    int count = epoll_wait(watch, events, wanted, 0);
    for (int i = 0; i < count; i++)
        ended[i] = events[i].data.ptr;
    return count > 0 ? (size_t)count : 0;
}
