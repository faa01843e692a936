/*
 * Finds "/pods/<uid>/…" in the root fields of a mount table. The directory in front of
 * "pods" is not looked at: the kubelet's root may be a file system of its own, or moved.
 */
#include "source/identity/proc_mountinfo.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "source/identity/proc_file.h"

#include <errno.h>
#include <fcntl.h>

enum {
    LINE_BYTES = 16 * 1024, /* two escaped paths of the usual length, with room */
    BUDGET_BYTES = 1024 * 1024,
    ROOT_BYTES = 4096,
};

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Undoes the kernel's \040 escapes. Return: false when OUT is too small. */
static bool unescape(struct str text, char *out, size_t capacity, struct str *result)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (n == capacity)
            return false;
        bool is_escape = text.p[i] == '\\' && text.n - i > 3 && is_octal(text.p[i + 1]) &&
                         is_octal(text.p[i + 2]) && is_octal(text.p[i + 3]);
        if (!is_escape) {
            out[n++] = text.p[i];
            continue;
        }
        out[n++] = (char)((text.p[i + 1] - '0') << 6 | (text.p[i + 2] - '0') << 3 |
                          (text.p[i + 3] - '0'));
        i += 3;
    }
    *result = (struct str){out, n};
    return true;
}

static void write_text(char *out, struct str text)
{
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

static void add_evidence(struct proc_mountinfo *facts, enum mountinfo_evidence evidence,
                         struct str uid, struct str container)
{
    if (evidence == facts->evidence && evidence == MOUNTINFO_VOLUME &&
        !str_equal(uid, str_from(facts->pod_uid)))
        facts->is_ambiguous = true;
    if (evidence <= facts->evidence)
        return;
    facts->evidence = evidence;
    facts->is_ambiguous = false;
    write_text(facts->pod_uid, uid);
    write_text(facts->container, container);
}

/* BELOW is what follows "/pods/<uid>/": what kind of the kubelet's files is it? */
static enum mountinfo_evidence classify(struct str below, struct str mount_point,
                                        struct str *container)
{
    struct str rest = below, part;
    *container = (struct str){"", 0};
    if (str_equal(below, STR("etc-hosts")))
        return str_equal(mount_point, STR("/etc/hosts")) ? MOUNTINFO_HOSTS
                                                         : MOUNTINFO_NOTHING;
    if (str_starts(below, STR("volumes/kubernetes.io~")) ||
        str_starts(below, STR("volume-subpaths/")))
        return MOUNTINFO_VOLUME;
    if (!str_split(&rest, '/', &part) || !str_equal(part, STR("containers")) ||
        !str_split(&rest, '/', &part) || !part.n || part.n > CONTAINER_NAME_BYTES ||
        !str_is_hex(rest, 8))
        return MOUNTINFO_NOTHING;
    *container = part;
    return MOUNTINFO_CONTAINER;
}

/* Looks at each "/pods/" of a path from the left: the pod's own directory comes before
 * anything that the workload can name. */
static void parse_root(struct str root, struct str mount_point,
                       struct proc_mountinfo *facts)
{
    const struct str marker = STR("/pods/");
    for (ptrdiff_t at; (at = str_find_text(root, marker)) >= 0;) {
        struct str below =
            str_part(root, (size_t)at + marker.n, root.n - (size_t)at - marker.n);
        root = below;
        struct str uid, container;
        if (!str_split(&below, '/', &uid) || !uid.n || uid.n > POD_UID_BYTES || !below.p)
            continue;
        enum mountinfo_evidence evidence = classify(below, mount_point, &container);
        if (evidence == MOUNTINFO_NOTHING)
            continue;
        add_evidence(facts, evidence, uid, container);
        return;
    }
}

void proc_mountinfo_parse_line(struct str line, struct proc_mountinfo *facts)
{
    /* "id parent major:minor root mount-point options … - type source super-options" */
    struct str field, escaped_root, mount_point, root;
    for (int i = 0; i < 3; i++) {
        if (!str_split(&line, ' ', &field))
            return;
    }
    if (!str_split(&line, ' ', &escaped_root) || !str_split(&line, ' ', &mount_point))
        return;
    char unescaped[ROOT_BYTES];
    if (!unescape(escaped_root, unescaped, sizeof unescaped, &root))
        return;
    if (str_starts(root, STR("/..")) && str_find_text(line, STR(" - cgroup")) >= 0)
        facts->sees_cgroups_above = true;
    /* Added by the kernel when the file behind the mount was removed. */
    const struct str deleted = STR("//deleted");
    if (str_ends(root, deleted))
        root.n -= deleted.n;
    parse_root(root, mount_point, facts);
}

int proc_mountinfo_read(int dirfd, const char *path, struct proc_mountinfo *out)
{
    CLEANUP(close_fdp) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    char buffer[LINE_BYTES];
    struct line_reader reader = LINE_READER(fd, buffer, sizeof buffer, BUDGET_BYTES);
    struct proc_mountinfo facts = {0};
    struct str line;
    int rc;
    while ((rc = line_reader_next(&reader, &line)) == LINE_READER_LINE)
        proc_mountinfo_parse_line(line, &facts);
    if (rc < 0)
        return rc;
    if (facts.is_ambiguous)
        facts.pod_uid[0] = '\0';
    *out = facts;
    return reader.is_truncated ? FDIO_TRUNCATED : 0;
}
