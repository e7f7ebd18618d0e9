/* Send completions. */
#ifndef SOFTEFA_COMPLETE_H
#define SOFTEFA_COMPLETE_H

#include "faults/fault_point.h"
#include "nic/counters.h"
#include "nic/cq.h"
#include "nic/object.h"

#include <string.h>

static inline void softefa_complete_cqe(const softefa_qp_t *qp,
                                        const softefa_io_wqe_t *wqe, int status,
                                        softefa_io_cqe_t *cqe)
{
    uint8_t flags = SOFTEFA_CQE_SEND_QUEUE |
                    ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) << SOFTEFA_CQE_OP_SHIFT);

    memset(cqe, 0, sizeof(*cqe));
    cqe->first = softefa_io_cqe_first(wqe->req_id, status, flags);
    cqe->qpn   = qp->qpn;
    memcpy(cqe->req_id_ex, wqe->req_id_ex, sizeof(cqe->req_id_ex));
}

/* Writes the completion of a message; false: try again later. */
SOFTEFA_STEP bool softefa_complete(softefa_qp_t *qp,
                                   const softefa_io_wqe_t *wqe, int status)
{
    softefa_io_cqe_t cqe;
    bool written;

    softefa_fault_point(SOFTEFA_POINT_COMPLETE);
    softefa_complete_cqe(qp, wqe, status, &cqe);
    written = softefa_cq_write(qp->send_cq->shm, qp->send_sub_cq, &cqe);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK) && written) {
        softefa_counters_error(qp, wqe, status);
    }
    return written;
}

#endif
