/* The sandbox's words and outcomes, each in a process of its own, because there is no way
 * back. What it refuses, in full: tests/scenario/test_sandbox.py. */
#include "server/sandbox.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { ALL_LAYERS = SANDBOX_PRIVILEGES | SANDBOX_LANDLOCK | SANDBOX_SECCOMP };

/* Return: 0 when all is as it should be; else a number that tells where it was not. */
typedef int scene(void);

/* Without the sanitizers' work at exit, which starts processes. */
static int run_apart(scene *play)
{
    pid_t child = fork();
    if (child == 0)
        _exit(play());
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static bool has(const struct sandbox_report *report, const char *words)
{
    return strstr(report->words, words) != NULL;
}

static int enter(const char *const *readable, size_t count, unsigned left_out,
                 struct sandbox_report *report)
{
    const struct sandbox_config config = {readable, count, left_out};
    return sandbox_enter(&config, report);
}

static int nothing_is_done(void)
{
    struct sandbox_report report;
    if (enter(NULL, 0, ALL_LAYERS, &report) != SANDBOX_PARTIAL)
        return 1;
    if (strcmp(report.words,
               "privileges: left out; landlock: left out; seccomp: left out") != 0)
        return 2;
    CLEANUP(close_fdp) int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? 0 : 3;
}

static int privileges_are_dropped(void)
{
    struct sandbox_report report;
    (void)enter(NULL, 0, SANDBOX_LANDLOCK | SANDBOX_SECCOMP, &report);
    if (!has(&report, "capabilities dropped; no new privileges; "))
        return 1;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
}

static int landlock_alone_refuses(void)
{
    struct sandbox_report report;
    (void)enter(NULL, 0, SANDBOX_SECCOMP, &report);
    if (has(&report, "landlock: NOT AVAILABLE"))
        return 0;
    CLEANUP(close_fdp) int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    return has(&report, ": files none") && fd < 0 && errno == EACCES ? 0 : 1;
}

static int seccomp_alone_refuses(void)
{
    struct sandbox_report report;
    (void)enter(NULL, 0, SANDBOX_LANDLOCK, &report);
    if (has(&report, "seccomp: NOT AVAILABLE"))
        return 0;
    if (!has(&report, " calls allowed"))
        return 1;
    CLEANUP(close_fdp) int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (file >= 0 || errno != EPERM)
        return 2;
    CLEANUP(close_fdp) int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (other >= 0 || errno != EPERM)
        return 3;
    return fork() < 0 && errno == EPERM ? 0 : 4;
}

static int directories_are_named(void)
{
    static const char *const readable[] = {"/etc", "/nowhere"};
    struct sandbox_report report;
    int rc = enter(readable, 2, 0, &report);
    if (rc != SANDBOX_PARTIAL)
        return 1;
    if (!has(&report, "landlock: NOT AVAILABLE") &&
        !has(&report, "files below /etc, /nowhere (NOT: No such file or directory)"))
        return 2;
    CLEANUP(close_fdp) int inside = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    return inside >= 0 ? 0 : 3;
}

static int long_words_are_cut(void)
{
    char deep[300];
    memset(deep, 'd', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    const char *const readable[] = {deep, deep, deep};
    struct sandbox_report report;
    memset(report.words, 'x', sizeof report.words);
    (void)enter(readable, 3, 0, &report);
    return memchr(report.words, '\0', sizeof report.words) ? 0 : 1;
}

static int second_time_holds_too(void)
{
    struct sandbox_report first;
    struct sandbox_report second;
    (void)enter(NULL, 0, SANDBOX_SECCOMP, &first);
    (void)enter(NULL, 0, SANDBOX_SECCOMP, &second);
    return strcmp(first.words, second.words) == 0 ? 0 : 1;
}

static int after_the_filter(void)
{
    struct sandbox_report first;
    struct sandbox_report second;
    (void)enter(NULL, 0, 0, &first);
    /* A filter from outside that allows neither Landlock nor seccomp: said, not fatal. */
    int rc = enter(NULL, 0, 0, &second);
    if (has(&first, "seccomp: NOT AVAILABLE"))
        return 0;
    return rc == SANDBOX_PARTIAL && has(&second, "landlock: NOT AVAILABLE (") &&
                   has(&second, "seccomp: NOT AVAILABLE (")
               ? 0
               : 1;
}

static void *say_done(void *flag)
{
    *(int *)flag = 1;
    return NULL;
}

static int serving_goes_on(void)
{
    int ends[2];
    char byte = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return 1;
    struct sandbox_report report;
    (void)enter(NULL, 0, 0, &report);
    if (send(ends[0], "x", 1, MSG_NOSIGNAL) != 1 || recv(ends[1], &byte, 1, 0) != 1)
        return 2;
    CLEANUP(freep) char *much = calloc(64, 1 << 20);
    if (!much)
        return 3;
    pthread_t thread;
    int flag = 0;
    if (pthread_create(&thread, NULL, say_done, &flag) != 0 ||
        pthread_join(thread, NULL) != 0)
        return 4;
    return flag && byte == 'x' ? 0 : 5;
}

static void test_scenes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        scene *play;
    } scenes[] = {
        {"nothing is done", nothing_is_done},
        {"privileges are dropped", privileges_are_dropped},
        {"landlock alone refuses", landlock_alone_refuses},
        {"seccomp alone refuses", seccomp_alone_refuses},
        {"directories are named", directories_are_named},
        {"long words are cut", long_words_are_cut},
        {"the second time holds too", second_time_holds_too},
        {"after the filter", after_the_filter},
        {"serving goes on", serving_goes_on},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(scenes); i++) {
        int place = run_apart(scenes[i].play);
        if (place != 0)
            fail_msg("%s: place %d", scenes[i].name, place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
