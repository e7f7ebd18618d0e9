/* What a dead member left: its entries are released. Under the admin lock. */
#ifndef SOFTEFA_REAP_H
#define SOFTEFA_REAP_H

#include "fabric/layout.h"

/* Of the member in `slot`. False: it must be tried again: a process is stopped
 * that may yet write into one of the objects. */
bool softefa_reap(uint32_t slot);

/* No message enters this queue any more. False: a process is stopped that may
 * yet write into it. */
bool softefa_reap_retire(softefa_shm_qp_t *qp);

/* Give a queue's memory back, into which nobody writes any more: of a retired
 * QP, of a CQ without QPs. */
void softefa_reap_qp(softefa_shm_qp_t *qp);
void softefa_reap_cq(softefa_shm_cq_t *cq);

#endif
