/*
 * The remote side of a message, executed by the sender: find the destination,
 * check what its device would check, move the payload, write its completion.
 *
 *   AH --> GID --> device --> QPN --> QP      15, 13, 9: dest.c
 *                               |             9       or another QKEY
 *           SEND                |        RDMA
 *     RQ descriptor   AGAIN     |   AH for us   14
 *     long enough?    11        |   rkey        7
 *     its lkeys       12, rx 5  |
 *     copy, CQE                 '-- copy, and with immediate: RQ, CQE (rdma.c)
 *
 * The RQ lock is held from the descriptor's choice to its completion, so that
 * ibv_destroy_qp() in the other process waits for the copy, and a death in
 * between leaves the descriptor in the RQ.
 */
#include "nic/deliver.h"
#include "base/point.h"
#include "nic/counters.h"
#include "nic/dest.h"
#include "nic/host.h"
#include "nic/rdma.h"
#include "nic/rq.h"
#include "nic/rx.h"

#include <errno.h>

/* A receive request that the receiver's own device cannot use. */
static int deliver_fail(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_dest_t *dest, const softefa_rx_t *rx)
{
    int status = softefa_rx_complete(qp, wqe, dest, rx,
                                     SOFTEFA_STATUS_INVALID_LKEY, 0);

    return (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_STATUS :
                                           status;
}

/* Under the RQ lock. *died: look for dead processes after unlocking. */
static int deliver_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          const softefa_dest_t *dest,
                          const softefa_sgl_t *local, bool *died)
{
    uint32_t prefix = (qp->type == SOFTEFA_QP_UD) ? SOFTEFA_GRH_SIZE : 0;
    softefa_rx_t rx;
    softefa_member_t peer;
    int status;

    status = softefa_dest_check(qp, wqe, dest->qp);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = softefa_rx_peek(dest->dev, dest->qp, 0, &rx);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    if (softefa_unlikely(rx.bad)) {
        return deliver_fail(qp, wqe, dest, &rx);
    }

    if (softefa_unlikely(rx.sgl.length < local->length + prefix)) {
        return SOFTEFA_STATUS_REMOTE_LENGTH;
    }

    softefa_sgl_skip(&rx.sgl, prefix);
    peer = softefa_member(dest->qp->obj.owner);
    switch (softefa_host_write(peer, local->iov, local->count, rx.sgl.iov,
                               rx.sgl.count, local->length)) {
    case 0:
        softefa_fault_point(SOFTEFA_POINT_DELIVER);
        SOFTEFA_POINT("copied");
        status = softefa_rx_complete(qp, wqe, dest, &rx, SOFTEFA_STATUS_OK,
                                     local->length + prefix);
        if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
            softefa_counters_send(qp, dest->qp, 1, local->length);
        }
        return status;
    case ESRCH:
        *died = true;
        return SOFTEFA_STATUS_REMOTE_QPN;
    case EFAULT:
        if (!softefa_member_alive(peer.slot, true)) {
            *died = true;
            return SOFTEFA_STATUS_REMOTE_QPN;
        }
        return deliver_fail(qp, wqe, dest, &rx);
    default:
        return SOFTEFA_STATUS_REMOTE_STATUS;
    }
}

static int deliver_send(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_dest_t *dest, const softefa_sgl_t *local)
{
    bool died = false;
    int status;

    if (softefa_unlikely(!softefa_rq_lock(dest->qp, dest->dev))) {
        return SOFTEFA_STATUS_AGAIN;
    }

    status = deliver_locked(qp, wqe, dest, local, &died);
    softefa_unlock(&dest->qp->lock);
    return softefa_unlikely(died) ? softefa_dest_died(qp, wqe) : status;
}

int softefa_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                    const softefa_sgl_t *local)
{
    softefa_dest_t dest;
    int status;

    status = softefa_dest_find(qp, wqe, &dest);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) ?
                     deliver_send(qp, wqe, &dest, local) :
                     softefa_rdma_deliver(qp, wqe, &dest, local);
    if (softefa_unlikely(status == SOFTEFA_STATUS_REMOTE_QPN)) {
        /* or no device any more */
        status = softefa_dest_status(qp, &dest);
        status = (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_QPN :
                                                 status;
    }

    return status;
}
