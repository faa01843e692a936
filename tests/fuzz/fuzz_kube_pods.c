/*
 * Pod lists and watch events: any bytes, in pieces, into a table. The first byte chooses
 * the form and the size of the pieces. Nothing depends on where the pieces end, and what
 * the scanner takes jansson takes too, invalid UTF-8 aside.
 */
#include "source/kube/kube_table.h"

#include "base/cleanup.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct kube_table *table;
    size_t changes;
};

static void take(void *context, enum kube_change change, const struct kube_draft *draft)
{
    struct outcome *outcome = context;
    outcome->changes++;
    if (strnlen(draft->uid, sizeof draft->uid) == sizeof draft->uid ||
        strnlen(draft->values[0], sizeof draft->values[0]) == sizeof draft->values[0])
        abort();
    if (change == KUBE_GONE)
        kube_table_mark_gone(outcome->table, draft->uid, 1);
    else if (change == KUBE_PRESENT && kube_table_put(outcome->table, draft) == 0 &&
             !kube_table_find(outcome->table, draft->uid, 1))
        abort();
}

/* Return: whether all was taken. */
static bool parse(struct outcome *outcome, const struct pod_keys *keys,
                  enum kube_form form, struct str text, size_t piece)
{
    static struct kube_parser parser;
    kube_parser_init(&parser, form, keys, take, outcome);
    while (text.n) {
        size_t n = text.n < piece ? text.n : piece;
        if (kube_parser_feed(&parser, str_part(text, 0, n), NULL) != 0)
            return false;
        text = str_part(text, n, text.n - n);
    }
    return kube_parser_finish(&parser, NULL) == 0;
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] > 0x7f)
            return false;
    }
    return true;
}

/* jansson refuses NUL, lone surrogates and numbers that overflow: not compared. */
static void compare_with_jansson(struct str text)
{
    json_error_t error;
    json_t *root = json_loadb(text.p, text.n, 0, &error);
    bool is_json = root || json_error_code(&error) == json_error_null_character ||
                   json_error_code(&error) == json_error_invalid_utf8 ||
                   json_error_code(&error) == json_error_null_byte_in_key ||
                   json_error_code(&error) == json_error_numeric_overflow ||
                   strstr(error.text, "surrogate") || strstr(error.text, "\\u") ||
                   strstr(error.text, "too big");
    json_decref(root);
    if (!is_json && is_ascii(text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_keys keys = {.count = 0};
    if (size == 0 || pod_keys_add(&keys, false, STR("app")) != 0 ||
        pod_keys_add(&keys, true, STR("user")) != 1)
        return 0;
    enum kube_form form = data[0] & 1 ? KUBE_WATCH : KUBE_LIST;
    struct str text = {(const char *)data + 1, size - 1};
    CLEANUP(kube_table_freep) struct kube_table *table = kube_table_new(&keys);
    CLEANUP(kube_table_freep) struct kube_table *again = kube_table_new(&keys);
    if (!table || !again)
        return 0;
    struct outcome whole = {table, 0}, pieces = {again, 0};
    bool is_taken = parse(&whole, &keys, form, text, text.n);
    if (parse(&pieces, &keys, form, text, 1 + (data[0] >> 1) % 16) != is_taken ||
        whole.changes != pieces.changes ||
        kube_table_count(table) != kube_table_count(again))
        abort();
    if (is_taken && form == KUBE_LIST)
        compare_with_jansson(text);
    kube_table_inherit(again, table, 1);
    kube_table_sweep(again, UINT64_MAX);
    return 0;
}
