/*
 * Two ranks send messages back and forth: half round trip and bandwidth for a
 * few sizes, each message checked by content.
 *
 *   mpi_pingpong [ROUNDS]     rounds of the smallest size (default 20000)
 *
 * Prints a line for each size, "BYTES us MB/s", and at the end "payload N":
 * bytes that both ranks together have sent.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = {8, 1024, 8192, 65536, 1048576};

/* Differs in every round and from every neighbour byte. */
static void fill(uint8_t *buffer, size_t size, unsigned round)
{
    size_t i;

    for (i = 0; i < size; ++i) {
        buffer[i] = (uint8_t)(i * 7 + (i >> 8) + round * 31);
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = (argc > 1) ? (unsigned)atoi(argv[1]) : 20000;
    unsigned long payload = 0, total = 0, wrong = 0, all_wrong = 0;
    uint8_t *buffer, *expected;
    unsigned round, count;
    int rank, num_ranks;
    double start, time;
    size_t s, size;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &num_ranks);
    buffer   = malloc(sizes[4]);
    expected = malloc(sizes[4]);
    if ((num_ranks != 2) || (buffer == NULL) || (expected == NULL)) {
        fprintf(stderr, "mpi_pingpong: needs 2 ranks and memory\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }

    for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); ++s) {
        size  = sizes[s];
        count = rounds / (1 + (unsigned)(size / 4096));
        count = (count < 10) ? 10 : count;
        MPI_Barrier(MPI_COMM_WORLD);
        start = MPI_Wtime();
        for (round = 0; round < count; ++round) {
            /* Content of the first and the last rounds: checking all would
             * be what is measured */
            int check = (round < 5) || (round + 5 >= count);

            if (rank == 0) {
                if (check) {
                    fill(buffer, size, round);
                }
                MPI_Send(buffer, (int)size, MPI_BYTE, 1, 1, MPI_COMM_WORLD);
            }
            MPI_Recv(buffer, (int)size, MPI_BYTE, !rank, 1, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
            if (check) {
                fill(expected, size, round);
                wrong += memcmp(buffer, expected, size) != 0;
            }
            if (rank == 1) {
                MPI_Send(buffer, (int)size, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
            }
            payload += size;
        }
        time = MPI_Wtime() - start;
        if (rank == 0) {
            printf("%zu %.2f %.1f\n", size, time / count / 2 * 1e6,
                   (double)size * count * 2 / time / 1e6);
        }
    }

    MPI_Reduce(&payload, &total, 1, MPI_UNSIGNED_LONG, MPI_SUM, 0,
               MPI_COMM_WORLD);
    MPI_Allreduce(&wrong, &all_wrong, 1, MPI_UNSIGNED_LONG, MPI_SUM,
                  MPI_COMM_WORLD);
    if (rank == 0) {
        printf("payload %lu\n", total);
        if (all_wrong != 0) {
            printf("%lu messages arrived with wrong content\n", all_wrong);
        }
    }

    free(buffer);
    free(expected);
    MPI_Finalize();
    return all_wrong != 0;
}
