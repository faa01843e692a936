/*
 * The snapshot as a JSON document, built with jansson.
 *
 * jansson takes only valid UTF-8, so every text passes text_append_valid() first. Keys
 * keep the order in which they are set. The document's shape: docs/json.md.
 */
#include "output/json.h"

#include "base/cleanup.h"
#include "output/text.h"

#include <errno.h>
#include <jansson.h>

enum {
    TEXT_BYTES = 64 * 1024, /* a longer text than any source hands over */
    /* Decimals that survive a double both ways; 17 would print 0.1 as
     * 0.10000000000000001. */
    REAL_DIGITS = 15,
};

/* Remembers the first failure, so that a document is built without a test per field. */
struct writer {
    const struct snapshot *snapshot;
    bool has_failed;
};

/* Takes VALUE over; NULL (no memory) is a failure. */
static void put(struct writer *writer, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        writer->has_failed = true;
}

static void add(struct writer *writer, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        writer->has_failed = true;
}

static json_t *text_value(const char *text)
{
    if (!text)
        return json_null();
    CLEANUP(buf_done) struct buf valid = BUF_INIT(TEXT_BYTES);
    text_append_valid(&valid, text);
    return buf_is_full(&valid) ? NULL : json_stringn(buf_str(&valid).p, valid.len);
}

static void put_text(struct writer *writer, json_t *object, const char *key,
                     const char *text)
{
    put(writer, object, key, text_value(text));
}

/* As put_text(), null for the empty text too. */
static void put_name(struct writer *writer, json_t *object, const char *key,
                     const char *text)
{
    put_text(writer, object, key, text && text[0] ? text : NULL);
}

/* VALUE when STATE is VALUE_OK; else null, with the reason beside it. Takes VALUE over.
 */
static void put_measured(struct writer *writer, json_t *object, const char *key,
                         enum value_state state, json_t *value)
{
    if (state == VALUE_OK) {
        put(writer, object, key, value);
        return;
    }
    json_decref(value);
    char state_key[80];
    (void)snprintf(state_key, sizeof state_key, "%s_state", key);
    put(writer, object, key, json_null());
    put_text(writer, object, state_key, value_state_name(state));
}

static void put_double(struct writer *writer, json_t *object, const char *key,
                       struct value_double value)
{
    put_measured(writer, object, key, value.state, json_real(value.v));
}

static void put_u64(struct writer *writer, json_t *object, const char *key,
                    struct value_u64 value)
{
    put_measured(writer, object, key, value.state, json_integer((json_int_t)value.v));
}

static json_t *source_object(struct writer *writer, const struct source_status *source)
{
    json_t *object = json_object();
    put_text(writer, object, "source", source->name);
    put(writer, object, "gpu_session_source_up", json_integer(source->is_up));
    put_text(writer, object, "reason", source->reason);
    return object;
}

static json_t *error_object(struct writer *writer, const struct error_count *error)
{
    json_t *object = json_object();
    put_text(writer, object, "source", error->source);
    put_text(writer, object, "reason", error->reason);
    put(writer, object, "gpu_session_collect_errors_total",
        json_integer((json_int_t)error->count));
    return object;
}

/* How many sessions and users the device has, unless its list could not be read. */
static void put_device_counts(struct writer *writer, json_t *object,
                              const struct device *device)
{
    if (!device->holds_sessions)
        return;
    put_u64(writer, object, "gpu_session_count", device->session_total);
    put_u64(writer, object, "gpu_user_count", device->user_total);
}

static json_t *device_object(struct writer *writer, const struct device *device)
{
    const struct device_facts *facts = device->facts;
    json_t *object = json_object();
    put_text(writer, object, "gpu", device->label);
    put_text(writer, object, "uuid", facts->uuid);
    put_text(writer, object, "name", facts->name);
    put_text(writer, object, "pci_bus_id", facts->pci_bus_id);
    put_text(writer, object, "mig_profile", facts->mig_profile);
    put_text(writer, object, "parent_uuid", facts->parent_uuid);
    put(writer, object, "mig_mode", json_boolean(facts->has_mig_mode));
    put_text(writer, object, "fault", facts->fault);
    put_device_counts(writer, object, device);
    put_u64(writer, object, "gpu_device_memory_total_bytes", facts->memory_total_bytes);
    put_u64(writer, object, "gpu_device_memory_used_bytes", facts->memory_used_bytes);
    put_double(writer, object, "gpu_device_utilization", facts->utilization_percent);
    put_double(writer, object, "gpu_device_power_watts", facts->power_watts);
    put_double(writer, object, "gpu_device_temperature_celsius",
               facts->temperature_celsius);
    return object;
}

static void put_pod(struct writer *writer, json_t *object, const struct pod_identity *pod)
{
    static const char *const states[] = {"unknown", "none", "unresolved", "resolved"};
    put_text(writer, object, "pod", pod->name);
    put_text(writer, object, "namespace", pod->namespace_);
    put_text(writer, object, "container", pod->container);
    put_text(writer, object, "pod_state", states[pod->state]);
    put_text(writer, object, "pod_uid", pod->uid);
    put_text(writer, object, "container_id", pod->container_id);
    put_text(writer, object, "pod_resolver", pod->resolver);
    put_text(writer, object, "owner", pod->metadata ? pod->metadata->owner : NULL);
}

/* Those that are to be shown, by the metric labels' names; null where the pod has none.
 */
static json_t *labels_object(struct writer *writer, const struct session *session)
{
    const struct label_names *labels = writer->snapshot->labels;
    json_t *object = json_object();
    for (size_t i = 0; i < labels->count; i++)
        put_text(writer, object, labels->entries[i].text,
                 session_label(session, &labels->entries[i]));
    return object;
}

static json_t *kinds_array(struct writer *writer, unsigned kinds)
{
    static const struct {
        enum process_kind kind;
        const char *name;
    } names[] = {{PROCESS_COMPUTE, "compute"},
                 {PROCESS_MPS, "mps"},
                 {PROCESS_GRAPHICS, "graphics"}};
    json_t *array = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (kinds & names[i].kind)
            add(writer, array, json_string(names[i].name));
    }
    return array;
}

static void put_identity(struct writer *writer, json_t *object,
                         const struct session *session)
{
    static const char *const states[] = {"unknown", "known", "invisible", "denied",
                                         "reused"};
    put_text(writer, object, "identity", states[session->identity]);
    put_name(writer, object, "user", session->user);
    put_name(writer, object, "user_from", session->user_from);
    put_name(writer, object, "unix_user", session->unix_user);
    put(writer, object, "uid",
        session->has_uid ? json_integer((json_int_t)session->uid) : json_null());
}

static json_t *session_object(struct writer *writer, const struct session *session)
{
    json_t *object = json_object();
    put_text(writer, object, "gpu", session->device->label);
    put(writer, object, "pid", json_integer((json_int_t)session->pid));
    put_name(writer, object, "command", session->command);
    put_pod(writer, object, &session->pod);
    put(writer, object, "labels", labels_object(writer, session));
    put_name(writer, object, "status", text_status(session->status));
    put(writer, object, "kinds", kinds_array(writer, session->kinds));
    put_identity(writer, object, session);
    put_double(writer, object, "gpu_process_utilization", session->sm_percent);
    put_double(writer, object, "gpu_process_memory_utilization", session->memory_percent);
    put_u64(writer, object, "gpu_process_memory_used_bytes", session->memory_used_bytes);
    put_double(writer, object, "gpu_process_memory_bandwidth_utilization",
               session->memory_bandwidth_percent);
    put_double(writer, object, "gpu_process_encoder_utilization",
               session->encoder_percent);
    put_double(writer, object, "gpu_process_decoder_utilization",
               session->decoder_percent);
    put_double(writer, object, "gpu_process_start_time_seconds",
               session->start_time_seconds);
    put_double(writer, object, "age_seconds", session->age_seconds);
    return object;
}

static json_t *sources_array(struct writer *writer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < writer->snapshot->source_count; i++)
        add(writer, array, source_object(writer, &writer->snapshot->sources[i]));
    return array;
}

static json_t *errors_array(struct writer *writer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < writer->snapshot->error_count; i++)
        add(writer, array, error_object(writer, &writer->snapshot->errors[i]));
    return array;
}

static json_t *devices_array(struct writer *writer, const struct filter *filter)
{
    json_t *array = json_array();
    for (size_t i = 0; i < writer->snapshot->device_count; i++) {
        const struct device *device = &writer->snapshot->devices[i];
        if (filter_matches_device(filter, device))
            add(writer, array, device_object(writer, device));
    }
    return array;
}

/* Return: NULL when memory is gone. */
static json_t *sessions_array(struct writer *writer, const struct filter *filter)
{
    const struct snapshot *snapshot = writer->snapshot;
    CLEANUP(arena_freep) struct arena *arena = arena_new(SIZE_MAX);
    const struct session **chosen =
        arena ? ARENA_NEW(arena, const struct session *, snapshot->session_count) : NULL;
    if (!chosen)
        return NULL;
    size_t count = 0;
    for (size_t i = 0; i < snapshot->session_count; i++) {
        if (filter_matches_session(filter, &snapshot->sessions[i]))
            chosen[count++] = &snapshot->sessions[i];
    }
    filter_sort(filter->sort, chosen, count);
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        add(writer, array, session_object(writer, chosen[i]));
    return array;
}

/* Of the node, whatever the filter; null when no process list was read. */
static void put_totals(struct writer *writer, json_t *root)
{
    const struct snapshot *snapshot = writer->snapshot;
    put_u64(writer, root, "gpu_total_sessions", snapshot->session_total);
    put_u64(writer, root, "gpu_total_users", snapshot->user_total);
    put(writer, root, "gpu_sessions_omitted",
        snapshot->session_total.state == VALUE_UNSET
            ? json_null()
            : json_integer((json_int_t)snapshot->sessions_omitted));
}

/* The control characters U+0080–9F are allowed in JSON as they stand, but a terminal that
 * the document is printed on obeys them: they are escaped as the others are. */
static int append_dump(const char *bytes, size_t n, void *out)
{
    struct str rest = {bytes, n};
    for (size_t i = 0; i + 1 < rest.n; i++) {
        unsigned char first = (unsigned char)rest.p[i];
        unsigned char second = (unsigned char)rest.p[i + 1];
        if (first != 0xC2 || second < 0x80 || second > 0x9F)
            continue;
        buf_append(out, str_part(rest, 0, i));
        buf_printf(out, "\\u%04x", second);
        rest = str_part(rest, i + 2, rest.n - i - 2);
        i = (size_t)-1;
    }
    buf_append(out, rest);
    return buf_is_full(out) ? -1 : 0;
}

static void put_head(struct writer *writer, json_t *root)
{
    const struct snapshot *snapshot = writer->snapshot;
    put_text(writer, root, "version", PROGRAM_VERSION);
    put_text(writer, root, "node", snapshot->node);
    put_text(writer, root, "driver_version", snapshot->driver_version);
    put(writer, root, "gpu_session_last_collect_timestamp_seconds",
        json_real(snapshot->taken_at_seconds));
    put(writer, root, "gpu_session_collect_duration_seconds",
        json_real(snapshot->duration_seconds));
}

static void put_sources(struct writer *writer, json_t *root)
{
    put(writer, root, "sources", sources_array(writer));
    put(writer, root, "errors", errors_array(writer));
}

/* Appends ROOT, which is released. Return: 0 or -ENOMEM. */
static int dump(struct writer *writer, json_t *root, size_t flags, struct buf *out)
{
    flags |= JSON_REAL_PRECISION(REAL_DIGITS);
    if (!writer->has_failed && json_dump_callback(root, append_dump, out, flags) != 0)
        writer->has_failed = true;
    json_decref(root);
    return writer->has_failed || buf_is_full(out) ? -ENOMEM : 0;
}

int json_render(const struct snapshot *snapshot, const struct filter *filter,
                struct buf *out)
{
    struct writer writer = {.snapshot = snapshot};
    json_t *root = json_object();
    put_head(&writer, root);
    put_totals(&writer, root);
    put_sources(&writer, root);
    put(&writer, root, "devices", devices_array(&writer, filter));
    put(&writer, root, "sessions", sessions_array(&writer, filter));
    int rc = dump(&writer, root, JSON_INDENT(2), out);
    buf_append_char(out, '\n');
    return rc == 0 && buf_is_full(out) ? -ENOMEM : rc;
}

int json_render_members(const struct snapshot *snapshot, enum json_members which,
                        struct buf *out)
{
    const struct filter all = {0};
    struct writer writer = {.snapshot = snapshot};
    json_t *root = json_object();
    if (which == JSON_STATUS) {
        put_head(&writer, root);
        put_sources(&writer, root);
    } else {
        put_totals(&writer, root);
    }
    if (which == JSON_SESSIONS)
        put(&writer, root, "sessions", sessions_array(&writer, &all));
    if (which == JSON_DEVICES)
        put(&writer, root, "devices", devices_array(&writer, &all));
    return dump(&writer, root, JSON_COMPACT | JSON_EMBED, out);
}
