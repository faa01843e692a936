/*
 * The slow thread. Only `state` and what it guards is shared: whoever sets the state
 * hands the rest over, under the lock.
 */
#include "server/password_checker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum state { STATE_IDLE, STATE_ASKED, STATE_ANSWERED, STATE_END };

struct password_checker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    int event_fd;
    enum state state;
    bool is_match;
    char password[BASIC_AUTH_PASSWORD_MAX + 1];
    char hash[BCRYPT_HASH_BYTES + 1];
    struct crypt_data scratch; /* the thread's own, 32 KiB */
};

static void notify(int event_fd)
{
    const uint64_t one = 1;
    /* A full counter is readable already. */
    (void)!write(event_fd, &one, sizeof one);
}

/* Return: false at the end. */
static bool wait_for_work(struct password_checker *checker)
{
    pthread_mutex_lock(&checker->lock);
    while (checker->state != STATE_ASKED && checker->state != STATE_END)
        pthread_cond_wait(&checker->asked, &checker->lock);
    bool is_work = checker->state == STATE_ASKED;
    pthread_mutex_unlock(&checker->lock);
    return is_work;
}

static void *run(void *argument)
{
    struct password_checker *checker = argument;
    while (wait_for_work(checker)) {
        /* While asked, password and hash are the thread's: nobody else writes them. */
        bool is_match =
            bcrypt_matches(checker->password, checker->hash, &checker->scratch);
        explicit_bzero(checker->password, sizeof checker->password);
        pthread_mutex_lock(&checker->lock);
        checker->is_match = is_match;
        if (checker->state == STATE_ASKED) {
            checker->state = STATE_ANSWERED;
            /* Before anybody can take the answer: a wake that came after it would stay
             * for ever. */
            notify(checker->event_fd);
        }
        pthread_mutex_unlock(&checker->lock);
    }
    return NULL;
}

/* Signals are for the thread of the event loop. */
static int start_thread(struct password_checker *checker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&checker->thread, NULL, run, checker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

int password_checker_new(struct password_checker **out, struct err *err)
{
    struct password_checker *checker = calloc(1, sizeof *checker);
    if (!checker)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    checker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (checker->event_fd < 0) {
        int code = errno;
        free(checker);
        return err_errno(err, code, "eventfd");
    }
    pthread_mutex_init(&checker->lock, NULL);
    pthread_cond_init(&checker->asked, NULL);
    int code = start_thread(checker);
    if (code != 0) {
        close(checker->event_fd);
        free(checker);
        return err_errno(err, code, "cannot start the thread that checks passwords");
    }
    *out = checker;
    return 0;
}

void password_checker_free(struct password_checker *checker)
{
    if (!checker)
        return;
    pthread_mutex_lock(&checker->lock);
    checker->state = STATE_END;
    pthread_cond_signal(&checker->asked);
    pthread_mutex_unlock(&checker->lock);
    pthread_join(checker->thread, NULL);
    pthread_cond_destroy(&checker->asked);
    pthread_mutex_destroy(&checker->lock);
    close(checker->event_fd);
    explicit_bzero(checker, sizeof *checker);
    free(checker);
}

int password_checker_fd(const struct password_checker *checker)
{
    return checker->event_fd;
}

static void copy_bounded(char *to, size_t capacity, const char *from)
{
    size_t bytes = strnlen(from, capacity - 1);
    memcpy(to, from, bytes);
    to[bytes] = '\0';
}

bool password_checker_start(struct password_checker *checker, const char *password,
                            const char *hash)
{
    pthread_mutex_lock(&checker->lock);
    bool is_idle = checker->state == STATE_IDLE;
    if (is_idle) {
        copy_bounded(checker->password, sizeof checker->password, password);
        copy_bounded(checker->hash, sizeof checker->hash, hash);
        checker->state = STATE_ASKED;
        pthread_cond_signal(&checker->asked);
    }
    pthread_mutex_unlock(&checker->lock);
    return is_idle;
}

bool password_checker_take(struct password_checker *checker, bool *is_match)
{
    uint64_t count;
    pthread_mutex_lock(&checker->lock);
    bool is_answered = checker->state == STATE_ANSWERED;
    if (is_answered) {
        (void)!read(checker->event_fd, &count, sizeof count);
        *is_match = checker->is_match;
        checker->state = STATE_IDLE;
    }
    pthread_mutex_unlock(&checker->lock);
    return is_answered;
}
