/* What is rare in a delivery. See deliver.h. */
#include "nic/deliver.h"

int softefa_deliver_bad(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_dest_t *dest, softefa_rx_t rx)
{
    int status = softefa_rx_complete(qp, wqe, dest, rx,
                                     SOFTEFA_STATUS_INVALID_LKEY, 0);

    return (status == SOFTEFA_STATUS_OK) ? SOFTEFA_STATUS_REMOTE_STATUS :
                                           status;
}

int softefa_deliver_not_copied(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               const softefa_dest_t *dest, softefa_rx_t rx,
                               int error)
{
    softefa_member_t peer = softefa_member(dest->qp->obj.owner);

    if (error == EPERM) {
        return SOFTEFA_STATUS_REMOTE_STATUS;
    }

    if ((error == ESRCH) || !softefa_member_alive(peer.slot, true)) {
        return SOFTEFA_STATUS_DIED;
    }

    return softefa_deliver_bad(qp, wqe, dest, rx);
}
