/*
 * The completion queue, read by us: one entry after the other, each handled
 * before the next is looked at. The device writes an entry's phase bit last;
 * it is 1 in the first round, then flips each round.
 *
 * The queue has an entry for each work request, so none is overwritten before
 * it was read: what an entry says is read before its work request is posted
 * again.
 */
#ifndef UCT_SRD_DIRECT_CQ_H
#define UCT_SRD_DIRECT_CQ_H

#include "srd/def/srd_iface_def.h"
#include "srd/queues/srd_direct_io.h"
#include "srd/queues/srd_direct_mmio.h"

/* Before a round of next(): lets Soft-EFA do what is due. */
static UCS_F_ALWAYS_INLINE void uct_srd_direct_cq_look(uct_srd_direct_cq_t *cq)
{
    if (cq->look.func != NULL) {
        cq->look.func(cq->look.arg);
    }
}

/* Whether there is an entry; then next() has it, and *first_p is its first
 * word. */
static UCS_F_ALWAYS_INLINE int
uct_srd_direct_cq_is_ready(const uct_srd_direct_cq_t *cq, uint32_t *first_p)
{
    const uct_srd_direct_cqe_t *cqe = (const void *)cq->next;

    *first_p = __atomic_load_n(&cqe->first, __ATOMIC_RELAXED);
    return !((*first_p ^ cq->phase) & UCT_SRD_DIRECT_CQE_PHASE);
}

/* Takes the entry that is there. */
static UCS_F_ALWAYS_INLINE const uct_srd_direct_cqe_t *
uct_srd_direct_cq_next(uct_srd_direct_cq_t *cq)
{
    const uct_srd_direct_cqe_t *cqe = (const void *)cq->next;

    uct_srd_direct_from_device();
    ++cq->consumed;
    cq->next += cq->entry_size;
    if (ucs_unlikely(cq->next == cq->end)) {
        cq->next = cq->ring;
        cq->phase ^= UCT_SRD_DIRECT_CQE_PHASE;
    }

    return cqe;
}

/* Says how far we have come. */
static UCS_F_ALWAYS_INLINE void uct_srd_direct_cq_ring(uct_srd_direct_cq_t *cq,
                                                       uint32_t arm)
{
    if (cq->doorbell != NULL) {
        *cq->doorbell = (cq->consumed & UCT_SRD_DIRECT_CQ_DB_CONSUMED) |
                        ((cq->armed_sn & UCT_SRD_DIRECT_CQ_DB_SN_MASK)
                         << UCT_SRD_DIRECT_CQ_DB_SN_SHIFT) |
                        arm;
    }
}

/* An event is raised for the next entry, or for those not read yet. */
static inline void uct_srd_direct_cq_arm(uct_srd_direct_cq_t *cq)
{
    uct_srd_direct_cq_ring(cq, UCT_SRD_DIRECT_CQ_DB_ARM);
    if (cq->armed.func != NULL) {
        cq->armed.func(cq->armed.arg);
    }
}

#endif
