/*
 * The destination of a message, and what its device would answer.
 *
 *   AH --> GID --> device --> QPN --> QP      15, 13  no such device, or down
 *                                             9       no such QP, or not ready
 *                                                     to receive
 *
 * A device is up as long as some process has it open. A killed process's QPs
 * vanish from a device that others use, as if its kernel had closed them: 9.
 * A device that nobody uses any more is like a host gone: 13 if this device
 * ever had an answer from it, else 15.
 */
#include "nic/dest.h"
#include "fabric/admin.h"
#include "fabric/lock.h"
#include "fabric/member.h"
#include "fabric/reap.h"
#include "nic/device.h"
#include "nic/rq.h"

int softefa_dest_status(const softefa_qp_t *qp, const softefa_dest_t *dest)
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

    if ((dest->dev->opens > 0) && softefa_device_alive(dest->index)) {
        return SOFTEFA_STATUS_OK;
    }

    return (qp->dev->shm->responded & (1u << dest->index)) ?
                   SOFTEFA_STATUS_UNRESPONSIVE :
                   SOFTEFA_STATUS_UNREACHABLE;
}

int softefa_dest_died(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_dest_t dest;
    int status;

    if (softefa_admin_lock_soon() == 0) {
        softefa_reap_dead();
        softefa_admin_unlock();
    }

    status = softefa_dest_find(qp, wqe, &dest);
    return (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_QPN : status;
}

int softefa_dest_ask(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_dest_t dest;
    int status;

    status = softefa_dest_find(qp, wqe, &dest);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    return softefa_member_alive(softefa_member_slot(dest.qp->obj.owner), true) ?
                   SOFTEFA_STATUS_AGAIN :
                   softefa_dest_died(qp, wqe);
}

int softefa_dest_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    int status = softefa_dest_ask(qp, wqe);

    return (status == SOFTEFA_STATUS_AGAIN) ? SOFTEFA_STATUS_RNR : status;
}

bool softefa_dest_ready(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_dest_t dest;

    return (softefa_dest_find(qp, wqe, &dest) != SOFTEFA_STATUS_OK) ||
           (((softefa_rq_available(dest.qp) > 0) || dest.qp->unsolicited) &&
            !softefa_lock_stuck(&dest.qp->lock) &&
            !softefa_lock_stuck(&dest.dev->cq[dest.qp->recv_cq].lock));
}
