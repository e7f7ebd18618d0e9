/*
 * MPI one-sided, active target: every kind of window, fence and PSCW.
 *
 *   windows    create, allocate, create_dynamic; displacement units
 *   sizes      Put and Get of all sizes, at all alignments, with gaps that stay
 *   types      derived datatypes, different at origin and target
 *   operations Accumulate, Get_accumulate, Fetch_and_op, Compare_and_swap with
 *              every operation that fits the type; all ranks on one target
 *   pscw       rings and one to all, access and exposure at the same time
 *
 *   mpi_rma [PERCENT]
 */
#include "mpi_check.h"

#define NUM(_a)  (sizeof(_a) / sizeof((_a)[0]))

typedef enum {
    WINDOW_CREATE,
    WINDOW_ALLOCATE,
    WINDOW_DYNAMIC,
    WINDOW_LAST
} window_kind_t;

static const char *const window_names[WINDOW_LAST] = {"create", "allocate",
                                                      "dynamic"};

/* Memory that all ranks expose, of the same size */
typedef struct {
    window_kind_t kind;
    MPI_Win       win;
    uint8_t       *memory; /* own part */
    MPI_Aint      *base;   /* of each rank: what displacements start from */
} window_t;

static int right, left;

static void travels(int rank, size_t size)
{
    check_bytes += (rank == check_rank) ? 0 : size;
}

static void window_create(window_t *w, window_kind_t kind, size_t size)
{
    MPI_Aint base = 0;

    w->kind = kind;
    w->base = buffer_get(sizeof(*w->base) * check_size);
    switch (kind) {
    case WINDOW_CREATE:
        w->memory = buffer_get(size);
        MPI_Win_create(w->memory, size, 1, MPI_INFO_NULL, MPI_COMM_WORLD,
                       &w->win);
        break;
    case WINDOW_ALLOCATE:
        MPI_Win_allocate(size, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &w->memory,
                         &w->win);
        break;
    default:
        w->memory = buffer_get(size);
        MPI_Win_create_dynamic(MPI_INFO_NULL, MPI_COMM_WORLD, &w->win);
        MPI_Win_attach(w->win, w->memory, size);
        MPI_Get_address(w->memory, &base);
        break;
    }
    memset(w->memory, GAP_BYTE, size);
    MPI_Allgather(&base, 1, MPI_AINT, w->base, 1, MPI_AINT, MPI_COMM_WORLD);
}

static void window_destroy(window_t *w)
{
    MPI_Barrier(MPI_COMM_WORLD);
    if (w->kind == WINDOW_DYNAMIC) {
        MPI_Win_detach(w->win, w->memory);
    }
    MPI_Win_free(&w->win);
    if (w->kind != WINDOW_ALLOCATE) {
        free(w->memory);
    }
    free(w->base);
}

/* ---- sizes */

static const size_t sizes[] = {
    1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 191, 192, 193, 255,
    256, 257, 1000, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 8928, 8929,
    16384, 17856, 17857, 65535, 65536, 65537, 262144, 1048575, 1048577, 4194304
};

static size_t place_of[NUM(sizes)], total;

static void sizes_fill(uint8_t *area, int from, uint64_t number)
{
    area_fill(area, sizes, place_of, NUM(sizes), from, number);
}

static void sizes_verify(const char *what, const uint8_t *area, int from,
                         uint64_t number)
{
    area_verify(what, area, sizes, place_of, NUM(sizes), from, number);
}

/* Put to the right, then get from the right what the right one got. */
static void sizes_all(window_kind_t kind)
{
    uint8_t *here = buffer_get(total);
    window_t w;
    size_t i;

    window_create(&w, kind, total);
    sizes_fill(here, check_rank, kind * 1000);
    MPI_Win_fence(0, w.win);
    for (i = 0; i < NUM(sizes); ++i) {
        MPI_Put(here + place_of[i], sizes[i], MPI_BYTE, right,
                w.base[right] + place_of[i], sizes[i], MPI_BYTE, w.win);
        travels(right, sizes[i]);
    }
    MPI_Win_fence(0, w.win);
    sizes_verify("put", w.memory, left, kind * 1000);
    memset(here, GAP_BYTE, total);
    MPI_Win_fence(0, w.win);
    for (i = 0; i < NUM(sizes); ++i) {
        MPI_Get(here + place_of[i], sizes[i], MPI_BYTE, right,
                w.base[right] + place_of[i], sizes[i], MPI_BYTE, w.win);
        travels(right, sizes[i]);
    }
    MPI_Win_fence(0, w.win);
    sizes_verify("get", here, check_rank, kind * 1000);
    window_destroy(&w);
    free(here);
}

/* ---- types: a matrix, blocks of it and its diagonal */

static void types(window_kind_t kind)
{
    enum {
        ROWS    = 60,
        COLUMNS = 40,
        CELLS   = ROWS * COLUMNS
    };
    int32_t *here = buffer_get(sizeof(*here) * CELLS), *cell;
    int sizes2[2] = {ROWS, COLUMNS}, part[2] = {20, 10}, at[2] = {30, 25};
    int lengths[ROWS], places[ROWS], r, c;
    MPI_Datatype column, row, block, diagonal;
    window_t w;

    MPI_Type_vector(ROWS, 1, COLUMNS, MPI_INT32_T, &column);
    MPI_Type_contiguous(ROWS, MPI_INT32_T, &row);
    MPI_Type_create_subarray(2, sizes2, part, at, MPI_ORDER_C, MPI_INT32_T,
                             &block);
    for (r = 0; r < COLUMNS; ++r) {
        lengths[r] = 1;
        places[r]  = r * COLUMNS + r;
    }
    MPI_Type_indexed(COLUMNS, lengths, places, MPI_INT32_T, &diagonal);
    MPI_Type_commit(&column);
    MPI_Type_commit(&row);
    MPI_Type_commit(&block);
    MPI_Type_commit(&diagonal);

    window_create(&w, kind, sizeof(int32_t) * CELLS);
    cell = (int32_t *)w.memory;
    for (r = 0; r < CELLS; ++r) {
        here[r] = check_rank * 1000000 + r;
        cell[r] = -1;
    }
    /* column 3 to a row at the start; the block to the block; a diagonal to
     * the last column's head */
    MPI_Win_fence(0, w.win);
    MPI_Put(here + 3, 1, column, right, w.base[right], 1, row, w.win);
    MPI_Put(here, 1, block, right, w.base[right], 1, block, w.win);
    MPI_Put(here, 1, diagonal, right,
            w.base[right] + sizeof(*cell) * (CELLS - COLUMNS), COLUMNS,
            MPI_INT32_T, w.win);
    MPI_Win_fence(0, w.win);
    for (r = 0; r < ROWS; ++r) {
        for (c = 0; c < COLUMNS; ++c) {
            int i = r * COLUMNS + c, expected = -1;

            if (i < ROWS) {
                expected = left * 1000000 + i * COLUMNS + 3;
            } else if ((r >= at[0]) && (r < at[0] + part[0]) && (c >= at[1]) &&
                       (c < at[1] + part[1])) {
                expected = left * 1000000 + i;
            } else if (r == ROWS - 1) {
                expected = left * 1000000 + c * COLUMNS + c;
            }
            expect_long("put of a datatype", cell[i], expected);
        }
    }

    for (r = 0; r < CELLS; ++r) {
        cell[r] = check_rank * 1000000 + r;
        here[r] = -1;
    }
    MPI_Win_fence(0, w.win);
    MPI_Get(here + 5, 1, column, right, w.base[right], 1, row, w.win);
    MPI_Win_fence(0, w.win);
    MPI_Get(here, 1, row, right, w.base[right] + 7 * sizeof(*cell), 1, column,
            w.win);
    MPI_Win_fence(0, w.win);
    for (r = 0; r < CELLS; ++r) {
        int expected = -1;

        if (r < ROWS) {
            expected = right * 1000000 + r * COLUMNS + 7;
        } else if (r % COLUMNS == 5) {
            expected = right * 1000000 + r / COLUMNS;
        }
        expect_long("get of a datatype", here[r], expected);
    }

    /* add my column to a row of the first rank: all at the same place */
    for (r = 0; r < CELLS; ++r) {
        cell[r] = r;
        here[r] = check_rank + r;
    }
    MPI_Win_fence(0, w.win);
    MPI_Accumulate(here + 1, 1, column, 0, w.base[0], 1, row, MPI_SUM, w.win);
    MPI_Win_fence(0, w.win);
    for (r = 0; (check_rank == 0) && (r < CELLS); ++r) {
        expect_long("accumulate of a datatype", cell[r],
                    (r >= ROWS) ? r :
                                  r + check_size * (r * COLUMNS + 1) +
                                          check_size * (check_size - 1) / 2);
    }
    MPI_Type_free(&column);
    MPI_Type_free(&row);
    MPI_Type_free(&block);
    MPI_Type_free(&diagonal);
    window_destroy(&w);
    free(here);
}

/* ---- operations: all ranks on rank 0, which knows what must come out */

typedef struct {
    MPI_Op     op;
    const char *name;
    int        bitwise;
} operation_t;

static int64_t fold(MPI_Op op, int64_t a, int64_t b)
{
    return (op == MPI_SUM)  ? a + b :
           (op == MPI_PROD) ? a * b :
           (op == MPI_MIN)  ? ((a < b) ? a : b) :
           (op == MPI_MAX)  ? ((a > b) ? a : b) :
           (op == MPI_BAND) ? (a & b) :
           (op == MPI_BOR)  ? (a | b) :
                              (a ^ b);
}

/* Whole numbers, exact in every type, also the product of 64 of them */
static int64_t operand(int rank, size_t i)
{
    return (int64_t)(mix64(i * 64 + rank) % 3) + 1;
}

/* One array for each operation and type, at `at` in the window and in the
 * private memory: `here` the operands, `old` what came back. An epoch holds
 * all of them. */
enum { OPERATION_SLOT = 5000 * 8, OPERATION_SLOTS = 64 };

typedef struct {
    const window_t *w;
    uint8_t        *here, *old;
    size_t         n;
    int            fetch;
} epoch_t;

#define OPERATION_TEST(_name, _type, _mpi_type) \
    static void start_##_name(const epoch_t *e, size_t at, \
                              const operation_t *o) \
    { \
        _type *here  = (_type*)(e->here + at), *old = (_type*)(e->old + at); \
        size_t i; \
        \
        for (i = 0; i < e->n; ++i) { \
            here[i] = (_type)operand(check_rank, i); \
            old[i]  = 0; \
        } \
        if (e->fetch) { \
            MPI_Get_accumulate(here, e->n, _mpi_type, old, e->n, _mpi_type, 0, \
                               e->w->base[0] + at, e->n, _mpi_type, o->op, \
                               e->w->win); \
        } else { \
            MPI_Accumulate(here, e->n, _mpi_type, 0, e->w->base[0] + at, e->n, \
                           _mpi_type, o->op, e->w->win); \
        } \
        travels(0, sizeof(*here) * e->n); \
    } \
    \
    static void reset_##_name(const epoch_t *e, size_t at, \
                              const operation_t *o) \
    { \
        _type *there = (_type*)(e->w->memory + at); \
        size_t i; \
        \
        (void)o; \
        for (i = 0; i < e->n; ++i) { \
            there[i] = (_type)operand(99, i); \
        } \
    } \
    \
    static void check_##_name(const epoch_t *e, size_t at, \
                              const operation_t *o) \
    { \
        _type *there = (_type*)(e->w->memory + at); \
        _type *old   = (_type*)(e->old + at); \
        size_t i; \
        int rank; \
        \
        for (i = 0; (check_rank == 0) && (i < e->n); ++i) { \
            int64_t all = operand(99, i); \
            \
            for (rank = 0; rank < check_size; ++rank) { \
                all = fold(o->op, all, operand(rank, i)); \
            } \
            if (there[i] != (_type)all) { \
                complain(o->name, 0, sizeof(_type), i); \
                break; \
            } \
        } \
        /* what came back is the start, or the start with others' operands */ \
        for (i = 0; e->fetch && (o->op == MPI_SUM) && (i < e->n); ++i) { \
            int64_t least = operand(99, i), most = least; \
            \
            for (rank = 0; rank < check_size; ++rank) { \
                most += (rank == check_rank) ? 0 : operand(rank, i); \
            } \
            if ((old[i] < (_type)least) || (old[i] > (_type)most)) { \
                complain("get_accumulate: the old value", 0, sizeof(_type), \
                         i); \
                break; \
            } \
        } \
    }

OPERATION_TEST(int32, int32_t, MPI_INT32_T)
OPERATION_TEST(int64, int64_t, MPI_INT64_T)
OPERATION_TEST(float, float, MPI_FLOAT)
OPERATION_TEST(double, double, MPI_DOUBLE)
OPERATION_TEST(short, short, MPI_SHORT)

typedef void (*operation_func_t)(const epoch_t *e, size_t at,
                                 const operation_t *o);

/* Calls func[type] for each operation that fits the type */
static void each_operation(const epoch_t *e, const operation_func_t *func)
{
    const operation_t all[] = {
        {MPI_SUM, "MPI_SUM", 0},   {MPI_PROD, "MPI_PROD", 0},
        {MPI_MIN, "MPI_MIN", 0},   {MPI_MAX, "MPI_MAX", 0},
        {MPI_BAND, "MPI_BAND", 1}, {MPI_BOR, "MPI_BOR", 1},
        {MPI_BXOR, "MPI_BXOR", 1}
    };
    size_t o, type, at = 0;

    for (o = 0; o < NUM(all); ++o) {
        /* the last two are float and double */
        for (type = 0; type < (all[o].bitwise ? 3 : 5); ++type) {
            func[type](e, at, &all[o]);
            at += OPERATION_SLOT;
        }
    }
}

static void operations(window_kind_t kind)
{
    static const size_t lengths[]         = {1, 3, 100, 5000};
    static const operation_func_t reset[] = {reset_int32, reset_int64,
                                             reset_short, reset_float,
                                             reset_double};
    static const operation_func_t start[] = {start_int32, start_int64,
                                             start_short, start_float,
                                             start_double};
    static const operation_func_t check[] = {check_int32, check_int64,
                                             check_short, check_float,
                                             check_double};
    size_t room                           = OPERATION_SLOT * OPERATION_SLOTS, l;
    window_t w;
    epoch_t e = {&w, buffer_get(room), buffer_get(room), 0, 0};

    window_create(&w, kind, room);
    for (l = 0; l < NUM(lengths); ++l) {
        for (e.fetch = 0; e.fetch < 2; ++e.fetch) {
            e.n = lengths[l];
            each_operation(&e, reset);
            MPI_Win_fence(0, w.win);
            each_operation(&e, start);
            MPI_Win_fence(0, w.win);
            each_operation(&e, check);
            MPI_Win_fence(0, w.win);
        }
    }
    window_destroy(&w);
    free(e.here);
    free(e.old);
}

/* One element: each rank draws one ticket of each other rank in an epoch, and
 * exactly one of all wins the compare_and_swap. */
static void single(window_kind_t kind, unsigned long rounds)
{
    int64_t one = 1, none = 0, nothing = -1, *ticket, *winner, *word;
    int64_t *won = buffer_get(sizeof(*won) * check_size);
    int64_t *all = buffer_get(sizeof(*all) * check_size);
    unsigned long round;
    window_t w;
    int rank;

    ticket = buffer_get(sizeof(*ticket) * check_size);
    winner = buffer_get(sizeof(*winner) * check_size);
    window_create(&w, kind, 4 * sizeof(*word));
    word = (int64_t *)w.memory;
    for (round = 0; round < rounds; ++round) {
        int64_t mine = check_rank + 100;

        word[0] = word[3] = round;
        word[1]           = nothing;
        word[2]           = 77;
        MPI_Win_fence(0, w.win);
        for (rank = 0; rank < check_size; ++rank) {
            MPI_Fetch_and_op(&one, &ticket[rank], MPI_INT64_T, rank,
                             w.base[rank], MPI_SUM, w.win);
            MPI_Compare_and_swap(&mine, &nothing, &winner[rank], MPI_INT64_T,
                                 rank, w.base[rank] + 8, w.win);
            MPI_Fetch_and_op(&none, &won[rank], MPI_INT64_T, rank,
                             w.base[rank] + 24, MPI_NO_OP, w.win);
        }
        MPI_Win_fence(0, w.win);
        expect_long("fetch_and_op: sum", word[0], round + check_size);
        expect_long("a neighbour", word[2], 77);
        for (rank = 0; rank < check_size; ++rank) {
            expect_long("fetch_and_op: no_op", won[rank], round);
            won[rank] = (winner[rank] == nothing);
            expect((ticket[rank] >= (int64_t)round) &&
                           (ticket[rank] < (int64_t)round + check_size),
                   "fetch_and_op: no such ticket");
            ticket[rank] = 1ll << (ticket[rank] - round);
        }
        MPI_Allreduce(won, all, check_size, MPI_INT64_T, MPI_SUM,
                      MPI_COMM_WORLD);
        expect_long("compare_and_swap: winners", all[check_rank], 1);
        expect((word[1] >= 100) && (word[1] < 100 + check_size),
               "compare_and_swap: the value");
        MPI_Allreduce(ticket, all, check_size, MPI_INT64_T, MPI_BOR,
                      MPI_COMM_WORLD);
        expect_long("fetch_and_op: tickets drawn", all[check_rank],
                    (1ll << check_size) - 1);
    }
    window_destroy(&w);
    free(won);
    free(all);
    free(ticket);
    free(winner);
}

/* ---- pscw */

static void pscw(window_kind_t kind, unsigned long rounds)
{
    enum {
        LENGTH = 30000
    };
    uint8_t *out = buffer_get(LENGTH), *in = buffer_get(LENGTH);
    MPI_Group world, to, from, others;
    unsigned long round;
    window_t w;
    int rank, root, k, *list = buffer_get(sizeof(*list) * check_size);
    size_t size;

    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_incl(world, 1, &right, &to);
    MPI_Group_incl(world, 1, &left, &from);
    window_create(&w, kind, (size_t)LENGTH * check_size);
    for (round = 0; round < rounds; ++round) {
        size = 1 + mix64(round) % ((round % 4 == 0) ? LENGTH : 300);

        /* ring: to the right, while the left one writes here */
        fill(out, size, check_rank, round);
        MPI_Win_post(from, 0, w.win);
        MPI_Win_start(to, 0, w.win);
        MPI_Put(out, size, MPI_BYTE, right, w.base[right], size, MPI_BYTE,
                w.win);
        travels(right, size);
        MPI_Win_complete(w.win);
        MPI_Win_wait(w.win);
        verify("pscw: put", w.memory, size, left, round);

        /* one reads and writes all others */
        root = round % check_size;
        for (rank = k = 0; rank < check_size; ++rank) {
            if (rank != root) {
                list[k++] = rank;
            }
        }
        if (check_rank == root) {
            MPI_Group_incl(world, k, list, &others);
            MPI_Win_start(others, 0, w.win);
            for (k = 0; k < check_size - 1; ++k) {
                rank = list[k];
                MPI_Put(out, size, MPI_BYTE, rank,
                        w.base[rank] + (MPI_Aint)LENGTH, size, MPI_BYTE, w.win);
            }
            MPI_Get(in, size, MPI_BYTE, right, w.base[right], size, MPI_BYTE,
                    w.win);
            travels(right, size * check_size);
            MPI_Win_complete(w.win);
            verify("pscw: get", in, size, root, round);
        } else {
            MPI_Group_incl(world, 1, &root, &others);
            MPI_Win_post(others, 0, w.win);
            if (round & 1) {
                MPI_Win_wait(w.win);
            } else {
                for (k = 0; !k;) {
                    MPI_Win_test(w.win, &k);
                }
            }
            verify("pscw: put of one", w.memory + LENGTH, size, root, round);
        }
        MPI_Group_free(&others);
    }
    window_destroy(&w);
    MPI_Group_free(&to);
    MPI_Group_free(&from);
    MPI_Group_free(&world);
    free(list);
    free(out);
    free(in);
}

int main(int argc, char **argv)
{
    window_kind_t kind;

    check_begin(&argc, &argv);
    right = (check_rank + 1) % check_size;
    left  = (check_rank + check_size - 1) % check_size;
    total = area_lay_out(sizes, place_of, NUM(sizes));
    for (kind = 0; kind < WINDOW_LAST; ++kind) {
        unsigned long before = check_errors;

        sizes_all(kind);
        types(kind);
        operations(kind);
        single(kind, scaled(argc, argv, 20));
        pscw(kind, scaled(argc, argv, 20));
        if (check_errors != before) {
            printf("rank %d: with win_%s\n", check_rank, window_names[kind]);
        }
    }
    return check_end();
}
