/*
 * Process-local handles of the device's objects, and what the files of the
 * data path offer each other.
 *
 *   softefa_dev --+-- softefa_mr --> softefa_shm_mr_t     (shared, fabric.h)
 *                 +-- softefa_cq --> softefa_shm_cq_t
 *                 '-- softefa_qp --> softefa_shm_qp_t
 *                         |
 *                         '-- SQ reader, messages in flight (this process)
 *
 * Locks of this process, outermost first:
 *   ticker lock -> dev->lock (lists) -> qp->lock (SQ, flight) -> shared locks
 *                                                             -> dev->wait_lock
 */
#ifndef SOFTEFA_OBJECT_H
#define SOFTEFA_OBJECT_H

#include "fabric/fabric.h"
#include "faults/fault_point.h"
#include "abi/efa_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define softefa_likely(_x)   __builtin_expect(!!(_x), 1)
#define softefa_unlikely(_x) __builtin_expect(!!(_x), 0)

typedef struct softefa_link softefa_link_t;

struct softefa_link {
    softefa_link_t *prev, *next;
};

struct softefa_dev {
    uint32_t          epoch;         /* of softefa_fabric when it was opened */
    uint32_t          owner;         /* tag of its entries in the tables */
    unsigned          index;
    uint32_t          life;          /* of the device when it was opened */
    softefa_shm_dev_t *shm;
    softefa_profile_t profile;
    uint8_t           gid[16];
    bool              closing;       /* destroys leave what they cannot free */
    _Atomic uint32_t  waiting;       /* messages that progress must look at */
    _Atomic uint32_t  late_arms;     /* of which are CQs to be armed */
    atomic_bool       polled;        /* somebody did, since the last tick */
    bool              async;         /* has a FIFO for events (async.c) */
    pthread_mutex_t   lock;          /* the lists */
    softefa_link_t    qps, cqs, mrs, channels;
    pthread_mutex_t   wait_lock;     /* of the next two */
    softefa_link_t    waiters;       /* QPs with messages that wait */
    uint32_t          num_waiters;
    softefa_link_t    link;          /* in the ticker's list */
};

struct softefa_mr {
    softefa_dev_t    *dev;
    softefa_shm_mr_t *shm;
    void             *map;           /* of a dma-buf, or NULL */
    size_t           map_length;
    softefa_link_t   link;
};

struct softefa_channel {
    softefa_dev_t         *dev;
    softefa_shm_channel_t *shm;
    unsigned              index;
    int                   purge_fd;  /* own reader, non-blocking */
    softefa_link_t        link;
};

struct softefa_cq {
    softefa_dev_t     *dev;
    softefa_shm_cq_t  *shm;
    softefa_channel_t *channel;
    unsigned          index;
    unsigned          next_sub_cq;   /* for the next queue */
    atomic_bool       arm_later;     /* its lock was not to be had */
    softefa_link_t    link;
};

/* Where a message that could not be finished at once stands. */
typedef enum {
    SOFTEFA_MSG_FREE,
    SOFTEFA_MSG_HELD,                /* by the reorder option, not sent yet */
    SOFTEFA_MSG_DONE,                /* no CQE yet: by the reorder option, or
                                        the CQ's lock was not to be had */
    SOFTEFA_MSG_RNR,                 /* waits for the destination's RQ */
    SOFTEFA_MSG_LATE                 /* held by a fault until `deadline` */
} softefa_msg_state_t;

typedef struct softefa_msg softefa_msg_t;

struct softefa_msg {
    softefa_io_wqe_t    wqe;         /* the device's own copy */
    softefa_msg_state_t state;
    int                 status;      /* DONE */
    uint32_t            ah_generation;
    uint64_t            deadline;    /* RNR, LATE: ns; MAX: without end */
    uint64_t            check;       /* RNR: when to ask if the peer lives */
    softefa_msg_t       *next;       /* free list; done; late; RNR: same
                                        destination */
    softefa_msg_t       *next_dest;  /* RNR, first of its destination only */
    softefa_msg_t       *last;       /* RNR, first of its destination only */
};

struct softefa_qp {
    softefa_dev_t    *dev;
    softefa_shm_qp_t *shm;
    softefa_cq_t     *send_cq, *recv_cq;
    softefa_qp_type_t type;
    uint16_t         qpn, pdn;
    uint8_t          send_sub_cq;
    uint8_t          rnr_retry;
    int              state;          /* enum ibv_qp_state */
    uint32_t         sq_psn;
    uint32_t         max_inline;
    bool             doorbell_error; /* already said */
    _Atomic uint32_t waiting;        /* of dev->waiting; written under lock */
    softefa_link_t   wait_link;      /* in dev->waiters, if waiting */
    softefa_link_t   link;

    pthread_mutex_t  lock;           /* everything below */
    const uint8_t    *sq;
    const _Atomic uint32_t *sq_db;
    uint32_t         sq_size;        /* entries, power of two */
    uint32_t         wqe_shift;      /* 6 or 7 */
    uint16_t         sq_head;        /* entries fetched so far */
    uint8_t          sq_phase;       /* of the next entry */
    bool             learn_phase;    /* libefa keeps its phase over RESET */

    softefa_msg_t    *flight;        /* sq_size of them */
    uint32_t         num_flight;     /* of which have been used */
    softefa_msg_t    *free;
    softefa_msg_t    *rnr;           /* first message of each destination */
    softefa_msg_t    *done;          /* their CQEs are to be written */
    softefa_msg_t    *done_last;
    bool             backlog;        /* entries announced, not fetched */
    bool             flush_later;    /* receives, into a CQ as above */
    softefa_msg_t    **held;         /* HELD and DONE, reorder.c */
    uint32_t         num_held;
    softefa_msg_t    *late;          /* in the order of posting */
    uint32_t         reorder;        /* depth, 0: off */
    bool             planned;        /* this process has a fault plan */
    bool             slow;           /* either of the two */
    uint64_t         random;
};

static inline uint64_t softefa_page_size(void)
{
    return sysconf(_SC_PAGESIZE);
}

static inline uint64_t softefa_page_align(uint64_t size)
{
    return (size + softefa_page_size() - 1) & ~(softefa_page_size() - 1);
}

static inline bool softefa_is_pow2(uint32_t value)
{
    return (value != 0) && ((value & (value - 1)) == 0);
}

static inline void softefa_list_init(softefa_link_t *head)
{
    head->prev = head->next = head;
}

static inline void softefa_list_add(softefa_link_t *head, softefa_link_t *link)
{
    link->prev       = head->prev;
    link->next       = head;
    head->prev->next = link;
    head->prev       = link;
}

static inline void softefa_list_del(softefa_link_t *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

#define softefa_container_of(_ptr, _type, _member)                            \
    ((_type*)((char*)(_ptr) - offsetof(_type, _member)))

/* False in the child of a fork and after exit: its memory is not ours. */
static inline bool softefa_dev_valid(const softefa_dev_t *dev)
{
    return dev->epoch == atomic_load_explicit(&softefa_fabric.epoch,
                                              memory_order_relaxed);
}

/* Of a valid one: its device died since it was opened. It stays dead when the
 * device returns. */
static inline bool softefa_dev_dead(const softefa_dev_t *dev)
{
    return dev->life !=
           atomic_load_explicit(&softefa_fabric.shm->fate[dev->index].life,
                                memory_order_acquire);
}

/* xorshift64*: good enough for keys and orders, one word of state. */
static inline uint64_t softefa_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

/* ns, monotonic; coarse: cheaper, up to 10 ms behind. */
uint64_t softefa_now(void);
uint64_t softefa_now_coarse(void);

enum {
    SOFTEFA_CHANNEL_NAME = 16        /* "ev<n>" */
};

/* object.c: takes (count 1) or drops (-1) a reference of pdn. EINVAL: not a
 * PD of this file. Under the admin lock. */
int softefa_pd_hold(softefa_dev_t *dev, uint16_t pdn, int count);

/* object.c: takes the admin lock for a command. EIO, and not taken: the device
 * of `dev` died; ETIME. */
int softefa_dev_lock(softefa_dev_t *dev);

/* qps.c: under the RQ's lock: completes every posted receive with status 1.
 * False: not all of them, the CQ's lock is not to be had. */
bool softefa_rq_flush(softefa_shm_dev_t *dev, softefa_shm_qp_t *shm);

/* qps.c: no message enters this queue any more. False: a process is stopped
 * that may yet write into it. */
bool softefa_qp_retire(softefa_shm_qp_t *qp);

/* qps.c, cqs.c, under the admin lock: give a queue's memory back, into which
 * nobody writes any more: of a retired QP, of a CQ without QPs. */
void softefa_qp_reap(softefa_shm_qp_t *qp);
void softefa_cq_reap(softefa_shm_cq_t *cq);

/* channel.c: drops a reference, under the admin lock. */
void softefa_channel_put(softefa_shm_channel_t *shm);

/* channel.c: takes the events with this cookie out of the channel, as the
 * kernel does when a CQ is destroyed. Returns how many. */
uint32_t softefa_channel_purge(softefa_channel_t *channel, uint64_t cookie);

/* mr.c: the region that covers [addr, addr + length) and has all of
 * `access`, in `pdn`; NULL if there is none. addr is an IOVA. */
const softefa_shm_mr_t *
softefa_mr_find(const softefa_shm_dev_t *dev, uint32_t lkey, uint16_t pdn,
                uint64_t addr, uint64_t length, uint32_t access);
softefa_shm_mr_t *
softefa_mr_find_remote(softefa_shm_dev_t *dev, uint32_t rkey, uint16_t pdn,
                       uint64_t addr, uint64_t length, uint32_t access);

/* cq.c: takes cq->lock and repairs after a dead owner. 0, or without the lock:
 * ENOENT: the CQ is gone. EBUSY: the holder is stopped. */
int softefa_cq_lock(softefa_shm_cq_t *cq);

/* Under that lock: writes an entry, given without the phase bit, into sub-CQ
 * `sub`. May raise the completion event. */
void softefa_cq_put(softefa_shm_cq_t *cq, unsigned sub, softefa_io_cqe_t *cqe);

/* The same for a receive completion of qp, whose lock is held, too: the entry
 * and the `descriptors` taken from the RQ happen together or not at all, also
 * if this process dies meanwhile. */
void softefa_cq_put_recv(softefa_shm_cq_t *cq, unsigned sub,
                         softefa_io_cqe_t *cqe, softefa_shm_qp_t *qp,
                         uint32_t descriptors);

/* Lock, put, unlock. Does nothing if the CQ is gone. False: try again later. */
bool softefa_cq_write(softefa_shm_cq_t *cq, unsigned sub,
                      softefa_io_cqe_t *cqe);

/* cq.c: arms what softefa_cq_arm() could not arm at once. */
void softefa_cq_arm_late(softefa_cq_t *cq);

/* cq.c: closes this process's descriptor for raising events of a channel. */
void softefa_event_forget(unsigned channel);

/* cq.c, under qp->lock: its last owner died while a completion may have been
 * written. False: that cannot be told yet. */
bool softefa_rq_repair(softefa_shm_qp_t *qp, softefa_shm_dev_t *dev);

/* Under qp->lock, just taken. False: unlocked, it cannot be repaired yet. */
static inline bool softefa_rq_locked(softefa_shm_qp_t *qp,
                                     softefa_shm_dev_t *dev)
{
    if (softefa_unlikely(qp->journal_head != softefa_rq_head(qp)) &&
        !softefa_rq_repair(qp, dev)) {
        softefa_unlock(&qp->lock);
        return false;
    }

    return true;
}

/* Takes the RQ's lock and repairs after a dead owner. False: its holder is
 * stopped; a message is to wait (AGAIN). */
static inline bool softefa_rq_lock(softefa_shm_qp_t *qp, softefa_shm_dev_t *dev)
{
    if (softefa_unlikely(softefa_lock(&qp->lock) == EBUSY) ||
        !softefa_rq_locked(qp, dev)) {
        return false;
    }

    softefa_fault_point(SOFTEFA_POINT_LOCKED_RQ);
    return true;
}

/* engine.c: writes the send completion of a message; false: try again later. */
bool softefa_engine_write(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          int status);

/* engine.c, under qp->lock: fetch what the doorbell announces; end all with
 * status 1 (ERR) or without completions (RESET, destroy). What cannot be ended
 * as the CQ's lock is not to be had is done later. */
void softefa_engine_fetch(softefa_qp_t *qp);
void softefa_engine_flush(softefa_qp_t *qp, bool complete);

/* validate.c: a softefa_status_t. */
int softefa_validate(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe);
int softefa_validate_ah(const softefa_qp_t *qp, uint16_t ahn);

/* qps.c, under qp->lock, in ERR: completes every posted receive with status 1,
 * later if the locks are not to be had. */
void softefa_qp_flush_recv(softefa_qp_t *qp);

/* flight.c, under qp->lock: keep a message (with a status: its completion) for
 * the reorder option; keep it until the receiver has a request. False: it
 * cannot be kept. Keep its completion until the CQ can be written. */
bool softefa_flight_hold(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         int status);
bool softefa_flight_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);
void softefa_flight_done(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         int status);

/* flight.c: one thing more (1) or less (-1) that progress must look after. */
void softefa_flight_wait(softefa_qp_t *qp, int count);
void softefa_dev_wait(softefa_dev_t *dev, int count);

/* flight.c, under qp->lock: keep a message until `until` (ns), then send it, or
 * complete it with a status other than OK. False: it cannot be kept. */
bool softefa_flight_delay(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          int status, uint64_t until);

/* Send a held message, or complete it; try what waits; end all that waits. */
void softefa_flight_release(softefa_qp_t *qp, softefa_msg_t *msg);
void softefa_flight_retry(softefa_qp_t *qp);
void softefa_flight_flush(softefa_qp_t *qp, bool complete);

/* deliver.c: performs the message. A softefa_status_t, AGAIN if the receiver
 * has no descriptor (SRD only). */
int softefa_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* Performs the first messages of wqe[0..count), all SENDs to one QP, with one
 * system call and each lock taken once. Returns how many were delivered with
 * status 0; the next one is for softefa_deliver(). */
unsigned softefa_deliver_burst(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               unsigned count);

enum {
    SOFTEFA_MAX_BURST = 16
};

/* Whether a held message is worth another softefa_deliver(). */
bool softefa_deliver_ready(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* Asks for certain whether the destination lives. AGAIN: it does. */
int softefa_deliver_check(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* The status of a message whose RNR retries are used up: 10, unless nobody is
 * left there who could post a receive request. A kernel would have destroyed a
 * killed process's QPs by now. */
int softefa_deliver_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* The process of a QP or MR. Must be read while it cannot have been reclaimed:
 * under the RQ's lock, or before the MR is found once more. */
typedef struct {
    uint32_t slot;
    int32_t  pid;
} softefa_peer_t;

static inline softefa_peer_t softefa_peer(uint32_t owner)
{
    uint32_t slot = softefa_owner_slot(owner);

    return (softefa_peer_t){slot, softefa_fabric.shm->proc[slot].pid};
}

/* copy.c: between buffers of this process and of another, or the same. Returns
 * 0, ESRCH (it is gone), EFAULT or EPERM (logged once). */
struct iovec;
int softefa_copy_to(softefa_peer_t peer, const struct iovec *local,
                    unsigned num_local, const struct iovec *remote,
                    unsigned num_remote, size_t length);
int softefa_copy_from(softefa_peer_t peer, const struct iovec *local,
                      unsigned num_local, const struct iovec *remote,
                      unsigned num_remote, size_t length);

/* reorder.c, under qp->lock: keep a message back; let go of what is too many
 * (`poll` false) or of some (true). */
void softefa_reorder_hold(softefa_qp_t *qp, softefa_msg_t *msg);
void softefa_reorder_release(softefa_qp_t *qp, bool poll);

/* engine.c: retries what waits in all QPs of dev. */
void softefa_dev_retry(softefa_dev_t *dev);

/* engine.c: waits, a second at most, until no engine of dev runs. */
bool softefa_dev_quiesce(softefa_dev_t *dev);

/* ticker.c: dev has messages that wait; make sure somebody looks. */
void softefa_ticker_wake(void);
void softefa_ticker_add(softefa_dev_t *dev);
void softefa_ticker_remove(softefa_dev_t *dev);

/* The devices go away, after the epoch has changed: no engine runs afterwards.
 * False: one is still running, perhaps interrupted by who calls this. */
bool softefa_ticker_stop(void);

/* In the child of a fork, whose only thread is the caller. */
void softefa_ticker_fork_child(void);
void softefa_event_fork_child(void);

#endif
