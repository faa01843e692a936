/*
 * Password hashes as the web configuration has them: bcrypt, by libxcrypt.
 */
#pragma once

#include "base/str.h"

#include <crypt.h>

/* "$2y$10$", 22 characters of salt, 31 of hash. */
#define BCRYPT_HASH_BYTES 60

/* Each step doubles the time: cost 10 takes some 70 ms, 14 a second. More would let a few
 * wrong passwords keep the checker busy for minutes. */
#define BCRYPT_COST_MIN 4
#define BCRYPT_COST_MAX 14

/* True for a whole hash of version 2a, 2b or 2y; COST is set for any cost that is
 * written there, in bounds or not. */
bool bcrypt_parse(struct str hash, unsigned *cost);

/* A hash of COST that no password is known for: checking against it takes the time that
 * a real one takes. OUT: BCRYPT_HASH_BYTES + 1 bytes. */
void bcrypt_write_dummy(unsigned cost, char *out);

/* Does PASSWORD have HASH? Takes long on purpose. SCRATCH is wiped. */
bool bcrypt_matches(const char *password, const char *hash, struct crypt_data *scratch);
