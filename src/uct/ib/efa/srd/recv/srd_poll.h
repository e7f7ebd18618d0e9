/*
 * Polling the completion queue: srd_poll.c.
 */
#ifndef UCT_SRD_POLL_H
#define UCT_SRD_POLL_H

#include "srd/queues/srd_direct_cq.h"

/* Descriptors for a batch of receives are there, or can be made. */
static UCS_F_ALWAYS_INLINE int
uct_srd_poll_may_refill(const uct_srd_iface_t *iface)
{
    return (iface->rx.chain_len + iface->rx.missing) >= iface->config.rx_batch;
}

/* Whether uct_srd_poll() would find nothing to do, which is known in a few
 * instructions of the direct path. Counts as a poll then. */
static UCS_F_ALWAYS_INLINE int
uct_srd_poll_direct_is_idle(uct_srd_iface_t *iface)
{
    uct_srd_direct_cq_t *cq      = &iface->queues.direct.cq;
    uct_efa_stats_iface_t *stats = iface->stats;
    uint32_t first;

    if (!iface->queues.direct.on || (iface->rx.special > 0) ||
        (stats->polls >= iface->house.look_at) ||
        uct_srd_poll_may_refill(iface)) {
        return 0;
    }

    uct_srd_direct_cq_look(cq);
    if (uct_srd_direct_cq_is_ready(cq, &first)) {
        return 0;
    }

    ++stats->polls;
    return 1;
}

/* Handles up to max_poll completions. Returns how many. */
unsigned uct_srd_poll(uct_srd_iface_t *iface);

/* Takes all completions out of the CQ, for later, with the senders that AH
 * numbers mean now. arg: the interface (peers.evicted). */
void uct_srd_poll_stash_all(void *arg);

#endif
