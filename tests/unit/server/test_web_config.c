/* Files: where they are looked for, what is noticed of their change, what is refused. */
#include "server/web_config.h"

#include "../../support/certificates.h"
#include "../../support/passwords.h"
#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct folder {
    char path[64];
    int fd;
    char file[96]; /* the configuration */
};

static void write_file(const struct folder *folder, const char *name, struct str text)
{
    CLEANUP(close_fdp)
    int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, text), 0);
}

static int make_folder(void **state)
{
    static struct folder folder;
    struct test_certificate pair =
        certificate_make("localhost", GNUTLS_KP_TLS_WWW_SERVER, NULL);
    folder = (struct folder){.path = "/tmp/web_configXXXXXX"};
    assert_non_null(mkdtemp(folder.path));
    folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY);
    snprintf(folder.file, sizeof folder.file, "%s/web.yml", folder.path);
    assert_int_equal(mkdirat(folder.fd, "tls", 0700), 0);
    write_file(&folder, "tls/cert", certificate_text(&pair.crt_pem));
    write_file(&folder, "tls/key", certificate_text(&pair.key_pem));
    certificate_done(&pair);
    *state = &folder;
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"web.yml", "tls/cert", "tls/key", "other"};
    struct folder *folder = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        unlinkat(folder->fd, names[i], 0);
    unlinkat(folder->fd, "tls", AT_REMOVEDIR);
    unlinkat(folder->fd, "pipe", 0);
    close(folder->fd);
    return rmdir(folder->path);
}

#define TLS "tls_server_config: {cert_file: tls/cert, key_file: tls/key}\n"

static void test_load(void **state)
{
    const struct folder *folder = *state;
    CLEANUP(web_config_freep) struct web_config *config = NULL;
    struct err err = {0};
    write_file(folder, "web.yml",
               STR(TLS "basic_auth_users: {ann: " HASH_OF_SECRET "}\n"));
    assert_int_equal(web_config_load(folder->file, &config, &err), 0);
    assert_non_null(web_config_tls(config));
    assert_int_equal(web_config_settings(config)->user_count, 1);

    const char *directories[4];
    char expected[96];
    snprintf(expected, sizeof expected, "%s/tls", folder->path);
    assert_int_equal(web_config_directories(config, directories, 4), 2);
    assert_string_equal(directories[0], folder->path);
    assert_string_equal(directories[1], expected);
    directories[0] = NULL;
    assert_int_equal(web_config_directories(config, directories, 0), 2);
    assert_null(directories[0]);
}

static void test_empty_file(void **state)
{
    const struct folder *folder = *state;
    CLEANUP(web_config_freep) struct web_config *config = NULL;
    struct err err = {0};
    write_file(folder, "web.yml", STR(""));
    assert_int_equal(web_config_load(folder->file, &config, &err), 0);
    assert_null(web_config_tls(config));
    assert_int_equal(web_config_directories(config, NULL, 0), 1);
    web_config_free(NULL);
}

/* A link needs both its own folder and the one it leads to. */
static void test_directories_behind_links(void **state)
{
    const struct folder *folder = *state;
    CLEANUP(web_config_freep) struct web_config *config = NULL;
    const char *directories[WEB_CONFIG_DIRECTORIES_MAX];
    char expected[96];
    struct err err = {0};
    assert_int_equal(symlinkat("tls/cert", folder->fd, "other"), 0);
    write_file(folder, "web.yml",
               STR("tls_server_config: {cert_file: other, key_file: tls/key}\n"));
    assert_int_equal(web_config_load(folder->file, &config, &err), 0);
    assert_int_equal(
        web_config_directories(config, directories, WEB_CONFIG_DIRECTORIES_MAX), 2);
    snprintf(expected, sizeof expected, "%s/tls", folder->path);
    assert_string_equal(directories[1], expected);
}

static void test_changes(void **state)
{
    const struct folder *folder = *state;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 5}};
    CLEANUP(web_config_freep) struct web_config *config = NULL;
    struct err err = {0};
    write_file(folder, "web.yml", STR(TLS));
    assert_int_equal(web_config_load(folder->file, &config, &err), 0);
    assert_false(web_config_has_changed(config));

    /* each file, by each way */
    struct stat before;
    assert_int_equal(fstatat(folder->fd, "tls/key", &before, 0), 0);
    assert_int_equal(utimensat(folder->fd, "tls/key", times, 0), 0);
    assert_true(web_config_has_changed(config));
    const struct timespec back[2] = {{.tv_nsec = UTIME_OMIT}, before.st_mtim};
    assert_int_equal(utimensat(folder->fd, "tls/key", back, 0), 0);
    assert_false(web_config_has_changed(config));

    assert_int_equal(renameat(folder->fd, "tls/cert", folder->fd, "other"), 0);
    assert_true(web_config_has_changed(config));
    assert_int_equal(symlinkat("../other", folder->fd, "tls/cert"), 0);
    assert_false(web_config_has_changed(config)); /* the same file behind a link */
    assert_int_equal(unlinkat(folder->fd, "tls/cert", 0), 0);
    assert_int_equal(renameat(folder->fd, "other", folder->fd, "tls/cert"), 0);

    write_file(folder, "web.yml", STR(TLS "\n"));
    assert_true(web_config_has_changed(config));
}

static void assert_refused(const struct folder *folder, const char *format)
{
    char expected[ERR_MESSAGE_BYTES], cut[ERR_MESSAGE_BYTES];
    struct web_config *config = NULL;
    struct err err = {0};
    assert_true(web_config_load(folder->file, &config, &err) < 0);
    assert_null(config);
    /* "@" stands for the folder */
    struct str rest = str_from(format), part;
    size_t used = 0;
    bool is_first = true;
    while (str_split(&rest, '@', &part)) {
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%.*s",
                                 is_first ? "" : folder->path, (int)part.n, part.p);
        is_first = false;
    }
    snprintf(cut, sizeof cut, "%.*s", (int)used, err.message);
    assert_string_equal(cut, expected);
}

static void test_refused(void **state)
{
    const struct folder *folder = *state;
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"nonsense: 1", "@/web.yml:1: unknown key \"nonsense\""},
        {"tls_server_config: {cert_file: none, key_file: tls/key}",
         "@/web.yml: tls_server_config.cert_file: @/none: No such file or directory"},
        {"tls_server_config: {cert_file: tls/cert, key_file: tls}",
         "@/web.yml: tls_server_config.key_file: @/tls: is not a file"},
        {"tls_server_config: {cert_file: tls/cert, key_file: pipe}",
         "@/web.yml: tls_server_config.key_file: @/pipe: is not a file"},
        {"tls_server_config: {cert_file: tls/cert, key: x}",
         "@/web.yml: cannot use certificate @/tls/cert with key @/web.yml: "},
        {"tls_server_config: {cert_file: tls/cert, key_file: tls/key, client_auth_type: "
         "RequireAndVerifyClientCert, client_ca_file: tls/key}",
         "@/web.yml: @/tls/key has no CA certificate in PEM"},
        {"tls_server_config: {cert_file: tls/cert, key_file: tls/key, cipher_suites: "
         "[x]}",
         "@/web.yml: tls_server_config: cipher_suites: unknown name \"x\""},
    };
    assert_int_equal(mkfifoat(folder->fd, "pipe", 0600), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        write_file(folder, "web.yml", str_from(rows[i].text));
        assert_refused(folder, rows[i].message);
    }
    assert_int_equal(unlinkat(folder->fd, "web.yml", 0), 0);
    assert_refused(folder, "cannot read the web configuration @/web.yml: No such file or "
                           "directory; name an existing file with --web.config.file");
    assert_int_equal(mkdirat(folder->fd, "web.yml", 0700), 0);
    assert_refused(folder, "cannot read the web configuration @/web.yml: is not a file; "
                           "name an existing file with --web.config.file");
    assert_int_equal(unlinkat(folder->fd, "web.yml", AT_REMOVEDIR), 0);
}

static void test_size_at_the_bound(void **state)
{
    const struct folder *folder = *state;
    CLEANUP(web_config_freep) struct web_config *config = NULL;
    struct err err = {0};
    char *text = calloc(1, WEB_FILE_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', WEB_FILE_BYTES_MAX + 1);
    write_file(folder, "web.yml", (struct str){text, WEB_FILE_BYTES_MAX - 1});
    assert_int_equal(web_config_load(folder->file, &config, &err), 0);
    write_file(folder, "web.yml", (struct str){text, WEB_FILE_BYTES_MAX + 1});
    assert_refused(folder,
                   "cannot read the web configuration @/web.yml: is longer than 256 KiB");
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_load),    TEST(test_empty_file),
        TEST(test_changes), TEST(test_directories_behind_links),
        TEST(test_refused), TEST(test_size_at_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
