/*
 * Begin and end of the OpenSHMEM test programs, with one verdict for all PEs.
 */
#ifndef SHMEM_CHECK_H
#define SHMEM_CHECK_H

#include "check.h"

#include <shmem.h>

#define CHECK_MAX_PES 64

static inline void check_begin(void)
{
    shmem_init();
    check_rank = shmem_my_pe();
    check_size = shmem_n_pes();
    if (check_size > CHECK_MAX_PES) {
        fprintf(stderr, "at most %d PEs\n", CHECK_MAX_PES);
        shmem_global_exit(2);
    }
}

static inline void *symmetric_get(size_t size)
{
    void *buffer = shmem_malloc(size);

    if (buffer == NULL) {
        fprintf(stderr, "PE %d: no symmetric memory\n", check_rank);
        shmem_global_exit(2);
    }
    memset(buffer, 0xa5, size);
    return buffer;
}

static inline void *private_get(size_t size)
{
    void *buffer = malloc(size);

    if (buffer == NULL) {
        fprintf(stderr, "PE %d: no memory\n", check_rank);
        shmem_global_exit(2);
    }
    memset(buffer, 0xa5, size);
    return buffer;
}

/* What the PEs complained of came before; "payload N" and "N PEs, E errors"
 * last. The exit status. Sums by plain gets: the collectives are tested, too. */
static inline int check_end(void)
{
    static unsigned long here[2];
    unsigned long all[2] = {0, 0}, that[2];
    int pe;

    here[0] = check_errors;
    here[1] = check_bytes;
    shmem_barrier_all();
    for (pe = 0; pe < check_size; ++pe) {
        shmem_ulong_get(that, here, 2, pe);
        all[0] += that[0];
        all[1] += that[1];
    }
    if (check_rank == 0) {
        printf("payload %lu\n%d PEs, %lu errors\n", all[1], check_size, all[0]);
    }
    shmem_barrier_all();
    shmem_finalize();
    return all[0] != 0;
}

#endif
