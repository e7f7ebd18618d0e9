/* Time: ns since the machine was started. */
#ifndef SOFTEFA_CLOCK_H
#define SOFTEFA_CLOCK_H

#include <stdint.h>

uint64_t softefa_clock_now(void);

/* The same clock, cheaper and up to 10 ms behind. */
uint64_t softefa_clock_coarse(void);

#endif
