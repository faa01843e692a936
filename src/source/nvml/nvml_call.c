/* Counting what calls answered: each failure once, lost GPUs once per collection. */
#include "source/nvml/nvml_call.h"

nvmlReturn_t nvml_call_count(struct nvml_link *link, nvmlReturn_t code)
{
    enum value_state state = nvml_result_state(code);
    if ((state == VALUE_ERROR || state == VALUE_DENIED) &&
        nvml_result_reach(code) == NVML_REACH_CALL)
        nvml_error_add(link, nvml_result_word(code), 1);
    return code;
}

void nvml_call_note(struct nvml_link *link, struct nvml_health *gpu, nvmlReturn_t code)
{
    if (nvml_result_reach(code) == NVML_REACH_CALL)
        return;
    nvml_error_add(link, nvml_result_word(code), 1);
    if (gpu)
        gpu->fault = code;
}

void nvml_call_end_gpu(struct nvml_link *link, struct nvml_health *gpu, nvmlReturn_t code)
{
    (void)nvml_call_count(link, code);
    gpu->fault = code;
}
