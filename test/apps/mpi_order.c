/*
 * Order: messages of one sender match in the order they were sent, also when
 * receives take any tag or any source, and when short and long ones mix.
 *
 *   mpi_order [PERCENT]
 */
#include "mpi_check.h"

#define MAX_SIZE 300000

static size_t size_of(int from, uint64_t number)
{
    uint64_t r = mix64(number * 64 + from);

    return 8 + ((r % 200 == 0) ? r % (MAX_SIZE - 8) :
                (r % 10 == 0)  ? r % 20000 :
                                 r % 400);
}

/* The first word is the number, in clear; the rest is the usual content. */
static void compose(char *buffer, int from, uint64_t number)
{
    fill(buffer, size_of(from, number), from, number);
    memcpy(buffer, &number, 8);
}

static void inspect(char *buffer, int from, uint64_t expected, int count)
{
    uint64_t number, word;

    memcpy(&number, buffer, 8);
    if (number != expected) {
        complain("order: another message came", from, number, 0);
        return;
    }
    if ((size_t)count != size_of(from, number)) {
        complain("order: size", from, number, count);
        return;
    }
    word = mix64(mix64(((uint64_t)from << 48) ^ number));
    memcpy(buffer, &word, 8);
    verify("order", buffer, count, from, number);
}

/* All others send to `root`, which takes whatever comes. */
static void wildcards(int root, uint64_t each, int any_source)
{
    char *buffer   = buffer_get(MAX_SIZE);
    uint64_t *next = buffer_get(sizeof(*next) * check_size);
    uint64_t i, total = each * (check_size - 1);
    MPI_Status status;
    int count;

    memset(next, 0, sizeof(*next) * check_size);
    if (check_rank == root) {
        for (i = 0; i < total; ++i) {
            int source = MPI_ANY_SOURCE;

            if (!any_source) {
                source = mix64(i + total) % check_size;
                while ((source == root) || (next[source] == each)) {
                    source = (source + 1) % check_size;
                }
            }
            MPI_Recv(buffer, MAX_SIZE, MPI_BYTE, source, MPI_ANY_TAG,
                     MPI_COMM_WORLD, &status);
            MPI_Get_count(&status, MPI_BYTE, &count);
            inspect(buffer, status.MPI_SOURCE, next[status.MPI_SOURCE]++,
                    count);
        }
    } else {
        for (i = 0; i < each; ++i) {
            compose(buffer, check_rank, i);
            MPI_Send(buffer, size_of(check_rank, i), MPI_BYTE, root, i % 7,
                     MPI_COMM_WORLD);
        }
    }
    free(buffer);
    free(next);
}

/* Many receives with wildcards are posted at once, in a ring of ranks. */
static void posted_ahead(unsigned long rounds)
{
    enum {
        DEPTH = 64
    };
    int to    = (check_rank + 1) % check_size;
    int from  = (check_rank + check_size - 1) % check_size;
    char *in  = buffer_get((size_t)DEPTH * MAX_SIZE);
    char *out = buffer_get((size_t)DEPTH * MAX_SIZE);
    MPI_Request requests[2 * DEPTH];
    MPI_Status statuses[2 * DEPTH];
    unsigned long round;
    uint64_t number;
    int i, count;

    for (round = 0; round < rounds; ++round) {
        for (i = 0; i < DEPTH; ++i) {
            MPI_Irecv(in + (size_t)i * MAX_SIZE, MAX_SIZE, MPI_BYTE,
                      (i & 1) ? MPI_ANY_SOURCE : from,
                      (i & 2) ? MPI_ANY_TAG : 3, MPI_COMM_WORLD, &requests[i]);
        }
        for (i = 0; i < DEPTH; ++i) {
            number = round * DEPTH + i;
            compose(out + (size_t)i * MAX_SIZE, check_rank, number);
            MPI_Isend(out + (size_t)i * MAX_SIZE, size_of(check_rank, number),
                      MPI_BYTE, to, 3, MPI_COMM_WORLD, &requests[DEPTH + i]);
        }
        MPI_Waitall(2 * DEPTH, requests, statuses);
        for (i = 0; i < DEPTH; ++i) {
            expect(statuses[i].MPI_SOURCE == from, "wrong source");
            MPI_Get_count(&statuses[i], MPI_BYTE, &count);
            inspect(in + (size_t)i * MAX_SIZE, from, round * DEPTH + i, count);
        }
        /* A neighbour's next round must not meet this round's receives. */
        MPI_Barrier(MPI_COMM_WORLD);
    }
    free(in);
    free(out);
}

int main(int argc, char **argv)
{
    int root;

    check_begin(&argc, &argv);
    for (root = 0; root < check_size; ++root) {
        wildcards(root, scaled(argc, argv, 20000) / check_size, 1);
        MPI_Barrier(MPI_COMM_WORLD);
        wildcards(root, scaled(argc, argv, 20000) / check_size, 0);
        MPI_Barrier(MPI_COMM_WORLD);
    }
    posted_ahead(scaled(argc, argv, 150));
    return check_end();
}
