/*
 * Between HTTP and the web configuration.
 *
 * TLS credentials are put into each connection's session before its handshake, so nothing
 * restarts for a new certificate. Only turning TLS on or off does: the HTTP library
 * decides on it once.
 */
#include "server/web_gate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/auth.h"
#include "server/rate_limit.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <stdio.h>

#define LOOK_INTERVAL_NS UINT64_C(1000000000)

struct web_gate {
    const struct server_config *config;
    struct web_config *web; /* NULL without a file */
    struct auth *auth;      /* the same */
    struct rate_limit rate;
    uint64_t next_look_ns;
    char
        reported[ERR_MESSAGE_BYTES]; /* why the newest files are not used; "": they are */
};

/* --- asked by HTTP -------------------------------------------------------------------
 */

static void open_peer(void *context, struct MHD_Connection *connection, void **peer)
{
    struct web_gate *gate = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct tls *tls = web_config_tls(gate->web);
    /* Without credentials the handshake fails (refuse_certificate). */
    if (info && info->tls_session && tls &&
        tls_begin_session(tls, info->tls_session) == 0)
        *peer = tls_ref(tls);
}

static void close_peer(void *context, void *peer)
{
    (void)context;
    tls_unref(peer);
}

static struct str authorization_of(struct MHD_Connection *connection)
{
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_AUTHORIZATION);
    return header ? str_from(header) : STR("");
}

static enum gate_verdict refuse(const struct web_gate *gate, enum server_refusal reason,
                                enum gate_verdict verdict)
{
    server_count(gate->config->counters, reason);
    return verdict;
}

static enum gate_verdict ask(void *context, struct MHD_Connection *connection,
                             void **state)
{
    struct web_gate *gate = context;
    /* A request that is asked again after its wait has taken its token. */
    if (!*state && !rate_limit_take(&gate->rate, clock_monotonic_ns()))
        return refuse(gate, REFUSED_RATE, GATE_TOO_MANY);
    *state = connection;
    switch (auth_check(gate->auth, authorization_of(connection), connection)) {
    case AUTH_GRANTED: return GATE_GRANTED;
    case AUTH_REFUSED: return refuse(gate, REFUSED_UNAUTHORIZED, GATE_UNAUTHORIZED);
    case AUTH_BUSY: return refuse(gate, REFUSED_BUSY, GATE_BUSY);
    case AUTH_WAIT: break;
    }
    MHD_suspend_connection(connection);
    return GATE_SUSPENDED;
}

/* The state is only a mark. */
static void forget(void *context, void *state)
{
    (void)context;
    (void)state;
}

static void resume(void *connection)
{
    MHD_resume_connection(connection);
}

static void resume_all(void *context)
{
    struct web_gate *gate = context;
    auth_cancel(gate->auth, resume);
}

/* The library wants to know where certificates come from. A session that open_peer()
 * could not prepare comes here, and gets none. */
static int refuse_certificate(gnutls_session_t session, const gnutls_datum_t *ca_names,
                              int ca_count, const gnutls_pk_algorithm_t *algorithms,
                              int algorithm_count, gnutls_pcert_st **certificates,
                              unsigned *certificate_count, gnutls_privkey_t *key)
{
    (void)session;
    (void)ca_names;
    (void)ca_count;
    (void)algorithms;
    (void)algorithm_count;
    (void)certificates;
    (void)key;
    *certificate_count = 0;
    return -1;
}

static struct http_setup make_setup(struct web_gate *gate, const struct web_config *web)
{
    static const struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)refuse_certificate},
        {MHD_OPTION_END, 0, NULL}};
    struct http_setup setup = {.options = NULL};
    if (!web)
        return setup;
    setup.gate = (struct http_gate){.ask = ask,
                                    .forget = forget,
                                    .open = open_peer,
                                    .close = close_peer,
                                    .resume_all = resume_all,
                                    .context = gate};
    if (web_config_tls(web)) {
        setup.flags = MHD_USE_TLS;
        setup.options = tls_options;
    }
    return setup;
}

struct http_setup web_gate_setup(struct web_gate *gate)
{
    return make_setup(gate, gate->web);
}

static struct extra_headers make_headers(const struct web_config *web)
{
    if (!web)
        return (struct extra_headers){NULL, 0};
    const struct web_settings *settings = web_config_settings(web);
    return (struct extra_headers){settings->headers, settings->header_count};
}

struct extra_headers web_gate_headers(const struct web_gate *gate)
{
    return make_headers(gate->web);
}

/* --- the configuration ---------------------------------------------------------------
 */

static void apply(struct web_gate *gate)
{
    const struct web_settings *settings = web_config_settings(gate->web);
    auth_set_users(gate->auth, settings->users, settings->user_count);
    gate->rate = (struct rate_limit){.interval_ns = settings->rate_interval_ns,
                                     .burst = settings->rate_burst};
}

/* From now on WEB counts; the one before is released. */
static void use(struct web_gate *gate, struct web_config *web)
{
    struct web_config *before = gate->web;
    gate->web = web;
    gate->reported[0] = '\0';
    apply(gate);
    web_config_free(before);
}

static int load(struct web_gate *gate, struct http *http, struct err *err)
{
    CLEANUP(web_config_freep) struct web_config *web = NULL;
    int rc = web_config_load(gate->config->web_config_file, &web, err);
    if (rc != 0)
        return rc;
    const struct extra_headers old = make_headers(gate->web), new = make_headers(web);
    rc = http_set_headers(http, &new, err);
    if (rc == 0 && !web_config_tls(web) != !web_config_tls(gate->web)) {
        const struct http_setup setup = make_setup(gate, web);
        rc = http_restart(http, &setup, err);
    }
    if (rc == 0)
        use(gate, TAKE(web));
    else if (http_set_headers(http, &old, NULL) != 0)
        log_line(&gate->config->log, LOG_WARN, "some answers have no extra headers");
    return rc;
}

/* Why a load was tried: somebody asked for it and wants to hear, or a file differs. */
enum occasion { ASKED_FOR, SEEN_TO_DIFFER };

static void report(struct web_gate *gate, enum occasion occasion, const char *why)
{
    bool is_known = strcmp(gate->reported, why) == 0;
    /* Tried again until it works, so that a file that comes a moment after the others is
     * found; but one cause is one line. */
    if (is_known && occasion == SEEN_TO_DIFFER)
        return;
    log_line(&gate->config->log, LOG_ERROR,
             "the web configuration %s; the old one stays: %s",
             is_known ? "still cannot be used" : "has changed and cannot be used", why);
    server_count(gate->config->counters, REFUSED_CONFIG);
    snprintf(gate->reported, sizeof gate->reported, "%s", why);
}

static void load_again(struct web_gate *gate, struct http *http, enum occasion occasion)
{
    struct err err = {0};
    if (load(gate, http, &err) != 0)
        report(gate, occasion, err.message);
    else
        log_line(&gate->config->log, LOG_INFO, "the web configuration was loaded again");
}

void web_gate_reload(struct web_gate *gate, struct http *http)
{
    if (gate->web)
        load_again(gate, http, ASKED_FOR);
}

void web_gate_run(struct web_gate *gate, struct http *http, uint64_t now_ns)
{
    if (!gate->web)
        return;
    auth_collect(gate->auth, resume);
    if (now_ns < gate->next_look_ns)
        return;
    gate->next_look_ns = now_ns + LOOK_INTERVAL_NS;
    if (web_config_has_changed(gate->web))
        load_again(gate, http, SEEN_TO_DIFFER);
}

const struct web_config *web_gate_config(const struct web_gate *gate)
{
    return gate->web;
}

int web_gate_poll_fd(const struct web_gate *gate)
{
    return gate->auth ? auth_fd(gate->auth) : -1;
}

int web_gate_new(const struct server_config *config, struct web_gate **out,
                 struct err *err)
{
    struct web_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    gate->config = config;
    int rc = config->web_config_file
                 ? web_config_load(config->web_config_file, &gate->web, err)
                 : 0;
    if (rc == 0)
        *out = gate;
    else
        web_gate_free(gate);
    return rc;
}

int web_gate_start(struct web_gate *gate, struct err *err)
{
    if (!gate->web)
        return 0;
    /* Also without users: they may come later. */
    int rc = auth_new(&gate->auth, err);
    if (rc == 0)
        apply(gate);
    return rc;
}

void web_gate_free(struct web_gate *gate)
{
    if (!gate)
        return;
    auth_free(gate->auth);
    web_config_free(gate->web);
    free(gate);
}
