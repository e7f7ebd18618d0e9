/*
 * What the device finds wrong in a send queue entry: a softefa_status_t. Its
 * buffers are looked up when they are used, by softefa_sgl_local().
 *
 *   2 malformed   3 operation   4 AH   6 length, number of buffers
 */
#ifndef SOFTEFA_VALIDATE_H
#define SOFTEFA_VALIDATE_H

#include "nic/object.h"

/* Of an RDMA operation, what softefa_validate() does not know of a SEND. */
int softefa_validate_rdma(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

static inline int softefa_validate_send(const softefa_qp_t *qp,
                                        const softefa_io_wqe_t *wqe)
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

static inline int softefa_validate_ah(const softefa_qp_t *qp, uint16_t ahn)
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

static inline int softefa_validate(const softefa_qp_t *qp,
                                   const softefa_io_wqe_t *wqe)
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
                   softefa_validate_send(qp, wqe) :
                   softefa_validate_rdma(qp, wqe);
}

#endif
