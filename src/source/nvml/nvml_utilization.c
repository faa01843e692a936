/*
 * The driver keeps a ring of about ten seconds of samples per GPU and answers with one
 * record per process that did something since a timestamp of its own clock.
 *
 * That clock is the wall's with some drivers and counts from boot with others: timestamps
 * are compared with one another only, but for one check. Records hold garbage at times
 * (values over 100, old or future timestamps, strangers' pids): such a record is dropped,
 * and its timestamp does not move the window. A process that did something, but of which
 * there is nothing but garbage, is not known to have been idle: it has no value.
 *
 * A window begins at the newest sample of an earlier collection that is at least a second
 * old, so that collections in quick succession see overlapping windows, never empty ones.
 */
#include "source/nvml/nvml_utilization.h"

#include <string.h>

enum { SAMPLES_TRIES = 5, SAMPLES_DEFAULT = 100 };

/* The driver samples every sixth of a second to every second, by board. A window shorter
 * than that may hold no sample of a busy process, which would then read as idle. */
#define SHORTEST_WINDOW_NS UINT64_C(1000000000)

/* No driver's clock runs ahead of the wall's (counting from boot, it is decades behind),
 * unless the wall's was set back: by up to a year, or any number could be a timestamp. */
#define CLOCK_SLACK_US (UINT64_C(60) * 1000 * 1000)
#define CLOCK_SET_BACK_US (UINT64_C(366) * 24 * 60 * 60 * 1000 * 1000)

static const nvmlProcessUtilizationSample_t no_sample;

static void process_set(struct process_facts *process, enum value_state state,
                        const nvmlProcessUtilizationSample_t *sample)
{
    process->sm_percent = (struct value_double){sample->smUtil, state};
    process->memory_bandwidth_percent = (struct value_double){sample->memUtil, state};
    process->encoder_percent = (struct value_double){sample->encUtil, state};
    process->decoder_percent = (struct value_double){sample->decUtil, state};
}

/* Asks how many samples the driver may return. */
static nvmlReturn_t samples_size(struct nvml_source *source, struct nvml_gpu *gpu)
{
    unsigned int count = 0;
    nvmlReturn_t code =
        NVML_TRY(&source->link, &gpu->health, nvmlDeviceGetProcessUtilization,
                 gpu->handle, NULL, &count, gpu->window_from_us);
    if (code != NVML_ERROR_INSUFFICIENT_SIZE && code != NVML_SUCCESS)
        return code;
    if (count == 0) /* seen from real drivers; a buffer of none has crashed them */
        count = SAMPLES_DEFAULT;
    gpu->sample_capacity = count < NVML_SAMPLES_MAX ? count : NVML_SAMPLES_MAX;
    return NVML_SUCCESS;
}

/* Fills source->samples with *COUNT records. Return: the driver's code. */
static nvmlReturn_t samples_fetch(struct nvml_source *source, struct nvml_gpu *gpu,
                                  unsigned int *count)
{
    nvmlReturn_t code = NVML_ERROR_INSUFFICIENT_SIZE;
    for (int i = 0; i < SAMPLES_TRIES && code == NVML_ERROR_INSUFFICIENT_SIZE; i++) {
        if (gpu->sample_capacity == 0) {
            nvmlReturn_t size_code = samples_size(source, gpu);
            if (size_code != NVML_SUCCESS)
                return size_code;
        }
        if (!NVML_RESERVE(source, source->samples, source->sample_capacity,
                          gpu->sample_capacity, 0))
            return NVML_ERROR_MEMORY;
        memset(source->samples, 0, gpu->sample_capacity * sizeof *source->samples);
        *count = gpu->sample_capacity;
        code = NVML_TRY(&source->link, &gpu->health, nvmlDeviceGetProcessUtilization,
                        gpu->handle, source->samples, count, gpu->window_from_us);
        if (code == NVML_ERROR_INSUFFICIENT_SIZE)
            gpu->sample_capacity = 0;
    }
    return code;
}

/* Position of PID among the COUNT processes, ordered by pid, or -1. */
static ptrdiff_t process_find(const struct process_facts *processes, size_t count,
                              uint32_t pid)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (processes[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && processes[low].pid == pid ? (ptrdiff_t)low : -1;
}

static bool is_percentage(const nvmlProcessUtilizationSample_t *sample)
{
    return sample->smUtil <= 100 && sample->memUtil <= 100 && sample->encUtil <= 100 &&
           sample->decUtil <= 100;
}

/* The latest timestamp to believe, at least LIMIT. A driver's clock may be ahead of a
 * wall clock that was set back: when all records are past LIMIT, the oldest tells the
 * time. */
static unsigned long long samples_until(const struct nvml_source *source,
                                        const struct nvml_gpu *gpu, unsigned int count,
                                        unsigned long long limit_us)
{
    unsigned long long oldest = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const nvmlProcessUtilizationSample_t *sample = &source->samples[i];
        if (is_percentage(sample) && sample->timeStamp > gpu->window_from_us &&
            sample->timeStamp < oldest)
            oldest = sample->timeStamp;
    }
    bool is_ahead = oldest > limit_us && oldest - limit_us <= CLOCK_SET_BACK_US;
    return is_ahead ? oldest + CLOCK_SLACK_US : limit_us;
}

/* Gives each process its newest valid record, or VALUE_ERROR where garbage is all there
 * is of it. Return: the newest timestamp of the valid ones. */
static unsigned long long samples_apply(struct nvml_source *source,
                                        const struct nvml_gpu *gpu, unsigned int count,
                                        unsigned long long until_us)
{
    struct process_facts *processes = source->processes + gpu->first_process;
    unsigned long long newest = 0;
    memset(source->newest, 0, gpu->process_count * sizeof *source->newest);
    for (size_t i = 0; i < count; i++) {
        const nvmlProcessUtilizationSample_t *sample = &source->samples[i];
        ptrdiff_t at = process_find(processes, gpu->process_count, sample->pid);
        if (at < 0 || sample->timeStamp <= gpu->window_from_us)
            continue;
        if (!is_percentage(sample) || sample->timeStamp > until_us) {
            if (source->newest[at] == 0)
                process_set(&processes[at], VALUE_ERROR, &no_sample);
        } else if (sample->timeStamp >= source->newest[at]) {
            source->newest[at] = sample->timeStamp;
            process_set(&processes[at], VALUE_OK, sample);
        }
    }
    for (size_t i = 0; i < gpu->process_count; i++) {
        if (processes[i].sm_percent.state == VALUE_ERROR)
            nvml_error_add(&source->link, "implausible", 1);
        if (source->newest[i] > newest)
            newest = source->newest[i];
    }
    return newest;
}

/* Lets the window begin where the last one ended, once that is long enough ago. When the
 * wall clock was set back, the driver's may have been as well: all samples are asked for,
 * in each collection until the wall's has caught up. */
static void window_move(struct nvml_gpu *gpu, uint64_t now_ns,
                        unsigned long long limit_us)
{
    if (gpu->newest_sample_us > limit_us)
        gpu->newest_sample_us = gpu->window_from_us = 0;
    if (now_ns - gpu->newest_seen_ns >= SHORTEST_WINDOW_NS)
        gpu->window_from_us = gpu->newest_sample_us;
}

static void window_note(struct nvml_gpu *gpu, uint64_t now_ns, unsigned long long newest)
{
    /* One candidate at a time, or frequent collections would put it off for ever. */
    if (gpu->newest_sample_us > gpu->window_from_us || newest <= gpu->window_from_us)
        return;
    gpu->newest_sample_us = newest;
    gpu->newest_seen_ns = now_ns;
}

/* Return: the state of the GPU's records, *COUNT of them in source->samples. */
static enum value_state samples_read(struct nvml_source *source, struct nvml_gpu *gpu,
                                     unsigned int *count)
{
    nvmlReturn_t code = samples_fetch(source, gpu, count);
    if (code == NVML_ERROR_NOT_FOUND) { /* nobody did anything */
        *count = 0;
        return VALUE_OK;
    }
    (void)nvml_call_count(&source->link, code);
    if (code != NVML_SUCCESS)
        return nvml_result_state(code);
    if (*count > gpu->sample_capacity) {
        nvml_error_add(&source->link, "implausible_list", 1);
        return VALUE_ERROR;
    }
    return VALUE_OK;
}

void nvml_utilization_read(struct nvml_source *source, struct nvml_gpu *gpu)
{
    if (gpu->process_count == 0)
        return;
    unsigned int count = 0;
    unsigned long long limit_us =
        source->clock.wall_us(source->clock.context) + CLOCK_SLACK_US;
    uint64_t now_ns = source->clock.monotonic_ns(source->clock.context);
    window_move(gpu, now_ns, limit_us);
    enum value_state state = VALUE_UNSUPPORTED; /* in MIG mode the driver has none */
    if (!gpu->has_mig_mode)
        state = samples_read(source, gpu, &count);
    if (state == VALUE_OK &&
        !NVML_RESERVE(source, source->newest, source->newest_capacity, gpu->process_count,
                      0))
        state = VALUE_ERROR;
    for (size_t i = 0; i < gpu->process_count; i++)
        process_set(&source->processes[gpu->first_process + i], state, &no_sample);
    if (state != VALUE_OK)
        return;
    unsigned long long until_us = samples_until(source, gpu, count, limit_us);
    window_note(gpu, now_ns, samples_apply(source, gpu, count, until_us));
}
