/*
 * Completion queues: writing completions, raising their events. How they are
 * made: cq_create.c.
 *
 *   memory    doorbell page | sub-CQ 0 .. n-1
 *   ring      entry i of a sub-CQ is at (i mod depth); its phase bit is 1 in
 *             the first round, then flips each round. The four bytes with the
 *             phase bit are stored last: they are the commit.
 *   doorbell  [15:0] entries consumed, of all sub-CQs together; [31] arm.
 *             Any poll clears the arm bit there, so the arm is latched in
 *             `armed` by softefa_cq_arm() and dropped by the event. While the
 *             CQ is polled with ibv_start_poll() it may be `behind`.
 *
 * Death of the writer: `head` is behind the ring by at most one entry; the
 * next owner of the lock sees the phase bit and catches up. If there is no
 * entry and it was to be a receive completion, its QP learns (journal_lost)
 * that its request has not been used:
 *
 *   died          journal_head   lost     the next owner of the RQ's lock
 *   before        == rq_head              continues
 *   in between    != rq_head     set      takes journal_head back
 *   after commit  != rq_head     not set  advances rq_head
 *
 * While a writer is stopped, others cannot write into the same CQ. They do not
 * block: completions wait (flight.c), messages are delivered again.
 */
#include "nic/cq.h"
#include "base/log.h"
#include "base/point.h"
#include "fabric/event.h"
#include "fabric/lock.h"
#include "faults/fault_point.h"
#include "nic/dev.h"
#include "nic/fifo.h"
#include "nic/rq.h"

#include <string.h>

/* A full channel keeps the CQ armed: the next entry tries. */
void softefa_cq_raise(softefa_shm_cq_t *cq)
{
    if (cq->channel == 0) {
        return;
    }

    cq->raising = 1;
    SOFTEFA_POINT("event");
    if (softefa_event_channel_raise(cq->channel - 1, cq->cookie)) {
        SOFTEFA_POINT("event written");
        cq->armed = 0;
        ++cq->events;
    }
    SOFTEFA_POINT("event counted");
    cq->raising = 0;
}

/* The QP of the last receive completion, if it still is one of this CQ's. */
static softefa_shm_qp_t *cq_writer(const softefa_shm_cq_t *cq)
{
    uint64_t index = (softefa_fabric_offset(cq) -
                      offsetof(softefa_shm_t, dev)) /
                     sizeof(softefa_shm_dev_t);
    softefa_shm_qp_t *qp = softefa_fabric_at(cq->writer);

    return ((cq->writer != 0) &&
            (&softefa_fabric.shm->dev[index].cq[qp->recv_cq] == cq)) ?
                   qp :
                   NULL;
}

/* The entry at `sub`'s head has not been written. */
static void cq_lost(const softefa_shm_cq_t *cq, unsigned sub)
{
    softefa_shm_qp_t *qp = cq_writer(cq);

    if ((qp != NULL) && !qp->journal_in_fifo && (qp->recv_sub_cq == sub) &&
        (qp->journal_pos == cq->head[sub])) {
        qp->journal_lost = qp->journal_pos + 1;
    }
}

/* The same of a record in the FIFO. */
static void cq_repair_journal(const softefa_shm_cq_t *cq)
{
    softefa_shm_qp_t *qp = cq_writer(cq);

    if ((qp != NULL) && qp->journal_in_fifo &&
        (qp->journal_fifo == cq->fifo_head)) {
        qp->journal_lost = qp->journal_pos + 1;
    }
}

/* May itself be cut short: all of it can be done twice. */
static void cq_repair(softefa_shm_cq_t *cq)
{
    bool found = false;
    const softefa_io_cqe_t *cqe;
    unsigned sub;

    if (cq->obj.state != SOFTEFA_STATE_ALIVE) {
        return;
    }

    cq->total = 0;
    for (sub = 0; sub < cq->num_sub_cqs; ++sub) {
        cqe = softefa_cq_entry(cq, sub, cq->head[sub]);
        if ((cqe->flags & SOFTEFA_CQE_PHASE) ==
            softefa_cq_phase(cq, cq->head[sub])) {
            ++cq->head[sub];
            found = true;
        } else {
            cq_lost(cq, sub);
        }
        cq->total += cq->head[sub];
        SOFTEFA_POINT("repair");
    }

    cq_repair_journal(cq);
    softefa_fifo_repair(cq);

    /* An event is missing, or there is one more than was counted. */
    if (cq->raising) {
        cq->uncertain = 1;
        found         = true;
    }
    if (found && cq->armed) {
        softefa_cq_raise(cq);
    }
}

int softefa_cq_lock_slow(softefa_shm_cq_t *cq, int ret)
{
    if (ret == EBUSY) {
        return EBUSY;
    }

    if (ret != 0) {
        cq_repair(cq);
    }
    if (cq->obj.state != SOFTEFA_STATE_ALIVE) {
        softefa_unlock(&cq->lock);
        return ENOENT;
    }

    softefa_fault_point(SOFTEFA_POINT_LOCKED_CQ);
    return 0;
}

/* Real hardware overwrites silently. So do we, but not silently: lost
 * completions are the hardest error to find later. */
void softefa_cq_overrun(softefa_shm_cq_t *cq, const softefa_io_cqe_t *cqe)
{
    /* A doorbell of 0 may also be a CQ whose owner has none. */
    if ((softefa_cq_doorbell(cq) == 0) || cq->overrun ||
        atomic_load(&cq->behind)) {
        return;
    }

    cq->overrun = 1;
    softefa_error("CQ OVERRUN: an unpolled completion of QP %u is overwritten, "
                  "the CQ has %u entries; create it with room for all send "
                  "and receive requests of its QPs",
                  cqe->qpn, cq->capacity);
}

void softefa_cq_ring(const softefa_cq_t *handle, softefa_ring_t *ring)
{
    const softefa_shm_cq_t *cq = handle->shm;

    ring->ring        = softefa_fabric_at(cq->ring[0]);
    ring->entry_size  = cq->entry_size;
    ring->num_entries = cq->depth;
    ring->doorbell    = (cq->channel == 0) ? NULL : softefa_fabric_at(cq->db);
}

void softefa_cq_set_behind(softefa_cq_t *handle, bool behind)
{
    if (softefa_dev_valid(handle->dev)) {
        atomic_store(&handle->shm->behind, behind);
    }
}
