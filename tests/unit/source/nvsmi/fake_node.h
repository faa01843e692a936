/*
 * The nvidia-smi source opened on a script that answers from files: "gpus", "apps" and
 * "pmon" hold what it prints, "calls" gets one line of arguments per run.
 */
#pragma once

#include "base/cleanup.h"
#include "fake_smi.h"
#include "source/driver.h"

#define FAKE_GPU_HEADER                                                                  \
    "index, uuid, name, pci.bus_id, driver_version, mig.mode.current, "                  \
    "memory.total [MiB], memory.used [MiB], utilization.gpu [%], power.draw [W], "       \
    "temperature.gpu\n"
#define FAKE_GPU(index, mig)                                                             \
#index ", GPU-" #index ", NVIDIA Test, 00000000:8" #index ":00.0, 535.1, " mig       \
           ", 40960 MiB, 1024 MiB, 41 %, 71.35 W, 35\n"
#define FAKE_APP_HEADER "gpu_uuid, pid, used_gpu_memory [MiB]\n"
#define FAKE_PMON_HEADER                                                                 \
    "# gpu        pid  type    sm   mem   enc   dec   command\n"                         \
    "# Idx           #   C/G     %     %     %     %   name\n"
/* Answers from the files; a test may put cases of its own before this. */
#define FAKE_ANSWERS                                                                     \
    "echo \"$*\" >> calls\n"                                                             \
    "case \"$*\" in\n"                                                                   \
    "*query-gpu*) cat gpus ;;\n"                                                         \
    "*query-compute-apps*) cat apps ;;\n"                                                \
    "pmon*) cat pmon ;;\n"                                                               \
    "esac\n"

struct fake_node {
    struct fake_smi smi;
    struct error_counters errors;
    struct call_progress progress;
    struct driver_config config;
    struct arena *arena;
    struct driver *driver;
    struct driver_facts facts;
    struct err err;
};

static inline void fake_node_open(struct fake_node *node)
{
    *node = (struct fake_node){.arena = arena_new(1 << 20)};
    fake_smi_open(&node->smi);
    fake_smi_script(&node->smi, FAKE_ANSWERS);
    fake_smi_write(&node->smi, "gpus", FAKE_GPU_HEADER FAKE_GPU(0, "[N/A]"), 0644);
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER, 0644);
    fake_smi_write(&node->smi, "pmon", FAKE_PMON_HEADER, 0644);
    node->config = (struct driver_config){
        .smi = node->smi.program,
        .max_sessions = FACTS_DEFAULT_MAX_SESSIONS,
        .errors = &node->errors,
        .progress = &node->progress,
    };
}

static inline void fake_node_close(struct fake_node *node)
{
    driver_close(node->driver);
    arena_free(node->arena);
    fake_smi_close(&node->smi);
}

/* Opens the driver on the first call. Return: what collect() returned. */
static inline int fake_node_collect(struct fake_node *node)
{
    if (!node->driver)
        assert_int_equal(nvsmi_open(&node->config, &node->driver, &node->err), 0);
    (void)remove(fake_smi_path(&node->smi, "calls", (char[128]){0}));
    return node->driver->ops->collect(node->driver, node->arena, &node->facts,
                                      &node->err);
}

/* How often a run had PART among its arguments. */
static inline size_t fake_node_calls(const struct fake_node *node, const char *part)
{
    char buffer[65536];
    struct str text = fake_smi_read(&node->smi, "calls", buffer, sizeof buffer);
    size_t count = 0;
    for (struct str line; str_split(&text, '\n', &line);)
        count += str_find_text(line, str_from(part)) >= 0;
    return count;
}

static inline uint64_t fake_node_errors(const struct fake_node *node, const char *reason)
{
    for (size_t i = 0; i < node->errors.count; i++) {
        if (strcmp(node->errors.entries[i].reason, reason) == 0) {
            assert_string_equal(node->errors.entries[i].source, "nvidia-smi");
            return node->errors.entries[i].value;
        }
    }
    return 0;
}

static inline int fake_node_setup(void **state)
{
    static struct fake_node node;
    fake_node_open(&node);
    *state = &node;
    return 0;
}

static inline int fake_node_teardown(void **state)
{
    fake_node_close(*state);
    return 0;
}
