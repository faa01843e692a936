/*
 * The command: check the directory, write the new node beside the old one, swap them,
 * print the flags, and hold the node if asked to.
 *
 * The old node may be in use. Its library and state are replaced by rename, so that what
 * a reader has mapped stays whole; its trees are moved away before they are removed.
 */
#include "sim/node/simulate.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "sim/node/builtin.h"
#include "sim/node/directory.h"
#include "sim/node/hold.h"
#include "sim/node/node_driver.h"
#include "sim/node/node_state_build.h"
#include "sim/node/node_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define NEW_NODE ".gpu-sessions-new"
#define OLD_NODE ".gpu-sessions-old"

enum { FROZEN_BOOT_SECONDS = 1767225600, OUTPUT_BYTES_MAX = 1 << 16, TICK_SECONDS = 1 };

/* Entries of a node, in the order in which they are swapped: the state last, which is
 * what tells a finished node from a half-written one. */
static const char *const node_entries[] = {"proc", "rootfs", "bin", "libnvidia-ml.so.1",
                                           NODE_STATE_FILE};

/* True for a directory with nothing in it but the leftovers of an interrupted run. */
static bool is_unused(int dirfd)
{
    int fd = directory_open(dirfd, ".");
    CLEANUP(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        close_fdp(&fd);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            strcmp(name, NEW_NODE) != 0 && strcmp(name, OLD_NODE) != 0)
            return false;
    }
    return true;
}

static bool is_former_node(int dirfd)
{
    uint64_t magic = 0;
    struct str text;
    int rc = fdio_read_at(dirfd, NODE_STATE_FILE, (char *)&magic, sizeof(magic), &text);
    return rc >= 0 && text.n == sizeof(magic) && magic == NODE_STATE_MAGIC;
}

/* The flags are meant for $(…): the shell would split and expand some paths. */
static int check_path(const char *path, struct err *err)
{
    if (!strpbrk(path, " \t\r\n\v\f*?[]\\\"'"))
        return 0;
    return err_set(
        err, EINVAL, ERR_USAGE, 0,
        "simulate: directory \"%.160s\" holds blanks or characters that a shell "
        "expands; choose another, the printed flags are meant for $(...)",
        path);
}

/* Opens and locks the directory, writes its absolute path to PATH. Return: descriptor or
 * negative. */
static int open_directory(const char *directory, char path[PATH_MAX], struct err *err)
{
    int rc = check_path(directory, err);
    if (rc)
        return rc;
    if (!directory[0])
        return err_set(err, EINVAL, ERR_USAGE, 0, "simulate: the directory has no name");
    if (mkdir(directory, 0755) != 0 && errno != EEXIST)
        return err_errno(err, errno, "simulate: creating %s", directory);
    CLEANUP(close_fdp) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !realpath(directory, path))
        return err_errno(err, errno, "simulate: %s", directory);
    rc = check_path(path, err);
    if (rc)
        return rc;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(
            err, EBUSY, ERR_USAGE, 0,
            "simulate: %s is held by another `simulate --hold`; end that one or "
            "choose another directory",
            path);
    if (!is_former_node(fd) && !is_unused(fd))
        return err_set(
            err, ENOTEMPTY, ERR_USAGE, 0,
            "simulate: %s is not empty and no simulated node; choose an empty or "
            "new directory",
            path);
    return take_fd(&fd);
}

static struct node_clock start_clock(const struct scenario *scenario, bool is_frozen)
{
    uint64_t frozen_us = FROZEN_BOOT_SECONDS * UINT64_C(1000000) +
                         (uint64_t)(scenario->uptime_seconds * 1e6);
    return (struct node_clock){.epoch_us = is_frozen ? frozen_us : clock_wall_us(),
                               .uptime_seconds = scenario->uptime_seconds,
                               .is_frozen = is_frozen};
}

static int write_state(int dirfd, struct arena *arena, const struct scenario *scenario,
                       const struct node_clock *clock, struct err *err)
{
    struct str state;
    int rc = node_state_build(arena, scenario, clock, &state, err);
    if (rc)
        return rc;
    rc = directory_write(dirfd, NODE_STATE_FILE, state, 0644);
    return rc ? err_errno(err, -rc, "writing %s", NODE_STATE_FILE) : 0;
}

/* Puts the new node's NAME in place of the old one's; the old one goes. */
static int swap_entry(int dirfd, int newfd, const char *name)
{
    int rc = directory_remove(dirfd, OLD_NODE);
    if (rc)
        return rc;
    bool is_new = faccessat(newfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    struct stat stat;
    bool is_old_tree =
        fstatat(dirfd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode);
    if ((is_old_tree || !is_new) && renameat(dirfd, name, dirfd, OLD_NODE) != 0 &&
        errno != ENOENT)
        return -errno;
    if (is_new && renameat(newfd, name, dirfd, name) != 0)
        return -errno;
    return directory_remove(dirfd, OLD_NODE);
}

static int swap_nodes(int dirfd, int newfd, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(node_entries); i++) {
        int rc = swap_entry(dirfd, newfd, node_entries[i]);
        if (rc)
            return err_errno(err, -rc, "simulate: replacing %s", node_entries[i]);
    }
    int rc = directory_remove(dirfd, NEW_NODE);
    return rc ? err_errno(err, -rc, "simulate: removing %s", NEW_NODE) : 0;
}

static int write_node(int dirfd, const struct simulate_options *options,
                      struct arena *arena, const struct scenario *scenario,
                      const struct node_clock *clock, struct err *err)
{
    struct node_driver_paths paths = {.library = options->library, .smi = options->smi};
    int rc = directory_remove(dirfd, NEW_NODE);
    CLEANUP(close_fdp) int newfd = rc ? rc : directory_make(dirfd, NEW_NODE);
    if (newfd < 0)
        return err_errno(err, -newfd, "simulate: %s", options->directory);
    rc = node_tree_write(newfd, scenario, clock, err);
    rc = rc ? rc : node_driver_write(newfd, scenario, &paths, err);
    rc = rc ? rc : write_state(newfd, arena, scenario, clock, err);
    rc = rc ? rc : swap_nodes(dirfd, newfd, err);
    if (rc)
        (void)directory_remove(dirfd, NEW_NODE);
    return rc;
}

static int print(int fd, const struct buf *buf, struct err *err)
{
    int rc = buf_is_full(buf) ? -ENOMEM : fdio_write_all(fd, buf_str(buf));
    return rc ? err_errno(err, -rc, "simulate: writing the output") : 0;
}

static int print_flags(int fd, const char *path, struct err *err)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT(OUTPUT_BYTES_MAX);
    buf_printf(&buf,
               "--nvml.library=%s/libnvidia-ml.so.1 --nvidia-smi.path=%s/bin/nvidia-smi "
               "--path.procfs=%s/proc --path.rootfs=%s/rootfs\n",
               path, path, path, path);
    return print(fd, &buf, err);
}

static int print_list(int fd, struct err *err)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT(OUTPUT_BYTES_MAX);
    CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
    if (!arena)
        return err_errno(err, ENOMEM, "simulate");
    for (size_t i = 0; i < builtin_scenario_count; i++) {
        struct scenario scenario;
        int rc = scenario_load(arena, builtin_scenarios[i].name, &scenario, err);
        if (rc)
            return rc;
        buf_printf(&buf, "%-18s %s\n", scenario.label, scenario.description);
        arena_reset(arena);
    }
    return print(fd, &buf, err);
}

/* Moves the node once a second until one of SIGNALS (which are blocked) arrives. */
static int move_until_signal(struct hold *hold, bool is_frozen, const sigset_t *signals,
                             struct err *err)
{
    const struct timespec tick = {.tv_sec = TICK_SECONDS};
    const double begin = clock_monotonic_seconds();
    while (sigtimedwait(signals, NULL, &tick) < 0) {
        int rc =
            is_frozen ? 0 : hold_advance(hold, clock_monotonic_seconds() - begin, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* HOLD is opened and the signals blocked before the flags are printed: whoever reads them
 * may end this process at once. */
static int print_and_hold(int dirfd, const struct simulate_options *options,
                          const char *path, const struct scenario *scenario,
                          const struct node_clock *clock, struct err *err)
{
    CLEANUP(hold_closep) struct hold *hold = NULL;
    sigset_t signals;
    sigset_t before;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    int rc = hold_open(dirfd, scenario, clock, &hold, err);
    if (rc)
        return rc;
    if (sigprocmask(SIG_BLOCK, &signals, &before) != 0)
        return err_errno(err, errno, "simulate");
    rc = print_flags(options->output_fd, path, err);
    rc = rc ? rc : move_until_signal(hold, clock->is_frozen, &signals, err);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int simulate_run(const struct simulate_options *options, struct err *err)
{
    char path[PATH_MAX];
    struct scenario scenario;
    if (options->list)
        return print_list(options->output_fd, err);
    CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
    if (!arena)
        return err_errno(err, ENOMEM, "simulate");
    int rc = scenario_load(arena, options->scenario ? options->scenario : "default",
                           &scenario, err);
    if (rc)
        return rc;
    CLEANUP(close_fdp) int dirfd = open_directory(options->directory, path, err);
    if (dirfd < 0)
        return dirfd;
    struct node_clock clock = start_clock(&scenario, options->freeze);
    rc = write_node(dirfd, options, arena, &scenario, &clock, err);
    if (rc)
        return rc;
    return options->hold ? print_and_hold(dirfd, options, path, &scenario, &clock, err)
                         : print_flags(options->output_fd, path, err);
}
