/* Chance comes from the clock's low bits and the process id, mixed: nobody needs more. */
#include "source/backoff.h"

#include <unistd.h>

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t backoff_fail(struct backoff *backoff, uint64_t now_ns)
{
    uint64_t delay_ns = backoff->first_ns;
    for (unsigned i = 0; i < backoff->failures && delay_ns < backoff->longest_ns; i++)
        delay_ns *= 2;
    if (delay_ns > backoff->longest_ns)
        delay_ns = backoff->longest_ns;
    backoff->failures++;
    uint64_t spread_ns = delay_ns / 2;
    uint64_t chance = mix(now_ns ^ (uint64_t)getpid() << 32);
    return now_ns + delay_ns - spread_ns / 2 + (spread_ns ? chance % spread_ns : 0);
}
