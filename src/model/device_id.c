/*
 * Forms of ids, from the code of the plugins that make them: NVIDIA's device plugin
 * (UUIDs, "::n" for a replica, "tegra"), GKE's ("nvidia0/gi7/vgpu1"), HAMi's (a UUID, "-"
 * and a number), NVIDIA's DRA driver ("gpu-0", "gpu-0-mig-1g5gb-19-4").
 */
#include "model/device_id.h"

enum { UUID_DIGITS = 36 };

/* Takes PREFIX off the front of *REST. */
static bool take(struct str *rest, struct str prefix)
{
    if (!str_starts(*rest, prefix))
        return false;
    *rest = str_part(*rest, prefix.n, rest->n - prefix.n);
    return true;
}

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* 8-4-4-4-12 hexadecimal digits at the front of *REST. */
static bool take_uuid_digits(struct str *rest)
{
    if (rest->n < UUID_DIGITS)
        return false;
    for (size_t i = 0; i < UUID_DIGITS; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? rest->p[i] != '-' : !is_hex_digit(rest->p[i]))
            return false;
    }
    *rest = str_part(*rest, UUID_DIGITS, rest->n - UUID_DIGITS);
    return true;
}

/* Digits at the front of *REST, at least one. */
static bool take_u32(struct str *rest, uint32_t *value)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
        n++;
    if (!str_u32(str_part(*rest, 0, n), value))
        return false;
    *rest = str_part(*rest, n, rest->n - n);
    return true;
}

/* "::<n>" at the end: one of several replicas of the device. */
static bool cut_replica(struct str *id)
{
    ptrdiff_t at = str_find_text(*id, STR("::"));
    uint32_t replica;
    if (at < 0 ||
        !str_u32(str_part(*id, (size_t)at + 2, id->n - (size_t)at - 2), &replica))
        return false;
    id->n = (size_t)at;
    return true;
}

/* What follows the digits of a GPU's or a MIG device's UUID. */
static enum device_id_kind uuid_kind(struct str rest, bool is_gpu)
{
    uint32_t number;
    if (rest.n == 0)
        return DEVICE_ID_UUID;
    bool is_hami = is_gpu && take(&rest, STR("-")) && str_u32(rest, &number);
    return is_hami ? DEVICE_ID_OPAQUE : DEVICE_ID_FOREIGN;
}

/* "MIG-GPU-<digits>/<gi>/<ci>" with "MIG-" already taken off. */
static bool read_old_mig(struct str rest, struct device_id *out)
{
    struct str start = rest;
    if (!take(&rest, STR("GPU-")) || !take_uuid_digits(&rest))
        return false;
    out->uuid = str_part(start, 0, start.n - rest.n);
    out->kind = DEVICE_ID_UUID_INSTANCE;
    return take(&rest, STR("/")) && take_u32(&rest, &out->gi) && take(&rest, STR("/")) &&
           str_u32(rest, &out->ci);
}

static bool read_uuid(struct str id, struct device_id *out)
{
    struct str rest = id;
    out->uuid = id;
    bool is_gpu = take(&rest, STR("GPU-"));
    if (!is_gpu && !take(&rest, STR("MIG-")))
        return false;
    if (!is_gpu && str_starts(rest, STR("GPU-")))
        return read_old_mig(rest, out);
    if (!take_uuid_digits(&rest))
        return false;
    out->kind = uuid_kind(rest, is_gpu);
    return out->kind != DEVICE_ID_FOREIGN;
}

/* "nvidia<N>", "nvidia<N>/gi<G>", each with "/vgpu<k>" when it is shared. */
static bool read_gke(struct str id, struct device_id *out)
{
    uint32_t share;
    if (!take(&id, STR("nvidia")) || !take_u32(&id, &out->minor))
        return false;
    bool has_instance = take(&id, STR("/gi"));
    if (has_instance && !take_u32(&id, &out->gi))
        return false;
    out->kind = has_instance ? DEVICE_ID_MINOR_INSTANCE : DEVICE_ID_MINOR;
    out->is_shared = take(&id, STR("/vgpu"));
    if (out->is_shared && !take_u32(&id, &share))
        return false;
    return id.n == 0;
}

/* Resources of NVIDIA's plugin under their own names; others of nvidia.com are network
 * cards, or GPUs passed through to a virtual machine, which the driver here lacks. */
static bool is_gpu_resource(struct str resource)
{
    return take(&resource, STR("nvidia.com/")) &&
           (str_equal(resource, STR("gpu")) || str_equal(resource, STR("gpu.shared")) ||
            str_starts(resource, STR("mig-")));
}

struct device_id device_id_of_plugin(struct str resource, struct str id)
{
    bool is_shared = cut_replica(&id);
    struct device_id read = {.is_shared = is_shared};
    if (read_uuid(id, &read))
        return read;
    read = (struct device_id){.is_shared = is_shared};
    if (!is_gpu_resource(resource))
        return read;
    if (str_equal(id, STR("tegra"))) {
        read.kind = DEVICE_ID_ONLY_GPU;
        return read;
    }
    if (!read_gke(id, &read))
        return (struct device_id){.kind = DEVICE_ID_OPAQUE};
    read.is_shared = read.is_shared || is_shared;
    return read;
}

/* Cuts the number behind the last "-" off *TEXT. */
static bool cut_number(struct str *text)
{
    uint32_t number;
    ptrdiff_t at = str_find_last(*text, '-');
    if (at < 0 ||
        !str_u32(str_part(*text, (size_t)at + 1, text->n - (size_t)at - 1), &number))
        return false;
    text->n = (size_t)at;
    return true;
}

/* "-mig-<profile>-<profile id>-<placement>" behind the GPU; another text says nothing. */
static void read_claimed_mig(struct str rest, struct device_id *out)
{
    if (!take(&rest, STR("-mig-")) || !cut_number(&rest) || !cut_number(&rest) || !rest.n)
        return;
    out->kind = DEVICE_ID_MINOR_PROFILE;
    out->profile = rest;
}

struct device_id device_id_of_claim(struct str driver, struct str device)
{
    struct device_id read = {.is_shared = true};
    if (!str_equal(driver, STR("gpu.nvidia.com")))
        return read;
    read.kind = DEVICE_ID_OPAQUE;
    if (take(&device, STR("gpu-")) && take_u32(&device, &read.minor)) {
        if (device.n == 0)
            read.kind = DEVICE_ID_MINOR;
        else
            read_claimed_mig(device, &read);
    }
    return read;
}
