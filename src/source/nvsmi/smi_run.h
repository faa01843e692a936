/*
 * One run of nvidia-smi: a program started without a shell, its output collected.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { SMI_TEXT_BYTES = 4 * 1024 * 1024, SMI_COMPLAINT_BYTES = 64 * 1024 };

struct smi_output {
    struct buf text; /* standard output, at most SMI_TEXT_BYTES */
    struct buf
        complaint;   /* standard error; what exceeds SMI_COMPLAINT_BYTES is dropped */
    int exit_status; /* 0–255 */
};

#define SMI_OUTPUT_INIT                                                                  \
    ((struct smi_output){.text = BUF_INIT(SMI_TEXT_BYTES),                               \
                         .complaint = BUF_INIT(SMI_COMPLAINT_BYTES)})

/* Releases the text; the output may be used again. */
void smi_output_done(struct smi_output *output);

/**
 * smi_run() - run a program to its end
 * @program:   path; PATH is not searched
 * @arguments: as for execv(3): argv[0] first, NULL last
 * @output:    as SMI_OUTPUT_INIT leaves it; its texts mean something only on success
 *
 * The program gets LC_ALL=C, /dev/null as standard input, default signals, a process
 * group of its own and none of the caller's descriptors. It is killed when the calling
 * thread's process ends, and so is what is left of its group when it ends itself. There
 * is no time limit here: the caller is a process that its supervisor gives up in time.
 *
 * Return: 0 when the program ended by itself, with any exit status; negative when it
 * could not be started, was killed by a signal, or printed more than SMI_TEXT_BYTES.
 */
int smi_run(const char *program, char *const arguments[], struct smi_output *output,
            struct err *err) __attribute__((warn_unused_result));
