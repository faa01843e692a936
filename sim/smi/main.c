/*
 * Command line, start of the library, and the texts and exit codes of its failures.
 *
 * The library is the one in the folder above the program's own, as `gpu-sessions
 * simulate` lays them out; it is never looked for anywhere else, so a real driver is not
 * touched.
 */
#include "sim/smi/smi.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "sim/driver/node_map.h"
#include "sim/driver/pci.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage_fail(const char *argument)
{
    printf("Invalid combination of input arguments. Please run 'nvidia-smi -h' for "
           "help.\n(%s)\n",
           argument);
    return SMI_EXIT_USAGE;
}

/* What follows PREFIX in ARGUMENT, or NULL. */
static const char *value_of(const char *argument, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(argument, prefix, length) == 0 ? argument + length : NULL;
}

static bool format_read(struct smi_request *request, const char *value)
{
    struct str rest = str_from(value), part;
    bool is_csv = false;
    while (str_split(&rest, ',', &part)) {
        is_csv |= str_equal(part, STR("csv"));
        request->without_header |= str_equal(part, STR("noheader"));
        request->without_units |= str_equal(part, STR("nounits"));
    }
    return is_csv;
}

static bool argument_read(struct smi_request *request, const char *argument)
{
    const char *value;
    if ((value = value_of(argument, "--query-gpu="))) {
        request->print = smi_print_gpus;
        request->fields = value;
    } else if ((value = value_of(argument, "--query-compute-apps="))) {
        request->print = smi_print_apps;
        request->fields = value;
    } else if ((value = value_of(argument, "--format="))) {
        return format_read(request, value);
    } else if ((value = value_of(argument, "--id="))) {
        request->id = value;
    } else if (strcmp(argument, "-L") == 0 || strcmp(argument, "--list-gpus") == 0) {
        request->print = smi_print_list;
    } else if (strcmp(argument, "pmon") == 0) {
        request->print = smi_print_pmon;
    } else {
        return false;
    }
    return true;
}

/* Options whose value is the next argument. */
static bool pair_read(struct smi_request *request, const char *option, const char *value)
{
    if (strcmp(option, "-i") == 0) {
        request->id = value;
        return true;
    }
    if (strcmp(option, "-c") == 0)
        return str_u32(str_from(value), &request->rounds);
    if (strcmp(option, "-s") != 0)
        return false;
    request->with_memory = strchr(value, 'm') != NULL;
    return strcmp(value, "u") == 0 || strcmp(value, "um") == 0;
}

/* Return: -1, or the exit code. */
static int arguments_read(struct smi_request *request, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && pair_read(request, argv[i], argv[i + 1]))
            i++;
        else if (!argument_read(request, argv[i]))
            return usage_fail(argv[i]);
    }
    return request->print ? -1 : usage_fail("nothing to do");
}

static void *library_open(void)
{
    char path[4096], *own = realpath("/proc/self/exe", NULL);
    void *library = NULL;
    char *slash = own ? strrchr(own, '/') : NULL;
    if (slash) {
        *slash = '\0';
        int n = snprintf(path, sizeof(path), "%s/../libnvidia-ml.so.1", own);
        if (n > 0 && (size_t)n < sizeof(path))
            library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    free(own);
    return library;
}

static void symbols_load(struct smi_nvml *nvml, void *library)
{
#define SMI_LOAD(symbol) *(void **)&nvml->symbol = dlsym(library, #symbol);
    SMI_SYMBOLS(SMI_LOAD)
#undef SMI_LOAD
}

/* The manual's exit codes are NVML's numbers, as far as it names them. */
static int exit_code(nvmlReturn_t code)
{
    static const nvmlReturn_t named[] = {2, 3, 4, 6, 8, 9, 10, 12, 13, 14, 15, 18};
    for (size_t i = 0; i < ARRAY_LENGTH(named); i++) {
        if (named[i] == code)
            return (int)code;
    }
    return SMI_EXIT_OTHER;
}

/* What the real program knows through private calls (the bus id of a lost GPU, its own
 * library's version when that does not start), this one reads from the simulated node. */
static bool node_open(const struct smi_nvml *nvml, struct node_map *map)
{
    char path[NODE_FOLDER_BYTES];
    const void *in_library = *(void *const *)&nvml->nvmlInit_v2;
    return node_path_find(in_library, path, sizeof(path)) == 0 &&
           node_map_open(map, path) == 0;
}

/* "550.163.01" as "550.163". */
static void library_version_print(const struct smi_nvml *nvml)
{
    struct node_map map;
    if (!node_open(nvml, &map))
        return;
    struct str version = str_from(map.state->driver_version), major, minor;
    if (str_split(&version, '.', &major) && str_split(&version, '.', &minor))
        printf("NVML library version: %.*s.%.*s\n", (int)major.n, major.p, (int)minor.n,
               minor.p);
    node_map_close(&map);
}

static int start_fail(const struct smi_nvml *nvml, nvmlReturn_t code)
{
    if (code == NVML_ERROR_DRIVER_NOT_LOADED) {
        printf("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA "
               "driver. Make sure that the latest NVIDIA driver is installed and "
               "running.\n\n");
        return exit_code(code);
    }
    printf("Failed to initialize NVML: %s\n", nvml->nvmlErrorString(code));
    if (code == NVML_ERROR_LIB_RM_VERSION_MISMATCH)
        library_version_print(nvml);
    return exit_code(code);
}

static void bus_id_of_lost(const struct smi *smi, unsigned index, char text[32])
{
    struct node_map map;
    (void)snprintf(text, 32, "%u", index);
    if (!node_open(&smi->nvml, &map))
        return;
    struct pci_address at;
    if (index < map.gpu_count && pci_parse(map.gpus[index].pci_bus_id, &at))
        (void)snprintf(text, 32, "%04X:%02X:%02X.0", at.domain, at.bus, at.device);
    node_map_close(&map);
}

static int handle_fail(const struct smi *smi, unsigned index, nvmlReturn_t code)
{
    char bus_id[32];
    bus_id_of_lost(smi, index, bus_id);
    printf("Unable to determine the device handle for GPU%s: %s%s\n", bus_id,
           smi->nvml.nvmlErrorString(code),
           code == NVML_ERROR_GPU_IS_LOST ? ". Reboot the system to recover this GPU"
                                          : "");
    return exit_code(code);
}

/* One of the names that -i takes: UUID or bus id; an index is looked at elsewhere. */
static bool gpu_has_name(const struct smi *smi, const struct smi_gpu *gpu,
                         struct str name)
{
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    nvmlPciInfo_t pci;
    if (SMI_CALL(&smi->nvml, nvmlDeviceGetUUID, gpu->handle, uuid, sizeof(uuid)) == 0 &&
        str_equal(name, str_from(uuid)))
        return true;
    return SMI_CALL(&smi->nvml, nvmlDeviceGetPciInfo_v3, gpu->handle, &pci) == 0 &&
           name.n == strlen(pci.busId) && strncasecmp(name.p, pci.busId, name.n) == 0;
}

/* What the list after -i says of a GPU by its index alone. */
enum choice { NOT_CHOSEN, CHOSEN, MAY_BE_NAMED };

static enum choice index_choice(const char *ids, unsigned gpu)
{
    struct str rest = str_from(ids), id;
    enum choice choice = ids ? NOT_CHOSEN : CHOSEN;
    while (str_split(&rest, ',', &id)) {
        uint32_t index;
        if (!str_u32(id, &index))
            choice = MAY_BE_NAMED;
        else if (index == gpu)
            return CHOSEN;
    }
    return choice;
}

static bool name_is_chosen(const struct smi *smi, const struct smi_gpu *gpu,
                           const char *ids)
{
    struct str rest = str_from(ids), id;
    while (str_split(&rest, ',', &id)) {
        if (gpu_has_name(smi, gpu, id))
            return true;
    }
    return false;
}

/* A GPU that is named by its index is left alone when others are wanted, so that the
 * healthy ones can still be asked for. Return: -1, or the exit code. */
static int gpus_open(struct smi *smi, const char *ids)
{
    unsigned count = 0;
    nvmlReturn_t rc = SMI_CALL(&smi->nvml, nvmlDeviceGetCount_v2, &count);
    for (unsigned i = 0; rc == 0 && i < count && i < SMI_GPUS_MAX; i++) {
        struct smi_gpu gpu = {.index = i};
        enum choice choice = index_choice(ids, i);
        if (choice == NOT_CHOSEN)
            continue;
        nvmlReturn_t code =
            SMI_CALL(&smi->nvml, nvmlDeviceGetHandleByIndex_v2, i, &gpu.handle);
        if (code != NVML_SUCCESS)
            return handle_fail(smi, i, code);
        if (choice == CHOSEN || name_is_chosen(smi, &gpu, ids))
            smi->gpus[smi->gpu_count++] = gpu;
    }
    if (smi->gpu_count > 0)
        return -1;
    printf("No devices were found\n");
    return NVML_ERROR_NOT_FOUND;
}

int main(int argc, char **argv)
{
    struct smi smi = {0};
    struct smi_request request = {.rounds = UINT32_MAX};
    int rc = arguments_read(&request, argc, argv);
    if (rc >= 0)
        return rc;
    void *library = library_open();
    if (!library) {
        printf("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please "
               "make sure that the NVIDIA Display Driver is properly installed and "
               "present in your system.\n");
        return NVML_ERROR_LIBRARY_NOT_FOUND;
    }
    symbols_load(&smi.nvml, library);
    nvmlReturn_t code = SMI_CALL(&smi.nvml, nvmlInit_v2);
    if (code != NVML_SUCCESS)
        return start_fail(&smi.nvml, code);
    rc = gpus_open(&smi, request.id);
    if (rc < 0)
        rc = request.print(&smi, &request);
    (void)SMI_CALL(&smi.nvml, nvmlShutdown);
    return rc;
}
