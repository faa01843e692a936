/*
 * Any bytes → a snapshot whose every text, number and state is cut from them: for the
 * fuzz target of the renderer, and for the program that shows such pages to other
 * parsers. Devices and pids are distinct, as the sources promise.
 */
#pragma once

#include "base/arena.h"
#include "model/snapshot.h"

#include <stdint.h>

enum { BYTES_MAX_DEVICES = 5, BYTES_MAX_PROCESSES = 8 };

struct bytes_reader {
    struct arena *arena;
    const uint8_t *p;
    size_t n;
};

static inline uint8_t bytes_u8(struct bytes_reader *reader)
{
    if (!reader->n)
        return 0;
    reader->n--;
    return *reader->p++;
}

static inline uint64_t bytes_u64(struct bytes_reader *reader)
{
    uint64_t value = 0;
    for (int i = bytes_u8(reader) % 9; i > 0; i--)
        value = value << 8 | bytes_u8(reader);
    return value;
}

/* NULL, or a text of up to 1020 bytes without NUL. */
static inline const char *bytes_text(struct bytes_reader *reader)
{
    size_t n = (size_t)bytes_u8(reader) * 4;
    if (n == 0)
        return NULL;
    char *text = arena_alloc(reader->arena, n + 1, 1);
    for (size_t i = 0; text && i < n && reader->n; i++) {
        uint8_t byte = bytes_u8(reader);
        if (!byte)
            break;
        text[i] = (char)byte;
    }
    return text;
}

static inline enum value_state bytes_state(struct bytes_reader *reader)
{
    uint8_t byte = bytes_u8(reader);
    return byte >= 5 ? VALUE_OK : (enum value_state)byte;
}

static inline struct value_u64 bytes_value_u64(struct bytes_reader *reader)
{
    enum value_state state = bytes_state(reader);
    return (struct value_u64){bytes_u64(reader), state};
}

/* Any double in process values: a driver's GPM may hand over any. */
static inline struct value_double bytes_value_double(struct bytes_reader *reader)
{
    enum value_state state = bytes_state(reader);
    uint64_t bits = bytes_u64(reader);
    struct value_double value = {.state = state};
    memcpy(&value.v, &bits, sizeof value.v);
    return value;
}

static inline struct device_facts bytes_device(struct bytes_reader *reader,
                                               uint32_t index)
{
    uint8_t flags = bytes_u8(reader);
    return (struct device_facts){
        .kind = flags & 1 ? DEVICE_MIG : DEVICE_GPU,
        .has_mig_mode = flags & 2,
        .has_mig_devices = flags & 4,
        .index = index,
        .gi = bytes_u8(reader),
        .ci = bytes_u8(reader),
        .uuid = bytes_text(reader),
        .name = bytes_text(reader),
        .pci_bus_id = bytes_text(reader),
        .mig_profile = bytes_text(reader),
        .parent_uuid = bytes_text(reader),
        .memory_total_bytes = bytes_value_u64(reader),
        .memory_used_bytes = bytes_value_u64(reader),
        .utilization_percent = {bytes_u8(reader), bytes_state(reader)},
        .power_watts = {(double)bytes_u64(reader) / 1000, bytes_state(reader)},
        .temperature_celsius = {bytes_u8(reader), bytes_state(reader)},
        .process_list = bytes_state(reader),
        .fault = bytes_text(reader),
    };
}

static inline struct process_facts bytes_process(struct bytes_reader *reader, size_t at,
                                                 size_t device_count)
{
    return (struct process_facts){
        .device = (uint32_t)(at * device_count / BYTES_MAX_PROCESSES),
        .pid = (uint32_t)at * 1000 + bytes_u8(reader),
        .kinds = bytes_u8(reader),
        .memory_used_bytes = bytes_value_u64(reader),
        .sm_percent = bytes_value_double(reader),
        .memory_bandwidth_percent = bytes_value_double(reader),
        .encoder_percent = bytes_value_double(reader),
        .decoder_percent = bytes_value_double(reader),
    };
}

static inline struct process_identity bytes_identity(struct bytes_reader *reader)
{
    return (struct process_identity){
        .state = (enum identity_state)(bytes_u8(reader) % (IDENTITY_REUSED + 1)),
        .start_ticks = bytes_u64(reader),
        .command = bytes_text(reader),
        .uid = (uint32_t)bytes_u64(reader),
        .has_uid = bytes_u8(reader) & 1,
        .unix_user = bytes_text(reader),
        .pod = {.state = (enum pod_state)(bytes_u8(reader) % (POD_RESOLVED + 1)),
                .namespace_ = bytes_text(reader),
                .name = bytes_text(reader),
                .container = bytes_text(reader)},
    };
}

/* Return: NULL when memory is gone. */
static inline const struct snapshot *bytes_snapshot(struct arena *arena,
                                                    const uint8_t *data, size_t size)
{
    struct bytes_reader reader = {arena, data, size};
    size_t device_count = bytes_u8(&reader) % (BYTES_MAX_DEVICES + 1);
    struct driver_facts *driver = ARENA_NEW(arena, struct driver_facts, 1);
    struct device_facts *devices =
        ARENA_NEW(arena, struct device_facts, BYTES_MAX_DEVICES);
    struct process_facts *processes =
        ARENA_NEW(arena, struct process_facts, BYTES_MAX_PROCESSES);
    struct process_identity *identities =
        ARENA_NEW(arena, struct process_identity, BYTES_MAX_PROCESSES);
    struct source_status *source = ARENA_NEW(arena, struct source_status, 1);
    if (!driver || !devices || !processes || !identities || !source)
        return NULL;
    struct process_clock clock = {bytes_u8(&reader) & 1, bytes_u8(&reader),
                                  bytes_u64(&reader), bytes_u64(&reader)};
    *source = (struct source_status){"nvml", bytes_u8(&reader) & 1, bytes_text(&reader)};
    const char *node = bytes_text(&reader);
    for (size_t i = 0; i < device_count; i++)
        devices[i] = bytes_device(&reader, (uint32_t)i);
    size_t process_count = device_count ? BYTES_MAX_PROCESSES : 0;
    for (size_t i = 0; i < process_count; i++) {
        processes[i] = bytes_process(&reader, i, device_count);
        identities[i] = bytes_identity(&reader);
    }
    *driver = (struct driver_facts){"550",     devices,       device_count,
                                    processes, process_count, bytes_u8(&reader)};
    struct snapshot_input input = {.driver = driver,
                                   .identities = identities,
                                   .clock = clock,
                                   .node = node,
                                   .sources = source,
                                   .source_count = 1};
    const struct snapshot *snapshot = NULL;
    return snapshot_build(arena, &input, &snapshot, NULL) == 0 ? snapshot : NULL;
}
