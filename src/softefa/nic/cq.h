/* Completion queues: entries and their events. See cq.c. */
#ifndef SOFTEFA_CQ_H
#define SOFTEFA_CQ_H

#include "base/point.h"
#include "fabric/lock.h"
#include "faults/fault_point.h"
#include "nic/object.h"
#include "nic/rq.h"

#include <string.h>

/* Under the lock, what is rare: the lock was not free, or the CQ is not alive;
 * the CQ is armed; it seems to be full. */
int  softefa_cq_lock_slow(softefa_shm_cq_t *cq, int ret);
void softefa_cq_raise(softefa_shm_cq_t *cq);
void softefa_cq_overrun(softefa_shm_cq_t *cq, const softefa_io_cqe_t *cqe);

/* Takes cq->lock and repairs after a dead holder. 0, or without the lock:
 * ENOENT: the CQ is gone. EBUSY: the holder is stopped. */
static inline int softefa_cq_lock(softefa_shm_cq_t *cq)
{
    int ret = softefa_lock(&cq->lock);

    if (softefa_unlikely((ret != 0) ||
                         (cq->obj.state != SOFTEFA_STATE_ALIVE))) {
        return softefa_cq_lock_slow(cq, ret);
    }

    softefa_fault_point(SOFTEFA_POINT_LOCKED_CQ);
    return 0;
}

static inline uint32_t softefa_cq_phase(const softefa_shm_cq_t *cq,
                                        uint32_t pos)
{
    return (pos & cq->depth) ? 0 : SOFTEFA_CQE_PHASE;
}

static inline softefa_io_cqe_t *softefa_cq_entry(const softefa_shm_cq_t *cq,
                                                 unsigned sub, uint32_t pos)
{
    return softefa_fabric_at(cq->ring[sub] +
                             ((pos & (cq->depth - 1)) * cq->entry_size));
}

static inline uint32_t softefa_cq_doorbell(const softefa_shm_cq_t *cq)
{
    return atomic_load_explicit((_Atomic uint32_t *)softefa_fabric_at(cq->db),
                                memory_order_acquire);
}

/* Entries written and, as the doorbell has it, not consumed */
static inline uint32_t softefa_cq_pending(const softefa_shm_cq_t *cq)
{
    return (cq->total - softefa_cq_doorbell(cq)) & SOFTEFA_CQ_DB_CONSUMER;
}

/* Under the lock: writes an entry, given without the phase bit, into sub-CQ
 * `sub`. May raise the completion event. */
static inline void softefa_cq_put(softefa_shm_cq_t *cq, unsigned sub,
                                  const softefa_io_cqe_t *cqe)
{
    uint32_t pos           = cq->head[sub];
    softefa_io_cqe_t *slot = softefa_cq_entry(cq, sub, pos);

    if (softefa_unlikely(softefa_cq_pending(cq) >= cq->capacity)) {
        softefa_cq_overrun(cq, cqe);
    }

    SOFTEFA_POINT("entry");
    memcpy(&slot->qpn, &cqe->qpn,
           offsetof(softefa_io_cqe_t, sgid) - offsetof(softefa_io_cqe_t, qpn));
    if (cq->entry_size == sizeof(*cqe)) {
        memcpy(slot->sgid, cqe->sgid, sizeof(cqe->sgid));
    }
    SOFTEFA_POINT("entry written");
    atomic_store_explicit((_Atomic uint32_t *)&slot->first,
                          cqe->first |
                                  ((uint32_t)softefa_cq_phase(cq, pos) << 24),
                          memory_order_release);
    SOFTEFA_POINT("commit");
    cq->head[sub] = pos + 1;
    SOFTEFA_POINT("head");
    ++cq->total;

    if (softefa_unlikely(cq->armed)) {
        softefa_cq_raise(cq);
    }
}

/* The same for a receive completion of qp, whose lock is held, too: the entry
 * and the `descriptors` taken from the RQ happen together or not at all, also
 * if this process dies meanwhile. */
static inline void softefa_cq_put_recv(softefa_shm_cq_t *cq, unsigned sub,
                                       const softefa_io_cqe_t *cqe,
                                       softefa_shm_qp_t *qp,
                                       uint32_t descriptors)
{
    qp->journal_lost    = 0;
    qp->journal_pos     = cq->head[sub];
    qp->journal_in_fifo = 0;
    cq->writer          = softefa_fabric_offset(qp);
    SOFTEFA_POINT("journal");
    qp->journal_head = softefa_rq_head(qp) + descriptors;
    softefa_cq_put(cq, sub, cqe);
    SOFTEFA_POINT("put");
    softefa_rq_set_head(qp, qp->journal_head);
    SOFTEFA_POINT("taken");
}

/* Lock, put, unlock. Does nothing if the CQ is gone. False: try again later. */
static inline bool softefa_cq_write(softefa_shm_cq_t *cq, unsigned sub,
                                    const softefa_io_cqe_t *cqe)
{
    int ret = softefa_cq_lock(cq);

    if (softefa_likely(ret == 0)) {
        softefa_cq_put(cq, sub, cqe);
        softefa_unlock(&cq->lock);
    }
    return ret != EBUSY;
}

/* Arms what softefa_cq_arm() could not arm at once. */
void softefa_cq_arm_late(softefa_cq_t *cq);

#endif
