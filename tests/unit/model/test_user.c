/* The chain: its words, its presets, JupyterHub's escaping, who is found in which order.
 */
#include "../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "model/user.h"

#include <errno.h>
#include <stdio.h>

static void test_parse(void **state)
{
    (void)state;
    struct pod_keys keys = {.count = 0};
    struct user_chain chain;
    struct str wrong;
    assert_int_equal(
        user_chain_parse(
            STR("annotation:a/b, label:c,label-escaped:c,namespace,owner,unix"), &chain,
            &keys, &wrong),
        0);
    static const enum user_kind kinds[] = {USER_ANNOTATION, USER_LABEL, USER_LABEL,
                                           USER_NAMESPACE,  USER_OWNER, USER_UNIX};
    assert_int_equal(chain.count, ARRAY_LENGTH(kinds));
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        assert_int_equal(chain.rules[i].kind, kinds[i]);
    assert_int_equal(keys.count, 2);
    assert_true(chain.rules[2].is_escaped && chain.rules[2].key == chain.rules[1].key);
    assert_true(str_equal(chain.rules[1].word, STR("label:c")));
    assert_true(user_chain_needs_metadata(&chain));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *wrong;
    } cases[] = {
        {"", ""},
        {"label:", "label:"},
        {"label:a,", ""},
        {"unix,label", "label"},
        {"namespaces", "namespaces"},
        {"preset:", "preset:"},
        {"preset:JupyterHub", "preset:JupyterHub"},
        {"annotation:a b", "annotation:a b"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct pod_keys keys = {.count = 0};
        struct user_chain chain = {.count = 77};
        struct str wrong = STR("?");
        assert_int_equal(user_chain_parse(str_from(cases[i].spec), &chain, &keys, &wrong),
                         -EINVAL);
        assert_int_equal(chain.count, 77);
        assert_true(str_equal(wrong, str_from(cases[i].wrong)));
    }
}

static void test_presets(void **state)
{
    (void)state;
    struct str rest = STR("jupyterhub|kubeflow|runai|kai|kueue|volcano|ray|training|"
                          "jobset|argo|osmo"),
               name;
    while (str_split(&rest, '|', &name)) {
        char spec[80];
        struct pod_keys keys = {.count = 0};
        struct user_chain chain;
        struct str wrong;
        (void)snprintf(spec, sizeof spec, "preset:%.*s", (int)name.n, name.p);
        assert_int_equal(user_chain_parse(str_from(spec), &chain, &keys, &wrong), 0);
        assert_true(chain.count > 0 && user_chain_needs_metadata(&chain));
    }
    struct pod_keys keys = {.count = 0};
    struct user_chain chain;
    struct str wrong;
    assert_int_equal(user_chain_parse(STR("unix,namespace"), &chain, &keys, &wrong), 0);
    assert_false(user_chain_needs_metadata(&chain));
}

static void test_too_long(void **state)
{
    (void)state;
    char spec[8 * (USER_RULES_MAX + 1)] = "";
    struct pod_keys keys = {.count = 0};
    struct user_chain chain;
    struct str wrong;
    size_t n = 0;
    for (size_t i = 0; i <= USER_RULES_MAX; i++)
        n += (size_t)snprintf(spec + n, sizeof spec - n, "%sunix", i ? "," : "");
    assert_int_equal(user_chain_parse(str_from(spec), &chain, &keys, &wrong), -ENOSPC);
    spec[n - 5] = '\0';
    assert_int_equal(user_chain_parse(str_from(spec), &chain, &keys, &wrong), 0);
}

static void test_unescape(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain;
    } cases[] = {
        {"test-5fuser", "test_user"},
        {"jane-40example-2eorg", "jane@example.org"},
        {"-c3-a9ric", "\xC3\xA9ric"},
        {"-41lice", "Alice"},
        {"a-2db", "a-b"},
        {"plain", "plain"},
        {"", ""},
        {"jane-doe", "jane-doe"},                       /* no escape at all */
        {"jane-61", "jane-61"},                         /* a letter is not escaped */
        {"jane-31", "jane-31"},                         /* nor a digit */
        {"u-5fname---1a2b3c4d", "u-5fname---1a2b3c4d"}, /* the newer form, a slug */
        {"x-c3", "x-c3"},                               /* half a character */
        {"x-5F", "x-5F"},
        {"x-5", "x-5"},
        {"x-", "x-"},
        {"x-00", "x-00"},
    };
    struct arena *arena = arena_new(1 << 16);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_string_equal(user_unescape(arena, cases[i].text), cases[i].plain);
    arena_free(arena);
}

/* The user by SPEC of a process with FACTS, and the word that it came from. */
static struct user find(const char *spec, struct user_facts facts, struct arena *arena)
{
    static struct user_chain chain;
    struct pod_keys keys = {.count = 0};
    struct str wrong;
    struct user user;
    /* The values below stand at these places. */
    assert_int_equal(pod_keys_add(&keys, false, STR("user")), 0);
    assert_int_equal(pod_keys_add(&keys, true, STR("user")), 1);
    assert_int_equal(user_chain_parse(str_from(spec), &chain, &keys, &wrong), 0);
    assert_int_equal(user_find(&chain, &facts, arena, &user), 0);
    return user;
}

static void test_order(void **state)
{
    (void)state;
    static const char *const values[] = {"jane-5fdoe", "  ", NULL};
    static const struct pod_metadata metadata = {"ml", "p", "Job/train", values};
    static const struct pod_identity in_pod = {
        .state = POD_RESOLVED, .namespace_ = "ml", .metadata = &metadata};
    static const struct pod_identity unknown_pod = {.state = POD_UNRESOLVED};
    static const struct pod_identity no_metadata = {.state = POD_RESOLVED,
                                                    .namespace_ = "ml"};
    static const struct pod_identity outside = {.state = POD_NONE};
    static const struct {
        const char *spec;
        struct user_facts facts;
        const char *user, *word;
    } cases[] = {
        {"label:user", {&in_pod, "", false, 0}, "jane-5fdoe", "label:user"},
        {"label-escaped:user", {&in_pod, "", false, 0}, "jane_doe", "label-escaped:user"},
        {"annotation:user,owner", {&in_pod, "", false, 0}, "Job/train", "owner"},
        {"annotation:user", {&in_pod, "root", true, 0}, "", NULL},
        {"unix,namespace", {&in_pod, "root", true, 0}, "ml", "namespace"},
        {"label:user,owner,namespace", {&no_metadata, "", false, 0}, "ml", "namespace"},
        {"namespace,unix", {&unknown_pod, "root", true, 0}, "", NULL},
        {"namespace,unix", {&outside, "alice", true, 1000}, "alice", "unix"},
        {"namespace,unix", {&outside, "", true, 1000}, "1000", "unix"},
        {"namespace,unix", {&outside, "", false, 0}, "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena = arena_new(1 << 16);
        struct user user = find(cases[i].spec, cases[i].facts, arena);
        assert_string_equal(user.name, cases[i].user);
        assert_int_equal(user.from != NULL, cases[i].word != NULL);
        if (user.from)
            assert_true(str_equal(user.from->word, str_from(cases[i].word)));
        arena_free(arena);
    }
}

static void test_long_names_are_cut(void **state)
{
    (void)state;
    char text[USER_BYTES + 2];
    memset(text, 'x', sizeof text);
    memcpy(text + USER_BYTES - 1, "\xC3\xA9", 3);
    const char *const values[] = {text, NULL};
    const struct pod_metadata metadata = {"ml", "p", NULL, values};
    const struct pod_identity pod = {.state = POD_RESOLVED, .metadata = &metadata};
    struct arena *arena = arena_new(1 << 16);
    struct user user = find("label:user", (struct user_facts){&pod, "", false, 0}, arena);
    assert_int_equal(strlen(user.name), USER_BYTES - 1);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
