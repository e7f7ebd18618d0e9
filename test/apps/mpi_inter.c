/*
 * Intercommunicators: the lower half of the ranks and the upper one, made of
 * MPI_COMM_WORLD, or by MPI_Comm_accept() and MPI_Comm_connect(). Point to point
 * between all pairs, collectives from group to group, and the merged communicator.
 *
 *   mpi_inter [PERCENT [connect]]
 *
 *   low   0 .. N/2-1   --intercommunicator-->   high   N/2 .. N-1
 *           `-----------merged: high, then low--------'
 */
#include "mpi_check.h"

static const size_t sizes[] = {0, 1, 192, 8928, 8929, 100000, 1ul << 20};

#define NUM_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define MAX_SIZE  (1ul << 20)

static int is_high, num_low;

/* MPI_COMM_WORLD's rank of a rank of the other group */
static int world_rank(int remote)
{
    return is_high ? remote : num_low + remote;
}

/* Each rank sends to all of the other group, of every size at once */
static void pairs(MPI_Comm inter, int num_remote, uint64_t number)
{
    size_t place = 0, places[NUM_SIZES];
    int count = NUM_SIZES * num_remote, remote, n = 0;
    MPI_Request *reqs  = buffer_get(sizeof(*reqs) * 2 * count);
    MPI_Status *status = buffer_get(sizeof(*status) * 2 * count);
    char *out, *in;
    unsigned i;

    for (i = 0; i < NUM_SIZES; ++i) {
        places[i] = place;
        place += sizes[i];
    }
    out = buffer_get(place);
    in  = buffer_get(place * num_remote);
    for (i = 0; i < NUM_SIZES; ++i) {
        fill(out + places[i], sizes[i], check_rank, number + i);
    }
    for (remote = 0; remote < num_remote; ++remote) {
        for (i = 0; i < NUM_SIZES; ++i) {
            MPI_Irecv(in + remote * place + places[i], sizes[i], MPI_BYTE,
                      remote, i, inter, &reqs[n++]);
            MPI_Isend(out + places[i], sizes[i], MPI_BYTE, remote, i, inter,
                      &reqs[n++]);
            check_bytes += sizes[i];
        }
    }
    MPI_Waitall(n, reqs, status);
    for (remote = 0; remote < num_remote; ++remote) {
        for (i = 0; i < NUM_SIZES; ++i) {
            verify("intercommunicator", in + remote * place + places[i],
                   sizes[i], world_rank(remote), number + i);
        }
    }
    free(out);
    free(in);
    free(reqs);
    free(status);
}

/* From group to group: gathered, broadcast, added up */
static void collectives(MPI_Comm inter, int num_remote, uint64_t number)
{
    enum {
        PART = 3000
    };
    char *mine  = buffer_get(MAX_SIZE);
    char *other = buffer_get((size_t)num_remote * PART + MAX_SIZE);
    long sum, remote_sum;
    int remote, root, rank;

    MPI_Comm_rank(inter, &rank);
    fill(mine, PART, check_rank, number);
    MPI_Allgather(mine, PART, MPI_BYTE, other, PART, MPI_BYTE, inter);
    for (remote = 0; remote < num_remote; ++remote) {
        verify("allgather", other + (size_t)remote * PART, PART,
               world_rank(remote), number);
    }

    /* rank 0 of the upper group to all of the lower one */
    root = is_high ? ((rank == 0) ? MPI_ROOT : MPI_PROC_NULL) : 0;
    fill(mine, MAX_SIZE, check_rank, number + 1);
    MPI_Bcast(is_high ? mine : other, MAX_SIZE, MPI_BYTE, root, inter);
    if (!is_high) {
        verify("bcast", other, MAX_SIZE, num_low, number + 1);
    }

    /* each group gets the sum of the other one */
    sum = check_rank + 1;
    MPI_Allreduce(&sum, &remote_sum, 1, MPI_LONG, MPI_SUM, inter);
    for (sum = 0, remote = 0; remote < num_remote; ++remote) {
        sum += world_rank(remote) + 1;
    }
    expect_long("sum of the other group", remote_sum, sum);
    MPI_Barrier(inter);
    free(mine);
    free(other);
}

/* The upper group first */
static void merged(MPI_Comm inter)
{
    int rank, all_ranks[64], i;
    MPI_Comm comm;

    MPI_Intercomm_merge(inter, !is_high, &comm);
    MPI_Comm_rank(comm, &rank);
    expect_long("rank in the merged communicator", rank,
                is_high ? check_rank - num_low :
                          check_size - num_low + check_rank);
    MPI_Allgather(&check_rank, 1, MPI_INT, all_ranks, 1, MPI_INT, comm);
    for (i = 0; i < check_size; ++i) {
        expect_long("order of the merged communicator", all_ranks[i],
                    (i + num_low) % check_size);
    }
    MPI_Comm_free(&comm);
}

static void test(MPI_Comm inter, uint64_t number)
{
    int num_remote;

    MPI_Comm_remote_size(inter, &num_remote);
    expect_long("size of the other group", num_remote,
                is_high ? num_low : check_size - num_low);
    pairs(inter, num_remote, number);
    collectives(inter, num_remote, number + NUM_SIZES);
    merged(inter);
}

/* The lower half listens; the port's name goes by MPI_COMM_WORLD */
static void connected(MPI_Comm half, uint64_t number)
{
    char port[MPI_MAX_PORT_NAME] = "";
    MPI_Comm inter;

    if (check_rank == 0) {
        MPI_Open_port(MPI_INFO_NULL, port);
    }
    MPI_Bcast(port, sizeof(port), MPI_BYTE, 0, MPI_COMM_WORLD);
    if (is_high) {
        MPI_Comm_connect(port, MPI_INFO_NULL, 0, half, &inter);
    } else {
        MPI_Comm_accept(port, MPI_INFO_NULL, 0, half, &inter);
    }
    test(inter, number);
    MPI_Comm_disconnect(&inter);
    if (check_rank == 0) {
        MPI_Close_port(port);
    }
}

int main(int argc, char **argv)
{
    MPI_Comm half, inter;
    unsigned long rounds, round;

    check_begin(&argc, &argv);
    num_low = check_size / 2;
    is_high = check_rank >= num_low;
    rounds  = scaled(argc, argv, 20);
    MPI_Comm_split(MPI_COMM_WORLD, is_high, check_rank, &half);
    for (round = 0; round < rounds; ++round) {
        if (argc > 2) {
            connected(half, round * 100);
            continue;
        }
        MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, is_high ? 0 : num_low, 9,
                             &inter);
        test(inter, round * 100);
        MPI_Comm_free(&inter);
    }
    MPI_Comm_free(&half);
    return check_end();
}
