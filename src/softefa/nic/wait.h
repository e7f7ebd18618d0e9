/* How much waits: of a device, of a queue pair. */
#ifndef SOFTEFA_WAIT_H
#define SOFTEFA_WAIT_H

#include "nic/object.h"

/* One thing more (1) or less (-1) that progress must look after. */
void softefa_wait_dev(softefa_dev_t *dev, int count);

/* The same of a QP, under qp->lock. */
void softefa_wait_qp(softefa_qp_t *qp, int count);

#endif
