/*
 * The send side: from doorbell to completion, in the caller's thread.
 *
 *   doorbell --> fetch --> validate --> deliver --> complete
 *                   |         |           |  ^         |
 *                   |       2..6       AGAIN |         v
 *               (reorder)     |           v  |     send CQE
 *          (faults) v         |        RNR list        ^
 *                 held -------|-----------'            |
 *                   '---------'---------------- held --'
 */
#define _GNU_SOURCE
#include "nic/counters.h"
#include "faults/fault.h"
#include "base/log.h"
#include "nic/object.h"

#include <infiniband/verbs.h>
#include <time.h>

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

bool softefa_engine_write(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          int status)
{
    softefa_io_cqe_t cqe;
    bool written;

    softefa_fault_point(SOFTEFA_POINT_COMPLETE);
    engine_cqe(qp, wqe, status, &cqe);
    written = softefa_cq_write(qp->send_cq->shm, qp->send_sub_cq, &cqe);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK) && written) {
        softefa_count_error(qp, wqe, status);
    }
    return written;
}

static void engine_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                            int status)
{
    if (softefa_unlikely(!softefa_engine_write(qp, wqe, status))) {
        softefa_flight_done(qp, wqe, status);
    }
}

/* What a fault plan, a device that is paused or the reorder option make of a
 * message. True: it is held; else go on with *status. */
static bool engine_hold(softefa_qp_t *qp, softefa_io_wqe_t *wqe, int *status)
{
    softefa_verdict_t verdict = {.status = SOFTEFA_STATUS_OK};
    uint64_t until;

    if (*status == SOFTEFA_STATUS_OK) {
        if (qp->planned) {
            softefa_fault_judge(qp, wqe, &verdict);
        }

        *status = verdict.status;
        until   = softefa_device_paused(qp, wqe);
        until   = (until > verdict.until) ? until : verdict.until;
        if ((until > 0) && softefa_flight_delay(qp, wqe, *status, until)) {
            return true;
        }
    }

    return (qp->reorder > 0) && softefa_flight_hold(qp, wqe, *status);
}

static void engine_start(softefa_qp_t *qp, softefa_io_wqe_t *wqe)
{
    int status = softefa_validate(qp, wqe);

    if (softefa_unlikely(qp->slow | softefa_trouble()) &&
        engine_hold(qp, wqe, &status)) {
        return;
    }

    if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
        status = softefa_deliver(qp, wqe);
        if (softefa_unlikely(status == SOFTEFA_STATUS_AGAIN)) {
            if (softefa_flight_rnr(qp, wqe)) {
                return;
            }
            status = softefa_deliver_rnr(qp, wqe);
        }
    }

    engine_complete(qp, wqe, status);
}

/* How many of the announced entries can be fetched now: each may need a slot of
 * qp->flight. The application that obeys libefa's limit has never more. */
static uint32_t engine_room(softefa_qp_t *qp, uint32_t announced)
{
    uint32_t waiting = atomic_load_explicit(&qp->waiting, memory_order_relaxed);
    uint32_t room    = (waiting < qp->sq_size) ? (qp->sq_size - waiting) : 0;

    if (softefa_unlikely(qp->done != NULL)) {
        room = 0;
    }
    qp->backlog = announced > room;
    return softefa_unlikely(qp->backlog) ? room : announced;
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
    int ret;

    /* Within one round of the ring, so that all have the same phase. */
    count = (count < SOFTEFA_MAX_BURST) ? count : SOFTEFA_MAX_BURST;
    count = (count < ring_left) ? count : ring_left;
    for (i = 0; i < count; ++i) {
        memcpy(&wqe[i], source + ((size_t)i << qp->wqe_shift),
               1u << qp->wqe_shift);
        if (((wqe[i].ctrl1 & SOFTEFA_CTRL1_OP) != SOFTEFA_OP_SEND) ||
            (wqe[i].ahn != wqe[0].ahn) ||
            (wqe[i].dest_qpn != wqe[0].dest_qpn) ||
            (wqe[i].qkey != wqe[0].qkey) ||
            (softefa_validate(qp, &wqe[i]) != SOFTEFA_STATUS_OK)) {
            break;
        }
    }

    if (i < 2) {
        return 0;
    }

    sent = softefa_deliver_burst(qp, wqe, i);
    if (softefa_likely(sent > 0)) {
        ret = softefa_cq_lock(cq);
        for (i = 0; (ret == 0) && (i < sent); ++i) {
            engine_cqe(qp, &wqe[i], SOFTEFA_STATUS_OK, &cqe);
            softefa_cq_put(cq, qp->send_sub_cq, &cqe);
        }
        if (softefa_likely(ret == 0)) {
            softefa_unlock(&cq->lock);
        }
        for (i = 0; (ret == EBUSY) && (i < sent); ++i) {
            softefa_flight_done(qp, &wqe[i], SOFTEFA_STATUS_OK);
        }
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

    if (softefa_unlikely((qp->state != IBV_QPS_RTS) | softefa_trouble()) &&
        (softefa_fault_fallen(qp) || (qp->state != IBV_QPS_RTS))) {
        return;
    }

    count = engine_room(qp, engine_announced(qp));
    for (; count > 0; --count) {
        if (softefa_unlikely(qp->done != NULL)) {
            qp->backlog = true;
            break;
        }
        if ((count >= 2) && (single == 0) && !qp->slow &&
            !qp->learn_phase) {
            while ((qp->done == NULL) &&
                   ((sent = engine_burst(qp, count)) > 0)) {
                count -= sent;
            }
            if (softefa_unlikely(qp->done != NULL)) {
                qp->backlog = count > 0;
                break;
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
        if (softefa_unlikely(qp->planned) &&
            softefa_fault_strikes(qp, &wqe)) {
            return;
        }
        engine_start(qp, &wqe);
        engine_advance(qp);
    }

    if (softefa_unlikely(qp->num_held > qp->reorder)) {
        softefa_reorder_release(qp, false);
    }
}

void softefa_engine_flush(softefa_qp_t *qp, bool complete)
{
    softefa_io_wqe_t wqe;
    uint32_t count;

    softefa_flight_flush(qp, complete);
    qp->backlog = false;
    for (count = engine_announced(qp); count > 0; --count) {
        if (complete) {
            if (softefa_unlikely(qp->done != NULL)) {
                qp->backlog = true;
                break;
            }
            memcpy(&wqe, engine_next(qp), 1u << qp->wqe_shift);
            engine_complete(qp, &wqe, SOFTEFA_STATUS_FLUSHED);
        }
        engine_advance(qp);
    }
}

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

/* The QP whose messages have waited longest without a look; it is the last one
 * then. NULL: none */
static softefa_qp_t *dev_next_waiter(softefa_dev_t *dev)
{
    softefa_link_t *link = NULL;

    pthread_mutex_lock(&dev->wait_lock);
    if (dev->num_waiters > 0) {
        link = dev->waiters.next;
        softefa_list_del(link);
        softefa_list_add(&dev->waiters, link);
    }
    pthread_mutex_unlock(&dev->wait_lock);
    return (link == NULL) ? NULL :
           softefa_container_of(link, softefa_qp_t, wait_link);
}

void softefa_dev_retry(softefa_dev_t *dev)
{
    softefa_link_t *link;
    softefa_qp_t *qp;
    uint32_t count;

    /* Whoever holds the locks is doing the same. */
    if (pthread_mutex_trylock(&dev->lock) != 0) {
        return;
    }

    /* dev->lock keeps them: a QP is taken out of dev->qps before it is freed. */
    pthread_mutex_lock(&dev->wait_lock);
    count = dev->num_waiters;
    pthread_mutex_unlock(&dev->wait_lock);
    for (; (count > 0) && ((qp = dev_next_waiter(dev)) != NULL); --count) {
        if (pthread_mutex_trylock(&qp->lock) == 0) {
            if (softefa_dev_valid(dev) && !softefa_dev_dead(dev)) {
                if (softefa_trouble()) {
                    (void)softefa_fault_fallen(qp);
                }
                softefa_flight_retry(qp);
            }
            pthread_mutex_unlock(&qp->lock);
        }
    }
    for (link = dev->cqs.next;
         (link != &dev->cqs) && (atomic_load(&dev->late_arms) > 0);
         link = link->next) {
        softefa_cq_arm_late(softefa_container_of(link, softefa_cq_t, link));
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
