/* The file is a memfd: the driver opens it by its name under /proc/self/fd. */
#include "node_image.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct sim_gpu gpu_plain(void)
{
    return (struct sim_gpu){
        .uuid = "GPU-a",
        .name = "NVIDIA H100",
        .pci_bus_id = "00000000:83:00.0",
        .minor = 4,
        .mig_capable = 1,
        .max_mig_devices = 7,
        .has_memory_info = 1,
        .memory_total_bytes = 80000 * MIB,
        .memory_reserved_bytes = 500 * MIB,
        .power_watts = {.base_percent = 312.345},
        .temperature_celsius = {.base_percent = 41},
        .has_power = 1,
        .has_temperature = 1,
        .has_utilization = 1,
    };
}

static struct sim_mig_device mig_device(uint32_t slot, uint32_t gi, uint32_t ci)
{
    struct sim_mig_device mig = {
        .gpu = SLICED_GPU,
        .slot = slot,
        .gi = gi,
        .ci = ci,
        .profile = "1g.10gb",
        .memory_total_bytes = 9984 * MIB,
        .memory_base_bytes = 9 * MIB,
        .multiprocessors = 16,
        .gpu_slices = 1,
        .compute_slices = 1,
    };
    (void)snprintf(mig.uuid, sizeof(mig.uuid), "MIG-%u", slot);
    return mig;
}

static struct sim_process process(uint32_t pid, uint32_t gpu, double sm_percent)
{
    return (struct sim_process){
        .pid = pid,
        .alive = 1,
        .kinds = SIM_COMPUTE,
        .gpu = gpu,
        .gi = SIM_ID_NONE,
        .ci = SIM_ID_NONE,
        .memory_bytes = 1000 * MIB,
        .sm = {.base_percent = sm_percent},
        .memory_bandwidth = {.base_percent = sm_percent / 2},
        .has_samples = 1,
    };
}

static struct sim_process mig_process(uint32_t pid, uint32_t gi, uint32_t ci, double sm)
{
    struct sim_process made = process(pid, SLICED_GPU, sm);
    made.gi = gi;
    made.ci = ci;
    return made;
}

static void gpus_fill(struct node_image *image)
{
    for (size_t i = 0; i < IMAGE_GPUS; i++)
        image->gpus[i] = gpu_plain();
    struct sim_gpu *sliced = &image->gpus[SLICED_GPU], *bare = &image->gpus[BARE_GPU];
    (void)snprintf(sliced->uuid, sizeof(sliced->uuid), "GPU-b");
    (void)snprintf(sliced->pci_bus_id, sizeof(sliced->pci_bus_id), "00000000:84:00.0");
    sliced->mig_enabled = sliced->mig_pending = sliced->gpm_supported = 1;
    (void)snprintf(bare->uuid, sizeof(bare->uuid), "GPU-c");
    (void)snprintf(bare->pci_bus_id, sizeof(bare->pci_bus_id), "00010000:0A:1F.0");
    bare->mig_capable = bare->has_memory_info = bare->has_power = 0;
    bare->has_temperature = bare->has_utilization = 0;
}

static void processes_fill(struct node_image *image)
{
    struct sim_process *processes = image->processes;
    processes[0] = process(100, PLAIN_GPU, 70);
    processes[1] = process(101, PLAIN_GPU, 60);
    processes[2] = process(102, PLAIN_GPU, 0);
    processes[2].kinds = SIM_COMPUTE | SIM_GRAPHICS;
    processes[3] = process(103, PLAIN_GPU, 99);
    processes[3].alive = 0;
    processes[4] = mig_process(200, 2, 0, 80);
    processes[5] = mig_process(201, 2, 1, 30);
    processes[6] = mig_process(202, 9, 0, 12);
    processes[6].kinds = SIM_MPS;
}

void node_image_fill(struct node_image *image)
{
    *image = (struct node_image){
        .state =
            {
                .magic = NODE_STATE_MAGIC,
                .size_bytes = sizeof(*image),
                .driver_version = "550.163.01",
                .cuda_version = 12040,
                .frozen = 1,
                .epoch_us = IMAGE_EPOCH_US,
                .empty_slot_code = NVML_ERROR_NOT_FOUND,
                .process_v3_stride = 24,
                .sample_window_ms = 10000,
                .gpu_count = IMAGE_GPUS,
                .mig_count = IMAGE_MIGS,
                .process_count = 7,
                .gpu_offset = offsetof(struct node_image, gpus),
                .mig_offset = offsetof(struct node_image, migs),
                .process_offset = offsetof(struct node_image, processes),
                .fault_offset = offsetof(struct node_image, faults),
            },
        .migs = {mig_device(0, 2, 0), mig_device(1, 2, 1), mig_device(4, 9, 0)},
    };
    gpus_fill(image);
    processes_fill(image);
}

void node_image_fault(struct node_image *image, const char *call,
                      enum sim_fault_action action, uint32_t code)
{
    assert_true(image->state.fault_count < IMAGE_FAULTS);
    struct sim_fault *fault = &image->faults[image->state.fault_count++];
    *fault = (struct sim_fault){.gpu = SIM_ID_NONE, .action = action, .code = code};
    (void)snprintf(fault->call, sizeof(fault->call), "%s", call);
}

struct node_image *node_image_install(const struct node_image *image, size_t size)
{
    char path[64];
    int fd = memfd_create("node.state", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image, size), size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    assert_int_equal(setenv(NODE_STATE_ENV, path, 1), 0);
    /* Room for the whole image, also when the file is shorter: it is not read then. */
    void *live = mmap(NULL, sizeof(*image), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(live != MAP_FAILED);
    return live;
}

void node_image_remove(struct node_image *live)
{
    uint32_t fd = 0;
    const char *path = getenv(NODE_STATE_ENV);
    for (const char *p = strrchr(path, '/') + 1; *p; p++)
        fd = fd * 10 + (uint32_t)(*p - '0');
    assert_int_equal(munmap(live, sizeof(*live)), 0);
    assert_int_equal(close((int)fd), 0);
    assert_int_equal(unsetenv(NODE_STATE_ENV), 0);
}

int node_setup(void **state)
{
    struct node_image image;
    node_image_fill(&image);
    *state = node_image_install(&image, sizeof(image));
    return nvmlInit_v2() == NVML_SUCCESS ? 0 : -1;
}

int node_teardown(void **state)
{
    nvmlReturn_t rc = nvmlShutdown();
    node_image_remove(*state);
    return rc == NVML_SUCCESS ? 0 : -1;
}

nvmlDevice_t gpu_handle(unsigned index)
{
    nvmlDevice_t device = NULL;
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(index, &device), NVML_SUCCESS);
    return device;
}

nvmlDevice_t mig_handle(unsigned slot)
{
    nvmlDevice_t device = NULL;
    assert_int_equal(
        nvmlDeviceGetMigDeviceHandleByIndex(gpu_handle(SLICED_GPU), slot, &device),
        NVML_SUCCESS);
    return device;
}
