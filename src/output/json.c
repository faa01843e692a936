/*
 * The snapshot as a JSON document, written as a stream: the daemon renders 500 sessions
 * at every collection, where a tree of values cost half of its time. Keys keep the order
 * of the calls. The document's shape: docs/json.md.
 */
#include "output/json.h"

#include "base/cleanup.h"
#include "output/json_writer.h"
#include "output/text.h"

#include <errno.h>
#include <stdio.h>

/* As json_write_text(), null for the empty text too. */
static void put_name(struct json_writer *writer, const char *key, const char *text)
{
    json_write_text(writer, key, text && text[0] ? text : NULL);
}

/* What stands for a value that is not there: null, and why. */
static void put_missing(struct json_writer *writer, const char *key,
                        enum value_state state)
{
    char state_key[80];
    (void)snprintf(state_key, sizeof state_key, "%s_state", key);
    json_write_null(writer, key);
    json_write_text(writer, state_key, value_state_name(state));
}

static void put_double(struct json_writer *writer, const char *key,
                       struct value_double value)
{
    if (value.state == VALUE_OK)
        json_write_real(writer, key, value.v);
    else
        put_missing(writer, key, value.state);
}

static void put_u64(struct json_writer *writer, const char *key, struct value_u64 value)
{
    if (value.state == VALUE_OK)
        json_write_integer(writer, key, value.v);
    else
        put_missing(writer, key, value.state);
}

static void put_source(struct json_writer *writer, const struct source_status *source)
{
    json_begin_object(writer, NULL);
    json_write_text(writer, "source", source->name);
    json_write_integer(writer, "gpu_session_source_up", source->is_up);
    json_write_text(writer, "reason", source->reason);
    json_end_object(writer);
}

static void put_error(struct json_writer *writer, const struct error_count *error)
{
    json_begin_object(writer, NULL);
    json_write_text(writer, "source", error->source);
    json_write_text(writer, "reason", error->reason);
    json_write_integer(writer, "gpu_session_collect_errors_total", error->count);
    json_end_object(writer);
}

/* Who measured; null where there is no value. */
static void put_utilization_source(struct json_writer *writer, enum value_state state,
                                   enum utilization_source source)
{
    static const char *const names[] = {"driver", "gpm", "dcgm"};
    json_write_text(writer, "utilization_source",
                    state == VALUE_OK ? names[source] : NULL);
}

/* How many sessions and users the device has, unless its list could not be read. */
static void put_device_counts(struct json_writer *writer, const struct device *device)
{
    if (!device->holds_sessions)
        return;
    put_u64(writer, "gpu_session_count", device->session_total);
    put_u64(writer, "gpu_user_count", device->user_total);
}

static void put_ternary(struct json_writer *writer, const char *key, enum ternary answer)
{
    if (answer == TERNARY_UNKNOWN)
        json_write_null(writer, key);
    else
        json_write_bool(writer, key, answer == TERNARY_YES);
}

static void put_allocation(struct json_writer *writer,
                           const struct allocation *allocation)
{
    json_begin_object(writer, NULL);
    json_write_text(writer, "namespace", allocation->namespace_);
    json_write_text(writer, "pod", allocation->pod);
    json_write_text(writer, "container", allocation->container);
    put_ternary(writer, "used", allocation->is_used);
    json_end_object(writer);
}

static void put_device_states(struct json_writer *writer, const struct device *device)
{
    json_begin_object(writer, "state");
    for (size_t i = 0; i < DEVICE_STATES; i++)
        put_ternary(writer, text_device_state((enum device_state)i), device->states[i]);
    json_end_object(writer);
}

/* To whom the device was given. Not there without an answer of Kubernetes. */
static void put_allocations(struct json_writer *writer, const struct device *device,
                            bool has_allocations)
{
    if (!has_allocations)
        return;
    json_begin_array(writer, "allocations");
    for (size_t i = 0; i < device->allocation_count; i++)
        put_allocation(writer, &device->allocations[i]);
    json_end_array(writer);
    if (device->holds_sessions)
        put_device_states(writer, device);
}

static void put_device(struct json_writer *writer, const struct device *device,
                       bool has_allocations)
{
    const struct device_facts *facts = device->facts;
    json_begin_object(writer, NULL);
    json_write_text(writer, "gpu", device->label);
    json_write_text(writer, "uuid", facts->uuid);
    json_write_text(writer, "name", facts->name);
    json_write_text(writer, "pci_bus_id", facts->pci_bus_id);
    json_write_text(writer, "mig_profile", facts->mig_profile);
    json_write_text(writer, "parent_uuid", facts->parent_uuid);
    json_write_bool(writer, "mig_mode", facts->has_mig_mode);
    json_write_text(writer, "fault", facts->fault);
    put_device_counts(writer, device);
    put_allocations(writer, device, has_allocations);
    put_u64(writer, "gpu_device_memory_total_bytes", facts->memory_total_bytes);
    put_u64(writer, "gpu_device_memory_used_bytes", facts->memory_used_bytes);
    put_double(writer, "gpu_device_utilization", facts->utilization_percent);
    put_utilization_source(writer, facts->utilization_percent.state,
                           facts->utilization_source);
    put_double(writer, "gpu_device_power_watts", facts->power_watts);
    put_double(writer, "gpu_device_temperature_celsius", facts->temperature_celsius);
    json_end_object(writer);
}

static void put_pod(struct json_writer *writer, const struct pod_identity *pod)
{
    static const char *const states[] = {"unknown", "none", "unresolved", "resolved"};
    json_write_text(writer, "pod", pod->name);
    json_write_text(writer, "namespace", pod->namespace_);
    json_write_text(writer, "container", pod->container);
    json_write_text(writer, "pod_state", states[pod->state]);
    json_write_text(writer, "pod_uid", pod->uid);
    json_write_text(writer, "container_id", pod->container_id);
    json_write_text(writer, "pod_resolver", pod->resolver);
    json_write_text(writer, "owner", pod->metadata ? pod->metadata->owner : NULL);
}

/* Those that are to be shown, by the metric labels' names; null where the pod has none.
 */
static void put_labels(struct json_writer *writer, const struct snapshot *snapshot,
                       const struct session *session)
{
    const struct label_names *labels = snapshot->labels;
    json_begin_object(writer, "labels");
    for (size_t i = 0; i < labels->count; i++)
        json_write_text(writer, labels->entries[i].text,
                        session_label(session, &labels->entries[i]));
    json_end_object(writer);
}

static void put_kinds(struct json_writer *writer, unsigned kinds)
{
    static const struct {
        enum process_kind kind;
        const char *name;
    } names[] = {{PROCESS_COMPUTE, "compute"},
                 {PROCESS_MPS, "mps"},
                 {PROCESS_GRAPHICS, "graphics"}};
    json_begin_array(writer, "kinds");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (kinds & names[i].kind)
            json_write_text(writer, NULL, names[i].name);
    }
    json_end_array(writer);
}

static void put_identity(struct json_writer *writer, const struct session *session)
{
    static const char *const states[] = {"unknown", "known", "invisible", "denied",
                                         "reused"};
    json_write_text(writer, "identity", states[session->identity]);
    put_name(writer, "user", session->user);
    put_name(writer, "user_from", session->user_from);
    put_name(writer, "unix_user", session->unix_user);
    if (session->has_uid)
        json_write_integer(writer, "uid", session->uid);
    else
        json_write_null(writer, "uid");
}

static void put_session(struct json_writer *writer, const struct snapshot *snapshot,
                        const struct session *session)
{
    json_begin_object(writer, NULL);
    json_write_text(writer, "gpu", session->device->label);
    json_write_integer(writer, "pid", session->pid);
    put_name(writer, "command", session->command);
    put_pod(writer, &session->pod);
    put_labels(writer, snapshot, session);
    if (snapshot->has_allocations)
        put_ternary(writer, "allocated", session->is_allocated);
    put_name(writer, "status", text_status(session->status));
    put_kinds(writer, session->kinds);
    put_identity(writer, session);
    put_double(writer, "gpu_process_utilization", session->sm_percent);
    put_utilization_source(writer, session->sm_percent.state,
                           session->utilization_source);
    put_double(writer, "gpu_process_memory_utilization", session->memory_percent);
    put_u64(writer, "gpu_process_memory_used_bytes", session->memory_used_bytes);
    put_double(writer, "gpu_process_memory_bandwidth_utilization",
               session->memory_bandwidth_percent);
    put_double(writer, "gpu_process_encoder_utilization", session->encoder_percent);
    put_double(writer, "gpu_process_decoder_utilization", session->decoder_percent);
    put_double(writer, "gpu_process_start_time_seconds", session->start_time_seconds);
    put_double(writer, "age_seconds", session->age_seconds);
    json_end_object(writer);
}

static void put_sources(struct json_writer *writer, const struct snapshot *snapshot)
{
    json_begin_array(writer, "sources");
    for (size_t i = 0; i < snapshot->source_count; i++)
        put_source(writer, &snapshot->sources[i]);
    json_end_array(writer);
    json_begin_array(writer, "errors");
    for (size_t i = 0; i < snapshot->error_count; i++)
        put_error(writer, &snapshot->errors[i]);
    json_end_array(writer);
}

static void put_devices(struct json_writer *writer, const struct snapshot *snapshot,
                        const struct filter *filter)
{
    json_begin_array(writer, "devices");
    for (size_t i = 0; i < snapshot->device_count; i++) {
        if (filter_matches_device(filter, &snapshot->devices[i]))
            put_device(writer, &snapshot->devices[i], snapshot->has_allocations);
    }
    json_end_array(writer);
}

static void put_sessions(struct json_writer *writer, const struct snapshot *snapshot,
                         const struct filter *filter)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(SIZE_MAX);
    const struct session **chosen =
        arena ? ARENA_NEW(arena, const struct session *, snapshot->session_count) : NULL;
    if (!chosen) {
        writer->out->full = true; /* as if it had not fitted */
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < snapshot->session_count; i++) {
        if (filter_matches_session(filter, &snapshot->sessions[i]))
            chosen[count++] = &snapshot->sessions[i];
    }
    filter_sort(filter->sort, chosen, count);
    json_begin_array(writer, "sessions");
    for (size_t i = 0; i < count; i++)
        put_session(writer, snapshot, chosen[i]);
    json_end_array(writer);
}

/* Of the node, whatever the filter; null when no process list was read. */
static void put_totals(struct json_writer *writer, const struct snapshot *snapshot)
{
    put_u64(writer, "gpu_total_sessions", snapshot->session_total);
    put_u64(writer, "gpu_total_users", snapshot->user_total);
    if (snapshot->session_total.state == VALUE_UNSET)
        json_write_null(writer, "gpu_sessions_omitted");
    else
        json_write_integer(writer, "gpu_sessions_omitted", snapshot->sessions_omitted);
}

static void put_time(struct json_writer *writer, const char *key, bool is_known,
                     double seconds)
{
    if (is_known)
        json_write_real(writer, key, seconds);
    else
        json_write_null(writer, key);
}

static void put_head(struct json_writer *writer, const struct snapshot *snapshot)
{
    json_write_text(writer, "version", PROGRAM_VERSION);
    json_write_text(writer, "node", snapshot->node);
    json_write_text(writer, "driver_version", snapshot->driver_version);
    /* Before the daemon's first collection has ended neither is known. */
    bool is_known = snapshot->taken_at_seconds > 0;
    put_time(writer, "gpu_session_last_collect_timestamp_seconds", is_known,
             snapshot->taken_at_seconds);
    put_time(writer, "gpu_session_collect_duration_seconds", is_known,
             snapshot->duration_seconds);
}

int json_render(const struct snapshot *snapshot, const struct filter *filter,
                struct buf *out)
{
    struct json_writer writer = {.out = out, .is_indented = true};
    json_begin_object(&writer, NULL);
    put_head(&writer, snapshot);
    put_totals(&writer, snapshot);
    put_sources(&writer, snapshot);
    put_devices(&writer, snapshot, filter);
    put_sessions(&writer, snapshot, filter);
    json_end_object(&writer);
    buf_append_char(out, '\n');
    return buf_is_full(out) ? -ENOMEM : 0;
}

int json_render_members(const struct snapshot *snapshot, enum json_members which,
                        struct buf *out)
{
    const struct filter all = {0};
    struct json_writer writer = {.out = out};
    if (which == JSON_STATUS) {
        put_head(&writer, snapshot);
        put_sources(&writer, snapshot);
    } else {
        put_totals(&writer, snapshot);
    }
    if (which == JSON_SESSIONS)
        put_sessions(&writer, snapshot, &all);
    if (which == JSON_DEVICES)
        put_devices(&writer, snapshot, &all);
    return buf_is_full(out) ? -ENOMEM : 0;
}
