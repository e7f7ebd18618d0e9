/*
 * Point to point, every pair of ranks: all sizes from nothing to 16 MB in
 * every mode of sending, receives before and after the message is there,
 * storms of nonblocking messages.
 *
 *   mpi_p2p [PERCENT]
 */
#include "mpi_check.h"

#define MAX_SIZE (16ul << 20)

static char *buffer_out, *buffer_in;

static void one(size_t size, int from, int to, uint64_t number, int mode,
                int late)
{
    MPI_Status status;
    int count;

    if (check_rank == from) {
        fill(buffer_out, size, from, number);
        switch (mode) {
        case 0:
            MPI_Send(buffer_out, size, MPI_BYTE, to, 5, MPI_COMM_WORLD);
            break;
        case 1:
            MPI_Ssend(buffer_out, size, MPI_BYTE, to, 5, MPI_COMM_WORLD);
            break;
        default: {
            MPI_Request request;
            MPI_Isend(buffer_out, size, MPI_BYTE, to, 5, MPI_COMM_WORLD,
                      &request);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
            break;
        }
        }
    } else if (check_rank == to) {
        buffer_in[size] = 0x77;
        if (late) {
            MPI_Probe(from, 5, MPI_COMM_WORLD, &status);
            MPI_Get_count(&status, MPI_BYTE, &count);
            expect((size_t)count == size, "probe: wrong size");
        }
        MPI_Recv(buffer_in, MAX_SIZE, MPI_BYTE, from, 5, MPI_COMM_WORLD,
                 &status);
        MPI_Get_count(&status, MPI_BYTE, &count);
        expect((size_t)count == size, "receive: wrong size");
        expect(buffer_in[size] == 0x77, "receive: wrote behind the message");
        verify("p2p", buffer_in, size, from, number);
    }
}

static void all_sizes(void)
{
    static const size_t borders[] = {0,     32,     192,     1024,
                                     4096,  8192,   8928,    16384,
                                     65536, 262144, 1048576, 4194304};
    uint64_t number               = 0;
    unsigned b;
    int from, to;
    size_t size;

    for (from = 0; from < check_size; ++from) {
        for (to = 0; to < check_size; ++to) {
            if (from == to) {
                continue;
            }
            for (b = 0; b < sizeof(borders) / sizeof(borders[0]); ++b) {
                for (size = (borders[b] < 3) ? 0 : borders[b] - 3;
                     size <= borders[b] + 3; ++size) {
                    ++number;
                    one(size, from, to, number, number % 3, number & 1);
                }
            }
            ++number;
            one(MAX_SIZE, from, to, number, number % 3, number & 1);
        }
    }
}

/* Everybody sends to everybody at the same time, many at once. The number of a
 * message names its receiver, its size the sender. */
static void storm(unsigned long rounds)
{
    enum {
        DEPTH = 32,
        SIZE  = 20000
    };
    int n = check_size, peer, i, total = n * DEPTH * 2, k;
    MPI_Request *requests = buffer_get(sizeof(*requests) * total);
    MPI_Status *statuses  = buffer_get(sizeof(*statuses) * total);
    char *out             = buffer_get((size_t)n * DEPTH * SIZE);
    char *in              = buffer_get((size_t)n * DEPTH * SIZE);
    unsigned long round;

    for (round = 0; round < rounds; ++round) {
        k = 0;
        for (peer = 0; peer < n; ++peer) {
            for (i = 0; i < DEPTH; ++i) {
                size_t at = ((size_t)peer * DEPTH + i) * SIZE;

                MPI_Irecv(in + at, SIZE, MPI_BYTE, peer, 100 + i,
                          MPI_COMM_WORLD, &requests[k++]);
            }
        }
        for (i = 0; i < DEPTH; ++i) {
            for (peer = 0; peer < n; ++peer) {
                size_t at       = ((size_t)peer * DEPTH + i) * SIZE;
                uint64_t number = (round * DEPTH + i) * n + peer;
                size_t size     = mix64((round * DEPTH + i) * n + check_rank) %
                              SIZE;

                fill(out + at, size, check_rank, number);
                MPI_Isend(out + at, size, MPI_BYTE, peer, 100 + i,
                          MPI_COMM_WORLD, &requests[k++]);
            }
        }
        MPI_Waitall(k, requests, statuses);
        for (peer = 0; peer < n; ++peer) {
            for (i = 0; i < DEPTH; ++i) {
                size_t at       = ((size_t)peer * DEPTH + i) * SIZE;
                uint64_t number = (round * DEPTH + i) * n + check_rank;
                size_t size     = mix64((round * DEPTH + i) * n + peer) % SIZE;

                verify("storm", in + at, size, peer, number);
            }
        }
    }
    free(requests);
    free(statuses);
    free(out);
    free(in);
}

int main(int argc, char **argv)
{
    check_begin(&argc, &argv);
    buffer_out = buffer_get(MAX_SIZE);
    buffer_in  = buffer_get(MAX_SIZE);
    all_sizes();
    storm(scaled(argc, argv, 60));
    free(buffer_out);
    free(buffer_in);
    return check_end();
}
