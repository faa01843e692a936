/* The join: labels, which device holds sessions, status, users, times, what is missing.
 */
#include "../../support/cmocka_all.h"
#include "../../support/node.h"

#include <errno.h>
#include <math.h>

struct fixture {
    struct node node;
    const struct snapshot *snapshot;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    node_init(&fixture->node);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    node_done(&fixture->node);
    free(fixture);
    return 0;
}

static const struct snapshot *build(struct fixture *fixture)
{
    fixture->snapshot = node_build(&fixture->node);
    assert_non_null(fixture->snapshot);
    return fixture->snapshot;
}

static void test_devices_and_labels(void **state)
{
    static const struct {
        const char *label;
        bool holds, counted;
        size_t sessions, users;
    } expected[NODE_DEVICES] = {
        {"0", true, true, 2, 2},     {"1", false, false, 0, 0},
        {"1_7_0", true, true, 2, 1}, {"1_8_0", true, true, 1, 0},
        {"2", true, true, 0, 0},     {"3", true, false, 0, 0},
    };
    const struct snapshot *snapshot = build(*state);
    assert_int_equal(snapshot->device_count, NODE_DEVICES);
    for (size_t i = 0; i < NODE_DEVICES; i++) {
        const struct device *device = &snapshot->devices[i];
        assert_string_equal(device->label, expected[i].label);
        assert_int_equal(device->holds_sessions, expected[i].holds);
        assert_int_equal(device_is_counted(device), expected[i].counted);
        assert_int_equal(device->session_count, expected[i].sessions);
        assert_int_equal(device->user_count, expected[i].users);
        for (size_t k = 0; k < device->session_count; k++)
            assert_ptr_equal(device->sessions[k].device, device);
    }
    assert_int_equal(snapshot->session_total.state, VALUE_OK);
    assert_int_equal(snapshot->session_total.v, 5);
    assert_int_equal(snapshot->session_count, 5);
    assert_int_equal(snapshot->user_count, 3);
}

static void test_gpu_in_mig_mode_without_mig_device_holds_sessions(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.devices[4].has_mig_mode = true;
    const struct device *device = &build(fixture)->devices[4];
    assert_true(device_is_counted(device));
    assert_int_equal(device->session_count, 0);
}

static void test_status(void **state)
{
    const struct value_double none = {.state = VALUE_UNSUPPORTED}, zero = {0, VALUE_OK},
                              some = {0.5, VALUE_OK}, nan_ = {(double)NAN, VALUE_OK};
    const struct {
        struct value_double sm, memory, encoder, decoder;
        enum session_status status;
    } cases[] = {
        {zero, zero, zero, zero, SESSION_IDLE},
        {zero, none, none, none, SESSION_IDLE},
        {some, zero, zero, zero, SESSION_ACTIVE},
        {zero, some, zero, zero, SESSION_ACTIVE},
        {zero, zero, some, zero, SESSION_ACTIVE},
        {zero, zero, zero, some, SESSION_ACTIVE},
        {none, none, none, none, SESSION_UNKNOWN},
        {none, zero, zero, zero, SESSION_UNKNOWN},
        {none, none, some, none, SESSION_ACTIVE},
        {nan_, none, none, none, SESSION_UNKNOWN},
    };
    struct fixture *fixture = *state;
    struct process_facts *process = &fixture->node.processes[0];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        process->sm_percent = cases[i].sm;
        process->memory_bandwidth_percent = cases[i].memory;
        process->encoder_percent = cases[i].encoder;
        process->decoder_percent = cases[i].decoder;
        assert_int_equal(build(fixture)->sessions[0].status, cases[i].status);
    }
    assert_int_equal(fixture->snapshot->sessions[0].sm_percent.state, VALUE_ERROR);
}

static void test_user(void **state)
{
    const struct {
        enum pod_state pod;
        const char *namespace_, *unix_user;
        bool has_uid;
        const char *user;
    } cases[] = {
        {POD_RESOLVED, "ml-team", "alice", true, "ml-team"},
        {POD_RESOLVED, NULL, "alice", true, ""},
        {POD_NONE, NULL, "alice", true, "alice"},
        {POD_NONE, NULL, NULL, true, "1000"},
        {POD_NONE, NULL, NULL, false, ""},
        {POD_UNRESOLVED, NULL, "alice", true, ""},
        {POD_UNKNOWN, NULL, "alice", true, ""},
    };
    struct fixture *fixture = *state;
    struct process_identity *identity = &fixture->node.identities[0];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        identity->pod.state = cases[i].pod;
        identity->pod.namespace_ = cases[i].namespace_;
        identity->unix_user = cases[i].unix_user;
        identity->has_uid = cases[i].has_uid;
        assert_string_equal(build(fixture)->sessions[0].user, cases[i].user);
    }
}

/* Gives sessions 0 and 1, both in pods, the same KIND and name of user. */
static size_t count_same_user(struct fixture *fixture, enum user_kind kind,
                              const char *namespace_)
{
    static const char *const values[] = {"same"};
    static struct pod_metadata metadata[2];
    struct user_chain chain = {.rules = {{.kind = kind, .word = STR("word")}},
                               .count = 1};
    for (int i = 0; i < 2; i++) {
        metadata[i] =
            (struct pod_metadata){i ? namespace_ : "ml-team", "p", "same", values};
        fixture->node.identities[i].pod.metadata = &metadata[i];
    }
    fixture->node.input.users = &chain;
    const struct snapshot *snapshot = build(fixture);
    assert_string_equal(snapshot->sessions[0].user, "same");
    assert_string_equal(snapshot->sessions[0].user_from, "word");
    return snapshot->devices[0].user_count;
}

static void test_same_name_same_user(void **state)
{
    assert_int_equal(count_same_user(*state, USER_LABEL, "research"), 1);
    assert_int_equal(count_same_user(*state, USER_OWNER, "ml-team"), 1);
    assert_int_equal(count_same_user(*state, USER_OWNER, "research"), 2);
}

static void test_pod_labels(void **state)
{
    struct fixture *fixture = *state;
    static const char *const values[] = {"u", "llm"};
    static const struct pod_metadata metadata = {"ml-team", "p", NULL, values};
    static const struct label_names names = {.entries = {{1, "label_team"}}, .count = 1};
    fixture->node.identities[0].pod.metadata = &metadata;
    assert_int_equal(build(fixture)->labels->count, 0);
    fixture->node.input.labels = &names;
    const struct snapshot *snapshot = build(fixture);
    assert_string_equal(session_label(&snapshot->sessions[0], &names.entries[0]), "llm");
    assert_null(session_label(&snapshot->sessions[1], &names.entries[0]));
}

static void test_namespace_and_unix_user_of_one_spelling_are_two_users(void **state)
{
    struct fixture *fixture = *state;
    struct process_identity *identities = fixture->node.identities;
    identities[0].pod.namespace_ = "alice";
    identities[1] = node_identity(5151, "sh", NULL, NULL);
    const struct snapshot *snapshot = build(fixture);
    assert_string_equal(snapshot->sessions[0].user, snapshot->sessions[1].user);
    assert_int_equal(snapshot->devices[0].user_count, 2);
    assert_int_equal(snapshot->user_count, 2);
}

static void test_memory_percent(void **state)
{
    const struct value_u64 none = {.state = VALUE_DENIED};
    const struct {
        struct value_u64 used, total;
        enum value_state state;
        double percent;
    } cases[] = {
        {{1, VALUE_OK}, {3, VALUE_OK}, VALUE_OK, 100.0 / 3},
        {{0, VALUE_OK}, {3, VALUE_OK}, VALUE_OK, 0},
        {{3, VALUE_OK}, {3, VALUE_OK}, VALUE_OK, 100},
        {{4, VALUE_OK}, {3, VALUE_OK}, VALUE_ERROR, 0},
        {{0, VALUE_OK}, {0, VALUE_OK}, VALUE_ERROR, 0},
        {none, {3, VALUE_OK}, VALUE_DENIED, 0},
        {{1, VALUE_OK}, none, VALUE_DENIED, 0},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fixture->node.processes[0].memory_used_bytes = cases[i].used;
        fixture->node.devices[0].memory_total_bytes = cases[i].total;
        struct value_double percent = build(fixture)->sessions[0].memory_percent;
        assert_int_equal(percent.state, cases[i].state);
        if (percent.state == VALUE_OK)
            assert_true(fabs(percent.v - round(cases[i].percent * 1e4) / 1e4) < 1e-12);
    }
}

static void test_times(void **state)
{
    const struct {
        enum identity_state identity;
        bool has_clock;
        uint64_t hz, start, now;
        enum value_state start_state, age_state;
        double age;
    } cases[] = {
        {IDENTITY_KNOWN, true, 100, 150, 400, VALUE_OK, VALUE_OK, 2.5},
        {IDENTITY_KNOWN, true, 100, 150, 150, VALUE_OK, VALUE_OK, 0},
        {IDENTITY_KNOWN, true, 100, 150, 149, VALUE_OK, VALUE_ERROR, 0},
        {IDENTITY_KNOWN, true, 0, 150, 400, VALUE_ERROR, VALUE_ERROR, 0},
        {IDENTITY_KNOWN, false, 100, 150, 400, VALUE_ERROR, VALUE_ERROR, 0},
        {IDENTITY_DENIED, true, 100, 150, 400, VALUE_DENIED, VALUE_DENIED, 0},
        {IDENTITY_REUSED, true, 100, 150, 400, VALUE_ERROR, VALUE_ERROR, 0},
        {IDENTITY_UNKNOWN, true, 100, 150, 400, VALUE_UNSET, VALUE_UNSET, 0},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fixture->node.identities[0].state = cases[i].identity;
        fixture->node.identities[0].start_ticks = cases[i].start;
        fixture->node.input.clock = (struct process_clock){
            cases[i].has_clock, cases[i].hz, cases[i].now, NODE_BOOT};
        const struct session *session = &build(fixture)->sessions[0];
        assert_int_equal(session->start_time_seconds.state, cases[i].start_state);
        assert_int_equal(session->age_seconds.state, cases[i].age_state);
        if (cases[i].start_state == VALUE_OK)
            assert_true(fabs(session->start_time_seconds.v - (NODE_BOOT + 1.5)) < 1e-6);
        if (cases[i].age_state == VALUE_OK)
            assert_true(fabs(session->age_seconds.v - (cases[i].age)) < 1e-9);
    }
}

static void test_nothing_of_another_process_is_believed(void **state)
{
    static const enum identity_state states[] = {IDENTITY_UNKNOWN, IDENTITY_INVISIBLE,
                                                 IDENTITY_REUSED};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        fixture->node.identities[0].state = states[i];
        const struct session *session = &build(fixture)->sessions[0];
        assert_int_equal(session->identity, states[i]);
        assert_string_equal(session->command, "");
        assert_string_equal(session->user, "");
        assert_int_equal(session->pod.state, POD_UNKNOWN);
        assert_null(session->pod.name);
        assert_false(session->has_uid);
    }
}

static void test_dropped_processes_and_unread_lists_make_no_session(void **state)
{
    struct fixture *fixture = *state;
    const bool dropped[NODE_PROCESSES] = {true, false, false, true, false};
    fixture->node.input.is_dropped = dropped;
    fixture->node.devices[3].process_list = VALUE_DENIED;
    const struct snapshot *snapshot = build(fixture);
    assert_int_equal(snapshot->session_count, 2);
    assert_int_equal(snapshot->sessions[0].pid, 5151);
    assert_int_equal(snapshot->sessions[1].pid, 6000);
    assert_int_equal(snapshot->devices[3].session_count, 0);
}

static void test_process_of_an_unknown_device_makes_no_session(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.processes[4].device = NODE_DEVICES;
    assert_int_equal(build(fixture)->session_count, 4);
}

static void test_sessions_stand_by_device_then_pid(void **state)
{
    struct fixture *fixture = *state;
    struct node *node = &fixture->node;
    for (size_t i = 0; i < NODE_PROCESSES / 2; i++) {
        struct process_facts process = node->processes[i];
        struct process_identity identity = node->identities[i];
        node->processes[i] = node->processes[NODE_PROCESSES - 1 - i];
        node->identities[i] = node->identities[NODE_PROCESSES - 1 - i];
        node->processes[NODE_PROCESSES - 1 - i] = process;
        node->identities[NODE_PROCESSES - 1 - i] = identity;
    }
    test_devices_and_labels(state);
    static const uint32_t pids[] = {4242, 5151, 6000, 6001, 7000};
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++)
        assert_int_equal(fixture->snapshot->sessions[i].pid, pids[i]);
    assert_string_equal(fixture->snapshot->sessions[0].command, "python3");
}

static void test_totals_are_known_only_when_something_was_read(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < NODE_DEVICES; i++)
        fixture->node.devices[i].process_list = VALUE_ERROR;
    assert_int_equal(build(fixture)->session_total.state, VALUE_UNSET);
    fixture->node.driver.device_count = fixture->node.driver.process_count = 0;
    assert_int_equal(build(fixture)->session_total.state, VALUE_UNSET);
    assert_true(build(fixture)->has_driver);
    fixture->node.input.driver = NULL;
    const struct snapshot *snapshot = build(fixture);
    assert_int_equal(snapshot->session_total.state, VALUE_UNSET);
    assert_false(snapshot->has_driver);
    assert_int_equal(snapshot->device_count, 0);
    assert_int_equal(snapshot->source_count, 3);
}

/* A list that the bound cut, or a fault, leaves no count, not a smaller one. */
static void test_incomplete_lists_have_no_count(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.devices[0].processes_omitted = 2;
    fixture->node.driver.processes_omitted = 2;
    const struct snapshot *snapshot = build(fixture);
    assert_int_equal(snapshot->devices[0].session_total.state, VALUE_ERROR);
    assert_int_equal(snapshot->devices[0].session_count, 2);
    assert_int_equal(snapshot->devices[2].session_total.state, VALUE_OK);
    assert_int_equal(snapshot->session_total.state, VALUE_ERROR);
    assert_int_equal(snapshot->user_total.state, VALUE_ERROR);

    fixture->node.devices[2].fault = "GPU is lost (NVML 15)";
    snapshot = build(fixture);
    assert_int_equal(snapshot->devices[2].session_total.state, VALUE_ERROR);
    assert_int_equal(snapshot->devices[2].session_count, 0);
}

/* Of an invisible process nobody knows whose it is. */
static void test_users_are_counted_only_when_all_are_known(void **state)
{
    struct fixture *fixture = *state;
    const struct snapshot *snapshot = build(fixture);
    assert_int_equal(snapshot->devices[0].user_total.state, VALUE_OK);
    assert_int_equal(snapshot->devices[0].user_total.v, 2);
    assert_int_equal(snapshot->devices[3].user_total.state, VALUE_ERROR);
    assert_int_equal(snapshot->user_total.state, VALUE_ERROR);
    assert_int_equal(snapshot->user_count, 3);
}

/* Every allocation fails once; the answer is -ENOMEM and *out is left alone. */
/* Devices stand in new places: what points at them, and who counts, must follow. */
static void test_only_selected_gpus(void **state)
{
    struct fixture *fixture = *state;
    struct gpu_selection gpus;
    fixture->node.input.allocations = node_allocations();
    fixture->node.input.gpus = &gpus;
    assert_true(gpu_selection_parse(STR("GPU-1,2"), &gpus));
    const struct snapshot *snapshot = build(fixture);
    static const char *const labels[] = {"1", "1_7_0", "1_8_0", "2"};
    assert_int_equal(snapshot->device_count, ARRAY_LENGTH(labels));
    for (size_t i = 0; i < ARRAY_LENGTH(labels); i++) {
        const struct device *device = &snapshot->devices[i];
        assert_string_equal(device->label, labels[i]);
        for (size_t k = 0; k < device->session_count; k++)
            assert_ptr_equal(device->sessions[k].device, device);
    }
    assert_int_equal(snapshot->devices[1].session_count, 2);
    assert_int_equal(snapshot->devices[2].session_count, 1);
    assert_int_equal(snapshot->session_total.v, 3);
    assert_int_equal(snapshot->user_count, 1);
    assert_int_equal(snapshot->devices[3].allocation_count, 1);
    assert_string_equal(snapshot->devices[3].allocations[0].pod, "search-1");

    assert_true(gpu_selection_parse(STR("3"), &gpus)); /* lost: others read do not help */
    snapshot = build(fixture);
    assert_int_equal(snapshot->device_count, 1);
    assert_int_not_equal(snapshot->session_total.state, VALUE_OK);
    assert_true(gpu_selection_parse(STR("9"), &gpus));
    snapshot = build(fixture);
    assert_int_equal(snapshot->device_count, 0);
    assert_int_equal(snapshot->session_count, 0);
    assert_int_not_equal(snapshot->session_total.state, VALUE_OK);
}

static void test_arena_exhausted(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    int rc = -ENOMEM;
    for (size_t limit = 0; rc != 0; limit += 16) {
        const struct snapshot *snapshot = NULL;
        CLEANUP(arena_freep) struct arena *arena = arena_new(limit);
        rc = snapshot_build(arena, &fixture->node.input, &snapshot, &err);
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_true((rc == 0) == (snapshot != NULL));
        assert_true(limit < 1 << 16);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_devices_and_labels),
        TEST(test_gpu_in_mig_mode_without_mig_device_holds_sessions),
        TEST(test_status),
        TEST(test_user),
        TEST(test_namespace_and_unix_user_of_one_spelling_are_two_users),
        TEST(test_same_name_same_user),
        TEST(test_pod_labels),
        TEST(test_memory_percent),
        TEST(test_times),
        TEST(test_nothing_of_another_process_is_believed),
        TEST(test_dropped_processes_and_unread_lists_make_no_session),
        TEST(test_process_of_an_unknown_device_makes_no_session),
        TEST(test_sessions_stand_by_device_then_pid),
        TEST(test_totals_are_known_only_when_something_was_read),
        TEST(test_incomplete_lists_have_no_count),
        TEST(test_users_are_counted_only_when_all_are_known),
        TEST(test_only_selected_gpus),
        TEST(test_arena_exhausted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
