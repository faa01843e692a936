/*
 * Locks the serving process in: after its start it needs hardly anything.
 *
 * Several layers, each where the kernel has it, because each has gaps that another
 * closes: no privileges by executing a file; no capabilities; Landlock: no file but those
 * named, no TCP but what is connected already; seccomp: a list of system calls, every
 * other one fails with EPERM.
 */
#pragma once

#include <stddef.h>

enum sandbox_layer {
    SANDBOX_PRIVILEGES = 1 << 0, /* capabilities and no_new_privs */
    SANDBOX_LANDLOCK = 1 << 1,
    SANDBOX_SECCOMP = 1 << 2,
};

struct sandbox_config {
    /* Directories below which files may still be read: those of the web configuration and
     * of the certificates. Without any, no file is opened at all. */
    const char *const *readable;
    size_t readable_count;
    unsigned left_out; /* sandbox_layer bits: for showing what each layer does alone */
};

enum { SANDBOX_WORDS_BYTES = 512 };

/* What holds, for the log: "capabilities dropped; no new privileges; landlock (ABI 6):
 * files none, network none; seccomp: 65 calls allowed". Words in capitals do not hold. */
struct sandbox_report {
    char words[SANDBOX_WORDS_BYTES];
};

/**
 * sandbox_enter() - give up, for good, whatever serving does not need
 *
 * To be called by the only thread, when listeners and pipes are open: threads that it
 * starts later are bound too, those that run already would not be by Landlock before its
 * ABI 8.
 *
 * Return: 0; SANDBOX_PARTIAL when a layer does not hold, and REPORT says which and why.
 * The process works on in any case.
 */
int sandbox_enter(const struct sandbox_config *config, struct sandbox_report *report);
#define SANDBOX_PARTIAL 1
