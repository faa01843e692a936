/*
 * One pass over all sources. The order matters for identity: the clock of /proc is read
 * first, then the driver's list, then /proc/<pid>. A process younger than the clock, or
 * missing, is settled by a second list: still listed and older than a second clock, it is
 * itself; no longer listed, it is gone; otherwise it is reported without an identity.
 */
#include "agent/cycle.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "source/dcgm.h"
#include "source/driver.h"
#include "source/identity.h"
#include "source/kube/kube_source.h"
#include "source/podresources.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define CYCLE_ARENA_BYTES ((size_t)256 << 20)
#define CYCLE_PATHS_BYTES ((size_t)64 << 10)
#define CYCLE_REFRESH_NS                                                                 \
    UINT64_C(1000000000) /* the longest wait for an optional source */

enum { CYCLE_MAX_SOURCES = 10, CYCLE_MAX_HELD = 8192 };

struct cycle {
    const struct config *config;
    struct error_counters *errors;
    struct call_progress *progress;
    struct cycle_memory *memory; /* NULL: none */
    struct tracker *tracker;     /* in `memory`, or NULL */
    struct arena *arena;         /* owns what one collection learns; reset at the next */
    struct driver *driver;
    bool has_sessions; /* the last collection found some */
    struct identity_source *identity;
    struct dcgm_source *dcgm;          /* NULL unless it is switched on */
    struct podresources *podresources; /* NULL: off */
    struct kube_source *kube;
    const char *podlogs;
    struct arena *paths; /* text that lives as long as the cycle */
};

/* What one collection gathers before it is joined; lives in the arena, since the snapshot
 * refers to it. */
struct gathering {
    struct driver_facts driver;
    struct process_clock clock;
    struct process_identity *identities;
    bool *is_dropped;
    bool has_allocations;
    struct allocation_set allocations;
    struct source_status sources[CYCLE_MAX_SOURCES];
    size_t source_count;
};

/* PATH of the host as this program sees it. NULL when memory is gone. */
static const char *host_path(struct cycle *cycle, const char *path)
{
    const char *rootfs = cycle->config->rootfs;
    return arena_printf(cycle->paths, "%s%s", strcmp(rootfs, "/") == 0 ? "" : rootfs,
                        path);
}

/* What the node itself knows of its pods. Return: false when memory is gone. */
static bool open_kubernetes(struct cycle *cycle)
{
    const struct config *config = cycle->config;
    cycle->podlogs =
        config->podlogs ? config->podlogs : host_path(cycle, "/var/log/containers");
    if (!cycle->podlogs || config->podresources == PODRESOURCES_OFF)
        return cycle->podlogs != NULL;
    struct podresources_config podresources = {
        .socket = config->podresources == PODRESOURCES_PATH
                      ? config->podresources_socket
                      : host_path(cycle, "/var/lib/kubelet/pod-resources/kubelet.sock"),
        .is_wanted = config->podresources == PODRESOURCES_PATH,
        .errors = cycle->errors,
    };
    if (podresources.socket)
        cycle->podresources = podresources_open(&podresources);
    return cycle->podresources != NULL;
}

struct cycle *cycle_new(const struct config *config, const struct cycle_shared *shared)
{
    struct cycle *cycle = calloc(1, sizeof *cycle);
    if (!cycle)
        return NULL;
    cycle->config = config;
    cycle->errors = shared->errors;
    cycle->progress = shared->progress;
    cycle->memory = shared->memory;
    if (cycle->memory)
        cycle->tracker = tracker_init(cycle->memory->tracker, config->max_sessions,
                                      config->idle_window_ns);
    cycle->arena = arena_new(CYCLE_ARENA_BYTES);
    cycle->paths = arena_new(CYCLE_PATHS_BYTES);
    if (!cycle->arena || !cycle->paths || !open_kubernetes(cycle)) {
        cycle_free(cycle);
        return NULL;
    }
    return cycle;
}

void cycle_free(struct cycle *cycle)
{
    if (!cycle)
        return;
    driver_close(cycle->driver);
    identity_close(cycle->identity);
    dcgm_close(cycle->dcgm);
    podresources_close(cycle->podresources);
    kube_close(cycle->kube);
    arena_free(cycle->arena);
    arena_free(cycle->paths);
    free(cycle);
}

/* Notes the state of a source; REASON (may be NULL) is copied into the arena. */
static void note_source(struct cycle *cycle, struct gathering *g, const char *name,
                        bool is_up, const char *reason)
{
    const char *copy = reason ? arena_copy(cycle->arena, str_from(reason)) : NULL;
    if (g->source_count < CYCLE_MAX_SOURCES)
        g->sources[g->source_count++] = (struct source_status){name, is_up, copy};
}

static struct driver_config driver_config_of(struct cycle *cycle)
{
    const struct config *config = cycle->config;
    return (struct driver_config){
        .library = config->nvml_library,
        .driver_root = config->rootfs,
        .smi = config->nvidia_smi,
        .with_graphics = config->with_graphics,
        .max_sessions = config->max_sessions,
        .errors = cycle->errors,
        .progress = cycle->progress,
    };
}

static void close_driver(struct cycle *cycle)
{
    driver_close(cycle->driver);
    cycle->driver = NULL;
}

/* Opens the driver's library; on failure a status row says why. Return: as nvml_open().
 */
static int open_library(struct cycle *cycle, struct gathering *g)
{
    struct driver_config config = driver_config_of(cycle);
    struct driver *library = NULL;
    struct err err = {0};
    int rc = nvml_open(&config, &library, &err);
    if (rc == 0) {
        close_driver(cycle); /* nvidia-smi, when the library has come only now */
        cycle->driver = library;
        return 0;
    }
    note_source(cycle, g, "nvml", false, err.message);
    if (err.domain != ERR_NVML) /* a call that failed has counted itself */
        errors_add(cycle->errors, "nvml",
                   rc == DRIVER_NO_LIBRARY ? "no_library" : "open_failed", 1);
    return rc;
}

static int open_smi(struct cycle *cycle, struct gathering *g)
{
    struct driver_config config = driver_config_of(cycle);
    struct err err = {0};
    int rc = nvsmi_open(&config, &cycle->driver, &err);
    /* In `auto` the missing library is the news; a missing nvidia-smi adds nothing. */
    if (rc != 0 && cycle->config->source == SOURCE_NVIDIA_SMI) {
        note_source(cycle, g, "nvidia-smi", false, err.message);
        errors_add(cycle->errors, "nvidia-smi", "open_failed", 1);
    }
    return rc;
}

/* Opens the driver that the configuration asks for. In `auto` nvidia-smi only stands in:
 * the library is looked for again in each collection. Return: 0 when there is one. */
static int open_driver(struct cycle *cycle, struct gathering *g)
{
    enum source_choice wanted = cycle->config->source;
    bool stands_in = cycle->driver && wanted == SOURCE_AUTO &&
                     strcmp(cycle->driver->ops->name, "nvml") != 0;
    if (cycle->driver && !stands_in)
        return 0;
    int rc = wanted == SOURCE_NVIDIA_SMI ? DRIVER_NO_LIBRARY : open_library(cycle, g);
    if (rc != DRIVER_NO_LIBRARY || wanted == SOURCE_NVML)
        return rc;
    return stands_in ? 0 : open_smi(cycle, g);
}

/* A device that is left out because its driver call stalled or crashed makes the source
 * as a whole "down": its answer is not complete. */
static const char *unfinished_device(const struct cycle *cycle,
                                     const struct driver_facts *facts)
{
    for (size_t i = 0; i < facts->device_count; i++) {
        const struct device_facts *device = &facts->devices[i];
        if (device->kind == DEVICE_GPU &&
            progress_is_left_out(cycle->progress, device->index))
            return arena_printf(cycle->arena, "its answer is not complete: see GPU %u",
                                device->index);
    }
    return NULL;
}

static const char *every_device_fault(const struct driver_facts *facts)
{
    const char *fault = NULL;
    for (size_t i = 0; i < facts->device_count; i++) {
        if (!facts->devices[i].fault)
            return NULL;
        fault = facts->devices[i].fault;
    }
    return fault;
}

static void note_driver(struct cycle *cycle, struct gathering *g)
{
    const char *name = cycle->driver->ops->name;
    const char *reason = unfinished_device(cycle, &g->driver);
    if (!reason)
        reason = every_device_fault(&g->driver);
    if (g->driver.device_count == 0)
        reason =
            "the driver answers but has no GPU: check that one is installed and seen "
            "(lspci, dmesg), and that this program may open /dev/nvidia*";
    bool is_up = reason == NULL;
    const struct str *absent = gpu_selection_absent(&cycle->config->gpus, &g->driver);
    if (absent && is_up) {
        errors_add(cycle->errors, name, "gpu_not_found", 1);
        reason = arena_printf(cycle->arena, "it has no GPU \"%.*s\" (--gpu.devices)",
                              (int)(absent->n < 80 ? absent->n : 80), absent->p);
    }
    note_source(cycle, g, name, is_up, reason);
}

static void collect_driver(struct cycle *cycle, struct gathering *g)
{
    struct err err = {0};
    if (open_driver(cycle, g) != 0)
        return;
    int rc = cycle->driver->ops->collect(cycle->driver, cycle->arena, &g->driver, &err);
    if (rc == 0) {
        note_driver(cycle, g);
        return;
    }
    g->driver = (struct driver_facts){0};
    note_source(cycle, g, cycle->driver->ops->name, false, err.message);
    close_driver(cycle);
}

/* Half of what this process may have open: the other half is for everything else. */
static int max_held(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlim_t half = limit.rlim_cur / 2;
    return half < CYCLE_MAX_HELD ? (int)half : CYCLE_MAX_HELD;
}

/* Opens /proc where that is still to be done, and reads its clock. */
static bool open_identity(struct cycle *cycle, struct gathering *g)
{
    struct err err = {0};
    if (!cycle->identity) {
        struct identity_config config = {
            .procfs = cycle->config->procfs,
            .rootfs = cycle->config->rootfs,
            .podlogs = cycle->podlogs,
            .max_held = max_held(),
            .errors = cycle->errors,
            .progress = cycle->progress,
        };
        if (identity_open(&config, &cycle->identity, &err) != 0) {
            note_source(cycle, g, "procfs", false, err.message);
            errors_add(cycle->errors, "procfs", "open_failed", 1);
            return false;
        }
    }
    if (identity_clock(cycle->identity, &g->clock, &err) != 0) {
        note_source(cycle, g, "procfs", false, err.message);
        errors_add(cycle->errors, "procfs", "no_clock", 1);
        identity_close(cycle->identity); /* another may be mounted there by then */
        cycle->identity = NULL;
        return false;
    }
    return true;
}

/* Looks up all processes, or a second time those for which STILL_OPEN is true. */
static int identify(struct cycle *cycle, struct gathering *g, const bool *still_open,
                    struct err *err)
{
    size_t n = 0;
    uint32_t *pids = ARENA_NEW(cycle->arena, uint32_t, g->driver.process_count);
    size_t *places = ARENA_NEW(cycle->arena, size_t, g->driver.process_count);
    struct process_identity *found =
        ARENA_NEW(cycle->arena, struct process_identity, g->driver.process_count);
    if (!pids || !places || !found)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for identities");
    for (size_t i = 0; i < g->driver.process_count; i++) {
        if (still_open && !still_open[i])
            continue;
        places[n] = i;
        pids[n++] = g->driver.processes[i].pid;
    }
    int rc = still_open
                 ? identity_collect_again(cycle->identity, &g->clock, pids, n, found, err)
                 : identity_collect(cycle->identity, &g->clock, pids, n, found, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        g->identities[places[i]] = found[i];
    return 0;
}

static bool is_settled(const struct process_identity *identity)
{
    return identity->state != IDENTITY_INVISIBLE && identity->state != IDENTITY_REUSED;
}

static void count_unsettled(struct cycle *cycle, const struct gathering *g)
{
    for (size_t i = 0; i < g->driver.process_count; i++) {
        if (g->is_dropped[i])
            errors_add(cycle->errors, "procfs", "process_gone", 1);
        else if (g->identities[i].state == IDENTITY_INVISIBLE)
            errors_add(cycle->errors, "procfs", "process_invisible", 1);
        else if (g->identities[i].state == IDENTITY_REUSED)
            errors_add(cycle->errors, "procfs", "pid_reused", 1);
    }
}

/* Asks the driver for its second list. Return: an answer for each process; NULL when
 * nothing was open, or the driver or /proc's clock did not answer: then what the first
 * look saw stands, since a newer clock without a newer list would let strangers in. */
static enum relist *ask_again(struct cycle *cycle, struct gathering *g)
{
    struct process_clock second = {0};
    bool any = false;
    enum relist *answers = ARENA_NEW(cycle->arena, enum relist, g->driver.process_count);
    for (size_t i = 0; answers && i < g->driver.process_count; i++) {
        if (is_settled(&g->identities[i]))
            continue;
        answers[i] = RELIST_WANTED;
        any = true;
    }
    if (!any || identity_clock(cycle->identity, &second, NULL) != 0 ||
        cycle->driver->ops->relist(cycle->driver, cycle->arena, &g->driver, answers,
                                   NULL) != 0)
        return NULL;
    g->clock = second;
    return answers;
}

/* Settles the processes that the first look at /proc left open: see the head of the
 * file. */
static int settle(struct cycle *cycle, struct gathering *g, struct err *err)
{
    int rc = 0;
    const enum relist *answers = ask_again(cycle, g);
    if (answers) {
        bool *is_listed = ARENA_NEW(cycle->arena, bool, g->driver.process_count);
        if (!is_listed)
            return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for identities");
        for (size_t i = 0; i < g->driver.process_count; i++) {
            is_listed[i] = answers[i] == RELIST_LISTED;
            g->is_dropped[i] = answers[i] == RELIST_GONE;
        }
        rc = identify(cycle, g, is_listed, err);
    }
    if (rc == 0)
        count_unsettled(cycle, g);
    return rc;
}

static int collect_identities(struct cycle *cycle, struct gathering *g, struct err *err)
{
    size_t count = g->driver.process_count;
    g->identities = ARENA_NEW(cycle->arena, struct process_identity, count);
    g->is_dropped = ARENA_NEW(cycle->arena, bool, count);
    if (!g->identities || !g->is_dropped)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for identities");
    if (!g->clock.is_known || count == 0)
        return 0;
    int rc = identify(cycle, g, NULL, err);
    return rc == 0 ? settle(cycle, g, err) : rc;
}

/* What an optional source may cost now: half of what is left before the supervisor gives
 * the collection up, so that a slow one costs its own facts and not the driver's. */
static uint64_t budget_ns(const struct cycle *cycle)
{
    uint64_t end =
        atomic_load(&cycle->progress->began_ns) + cycle->config->timeout_ns / 10 * 9;
    uint64_t now = clock_monotonic_ns();
    uint64_t half = now < end ? (end - now) / 2 : 0;
    return half < CYCLE_REFRESH_NS ? half : CYCLE_REFRESH_NS;
}

/* Asks the kubelet what it gave to whom, and finds these devices among the driver's. */
static int collect_allocations(struct cycle *cycle, struct gathering *g, struct err *err)
{
    size_t count;
    if (!cycle->podresources)
        return 0;
    podresources_refresh(cycle->podresources, clock_monotonic_ns(), clock_wall_seconds(),
                         budget_ns(cycle));
    if (g->source_count < CYCLE_MAX_SOURCES &&
        podresources_status(cycle->podresources, cycle->arena,
                            &g->sources[g->source_count]))
        g->source_count++;
    const struct grant *grants = podresources_grants(cycle->podresources, &count);
    if (!grants)
        return 0;
    if (allocation_match(cycle->arena, &g->driver, grants, count, &g->allocations) != 0)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for allocations");
    g->allocations.left_out = podresources_left_out(cycle->podresources);
    g->has_allocations = true;
    if (g->driver.device_count) /* a driver that is down knows no id */
        podresources_count_ids(cycle->podresources, &g->allocations);
    return 0;
}

static struct kube_config kube_config_of(const struct cycle *cycle)
{
    const struct config *config = cycle->config;
    uint64_t longest_spread = UINT64_C(60) * 1000000000;
    return (struct kube_config){
        .mode = config->kube_mode,
        .kubelet_address = config->kubelet_address,
        .kubelet_ca_file = config->kubelet_ca_file,
        .kubelet_server_name =
            config->kubelet_server_name ? config->kubelet_server_name : config->node,
        .kubelet_is_unverified = config->kubelet_is_unverified,
        .api_url = config->kube_api_url ? config->kube_api_url : config->kube_cluster_url,
        .ca_file = config->kube_ca_file,
        .token_file = config->kube_token_file,
        .node = config->node,
        .keys = &config->pod_keys,
        .without_watch = !cycle->memory,
        .spread_ns = !cycle->memory || config->kube_mode == KUBE_KUBELET ? 0
                     : config->interval_ns < longest_spread ? config->interval_ns
                                                            : longest_spread,
        .errors = cycle->errors,
    };
}

static bool open_kube(struct cycle *cycle, struct gathering *g)
{
    struct err err = {0};
    if (cycle->config->kube_mode == KUBE_OFF)
        return false;
    struct kube_config config = kube_config_of(cycle);
    if (cycle->kube || kube_open(&config, &cycle->kube, &err) == 0)
        return true;
    note_source(cycle, g, "kubernetes", false, err.message);
    errors_add(cycle->errors, "kubernetes", "open_failed", 1);
    return false;
}

/* What Kubernetes says of the pod, by the UID that the kernel gave. */
static void join_metadata(struct cycle *cycle, struct pod_identity *pod)
{
    if (!pod->is_uid_sure)
        return;
    pod->metadata = kube_find(cycle->kube, pod->uid);
    if (!pod->metadata || pod->state != POD_UNRESOLVED)
        return;
    pod->state = POD_RESOLVED;
    pod->namespace_ = pod->metadata->namespace_;
    pod->name = pod->metadata->name;
    pod->resolver = kube_resolver(cycle->kube);
}

/* Asks who the pods are in which processes were found. */
static void collect_metadata(struct cycle *cycle, struct gathering *g)
{
    size_t n = 0;
    const char **uids = ARENA_NEW(cycle->arena, const char *, g->driver.process_count);
    if (!uids || !open_kube(cycle, g))
        return;
    for (size_t i = 0; i < g->driver.process_count; i++) {
        if (g->identities[i].pod.is_uid_sure)
            uids[n++] = g->identities[i].pod.uid;
    }
    kube_update(cycle->kube, uids, n, budget_ns(cycle));
    for (size_t i = 0; i < g->driver.process_count; i++)
        join_metadata(cycle, &g->identities[i].pod);
    struct source_status status;
    if (kube_status(cycle->kube, cycle->arena, &status))
        note_source(cycle, g, status.name, status.is_up, status.reason);
}

/* A copy: the table is shared, and its words may have lost their ends. */
static const char *error_word(struct cycle *cycle, const char *word)
{
    const char *copy =
        arena_copy(cycle->arena, (struct str){word, strnlen(word, ERROR_WORD_BYTES)});
    return copy ? copy : "";
}

static const struct error_count *errors_of(struct cycle *cycle, size_t *count)
{
    size_t in_use = errors_count(cycle->errors);
    struct error_count *errors = ARENA_NEW(cycle->arena, struct error_count, in_use);
    *count = errors ? in_use : 0;
    for (size_t i = 0; i < *count; i++)
        errors[i] =
            (struct error_count){error_word(cycle, cycle->errors->entries[i].source),
                                 error_word(cycle, cycle->errors->entries[i].reason),
                                 cycle->errors->entries[i].value};
    return errors;
}

/* The supervisor may have started several workers for this one collection. */
static double began_seconds(const struct cycle *cycle)
{
    return (double)atomic_load(&cycle->progress->began_ns) / 1e9;
}

/* What a daemon's snapshot has beyond that of a single collection. Its time is that of
 * what it shows: of an answer that did not come, the answer before. */
static void remember(struct cycle *cycle, bool is_answered, struct snapshot_input *input)
{
    struct cycle_memory *memory = cycle->memory;
    if (is_answered)
        *memory->answered_at_seconds = input->taken_at_seconds;
    input->taken_at_seconds = *memory->answered_at_seconds;
    input->daemon = memory->status;
    input->tracker = cycle->tracker;
    input->now_ns = clock_monotonic_ns();
}

static const struct snapshot *build(struct cycle *cycle, struct gathering *g,
                                    bool is_answered, struct err *err)
{
    const struct snapshot *snapshot = NULL;
    struct snapshot_input input = {
        .driver = cycle->driver ? &g->driver : NULL,
        .identities = g->identities,
        .allocations = g->has_allocations ? &g->allocations : NULL,
        .is_dropped = g->is_dropped,
        .clock = g->clock,
        .node = cycle->config->node,
        .taken_at_seconds = clock_wall_seconds(),
        .duration_seconds = clock_monotonic_seconds() - began_seconds(cycle),
        .sources = g->sources,
        .source_count = g->source_count,
        .gpus = &cycle->config->gpus,
        .users = &cycle->config->users,
        .labels = &cycle->config->labels,
    };
    input.errors = errors_of(cycle, &input.error_count);
    if (cycle->memory)
        remember(cycle, is_answered, &input);
    return snapshot_build(cycle->arena, &input, &snapshot, err) == 0 ? snapshot : NULL;
}

/* Fills from the DCGM exporter's page what the driver left open. A quarter of the
 * collection's time at most goes into asking for it. */
static void collect_dcgm(struct cycle *cycle, struct gathering *g)
{
    if (!cycle->config->dcgm_url || g->source_count == CYCLE_MAX_SOURCES)
        return;
    if (!cycle->dcgm)
        cycle->dcgm = dcgm_open(&(struct dcgm_config){.url = cycle->config->dcgm_url,
                                                      .errors = cycle->errors});
    if (!cycle->dcgm) {
        note_source(cycle, g, "dcgm", false, "no memory for it");
        return;
    }
    const struct dcgm_collection collection = {
        .facts = &g->driver,
        .identities = g->identities,
        .clock = g->clock,
        .now_ns = clock_monotonic_ns(),
        .wall_seconds = clock_wall_seconds(),
        .budget_ns = budget_ns(cycle),
        .knows_the_past = cycle->memory != NULL,
    };
    g->sources[g->source_count++] = dcgm_collect(cycle->dcgm, cycle->arena, &collection);
}

/* Asks /proc about the listed processes and adds its status rows. */
static const struct snapshot *finish(struct cycle *cycle, struct gathering *g,
                                     bool is_answered, bool has_proc, struct err *err)
{
    if (collect_identities(cycle, g, err) != 0)
        return NULL;
    if (has_proc && g->source_count + 2 <= CYCLE_MAX_SOURCES)
        g->source_count +=
            identity_status(cycle->identity, cycle->arena, g->sources + g->source_count);
    if (is_answered)
        collect_metadata(cycle, g);
    if (is_answered)
        collect_dcgm(cycle, g);
    if (is_answered && collect_allocations(cycle, g, err) != 0)
        return NULL;
    return build(cycle, g, is_answered, err);
}

static struct gathering *begin(struct cycle *cycle, struct err *err)
{
    arena_reset(cycle->arena);
    struct gathering *g = ARENA_NEW(cycle->arena, struct gathering, 1);
    if (!g)
        (void)err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for a collection");
    return g;
}

const struct snapshot *cycle_run(struct cycle *cycle, struct err *err)
{
    struct gathering *g = begin(cycle, err);
    if (!g)
        return NULL;
    bool has_proc = open_identity(cycle, g);
    collect_driver(cycle, g);
    const struct snapshot *snapshot = finish(cycle, g, true, has_proc, err);
    cycle->has_sessions = snapshot && snapshot->session_count > 0;
    return snapshot;
}

/* A source that is opened anew remembers no window: it measures as in a single run. */
void cycle_let_go(struct cycle *cycle)
{
    enum hold_choice hold = cycle->config->driver_hold;
    if (hold == HOLD_NEVER || (hold == HOLD_AUTO && !cycle->has_sessions))
        close_driver(cycle);
}

const struct snapshot *cycle_run_without_driver(struct cycle *cycle, const char *reason,
                                                struct err *err)
{
    struct gathering *g = begin(cycle, err);
    if (!g)
        return NULL;
    note_source(cycle, g, config_driver_name(cycle->config), false, reason);
    return build(cycle, g, false, err);
}
