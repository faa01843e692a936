/*
 * A reading that may be missing.
 *
 * Missing is a state, never a number: only VALUE_OK makes `v` meaningful. Zeroed memory
 * means "nobody asked", so a forgotten field is absent from every output, not 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum value_state {
    VALUE_UNSET = 0, /* nobody asked */
    VALUE_OK,
    VALUE_UNSUPPORTED, /* the driver or this device does not offer it */
    VALUE_DENIED,      /* no permission */
    VALUE_ERROR,       /* the call failed */
};

struct value_u64 {
    uint64_t v;
    enum value_state state;
};

struct value_double {
    double v;
    enum value_state state;
};

static inline struct value_u64 value_u64_ok(uint64_t v)
{
    return (struct value_u64){v, VALUE_OK};
}

static inline struct value_double value_double_ok(double v)
{
    return (struct value_double){v, VALUE_OK};
}

/* Why a value is missing, as one word for tables and JSON: "unsupported", "denied",
 * "error", "unset"; "ok" when it is there. */
static inline const char *value_state_name(enum value_state state)
{
    static const char *const names[] = {"unset", "ok", "unsupported", "denied", "error"};
    return names[state];
}
