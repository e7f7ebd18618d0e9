/*
 * Collectives, each result compared with the one every rank computes alone;
 * also in a split communicator, and nonblocking.
 *
 *   mpi_coll [PERCENT [LENGTH]]    contributions of at most LENGTH numbers
 */
#include "mpi_check.h"

#include <limits.h>

/* What rank `rank` contributes at place `i` of operation `op` */
static int64_t value(int rank, uint64_t op, size_t i)
{
    return (int64_t)(mix64((op * 1000003 + i) * 64 + rank) % 1000000) - 500000;
}

static int64_t *contribution(int64_t *v, int rank, uint64_t op, size_t n)
{
    size_t i;

    for (i = 0; i < n; ++i) {
        v[i] = value(rank, op, i);
    }
    return v;
}

static void check_values(const char *what, const int64_t *v, int rank,
                         uint64_t op, size_t first, size_t n)
{
    size_t i;

    for (i = 0; i < n; ++i) {
        if (v[i] != value(rank, op, first + i)) {
            complain(what, rank, op, i);
            return;
        }
    }
}

/* `world[r]` is the MPI_COMM_WORLD rank of rank r of the communicator. */
static void all(MPI_Comm comm, const int *world, uint64_t op, size_t n)
{
    int rank, size, r, root;
    int64_t *in, *out;
    int *counts, *places;
    MPI_Request request;
    size_t i;

    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    in     = buffer_get(sizeof(*in) * n * size);
    out    = buffer_get(sizeof(*out) * n * size);
    counts = buffer_get(sizeof(*counts) * size);
    places = buffer_get(sizeof(*places) * size);
    root   = op % size;

    /* bcast, blocking and not */
    contribution(in, world[rank], op, n);
    MPI_Bcast(in, n, MPI_INT64_T, root, comm);
    check_values("bcast", in, world[root], op, 0, n);
    contribution(in, world[rank], op + 1, n);
    MPI_Ibcast(in, n, MPI_INT64_T, root, comm, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    check_values("ibcast", in, world[root], op + 1, 0, n);

    /* reduce, allreduce, scan */
    contribution(in, world[rank], op, n);
    MPI_Reduce(in, out, n, MPI_INT64_T, MPI_SUM, root, comm);
    for (i = 0; (rank == root) && (i < n); ++i) {
        int64_t sum = 0;
        for (r = 0; r < size; ++r) {
            sum += value(world[r], op, i);
        }
        if (out[i] != sum) {
            complain("reduce", root, op, i);
            break;
        }
    }
    MPI_Allreduce(in, out, n, MPI_INT64_T, MPI_MAX, comm);
    for (i = 0; i < n; ++i) {
        int64_t max = INT64_MIN;
        for (r = 0; r < size; ++r) {
            max = (value(world[r], op, i) > max) ? value(world[r], op, i) : max;
        }
        if (out[i] != max) {
            complain("allreduce", root, op, i);
            break;
        }
    }
    MPI_Iallreduce(in, out, n, MPI_INT64_T, MPI_SUM, comm, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    for (i = 0; i < n; ++i) {
        int64_t sum = 0;
        for (r = 0; r < size; ++r) {
            sum += value(world[r], op, i);
        }
        if (out[i] != sum) {
            complain("iallreduce", root, op, i);
            break;
        }
    }
    MPI_Scan(in, out, n, MPI_INT64_T, MPI_SUM, comm);
    for (i = 0; i < n; ++i) {
        int64_t sum = 0;
        for (r = 0; r <= rank; ++r) {
            sum += value(world[r], op, i);
        }
        if (out[i] != sum) {
            complain("scan", rank, op, i);
            break;
        }
    }

    /* gather, allgather, scatter, alltoall */
    MPI_Gather(in, n, MPI_INT64_T, out, n, MPI_INT64_T, root, comm);
    for (r = 0; (rank == root) && (r < size); ++r) {
        check_values("gather", out + r * n, world[r], op, 0, n);
    }
    MPI_Allgather(in, n, MPI_INT64_T, out, n, MPI_INT64_T, comm);
    for (r = 0; r < size; ++r) {
        check_values("allgather", out + r * n, world[r], op, 0, n);
    }
    contribution(in, world[rank], op + 2, n * size);
    MPI_Scatter(in, n, MPI_INT64_T, out, n, MPI_INT64_T, root, comm);
    check_values("scatter", out, world[root], op + 2, rank * n, n);
    MPI_Alltoall(in, n, MPI_INT64_T, out, n, MPI_INT64_T, comm);
    for (r = 0; r < size; ++r) {
        check_values("alltoall", out + r * n, world[r], op + 2, rank * n, n);
    }

    /* alltoallv, different lengths: rank a sends b + 1 parts of n / size */
    for (r = 0; r < size; ++r) {
        counts[r] = n / (size + 1);
        places[r] = r * n;
    }
    memset(out, 0x5a, sizeof(*out) * n * size);
    MPI_Alltoallv(in, counts, places, MPI_INT64_T, out, counts, places,
                  MPI_INT64_T, comm);
    for (r = 0; r < size; ++r) {
        check_values("alltoallv", out + r * n, world[r], op + 2, rank * n,
                     counts[r]);
        expect((n == (size_t)counts[r]) ||
                       (out[r * n + counts[r]] == 0x5a5a5a5a5a5a5a5all),
               "alltoallv wrote too much");
    }

    free(in);
    free(out);
    free(counts);
    free(places);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1, 3, 100, 1000, 1116, 5000, 100000};
    unsigned long rounds, round, longest;
    int world[64], half[64], rank, i, n = 0;
    MPI_Comm part;
    unsigned l;

    check_begin(&argc, &argv);
    rank = check_rank;
    for (i = 0; i < check_size; ++i) {
        world[i] = i;
        if ((i & 1) == (rank & 1)) {
            half[n++] = i;
        }
    }
    MPI_Comm_split(MPI_COMM_WORLD, rank & 1, rank, &part);
    rounds  = scaled(argc, argv, 20);
    longest = (argc > 2) ? strtoul(argv[2], NULL, 0) : ULONG_MAX;
    for (l = 0; l < sizeof(lengths) / sizeof(lengths[0]); ++l) {
        for (round = 0;
             (lengths[l] <= longest) &&
             round < ((lengths[l] > 10000) ? rounds / 5 + 1 : rounds);
             ++round) {
            all(MPI_COMM_WORLD, world, l * 1000 + round * 10, lengths[l]);
            all(part, half, l * 1000 + round * 10 + 5, lengths[l]);
            MPI_Barrier(MPI_COMM_WORLD);
        }
    }
    MPI_Comm_free(&part);
    return check_end();
}
