/*
 * Finding and loading libnvidia-ml.so.1.
 *
 * The soname comes first: inside a container the toolkit has put the right file where the
 * loader looks. The places behind it are those of the distributions, of GKE, of WSL and
 * of the GPU operator's driver container. The unversioned name is never tried: it is a
 * link for compilers, or the CUDA toolkit's stub that fails every call.
 */
#include "source/nvml/nvml_api.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SONAME "libnvidia-ml.so.1"
#define DRIVER_CONTAINER_ROOT "/run/nvidia/driver"

static const char *const places[] = {
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu/nvidia/current",
    "/lib64",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/nvidia",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib/aarch64-linux-gnu/nvidia",
    "/usr/lib/aarch64-linux-gnu/tegra",
    "/usr/lib/wsl/lib",
};

static const struct {
    const char *name;
    size_t offset; /* of its pointer in struct nvml_api */
    bool is_required;
} symbols[] = {
#define NVML_REQUIRED(symbol) {#symbol, offsetof(struct nvml_api, symbol), true},
#define NVML_OPTIONAL(symbol) {#symbol, offsetof(struct nvml_api, symbol), false},
    NVML_SYMBOLS(NVML_REQUIRED, NVML_OPTIONAL)
#undef NVML_REQUIRED
#undef NVML_OPTIONAL
};

/* The loader's words about the last failure. They live in memory of this thread. */
static const char *load_error(void)
{
    const char *text = dlerror(); /* NOLINT(concurrency-mt-unsafe): per thread in glibc */
    return text ? text : "no reason given";
}

/* Loads NAME; on failure keeps the loader's words in REASON. */
static void *library_open(const char *name, char *reason, size_t reason_bytes)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        (void)snprintf(reason, reason_bytes, "%s", load_error());
    return library;
}

/* Tries the places below ROOT. A file that is there but cannot be loaded says more about
 * the trouble than a missing one, so its reason replaces REASON. */
static void *library_search(const char *root, char *reason, size_t reason_bytes)
{
    size_t root_length = strlen(root);
    while (root_length && root[root_length - 1] == '/')
        root_length--;
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%.*s%s/" SONAME, (int)root_length, root,
                         places[i]);
        if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0)
            continue;
        void *library = library_open(path, reason, reason_bytes);
        if (library)
            return library;
    }
    return NULL;
}

static void *library_find(const char *driver_root, struct err *err)
{
    char reason[160] = "";
    void *library = library_open(SONAME, reason, sizeof reason);
    if (!library)
        library = library_search(driver_root, reason, sizeof reason);
    if (!library)
        library = library_search(DRIVER_CONTAINER_ROOT, reason, sizeof reason);
    if (!library)
        (void)err_set(err, ENOENT, ERR_ERRNO, ENOENT,
                      "cannot load " SONAME " (tried the loader's path and %zu places "
                      "under %.40s and " DRIVER_CONTAINER_ROOT
                      "): %s; install the NVIDIA "
                      "driver or name its library with --nvml.library",
                      ARRAY_LENGTH(places), driver_root, reason);
    return library;
}

static void *library_open_named(const char *path, struct err *err)
{
    char reason[160] = "";
    void *library = library_open(path, reason, sizeof reason);
    if (!library)
        (void)err_set(
            err, ENOENT, ERR_ERRNO, ENOENT,
            "cannot load the driver library %.80s: %s; correct --nvml.library or "
            "leave it out",
            path, reason);
    return library;
}

/* Fills API from its library. Return: the name of a required symbol that is missing, or
 * NULL. */
static const char *symbols_find(struct nvml_api *api)
{
    for (size_t i = 0; i < ARRAY_LENGTH(symbols); i++) {
        void *address = dlsym(api->library, symbols[i].name);
        if (!address && symbols[i].is_required)
            return symbols[i].name;
        memcpy((char *)api + symbols[i].offset, &address, sizeof address);
    }
    return NULL;
}

int nvml_api_load(const char *path, const char *driver_root, struct nvml_api *api,
                  struct err *err)
{
    struct nvml_api loaded = {0};
    loaded.library = path ? library_open_named(path, err)
                          : library_find(driver_root ? driver_root : "/", err);
    if (!loaded.library)
        return NVML_API_NOT_LOADED;
    const char *missing = symbols_find(&loaded);
    if (missing) {
        nvml_api_unload(&loaded);
        return err_set(
            err, ENOSYS, ERR_NVML, NVML_ERROR_FUNCTION_NOT_FOUND,
            "%.120s has no %s: it is not NVIDIA's management library, or older "
            "than driver 450",
            path ? path : SONAME, missing);
    }
    *api = loaded;
    return 0;
}

void nvml_api_unload(struct nvml_api *api)
{
    if (api->library)
        (void)dlclose(api->library);
    api->library = NULL;
}
