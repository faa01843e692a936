/*
 * /proc/<pid>/status: whose process it is, and in how many PID namespaces.
 */
#pragma once

#include "base/str.h"

/* The real uid, first number of the line "Uid:". Needs only the head of the file: the
 * line stands before those that can be long. The kernel escapes newlines in "Name:", so
 * that a process cannot forge a line. Return: 0, or -EBADMSG. */
int proc_status_parse_uid(struct str text, uint32_t *uid);

/* How many PID namespaces the process has a pid in, from the one of that /proc inwards:
 * the numbers of the line "NSpid:". Return: 0 where TEXT has no such line. */
size_t proc_status_count_namespaces(struct str text);
