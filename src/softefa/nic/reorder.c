/*
 * The option "reorder N": messages are delivered, and sends are completed, out
 * of order. Every message of a QP passes the QP's hold list twice:
 *
 *   new  --> [ held: HELD HELD DONE HELD ... ] --> delivered --> DONE, back in
 *                        | random pick                |
 *                        '--> completed               '--> RNR list (no
 *                                                          descriptor there)
 *
 * More than N entries never stay. Each poll lets go of one to all of them and
 * the progress thread if the application does not, so nothing stays for ever.
 * The picks come from the QP's own generator: the same seed and the same
 * sequence of calls give the same order.
 */
#include "nic/reorder.h"

void softefa_reorder_hold(softefa_qp_t *qp, softefa_msg_t *msg)
{
    qp->held[qp->num_held++] = msg;
}

uint32_t softefa_reorder_keep(softefa_qp_t *qp, bool poll)
{
    return poll ? (softefa_random(&qp->random) % qp->num_held) : qp->reorder;
}

softefa_msg_t *softefa_reorder_pick(softefa_qp_t *qp)
{
    uint32_t index     = softefa_random(&qp->random) % qp->num_held;
    softefa_msg_t *msg = qp->held[index];

    qp->held[index] = qp->held[--qp->num_held];
    return msg;
}
