/*
 * Included before every file when the transport is built for fuzzing. Its time is
 * the device's variable (nanoseconds: fuzz_device.c also says what a second is),
 * and what it asks for of memory fails when a step says so. What libucs asks for
 * by itself, and the harness, does not.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* as config.h of UCX says, but before the first header */
#endif

#define UCT_SRD_WITH_CHECKS 1 /* srd_def.h */

#include <stdlib.h>

/* Nonzero: this one fails. */
int fuzz_alloc_fails(void);

static inline void *fuzz_malloc(size_t size)
{
    return fuzz_alloc_fails() ? NULL : malloc(size);
}

static inline void *fuzz_calloc(size_t count, size_t size)
{
    return fuzz_alloc_fails() ? NULL : calloc(count, size);
}

static inline void *fuzz_realloc(void *memory, size_t size)
{
    return fuzz_alloc_fails() ? NULL : realloc(memory, size);
}

/* Of khash.h */
#define kmalloc  fuzz_malloc
#define kcalloc  fuzz_calloc
#define krealloc fuzz_realloc

#include "base/ucx/ucx_compat.h"

static inline void *fuzz_ucs_malloc(size_t size, const char *name)
{
    return fuzz_alloc_fails() ? NULL : ucs_malloc(size, name);
}

static inline void *fuzz_ucs_calloc(size_t count, size_t size, const char *name)
{
    return fuzz_alloc_fails() ? NULL : ucs_calloc(count, size, name);
}

static inline void *fuzz_ucs_realloc(void *memory, size_t size,
                                     const char *name)
{
    return fuzz_alloc_fails() ? NULL : ucs_realloc(memory, size, name);
}

#undef ucs_malloc
#undef ucs_calloc
#undef ucs_realloc
#define ucs_malloc  fuzz_ucs_malloc
#define ucs_calloc  fuzz_ucs_calloc
#define ucs_realloc fuzz_ucs_realloc

/* The transport looks for libefa: it is fuzz_device.c, whatever is loaded. */
#include <dlfcn.h>

static inline void *fuzz_dlopen(const char *name, int flags)
{
    (void)name;
    (void)flags;
    return NULL;
}

#define dlopen fuzz_dlopen

ucs_time_t fuzz_get_time(void);

#define ucs_get_time fuzz_get_time

#endif
