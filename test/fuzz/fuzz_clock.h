/*
 * Included before every file of the transport when it is built for fuzzing: its
 * time is the device's variable. Nanoseconds: fuzz_device.c also says what a
 * second is.
 */
#ifndef FUZZ_CLOCK_H
#define FUZZ_CLOCK_H

#include "ucx_compat.h"

ucs_time_t fuzz_get_time(void);

#define ucs_get_time fuzz_get_time

#endif
