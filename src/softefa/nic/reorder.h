/* The order in which the reorder option lets messages go. Under qp->lock. */
#ifndef SOFTEFA_REORDER_H
#define SOFTEFA_REORDER_H

#include "nic/object.h"

/* Keeps a message back. */
void softefa_reorder_hold(softefa_qp_t *qp, softefa_msg_t *msg);

/* How many of qp->num_held stay: what the option allows, or fewer as the
 * application polls; the next one of those that go. */
uint32_t       softefa_reorder_keep(softefa_qp_t *qp, bool poll);
softefa_msg_t *softefa_reorder_pick(softefa_qp_t *qp);

#endif
