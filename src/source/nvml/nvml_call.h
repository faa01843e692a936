/*
 * The one way to call the driver.
 *
 * Every call notes its name and GPU for the observer that watches for calls that never
 * return, answers FUNCTION_NOT_FOUND for a symbol that the library does not have, and is
 * refused once its GPU has failed: no handle of a lost GPU is ever passed on again in the
 * same collection.
 */
#pragma once

#include "source/errors.h"
#include "source/nvml/nvml_api.h"
#include "source/nvml/nvml_result.h"
#include "source/progress.h"

#define NVML_ERROR_SOURCE "nvml"

struct nvml_link {
    struct nvml_api api;
    struct call_progress *progress;
    struct error_counters *errors;
};

/* Whether calls about one GPU are still worth making in this collection. */
struct nvml_health {
    uint32_t index;
    nvmlReturn_t fault; /* the code that ended it, or NVML_SUCCESS */
};

/* Counts CODE as an error of this call, unless it only says that something is not offered
 * or was counted when it ended the GPU. Return: CODE. */
nvmlReturn_t nvml_call_count(struct nvml_link *link, nvmlReturn_t code);

/* Notes a code that reaches beyond its call: counted here, once per GPU. GPU may be NULL.
 */
void nvml_call_note(struct nvml_link *link, struct nvml_health *gpu, nvmlReturn_t code);

/* Gives the GPU up for this collection because of CODE, which is counted. */
void nvml_call_end_gpu(struct nvml_link *link, struct nvml_health *gpu,
                       nvmlReturn_t code);

static inline void nvml_error_add(struct nvml_link *link, const char *reason, uint64_t n)
{
    errors_add(link->errors, NVML_ERROR_SOURCE, reason, n);
}

/* Calls SYMBOL about GPU (struct nvml_health *, NULL: about none); the caller knows which
 * codes are no errors and counts the others. */
#define NVML_TRY(link, gpu, symbol, ...)                                                 \
    __extension__({                                                                      \
        struct nvml_link *link_ = (link);                                                \
        struct nvml_health *gpu_ = (gpu);                                                \
        nvmlReturn_t code_ = gpu_ ? gpu_->fault : NVML_SUCCESS;                          \
        if (code_ == NVML_SUCCESS && !link_->api.symbol) {                               \
            code_ = NVML_ERROR_FUNCTION_NOT_FOUND;                                       \
        } else if (code_ == NVML_SUCCESS) {                                              \
            progress_begin(link_->progress, #symbol,                                     \
                           gpu_ ? gpu_->index : PROGRESS_NO_DEVICE);                     \
            code_ = link_->api.symbol(__VA_ARGS__);                                      \
            progress_end(link_->progress);                                               \
            if (code_ != NVML_SUCCESS)                                                   \
                nvml_call_note(link_, gpu_, code_);                                      \
        }                                                                                \
        code_;                                                                           \
    })

/* As NVML_TRY, for calls in which every failure is an error. */
#define NVML_CALL(link, gpu, symbol, ...)                                                \
    nvml_call_count((link), NVML_TRY((link), (gpu), symbol, __VA_ARGS__))
