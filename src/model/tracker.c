/*
 * Sessions stand in a dense array, from one snapshot to the next. The table that finds
 * them is made anew each time from that array, so there is nothing in it to go stale, to
 * fill up with deleted places or to be damaged.
 *
 * Positions and counts that are read back are compared with the bounds that
 * tracker_init() set in this process; all else that may be damaged are numbers that at
 * worst are wrong.
 */
#include "model/tracker.h"

#include <string.h>

enum {
    LABEL_BYTES = 40, /* three 32-bit numbers and two '_' */
    MAX_DEVICES = FACTS_MAX_GPUS * (1 + FACTS_MAX_MIG_PER_GPU),
    /* Sessions that have ended hold their place until the snapshot is taken in. */
    PLACES_PER_SESSION = 2,
};

/* By label, since that is what counters are shown by. */
struct tracked_device {
    char label[LABEL_BYTES];
    uint64_t key;   /* of the device that bore the label in the last snapshot */
    uint64_t round; /* the last snapshot that listed it */
    uint64_t started, ended;
    /* No bool: a damaged one would be undefined. */
    uint32_t is_whole; /* its list was read in full in that snapshot */
    uint32_t was_read; /* … in some snapshot */
};

struct tracked_session {
    uint64_t device_key;
    uint64_t start_ticks; /* 0: not known so far */
    uint64_t round;       /* the last snapshot that had it */
    uint64_t worked_at_ns;
    uint32_t has_worked;
    uint32_t pid;
    uint32_t gpu;    /* index of its GPU when last seen */
    uint32_t device; /* position in tracker.devices */
};

struct tracker {
    uint64_t idle_window_ns;
    size_t session_capacity;
    uint64_t round;       /* counts the snapshots */
    uint64_t unread_gpus; /* in the last one; bit per GPU */
    size_t device_count, session_count;
    struct tracked_device devices[MAX_DEVICES];
    struct tracked_session sessions[]; /* session_capacity of them, then the table */
};

/* What one snapshot is taken in with. */
struct following {
    struct tracker *tracker;
    uint64_t now_ns;
    uint64_t unread_gpus; /* of this snapshot */
    uint32_t *table;      /* position + 1 of a session, 0: free; table_mask + 1 cells */
    size_t table_mask;
};

/* Cells of a table for COUNT sessions: a power of two, at most half of them taken. */
static size_t table_cells(size_t count)
{
    size_t cells = 2;
    while (cells < 2 * count)
        cells *= 2;
    return cells;
}

size_t tracker_bytes(size_t max_sessions)
{
    size_t capacity = max_sessions * PLACES_PER_SESSION;
    return sizeof(struct tracker) + capacity * sizeof(struct tracked_session) +
           table_cells(capacity) * sizeof(uint32_t);
}

struct tracker *tracker_init(void *memory, size_t max_sessions, uint64_t idle_window_ns)
{
    struct tracker *tracker = memory;
    tracker->idle_window_ns = idle_window_ns;
    tracker->session_capacity = max_sessions * PLACES_PER_SESSION;
    if (tracker->session_count > tracker->session_capacity)
        tracker->session_count = 0;
    if (tracker->device_count > MAX_DEVICES)
        tracker->device_count = 0;
    return tracker;
}

static size_t first_cell(const struct following *f, uint64_t device_key, uint32_t pid)
{
    uint64_t hash = (device_key ^ pid) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 32) & f->table_mask;
}

/* Makes the table of the sessions that the last snapshot left. */
static void table_build(struct following *f)
{
    struct tracker *tracker = f->tracker;
    size_t cells = table_cells(tracker->session_count);
    f->table = (uint32_t *)(void *)(tracker->sessions + tracker->session_capacity);
    f->table_mask = cells - 1;
    memset(f->table, 0, cells * sizeof *f->table);
    for (uint32_t i = 0; i < tracker->session_count; i++) {
        const struct tracked_session *session = &tracker->sessions[i];
        size_t cell = first_cell(f, session->device_key, session->pid);
        while (f->table[cell])
            cell = (cell + 1) & f->table_mask;
        f->table[cell] = i + 1;
    }
}

/* NULL when not known. At most half of the cells are taken, so there is a free one. */
static struct tracked_session *table_find(const struct following *f, uint64_t device_key,
                                          uint32_t pid)
{
    for (size_t cell = first_cell(f, device_key, pid); f->table[cell];
         cell = (cell + 1) & f->table_mask) {
        struct tracked_session *session = &f->tracker->sessions[f->table[cell] - 1];
        if (session->device_key == device_key && session->pid == pid)
            return session;
    }
    return NULL;
}

/* The place of LABEL's counters. Devices come in the same order each time: the search
 * begins at HINT. Return: NULL when there is no place left. */
static struct tracked_device *device_find(struct tracker *tracker, const char *label,
                                          size_t hint)
{
    for (size_t i = 0; i < tracker->device_count; i++) {
        struct tracked_device *device =
            &tracker->devices[(hint + i) % tracker->device_count];
        if (strncmp(device->label, label, LABEL_BYTES) == 0)
            return device;
    }
    size_t bytes = strlen(label) + 1;
    if (tracker->device_count == MAX_DEVICES || bytes > LABEL_BYTES)
        return NULL;
    struct tracked_device *device = &tracker->devices[tracker->device_count++];
    *device = (struct tracked_device){.round = tracker->round};
    memcpy(device->label, label, bytes);
    return device;
}

/* Whether all sessions of the device are there; it may be that none can be. */
static bool is_whole(const struct device *device)
{
    return device->holds_sessions ? device->session_total.state == VALUE_OK
                                  : !device->facts->fault;
}

/* Whether DEVICE, listed for the first time, was not there before: then it was empty, and
 * what runs on it has begun since. */
static bool is_new(const struct tracker *tracker, const struct device *device)
{
    uint32_t gpu = device->facts->index;
    return tracker->round > 1 && gpu < FACTS_MAX_GPUS &&
           !(tracker->unread_gpus >> gpu & 1);
}

/* Notes that the snapshot lists DEVICE. */
static void device_see(const struct following *f, struct tracked_device *tracked,
                       const struct device *device)
{
    const char *uuid = device->facts->uuid;
    if (tracked->round == f->tracker->round && is_new(f->tracker, device))
        tracked->was_read = true;
    tracked->key = str_hash(str_from(uuid ? uuid : device->label));
    tracked->round = f->tracker->round;
    tracked->is_whole = is_whole(device);
}

static bool is_same_process(const struct tracked_session *tracked,
                            const struct session *session)
{
    return tracked->start_ticks == 0 || session->start_ticks == 0 ||
           tracked->start_ticks == session->start_ticks;
}

/* What is remembered of SESSION, made where nothing is; counts its start, and the end of
 * another process that had its pid. Return: NULL when there is no room. */
static struct tracked_session *session_see(const struct following *f,
                                           struct tracked_device *device,
                                           const struct session *session)
{
    struct tracker *tracker = f->tracker;
    struct tracked_session *tracked = table_find(f, device->key, session->pid);
    if (tracked && is_same_process(tracked, session))
        return tracked;
    if (!tracked && tracker->session_count == tracker->session_capacity)
        return NULL;
    if (device->is_whole && device->was_read) {
        device->started++;
        device->ended += tracked != NULL;
    }
    if (!tracked)
        tracked = &tracker->sessions[tracker->session_count++];
    *tracked = (struct tracked_session){.device_key = device->key, .pid = session->pid};
    return tracked;
}

static void session_update(const struct following *f, struct tracked_session *tracked,
                           const struct tracked_device *device, struct session *session)
{
    tracked->round = f->tracker->round;
    tracked->gpu = session->device->facts->index;
    tracked->device = (uint32_t)(device - f->tracker->devices);
    if (session->start_ticks)
        tracked->start_ticks = session->start_ticks;
    if (session->status == SESSION_ACTIVE) {
        tracked->has_worked = true;
        tracked->worked_at_ns = f->now_ns;
    }
    if (tracked->has_worked && f->now_ns >= tracked->worked_at_ns &&
        f->now_ns - tracked->worked_at_ns <= f->tracker->idle_window_ns)
        session->status = SESSION_ACTIVE;
}

/* Takes in DEVICE and its run of SESSIONS. */
static void device_follow(const struct following *f, const struct device *device,
                          struct tracked_device *tracked, struct session *sessions)
{
    device_see(f, tracked, device);
    for (size_t i = 0; i < device->session_count; i++) {
        struct tracked_session *session = session_see(f, tracked, &sessions[i]);
        if (session)
            session_update(f, session, tracked, &sessions[i]);
    }
    if (tracked->is_whole)
        tracked->was_read = true;
}

/* Whether SESSION, which the snapshot does not have, has ended: its DEVICE was read, or
 * is gone from a GPU that was. */
static bool has_ended(const struct following *f, const struct tracked_session *session,
                      const struct tracked_device *device)
{
    if (device && device->round == f->tracker->round &&
        device->key == session->device_key)
        return device->is_whole;
    return session->gpu >= FACTS_MAX_GPUS || !(f->unread_gpus >> session->gpu & 1);
}

/* Counts and forgets the sessions that have ended. */
static void sweep(const struct following *f)
{
    struct tracker *tracker = f->tracker;
    for (size_t i = 0; i < tracker->session_count;) {
        struct tracked_session *session = &tracker->sessions[i];
        struct tracked_device *device = session->device < tracker->device_count
                                            ? &tracker->devices[session->device]
                                            : NULL;
        if (session->round == tracker->round || !has_ended(f, session, device)) {
            i++;
            continue;
        }
        if (device)
            device->ended++;
        *session = tracker->sessions[--tracker->session_count];
    }
}

/* Bit per GPU that could not be asked, or that may have more on it than it shows. */
static uint64_t unread_gpus(const struct device *devices, size_t count)
{
    uint64_t unread = 0;
    for (size_t i = 0; i < count; i++) {
        const struct device_facts *facts = devices[i].facts;
        if (facts->kind == DEVICE_GPU && facts->index < FACTS_MAX_GPUS &&
            (facts->fault || !is_whole(&devices[i])))
            unread |= UINT64_C(1) << facts->index;
    }
    return unread;
}

static void device_set_counters(const struct tracked_device *tracked,
                                struct device *device)
{
    if (!tracked || !tracked->was_read || !device->holds_sessions)
        return;
    device->sessions_started = value_u64_ok(tracked->started);
    device->sessions_ended = value_u64_ok(tracked->ended);
}

void tracker_follow(struct tracker *tracker, struct device *devices, size_t device_count,
                    struct session *sessions, uint64_t now_ns)
{
    struct following f = {
        .tracker = tracker,
        .now_ns = now_ns,
        .unread_gpus = unread_gpus(devices, device_count),
    };
    tracker->round++;
    table_build(&f);
    for (size_t i = 0; i < device_count; i++) {
        struct tracked_device *tracked = device_find(tracker, devices[i].label, i);
        if (tracked)
            device_follow(&f, &devices[i], tracked,
                          sessions + (devices[i].sessions - sessions));
    }
    sweep(&f);
    tracker->unread_gpus = f.unread_gpus;
    for (size_t i = 0; i < device_count; i++)
        device_set_counters(device_find(tracker, devices[i].label, i), &devices[i]);
}
