/*
 * OpenSHMEM: memory and one-sided copies. Every byte that arrives is compared,
 * and every byte around it that nobody was to write.
 *
 *   layout     all sizes lie one after the other, with gaps between them, so
 *              that each starts at another alignment:
 *              | gap | size 0 | gap | size 1 | gap | ...
 *   sections   sizes: put, get, blocking and not, heap and static memory
 *              types: every typed and sized variant, single elements, strided
 *              storm: many outstanding at once, to all PEs
 *              contexts; heap: malloc, calloc, align, realloc, shmem_ptr
 *
 *   shmem_rma [PERCENT]
 */
#include "shmem_check.h"

#define NUM(_a)  (sizeof(_a) / sizeof((_a)[0]))

static int right, left;

static void travels(int pe, size_t size)
{
    check_bytes += (pe == check_rank) ? 0 : size;
}

/* ---- sizes */

static const size_t sizes[] = {
    1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 127,
    128, 191, 192, 193, 255, 256, 257, 1000, 1023, 1024, 1025, 4095, 4096, 4097,
    8191, 8192, 8193, 8927, 8928, 8929, 16384, 17855, 17856, 17857, 65535,
    65536, 65537, 262144, 1048575, 1048576, 1048577, 4194304
};

static size_t place_of[NUM(sizes)], total;

/* Up to and including the last */
static void sizes_fill(uint8_t *area, size_t last, int from, uint64_t number)
{
    area_fill(area, sizes, place_of, last + 1, from, number);
}

static void sizes_verify(const char *what, const uint8_t *area, size_t last,
                         int from, uint64_t number)
{
    area_verify(what, area, sizes, place_of, last + 1, from, number);
}

/* `target` and `source` are symmetric and hold sizes[0 .. last], `here` is
 * private. Everybody works on the PE `distance` to the right. */
static void sizes_move(const char *what, uint8_t *target, uint8_t *source,
                       uint8_t *here, size_t last, int distance, int nbi,
                       uint64_t number)
{
    int to   = (check_rank + distance) % check_size;
    int from = (check_rank + check_size - distance) % check_size;
    size_t i;

    /* from private memory, which the transport has to register, then from
     * symmetric memory */
    sizes_fill(here, last, check_rank, number);
    memset(target, GAP_BYTE, place_of[last] + sizes[last] + 16);
    shmem_barrier_all();
    for (i = 0; i <= last; ++i) {
        if (nbi) {
            shmem_putmem_nbi(target + place_of[i], here + place_of[i], sizes[i],
                             to);
        } else {
            shmem_putmem(target + place_of[i], here + place_of[i], sizes[i],
                         to);
            /* the source is mine again */
            memset(here + place_of[i], 0xee, sizes[i]);
        }
        travels(to, sizes[i]);
    }
    shmem_barrier_all();
    sizes_verify(what, target, last, from, number);

    number += 1000;
    sizes_fill(source, last, check_rank, number);
    memset(here, GAP_BYTE, place_of[last] + sizes[last] + 16);
    shmem_barrier_all();
    for (i = 0; i <= last; ++i) {
        if (nbi) {
            shmem_getmem_nbi(here + place_of[i], source + place_of[i], sizes[i],
                             to);
        } else {
            shmem_getmem(here + place_of[i], source + place_of[i], sizes[i],
                         to);
            verify(what, here + place_of[i], sizes[i], to, number + i);
        }
        travels(to, sizes[i]);
    }
    shmem_quiet();
    sizes_verify(what, here, last, to, number);
    shmem_barrier_all();

    number += 1000;
    sizes_fill(source, last, check_rank, number);
    memset(target, GAP_BYTE, place_of[last] + sizes[last] + 16);
    shmem_barrier_all();
    for (i = 0; i <= last; ++i) {
        if (nbi) {
            shmem_putmem_nbi(target + place_of[i], source + place_of[i],
                             sizes[i], to);
        } else {
            shmem_putmem(target + place_of[i], source + place_of[i], sizes[i],
                         to);
        }
        travels(to, sizes[i]);
    }
    shmem_barrier_all();
    sizes_verify(what, target, last, from, number);
}

static uint8_t static_target[100000], static_source[100000];

static void sizes_all(void)
{
    uint8_t *target, *source, *here;
    size_t last = 0;
    int distance;

    total  = area_lay_out(sizes, place_of, NUM(sizes));
    target = symmetric_get(total);
    source = symmetric_get(total);
    here   = private_get(total);
    while (place_of[last + 1] + sizes[last + 1] + 16 < sizeof(static_target)) {
        ++last;
    }
    for (distance = 0; distance < check_size; ++distance) {
        /* The largest go to the neighbour only */
        sizes_move("heap, blocking", target, source, here,
                   NUM(sizes) - ((distance == 1) ? 1 : 5), distance, 0,
                   distance * 100000);
        sizes_move("heap, nonblocking", target, source, here,
                   NUM(sizes) - ((distance == 1) ? 1 : 5), distance, 1,
                   distance * 100000 + 10000);
        sizes_move("static, blocking", static_target, static_source, here, last,
                   distance, 0, distance * 100000 + 20000);
        sizes_move("static, nonblocking", static_target, static_source, here,
                   last, distance, 1, distance * 100000 + 30000);
    }
    free(here);
    shmem_free(source);
    shmem_free(target);
}

/* ---- types */

#define ELEMENTS 33
#define STRIDED  11 /* elements moved with strides: 0, 3, 6 .. and 0, 2, 4 .. */


/* Value number i of PE pe, in any arithmetic type */
#define VALUE(_type, _pe, _i) ((_type)mix64((_pe) * 1000 + (_i)))

#define TYPE_RESET(_name, _type) \
    for (i = 0; i < ELEMENTS; ++i) { \
        _name##_target[i] = (_type)77; \
        _name##_source[i] = VALUE(_type, check_rank, i); \
    } \
    shmem_barrier_all()

#define TYPE_COMPLAIN(_what, _is, _expected) \
    if ((_is) != (_expected)) { \
        complain(_what, 0, 0, i); \
        break; \
    }

#define TYPE_TEST(_name, _type) \
    static _type _name##_target[ELEMENTS], _name##_source[ELEMENTS]; \
    static void type_##_name(void) \
    { \
        _type back[ELEMENTS]; \
        size_t i; \
        \
        TYPE_RESET(_name, _type); \
        for (i = 0; i < ELEMENTS; ++i) { \
            shmem_##_name##_p(&_name##_target[i], _name##_source[i], right); \
        } \
        shmem_barrier_all(); \
        for (i = 0; i < ELEMENTS; ++i) { \
            TYPE_COMPLAIN(#_name "_p", _name##_target[i], \
                          VALUE(_type, left, i)); \
        } \
        for (i = 0; i < ELEMENTS; ++i) { \
            TYPE_COMPLAIN(#_name "_g", \
                          shmem_##_name##_g(&_name##_source[i], right), \
                          VALUE(_type, right, i)); \
        } \
        TYPE_RESET(_name, _type); \
        shmem_##_name##_put(_name##_target + 1, _name##_source + 1, \
                            ELEMENTS - 17, right); \
        shmem_##_name##_put_nbi(_name##_target + ELEMENTS - 15, \
                                _name##_source + ELEMENTS - 15, 14, right); \
        shmem_barrier_all(); \
        for (i = 0; i < ELEMENTS; ++i) { \
            TYPE_COMPLAIN(#_name "_put", _name##_target[i], \
                          ((i == 0) || (i == ELEMENTS - 16) || \
                           (i == ELEMENTS - 1)) ? \
                          (_type)77 : VALUE(_type, left, i)); \
            back[i] = (_type)77; \
        } \
        shmem_##_name##_get(back + 1, _name##_source + 1, ELEMENTS - 17, \
                            right); \
        shmem_##_name##_get_nbi(back + ELEMENTS - 15, \
                                _name##_source + ELEMENTS - 15, 14, right); \
        shmem_quiet(); \
        for (i = 0; i < ELEMENTS; ++i) { \
            TYPE_COMPLAIN(#_name "_get", back[i], \
                          ((i == 0) || (i == ELEMENTS - 16) || \
                           (i == ELEMENTS - 1)) ? \
                          (_type)77 : VALUE(_type, right, i)); \
            back[i] = (_type)77; \
        } \
        TYPE_RESET(_name, _type); \
        shmem_##_name##_iput(_name##_target, _name##_source, 3, 2, STRIDED, \
                             right); \
        shmem_##_name##_iget(back, _name##_source, 2, 3, STRIDED, right); \
        shmem_barrier_all(); \
        for (i = 0; i < ELEMENTS; ++i) { \
            TYPE_COMPLAIN(#_name "_iput", _name##_target[i], \
                          ((i % 3) != 0) ? \
                          (_type)77 : VALUE(_type, left, i / 3 * 2)); \
        } \
        for (i = 0; i < ELEMENTS; ++i) { \
            TYPE_COMPLAIN(#_name "_iget", back[i], \
                          (((i % 2) != 0) || (i >= 2 * STRIDED)) ? \
                          (_type)77 : VALUE(_type, right, i / 2 * 3)); \
        } \
        travels(right, sizeof(_type) * 4 * (ELEMENTS - 3)); \
    }

#define FOREACH_TYPE(_macro) \
    _macro(char, char) \
    _macro(short, short) \
    _macro(int, int) \
    _macro(long, long) \
    _macro(longlong, long long) \
    _macro(schar, signed char) \
    _macro(uchar, unsigned char) \
    _macro(ushort, unsigned short) \
    _macro(uint, unsigned int) \
    _macro(ulong, unsigned long) \
    _macro(ulonglong, unsigned long long) \
    _macro(float, float) \
    _macro(double, double) \
    _macro(longdouble, long double) \
    _macro(int8, int8_t) \
    _macro(int16, int16_t) \
    _macro(int32, int32_t) \
    _macro(int64, int64_t) \
    _macro(uint8, uint8_t) \
    _macro(uint16, uint16_t) \
    _macro(uint32, uint32_t) \
    _macro(uint64, uint64_t) \
    _macro(size, size_t) \
    _macro(ptrdiff, ptrdiff_t)

FOREACH_TYPE(TYPE_TEST)

/* The variants that know a size only; content as bytes. Strides: every third
 * element here, every second there. */
#define SIZED_TEST(_bits) \
    static void sized_##_bits(void) \
    { \
        enum { BYTES = _bits / 8, LENGTH = ELEMENTS * BYTES }; \
        static uint64_t target_words[LENGTH / 8 + 2]; \
        static uint64_t source_words[LENGTH / 8 + 2]; \
        uint64_t back_words[LENGTH / 8 + 2]; \
        uint8_t *target = (uint8_t*)target_words; \
        uint8_t *source = (uint8_t*)source_words; \
        uint8_t *back   = (uint8_t*)back_words; \
        uint8_t from_left[LENGTH], from_right[LENGTH]; \
        size_t i; \
        \
        fill(source, LENGTH, check_rank, _bits); \
        fill(from_left, LENGTH, left, _bits); \
        fill(from_right, LENGTH, right, _bits); \
        memset(target, GAP_BYTE, LENGTH); \
        memset(back, GAP_BYTE, LENGTH); \
        shmem_barrier_all(); \
        shmem_put##_bits(target, source, 20, right); \
        shmem_put##_bits##_nbi(target + 20 * BYTES, source + 20 * BYTES, 12, \
                               right); \
        shmem_get##_bits(back, source, 20, right); \
        shmem_get##_bits##_nbi(back + 20 * BYTES, source + 20 * BYTES, 12, \
                               right); \
        shmem_barrier_all(); \
        verify("put" #_bits, target, 32 * BYTES, left, _bits); \
        verify("get" #_bits, back, 32 * BYTES, right, _bits); \
        verify_byte("put" #_bits, target + 32 * BYTES, BYTES, GAP_BYTE); \
        verify_byte("get" #_bits, back + 32 * BYTES, BYTES, GAP_BYTE); \
        memset(target, GAP_BYTE, LENGTH); \
        memset(back, GAP_BYTE, LENGTH); \
        shmem_barrier_all(); \
        shmem_iput##_bits(target, source, 3, 2, STRIDED, right); \
        shmem_iget##_bits(back, source, 2, 3, STRIDED, right); \
        shmem_barrier_all(); \
        for (i = 0; i < ELEMENTS; ++i) { \
            if (i % 3 != 0) { \
                verify_byte("iput" #_bits, target + i * BYTES, BYTES, \
                            GAP_BYTE); \
            } else { \
                expect(memcmp(target + i * BYTES, \
                              from_left + i / 3 * 2 * BYTES, BYTES) == 0, \
                       "iput" #_bits); \
            } \
            if ((i % 2 != 0) || (i >= 2 * STRIDED)) { \
                verify_byte("iget" #_bits, back + i * BYTES, BYTES, GAP_BYTE); \
            } else { \
                expect(memcmp(back + i * BYTES, \
                              from_right + i / 2 * 3 * BYTES, BYTES) == 0, \
                       "iget" #_bits); \
            } \
        } \
        shmem_barrier_all(); \
        travels(right, 64 * BYTES); \
    }

#define FOREACH_SIZE(_macro) \
    _macro(16) _macro(32) _macro(64) _macro(128)

FOREACH_SIZE(SIZED_TEST)

#define TYPE_CALL(_name, _type) type_##_name();
#define SIZED_CALL(_bits)       sized_##_bits();

/* ---- storm: the slot of (sender, number) is the sender's own */

static void storm(unsigned long count)
{
    enum {
        SLOT = 4096
    };
    uint8_t *target = symmetric_get(count * SLOT * check_size);
    uint8_t *source = private_get(count * SLOT);
    unsigned long i;
    int pe;

    for (i = 0; i < count; ++i) {
        fill(source + i * SLOT, mix64(i) % SLOT, check_rank, i);
    }
    shmem_barrier_all();
    for (i = 0; i < count; ++i) {
        pe = mix64(i * 64 + check_rank) % check_size;
        shmem_putmem_nbi(target + (count * check_rank + i) * SLOT,
                         source + i * SLOT, mix64(i) % SLOT, pe);
        travels(pe, mix64(i) % SLOT);
    }
    shmem_quiet();
    shmem_barrier_all();
    for (pe = 0; pe < check_size; ++pe) {
        for (i = 0; i < count; ++i) {
            uint8_t *slot = target + (count * pe + i) * SLOT;
            size_t size   = mix64(i) % SLOT;

            if (mix64(i * 64 + pe) % check_size != (uint64_t)check_rank) {
                size = 0;
            }
            verify("storm of puts", slot, size, pe, i);
            verify_byte("storm of puts", slot + size, SLOT - size, GAP_BYTE);
        }
    }
    shmem_barrier_all();

    /* what was put here is fetched back */
    memset(source, GAP_BYTE, count * SLOT);
    for (i = 0; i < count; ++i) {
        pe = mix64(i * 64 + check_rank) % check_size;
        shmem_getmem_nbi(source + i * SLOT,
                         target + (count * check_rank + i) * SLOT,
                         mix64(i) % SLOT, pe);
        travels(pe, mix64(i) % SLOT);
    }
    shmem_quiet();
    for (i = 0; i < count; ++i) {
        verify("storm of gets", source + i * SLOT, mix64(i) % SLOT, check_rank,
               i);
        verify_byte("storm of gets", source + i * SLOT + mix64(i) % SLOT,
                    SLOT - mix64(i) % SLOT, GAP_BYTE);
    }
    shmem_barrier_all();
    free(source);
    shmem_free(target);
}

/* ---- contexts: what one context completes is there, whatever others do */

static void contexts(unsigned long rounds)
{
    enum {
        LENGTH   = 3000,
        CONTEXTS = 3
    };
    static const long options[CONTEXTS] = {0, SHMEM_CTX_SERIALIZED,
                                           SHMEM_CTX_PRIVATE};
    shmem_ctx_t ctx[CONTEXTS];
    uint8_t *target = symmetric_get(CONTEXTS * LENGTH);
    uint8_t source[CONTEXTS][LENGTH], back[LENGTH];
    unsigned long round;
    int c;

    for (c = 0; c < CONTEXTS; ++c) {
        if (shmem_ctx_create(options[c], &ctx[c]) != 0) {
            expect(0, "shmem_ctx_create failed");
            shmem_global_exit(3);
        }
    }
    shmem_barrier_all();
    for (round = 0; round < rounds; ++round) {
        for (c = 0; c < CONTEXTS; ++c) {
            fill(source[c], LENGTH, check_rank, round * CONTEXTS + c);
            shmem_ctx_putmem_nbi(ctx[c], target + c * LENGTH, source[c], LENGTH,
                                 right);
            travels(right, LENGTH);
        }
        for (c = CONTEXTS - 1; c >= 0; --c) {
            shmem_ctx_quiet(ctx[c]);
            /* complete at the target: a get through another context sees it */
            shmem_ctx_getmem(ctx[(c + 1) % CONTEXTS], back, target + c * LENGTH,
                             LENGTH, right);
            verify("context", back, LENGTH, check_rank, round * CONTEXTS + c);
            travels(right, LENGTH);
        }
        shmem_barrier_all();
        for (c = 0; c < CONTEXTS; ++c) {
            verify("context", target + c * LENGTH, LENGTH, left,
                   round * CONTEXTS + c);
        }
        shmem_barrier_all();
    }
    for (c = 0; c < CONTEXTS; ++c) {
        shmem_ctx_destroy(ctx[c]);
    }
    shmem_free(target);
}

/* ---- heap */

static void heap(void)
{
    enum {
        BLOCKS = 40
    };
    uint8_t *block[BLOCKS], *direct, local = 0;
    size_t size[BLOCKS];
    int i, pass;

    for (pass = 0; pass < 2; ++pass) {
        for (i = 0; i < BLOCKS; ++i) {
            size[i] = 1 + mix64(i + pass * 100) % 60000;
            switch (i % 3) {
            case 0:
                block[i] = symmetric_get(size[i]);
                break;
            case 1:
                block[i] = shmem_calloc(size[i], 1);
                expect(block[i] != NULL, "shmem_calloc failed");
                verify_byte("shmem_calloc", block[i], size[i], 0);
                break;
            default:
                block[i] = shmem_align(64 << (i % 7), size[i]);
                expect(((uintptr_t)block[i] % (64 << (i % 7))) == 0,
                       "shmem_align: not aligned");
                break;
            }
            fill(block[i], size[i], check_rank, i);
        }
        shmem_barrier_all();
        /* blocks are apart, and the same one has the same name everywhere */
        for (i = 0; i < BLOCKS; ++i) {
            uint8_t *back = private_get(size[i]);

            expect(shmem_addr_accessible(block[i], right),
                   "heap is not accessible");
            shmem_getmem(back, block[i], size[i], right);
            verify("heap", back, size[i], right, i);
            travels(right, size[i]);
            free(back);
        }
        shmem_barrier_all();
        for (i = 0; i < BLOCKS; i += 2) {
            block[i] = shmem_realloc(block[i], size[i] * 2);
            verify("shmem_realloc", block[i], size[i], check_rank, i);
            shmem_putmem(block[i] + size[i], block[i], size[i], right);
            travels(right, size[i]);
        }
        shmem_barrier_all();
        for (i = 0; i < BLOCKS; ++i) {
            verify("heap", block[i], size[i], check_rank, i);
            if (i % 2 == 0) {
                verify("shmem_realloc", block[i] + size[i], size[i], left, i);
            }
        }
        shmem_barrier_all();

        for (i = 0; i < check_size; ++i) {
            expect(shmem_pe_accessible(i), "a PE is not accessible");
            direct = shmem_ptr(block[1], i);
            if (direct != NULL) {
                /* memory that is shared: a load sees what the owner wrote */
                verify("shmem_ptr", direct, size[1], i, 1);
            } else {
                expect(i != check_rank, "no shmem_ptr to the own memory");
            }
        }
        expect(!shmem_pe_accessible(check_size), "a PE too many is accessible");
        expect(shmem_addr_accessible(static_target, right),
               "static memory is not accessible");
        expect(!shmem_addr_accessible(&local, right),
               "the stack is accessible");
        shmem_barrier_all();
        for (i = BLOCKS - 1; i >= 0; --i) {
            shmem_free(block[(i * 7) % BLOCKS]);
        }
    }
}

int main(int argc, char **argv)
{
    check_begin();
    right = (check_rank + 1) % check_size;
    left  = (check_rank + check_size - 1) % check_size;
    sizes_all();
    FOREACH_TYPE(TYPE_CALL)
    FOREACH_SIZE(SIZED_CALL)
    storm(scaled(argc, argv, 1000));
    contexts(scaled(argc, argv, 50));
    heap();
    return check_end();
}
