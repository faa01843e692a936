/* /proc/<pid>/mountinfo: any bytes, line by line. */
#include "source/identity/proc_mountinfo.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proc_mountinfo facts = {0};
    struct str rest = {(const char *)data, size}, line;
    while (str_split(&rest, '\n', &line))
        proc_mountinfo_parse_line(line, &facts);
    if (strnlen(facts.pod_uid, sizeof facts.pod_uid) == sizeof facts.pod_uid ||
        strnlen(facts.container, sizeof facts.container) == sizeof facts.container ||
        (facts.evidence == MOUNTINFO_NOTHING && facts.pod_uid[0]))
        abort();
    return 0;
}
