/*
 * `nvidia-smi pmon -c 1`: per-process utilisation over about one second.
 *
 * Columns differ by driver generation and are found by the names in the header line.
 * Pure; any bytes may come in: a row that makes no sense is skipped and counted.
 */
#pragma once

#include "base/str.h"
#include "model/facts.h"

enum smi_pmon_column {
    SMI_PMON_GPU,
    SMI_PMON_PID,
    SMI_PMON_TYPE,
    SMI_PMON_SM,
    SMI_PMON_MEMORY_BANDWIDTH,
    SMI_PMON_ENCODER,
    SMI_PMON_DECODER,
    SMI_PMON_FRAMEBUFFER,
    SMI_PMON_COLUMNS,
};

/* A table being read; no header seen yet when it is all zero but for `rest`. */
struct smi_pmon {
    struct str rest;
    bool has_header;
    int8_t word_of[SMI_PMON_COLUMNS]; /* by column: its word in a row, or -1 */
    size_t malformed_rows;            /* skipped so far */
};

/* Percent values: "-" is 0, because the driver leaves out the idle; VALUE_UNSUPPORTED
 * where the driver has no such column. On a GPU in MIG mode every value is "-" and means
 * nothing: the caller must not use them. */
struct smi_pmon_row {
    uint32_t gpu; /* index of the physical GPU */
    uint32_t pid;
    unsigned kinds; /* enum process_kind, or-ed */
    struct value_double sm_percent;
    struct value_double memory_bandwidth_percent;
    struct value_double encoder_percent;
    struct value_double decoder_percent;
    struct value_u64 memory_used_bytes;
};

static inline struct smi_pmon smi_pmon_open(struct str text)
{
    return (struct smi_pmon){.rest = text};
}

/* The next row with a process (GPUs without one have a row too). Return: false after the
 * last one. */
bool smi_pmon_next(struct smi_pmon *pmon, struct smi_pmon_row *row);
