/*
 * The Prometheus page, or a section of it, from one table of families.
 *
 * Each family is a name, a type, a help text and a function that emits its rows. HELP
 * and TYPE are written with the first row, so a family of which nothing was measured
 * leaves no trace. Seven families share the labels of a session: they are escaped once
 * per page and copied.
 */
#include "output/prom.h"

#include "base/cleanup.h"
#include "model/daemon_status.h"
#include "output/text.h"

#include <stdint.h>

struct page {
    const struct snapshot *snapshot;
    const struct prom_options *options;
    struct buf *out;
    const struct family *family;
    bool has_header;                  /* of the current family */
    char separator;                   /* before the row's next label: '{', then ',' */
    struct str node;                  /* the label, escaped, or empty */
    const struct str *session_labels; /* per session: gpu to container, escaped */
};

/* Which value of a device or session a family shows. */
struct field {
    size_t offset; /* in the struct that the family's function reads */
    bool is_u64;   /* struct value_u64, else struct value_double */
};

struct family {
    struct prom_family about;
    enum prom_section section;
    void (*emit)(struct page *page);
    struct field field;
};

/* Bytes at the head of TEXT that stand for themselves in a label value. */
static size_t plain_prefix(struct str text)
{
    size_t n = 0;
    while (n < text.n && text.p[n] >= ' ' && text.p[n] <= '~' && text.p[n] != '"' &&
           text.p[n] != '\\')
        n++;
    return n;
}

/* One character that plain_prefix() stopped at. Return: bytes of the value it makes. */
static size_t append_escaped(struct buf *buf, struct str *rest, size_t room)
{
    char first = rest->p[0];
    struct str c = first == '\n'   ? STR("\\n")
                   : first == '"'  ? STR("\\\"")
                   : first == '\\' ? STR("\\\\")
                                   : (struct str){0};
    if (c.n)
        *rest = str_part(*rest, 1, rest->n - 1);
    else
        c = text_next_printable(rest);
    size_t value_bytes = c.p[0] == '\\' ? 1 : c.n;
    if (value_bytes <= room)
        buf_append(buf, c);
    return value_bytes;
}

static void append_value(struct buf *buf, const char *text)
{
    struct str rest = str_from(text);
    size_t room = PROM_LABEL_BYTES;
    while (rest.n && room) {
        size_t n = plain_prefix(rest.n > room ? str_part(rest, 0, room) : rest);
        if (n) {
            buf_append(buf, str_part(rest, 0, n));
            rest = str_part(rest, n, rest.n - n);
        } else {
            n = append_escaped(buf, &rest, room);
        }
        room = n < room ? room - n : 0;
    }
}

static void append_label(struct buf *buf, const char *key, const char *value)
{
    buf_append_text(buf, key);
    buf_append(buf, STR("=\""));
    append_value(buf, value);
    buf_append_char(buf, '"');
}

/* OpenMetrics calls a counter by the name that its rows have without "_total". The help
 * texts have nothing that either format escapes. */
static void append_header(struct page *page)
{
    const struct prom_family *about = &page->family->about;
    struct str name = str_from(about->name);
    if (page->options->openmetrics && str_ends(name, STR("_total")) &&
        strcmp(about->type, "counter") == 0)
        name.n -= strlen("_total");
    buf_printf(page->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)name.n, name.p,
               about->help, (int)name.n, name.p, about->type);
}

static void row_begin(struct page *page)
{
    const struct prom_family *about = &page->family->about;
    if (!page->has_header)
        append_header(page);
    page->has_header = true;
    page->separator = '{';
    buf_append_text(page->out, about->name);
}

static void row_separate(struct page *page)
{
    buf_append_char(page->out, page->separator);
    page->separator = ',';
}

static void row_label(struct page *page, const char *key, const char *value)
{
    row_separate(page);
    append_label(page->out, key, value);
}

static void row_labels(struct page *page, struct str labels)
{
    row_separate(page);
    buf_append(page->out, labels);
}

static void row_end(struct page *page, double value)
{
    if (page->node.n)
        row_labels(page, page->node);
    if (page->separator == ',')
        buf_append_char(page->out, '}');
    buf_append_char(page->out, ' ');
    buf_append_double(page->out, value);
    buf_append_char(page->out, '\n');
}

static void emit_plain(struct page *page, double value)
{
    row_begin(page);
    row_end(page, value);
}

static void emit_device_row(struct page *page, const struct device *device, double value)
{
    row_begin(page);
    row_label(page, "gpu", device->label);
    row_end(page, value);
}

/* Reads the family's field of RECORD. Return: false when it was not measured. */
static bool field_read(const struct page *page, const void *record, double *value)
{
    struct field field = page->family->field;
    const void *at = (const char *)record + field.offset;
    const struct value_u64 *integer = at;
    const struct value_double *real = at;
    *value = field.is_u64 ? (double)integer->v : real->v;
    return (field.is_u64 ? integer->state : real->state) == VALUE_OK;
}

static void emit_device_field(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        double value;
        if (field_read(page, snapshot->devices[i].facts, &value))
            emit_device_row(page, &snapshot->devices[i], value);
    }
}

static void emit_session_field(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->session_count; i++) {
        double value;
        if (!field_read(page, &snapshot->sessions[i], &value))
            continue;
        row_begin(page);
        row_labels(page, page->session_labels[i]);
        row_end(page, value);
    }
}

/* Of devices that hold sessions. */
static void emit_device_count(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device *device = &snapshot->devices[i];
        double value;
        if (device->holds_sessions && field_read(page, device, &value))
            emit_device_row(page, device, value);
    }
}

static void emit_total_sessions(struct page *page)
{
    if (page->snapshot->session_total.state == VALUE_OK)
        emit_plain(page, (double)page->snapshot->session_total.v);
}

static void emit_total_users(struct page *page)
{
    if (page->snapshot->user_total.state == VALUE_OK)
        emit_plain(page, (double)page->snapshot->user_total.v);
}

static void emit_sessions_omitted(struct page *page)
{
    if (page->snapshot->session_total.state != VALUE_UNSET)
        emit_plain(page, (double)page->snapshot->sessions_omitted);
}

/* The labels behind the original ones; SESSION is NULL in a placeholder row. */
static void info_labels(struct page *page, const struct session *session)
{
    const struct label_names *labels = page->snapshot->labels;
    row_label(page, "user", session ? session->user : "");
    for (size_t i = 0; i < labels->count; i++) {
        const struct label_name *label = &labels->entries[i];
        row_label(page, label->text, session ? session_label(session, label) : NULL);
    }
}

/* The rest of a gpu_process_info row; MIB is NULL when the memory is not known, SESSION
 * in a placeholder row. */
static void info_end(struct page *page, const struct session *session,
                     enum session_status status, const uint64_t *mib, double value)
{
    if (!page->options->without_volatile_labels) {
        row_label(page, "status", text_status(status));
        row_separate(page);
        buf_append(page->out, STR("gpu_memory=\""));
        if (mib) {
            buf_append_u64(page->out, *mib);
            buf_append(page->out, STR("MiB"));
        }
        buf_append_char(page->out, '"');
    }
    info_labels(page, session);
    row_end(page, value);
}

static void emit_info_placeholder(struct page *page, const struct device *device)
{
    static const char *const empty[] = {"pid", "command", "pod", "namespace",
                                        "container"};
    row_begin(page);
    row_label(page, "gpu", device->label);
    for (size_t i = 0; i < ARRAY_LENGTH(empty); i++)
        row_label(page, empty[i], "");
    info_end(page, NULL, SESSION_IDLE, &(uint64_t){0}, 0);
}

static void emit_process_info(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device *device = &snapshot->devices[i];
        if (device->holds_sessions && device->session_total.state == VALUE_OK &&
            device->session_total.v == 0)
            emit_info_placeholder(page, device);
        for (size_t k = 0; k < device->session_count; k++) {
            const struct session *session = &device->sessions[k];
            struct value_u64 memory = session->memory_used_bytes;
            uint64_t mib = memory.v >> 20;
            row_begin(page);
            row_labels(page, page->session_labels[session - snapshot->sessions]);
            info_end(page, session, session->status,
                     memory.state == VALUE_OK ? &mib : NULL, 1);
        }
    }
}

static void emit_device_info(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device_facts *facts = snapshot->devices[i].facts;
        row_begin(page);
        row_label(page, "gpu", snapshot->devices[i].label);
        row_label(page, "uuid", facts->uuid);
        row_label(page, "name", facts->name);
        row_label(page, "pci_bus_id", facts->pci_bus_id);
        row_label(page, "mig_profile", facts->mig_profile);
        row_label(page, "parent_uuid", facts->parent_uuid);
        row_end(page, 1);
    }
}

static void emit_device_allocated(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device *device = &snapshot->devices[i];
        for (size_t k = 0; k < device->allocation_count; k++) {
            const struct allocation *allocation = &device->allocations[k];
            row_begin(page);
            row_label(page, "gpu", device->label);
            row_label(page, "namespace", allocation->namespace_);
            row_label(page, "pod", allocation->pod);
            row_label(page, "container", allocation->container);
            row_end(page, 1);
        }
    }
}

static void emit_device_state(struct page *page)
{
    const struct snapshot *snapshot = page->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device *device = &snapshot->devices[i];
        for (size_t k = 0; k < DEVICE_STATES; k++) {
            if (device->states[k] == TERNARY_UNKNOWN)
                continue;
            row_begin(page);
            row_label(page, "gpu", device->label);
            row_label(page, "state", text_device_state((enum device_state)k));
            row_end(page, device->states[k] == TERNARY_YES);
        }
    }
}

/* A row with one label of its own. */
static void emit_labelled(struct page *page, const char *key, const char *text,
                          uint64_t value)
{
    row_begin(page);
    row_label(page, key, text);
    row_end(page, (double)value);
}

static void emit_source_up(struct page *page)
{
    for (size_t i = 0; i < page->snapshot->source_count; i++)
        emit_labelled(page, "source", page->snapshot->sources[i].name,
                      page->snapshot->sources[i].is_up);
}

static void emit_collect_errors(struct page *page)
{
    for (size_t i = 0; i < page->snapshot->error_count; i++) {
        const struct error_count *error = &page->snapshot->errors[i];
        row_begin(page);
        row_label(page, "source", error->source);
        row_label(page, "reason", error->reason);
        row_end(page, (double)error->count);
    }
}

/* Not before the daemon's first collection has ended. */
static void emit_collect_duration(struct page *page)
{
    if (page->snapshot->taken_at_seconds > 0)
        emit_plain(page, page->snapshot->duration_seconds);
}

static void emit_collect_timestamp(struct page *page)
{
    if (page->snapshot->taken_at_seconds > 0)
        emit_plain(page, page->snapshot->taken_at_seconds);
}

static void emit_build_info(struct page *page)
{
    row_begin(page);
    row_label(page, "version", PROGRAM_VERSION);
    row_end(page, 1);
}

static void emit_collections(struct page *page)
{
    if (page->snapshot->daemon)
        emit_plain(page, (double)page->snapshot->daemon->collections);
}

static void emit_collector_restarts(struct page *page)
{
    const struct daemon_status *daemon = page->snapshot->daemon;
    if (!daemon)
        return;
    emit_labelled(page, "reason", "crashed", daemon->collector_restarts_crashed);
    emit_labelled(page, "reason", "timeout", daemon->collector_restarts_timeout);
}

static void emit_collectors_stuck(struct page *page)
{
    if (page->snapshot->daemon)
        emit_plain(page, (double)page->snapshot->daemon->collectors_stuck);
}

static void emit_server_restarts(struct page *page)
{
    if (page->snapshot->daemon)
        emit_plain(page, (double)page->snapshot->daemon->server_restarts);
}

static void emit_driver_released(struct page *page)
{
    if (page->snapshot->daemon)
        emit_plain(page, page->snapshot->daemon->is_driver_released);
}

static void emit_http_refused(struct page *page)
{
    const struct daemon_status *daemon = page->snapshot->daemon;
    for (size_t i = 0; daemon && i < daemon->refusal_count && i < REFUSALS_MAX; i++)
        emit_labelled(page, "reason", daemon->refusals[i].reason,
                      daemon->refusals[i].count);
}

static void emit_usage_field(struct page *page)
{
    const struct daemon_status *daemon = page->snapshot->daemon;
    double value;
    if (daemon && field_read(page, &daemon->usage, &value))
        emit_plain(page, value);
}

#define SESSION_DOUBLE(member)                                                           \
    {                                                                                    \
        offsetof(struct session, member), false                                          \
    }
#define SESSION_U64(member)                                                              \
    {                                                                                    \
        offsetof(struct session, member), true                                           \
    }
#define DEVICE_DOUBLE(member)                                                            \
    {                                                                                    \
        offsetof(struct device_facts, member), false                                     \
    }
#define DEVICE_COUNT(member)                                                             \
    {                                                                                    \
        offsetof(struct device, member), true                                            \
    }
#define USAGE_DOUBLE(member)                                                             \
    {                                                                                    \
        offsetof(struct process_usage, member), false                                    \
    }
#define USAGE_U64(member)                                                                \
    {                                                                                    \
        offsetof(struct process_usage, member), true                                     \
    }
#define DEVICE_U64(member)                                                               \
    {                                                                                    \
        offsetof(struct device_facts, member), true                                      \
    }

static const struct family families[] = {
    {{"gpu_session_count", "gauge",
      "Sessions (processes that hold a context) on the device."},
     PROM_MEASURED,
     emit_device_count,
     DEVICE_COUNT(session_total)},
    {{"gpu_total_sessions", "gauge", "Sessions on this node."},
     PROM_MEASURED,
     emit_total_sessions,
     {0}},
    {{"gpu_user_count", "gauge", "Distinct known users with a session on the device."},
     PROM_MEASURED,
     emit_device_count,
     DEVICE_COUNT(user_total)},
    {{"gpu_total_users", "gauge", "Distinct known users with a session on this node."},
     PROM_MEASURED,
     emit_total_users,
     {0}},
    {{"gpu_process_info", "gauge",
      "1 per session; 0 in the placeholder row of a device without one."},
     PROM_MEASURED,
     emit_process_info,
     {0}},
    {{"gpu_process_utilization", "gauge",
      "Percent of the device's SM time used by the session since the previous "
      "collection, "
      "as far back as the driver holds samples."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_DOUBLE(sm_percent)},
    {{"gpu_process_memory_utilization", "gauge",
      "Percent of the device's total memory used by the session."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_DOUBLE(memory_percent)},
    {{"gpu_process_memory_used_bytes", "gauge", "Device memory used by the session."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_U64(memory_used_bytes)},
    {{"gpu_process_memory_bandwidth_utilization", "gauge",
      "Percent of time in which the session read or wrote device memory."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_DOUBLE(memory_bandwidth_percent)},
    {{"gpu_process_encoder_utilization", "gauge",
      "Percent of the video encoder used by the session."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_DOUBLE(encoder_percent)},
    {{"gpu_process_decoder_utilization", "gauge",
      "Percent of the video decoder used by the session."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_DOUBLE(decoder_percent)},
    {{"gpu_process_start_time_seconds", "gauge",
      "Unix time at which the session's process started."},
     PROM_MEASURED,
     emit_session_field,
     SESSION_DOUBLE(start_time_seconds)},
    {{"gpu_device_info", "gauge", "1 per GPU and MIG device, with what names it."},
     PROM_MEASURED,
     emit_device_info,
     {0}},
    {{"gpu_device_memory_total_bytes", "gauge", "Memory of the device."},
     PROM_MEASURED,
     emit_device_field,
     DEVICE_U64(memory_total_bytes)},
    {{"gpu_device_memory_used_bytes", "gauge",
      "Memory in use on the device, without the driver's reserve where it says so."},
     PROM_MEASURED,
     emit_device_field,
     DEVICE_U64(memory_used_bytes)},
    {{"gpu_device_utilization", "gauge",
      "Percent of time in which the device ran a kernel, as the driver averages it."},
     PROM_MEASURED,
     emit_device_field,
     DEVICE_DOUBLE(utilization_percent)},
    {{"gpu_device_power_watts", "gauge", "Power drawn by the GPU."},
     PROM_MEASURED,
     emit_device_field,
     DEVICE_DOUBLE(power_watts)},
    {{"gpu_device_temperature_celsius", "gauge", "Temperature of the GPU."},
     PROM_MEASURED,
     emit_device_field,
     DEVICE_DOUBLE(temperature_celsius)},
    {{"gpu_device_allocated", "gauge",
      "1 per container to which Kubernetes allocated the device."},
     PROM_MEASURED,
     emit_device_allocated,
     {0}},
    {{"gpu_device_state", "gauge",
      "1 when the state applies to the device, 0 when not; several can apply to a shared "
      "device."},
     PROM_MEASURED,
     emit_device_state,
     {0}},
    {{"gpu_sessions_omitted", "gauge",
      "Sessions left out of this page by the configured bound."},
     PROM_MEASURED,
     emit_sessions_omitted,
     {0}},
    {{"gpu_sessions_started_total", "counter",
      "Sessions that began on the device since the daemon started."},
     PROM_STATUS,
     emit_device_count,
     DEVICE_COUNT(sessions_started)},
    {{"gpu_sessions_ended_total", "counter",
      "Sessions that ended on the device since the daemon started."},
     PROM_STATUS,
     emit_device_count,
     DEVICE_COUNT(sessions_ended)},
    {{"gpu_session_source_up", "gauge",
      "1 when the source answered in the last collection, 0 when not."},
     PROM_STATUS,
     emit_source_up,
     {0}},
    {{"gpu_session_collect_errors_total", "counter",
      "What went wrong in collections since the program started."},
     PROM_STATUS,
     emit_collect_errors,
     {0}},
    {{"gpu_session_collect_duration_seconds", "gauge",
      "Time that the last collection took."},
     PROM_STATUS,
     emit_collect_duration,
     {0}},
    {{"gpu_session_last_collect_timestamp_seconds", "gauge",
      "Unix time at which the last collection ended."},
     PROM_STATUS,
     emit_collect_timestamp,
     {0}},
    {{"gpu_session_build_info", "gauge", "1, with the version of the program."},
     PROM_STATUS,
     emit_build_info,
     {0}},
    {{"gpu_session_collections_total", "counter",
      "Collections since the daemon started, answered or not."},
     PROM_STATUS,
     emit_collections,
     {0}},
    {{"gpu_session_collector_restarts_total", "counter",
      "Collecting processes that the daemon had to replace, by what befell them."},
     PROM_STATUS,
     emit_collector_restarts,
     {0}},
    {{"gpu_session_collectors_stuck", "gauge",
      "Collecting processes that were given up but that the kernel still holds."},
     PROM_STATUS,
     emit_collectors_stuck,
     {0}},
    {{"gpu_session_server_restarts_total", "counter",
      "HTTP server processes that the daemon had to replace."},
     PROM_STATUS,
     emit_server_restarts,
     {0}},
    {{"gpu_session_driver_released", "gauge",
      "1 while the driver is let go of on request, else 0."},
     PROM_STATUS,
     emit_driver_released,
     {0}},
    {{"gpu_session_http_refused_total", "counter",
      "Requests, connections and configurations that the HTTP server turned away."},
     PROM_STATUS,
     emit_http_refused,
     {0}},
    {{"process_cpu_seconds_total", "counter",
      "User and system CPU time of the daemon's processes, ended ones included."},
     PROM_PROCESS,
     emit_usage_field,
     USAGE_DOUBLE(cpu_seconds)},
    {{"process_resident_memory_bytes", "gauge",
      "Resident memory of the daemon's processes together."},
     PROM_PROCESS,
     emit_usage_field,
     USAGE_U64(resident_bytes)},
    {{"process_virtual_memory_bytes", "gauge",
      "Virtual memory of the daemon's processes together."},
     PROM_PROCESS,
     emit_usage_field,
     USAGE_U64(virtual_bytes)},
    {{"process_open_fds", "gauge",
      "File descriptors that the daemon's process nearest to its limit has open."},
     PROM_PROCESS,
     emit_usage_field,
     USAGE_U64(open_descriptors)},
    {{"process_max_fds", "gauge",
      "File descriptors that the daemon's process nearest to its limit may have open."},
     PROM_PROCESS,
     emit_usage_field,
     USAGE_U64(max_descriptors)},
    {{"process_start_time_seconds", "gauge", "Unix time at which the daemon started."},
     PROM_PROCESS,
     emit_usage_field,
     USAGE_DOUBLE(start_time_seconds)},
};

const struct prom_family *prom_family_at(size_t index)
{
    return index < ARRAY_LENGTH(families) ? &families[index].about : NULL;
}

static void append_session_labels(struct buf *buf, const struct session *session)
{
    struct pod_labels pod = text_pod_labels(&session->pod);
    append_label(buf, "gpu", session->device->label);
    buf_append(buf, STR(",pid=\""));
    buf_append_u64(buf, session->pid);
    buf_append(buf, STR("\","));
    append_label(buf, "command", session->command);
    buf_append_char(buf, ',');
    append_label(buf, "pod", pod.pod);
    buf_append_char(buf, ',');
    append_label(buf, "namespace", pod.namespace_);
    buf_append_char(buf, ',');
    append_label(buf, "container", pod.container);
}

/* The labels of the first COUNT sessions, written one after the other to TEXT and viewed
 * by ARENA's array. Return: NULL when memory is gone. */
static const struct str *session_labels_build(const struct snapshot *snapshot,
                                              size_t count, struct arena *arena,
                                              struct buf *text)
{
    struct str *labels = ARENA_NEW(arena, struct str, count);
    if (!labels)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t start = text->len;
        append_session_labels(text, &snapshot->sessions[i]);
        labels[i].n = text->len - start;
    }
    /* Only now: TEXT moves while it grows. */
    const char *next = buf_str(text).p;
    for (size_t i = 0; i < count; i++) {
        labels[i].p = next;
        next += labels[i].n;
    }
    return buf_is_full(text) ? NULL : labels;
}

static bool page_has(const struct page *page, enum prom_section section)
{
    return !page->options->sections || page->options->sections & section;
}

static void page_emit(struct page *page)
{
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
        if (!page_has(page, families[i].section))
            continue;
        page->family = &families[i];
        page->has_header = false;
        families[i].emit(page);
    }
}

void prom_render(const struct snapshot *snapshot, const struct prom_options *options,
                 struct buf *out)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(PROM_PAGE_BYTES);
    CLEANUP(buf_done) struct buf labels = BUF_INIT(PROM_PAGE_BYTES);
    CLEANUP(buf_done) struct buf node = BUF_INIT(PROM_PAGE_BYTES);
    struct page page = {.snapshot = snapshot, .options = options, .out = out};
    if (snapshot->node && snapshot->node[0])
        append_label(&node, "node", snapshot->node);
    page.node = buf_str(&node);
    size_t labelled = page_has(&page, PROM_MEASURED) ? snapshot->session_count : 0;
    page.session_labels =
        arena ? session_labels_build(snapshot, labelled, arena, &labels) : NULL;
    if (!page.session_labels || buf_is_full(&node)) {
        out->full = true; /* as if the page itself had not fitted */
        return;
    }
    page_emit(&page);
}
