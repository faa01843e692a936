/*
 * Finds, checks and maps the node.state file.
 *
 * The file comes from outside (any scenario tool may write it), so nothing in it is used
 * before it was checked: magic, size, alignment and extent of the four arrays, references
 * between them, ends of the texts. A file that fails a check is as good as no driver.
 */
#include "sim/driver/node_map.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { ELEMENTS_MAX = 1 << 20 }; /* of any array */

static int path_print(char *path, size_t capacity, int folder_length, const char *folder,
                      const char *name)
{
    int n = snprintf(path, capacity, "%.*s/%s", folder_length, folder, name);
    return n < 0 || (size_t)n >= capacity ? -ENAMETOOLONG : 0;
}

int node_path_find(const void *address, char *path, size_t capacity)
{
    const char *named = getenv(NODE_STATE_ENV);
    if (named && *named) {
        int n = snprintf(path, capacity, "%s", named);
        return n < 0 || (size_t)n >= capacity ? -ENAMETOOLONG : 0;
    }
    Dl_info info;
    if (dladdr(address, &info) == 0 || !info.dli_fname)
        return -ENOENT;
    const char *slash = strrchr(info.dli_fname, '/');
    if (!slash)
        return path_print(path, capacity, 1, ".", NODE_STATE_FILE);
    return path_print(path, capacity, (int)(slash - info.dli_fname), info.dli_fname,
                      NODE_STATE_FILE);
}

static int folder_set(struct node_map *map, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 1;
    if (length >= sizeof(map->folder))
        return -ENAMETOOLONG;
    memcpy(map->folder, slash ? path : ".", length);
    map->folder[length] = '\0';
    return 0;
}

/* The array of COUNT elements at OFFSET, or NULL when it does not lie in the file. */
static const void *array_at(const struct node_map *map, uint64_t offset, uint32_t count,
                            size_t element_bytes)
{
    if (count > ELEMENTS_MAX || offset % _Alignof(struct node_state) != 0 ||
        offset < sizeof(struct node_state) || offset > map->mapped_bytes ||
        count > (map->mapped_bytes - offset) / element_bytes)
        return NULL;
    return (const char *)map->state + offset;
}

static bool arrays_set(struct node_map *map)
{
    const struct node_state *state = map->state;
    map->gpu_count = state->gpu_count;
    map->mig_count = state->mig_count;
    map->process_count = state->process_count;
    map->fault_count = state->fault_count;
    map->gpus = array_at(map, state->gpu_offset, map->gpu_count, sizeof(*map->gpus));
    map->migs = array_at(map, state->mig_offset, map->mig_count, sizeof(*map->migs));
    map->processes =
        array_at(map, state->process_offset, map->process_count, sizeof(*map->processes));
    map->faults =
        array_at(map, state->fault_offset, map->fault_count, sizeof(*map->faults));
    return map->gpus && map->migs && map->processes && map->faults;
}

#define TEXT_ENDS(text) (memchr((text), '\0', sizeof(text)) != NULL)

static bool texts_end(const struct node_map *map)
{
    if (!TEXT_ENDS(map->state->driver_version))
        return false;
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        const struct sim_gpu *gpu = &map->gpus[i];
        if (!TEXT_ENDS(gpu->uuid) || !TEXT_ENDS(gpu->name) || !TEXT_ENDS(gpu->pci_bus_id))
            return false;
    }
    for (uint32_t i = 0; i < map->mig_count; i++) {
        const struct sim_mig_device *mig = &map->migs[i];
        if (!TEXT_ENDS(mig->uuid) || !TEXT_ENDS(mig->profile))
            return false;
    }
    for (uint32_t i = 0; i < map->fault_count; i++) {
        if (!TEXT_ENDS(map->faults[i].call))
            return false;
    }
    return true;
}

static bool references_hold(const struct node_map *map)
{
    for (uint32_t i = 0; i < map->mig_count; i++) {
        if (map->migs[i].gpu >= map->gpu_count)
            return false;
    }
    for (uint32_t i = 0; i < map->process_count; i++) {
        if (map->processes[i].gpu >= map->gpu_count)
            return false;
    }
    return true;
}

static bool content_is_valid(struct node_map *map)
{
    return map->state->magic == NODE_STATE_MAGIC &&
           map->state->size_bytes == map->mapped_bytes && arrays_set(map) &&
           texts_end(map) && references_hold(map);
}

static int file_map(struct node_map *map, const char *path)
{
    /* A client of another user may only read the node: what the library counts in it then
     * stays in a private copy. */
    int sharing = MAP_SHARED;
    CLEANUP(close_fdp) int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EROFS)) {
        sharing = MAP_PRIVATE;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(struct node_state))
        return -EBADMSG;
    size_t size = (size_t)status.st_size;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, sharing, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    map->state = memory;
    map->mapped_bytes = size;
    map->device = status.st_dev;
    map->inode = status.st_ino;
    return 0;
}

int node_map_open(struct node_map *map, const char *path)
{
    memset(map, 0, sizeof(*map));
    int rc = folder_set(map, path);
    if (rc == 0)
        rc = file_map(map, path);
    if (rc == 0 && !content_is_valid(map)) {
        node_map_close(map);
        rc = -EBADMSG;
    }
    return rc;
}

void node_map_close(struct node_map *map)
{
    if (map->state)
        munmap(map->state, map->mapped_bytes);
    memset(map, 0, sizeof(*map));
}
