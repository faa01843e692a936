/* What the tests of the simulated node share: scenarios from text, scratch directories.
 */
#pragma once

#include "sim/node/scenario.h"

/* The scenario of TEXT, in new memory that lives until support_free(). Fails the test
 * with the message when it is refused. */
struct scenario support_parse(const char *text);
void support_free(void);

/* A new empty directory below $TMPDIR or /tmp; descriptor, and its path in PATH. */
int support_make_directory(char path[64]);
void support_remove_directory(int fd, const char *path);

/* Content of PATH below DIRFD, NUL-terminated, valid until the next call. */
const char *support_read(int dirfd, const char *path);
