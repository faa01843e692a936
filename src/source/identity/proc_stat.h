/*
 * /proc/<pid>/stat: the start time that makes a pid an identity, and the kernel's name.
 */
#pragma once

#include "base/str.h"

struct proc_stat {
    uint64_t start_ticks; /* since boot */
    struct str comm;      /* any bytes, at most 64; views the parsed text */
};

/**
 * proc_stat_parse() - start time and comm of one process
 * @text: content of the file; any bytes
 * @out:  written only on success
 *
 * The process picks its own comm and may put spaces, newlines and ')' into it: fields are
 * counted from the last ')'.
 *
 * Source: proc_pid_stat(5), fields 2 and 22
 * Return: 0, or -EBADMSG when a field is missing or not a number
 */
int proc_stat_parse(struct str text, struct proc_stat *out);

/* Reads PATH ("stat" or "<pid>/stat") below DIRFD into BUFFER, with one read, and parses
 * it. Return: 0, -EBADMSG, -errno. */
int proc_stat_read(int dirfd, const char *path, char *buffer, size_t capacity,
                   struct proc_stat *out);

/* Enough for 52 numbers of 20 digits and a name. */
enum { PROC_STAT_BYTES = 2048, PROC_COMM_BYTES = 64 };
