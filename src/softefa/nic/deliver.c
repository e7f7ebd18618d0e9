/*
 * The remote side of a message, executed by the sender: find the destination,
 * check what its device would check, move the payload, write its completion.
 *
 *   AH --> GID --> device --> QPN --> QP      15, 13  no such device, or down
 *                               |             9       no such QP, or not ready
 *                               |                     to receive, or QKEY
 *           SEND                |        RDMA
 *     RQ descriptor   AGAIN     |   AH for us   14
 *     long enough?    11        |   rkey        7
 *     its lkeys       12, rx 5  |
 *     copy, CQE                 '-- copy, and with immediate: RQ, CQE
 *
 * UD never answers: whatever is wrong over there, the message is dropped and
 * its completion says 0.
 *
 * A device is up as long as some process has it open. A killed process's QPs
 * vanish from a device that others use, as if its kernel had closed them: 9.
 * A device that nobody uses any more is like a host gone: 13 if this device
 * ever had an answer from it, else 15.
 *
 * The RQ lock is held from the descriptor's choice to its completion, so that
 * ibv_destroy_qp() in the other process waits for the copy, and a death in
 * between leaves the descriptor in the RQ.
 */
#define _GNU_SOURCE
#include "nic/counters.h"
#include "nic/deliver.h"
#include "faults/fault.h"

#include <errno.h>
#include <infiniband/verbs.h>

void softefa_sgl_add(softefa_deliver_sgl_t *sgl, const softefa_shm_mr_t *mr,
                     uint64_t iova, uint32_t length)
{
    sgl->iov[sgl->count].iov_base = (void*)(uintptr_t)(mr->addr +
                                                       (iova - mr->iova));
    sgl->iov[sgl->count].iov_len  = length;
    sgl->length                  += length;
    ++sgl->count;
}

/* Adds a buffer of this QP's process. Nothing is done to an empty buffer. */
static int sgl_add_local(softefa_deliver_sgl_t *sgl, softefa_qp_t *qp,
                         const softefa_io_buf_t *buf, uint32_t access)
{
    const softefa_shm_mr_t *mr;

    if (buf->length == 0) {
        return SOFTEFA_STATUS_OK;
    }

    if (buf->key & ~SOFTEFA_KEY_MASK) {
        return SOFTEFA_STATUS_BAD_LKEY;
    }

    mr = softefa_mr_find(qp->dev->shm, buf->key, qp->pdn, softefa_buf_addr(buf),
                         buf->length, access);
    if (mr == NULL) {
        return SOFTEFA_STATUS_BAD_LKEY;
    }

    softefa_sgl_add(sgl, mr, softefa_buf_addr(buf), buf->length);
    return SOFTEFA_STATUS_OK;
}

static void sgl_add_inline(softefa_deliver_sgl_t *sgl, const void *data,
                           uint32_t length)
{
    if (length > 0) {
        sgl->iov[0].iov_base = (void*)data;
        sgl->iov[0].iov_len  = length;
        sgl->length          = length;
        sgl->count           = 1;
    }
}

int softefa_sgl_local(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      softefa_deliver_sgl_t *sgl)
{
    unsigned op = wqe->ctrl1 & SOFTEFA_CTRL1_OP;
    unsigned i;
    int status;

    sgl->count  = 0;
    sgl->length = 0;
    if (wqe->ctrl1 & SOFTEFA_CTRL1_INLINE) {
        sgl_add_inline(sgl, (op == SOFTEFA_OP_SEND) ? wqe->data :
                                                      wqe->rdma.data,
                       wqe->length);
        return SOFTEFA_STATUS_OK;
    }

    if (op != SOFTEFA_OP_SEND) {
        return (wqe->length == 0) ? SOFTEFA_STATUS_OK :
               sgl_add_local(sgl, qp, &wqe->rdma.local,
                             (op == SOFTEFA_OP_RDMA_READ) ?
                             IBV_ACCESS_LOCAL_WRITE : 0);
    }

    for (i = 0; i < wqe->length; ++i) {
        status = sgl_add_local(sgl, qp, &wqe->sge[i], 0);
        if (status != SOFTEFA_STATUS_OK) {
            return status;
        }
    }

    return SOFTEFA_STATUS_OK;
}

static inline bool qp_receives(const softefa_shm_qp_t *qp, uint16_t qpn)
{
    uint32_t state = atomic_load_explicit(&qp->obj.state,
                                          memory_order_acquire);

    return (state >= SOFTEFA_STATE_ALIVE + IBV_QPS_RTR) &&
           (state <= SOFTEFA_STATE_ALIVE + IBV_QPS_SQE) && (qp->qpn == qpn);
}

/* A device that nobody has open, or that is dead or silent, does not answer. */
static int dest_silent(const softefa_qp_t *qp,
                       const softefa_deliver_dest_t *dest)
{
    unsigned own = qp->dev->index;

    if (softefa_device_is(own, SOFTEFA_PAUSED) ||
        softefa_device_is(dest->index, SOFTEFA_PAUSED)) {
        return SOFTEFA_STATUS_AGAIN;
    }

    if (softefa_device_is(own, SOFTEFA_UNREACHABLE) ||
        softefa_device_is(dest->index, SOFTEFA_UNREACHABLE)) {
        return SOFTEFA_STATUS_UNREACHABLE;
    }

    if (softefa_device_is(own, SOFTEFA_UNRESPONSIVE) ||
        softefa_device_is(dest->index, SOFTEFA_UNRESPONSIVE)) {
        return SOFTEFA_STATUS_UNRESPONSIVE;
    }

    if ((dest->dev->opens > 0) && softefa_device_lives(dest->index)) {
        return SOFTEFA_STATUS_OK;
    }

    return (qp->dev->shm->responded & (1u << dest->index)) ?
           SOFTEFA_STATUS_UNRESPONSIVE : SOFTEFA_STATUS_UNREACHABLE;
}

int softefa_dest_find(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      softefa_deliver_dest_t *dest)
{
    softefa_shm_dev_t *own = qp->dev->shm;
    uint32_t index;
    int status;

    dest->index = own->ah[wqe->ahn].device;
    if (softefa_unlikely(dest->index == SOFTEFA_NO_DEVICE)) {
        return SOFTEFA_STATUS_UNREACHABLE;
    }

    dest->dev = &softefa_fabric.shm->dev[dest->index];
    if (softefa_unlikely((dest->dev->opens == 0) | softefa_trouble())) {
        status = dest_silent(qp, dest);
        if (status != SOFTEFA_STATUS_OK) {
            return status;
        }
    }

    if (softefa_unlikely(!(own->responded & (1u << dest->index)))) {
        own->responded |= 1u << dest->index;
    }

    index    = wqe->dest_qpn & dest->dev->qp_mask;
    dest->qp = &dest->dev->qp[index];
    return softefa_likely((index < dest->dev->table[SOFTEFA_KIND_QP].backed) &&
                          qp_receives(dest->qp, wqe->dest_qpn)) ?
           SOFTEFA_STATUS_OK : SOFTEFA_STATUS_REMOTE_NO_QP;
}

int softefa_dest_check(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const softefa_shm_qp_t *dest)
{
    return (qp_receives(dest, wqe->dest_qpn) && (dest->type == qp->type) &&
            (dest->qkey == wqe->qkey)) ? SOFTEFA_STATUS_OK :
                                         SOFTEFA_STATUS_REMOTE_NO_QP;
}

int softefa_dest_died(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_deliver_dest_t dest;
    int status;

    if (softefa_admin_lock_soon() == 0) {
        softefa_fabric_reap();
        softefa_admin_unlock();
    }

    status = softefa_dest_find(qp, wqe, &dest);
    return (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_NO_QP :
                                           status;
}

int softefa_deliver_check(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_deliver_dest_t dest;
    int status;

    status = softefa_dest_find(qp, wqe, &dest);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    return softefa_proc_alive(softefa_owner_slot(dest.qp->obj.owner), true) ?
           SOFTEFA_STATUS_AGAIN : softefa_dest_died(qp, wqe);
}

int softefa_deliver_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    int status = softefa_deliver_check(qp, wqe);

    return (status == SOFTEFA_STATUS_AGAIN) ? SOFTEFA_STATUS_REMOTE_RNR :
                                              status;
}

bool softefa_deliver_ready(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_deliver_dest_t dest;

    return (softefa_dest_find(qp, wqe, &dest) != SOFTEFA_STATUS_OK) ||
           (((softefa_rq_available(dest.qp) > 0) || dest.qp->unsolicited) &&
            !softefa_lock_stuck(&dest.qp->lock) &&
            !softefa_lock_stuck(&dest.dev->cq[dest.qp->recv_cq].lock));
}

int softefa_rx_peek(softefa_shm_dev_t *dev, softefa_shm_qp_t *qp, uint32_t skip,
                    softefa_deliver_rx_t *rx)
{
    const softefa_io_rx_t *ring = softefa_at(qp->rq_ring);
    uint32_t available          = softefa_rq_available(qp);
    uint32_t head               = softefa_rq_head(qp) + skip;
    const softefa_shm_mr_t *mr;
    softefa_io_rx_t desc;
    uint64_t addr;

    if (available <= skip) {
        return SOFTEFA_STATUS_AGAIN;
    }

    available      -= skip;
    rx->sgl.count   = 0;
    rx->sgl.length  = 0;
    rx->descriptors = 0;
    rx->bad         = false;
    do {
        desc = ring[(head + rx->descriptors) & qp->rq_mask];
        if (rx->descriptors == 0) {
            rx->req_id = desc.req_id;
            rx->bad    = !(desc.lkey_ctrl & SOFTEFA_RX_FIRST);
        }
        ++rx->descriptors;

        if (desc.length == 0) {
            continue;
        }

        addr = ((uint64_t)desc.addr_hi << 32) | desc.addr_lo;
        mr   = softefa_mr_find(dev, desc.lkey_ctrl & SOFTEFA_KEY_MASK, qp->pdn,
                               addr, desc.length, IBV_ACCESS_LOCAL_WRITE);
        if (softefa_unlikely(mr == NULL)) {
            rx->bad = true;
        } else {
            softefa_sgl_add(&rx->sgl, mr, addr, desc.length);
        }
    } while (!(desc.lkey_ctrl & SOFTEFA_RX_LAST) &&
             (rx->descriptors < available) &&
             (rx->descriptors < SOFTEFA_DELIVER_MAX_SGE));

    return SOFTEFA_STATUS_OK;
}

void softefa_rx_skip(softefa_deliver_sgl_t *sgl, uint32_t length)
{
    uint32_t part;
    unsigned i;

    for (i = 0; length > 0; ++i) {
        part                 = (length < sgl->iov[i].iov_len) ?
                               length : sgl->iov[i].iov_len;
        sgl->iov[i].iov_base = (char*)sgl->iov[i].iov_base + part;
        sgl->iov[i].iov_len -= part;
        length              -= part;
    }
}

void softefa_rx_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                    const softefa_deliver_dest_t *dest, softefa_shm_cq_t *cq,
                    const softefa_deliver_rx_t *rx, int status, uint32_t length)
{
    softefa_io_cqe_t cqe = {};
    unsigned op          = wqe->ctrl1 & SOFTEFA_CTRL1_OP;

    cqe.status  = status;
    cqe.flags   = SOFTEFA_CQE_RECV_QUEUE | (op << SOFTEFA_CQE_OP_SHIFT);
    cqe.qpn     = dest->qp->qpn;
    cqe.length  = length;
    cqe.src_qpn = qp->qpn;
    cqe.ahn     = atomic_load_explicit(
                          &dest->dev->pd[dest->qp->pdn].ah_of[qp->dev->index],
                          memory_order_relaxed);
    if (wqe->ctrl1 & SOFTEFA_CTRL1_HAS_IMM) {
        cqe.flags |= SOFTEFA_CQE_HAS_IMM;
        cqe.imm    = wqe->imm;
    }

    if (op == SOFTEFA_OP_RDMA_WRITE) {
        cqe.length_hi = length >> 16;
    } else if ((cqe.ahn == SOFTEFA_AH_UNKNOWN) && cq->with_sgid) {
        memcpy(cqe.sgid, qp->dev->gid, sizeof(cqe.sgid));
    }

    if (rx != NULL) {
        cqe.req_id = rx->req_id;
        softefa_cq_put_recv(cq, dest->qp->recv_sub_cq, &cqe, dest->qp,
                            rx->descriptors);
    } else {
        cqe.flags |= SOFTEFA_CQE_UNSOLICITED;
        softefa_cq_put(cq, dest->qp->recv_sub_cq, &cqe);
    }
}

int softefa_rx_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_deliver_dest_t *dest,
                        const softefa_deliver_rx_t *rx, int status,
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
        /* Its device died just now: nobody will ever see this message. */
        return SOFTEFA_STATUS_REMOTE_NO_QP;
    }
}

/* A receive request that the receiver's own device cannot use. */
static int rx_fail(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                   const softefa_deliver_dest_t *dest,
                   const softefa_deliver_rx_t *rx)
{
    int status = softefa_rx_complete(qp, wqe, dest, rx,
                                     SOFTEFA_STATUS_BAD_LKEY, 0);

    return (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_STATUS :
                                           status;
}

/* Under the RQ lock. *died: look for dead processes after unlocking. */
static int send_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const softefa_deliver_dest_t *dest,
                       const softefa_deliver_sgl_t *local, bool *died)
{
    uint32_t prefix = (qp->type == SOFTEFA_QP_UD) ? SOFTEFA_GRH_SIZE : 0;
    softefa_deliver_rx_t rx;
    softefa_peer_t peer;
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
        return rx_fail(qp, wqe, dest, &rx);
    }

    if (softefa_unlikely(rx.sgl.length < local->length + prefix)) {
        return SOFTEFA_STATUS_REMOTE_SHORT;
    }

    softefa_rx_skip(&rx.sgl, prefix);
    peer = softefa_peer(dest->qp->obj.owner);
    switch (softefa_copy_to(peer, local->iov, local->count, rx.sgl.iov,
                            rx.sgl.count, local->length)) {
    case 0:
        softefa_fault_point(SOFTEFA_POINT_DELIVER);
        SOFTEFA_POINT("copied");
        status = softefa_rx_complete(qp, wqe, dest, &rx, SOFTEFA_STATUS_OK,
                                     local->length + prefix);
        if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
            softefa_count_send(qp, dest->qp, 1, local->length);
        }
        return status;
    case ESRCH:
        *died = true;
        return SOFTEFA_STATUS_REMOTE_NO_QP;
    case EFAULT:
        if (!softefa_proc_alive(peer.slot, true)) {
            *died = true;
            return SOFTEFA_STATUS_REMOTE_NO_QP;
        }
        return rx_fail(qp, wqe, dest, &rx);
    default:
        return SOFTEFA_STATUS_REMOTE_STATUS;
    }
}

static int deliver_send(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_deliver_dest_t *dest,
                        const softefa_deliver_sgl_t *local)
{
    bool died = false;
    int status;

    if (softefa_unlikely(!softefa_rq_lock(dest->qp, dest->dev))) {
        return SOFTEFA_STATUS_AGAIN;
    }

    status = send_locked(qp, wqe, dest, local, &died);
    softefa_unlock(&dest->qp->lock);
    return softefa_unlikely(died) ? softefa_dest_died(qp, wqe) : status;
}

int softefa_deliver_sgl(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_deliver_sgl_t *local)
{
    softefa_deliver_dest_t dest;
    int status;

    status = softefa_dest_find(qp, wqe, &dest);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) ?
             deliver_send(qp, wqe, &dest, local) :
             softefa_deliver_rdma(qp, wqe, &dest, local);
    if (softefa_unlikely(status == SOFTEFA_STATUS_REMOTE_NO_QP)) {
        /* or no device any more */
        status = dest_silent(qp, &dest);
        status = (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_NO_QP :
                                                 status;
    }

    return status;
}

int softefa_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_deliver_sgl_t local;
    int status;

    status = softefa_sgl_local(qp, wqe, &local);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = softefa_unlikely(qp->planned) ?
             softefa_fault_deliver(qp, wqe, &local) :
             softefa_deliver_sgl(qp, wqe, &local);
    if (softefa_likely(qp->type == SOFTEFA_QP_SRD)) {
        return status;
    }

    if (status != SOFTEFA_STATUS_OK) {
        softefa_count_ud_lost(qp, wqe);
    }
    return SOFTEFA_STATUS_OK;
}
