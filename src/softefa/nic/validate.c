/* See validate.h. */
#include "nic/validate.h"

int softefa_validate_rdma(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    bool read    = (wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_RDMA_READ;
    uint32_t cap = read ? SOFTEFA_CAP_RDMA_READ : SOFTEFA_CAP_RDMA_WRITE;

    if ((qp->type != SOFTEFA_QP_SRD) || !(qp->dev->profile.caps & cap) ||
        (read &&
         (wqe->ctrl1 & (SOFTEFA_CTRL1_INLINE | SOFTEFA_CTRL1_HAS_IMM)))) {
        return SOFTEFA_STATUS_UNSUPPORTED_OP;
    }

    if (wqe->rdma.remote.length > qp->dev->profile.max_rdma_size) {
        return SOFTEFA_STATUS_LOCAL_LENGTH;
    }

    if (wqe->ctrl1 & SOFTEFA_CTRL1_INLINE) {
        return ((qp->wqe_shift == SOFTEFA_WQE_SHIFT_EX) &&
                (wqe->length <= qp->max_inline) &&
                (wqe->length <= sizeof(wqe->rdma.data)) &&
                (wqe->length == wqe->rdma.remote.length)) ?
                       SOFTEFA_STATUS_OK :
                       SOFTEFA_STATUS_LOCAL_LENGTH;
    }

    if (wqe->length > 1) {
        return SOFTEFA_STATUS_LOCAL_LENGTH;
    }

    if (wqe->length == 0) {
        return (wqe->rdma.remote.length == 0) ? SOFTEFA_STATUS_OK :
                                                SOFTEFA_STATUS_LOCAL_LENGTH;
    }

    return (wqe->rdma.local.length == wqe->rdma.remote.length) ?
                   SOFTEFA_STATUS_OK :
                   SOFTEFA_STATUS_LOCAL_LENGTH;
}
