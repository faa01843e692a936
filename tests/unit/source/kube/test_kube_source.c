/* What can be said without a server: refused configurations, and a server that is not
 * there. tests/scenario/test_kube.py has the rest. */
#include "../../../support/cmocka_all.h"

#include "source/kube/kube_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const struct pod_keys no_keys = {.count = 0};

static struct kube_config kubelet_at(const char *address, struct error_counters *errors)
{
    return (struct kube_config){
        .mode = KUBE_KUBELET,
        .kubelet_address = address,
        .token_file = "/absent",
        .keys = &no_keys,
        .errors = errors,
    };
}

static void test_refused_configurations(void **state)
{
    (void)state;
    struct error_counters errors = {0};
    struct kube_source *source;
    struct err err = {0};
    struct kube_config config = kubelet_at("nowhere", &errors);
    assert_int_equal(kube_open(&config, &source, &err), -EINVAL);
    config = kubelet_at("192.0.2.1:10250", &errors);
    config.kubelet_is_unverified = true;
    assert_int_equal(kube_open(&config, &source, &err), -EINVAL);
    assert_non_null(strstr(err.message, "not an address of this node"));
    config = (struct kube_config){
        .mode = KUBE_APISERVER, .api_url = "ftp://x", .keys = &no_keys};
    assert_int_equal(kube_open(&config, &source, &err), -EINVAL);
}

static struct source_status status_of(struct kube_source *source, struct arena *arena,
                                      bool *is_known)
{
    struct source_status status = {0};
    *is_known = kube_status(source, arena, &status);
    return status;
}

static void test_nothing_is_said_before_the_first_request(void **state)
{
    (void)state;
    struct error_counters errors = {0};
    struct kube_source *source;
    struct kube_config config = kubelet_at("127.0.0.1:1", &errors);
    bool is_known;
    struct arena *arena = arena_new(1 << 16);
    config.spread_ns = UINT64_MAX / 4; /* so that it is not due */
    assert_int_equal(kube_open(&config, &source, NULL), 0);
    assert_string_equal(kube_resolver(source), "kubelet");
    (void)status_of(source, arena, &is_known);
    assert_false(is_known);
    assert_null(kube_find(source, "u"));
    kube_close(source);
    kube_close(NULL);
    arena_free(arena);
}

static void test_failure_is_not_repeated_at_once(void **state)
{
    (void)state;
    char token_file[] = "/tmp/test_kube_source_XXXXXX";
    int fd = mkstemp(token_file);
    assert_int_equal(write(fd, "t", 1), 1);
    close(fd);
    struct error_counters errors = {0};
    struct kube_source *source;
    struct kube_config config = kubelet_at("127.0.0.1:1", &errors);
    struct arena *arena = arena_new(1 << 16);
    bool is_known;
    static const char *const uids[] = {"u1"};
    config.token_file = token_file;
    assert_int_equal(kube_open(&config, &source, NULL), 0);
    for (int i = 0; i < 3; i++)
        kube_update(source, uids, 1, UINT64_C(1000000000));
    struct source_status status = status_of(source, arena, &is_known);
    assert_true(is_known);
    assert_false(status.is_up);
    assert_string_equal(status.name, "kubernetes");
    assert_non_null(strstr(status.reason, "nobody listens"));
    assert_int_equal(errors_count(&errors), 1);
    assert_int_equal(errors.entries[0].value, 1);
    kube_close(source);
    arena_free(arena);
    unlink(token_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_configurations),
        cmocka_unit_test(test_nothing_is_said_before_the_first_request),
        cmocka_unit_test(test_failure_is_not_repeated_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
