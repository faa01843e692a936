/*
 * Writes through the mapping that the simulated driver reads. Only the fields that
 * node_state.h names are touched: alive of processes, lost of GPUs.
 */
#include "sim/node/hold.h"

#include "base/cleanup.h"
#include "sim/node/directory.h"
#include "sim/node/node_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* One process that comes or goes. */
struct watched {
    const struct scenario_process *process;
    bool is_alive;
    double born;
};

struct hold {
    const struct scenario *scenario;
    struct node_clock clock;
    int procfd;
    struct node_state *state;
    size_t state_bytes;
    struct watched *watched;
    size_t watched_count;
};

static int map_state(struct hold *hold, int dirfd)
{
    CLEANUP(close_fdp) int fd = openat(dirfd, NODE_STATE_FILE, O_RDWR | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0)
        return -errno;
    size_t size = (size_t)stat.st_size;
    if (size < sizeof(struct node_state))
        return -EBADMSG;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    hold->state = memory;
    hold->state_bytes = size;
    const struct node_state *state = memory;
    return state->magic == NODE_STATE_MAGIC && state->size_bytes == size &&
                   state->process_count == hold->scenario->entry_count &&
                   state->gpu_count == hold->scenario->gpu_count
               ? 0
               : -EBADMSG;
}

static int list_watched(struct hold *hold)
{
    const struct scenario *scenario = hold->scenario;
    hold->watched = calloc(scenario->process_count + 1, sizeof(*hold->watched));
    if (!hold->watched)
        return -ENOMEM;
    for (size_t i = 0; i < scenario->process_count; i++) {
        const struct scenario_process *process = &scenario->processes[i];
        if (!scenario_process_changes(process))
            continue;
        struct watched *watched = &hold->watched[hold->watched_count++];
        watched->process = process;
        watched->is_alive = scenario_process_lives(process, 0, &watched->born);
    }
    return 0;
}

int hold_open(int dirfd, const struct scenario *scenario, const struct node_clock *clock,
              struct hold **out, struct err *err)
{
    CLEANUP(hold_closep) struct hold *hold = calloc(1, sizeof(*hold));
    if (!hold)
        return err_errno(err, ENOMEM, "holding the simulated node");
    hold->scenario = scenario;
    hold->clock = *clock;
    hold->procfd = directory_open(dirfd, "proc");
    int rc = hold->procfd < 0 ? hold->procfd : map_state(hold, dirfd);
    rc = rc ? rc : list_watched(hold);
    if (rc) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): CLEANUP frees it */
        return err_errno(err, -rc, "holding the simulated node");
    *out = TAKE(hold);
    return 0;
}

void hold_close(struct hold *hold)
{
    if (!hold)
        return;
    if (hold->state)
        munmap(hold->state, hold->state_bytes);
    close_fdp(&hold->procfd);
    free(hold->watched);
    free(hold);
}

static void set_alive(struct hold *hold, const struct scenario_process *process,
                      uint32_t is_alive)
{
    struct sim_process *entries =
        (struct sim_process *)(void *)((char *)hold->state + hold->state->process_offset);
    for (size_t i = 0; i < process->target_count; i++)
        __atomic_store_n(&entries[process->first_entry + i].alive, is_alive,
                         __ATOMIC_RELEASE);
}

static int end_process(struct hold *hold, struct watched *watched)
{
    set_alive(hold, watched->process, 0);
    watched->is_alive = false;
    return watched->process->in_proc
               ? node_tree_remove_process(hold->procfd, watched->process)
               : 0;
}

static int begin_process(struct hold *hold, struct watched *watched, double born)
{
    watched->is_alive = true;
    watched->born = born;
    int rc = watched->process->in_proc
                 ? node_tree_add_process(hold->procfd, hold->scenario, watched->process,
                                         hold->clock.uptime_seconds + born)
                 : 0;
    if (rc == 0)
        set_alive(hold, watched->process, 1);
    return rc;
}

/* A process that ended and began again since the last look is another one: its directory
 * is made anew, with the new start time. */
static int advance_process(struct hold *hold, struct watched *watched, double seconds)
{
    double born;
    int rc = 0;
    bool lives = scenario_process_lives(watched->process, seconds, &born);
    bool is_another = lives && watched->is_alive && born > watched->born;
    if (watched->is_alive && (!lives || is_another))
        rc = end_process(hold, watched);
    if (rc == 0 && lives && !watched->is_alive)
        rc = begin_process(hold, watched, born);
    return rc;
}

static void advance_gpus(struct hold *hold, double seconds)
{
    struct sim_gpu *gpus =
        (struct sim_gpu *)(void *)((char *)hold->state + hold->state->gpu_offset);
    for (size_t i = 0; i < hold->scenario->gpu_count; i++) {
        const struct scenario_gpu *gpu = &hold->scenario->gpus[i];
        if (gpu->lost_after_seconds >= 0 && seconds >= gpu->lost_after_seconds)
            __atomic_store_n(&gpus[i].lost, gpu->lost_code, __ATOMIC_RELEASE);
    }
}

int hold_advance(struct hold *hold, double seconds, struct err *err)
{
    int rc = node_tree_set_uptime(hold->procfd, hold->clock.uptime_seconds + seconds);
    for (size_t i = 0; !rc && i < hold->watched_count; i++)
        rc = advance_process(hold, &hold->watched[i], seconds);
    advance_gpus(hold, seconds);
    return rc ? err_errno(err, -rc, "updating proc/ of the simulated node") : 0;
}
