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
#include "nic/engine.h"
#include "base/log.h"
#include "fabric/lock.h"
#include "faults/fault.h"
#include "nic/burst.h"
#include "nic/complete.h"
#include "nic/dest.h"
#include "nic/dev.h"
#include "nic/device.h"
#include "nic/device_error.h"
#include "nic/flight.h"
#include "nic/message.h"
#include "nic/rq.h"
#include "nic/validate.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <string.h>

SOFTEFA_STEP void engine_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                                  int status)
{
    if (softefa_unlikely(!softefa_complete(qp, wqe, status))) {
        softefa_flight_done(qp, wqe, status);
    }
}

/* The entry as rules of a fault plan see it. */
static softefa_fault_op_t engine_fault_op(const softefa_qp_t *qp,
                                          const softefa_io_wqe_t *wqe)
{
    softefa_fault_op_t op = {
        .dev       = qp->dev->index,
        .peer      = SOFTEFA_FAULT_ANY,
        .op        = wqe->ctrl1 & SOFTEFA_CTRL1_OP,
        .has_imm   = !!(wqe->ctrl1 & SOFTEFA_CTRL1_HAS_IMM),
        .rnr_retry = qp->rnr_retry,
        .qpn       = qp->qpn,
        .req_id    = wqe->req_id,
        .ahn       = wqe->ahn,
        .dest_qpn  = wqe->dest_qpn
    };

    if (softefa_validate_ah(qp, wqe->ahn) == SOFTEFA_STATUS_OK) {
        op.peer = qp->dev->shm->ah[wqe->ahn].device;
    }
    return op;
}

/* A rule hits the device or the QP as this entry is fetched. True: with it. */
static bool engine_fault(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_fault_op_t op            = engine_fault_op(qp, wqe);
    const softefa_fault_rule_t *rule = softefa_fault_fetched(&op);

    if (rule == NULL) {
        return false;
    }

    if (rule->action == SOFTEFA_FAULT_FATAL) {
        softefa_device_error_fatal(qp->dev->index, rule->back, rule->silent);
    } else {
        softefa_device_error_qp(qp->dev->index, qp->qpn, 0);
    }
    return softefa_engine_in_error(qp);
}

/* What a fault plan, a device that is paused or the reorder option make of a
 * message. True: it is held; else *status is its status so far. */
static bool engine_hold(softefa_qp_t *qp, softefa_io_wqe_t *wqe, int *status)
{
    softefa_fault_result_t result = {.status = SOFTEFA_STATUS_OK};
    softefa_fault_op_t op;
    uint64_t until;

    if (*status == SOFTEFA_STATUS_OK) {
        if (qp->planned) {
            op = engine_fault_op(qp, wqe);
            softefa_fault_evaluate(&op, &result);
            wqe->imm ^= result.imm;
            wqe->fault = result.flags;
        }

        *status = result.status;
        until   = softefa_device_paused(qp, wqe);
        until   = (until > result.until) ? until : result.until;
        if ((until > 0) && softefa_flight_delay(qp, wqe, *status, until)) {
            return true;
        }
    }

    return (qp->reorder > 0) && softefa_flight_hold(qp, wqe, *status);
}

SOFTEFA_STEP void engine_start(softefa_qp_t *qp, softefa_io_wqe_t *wqe)
{
    int status = softefa_validate(qp, wqe);

    if (softefa_unlikely(qp->slow | softefa_device_faulted()) &&
        engine_hold(qp, wqe, &status)) {
        return;
    }

    if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
        status = softefa_message_send(qp, wqe);
        if (softefa_unlikely(status != SOFTEFA_STATUS_OK) &&
            (status == SOFTEFA_STATUS_AGAIN)) {
            if (softefa_flight_rnr(qp, wqe)) {
                return;
            }
            status = softefa_dest_rnr(qp, wqe);
        }
    }

    engine_complete(qp, wqe, status);
}

/* How many of the announced entries can be fetched now: each may need a slot of
 * qp->flight. The application that obeys libefa's limit has never more. */
static inline uint32_t engine_room(softefa_qp_t *qp, uint32_t announced)
{
    uint32_t waiting = atomic_load_explicit(&qp->waiting, memory_order_relaxed);
    uint32_t room;

    if (softefa_likely((waiting == 0) && (qp->done == NULL))) {
        qp->backlog = false;
        return announced;
    }

    room        = ((waiting < qp->sq_size) && (qp->done == NULL)) ?
                          (qp->sq_size - waiting) :
                          0;
    qp->backlog = announced > room;
    return qp->backlog ? room : announced;
}

static void engine_nonsense(softefa_qp_t *qp, uint32_t db, uint32_t count)
{
    if (!qp->doorbell_error) {
        qp->doorbell_error = true;
        softefa_error("QP %u: doorbell %u announces %u entries, the send "
                      "queue has %u; ignored",
                      qp->qpn, db, count, qp->sq_size);
    }
}

/* How many entries the doorbell announces; 0 for nonsense. */
static inline uint32_t engine_announced(softefa_qp_t *qp)
{
    uint32_t db    = atomic_load_explicit((_Atomic uint32_t *)qp->sq_db,
                                          memory_order_acquire);
    uint32_t count = (uint16_t)(db - qp->sq_head);

    if (softefa_unlikely(count > qp->sq_size)) {
        engine_nonsense(qp, db, count);
        return 0;
    }

    return count;
}

static inline const uint8_t *engine_next(const softefa_qp_t *qp)
{
    uint32_t index = qp->sq_head & (qp->sq_size - 1);

    return qp->sq + ((size_t)index << qp->wqe_shift);
}

/* A copy: the application can write to the ring at any time. */
static inline void engine_copy(const softefa_qp_t *qp, const uint8_t *entry,
                               softefa_io_wqe_t *wqe)
{
    memcpy(wqe, entry, SOFTEFA_WQE_SIZE);
    if (softefa_unlikely(qp->wqe_shift == SOFTEFA_WQE_SHIFT_EX)) {
        memcpy((uint8_t *)wqe + SOFTEFA_WQE_SIZE, entry + SOFTEFA_WQE_SIZE,
               SOFTEFA_WQE_SIZE_EX - SOFTEFA_WQE_SIZE);
    }
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
    const uint8_t *source = engine_next(qp);
    softefa_io_wqe_t wqe[SOFTEFA_BURST_MAX];
    softefa_io_cqe_t cqe;
    uint32_t sent, i;
    int ret;

    /* Within one round of the ring, so that all have the same phase. */
    count = (count < SOFTEFA_BURST_MAX) ? count : SOFTEFA_BURST_MAX;
    count = (count < ring_left) ? count : ring_left;
    for (i = 0; i < count; ++i) {
        engine_copy(qp, source + ((size_t)i << qp->wqe_shift), &wqe[i]);
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

    sent = softefa_burst_deliver(qp, wqe, i);
    if (softefa_likely(sent > 0)) {
        ret = softefa_cq_lock(cq);
        for (i = 0; (ret == 0) && (i < sent); ++i) {
            softefa_complete_cqe(qp, &wqe[i], SOFTEFA_STATUS_OK, &cqe);
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

/* Sends as many of the first `count` entries as can be sent together. Returns
 * how many were. */
static __attribute__((noinline)) uint32_t engine_bursts(softefa_qp_t *qp,
                                                        uint32_t count)
{
    uint32_t total = 0, sent;

    while ((total < count) && (qp->done == NULL) &&
           ((sent = engine_burst(qp, count - total)) > 0)) {
        total += sent;
    }

    return total;
}

/* Sends one entry. False: the device or the QP is in error now. */
SOFTEFA_STEP bool engine_fetch_one(softefa_qp_t *qp)
{
    softefa_io_wqe_t wqe;

    engine_copy(qp, engine_next(qp), &wqe);
    if (softefa_unlikely(qp->learn_phase | qp->planned)) {
        if (qp->learn_phase) {
            qp->learn_phase = false;
            qp->sq_phase    = wqe.ctrl2 & SOFTEFA_CTRL2_PHASE;
        }
        if (qp->planned && engine_fault(qp, &wqe)) {
            return false;
        }
    }

    engine_start(qp, &wqe);
    engine_advance(qp);
    return true;
}

/* Any number of entries: those that go to one QP together, the others one by
 * one. */
static __attribute__((noinline)) void engine_fetch_many(softefa_qp_t *qp,
                                                        uint32_t count)
{
    uint32_t single = 0; /* entries to send one by one */

    while (count > 0) {
        if ((count >= 2) && (single == 0) && !qp->slow && !qp->learn_phase) {
            count -= engine_bursts(qp, count);
            single = SOFTEFA_BURST_MAX;
        } else if (softefa_unlikely(!engine_fetch_one(qp))) {
            return;
        } else {
            single = (single > 0) ? (single - 1) : 0;
            --count;
        }
        if ((count > 0) && softefa_unlikely(qp->done != NULL)) {
            qp->backlog = true;
            break;
        }
    }
}

/* True: there is nothing to be sent by a QP in its state. */
SOFTEFA_STEP bool engine_stands(softefa_qp_t *qp)
{
    return softefa_unlikely((qp->state != IBV_QPS_RTS) |
                            softefa_device_faulted()) &&
           (softefa_engine_in_error(qp) || (qp->state != IBV_QPS_RTS));
}

/* one: most likely it is one entry */
SOFTEFA_STEP void engine_fetch(softefa_qp_t *qp, bool one)
{
    uint32_t count;

    if (engine_stands(qp)) {
        return;
    }

    count = engine_room(qp, engine_announced(qp));
    if (!one || softefa_unlikely(count != 1)) {
        engine_fetch_many(qp, count);
    } else if (!engine_fetch_one(qp)) {
        return;
    }

    if (softefa_unlikely(qp->slow) && (qp->num_held > qp->reorder)) {
        softefa_flight_reordered(qp, false);
    }
}

void softefa_engine_fetch(softefa_qp_t *qp)
{
    engine_fetch(qp, false);
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
            engine_copy(qp, engine_next(qp), &wqe);
            engine_complete(qp, &wqe, SOFTEFA_STATUS_FLUSHED);
        }
        engine_advance(qp);
    }
}

bool softefa_engine_in_error(softefa_qp_t *qp)
{
    if (softefa_dev_dead(qp->dev)) {
        return true;
    }

    if ((qp->state != IBV_QPS_ERR) &&
        (qp->shm->obj.state == SOFTEFA_STATE_ALIVE + IBV_QPS_ERR)) {
        qp->state = IBV_QPS_ERR;
        softefa_rq_flush_own(qp); /* what could not be at once */
    }
    if (qp->state != IBV_QPS_ERR) {
        return false;
    }

    softefa_engine_flush(qp, true);
    return true;
}

void softefa_engine_doorbell(softefa_qp_t *qp)
{
    /* That of an invalid handle may stay taken for ever. */
    if (softefa_unlikely(!softefa_lock_try(&qp->lock))) {
        if (!softefa_dev_valid(qp->dev)) {
            return;
        }
        softefa_lock_local(&qp->lock);
    }

    if (softefa_likely(softefa_dev_valid(qp->dev))) {
        engine_fetch(qp, true);
    }
    softefa_unlock_local(&qp->lock);
}
