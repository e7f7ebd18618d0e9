/*
 * Points between two stores where the tests of the device stop and kill it.
 */
#ifndef SOFTEFA_POINT_H
#define SOFTEFA_POINT_H

#include <stdatomic.h>

/* The stores before it are made before those after it, also if the process ends
 * here. The engine's tests, with a build of their own, stop and kill it at each
 * of these points. */
#ifdef SOFTEFA_TEST_POINTS
void softefa_point(const char *name);
#  define SOFTEFA_POINT(_name) softefa_point(_name)
#else
#  define SOFTEFA_POINT(_name) atomic_signal_fence(memory_order_seq_cst)
#endif

#endif
