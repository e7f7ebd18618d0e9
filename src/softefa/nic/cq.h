/* Completion queues: entries and their events. See cq.c. */
#ifndef SOFTEFA_CQ_H
#define SOFTEFA_CQ_H

#include "nic/object.h"

/* Takes cq->lock and repairs after a dead owner. 0, or without the lock:
 * ENOENT: the CQ is gone. EBUSY: the holder is stopped. */
int softefa_cq_lock(softefa_shm_cq_t *cq);

/* Under that lock: writes an entry, given without the phase bit, into sub-CQ
 * `sub`. May raise the completion event. */
void softefa_cq_put(softefa_shm_cq_t *cq, unsigned sub, softefa_io_cqe_t *cqe);

/* The same for a receive completion of qp, whose lock is held, too: the entry
 * and the `descriptors` taken from the RQ happen together or not at all, also
 * if this process dies meanwhile. */
void softefa_cq_put_recv(softefa_shm_cq_t *cq, unsigned sub,
                         softefa_io_cqe_t *cqe, softefa_shm_qp_t *qp,
                         uint32_t descriptors);

/* Lock, put, unlock. Does nothing if the CQ is gone. False: try again later. */
bool softefa_cq_write(softefa_shm_cq_t *cq, unsigned sub,
                      softefa_io_cqe_t *cqe);

/* Arms what softefa_cq_arm() could not arm at once. */
void softefa_cq_arm_late(softefa_cq_t *cq);

#endif
