/*
 * Which device an id of Kubernetes means.
 *
 * The kubelet knows devices only by ids that a device plugin or a DRA driver chose. Their
 * forms are read here, without asking whether there is such a device; model/allocation.h
 * finds it.
 */
#pragma once

#include "base/str.h"

enum device_id_kind {
    DEVICE_ID_FOREIGN = 0,    /* no NVIDIA device */
    DEVICE_ID_OPAQUE,         /* an NVIDIA device, but the id does not say which */
    DEVICE_ID_UUID,           /* a GPU or a MIG device */
    DEVICE_ID_UUID_INSTANCE,  /* MIG device by its GPU's UUID, gi, ci (drivers before 470)
                               */
    DEVICE_ID_MINOR,          /* a GPU, by the N of /dev/nvidiaN */
    DEVICE_ID_MINOR_INSTANCE, /* the MIG devices in GPU instance gi */
    DEVICE_ID_MINOR_PROFILE,  /* the MIG device of a profile */
    DEVICE_ID_ONLY_GPU,       /* the one GPU of the machine (Tegra) */
};

struct device_id {
    enum device_id_kind kind;
    bool is_shared;  /* the device may be given to others as well */
    struct str uuid; /* views of the text that was read */
    struct str profile;
    uint32_t minor, gi, ci;
};

/* ID of a device plugin's RESOURCE ("nvidia.com/gpu"). Ids of NVIDIA's own form count
 * under whatever name an administrator gave the resource. HAMi's ids name a device that
 * need not be the one that the container got: opaque. */
struct device_id device_id_of_plugin(struct str resource, struct str id);

/* DEVICE of a claim for the DRA driver DRIVER ("gpu.nvidia.com"). Containers and pods may
 * share a claim. */
struct device_id device_id_of_claim(struct str driver, struct str device);
