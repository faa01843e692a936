/* Keys of pods: what is one, what metric label is made of it, bounds. */
#include "../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "model/pod_keys.h"

#include <errno.h>
#include <stdio.h>

static void test_keys(void **state)
{
    (void)state;
    struct pod_keys keys = {.count = 0};
    assert_int_equal(pod_keys_add(&keys, false, STR("team")), 0);
    assert_int_equal(pod_keys_add(&keys, true, STR("team")), 1);
    assert_int_equal(pod_keys_add(&keys, false, STR("team")), 0);
    assert_int_equal(pod_keys_add(&keys, false, STR("hub.jupyter.org/username")), 2);
    assert_int_equal(pod_keys_find(&keys, true, STR("team")), 1);
    assert_int_equal(pod_keys_find(&keys, true, STR("hub.jupyter.org/username")), -1);
    static const char *const refused[] = {"",    "-a",  "a-", "a b",     "a,b",
                                          "a\"", "a\n", "/",  "\xC3\xA9"};
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
        assert_int_equal(pod_keys_add(&keys, false, str_from(refused[i])), -EINVAL);
    char longest[POD_KEY_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(pod_keys_add(&keys, false, (struct str){longest, POD_KEY_BYTES}), 3);
    assert_int_equal(pod_keys_add(&keys, false, (struct str){longest, sizeof longest}),
                     -EINVAL);
}

static void test_full(void **state)
{
    (void)state;
    static char texts[POD_KEYS_MAX + 1][8];
    struct pod_keys keys = {.count = 0};
    for (size_t i = 0; i <= POD_KEYS_MAX; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "k%zu", i);
        assert_int_equal(pod_keys_add(&keys, false, str_from(texts[i])),
                         i < POD_KEYS_MAX ? (int)i : -ENOSPC);
    }
}

static void test_label_names(void **state)
{
    (void)state;
    static const struct {
        const char *key, *name;
    } cases[] = {
        {"team", "label_team"},
        {"app.kubernetes.io/name", "label_app_kubernetes_io_name"},
        {"myTeam", "label_my_team"},
        {"a1B2", "label_a1_b2"},
        {"ABC", "label_abc"},
        {"0day", "label_0day"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct pod_keys keys = {.count = 0};
        struct label_names names = {.count = 0};
        assert_int_equal(label_names_add(&names, &keys, str_from(cases[i].key)), 0);
        assert_int_equal(label_names_add(&names, &keys, str_from(cases[i].key)), 0);
        assert_int_equal(names.count, 1);
        assert_string_equal(names.entries[0].text, cases[i].name);
    }
}

static void test_label_names_refused(void **state)
{
    (void)state;
    struct pod_keys keys = {.count = 0};
    struct label_names names = {.count = 0};
    assert_int_equal(label_names_add(&names, &keys, STR("a.b")), 0);
    assert_int_equal(label_names_add(&names, &keys, STR("a-b")), -EEXIST);
    assert_int_equal(label_names_add(&names, &keys, STR("A.B")), -EEXIST);
    assert_int_equal(label_names_add(&names, &keys, STR("")), -EINVAL);
    static char texts[LABEL_NAMES_MAX][8];
    for (size_t i = 0; i < LABEL_NAMES_MAX; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "k%zu", i);
        assert_int_equal(label_names_add(&names, &keys, str_from(texts[i])),
                         i < LABEL_NAMES_MAX - 1 ? 0 : -ENOSPC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_label_names),
        cmocka_unit_test(test_label_names_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
