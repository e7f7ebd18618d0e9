/*
 * Ranks that start others: all ranks together spawn two copies of this program,
 * send each of them messages of several sizes over the intercommunicator, get them
 * back, and add up over the merged one.
 *
 *   mpi_spawn [PERCENT]
 *
 *   parents  0 .. N-1  --intercommunicator-->  children  0, 1
 *                  `-----------merged, N + 2 ranks----------'
 */
#include "mpi_check.h"

#define CHILDREN 2
#define CHILD    "child"

static const size_t sizes[] = {1, 1000, 8928, 8929, 1ul << 20};

#define NUM_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define MAX_SIZE  (1ul << 20)

/* Messages of each parent come back from the child */
static void child_echo(MPI_Comm parents, char *buffer)
{
    int num_parents, from, tag;
    MPI_Status status;
    int length;

    MPI_Comm_remote_size(parents, &num_parents);
    for (from = 0; from < num_parents; ++from) {
        for (tag = 0; tag < (int)NUM_SIZES; ++tag) {
            MPI_Recv(buffer, MAX_SIZE, MPI_BYTE, from, tag, parents, &status);
            MPI_Get_count(&status, MPI_BYTE, &length);
            MPI_Send(buffer, length, MPI_BYTE, from, tag, parents);
        }
    }
}

static void parent_send(MPI_Comm children, char *buffer)
{
    MPI_Status status;
    int child, tag, length;

    for (child = 0; child < CHILDREN; ++child) {
        for (tag = 0; tag < (int)NUM_SIZES; ++tag) {
            fill(buffer, sizes[tag], check_rank, child);
            MPI_Send(buffer, sizes[tag], MPI_BYTE, child, tag, children);
            memset(buffer, 0, sizes[tag]);
            MPI_Recv(buffer, MAX_SIZE, MPI_BYTE, child, tag, children, &status);
            MPI_Get_count(&status, MPI_BYTE, &length);
            expect((size_t)length == sizes[tag], "spawn: wrong size");
            verify("spawn", buffer, sizes[tag], check_rank, child);
        }
    }
}

/* Parents come first */
static void merged_sum(MPI_Comm intercomm, int is_child, int expected_size)
{
    MPI_Comm merged;
    int rank, size, sum = 0;

    MPI_Intercomm_merge(intercomm, is_child, &merged);
    MPI_Comm_rank(merged, &rank);
    MPI_Comm_size(merged, &size);
    expect((expected_size == 0) || (size == expected_size),
           "merged: wrong number of ranks");
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, merged);
    expect(sum == (size * (size - 1)) / 2, "merged: wrong sum");
    MPI_Comm_free(&merged);
}

int main(int argc, char **argv)
{
    char *child_argv[] = {CHILD, NULL};
    char *buffer;
    MPI_Comm intercomm;

    check_begin(&argc, &argv);
    buffer = buffer_get(MAX_SIZE);
    MPI_Comm_get_parent(&intercomm);
    if (intercomm != MPI_COMM_NULL) {
        child_echo(intercomm, buffer);
        merged_sum(intercomm, 1, 0);
        MPI_Comm_disconnect(&intercomm);
        free(buffer);
        MPI_Finalize();
        return check_errors != 0;
    }

    MPI_Comm_spawn(argv[0], child_argv, CHILDREN, MPI_INFO_NULL, 0,
                   MPI_COMM_WORLD, &intercomm, MPI_ERRCODES_IGNORE);
    parent_send(intercomm, buffer);
    merged_sum(intercomm, 0, check_size + CHILDREN);
    MPI_Comm_disconnect(&intercomm);
    free(buffer);
    return check_end();
}
