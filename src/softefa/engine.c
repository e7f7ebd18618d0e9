/*
 * The send side: from doorbell to completion, in the caller's thread.
 *
 *   doorbell --> fetch --> validate --> deliver --> complete
 *                   |         |           |  ^         |
 *                   |       2..6       AGAIN |         v
 *               (reorder)     |           v  |     send CQE
 *                   v         |        RNR list        ^
 *                 held -------|-----------'            |
 *                   '---------'---------------- held --'
 *
 * A message that cannot be finished at once is copied into a slot of
 * qp->flight, as the hardware keeps it in its own memory: libefa reuses an SQ
 * entry only after the completion, so sq_size slots are enough.
 *
 * RNR: the messages that wait for one destination form a list in their order,
 * so a retry costs one look per destination. SRD has no order: other messages
 * go on. A retry count of 7 waits for ever, n < 7 for n intervals of
 * RNR_INTERVAL_NS.
 */
#define _GNU_SOURCE
#include "log.h"
#include "object.h"

#include <infiniband/verbs.h>
#include <time.h>

#define RNR_INTERVAL_NS 1000000ull
#define CHECK_PEER_NS   50000000ull

/*
 * The place of the fault plan: what a plan may decide at each point of a
 * message's way. All NULL now. Each returns a softefa_status_t: OK goes on,
 * AGAIN holds the message back, another one completes it. They run under
 * qp->lock and may keep state per QP.
 */
typedef struct {
    int (*fetch)(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);
    int (*deliver)(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);
    int (*complete)(softefa_qp_t *qp, const softefa_io_wqe_t *wqe, int status);
} softefa_fault_points_t;

/*
 * Flight slots
 */

static softefa_msg_t *msg_get(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                              softefa_msg_state_t state)
{
    softefa_msg_t *msg = qp->free;

    if (msg != NULL) {
        qp->free = msg->next;
    } else {
        /* Also when the application broke libefa's limit by itself. */
        if (qp->num_flight == qp->sq_size) {
            return NULL;
        }
        msg = &qp->flight[qp->num_flight++];
    }

    memcpy(&msg->wqe, wqe, 1u << qp->wqe_shift);
    msg->ah_generation = qp->dev->shm->ah[wqe->ahn].generation;
    msg->state         = state;
    msg->next          = NULL;
    return msg;
}

static void msg_put(softefa_qp_t *qp, softefa_msg_t *msg)
{
    msg->state = SOFTEFA_MSG_FREE;
    msg->next  = qp->free;
    qp->free   = msg;
}

static void waiting_add(softefa_qp_t *qp)
{
    atomic_store_explicit(&qp->waiting, qp->waiting + 1, memory_order_relaxed);
    if (atomic_fetch_add(&qp->dev->waiting, 1) == 0) {
        softefa_ticker_wake();
    }
}

static void waiting_sub(softefa_qp_t *qp)
{
    atomic_store_explicit(&qp->waiting, qp->waiting - 1, memory_order_relaxed);
    atomic_fetch_sub(&qp->dev->waiting, 1);
}

static void engine_cqe(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       int status, softefa_io_cqe_t *cqe)
{
    memset(cqe, 0, sizeof(*cqe));
    cqe->req_id       = wqe->req_id;
    cqe->status       = status;
    cqe->flags        = SOFTEFA_CQE_SEND_QUEUE |
                        ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) <<
                         SOFTEFA_CQE_OP_SHIFT);
    cqe->qpn          = qp->qpn;
    cqe->req_id_ex[0] = wqe->req_id_ex[0];
    cqe->req_id_ex[1] = wqe->req_id_ex[1];
    cqe->req_id_ex[2] = wqe->req_id_ex[2];
}

void softefa_engine_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                             int status)
{
    softefa_io_cqe_t cqe;

    engine_cqe(qp, wqe, status, &cqe);
    softefa_cq_write(qp->send_cq->shm, qp->send_sub_cq, &cqe);
}

/*
 * Validation: what the device finds wrong in the entry itself. The buffers are
 * looked up when they are used, by softefa_deliver().
 */

static int validate_send(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    uint64_t length = 0;
    unsigned i;

    if (wqe->ctrl1 & SOFTEFA_CTRL1_INLINE) {
        return (wqe->length <= qp->max_inline) ? SOFTEFA_STATUS_OK :
                                                 SOFTEFA_STATUS_TOO_LONG;
    }

    if (wqe->length > SOFTEFA_WQE_SEND_SGE) {
        return SOFTEFA_STATUS_TOO_LONG;
    }

    for (i = 0; i < wqe->length; ++i) {
        length += wqe->sge[i].length;
    }

    return (length <= qp->dev->profile.max_msg_size) ? SOFTEFA_STATUS_OK :
                                                       SOFTEFA_STATUS_TOO_LONG;
}

static int validate_rdma(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    bool read    = (wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_RDMA_READ;
    uint32_t cap = read ? SOFTEFA_CAP_RDMA_READ : SOFTEFA_CAP_RDMA_WRITE;

    if ((qp->type != SOFTEFA_QP_SRD) || !(qp->dev->profile.caps & cap) ||
        (read && (wqe->ctrl1 &
                  (SOFTEFA_CTRL1_INLINE | SOFTEFA_CTRL1_HAS_IMM)))) {
        return SOFTEFA_STATUS_BAD_OP;
    }

    if (wqe->rdma.remote.length > qp->dev->profile.max_rdma_size) {
        return SOFTEFA_STATUS_TOO_LONG;
    }

    if (wqe->ctrl1 & SOFTEFA_CTRL1_INLINE) {
        return ((qp->wqe_shift == 7) && (wqe->length <= qp->max_inline) &&
                (wqe->length <= sizeof(wqe->rdma.data)) &&
                (wqe->length == wqe->rdma.remote.length)) ?
               SOFTEFA_STATUS_OK : SOFTEFA_STATUS_TOO_LONG;
    }

    if (wqe->length > 1) {
        return SOFTEFA_STATUS_TOO_LONG;
    }

    if (wqe->length == 0) {
        return (wqe->rdma.remote.length == 0) ? SOFTEFA_STATUS_OK :
                                                SOFTEFA_STATUS_TOO_LONG;
    }

    return (wqe->rdma.local.length == wqe->rdma.remote.length) ?
           SOFTEFA_STATUS_OK : SOFTEFA_STATUS_TOO_LONG;
}

static int validate_ah(softefa_qp_t *qp, uint16_t ahn)
{
    const softefa_shm_dev_t *dev = qp->dev->shm;
    const softefa_shm_ah_t *ah   = &dev->ah[ahn];

    return ((ahn < dev->table[SOFTEFA_KIND_AH].backed) &&
            (atomic_load_explicit(&ah->obj.state, memory_order_acquire) ==
             SOFTEFA_STATE_ALIVE) && (ah->pdn == qp->pdn)) ?
           SOFTEFA_STATUS_OK : SOFTEFA_STATUS_BAD_AH;
}

static int validate(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    int status;

    if (((wqe->ctrl1 & (SOFTEFA_CTRL1_META | SOFTEFA_CTRL1_EXTENSION)) !=
         SOFTEFA_CTRL1_META) ||
        ((wqe->ctrl2 & (SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST |
                        SOFTEFA_CTRL2_ZERO)) !=
         (SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST)) ||
        ((wqe->ctrl2 & SOFTEFA_CTRL2_PHASE) != qp->sq_phase)) {
        return SOFTEFA_STATUS_QP_ERROR;
    }

    if ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) > SOFTEFA_OP_RDMA_WRITE) {
        return SOFTEFA_STATUS_BAD_OP;
    }

    status = validate_ah(qp, wqe->ahn);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    return ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) ?
           validate_send(qp, wqe) : validate_rdma(qp, wqe);
}

/*
 * RNR
 */

static inline bool same_destination(const softefa_io_wqe_t *a,
                                    const softefa_io_wqe_t *b)
{
    return (a->ahn == b->ahn) && (a->dest_qpn == b->dest_qpn);
}

static int rnr_hold(softefa_qp_t *qp, softefa_msg_t *msg)
{
    uint64_t now = softefa_now();
    softefa_msg_t *first;

    msg->state    = SOFTEFA_MSG_RNR;
    msg->next     = NULL;
    msg->check    = now + CHECK_PEER_NS;
    msg->deadline = (qp->rnr_retry == 7) ?
                    UINT64_MAX : now + (qp->rnr_retry * RNR_INTERVAL_NS);
    for (first = qp->rnr; first != NULL; first = first->next_dest) {
        if (same_destination(&first->wqe, &msg->wqe)) {
            first->last->next = msg;
            first->last       = msg;
            return 0;
        }
    }

    msg->last      = msg;
    msg->next_dest = qp->rnr;
    qp->rnr        = msg;
    return 0;
}

/* Sends a copy held in a flight slot, which this consumes. */
static void msg_finish(softefa_qp_t *qp, softefa_msg_t *msg, int status)
{
    if (qp->reorder > 0) {
        msg->state  = SOFTEFA_MSG_DONE;
        msg->status = status;
        softefa_reorder_hold(qp, msg);
        return;
    }

    softefa_engine_complete(qp, &msg->wqe, status);
    msg_put(qp, msg);
    waiting_sub(qp);
}

/* An AH destroyed under a waiting message flushes it. */
static bool msg_ah_valid(softefa_qp_t *qp, const softefa_msg_t *msg)
{
    return (validate_ah(qp, msg->wqe.ahn) == SOFTEFA_STATUS_OK) &&
           (qp->dev->shm->ah[msg->wqe.ahn].generation == msg->ah_generation);
}

void softefa_engine_send_held(softefa_qp_t *qp, softefa_msg_t *msg)
{
    int status;

    if (msg->state == SOFTEFA_MSG_DONE) {
        softefa_engine_complete(qp, &msg->wqe, msg->status);
        msg_put(qp, msg);
        waiting_sub(qp);
        return;
    }

    status = msg_ah_valid(qp, msg) ? softefa_deliver(qp, &msg->wqe) :
                                     SOFTEFA_STATUS_FLUSHED;
    if (status != SOFTEFA_STATUS_AGAIN) {
        msg_finish(qp, msg, status);
    } else if (qp->rnr_retry == 0) {
        msg_finish(qp, msg, SOFTEFA_STATUS_REMOTE_RNR);
    } else {
        rnr_hold(qp, msg);
    }
}

/* What to do with the first message of a destination; AGAIN: leave it. */
static int rnr_status(softefa_qp_t *qp, softefa_msg_t *msg, uint64_t *now)
{
    int status = SOFTEFA_STATUS_AGAIN;

    if (softefa_deliver_ready(qp, &msg->wqe)) {
        status = msg_ah_valid(qp, msg) ? softefa_deliver(qp, &msg->wqe) :
                                         SOFTEFA_STATUS_FLUSHED;
        if (status != SOFTEFA_STATUS_AGAIN) {
            return status;
        }
    }

    /* Most wait for ever: the cheap clock, of the same base, will do. */
    if ((*now == 0) || (msg->deadline != UINT64_MAX)) {
        *now = (msg->deadline == UINT64_MAX) ? softefa_now_coarse() :
                                               softefa_now();
    }
    if (*now >= msg->deadline) {
        return SOFTEFA_STATUS_REMOTE_RNR;
    }
    if (*now >= msg->check) {
        msg->check = *now + CHECK_PEER_NS;
        if (!msg_ah_valid(qp, msg)) {
            return SOFTEFA_STATUS_FLUSHED;
        }
        return softefa_deliver_check(qp, &msg->wqe);
    }

    return SOFTEFA_STATUS_AGAIN;
}

static void rnr_retry(softefa_qp_t *qp)
{
    softefa_msg_t **prev = &qp->rnr;
    softefa_msg_t *msg, *next;
    uint64_t now = 0;
    int status;

    while ((msg = *prev) != NULL) {
        status = rnr_status(qp, msg, &now);
        if (status == SOFTEFA_STATUS_AGAIN) {
            prev = &msg->next_dest;
            continue;
        }

        next = msg->next;
        if (next != NULL) {
            next->next_dest = msg->next_dest;
            next->last      = msg->last;
            *prev           = next;
        } else {
            *prev           = msg->next_dest;
        }
        msg_finish(qp, msg, status);
    }
}

/*
 * Fetch
 */

static void engine_start(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    int status = validate(qp, wqe);
    softefa_msg_t *msg;

    if (softefa_unlikely(qp->reorder > 0)) {
        msg = msg_get(qp, wqe, SOFTEFA_MSG_HELD);
        if (msg != NULL) {
            if (status != SOFTEFA_STATUS_OK) {
                msg->state  = SOFTEFA_MSG_DONE;
                msg->status = status;
            }
            waiting_add(qp);
            softefa_reorder_hold(qp, msg);
            return;
        }
    }

    if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
        status = softefa_deliver(qp, wqe);
        if (softefa_unlikely(status == SOFTEFA_STATUS_AGAIN)) {
            msg = (qp->rnr_retry == 0) ? NULL :
                  msg_get(qp, wqe, SOFTEFA_MSG_RNR);
            if (msg != NULL) {
                waiting_add(qp);
                rnr_hold(qp, msg);
                return;
            }
            status = SOFTEFA_STATUS_REMOTE_RNR;
        }
    }

    softefa_engine_complete(qp, wqe, status);
}

/* How many entries the doorbell announces; 0 for nonsense. */
static uint32_t engine_announced(softefa_qp_t *qp)
{
    uint32_t db    = atomic_load_explicit((_Atomic uint32_t*)qp->sq_db,
                                          memory_order_acquire);
    uint32_t count = (uint16_t)(db - qp->sq_head);

    if (softefa_unlikely(count > qp->sq_size)) {
        if (!qp->doorbell_error) {
            qp->doorbell_error = true;
            softefa_error("QP %u: doorbell %u announces %u entries, the send "
                          "queue has %u; ignored", qp->qpn, db, count,
                          qp->sq_size);
        }
        return 0;
    }

    return count;
}

static const softefa_io_wqe_t *engine_next(softefa_qp_t *qp)
{
    uint32_t index = qp->sq_head & (qp->sq_size - 1);

    return (const void*)(qp->sq + ((size_t)index << qp->wqe_shift));
}

static void engine_advance(softefa_qp_t *qp)
{
    ++qp->sq_head;
    if ((qp->sq_head & (qp->sq_size - 1)) == 0) {
        qp->sq_phase ^= SOFTEFA_CTRL2_PHASE;
    }
}

/* Sends the first entries together if they are SENDs to one QP. Returns how
 * many were. */
static uint32_t engine_burst(softefa_qp_t *qp, uint32_t count)
{
    softefa_shm_cq_t *cq  = qp->send_cq->shm;
    uint32_t ring_left    = qp->sq_size - (qp->sq_head & (qp->sq_size - 1));
    const uint8_t *source = (const void*)engine_next(qp);
    softefa_io_wqe_t wqe[SOFTEFA_MAX_BURST];
    softefa_io_cqe_t cqe;
    uint32_t sent, i;

    /* Within one round of the ring, so that all have the same phase. */
    count = (count < SOFTEFA_MAX_BURST) ? count : SOFTEFA_MAX_BURST;
    count = (count < ring_left) ? count : ring_left;
    for (i = 0; i < count; ++i) {
        memcpy(&wqe[i], source + ((size_t)i << qp->wqe_shift),
               1u << qp->wqe_shift);
        if (((wqe[i].ctrl1 & SOFTEFA_CTRL1_OP) != SOFTEFA_OP_SEND) ||
            !same_destination(&wqe[i], &wqe[0]) ||
            (wqe[i].qkey != wqe[0].qkey) ||
            (validate(qp, &wqe[i]) != SOFTEFA_STATUS_OK)) {
            break;
        }
    }

    if (i < 2) {
        return 0;
    }

    sent = softefa_deliver_burst(qp, wqe, i);
    if (softefa_likely(sent > 0)) {
        if (softefa_likely(softefa_cq_lock(cq))) {
            for (i = 0; i < sent; ++i) {
                engine_cqe(qp, &wqe[i], SOFTEFA_STATUS_OK, &cqe);
                softefa_cq_put(cq, qp->send_sub_cq, &cqe);
            }
        }
        softefa_unlock(&cq->lock);
        for (i = 0; i < sent; ++i) {
            engine_advance(qp);
        }
    }

    return sent;
}

void softefa_engine_fetch(softefa_qp_t *qp)
{
    uint32_t single = 0;             /* entries to send one by one */
    softefa_io_wqe_t wqe;
    uint32_t count, sent;

    if (softefa_unlikely(qp->state != IBV_QPS_RTS)) {
        if (qp->state == IBV_QPS_ERR) {
            softefa_engine_flush(qp, true);
        }
        return;
    }

    for (count = engine_announced(qp); count > 0; --count) {
        if ((count >= 2) && (single == 0) && (qp->reorder == 0) &&
            !qp->learn_phase) {
            while ((sent = engine_burst(qp, count)) > 0) {
                count -= sent;
            }
            if (count == 0) {
                break;
            }
            single = SOFTEFA_MAX_BURST;
        }
        single = (single > 0) ? (single - 1) : 0;

        /* A copy: the application can write to the ring at any time. */
        memcpy(&wqe, engine_next(qp), 1u << qp->wqe_shift);
        if (softefa_unlikely(qp->learn_phase)) {
            qp->learn_phase = false;
            qp->sq_phase    = wqe.ctrl2 & SOFTEFA_CTRL2_PHASE;
        }
        engine_start(qp, &wqe);
        engine_advance(qp);
    }

    if (softefa_unlikely(qp->num_held > qp->reorder)) {
        softefa_reorder_release(qp, false);
    }
}

void softefa_engine_retry(softefa_qp_t *qp)
{
    if (qp->rnr != NULL) {
        rnr_retry(qp);
    }
    if (qp->num_held > 0) {
        softefa_reorder_release(qp, true);
    }
}

/* Ends a message that waits. */
static void msg_drop(softefa_qp_t *qp, softefa_msg_t *msg, bool complete)
{
    if (complete) {
        softefa_engine_complete(qp, &msg->wqe,
                                (msg->state == SOFTEFA_MSG_DONE) ?
                                msg->status : SOFTEFA_STATUS_FLUSHED);
    }
    msg_put(qp, msg);
    waiting_sub(qp);
}

void softefa_engine_flush(softefa_qp_t *qp, bool complete)
{
    softefa_msg_t *first, *next_dest, *msg, *next;
    softefa_io_wqe_t wqe;
    uint32_t count;

    for (first = qp->rnr; first != NULL; first = next_dest) {
        next_dest = first->next_dest;
        for (msg = first; msg != NULL; msg = next) {
            next = msg->next;
            msg_drop(qp, msg, complete);
        }
    }
    qp->rnr = NULL;

    while (qp->num_held > 0) {
        msg_drop(qp, qp->held[--qp->num_held], complete);
    }

    for (count = engine_announced(qp); count > 0; --count) {
        if (complete) {
            memcpy(&wqe, engine_next(qp), 1u << qp->wqe_shift);
            softefa_engine_complete(qp, &wqe, SOFTEFA_STATUS_FLUSHED);
        }
        engine_advance(qp);
    }
}

/*
 * Entry points
 */

void softefa_qp_doorbell(softefa_qp_t *qp)
{
    /* In a fork's child another thread's lock would stay taken for ever. */
    if (softefa_unlikely(!softefa_dev_valid(qp->dev))) {
        return;
    }

    pthread_mutex_lock(&qp->lock);
    if (softefa_likely(softefa_dev_valid(qp->dev))) {
        softefa_engine_fetch(qp);
    }
    pthread_mutex_unlock(&qp->lock);
}

void softefa_dev_retry(softefa_dev_t *dev)
{
    softefa_link_t *link;
    softefa_qp_t *qp;

    /* Whoever holds the locks is doing the same. */
    if (pthread_mutex_trylock(&dev->lock) != 0) {
        return;
    }

    for (link = dev->qps.next; link != &dev->qps; link = link->next) {
        qp = softefa_container_of(link, softefa_qp_t, link);
        if ((atomic_load_explicit(&qp->waiting, memory_order_relaxed) > 0) &&
            (pthread_mutex_trylock(&qp->lock) == 0)) {
            if (softefa_dev_valid(dev)) {
                softefa_engine_retry(qp);
            }
            pthread_mutex_unlock(&qp->lock);
        }
    }

    pthread_mutex_unlock(&dev->lock);
}

void softefa_dev_progress(softefa_dev_t *dev)
{
    if (softefa_likely(atomic_load_explicit(&dev->waiting,
                                            memory_order_relaxed) == 0)) {
        return;
    }

    if (softefa_dev_valid(dev)) {
        atomic_store_explicit(&dev->polled, true, memory_order_relaxed);
        softefa_dev_retry(dev);
    }
}

bool softefa_dev_quiesce(softefa_dev_t *dev)
{
    struct timespec until;
    softefa_link_t *link;
    softefa_qp_t *qp;
    bool quiet = true;

    clock_gettime(CLOCK_REALTIME, &until);
    ++until.tv_sec;
    if (pthread_mutex_timedlock(&dev->lock, &until) != 0) {
        return false;
    }

    for (link = dev->qps.next; link != &dev->qps; link = link->next) {
        qp = softefa_container_of(link, softefa_qp_t, link);
        if (pthread_mutex_timedlock(&qp->lock, &until) == 0) {
            pthread_mutex_unlock(&qp->lock);
        } else {
            quiet = false;
        }
    }

    pthread_mutex_unlock(&dev->lock);
    return quiet;
}
