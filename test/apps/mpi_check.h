/*
 * Shared by the MPI test programs: content that both sides compute, and one
 * verdict for all ranks.
 *
 * Every byte of message `number` from rank `from` follows from both; a byte in
 * the wrong place, of another message or of another sender differs.
 */
#ifndef MPI_CHECK_H
#define MPI_CHECK_H

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long mpi_check_errors;
static int mpi_check_rank, mpi_check_size;

static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x  = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x  = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static inline void fill(void *buffer, size_t size, unsigned from,
                        uint64_t number)
{
    uint8_t *p   = buffer;
    uint64_t key = mix64(((uint64_t)from << 48) ^ number), word;
    size_t i;

    for (i = 0; i < size; i += 8) {
        word = mix64(key + i);
        memcpy(p + i, &word, (size - i < 8) ? size - i : 8);
    }
}

static inline void complain(const char *what, unsigned from, uint64_t number,
                            size_t at)
{
    if (mpi_check_errors++ < 5) {
        printf("rank %d: %s: message %lu from rank %u wrong at %zu\n",
               mpi_check_rank, what, (unsigned long)number, from, at);
    }
}

static inline void verify(const char *what, const void *buffer, size_t size,
                          unsigned from, uint64_t number)
{
    const uint8_t *p = buffer;
    uint64_t key     = mix64(((uint64_t)from << 48) ^ number), word;
    size_t i;

    for (i = 0; i < size; i += 8) {
        word = mix64(key + i);
        if (memcmp(p + i, &word, (size - i < 8) ? size - i : 8) != 0) {
            complain(what, from, number, i);
            return;
        }
    }
}

static inline void expect(int condition, const char *what)
{
    if (!condition && (mpi_check_errors++ < 5)) {
        printf("rank %d: %s\n", mpi_check_rank, what);
    }
}

static inline void *buffer_get(size_t size)
{
    void *buffer = malloc(size + 1);

    if (buffer == NULL) {
        fprintf(stderr, "rank %d: no memory\n", mpi_check_rank);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    memset(buffer, 0xa5, size + 1);
    return buffer;
}

static inline void check_begin(int *argc, char ***argv)
{
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi_check_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &mpi_check_size);
}

/* What the rank before said, "N ranks, E errors" last; the exit status. */
static inline int check_end(void)
{
    unsigned long all = 0;

    MPI_Allreduce(&mpi_check_errors, &all, 1, MPI_UNSIGNED_LONG, MPI_SUM,
                  MPI_COMM_WORLD);
    if (mpi_check_rank == 0) {
        printf("%d ranks, %lu errors\n", mpi_check_size, all);
    }
    MPI_Finalize();
    return all != 0;
}

/* Percent of the full work: argv[1] */
static inline unsigned long scaled(int argc, char **argv, unsigned long count)
{
    unsigned long percent = (argc > 1) ? strtoul(argv[1], NULL, 0) : 100;

    count = count * percent / 100;
    return (count > 0) ? count : 1;
}

#endif
