/* Receive queues, as any process sees them: under the QP's shared lock. */
#ifndef SOFTEFA_RQ_H
#define SOFTEFA_RQ_H

#include "fabric/lock.h"
#include "faults/fault_point.h"
#include "nic/object.h"

#include <errno.h>

/* Descriptors taken from an RQ; written under its lock only. */
static inline uint32_t softefa_rq_head(const softefa_shm_qp_t *qp)
{
    return atomic_load_explicit(&qp->rq_head, memory_order_relaxed);
}

static inline void softefa_rq_set_head(softefa_shm_qp_t *qp, uint32_t head)
{
    atomic_store_explicit(&qp->rq_head, head, memory_order_relaxed);
}

/* Descriptors posted, as the doorbell has it, and not taken; 0 for nonsense. */
static inline uint32_t softefa_rq_available(const softefa_shm_qp_t *qp)
{
    uint32_t db    = atomic_load_explicit((_Atomic uint32_t *)
                                                  softefa_fabric_at(qp->rq_db),
                                          memory_order_acquire);
    uint32_t count = (uint16_t)(db - softefa_rq_head(qp));

    return (count <= qp->rq_size) ? count : 0;
}

/* Under qp->lock: its last owner died while a completion may have been written.
 * False: that cannot be decided yet. */
bool softefa_rq_repair(softefa_shm_qp_t *qp, softefa_shm_dev_t *dev);

/* Under qp->lock, just taken. False: unlocked, it cannot be repaired yet. */
static inline bool softefa_rq_locked(softefa_shm_qp_t *qp,
                                     softefa_shm_dev_t *dev)
{
    if (softefa_unlikely(qp->journal_head != softefa_rq_head(qp)) &&
        !softefa_rq_repair(qp, dev)) {
        softefa_unlock(&qp->lock);
        return false;
    }

    return true;
}

/* Takes the RQ's lock and repairs after a dead owner. False: its holder is
 * stopped; a message is to wait (AGAIN). */
static inline bool softefa_rq_lock(softefa_shm_qp_t *qp, softefa_shm_dev_t *dev)
{
    if (softefa_unlikely(softefa_lock(&qp->lock) == EBUSY) ||
        !softefa_rq_locked(qp, dev)) {
        return false;
    }

    softefa_fault_point(SOFTEFA_POINT_LOCKED_RQ);
    return true;
}

/* The same for a command, of its own QP: 0 or ETIME. */
int softefa_rq_lock_command(softefa_qp_t *qp);

/* Under the RQ's lock: completes every posted receive with status 1. False: not
 * all of them, the CQ's lock cannot be taken. */
bool softefa_rq_flush(softefa_shm_dev_t *dev, softefa_shm_qp_t *shm);

/* Under qp->lock, of the process's own QP in ERR: the same, later if the locks
 * cannot be taken. */
void softefa_rq_flush_own(softefa_qp_t *qp);

#endif
