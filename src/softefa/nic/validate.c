/*
 * What is wrong in a send queue entry as such. Its buffers are
 * looked up when they are used, by softefa_sgl_local().
 *
 *   2 malformed   3 operation   4 AH   6 length, number of buffers
 */
#include "nic/validate.h"

static int validate_send(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    uint64_t length = 0;
    unsigned i;

    if (wqe->ctrl1 & SOFTEFA_CTRL1_INLINE) {
        return (wqe->length <= qp->max_inline) ? SOFTEFA_STATUS_OK :
                                                 SOFTEFA_STATUS_LOCAL_LENGTH;
    }

    if (wqe->length > SOFTEFA_WQE_SEND_SGE) {
        return SOFTEFA_STATUS_LOCAL_LENGTH;
    }

    for (i = 0; i < wqe->length; ++i) {
        length += wqe->sge[i].length;
    }

    return (length <= qp->dev->profile.max_msg_size) ?
                   SOFTEFA_STATUS_OK :
                   SOFTEFA_STATUS_LOCAL_LENGTH;
}

static int validate_rdma(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
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
        return ((qp->wqe_shift == 7) && (wqe->length <= qp->max_inline) &&
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

int softefa_validate_ah(const softefa_qp_t *qp, uint16_t ahn)
{
    const softefa_shm_dev_t *dev = qp->dev->shm;
    const softefa_shm_ah_t *ah   = &dev->ah[ahn];

    return ((ahn < dev->table[SOFTEFA_KIND_AH].backed) &&
            (atomic_load_explicit(&ah->obj.state, memory_order_acquire) ==
             SOFTEFA_STATE_ALIVE) &&
            (ah->pdn == qp->pdn)) ?
                   SOFTEFA_STATUS_OK :
                   SOFTEFA_STATUS_INVALID_AH;
}

int softefa_validate(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    int status;

    if (((wqe->ctrl1 & (SOFTEFA_CTRL1_META | SOFTEFA_CTRL1_EXTENSION)) !=
         SOFTEFA_CTRL1_META) ||
        ((wqe->ctrl2 &
          (SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST | SOFTEFA_CTRL2_ZERO)) !=
         (SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST)) ||
        ((wqe->ctrl2 & SOFTEFA_CTRL2_PHASE) != qp->sq_phase)) {
        return SOFTEFA_STATUS_QP_INTERNAL;
    }

    if ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) > SOFTEFA_OP_RDMA_WRITE) {
        return SOFTEFA_STATUS_UNSUPPORTED_OP;
    }

    status = softefa_validate_ah(qp, wqe->ahn);
    if (status != SOFTEFA_STATUS_OK) {
        return status;
    }

    return ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) ?
                   validate_send(qp, wqe) :
                   validate_rdma(qp, wqe);
}
