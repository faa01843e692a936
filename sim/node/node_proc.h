/*
 * The text of files under /proc, byte for byte as the kernel prints them.
 */
#pragma once

#include "base/buf.h"
#include "sim/node/node_clock.h"

struct node_proc {
    uint32_t pid, ppid, uid;
    struct str comm;       /* at most 15 bytes, any but NUL */
    uint64_t start_ticks;  /* since boot */
    bool is_kernel_thread; /* no memory, no command line */
    bool is_in_container;  /* has a pid of its own in there */
};

/* Ticks since boot for a moment in seconds since boot: 1 at least, as no process but the
 * first has 0. */
uint64_t node_proc_ticks(double seconds);

/* What the kernel makes of an executed path: its base name, cut to 15 bytes. */
struct str node_proc_comm(const char *command);

void node_proc_render_stat(struct buf *buf, const struct node_proc *proc);
void node_proc_render_status(struct buf *buf, const struct node_proc *proc);
/* comm with its line feed. */
void node_proc_render_comm(struct buf *buf, const struct node_proc *proc);
/* argv: COMMAND, then the blank-separated ARGUMENTS, each ended by NUL. */
void node_proc_render_cmdline(struct buf *buf, const char *command,
                              const char *arguments);

/* /proc/uptime at SECONDS since boot, and /proc/stat with btime. */
void node_proc_render_uptime(struct buf *buf, double seconds);
void node_proc_render_kernel_stat(struct buf *buf, const struct node_clock *clock);
