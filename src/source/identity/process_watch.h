/*
 * Which known processes have ended, by one question for all of them: pidfds in one epoll
 * instance. The living cost nothing.
 *
 * Only for the /proc of this program's own PID namespace, whose pids mean to the kernel
 * what they mean to us.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Return: the epoll descriptor, or -1 where the processes of PROCFS cannot be watched. */
int process_watch_open(int procfs);

/**
 * process_watch_add() - watch the process that DIRECTORY, below that /proc, stands for
 * @watch:   as process_watch_open() gave it, -1 included
 * @pid:     the directory's name
 * @subject: what process_watch_ended() shall name
 *
 * Return: the pidfd, which watches until it is closed; -1 when the process has ended, or
 * cannot be watched.
 */
int process_watch_add(int watch, uint32_t pid, int directory, void *subject);

/* Puts up to CAPACITY subjects whose processes have ended into ENDED, each of them once.
 * Return: how many; when it is CAPACITY there may be more. */
size_t process_watch_ended(int watch, void **ended, size_t capacity);
