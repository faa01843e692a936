/*
 * What a return code of the driver means: words, value state, and how far it reaches.
 *
 * Codes are data from outside: one that is not in the table (a newer driver's) is an
 * error of one call, shown by its number.
 */
#pragma once

#include "base/err.h"
#include "model/value.h"
#include "source/nvml/nvml_abi.h"

/* How much a code says. */
enum nvml_reach {
    NVML_REACH_CALL = 0, /* this call only */
    NVML_REACH_GPU,      /* the GPU answers nothing any more */
    NVML_REACH_SESSION,  /* from every GPU: the driver as a whole is gone */
};

/* One word of a bounded set, for the error counters: "gpu_is_lost". */
const char *nvml_result_word(nvmlReturn_t code);
enum nvml_reach nvml_result_reach(nvmlReturn_t code);
enum value_state nvml_result_state(nvmlReturn_t code);

/* Writes "GPU is lost (NVML 15)", or "NVML 1234" for an unknown code; at least 48 bytes.
 */
void nvml_result_text(nvmlReturn_t code, char *text, size_t bytes);

/* What a person can do about it, as the rest of a sentence; NULL where nothing is known.
 */
const char *nvml_result_remedy(nvmlReturn_t code);

/* Fills *ERR with one line: WHAT failed, why, and what to do where that is known.
 * Return: a negative errno value. */
int nvml_result_error(struct err *err, nvmlReturn_t code, const char *what);
