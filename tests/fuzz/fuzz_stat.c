/* The small files of /proc/<pid>: stat, and with the same bytes status and cmdline. */
#include "model/facts.h"
#include "source/identity/proc_clock.h"
#include "source/identity/proc_command.h"
#include "source/identity/proc_stat.h"
#include "source/identity/proc_status.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct proc_stat stat;
    uint32_t uid;
    uint64_t ticks;
    if (proc_stat_parse(text, &stat) == 0 &&
        (stat.comm.n > PROC_COMM_BYTES || stat.comm.p < text.p ||
         stat.comm.p + stat.comm.n > text.p + text.n))
        abort();
    (void)proc_status_parse_uid(text, &uid);
    (void)proc_uptime_parse(text, 100, &ticks);
    struct str name = proc_command_parse(text, size % 2, STR("comm"));
    if (!name.n || name.n > FACTS_COMMAND_BYTES)
        abort();
    return 0;
}
