/*
 * What an ended nvidia-smi meant: its exit status and the sentences it prints instead of
 * a table, turned into a cause and a remedy. Pure; any bytes may come in.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

/* The outcomes that a caller handles; *ERR has the words for these too. */
enum {
    SMI_NO_DEVICES = 1, /* the driver answers and has no GPU (or none of that index) */
    SMI_UNKNOWN_FIELD, /* older than a field of the query: smi_failure_field() names it */
    SMI_GPU_UNREADABLE, /* a lost GPU made the whole command fail: ask the others alone */
    SMI_NOT_SUPPORTED,  /* the operation, on these GPUs */
};

/* TEXT is the program's standard output, COMPLAINT its standard error: nvidia-smi prints
 * most of its messages to the former.
 * Return: 0 when TEXT is the answer; one of the outcomes above; negative otherwise. */
int smi_failure_judge(int exit_status, struct str text, struct str complaint,
                      struct err *err) __attribute__((warn_unused_result));

/* The field named in `Field "…" is not a valid field to query.`; p == NULL without one.
 */
struct str smi_failure_field(struct str text, struct str complaint);
