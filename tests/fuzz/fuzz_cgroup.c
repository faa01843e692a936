/* /proc/<pid>/cgroup: any bytes; what is found lies in them and keeps its bounds. */
#include "source/identity/proc_cgroup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct str part, struct str whole)
{
    return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check(const struct proc_cgroup *cgroup, struct str text)
{
    char uid[POD_UID_BYTES + 1];
    if (!lies_in(cgroup->pod_uid, text) || !lies_in(cgroup->container_id, text) ||
        cgroup->pod_uid.n > POD_UID_BYTES ||
        (cgroup->container_id.n &&
         !str_is_hex(cgroup->container_id, CONTAINER_ID_BYTES)) ||
        (cgroup->shape == CGROUP_POD) != (cgroup->pod_uid.n > 0) ||
        (cgroup->shape == CGROUP_POD && cgroup->is_distrusted))
        abort();
    proc_cgroup_write_uid(cgroup, uid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct proc_cgroup cgroup = cgroup_path_parse(text);
    check(&cgroup, text);
    if (proc_cgroup_parse(text, &cgroup) == 0)
        check(&cgroup, text);
    return 0;
}
