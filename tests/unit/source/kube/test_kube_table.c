/* The table: identity by UID, static pods, owners, what is forgotten when, bounds. */
#include "../../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "source/kube/kube_table.h"

#include <errno.h>
#include <stdio.h>

#define HASH "0123456789abcdef0123456789abcdef"
#define SECOND UINT64_C(1000000000)

struct fixture {
    struct pod_keys keys;
    struct kube_table *table;
    struct kube_draft draft;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.keys.count = 0};
    assert_int_equal(pod_keys_add(&fixture.keys, false, STR("user")), 0);
    fixture.table = kube_table_new(&fixture.keys);
    *state = &fixture;
    return fixture.table ? 0 : -1;
}

static int teardown(void **state)
{
    kube_table_free(((struct fixture *)*state)->table);
    return 0;
}

static int put(struct fixture *fixture, const char *uid, const char *name,
               const char *user, const char *hash)
{
    struct kube_draft *draft = &fixture->draft;
    (void)snprintf(draft->uid, sizeof draft->uid, "%s", uid);
    (void)snprintf(draft->name, sizeof draft->name, "%s", name);
    (void)snprintf(draft->namespace_, sizeof draft->namespace_, "ns");
    (void)snprintf(draft->config_hash, sizeof draft->config_hash, "%s", hash);
    (void)snprintf(draft->values[0], sizeof draft->values[0], "%s", user ? user : "");
    draft->has_value[0] = user != NULL;
    return kube_table_put(fixture->table, draft);
}

static const char *name_of(struct fixture *fixture, const char *uid, uint64_t now)
{
    const struct pod_metadata *found = kube_table_find(fixture->table, uid, now);
    return found ? found->name : "-";
}

static void test_put_and_find(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "u1", "pod", "jane", ""), 0);
    assert_int_equal(put(fixture, "u2", "pod", NULL, ""), 0);
    assert_string_equal(kube_table_find(fixture->table, "u1", 1)->values[0], "jane");
    assert_null(kube_table_find(fixture->table, "u2", 1)->values[0]);
    assert_null(kube_table_find(fixture->table, "pod", 1));
    assert_null(kube_table_find(fixture->table, "", 1));
    assert_int_equal(put(fixture, "u1", "pod", "joe", ""), 0);
    assert_string_equal(kube_table_find(fixture->table, "u1", 1)->values[0], "joe");
    assert_int_equal(kube_table_count(fixture->table), 2);
    assert_int_equal(put(fixture, "", "pod", NULL, ""), -EBADMSG);
    assert_int_equal(put(fixture, "u3", "", NULL, ""), -EBADMSG);
    fixture->draft.has_long_text = true;
    assert_int_equal(put(fixture, "u3", "pod", NULL, ""), -EBADMSG);
}

static void test_owner(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *kind, *name, *hash, *owner; /* owner NULL: none */
    } cases[] = {
        {"Job", "train", "", "Job/train"},
        {"ReplicaSet", "web-7d9c6b5f4", "7d9c6b5f4", "Deployment/web"},
        {"ReplicaSet", "web-7d9c6b5f4", "", "ReplicaSet/web-7d9c6b5f4"},
        {"ReplicaSet", "web7d9c6b5f4", "7d9c6b5f4", "ReplicaSet/web7d9c6b5f4"},
        {"ReplicaSet", "-7d9c6b5f4", "7d9c6b5f4", "ReplicaSet/-7d9c6b5f4"},
        {"ReplicaSet", "7d9c6b5f4", "7d9c6b5f4", "ReplicaSet/7d9c6b5f4"},
        {"Node", "node-a", "", NULL},
        {"", "x", "", NULL},
        {"Job", "", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct kube_draft *draft = &fixture->draft;
        (void)snprintf(draft->owner.kind, sizeof draft->owner.kind, "%s", cases[i].kind);
        (void)snprintf(draft->owner.name, sizeof draft->owner.name, "%s", cases[i].name);
        (void)snprintf(draft->template_hash, sizeof draft->template_hash, "%s",
                       cases[i].hash);
        assert_int_equal(put(fixture, "u1", "pod", NULL, ""), 0);
        const char *owner = kube_table_find(fixture->table, "u1", 1)->owner;
        if (cases[i].owner)
            assert_string_equal(owner, cases[i].owner);
        else
            assert_null(owner);
    }
}

static void test_static_pods(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "mirror-1", "static", NULL, HASH), 0);
    assert_string_equal(name_of(fixture, HASH, 1), "static");
    /* another pod with the same claim: nobody can say which is which */
    assert_int_equal(put(fixture, "mirror-2", "impostor", NULL, HASH), 0);
    assert_string_equal(name_of(fixture, HASH, 1), "-");
    kube_table_mark_gone(fixture->table, "mirror-1", 1);
    assert_string_equal(name_of(fixture, HASH, 1), "impostor");
    assert_int_equal(put(fixture, "mirror-2", "impostor", NULL, ""), 0);
    assert_string_equal(name_of(fixture, HASH, 1), "static");
    /* the UID itself wins, and only a hash can be claimed */
    assert_int_equal(put(fixture, HASH, "kubelet", NULL, HASH), 0);
    assert_string_equal(name_of(fixture, HASH, 1), "kubelet");
    assert_int_equal(
        put(fixture, "evil", "evil", NULL, "48f7f843-4708-4753-935f-610c4828474e"), 0);
    assert_string_equal(name_of(fixture, "48f7f843-4708-4753-935f-610c4828474e", 1), "-");
}

static void test_gone_pods_are_forgotten_when_nobody_asks(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "u1", "asked", NULL, ""), 0);
    assert_int_equal(put(fixture, "u2", "alone", NULL, HASH), 0);
    assert_int_equal(put(fixture, "u3", "there", NULL, ""), 0);
    kube_table_mark_gone(fixture->table, "u1", 10 * SECOND);
    kube_table_mark_gone(fixture->table, "u2", 10 * SECOND);
    kube_table_mark_gone(fixture->table, "absent", 10 * SECOND);
    kube_table_sweep(fixture->table, 10 * SECOND + KUBE_GRACE_NS - 1);
    assert_int_equal(kube_table_count(fixture->table), 3);
    assert_string_equal(name_of(fixture, "u1", 100 * SECOND), "asked");
    kube_table_sweep(fixture->table, 10 * SECOND + KUBE_GRACE_NS);
    assert_int_equal(kube_table_count(fixture->table), 2);
    kube_table_sweep(fixture->table, 100 * SECOND + KUBE_GRACE_NS);
    assert_int_equal(kube_table_count(fixture->table), 1);
    assert_string_equal(name_of(fixture, "u3", 1), "there");
}

static void test_short_list_does_not_delete(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "u1", "kept", "jane", ""), 0);
    assert_int_equal(put(fixture, "u2", "old", NULL, ""), 0);
    struct kube_table *old = fixture->table;
    fixture->table = kube_table_new(&fixture->keys);
    assert_int_equal(put(fixture, "u2", "new", NULL, ""), 0);
    kube_table_inherit(fixture->table, old, SECOND);
    kube_table_free(old);
    assert_string_equal(name_of(fixture, "u1", SECOND), "kept");
    assert_string_equal(name_of(fixture, "u2", SECOND), "new");
    kube_table_sweep(fixture->table, SECOND + KUBE_GRACE_NS);
    assert_string_equal(name_of(fixture, "u1", SECOND), "-");
    assert_string_equal(name_of(fixture, "u2", SECOND), "new");
}

static void test_full(void **state)
{
    struct fixture *fixture = *state;
    char uid[32];
    for (int i = 0; i < KUBE_PODS_MAX; i++) {
        (void)snprintf(uid, sizeof uid, "u%d", i);
        assert_int_equal(put(fixture, uid, "pod", NULL, ""), 0);
    }
    assert_int_equal(put(fixture, "more", "pod", NULL, ""), -ENOSPC);
    assert_int_equal(put(fixture, "u7", "again", NULL, ""), 0);
    kube_table_mark_gone(fixture->table, "u9", 1);
    assert_int_equal(put(fixture, "more", "pod", NULL, ""), 0);
    assert_string_equal(name_of(fixture, "u9", 1), "-");
    assert_int_equal(kube_table_count(fixture->table), KUBE_PODS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static_pods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_pods_are_forgotten_when_nobody_asks,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_list_does_not_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
