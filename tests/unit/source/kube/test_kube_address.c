/* Addresses, and URLs with whatever a node may be called. */
#include "../../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "source/kube/kube_address.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *port; /* host NULL: refused */
    } cases[] = {
        {"127.0.0.1:10250", "127.0.0.1", "10250"},
        {"node-a:1", "node-a", "1"},
        {"[::1]:10250", "::1", "10250"},
        {"::1:10250", NULL, NULL},
        {"node", NULL, NULL},
        {":10250", NULL, NULL},
        {"node:", NULL, NULL},
        {"node:0", NULL, NULL},
        {"node:65536", NULL, NULL},
        {"no de:1", NULL, NULL},
        {"a/b:1", NULL, NULL},
        {"u@h:1", NULL, NULL},
        {"[]:1", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str host, port;
        bool is_valid = kube_address_parse(str_from(cases[i].address), &host, &port);
        assert_int_equal(is_valid, cases[i].host != NULL);
        if (is_valid) {
            assert_true(str_equal(host, str_from(cases[i].host)));
            assert_true(str_equal(port, str_from(cases[i].port)));
        }
    }
}

static void test_local(void **state)
{
    (void)state;
    assert_true(kube_address_is_local(STR("127.0.0.1")));
    assert_true(kube_address_is_local(STR("127.9.9.9")));
    assert_true(kube_address_is_local(STR("::1")));
    static const char *const elsewhere[] = {"192.0.2.1", "2001:db8::1", "localhost",
                                            "",          "0.0.0.0",     "127.0.0.1x"};
    for (size_t i = 0; i < ARRAY_LENGTH(elsewhere); i++)
        assert_false(kube_address_is_local(str_from(elsewhere[i])));
}

static void test_urls(void **state)
{
    (void)state;
    struct buf url = BUF_INIT(4096);
    kube_kubelet_url(&url, "node-a", STR("127.0.0.1"), STR("10250"));
    assert_true(str_equal(buf_str(&url), STR("https://node-a:10250/pods/")));
    buf_reset(&url);
    kube_kubelet_url(&url, NULL, STR("::1"), STR("1"));
    assert_true(str_equal(buf_str(&url), STR("https://[::1]:1/pods/")));
    buf_reset(&url);
    kube_pods_url(&url, "https://api/", "n&o=d,e.1", NULL, 0);
    assert_true(str_equal(buf_str(&url),
                          STR("https://api/api/v1/pods?fieldSelector=spec.nodeName%3D"
                              "n%26o%3Dd%2Ce.1&resourceVersion=0")));
    buf_reset(&url);
    kube_pods_url(&url, "https://api", "n", "7&x", 300);
    assert_true(
        str_ends(buf_str(&url), STR("=spec.nodeName%3Dn&resourceVersion=7%26x&watch=1"
                                    "&allowWatchBookmarks=true&timeoutSeconds=300")));
    buf_done(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
