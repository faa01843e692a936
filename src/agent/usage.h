/*
 * What the daemon's own processes cost: the standard process_* metrics, all processes
 * together.
 */
#pragma once

#include "model/daemon_status.h"

#include <stddef.h>
#include <sys/types.h>

/* Sums over PIDS, children of this process or itself (0 entries are skipped), and over
 * the children that have ended. A value that is not known of one of them is not known of
 * all. */
struct process_usage usage_read(const pid_t *pids, size_t count);
