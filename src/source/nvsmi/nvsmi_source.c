/*
 * The driver through nvidia-smi's text: for nodes where its library cannot be loaded. One
 * collection is three runs: the GPUs, utilisation, processes.
 */
#include "base/cleanup.h"
#include "source/nvsmi/nvsmi.h"
#include "source/nvsmi/smi_failure.h"
#include "source/nvsmi/smi_find.h"

#include <errno.h>

enum { OWN_MEMORY_BYTES = 64 * 1024 };

int nvsmi_ask(const struct nvsmi *smi, const char *call, uint32_t device,
              const char *const arguments[], struct smi_output *output, struct err *err)
{
    enum { ARGUMENTS_MAX = 8 };
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    size_t count = 0;
    while (count < ARGUMENTS_MAX && arguments[count])
        count++;
    /* execv() wants pointers to char, and writes through none of them. */
    memcpy(argv, arguments, count * sizeof argv[0]);
    progress_begin(smi->progress, call, device);
    int rc = smi_run(smi->program, argv, output, err);
    progress_end(smi->progress);
    if (rc == 0)
        rc = smi_failure_judge(output->exit_status, buf_str(&output->text),
                               buf_str(&output->complaint), err);
    return rc == 0 ? 0 : err_wrap(err, rc, "%s", call);
}

void nvsmi_count(const struct nvsmi *smi, const char *reason, uint64_t n)
{
    if (n)
        errors_add(smi->errors, NVSMI_NAME, reason, n);
}

int nvsmi_out_of_memory(struct err *err)
{
    return err_errno(err, ENOMEM, NVSMI_NAME);
}

static int nvsmi_collect(struct driver *driver, struct arena *arena,
                         struct driver_facts *out, struct err *err)
{
    struct nvsmi_collection c = {.smi = (struct nvsmi *)driver, .arena = arena};
    struct err own = {0}; /* the words are needed here even when the caller wants none */
    err = err ? err : &own;
    c.facts.devices = ARENA_NEW(arena, struct device_facts, FACTS_MAX_GPUS);
    if (!c.facts.devices)
        return nvsmi_out_of_memory(err);
    int rc = nvsmi_collect_gpus(&c, err);
    if (rc == 0 && c.facts.device_count)
        rc = nvsmi_collect_processes(&c, err);
    if (rc == 0)
        *out = c.facts;
    return rc;
}

static void nvsmi_close(struct driver *driver)
{
    arena_free(((struct nvsmi *)driver)->arena);
}

int nvsmi_open(const struct driver_config *config, struct driver **out, struct err *err)
{
    static const struct driver_ops ops = {
        .name = NVSMI_NAME,
        .collect = nvsmi_collect,
        .relist = nvsmi_relist,
        .close = nvsmi_close,
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(OWN_MEMORY_BYTES);
    struct nvsmi *smi = arena ? ARENA_NEW(arena, struct nvsmi, 1) : NULL;
    if (!smi)
        return nvsmi_out_of_memory(err);
    const char *program = NULL;
    int rc = smi_find(arena, config->smi, &program, err);
    if (rc < 0)
        return rc;
    *smi = (struct nvsmi){
        .driver.ops = &ops,
        .program = program,
        .with_graphics = config->with_graphics,
        .max_sessions = config->max_sessions,
        .errors = config->errors,
        .progress = config->progress,
    };
    smi->arena = TAKE(arena);
    *out = &smi->driver;
    return 0;
}
