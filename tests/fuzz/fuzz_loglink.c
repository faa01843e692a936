/* A link of /var/log/containers: its name, a newline, its target; and a line of passwd.
 */
#include "source/identity/passwd.h"
#include "source/identity/podlogs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str target = {(const char *)data, size}, name = {"", 0};
    struct pod_names names;
    struct str user;
    uint32_t uid;
    (void)passwd_parse_line(target, &uid, &user);
    (void)str_split(&target, '\n', &name);
    if (loglink_parse(name, target, &names) < 0)
        return 0;
    if (!names.namespace_.n || names.namespace_.n > 63 || !names.pod.n ||
        names.pod.n > 253 || !names.container.n || names.container.n > 63 ||
        names.uid.n > 128 ||
        (names.container_id.n && !str_is_hex(names.container_id, 64)) ||
        (!names.container_id.n && !names.uid.n))
        abort();
    return 0;
}
