/*
 * Several SENDs that one doorbell announced for one QP:
 *
 *   our buffers    | m0 | m1a | m1b | m2 |        one softefa_host_write(),
 *   their requests | r0 |    r1     | r2a | r2b |  a stream from list to list
 *
 * A first message that needs more than that ends the burst and goes the single
 * way, which decides what happens to it.
 */
#include "nic/burst.h"
#include "nic/counters.h"
#include "nic/cq.h"
#include "nic/dest.h"
#include "nic/host.h"
#include "nic/rq.h"
#include "nic/rx.h"
#include "nic/sgl.h"

#include <string.h>

typedef struct {
    struct iovec         local[SOFTEFA_BURST_MAX * SOFTEFA_WQE_SEND_SGE];
    struct iovec         remote[SOFTEFA_BURST_MAX * SOFTEFA_SGL_MAX];
    unsigned             num_local, num_remote;
    size_t               length;
    uint32_t             lengths[SOFTEFA_BURST_MAX];
    softefa_rx_t         request[SOFTEFA_BURST_MAX];
} deliver_burst_t;

/* Appends one message, if its receive request can take it; else false. */
static bool burst_add(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      const softefa_dest_t *dest, uint32_t skip, unsigned index,
                      deliver_burst_t *burst)
{
    uint32_t prefix = (qp->type == SOFTEFA_QP_UD) ? SOFTEFA_GRH_SIZE : 0;
    softefa_sgl_t local, remote;
    uint64_t left;
    unsigned i;

    if ((softefa_sgl_local(qp, wqe, &local) != SOFTEFA_STATUS_OK) ||
        (softefa_rx_peek(dest->dev, dest->qp, skip, &remote,
                         &burst->request[index]) != SOFTEFA_STATUS_OK) ||
        burst->request[index].bad || (remote.length < local.length + prefix)) {
        return false;
    }

    memcpy(&burst->local[burst->num_local], local.iov,
           local.count * sizeof(local.iov[0]));
    burst->num_local += local.count;
    burst->length += local.length;

    /* The copy is one stream, so each message must end where the next one's
     * buffers begin. */
    softefa_sgl_skip(&remote, prefix);
    for (i = 0, left = local.length; left > 0; ++i) {
        if (remote.iov[i].iov_len > left) {
            remote.iov[i].iov_len = left;
        }
        left -= remote.iov[i].iov_len;
        burst->remote[burst->num_remote++] = remote.iov[i];
    }

    burst->lengths[index] = local.length + prefix;
    return true;
}

/* Returns how many are delivered now: all or, if the CQ's lock cannot be taken
 * or the CQ is dead, none. */
static unsigned burst_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               const softefa_dest_t *dest, unsigned count,
                               deliver_burst_t *burst)
{
    softefa_shm_cq_t *cq = &dest->dev->cq[dest->qp->recv_cq];
    unsigned i;

    switch (softefa_cq_lock(cq)) {
    case 0:
        for (i = 0; i < count; ++i) {
            softefa_rx_put(qp, &wqe[i], dest, cq, burst->request[i],
                           SOFTEFA_STATUS_OK, burst->lengths[i]);
        }
        softefa_unlock(&cq->lock);
        softefa_counters_send(qp, dest->qp, count, burst->length);
        return count;
    default:
        return 0;
    }
}

static unsigned burst_locked(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                             const softefa_dest_t *dest, unsigned count)
{
    uint32_t skip = 0;
    deliver_burst_t burst;
    unsigned i;

    if (softefa_dest_check(qp, wqe, dest->qp) != SOFTEFA_STATUS_OK) {
        return 0;
    }

    burst.num_local  = 0;
    burst.num_remote = 0;
    burst.length     = 0;
    for (i = 0; i < count; ++i) {
        if (!burst_add(qp, &wqe[i], dest, skip, i, &burst)) {
            break;
        }
        skip += burst.request[i].descriptors;
    }

    /* Of a copy that fails, the single way finds out what is wrong. */
    if ((i == 0) ||
        softefa_host_write(softefa_member(dest->qp->obj.owner), burst.local,
                           burst.num_local, burst.remote, burst.num_remote,
                           burst.length)) {
        return 0;
    }

    softefa_fault_point(SOFTEFA_POINT_DELIVER);
    return burst_complete(qp, wqe, dest, i, &burst);
}

unsigned softefa_burst_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               unsigned count)
{
    softefa_dest_t dest;
    unsigned delivered;

    if (softefa_dest_find(qp, wqe, &dest) != SOFTEFA_STATUS_OK) {
        return 0;
    }

    if (!softefa_rq_lock(dest.qp, dest.dev)) {
        return 0;
    }

    delivered = burst_locked(qp, wqe, &dest, count);
    softefa_unlock(&dest.qp->lock);
    return delivered;
}
