/* Selection and order. */
#include "../../support/cmocka_all.h"
#include "../../support/node.h"

#include "output/filter.h"

static void test_sort_key_words(void **state)
{
    static const struct {
        const char *word;
        int key; /* -1: refused */
    } cases[] = {
        {"device", SORT_DEVICE},
        {"memory", SORT_MEMORY},
        {"utilization", SORT_UTILIZATION},
        {"age", SORT_AGE},
        {"user", SORT_USER},
        {"pid", SORT_PID},
        {"", -1},
        {"Memory", -1},
        {"memory ", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum sort_key key = SORT_DEVICE;
        assert_int_equal(sort_key_parse(cases[i].word, &key), cases[i].key >= 0);
        if (cases[i].key >= 0)
            assert_int_equal(key, cases[i].key);
    }
}

static void test_devices(void **state)
{
    static const struct {
        const char *gpu;
        unsigned matching; /* bit per device: 0, 1, 1_7_0, 1_8_0, 2, 3 */
    } cases[] = {
        {NULL, 0x3F},
        {"0", 0x01},
        {"1", 0x0E},
        {"1_7_0", 0x04},
        {"1_8_0", 0x08},
        {"1_7", 0},
        {"1_", 0},
        {"", 0},
        {"9", 0},
        {"-1", 0},
        {"x", 0},
        {"3", 0x20},
        {"99999999999999999999", 0},
    };
    (void)state;
    struct node node;
    node_init(&node);
    const struct snapshot *snapshot = node_build(&node);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct filter filter = {.gpu = cases[i].gpu};
        unsigned matching = 0;
        for (size_t k = 0; k < snapshot->device_count; k++)
            matching |= (unsigned)filter_matches_device(&filter, &snapshot->devices[k])
                        << k;
        assert_int_equal(matching, cases[i].matching);
    }
    node_done(&node);
}

static void test_sessions(void **state)
{
    static const struct {
        struct filter filter;
        unsigned matching; /* bit per session: 4242, 5151, 6000, 6001, 7000 */
    } cases[] = {
        {{0}, 0x1F},
        {{.gpu = "1"}, 0x1C},
        {{.namespace_ = "ml-team"}, 0x01},
        {{.namespace_ = "ml"}, 0},
        {{.namespace_ = ""}, 0x04},
        {{.namespace_ = "unknown"}, 0x18},
        {{.user = "alice"}, 0x04},
        {{.user = "research"}, 0x02},
        {{.user = ""}, 0x18},
        {{.user = "ml-team", .gpu = "1"}, 0},
        {{.user = "ml-team", .namespace_ = "ml-team", .gpu = "0"}, 0x01},
    };
    (void)state;
    struct node node;
    node_init(&node);
    const struct snapshot *snapshot = node_build(&node);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        unsigned matching = 0;
        for (size_t k = 0; k < snapshot->session_count; k++)
            matching |=
                (unsigned)filter_matches_session(&cases[i].filter, &snapshot->sessions[k])
                << k;
        assert_int_equal(matching, cases[i].matching);
    }
    node_done(&node);
}

static void test_sort(void **state)
{
    /* memory: 4096, 2048, 512, 100, denied; SM: 70, 0, unsupported, 12.5, 0;
     * age: by pid, the last one's unknown; user: ml-team, research, alice, "", "" */
    static const struct {
        enum sort_key key;
        uint32_t pids[NODE_PROCESSES];
    } cases[] = {
        {SORT_DEVICE, {4242, 5151, 6000, 6001, 7000}},
        {SORT_MEMORY, {4242, 5151, 6000, 6001, 7000}},
        {SORT_UTILIZATION, {4242, 6001, 5151, 7000, 6000}},
        {SORT_AGE, {4242, 5151, 6000, 6001, 7000}},
        {SORT_USER, {6000, 4242, 5151, 6001, 7000}},
        {SORT_PID, {4242, 5151, 6000, 6001, 7000}},
    };
    (void)state;
    struct node node;
    node_init(&node);
    const struct snapshot *snapshot = node_build(&node);
    const struct session *sessions[NODE_PROCESSES];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        /* whatever the order before */
        for (size_t k = 0; k < NODE_PROCESSES; k++)
            sessions[k] = &snapshot->sessions[(k * 3 + i) % NODE_PROCESSES];
        filter_sort(cases[i].key, sessions, NODE_PROCESSES);
        for (size_t k = 0; k < NODE_PROCESSES; k++)
            assert_int_equal(sessions[k]->pid, cases[i].pids[k]);
    }
    filter_sort(SORT_PID, sessions, 0);
    node_done(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sort_key_words),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
