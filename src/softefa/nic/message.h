/*
 * A message that is to be sent now, from its queue entry to its status:
 * gathered, delivered, with the faults of a plan.
 *
 * UD never answers: whatever is wrong over there, the message is dropped and
 * its status is OK.
 */
#ifndef SOFTEFA_MESSAGE_H
#define SOFTEFA_MESSAGE_H

#include "nic/counters.h"
#include "nic/deliver.h"
#include "nic/fault_deliver.h"
#include "nic/sgl.h"

/* Performs it. A softefa_status_t, AGAIN if the receiver has no descriptor (SRD
 * only). */
SOFTEFA_STEP int softefa_message_send(softefa_qp_t *qp,
                                      const softefa_io_wqe_t *wqe)
{
    softefa_sgl_t local;
    int status;

    status = softefa_sgl_local(qp, wqe, &local);
    if (softefa_unlikely(status != SOFTEFA_STATUS_OK)) {
        return status;
    }

    status = softefa_unlikely(qp->planned) ?
                     softefa_fault_deliver(qp, wqe, &local) :
                     softefa_deliver(qp, wqe, &local);
    if (softefa_likely((status == SOFTEFA_STATUS_OK) ||
                       (qp->type == SOFTEFA_QP_SRD))) {
        return status;
    }

    softefa_counters_ud_lost(qp, wqe);
    return SOFTEFA_STATUS_OK;
}

#endif
