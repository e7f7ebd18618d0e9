/*
 * Two ranks send messages back and forth: half round trip and bandwidth for a
 * few sizes.
 *
 *   mpi_pingpong [ROUNDS]     rounds of the smallest size (default 20000)
 *
 * Prints a line for each size, "BYTES us MB/s" (of the median round), and at the end "payload N": bytes that both ranks together have
 * sent. Rounds that are timed have nothing else in them; every byte is filled
 * and compared in rounds of their own before, and once more afterwards.
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

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef struct {
    int           rank;
    size_t        size;
    uint8_t       *buffer, *expected;
    unsigned long payload, wrong;
} pingpong_t;

static void send_one(pingpong_t *p)
{
    MPI_Send(p->buffer, (int)p->size, MPI_BYTE, !p->rank, 1, MPI_COMM_WORLD);
    p->payload += p->size;
}

static void recv_one(pingpong_t *p)
{
    MPI_Recv(p->buffer, (int)p->size, MPI_BYTE, !p->rank, 1, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
}

static void check(pingpong_t *p, unsigned round)
{
    fill(p->expected, p->size, round);
    p->wrong += memcmp(p->buffer, p->expected, p->size) != 0;
}

/* Rounds whose content differs from that of all others */
static void run_checked(pingpong_t *p, unsigned count)
{
    unsigned round;

    for (round = 0; round < count; ++round) {
        if (p->rank == 0) {
            fill(p->buffer, p->size, round);
            send_one(p);
        } else {
            memset(p->buffer, 0, p->size);
        }
        recv_one(p);
        check(p, round);
        if (p->rank == 1) {
            send_one(p);
        }
    }
}

/* The same message on and on; us of the median half round */
static double run_timed(pingpong_t *p, unsigned count, double *times)
{
    double before, now;
    unsigned round;

    if (p->rank == 0) {
        fill(p->buffer, p->size, count);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    before = MPI_Wtime();
    for (round = 0; round < count; ++round) {
        if (p->rank == 0) {
            send_one(p);
            recv_one(p);
        } else {
            recv_one(p);
            send_one(p);
        }
        now          = MPI_Wtime();
        times[round] = (now - before) * 1e6;
        before       = now;
    }
    check(p, count);
    qsort(times, count, sizeof(*times), compare);
    return times[count / 2] / 2;
}

int main(int argc, char **argv)
{
    unsigned rounds     = (argc > 1) ? (unsigned)atoi(argv[1]) : 20000;
    unsigned long total = 0, all_wrong = 0;
    pingpong_t p = {0};
    double *times, time;
    unsigned count;
    int num_ranks;
    size_t s;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &p.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &num_ranks);
    p.buffer   = malloc(sizes[4]);
    p.expected = malloc(sizes[4]);
    times      = malloc((rounds + 10) * sizeof(*times));
    if ((num_ranks != 2) || (p.buffer == NULL) || (p.expected == NULL) ||
        (times == NULL)) {
        fprintf(stderr, "mpi_pingpong: needs 2 ranks and memory\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }

    for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); ++s) {
        p.size = sizes[s];
        count  = rounds / (1 + (unsigned)(p.size / 4096));
        count  = (count < 10) ? 10 : count;
        run_checked(&p, 10);
        time = run_timed(&p, count, times);
        if (p.rank == 0) {
            printf("%zu %.2f %.1f\n", p.size, time, p.size / time);
        }
    }

    MPI_Reduce(&p.payload, &total, 1, MPI_UNSIGNED_LONG, MPI_SUM, 0,
               MPI_COMM_WORLD);
    MPI_Allreduce(&p.wrong, &all_wrong, 1, MPI_UNSIGNED_LONG, MPI_SUM,
                  MPI_COMM_WORLD);
    if (p.rank == 0) {
        printf("payload %lu\n", total);
        if (all_wrong != 0) {
            printf("%lu messages arrived with wrong content\n", all_wrong);
        }
    }

    free(times);
    free(p.buffer);
    free(p.expected);
    MPI_Finalize();
    return all_wrong != 0;
}
