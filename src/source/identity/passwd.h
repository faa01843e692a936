/*
 * Names of the host's users, from its own passwd file: the program may run in a container
 * whose users are others, so the C library's are not asked.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

enum { USER_NAME_BYTES = 64 };

/* One line "name:password:uid:…". Return: 0, or -EBADMSG (also for a name longer than
 * USER_NAME_BYTES). */
int passwd_parse_line(struct str line, uint32_t *uid, struct str *name);

struct passwd_file;

/* @rootfs is borrowed for the call. Return: NULL when memory is gone. */
struct passwd_file *passwd_new(const char *rootfs);
void passwd_free(struct passwd_file *passwd);

/* The name of UID, or NULL; valid until the file is read again. The file may be missing;
 * it is read again when it changed, looked at once per ROUND (any number that changes
 * from one collection to the next). At most 4 MiB of it are read. */
const char *passwd_find(struct passwd_file *passwd, uint32_t uid, uint64_t round);
