/*
 * GPM: what a MIG instance does, on GPUs since Hopper; no older GPU tells.
 *
 * A figure needs two samples of a GPU instance at least 100 ms apart, and is never about
 * a process. So only instances with one compute instance are measured, and only a process
 * that is alone on its instance gets the instance's figures as its own.
 *
 * Of a MIG device, utilization_percent is the share of time in which its compute engine
 * was busy (what the driver calls utilisation of a whole GPU); of a session, sm_percent
 * is the share of SM time that it used.
 */
#pragma once

#include "source/nvml/nvml_source.h"

/* Takes the first sample of each instance that holds a session, unless one kept from an
 * earlier collection will do. Call after the process lists. */
void nvml_gpm_begin(struct nvml_source *source);

/* Takes the second samples, waiting for what is left of 100 ms, and writes the figures
 * into DEVICES and processes[]. The second samples are kept for the next collection. */
void nvml_gpm_finish(struct nvml_source *source, struct device_facts *devices);

/* Gives back all samples of GPU. */
void nvml_gpm_drop(struct nvml_source *source, struct nvml_gpu *gpu);
