/* GPUs: finding them, recognising them, reading their gauges. */
#pragma once

#include "source/nvml/nvml_source.h"

/* Asks which GPUs there are and who they are: gpu_count, gpus[], MIG slots. A GPU that
 * fails has its health.fault set.
 * Return: 0, also without any GPU; negative when the driver does not even count. */
int nvml_device_scan(struct nvml_source *source, struct err *err);

/* Writes identity into DEVICES (device_count entries, by position), text into ARENA.
 * Return: 0 or -ENOMEM. */
int nvml_device_describe(const struct nvml_source *source, struct arena *arena,
                         struct device_facts *devices, struct err *err);

/* Reads memory, utilisation, power, temperature of every GPU and MIG device. */
void nvml_device_read(struct nvml_source *source, struct device_facts *devices);

/* Total and used memory of HANDLE, a handle of GPU or of one of its MIG devices. */
void nvml_device_read_memory(struct nvml_source *source, struct nvml_gpu *gpu,
                             nvmlDevice_t handle, struct value_u64 *total_bytes,
                             struct value_u64 *used_bytes);

/* Writes `fault` and the state of the process lists into DEVICES.
 * Return: 0; -ENOMEM; another negative value when all GPUs failed in a way that only the
 * driver as a whole explains. */
int nvml_device_report(const struct nvml_source *source, struct arena *arena,
                       struct device_facts *devices, struct err *err);
