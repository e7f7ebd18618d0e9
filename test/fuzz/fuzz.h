/*
 * Fuzzing the srd transport: what the files of this directory share.
 *
 *        bytes of an input                     real code
 *               |
 *     fuzz_steps.c  what happens      uct_iface_open ... uct_iface_close
 *        |        |                     |                     |
 *   fuzz_user.c   |                     |                     |
 *   the local     |               srd_*.c, efa_*.c  <-------- fuzz_check.c
 *   program       |                     |              what must always hold
 *        |        v                     v
 *        |   fuzz_honest.c <--> fuzz_device.c: libibverbs and libefa with one
 *        |   a peer that does   device of paper. Sends stay under way until a
 *        |   as docs/srd-wire   step ends them; what others send arrives when a
 *        |   .md says           step says so. Time is a variable, too.
 *        |                      fuzz_direct.c: its queues in memory.
 *        |                      It may die and return: fuzz_life.c
 *        v
 *   endpoints, operations, handlers
 *
 * What the checks know of the protocol comes from docs/srd-wire.md, not from
 * the code that they check.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/ucx/ucx_compat.h"

#include "srd/uct/srd_iface.h"

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

/* A broken promise: says which, and aborts, so that the fuzzer keeps the input */
#define FUZZ_CHECK(_condition, _format, ...) \
    do { \
        if (!(_condition)) { \
            fuzz_broken(__FILE__, __LINE__, _format, ##__VA_ARGS__); \
        } \
    } while (0)

void fuzz_broken(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* FUZZ_VERBOSE=1: what happens, step by step */
extern int fuzz_verbose;
#define FUZZ_SAY(...) \
    do { \
        if (fuzz_verbose) { \
            printf(__VA_ARGS__); \
        } \
    } while (0)

/* ---- who there is ------------------------------------------------------ */

#define FUZZ_MAX_MSG   512u        /* max_msg_sz of the device, bytes        */
#define FUZZ_HONEST    0           /* identity 0; the others are hostile     */
#define FUZZ_WHO_NUM   6u
#define FUZZ_AM_HONEST 1           /* AM id of messages to and from it       */

/* A queue pair on the network, as the device knows it: nobody can forge it */
typedef struct {
    uint8_t  gid[16];
    uint16_t qpn;
    uint32_t qkey;

    /* since the interface was opened */
    unsigned sent_to_us;           /* messages that arrived                  */
    unsigned answers;              /* control messages from us that answer   */
    unsigned excuses;              /* local events that allow one more       */
} fuzz_who_t;

extern fuzz_who_t fuzz_who[FUZZ_WHO_NUM];

/* Index of who has this GID and QPN, or -1 */
int fuzz_who_find(const void *gid, uint32_t qpn);

/* The queue pair that the honest one has first, and after resets */
#define FUZZ_HONEST_QPN(_resets) (((_resets) == 0) ? 100u : 1000u + (_resets))

/* Resets of the honest one, in this input */
extern unsigned fuzz_honest_resets;

/* Whether the honest one has, or had, this QPN */
int fuzz_honest_had(const void *gid, uint32_t qpn);

/* ---- the device: fuzz_device.c ----------------------------------------- */

#define FUZZ_MAX_SENDS 1024

/* A work request under way */
typedef struct {
    uint64_t              wr_id;
    enum ibv_wr_opcode    opcode;
    uint32_t              imm;         /* host order                         */
    uint8_t               gid[16];     /* where to                           */
    uint32_t              qpn, qkey;
    unsigned              num_sge;
    struct ibv_sge        sge[2];
    int                   is_inline;   /* data[] is the message              */
    int                   arrived;     /* to who has been reset since        */
    unsigned              length;
    uint64_t              remote_addr;
    uint32_t              rkey;
    uint8_t               data[64];
} fuzz_send_t;

/* A queue pair and its completion queue. Two are there while one replaces the
 * other. */
typedef struct {
    fuzz_send_t sends[FUZZ_MAX_SENDS];
    unsigned    num_sends;
    unsigned    num_lost;    /* sends that nobody will ever hear of          */
    unsigned    num_recvs;   /* posted and not used                          */
    unsigned    num_cqes;    /* not polled; of receives among them:          */
    unsigned    num_recv_cqes;
    uint32_t    qpn;
    int         dead;        /* it, or its device                            */
} fuzz_queues_t;

/* The one that works, or will be replaced */
extern fuzz_queues_t *fuzz_queues;

typedef struct {
    /* set before the interface is opened */
    unsigned    ah_limit;
    int         has_sgid;
    int         has_rdma;

    /* by steps */
    unsigned    refuse;      /* posts to the send queue that fail            */
    uint64_t    now;         /* nanoseconds                                  */
    uint64_t    idle_step;   /* by which a poll of an empty CQ lets it pass  */
    int         complete_all;/* sends succeed when the CQ is polled          */
    unsigned    die_in;      /* commands until it dies, 0: it does not,      */
    unsigned    die_how;     /* and how                                      */
    unsigned    alloc_in;    /* the transport's allocation that fails, 0: none */
    uint8_t     odd_flags;   /* of the completion of the next message of a     */
    uint16_t    odd_qpn;     /* hostile one                                  */

    /* state */
    int         away;        /* cannot be opened                             */
    int         alloc_failed;/* one did: peers may have been failed for that */
    unsigned    num_opened;  /* contexts, ever; of keys the upper half       */
    unsigned    num_created; /* queue pairs, ever                            */
    unsigned    num_ctx, num_pds, num_mrs, num_ahs, num_cqs, num_qps;
    size_t      reg_bytes;   /* registered now                               */
    size_t      reg_peak;
    uint8_t     random[64];  /* last bytes of getrandom()                    */
} fuzz_device_t;

extern fuzz_device_t fuzz_device;

/* Empty, nothing under way. What the library under test has not given back is
 * an error. */
void fuzz_device_reset(void);

/* The message of a send as it is in memory now: into out, FUZZ_MAX_MSG bytes.
 * Checks that the memory is registered. Returns its length. */
unsigned fuzz_device_gather(const fuzz_send_t *send, uint8_t *out);

/* Ends send i with a device status; a read writes its bytes before. */
void fuzz_device_complete(unsigned i, unsigned status);

/* A message for the interface. Returns 0 if it has no receive buffer (RNR). */
int fuzz_device_deliver(unsigned who, int has_imm, uint32_t imm,
                        const void *data, unsigned length);

/* Whether a number comes from getrandom(), as far as mask says */
int fuzz_device_gave(uint32_t value, uint32_t mask);

/* Whether completions of its messages name it now */
int fuzz_device_tells(unsigned who);

/* A posted receive comes back with an error. */
void fuzz_device_recv_error(void);

/* ---- its queues in memory: fuzz_direct.c ------------------------------- */

/* FUZZ_DIRECT=y: the transport is to use them, without libefa */
extern int fuzz_direct;

/* What the transport has done with them counts from now on. */
void fuzz_direct_sync(void);
void fuzz_direct_check(void);

/* A completion that there can be no reason for, as the last thing that a queue
 * pair does which has just died without telling; may: it is possible now */
int  fuzz_direct_may_garbage(void);
void fuzz_direct_garbage(unsigned kind, unsigned value);

/* ---- its death and return: fuzz_life.c ---------------------------------- */

/* How it dies */
#define FUZZ_DIE_QP    1u    /* only the queue pair                          */
#define FUZZ_DIE_LATE  2u    /* the event comes later                        */
#define FUZZ_DIE_FLUSH 4u    /* what is posted comes back with status 1; of a
                                device: what was posted before               */
#define FUZZ_DIE_BITS  3     /* those above: which sends arrive all the same */

/* Nothing, if the honest peer may not survive it (fuzz_honest_may_die()). */
void fuzz_device_die(unsigned how);

/* The event that was to come later comes. */
void fuzz_device_tell(void);

/* It can be opened again; whoever has not been told is told. */
void fuzz_device_return(void);

/* A send of a device that dies arrives: fuzz_steps.c */
void fuzz_steps_arrive(const fuzz_send_t *send);

/* The key of the remote that some memory of ours has had */
uint32_t fuzz_device_rkey(unsigned choice);

/* ---- the honest peer: fuzz_honest.c ------------------------------------ */

/* deadline: nanoseconds after which a device that is away may end the
 * association (srd-wire.md, section 8) */
void fuzz_honest_init(uint16_t first_psn, unsigned window, uint64_t deadline);

/* Would it find us again? Not who knows our address alone (section 12). */
int fuzz_honest_may_die(void);

/* Our device or queue pair has died. */
void fuzz_honest_died(void);

/* Our endpoint to it has failed. Nonzero: rightly, it is over. */
int fuzz_honest_end(ucs_status_t status);
int fuzz_honest_is_over(void);

/* Who is not done may wait in vain: it is over. */
void fuzz_honest_settle(void);

/* Gives it a message to send, if its window allows. */
void fuzz_honest_send(unsigned length);

/* Sends message i (modulo those that are not known to have arrived); lost_ack:
 * it arrives, but the device tells the sender otherwise. */
void fuzz_honest_transmit(unsigned i, int lost_ack);

void fuzz_honest_hello(void);

/* Its device is reset, if ours is there: it has another queue pair, which the
 * caller gives it. */
int  fuzz_honest_may_reset(void);
void fuzz_honest_reset(void);

/* What the device brings it from the interface's queue pair. */
void fuzz_honest_receive(uint32_t imm, const uint8_t *data, unsigned length);

/* A message of its arrived at our handler. */
void fuzz_honest_arrived(const void *data, unsigned length);

/* Whether content kept by the user is still what it was */
int fuzz_honest_is_intact(const void *data, unsigned length);

/* The local program is about to send it a message: returns the number; the send
 * was refused. */
uint64_t fuzz_honest_expect(void);
void     fuzz_honest_unexpect(void);

/* Content of message number */
void fuzz_honest_fill(void *out, uint64_t number, unsigned length);

/* Has everything arrived, in both directions? */
int fuzz_honest_is_done(void);

/* Sends all there is; called until fuzz_honest_is_done(). */
void fuzz_honest_push(void);

/* Why it is not done */
void fuzz_honest_explain(char *buffer, size_t max);

/* ---- the local program: fuzz_user.c ------------------------------------ */

typedef struct {
    uint16_t first_psn;
    unsigned queue_len, rx_len, rx_max, rx_batch, window, retry_count,
             tx_bufs;
} fuzz_config_t;

extern uct_srd_iface_t *fuzz_iface;    /* NULL: closed                       */
extern uct_md_h        fuzz_md;

void fuzz_user_setup(void);            /* once in a process                  */
void fuzz_user_open(const fuzz_config_t *config);
void fuzz_user_close(void);

/* choice: what to connect to; returns nothing: may fail */
void fuzz_user_connect(unsigned choice, unsigned bits);
void fuzz_user_disconnect(unsigned ep);
void fuzz_user_am(unsigned ep, unsigned kind, unsigned length, unsigned bits);
void fuzz_user_rma(unsigned ep, unsigned kind, unsigned length);
void fuzz_user_flush(unsigned ep, unsigned kind);
void fuzz_user_fence(unsigned ep, unsigned kind);
void fuzz_user_check(unsigned ep, unsigned kind);
void fuzz_user_pending(unsigned ep, unsigned count);
void fuzz_user_keep(unsigned count);   /* of the next messages               */
void fuzz_user_release(unsigned count);/* of kept messages                   */
void fuzz_user_in_handler(unsigned what); /* what the next handlers do       */
unsigned fuzz_user_progress(void);
unsigned fuzz_user_num_kept(void);
unsigned fuzz_user_num_ops(void);      /* that have not completed            */
unsigned fuzz_user_num_connects(void); /* ever                               */
int      fuzz_user_knows(const void *gid, uint32_t qpn); /* was connected to */

/* ---- what must hold: fuzz_check.c -------------------------------------- */

void fuzz_check_step(void);            /* after each step                    */
void fuzz_check_show(void);            /* if FUZZ_VERBOSE                    */
void fuzz_check_quiet(void);           /* when nothing is under way          */
void fuzz_check_posted(const fuzz_send_t *send); /* a send was posted        */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
