/*
 * Why a call failed, in words for a person.
 *
 * The house rule for functions that can fail: int, 0 for success; negative (-errno
 * vocabulary) when it could not be done: only passed up, with context added; positive
 * for an outcome that the header names and the caller must handle. Out-parameters are
 * written only on success.
 */
#pragma once

#define ERR_MESSAGE_BYTES 320

enum err_domain {
    ERR_NONE = 0,
    ERR_ERRNO,
    ERR_NVML, /* native is an nvmlReturn_t */
    ERR_SMI,  /* native is nvidia-smi's exit status */
    ERR_PARSE,
    ERR_HTTP,  /* native is libcurl's code, or the HTTP status */
    ERR_USAGE, /* the person's own input: flags, scenario file */
};

/* Caller-owned, fixed size, never allocates, so that it works when memory ran out.
 * Functions accept NULL where the caller does not want the words. */
struct err {
    enum err_domain domain;
    int native; /* the domain's own number */
    char message[ERR_MESSAGE_BYTES];
};

/* Fills *ERR and returns -CODE (CODE is a positive errno value). */
__attribute__((format(printf, 5, 6))) int err_set(struct err *err, int code,
                                                  enum err_domain domain, int native,
                                                  const char *format, ...);

/* As err_set() with the text of errno value CODE after the message: "open /x: No such
 * file". */
__attribute__((format(printf, 3, 4))) int err_errno(struct err *err, int code,
                                                    const char *format, ...);

/* Puts "context: " in front of the message; returns RC unchanged. */
__attribute__((format(printf, 3, 4))) int err_wrap(struct err *err, int rc,
                                                   const char *format, ...);
