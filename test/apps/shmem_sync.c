/*
 * OpenSHMEM: order, waiting, locks and collectives.
 *
 *   order        data, then a flag. Who sees the flag sees all of the data:
 *                  fence   put, put_nbi, p and atomics as data, a put or an
 *                          atomic as flag, same target
 *                  quiet   data at one PE, the flag at another, which gets the
 *                          data from the first
 *                The device delivers in any order (--reorder), so this holds
 *                only by what the transport waits for.
 *   wait         wait_until and test, every comparison
 *   locks        a counter without atomics, under set_lock; test_lock
 *   barriers     of all and of active sets, sync
 *   collectives  broadcast, collect, fcollect, alltoall(s), reductions; whole
 *                and every second PE; each element compared
 *
 *   shmem_sync [PERCENT [order]]    order: only this, and no atomics as data
 */
#include "shmem_check.h"

#include <time.h>

static int right, left;

static void travels(int pe, size_t size)
{
    check_bytes += (pe == check_rank) ? 0 : size;
}

/* ---- order */

enum { ORDER_SIZES = 7, ORDER_LARGEST = 200000, ORDER_LENGTH = 240000 };

static const size_t order_sizes[ORDER_SIZES] = {8, 33, 700, 8928, 9000, 20000,
                                                ORDER_LARGEST};

/* Without a call of the library, which would help the device on: time for
 * what is on its way to arrive in the wrong order. */
static void pause_us(long us)
{
    struct timespec begin, now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000000l +
                     (now.tv_nsec - begin.tv_nsec) / 1000 <
             us);
}

/* Data of a round: all sizes one after the other. Every round has other
 * content, so that what is left of the round before differs everywhere. */
static void order_fence(unsigned long rounds, int atomics)
{
    enum {
        WORDS = 16
    };
    static volatile long flag, taken;
    static long word[WORDS], sum;
    long seen[WORDS], seen_sum;
    uint8_t tail[64];
    uint8_t *target = symmetric_get(ORDER_LENGTH);
    uint8_t *source = private_get(ORDER_LENGTH);
    unsigned long round;
    size_t at, size, i;
    int s, how;

    flag = taken = sum = 0;
    shmem_barrier_all();
    for (round = 1; round <= rounds; ++round) {
        /* the largest is for every eighth round only */
        int last = (round % 8 == 0) ? ORDER_SIZES : ORDER_SIZES - 1;

        fill(source, ORDER_LENGTH, check_rank, round);
        for (s = 0, at = 0; s < last; ++s) {
            size = order_sizes[s];
            how  = (round + s) % 2;
            if (how) {
                shmem_putmem_nbi(target + at, source + at, size, right);
            } else {
                shmem_putmem(target + at, source + at, size, right);
            }
            travels(right, size);
            at += size;
        }
        for (i = 0; i < WORDS; ++i) {
            shmem_long_p(&word[i], round * WORDS + i, right);
        }
        if (atomics) {
            shmem_long_atomic_add(&sum, round, right);
        }
        shmem_fence();
        switch (round % 3) {
        case 0:
            shmem_long_p((long *)&flag, round, right);
            break;
        case 1:
            shmem_long_put((long *)&flag, (const long *)&round, 1, right);
            break;
        default:
            shmem_long_atomic_set((long *)&flag, round, right);
            break;
        }
        if ((round + check_rank) & 1) {
            pause_us(20);
        }

        shmem_long_wait_until(&flag, SHMEM_CMP_GE, round);
        /* at once, last things first: what is late comes any moment now */
        memcpy(seen, word, sizeof(seen));
        seen_sum = *(volatile long *)&sum;
        memcpy(tail, target + at - sizeof(tail), sizeof(tail));
        expect_long("fence: flag", flag, round);
        for (i = 0; i < WORDS; ++i) {
            expect_long("fence: word", seen[i], round * WORDS + i);
        }
        expect_long("fence: atomic", seen_sum,
                    atomics ? round * (round + 1) / 2 : 0);
        verify("fence: data", target, at, left, round);
        expect(memcmp(tail, target + at - sizeof(tail), sizeof(tail)) == 0,
               "fence: end of data");
        /* go on when the right one has looked; the source is free, too */
        shmem_quiet();
        shmem_long_p((long *)&taken, round, left);
        shmem_long_wait_until(&taken, SHMEM_CMP_GE, round);
    }
    shmem_barrier_all();
    free(source);
    shmem_free(target);
}

/* PE a puts to PE b, then tells PE c, which asks b. With two PEs c is a. */
static void order_quiet(unsigned long rounds)
{
    static volatile long flag;
    int further     = (right + 1) % check_size;
    int before      = (left + check_size - 1) % check_size;
    uint8_t *target = symmetric_get(ORDER_LENGTH);
    uint8_t *source = private_get(ORDER_LENGTH);
    uint8_t *back   = private_get(ORDER_LENGTH);
    unsigned long round;
    size_t size;

    flag = 0;
    shmem_barrier_all();
    for (round = 1; round <= rounds; ++round) {
        size = order_sizes[round % ORDER_SIZES];
        if (round % (8 * ORDER_SIZES) == ORDER_SIZES - 1) {
            size = ORDER_LARGEST;
        } else if (size == ORDER_LARGEST) {
            size = 300;
        }
        fill(source, size, check_rank, round);
        if (round & 1) {
            shmem_putmem_nbi(target, source, size, right);
        } else {
            shmem_putmem(target, source, size, right);
        }
        travels(right, size);
        shmem_quiet();
        shmem_long_p((long *)&flag, round, further);

        shmem_long_wait_until(&flag, SHMEM_CMP_EQ, round);
        /* what PE `before` put to `left` is complete there */
        shmem_getmem(back, target, size, left);
        travels(left, size);
        verify("quiet: data", back, size, before, round);
        shmem_barrier_all();
    }
    free(back);
    free(source);
    shmem_free(target);
}

#if (SHMEM_MAJOR_VERSION > 1) || (SHMEM_MINOR_VERSION >= 5)
static void put_signal(unsigned long rounds)
{
    static uint64_t signal;
    uint8_t *target = symmetric_get(ORDER_LARGEST);
    uint8_t *source = private_get(ORDER_LARGEST);
    unsigned long round;
    size_t size;

    signal = 0;
    shmem_barrier_all();
    for (round = 1; round <= rounds; ++round) {
        size = order_sizes[round % ORDER_SIZES];
        fill(source, size, check_rank, round);
        if (round & 1) {
            shmem_putmem_signal(target, source, size, &signal, round,
                                SHMEM_SIGNAL_SET, right);
        } else {
            shmem_putmem_signal_nbi(target, source, size, &signal, 1,
                                    SHMEM_SIGNAL_ADD, right);
        }
        travels(right, size);
        expect(shmem_signal_wait_until(&signal, SHMEM_CMP_GE, round) == round,
               "put_signal: the signal");
        verify("put_signal: data", target, size, left, round);
        shmem_barrier_all();
    }
    free(source);
    shmem_free(target);
}
#endif

/* ---- wait */

static const struct {
    int  cmp;
    long start, goal, bound;
} comparisons[] = {
    {SHMEM_CMP_EQ, 5, 9, 9},  {SHMEM_CMP_NE, 5, 6, 5}, {SHMEM_CMP_GT, 5, 8, 7},
    {SHMEM_CMP_GE, 5, 7, 7},  {SHMEM_CMP_LT, 5, 2, 3}, {SHMEM_CMP_LE, 5, -3, -3}
};

#define WAIT_TEST(_name, _type) \
    static void wait_##_name(void) \
    { \
        static volatile _type word; \
        size_t i; \
        int step; \
        \
        for (i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); ++i) { \
            for (step = 0; step < 2; ++step) { \
                int cmp    = comparisons[i].cmp; \
                _type to   = comparisons[i].bound + 10; \
                _type goal = comparisons[i].goal + 10; \
                \
                word = comparisons[i].start + 10; \
                expect(!shmem_##_name##_test(&word, cmp, to), \
                       #_name "_test: true too early"); \
                shmem_barrier_all(); \
                shmem_##_name##_p((_type*)&word, goal, right); \
                if (step == 0) { \
                    shmem_##_name##_wait_until(&word, cmp, to); \
                } else { \
                    /* shmem_test of Open MPI 4.1 alone polls nothing: what \
                     * comes as a message would never be seen */ \
                    while (!shmem_##_name##_test(&word, cmp, to)) { \
                        shmem_##_name##_g((_type*)&word, right); \
                    } \
                } \
                expect(word == goal, #_name "_wait_until: not this value"); \
                shmem_barrier_all(); \
            } \
        } \
    }

#define FOREACH_WAIT(_macro) \
    _macro(short, short) \
    _macro(int, int) \
    _macro(long, long) \
    _macro(longlong, long long) \
    _macro(ushort, unsigned short) \
    _macro(uint, unsigned int) \
    _macro(ulong, unsigned long) \
    _macro(ulonglong, unsigned long long) \
    _macro(int32, int32_t) \
    _macro(int64, int64_t) \
    _macro(uint32, uint32_t) \
    _macro(uint64, uint64_t) \
    _macro(size, size_t) \
    _macro(ptrdiff, ptrdiff_t)

FOREACH_WAIT(WAIT_TEST)

#define WAIT_CALL(_name, _type) wait_##_name();

/* ---- locks: the counter is read, changed and written by plain get and put */

static void locks(unsigned long count)
{
    static long lock[2], guarded[2], owner[2];
    unsigned long i;
    long seen;
    int which, home;

    for (i = 0; i < count; ++i) {
        which = i & 1;
        home  = which ? check_size - 1 : 0;
        shmem_set_lock(&lock[which]);
        expect_long("lock: somebody else is in",
                    shmem_long_g(&owner[which], home), 0);
        shmem_long_p(&owner[which], check_rank + 1, home);
        seen = shmem_long_g(&guarded[which], home);
        shmem_long_p(&guarded[which], seen + 1, home);
        shmem_quiet();
        expect_long("lock: somebody else came in",
                    shmem_long_g(&owner[which], home), check_rank + 1);
        shmem_long_p(&owner[which], 0, home);
        shmem_quiet();
        shmem_clear_lock(&lock[which]);
    }
    shmem_barrier_all();
    expect_long("lock: counter at the first", shmem_long_g(&guarded[0], 0),
                (long)((count + 1) / 2) * check_size);
    expect_long("lock: counter at the last",
                shmem_long_g(&guarded[1], check_size - 1),
                (long)(count / 2) * check_size);
    shmem_barrier_all();

    /* In turn only: with Open MPI 4.1 test_lock against others never ends,
     * over any transport */
    for (which = 0; which < check_size; ++which) {
        if (which == check_rank) {
            expect(shmem_test_lock(&lock[0]) == 0, "test_lock: it was free");
        }
        shmem_barrier_all();
        if (right == which) {
            expect(shmem_test_lock(&lock[0]) != 0, "test_lock: it was held");
        }
        shmem_barrier_all();
        if (which == check_rank) {
            shmem_clear_lock(&lock[0]);
        }
        shmem_barrier_all();
    }
}

/* ---- barriers */

/* The active set of a call: all PEs, or every second one */
typedef struct {
    int start, log_stride, size, mine; /* mine: this PE is in it */
} set_t;

#define MAX_SYNC 64

/* A call's own: two in a row must not use the same. Static, so symmetric. */
static long sync_words[4][MAX_SYNC];
static int sync_next;

static long *sync_get(void)
{
    return sync_words[sync_next++ % 4];
}

static int set_pe(const set_t *set, int index)
{
    return set->start + (index << set->log_stride);
}

static void barriers(const set_t *set, unsigned long rounds)
{
    static volatile long seen[CHECK_MAX_PES];
    unsigned long round;
    int i;

    shmem_barrier_all();
    for (i = 0; i < check_size; ++i) {
        seen[i] = -1;
    }
    shmem_barrier_all();
    for (round = 0; set->mine && (round < rounds); ++round) {
        for (i = 0; i < set->size; ++i) {
            shmem_long_p((long *)&seen[check_rank], round, set_pe(set, i));
        }
        switch ((set->size < check_size) ? 2 + round % 2 : round % 4) {
        case 0:
            shmem_barrier_all();
            break;
        case 1:
            shmem_quiet();
            shmem_sync_all();
            break;
        case 2:
            shmem_barrier(set->start, set->log_stride, set->size, sync_get());
            break;
        default:
            shmem_quiet();
            shmem_sync(set->start, set->log_stride, set->size, sync_get());
            break;
        }
        for (i = 0; i < set->size; ++i) {
            /* may be of the next round already */
            long value = seen[set_pe(set, i)];

            expect((value == (long)round) || (value == (long)round + 1),
                   "barrier: a put before it is missing");
        }
    }
    shmem_barrier_all();
}

/* ---- collectives */

static int64_t value(int pe, uint64_t op, size_t i)
{
    return (int64_t)(mix64((op * 1000003 + i) * 64 + pe) % 1000000) - 500000;
}

static void expect_value(const char *what, int64_t is, int pe, uint64_t op,
                         size_t i)
{
    if (is != value(pe, op, i)) {
        complain(what, pe, op, i);
    }
}

static void expect_value32(const char *what, int32_t is, int pe, uint64_t op,
                           size_t i)
{
    if (is != (int32_t)value(pe, op, i)) {
        complain(what, pe, op, i);
    }
}

static int64_t *in64, *out64;
static int32_t *in32, *out32;

static void set_values(uint64_t op, size_t n)
{
    size_t i;

    for (i = 0; i < n; ++i) {
        in64[i]  = value(check_rank, op, i);
        in32[i]  = value(check_rank, op, i);
        out64[i] = -1;
        out32[i] = -1;
    }
    shmem_barrier_all();
}

static void moves(const set_t *set, uint64_t op, size_t n)
{
    int root = op % set->size, k, index = -1;
    size_t i, at, mine;

    for (k = 0; k < set->size; ++k) {
        index = (set_pe(set, k) == check_rank) ? k : index;
    }
    mine = index + 1 + op % 3;

    set_values(op, n * set->size * 2);
    if (set->mine) {
        shmem_broadcast64(out64, in64, n, root, set->start, set->log_stride,
                          set->size, sync_get());
        shmem_broadcast32(out32, in32, n, root, set->start, set->log_stride,
                          set->size, sync_get());
        for (i = 0; i < n; ++i) {
            if (index == root) { /* not written at the root */
                expect((out64[i] == -1) && (out32[i] == -1),
                       "broadcast: wrote at the root");
            } else {
                expect_value("broadcast64", out64[i], set_pe(set, root), op, i);
                expect_value32("broadcast32", out32[i], set_pe(set, root), op,
                               i);
            }
        }
        expect((out64[n] == -1) && (out32[n] == -1), "broadcast: too much");
    }
    shmem_barrier_all();

    set_values(op + 1, n * set->size * 2);
    if (set->mine) {
        shmem_fcollect64(out64, in64, n, set->start, set->log_stride, set->size,
                         sync_get());
        shmem_fcollect32(out32, in32, n, set->start, set->log_stride, set->size,
                         sync_get());
        for (k = 0; k < set->size; ++k) {
            for (i = 0; i < n; ++i) {
                expect_value("fcollect64", out64[k * n + i], set_pe(set, k),
                             op + 1, i);
                expect_value32("fcollect32", out32[k * n + i], set_pe(set, k),
                               op + 1, i);
            }
        }
        expect((out64[n * k] == -1) && (out32[n * k] == -1),
               "fcollect: too much");
    }
    shmem_barrier_all();

    /* collect: each PE another length */
    set_values(op + 2, n * set->size * 2 + 100);
    if (set->mine) {
        shmem_collect64(out64, in64, mine, set->start, set->log_stride,
                        set->size, sync_get());
        shmem_collect32(out32, in32, mine, set->start, set->log_stride,
                        set->size, sync_get());
        for (k = 0, at = 0; k < set->size; ++k) {
            for (i = 0; i < k + 1 + op % 3; ++i, ++at) {
                expect_value("collect64", out64[at], set_pe(set, k), op + 2, i);
                expect_value32("collect32", out32[at], set_pe(set, k), op + 2,
                               i);
            }
        }
        expect((out64[at] == -1) && (out32[at] == -1), "collect: too much");
    }
    shmem_barrier_all();

    set_values(op + 3, n * set->size * 2);
    if (set->mine) {
        shmem_alltoall64(out64, in64, n, set->start, set->log_stride, set->size,
                         sync_get());
        shmem_alltoall32(out32, in32, n, set->start, set->log_stride, set->size,
                         sync_get());
        for (k = 0; k < set->size; ++k) {
            for (i = 0; i < n; ++i) {
                expect_value("alltoall64", out64[k * n + i], set_pe(set, k),
                             op + 3, index * n + i);
                expect_value32("alltoall32", out32[k * n + i], set_pe(set, k),
                               op + 3, index * n + i);
            }
        }
    }
    shmem_barrier_all();

    /* every second element here from every second there */
    set_values(op + 4, n * set->size * 2);
    if (set->mine) {
        shmem_alltoalls64(out64, in64, 2, 2, n, set->start, set->log_stride,
                          set->size, sync_get());
        for (k = 0; k < set->size; ++k) {
            for (i = 0; i < n; ++i) {
                expect_value("alltoalls64", out64[2 * (k * n + i)],
                             set_pe(set, k), op + 4, 2 * (index * n + i));
                expect(out64[2 * (k * n + i) + 1] == -1,
                       "alltoalls64: wrote between");
            }
        }
    }
    shmem_barrier_all();
}

/* Reductions: the same fold, alone. Numbers whose sum is no overflow: Open MPI
 * saturates those of short with AVX, and not without. */
#define REDUCED(_type, _pe) ((_type)(value(_pe, op, i) % 4000))

#define REDUCE_TEST(_name, _type, _op, _start, _fold) \
    static void reduce_##_name##_##_op(const set_t *set, uint64_t op, size_t n) \
    { \
        static _type in[300], out[300], work[300]; \
        size_t i; \
        int k; \
        \
        for (i = 0; i < n; ++i) { \
            in[i]  = REDUCED(_type, check_rank); \
            out[i] = 0; \
        } \
        shmem_barrier_all(); \
        if (set->mine) { \
            shmem_##_name##_##_op##_to_all(out, in, n, set->start, \
                                           set->log_stride, set->size, work, \
                                           sync_get()); \
            for (i = 0; i < n; ++i) { \
                _type a = _start, b; \
                \
                for (k = 0; k < set->size; ++k) { \
                    b = REDUCED(_type, set_pe(set, k)); \
                    a = (_type)(_fold); \
                } \
                if (out[i] != a) { \
                    complain(#_name "_" #_op, 0, op, i); \
                    break; \
                } \
            } \
        } \
        shmem_barrier_all(); \
    }

#define INTEGER_TESTS(_name, _type) \
    REDUCE_TEST(_name, _type, and, -1, a & b) \
    REDUCE_TEST(_name, _type, or, 0, a | b) \
    REDUCE_TEST(_name, _type, xor, 0, a ^ b) \
    REDUCE_TEST(_name, _type, sum, 0, (unsigned long)a + (unsigned long)b) \
    REDUCE_TEST(_name, _type, prod, 1, (unsigned long)a * (unsigned long)b) \
    REDUCE_TEST(_name, _type, max, (_type)(1ull << (8 * sizeof(a) - 1)), \
                (a > b) ? a : b) \
    REDUCE_TEST(_name, _type, min, (_type)~(1ull << (8 * sizeof(a) - 1)), \
                (a < b) ? a : b)

/* Sums and products of few whole numbers: exact */
#define FLOAT_TESTS(_name, _type) \
    REDUCE_TEST(_name, _type, max, -1e9, (a > b) ? a : b) \
    REDUCE_TEST(_name, _type, min, 1e9, (a < b) ? a : b) \
    REDUCE_TEST(_name, _type, sum, 0, a + b)

INTEGER_TESTS(short, short)
INTEGER_TESTS(int, int)
INTEGER_TESTS(long, long)
INTEGER_TESTS(longlong, long long)
FLOAT_TESTS(float, float)
FLOAT_TESTS(double, double)
FLOAT_TESTS(longdouble, long double)

#define INTEGER_CALLS(_name) \
    reduce_##_name##_and(set, op, n); \
    reduce_##_name##_or(set, op, n); \
    reduce_##_name##_xor(set, op, n); \
    reduce_##_name##_sum(set, op, n); \
    reduce_##_name##_prod(set, op, n); \
    reduce_##_name##_max(set, op, n); \
    reduce_##_name##_min(set, op, n)

#define FLOAT_CALLS(_name) \
    reduce_##_name##_max(set, op, n); \
    reduce_##_name##_min(set, op, n); \
    reduce_##_name##_sum(set, op, n)

static void reductions(const set_t *set, uint64_t op, size_t n)
{
    INTEGER_CALLS(short);
    INTEGER_CALLS(int);
    INTEGER_CALLS(long);
    INTEGER_CALLS(longlong);
    FLOAT_CALLS(float);
    FLOAT_CALLS(double);
    FLOAT_CALLS(longdouble);
}

static void collectives(unsigned long rounds)
{
    enum {
        LARGEST = 20000
    };
    static const size_t lengths[] = {1, 7, 100, 1117, LARGEST};
    set_t sets[3]                 = {{0, 0, check_size, 1},
                                     {0, 1, (check_size + 1) / 2, check_rank % 2 == 0},
                                     {1, 1, check_size / 2, check_rank % 2 == 1}};
    size_t room = sizeof(int64_t) * 2 * (LARGEST + 100) * check_size;
    unsigned long round;
    uint64_t op = 0;
    unsigned l;
    int s;

    in64  = symmetric_get(room);
    out64 = symmetric_get(room);
    in32  = symmetric_get(room / 2);
    out32 = symmetric_get(room / 2);
    for (s = 0; s < 3; ++s) {
        barriers(&sets[s], rounds * 20);
        for (l = 0; l < sizeof(lengths) / sizeof(lengths[0]); ++l) {
            for (round = 0;
                 round < ((lengths[l] == LARGEST) ? rounds / 5 + 1 : rounds);
                 ++round, op += 10) {
                moves(&sets[s], op, lengths[l]);
            }
        }
        reductions(&sets[s], op += 10, 300);
        for (round = 0; round < rounds; ++round, op += 10) {
            reductions(&sets[s], op, 1 + op % 16);
        }
    }
    shmem_free(in64);
    shmem_free(out64);
    shmem_free(in32);
    shmem_free(out32);
}

int main(int argc, char **argv)
{
    int i;

    check_begin();
    right = (check_rank + 1) % check_size;
    left  = (check_rank + check_size - 1) % check_size;
    for (i = 0; i < 4 * MAX_SYNC; ++i) {
        sync_words[i / MAX_SYNC][i % MAX_SYNC] = SHMEM_SYNC_VALUE;
    }
    shmem_barrier_all();

    if ((argc > 2) && (strcmp(argv[2], "order") == 0)) {
        order_fence(scaled(argc, argv, 800), 0);
        order_quiet(scaled(argc, argv, 400));
        return check_end();
    }
    order_fence(scaled(argc, argv, 400), 1);
    order_quiet(scaled(argc, argv, 400));
#if (SHMEM_MAJOR_VERSION > 1) || (SHMEM_MINOR_VERSION >= 5)
    put_signal(scaled(argc, argv, 200));
#endif
    FOREACH_WAIT(WAIT_CALL)
    locks(scaled(argc, argv, 200));
    collectives(scaled(argc, argv, 4));
    return check_end();
}
