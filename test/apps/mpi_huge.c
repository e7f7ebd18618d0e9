/*
 * Messages longer than 32 bits can count, as few elements of a large type: rank 0
 * sends rank 1 a little more than 2 GB from memory with holes, then a little more
 * than 4 GB. Every byte is compared. Skipped where memory is short.
 *
 *   mpi_huge [PERCENT]     of these sizes
 */
#include "mpi_check.h"

/* An element, so that no border of 2^31 or 2^32 is one between elements */
#define ELEMENT ((1ul << 20) + 7)
/* With holes: as many bytes are left out after each half */
#define HOLE 5

static unsigned long available_megabytes(void)
{
    unsigned long kilobytes = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");

    while ((file != NULL) && (fgets(line, sizeof(line), file) != NULL)) {
        if (sscanf(line, "MemAvailable: %lu", &kilobytes) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kilobytes / 1024;
}

static void expect_size(MPI_Status *status, MPI_Datatype type, size_t elements)
{
    MPI_Count bytes;
    int count;

    MPI_Get_count(status, type, &count);
    expect_long("elements received", count, elements);
    MPI_Get_elements_x(status, type, &bytes);
    expect_long("bytes received", bytes, elements * ELEMENT);
}

static void contiguous(char *buffer, size_t elements)
{
    MPI_Datatype type;
    MPI_Status status;

    MPI_Type_contiguous(ELEMENT, MPI_BYTE, &type);
    MPI_Type_commit(&type);
    if (check_rank == 0) {
        fill(buffer, elements * ELEMENT, 0, elements);
        MPI_Send(buffer, elements, type, 1, 1, MPI_COMM_WORLD);
        check_bytes += elements * ELEMENT;
    } else if (check_rank == 1) {
        MPI_Recv(buffer, elements, type, 0, 1, MPI_COMM_WORLD, &status);
        expect_size(&status, type, elements);
        verify("huge message", buffer, elements * ELEMENT, 0, elements);
        verify_byte("behind a huge message", buffer + elements * ELEMENT, 1,
                    (char)0xa5);
    }
    MPI_Type_free(&type);
}

/* Two blocks an element: from memory with holes to memory with none */
static void with_holes(char *buffer, size_t elements)
{
    int lengths[]     = {ELEMENT / 2, ELEMENT - ELEMENT / 2};
    MPI_Aint places[] = {0, ELEMENT / 2 + HOLE};
    MPI_Datatype type, blocks;
    MPI_Status status;
    size_t i, at;

    if (check_rank == 0) {
        MPI_Type_create_hindexed(2, lengths, places, MPI_BYTE, &blocks);
        MPI_Type_create_resized(blocks, 0, ELEMENT + HOLE, &type);
        MPI_Type_free(&blocks);
        for (i = 0; i < elements; ++i) {
            at = i * (ELEMENT + HOLE);
            fill(buffer + at, lengths[0], 0, 2 * i);
            fill(buffer + at + places[1], lengths[1], 0, 2 * i + 1);
        }
    } else {
        MPI_Type_contiguous(ELEMENT, MPI_BYTE, &type);
    }
    MPI_Type_commit(&type);
    if (check_rank == 0) {
        MPI_Send(buffer, elements, type, 1, 2, MPI_COMM_WORLD);
        check_bytes += elements * ELEMENT;
    } else if (check_rank == 1) {
        MPI_Recv(buffer, elements, type, 0, 2, MPI_COMM_WORLD, &status);
        expect_size(&status, type, elements);
        for (i = 0; i < elements; ++i) {
            at = i * ELEMENT;
            verify("first half", buffer + at, lengths[0], 0, 2 * i);
            verify("second half", buffer + at + lengths[0], lengths[1], 0,
                   2 * i + 1);
        }
    }
    MPI_Type_free(&type);
}

int main(int argc, char **argv)
{
    unsigned long fewer, more, memory[2];
    char reason[100];
    char *buffer;

    check_begin(&argc, &argv);
    fewer     = scaled(argc, argv, 2049);
    more      = scaled(argc, argv, 4097);
    /* MPI itself may hold some of it; what rank 0 sees counts */
    memory[0] = 2 * more + more / 4;
    memory[1] = available_megabytes();
    MPI_Bcast(memory, 2, MPI_UNSIGNED_LONG, 0, MPI_COMM_WORLD);
    if (memory[1] < memory[0]) {
        snprintf(reason, sizeof(reason), "needs %lu MB of memory, has %lu",
                 memory[0], memory[1]);
        check_skip(reason);
    }
    buffer = buffer_get(more * ELEMENT + fewer * HOLE);
    with_holes(buffer, fewer);
    contiguous(buffer, more);
    free(buffer);
    return check_end();
}
