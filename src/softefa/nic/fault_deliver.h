/* Delivery of a message with the faults that wqe->fault names. */
#ifndef SOFTEFA_FAULT_DELIVER_H
#define SOFTEFA_FAULT_DELIVER_H

#include "nic/object.h"
#include "nic/sgl.h"

int softefa_fault_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          const softefa_sgl_t *local);

#endif
