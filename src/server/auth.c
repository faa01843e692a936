/*
 * Users, remembered results, and the queue for the thread.
 *
 * Hazards that shape it: the time of an answer must not tell whether a user exists, so an
 * unknown one is checked against a hash that is as slow as the slowest real one; and
 * whoever waits holds a connection, so the queue is short. All of it runs on the event
 * loop; only the checker has a thread.
 */
#include "server/auth.h"

#include "base/cleanup.h"
#include "server/password_checker.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

#define DIGEST_BYTES 32 /* HMAC-SHA-256 */

struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

/* Results of one kind; the oldest gives way. */
struct memory {
    struct digest digests[AUTH_REMEMBERED_MAX];
    size_t count;
    size_t next;
};

struct waiting {
    struct digest digest;
    void *waiter;
    char password[BASIC_AUTH_PASSWORD_MAX + 1];
    char hash[BCRYPT_HASH_BYTES + 1];
};

struct auth {
    struct password_checker *checker;
    unsigned char key[DIGEST_BYTES]; /* random, of this process */
    const struct web_user *users;
    size_t user_count;
    char dummy[BCRYPT_HASH_BYTES + 1];
    struct memory right;
    struct memory wrong;
    struct waiting queue[AUTH_WAITING_MAX];
    size_t waiting_count;
    struct digest checked; /* what the thread is busy with */
};

static bool memory_has(const struct memory *memory, const struct digest *digest)
{
    bool is_found = false;
    /* without an early end: the time tells nothing */
    for (size_t i = 0; i < memory->count; i++)
        is_found |= gnutls_memcmp(&memory->digests[i], digest, sizeof *digest) == 0;
    return is_found;
}

static void memory_add(struct memory *memory, const struct digest *digest)
{
    memory->digests[memory->next] = *digest;
    memory->next = (memory->next + 1) % AUTH_REMEMBERED_MAX;
    if (memory->count < AUTH_REMEMBERED_MAX)
        memory->count++;
}

/* Of user, password and hash, told apart by their NULs. */
static bool digest_make(const struct auth *auth, const struct basic_auth *given,
                        const char *hash, struct digest *out)
{
    gnutls_hmac_hd_t hmac;
    if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, auth->key, sizeof auth->key) < 0)
        return false;
    bool is_made = gnutls_hmac(hmac, given->user, strlen(given->user) + 1) == 0 &&
                   gnutls_hmac(hmac, given->password, strlen(given->password) + 1) == 0 &&
                   gnutls_hmac(hmac, hash, strlen(hash) + 1) == 0;
    gnutls_hmac_deinit(hmac, out->bytes);
    return is_made;
}

int auth_new(struct auth **out, struct err *err)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    int rc = password_checker_new(&auth->checker, err);
    if (rc == 0 && gnutls_rnd(GNUTLS_RND_KEY, auth->key, sizeof auth->key) < 0)
        rc = err_set(err, EIO, ERR_ERRNO, EIO, "no random numbers");
    if (rc != 0) {
        auth_free(auth);
        return rc;
    }
    *out = auth;
    return 0;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    password_checker_free(auth->checker);
    explicit_bzero(auth, sizeof *auth);
    free(auth);
}

void auth_set_users(struct auth *auth, const struct web_user *users, size_t count)
{
    unsigned cost = BCRYPT_COST_MIN;
    for (size_t i = 0; i < count; i++) {
        if (users[i].cost > cost)
            cost = users[i].cost;
    }
    bcrypt_write_dummy(cost, auth->dummy);
    auth->users = users;
    auth->user_count = count;
    explicit_bzero(&auth->right, sizeof auth->right);
    explicit_bzero(&auth->wrong, sizeof auth->wrong);
}

static const char *find_hash(const struct auth *auth, const char *user)
{
    const char *hash = auth->dummy;
    for (size_t i = 0; i < auth->user_count; i++) {
        if (strcmp(auth->users[i].name, user) == 0)
            hash = auth->users[i].hash;
    }
    return hash;
}

static void start_first(struct auth *auth)
{
    struct waiting *first = &auth->queue[0];
    if (auth->waiting_count &&
        password_checker_start(auth->checker, first->password, first->hash)) {
        explicit_bzero(first->password, sizeof first->password);
        auth->checked = first->digest;
    }
}

static enum auth_verdict wait_in_queue(struct auth *auth, const struct basic_auth *given,
                                       const char *hash, const struct digest *digest,
                                       void *waiter)
{
    if (auth->waiting_count == AUTH_WAITING_MAX)
        return AUTH_BUSY;
    struct waiting *last = &auth->queue[auth->waiting_count++];
    last->digest = *digest;
    last->waiter = waiter;
    memcpy(last->password, given->password, sizeof last->password);
    memcpy(last->hash, hash, sizeof last->hash);
    if (auth->waiting_count == 1)
        start_first(auth); /* refused while the thread is at one that was cancelled */
    return AUTH_WAIT;
}

enum auth_verdict auth_check(struct auth *auth, struct str header, void *waiter)
{
    struct basic_auth given;
    struct digest digest;
    if (auth->user_count == 0)
        return AUTH_GRANTED;
    if (!basic_auth_parse(header, &given))
        return AUTH_REFUSED;
    const char *hash = find_hash(auth, given.user);
    enum auth_verdict verdict = AUTH_BUSY;
    if (digest_make(auth, &given, hash, &digest)) {
        if (memory_has(&auth->right, &digest))
            verdict = hash == auth->dummy ? AUTH_REFUSED : AUTH_GRANTED;
        else if (memory_has(&auth->wrong, &digest))
            verdict = AUTH_REFUSED;
        else
            verdict = wait_in_queue(auth, &given, hash, &digest, waiter);
    }
    explicit_bzero(&given, sizeof given);
    return verdict;
}

int auth_fd(const struct auth *auth)
{
    return password_checker_fd(auth->checker);
}

/* Takes who has DIGEST (NULL: everybody) out of the queue and wakes them. */
static void wake_waiters(struct auth *auth, const struct digest *digest,
                         auth_wake_fn *wake)
{
    void *woken[AUTH_WAITING_MAX];
    size_t woken_count = 0, kept = 0;
    for (size_t i = 0; i < auth->waiting_count; i++) {
        struct waiting *waiting = &auth->queue[i];
        if (!digest || memcmp(&waiting->digest, digest, sizeof *digest) == 0)
            woken[woken_count++] = waiting->waiter;
        else if (kept++ != i)
            auth->queue[kept - 1] = *waiting;
    }
    for (size_t i = kept; i < auth->waiting_count; i++)
        explicit_bzero(&auth->queue[i], sizeof auth->queue[i]);
    auth->waiting_count = kept;
    for (size_t i = 0; i < woken_count; i++)
        wake(woken[i]);
}

void auth_collect(struct auth *auth, auth_wake_fn *wake)
{
    bool is_match;
    if (!password_checker_take(auth->checker, &is_match))
        return;
    /* It holds whatever has happened since: the digest is of the hash too. Whoever asked
     * under other users asks again under the new ones. */
    struct digest digest = auth->checked;
    memory_add(is_match ? &auth->right : &auth->wrong, &digest);
    wake_waiters(auth, &digest, wake);
    start_first(auth);
}

void auth_cancel(struct auth *auth, auth_wake_fn *wake)
{
    wake_waiters(auth, NULL, wake);
}
