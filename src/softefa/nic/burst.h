/* Several SENDs to one QP. */
#ifndef SOFTEFA_BURST_H
#define SOFTEFA_BURST_H

#include "nic/object.h"

enum {
    SOFTEFA_BURST_MAX = 16
};

/* Performs the first messages of wqe[0..count), all SENDs to one QP, with one
 * copy and each lock taken once. Returns how many were delivered with status 0;
 * the next one is for softefa_message_send(). */
unsigned softefa_burst_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                               unsigned count);

#endif
