/*
 * Faults on demand. A stall blocks like a call stuck in the kernel would, except that
 * signals still reach it; a crash ends in SIGSEGV, whatever handler the client has.
 */
#include "sim/driver/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool fault_counts_fit(struct fault_counts *counts, const struct node_map *map)
{
    if (counts->matches && counts->device == map->device && counts->inode == map->inode &&
        counts->count == map->fault_count)
        return true;
    free(counts->matches);
    counts->matches = calloc(map->fault_count ? map->fault_count : 1, sizeof(uint32_t));
    counts->device = map->device;
    counts->inode = map->inode;
    counts->count = map->fault_count;
    return counts->matches != NULL;
}

static bool call_matches(const char *pattern, const char *symbol)
{
    size_t length = strnlen(pattern, sizeof(((struct sim_fault *)NULL)->call));
    if (length > 0 && pattern[length - 1] == '*')
        return strncmp(pattern, symbol, length - 1) == 0;
    return strncmp(pattern, symbol, length + 1) == 0;
}

/* Counts one more match and tells whether it is this one's turn. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes to it */
static bool fault_is_due(const struct sim_fault *fault, uint32_t *matches)
{
    uint32_t before = __atomic_fetch_add(matches, 1, __ATOMIC_RELAXED);
    return before >= fault->after &&
           (fault->times == 0 || before - fault->after < fault->times);
}

static _Noreturn void fault_stall(void)
{
    for (;;)
        pause();
}

static _Noreturn void fault_crash(void)
{
    (void)signal(SIGSEGV, SIG_DFL);
    (void)raise(SIGSEGV);
    abort();
}

static nvmlReturn_t fault_act(const struct sim_fault *fault)
{
    if (fault->action == SIM_FAULT_STALL)
        fault_stall();
    if (fault->action == SIM_FAULT_CRASH)
        fault_crash();
    return (nvmlReturn_t)fault->code;
}

nvmlReturn_t fault_apply(const struct node_map *map, struct fault_counts *counts,
                         const char *symbol, uint32_t gpu)
{
    for (uint32_t i = 0; i < map->fault_count; i++) {
        const struct sim_fault *fault = &map->faults[i];
        if ((fault->gpu == SIM_ID_NONE || fault->gpu == gpu) &&
            call_matches(fault->call, symbol) && fault_is_due(fault, &counts->matches[i]))
            return fault_act(fault);
    }
    return NVML_SUCCESS;
}
