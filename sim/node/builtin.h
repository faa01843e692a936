/*
 * The scenarios that ship inside the program; generated from sim/scenarios/ at build
 * time.
 */
#pragma once

#include <stddef.h>

struct builtin_scenario {
    const char *name;
    const char *text;
    size_t size;
};

extern const struct builtin_scenario builtin_scenarios[];
extern const size_t builtin_scenario_count;
