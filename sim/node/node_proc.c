/*
 * The kernel writes comm into stat as it is and escapes line feeds and backslashes in
 * status only; both are reproduced, because that is where readers go wrong.
 */
#include "sim/node/node_proc.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <unistd.h>

enum { COMM_BYTES_MAX = 15 };

uint64_t node_proc_ticks(double seconds)
{
    double ticks = seconds * (double)sysconf(_SC_CLK_TCK);
    return ticks < 1 ? 1 : (uint64_t)ticks;
}

struct str node_proc_comm(const char *command)
{
    struct str text = str_from(command);
    ptrdiff_t slash = str_find_last(text, '/');
    if (slash >= 0 && (size_t)slash + 1 < text.n)
        text = str_part(text, (size_t)slash + 1, text.n - (size_t)slash - 1);
    return str_part(text, 0, text.n < COMM_BYTES_MAX ? text.n : COMM_BYTES_MAX);
}

void node_proc_render_stat(struct buf *buf, const struct node_proc *proc)
{
    buf_printf(buf, "%u (", proc->pid);
    buf_append(buf, proc->comm);
    /* Session, flags, faults and times of a process that sleeps most of the time. */
    buf_printf(buf, ") %c %u %u %u 0 -1 %u 837 0 0 0 36 31 0 0 20 0 1 0 %" PRIu64 " ",
               proc->is_kernel_thread ? 'I' : 'S', proc->ppid,
               proc->is_kernel_thread ? 0 : proc->pid,
               proc->is_kernel_thread ? 0 : proc->pid,
               proc->is_kernel_thread ? 69238880U : 4194560U, proc->start_ticks);
    if (proc->is_kernel_thread)
        buf_append_text(buf,
                        "0 0 18446744073709551615 0 0 0 0 0 0 0 2147483647 0 0 0 0 17 1 "
                        "0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    else
        buf_append_text(buf, "2314240 332 18446744073709551615 4198400 5785993 "
                             "140732103011600 0 0 0 0 0 0 1 0 0 17 1 0 0 0 0 0 6141704 "
                             "6178576 30445568 140732103012283 140732103012296 "
                             "140732103012296 140732103012333 0\n");
}

static void append_escaped(struct buf *buf, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n')
            buf_append_text(buf, "\\n");
        else if (text.p[i] == '\\')
            buf_append_text(buf, "\\\\");
        else
            buf_append_char(buf, text.p[i]);
    }
}

static void append_memory_lines(struct buf *buf)
{
    buf_append_text(buf, "VmPeak:\t    2260 kB\nVmSize:\t    2260 kB\n"
                         "VmLck:\t       0 kB\nVmPin:\t       0 kB\n"
                         "VmHWM:\t    1440 kB\nVmRSS:\t    1440 kB\n"
                         "RssAnon:\t      48 kB\nRssFile:\t    1392 kB\n"
                         "RssShmem:\t       0 kB\nVmData:\t     176 kB\n"
                         "VmStk:\t     132 kB\nVmExe:\t    1552 kB\n"
                         "VmLib:\t       8 kB\nVmPTE:\t      40 kB\n"
                         "VmSwap:\t       0 kB\nHugetlbPages:\t       0 kB\n"
                         "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

void node_proc_render_status(struct buf *buf, const struct node_proc *proc)
{
    static const char *const namespaces[] = {"NStgid", "NSpid", "NSpgid", "NSsid"};
    buf_append_text(buf, "Name:\t");
    append_escaped(buf, proc->comm);
    buf_printf(buf,
               "\nUmask:\t0022\nState:\t%s\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\n"
               "TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t64\n"
               "Groups:\t%u \n",
               proc->is_kernel_thread ? "I (idle)" : "S (sleeping)", proc->pid, proc->pid,
               proc->ppid, proc->uid, proc->uid, proc->uid, proc->uid, proc->uid,
               proc->uid, proc->uid, proc->uid, proc->uid);
    for (size_t i = 0; i < ARRAY_LENGTH(namespaces); i++)
        buf_printf(buf, "%s:\t%u%s\n", namespaces[i], proc->pid,
                   proc->is_in_container ? "\t7" : "");
    buf_printf(buf, "Kthread:\t%d\n", proc->is_kernel_thread);
    if (!proc->is_kernel_thread)
        append_memory_lines(buf);
    buf_append_text(buf,
                    "Threads:\t1\nSigQ:\t1/11818\nSigPnd:\t0000000000000000\n"
                    "ShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
                    "SigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"
                    "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\n"
                    "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"
                    "CapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\n"
                    "Seccomp_filters:\t0\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n"
                    "Mems_allowed:\t00000001\nMems_allowed_list:\t0\n"
                    "voluntary_ctxt_switches:\t18\nnonvoluntary_ctxt_switches:\t494\n");
}

void node_proc_render_comm(struct buf *buf, const struct node_proc *proc)
{
    buf_append(buf, proc->comm);
    buf_append_char(buf, '\n');
}

void node_proc_render_cmdline(struct buf *buf, const char *command, const char *arguments)
{
    buf_append_text(buf, command);
    buf_append_char(buf, '\0');
    struct str rest = str_trim(str_from(arguments));
    struct str part;
    while (rest.n && str_split(&rest, ' ', &part)) {
        buf_append(buf, part);
        buf_append_char(buf, '\0');
    }
}

void node_proc_render_uptime(struct buf *buf, double seconds)
{
    buf_printf(buf, "%.2f %.2f\n", seconds, seconds * 1.75);
}

void node_proc_render_kernel_stat(struct buf *buf, const struct node_clock *clock)
{
    buf_append_text(buf, "cpu  1000 0 1000 200000 0 0 0 0 0 0\n"
                         "cpu0 500 0 500 100000 0 0 0 0 0 0\n"
                         "cpu1 500 0 500 100000 0 0 0 0 0 0\n"
                         "intr 1000 0 0 0\nctxt 424042\n");
    buf_printf(buf, "btime %" PRIu64 "\n", node_clock_boot_seconds(clock));
    buf_append_text(buf, "processes 9850\nprocs_running 1\nprocs_blocked 0\n"
                         "softirq 1000 0 100 0 100 100 0 0 100 0 600\n");
}
