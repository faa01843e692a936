/* The command line: defaults, values, environment, and words that are refused by name. */
#include "agent/config.h"

#include "base/cleanup.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Reads a command line of up to 11 words. */
static int read_words(const char *const *words, struct config *config, struct err *err)
{
    char *argv[12];
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    argv[argc] = NULL;
    optind = 0; /* glibc: start getopt anew */
    return config_read(argc, argv, config, err);
}

#define WORDS(...) ((const char *const[]){"gpu-sessions", __VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    (void)state;
    struct config config;
    struct err err = {0};
    assert_int_equal(read_words(WORDS("collect"), &config, &err), 0);
    assert_int_equal(config.command, COMMAND_COLLECT);
    assert_int_equal(config.source, SOURCE_AUTO);
    assert_string_equal(config.procfs, "/proc");
    assert_string_equal(config.rootfs, "/");
    assert_null(config.podlogs);
    assert_null(config.textfile);
    assert_int_equal(config.count, 1);
    assert_int_equal(config.max_sessions, FACTS_DEFAULT_MAX_SESSIONS);
    assert_true(config.timeout_ns == UINT64_C(10000000000));
}

static void test_values(void **state)
{
    (void)state;
    struct config config;
    struct err err = {0};
    assert_int_equal(
        read_words(WORDS("collect", "--interval", "15s", "--count=4",
                         "--textfile=/x/y.prom", "--source=nvidia-smi",
                         "--path.procfs=/host/proc", "--no-volatile-labels", "--node=n1"),
                   &config, &err),
        0);
    assert_true(config.interval_ns == UINT64_C(15000000000));
    assert_int_equal(config.count, 4);
    assert_string_equal(config.textfile, "/x/y.prom");
    assert_int_equal(config.source, SOURCE_NVIDIA_SMI);
    assert_string_equal(config.procfs, "/host/proc");
    assert_true(config.without_volatile_labels);
    assert_string_equal(config.node, "n1");
}

static void test_list_and_simulate(void **state)
{
    (void)state;
    struct config config;
    struct err err = {0};
    assert_int_equal(
        read_words(WORDS("list", "--json", "--gpu=0_7_0", "--namespace", "ml",
                         "--user=alice", "--sort=memory", "--color=never"),
                   &config, &err),
        0);
    assert_true(config.as_json);
    assert_string_equal(config.filter.gpu, "0_7_0");
    assert_string_equal(config.filter.namespace_, "ml");
    assert_int_equal(config.filter.sort, SORT_MEMORY);
    assert_int_equal(config.color, COLOR_NEVER);
    assert_int_equal(
        read_words(WORDS("simulate", "/tmp/x", "--scenario", "mig", "--hold"), &config,
                   &err),
        0);
    assert_string_equal(config.directory, "/tmp/x");
    assert_string_equal(config.scenario, "mig");
    assert_true(config.hold);
}

static void test_refused_words_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        const char *named;
    } rows[] = {
        {{"collect", "--count=0"}, "--count"},
        {{"collect", "--count", "many"}, "many"},
        {{"collect", "--interval=15"}, "--interval"},
        {{"collect", "--interval=15s"}, "--count"},
        {{"collect", "--timeout=0s"}, "--timeout"},
        {{"collect", "--timeout=10"}, "ms, s, m or h"},
        {{"collect", "--max-sessions=0"}, "1 to 1000000"},
        {{"collect", "--gpu.devices=0_1_0"}, "0_1_0"},
        {{"prepare-textfile", "--group=65532"}, "textfile's path"},
        {{"prepare-textfile", "/x/y.prom"}, "--group"},
        {{"prepare-textfile", "--group=root", "/x/y.prom"}, "root"},
        {{"prepare-textfile", "--group=4294967295", "/x/y.prom"}, "4294967295"},
        {{"collect", "--max-sessions=1000001"}, "1 to 1000000"},
        {{"serve", "--web.max-connections=0"}, "1 to 10000"},
        {{"serve", "--web.max-connections=10001"}, "1 to 10000"},
        {{"serve", "--web.telemetry-path=/a b"}, "no ?, # or blank"},
        {{"serve", "--web.telemetry-path=/a\tb"}, "no ?, # or blank"},
        {{"serve", "--web.telemetry-path=/a?b"}, "no ?, # or blank"},
        {{"serve", "--web.telemetry-path=/"}, "\"/\" is not valid"},
        {{"serve", "--web.telemetry-path=/healthz"}, "nor /healthz"},
        {{"serve", "--web.telemetry-path=/readyz"}, "/readyz"},
        {{"serve", "--web.telemetry-path=/api/v1/sessions"}, "/api/"},
        {{"serve", "--textfile.remove-on-exit"}, "needs --textfile"},
        {{"serve", "--collect.interval=0ms"}, "1ms or more"},
        {{"collect", "--source=rocm"}, "rocm"},
        {{"collect", "--json"}, "--json"},
        {{"collect", "extra"}, "extra"},
        {{"collect", "--textfile"}, "--textfile"},
        {{"collect", "--textfile="}, "--textfile"},
        {{"list", "--sort=colour"}, "colour"},
        {{"list", "--color=red"}, "red"},
        {{"list", "--log.level=loud"}, "loud"},
        {{"list", "--log.format=xml"}, "xml"},
        {{"list", "--kube.metadata=cloud"}, "cloud"},
        {{"list", "--kube.kubelet-address=node"}, "node"},
        {{"list", "--kube.kubelet-server-name=a\x01"}, "--kube.kubelet-server-name"},
        {{"list", "--kube.kubelet-server-name=a:1"}, "a:1"},
        {{"list", "--kube.api-url=http://x"}, "http://x"},
        {{"list", "--kube.api-url=https://u:p@x"}, "--kube.api-url"},
        {{"list", "--user.from=label:a b"}, "label:a b"},
        {{"list", "--user.from=owner"}, "--kube.metadata"},
        {{"list", "--kube.label=a"}, "--kube.metadata"},
        {{"list", "--kube.metadata=apiserver"}, "--node"},
        {{"list", "--kube.metadata=kubelet", "--kube.label=a.b,a-b"}, "a-b"},
        {{"simulate"}, "directory"},
        {{"simulate", "a", "b"}, "b"},
        {{"destroy"}, "destroy"},
        {{""}, "no command"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct config config;
        struct err err = {0};
        const char *words[] = {"gpu-sessions", rows[i].words[0], rows[i].words[1],
                               rows[i].words[2], NULL};
        assert_true(read_words(words, &config, &err) < 0);
        assert_int_equal(err.domain, ERR_USAGE);
        if (!strstr(err.message, rows[i].named))
            fail_msg("\"%s\" does not name \"%s\"", err.message, rows[i].named);
    }
}

static void test_users_and_pods(void **state)
{
    (void)state;
    struct config config;
    struct err err = {0};
    assert_int_equal(read_words(WORDS("collect"), &config, &err), 0);
    assert_int_equal(config.kube_mode, KUBE_OFF);
    assert_int_equal(config.users.count, 2);
    assert_int_equal(config.labels.count, 0);
    assert_int_equal(setenv("GPU_SESSIONS_KUBE_LABEL", "from-env", 1), 0);
    assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1), 0);
    assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", "6443", 1), 0);
    assert_int_equal(read_words(WORDS("serve", "--kube.metadata=apiserver", "--node=n",
                                      "--kube.label=team, app.x", "--kube.label=user",
                                      "--user.from=label:user,namespace"),
                                &config, &err),
                     0);
    assert_int_equal(config.labels.count, 3); /* the flags replace the environment */
    assert_string_equal(config.labels.entries[1].text, "label_app_x");
    assert_int_equal(config.pod_keys.count, 3);
    assert_int_equal(config.users.rules[0].key, config.labels.entries[2].key);
    assert_string_equal(config.kube_cluster_url, "https://[fd00::1]:6443");
    assert_int_equal(unsetenv("GPU_SESSIONS_KUBE_LABEL"), 0);
    assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
    assert_int_equal(unsetenv("KUBERNETES_SERVICE_PORT"), 0);
}

static void test_environment(void **state)
{
    (void)state;
    struct config config;
    struct err err = {0};
    assert_int_equal(setenv("GPU_SESSIONS_PATH_PROCFS", "/env/proc", 1), 0);
    assert_int_equal(setenv("GPU_SESSIONS_GRAPHICS", "true", 1), 0);
    assert_int_equal(setenv("NODE_NAME", "from-downward-api", 1), 0);
    assert_int_equal(read_words(WORDS("collect"), &config, &err), 0);
    assert_string_equal(config.procfs, "/env/proc");
    assert_true(config.with_graphics);
    assert_string_equal(config.node, "from-downward-api");

    /* the command line wins */
    assert_int_equal(
        read_words(WORDS("collect", "--path.procfs=/p", "--node=n"), &config, &err), 0);
    assert_string_equal(config.procfs, "/p");
    assert_string_equal(config.node, "n");

    assert_int_equal(setenv("GPU_SESSIONS_GRAPHICS", "0", 1), 0);
    assert_int_equal(read_words(WORDS("collect"), &config, &err), 0);
    assert_false(config.with_graphics);
    assert_int_equal(setenv("GPU_SESSIONS_GRAPHICS", "maybe", 1), 0);
    assert_true(read_words(WORDS("collect"), &config, &err) < 0);
    assert_non_null(strstr(err.message, "GPU_SESSIONS_GRAPHICS"));

    assert_int_equal(setenv("GPU_SESSIONS_GRAPHICS", "", 1), 0);
    assert_int_equal(setenv("GPU_SESSIONS_TEXTFILE", "", 1), 0);
    assert_int_equal(read_words(WORDS("collect"), &config, &err), 0);
    assert_null(config.textfile);
    assert_int_equal(unsetenv("GPU_SESSIONS_TEXTFILE"), 0);
    assert_int_equal(unsetenv("GPU_SESSIONS_GRAPHICS"), 0);
    assert_int_equal(unsetenv("GPU_SESSIONS_PATH_PROCFS"), 0);
    assert_int_equal(unsetenv("NODE_NAME"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_list_and_simulate),
        cmocka_unit_test(test_refused_words_are_named),
        cmocka_unit_test(test_users_and_pods),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
