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
#include "object.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <sys/uio.h>

enum {
    DELIVER_MAX_SGE = 16             /* of a receive; options.c allows 16 */
};

typedef struct {
    softefa_shm_dev_t *dev;
    softefa_shm_qp_t  *qp;
    unsigned          index;         /* of the device */
} deliver_dest_t;

typedef struct {
    struct iovec iov[DELIVER_MAX_SGE];
    unsigned     count;
    uint64_t     length;             /* bytes, all together */
} deliver_sgl_t;

static inline uint64_t buf_addr(const softefa_io_buf_t *buf)
{
    return ((uint64_t)buf->addr_hi << 32) | buf->addr_lo;
}

static void sgl_add(deliver_sgl_t *sgl, const softefa_shm_mr_t *mr,
                    uint64_t iova, uint32_t length)
{
    sgl->iov[sgl->count].iov_base = (void*)(uintptr_t)(mr->addr +
                                                       (iova - mr->iova));
    sgl->iov[sgl->count].iov_len  = length;
    sgl->length                  += length;
    ++sgl->count;
}

/* Adds a buffer of this QP's process. Nothing is done to an empty buffer. */
static int sgl_add_local(deliver_sgl_t *sgl, softefa_qp_t *qp,
                         const softefa_io_buf_t *buf, uint32_t access)
{
    const softefa_shm_mr_t *mr;

    if (buf->length == 0) {
        return SOFTEFA_STATUS_OK;
    }

    if (buf->key & ~SOFTEFA_KEY_MASK) {
        return SOFTEFA_STATUS_BAD_LKEY;
    }

    mr = softefa_mr_find(qp->dev->shm, buf->key, qp->pdn, buf_addr(buf),
                         buf->length, access);
    if (mr == NULL) {
        return SOFTEFA_STATUS_BAD_LKEY;
    }

    sgl_add(sgl, mr, buf_addr(buf), buf->length);
    return SOFTEFA_STATUS_OK;
}

static void sgl_add_inline(deliver_sgl_t *sgl, const void *data,
                           uint32_t length)
{
    if (length > 0) {
        sgl->iov[0].iov_base = (void*)data;
        sgl->iov[0].iov_len  = length;
        sgl->length          = length;
        sgl->count           = 1;
    }
}

/* The whole payload on our side. */
static int local_sgl(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                     deliver_sgl_t *sgl)
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

/*
 * Destination
 */

static inline bool qp_receives(const softefa_shm_qp_t *qp, uint16_t qpn)
{
    uint32_t state = atomic_load_explicit(&qp->obj.state,
                                          memory_order_acquire);

    return (state >= SOFTEFA_STATE_ALIVE + IBV_QPS_RTR) &&
           (state <= SOFTEFA_STATE_ALIVE + IBV_QPS_SQE) && (qp->qpn == qpn);
}

static int find_dest(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                     deliver_dest_t *dest)
{
    softefa_shm_dev_t *own = qp->dev->shm;
    uint32_t index;

    dest->index = own->ah[wqe->ahn].device;
    if (softefa_unlikely(dest->index == SOFTEFA_NO_DEVICE)) {
        return SOFTEFA_STATUS_UNREACHABLE;
    }

    dest->dev = &softefa_fabric.shm->dev[dest->index];
    if (softefa_unlikely(dest->dev->opens == 0)) {
        return (own->responded & (1u << dest->index)) ?
               SOFTEFA_STATUS_UNRESPONSIVE : SOFTEFA_STATUS_UNREACHABLE;
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

/* Once more under its lock, with what does not change while it is held. */
static int check_dest(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      const softefa_shm_qp_t *dest)
{
    return (qp_receives(dest, wqe->dest_qpn) && (dest->type == qp->type) &&
            (dest->qkey == wqe->qkey)) ? SOFTEFA_STATUS_OK :
                                         SOFTEFA_STATUS_REMOTE_NO_QP;
}

/* The process of a QP is gone: give its objects back, look again. */
static int dest_died(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    deliver_dest_t dest;
    int status;

    softefa_admin_lock();
    softefa_fabric_reap();
    softefa_admin_unlock();

    status = find_dest(qp, wqe, &dest);
    return (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_NO_QP :
                                           status;
}

int softefa_deliver_check(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    deliver_dest_t dest;
    int status;

    status = find_dest(qp, wqe, &dest);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    return softefa_proc_alive(softefa_owner_slot(dest.qp->obj.owner), true) ?
           SOFTEFA_STATUS_AGAIN : dest_died(qp, wqe);
}

bool softefa_deliver_ready(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    deliver_dest_t dest;

    return (find_dest(qp, wqe, &dest) != SOFTEFA_STATUS_OK) ||
           (softefa_rq_available(dest.qp) > 0);
}

/*
 * Receive queue, under its lock
 */

typedef struct {
    deliver_sgl_t sgl;
    uint32_t      descriptors;
    uint16_t      req_id;
    bool          bad;               /* a descriptor's lkey is wrong */
} deliver_rx_t;

/* Reads a receive request without taking it; `skip` descriptors before it are
 * for other messages. */
static int rx_peek(softefa_shm_dev_t *dev, softefa_shm_qp_t *qp, uint32_t skip,
                   deliver_rx_t *rx)
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
            sgl_add(&rx->sgl, mr, addr, desc.length);
        }
    } while (!(desc.lkey_ctrl & SOFTEFA_RX_LAST) &&
             (rx->descriptors < available) &&
             (rx->descriptors < DELIVER_MAX_SGE));

    return SOFTEFA_STATUS_OK;
}

/* Skips the space in front of a UD payload; the caller checked the length. */
static void rx_skip(deliver_sgl_t *sgl, uint32_t length)
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

/* Under the CQ's lock: takes the request (NULL: none) and tells the receiver. */
static void rx_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                   const deliver_dest_t *dest, softefa_shm_cq_t *cq,
                   const deliver_rx_t *rx, int status, uint32_t length)
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

static void rx_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const deliver_dest_t *dest, const deliver_rx_t *rx,
                        int status, uint32_t length)
{
    softefa_shm_cq_t *cq = &dest->dev->cq[dest->qp->recv_cq];

    if (softefa_likely(softefa_cq_lock(cq))) {
        rx_put(qp, wqe, dest, cq, rx, status, length);
    }
    softefa_unlock(&cq->lock);
}

/* A receive request that the receiver's own device cannot use. */
static int rx_fail(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                   const deliver_dest_t *dest, const deliver_rx_t *rx)
{
    rx_complete(qp, wqe, dest, rx, SOFTEFA_STATUS_BAD_LKEY, 0);
    return SOFTEFA_STATUS_REMOTE_STATUS;
}

/* Under the RQ lock. *died: look for dead processes after unlocking. */
static int send_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const deliver_dest_t *dest, const deliver_sgl_t *local,
                       bool *died)
{
    uint32_t slot   = softefa_owner_slot(dest->qp->obj.owner);
    uint32_t prefix = (qp->type == SOFTEFA_QP_UD) ? SOFTEFA_GRH_SIZE : 0;
    deliver_rx_t rx;
    int status;

    status = check_dest(qp, wqe, dest->qp);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = rx_peek(dest->dev, dest->qp, 0, &rx);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    if (softefa_unlikely(rx.bad)) {
        return rx_fail(qp, wqe, dest, &rx);
    }

    if (softefa_unlikely(rx.sgl.length < local->length + prefix)) {
        return SOFTEFA_STATUS_REMOTE_SHORT;
    }

    rx_skip(&rx.sgl, prefix);
    switch (softefa_copy_to(slot, local->iov, local->count, rx.sgl.iov,
                            rx.sgl.count, local->length)) {
    case 0:
        rx_complete(qp, wqe, dest, &rx, SOFTEFA_STATUS_OK,
                    local->length + prefix);
        return SOFTEFA_STATUS_OK;
    case ESRCH:
        *died = true;
        return SOFTEFA_STATUS_REMOTE_NO_QP;
    case EFAULT:
        if (!softefa_proc_alive(slot, true)) {
            *died = true;
            return SOFTEFA_STATUS_REMOTE_NO_QP;
        }
        return rx_fail(qp, wqe, dest, &rx);
    default:
        return SOFTEFA_STATUS_REMOTE_STATUS;
    }
}

static int deliver_send(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const deliver_dest_t *dest, const deliver_sgl_t *local)
{
    bool died = false;
    int status;

    softefa_rq_lock(dest->qp, dest->dev);
    status = send_locked(qp, wqe, dest, local, &died);
    softefa_unlock(&dest->qp->lock);
    return softefa_unlikely(died) ? dest_died(qp, wqe) : status;
}

/*
 * Bursts: several SENDs to one QP
 */

typedef struct {
    struct iovec local[SOFTEFA_MAX_BURST * SOFTEFA_WQE_SEND_SGE];
    struct iovec remote[SOFTEFA_MAX_BURST * DELIVER_MAX_SGE];
    unsigned     num_local, num_remote;
    size_t       length;
    uint32_t     lengths[SOFTEFA_MAX_BURST];
    deliver_rx_t rx;                      /* of the message being added */
    struct {
        uint32_t descriptors;
        uint16_t req_id;
    } request[SOFTEFA_MAX_BURST];
} deliver_burst_t;

/* Appends one message, if its receive request can take it; else false. */
static bool burst_add(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      const deliver_dest_t *dest, uint32_t skip,
                      unsigned index, deliver_burst_t *burst)
{
    uint32_t prefix = (qp->type == SOFTEFA_QP_UD) ? SOFTEFA_GRH_SIZE : 0;
    deliver_sgl_t local;
    uint64_t left;
    unsigned i;

    if ((local_sgl(qp, wqe, &local) != SOFTEFA_STATUS_OK) ||
        (rx_peek(dest->dev, dest->qp, skip, &burst->rx) !=
         SOFTEFA_STATUS_OK) ||
        burst->rx.bad || (burst->rx.sgl.length < local.length + prefix)) {
        return false;
    }

    memcpy(&burst->local[burst->num_local], local.iov,
           local.count * sizeof(local.iov[0]));
    burst->num_local += local.count;
    burst->length    += local.length;

    /* The copy is one stream, so each message must end where the next one's
     * buffers begin. */
    rx_skip(&burst->rx.sgl, prefix);
    for (i = 0, left = local.length; left > 0; ++i) {
        if (burst->rx.sgl.iov[i].iov_len > left) {
            burst->rx.sgl.iov[i].iov_len = left;
        }
        left -= burst->rx.sgl.iov[i].iov_len;
        burst->remote[burst->num_remote++] = burst->rx.sgl.iov[i];
    }

    burst->lengths[index]             = local.length + prefix;
    burst->request[index].descriptors = burst->rx.descriptors;
    burst->request[index].req_id      = burst->rx.req_id;
    return true;
}

static void burst_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                           const deliver_dest_t *dest, unsigned count,
                           deliver_burst_t *burst)
{
    softefa_shm_cq_t *cq = &dest->dev->cq[dest->qp->recv_cq];
    unsigned i;

    if (softefa_likely(softefa_cq_lock(cq))) {
        for (i = 0; i < count; ++i) {
            burst->rx.descriptors = burst->request[i].descriptors;
            burst->rx.req_id      = burst->request[i].req_id;
            rx_put(qp, &wqe[i], dest, cq, &burst->rx, SOFTEFA_STATUS_OK,
                   burst->lengths[i]);
        }
    }
    softefa_unlock(&cq->lock);
}

static unsigned burst_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                             const deliver_dest_t *dest, unsigned count)
{
    uint32_t skip = 0;
    deliver_burst_t burst;
    unsigned i;

    if (check_dest(qp, wqe, dest->qp) != SOFTEFA_STATUS_OK) {
        return 0;
    }

    burst.num_local  = 0;
    burst.num_remote = 0;
    burst.length     = 0;
    for (i = 0; i < count; ++i) {
        if (!burst_add(qp, &wqe[i], dest, skip, i, &burst)) {
            break;
        }
        skip += burst.rx.descriptors;
    }

    /* Of a copy that fails, the single way finds out what is wrong. */
    if ((i == 0) ||
        softefa_copy_to(softefa_owner_slot(dest->qp->obj.owner), burst.local,
                        burst.num_local, burst.remote, burst.num_remote,
                        burst.length)) {
        return 0;
    }

    burst_complete(qp, wqe, dest, i, &burst);
    return i;
}

unsigned softefa_deliver_burst(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               unsigned count)
{
    deliver_dest_t dest;
    unsigned delivered;

    if (find_dest(qp, wqe, &dest) != SOFTEFA_STATUS_OK) {
        return 0;
    }

    softefa_rq_lock(dest.qp, dest.dev);
    delivered = burst_locked(qp, wqe, &dest, count);
    softefa_unlock(&dest.qp->lock);
    return delivered;
}

/*
 * RDMA
 */

/* The copy, with the region marked so that its deregistration waits. */
static int rdma_copy(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                     const deliver_dest_t *dest, const deliver_sgl_t *local)
{
    bool read       = (wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_RDMA_READ;
    uint32_t access = read ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_REMOTE_WRITE;
    uint64_t addr   = buf_addr(&wqe->rdma.remote);
    uint32_t length = wqe->rdma.remote.length;
    deliver_sgl_t remote;
    softefa_shm_mr_t *mr;
    uint32_t slot;
    int error, i;

    /* Found, marked, found again: a deregistration either sees the mark or is
     * seen here. */
    for (i = 0; i < 2; ++i) {
        mr = softefa_mr_find_remote(dest->dev, wqe->rdma.remote.key,
                                    dest->qp->pdn, addr, length, access);
        if (mr == NULL) {
            atomic_store(&qp->shm->rdma_target, 0);
            return SOFTEFA_STATUS_REMOTE_ADDRESS;
        }
        atomic_store(&qp->shm->rdma_target,
                     (dest->index << 24) | ((mr - dest->dev->mr) + 1));
    }

    remote.count  = 0;
    remote.length = 0;
    sgl_add(&remote, mr, addr, length);
    slot  = softefa_owner_slot(mr->obj.owner);
    error = read ? softefa_copy_from(slot, local->iov, local->count,
                                     remote.iov, 1, length) :
                   softefa_copy_to(slot, local->iov, local->count, remote.iov,
                                   1, length);
    atomic_store(&qp->shm->rdma_target, 0);

    switch (error) {
    case 0:
        return SOFTEFA_STATUS_OK;
    case EPERM:
        return SOFTEFA_STATUS_REMOTE_STATUS;
    default:
        return ((error == ESRCH) || !softefa_proc_alive(slot, true)) ?
               dest_died(qp, wqe) : SOFTEFA_STATUS_REMOTE_ADDRESS;
    }
}

/* After an RDMA write with immediate data; under the RQ lock. */
static int rdma_notify(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const deliver_dest_t *dest, bool peek)
{
    deliver_rx_t rx;
    int status;

    status = check_dest(qp, wqe, dest->qp);
    if ((status != SOFTEFA_STATUS_OK) ||
        (peek && dest->qp->unsolicited)) {
        return status;
    }

    if (dest->qp->unsolicited) {
        rx_complete(qp, wqe, dest, NULL, SOFTEFA_STATUS_OK,
                    wqe->rdma.remote.length);
        return SOFTEFA_STATUS_OK;
    }

    status = rx_peek(dest->dev, dest->qp, 0, &rx);
    if ((status == SOFTEFA_STATUS_OK) && !peek) {
        rx_complete(qp, wqe, dest, &rx, SOFTEFA_STATUS_OK,
                    wqe->rdma.remote.length);
    }
    return status;
}

static int rdma_notify_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                              const deliver_dest_t *dest, bool peek)
{
    int status;

    if (!(wqe->ctrl1 & SOFTEFA_CTRL1_HAS_IMM)) {
        return SOFTEFA_STATUS_OK;
    }

    softefa_rq_lock(dest->qp, dest->dev);
    status = rdma_notify(qp, wqe, dest, peek);
    softefa_unlock(&dest->qp->lock);
    return status;
}

static int deliver_rdma(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const deliver_dest_t *dest, const deliver_sgl_t *local)
{
    int status;

    status = check_dest(qp, wqe, dest->qp);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    if (dest->dev->ah_for[qp->dev->index] == 0) {
        return SOFTEFA_STATUS_REMOTE_NO_AH;
    }

    status = rdma_notify_locked(qp, wqe, dest, true);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    if (wqe->rdma.remote.length > 0) {
        status = rdma_copy(qp, wqe, dest, local);
        if (status != SOFTEFA_STATUS_OK) {
            return status;
        }
    }

    /* AGAIN here repeats the copy: at least once is all that a write says. */
    return rdma_notify_locked(qp, wqe, dest, false);
}

int softefa_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    deliver_sgl_t local;
    deliver_dest_t dest;
    int status;

    status = local_sgl(qp, wqe, &local);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = find_dest(qp, wqe, &dest);
    if (softefa_likely(status == SOFTEFA_STATUS_OK)) {
        status = ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) ?
                 deliver_send(qp, wqe, &dest, &local) :
                 deliver_rdma(qp, wqe, &dest, &local);
    }

    return (qp->type == SOFTEFA_QP_SRD) ? status : SOFTEFA_STATUS_OK;
}
