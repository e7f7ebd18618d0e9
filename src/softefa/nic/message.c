/*
 * A message from its queue entry to its status: gathered, delivered, with the
 * faults of a plan.
 *
 * UD never answers: whatever is wrong over there, the message is dropped and
 * its status is OK.
 */
#include "nic/message.h"
#include "nic/counters.h"
#include "nic/deliver.h"
#include "nic/fault_deliver.h"
#include "nic/sgl.h"

int softefa_message_send(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
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
    if (softefa_likely(qp->type == SOFTEFA_QP_SRD)) {
        return status;
    }

    if (status != SOFTEFA_STATUS_OK) {
        softefa_counters_ud_lost(qp, wqe);
    }
    return SOFTEFA_STATUS_OK;
}
