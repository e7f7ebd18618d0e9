/*
 * The receive queue, written by us: descriptors with request ids. The device
 * may complete them in any order, so free ids are a list, not a range. What is
 * in use is told from what is free by its value: no memory is at so low an
 * address.
 */
#ifndef UCT_SRD_DIRECT_RQ_H
#define UCT_SRD_DIRECT_RQ_H

#include "srd/def/srd_iface_def.h"
#include "srd/queues/srd_direct_io.h"
#include "srd/queues/srd_direct_mmio.h"

#define UCT_SRD_DIRECT_ID_MAX (UINT16_MAX + 1u) /* the end of the list */

/* The device has desc from the next doorbell on. */
static UCS_F_ALWAYS_INLINE void uct_srd_direct_rq_put(uct_srd_direct_rq_t *rq,
                                                      uct_srd_desc_t *desc)
{
    uint64_t *entry = &rq->ring[2 * (size_t)(rq->posted & rq->mask)];
    uint32_t id     = rq->free_id;

    ucs_assert(id <= rq->mask);
    rq->free_id      = rq->ids[id].next;
    rq->ids[id].desc = desc;
    entry[0]         = desc->sge.addr;
    entry[1]         = id |
               ((uint64_t)(uint16_t)desc->sge.length
                << UCT_SRD_DIRECT_RX_LENGTH_SHIFT) |
               ((uint64_t)(desc->sge.lkey & UCT_SRD_DIRECT_KEY_MASK)
                << UCT_SRD_DIRECT_RX_KEY_SHIFT) |
               UCT_SRD_DIRECT_RX_FIRST | UCT_SRD_DIRECT_RX_LAST;
    ++rq->posted;
}

static UCS_F_ALWAYS_INLINE void uct_srd_direct_rq_ring(uct_srd_direct_rq_t *rq)
{
    uct_srd_direct_to_device();
    *rq->doorbell = (uint16_t)rq->posted;
}

/* The device is done with the descriptor of that id. NULL: it had none of that
 * id. */
static UCS_F_ALWAYS_INLINE uct_srd_desc_t *
uct_srd_direct_rq_take(uct_srd_direct_rq_t *rq, uint16_t id)
{
    uct_srd_direct_id_t *entry = &rq->ids[id & rq->mask];
    uct_srd_desc_t *desc       = entry->desc;

    if (ucs_unlikely(entry->next <= UCT_SRD_DIRECT_ID_MAX)) {
        return NULL;
    }

    entry->next = rq->free_id;
    rq->free_id = id & rq->mask;
    return desc;
}

#endif
