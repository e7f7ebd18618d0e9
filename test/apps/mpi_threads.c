/*
 * MPI_THREAD_MULTIPLE: four threads of each rank send to all threads of all other
 * ranks at the same time, of sizes for every protocol, and add up, each in a
 * communicator of its own. Every byte is compared.
 *
 *   mpi_threads [PERCENT]
 */
#include "mpi_check.h"

#include <pthread.h>

#define THREADS  4
#define MAX_SIZE 300000

typedef struct {
    unsigned      self;
    unsigned long rounds;
    unsigned long bytes;       /* sent */
    MPI_Comm      comm;        /* of the threads with this number */
} worker_t;

/* What thread `from_thread` of rank `from` sends to one of rank `to` */
static uint64_t message_number(int to, unsigned to_thread, unsigned from_thread,
                               unsigned long round)
{
    return ((round * THREADS + from_thread) * THREADS + to_thread) * 64 + to;
}

static size_t message_size(int from, uint64_t number)
{
    uint64_t random = mix64(number * 64 + from);

    /* from inline messages to rendezvous */
    return (random >> 8) % ((random & 7) ? 20000 : MAX_SIZE);
}

static int message_tag(unsigned to_thread, unsigned from_thread)
{
    return to_thread * THREADS + from_thread;
}

/* A message to and one from each other rank */
static void exchange(worker_t *w, unsigned long round, char *out, char *in)
{
    unsigned to_thread   = (w->self + round) % THREADS;
    unsigned from_thread = (w->self + THREADS - round % THREADS) % THREADS;
    MPI_Request requests[2 * 64];
    MPI_Status statuses[2 * 64];
    int peer, n = 0, count;
    uint64_t number;
    size_t size;

    for (peer = 0; peer < check_size; ++peer) {
        if (peer != check_rank) {
            MPI_Irecv(in + (size_t)peer * MAX_SIZE, MAX_SIZE, MPI_BYTE, peer,
                      message_tag(w->self, from_thread), MPI_COMM_WORLD,
                      &requests[n++]);
        }
    }
    for (peer = 0; peer < check_size; ++peer) {
        if (peer != check_rank) {
            number = message_number(peer, to_thread, w->self, round);
            size   = message_size(check_rank, number);
            fill(out + (size_t)peer * MAX_SIZE, size, check_rank, number);
            MPI_Isend(out + (size_t)peer * MAX_SIZE, size, MPI_BYTE, peer,
                      message_tag(to_thread, w->self), MPI_COMM_WORLD,
                      &requests[n++]);
            w->bytes += size;
        }
    }
    MPI_Waitall(n, requests, statuses);
    n = 0;
    for (peer = 0; peer < check_size; ++peer) {
        if (peer != check_rank) {
            number = message_number(check_rank, w->self, from_thread, round);
            size   = message_size(peer, number);
            MPI_Get_count(&statuses[n++], MPI_BYTE, &count);
            expect_long("size of a thread's message", count, size);
            verify("threads", in + (size_t)peer * MAX_SIZE, size, peer, number);
        }
    }
}

static void *work(void *arg)
{
    worker_t *w = arg;
    char *out   = buffer_get((size_t)check_size * MAX_SIZE);
    char *in    = buffer_get((size_t)check_size * MAX_SIZE);
    long mine, sum;
    unsigned long round;

    for (round = 0; round < w->rounds; ++round) {
        exchange(w, round, out, in);
        if (round % 10 == 0) {
            mine = (long)round + (w->self + 1) * (check_rank + 1);
            MPI_Allreduce(&mine, &sum, 1, MPI_LONG, MPI_SUM, w->comm);
            expect_long("sum of the threads of one number", sum,
                        (long)round * check_size + (w->self + 1l) * check_size *
                                                           (check_size + 1) /
                                                           2);
        }
    }
    free(out);
    free(in);
    return NULL;
}

int main(int argc, char **argv)
{
    worker_t workers[THREADS];
    pthread_t threads[THREADS];
    int provided;
    unsigned i;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &check_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &check_size);
    if (provided != MPI_THREAD_MULTIPLE) {
        check_skip("this MPI offers no MPI_THREAD_MULTIPLE");
    }
    for (i = 0; i < THREADS; ++i) {
        workers[i].self   = i;
        workers[i].rounds = scaled(argc, argv, 50);
        workers[i].bytes  = 0;
        MPI_Comm_dup(MPI_COMM_WORLD, &workers[i].comm);
    }
    for (i = 0; i < THREADS; ++i) {
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], NULL);
        MPI_Comm_free(&workers[i].comm);
        check_bytes += workers[i].bytes;
    }
    return check_end();
}
