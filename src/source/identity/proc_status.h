/*
 * /proc/<pid>/status: whose process it is.
 */
#pragma once

#include "base/str.h"

/* The real uid, first number of the line "Uid:". Needs only the head of the file: the
 * line stands before those that can be long. The kernel escapes newlines in "Name:", so
 * that a process cannot forge a line. Return: 0, or -EBADMSG. */
int proc_status_parse_uid(struct str text, uint32_t *uid);
