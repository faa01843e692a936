/* A small library for test_elf_hide: two symbols to find or not to find. */
#define EXPORT __attribute__((visibility("default")))

EXPORT int nvmlDeviceGetName(void);
EXPORT int nvmlDeviceGetMemoryInfo_v2(void);

int nvmlDeviceGetName(void)
{
    return 1;
}

int nvmlDeviceGetMemoryInfo_v2(void)
{
    return 2;
}
