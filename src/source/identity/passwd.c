/* A small hash table uid -> name; of several names for a uid the first counts, as it does
 * for getpwuid(3). */
#include "source/identity/passwd.h"

#include "base/cleanup.h"
#include "source/identity/proc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
    BUCKETS = 1024,
    LINE_BYTES = 4096,
    BUDGET_BYTES = 4 * 1024 * 1024,
    ARENA_BYTES = 16 * 1024 * 1024,
};

struct user {
    struct user *next;
    uint32_t uid;
    const char *name;
};

/* What tells one version of a file from the next. */
struct file_version {
    bool exists;
    ino_t inode;
    off_t size_bytes;
    struct timespec modified;
};

struct passwd_file {
    struct arena *owner; /* of this struct and the path */
    struct arena *arena; /* of the table */
    const char *path;
    uint64_t round; /* of the last look; 0 before the first */
    struct file_version version;
    struct user *buckets[BUCKETS];
};

int passwd_parse_line(struct str line, uint32_t *uid, struct str *name)
{
    struct str user, password, number;
    if (!str_split(&line, ':', &user) || !str_split(&line, ':', &password) ||
        !str_split(&line, ':', &number) || !user.n || user.n > USER_NAME_BYTES ||
        !str_u32(number, uid))
        return -EBADMSG;
    *name = user;
    return 0;
}

struct passwd_file *passwd_new(const char *rootfs)
{
    struct arena *owner = arena_new(sizeof(struct passwd_file) + strlen(rootfs) + 128);
    struct passwd_file *passwd = owner ? ARENA_NEW(owner, struct passwd_file, 1) : NULL;
    const char *path = passwd ? arena_printf(owner, "%s/etc/passwd", rootfs) : NULL;
    struct arena *arena = path ? arena_new(ARENA_BYTES) : NULL;
    if (!arena) {
        arena_free(owner);
        return NULL;
    }
    passwd->owner = owner;
    passwd->arena = arena;
    passwd->path = path;
    return passwd;
}

void passwd_free(struct passwd_file *passwd)
{
    if (!passwd)
        return;
    arena_free(passwd->arena);
    arena_free(passwd->owner);
}

static const struct user *find_user(const struct passwd_file *passwd, uint32_t uid)
{
    const struct user *user = passwd->buckets[uid % BUCKETS];
    while (user && user->uid != uid)
        user = user->next;
    return user;
}

static void add_user(struct passwd_file *passwd, uint32_t uid, struct str name)
{
    struct user *user = ARENA_NEW(passwd->arena, struct user, 1);
    char *copy = user ? arena_copy(passwd->arena, name) : NULL;
    if (!copy)
        return;
    *user = (struct user){passwd->buckets[uid % BUCKETS], uid, copy};
    passwd->buckets[uid % BUCKETS] = user;
}

static void read_users(struct passwd_file *passwd)
{
    arena_reset(passwd->arena);
    memset(passwd->buckets, 0, sizeof passwd->buckets);
    CLEANUP(close_fdp) int fd = open(passwd->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    char buffer[LINE_BYTES];
    struct line_reader reader = LINE_READER(fd, buffer, sizeof buffer, BUDGET_BYTES);
    struct str line, name;
    uint32_t uid;
    while (line_reader_next(&reader, &line) == LINE_READER_LINE) {
        if (passwd_parse_line(line, &uid, &name) == 0 && !find_user(passwd, uid))
            add_user(passwd, uid, name);
    }
}

static struct file_version file_version(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return (struct file_version){.exists = false};
    return (struct file_version){true, status.st_ino, status.st_size, status.st_mtim};
}

static bool is_same_version(const struct file_version *a, const struct file_version *b)
{
    return a->exists == b->exists && a->inode == b->inode &&
           a->size_bytes == b->size_bytes && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

const char *passwd_find(struct passwd_file *passwd, uint32_t uid, uint64_t round)
{
    if (passwd->round != round) {
        struct file_version version = file_version(passwd->path);
        if (!is_same_version(&version, &passwd->version))
            read_users(passwd);
        passwd->version = version;
        passwd->round = round;
    }
    const struct user *user = find_user(passwd, uid);
    return user ? user->name : NULL;
}
