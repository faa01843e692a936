/*
 * Loads the web configuration as a whole: either all of it can be used or none of it is.
 *
 * What a file was is noted before it is read: a change in between is then seen as a
 * change and not missed.
 */
#include "server/web_config.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ARENA_BYTES_MAX ((size_t)4 << 20)

enum { FILE_CONFIG, FILE_CERT, FILE_KEY, FILE_CLIENT_CA, FILE_COUNT };

/* A file that was read; PATH is NULL for one that is not used. */
struct web_file {
    const char *path;
    const char *directory;        /* of the path */
    const char *target_directory; /* behind all links */
    struct stat seen;
};

struct web_config {
    struct arena *arena;
    struct web_settings settings;
    struct tls *tls;
    struct web_file files[FILE_COUNT];
};

/* The file's bytes for as long as it takes to parse them. */
struct file_text {
    char *bytes;
    struct str text;
};

static void file_text_done(struct file_text *file)
{
    if (file->bytes)
        explicit_bzero(file->bytes, WEB_FILE_BYTES_MAX);
    free(file->bytes);
}

static const char *directory_of(struct arena *arena, const char *path)
{
    ptrdiff_t slash = str_find_last(str_from(path), '/');
    if (slash < 0)
        return arena_copy(arena, STR("."));
    return arena_copy(arena, str_part(str_from(path), 0, slash ? (size_t)slash : 1));
}

/* Kubernetes and certbot name files by links; a sandbox looks at where they lead to. */
static const char *target_directory_of(struct arena *arena, const char *path)
{
    CLEANUP(freep) char *target = realpath(path, NULL);
    return directory_of(arena, target ? target : path);
}

static int note_file(struct web_config *config, int which, const char *path,
                     struct err *err)
{
    struct web_file file = {.directory = directory_of(config->arena, path),
                            .target_directory = target_directory_of(config->arena, path),
                            .path = arena_copy(config->arena, str_from(path))};
    if (!file.directory || !file.target_directory || !file.path)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    if (stat(path, &file.seen) != 0)
        return err_errno(err, errno, "%s", path);
    /* Opening a pipe would wait for a writer. */
    if (!S_ISREG(file.seen.st_mode))
        return err_set(err, EINVAL, ERR_USAGE, 0, "%s: is not a file", path);
    config->files[which] = file;
    return 0;
}

static int read_file(struct web_config *config, int which, const char *path,
                     struct file_text *out, struct err *err)
{
    int rc = note_file(config, which, path, err);
    if (rc != 0)
        return rc;
    out->bytes = calloc(1, WEB_FILE_BYTES_MAX);
    if (!out->bytes)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    rc = fdio_read_at(AT_FDCWD, path, out->bytes, WEB_FILE_BYTES_MAX, &out->text);
    if (rc == FDIO_TRUNCATED)
        return err_set(err, EFBIG, ERR_USAGE, 0, "%s: is longer than %zu KiB", path,
                       WEB_FILE_BYTES_MAX >> 10);
    if (rc < 0)
        return err_errno(err, -rc, "%s", path);
    return 0;
}

/* A PEM text, from the configuration or from the file that it names. NAME: what messages
 * call it. */
static int read_pem(struct web_config *config, int which, const struct pem_setting *pem,
                    struct file_text *out, const char **name, struct err *err)
{
    *name = config->files[FILE_CONFIG].path;
    if (pem->text)
        out->text = str_from(pem->text);
    if (!pem->file)
        return 0;
    const char *path =
        pem->file[0] == '/'
            ? pem->file
            : arena_printf(config->arena, "%s/%s", config->files[FILE_CONFIG].directory,
                           pem->file);
    if (!path)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    *name = path;
    return read_file(config, which, path, out, err);
}

static int load_tls(struct web_config *config, struct err *err)
{
    CLEANUP(file_text_done) struct file_text cert = {0};
    CLEANUP(file_text_done) struct file_text key = {0};
    CLEANUP(file_text_done) struct file_text client_ca = {0};
    const struct tls_settings *tls = &config->settings.tls;
    struct tls_material material = {0};
    int rc = read_pem(config, FILE_CERT, &tls->cert, &cert, &material.cert_file, err);
    if (rc != 0)
        return err_wrap(err, rc, "tls_server_config.cert_file");
    rc = read_pem(config, FILE_KEY, &tls->key, &key, &material.key_file, err);
    if (rc != 0)
        return err_wrap(err, rc, "tls_server_config.key_file");
    rc = read_pem(config, FILE_CLIENT_CA, &tls->client_ca, &client_ca,
                  &material.client_ca_file, err);
    if (rc != 0)
        return err_wrap(err, rc, "tls_server_config.client_ca_file");
    material.cert = cert.text;
    material.key = key.text;
    material.client_ca = client_ca.text;
    return tls_new(tls, &material, &config->tls, err);
}

/* The file that the command line names: what is wrong with it is put right there. */
static int read_config(struct web_config *config, const char *path, struct file_text *out,
                       struct err *err)
{
    struct err cause = {0};
    int rc = read_file(config, FILE_CONFIG, path, out, &cause);
    if (rc == 0)
        return 0;
    return err_set(err, -rc, cause.domain, cause.native,
                   "cannot read the web configuration %s%s", cause.message,
                   rc == -ENOMEM || rc == -EFBIG
                       ? ""
                       : "; name an existing file with --web.config.file");
}

static int load(struct web_config *config, const char *path, struct err *err)
{
    CLEANUP(file_text_done) struct file_text file = {0};
    int rc = read_config(config, path, &file, err);
    if (rc == 0)
        rc = web_settings_parse(config->arena, path, file.text, &config->settings, err);
    if (rc != 0 || !config->settings.with_tls)
        return rc;
    rc = load_tls(config, err);
    return rc == 0 ? 0 : err_wrap(err, rc, "%s", path);
}

int web_config_load(const char *path, struct web_config **out, struct err *err)
{
    struct web_config *config = calloc(1, sizeof *config);
    if (!config)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    config->arena = arena_new(ARENA_BYTES_MAX);
    int rc = config->arena ? load(config, path, err)
                           : err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    if (rc == 0)
        *out = config;
    else
        web_config_free(config);
    return rc;
}

void web_config_free(struct web_config *config)
{
    if (!config)
        return;
    tls_unref(config->tls);
    web_settings_wipe(&config->settings);
    arena_free(config->arena);
    free(config);
}

const struct web_settings *web_config_settings(const struct web_config *config)
{
    return &config->settings;
}

struct tls *web_config_tls(const struct web_config *config)
{
    return config->tls;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool web_config_has_changed(const struct web_config *config)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        const struct web_file *file = &config->files[i];
        struct stat now;
        if (file->path && (stat(file->path, &now) != 0 || !is_same(&now, &file->seen)))
            return true;
    }
    return false;
}

struct directories {
    const char *items[WEB_CONFIG_DIRECTORIES_MAX];
    size_t count;
};

static void add_directory(struct directories *found, const char *directory)
{
    for (size_t i = 0; i < found->count; i++) {
        if (strcmp(found->items[i], directory) == 0)
            return;
    }
    found->items[found->count++] = directory;
}

size_t web_config_directories(const struct web_config *config, const char **out,
                              size_t max)
{
    _Static_assert(2 * FILE_COUNT <= WEB_CONFIG_DIRECTORIES_MAX, "two for each file");
    struct directories found = {.count = 0};
    for (int i = 0; i < FILE_COUNT; i++) {
        const struct web_file *file = &config->files[i];
        if (!file->path)
            continue;
        add_directory(&found, file->directory);
        add_directory(&found, file->target_directory);
    }
    for (size_t i = 0; i < found.count && i < max; i++)
        out[i] = found.items[i];
    return found.count;
}
