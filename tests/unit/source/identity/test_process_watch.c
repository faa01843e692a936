/* Real processes of the real /proc: who has ended is told once, and of nobody else. */
#include "source/identity/process_watch.h"

#include "tree.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    int directory;
};

static struct child child_start(int procfs)
{
    int ready[2]; /* ends when the child has closed what it inherited */
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    struct child child = {.pid = fork()};
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when an assertion fails */
        closefrom(STDERR_FILENO + 1); /* a pidfd watches until nobody holds it */
    }
    while (child.pid == 0)
        (void)pause();
    close(ready[1]);
    assert_int_equal(read(ready[0], &(char){0}, 1), 0);
    close(ready[0]);
    char path[24];
    (void)snprintf(path, sizeof path, "%d", (int)child.pid);
    child.directory = openat(procfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(child.directory >= 0);
    return child;
}

/* Returns when the process is a zombie, or with IS_REAPED when it is gone. */
static void child_end(const struct child *child, bool is_reaped)
{
    siginfo_t info;
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(
        waitid(P_PID, (id_t)child->pid, &info, WEXITED | (is_reaped ? 0 : WNOWAIT)), 0);
}

static int open_own_procfs(void)
{
    int procfs = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(procfs >= 0);
    return procfs;
}

static void the_ended_are_told_once(void **state)
{
    (void)state;
    enum { CHILDREN = 5 };
    CLEANUP(close_fdp) int procfs = open_own_procfs();
    CLEANUP(close_fdp) int watch = process_watch_open(procfs);
    if (watch < 0)
        skip();
    struct child children[CHILDREN];
    int pidfds[CHILDREN];
    void *ended[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++) {
        children[i] = child_start(procfs);
        pidfds[i] = process_watch_add(watch, (uint32_t)children[i].pid,
                                      children[i].directory, &children[i]);
        assert_true(pidfds[i] >= 0);
    }
    assert_int_equal(process_watch_ended(watch, ended, CHILDREN), 0);
    child_end(&children[3], false);
    assert_int_equal(process_watch_ended(watch, ended, CHILDREN), 1);
    assert_ptr_equal(ended[0], &children[3]);
    assert_int_equal(process_watch_ended(watch, ended, CHILDREN), 0);
    assert_int_equal(waitpid(children[3].pid, NULL, 0), children[3].pid);

    child_end(&children[0], true);
    child_end(&children[1], true);
    child_end(&children[2], true);
    close(pidfds[2]);                                          /* no longer watched */
    assert_int_equal(process_watch_ended(watch, ended, 1), 1); /* one at a time */
    void *first = ended[0];
    assert_int_equal(process_watch_ended(watch, ended, 1), 1);
    assert_true(first != ended[0]);
    assert_int_equal(process_watch_ended(watch, ended, 1), 0);
    child_end(&children[4], true);
    for (size_t i = 0; i < CHILDREN; i++) {
        close(children[i].directory);
        if (i != 2)
            close(pidfds[i]);
    }
}

/* The directory says who is meant: a pidfd of whoever has the pid now will not do. */
static void a_directory_that_has_ended_is_not_watched(void **state)
{
    (void)state;
    CLEANUP(close_fdp) int procfs = open_own_procfs();
    CLEANUP(close_fdp) int watch = process_watch_open(procfs);
    if (watch < 0)
        skip();
    struct child gone = child_start(procfs);
    struct child alive = child_start(procfs);
    child_end(&gone, true);
    assert_int_equal(process_watch_add(watch, (uint32_t)gone.pid, gone.directory, &gone),
                     -1);
    /* As if the pid had gone to another process in the meantime. */
    assert_int_equal(process_watch_add(watch, (uint32_t)alive.pid, gone.directory, &gone),
                     -1);
    child_end(&alive, true);
    void *ended[1];
    assert_int_equal(process_watch_ended(watch, ended, 1), 0);
    close(gone.directory);
    close(alive.directory);
}

/* Pids of a simulated tree mean nothing to the kernel. */
static void another_tree_is_not_watched(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    tree_write_text(&tree, "self/status", "Name:\tx\nNSpid:\t1\n");
    assert_int_equal(process_watch_open(tree.fd), -1);
    assert_int_equal(process_watch_add(-1, (uint32_t)getpid(), tree.fd, NULL), -1);
    void *ended[1];
    assert_int_equal(process_watch_ended(-1, ended, 1), 0);
    tree_remove(&tree, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ended_are_told_once),
        cmocka_unit_test(a_directory_that_has_ended_is_not_watched),
        cmocka_unit_test(another_tree_is_not_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
