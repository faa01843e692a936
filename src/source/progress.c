/* Which GPUs are left out after a driver call that stalled or crashed, and why. */
#include "source/progress.h"

static bool has_bit(const _Atomic uint64_t *mask, uint32_t index)
{
    return index < 64 && atomic_load(mask) >> index & 1;
}

bool progress_is_left_out(const struct call_progress *progress, uint32_t index)
{
    return has_bit(&progress->skip_devices, index);
}

bool progress_is_process_left_out(const struct call_progress *progress, uint32_t pid)
{
    for (size_t i = 0; i < PROGRESS_MAX_PROCESSES; i++) {
        if (atomic_load_explicit(&progress->skip_pids[i], memory_order_relaxed) == pid)
            return pid != 0;
    }
    return false;
}

const char *progress_left_out_reason(const struct call_progress *progress, uint32_t index,
                                     struct arena *arena)
{
    const char *call = index < 64 ? progress->skip_calls[index] : "";
    return arena_printf(arena, "left out: %.*s %s", PROGRESS_CALL_BYTES - 1,
                        *call ? call : "a driver call",
                        has_bit(&progress->crashed_devices, index)
                            ? "crashed the driver library"
                            : "did not return");
}
