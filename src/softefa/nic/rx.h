/* The receiver's side of a message: its request, its completion. */
#ifndef SOFTEFA_RX_H
#define SOFTEFA_RX_H

#include "nic/ah.h"
#include "nic/cq.h"
#include "nic/dest.h"
#include "nic/fifo.h"
#include "nic/mr.h"
#include "nic/object.h"
#include "nic/rq.h"
#include "nic/sgl.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <string.h>

typedef struct {
    uint32_t descriptors;            /* 0: no request */
    uint16_t req_id;
    bool     bad;                    /* a descriptor's lkey is wrong */
} softefa_rx_t;

/* Adds the buffer of one descriptor. */
SOFTEFA_STEP void softefa_rx_add(const softefa_shm_dev_t *dev,
                                 const softefa_shm_qp_t *qp,
                                 const softefa_io_rx_t *desc,
                                 softefa_sgl_t *sgl, softefa_rx_t *rx)
{
    uint64_t addr = ((uint64_t)desc->addr_hi << 32) | desc->addr_lo;
    const softefa_shm_mr_t *mr;

    if (softefa_unlikely(desc->length == 0)) {
        return;
    }

    mr = softefa_mr_find(dev, desc->lkey_ctrl & SOFTEFA_KEY_MASK, qp->pdn, addr,
                         desc->length, IBV_ACCESS_LOCAL_WRITE);
    if (softefa_unlikely(mr == NULL)) {
        rx->bad = true;
    } else {
        softefa_sgl_add(sgl, mr, addr, desc->length);
    }
}

/* Under the RQ's lock: reads a receive request without taking it; `skip`
 * descriptors before it are for other messages. OK or AGAIN. */
SOFTEFA_STEP int softefa_rx_peek(softefa_shm_dev_t *dev, softefa_shm_qp_t *qp,
                                 uint32_t skip, softefa_sgl_t *sgl,
                                 softefa_rx_t *rx)
{
    const softefa_io_rx_t *ring = softefa_fabric_at(qp->rq_ring);
    uint32_t available          = softefa_rq_available(qp);
    uint32_t head               = softefa_rq_head(qp) + skip;
    softefa_io_rx_t desc;

    if (softefa_unlikely(available <= skip)) {
        return SOFTEFA_STATUS_AGAIN;
    }

    available -= skip;
    desc            = ring[head & qp->rq_mask];
    rx->req_id      = desc.req_id;
    rx->bad         = !(desc.lkey_ctrl & SOFTEFA_RX_FIRST);
    rx->descriptors = 1;
    sgl->count      = 0;
    sgl->length     = 0;
    softefa_rx_add(dev, qp, &desc, sgl, rx);
    while (softefa_unlikely(!(desc.lkey_ctrl & SOFTEFA_RX_LAST)) &&
           (rx->descriptors < available) &&
           (rx->descriptors < SOFTEFA_SGL_MAX)) {
        desc = ring[(head + rx->descriptors) & qp->rq_mask];
        ++rx->descriptors;
        softefa_rx_add(dev, qp, &desc, sgl, rx);
    }

    return SOFTEFA_STATUS_OK;
}

/* The completion of a request, or of none. */
SOFTEFA_STEP void softefa_rx_cqe(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                                 const softefa_dest_t *dest,
                                 const softefa_shm_cq_t *cq, softefa_rx_t rx,
                                 int status, uint32_t length,
                                 softefa_io_cqe_t *cqe)
{
    unsigned op   = wqe->ctrl1 & SOFTEFA_CTRL1_OP;
    uint8_t flags = SOFTEFA_CQE_RECV_QUEUE | (op << SOFTEFA_CQE_OP_SHIFT);

    memset(cqe, 0, sizeof(*cqe));
    cqe->qpn     = dest->qp->qpn;
    cqe->length  = length;
    cqe->src_qpn = qp->qpn;
    cqe->ahn     = atomic_load_explicit(&dest->dev->pd[dest->qp->pdn]
                                                 .ah_of[qp->dev->listed],
                                        memory_order_relaxed);
    if (softefa_unlikely(cqe->ahn == SOFTEFA_AH_UNKNOWN)) {
        cqe->ahn = softefa_ah_find_host(dest->dev, dest->qp->pdn, qp->dev);
    }
    if (wqe->ctrl1 & SOFTEFA_CTRL1_HAS_IMM) {
        flags |= SOFTEFA_CQE_HAS_IMM;
        cqe->imm = wqe->imm;
    }

    if (op == SOFTEFA_OP_RDMA_WRITE) {
        cqe->length_hi = length >> 16;
    } else if ((cqe->ahn == SOFTEFA_AH_UNKNOWN) && cq->with_sgid) {
        memcpy(cqe->sgid, qp->dev->gid, sizeof(cqe->sgid));
    }

    cqe->first = softefa_likely(rx.descriptors > 0) ?
                         softefa_io_cqe_first(rx.req_id, status, flags) :
                         softefa_io_cqe_first(0, status,
                                              flags | SOFTEFA_CQE_UNSOLICITED);
}

/* Under the RQ's and the CQ's lock: takes the request, if there is one,
 * and completes it, after what the FIFO has. */
SOFTEFA_STEP void softefa_rx_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                                 const softefa_dest_t *dest,
                                 softefa_shm_cq_t *cq, softefa_rx_t rx,
                                 int status, uint32_t length)
{
    softefa_io_cqe_t cqe;

    if (softefa_unlikely(softefa_fifo_waits(cq))) {
        softefa_fifo_move_locked(dest->dev, cq);
    }
    softefa_rx_cqe(qp, wqe, dest, cq, rx, status, length, &cqe);
    if (softefa_likely(rx.descriptors > 0)) {
        softefa_cq_put_recv(cq, dest->qp->recv_sub_cq, &cqe, dest->qp,
                            rx.descriptors);
    } else {
        softefa_cq_put(cq, dest->qp->recv_sub_cq, &cqe);
    }
}

/* The same with the CQ's lock taken for it. OK, or the message has not been
 * delivered: AGAIN: the lock cannot be taken; NO_QP: the CQ is dead. */
SOFTEFA_STEP int softefa_rx_complete(softefa_qp_t *qp,
                                     const softefa_io_wqe_t *wqe,
                                     const softefa_dest_t *dest,
                                     softefa_rx_t rx, int status,
                                     uint32_t length)
{
    softefa_shm_cq_t *cq = &dest->dev->cq[dest->qp->recv_cq];
    int ret              = softefa_cq_lock(cq);

    if (softefa_likely(ret == 0)) {
        softefa_rx_put(qp, wqe, dest, cq, rx, status, length);
        softefa_unlock(&cq->lock);
    }
    switch (ret) {
    case 0:
        return SOFTEFA_STATUS_OK;
    case EBUSY:
        return SOFTEFA_STATUS_AGAIN;
    default:
        /* Its device died just now: no process will ever see this message. */
        return SOFTEFA_STATUS_REMOTE_QPN;
    }
}

#endif
