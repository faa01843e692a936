/* Reading of durations; a bare number is refused, since its unit would be a guess. */
#include "base/duration.h"

#include "base/cleanup.h"

bool duration_parse(struct str text, uint64_t *nanoseconds)
{
    static const struct {
        struct str suffix;
        uint64_t nanoseconds;
    } units[] = {
        {STR("ms"), UINT64_C(1000000)},
        {STR("s"), UINT64_C(1000000000)},
        {STR("m"), UINT64_C(60000000000)},
        {STR("h"), UINT64_C(3600000000000)},
    };
    const uint64_t longest = 24 * UINT64_C(3600000000000);

    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        uint64_t number;
        if (!str_ends(text, units[i].suffix) ||
            !str_u64(str_part(text, 0, text.n - units[i].suffix.n), &number))
            continue;
        if (number > longest / units[i].nanoseconds)
            return false;
        *nanoseconds = number * units[i].nanoseconds;
        return true;
    }
    return false;
}
