/*
 * Loads over time: a sine around a base, or a constant.
 *
 * The mean over a window is taken from a few points, because the clamp to 0-100 has no
 * closed form; a constant costs one comparison.
 */
#include "sim/driver/load.h"

#include <math.h>
#include <time.h>

enum { MEAN_POINTS = 16 };

uint64_t scenario_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

double scenario_seconds(const struct node_state *state)
{
    if (state->frozen)
        return 0;
    return ((double)scenario_now_us() - (double)state->epoch_us) / 1e6;
}

static bool load_is_constant(const struct sim_load *load)
{
    return !(load->period_seconds > 0) || !(fabs(load->amplitude_percent) > 0);
}

double load_at(const struct sim_load *load, double seconds)
{
    if (load_is_constant(load))
        return load->base_percent;
    double turns = seconds / load->period_seconds + load->phase;
    return load->base_percent + load->amplitude_percent * sin(2 * M_PI * turns);
}

static double percent_clamp(double percent)
{
    return fmin(fmax(percent, 0), 100); /* fmax turns NaN into 0 */
}

double load_mean_percent(const struct sim_load *load, double from, double to)
{
    if (load_is_constant(load) || !(from < to))
        return percent_clamp(load_at(load, to));
    double sum = 0;
    for (int i = 0; i < MEAN_POINTS; i++)
        sum += percent_clamp(load_at(load, from + (to - from) * (i + 0.5) / MEAN_POINTS));
    return sum / MEAN_POINTS;
}
