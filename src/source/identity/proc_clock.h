/*
 * The clock of a /proc: the start times in it count from its boot.
 */
#pragma once

#include "base/str.h"

/* First number of /proc/uptime ("12345.67 …", seconds) in ticks. Return: 0 or -EBADMSG.
 */
int proc_uptime_parse(struct str text, uint64_t ticks_per_second, uint64_t *ticks);

/* The line "btime" of <procfs>/stat, Unix time of boot. The file has a line per interrupt
 * and may be hundreds of kilobytes long; it is streamed. Return: 0, -EBADMSG when there
 * is no such line within 4 MiB, -errno. */
int proc_boot_time_read(int procfs, uint64_t *seconds);
