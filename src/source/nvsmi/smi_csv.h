/*
 * The tables that `nvidia-smi --query-…=… --format=csv` prints, read row by row.
 *
 * Cells are separated by a comma and a blank, nothing is quoted, and the layout may
 * change between releases: columns are found by their name in the header. Pure; rows are
 * views into the text. Any bytes may come in: a row that makes no sense is skipped and
 * counted.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "model/value.h"

enum smi_gpu_column {
    SMI_GPU_INDEX,
    SMI_GPU_UUID,
    SMI_GPU_NAME,
    SMI_GPU_PCI_BUS_ID,
    SMI_GPU_DRIVER_VERSION,
    SMI_GPU_MIG_MODE,
    SMI_GPU_MEMORY_TOTAL,
    SMI_GPU_MEMORY_USED,
    SMI_GPU_UTILIZATION,
    SMI_GPU_POWER,
    SMI_GPU_TEMPERATURE,
    SMI_GPU_COLUMNS,
};

/* What to ask --query-gpu for to get that column. */
const char *smi_gpu_column_name(enum smi_gpu_column column);

/* The query of compute processes. The process's name is left out: it is the one
 * cell that may hold a comma, and /proc knows it better. */
#define SMI_APP_QUERY "--query-compute-apps=gpu_uuid,pid,used_gpu_memory"

enum { SMI_CSV_CELLS_MAX = 32 };

/* A table whose header has been read. */
struct smi_csv {
    struct str rest;                 /* what has not been read */
    size_t cell_count;               /* per row, as the header has them */
    int8_t cell_of[SMI_GPU_COLUMNS]; /* by column: its cell in a row, or -1 */
    size_t malformed_rows;           /* skipped so far */
};

/* One physical GPU; MIG devices have no rows. A text that is missing has p == NULL. */
struct smi_gpu {
    uint32_t index;
    struct str uuid;
    struct str name;
    struct str pci_bus_id;
    struct str driver_version;
    bool has_mig_mode;
    struct str fault; /* "GPU is lost", "GPU requires reset"; p == NULL: none */
    struct value_u64 memory_total_bytes;
    struct value_u64 memory_used_bytes;
    struct value_double utilization_percent;
    struct value_double power_watts;
    struct value_double temperature_celsius;
};

/* One compute process on one GPU. In MIG mode the GPU is the physical one. */
struct smi_app {
    struct str gpu_uuid;
    uint32_t pid;
    struct value_u64 memory_used_bytes;
};

/* VALUE_OK when TOKEN is a value; otherwise why there is none: "[N/A]", "[Not
 * Supported]",
 * "[Insufficient Permissions]", "[Unknown Error]", any other text in square brackets. */
enum value_state smi_token_state(struct str token);

/* Finds the header of a table of GPUs; lines before it are passed over.
 * Return: 0, or -EBADMSG when TEXT holds no such table. */
int smi_csv_open_gpus(struct smi_csv *csv, struct str text, struct err *err)
    __attribute__((warn_unused_result));
/* The next row with an index. Return: false after the last one. */
bool smi_csv_next_gpu(struct smi_csv *csv, struct smi_gpu *gpu);

/* The same for the table of compute processes. */
int smi_csv_open_apps(struct smi_csv *csv, struct str text, struct err *err)
    __attribute__((warn_unused_result));
/* The next row with a GPU and a pid. Return: false after the last one. */
bool smi_csv_next_app(struct smi_csv *csv, struct smi_app *app);
