/* The send side: from doorbell to completion. See engine.c. */
#ifndef SOFTEFA_ENGINE_H
#define SOFTEFA_ENGINE_H

#include "nic/object.h"

/* Under qp->lock: fetch what the doorbell announces; end all with status 1
 * (ERR) or without completions (RESET, destroy). What cannot be ended as the
 * CQ's lock cannot be taken is done later. */
void softefa_engine_fetch(softefa_qp_t *qp);
void softefa_engine_flush(softefa_qp_t *qp, bool complete);

/* Under qp->lock: whether the device is dead, or the QP in ERR, perhaps by an
 * error of its own; then what is to be sent has been ended. */
bool softefa_engine_in_error(softefa_qp_t *qp);

#endif
