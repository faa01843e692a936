/*
 * The catalogue of nvidia-smi's failures. A sentence says more than an exit status, which
 * differs between releases for the same trouble, so sentences are looked up first. They
 * count only at the start of a line: a process may be called anything.
 */
#include "source/nvsmi/smi_failure.h"

#include "base/cleanup.h"

#include <errno.h>

enum { QUOTE_BYTES = 140 };

/* nvidia-smi(1), RETURN VALUE */
enum {
    EXIT_NOT_SUPPORTED = 3,
    EXIT_NO_PERMISSION = 4,
    EXIT_NO_DRIVER = 9,
    EXIT_NO_LIBRARY = 12,
    EXIT_OLD_LIBRARY = 13,
    EXIT_INFOROM = 14,
    EXIT_GPU_LOST = 15,
    EXIT_VERSION_MISMATCH = 18,
};

struct failure {
    const char *sentence; /* start of a line; NULL: known by its exit status alone */
    int exit_status; /* used when no sentence of the catalogue was printed; 0: never */
    int rc;          /* what the caller gets: an outcome or -errno */
    const char *meaning; /* cause: remedy */
};

static const struct failure failures[] = {
    {"No devices were found", 0, SMI_NO_DEVICES, "the driver has no GPU"},
    {"Field \"", 0, SMI_UNKNOWN_FIELD, "this nvidia-smi does not know a field"},
    {"Unable to determine the device handle", EXIT_GPU_LOST, SMI_GPU_UNREADABLE,
     "a GPU does not answer: reset it or reboot the node"},
    {"Not supported on the device", EXIT_NOT_SUPPORTED, SMI_NOT_SUPPORTED,
     "these GPUs do not offer it"},
    {"NVIDIA-SMI has failed because it couldn't communicate", EXIT_NO_DRIVER, -ENODEV,
     "the NVIDIA driver is not loaded: run modprobe nvidia, or install the driver for "
     "this kernel"},
    {"Failed to initialize NVML: Driver/library version mismatch", EXIT_VERSION_MISMATCH,
     -ELIBBAD,
     "the loaded driver and its library differ in version, as after an update: reboot, "
     "or "
     "reload the nvidia kernel modules"},
    {"Failed to initialize NVML: Insufficient Permissions", EXIT_NO_PERMISSION, -EACCES,
     "no permission: give this user or container access to /dev/nvidiactl and "
     "/dev/nvidia*"},
    {"Failed to initialize NVML: GPU access blocked", 0, -EACCES,
     "the operating system blocks access to the GPU: check the device nodes' rights, or "
     "under WSL the host's driver"},
    {"Failed to initialize NVML: Unknown Error", 0, -EIO,
     "the driver refused: in a container its device permissions were often lost, restart "
     "the container; on a host see dmesg for Xid"},
    {"NVIDIA-SMI couldn't find libnvidia-ml", EXIT_NO_LIBRARY, -ENOENT,
     "libnvidia-ml.so.1 was not found: install the driver's libraries, or mount them "
     "into "
     "the container"},
    {NULL, EXIT_OLD_LIBRARY, -ENOSYS,
     "the driver's library is older than nvidia-smi: install both from one release"},
};

/* The first line of TEXT that starts with SENTENCE; p == NULL without one. */
static struct str find_sentence(struct str text, struct str sentence)
{
    for (struct str line; str_split(&text, '\n', &line);) {
        line = str_trim(line);
        if (str_starts(line, sentence))
            return line;
    }
    return (struct str){NULL, 0};
}

static struct str find_in_both(struct str text, struct str complaint, struct str sentence)
{
    struct str line = find_sentence(text, sentence);
    return line.p ? line : find_sentence(complaint, sentence);
}

static const struct failure *find_failure(int exit_status, struct str text,
                                          struct str complaint, struct str *line)
{
    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        if (!failures[i].sentence)
            continue;
        *line = find_in_both(text, complaint, str_from(failures[i].sentence));
        if (line->p)
            return &failures[i];
    }
    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        if (failures[i].exit_status == exit_status)
            return &failures[i];
    }
    return NULL;
}

static struct str first_line(struct str text)
{
    struct str trimmed = str_trim(text);
    struct str line = trimmed;
    (void)str_split(&trimmed, '\n', &line);
    return str_trim(line);
}

/* A line for an error message: printable ASCII, bounded. */
static void quote(struct str line, char quoted[QUOTE_BYTES + 1])
{
    size_t n = line.n < QUOTE_BYTES ? line.n : QUOTE_BYTES;
    for (size_t i = 0; i < n; i++)
        quoted[i] = (char)(line.p[i] >= ' ' && line.p[i] <= '~' ? line.p[i] : '?');
    quoted[n] = '\0';
}

int smi_failure_judge(int exit_status, struct str text, struct str complaint,
                      struct err *err)
{
    bool has_no_gpu = str_starts(first_line(text), STR("No devices were found"));
    if ((exit_status == 0 && !has_no_gpu) || exit_status == EXIT_INFOROM)
        return 0;
    struct str line = {NULL, 0};
    const struct failure *failure = find_failure(exit_status, text, complaint, &line);
    if (!line.p)
        line = first_line(complaint.n ? complaint : text);
    char quoted[QUOTE_BYTES + 1];
    quote(line, quoted);
    int rc = failure ? failure->rc : -EIO;
    const char *meaning = failure ? failure->meaning : "nvidia-smi failed";
    (void)err_set(err, rc < 0 ? -rc : 0, ERR_SMI, exit_status, "%s (exit %d%s%s)",
                  meaning, exit_status, line.n ? ": " : "", quoted);
    return rc;
}

struct str smi_failure_field(struct str text, struct str complaint)
{
    struct str line = find_in_both(text, complaint, STR("Field \""));
    struct str field = {NULL, 0};
    if (!line.p)
        return field;
    (void)str_split(&line, '"', &field);
    (void)str_split(&line, '"', &field);
    return field;
}
