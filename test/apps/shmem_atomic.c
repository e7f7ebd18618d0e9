/*
 * OpenSHMEM: atomic operations. One that returns nothing is done after
 * shmem_quiet, not before.
 *
 *   alone      every operation of every type on a word of the right neighbour
 *              that nobody else uses: old values and the result are exact, and
 *              the words beside it stay
 *   contended  all PEs work on the same words of all PEs. What must hold:
 *                add, inc          the exact sum
 *                fetch_add, _inc   each ticket is drawn once, in rising order
 *                compare_swap      a counter made of it loses nothing
 *                swap              what goes in comes out once, or stays
 *                or, and, xor      each PE owns bits; the old value says so
 *
 *   shmem_atomic [PERCENT]
 */
#include "shmem_check.h"

#include <mpi.h>

/* Open MPI 4.1 writes 8 bytes for the 4 that a compare_swap of int returns:
 * "stack smashing detected" in Debian 12, over any transport. */
#if defined(OMPI_MAJOR_VERSION) && (OMPI_MAJOR_VERSION < 5)
#define NARROW_CSWAP 0
#else
#define NARROW_CSWAP 1
#endif

static int right;

#define VALUE(_type, _i) ((_type)mix64(check_rank * 1000 + (_i)))

/* ---- alone */

#define IS(_what, _is, _expected) \
    expect((_is) == (_expected), _what)

/* {guard, word, guard}: the word next to it must not be touched */
#define WORD(_type) \
    static _type word[3]; \
    _type *p = &word[1], value = VALUE(_type, 1), more = VALUE(_type, 2); \
    _type guard = VALUE(_type, 3)

#define WORD_BEGIN() \
    word[0] = word[2] = guard; \
    word[1] = 0; \
    shmem_barrier_all()

#define WORD_END(_what) \
    shmem_barrier_all(); \
    expect((word[0] == guard) && (word[2] == guard), _what ": a neighbour"); \
    shmem_barrier_all()

#define SWAP_TEST(_name, _type) \
    static void swap_##_name(void) \
    { \
        WORD(_type); \
        \
        WORD_BEGIN(); \
        shmem_##_name##_atomic_set(p, value, right); \
        shmem_quiet(); \
        IS(#_name " set", shmem_##_name##_atomic_fetch(p, right), value); \
        IS(#_name " swap", shmem_##_name##_atomic_swap(p, more, right), \
           value); \
        IS(#_name " swap", shmem_##_name##_atomic_fetch(p, right), more); \
        WORD_END(#_name); \
    }

#define ADD_TEST(_name, _type) \
    SWAP_TEST(_name, _type) \
    static void add_##_name(void) \
    { \
        WORD(_type); \
        _type sum = value; \
        \
        WORD_BEGIN(); \
        shmem_##_name##_atomic_set(p, sum, right); \
        shmem_quiet(); \
        shmem_##_name##_atomic_add(p, more, right); \
        shmem_quiet(); \
        sum = (_type)((unsigned long)sum + (unsigned long)more); \
        IS(#_name " add", shmem_##_name##_atomic_fetch(p, right), sum); \
        shmem_##_name##_atomic_inc(p, right); \
        shmem_quiet(); \
        sum = (_type)((unsigned long)sum + 1); \
        IS(#_name " fetch_inc", shmem_##_name##_atomic_fetch_inc(p, right), \
           sum); \
        sum = (_type)((unsigned long)sum + 1); \
        IS(#_name " fetch_add", \
           shmem_##_name##_atomic_fetch_add(p, more, right), sum); \
        sum = (_type)((unsigned long)sum + (unsigned long)more); \
        if (NARROW_CSWAP || (sizeof(_type) == 8)) { \
            IS(#_name " cswap, other", \
               shmem_##_name##_atomic_compare_swap(p, (_type)~sum, value, \
                                                   right), sum); \
            IS(#_name " cswap, same", \
               shmem_##_name##_atomic_compare_swap(p, sum, value, right), \
               sum); \
            IS(#_name " cswap", shmem_##_name##_atomic_fetch(p, right), \
               value); \
        } \
        WORD_END(#_name); \
    }

#define BIT_TEST(_name, _type) \
    static void bit_##_name(void) \
    { \
        WORD(_type); \
        _type bits = value; \
        \
        WORD_BEGIN(); \
        shmem_##_name##_atomic_xor(p, value, right); \
        shmem_quiet(); \
        IS(#_name " xor", shmem_##_name##_atomic_fetch_xor(p, more, right), \
           bits); \
        bits ^= more; \
        IS(#_name " fetch_or", shmem_##_name##_atomic_fetch_or(p, value, right), \
           bits); \
        bits |= value; \
        IS(#_name " fetch_and", \
           shmem_##_name##_atomic_fetch_and(p, more, right), bits); \
        bits &= more; \
        shmem_##_name##_atomic_or(p, value, right); \
        shmem_quiet(); \
        bits |= value; \
        shmem_##_name##_atomic_and(p, guard, right); \
        shmem_quiet(); \
        bits &= guard; \
        IS(#_name " or, and", shmem_##_name##_atomic_fetch_xor(p, 0, right), \
           bits); \
        WORD_END(#_name); \
    }

#define FOREACH_ADD(_macro) \
    _macro(int, int) \
    _macro(long, long) \
    _macro(longlong, long long) \
    _macro(uint, unsigned int) \
    _macro(ulong, unsigned long) \
    _macro(ulonglong, unsigned long long)

#define FOREACH_BIT(_macro) \
    _macro(uint, unsigned int) \
    _macro(ulong, unsigned long) \
    _macro(ulonglong, unsigned long long) \
    _macro(int32, int32_t) \
    _macro(int64, int64_t) \
    _macro(uint32, uint32_t) \
    _macro(uint64, uint64_t)

FOREACH_ADD(ADD_TEST)
FOREACH_BIT(BIT_TEST)
SWAP_TEST(float, float)
SWAP_TEST(double, double)

#define ADD_CALL(_name, _type) swap_##_name(); add_##_name();
#define BIT_CALL(_name, _type) bit_##_name();

/* ---- contended */

/* Everybody adds to everybody, 32 and 64 bits side by side, without and with
 * the old value, while the owner adds as well. */
static void sums(unsigned long count)
{
    static struct {
        int  narrow[2];
        long wide;
    } sum;
    unsigned long i;
    int pe;

    for (i = 0; i < count; ++i) {
        pe = (check_rank + i) % check_size;
        shmem_int_atomic_add(&sum.narrow[0], 3, pe);
        shmem_int_atomic_inc(&sum.narrow[1], pe);
        shmem_long_atomic_add(&sum.wide, 0x100000001l, pe);
        if (i % 8 == 0) {
            shmem_long_atomic_fetch_add(&sum.wide, -0x100000001l, pe);
        }
    }
    shmem_barrier_all();
    /* the words of all PEs together: who got how many depends on count */
    if (check_rank == 0) {
        long narrow[2] = {0, 0}, wide = 0;

        for (pe = 0; pe < check_size; ++pe) {
            narrow[0] += shmem_int_g(&sum.narrow[0], pe);
            narrow[1] += shmem_int_g(&sum.narrow[1], pe);
            wide += shmem_long_g(&sum.wide, pe);
        }
        expect_long("sum of add, int", narrow[0], 3l * count * check_size);
        expect_long("sum of inc, int", narrow[1], (long)count * check_size);
        expect_long("sum of add, long", wide,
                    0x100000001l * (long)(count - (count + 7) / 8) *
                            check_size);
    }
    shmem_barrier_all();
    sum.narrow[0] = sum.narrow[1] = 0;
    sum.wide                      = 0;
    shmem_barrier_all();
}

/* Tickets come from one word of PE 0. drawn[t] says who has drawn ticket t. */
static void tickets(unsigned long count)
{
    static long next;
    long *drawn = symmetric_get(sizeof(*drawn) * count * check_size);
    long ticket, before = -1;
    unsigned long i;

    memset(drawn, 0, sizeof(*drawn) * count * check_size);
    shmem_barrier_all();
    for (i = 0; i < count; ++i) {
        ticket = (i & 1) ? shmem_long_atomic_fetch_inc(&next, 0) :
                           shmem_long_atomic_fetch_add(&next, 1, 0);
        expect((ticket > before) && (ticket < (long)(count * check_size)),
               "a ticket out of order");
        before = ticket;
        if ((ticket >= 0) && (ticket < (long)(count * check_size))) {
            shmem_long_atomic_add(&drawn[ticket], 1, 0);
        }
    }
    shmem_barrier_all();
    if (check_rank == 0) {
        expect_long("tickets", next, count * check_size);
        for (i = 0; i < count * check_size; ++i) {
            if (drawn[i] != 1) {
                expect_long("a ticket was drawn more or less than once",
                            drawn[i], 1);
            }
        }
        next = 0;
    }
    shmem_barrier_all();
    shmem_free(drawn);
}

static void compare_swaps(unsigned long count)
{
    static long counter;
    static int narrow;
    unsigned long i;
    long old, seen;
    int old32, seen32;

    for (i = 0; i < count; ++i) {
        old = shmem_long_atomic_fetch(&counter, 0);
        while ((seen = shmem_long_atomic_compare_swap(&counter, old, old + 1,
                                                      0)) != old) {
            /* it only grows: any other value is a torn or an old one */
            expect(seen > old, "compare_swap: went back");
            old = seen;
        }
        if (!NARROW_CSWAP) {
            continue;
        }
        old32 = shmem_int_atomic_fetch(&narrow, check_size - 1);
        while ((seen32 = shmem_int_atomic_compare_swap(&narrow, old32,
                                                       old32 + 1,
                                                       check_size - 1)) !=
               old32) {
            old32 = seen32;
        }
    }
    shmem_barrier_all();
    expect_long("compare_swap, long", shmem_long_g(&counter, 0),
                count * check_size);
    expect_long("compare_swap, int", shmem_int_g(&narrow, check_size - 1),
                NARROW_CSWAP * count * check_size);
    shmem_barrier_all();
    counter = 0;
    narrow  = 0;
    shmem_barrier_all();
}

/* Each value that was swapped in comes out at exactly one PE, or is the last. */
static void swaps(unsigned long count)
{
    static unsigned long word;
    unsigned long i, in = 0, out = 0;
    static unsigned long all_in, all_out;

    for (i = 0; i < count; ++i) {
        unsigned long value = mix64(check_rank * 1000000 + i);

        in += mix64(value);
        out += mix64(shmem_ulong_atomic_swap(&word, value, 0));
    }
    shmem_ulong_atomic_add(&all_in, in, 0);
    shmem_ulong_atomic_add(&all_out, out, 0);
    shmem_barrier_all();
    if (check_rank == 0) {
        expect(all_in + mix64(0) == all_out + mix64(word),
               "swap: a value was lost or came twice");
        word = all_in = all_out = 0;
    }
    shmem_barrier_all();
}

/* Each PE turns its own 8 bits of 64 on and off: others never change them. */
static void bits(unsigned long count)
{
    static uint64_t word;
    uint64_t mine = 0xffull << (8 * (check_rank % 8));
    uint64_t now  = 0, flip, old;
    unsigned long i;

    /* UCX 1.13's own `self` stores what was there before, so not the owner */
    if ((check_rank == 0) || (check_rank >= 8)) {
        count = 0;
    }
    for (i = 0; i < count; ++i) {
        flip = mix64(i) & mine;
        switch (i % 4) {
        case 0:
            old = shmem_uint64_atomic_fetch_xor(&word, flip, 0);
            expect((old & mine) == now, "fetch_xor: the old value");
            now ^= flip;
            break;
        case 1:
            shmem_uint64_atomic_or(&word, flip, 0);
            shmem_quiet();
            now |= flip;
            break;
        case 2:
            old = shmem_uint64_atomic_fetch_and(&word, ~flip, 0);
            expect((old & mine) == now, "fetch_and: the old value");
            now &= ~flip;
            break;
        default:
            old = shmem_uint64_atomic_fetch_or(&word, flip, 0);
            expect((old & mine) == now, "fetch_or: the old value");
            now |= flip;
            break;
        }
    }
    shmem_barrier_all();
    expect((shmem_uint64_g(&word, 0) & mine) == now, "bits: the last value");
    shmem_barrier_all();
}

int main(int argc, char **argv)
{
    check_begin();
    right = (check_rank + 1) % check_size;
    FOREACH_ADD(ADD_CALL)
    FOREACH_BIT(BIT_CALL)
    swap_float();
    swap_double();
    sums(scaled(argc, argv, 3000));
    tickets(scaled(argc, argv, 2000));
    compare_swaps(scaled(argc, argv, 500));
    swaps(scaled(argc, argv, 2000));
    bits(scaled(argc, argv, 2000));
    return check_end();
}
