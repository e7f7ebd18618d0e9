/*
 * Soak: four processes that do everything at random, and a checker that knows
 * what must come out of it. Started by contrib/soak.sh.
 *
 *   soak (conductor)                          soak.c, soak_run.c
 *     | starts, kills, resets, watches
 *     v
 *   soak --worker N  (4 processes)            soak_worker.c
 *     | connect, close, error callback        soak_conn.c
 *     | am, tag                               soak_send.c, soak_recv.c
 *     | put, get, flush                       soak_rma.c
 *     v
 *   UCP of the library that is installed, over srd
 *
 *   shared file                               soak_log.c
 *     what each side says it has sent, flushed and received. The checker
 *     compares this; nothing in it comes from the transport.
 *
 * A pair of processes has SOAK_LINKS links. A link is one connection at a time:
 * an endpoint at either side, with a generation. Each field of the shared file
 * has one writer, but for link.word and pair.opening (compare and swap), so
 * that a process may be killed at any instruction.
 *
 *      word of a link          by
 *   IDLE    -> OPENING         either side; one link of a pair at a time: UCP
 *                              pairs endpoints by the order of their creation
 *   OPENING -> OPEN            who makes the second endpoint
 *   OPEN    -> CLOSING         either side, with a mode
 *   any     -> BROKEN          who sees an error
 *   CLOSING, BROKEN -> IDLE    who leaves last (of those that live)
 */
#ifndef SOAK_H
#define SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SOAK_PROCS    = 4,
    SOAK_PAIRS    = SOAK_PROCS * (SOAK_PROCS - 1) / 2,
    SOAK_LINKS    = 3,
    SOAK_WINDOW   = 2048,          /* messages sent and not yet received      */
    SOAK_SMALL    = 1000,          /* no longer message is cut up by UCP      */
    SOAK_LONGEST  = 1 << 20,
    SOAK_PAGE     = 4096,
    SOAK_PAGES    = 16,            /* of a writer's area                      */
    SOAK_AREA     = SOAK_PAGE * SOAK_PAGES,
    SOAK_GENS     = 4,             /* generations of a link told apart        */
    SOAK_STATIC   = 1 << 20,       /* what never changes, to be read          */
    SOAK_REGION   = SOAK_STATIC +
                    SOAK_PROCS * SOAK_LINKS * SOAK_GENS * SOAK_AREA,
    SOAK_NOTES    = 64
};

/* What is counted. Behind SOAK_LOST nothing may be more than 0. */
#define SOAK_COUNTS(_) \
    _(AM,            "active messages") \
    _(TAG,           "tagged messages") \
    _(BYTES,         "bytes of messages") \
    _(PUT,           "puts") \
    _(GET,           "gets") \
    _(RMA_BYTES,     "bytes put and got") \
    _(FLUSH,         "flushes") \
    _(CHECKED,       "pages checked by their owner") \
    _(CONNECT,       "endpoints connected") \
    _(CLOSE_GRACE,   "connections closed, both sides") \
    _(CLOSE_FLUSH,   "connections closed by one, flushed") \
    _(CLOSE_FORCE,   "connections closed by one, forced") \
    _(CALLBACKS,     "error callbacks") \
    _(EXCUSED,       "lost with the peer or a forced close") \
    _(LOST,          "lost") \
    _(DUPLICATED,    "duplicated") \
    _(MISORDERED,    "misordered") \
    _(CORRUPTED,     "corrupted") \
    _(HUNG,          "hung") \
    _(ABORTED,       "aborted") \
    _(UNEXPECTED,    "unexpected errors")

enum {
#define SOAK_COUNT_ENUM(_name, _text) SOAK_##_name,
    SOAK_COUNTS(SOAK_COUNT_ENUM)
    SOAK_NUM_COUNTS
};

typedef enum {
    LINK_IDLE, LINK_OPENING, LINK_OPEN, LINK_CLOSING, LINK_BROKEN
} soak_link_state_t;

/* Who closes first, and how; the other side follows */
typedef enum {
    CLOSE_GRACE,       /* both flush, and leave when they have everything     */
    CLOSE_FLUSH,       /* one flushes and leaves; what is sent to it is void  */
    CLOSE_FORCE        /* one leaves at once                                  */
} soak_close_t;

enum {
    CHANNEL_AM, CHANNEL_TAG, NUM_CHANNELS
};

typedef _Atomic uint64_t soak_u64_t;
typedef _Atomic uint32_t soak_u32_t;

typedef struct {
    soak_u64_t sent;                  /* sequence numbers given out           */
    soak_u64_t claimed;              /* all below: sent, and flushed after it */
    soak_u64_t received;              /* by this side, in full and right      */
    uint8_t    cut[SOAK_WINDOW];      /* of those sent: may be cut up by UCP  */
} soak_stream_t;

/* What one side of a link says; of generation `gen`, which is written last */
typedef struct {
    soak_u32_t    gen;
    soak_u32_t    gone;               /* generation that this side has left   */
    soak_u32_t    failed;            /* generation whose endpoint failed here */
    soak_u32_t    done;               /* generation: claims are final         */
    soak_stream_t stream[NUM_CHANNELS];
    soak_u64_t    area_version;       /* flushed: the peer's memory has it    */
    soak_u64_t    area_checked;       /* by the peer, who writes this         */
    uint32_t      area_known;         /* pages that were ever written         */
    uint64_t      area_hash[SOAK_PAGES];
} soak_side_t;

typedef struct {
    soak_u64_t  word;                 /* soak_word()                          */
    soak_u32_t  inc[2];               /* incarnations that are meant          */
    soak_side_t side[2];              /* 0: the lower process                 */
} soak_link_t;

typedef struct {
    soak_u64_t  opening;             /* 0 or soak_opening(): who makes a link */
    soak_link_t link[SOAK_LINKS];
} soak_pair_t;

typedef struct {
    soak_u32_t inc;                   /* conductor, before it starts          */
    soak_u32_t killed;                /* incarnation; before the signal       */
    soak_u32_t doomed;                /* incarnation: will be killed soon      */
    soak_u32_t moving;                /* its device is reset: open nothing   */
    soak_u32_t die;                   /* incarnation: kill yourself in a flush */
    soak_u32_t ready;                 /* incarnation; what follows is valid   */
    uint8_t    address[4096], rkey[1024];
    uint32_t   address_length, rkey_length;
    uint64_t   region;
    soak_u64_t loops;
    soak_u64_t rss_warm, rss_now;     /* KiB; of this incarnation             */
    soak_u64_t reset_at;              /* us; conductor                        */
    soak_u64_t count[SOAK_NUM_COUNTS];
    soak_u64_t status[128];           /* errors, by -ucs_status_t             */
    soak_u64_t excused_status[128];
} soak_proc_t;

typedef enum {
    PHASE_RUN, PHASE_DRAIN, PHASE_QUIT
} soak_phase_t;

enum {
    OP_AM, OP_TAG, OP_PUT, OP_GET, OP_FLUSH, OP_CONNECT, OP_CLOSE, NUM_OPS
};

typedef struct {
    uint64_t    seed;
    unsigned    weight[NUM_OPS];
    unsigned    limit;                /* s without progress: hung             */
    unsigned    warm;                 /* s until memory is measured first     */
    bool        resets_fail;          /* endpoints may fail by a reset        */
    soak_u32_t  phase;
    soak_u32_t  num_notes;
    char        note[SOAK_NOTES][400];
    soak_proc_t proc[SOAK_PROCS];
    soak_pair_t pair[SOAK_PAIRS];
} soak_shared_t;

extern soak_shared_t *soak;

static inline uint64_t soak_word(uint32_t gen, unsigned state, unsigned mode,
                                 unsigned who)
{
    return ((uint64_t)gen << 32) | (state << 16) | (mode << 8) | who;
}

static inline uint32_t word_gen(uint64_t word)   { return word >> 32; }
static inline unsigned word_state(uint64_t word) { return (word >> 16) & 255; }
static inline unsigned word_mode(uint64_t word)  { return (word >> 8) & 255; }
static inline unsigned word_who(uint64_t word)   { return word & 255; }

static inline uint64_t soak_opening(uint32_t gen, unsigned inc, unsigned who,
                                    unsigned link)
{
    return ((uint64_t)gen << 32) | ((inc & 0xffff) << 16) | (who << 8) |
           (link + 1);
}

/* soak_log.c */
int soak_log_create(const char *path);             /* 0, or -1 with errno     */
int soak_log_open(const char *path);
extern const char *const soak_count_text[SOAK_NUM_COUNTS];
uint64_t soak_total(unsigned count);
uint64_t soak_now(void);                           /* us                      */
uint64_t soak_random(uint64_t *state);
uint64_t soak_mix(uint64_t a, uint64_t b);
/* The first ones are printed at the end, all of them go to the log. */
void soak_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
soak_pair_t *soak_pair(unsigned a, unsigned b);
bool soak_is_ready(unsigned proc);
/* Is incarnation `inc` of it, as far as the conductor knows, alive? */
bool soak_lives(unsigned proc, uint32_t inc);
const char *soak_link_string(unsigned a, unsigned b, unsigned link, char *buf,
                             size_t max);

/* soak_run.c: conductor */
typedef struct {
    const char *self, *dir, *efarun;
    unsigned   seconds;
    unsigned   kill_every, reset_every;            /* s; 0: never             */
    unsigned   rss_bound;                          /* KiB                     */
    unsigned   kills, resets;                      /* done                    */
} soak_plan_t;

/* Returns 0, or 1 after it said what was wrong. */
int soak_run(soak_plan_t *plan);

/* soak_worker.c */
int soak_worker(unsigned self);

#endif
