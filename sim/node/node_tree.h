/*
 * The file trees of a simulated node: proc/ and rootfs/.
 */
#pragma once

#include "sim/node/node_clock.h"
#include "sim/node/scenario.h"

/* Creates "proc" and "rootfs" below DIRFD (neither may exist). Return: 0 or negative. */
int node_tree_write(int dirfd, const struct scenario *scenario,
                    const struct node_clock *clock, struct err *err);

/* Adds the entry of PROCESS, started START_SECONDS after boot, to the tree whose proc
 * directory is PROCFD. Return: 0 or -errno. */
int node_tree_add_process(int procfd, const struct scenario *scenario,
                          const struct scenario_process *process, double start_seconds);

/* Removes it; absent is fine. Return: 0 or -errno. */
int node_tree_remove_process(int procfd, const struct scenario_process *process);

/* Sets the "now" of the tree. Return: 0 or -errno. */
int node_tree_set_uptime(int procfd, double seconds);
