/*
 * The join: what the driver lists, with who the processes are, under the clock they
 * share.
 *
 * Pure: no I/O, no clock. Everything that depends on more than one source is decided
 * here, once, so that no output can decide it differently: which device holds sessions,
 * active or idle, who the user is, and what is not known.
 */
#include "model/snapshot.h"

#include "model/occupancy.h"
#include "model/tracker.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Labels are what users query: GPUs by index, MIG devices by index and instance ids. */
static const char *device_label(struct arena *arena, const struct device_facts *facts)
{
    return facts->kind == DEVICE_MIG
               ? arena_printf(arena, "%u_%u_%u", facts->index, facts->gi, facts->ci)
               : arena_printf(arena, "%u", facts->index);
}

static struct device *devices_build(struct arena *arena,
                                    const struct driver_facts *driver)
{
    struct device *devices = ARENA_NEW(arena, struct device, driver->device_count);
    for (size_t i = 0; devices && i < driver->device_count; i++) {
        const struct device_facts *facts = &driver->devices[i];
        devices[i].facts = facts;
        devices[i].holds_sessions =
            !(facts->kind == DEVICE_GPU && facts->has_mig_devices);
        devices[i].label = device_label(arena, facts);
        if (!devices[i].label)
            return NULL;
    }
    return devices;
}

static struct value_double missing(enum value_state state)
{
    return (struct value_double){.state = state};
}

static struct value_double memory_percent(struct value_u64 used, struct value_u64 total)
{
    if (used.state != VALUE_OK)
        return missing(used.state);
    if (total.state != VALUE_OK)
        return missing(total.state);
    if (total.v == 0 || used.v > total.v)
        return missing(VALUE_ERROR);
    /* Four decimals tell 8 KiB apart on a device of 8 GiB; more would be noise. */
    return value_double_ok(round(1e6 * (double)used.v / (double)total.v) / 1e4);
}

/* GPM hands over doubles as the driver computes them, not-a-number included. */
static struct value_double only_finite(struct value_double value)
{
    return value.state == VALUE_OK && !isfinite(value.v) ? missing(VALUE_ERROR) : value;
}

static bool has_worked(struct value_double percent)
{
    return percent.state == VALUE_OK && percent.v > 0;
}

static enum session_status session_status(const struct session *session)
{
    if (has_worked(session->sm_percent) ||
        has_worked(session->memory_bandwidth_percent) ||
        has_worked(session->encoder_percent) || has_worked(session->decoder_percent))
        return SESSION_ACTIVE;
    return session->sm_percent.state == VALUE_OK ? SESSION_IDLE : SESSION_UNKNOWN;
}

static void session_set_time(struct session *session,
                             const struct process_identity *identity,
                             const struct process_clock *clock)
{
    enum value_state why = identity->state == IDENTITY_UNKNOWN  ? VALUE_UNSET
                           : identity->state == IDENTITY_DENIED ? VALUE_DENIED
                                                                : VALUE_ERROR;
    session->start_time_seconds = session->age_seconds = missing(why);
    if (identity->state != IDENTITY_KNOWN || !clock->is_known || !clock->ticks_per_second)
        return;
    double hz = (double)clock->ticks_per_second;
    session->start_time_seconds = value_double_ok((double)clock->boot_time_seconds +
                                                  (double)identity->start_ticks / hz);
    /* A start after "now" means that uptime is not this kernel's (a container runtime
     * that fakes it): no age is better than a negative one. */
    if (identity->start_ticks <= clock->now_ticks)
        session->age_seconds =
            value_double_ok((double)(clock->now_ticks - identity->start_ticks) / hz);
}

/* What stands for --user.from where a caller names no chain. */
static const struct user_chain default_users = {
    .rules = {{.kind = USER_NAMESPACE, .word = STR("namespace")},
              {.kind = USER_UNIX, .word = STR("unix")}},
    .count = 2,
};

/* Return: 0, or -ENOMEM. */
static int session_set_user(struct arena *arena, const struct user_chain *users,
                            struct session *session)
{
    const struct user_facts facts = {&session->pod, session->unix_user, session->has_uid,
                                     session->uid};
    struct user user;
    if (user_find(users ? users : &default_users, &facts, arena, &user) != 0)
        return -ENOMEM;
    session->user = user.name;
    session->user_kind = user.from ? user.from->kind : USER_NOBODY;
    session->user_from = user.from ? arena_copy(arena, user.from->word) : "";
    return session->user_from ? 0 : -ENOMEM;
}

static void session_set_identity(struct session *session,
                                 const struct process_identity *identity)
{
    session->identity = identity->state;
    session->command = session->unix_user = "";
    /* What /proc says about another process under the same pid is not about this one. */
    if (identity->state != IDENTITY_KNOWN && identity->state != IDENTITY_DENIED)
        return;
    if (identity->command)
        session->command = identity->command;
    if (identity->unix_user)
        session->unix_user = identity->unix_user;
    session->has_uid = identity->has_uid;
    session->uid = identity->uid;
    session->pod = identity->pod;
}

static int session_init(struct arena *arena, const struct snapshot_input *input,
                        size_t at, const struct device *device, struct session *session)
{
    const struct process_facts *process = &input->driver->processes[at];
    const struct process_identity *identity = &input->identities[at];
    session->device = device;
    session->pid = process->pid;
    session->start_ticks = identity->state == IDENTITY_KNOWN ? identity->start_ticks : 0;
    session->kinds = process->kinds;
    session->memory_used_bytes = process->memory_used_bytes;
    session->memory_percent =
        memory_percent(process->memory_used_bytes, device->facts->memory_total_bytes);
    session->sm_percent = only_finite(process->sm_percent);
    session->memory_bandwidth_percent = only_finite(process->memory_bandwidth_percent);
    session->encoder_percent = only_finite(process->encoder_percent);
    session->decoder_percent = only_finite(process->decoder_percent);
    session->utilization_source = process->utilization_source;
    session->status = session_status(session);
    session_set_identity(session, identity);
    session_set_time(session, identity, &input->clock);
    return session_set_user(arena, input->users, session);
}

static int compare_sessions(const void *a, const void *b)
{
    const struct session *left = a, *right = b;
    if (left->device != right->device)
        return left->device < right->device ? -1 : 1;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

/* The sources promise this order; a row under the wrong device would be worse than the
 * cost of looking. */
static void sessions_order(struct session *sessions, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare_sessions(&sessions[i - 1], &sessions[i]) > 0) {
            qsort(sessions, count, sizeof *sessions, compare_sessions);
            return;
        }
    }
}

/* MPS: the clients are sessions; the server that computes for them is not. */
static bool is_mps_service(const struct process_facts *process,
                           const struct process_identity *identity)
{
    return identity->state == IDENTITY_KNOWN && identity->is_mps_service &&
           !(process->kinds & PROCESS_MPS);
}

static bool is_selected(const struct snapshot_input *input, const struct device *device)
{
    return !input->gpus || gpu_selection_has(input->gpus, device->facts);
}

static bool makes_session(const struct snapshot_input *input,
                          const struct device *devices, size_t at)
{
    const struct process_facts *process = &input->driver->processes[at];
    return !(input->is_dropped && input->is_dropped[at]) &&
           !is_mps_service(process, &input->identities[at]) &&
           process->device < input->driver->device_count &&
           device_is_counted(&devices[process->device]) &&
           is_selected(input, &devices[process->device]);
}

/* Return: NULL when memory is gone. */
static struct session *sessions_build(struct arena *arena,
                                      const struct snapshot_input *input,
                                      const struct device *devices, size_t *out_count)
{
    const struct driver_facts *driver = input->driver;
    struct session *sessions = ARENA_NEW(arena, struct session, driver->process_count);
    size_t count = 0;
    for (size_t i = 0; sessions && i < driver->process_count; i++) {
        if (!makes_session(input, devices, i))
            continue;
        const struct device *device = &devices[driver->processes[i].device];
        if (session_init(arena, input, i, device, &sessions[count++]) != 0)
            return NULL;
    }
    sessions_order(sessions, count);
    *out_count = count;
    return sessions;
}

/* Names of a namespace, of a controller and of somebody are three kinds of name. */
static int user_class(const struct session *session)
{
    bool is_group =
        session->user_kind == USER_NAMESPACE || session->user_kind == USER_OWNER;
    return is_group ? (int)session->user_kind : 0;
}

/* A namespace and a Unix user of the same spelling are two users, and so are controllers
 * of one name in two namespaces. */
static int compare_users(const void *a, const void *b)
{
    const struct session *left = *(const struct session *const *)a;
    const struct session *right = *(const struct session *const *)b;
    int order = user_class(left) - user_class(right);
    if (order == 0)
        order = strcmp(left->user, right->user);
    if (order == 0 && left->user_kind == USER_OWNER)
        order = strcmp(left->pod.metadata->namespace_, right->pod.metadata->namespace_);
    return order;
}

/* SCRATCH has room for COUNT pointers. */
static size_t count_users(const struct session **scratch, const struct session *sessions,
                          size_t count)
{
    size_t known = 0, users = 0;
    for (size_t i = 0; i < count; i++) {
        if (sessions[i].user[0])
            scratch[known++] = &sessions[i];
    }
    if (known)
        qsort(scratch, known, sizeof(void *), compare_users);
    for (size_t i = 0; i < known; i++)
        users += i == 0 || compare_users(&scratch[i - 1], &scratch[i]) != 0;
    return users;
}

static bool knows_all_users(const struct session *sessions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!sessions[i].user[0])
            return false;
    }
    return true;
}

static struct value_u64 total(size_t count, enum value_state state)
{
    return state == VALUE_OK ? value_u64_ok(count) : (struct value_u64){.state = state};
}

/* VALUE_OK when the device's sessions are all there. */
static enum value_state device_state(const struct device *device)
{
    if (device->facts->fault || device->facts->processes_omitted)
        return VALUE_ERROR;
    return device->facts->process_list;
}

static void device_set_totals(struct device *device)
{
    enum value_state state = device_state(device);
    device->session_total = total(device->session_count, state);
    if (state == VALUE_OK && !knows_all_users(device->sessions, device->session_count))
        state = VALUE_ERROR;
    device->user_total = total(device->user_count, state);
}

/* A GPU that is lost or denied does not take the others' total away; a total that is cut
 * by the bound is none. */
static void snapshot_set_totals(struct snapshot *snapshot)
{
    enum value_state state = VALUE_UNSET;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        if (device_is_counted(&snapshot->devices[i]))
            state = VALUE_OK;
    }
    if (state == VALUE_OK && snapshot->sessions_omitted)
        state = VALUE_ERROR;
    snapshot->session_total = total(snapshot->session_count, state);
    if (state == VALUE_OK &&
        !knows_all_users(snapshot->sessions, snapshot->session_count))
        state = VALUE_ERROR;
    snapshot->user_total = total(snapshot->user_count, state);
}

/* Gives each device its run of the ordered sessions, and counts users. */
static int devices_attach(struct arena *arena, struct device *devices,
                          struct snapshot *snapshot)
{
    const struct session **scratch =
        ARENA_NEW(arena, const struct session *, snapshot->session_count);
    if (!scratch)
        return -ENOMEM;
    const struct session *next = snapshot->sessions;
    const struct session *end = next + snapshot->session_count;
    for (struct device *device = devices; device < devices + snapshot->device_count;
         device++) {
        device->sessions = next;
        while (next < end && next->device == device)
            next++;
        device->session_count = (size_t)(next - device->sessions);
        device->user_count =
            count_users(scratch, device->sessions, device->session_count);
        device_set_totals(device);
    }
    snapshot->user_count =
        count_users(scratch, snapshot->sessions, snapshot->session_count);
    return 0;
}

/* Keeps the selected devices, which have all SESSIONS; allocations of the others go with
 * them, so that a device that Kubernetes gave away is not taken for an unknown one. */
static void devices_select(const struct snapshot_input *input, struct device *devices,
                           struct session *sessions, struct snapshot *snapshot)
{
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        if (!is_selected(input, &devices[i]))
            continue;
        struct device *device = &devices[kept++];
        *device = devices[i];
        struct session *own = sessions + (device->sessions - sessions);
        for (size_t k = 0; k < device->session_count; k++)
            own[k].device = device;
    }
    snapshot->device_count = kept;
}

static int snapshot_join(struct arena *arena, const struct snapshot_input *input,
                         struct snapshot *snapshot)
{
    const struct driver_facts *driver = input->driver;
    struct device *devices = devices_build(arena, driver);
    if (!devices)
        return -ENOMEM;
    snapshot->driver_version = driver->driver_version;
    snapshot->devices = devices;
    snapshot->device_count = driver->device_count;
    snapshot->sessions_omitted = driver->processes_omitted;
    snapshot->has_driver = true;
    struct session *sessions =
        sessions_build(arena, input, devices, &snapshot->session_count);
    snapshot->sessions = sessions;
    if (!sessions || devices_attach(arena, devices, snapshot) != 0)
        return -ENOMEM;
    snapshot->has_allocations = input->allocations != NULL;
    if (input->allocations && occupancy_join(arena, input->allocations, devices,
                                             driver->device_count, sessions) != 0)
        return -ENOMEM;
    devices_select(input, devices, sessions, snapshot);
    snapshot_set_totals(snapshot);
    if (input->tracker)
        tracker_follow(input->tracker, devices, snapshot->device_count, sessions,
                       input->now_ns);
    return 0;
}

static const struct label_names no_labels = {.count = 0};

int snapshot_build(struct arena *arena, const struct snapshot_input *input,
                   const struct snapshot **out, struct err *err)
{
    struct snapshot *snapshot = ARENA_NEW(arena, struct snapshot, 1);
    int rc = snapshot ? 0 : -ENOMEM;
    if (snapshot) {
        *snapshot = (struct snapshot){
            .node = input->node,
            .taken_at_seconds = input->taken_at_seconds,
            .duration_seconds = input->duration_seconds,
            .sources = input->sources,
            .source_count = input->source_count,
            .errors = input->errors,
            .error_count = input->error_count,
            .daemon = input->daemon,
            .labels = input->labels ? input->labels : &no_labels,
        };
        if (input->driver)
            rc = snapshot_join(arena, input, snapshot);
    }
    if (rc != 0)
        return err_set(err, -rc, ERR_ERRNO, -rc,
                       "no memory left for the snapshot (%zu bytes in use)",
                       arena_used_bytes(arena));
    *out = snapshot;
    return 0;
}

bool snapshot_is_complete(const struct snapshot *snapshot)
{
    bool has_driver = false;
    for (size_t i = 0; i < snapshot->source_count; i++) {
        const struct source_status *source = &snapshot->sources[i];
        if (strcmp(source->name, "procfs") == 0 && !source->is_up)
            return false;
        if (strcmp(source->name, "nvml") == 0 || strcmp(source->name, "nvidia-smi") == 0)
            has_driver = has_driver || source->is_up;
    }
    return has_driver;
}
