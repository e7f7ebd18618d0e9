/*
 * Begin and end of the MPI test programs, with one verdict for all ranks.
 */
#ifndef MPI_CHECK_H
#define MPI_CHECK_H

#include "check.h"

#include <mpi.h>

static inline void *buffer_get(size_t size)
{
    void *buffer = malloc(size + 1);

    if (buffer == NULL) {
        fprintf(stderr, "rank %d: no memory\n", check_rank);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    memset(buffer, 0xa5, size + 1);
    return buffer;
}

static inline void check_begin(int *argc, char ***argv)
{
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &check_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &check_size);
}

/* All ranks find that this cannot be tested here */
static inline void check_skip(const char *why)
{
    if (check_rank == 0) {
        printf("skip: %s\n", why);
    }
    MPI_Finalize();
    exit(0);
}

/* What the ranks complained of came before; "payload N" if any was counted and
 * "N ranks, E errors" last. The exit status. */
static inline int check_end(void)
{
    unsigned long here[2] = {check_errors, check_bytes}, all[2] = {0, 0};

    MPI_Allreduce(here, all, 2, MPI_UNSIGNED_LONG, MPI_SUM, MPI_COMM_WORLD);
    if (check_rank == 0) {
        if (all[1] != 0) {
            printf("payload %lu\n", all[1]);
        }
        printf("%d ranks, %lu errors\n", check_size, all[0]);
    }
    MPI_Finalize();
    return all[0] != 0;
}

#endif
