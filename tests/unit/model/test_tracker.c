/* Idle window and counters over a run of snapshots; what a crash may leave behind. */
#include "model/tracker.h"

#include "../../support/cmocka_all.h"
#include "../../support/node.h"

enum { MAX_SESSIONS = 8 };

#define WINDOW UINT64_C(1000)

struct fixture {
    struct node node;
    void *memory;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    node_init(&fixture->node);
    fixture->memory = calloc(1, tracker_bytes(MAX_SESSIONS));
    fixture->node.input.tracker = tracker_init(fixture->memory, MAX_SESSIONS, WINDOW);
    fixture->node.input.now_ns = 1;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    node_done(&fixture->node);
    free(fixture->memory);
    free(fixture);
    return 0;
}

/* The next snapshot of the fixture's node, AFTER ns after the one before. */
static const struct snapshot *next(struct fixture *fixture, uint64_t after)
{
    arena_reset(fixture->node.arena);
    fixture->node.input.now_ns += after;
    const struct snapshot *snapshot = node_build(&fixture->node);
    assert_non_null(snapshot);
    if (!snapshot)
        abort(); /* not reached, which the compiler cannot know */
    return snapshot;
}

static const struct device *device_of(const struct snapshot *snapshot, const char *label)
{
    for (size_t i = 0; i < snapshot->device_count; i++) {
        if (strcmp(snapshot->devices[i].label, label) == 0)
            return &snapshot->devices[i];
    }
    fail_msg("no device %s", label);
    abort(); /* not reached */
}

#define assert_counted(snapshot, label, started, ended)                                  \
    do {                                                                                 \
        const struct device *device_ = device_of((snapshot), (label));                   \
        assert_int_equal(device_->sessions_started.state, VALUE_OK);                     \
        assert_int_equal(device_->sessions_started.v, (started));                        \
        assert_int_equal(device_->sessions_ended.state, VALUE_OK);                       \
        assert_int_equal(device_->sessions_ended.v, (ended));                            \
    } while (0)

static void assert_uncounted(const struct snapshot *snapshot, const char *label)
{
    assert_int_equal(device_of(snapshot, label)->sessions_started.state, VALUE_UNSET);
    assert_int_equal(device_of(snapshot, label)->sessions_ended.state, VALUE_UNSET);
}

/* Puts process AT off the driver's list; it is no longer in the node's arrays. */
static void end_process(struct fixture *fixture, size_t at)
{
    struct node *node = &fixture->node;
    size_t after = --node->driver.process_count - at;
    memmove(&node->processes[at], &node->processes[at + 1],
            after * sizeof node->processes[0]);
    memmove(&node->identities[at], &node->identities[at + 1],
            after * sizeof node->identities[0]);
}

static void test_without_a_tracker_nothing_is_counted(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.input.tracker = NULL;
    assert_uncounted(next(fixture, 0), "0");
}

static void test_idle_window(void **state)
{
    static const struct {
        double sm;
        uint64_t after;
        enum session_status status;
    } steps[] = {
        {0, 0, SESSION_IDLE},
        {70, 1, SESSION_ACTIVE},
        {0, WINDOW, SESSION_ACTIVE},
        {0, 1, SESSION_IDLE},
        {0, WINDOW, SESSION_IDLE},
        {1, 1, SESSION_ACTIVE},
        {0, WINDOW / 2, SESSION_ACTIVE},
        {3, WINDOW / 2, SESSION_ACTIVE},
        {0, WINDOW / 2 + 1, SESSION_ACTIVE},
        {0, WINDOW, SESSION_IDLE},
    };
    struct fixture *fixture = *state;
    fixture->node.processes[0].memory_bandwidth_percent.v = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        fixture->node.processes[0].sm_percent.v = steps[i].sm;
        const struct snapshot *snapshot = next(fixture, steps[i].after);
        assert_int_equal(snapshot->sessions[0].status, steps[i].status);
        assert_int_equal(snapshot->sessions[1].status, SESSION_IDLE); /* its neighbour */
        /* No utilisation, nothing to go by. */
        assert_int_equal(snapshot->sessions[2].status, SESSION_UNKNOWN);
    }
    /* Not measured this time, but it has worked a moment ago. */
    fixture->node.processes[0].sm_percent.v = 5;
    (void)next(fixture, 1);
    fixture->node.processes[0].sm_percent.state = VALUE_ERROR;
    assert_int_equal(next(fixture, WINDOW)->sessions[0].status, SESSION_ACTIVE);
    assert_int_equal(next(fixture, 1)->sessions[0].status, SESSION_UNKNOWN);
}

static void test_sessions_begin_and_end(void **state)
{
    struct fixture *fixture = *state;
    struct node *node = &fixture->node;
    const struct snapshot *snapshot = next(fixture, 1);
    assert_counted(snapshot, "0", 0, 0); /* they were there before */
    assert_counted(snapshot, "1_7_0", 0, 0);
    assert_counted(snapshot, "2", 0, 0);
    assert_uncounted(snapshot, "1"); /* its MIG devices hold the sessions */
    assert_uncounted(snapshot, "3"); /* lost */
    assert_counted(next(fixture, 1), "0", 0, 0);

    node->processes[1].device = 4; /* 5151 works on GPU 2 now */
    node->identities[1].start_ticks++;
    snapshot = next(fixture, 1);
    assert_counted(snapshot, "0", 0, 1);
    assert_counted(snapshot, "2", 1, 0);
    end_process(fixture, 1);
    snapshot = next(fixture, 1);
    assert_counted(snapshot, "0", 0, 1);
    assert_counted(snapshot, "2", 1, 1);
}

static void test_a_pid_is_not_enough(void **state)
{
    struct fixture *fixture = *state;
    struct process_identity *identity = &fixture->node.identities[0];
    fixture->node.processes[0].sm_percent.v = 70;
    (void)next(fixture, 1);
    fixture->node.processes[0].sm_percent.v = 0;
    fixture->node.processes[0].memory_bandwidth_percent.v = 0;
    identity->start_ticks += 5; /* another process has the pid */
    const struct snapshot *snapshot = next(fixture, 1);
    assert_counted(snapshot, "0", 1, 1);
    assert_int_equal(snapshot->sessions[0].status, SESSION_IDLE); /* it never worked */
    identity->state = IDENTITY_DENIED; /* nobody says that it is another one */
    assert_counted(next(fixture, 1), "0", 1, 1);
    identity->state = IDENTITY_KNOWN;
    assert_counted(next(fixture, 1), "0", 1, 1);
    identity->start_ticks++;
    assert_counted(next(fixture, 1), "0", 2, 2);
}

static void test_what_is_not_read_does_not_end(void **state)
{
    struct fixture *fixture = *state;
    struct device_facts *gpu = &fixture->node.devices[0];
    (void)next(fixture, 1);
    gpu->fault = "lost";
    assert_counted(next(fixture, 1), "0", 0, 0);
    gpu->fault = NULL;
    gpu->process_list = VALUE_DENIED;
    assert_counted(next(fixture, 1), "0", 0, 0);
    gpu->process_list = VALUE_OK;
    gpu->processes_omitted = 1; /* who is left out may differ from time to time */
    end_process(fixture, 1);
    assert_counted(next(fixture, 1), "0", 0, 0);
    gpu->processes_omitted = 0;
    assert_counted(next(fixture, 1), "0", 0, 1);
}

static void test_first_reading_counts_nobody(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.devices[0].process_list = VALUE_ERROR;
    assert_uncounted(next(fixture, 1), "0");
    fixture->node.devices[0].process_list = VALUE_OK;
    assert_counted(next(fixture, 1), "0", 0, 0);
}

/* GPU 1 and its two MIG devices come third to last; GPUs 2 and 3 follow. */
static void hide_mig_devices(struct fixture *fixture)
{
    struct node *node = &fixture->node;
    node->devices[2] = node->devices[4];
    node->devices[3] = node->devices[5];
    node->driver.device_count = NODE_DEVICES - 2;
    node->driver.process_count = 2;
}

static void show_mig_devices(struct fixture *fixture)
{
    node_set_driver(&fixture->node);
    fixture->node.driver.device_count = NODE_DEVICES;
    fixture->node.driver.process_count = NODE_PROCESSES;
}

static void test_mig_devices_go_and_come(void **state)
{
    struct fixture *fixture = *state;
    (void)next(fixture, 1);
    /* With their GPU lost they are only out of sight. */
    hide_mig_devices(fixture);
    fixture->node.devices[1].fault = "lost";
    (void)next(fixture, 1);
    show_mig_devices(fixture);
    assert_counted(next(fixture, 1), "1_7_0", 0, 0);
    /* They are destroyed, with all that ran on them … */
    hide_mig_devices(fixture);
    fixture->node.devices[1].has_mig_devices = false;
    fixture->node.devices[1].process_list = VALUE_OK;
    assert_counted(next(fixture, 1), "1", 0, 0);
    /* … and made again, under the same names: what runs there has begun since. */
    show_mig_devices(fixture);
    const struct snapshot *snapshot = next(fixture, 1);
    assert_counted(snapshot, "1_7_0", 2, 2);
    assert_counted(snapshot, "1_8_0", 1, 1);
}

static void test_a_new_device_was_empty(void **state)
{
    struct fixture *fixture = *state;
    hide_mig_devices(fixture);
    (void)next(fixture, 1);
    show_mig_devices(fixture);
    assert_counted(next(fixture, 1), "1_7_0", 2, 0);
}

static void test_devices_that_were_hidden_at_first(void **state)
{
    struct fixture *fixture = *state;
    hide_mig_devices(fixture);
    fixture->node.devices[1].fault = "lost";
    (void)next(fixture, 1);
    show_mig_devices(fixture);
    assert_counted(next(fixture, 1), "1_7_0", 0, 0);
}

static void test_places_are_used_again(void **state)
{
    struct fixture *fixture = *state;
    enum { ROUNDS = 1000 };
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t k = 0; k < 2; k++) {
            fixture->node.processes[k].pid = 10000 + 2 * i + k;
            fixture->node.identities[k].pid = fixture->node.processes[k].pid;
        }
        const struct snapshot *snapshot = next(fixture, 1);
        assert_counted(snapshot, "0", 2 * i, 2 * i);
        assert_counted(snapshot, "1_7_0", 0, 0);
    }
}

/* With room for two sessions and their successors, three of five find a place. */
static void test_no_room(void **state)
{
    struct fixture *fixture = *state;
    void *memory = calloc(1, tracker_bytes(1));
    fixture->node.input.tracker = tracker_init(memory, 1, WINDOW);
    for (int i = 0; i < 3; i++) {
        const struct snapshot *snapshot = next(fixture, 1);
        assert_counted(snapshot, "0", 0, 0);
        assert_int_equal(snapshot->sessions[0].status, SESSION_ACTIVE);
        assert_int_equal(snapshot->sessions[3].status, SESSION_ACTIVE);
    }
    free(memory);
}

/* A worker that starts after another one's crash goes on where that one was. */
static void test_another_process_goes_on(void **state)
{
    struct fixture *fixture = *state;
    (void)next(fixture, 1);
    end_process(fixture, 1);
    (void)next(fixture, 1);
    fixture->node.input.tracker = tracker_init(fixture->memory, MAX_SESSIONS, WINDOW);
    fixture->node.processes[0].sm_percent.v = 0;
    fixture->node.processes[0].memory_bandwidth_percent.v = 0;
    const struct snapshot *snapshot = next(fixture, 1);
    assert_counted(snapshot, "0", 0, 1);
    assert_int_equal(snapshot->sessions[0].status, SESSION_ACTIVE);
}

/* xorshift64: the same damage in every run. */
static uint64_t damage_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Whatever a crashing process wrote there, nothing outside the memory is touched (the
 * sanitizers watch) and what was measured stays. */
static void test_damage(void **state)
{
    struct fixture *fixture = *state;
    size_t bytes = tracker_bytes(MAX_SESSIONS);
    unsigned char *memory = fixture->memory;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
        if (seed % 2) /* everything, or some bytes, most of them in the head */
            for (size_t i = 0; i < bytes; i++)
                memory[i] = seed == 1 ? 0xff : (unsigned char)damage_next(&random);
        else
            for (size_t i = 0; i < 64; i++)
                memory[damage_next(&random) % (i % 2 ? 128 : bytes)] =
                    (unsigned char)damage_next(&random);
        fixture->node.input.tracker = tracker_init(memory, MAX_SESSIONS, WINDOW);
        for (int i = 0; i < 3; i++) {
            const struct snapshot *snapshot = next(fixture, 1);
            assert_int_equal(snapshot->session_count, NODE_PROCESSES);
            assert_int_equal(snapshot->sessions[0].status, SESSION_ACTIVE);
        }
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_tracker_nothing_is_counted),
        TEST(test_idle_window),
        TEST(test_sessions_begin_and_end),
        TEST(test_a_pid_is_not_enough),
        TEST(test_what_is_not_read_does_not_end),
        TEST(test_first_reading_counts_nobody),
        TEST(test_mig_devices_go_and_come),
        TEST(test_a_new_device_was_empty),
        TEST(test_devices_that_were_hidden_at_first),
        TEST(test_places_are_used_again),
        TEST(test_no_room),
        TEST(test_another_process_goes_on),
        TEST(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
