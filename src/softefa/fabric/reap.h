/* What a dead member left: its entries are released. Under the admin lock. */
#ifndef SOFTEFA_REAP_H
#define SOFTEFA_REAP_H

#include "fabric/layout.h"

/* Of the member in `slot`. False: it must be tried again: a process is stopped
 * that may yet write into one of the objects. */
bool softefa_reap(uint32_t slot);

/* Free the memory of a queue into which no process writes any more: of a QP
 * that no message enters, of a CQ without QPs. */
void softefa_reap_qp(softefa_shm_qp_t *qp);
void softefa_reap_cq(softefa_shm_cq_t *cq);

/* Reclaims every member that died. Returns how many. Under the admin lock. */
unsigned softefa_reap_dead(void);

#endif
