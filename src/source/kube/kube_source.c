/*
 * When to ask, whom, and what a refusal means. One request at a time: a list, which is
 * waited for, or a watch, which is not.
 */
#include "source/kube/kube_source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "source/http_client.h"
#include "source/kube/kube_address.h"
#include "source/kube/kube_table.h"
#include "source/kube/kube_token.h"

#include <errno.h>
#include <sys/random.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define LIST_TIMEOUT_NS NS_PER_SECOND
#define WATCH_ANSWER_NS (NS_PER_SECOND / 2)
#define PUMP_NS (NS_PER_SECOND / 4)
#define LEAST_NS (NS_PER_SECOND / 20) /* with less nothing is asked */
#define KUBELET_INTERVAL_NS (30 * NS_PER_SECOND)
#define MISSING_INTERVAL_NS (5 * NS_PER_SECOND)
#define BACKOFF_MIN_NS (2 * NS_PER_SECOND)
#define BACKOFF_MAX_NS (300 * NS_PER_SECOND)
#define SHORT_WATCH_NS (5 * NS_PER_SECOND)

enum {
    URL_BYTES = 4096,
    LIST_BYTES_MAX = 64 << 20,
    REFUSAL_BYTES = 64 << 10, /* read of an answer that is no list, to learn its status */
    WATCH_SECONDS_MIN = 300,
    MISSED_MAX = 64,
};

static const char source_name[] = "kubernetes";

struct kube_source {
    uint64_t end_ns; /* of what this update may cost */
    struct kube_config config;
    struct http_client *client;
    struct http_stream *watch; /* NULL: none is on */
    struct kube_table *table;
    struct kube_table *incoming; /* while a list is read */
    struct kube_parser parser;
    int parse_rc;
    size_t refused_bytes;
    struct err parse_err;
    char version[KUBE_WORD_BYTES + 1]; /* to watch from; "": a list must come first */
    uint64_t due_ns;                   /* of the next request */
    uint64_t asked_ns;                 /* of the last list */
    uint64_t watch_since_ns;
    unsigned failures; /* in a row */
    bool was_asked;
    struct err why_down;         /* NONE: up */
    uint64_t missed[MISSED_MAX]; /* hashes of UIDs that a list was asked for already */
    size_t missed_at;
    char token[KUBE_TOKEN_BYTES + 1];
};

/* Between 0 and LIMIT; the middle when the kernel has no random number. */
static uint64_t random_below(uint64_t limit)
{
    uint64_t number = limit / 2;
    (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
    return limit ? number % limit : 0;
}

static void count(struct kube_source *source, const char *reason)
{
    errors_add(source->config.errors, source_name, reason, 1);
}

const char *kube_resolver(const struct kube_source *source)
{
    return source->config.mode == KUBE_KUBELET ? "kubelet" : "apiserver";
}

static int check_kubelet(const struct kube_config *config, struct err *err)
{
    struct str host, port;
    if (!kube_address_parse(str_from(config->kubelet_address), &host, &port))
        return err_set(err, EINVAL, ERR_USAGE, 0, "kubelet \"%.80s\": not host:port",
                       config->kubelet_address);
    if (config->kubelet_is_unverified && !kube_address_is_local(host))
        return err_set(err, EINVAL, ERR_USAGE, 0,
                       "kubelet %.80s is not an address of this node: without a verified "
                       "certificate the token would go to whoever answers there; give "
                       "--kube.kubelet-ca-file instead",
                       config->kubelet_address);
    return 0;
}

int kube_open(const struct kube_config *config, struct kube_source **out, struct err *err)
{
    int rc = config->mode == KUBE_KUBELET ? check_kubelet(config, err)
                                          : http_url_check(config->api_url, err);
    if (rc != 0)
        return rc;
    struct kube_source *source = calloc(1, sizeof *source);
    if (source)
        source->table = kube_table_new(config->keys);
    if (!source || !source->table) {
        kube_close(source);
        return err_errno(err, ENOMEM, "pod metadata");
    }
    rc = http_client_open(&source->client, err);
    if (rc != 0) {
        kube_close(source);
        return rc;
    }
    source->config = *config;
    source->due_ns = clock_monotonic_ns() + random_below(config->spread_ns);
    *out = source;
    return 0;
}

static void watch_close(struct kube_source *source)
{
    http_stream_end(source->watch);
    source->watch = NULL;
}

void kube_close(struct kube_source *source)
{
    if (!source)
        return;
    watch_close(source);
    http_client_close(source->client);
    kube_table_free(source->table);
    kube_table_free(source->incoming);
    explicit_bzero(source->token, sizeof source->token);
    free(source);
}

/* --- outcomes --- */

/* Half to whole of the doubling distance, so that nodes that failed together do not come
 * back together. */
static uint64_t backoff_ns(unsigned failures)
{
    uint64_t distance = BACKOFF_MIN_NS;
    for (unsigned i = 1; i < failures && distance < BACKOFF_MAX_NS; i++)
        distance *= 2;
    if (distance > BACKOFF_MAX_NS)
        distance = BACKOFF_MAX_NS;
    return distance / 2 + random_below(distance / 2);
}

/* ERR says why; at least AT_LEAST_NS pass before the next request. */
static void fail(struct kube_source *source, const char *reason, const struct err *err,
                 uint64_t at_least_ns)
{
    watch_close(source);
    source->was_asked = true;
    source->failures++;
    source->why_down = *err;
    uint64_t wait = backoff_ns(source->failures);
    source->due_ns = clock_monotonic_ns() + (wait > at_least_ns ? wait : at_least_ns);
    count(source, reason);
}

static void succeed(struct kube_source *source)
{
    source->was_asked = true;
    source->failures = 0;
    source->why_down = (struct err){.domain = ERR_NONE};
}

/* What 401 and 403 mean here. Return: false for any other status. */
static bool explain_denial(const struct kube_source *source, long status, struct err *err)
{
    bool is_kubelet = source->config.mode == KUBE_KUBELET;
    if (status == 401)
        (void)err_set(err, EACCES, ERR_HTTP, 401,
                      "the %s does not accept the token in %.120s: it may have expired, "
                      "or be another cluster's",
                      is_kubelet ? "kubelet" : "API server", source->config.token_file);
    else if (status == 403 && is_kubelet)
        (void)err_set(
            err, EACCES, ERR_HTTP, 403,
            "the kubelet refuses the pod list: the service account needs the "
            "verb get on nodes/pods (Kubernetes 1.33 or newer; not nodes/proxy, "
            "with which commands can be run in containers)");
    else if (status == 403)
        (void)err_set(
            err, EACCES, ERR_HTTP, 403,
            "the API server refuses the pod list: the service account needs the "
            "verbs list and watch on pods");
    else
        return false;
    return true;
}

static const char *status_reason(long status)
{
    return status == 401   ? "unauthorized"
           : status == 403 ? "forbidden"
           : status == 410 ? "expired"
           : status == 429 ? "too_many_requests"
           : status >= 500 ? "server_error"
                           : "bad_status";
}

/* LONGEST, or what is left of the update's budget. */
static uint64_t left_of(const struct kube_source *source, uint64_t longest)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t left = now < source->end_ns ? source->end_ns - now : 0;
    return left < longest ? left : longest;
}

/* A server may ask for more patience than anybody has. */
static uint64_t wanted_pause_ns(uint64_t seconds)
{
    return seconds < BACKOFF_MAX_NS / NS_PER_SECOND ? seconds * NS_PER_SECOND
                                                    : BACKOFF_MAX_NS;
}

/* Takes a status that is not 200 in. */
static void refuse(struct kube_source *source, const struct http_request *request,
                   const struct http_answer *answer)
{
    struct err err = {.domain = ERR_HTTP};
    if (!explain_denial(source, answer->status, &err) &&
        http_check_status(request, answer, &err) == 0)
        (void)err_set(&err, EPROTO, ERR_HTTP, (int)answer->status,
                      "%s: status %ld, wanted 200", kube_resolver(source),
                      answer->status);
    source->version[0] = '\0';
    fail(source, status_reason(answer->status), &err,
         answer->has_retry_after ? wanted_pause_ns(answer->retry_after_seconds) : 0);
}

/* --- reading --- */

static void put(struct kube_source *source, struct kube_table *table,
                const struct kube_draft *draft)
{
    switch (kube_table_put(table, draft)) {
    case 0: break;
    case -EBADMSG: count(source, "malformed_pod"); break;
    case -ENOSPC: count(source, "too_many_pods"); break;
    default: count(source, "no_memory"); break;
    }
}

static void seen_in_list(void *context, enum kube_change change,
                         const struct kube_draft *draft)
{
    struct kube_source *source = context;
    (void)change;
    put(source, source->incoming, draft);
}

/* An error event ends the watch: what it says is a status, 410 for a version too old. */
static void seen_error(struct kube_source *source)
{
    const struct kube_parser *parser = &source->parser;
    source->version[0] = '\0';
    source->parse_rc =
        err_set(&source->parse_err, ESTALE, ERR_HTTP, (int)parser->code,
                "the API server ended the watch: %u %s", parser->code, parser->message);
}

static void seen_in_watch(void *context, enum kube_change change,
                          const struct kube_draft *draft)
{
    struct kube_source *source = context;
    switch (change) {
    case KUBE_PRESENT: put(source, source->table, draft); break;
    case KUBE_GONE:
        kube_table_mark_gone(source->table, draft->uid, clock_monotonic_ns());
        break;
    case KUBE_ERROR: seen_error(source); return;
    case KUBE_BOOKMARK: break;
    }
    if (draft->version[0])
        memcpy(source->version, draft->version, sizeof source->version);
}

/* The sink does not see the status: text that is no list may be the words of a refusal,
 * which are dropped until the status is known. */
static bool take_piece(void *context, struct str piece)
{
    struct kube_source *source = context;
    int rc = source->parse_rc == 0
                 ? kube_parser_feed(&source->parser, piece, &source->parse_err)
                 : 0;
    if (rc != 0)
        source->parse_rc = rc; /* else as it was: an error event sets it too */
    if (source->parse_rc == 0)
        return true;
    source->refused_bytes += piece.n;
    return !source->watch && source->refused_bytes < REFUSAL_BYTES;
}

static void begin_parse(struct kube_source *source, enum kube_form form, kube_seen *seen)
{
    source->parse_rc = 0;
    source->refused_bytes = 0;
    kube_parser_init(&source->parser, form, source->config.keys, seen, source);
}

/* --- requests --- */

static const char *const list_headers[] = {
    "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"};
static const char *const watch_headers[] = {
    "Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"};
static const char *const kubelet_headers[] = {"Accept: application/json"};

/* Fills REQUEST for a list, or for a watch from the version known. Return: false when it
 * cannot be made; that has been taken in. */
static bool make_request(struct kube_source *source, bool is_watch, struct buf *url,
                         struct http_request *request)
{
    const struct kube_config *config = &source->config;
    bool is_kubelet = config->mode == KUBE_KUBELET;
    struct str host, port;
    struct err err = {0};
    if (kube_token_read(config->token_file, source->token, &err) != 0) {
        fail(source, "no_token", &err, 0);
        return false;
    }
    if (is_kubelet && kube_address_parse(str_from(config->kubelet_address), &host, &port))
        kube_kubelet_url(url, config->kubelet_server_name, host, port);
    unsigned seconds = WATCH_SECONDS_MIN + (unsigned)random_below(WATCH_SECONDS_MIN);
    if (!is_kubelet)
        kube_pods_url(url, config->api_url, config->node,
                      is_watch ? source->version : NULL, seconds);
    buf_append_char(url, '\0');
    *request = (struct http_request){
        .url = buf_str(url).p,
        .connect_to = is_kubelet ? config->kubelet_address : NULL,
        .ca_file = is_kubelet ? config->kubelet_ca_file : config->ca_file,
        .is_unverified = is_kubelet && config->kubelet_is_unverified,
        .bearer_token = source->token,
        .headers = is_kubelet ? kubelet_headers
                   : is_watch ? watch_headers
                              : list_headers,
        .header_count = 1,
        /* The server ends a watch; one that it forgot is given up a little later. */
        .timeout_ns =
            is_watch ? (seconds + 30) * NS_PER_SECOND : left_of(source, LIST_TIMEOUT_NS),
        .max_body_bytes = is_watch ? UINT64_MAX : LIST_BYTES_MAX,
        .sink = take_piece,
        .sink_context = source,
    };
    return true;
}

/* Puts the list that was read in place of what was known. */
static void adopt(struct kube_source *source)
{
    uint64_t now = clock_monotonic_ns();
    kube_table_inherit(source->incoming, source->table, now);
    kube_table_free(source->table);
    source->table = TAKE(source->incoming);
    succeed(source);
    if (source->config.mode == KUBE_APISERVER)
        memcpy(source->version, source->parser.list_version, sizeof source->version);
    bool is_polled = source->config.mode == KUBE_KUBELET || source->config.without_watch;
    uint64_t distance =
        KUBELET_INTERVAL_NS * 9 / 10 + random_below(KUBELET_INTERVAL_NS / 5);
    source->due_ns = is_polled ? now + distance : now;
}

/* Judges the answer to a list. */
static void end_list(struct kube_source *source, const struct http_request *request,
                     int rc, const struct http_answer *answer, struct err *err)
{
    if (rc == -ECANCELED || (rc == 0 && answer->status == 200)) {
        int parsed = source->parse_rc;
        if (parsed == 0)
            parsed = kube_parser_finish(&source->parser, &source->parse_err);
        if (parsed == 0) {
            adopt(source);
            return;
        }
        (void)err_wrap(&source->parse_err, parsed, "pod list of the %s",
                       kube_resolver(source));
        fail(source, "malformed", &source->parse_err, 0);
    } else if (rc == 0) {
        refuse(source, request, answer);
    } else {
        fail(source, http_failure_word(rc), err, 0);
    }
}

static void list(struct kube_source *source)
{
    CLEANUP(buf_done) struct buf url = BUF_INIT(URL_BYTES);
    struct http_request request;
    struct http_answer answer = {0};
    struct err err = {0};
    source->asked_ns = clock_monotonic_ns();
    if (!make_request(source, false, &url, &request))
        return;
    source->incoming = kube_table_new(source->config.keys);
    if (!source->incoming) {
        (void)err_errno(&err, ENOMEM, "pod metadata");
        fail(source, "no_memory", &err, 0);
        return;
    }
    begin_parse(source, KUBE_LIST, seen_in_list);
    int rc = http_get(source->client, &request, &answer, &err);
    explicit_bzero(source->token, sizeof source->token);
    end_list(source, &request, rc, &answer, &err);
    kube_table_free(TAKE(source->incoming));
}

/* The watch is over: RC says how. Every way leads on from the version known, if any. */
static void end_watch(struct kube_source *source, int rc, const struct err *err)
{
    uint64_t now = clock_monotonic_ns();
    bool was_short = now - source->watch_since_ns < SHORT_WATCH_NS;
    watch_close(source);
    if (source->parse_rc == -ESTALE && source->parse_err.native == 410 && !was_short) {
        count(source, "expired");
        source->due_ns = now + random_below(NS_PER_SECOND);
    } else if (source->parse_rc != 0) {
        source->version[0] = '\0';
        fail(source,
             source->parse_rc == -ESTALE ? status_reason(source->parse_err.native)
                                         : "malformed",
             &source->parse_err, 0);
    } else if (rc == HTTP_STREAM_ENDED && !was_short) {
        source->due_ns = now + random_below(NS_PER_SECOND);
    } else if (rc == HTTP_STREAM_ENDED) {
        struct err ended = {0};
        (void)err_set(&ended, EPROTO, ERR_HTTP, 0,
                      "the API server ends the watch as soon as it has begun");
        fail(source, "watch_ended", &ended, 0);
    } else {
        fail(source, http_failure_word(rc), err, 0);
    }
}

/* Takes in that the watch is refused, which can be said after its beginning. Return:
 * false when it is not, as far as is known. */
static bool refuse_watch(struct kube_source *source)
{
    const struct http_request request = {.url = source->config.api_url};
    const struct http_answer *answer =
        source->watch ? http_stream_answer(source->watch) : NULL;
    if (!answer || answer->status == 0 || answer->status == 200)
        return false;
    refuse(source, &request, answer);
    return true;
}

static void watch_begin(struct kube_source *source)
{
    CLEANUP(buf_done) struct buf url = BUF_INIT(URL_BYTES);
    struct http_request request;
    struct err err = {0};
    if (!make_request(source, true, &url, &request))
        return;
    begin_parse(source, KUBE_WATCH, seen_in_watch);
    source->watch_since_ns = clock_monotonic_ns();
    int rc = http_stream_begin(source->client, &request, &source->watch, &err);
    explicit_bzero(source->token, sizeof source->token);
    if (rc == 0)
        rc = http_stream_await_status(source->watch, left_of(source, WATCH_ANSWER_NS),
                                      &err);
    if (refuse_watch(source))
        return;
    if (rc != 0)
        end_watch(source, rc, &err);
    else if (http_stream_answer(source->watch)->status == 200)
        succeed(source);
}

static void watch_pump(struct kube_source *source)
{
    struct err err = {0};
    int rc = http_stream_pump(source->watch, left_of(source, PUMP_NS), &err);
    if (refuse_watch(source))
        return;
    if (source->failures && http_stream_answer(source->watch)->status == 200)
        succeed(source);
    if (rc != 0 || source->parse_rc != 0)
        end_watch(source, rc, &err);
}

/* Whether UID is one that no list was asked for yet. */
static bool is_news(struct kube_source *source, const char *uid)
{
    if (kube_find(source, uid))
        return false;
    uint64_t hash = str_hash(str_from(uid));
    for (size_t i = 0; i < MISSED_MAX; i++) {
        if (source->missed[i] == hash)
            return false;
    }
    source->missed[source->missed_at++ % MISSED_MAX] = hash;
    return true;
}

/* A pod that is not known: the kubelet is asked before its time, unless it failed. */
static void look_for_news(struct kube_source *source, const char *const *uids, size_t n)
{
    bool any = false;
    if (source->config.mode != KUBE_KUBELET || source->failures || !source->was_asked)
        return;
    for (size_t i = 0; i < n; i++)
        any = is_news(source, uids[i]) || any;
    uint64_t soon = source->asked_ns + MISSING_INTERVAL_NS;
    if (any && soon < source->due_ns)
        source->due_ns = soon;
}

void kube_update(struct kube_source *source, const char *const *uids, size_t count_uids,
                 uint64_t budget_ns)
{
    source->end_ns = clock_monotonic_ns() + budget_ns;
    look_for_news(source, uids, count_uids);
    if (source->watch)
        watch_pump(source);
    uint64_t now = clock_monotonic_ns();
    if (!source->watch && now >= source->due_ns && !source->version[0] &&
        left_of(source, LIST_TIMEOUT_NS) >= LEAST_NS)
        list(source);
    /* After a slow list the watch begins at the next collection: a second is the limit.
     */
    uint64_t spent = clock_monotonic_ns() - now;
    if (!source->watch && now + spent >= source->due_ns && source->version[0] &&
        spent < LIST_TIMEOUT_NS - WATCH_ANSWER_NS && !source->config.without_watch &&
        left_of(source, WATCH_ANSWER_NS) >= LEAST_NS)
        watch_begin(source);
    kube_table_sweep(source->table, clock_monotonic_ns());
}

const struct pod_metadata *kube_find(struct kube_source *source, const char *uid)
{
    return kube_table_find(source->table, uid, clock_monotonic_ns());
}

bool kube_status(const struct kube_source *source, struct arena *arena,
                 struct source_status *out)
{
    bool is_up = source->why_down.domain == ERR_NONE;
    *out = (struct source_status){.name = source_name, .is_up = is_up};
    if (!is_up)
        out->reason = arena_copy(arena, str_from(source->why_down.message));
    return source->was_asked;
}
