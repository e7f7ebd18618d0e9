/*
 * RDMA read and write: checks of the responder's device, the copy, and for a
 * write with immediate data the receive request and its completion.
 */
#include "nic/rdma.h"
#include "nic/counters.h"
#include "nic/cq.h"
#include "nic/fifo.h"
#include "nic/host.h"
#include "nic/mr.h"
#include "nic/rq.h"
#include "nic/rx.h"

#include <errno.h>
#include <infiniband/verbs.h>

/* The copy, with the region marked so that its deregistration waits. */
static int rdma_copy(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                     const softefa_dest_t *dest, const softefa_sgl_t *local)
{
    bool read       = (wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_RDMA_READ;
    uint32_t access = read ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_REMOTE_WRITE;
    uint64_t addr   = softefa_sgl_buf_addr(&wqe->rdma.remote);
    uint32_t length = wqe->rdma.remote.length;
    softefa_sgl_t remote;
    softefa_shm_mr_t *mr;
    softefa_member_t peer;
    int error;

    /* Found, marked, found again: a deregistration either sees the mark or is
     * seen here; and the process read in between is the region's. */
    mr = softefa_mr_find_remote(dest->dev, wqe->rdma.remote.key, dest->qp->pdn,
                                addr, length, access);
    if (mr == NULL) {
        return SOFTEFA_STATUS_REMOTE_ADDRESS;
    }

    peer = softefa_member(mr->obj.owner);
    atomic_store(&qp->shm->rdma_target,
                 (dest->index << 24) | ((mr - dest->dev->mr) + 1));
    mr = softefa_mr_find_remote(dest->dev, wqe->rdma.remote.key, dest->qp->pdn,
                                addr, length, access);
    if (mr == NULL) {
        atomic_store(&qp->shm->rdma_target, 0);
        return SOFTEFA_STATUS_REMOTE_ADDRESS;
    }

    remote.count  = 0;
    remote.length = 0;
    softefa_sgl_add(&remote, mr, addr, length);
    error = read ? softefa_host_read(peer, local->iov, local->count, remote.iov,
                                     1, length) :
                   softefa_host_write(peer, local->iov, local->count,
                                      remote.iov, 1, length);
    atomic_store(&qp->shm->rdma_target, 0);

    switch (error) {
    case 0:
        softefa_fault_point(SOFTEFA_POINT_DELIVER);
        return SOFTEFA_STATUS_OK;
    case EPERM:
        return SOFTEFA_STATUS_REMOTE_STATUS;
    default:
        return ((error == ESRCH) || !softefa_member_alive(peer.slot, true)) ?
                       softefa_dest_died(qp, wqe) :
                       SOFTEFA_STATUS_REMOTE_ADDRESS;
    }
}

/* After an RDMA write with immediate data; under the RQ lock. */
static int rdma_notify(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const softefa_dest_t *dest, bool peek)
{
    softefa_rx_t rx = {};
    softefa_sgl_t sgl;
    int status;

    status = softefa_dest_check(qp, wqe, dest->qp);
    if ((status != SOFTEFA_STATUS_OK) || (peek && dest->qp->unsolicited)) {
        return status;
    }

    if (dest->qp->unsolicited) {
        return softefa_rx_complete(qp, wqe, dest, rx, SOFTEFA_STATUS_OK,
                                   wqe->rdma.remote.length);
    }

    status = softefa_rx_peek(dest->dev, dest->qp, 0, &sgl, &rx);
    if ((status == SOFTEFA_STATUS_OK) && !peek) {
        status = softefa_rx_complete(qp, wqe, dest, rx, SOFTEFA_STATUS_OK,
                                     wqe->rdma.remote.length);
    }
    return status;
}

static int rdma_notify_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                              const softefa_dest_t *dest, bool peek)
{
    int status;

    if (!(wqe->ctrl1 & SOFTEFA_CTRL1_HAS_IMM)) {
        return SOFTEFA_STATUS_OK;
    }

    if (!softefa_rq_lock(dest->qp, dest->dev)) {
        return SOFTEFA_STATUS_AGAIN;
    }

    status = rdma_notify(qp, wqe, dest, peek);
    softefa_unlock(&dest->qp->lock);
    return status;
}

/* Before memory of the destination is read or written: its messages that were
 * told to be there, are. The RQ's lock keeps the CQ from being another's. */
static void rdma_settle(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_dest_t *dest)
{
    softefa_shm_cq_t *cq = &dest->dev->cq[dest->qp->recv_cq];

    if (softefa_likely(!softefa_fifo_waits(cq)) ||
        !softefa_rq_lock(dest->qp, dest->dev)) {
        return;
    }

    if ((softefa_dest_check(qp, wqe, dest->qp) == SOFTEFA_STATUS_OK) &&
        (softefa_cq_lock(cq) == 0)) {
        softefa_fifo_move_locked(dest->dev, cq);
        softefa_unlock(&cq->lock);
    }
    softefa_unlock(&dest->qp->lock);
}

int softefa_rdma_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         const softefa_dest_t *dest, const softefa_sgl_t *local)
{
    int status;

    status = softefa_dest_check(qp, wqe, dest->qp);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    if (dest->dev->ah_for[qp->dev->index] == 0) {
        return SOFTEFA_STATUS_UNKNOWN_PEER;
    }

    status = rdma_notify_locked(qp, wqe, dest, true);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    rdma_settle(qp, wqe, dest);
    if (wqe->rdma.remote.length > 0) {
        status = rdma_copy(qp, wqe, dest, local);
        if (status != SOFTEFA_STATUS_OK) {
            return status;
        }
    }

    /* AGAIN here repeats the copy: a write happens at least once. */
    status = rdma_notify_locked(qp, wqe, dest, false);
    if (status == SOFTEFA_STATUS_OK) {
        softefa_counters_rdma(qp, wqe, dest->dev);
    }
    return status;
}
