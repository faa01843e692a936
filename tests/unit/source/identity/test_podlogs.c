/* Names from the kubelet's links, and when its directory is read again. */
#include "source/identity/podlogs.h"

#include "tree.h"

#define ID_A "65d752a38e1db784d521f48c3f1956f4f9a74ebb923377144f253f3aca9fa028"
#define ID_B "a069581483b00a498b3ba172612ffed06b3275a043bf3895c1b19e783e2793ee"
#define UID_A "51b64565-2b17-4d46-83ac-22e398f2f7fb"
#define TARGET_A "/var/log/pods/ml_train-0_" UID_A "/main/0.log"
#define DIGITS_63 "012345678901234567890123456789012345678901234567890123456789abc"
#define DIGITS_253                                                                       \
    DIGITS_63 "." DIGITS_63 "." DIGITS_63 "."                                            \
              "0123456789012345678901234567890123456789012345678901234567890"

static void links(void **state)
{
    (void)state;
    static const struct {
        const char *name, *target;
        int rc;
        const char *namespace_, *pod, *container, *id, *uid;
    } rows[] = {
        {"train-0_ml_main-" ID_A ".log", TARGET_A, 0, "ml", "train-0", "main", ID_A,
         UID_A},
        {"my.dotted-0_ns_c-1-" ID_A ".log", "../pods/ns_my.dotted-0_u/c-1/12.log", 0,
         "ns", "my.dotted-0", "c-1", ID_A, "u"},
        /* a static UID of one's own may hold '_' */
        {"p_ns_c-" ID_A ".log", "/l/ns_p_u_v_w/c/0.log", 0, "ns", "p", "c", ID_A,
         "u_v_w"},
        /* the name was cut, the target not */
        {DIGITS_253 ".log", "/l/ns_" DIGITS_253 "_" UID_A "/c/0.log", 0, "ns", DIGITS_253,
         "c", "", UID_A},
        {"x.log", TARGET_A, 0, "ml", "train-0", "main", "", UID_A},
        /* no such target: the name has everything but the UID */
        {"train-0_ml_main-" ID_A ".log", "", 0, "ml", "train-0", "main", ID_A, ""},
        {"train-0_ml_main-" ID_A ".log", "/var/log/pods/" UID_A "/main_0.log", 0, "ml",
         "train-0", "main", ID_A, ""},
        /* two stories */
        {"train-1_ml_main-" ID_A ".log", TARGET_A, -EBADMSG, "", "", "", "", ""},
        {"train-0_mm_main-" ID_A ".log", TARGET_A, -EBADMSG, "", "", "", "", ""},
        {"train-0_ml_mine-" ID_A ".log", TARGET_A, -EBADMSG, "", "", "", "", ""},
        {"train-0_ml_main-" ID_A, TARGET_A, -EBADMSG, "", "", "", "", ""},
        {"train-0_ml_main-" ID_A ".log", "0.log", 0, "ml", "train-0", "main", ID_A, ""},
        {"", "", -EBADMSG, "", "", "", "", ""},
        {".log", "", -EBADMSG, "", "", "", "", ""},
        {"__-" ID_A ".log", "", -EBADMSG, "", "", "", "", ""},
        {"a_b_-" ID_A ".log", "", -EBADMSG, "", "", "", "", ""},
        {"a_b_c-" ID_A "0.log", "", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/l/ns_pod_/c/0.log", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/l/ns__u/c/0.log", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/l/_p_u/c/0.log", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/l/ns_p_u//0.log", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/", -EBADMSG, "", "", "", "", ""},
        /* at the bounds of Kubernetes names */
        {"x.log", "/l/" DIGITS_63 "_p_u/" DIGITS_63 "/0.log", 0, DIGITS_63, "p",
         DIGITS_63, "", "u"},
        {"x.log", "/l/" DIGITS_63 "0_p_u/c/0.log", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/l/n_p_u/" DIGITS_63 "0/0.log", -EBADMSG, "", "", "", "", ""},
        {"x.log", "/l/n_" DIGITS_253 "0_u/c/0.log", -EBADMSG, "", "", "", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct pod_names names = {0};
        print_message("%s\n", rows[i].name);
        assert_int_equal(
            loglink_parse(str_from(rows[i].name), str_from(rows[i].target), &names),
            rows[i].rc);
        assert_str(names.namespace_, rows[i].namespace_);
        assert_str(names.pod, rows[i].pod);
        assert_str(names.container, rows[i].container);
        assert_str(names.container_id, rows[i].id);
        assert_str(names.uid, rows[i].uid);
    }
}

static void finds(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct error_counters errors = {0};
    tree_link(&tree, "train-0_ml_main-" ID_A ".log", TARGET_A);
    tree_link(&tree, "cut.log", "/var/log/pods/ns_other_u2/side/3.log");
    tree_link(&tree, "not-a-link-of-the-kubelet", "x");
    tree_write_text(&tree, "plain.log", "content is never read");
    struct podlogs *podlogs = podlogs_new(tree.path, &errors);
    assert_non_null(podlogs);
    assert_null(podlogs_find_container(podlogs, STR(ID_A)));
    assert_null(podlogs_find_pod(podlogs, STR(UID_A)));
    assert_true(podlogs_refresh(podlogs, 1));
    assert_str(podlogs_find_container(podlogs, STR(ID_A))->pod, "train-0");
    assert_str(podlogs_find_pod(podlogs, STR(UID_A))->namespace_, "ml");
    assert_str(podlogs_find_pod(podlogs, STR("u2"))->pod, "other");
    assert_null(podlogs_find_container(podlogs, STR(ID_B)));
    assert_null(podlogs_find_container(podlogs, STR("")));
    assert_null(podlogs_find_pod(podlogs, STR("")));
    assert_int_equal(errors.count, 0);
    podlogs_free(podlogs);
    tree_remove(&tree, "");
}

static void reads_again_only_after_changes(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct error_counters errors = {0};
    tree_link(&tree, "logs/train-0_ml_main-" ID_A ".log", TARGET_A);
    tree_set_mtime(&tree, "logs", 1000);
    char path[PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/logs", tree.path);
    struct podlogs *podlogs = podlogs_new(path, &errors);
    assert_true(podlogs_refresh(podlogs, 1));
    assert_false(podlogs_refresh(podlogs, 1));
    assert_false(podlogs_refresh(podlogs, 2));
    uint64_t generation = podlogs_generation(podlogs);

    /* A change that the time does not show is not seen; one that it shows is, once. */
    tree_link(&tree, "logs/p_ns_c-" ID_B ".log", "/l/ns_p_u/c/0.log");
    tree_set_mtime(&tree, "logs", 1000);
    assert_false(podlogs_refresh(podlogs, 3));
    assert_null(podlogs_find_container(podlogs, STR(ID_B)));
    tree_set_mtime(&tree, "logs", 1001);
    assert_true(podlogs_refresh(podlogs, 4));
    assert_false(podlogs_refresh(podlogs, 4));
    assert_non_null(podlogs_find_container(podlogs, STR(ID_B)));
    assert_true(podlogs_generation(podlogs) != generation);

    /* A directory that changed just now may change again within the same tick: it is read
     * again in every round, but only once in each. */
    tree_remove(&tree, "logs/p_ns_c-" ID_B ".log");
    assert_true(podlogs_refresh(podlogs, 5));
    assert_false(podlogs_refresh(podlogs, 5));
    assert_true(podlogs_refresh(podlogs, 6));
    assert_null(podlogs_find_container(podlogs, STR(ID_B)));
    podlogs_free(podlogs);
    tree_remove(&tree, "");
}

static void comes_and_goes(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct error_counters errors = {0};
    char path[PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/logs", tree.path);
    struct podlogs *podlogs = podlogs_new(path, &errors);
    assert_int_equal(podlogs_check(podlogs), -ENOENT);
    assert_true(podlogs_refresh(podlogs, 1));
    assert_null(podlogs_find_pod(podlogs, STR(UID_A)));
    assert_int_equal(podlogs_check(podlogs), -ENOENT);
    tree_link(&tree, "logs/train-0_ml_main-" ID_A ".log", TARGET_A);
    assert_int_equal(podlogs_check(podlogs), 0);
    assert_true(podlogs_refresh(podlogs, 2));
    assert_non_null(podlogs_find_pod(podlogs, STR(UID_A)));
    tree_remove(&tree, "logs");
    assert_true(podlogs_refresh(podlogs, 3));
    assert_null(podlogs_find_pod(podlogs, STR(UID_A)));
    assert_int_equal(errors.count, 0);

    tree_write_text(&tree, "logs", "a file");
    assert_true(podlogs_refresh(podlogs, 4));
    assert_true(podlogs_check(podlogs) < 0);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.entries[0].reason, "read_failed");
    podlogs_free(podlogs);
    podlogs_free(NULL);
    tree_remove(&tree, "");
}

static void bounded(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct error_counters errors = {0};
    for (unsigned i = 0; i < PODLOGS_MAX_LINKS + 10; i++) {
        char name[128], target[128];
        (void)snprintf(name, sizeof name, "p_n_c-%064x.log", i);
        (void)snprintf(target, sizeof target, "/l/n_p_%032x/c/0.log", i);
        assert_int_equal(symlinkat(target, tree.fd, name), 0);
    }
    struct podlogs *podlogs = podlogs_new(tree.path, &errors);
    assert_true(podlogs_refresh(podlogs, 1));
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.entries[0].reason, "too_many_links");
    unsigned found = 0;
    for (unsigned i = 0; i < PODLOGS_MAX_LINKS + 10; i++) {
        char id[65], uid[33];
        (void)snprintf(id, sizeof id, "%064x", i);
        (void)snprintf(uid, sizeof uid, "%032x", i);
        bool has_container = podlogs_find_container(podlogs, str_from(id)) != NULL;
        assert_true(has_container == (podlogs_find_pod(podlogs, str_from(uid)) != NULL));
        found += has_container;
    }
    assert_int_equal(found, PODLOGS_MAX_LINKS);
    podlogs_free(podlogs);
    tree_remove(&tree, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links),
        cmocka_unit_test(finds),
        cmocka_unit_test(reads_again_only_after_changes),
        cmocka_unit_test(comes_and_goes),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
