/*
 * Receive queues: a dead writer's request, flushing. See rq.h.
 */
#include "nic/rq.h"
#include "nic/cq.h"
#include "nic/fifo.h"
#include "nic/wait.h"

#include <string.h>

/* Taking the CQ's lock after the death repairs the CQ, which decides it. */
bool softefa_rq_repair(softefa_shm_qp_t *qp, softefa_shm_dev_t *dev)
{
    softefa_shm_cq_t *cq = &dev->cq[qp->recv_cq];
    int ret              = softefa_cq_lock(cq);

    if (ret == EBUSY) {
        return false;
    }

    if ((ret == 0) && (qp->journal_lost != qp->journal_pos + 1)) {
        softefa_rq_set_head(qp, qp->journal_head);
    } else {
        qp->journal_head = softefa_rq_head(qp);
    }
    if (ret == 0) {
        softefa_unlock(&cq->lock);
    }
    return true;
}

int softefa_rq_lock_command(softefa_qp_t *qp)
{
    int ret = softefa_lock_command(&qp->shm->lock, "a receive queue");

    return ((ret != ETIME) && softefa_rq_locked(qp->shm, qp->dev->shm)) ? 0 :
                                                                          ETIME;
}

/* Descriptors up to the next request's, or the last one */
static uint32_t rq_request_size(const softefa_shm_qp_t *shm,
                                const softefa_io_rx_t *ring)
{
    uint32_t available = softefa_rq_available(shm);
    uint32_t head      = softefa_rq_head(shm);
    uint32_t count     = 1;

    while ((count < available) &&
           !(ring[(head + count) & shm->rq_mask].lkey_ctrl &
             SOFTEFA_RX_FIRST)) {
        ++count;
    }

    return count;
}

bool softefa_rq_flush(softefa_shm_dev_t *dev, softefa_shm_qp_t *shm)
{
    softefa_io_rx_t *ring = softefa_fabric_at(shm->rq_ring);
    softefa_shm_cq_t *cq  = &dev->cq[shm->recv_cq];
    softefa_io_cqe_t cqe;
    softefa_io_rx_t rx;
    uint32_t count;
    int ret;

    ret = softefa_cq_lock(cq);
    if (ret != 0) {
        return ret != EBUSY;
    }

    softefa_fifo_move_locked(dev, cq);
    while (softefa_rq_available(shm) > 0) {
        rx    = ring[softefa_rq_head(shm) & shm->rq_mask];
        count = rq_request_size(shm, ring);
        if (rx.lkey_ctrl & SOFTEFA_RX_FIRST) {
            memset(&cqe, 0, sizeof(cqe));
            cqe.req_id = rx.req_id;
            cqe.status = SOFTEFA_STATUS_FLUSHED;
            cqe.flags  = SOFTEFA_CQE_RECV_QUEUE;
            cqe.qpn    = shm->qpn;
            cqe.ahn    = SOFTEFA_AH_UNKNOWN;
            softefa_cq_put_recv(cq, shm->recv_sub_cq, &cqe, shm, count);
        } else {
            softefa_rq_set_head(shm, softefa_rq_head(shm) + count);
            shm->journal_head = softefa_rq_head(shm);
        }
    }

    softefa_unlock(&cq->lock);
    return true;
}

void softefa_rq_flush_own(softefa_qp_t *qp)
{
    bool later = true;

    if (softefa_rq_lock(qp->shm, qp->dev->shm)) {
        later = !softefa_rq_flush(qp->dev->shm, qp->shm);
        softefa_unlock(&qp->shm->lock);
    }

    if (later != qp->flush_later) {
        qp->flush_later = later;
        softefa_wait_qp(qp, later ? 1 : -1);
    }
}
