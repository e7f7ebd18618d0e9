/*
 * Large messages, which go by rendezvous: 1 MB to 64 MB, both ways at once,
 * from and to every alignment, several at a time, and into a receive that was
 * posted before or after. Every byte is compared, and the byte behind.
 *
 *   mpi_large [PERCENT]    of 64 MB
 */
#include "mpi_check.h"

#define MEGABYTE (1ul << 20)

static int right, left;

static void both_ways(size_t size, size_t shift, uint64_t number, int late)
{
    uint8_t *out = buffer_get(size + 64), *in = buffer_get(size + 64);
    MPI_Request request[2];
    MPI_Status status;
    int count;

    fill(out + shift, size, check_rank, number);
    if (late) {
        MPI_Isend(out + shift, size, MPI_BYTE, right, 1, MPI_COMM_WORLD,
                  &request[0]);
        MPI_Probe(left, 1, MPI_COMM_WORLD, &status);
        MPI_Irecv(in + 64 - shift, size, MPI_BYTE, left, 1, MPI_COMM_WORLD,
                  &request[1]);
    } else {
        MPI_Irecv(in + 64 - shift, size, MPI_BYTE, left, 1, MPI_COMM_WORLD,
                  &request[1]);
        MPI_Barrier(MPI_COMM_WORLD);
        MPI_Isend(out + shift, size, MPI_BYTE, right, 1, MPI_COMM_WORLD,
                  &request[0]);
    }
    MPI_Wait(&request[0], MPI_STATUS_IGNORE);
    /* mine again: a reader that is not done would see it */
    memset(out, 0xee, size);
    MPI_Wait(&request[1], &status);
    MPI_Get_count(&status, MPI_BYTE, &count);
    expect_long("the size received", count, size);
    verify("large message", in + 64 - shift, size, left, number);
    verify_byte("before a large message", in, 64 - shift, 0xa5);
    verify_byte("behind a large message", in + 64 - shift + size, shift + 1,
                0xa5);
    check_bytes += size;
    free(out);
    free(in);
}

/* Many at a time, in buffers that are used again and again */
static void together(size_t size, unsigned rounds)
{
    enum {
        DEPTH = 6
    };
    MPI_Request request[2 * DEPTH];
    MPI_Status statuses[2 * DEPTH];
    uint8_t *out[DEPTH], *in[DEPTH];
    unsigned round, i;

    for (i = 0; i < DEPTH; ++i) {
        out[i] = buffer_get(size);
        in[i]  = buffer_get(size);
    }
    for (round = 0; round < rounds; ++round) {
        for (i = 0; i < DEPTH; ++i) {
            MPI_Irecv(in[i], size, MPI_BYTE, left, i, MPI_COMM_WORLD,
                      &request[i]);
        }
        for (i = 0; i < DEPTH; ++i) {
            fill(out[i], size, check_rank, round * DEPTH + i);
            MPI_Isend(out[i], size, MPI_BYTE, right, i, MPI_COMM_WORLD,
                      &request[DEPTH + i]);
            check_bytes += size;
        }
        MPI_Waitall(2 * DEPTH, request, statuses);
        for (i = 0; i < DEPTH; ++i) {
            verify("together", in[i], size, left, round * DEPTH + i);
        }
    }
    for (i = 0; i < DEPTH; ++i) {
        free(out[i]);
        free(in[i]);
    }
}

int main(int argc, char **argv)
{
    size_t largest, size;
    uint64_t number = 0;

    check_begin(&argc, &argv);
    right   = (check_rank + 1) % check_size;
    left    = (check_rank + check_size - 1) % check_size;
    largest = scaled(argc, argv, 64) * MEGABYTE;
    for (size = MEGABYTE; size <= largest; size *= 2) {
        both_ways(size, 0, ++number, 0);
        both_ways(size - 13, 7, ++number, 1);
    }
    both_ways(MEGABYTE + 1, 64, ++number, 0);
    together(MEGABYTE + 4096, 8);
    together(100001, 30);
    return check_end();
}
