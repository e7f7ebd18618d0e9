/* The queue pair that a message goes to. */
#ifndef SOFTEFA_DEST_H
#define SOFTEFA_DEST_H

#include "nic/device.h"
#include "nic/object.h"

#include <infiniband/verbs.h>

typedef struct {
    softefa_shm_dev_t *dev;
    softefa_shm_qp_t  *qp;
    unsigned          index;         /* of the device */
} softefa_dest_t;

/* Whether the device of a destination answers. OK, UNRESPONSIVE or UNREACHABLE;
 * AGAIN: it, or the own one, is paused. */
int softefa_dest_status(const softefa_qp_t *qp, const softefa_dest_t *dest);

/* Whether messages to that number reach this QP now. */
static inline bool softefa_dest_receives(const softefa_shm_qp_t *qp,
                                         uint16_t qpn)
{
    uint32_t state = atomic_load_explicit(&qp->obj.state, memory_order_acquire);

    return (state >= SOFTEFA_STATE_ALIVE + IBV_QPS_RTR) &&
           (state <= SOFTEFA_STATE_ALIVE + IBV_QPS_SQE) && (qp->qpn == qpn);
}

/* The same, or REMOTE_QPN. */
static inline int softefa_dest_find(softefa_qp_t *qp,
                                    const softefa_io_wqe_t *wqe,
                                    softefa_dest_t *dest)
{
    softefa_shm_dev_t *own = qp->dev->shm;
    uint32_t index;
    int status;

    dest->index = own->ah[wqe->ahn].device;
    if (softefa_unlikely(dest->index == SOFTEFA_NO_DEVICE)) {
        return SOFTEFA_STATUS_UNREACHABLE;
    }

    dest->dev = &softefa_fabric.shm->dev[dest->index];
    if (softefa_unlikely((dest->dev->opens == 0) | softefa_device_faulted())) {
        status = softefa_dest_status(qp, dest);
        if (status != SOFTEFA_STATUS_OK) {
            return status;
        }
    }

    if (softefa_unlikely(!((own->responded >> dest->index) & 1))) {
        own->responded |= 1u << dest->index;
    }

    index    = wqe->dest_qpn & dest->dev->qp_mask;
    dest->qp = &dest->dev->qp[index];
    return softefa_likely((index < dest->dev->table[SOFTEFA_KIND_QP].backed) &&
                          softefa_dest_receives(dest->qp, wqe->dest_qpn)) ?
                   SOFTEFA_STATUS_OK :
                   SOFTEFA_STATUS_REMOTE_QPN;
}

/* Once more under its lock, with what does not change while it is held. */
static inline int softefa_dest_check(const softefa_qp_t *qp,
                                     const softefa_io_wqe_t *wqe,
                                     const softefa_shm_qp_t *dest)
{
    return (softefa_dest_receives(dest, wqe->dest_qpn) &&
            (dest->type == qp->type) && (dest->qkey == wqe->qkey)) ?
                   SOFTEFA_STATUS_OK :
                   SOFTEFA_STATUS_REMOTE_QPN;
}

/* The destination's process is gone: gives its objects back, looks again.
 * Not under a shared lock. */
int softefa_dest_died(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* Whether a held message is worth another delivery. */
bool softefa_dest_ready(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* Asks for certain whether the destination lives. AGAIN: it does. */
int softefa_dest_ask(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* The status of a message whose RNR retries are used up: 10, unless no process
 * is left there that could post a receive request. A kernel would have
 * destroyed a killed process's QPs by now. */
int softefa_dest_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

#endif
