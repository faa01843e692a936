/*
 * The table of `gpu-sessions list`: what a person asks first stands on the left.
 *
 * One heading row per device, the sessions below it, and under all of it what the rows
 * cannot say: totals, sources that are down, devices that could not be read, and hints.
 */
#include "output/table.h"

#include "base/cleanup.h"
#include "output/sheet.h"
#include "output/text.h"

#include <errno.h>

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    TEXT_BYTES = 16 * 1024,
    /* Memory in use without a visible process is worth a hint above both of these. */
    HINT_PERCENT = 2,
    HINT_BYTES = 1 << 30,
    /* Containers named below a device that they were given and do not use. */
    UNUSED_NAMED = 3,
};

#define BOLD "1"
#define DIM "2"
#define RED "31"
#define GREEN "32"
#define YELLOW "33"

struct table {
    struct sheet sheet;
    const struct snapshot *snapshot;
    const struct filter *filter;
    const struct session **scratch; /* room for all sessions */
    size_t shown_devices;
    size_t shown_sessions;
};

enum {
    COLUMN_LABEL,
    COLUMN_NAME,
    COLUMN_MEMORY,
    COLUMN_BUSY,
    COLUMN_POWER,
    COLUMN_TEMPERATURE,
    COLUMN_NOTE,
    DEVICE_COLUMNS
};

static const struct sheet_shape device_shape = {
    DEVICE_COLUMNS,
    0,
    {[COLUMN_NAME] = {.is_flexible = true},
     [COLUMN_MEMORY] = {.is_right = true},
     [COLUMN_BUSY] = {.is_right = true},
     [COLUMN_POWER] = {.is_right = true},
     [COLUMN_TEMPERATURE] = {.is_right = true}},
};

enum {
    COLUMN_PID,
    COLUMN_USER,
    COLUMN_POD,
    COLUMN_COMMAND,
    COLUMN_GPU_MEM,
    COLUMN_SM,
    COLUMN_STATUS,
    COLUMN_SINCE,
    SESSION_COLUMNS
};

static const struct sheet_shape session_shape = {
    SESSION_COLUMNS,
    4,
    {[COLUMN_PID] = {.title = "PID", .is_right = true},
     [COLUMN_USER] = {.title = "USER"},
     [COLUMN_POD] = {.title = "POD", .is_flexible = true},
     [COLUMN_COMMAND] = {.title = "COMMAND", .is_flexible = true},
     [COLUMN_GPU_MEM] = {.title = "GPU MEM", .is_right = true},
     [COLUMN_SM] = {.title = "SM%", .is_right = true},
     [COLUMN_STATUS] = {.title = "STATUS"},
     [COLUMN_SINCE] = {.title = "SINCE", .is_right = true}},
};

/* A container that does not use the device above. */
static const struct sheet_shape unused_shape = {3, 4, {[1] = {.is_flexible = true}}};

/* TEXT as a terminal may show it, in the sheet's arena; "-" when there is none. */
static const char *shown(struct table *table, const char *text)
{
    if (!text || !text[0])
        return "-";
    CLEANUP(buf_done) struct buf printable = BUF_INIT(TEXT_BYTES);
    text_append_terminal(&printable, text);
    return buf_is_full(&printable) ? NULL
                                   : arena_copy(table->sheet.arena, buf_str(&printable));
}

static double gib(uint64_t bytes)
{
    return (double)bytes / (double)(1 << 30);
}

static const char *memory_text(struct table *table, struct value_u64 bytes)
{
    if (bytes.state != VALUE_OK)
        return "-";
    if (bytes.v >= 1 << 30)
        return arena_printf(table->sheet.arena, "%.1f GiB", gib(bytes.v));
    return arena_printf(table->sheet.arena, "%u MiB", (unsigned)(bytes.v >> 20));
}

static const char *device_memory_text(struct table *table,
                                      const struct device_facts *facts)
{
    bool has_used = facts->memory_used_bytes.state == VALUE_OK;
    bool has_total = facts->memory_total_bytes.state == VALUE_OK;
    struct arena *arena = table->sheet.arena;
    if (has_used && has_total)
        return arena_printf(arena, "%.1f / %.1f GiB", gib(facts->memory_used_bytes.v),
                            gib(facts->memory_total_bytes.v));
    if (has_total)
        return arena_printf(arena, "- / %.1f GiB", gib(facts->memory_total_bytes.v));
    return memory_text(table, facts->memory_used_bytes);
}

/* A whole number and its unit, " %%" or " W"; "-" when missing. */
static const char *number_text(struct table *table, struct value_double value,
                               const char *unit)
{
    return value.state == VALUE_OK
               ? arena_printf(table->sheet.arena, "%.0f%s", value.v, unit)
               : "-";
}

/* The two greatest units: "3d4h", "2h13m", "5m7s", "45s". */
static const char *age_text(struct table *table, struct value_double age)
{
    static const struct {
        uint64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    if (age.state != VALUE_OK)
        return "-";
    uint64_t seconds = age.v < 1e15 ? (uint64_t)age.v : 0;
    size_t unit = 0;
    while (unit < ARRAY_LENGTH(units) - 1 && seconds < units[unit].seconds)
        unit++;
    uint64_t whole = seconds / units[unit].seconds;
    if (unit == ARRAY_LENGTH(units) - 1)
        return arena_printf(table->sheet.arena, "%us", (unsigned)whole);
    uint64_t rest = seconds % units[unit].seconds / units[unit + 1].seconds;
    return arena_printf(table->sheet.arena, "%llu%c%u%c", (unsigned long long)whole,
                        units[unit].letter, (unsigned)rest, units[unit + 1].letter);
}

static bool is_unallocated(const struct table *table, const struct session *session)
{
    return table->snapshot->has_allocations && session->is_allocated == TERNARY_NO;
}

static const char *pod_text(struct table *table, const struct pod_identity *pod)
{
    if (pod->state == POD_NONE)
        return "-";
    struct pod_labels labels = text_pod_labels(pod);
    const char *text = pod->state == POD_RESOLVED
                           ? arena_printf(table->sheet.arena, "%s/%s/%s",
                                          labels.namespace_, labels.pod, labels.container)
                       : pod->container ? arena_printf(table->sheet.arena, "unknown/%s",
                                                       labels.container)
                                        : "unknown";
    return text ? shown(table, text) : NULL;
}

/* "active", and "!" for a session without an allocation. */
static const char *status_text(struct table *table, const struct session *session)
{
    const char *text = shown(table, text_status(session->status));
    return text && is_unallocated(table, session)
               ? arena_printf(table->sheet.arena, "%s !", text)
               : text;
}

static void add_session(struct table *table, const struct session *session)
{
    struct sheet_row *row = sheet_add_row(&table->sheet, &session_shape);
    if (!row)
        return;
    struct sheet_cell *cells = row->cells;
    cells[COLUMN_PID].text = arena_printf(table->sheet.arena, "%u", session->pid);
    cells[COLUMN_USER].text = shown(table, session->user);
    cells[COLUMN_POD].text = pod_text(table, &session->pod);
    cells[COLUMN_COMMAND].text = shown(table, session->command);
    cells[COLUMN_GPU_MEM].text = memory_text(table, session->memory_used_bytes);
    cells[COLUMN_SM].text = number_text(table, session->sm_percent, "");
    cells[COLUMN_STATUS].text = status_text(table, session);
    cells[COLUMN_SINCE].text = age_text(table, session->age_seconds);
    if (session->status != SESSION_UNKNOWN)
        cells[COLUMN_STATUS].color = session->status == SESSION_ACTIVE ? GREEN : YELLOW;
}

/* The last column of a heading: what is special about the device. */
static struct sheet_cell device_note(struct table *table, const struct device *device)
{
    const struct device_facts *facts = device->facts;
    if (facts->fault)
        return (struct sheet_cell){
            facts->process_list == VALUE_OK ? "partly readable" : "not readable", RED};
    if (!device->holds_sessions)
        return (struct sheet_cell){"MIG mode", NULL};
    if (facts->process_list != VALUE_OK)
        return (struct sheet_cell){arena_printf(table->sheet.arena,
                                                "sessions unknown: %s",
                                                value_state_name(facts->process_list)),
                                   RED};
    if (facts->has_mig_mode && facts->kind == DEVICE_GPU)
        return (struct sheet_cell){"MIG mode, no MIG device", NULL};
    if (facts->processes_omitted)
        return (struct sheet_cell){arena_printf(table->sheet.arena, "%zu more left out",
                                                facts->processes_omitted),
                                   YELLOW};
    return (struct sheet_cell){device->session_count ? "" : "no session", DIM};
}

static void add_heading(struct table *table, const struct device *device)
{
    const struct device_facts *facts = device->facts;
    bool is_mig = facts->kind == DEVICE_MIG;
    if (!is_mig && table->shown_devices > 0)
        sheet_add_line(&table->sheet, "", NULL);
    struct sheet_row *row = sheet_add_row(&table->sheet, &device_shape);
    table->shown_devices++;
    if (!row)
        return;
    struct sheet_cell *cells = row->cells;
    cells[COLUMN_LABEL] = (struct sheet_cell){
        arena_printf(table->sheet.arena, is_mig ? "  MIG %s" : "GPU %s", device->label),
        BOLD};
    cells[COLUMN_NAME].text = shown(table, is_mig ? facts->mig_profile : facts->name);
    cells[COLUMN_NAME].color = BOLD;
    cells[COLUMN_MEMORY].text = device_memory_text(table, facts);
    cells[COLUMN_BUSY].text = number_text(table, facts->utilization_percent, " %");
    cells[COLUMN_POWER].text = number_text(table, facts->power_watts, " W");
    cells[COLUMN_TEMPERATURE].text =
        number_text(table, facts->temperature_celsius, " °C");
    cells[COLUMN_NOTE] = device_note(table, device);
}

/* Given to a container that has no session on the device. Whose user it is nobody knows
 * without a session. */
static bool is_shown_unused(const struct table *table,
                            const struct allocation *allocation)
{
    const char *wanted = table->filter->namespace_;
    return allocation->is_used == TERNARY_NO && !table->filter->user &&
           (!wanted || strcmp(wanted, allocation->namespace_) == 0);
}

static size_t count_unused(const struct table *table, const struct device *device)
{
    size_t count = 0;
    for (size_t i = 0; i < device->allocation_count; i++)
        count += is_shown_unused(table, &device->allocations[i]);
    return count;
}

static void add_unused_row(struct table *table, const struct allocation *allocation)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    struct sheet_row *row = sheet_add_row(&table->sheet, &unused_shape);
    if (!row)
        return;
    text_append_terminal(&text, allocation->namespace_);
    buf_append_char(&text, '/');
    text_append_terminal(&text, allocation->pod);
    buf_append_char(&text, '/');
    text_append_terminal(&text, allocation->container);
    row->cells[0] = (struct sheet_cell){"allocated to", YELLOW};
    row->cells[1].text = arena_copy(table->sheet.arena, buf_str(&text));
    row->cells[2] = (struct sheet_cell){"unused", YELLOW};
}

static void add_unused(struct table *table, const struct device *device)
{
    size_t count = count_unused(table, device), named = 0;
    for (size_t i = 0; i < device->allocation_count; i++) {
        if (!is_shown_unused(table, &device->allocations[i]))
            continue;
        if (named == UNUSED_NAMED && count > UNUSED_NAMED + 1)
            break;
        add_unused_row(table, &device->allocations[i]);
        named++;
    }
    if (named < count)
        sheet_add_line(&table->sheet,
                       arena_printf(table->sheet.arena,
                                    "    and to %zu more containers, unused",
                                    count - named),
                       YELLOW);
}

/* A person who asks for somebody's sessions does not want to read about empty devices. */
static bool is_wanted(const struct table *table, const struct device *device,
                      size_t found)
{
    bool wants_somebody = table->filter->namespace_ || table->filter->user;
    if (!wants_somebody || found || count_unused(table, device))
        return filter_matches_device(table->filter, device);
    return false;
}

static size_t find_sessions(struct table *table, const struct device *device)
{
    size_t found = 0;
    for (size_t i = 0; i < device->session_count; i++) {
        if (filter_matches_session(table->filter, &device->sessions[i]))
            table->scratch[found++] = &device->sessions[i];
    }
    filter_sort(table->filter->sort, table->scratch, found);
    return found;
}

static bool matches_any_session(const struct table *table)
{
    for (size_t i = 0; i < table->snapshot->session_count; i++) {
        if (filter_matches_session(table->filter, &table->snapshot->sessions[i]))
            return true;
    }
    return false;
}

static void add_devices(struct table *table)
{
    const struct snapshot *snapshot = table->snapshot;
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device *device = &snapshot->devices[i];
        size_t found = find_sessions(table, device);
        if (!is_wanted(table, device, found))
            continue;
        add_heading(table, device);
        for (size_t k = 0; k < found; k++)
            add_session(table, table->scratch[k]);
        add_unused(table, device);
        table->shown_sessions += found;
    }
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* "4 GPUs (3 MIG devices)" */
static const char *devices_text(struct table *table)
{
    size_t migs = 0, count = table->snapshot->device_count;
    for (size_t i = 0; i < count; i++)
        migs += table->snapshot->devices[i].facts->kind == DEVICE_MIG;
    size_t gpus = count - migs;
    return migs ? arena_printf(table->sheet.arena, "%zu GPU%s (%zu MIG device%s)", gpus,
                               plural(gpus), migs, plural(migs))
                : arena_printf(table->sheet.arena, "%zu GPU%s", gpus, plural(gpus));
}

/* "of 3 users ", "of at least 3 users ", or nothing when no user is known. */
static const char *users_text(struct table *table)
{
    const struct snapshot *snapshot = table->snapshot;
    size_t users = snapshot->user_count;
    return users ? arena_printf(table->sheet.arena, "of %s%zu user%s ",
                                snapshot->user_total.state == VALUE_OK ? "" : "at least ",
                                users, plural(users))
                 : "";
}

/* The person's own filter, in words: ` of user "alice" in namespace "ml-team"`. */
static const char *filter_text(struct table *table)
{
    const struct filter *filter = table->filter;
    struct arena *arena = table->sheet.arena;
    const char *user =
        filter->user ? arena_printf(arena, " of user \"%s\"", filter->user) : "";
    const char *namespace_ =
        filter->namespace_
            ? arena_printf(arena, " in namespace \"%s\"", filter->namespace_)
            : "";
    const char *gpu = filter->gpu ? arena_printf(arena, " on GPU %s", filter->gpu) : "";
    if (!user || !namespace_ || !gpu)
        return NULL;
    const char *text = arena_printf(arena, "%s%s%s", user, namespace_, gpu);
    return text && text[0] ? shown(table, text) : text;
}

static const char *no_device_text(struct table *table)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    const char *gpu = shown(table, table->filter->gpu);
    if (!gpu)
        return NULL;
    buf_printf(&text, "There is no GPU or MIG device \"%s\" here; there are", gpu);
    for (size_t i = 0; i < table->snapshot->device_count; i++)
        buf_printf(&text, "%s %s", i ? "," : "", table->snapshot->devices[i].label);
    return arena_copy(table->sheet.arena, buf_str(&text));
}

static bool matches_any_device(const struct table *table)
{
    for (size_t i = 0; i < table->snapshot->device_count; i++) {
        if (filter_matches_device(table->filter, &table->snapshot->devices[i]))
            return true;
    }
    return false;
}

/* How many there are, or why there are none to be seen. */
static const char *summary_text(struct table *table)
{
    const struct snapshot *snapshot = table->snapshot;
    struct arena *arena = table->sheet.arena;
    const char *devices = devices_text(table), *users = users_text(table);
    const char *wanted = filter_text(table);
    size_t all = snapshot->session_count;
    if (!devices || !users || !wanted)
        return NULL;
    if (!snapshot->device_count)
        return snapshot->has_driver ? "No GPU on this node."
                                    : "No driver answered: nothing is known about GPUs.";
    if (!matches_any_device(table))
        return no_device_text(table);
    if (snapshot->session_total.state == VALUE_UNSET)
        return arena_printf(arena, "No process list could be read on %s.", devices);
    if (!table->shown_sessions && wanted[0])
        return arena_printf(arena, "No session%s, among %zu session%s %son %s.", wanted,
                            all, plural(all), users, devices);
    if (!all)
        return arena_printf(arena, "No session on %s.", devices);
    if (table->shown_sessions < all)
        return arena_printf(arena, "%zu of %zu session%s %son %s", table->shown_sessions,
                            all, plural(all), users, devices);
    return arena_printf(arena, "%zu session%s %son %s", all, plural(all), users, devices);
}

/* What was looked at, for a table that shows no session. */
static void add_looked_at(struct table *table)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    size_t up = 0;
    for (size_t i = 0; i < table->snapshot->source_count; i++) {
        const struct source_status *source = &table->snapshot->sources[i];
        if (source->is_up)
            buf_printf(&text, "%s %s", up++ ? "," : "Looked at:", source->name);
    }
    if (up)
        sheet_add_line(&table->sheet, arena_copy(table->sheet.arena, buf_str(&text)),
                       DIM);
}

static void add_sources(struct table *table)
{
    for (size_t i = 0; i < table->snapshot->source_count; i++) {
        const struct source_status *source = &table->snapshot->sources[i];
        if (source->is_up && !source->reason)
            continue;
        const char *reason = source->reason ? shown(table, source->reason) : "no reason";
        sheet_add_line(&table->sheet,
                       reason ? arena_printf(table->sheet.arena, "%s is %s: %s",
                                             source->name,
                                             source->is_up ? "limited" : "down", reason)
                              : NULL,
                       source->is_up ? YELLOW : RED);
    }
}

static void add_fault(struct table *table, const struct device *device)
{
    const char *fault = shown(table, device->facts->fault);
    sheet_add_line(
        &table->sheet,
        fault ? arena_printf(table->sheet.arena, "GPU %s: %s", device->label, fault)
              : NULL,
        RED);
}

static bool has_hidden_memory(const struct device *device)
{
    struct value_u64 used = device->facts->memory_used_bytes;
    struct value_u64 total = device->facts->memory_total_bytes;
    return device->holds_sessions && device->session_total.state == VALUE_OK &&
           device->session_total.v == 0 && used.state == VALUE_OK &&
           total.state == VALUE_OK && used.v > HINT_BYTES &&
           used.v > total.v / 100 * HINT_PERCENT;
}

static void add_hidden_memory(struct table *table, const struct device *device)
{
    sheet_add_line(
        &table->sheet,
        arena_printf(
            table->sheet.arena,
            "hint: %.1f GiB are in use on GPU %s but no process is visible; in a "
            "container, does it share the host's PIDs (hostPID: true)?",
            gib(device->facts->memory_used_bytes.v), device->label),
        YELLOW);
}

static void add_device_remarks(struct table *table)
{
    for (size_t i = 0; i < table->snapshot->device_count; i++) {
        const struct device *device = &table->snapshot->devices[i];
        if (!filter_matches_device(table->filter, device))
            continue;
        if (device->facts->fault)
            add_fault(table, device);
        if (has_hidden_memory(device))
            add_hidden_memory(table, device);
    }
}

/* Whether a session is shown whose work the driver cannot tell. */
static bool lacks_utilization(const struct table *table, const struct device *device)
{
    for (size_t i = 0; i < device->session_count; i++) {
        const struct session *session = &device->sessions[i];
        if (session->sm_percent.state == VALUE_UNSUPPORTED &&
            filter_matches_session(table->filter, session))
            return true;
    }
    return false;
}

static void add_utilization_remark(struct table *table)
{
    for (size_t i = 0; i < table->snapshot->device_count; i++) {
        const struct device *device = &table->snapshot->devices[i];
        if (!filter_matches_device(table->filter, device) ||
            !lacks_utilization(table, device))
            continue;
        sheet_add_line(&table->sheet,
                       device->facts->kind == DEVICE_MIG
                           ? "\"-\": the driver cannot tell (MIG without GPM, or shared)"
                           : "\"-\": the driver cannot tell",
                       DIM);
        return;
    }
}

static void add_unallocated_remark(struct table *table)
{
    for (size_t i = 0; i < table->snapshot->session_count; i++) {
        const struct session *session = &table->snapshot->sessions[i];
        if (!is_unallocated(table, session) ||
            !filter_matches_session(table->filter, session))
            continue;
        sheet_add_line(&table->sheet,
                       "\"!\": used without having been allocated by Kubernetes", DIM);
        return;
    }
}

static void add_footer(struct table *table)
{
    if (table->sheet.first)
        sheet_add_line(&table->sheet, "", NULL);
    sheet_add_line(&table->sheet, summary_text(table), BOLD);
    if (!table->shown_sessions)
        add_looked_at(table);
    if (table->snapshot->sessions_omitted)
        sheet_add_line(&table->sheet,
                       arena_printf(table->sheet.arena,
                                    "%zu more left out: raise --max-sessions to see them",
                                    table->snapshot->sessions_omitted),
                       YELLOW);
    add_utilization_remark(table);
    add_unallocated_remark(table);
    add_sources(table);
    add_device_remarks(table);
}

int table_render(const struct snapshot *snapshot, const struct filter *filter,
                 const struct table_options *options, struct buf *out)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(ARENA_BYTES);
    struct table table = {
        .sheet = {.arena = arena}, .snapshot = snapshot, .filter = filter};
    if (arena)
        table.scratch = ARENA_NEW(arena, const struct session *, snapshot->session_count);
    if (!table.scratch)
        return -ENOMEM;
    if (matches_any_session(&table))
        sheet_add_titles(&table.sheet, &session_shape, DIM);
    add_devices(&table);
    add_footer(&table);
    return sheet_render(&table.sheet, options->with_color, options->width, out);
}
