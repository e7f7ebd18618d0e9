/*
 * MPI one-sided, passive target: locks, flushes and requests.
 *
 *   exclusive  a counter read by Get and written by Put under an exclusive lock
 *              loses nothing; two words that change together are never seen
 *              apart
 *   shared     Accumulate by all ranks at the same time: exact sums
 *   flush      what was put and flushed is there for a third rank that hears of
 *              it; after flush_local the origin's buffer is free
 *   order      accumulates of one rank on one word happen in the order given
 *   tickets    Fetch_and_op, Compare_and_swap, contended without a pause
 *   requests   Rput, Rget, Raccumulate, Rget_accumulate
 *
 *   mpi_lock [PERCENT]
 */
#include "mpi_check.h"

/* Words at the start of the window, then an area of bytes for each rank */
enum {
    COUNTER, MIRROR, SUM, TICKET, SWAPPED, ORDER, WORDS = 64,
    HEAD   = WORDS * 8,
    LENGTH = 150000
};

static MPI_Win win;
static uint8_t *memory;
static int right, left;

static void travels(int rank, size_t size)
{
    check_bytes += (rank == check_rank) ? 0 : size;
}

static int64_t window_word(int rank, int index)
{
    int64_t value = -1;

    MPI_Win_lock(MPI_LOCK_SHARED, rank, 0, win);
    MPI_Get(&value, 1, MPI_INT64_T, rank, index * 8, 1, MPI_INT64_T, win);
    MPI_Win_unlock(rank, win);
    return value;
}

static void reset(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock(MPI_LOCK_EXCLUSIVE, check_rank, 0, win);
    memset(memory, 0, HEAD);
    MPI_Win_unlock(check_rank, win);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void exclusive(unsigned long count)
{
    int64_t pair[2];
    unsigned long i;
    int home;

    reset();
    for (i = 0; i < count; ++i) {
        home = (i & 1) ? check_size - 1 : 0;
        if (i % 3 == 2) {
            /* readers in between, many at a time */
            MPI_Win_lock(MPI_LOCK_SHARED, home, 0, win);
            MPI_Get(pair, 2, MPI_INT64_T, home, COUNTER * 8, 2, MPI_INT64_T,
                    win);
            MPI_Win_unlock(home, win);
            expect_long("lock: two words apart", pair[1], -pair[0]);
            continue;
        }
        MPI_Win_lock(MPI_LOCK_EXCLUSIVE, home, 0, win);
        MPI_Get(&pair[0], 1, MPI_INT64_T, home, COUNTER * 8, 1, MPI_INT64_T,
                win);
        MPI_Win_flush(home, win);
        pair[0]++;
        pair[1] = -pair[0];
        MPI_Put(&pair[0], 1, MPI_INT64_T, home, COUNTER * 8, 1, MPI_INT64_T,
                win);
        MPI_Put(&pair[1], 1, MPI_INT64_T, home, MIRROR * 8, 1, MPI_INT64_T,
                win);
        MPI_Win_unlock(home, win);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (i = 0, pair[0] = 0; i < count; ++i) {
        pair[0] += (i % 3 != 2);
    }
    expect_long("exclusive lock: the counters",
                window_word(0, COUNTER) + window_word(check_size - 1, COUNTER),
                ((check_size > 1) ? 1 : 2) * pair[0] * check_size);
}

static void shared(unsigned long count)
{
    int64_t value;
    unsigned long i;
    int rank;

    reset();
    MPI_Win_lock_all(0, win);
    for (i = 0; i < count; ++i) {
        value = i + 1;
        rank  = (check_rank + i) % check_size;
        MPI_Accumulate(&value, 1, MPI_INT64_T, rank, SUM * 8, 1, MPI_INT64_T,
                       MPI_SUM, win);
        MPI_Win_flush_local(rank, win);
    }
    MPI_Win_unlock_all(win);
    MPI_Barrier(MPI_COMM_WORLD);
    for (rank = 0, value = 0; rank < check_size; ++rank) {
        value += window_word(rank, SUM);
    }
    expect_long("accumulate: the sums", value,
                (int64_t)count * (count + 1) / 2 * check_size);
}

/* To the right; a message to the one after it, which reads there. The window's
 * bytes of rank r at the right of r are r's own. */
static void flush(unsigned long rounds)
{
    static const size_t lengths[] = {1, 8, 100, 5000, 8929, 40000, LENGTH};
    uint8_t *out = buffer_get(LENGTH), *in = buffer_get(LENGTH);
    int further    = (right + 1) % check_size;
    int before     = (left + check_size - 1) % check_size;
    MPI_Aint mine  = HEAD + (MPI_Aint)LENGTH * check_rank;
    MPI_Aint other = HEAD + (MPI_Aint)LENGTH * before;
    unsigned long round, news;
    size_t size;

    MPI_Win_lock_all(0, win);
    for (round = 0; round < rounds; ++round) {
        size = lengths[round % (sizeof(lengths) / sizeof(lengths[0]))];
        fill(out, size, check_rank, round);
        MPI_Put(out, size, MPI_BYTE, right, mine, size, MPI_BYTE, win);
        travels(right, size);
        switch (round % 3) {
        case 0:
            MPI_Win_flush(right, win);
            break;
        case 1:
            MPI_Win_flush_all(win);
            break;
        default:
            /* local first: now the buffer may change, then remote */
            MPI_Win_flush_local(right, win);
            memset(out, 0xee, size);
            MPI_Win_flush(right, win);
            break;
        }
        MPI_Sendrecv(&round, 1, MPI_UNSIGNED_LONG, further, 1, &news, 1,
                     MPI_UNSIGNED_LONG, before, 1, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
        MPI_Get(in, size, MPI_BYTE, left, other, size, MPI_BYTE, win);
        MPI_Win_flush(left, win);
        travels(left, size);
        verify("flush: third rank", in, size, before, round);
        MPI_Sendrecv(&round, 1, MPI_UNSIGNED_LONG, before, 2, &news, 1,
                     MPI_UNSIGNED_LONG, further, 2, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
    }

    /* buffers that are used again at once */
    for (round = 0; round < rounds * 10; ++round) {
        fill(out, 64, check_rank, round);
        MPI_Put(out, 64, MPI_BYTE, right, mine + 64 * (round % 1000), 64,
                MPI_BYTE, win);
        MPI_Win_flush_local(right, win);
        travels(right, 64);
    }
    MPI_Win_flush_local_all(win);
    MPI_Win_unlock_all(win);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock(MPI_LOCK_SHARED, check_rank, 0, win);
    for (round = (rounds * 10 > 1000) ? rounds * 10 - 1000 : 0;
         round < rounds * 10; ++round) {
        verify("flush_local",
               memory + HEAD + (size_t)LENGTH * left + 64 * (round % 1000), 64,
               left, round);
    }
    MPI_Win_unlock(check_rank, win);
    free(out);
    free(in);
}

/* Without a flush in between: same origin, same word */
static void order(unsigned long count)
{
    int64_t *value = buffer_get(sizeof(*value) * count);
    int64_t *old   = buffer_get(sizeof(*old) * count);
    MPI_Aint at    = (ORDER + 1 + check_rank) * 8;
    unsigned long i;

    reset();
    MPI_Win_lock_all(0, win);
    for (i = 0; i < count; ++i) {
        value[i] = i + 1;
        if (i % 4 == 3) {
            MPI_Accumulate(&value[i], 1, MPI_INT64_T, right, at, 1, MPI_INT64_T,
                           MPI_REPLACE, win);
        } else {
            MPI_Get_accumulate(&value[i], 1, MPI_INT64_T, &old[i], 1,
                               MPI_INT64_T, right, at, 1, MPI_INT64_T,
                               MPI_REPLACE, win);
        }
    }
    MPI_Win_unlock_all(win);
    for (i = 0; i < count; ++i) {
        if (i % 4 != 3) {
            expect_long("order of accumulates", old[i], i);
        }
    }
    expect_long("order of accumulates: the last",
                window_word(right, ORDER + 1 + check_rank), count);
    free(value);
    free(old);
}

static void tickets(unsigned long count)
{
    int64_t one = 1, ticket, before = -1, sum = 0, all = 0, seen, next, old;
    unsigned long i;

    reset();
    MPI_Win_lock_all(0, win);
    for (i = 0; i < count; ++i) {
        MPI_Fetch_and_op(&one, &ticket, MPI_INT64_T, 0, TICKET * 8, MPI_SUM,
                         win);
        MPI_Win_flush(0, win);
        expect(ticket > before, "fetch_and_op: a ticket out of order");
        before = ticket;
        sum += mix64(ticket) >> 16;

        old = 0;
        for (;;) {
            next = old + 1;
            MPI_Compare_and_swap(&next, &old, &seen, MPI_INT64_T,
                                 check_size - 1, SWAPPED * 8, win);
            MPI_Win_flush(check_size - 1, win);
            if (seen == old) {
                break;
            }
            expect(seen > old, "compare_and_swap: went back");
            old = seen;
        }
    }
    MPI_Win_unlock_all(win);
    MPI_Allreduce(&sum, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    for (i = 0; i < count * check_size; ++i) {
        all -= mix64(i) >> 16;
    }
    expect_long("fetch_and_op: tickets drawn twice or never", all, 0);
    expect_long("compare_and_swap: the counter",
                window_word(check_size - 1, SWAPPED), count * check_size);
}

static void requests(unsigned long rounds)
{
    enum {
        DEPTH = 8,
        SIZE  = 12000,
        CELLS = SIZE / 8
    };
    uint8_t *out = buffer_get(DEPTH * SIZE), *in = buffer_get(DEPTH * SIZE);
    int64_t *old = buffer_get(SIZE), *one = buffer_get(SIZE);
    MPI_Aint mine = HEAD + (MPI_Aint)LENGTH * check_rank;
    MPI_Request request[DEPTH];
    MPI_Status statuses[DEPTH];
    unsigned long round, i;
    size_t size;

    for (i = 0; i < CELLS; ++i) {
        one[i] = i + 1;
    }
    MPI_Win_lock_all(0, win);
    for (round = 0; round < rounds; ++round) {
        for (i = 0; i < DEPTH; ++i) {
            size = 1 + mix64(round * DEPTH + i) % SIZE;
            fill(out + i * SIZE, size, check_rank, round * DEPTH + i);
            MPI_Rput(out + i * SIZE, size, MPI_BYTE, right, mine + i * SIZE,
                     size, MPI_BYTE, win, &request[i]);
            travels(right, size);
        }
        MPI_Waitall(DEPTH, request, statuses);
        memset(out, 0xee, DEPTH * SIZE); /* locally complete */
        MPI_Win_flush(right, win);
        for (i = 0; i < DEPTH; ++i) {
            size = 1 + mix64(round * DEPTH + i) % SIZE;
            MPI_Rget(in + i * SIZE, size, MPI_BYTE, right, mine + i * SIZE,
                     size, MPI_BYTE, win, &request[i]);
            travels(right, size);
        }
        MPI_Waitall(DEPTH, request, statuses);
        for (i = 0; i < DEPTH; ++i) {
            size = 1 + mix64(round * DEPTH + i) % SIZE;
            verify("rput, rget", in + i * SIZE, size, check_rank,
                   round * DEPTH + i);
        }
        MPI_Raccumulate(one, CELLS, MPI_INT64_T, right, mine, CELLS,
                        MPI_INT64_T, MPI_REPLACE, win, &request[0]);
        MPI_Wait(&request[0], MPI_STATUS_IGNORE);
        MPI_Rget_accumulate(one, CELLS, MPI_INT64_T, old, CELLS, MPI_INT64_T,
                            right, mine, CELLS, MPI_INT64_T, MPI_SUM, win,
                            &request[0]);
        MPI_Wait(&request[0], MPI_STATUS_IGNORE);
        MPI_Win_flush(right, win);
        MPI_Rget(in, SIZE, MPI_BYTE, right, mine, SIZE, MPI_BYTE, win,
                 &request[0]);
        MPI_Wait(&request[0], MPI_STATUS_IGNORE);
        travels(right, 3 * SIZE);
        for (i = 0; i < CELLS; ++i) {
            if ((old[i] != one[i]) || (((int64_t *)in)[i] != 2 * one[i])) {
                complain("raccumulate, rget_accumulate", right, round, i);
                break;
            }
        }
    }
    MPI_Win_unlock_all(win);
    free(out);
    free(in);
    free(old);
    free(one);
}

int main(int argc, char **argv)
{
    size_t size;

    check_begin(&argc, &argv);
    right = (check_rank + 1) % check_size;
    left  = (check_rank + check_size - 1) % check_size;
    size  = HEAD + (size_t)LENGTH * check_size;
    if (check_size > WORDS - ORDER - 1) {
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    MPI_Win_allocate(size, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &memory, &win);
    exclusive(scaled(argc, argv, 120));
    shared(scaled(argc, argv, 1000));
    flush(scaled(argc, argv, 70));
    order(scaled(argc, argv, 500));
    tickets(scaled(argc, argv, 200));
    requests(scaled(argc, argv, 20));
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_free(&win);
    return check_end();
}
