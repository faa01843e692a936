/*
 * A file that is always whole: written beside its place, then renamed into it.
 *
 * The temporary file has one fixed name per user, ".<name>.<uid>.tmp", and the writer
 * holds a lock (flock) on it from before the first byte until after the rename. So a file
 * that a killed run left is not an orphan but the next run's temporary file, two runs
 * never write to the same one, and nothing needs to guess from a PID whether a writer
 * lives: PIDs of two containers mean nothing to each other. Writers of two users could
 * not share a file (neither may write to the other's), hence the uid.
 */
#include "output/textfile.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum {
    LOCK_ATTEMPTS = 50, /* × LOCK_PAUSE_MS: a writer holds the lock for milliseconds */
    LOCK_PAUSE_MS = 20,
    SHOWN_PATH_BYTES = 120, /* leaves room for cause and remedy in a message */
};

/* Where the file goes: views into the caller's path, and the temporary name. */
struct place {
    const char *path;
    char directory[PATH_MAX];
    const char *name;
    char temporary[NAME_MAX + 1];
    int dirfd;
};

static const char *remedy(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR: return "create the directory, or name the one that node-exporter reads";
    case EROFS: return "mount the directory writable (no readOnly: true)";
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return "free space or raise the quota or file size limit";
    case EACCES:
    case EPERM:
        return "let the user of this program write to the directory and to its own "
               "temporary file there";
    case ENOTSUP: return "name a regular file: a device, FIFO or link would be destroyed";
    case EISDIR: return "name a file in it, such as gpu-sessions.prom";
    case EINVAL:
    case ENAMETOOLONG: return "give the path of a file, with a shorter name";
    case EBUSY: return "another run is writing it: let only one run at a time";
    default: return "see the cause; the previous file is as it was";
    }
}

static int fail(const struct place *place, int code, const char *step, struct err *err)
{
    const char *cause = strerrordesc_np(code);
    return err_set(err, code, ERR_ERRNO, code, "cannot write %.*s: %s: %s; %s",
                   SHOWN_PATH_BYTES, place->path, step, cause ? cause : "unknown error",
                   remedy(code));
}

/* Splits the path. Return: 0 or a positive errno value. */
static int place_split(struct place *place)
{
    struct str path = str_from(place->path);
    ptrdiff_t slash = str_find_last(path, '/');
    struct str directory = slash < 0    ? STR(".")
                           : slash == 0 ? STR("/")
                                        : str_part(path, 0, (size_t)slash);
    place->name = place->path + slash + 1;
    if (!place->name[0])
        return path.n ? EISDIR : EINVAL;
    if (directory.n >= sizeof place->directory)
        return ENAMETOOLONG;
    memcpy(place->directory, directory.p, directory.n);
    place->directory[directory.n] = '\0';
    int n = snprintf(place->temporary, sizeof place->temporary, ".%s.%u.tmp", place->name,
                     (unsigned)geteuid());
    return n < 0 || (size_t)n >= sizeof place->temporary ? ENAMETOOLONG : 0;
}

/* A regular file of ours that has no second name: safe to empty and to write to, even in
 * a directory where others may create files. */
static bool is_ours(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
           status.st_uid == geteuid();
}

/* FD is still the file that the temporary name leads to: the writer who held the lock
 * before us may have renamed it, and it is the finished file now; and whoever may write
 * to the directory may have put another file in its place. */
static bool is_current(const struct place *place, int fd)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 &&
           fstatat(place->dirfd, place->temporary, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/* Return: a descriptor or a negative errno value. */
static int temporary_descriptor(const struct place *place)
{
    /* O_NONBLOCK: a FIFO put there would block the open. */
    const int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(place->dirfd, place->temporary, flags);
    /* Not both in one call: with O_CREAT the kernel (fs.protected_regular) may refuse
     * even root a file that another user put into a sticky directory. */
    if (fd < 0 && errno == ENOENT)
        fd = openat(place->dirfd, place->temporary, flags | O_CREAT | O_EXCL, 0600);
    return fd < 0 ? -errno : fd;
}

/* Clears what no writer of ours left there. Return: EAGAIN, or what stands against it. */
static int temporary_clear(const struct place *place)
{
    int rc = unlinkat(place->dirfd, place->temporary, 0);
    return rc == 0 || errno == ENOENT ? EAGAIN : errno;
}

/* Return: 0 with the open, locked, temporary file in *OUT; EAGAIN: try again; another
 * positive errno value. */
static int temporary_try(const struct place *place, int *out)
{
    int rc = temporary_descriptor(place);
    CLEANUP(close_fdp) int fd = rc < 0 ? -1 : rc;
    if (rc == -ELOOP || rc == -ENXIO) /* a symbolic link, a FIFO: nobody writes to it */
        return temporary_clear(place);
    if (rc < 0)
        return rc == -EEXIST ? EAGAIN : -rc;
    /* The lock comes before any judgement: what is locked is being written, whoever owns
     * it (a uid can look foreign across user namespaces), and must keep its name. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? EBUSY : errno;
    if (!is_current(place, fd))
        return EAGAIN;
    if (!is_ours(fd))
        return temporary_clear(place);
    *out = take_fd(&fd);
    return 0;
}

static int temporary_open(const struct place *place, int *fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    int code = EAGAIN;
    for (int i = 0; i < LOCK_ATTEMPTS && (code == EAGAIN || code == EBUSY); i++) {
        if (code == EBUSY)
            (void)nanosleep(&pause, NULL);
        code = temporary_try(place, fd);
    }
    return code == EAGAIN ? EBUSY : code;
}

/* Return: 0 or a positive errno value; *STEP names what failed. */
static int temporary_fill(int fd, struct str content, const char **step)
{
    *step = "write";
    if (ftruncate(fd, 0) != 0)
        return errno;
    int rc = fdio_write_all(fd, content);
    if (rc != 0)
        return -rc;
    /* Whatever the umask: node-exporter runs as another user. */
    if (fchmod(fd, 0644) != 0)
        return errno;
    *step = "flush to disk";
    return fsync(fd) == 0 ? 0 : errno;
}

/* Renames by name, so only while the name is our file's. Return: as temporary_fill(). */
static int temporary_publish(const struct place *place, int fd, const char **step)
{
    *step = "rename";
    if (!is_current(place, fd))
        return EBUSY;
    if (renameat(place->dirfd, place->temporary, place->dirfd, place->name) != 0)
        return errno;
    /* No failure of it is ours to report (EINVAL: a file system that has no such thing):
     * readers have the new file already, and should the machine crash before the name is
     * on the disk, the old file comes back, whole. */
    (void)fsync(place->dirfd);
    return 0;
}

/* Whether a rename would replace a regular file or nothing. Return: 0 or a positive errno
 * value. */
static int place_check(const struct place *place)
{
    struct stat target;
    if (fstatat(place->dirfd, place->name, &target, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : errno;
    if (S_ISDIR(target.st_mode))
        return EISDIR;
    return S_ISREG(target.st_mode) ? 0 : ENOTSUP;
}

static int place_replace(const struct place *place, struct str content, const char **step)
{
    CLEANUP(close_fdp) int fd = -1;
    *step = "create the temporary file";
    int code = temporary_open(place, &fd);
    if (code != 0)
        return code;
    code = temporary_fill(fd, content, step);
    if (code == 0)
        code = temporary_publish(place, fd, step);
    if (code != 0 && is_current(place, fd))
        (void)unlinkat(place->dirfd, place->temporary, 0);
    return code;
}

/* Opens the directory and looks at what lies there. Return: 0 or a positive errno value;
 * *STEP names what failed. The caller closes place->dirfd. FLAGS: further ones of
 * open(2). */
static int place_open(struct place *place, int flags, const char **step)
{
    *step = "path";
    int code = place_split(place);
    if (code != 0)
        return code;
    *step = "open the directory";
    place->dirfd = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    if (place->dirfd < 0)
        return errno;
    *step = "replace it";
    return place_check(place);
}

int textfile_write(const char *path, struct str content, struct err *err)
{
    struct place place = {.path = path, .dirfd = -1};
    const char *step;
    int code = place_open(&place, 0, &step);
    if (code == 0)
        code = place_replace(&place, content, &step);
    close_fdp(&place.dirfd);
    return code == 0 ? 0 : fail(&place, code, step, err);
}

int textfile_check(const char *path, struct err *err)
{
    struct place place = {.path = path, .dirfd = -1};
    const char *step;
    int code = place_open(&place, 0, &step);
    if (code == 0 && faccessat(place.dirfd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        step = "create the temporary file"; /* as a write would say it */
        code = errno;
    }
    close_fdp(&place.dirfd);
    return code == 0 ? 0 : fail(&place, code, step, err);
}

/* Return: 0 or a positive errno value. */
static int share(int dirfd, gid_t group)
{
    enum { GROUP_WRITES = S_IRGRP | S_IWGRP | S_IXGRP };
    struct stat status;
    if (fstat(dirfd, &status) != 0)
        return errno;
    if (status.st_gid == group && (status.st_mode & GROUP_WRITES) == GROUP_WRITES)
        return 0;
    if (fchown(dirfd, (uid_t)-1, group) != 0 ||
        fchmod(dirfd, (status.st_mode & ALLPERMS) | GROUP_WRITES) != 0)
        return errno;
    return 0;
}

int textfile_share_directory(const char *path, uint32_t group, struct err *err)
{
    struct place place = {.path = path, .dirfd = -1};
    const char *step;
    /* root does this: who may replace the directory by a link must not choose another. */
    int code = place_open(&place, O_NOFOLLOW, &step);
    if (code != 0) {
        close_fdp(&place.dirfd);
        return fail(&place, code, step, err);
    }
    code = share(place.dirfd, group);
    close_fdp(&place.dirfd);
    if (code == 0)
        return 0;
    const char *cause = strerrordesc_np(code);
    return err_set(
        err, code, ERR_ERRNO, code,
        "cannot let group %u write to %.*s: %s; only the directory's owner can, "
        "as a member of that group: run this as that user, or on the host "
        "'chgrp %u' and 'chmod g+rwx' it",
        group, SHOWN_PATH_BYTES, place.directory, cause ? cause : "unknown error", group);
}
