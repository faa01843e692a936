/*
 * Driver generations from 450 to 610, after the published headers of each release: which
 * symbol appeared when, and the releases in which the _v3 process lists differed.
 */
#include "sim/node/generation.h"

#include "base/cleanup.h"

static const struct generation generations[] = {
    {"450", "450.51.06", 11000, 450051},  {"450.66", "450.66", 11000, 450066},
    {"460", "460.32.03", 11020, 460032},  {"470", "470.57.02", 11040, 470057},
    {"510", "510.39.01", 11060, 510039},  {"520", "520.61.05", 11080, 520061},
    {"525", "525.60.13", 12000, 525060},  {"535.54", "535.54.03", 12020, 535054},
    {"535.98", "535.98", 12020, 535098},  {"535.104", "535.104.05", 12020, 535104},
    {"550", "550.163.01", 12040, 550163}, {"570", "570.86.15", 12080, 570086},
    {"580", "580.95.05", 13000, 580095},  {"590", "590.48.01", 13010, 590048},
    {"610", "610.57.04", 13030, 610057},
};

/* The one release without any _v3 process list. */
enum { WITHOUT_V3_LISTS = 535098, WIDE_V3_FROM = 535043, WIDE_V3_BEFORE = 535098 };

static const struct {
    const char *name;
    uint32_t since; /* ordinal */
} symbols[] = {
    {"nvmlDeviceGetComputeRunningProcesses_v2", 450066},
    {"nvmlDeviceGetGraphicsRunningProcesses_v2", 450066},
    {"nvmlComputeInstanceGetInfo_v2", 460000},
    {"nvmlDeviceGetMPSComputeRunningProcesses", 470057},
    {"nvmlDeviceGetMPSComputeRunningProcesses_v2", 470057},
    {"nvmlDeviceGetComputeRunningProcesses_v3", 510039},
    {"nvmlDeviceGetGraphicsRunningProcesses_v3", 510039},
    {"nvmlDeviceGetMPSComputeRunningProcesses_v3", 510039},
    {"nvmlDeviceGetMemoryInfo_v2", 510039},
    {"nvmlDeviceGetNumGpuCores", 510039},
    {"nvmlDeviceGetGpuInstanceProfileInfoV", 510039},
    {"nvmlGpmQueryDeviceSupport", 520000},
    {"nvmlGpmSampleAlloc", 520000},
    {"nvmlGpmSampleGet", 520000},
    {"nvmlGpmSampleFree", 520000},
    {"nvmlGpmMetricsGet", 520000},
    {"nvmlGpmMigSampleGet", 525000},
    {"nvmlDeviceGetConfComputeMemSizeInfo", 535043},
    {"nvmlGpmQueryIfStreamingEnabled", 535054},
    {"nvmlGpmSetStreamingEnabled", 535054},
    {"nvmlDeviceGetRunningProcessDetailList", 535104},
    {"nvmlDeviceGetProcessesUtilizationInfo", 550040},
    {"nvmlDeviceGetPciInfoExt", 550040},
    {"nvmlSystemGetDriverBranch", 560000},
    {"nvmlDeviceGetTemperatureV", 565000},
    {"nvmlDeviceGetHandleByUUIDV", 575000},
    {"nvmlSystemEventSetCreate", 575000},
    {"nvmlSystemEventSetFree", 575000},
    {"nvmlSystemEventSetWait", 575000},
    {"nvmlSystemRegisterEvents", 575000},
    {"nvmlDeviceGetGpuInstanceProfileInfoByIdV", 580065},
    {"nvmlDeviceGetHostname_v1", 580095},
    {"nvmlDeviceSetHostname_v1", 580095},
    {"nvmlDeviceGetAccountingStats_v2", 610043},
};

const struct generation *generation_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(generations); i++) {
        if (str_equal(name, str_from(generations[i].name)))
            return &generations[i];
    }
    return NULL;
}

const char *generation_names(void)
{
    return "450, 450.66, 460, 470, 510, 520, 525, 535.54, 535.98, 535.104, 550, 570, "
           "580, "
           "590, 610";
}

const char *generation_symbol(size_t i)
{
    return i < ARRAY_LENGTH(symbols) ? symbols[i].name : NULL;
}

bool generation_lacks(const struct generation *generation, struct str name)
{
    if (generation->ordinal == WITHOUT_V3_LISTS && str_ends(name, STR("Processes_v3")))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(symbols); i++) {
        if (str_equal(name, str_from(symbols[i].name)))
            return generation->ordinal < symbols[i].since;
    }
    return false;
}

uint32_t generation_process_v3_stride(const struct generation *generation)
{
    bool is_wide =
        generation->ordinal >= WIDE_V3_FROM && generation->ordinal < WIDE_V3_BEFORE;
    return is_wide ? 32 : 24;
}

bool generation_has_old_mig_uuid(const struct generation *generation)
{
    return generation->ordinal < 470042;
}

bool generation_has_gpm(const struct generation *generation)
{
    return !generation_lacks(generation, STR("nvmlGpmMetricsGet"));
}
