/*
 * Who may read: passwords of the web configuration, without ever blocking the loop.
 *
 * A question whose answer is not known yet is queued for the thread that checks
 * passwords; its asker waits and asks again when it is told to. Results are remembered by
 * a keyed digest of user, password and hash, never by the password.
 */
#pragma once

#include "server/web_settings.h"

struct auth;

/* Waiting for a check, at most. */
#define AUTH_WAITING_MAX 16
/* Results remembered of each kind. A wrong password never displaces a right one. */
#define AUTH_REMEMBERED_MAX 256

enum auth_verdict {
    AUTH_GRANTED,
    AUTH_REFUSED,
    AUTH_WAIT, /* the asker is told by auth_collect() when to ask again */
    AUTH_BUSY, /* too many are waiting */
};

/* Starts the thread. */
int auth_new(struct auth **out, struct err *err) __attribute__((warn_unused_result));

/* Nobody may be waiting any more (auth_cancel()). Accepts NULL. */
void auth_free(struct auth *auth);

/* Takes over other users, which must live until the next call; forgets all results. Who
 * waits is told to ask again. */
void auth_set_users(struct auth *auth, const struct web_user *users, size_t count);

/* May the sender of this Authorization header (empty: none) read? With no users
 * everybody may. WAITER comes back from auth_collect(). */
enum auth_verdict auth_check(struct auth *auth, struct str header, void *waiter);

/* Readable when auth_collect() has something to do. */
int auth_fd(const struct auth *auth);

typedef void auth_wake_fn(void *waiter);

/* Calls WAKE for each waiter that may ask again, and begins the next check. */
void auth_collect(struct auth *auth, auth_wake_fn *wake);

/* Wakes all who wait, at the end. */
void auth_cancel(struct auth *auth, auth_wake_fn *wake);
