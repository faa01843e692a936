/*
 * Which GPUs to report: `--gpu.devices 0,GPU-5c2a…`, all when nothing is named.
 *
 * A GPU is meant by its index or its UUID; its MIG devices come with it.
 */
#pragma once

#include "base/str.h"
#include "model/facts.h"

struct gpu_selection {
    struct str entries[FACTS_MAX_GPUS]; /* views of the text that was read */
    size_t count;                       /* 0: all GPUs */
};

/* Reads TEXT, entries separated by commas. Return: false when one of them is neither an
 * index nor a UUID, or when there are none or too many; OUT is then not meaningful. */
bool gpu_selection_parse(struct str text, struct gpu_selection *out);

/* Whether DEVICE, a GPU or a MIG device, is to be reported. */
bool gpu_selection_has(const struct gpu_selection *selection,
                       const struct device_facts *device);

/* The first entry that means none of DRIVER's GPUs; NULL when each means one. */
const struct str *gpu_selection_absent(const struct gpu_selection *selection,
                                       const struct driver_facts *driver);
