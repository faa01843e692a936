/*
 * Text from outside on its way to a reader: process and pod names may hold any byte.
 */
#pragma once

#include "base/buf.h"
#include "model/snapshot.h"

/* What stands where the input was not UTF-8: U+FFFD. */
#define TEXT_REPLACEMENT "\xEF\xBF\xBD"

/* Takes the next character off the non-empty *REST: a valid UTF-8 sequence as it stands,
 * TEXT_REPLACEMENT for a byte that belongs to none. */
struct str text_next(struct str *rest);

/* As text_next(), with a blank for a control character (U+0000–1F, U+007F–9F). */
struct str text_next_printable(struct str *rest);

/* Appends TEXT (NULL: nothing) for a terminal: as text_next_printable(), and
 * TEXT_REPLACEMENT for characters that are invisible or turn the direction of writing. */
void text_append_terminal(struct buf *buf, const char *text);

/* Terminal columns of valid UTF-8: 2 for wide East Asian characters and emoji, 0 for
 * combining ones. */
size_t text_width(struct str text);

/* The longest head of TEXT that is at most WIDTH columns wide. */
struct str text_cut_width(struct str text, size_t width);

/* The labels `pod`, `namespace` and `container`: empty outside pods, "unknown" where the
 * process is in a pod, or may be, and the name was not learnt. */
struct pod_labels {
    const char *namespace_, *pod, *container;
};
struct pod_labels text_pod_labels(const struct pod_identity *pod);

/* "used", "allocated_unused", "used_unallocated" or "free". */
const char *text_device_state(enum device_state state);

/* "active", "idle", or "" when not known. */
const char *text_status(enum session_status status);
