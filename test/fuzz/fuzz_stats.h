/*
 * What the sources of srdtool are given in fuzz_stats: included first.
 */
#ifndef FUZZ_STATS_H
#define FUZZ_STATS_H

#include <stdio.h>
#include <time.h>

/* Between two looks no time passes, but the file changes: fuzz_stats.c */
int fuzz_stats_sleep(const struct timespec *time, struct timespec *rest);
#define nanosleep fuzz_stats_sleep

/* What it says goes where everything goes that it prints: nowhere */
#undef stderr
#define stderr stdout

#endif
