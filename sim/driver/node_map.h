/*
 * The mapped node.state file, with every count and offset of it checked once.
 *
 * Counts and array positions are copied out at opening: the file stays writable by others
 * while it is mapped, and a count that changes later must not move a bound.
 */
#pragma once

#include "sim/node_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { NODE_FOLDER_BYTES = 4096 };

struct node_map {
    struct node_state *state; /* NULL: not open */
    size_t mapped_bytes;
    dev_t device; /* which file it is, to tell a replaced file from the same one */
    ino_t inode;
    const struct sim_gpu *gpus;
    const struct sim_mig_device *migs;
    const struct sim_process *processes;
    const struct sim_fault *faults;
    uint32_t gpu_count, mig_count, process_count, fault_count;
    char folder[NODE_FOLDER_BYTES]; /* where node.state lies, without a final '/' */
};

/* Writes the path of the node.state to use to PATH: the environment variable's, else the
 * file beside the object that contains ADDRESS. Return: 0 or -errno. */
int node_path_find(const void *address, char *path, size_t capacity);

/* Maps PATH. Return: 0; -EACCES or -EROFS when it may not be written; another -errno when
 * there is none; -EBADMSG when its content is not a node.state of this version. */
int node_map_open(struct node_map *map, const char *path);

void node_map_close(struct node_map *map);
