/*
 * The remote side of a message, executed by the sender: find the destination,
 * check what its device would check, move the payload, write its completion.
 *
 *   AH --> GID --> device --> QPN --> QP      15, 13, 9: dest.h
 *                               |             9       or another QKEY
 *           SEND                |        RDMA
 *     RQ descriptor   AGAIN     |   AH for us   14
 *     long enough?    11        |   rkey        7
 *     its lkeys       12, rx 5  |
 *     copy, CQE                 '-- copy, and with immediate: RQ, CQE (rdma.c)
 *     or FIFO (fifo.h)
 *
 * The RQ lock is held from the descriptor's choice to its completion, so that
 * ibv_destroy_qp() in the other process waits for the copy, and a death in
 * between leaves the descriptor in the RQ.
 */
#ifndef SOFTEFA_DELIVER_H
#define SOFTEFA_DELIVER_H

#include "base/point.h"
#include "nic/counters.h"
#include "nic/dest.h"
#include "nic/fifo.h"
#include "nic/host.h"
#include "nic/object.h"
#include "nic/rdma.h"
#include "nic/rq.h"
#include "nic/rx.h"
#include "nic/sgl.h"

/* Under the RQ lock, what is rare: the receiver's own device cannot use its
 * request; the payload could not be copied, `error` says why. */
int softefa_deliver_bad(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_dest_t *dest, softefa_rx_t rx);
int softefa_deliver_not_copied(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               const softefa_dest_t *dest, softefa_rx_t rx,
                               int error);

/* Under the RQ lock */
SOFTEFA_STEP int softefa_deliver_locked(softefa_qp_t *qp,
                                        const softefa_io_wqe_t *wqe,
                                        const softefa_dest_t *dest,
                                        const softefa_sgl_t *local)
{
    uint32_t prefix = (qp->type == SOFTEFA_QP_UD) ? SOFTEFA_GRH_SIZE : 0;
    softefa_sgl_t remote;
    softefa_rx_t rx;
    int status, error;

    status = softefa_dest_check(qp, wqe, dest->qp);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = softefa_rx_peek(dest->dev, dest->qp, 0, &remote, &rx);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    if (softefa_unlikely(rx.bad)) {
        return softefa_deliver_bad(qp, wqe, dest, rx);
    }

    if (softefa_unlikely(remote.length < local->length + prefix)) {
        return SOFTEFA_STATUS_REMOTE_LENGTH;
    }

    if (softefa_unlikely(softefa_fifo_may(qp, dest)) && (rx.descriptors == 1) &&
        softefa_fifo_put(qp, wqe, dest, local, prefix)) {
        softefa_counters_send(qp, dest->qp, 1, local->length);
        return SOFTEFA_STATUS_OK;
    }

    if (prefix > 0) {
        softefa_sgl_skip(&remote, prefix);
    }
    error = softefa_host_write(softefa_member(dest->qp->obj.owner), local->iov,
                               local->count, remote.iov, remote.count,
                               local->length);
    if (softefa_unlikely(error != 0)) {
        return softefa_deliver_not_copied(qp, wqe, dest, rx, error);
    }

    softefa_fault_point(SOFTEFA_POINT_DELIVER);
    SOFTEFA_POINT("copied");
    status = softefa_rx_complete(qp, wqe, dest, rx, SOFTEFA_STATUS_OK,
                                 local->length + prefix);
    if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
        softefa_counters_send(qp, dest->qp, 1, local->length);
    }
    return status;
}

SOFTEFA_STEP int softefa_deliver_send(softefa_qp_t *qp,
                                      const softefa_io_wqe_t *wqe,
                                      const softefa_dest_t *dest,
                                      const softefa_sgl_t *local)
{
    int status;

    if (softefa_unlikely(!softefa_rq_lock(dest->qp, dest->dev))) {
        return SOFTEFA_STATUS_AGAIN;
    }

    status = softefa_deliver_locked(qp, wqe, dest, local);
    softefa_unlock(&dest->qp->lock);
    return softefa_unlikely(status == SOFTEFA_STATUS_DIED) ?
                   softefa_dest_died(qp, wqe) :
                   status;
}

/* With its payload on our side. A softefa_status_t, AGAIN if the receiver has
 * no descriptor. */
SOFTEFA_STEP int softefa_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                                 const softefa_sgl_t *local)
{
    softefa_dest_t dest;
    int status;

    status = softefa_dest_find(qp, wqe, &dest);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) ?
                     softefa_deliver_send(qp, wqe, &dest, local) :
                     softefa_rdma_deliver(qp, wqe, &dest, local);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK) &&
        (status == SOFTEFA_STATUS_REMOTE_QPN)) {
        /* or no device any more */
        status = softefa_dest_status(qp, &dest);
        status = (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_QPN :
                                                 status;
    }

    return status;
}

#endif
