/* Who has what and who uses what: each state of a device, alone and together, and what
 * is not known. Device 0 of the node has sessions of ml-team/train-0 and research/nb-1,
 * device 2 one outside pods and one of an unknown pod, device 4 none. */
#include "model/occupancy.h"

#include "../../support/cmocka_all.h"
#include "../../support/node.h"

#include <errno.h>

#define UNKNOWN TERNARY_UNKNOWN
#define NO TERNARY_NO
#define YES TERNARY_YES

enum { MAX_ENTRIES = 4 };

struct given {
    uint32_t device;
    const char *namespace_, *pod, *container;
    bool is_shared;
};

struct fixture {
    struct node node;
    struct allocation entries[MAX_ENTRIES];
    struct allocation_set set;
    const struct snapshot *snapshot;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    node_init(&f->node);
    f->set.entries = f->entries;
    f->node.input.allocations = &f->set;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    node_done(&f->node);
    free(f);
    return 0;
}

static const struct device *build(struct fixture *f, const struct given *given,
                                  size_t count)
{
    for (f->set.count = 0; f->set.count < count; f->set.count++) {
        const struct given *g = &given[f->set.count];
        f->entries[f->set.count] = (struct allocation){
            g->device, g->is_shared, g->namespace_, g->pod, g->container, UNKNOWN};
    }
    f->snapshot = node_build(&f->node);
    assert_non_null(f->snapshot);
    return f->snapshot->devices;
}

static void expect_states(const struct device *device, enum ternary used,
                          enum ternary unused, enum ternary unallocated,
                          enum ternary is_free)
{
    assert_int_equal(device->states[DEVICE_USED], used);
    assert_int_equal(device->states[DEVICE_ALLOCATED_UNUSED], unused);
    assert_int_equal(device->states[DEVICE_USED_UNALLOCATED], unallocated);
    assert_int_equal(device->states[DEVICE_FREE], is_free);
}

static void test_without_an_answer_nothing_is_known(void **state)
{
    struct fixture *f = *state;
    f->node.input.allocations = NULL;
    const struct device *devices = build(f, NULL, 0);
    assert_false(f->snapshot->has_allocations);
    for (size_t i = 0; i < NODE_DEVICES; i++)
        expect_states(&devices[i], UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
    assert_int_equal(devices[0].sessions[0].is_allocated, UNKNOWN);
}

static void test_nothing_is_given(void **state)
{
    const struct device *devices = build(*state, NULL, 0);
    expect_states(&devices[0], NO, NO, YES, NO);
    expect_states(&devices[1], UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
    /* Whoever it is, it was given nothing. */
    expect_states(&devices[2], NO, NO, YES, NO);
    assert_int_equal(devices[2].sessions[1].is_allocated, NO);
    expect_states(&devices[4], NO, NO, NO, YES);
    /* Lost: nothing was given, but whether somebody uses it nobody knows. */
    expect_states(&devices[5], NO, NO, UNKNOWN, UNKNOWN);
}

static void test_everything_at_once_on_a_shared_device(void **state)
{
    static const struct given given[] = {{0, "ml-team", "train-0", "main", true},
                                         {0, "ml-team", "train-1", "main", true}};
    const struct device *device = build(*state, given, 2);
    expect_states(device, YES, YES, YES, NO);
    assert_int_equal(device->sessions[0].is_allocated, YES);
    assert_int_equal(device->sessions[1].is_allocated, NO);
    assert_int_equal(device->allocations[0].is_used, YES);
    assert_int_equal(device->allocations[1].is_used, NO);
}

static void test_given_to_somebody_else_of_the_same_name(void **state)
{
    static const struct given given[] = {{0, "research", "train-0", "main", true},
                                         {4, "ml-team", "train-0", "main", false}};
    const struct device *devices = build(*state, given, 2);
    expect_states(&devices[0], NO, YES, YES, NO);
    expect_states(&devices[4], NO, YES, NO, NO);
}

static void test_containers(void **state)
{
    static const struct given given[] = {{0, "ml-team", "train-0", "aux", true},
                                         {0, "ml-team", "train-0", "main", true}};
    static const struct {
        const char *container;
        enum ternary aux, main;
    } rows[] = {{"main", NO, YES},
                {"aux", YES, NO},
                {"init", YES, YES},
                {NULL, UNKNOWN, UNKNOWN}};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        f->node.identities[0].pod.container = rows[i].container;
        const struct device *device = build(f, given, 2);
        assert_int_equal(device->sessions[0].is_allocated, YES);
        assert_int_equal(device->allocations[0].is_used, rows[i].aux);
        assert_int_equal(device->allocations[1].is_used, rows[i].main);
    }
    /* Not known which, but there is only one. */
    const struct device *device = build(f, given, 1);
    assert_int_equal(device->allocations[0].is_used, YES);
    expect_states(device, YES, NO, YES, NO);
}

/* Two sessions of a pod: one's container is known, the other's is not. */
static void test_a_known_container_beside_an_unknown_one(void **state)
{
    static const struct given given[] = {{0, "ml-team", "train-0", "aux", false},
                                         {0, "ml-team", "train-0", "main", false}};
    struct fixture *f = *state;
    for (size_t unknown = 0; unknown < 2; unknown++) {
        f->node.identities[1].pod = f->node.identities[0].pod;
        f->node.identities[unknown].pod.container = NULL;
        f->node.identities[1 - unknown].pod.container = "main";
        const struct device *device = build(f, given, 2);
        assert_int_equal(device->allocations[0].is_used, UNKNOWN);
        assert_int_equal(device->allocations[1].is_used, YES);
        expect_states(device, YES, UNKNOWN, NO, NO);
    }
}

/* On device 2, a session outside pods and one whose pod is not known. */
static void test_an_unknown_pod_may_be_the_one(void **state)
{
    static const struct given given[] = {{2, "web", "search-0", "main", false}};
    struct fixture *f = *state;
    const struct device *device = &build(f, given, 1)[2];
    expect_states(device, UNKNOWN, UNKNOWN, YES, NO);
    assert_int_equal(device->sessions[0].is_allocated, NO);
    assert_int_equal(device->sessions[1].is_allocated, UNKNOWN);
    assert_int_equal(device->allocations[0].is_used, UNKNOWN);
    f->node.identities[2].pod = (struct pod_identity){.state = POD_UNKNOWN};
    expect_states(&build(f, given, 1)[2], UNKNOWN, UNKNOWN, UNKNOWN, NO);
}

static void test_a_list_that_is_cut_or_missing(void **state)
{
    static const struct given given[] = {{0, "ml-team", "train-0", "main", true},
                                         {0, "web", "search-0", "main", true},
                                         {5, "web", "search-0", "main", true}};
    struct fixture *f = *state;
    f->node.devices[0].processes_omitted = 1;
    const struct device *devices = build(f, given, 3);
    expect_states(&devices[0], YES, UNKNOWN, YES, NO);
    expect_states(&devices[5], UNKNOWN, UNKNOWN, UNKNOWN, NO);
}

static void test_pods_with_a_device_nobody_knows_which(void **state)
{
    static const struct pod_name unplaced[] = {{"a", "x"}, {"research", "nb-1"}};
    struct fixture *f = *state;
    f->set.unplaced = unplaced;
    f->set.unplaced_count = ARRAY_LENGTH(unplaced);
    const struct device *devices = build(f, NULL, 0);
    assert_int_equal(devices[0].sessions[0].is_allocated, NO);
    assert_int_equal(devices[0].sessions[1].is_allocated, UNKNOWN);
    expect_states(&devices[0], UNKNOWN, UNKNOWN, YES, NO);
    expect_states(&devices[4], NO, UNKNOWN, NO, UNKNOWN);
}

static void test_grants_left_out_may_be_anybodys(void **state)
{
    static const struct given given[] = {{2, "web", "search-0", "main", false}};
    struct fixture *f = *state;
    f->set.left_out = 1;
    const struct device *devices = build(f, given, 1);
    assert_int_equal(devices[0].sessions[0].is_allocated, UNKNOWN);
    assert_int_equal(devices[2].sessions[0].is_allocated, NO); /* outside pods */
    expect_states(&devices[0], UNKNOWN, UNKNOWN, UNKNOWN, NO);
    expect_states(&devices[4], NO, UNKNOWN, NO, UNKNOWN);
}

static void test_given_whole_to_several_pods(void **state)
{
    static const struct {
        struct given given[3];
        size_t count;
        enum ternary used[3], unused;
    } rows[] = {
        /* one computes: the other has ended, or has not begun */
        {{{0, "ml-team", "done-0", "main", false},
          {0, "ml-team", "train-0", "aux", false},
          {0, "ml-team", "train-0", "main", false}},
         3,
         {UNKNOWN, UNKNOWN, YES},
         UNKNOWN},
        {{{0, "ml-team", "train-0", "main", false}, {0, "z", "z", "main", false}},
         2,
         {YES, UNKNOWN},
         UNKNOWN},
        /* both compute */
        {{{0, "ml-team", "train-0", "main", false},
          {0, "research", "nb-1", "main", false}},
         2,
         {YES, YES},
         NO},
        /* neither does, or it is shared */
        {{{4, "a", "a", "main", false}, {4, "b", "b", "main", false}}, 2, {NO, NO}, YES},
        {{{0, "a", "a", "main", true}, {0, "ml-team", "train-0", "main", false}},
         2,
         {NO, YES},
         YES},
        /* one pod alone */
        {{{0, "ml-team", "train-0", "aux", false},
          {0, "ml-team", "train-0", "main", false}},
         2,
         {NO, YES},
         YES},
        /* who computes there is not known of all */
        {{{2, "a", "a", "main", false}, {2, "b", "b", "main", false}},
         2,
         {UNKNOWN, UNKNOWN},
         UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint32_t at = rows[i].given[0].device;
        const struct device *device = &build(*state, rows[i].given, rows[i].count)[at];
        assert_int_equal(device->allocation_count, rows[i].count);
        for (size_t k = 0; k < rows[i].count; k++)
            assert_int_equal(device->allocations[k].is_used, rows[i].used[k]);
        assert_int_equal(device->states[DEVICE_ALLOCATED_UNUSED], rows[i].unused);
    }
}

static void test_mig_parent_keeps_what_it_was_given(void **state)
{
    static const struct given given[] = {{1, "web", "search-0", "main", false}};
    const struct device *device = &build(*state, given, 1)[1];
    assert_int_equal(device->allocation_count, 1);
    assert_int_equal(device->allocations[0].is_used, UNKNOWN);
    expect_states(device, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_an_answer_nothing_is_known, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_given, setup, teardown),
        cmocka_unit_test_setup_teardown(test_everything_at_once_on_a_shared_device, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_given_to_somebody_else_of_the_same_name,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_containers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_known_container_beside_an_unknown_one,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unknown_pod_may_be_the_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_list_that_is_cut_or_missing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_pods_with_a_device_nobody_knows_which, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_grants_left_out_may_be_anybodys, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_given_whole_to_several_pods, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mig_parent_keeps_what_it_was_given, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
