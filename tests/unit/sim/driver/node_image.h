/*
 * A node.state in memory, for tests of the driver: fill it, install it, change it while
 * the driver has it mapped.
 */
#pragma once

#include "sim/driver/nvml_more.h"
#include "sim/node_state.h"

#include <stdbool.h>

enum { IMAGE_GPUS = 3, IMAGE_MIGS = 3, IMAGE_PROCESSES = 8, IMAGE_FAULTS = 4 };
enum { PLAIN_GPU = 0, SLICED_GPU = 1, BARE_GPU = 2 };

#define MIB (UINT64_C(1) << 20)
#define IMAGE_EPOCH_US UINT64_C(1767225600000000)

/* The file's layout, with room for every element that a test may add. */
struct node_image {
    struct node_state state;
    struct sim_gpu gpus[IMAGE_GPUS];
    struct sim_mig_device migs[IMAGE_MIGS];
    struct sim_process processes[IMAGE_PROCESSES];
    struct sim_fault faults[IMAGE_FAULTS];
};

/* A frozen node. GPU 0: pids 100 (70 %), 101 (60 %), 102 (graphics too, idle), 103
 * (dead). GPU 1 in MIG mode: slots 0 and 1 in GPU instance 2 (pids 200, 201), slot 4 in 9
 * (pid 202, MPS). GPU 2: can do little, no process. */
void node_image_fill(struct node_image *image);

void node_image_fault(struct node_image *image, const char *call,
                      enum sim_fault_action action, uint32_t code);

/* Puts IMAGE's first SIZE bytes where the next nvmlInit finds them. Return: the live
 * mapping, until node_image_remove. */
struct node_image *node_image_install(const struct node_image *image, size_t size);
void node_image_remove(struct node_image *live);

/* cmocka: a filled image, installed and the driver started; *STATE is the live image. */
int node_setup(void **state);
int node_teardown(void **state);
#define NODE_TEST(test) cmocka_unit_test_setup_teardown(test, node_setup, node_teardown)

/* Handles that must be had. */
nvmlDevice_t gpu_handle(unsigned index);
nvmlDevice_t mig_handle(unsigned slot);
