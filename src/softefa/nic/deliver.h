/* Delivery of one message. See deliver.c. */
#ifndef SOFTEFA_DELIVER_H
#define SOFTEFA_DELIVER_H

#include "nic/object.h"
#include "nic/sgl.h"

/* With its payload on our side. A softefa_status_t, AGAIN if the receiver has
 * no descriptor. */
int softefa_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                    const softefa_sgl_t *local);

#endif
