/* Pod lists and watch events, captured and made up, in pieces of every size. */
#include "../../../support/cmocka_all.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "source/kube/kube_parser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* What was seen, one line each. */
struct seen {
    struct buf text;
    struct kube_parser parser;
};

static void write_seen(void *context, enum kube_change change,
                       const struct kube_draft *draft)
{
    static const char *const names[] = {"present", "gone", "bookmark", "error"};
    struct seen *seen = context;
    buf_printf(&seen->text, "%s %s/%s %s", names[change], draft->namespace_, draft->name,
               draft->uid);
    if (change == KUBE_ERROR)
        buf_printf(&seen->text, " %u %s", seen->parser.code, seen->parser.message);
    if (change != KUBE_PRESENT || draft->version[0])
        buf_printf(&seen->text, " v%s", draft->version);
    if (draft->config_hash[0])
        buf_printf(&seen->text, " hash %s", draft->config_hash);
    if (draft->owner.name[0])
        buf_printf(&seen->text, " of %s/%s", draft->owner.kind, draft->owner.name);
    for (size_t i = 0; i < seen->parser.keys->count; i++) {
        if (draft->has_value[i])
            buf_printf(&seen->text, " %zu=%s", i, draft->values[i]);
    }
    if (draft->has_long_text)
        buf_printf(&seen->text, " long");
    buf_append_char(&seen->text, '\n');
}

static int parse(struct seen *seen, enum kube_form form, const struct pod_keys *keys,
                 struct str text, size_t piece, struct err *err)
{
    seen->text = BUF_INIT(1 << 20);
    kube_parser_init(&seen->parser, form, keys, write_seen, seen);
    while (text.n) {
        size_t n = text.n < piece ? text.n : piece;
        int rc = kube_parser_feed(&seen->parser, str_part(text, 0, n), err);
        if (rc != 0)
            return rc;
        text = str_part(text, n, text.n - n);
    }
    return kube_parser_finish(&seen->parser, err);
}

static void expect(enum kube_form form, struct str text, const char *lines)
{
    struct pod_keys keys = {.count = 0};
    assert_int_equal(pod_keys_add(&keys, false, STR("app")), 0);
    assert_int_equal(pod_keys_add(&keys, true, STR("user")), 1);
    for (size_t piece = 1; piece <= 4096; piece *= 8) {
        struct seen seen;
        assert_int_equal(parse(&seen, form, &keys, text, piece, NULL), 0);
        buf_append_char(&seen.text, '\0');
        assert_string_equal(buf_str(&seen.text).p, lines);
        buf_done(&seen.text);
    }
}

/* A file of tests/data/kube. */
static struct str read_data(const char *name, char *memory, size_t bytes)
{
    char path[120];
    struct str text;
    (void)snprintf(path, sizeof path, "tests/data/kube/%s", name);
    assert_int_equal(fdio_read_at(AT_FDCWD, path, memory, bytes, &text), 0);
    return text;
}

static char memory[1 << 17];

static void test_kubelet(void **state)
{
    (void)state;
    expect(KUBE_LIST, read_data("kubelet-pods.json", memory, sizeof memory),
           "present ml-team/llm-train-worker-0 48f7f843-4708-4753-935f-610c4828474e v179 "
           "0=llm-train\n"
           "present kube-system/node-agent-node-a a76c205f7bd6814d8de33b92e2b1b0b2 hash "
           "a76c205f7bd6814d8de33b92e2b1b0b2\n"
           "present default/web-two-node-a 994c6fa83bdff9ffcdaef01ac471bf24 hash "
           "994c6fa83bdff9ffcdaef01ac471bf24 0=web\n"
           "present default/slow-stop a5303921-e6e8-480f-b8ed-de10310e85fe v257 "
           "0=slow-stop\n"
           "present ml-team/trainer-node-a 97ed0f9cadf10cea605b8264498d197e hash "
           "97ed0f9cadf10cea605b8264498d197e 0=trainer\n");
}

static void test_watch(void **state)
{
    (void)state;
    expect(KUBE_WATCH, read_data("apiserver-pods-watch.jsonl", memory, sizeof memory),
           "present default/batch-besteffort 2b9b5515-cf0a-4fd8-accd-0b2ced2d97be v561 "
           "0=batch-besteffort\n"
           "present default/batch-besteffort 2b9b5515-cf0a-4fd8-accd-0b2ced2d97be v563 "
           "0=batch-besteffort\n"
           "present default/crashloop 041f6e72-5f16-4a79-95fe-c9d0bc77d730 v564 "
           "0=crashloop\n"
           "present default/batch-besteffort 2b9b5515-cf0a-4fd8-accd-0b2ced2d97be v567 "
           "0=batch-besteffort\n"
           "present default/batch-besteffort 2b9b5515-cf0a-4fd8-accd-0b2ced2d97be v568 "
           "0=batch-besteffort\n"
           "gone default/batch-besteffort 2b9b5515-cf0a-4fd8-accd-0b2ced2d97be v569 "
           "0=batch-besteffort\n"
           "present default/crashloop 041f6e72-5f16-4a79-95fe-c9d0bc77d730 v573 "
           "0=crashloop\n"
           "bookmark /  v573\n");
    expect(KUBE_WATCH,
           read_data("apiserver-pods-watch-too-large-rv.jsonl", memory, sizeof memory),
           "error /  504 Timeout: Too large resource version: 410, current: 403 v\n");
}

static void test_odd_orders(void **state)
{
    (void)state;
    expect(KUBE_WATCH,
           STR("{\"object\":{\"metadata\":{\"ownerReferences\":["
               "{\"controller\":true,\"name\":\"j\",\"kind\":\"Job\"},"
               "{\"name\":\"x\",\"kind\":\"X\",\"controller\":false}],"
               "\"annotations\":{\"app\":\"no\",\"user\":\"u\"},"
               "\"labels\":{\"app\":{\"app\":\"no\"},\"user\":\"no\",\"app\":\"a\"},"
               "\"uid\":\"1\",\"namespace\":\"n\",\"name\":\"p\"},"
               "\"spec\":{\"metadata\":{\"name\":\"no\"}}},\"type\":\"ADDED\"}"),
           "present n/p 1 of Job/j 0=a 1=u\n");
    expect(KUBE_LIST,
           STR("{\"metadata\":{\"name\":\"no\"},\"items\":[{},[{\"metadata\":{}}],7,"
               "{\"metadata\":[{\"name\":\"no\"}]}],\"kind\":\"PodList\"}"),
           "present / \npresent / \n");
    expect(KUBE_LIST, STR("{\"kind\":\"PodList\",\"items\":null}"), "");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        enum kube_form form;
        const char *text;
    } cases[] = {
        {KUBE_LIST, ""},
        {KUBE_LIST, "{}"},
        {KUBE_LIST, "{\"kind\":\"PodList\"}"},
        {KUBE_LIST, "{\"kind\":\"Status\",\"items\":[]}"},
        {KUBE_LIST, "{\"kind\":\"PodList\",\"items\":[]"},
        {KUBE_LIST, "{\"kind\":\"PodList\",\"items\":[]}x"},
        {KUBE_WATCH, "{}"},
        {KUBE_WATCH, "{\"type\":\"SOMETHING\",\"object\":{}}"},
        {KUBE_WATCH, "{\"type\":\"ADDED\""},
    };
    const struct pod_keys keys = {.count = 0};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct seen seen;
        struct err err = {0};
        assert_int_equal(
            parse(&seen, cases[i].form, &keys, str_from(cases[i].text), 5, &err),
            -EBADMSG);
        assert_true(err.message[0]);
        buf_done(&seen.text);
    }
}

/* A value of LENGTH bytes as the pod's FIELD. */
static struct str pod_with(const char *field, size_t length, struct buf *text)
{
    buf_printf(text, "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{%s\"", field);
    for (size_t i = 0; i < length; i++)
        buf_append_char(text, 'x');
    buf_append_text(text, strchr(field, '{') ? "\"}}}]}" : "\"}}]}");
    return buf_str(text);
}

static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        size_t fits;
        bool is_value;
    } cases[] = {
        {"\"name\":", KUBE_NAME_BYTES, false},
        {"\"namespace\":", KUBE_NAMESPACE_BYTES, false},
        {"\"uid\":", POD_UID_BYTES, false},
        {"\"labels\":{\"app\":", POD_VALUE_BYTES, true},
    };
    struct pod_keys keys = {.count = 0};
    assert_int_equal(pod_keys_add(&keys, false, STR("app")), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        for (size_t more = 0; more < 3; more++) {
            size_t length = more < 2 ? cases[i].fits + more : (size_t)1 << 20;
            struct buf text = BUF_INIT(2 << 20);
            struct seen seen;
            struct str document = pod_with(cases[i].field, length, &text);
            assert_int_equal(parse(&seen, KUBE_LIST, &keys, document, 4096, NULL), 0);
            assert_int_equal(str_find_text(buf_str(&seen.text), STR(" long\n")) >= 0,
                             more > 0 && !cases[i].is_value);
            assert_true(seen.text.len < cases[i].fits + 40);
            buf_done(&seen.text);
            buf_done(&text);
        }
    }
}

static void test_event_that_does_not_end(void **state)
{
    (void)state;
    static char piece[1 << 16];
    const struct pod_keys keys = {.count = 0};
    struct kube_parser parser;
    size_t fed = 0;
    int rc = 0;
    kube_parser_init(&parser, KUBE_WATCH, &keys, NULL, NULL);
    memset(piece, ' ', sizeof piece);
    while (rc == 0 && fed < 2 * (size_t)KUBE_EVENT_BYTES_MAX) {
        rc = kube_parser_feed(&parser, (struct str){piece, sizeof piece}, NULL);
        fed += sizeof piece;
    }
    assert_int_equal(rc, -EMSGSIZE);
    assert_true(fed <= KUBE_EVENT_BYTES_MAX + sizeof piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kubelet),    cmocka_unit_test(test_watch),
        cmocka_unit_test(test_odd_orders), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_event_that_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
