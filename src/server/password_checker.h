/*
 * One thread that compares passwords with their hashes, one at a time.
 *
 * bcrypt takes long on purpose; the event loop hands a comparison over and is woken by a
 * descriptor. One thread, so that a flood of passwords takes one core at most.
 */
#pragma once

#include "base/err.h"
#include "server/basic_auth.h"
#include "server/bcrypt.h"

struct password_checker;

/* Return: 0 or negative without a thread or descriptor. */
int password_checker_new(struct password_checker **out, struct err *err)
    __attribute__((warn_unused_result));

/* Waits for a comparison that is running. Accepts NULL. */
void password_checker_free(struct password_checker *checker);

/* Readable when a comparison has come to its end. */
int password_checker_fd(const struct password_checker *checker);

/* Hands PASSWORD and HASH over; both are copied. Return: false while another comparison
 * has not been taken yet. */
bool password_checker_start(struct password_checker *checker, const char *password,
                            const char *hash);

/* Takes the result. Return: false when there is none yet. */
bool password_checker_take(struct password_checker *checker, bool *is_match);
