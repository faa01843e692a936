/*
 * What to call a process: never its arguments, they hold secrets.
 */
#pragma once

#include "base/str.h"

/**
 * proc_command_parse() - the name of a process
 * @cmdline:      head of /proc/<pid>/cmdline
 * @is_truncated: there is more of it
 * @comm:         the kernel's name, for where argv[0] names nothing
 *
 * The base name of argv[0], without the '-' that marks a login shell. A program that
 * rewrites its title (setproctitle) puts words, perhaps secrets, where argv[0] stood: a
 * text with a blank is such a title, and comm is taken instead.
 *
 * Return: a view into @cmdline or @comm of at most FACTS_COMMAND_BYTES, not cut inside a
 * UTF-8 sequence; empty only when both are.
 */
struct str proc_command_parse(struct str cmdline, bool is_truncated, struct str comm);
