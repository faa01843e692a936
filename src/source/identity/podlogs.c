/*
 * Two hash tables over the links of one directory. A pod set changes on the scale of
 * seconds and a scan costs a readlink per container, so the directory is read only when a
 * name was missed and its modification time says that something was added or removed.
 */
#include "source/identity/podlogs.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
    NAMESPACE_BYTES = 63, /* DNS label */
    POD_BYTES = 253,      /* DNS subdomain */
    CONTAINER_BYTES = 63,
    UID_BYTES = 128,
    ID_BYTES = 64,
    TARGET_BYTES = 4096,
    ARENA_BYTES = 64 * 1024 * 1024,
    /* A directory changed this short a time before it was read may change again within
     * the same tick of the file system's clock. */
    SETTLE_SECONDS = 2,
};

struct link {
    struct pod_names names;
    struct link *next;         /* in the order read */
    struct link *next_same_id; /* in the buckets */
    struct link *next_same_uid;
};

struct podlogs {
    const char *path;
    struct error_counters *errors;
    struct arena *owner; /* of this struct */
    struct arena *arena; /* of the table; reset at each reading */
    struct link **by_id, **by_uid;
    size_t bucket_mask;
    uint64_t generation;
    uint64_t round;           /* of the last attempt */
    struct timespec modified; /* of the directory when it was read */
    bool is_settled;          /* false: `modified` cannot tell whether it changed since */
    int scan_rc;
};

static bool is_bounded(struct str s, size_t limit)
{
    return s.n > 0 && s.n <= limit;
}

/* Namespace, pod and container names hold no '_', a self-chosen static UID may: the first
 * two separate. */
static bool split_three(struct str text, struct str parts[3])
{
    return str_split(&text, '_', &parts[0]) && str_split(&text, '_', &parts[1]) &&
           (parts[2] = text).p != NULL;
}

/* Takes the last component off a path. */
static struct str path_pop(struct str *path)
{
    ptrdiff_t slash = str_find_last(*path, '/');
    struct str last = str_part(*path, (size_t)(slash + 1), path->n - (size_t)(slash + 1));
    path->n = slash < 0 ? 0 : (size_t)slash;
    return last;
}

static bool target_parse(struct str target, struct pod_names *out)
{
    struct str parts[3];
    struct str path = target;
    (void)path_pop(&path); /* "<restart count>.log" */
    struct str container = path_pop(&path);
    if (!is_bounded(container, CONTAINER_BYTES) || !split_three(path_pop(&path), parts) ||
        !is_bounded(parts[0], NAMESPACE_BYTES) || !is_bounded(parts[1], POD_BYTES) ||
        !is_bounded(parts[2], UID_BYTES))
        return false;
    *out = (struct pod_names){
        .namespace_ = parts[0], .pod = parts[1], .container = container, .uid = parts[2]};
    return true;
}

/* Without ".log". False too for a name that was cut. */
static bool name_parse(struct str name, struct pod_names *out)
{
    struct str parts[3];
    if (!split_three(name, parts) || parts[2].n < ID_BYTES + 2)
        return false;
    size_t dash = parts[2].n - ID_BYTES - 1;
    struct str container = str_part(parts[2], 0, dash);
    struct str id = str_part(parts[2], dash + 1, ID_BYTES);
    if (parts[2].p[dash] != '-' || !str_is_hex(id, ID_BYTES) ||
        !is_bounded(parts[0], POD_BYTES) || !is_bounded(parts[1], NAMESPACE_BYTES) ||
        container.n > CONTAINER_BYTES)
        return false;
    *out = (struct pod_names){.namespace_ = parts[1],
                              .pod = parts[0],
                              .container = container,
                              .container_id = id};
    return true;
}

int loglink_parse(struct str name, struct str target, struct pod_names *out)
{
    const struct str suffix = STR(".log");
    if (!str_ends(name, suffix))
        return -EBADMSG;
    struct pod_names by_name = {0}, by_target = {0};
    bool has_name = name_parse(str_part(name, 0, name.n - suffix.n), &by_name);
    bool has_target = target_parse(target, &by_target);
    if (!has_name && !has_target)
        return -EBADMSG;
    if (has_name && has_target &&
        (!str_equal(by_name.namespace_, by_target.namespace_) ||
         !str_equal(by_name.pod, by_target.pod) ||
         !str_equal(by_name.container, by_target.container)))
        return -EBADMSG;
    *out = has_target ? by_target : by_name;
    out->container_id = by_name.container_id;
    return 0;
}

struct podlogs *podlogs_new(const char *path, struct error_counters *errors)
{
    struct arena *owner = arena_new(sizeof(struct podlogs) + 64);
    struct podlogs *podlogs = owner ? ARENA_NEW(owner, struct podlogs, 1) : NULL;
    struct arena *arena = podlogs ? arena_new(ARENA_BYTES) : NULL;
    if (!arena) {
        arena_free(owner);
        return NULL;
    }
    podlogs->path = path;
    podlogs->errors = errors;
    podlogs->owner = owner;
    podlogs->arena = arena;
    return podlogs;
}

void podlogs_free(struct podlogs *podlogs)
{
    if (!podlogs)
        return;
    arena_free(podlogs->arena);
    arena_free(podlogs->owner);
}

static size_t bucket_of(const struct podlogs *podlogs, struct str key)
{
    return (size_t)str_hash(key) & podlogs->bucket_mask;
}

static const struct link *find_id(const struct podlogs *podlogs, struct str id)
{
    const struct link *link =
        podlogs->by_id ? podlogs->by_id[bucket_of(podlogs, id)] : NULL;
    while (link && !str_equal(link->names.container_id, id))
        link = link->next_same_id;
    return link;
}

static const struct link *find_uid(const struct podlogs *podlogs, struct str uid)
{
    const struct link *link =
        podlogs->by_uid ? podlogs->by_uid[bucket_of(podlogs, uid)] : NULL;
    while (link && !str_equal(link->names.uid, uid))
        link = link->next_same_uid;
    return link;
}

const struct pod_names *podlogs_find_container(const struct podlogs *podlogs,
                                               struct str container_id)
{
    const struct link *link = container_id.n ? find_id(podlogs, container_id) : NULL;
    return link ? &link->names : NULL;
}

const struct pod_names *podlogs_find_pod(const struct podlogs *podlogs, struct str uid)
{
    const struct link *link = uid.n ? find_uid(podlogs, uid) : NULL;
    return link ? &link->names : NULL;
}

/* Both tables over the links from FIRST on. */
static bool build_tables(struct podlogs *podlogs, struct link *first, size_t count)
{
    size_t buckets = 64;
    while (buckets < count)
        buckets *= 2;
    struct link **by_id = ARENA_NEW(podlogs->arena, struct link *, buckets);
    struct link **by_uid = ARENA_NEW(podlogs->arena, struct link *, buckets);
    if (!by_id || !by_uid)
        return false;
    podlogs->by_id = by_id;
    podlogs->by_uid = by_uid;
    podlogs->bucket_mask = buckets - 1;
    for (struct link *link = first; link; link = link->next) {
        struct str id = link->names.container_id, uid = link->names.uid;
        if (id.n && !find_id(podlogs, id)) {
            struct link **bucket = &by_id[bucket_of(podlogs, id)];
            link->next_same_id = *bucket;
            *bucket = link;
        }
        if (uid.n && !find_uid(podlogs, uid)) {
            struct link **bucket = &by_uid[bucket_of(podlogs, uid)];
            link->next_same_uid = *bucket;
            *bucket = link;
        }
    }
    return true;
}

/* Moves the views of NAMES to memory of ARENA. */
static bool names_keep(struct arena *arena, struct pod_names *names)
{
    struct str *const views[] = {&names->namespace_, &names->pod, &names->container,
                                 &names->container_id, &names->uid};
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
        if (!views[i]->n)
            continue;
        views[i]->p = arena_copy(arena, *views[i]);
        if (!views[i]->p)
            return false;
    }
    return true;
}

/* Return: 0 when it is kept or is no link of the kubelet's, -ENOMEM. */
static int read_link(struct podlogs *podlogs, int directory, const char *name,
                     struct link **last)
{
    char target[TARGET_BYTES];
    ssize_t n = readlinkat(directory, name, target, sizeof target);
    struct pod_names names;
    if (n < 0 || n == sizeof target ||
        loglink_parse(str_from(name), (struct str){target, (size_t)n}, &names) < 0)
        return 0;
    struct link *link = ARENA_NEW(podlogs->arena, struct link, 1);
    if (!link || !names_keep(podlogs->arena, &names))
        return -ENOMEM;
    link->names = names;
    (*last)->next = link;
    *last = link;
    return 0;
}

static int scan_entries(struct podlogs *podlogs, DIR *dir)
{
    struct link head = {0}, *last = &head;
    size_t count = 0;
    int rc = 0;
    errno = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)); errno = 0) {
        if (entry->d_name[0] == '.')
            continue;
        if (count == PODLOGS_MAX_LINKS) {
            errors_add(podlogs->errors, "podlogs", "too_many_links", 1);
            break;
        }
        count++;
        rc = read_link(podlogs, dirfd(dir), entry->d_name, &last);
    }
    if (rc == 0 && errno)
        rc = -errno;
    return build_tables(podlogs, head.next, count) ? rc : -ENOMEM;
}

static int scan(struct podlogs *podlogs)
{
    int fd = open(podlogs->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat status;
    /* Before the entries: a change during the scan must show as one after it. */
    bool has_status = fstat(fd, &status) == 0;
    DIR *dir = has_status ? fdopendir(fd) : NULL;
    if (!dir) {
        int code = errno;
        close(fd);
        return -code;
    }
    int rc = scan_entries(podlogs, dir);
    closedir(dir);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    podlogs->modified = status.st_mtim;
    podlogs->is_settled = rc == 0 && now.tv_sec - status.st_mtim.tv_sec > SETTLE_SECONDS;
    return rc;
}

static bool is_unchanged(const struct podlogs *podlogs)
{
    struct stat status;
    return podlogs->is_settled && stat(podlogs->path, &status) == 0 &&
           status.st_mtim.tv_sec == podlogs->modified.tv_sec &&
           status.st_mtim.tv_nsec == podlogs->modified.tv_nsec;
}

bool podlogs_refresh(struct podlogs *podlogs, uint64_t round)
{
    bool is_first = podlogs->generation == 0;
    if (!is_first && (podlogs->round == round || is_unchanged(podlogs)))
        return false;
    podlogs->round = round;
    podlogs->generation++;
    podlogs->by_id = podlogs->by_uid = NULL;
    podlogs->is_settled = false;
    arena_reset(podlogs->arena);
    podlogs->scan_rc = scan(podlogs);
    if (podlogs->scan_rc == -EACCES || podlogs->scan_rc == -EPERM)
        errors_add(podlogs->errors, "podlogs", "permission_denied", 1);
    else if (podlogs->scan_rc < 0 && podlogs->scan_rc != -ENOENT)
        errors_add(podlogs->errors, "podlogs", "read_failed", 1);
    return true;
}

uint64_t podlogs_generation(const struct podlogs *podlogs)
{
    return podlogs->generation;
}

int podlogs_check(const struct podlogs *podlogs)
{
    if (faccessat(AT_FDCWD, podlogs->path, R_OK | X_OK, AT_EACCESS) < 0)
        return -errno;
    /* A missing directory may have come since it was scanned. */
    return podlogs->scan_rc == -ENOENT ? 0 : podlogs->scan_rc;
}
