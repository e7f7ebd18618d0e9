/* See clock.h. */
#define _GNU_SOURCE
#include "base/clock.h"

#include <time.h>

static uint64_t clock_read(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ((uint64_t)ts.tv_sec * 1000000000) + ts.tv_nsec;
}

uint64_t softefa_clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t softefa_clock_coarse(void)
{
    return clock_read(CLOCK_MONOTONIC_COARSE);
}
