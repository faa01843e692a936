/*
 * Whole or not at all: modes, leftovers, other writers, and every failure with the old
 * file intact and a message that names the path.
 */
#include "../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "output/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 128, NOBODY = 65534 };

struct fixture {
    char directory[PATH_BYTES];
    char path[PATH_BYTES];
    char temporary[PATH_BYTES];
};

/* Files flushed and directories flushed since setup; what happens once, in the place of
 * another process, between the flush of the content and the rename. */
static struct {
    int files;
    int directories;
    int directory_error; /* errno value that the flush of a directory answers */
    const char *replace; /* put another file under this name */
} flush;

static void put_file(const char *path, const char *content)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, str_from(content)), 0);
}

/* Stands before the C library's: the last thing the writer does ahead of the rename. */
int fsync(int fd)
{
    struct stat status;
    bool is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    *(is_directory ? &flush.directories : &flush.files) += 1;
    if (flush.replace && !is_directory) {
        assert_int_equal(unlink(flush.replace), 0);
        put_file(flush.replace, "another's, half");
    }
    if (is_directory && flush.directory_error) {
        errno = flush.directory_error;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    (void)snprintf(fixture->directory, PATH_BYTES, "/tmp/test_textfile.XXXXXX");
    if (!mkdtemp(fixture->directory))
        return -1;
    (void)snprintf(fixture->path, PATH_BYTES, "%.60s/gpu.prom", fixture->directory);
    (void)snprintf(fixture->temporary, PATH_BYTES, "%.60s/.gpu.prom.%u.tmp",
                   fixture->directory, (unsigned)geteuid());
    memset(&flush, 0, sizeof flush);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    (void)umount2(fixture->directory, MNT_DETACH);
    (void)unlink(fixture->path);
    (void)rmdir(fixture->path);
    (void)unlink(fixture->temporary);
    (void)rmdir(fixture->temporary);
    int rc = rmdir(fixture->directory); /* fails when a test left something behind */
    free(fixture);
    return rc;
}

static void assert_file(const char *path, const char *content)
{
    char buffer[4096];
    struct str text = {0};
    assert_int_equal(fdio_read_at(AT_FDCWD, path, buffer, sizeof buffer, &text), 0);
    assert_true(str_equal(text, str_from(content)));
}

static void assert_absent(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), -1);
    assert_int_equal(errno, ENOENT);
}

/* Writing fails with CODE, and the message names PATH and holds REMEDY. */
static void assert_fails(const char *path, struct str content, int code,
                         const char *remedy)
{
    struct err err = {0};
    assert_int_equal(textfile_write(path, content, &err), -code);
    if (!strstr(err.message, path) || !strstr(err.message, remedy))
        fail_msg("message: %s", err.message);
}

/* What stands against a write can be told before, in the same words. */
static void assert_refuses(const char *path, int code, const char *remedy)
{
    struct err before = {0}, err = {0};
    assert_fails(path, STR("x"), code, remedy);
    assert_int_equal(textfile_check(path, &before), -code);
    assert_int_equal(textfile_write(path, STR("x"), &err), -code);
    assert_string_equal(before.message, err.message);
}

static void test_new_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    mode_t mask = umask(077);
    assert_int_equal(textfile_write(fixture->path, STR("one\n"), NULL), 0);
    assert_file(fixture->path, "one\n");
    assert_int_equal(textfile_write(fixture->path, STR(""), NULL), 0);
    (void)umask(mask);
    assert_file(fixture->path, "");
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_absent(fixture->temporary);
}

static void test_path_without_directory(void **state)
{
    struct fixture *fixture = *state;
    char before[PATH_BYTES * 8];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(fixture->directory), 0);
    int rc = textfile_write("gpu.prom", STR("x\n"), NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, 0);
    assert_file(fixture->path, "x\n");
}

static void test_leftover_of_a_killed_run(void **state)
{
    struct fixture *fixture = *state;
    put_file(fixture->temporary, "half a pa, and longer than what comes now");
    assert_int_equal(textfile_write(fixture->path, STR("new\n"), NULL), 0);
    assert_file(fixture->path, "new\n");
    assert_absent(fixture->temporary);
}

/* A temporary file that is not plainly ours is replaced, never written through. */
static void test_planted_temporary_files(void **state)
{
    struct fixture *fixture = *state;
    char victim[PATH_BYTES];
    (void)snprintf(victim, PATH_BYTES, "%.60s/victim", fixture->directory);
    put_file(victim, "precious");
    assert_int_equal(symlink(victim, fixture->temporary), 0);
    assert_int_equal(textfile_write(fixture->path, STR("1\n"), NULL), 0);
    assert_int_equal(link(victim, fixture->temporary), 0);
    assert_int_equal(textfile_write(fixture->path, STR("2\n"), NULL), 0);
    assert_int_equal(mkfifo(fixture->temporary, 0600), 0);
    assert_int_equal(textfile_write(fixture->path, STR("3\n"), NULL), 0);
    assert_file(fixture->path, "3\n");
    assert_file(victim, "precious");
    assert_int_equal(unlink(victim), 0);
}

static void test_only_a_regular_file_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    char target[PATH_BYTES];
    struct stat status;
    (void)snprintf(target, PATH_BYTES, "%.60s/target", fixture->directory);
    put_file(target, "target");
    assert_int_equal(symlink("target", fixture->path), 0);
    assert_fails(fixture->path, STR("new"), ENOTSUP, "regular file");
    assert_int_equal(lstat(fixture->path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_file(target, "target");
    assert_int_equal(unlink(target), 0);
    assert_int_equal(unlink(fixture->path), 0);

    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_fails(fixture->path, STR("new"), ENOTSUP, "regular file");
    assert_int_equal(lstat(fixture->path, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    assert_int_equal(unlink(fixture->path), 0);
}

static void test_another_writer_holds_the_lock(void **state)
{
    struct fixture *fixture = *state;
    put_file(fixture->path, "old");
    put_file(fixture->temporary, "being written");
    int fd = open(fixture->temporary, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_fails(fixture->path, STR("new"), EBUSY, "only one run");
    assert_file(fixture->path, "old");
    assert_file(fixture->temporary, "being written");
    (void)close(fd);
    assert_int_equal(textfile_write(fixture->path, STR("new"), NULL), 0);
    assert_file(fixture->path, "new");
}

/* What the temporary name leads to now is not what was written: it is not published, and
 * not removed either. */
static void test_temporary_file_replaced_before_the_rename(void **state)
{
    struct fixture *fixture = *state;
    put_file(fixture->path, "old");
    flush.replace = fixture->temporary;
    assert_fails(fixture->path, STR("new"), EBUSY, "only one run");
    assert_file(fixture->path, "old");
    assert_file(fixture->temporary, "another's, half");
}

static void test_content_and_name_are_flushed(void **state)
{
    static const int errors[] = {0, EINVAL, EIO};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
        flush.files = flush.directories = 0;
        flush.directory_error = errors[i];
        assert_int_equal(textfile_write(fixture->path, STR("x"), NULL), 0);
        assert_int_equal(flush.files, 1);
        assert_int_equal(flush.directories, 1);
    }
}

/* Another user's file under our temporary name: left alone while locked, else replaced.
 */
static void test_temporary_file_of_somebody_else(void **state)
{
    struct fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    put_file(fixture->path, "old");
    put_file(fixture->temporary, "somebody else's");
    assert_int_equal(chown(fixture->temporary, NOBODY, NOBODY), 0);
    assert_int_equal(chmod(fixture->directory, 01777), 0);
    int fd = open(fixture->temporary, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_fails(fixture->path, STR("new"), EBUSY, "only one run");
    assert_file(fixture->path, "old");
    assert_file(fixture->temporary, "somebody else's");
    (void)close(fd);
    assert_int_equal(textfile_write(fixture->path, STR("new"), NULL), 0);
    assert_file(fixture->path, "new");
    assert_absent(fixture->temporary);
}

/* What its user may not even open cannot be told from a file being written. */
static void test_temporary_file_that_cannot_be_opened(void **state)
{
    struct fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    char temporary[PATH_BYTES];
    (void)snprintf(temporary, PATH_BYTES, "%.60s/.gpu.prom.%d.tmp", fixture->directory,
                   NOBODY);
    put_file(temporary, "root's");
    assert_int_equal(chmod(fixture->directory, 0777), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    struct err err = {0};
    int rc = textfile_write(fixture->path, STR("new"), &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, -EACCES);
    assert_non_null(strstr(err.message, "its own temporary file"));
    assert_absent(fixture->path);
    assert_file(temporary, "root's");
    assert_int_equal(unlink(temporary), 0);
}

enum { RACE_BYTES = 64 << 10, RACE_MS = 400 }; /* thousands of looks */

static pid_t race_writer(const char *path, uid_t uid, char fill, atomic_bool *stop)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    static char content[RACE_BYTES];
    memset(content, fill, sizeof content);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool is_failed = setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0;
    do /* after a failure, too: what the reader meets then counts as much */
        is_failed |=
            textfile_write(path, (struct str){content, sizeof content}, NULL) != 0;
    while (!atomic_load(stop));
    _exit(is_failed);
}

static int64_t now_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Looks for RACE_MS. Return: the looks that met something but one whole content. */
static int race_watch(const char *path)
{
    static char buffer[RACE_BYTES + 1];
    struct str text = {0};
    int torn = 0;
    for (int64_t start = now_ms(); now_ms() - start < RACE_MS;)
        torn += fdio_read_at(AT_FDCWD, path, buffer, sizeof buffer, &text) != 0 ||
                text.n != RACE_BYTES || memcmp(buffer, buffer + 1, RACE_BYTES - 1) != 0;
    return torn;
}

/* In a directory where anybody may replace anybody's file. */
static void test_writers_of_two_users(void **state)
{
    static const struct {
        uid_t uid;
        char fill;
    } writers[] = {{0, 'a'}, {NOBODY, 'b'}};
    struct fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(fixture->directory, 0777), 0);
    static char content[RACE_BYTES];
    memset(content, 'c', sizeof content);
    const struct str first = {content, sizeof content};
    assert_int_equal(textfile_write(fixture->path, first, NULL), 0);
    atomic_bool *stop = mmap(NULL, sizeof *stop, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(stop != MAP_FAILED);
    pid_t pids[ARRAY_LENGTH(writers)];
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++)
        pids[i] = race_writer(fixture->path, writers[i].uid, writers[i].fill, stop);
    int torn = race_watch(fixture->path), failed = 0;
    atomic_store(stop, true);
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        failed += status != 0;
    }
    (void)munmap(stop, sizeof *stop);
    assert_int_equal(torn, 0);
    assert_int_equal(failed, 0);
}

static void test_bad_paths(void **state)
{
    static const struct {
        const char *path;
        int code;
        const char *remedy;
    } cases[] = {
        {"", EINVAL, "give the path of a file"},
        {"/no/such/directory/x.prom", ENOENT, "create the directory"},
        {"/dev/null/x.prom", ENOTDIR, "create the directory"},
        {"/tmp/", EISDIR, "name a file in it"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_refuses(cases[i].path, cases[i].code, cases[i].remedy);
}

static void test_check_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(textfile_check(fixture->path, NULL), 0);
    assert_absent(fixture->path);
    assert_absent(fixture->temporary);
}

static void test_names_too_long(void **state)
{
    struct fixture *fixture = *state;
    char path[512], directory[5000];
    int n = snprintf(path, sizeof path, "%s/", fixture->directory);
    int added = snprintf(NULL, 0, "..%u.tmp", (unsigned)geteuid());
    int longest = NAME_MAX - added;
    memset(path + n, 'n', (size_t)longest + 1);
    path[n + longest + 1] = '\0';
    assert_int_equal(textfile_write(path, STR("x"), NULL), -ENAMETOOLONG);
    path[n + longest] = '\0';
    assert_int_equal(textfile_write(path, STR("x"), NULL), 0);
    assert_int_equal(unlink(path), 0);
    memset(directory, 'd', sizeof directory);
    memcpy(directory + sizeof directory - 3, "/x", 3);
    struct err err;
    assert_int_equal(textfile_write(directory, STR("x"), &err), -ENAMETOOLONG);
    assert_non_null(
        strstr(err.message, "shorter")); /* a long path leaves the remedy room */
}

static void test_directory_in_the_way(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->path, 0755), 0);
    assert_refuses(fixture->path, EISDIR, "name a file in it");
    assert_absent(fixture->temporary);
}

/* /proc refuses new files whoever asks. */
static void test_directory_that_takes_no_files(void **state)
{
    (void)state;
    struct err err;
    int rc = textfile_write("/proc/self/x.prom", STR("x"), &err);
    assert_true(rc == -ENOENT || rc == -EACCES || rc == -EPERM);
    assert_non_null(strstr(err.message, "/proc/self/x.prom"));
}

/* Root may write anywhere, so root tries it as somebody else. */
static void test_directory_of_somebody_else(void **state)
{
    struct fixture *fixture = *state;
    bool is_root = geteuid() == 0;
    put_file(fixture->path, "old");
    assert_int_equal(chmod(fixture->directory, 0555), 0);
    assert_int_equal(is_root ? seteuid(NOBODY) : 0, 0);
    struct err err = {0};
    struct err before = {0};
    int checked = textfile_check(fixture->path, &before);
    int rc = textfile_write(fixture->path, STR("new"), &err);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    assert_int_equal(rc, -EACCES);
    assert_int_equal(checked, -EACCES);
    assert_string_equal(before.message, err.message);
    assert_non_null(strstr(err.message, fixture->path));
    assert_non_null(strstr(err.message, "let the user of this program write"));
    assert_file(fixture->path, "old");
}

/* A file size limit fails a write in its middle, as a full disk does. */
static void test_no_room(void **state)
{
    enum { LIMIT_BYTES = 8192 };
    static char content[3 * LIMIT_BYTES];
    struct fixture *fixture = *state;
    struct rlimit before;
    memset(content, 'x', sizeof content);
    put_file(fixture->path, "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {LIMIT_BYTES, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct err err = {0};
    int rc = textfile_write(fixture->path, (struct str){content, sizeof content}, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(rc, -EFBIG);
    assert_non_null(strstr(err.message, fixture->path));
    assert_non_null(strstr(err.message, "free space"));
    assert_file(fixture->path, "old");
    assert_absent(fixture->temporary);
}

/* A tiny file system over the fixture's directory, which only this process sees. Return:
 * false where this is not allowed. */
static bool mount_tiny(const struct fixture *fixture)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tiny", fixture->directory, "tmpfs", 0, "size=64k") == 0;
}

static void test_full_disk(void **state)
{
    static char content[8 << 10];
    struct fixture *fixture = *state;
    char filler[PATH_BYTES];
    if (!mount_tiny(fixture))
        skip();
    put_file(fixture->path, "old");
    (void)snprintf(filler, PATH_BYTES, "%.60s/filler", fixture->directory);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, content, sizeof content) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
    const struct str page = {content, sizeof content};
    assert_fails(fixture->path, page, ENOSPC,
                 "write: No space left on device; free space");
    assert_file(fixture->path, "old");
    assert_absent(fixture->temporary);
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(textfile_write(fixture->path, STR("new"), NULL), 0);
    assert_file(fixture->path, "new");
}

static void test_read_only_mount(void **state)
{
    struct fixture *fixture = *state;
    if (!mount_tiny(fixture))
        skip();
    put_file(fixture->path, "old");
    const unsigned long flags = MS_REMOUNT | MS_RDONLY;
    assert_int_equal(mount(NULL, fixture->directory, NULL, flags, NULL), 0);
    assert_fails(fixture->path, STR("new"), EROFS,
                 "Read-only file system; mount the directory writable");
    assert_file(fixture->path, "old");
    assert_absent(fixture->temporary);
}

static void test_directory_shared_with_a_group(void **state)
{
    struct fixture *fixture = *state;
    struct stat before, after;
    const gid_t group = geteuid() == 0 ? NOBODY : getegid();
    assert_int_equal(chmod(fixture->directory, 01705), 0);
    assert_int_equal(textfile_share_directory(fixture->path, group, NULL), 0);
    assert_int_equal(stat(fixture->directory, &before), 0);
    assert_int_equal(before.st_gid, group);
    assert_int_equal(before.st_mode & ALLPERMS, 01775);
    assert_absent(fixture->path);
    /* A second time there is nothing to do. */
    assert_int_equal(textfile_share_directory(fixture->path, group, NULL), 0);
    assert_int_equal(stat(fixture->directory, &after), 0);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
}

static void test_link_to_a_directory_is_not_shared(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct stat before, after;
    char link[PATH_BYTES], path[PATH_BYTES];
    (void)snprintf(link, sizeof link, "%.60s.link", fixture->directory);
    (void)snprintf(path, sizeof path, "%.80s/gpu.prom", link);
    assert_int_equal(stat(fixture->directory, &before), 0);
    assert_int_equal(symlink(fixture->directory, link), 0);
    int rc = textfile_share_directory(path, NOBODY, &err);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rc, -ENOTDIR);
    assert_non_null(strstr(err.message, "name the one that node-exporter reads"));
    assert_int_equal(stat(fixture->directory, &after), 0);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
}

static void test_directory_that_cannot_be_shared(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    char missing[PATH_BYTES];
    (void)snprintf(missing, sizeof missing, "%.60s/no/gpu.prom", fixture->directory);
    assert_int_equal(textfile_share_directory(missing, NOBODY, &err), -ENOENT);
    assert_non_null(strstr(err.message, missing));
    if (geteuid() != 0)
        skip();
    assert_int_equal(seteuid(NOBODY), 0);
    int rc = textfile_share_directory(fixture->path, NOBODY, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc,
                     -EACCES); /* of root, closed to others: it cannot even be opened */
    assert_non_null(strstr(err.message, fixture->path));
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    rc = textfile_share_directory(fixture->path, NOBODY, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, -EPERM);
    assert_non_null(strstr(err.message, fixture->directory));
    assert_non_null(strstr(err.message, "chgrp 65534"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_and_replaced),
        TEST(test_path_without_directory),
        TEST(test_leftover_of_a_killed_run),
        TEST(test_planted_temporary_files),
        TEST(test_only_a_regular_file_is_replaced),
        TEST(test_another_writer_holds_the_lock),
        TEST(test_temporary_file_replaced_before_the_rename),
        TEST(test_content_and_name_are_flushed),
        TEST(test_temporary_file_of_somebody_else),
        TEST(test_temporary_file_that_cannot_be_opened),
        TEST(test_writers_of_two_users),
        TEST(test_bad_paths),
        TEST(test_check_writes_nothing),
        TEST(test_names_too_long),
        TEST(test_directory_in_the_way),
        TEST(test_directory_that_takes_no_files),
        TEST(test_directory_of_somebody_else),
        TEST(test_directory_shared_with_a_group),
        TEST(test_link_to_a_directory_is_not_shared),
        TEST(test_directory_that_cannot_be_shared),
        TEST(test_no_room),
        TEST(test_full_disk),
        TEST(test_read_only_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
