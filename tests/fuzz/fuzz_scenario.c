/*
 * Any bytes as a scenario: refused with a message, or a node whose state and cgroup texts
 * can be built.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "sim/node/node_cgroup.h"
#include "sim/node/node_state_build.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct node_clock clock = {.epoch_us = 1, .uptime_seconds = 1};
    struct scenario scenario;
    struct str state;
    struct err err = {0};
    CLEANUP(arena_freep) struct arena *arena = arena_new(32 << 20);
    if (!arena)
        return 0;
    if (scenario_parse(arena, (struct str){(const char *)data, size}, "fuzz", &scenario,
                       &err) != 0) {
        if (!err.message[0])
            abort(); /* a refusal without a reason helps nobody */
        return 0;
    }
    if (node_state_build(arena, &scenario, &clock, &state, &err) != 0)
        return 0; /* larger than the arena */
    for (size_t i = 0; i < scenario.process_count && i < 16; i++) {
        CLEANUP(buf_done) struct buf path = BUF_INIT(CGROUP_PATH_BYTES_MAX);
        CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 16);
        node_cgroup_process_path(&path, &scenario, &scenario.processes[i]);
        node_cgroup_render(&text, &scenario, STR("/a/b"), buf_str(&path));
    }
    return 0;
}
