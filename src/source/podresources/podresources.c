/*
 * When to ask, what to keep, and what to say. A connection serves one answer: that of
 * a kubelet that restarts dies anyway, and libcurl 7.88 fails on the second request.
 */
#include "source/podresources.h"

#include "base/cleanup.h"
#include "source/podresources/grpc_unary.h"
#include "source/podresources/podresources_decode.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define ANSWER_BYTES ((size_t)16 << 20)
#define KEPT_BYTES ((size_t)32 << 20)
#define ASK_EVERY_NS (10 * NS_PER_SECOND)
#define ASK_SETTLING_EVERY_NS (2 * NS_PER_SECOND)
#define HOLD_NS (60 * NS_PER_SECOND)
#define SETTLING_SECONDS 60.0

/* A wait doubles from 1 s to about 30 s. */
enum { MAX_DOUBLINGS = 5 };

struct podresources {
    struct podresources_config config;
    struct http_client *client;
    bool is_there; /* the socket, now or earlier in this run */
    bool is_up;
    char reason[ERR_MESSAGE_BYTES]; /* "" when there is nothing to say */
    dev_t device; /* of the socket, with its inode: which kubelet's it is */
    ino_t inode;
    double age_seconds; /* of the socket; not finite when not known */
    uint64_t next_ns;   /* when to ask again; 0: now */
    unsigned failures;  /* in a row */
    bool has_list;
    bool is_counted;      /* the ids of the list that no device was found for */
    uint64_t answered_ns; /* when the list was last confirmed */
    struct buf answer;    /* the bytes of the list, to see that nothing changed */
    struct arena *kept;   /* owns the list */
    struct grant_list list;
};

struct podresources *podresources_open(const struct podresources_config *config)
{
    struct podresources *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->config = *config;
    source->answer = BUF_INIT(ANSWER_BYTES + GRPC_PREFIX_BYTES);
    return source;
}

void podresources_close(struct podresources *source)
{
    if (!source)
        return;
    http_client_close(source->client);
    buf_done(&source->answer);
    arena_free(source->kept);
    free(source);
}

/* Up to a quarter less than the doubled wait: agents that failed together do not come
 * back together. */
static uint64_t backoff_ns(unsigned failures, uint64_t now_ns)
{
    unsigned doublings = failures - 1 < MAX_DOUBLINGS ? failures - 1 : MAX_DOUBLINGS;
    uint64_t wait = NS_PER_SECOND << doublings;
    uint64_t noise =
        str_hash((struct str){(const char *)&now_ns, sizeof now_ns}) % (wait / 4);
    return wait - noise;
}

static void fail(struct podresources *source, uint64_t now_ns, const char *reason,
                 const char *message)
{
    source->is_up = false;
    source->failures++;
    source->next_ns = now_ns + backoff_ns(source->failures, now_ns);
    (void)snprintf(source->reason, sizeof source->reason, "%s", message);
    errors_add(source->config.errors, "podresources", reason, 1);
}

static void fail_denied(struct podresources *source, uint64_t now_ns)
{
    struct err err;
    (void)err_set(&err, EACCES, ERR_ERRNO, EACCES,
                  "may not open %s: the kubelet lets only uid 0 in (no capability is "
                  "needed); or say --kube.podresources=off",
                  source->config.socket);
    fail(source, now_ns, "permission_denied", err.message);
}

/* The state of the socket was ERROR (errno). Without one, there may be no kubelet here:
 * that is no failure unless somebody said otherwise. */
static void fail_socket(struct podresources *source, uint64_t now_ns, int error)
{
    struct err err;
    bool is_missing = error == ENOENT || error == ENOTDIR;
    if (is_missing && !source->is_there && !source->config.is_wanted)
        return;
    if (!is_missing)
        source->is_there = true;
    if (now_ns < source->next_ns)
        return;
    if (error == EACCES) {
        fail_denied(source, now_ns);
        return;
    }
    (void)err_errno(&err, error, "the kubelet's socket %s", source->config.socket);
    fail(source, now_ns, is_missing ? "no_socket" : "bad_socket", err.message);
}

/* Return: whether there is a socket to ask. A new one ends every wait. */
static bool look_at_socket(struct podresources *source, uint64_t now_ns,
                           double wall_seconds)
{
    struct stat socket;
    if (stat(source->config.socket, &socket) != 0) {
        fail_socket(source, now_ns, errno);
        return false;
    }
    if (!S_ISSOCK(socket.st_mode)) {
        fail_socket(source, now_ns, ENOTSOCK);
        return false;
    }
    if (socket.st_dev != source->device || socket.st_ino != source->inode) {
        source->next_ns = 0;
        source->failures = 0;
    }
    source->is_there = true;
    source->device = socket.st_dev;
    source->inode = socket.st_ino;
    source->age_seconds = wall_seconds - ((double)socket.st_mtim.tv_sec +
                                          (double)socket.st_mtim.tv_nsec / 1e9);
    return true;
}

/* Takes the answer in BYTES over; what it says is in LIST, which KEPT owns. */
static void keep(struct podresources *source, struct buf *bytes, struct arena **kept,
                 const struct grant_list *list)
{
    buf_done(&source->answer);
    source->answer = *bytes;
    *bytes = BUF_INIT(bytes->limit);
    arena_free(source->kept);
    source->kept = TAKE(*kept);
    source->list = *list;
    source->has_list = true;
    source->is_counted = false;
}

static void count_left_out(struct podresources *source, const struct grant_list *list)
{
    if (list->omitted)
        errors_add(source->config.errors, "podresources", "too_many_devices",
                   list->omitted);
    if (list->bad_names)
        errors_add(source->config.errors, "podresources", "bad_name", list->bad_names);
}

/* A kubelet that has just started lists pods by and by. */
static bool is_incomplete(const struct podresources *source,
                          const struct grant_list *list)
{
    size_t least = source->has_list ? source->list.count : 1;
    return source->age_seconds >= 0 && source->age_seconds < SETTLING_SECONDS &&
           list->count < least;
}

static void note_incomplete(struct podresources *source, uint64_t now_ns)
{
    source->next_ns = now_ns + ASK_SETTLING_EVERY_NS;
    (void)snprintf(source->reason, sizeof source->reason,
                   "the kubelet started %.0f s ago and may not list all of its pods yet",
                   source->age_seconds);
    errors_add(source->config.errors, "podresources", "incomplete", 1);
}

static int take_answer(struct podresources *source, struct buf *bytes, struct str message,
                       uint64_t now_ns, struct err *err)
{
    source->next_ns = now_ns + ASK_EVERY_NS;
    if (source->has_list && str_equal(buf_str(bytes), buf_str(&source->answer))) {
        source->answered_ns = now_ns;
        return 0;
    }
    CLEANUP(arena_freep) struct arena *kept = arena_new(KEPT_BYTES);
    struct grant_list list;
    if (!kept)
        return err_errno(err, ENOMEM, "list of allocated devices");
    int rc = podresources_decode(message, kept, &list, err);
    if (rc != 0)
        return rc;
    source->answered_ns = now_ns;
    if (is_incomplete(source, &list)) {
        note_incomplete(source, now_ns);
        return 0;
    }
    count_left_out(source, &list);
    keep(source, bytes, &kept, &list);
    return 0;
}

static int ask(struct podresources *source, uint64_t now_ns, uint64_t budget_ns,
               const char **reason, struct err *err)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(source->answer.limit);
    struct str message;
    struct grpc_call call = {
        .socket = source->config.socket,
        .method = "/v1.PodResourcesLister/List",
        .timeout_ns = budget_ns,
        .max_answer_bytes = ANSWER_BYTES,
    };
    int rc = source->client ? 0 : http_client_open(&source->client, err);
    if (rc != 0) {
        *reason = "no_library";
        return rc;
    }
    rc = grpc_unary(source->client, &call, &bytes, &message, reason, err);
    if (rc != 0)
        return rc;
    source->reason[0] = '\0';
    *reason = "malformed";
    return take_answer(source, &bytes, message, now_ns, err);
}

static void drop_old(struct podresources *source, uint64_t now_ns)
{
    if (source->has_list && now_ns - source->answered_ns > HOLD_NS + ASK_EVERY_NS)
        source->has_list = false;
}

void podresources_refresh(struct podresources *source, uint64_t now_ns,
                          double wall_seconds, uint64_t budget_ns)
{
    const char *reason = NULL;
    struct err err = {0};
    if (look_at_socket(source, now_ns, wall_seconds) && now_ns >= source->next_ns) {
        int rc = ask(source, now_ns, budget_ns, &reason, &err);
        if (rc == 0) {
            source->is_up = true;
            source->failures = 0;
        } else if (rc == -EACCES) {
            fail_denied(source, now_ns);
        } else {
            fail(source, now_ns, reason, err.message);
        }
    }
    drop_old(source, now_ns);
}

const struct grant *podresources_grants(const struct podresources *source, size_t *count)
{
    *count = source->has_list ? source->list.count : 0;
    return source->has_list ? source->list.grants : NULL;
}

size_t podresources_left_out(const struct podresources *source)
{
    return source->has_list ? source->list.omitted + source->list.bad_names : 0;
}

void podresources_count_ids(struct podresources *source,
                            const struct allocation_set *matched)
{
    struct error_counters *errors = source->config.errors;
    if (!source->has_list || source->is_counted)
        return;
    source->is_counted = true;
    if (matched->absent_ids)
        errors_add(errors, "podresources", "unknown_device", matched->absent_ids);
    if (matched->opaque_ids)
        errors_add(errors, "podresources", "opaque_id", matched->opaque_ids);
}

bool podresources_status(const struct podresources *source, struct arena *arena,
                         struct source_status *out)
{
    if (!source->is_there && !source->config.is_wanted)
        return false;
    const char *reason = NULL;
    if (source->reason[0])
        reason = arena_copy(arena, str_from(source->reason));
    *out = (struct source_status){"podresources", source->is_up, reason};
    return true;
}
