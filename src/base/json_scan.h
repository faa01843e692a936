/*
 * JSON from outside, read in pieces of any size without ever holding the document.
 *
 * Memory is this struct and nothing else, however long the document or a string in it:
 * a text keeps its first SCAN_TEXT_BYTES and is marked as cut. Strict about the grammar
 * (RFC 8259); strings are not checked for valid UTF-8, which whoever shows them does, and
 * an escape that is no character (half a surrogate pair) becomes U+FFFD.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { SCAN_TEXT_BYTES = 1024, SCAN_DEPTH_MAX = 64 };

enum scan_event {
    SCAN_OBJECT,
    SCAN_OBJECT_END,
    SCAN_ARRAY,
    SCAN_ARRAY_END,
    SCAN_KEY,
    SCAN_STRING,
    SCAN_NUMBER, /* text as it stands */
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NULL,
};

struct scan_token {
    enum scan_event event;
    struct str text; /* key, string or number; valid during the call only */
    bool is_cut;     /* text is only the head */
    size_t depth;    /* containers around it; of a container: around itself */
};

typedef void scan_handler(void *context, const struct scan_token *token);

struct json_scan {
    scan_handler *handler;
    void *context;
    bool allows_many; /* values one after the other, as in a stream of lines */
    int state;
    size_t depth;
    uint64_t objects;    /* bit i: the container at depth i is an object */
    const char *literal; /* what is still to come of true, false, null */
    enum scan_event literal_event;
    bool is_key; /* the string being read is one */
    uint32_t code, high_surrogate;
    unsigned hex_digits;
    unsigned number; /* where in one */
    char text[SCAN_TEXT_BYTES];
    size_t text_bytes;
    bool is_cut;
};

void json_scan_init(struct json_scan *scan, scan_handler *handler, void *context);

/* Return: 0, or -EBADMSG with words; after that nothing more is to be fed. */
int json_scan_feed(struct json_scan *scan, struct str piece, struct err *err)
    __attribute__((warn_unused_result));

/* At the end of the input. Return: 0 when it was whole (and, without allows_many, one
 * value), or -EBADMSG. */
int json_scan_finish(struct json_scan *scan, struct err *err)
    __attribute__((warn_unused_result));
