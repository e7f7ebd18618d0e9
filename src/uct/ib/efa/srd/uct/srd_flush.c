/*
 * Flush, fence, check.
 *
 *   flush          waits until una of messages and of one-sided operations
 *                  reach today's PSNs. REMOTE asks for no more than that: a put
 *                  completes when its data is in the remote memory.
 *   flush(CANCEL)  waits until the device uses no user memory any more; nothing
 *                  can be sent by the endpoint afterwards
 *   fence          SRD orders nothing, but messages are put into order by their
 *                  receiver. What is left, with what it makes wait:
 *
 *                      before the fence    after it     waits for
 *                      message             message      nothing
 *                      message             operation    its completion
 *                      operation           any          its completion
 *
 *                  The second line is kept per peer by a PSN (fence_psn), the
 *                  third by stopping all sends to the peer (rma.fence).
 */
#include "srd/send/srd_rma.h"

static ucs_status_t
uct_srd_ep_wait(uct_srd_iface_t *iface, uct_srd_ep_t *ep,
                ucs_queue_head_t *queue, uct_completion_t *comp)
{
    uct_srd_waiter_t *waiter;

    if (comp == NULL) {
        return UCS_INPROGRESS;
    }

    waiter = ucs_mpool_get(&iface->tx.flush_mp);
    if (waiter == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    waiter->comp    = comp;
    waiter->ep      = ep;
    waiter->psn     = ep->peer->tx.psn;
    waiter->rma_psn = ep->peer->rma.psn;
    ucs_queue_push(queue, &waiter->queue);
    return UCS_INPROGRESS;
}

void uct_srd_ep_cancels_end(ucs_queue_head_t *cancels)
{
    uct_srd_waiter_t *waiter;
    uct_completion_t *comp;

    while (!ucs_queue_is_empty(cancels)) {
        waiter = ucs_queue_pull_elem_non_empty(cancels, uct_srd_waiter_t,
                                               queue);
        comp   = waiter->comp;
        ucs_mpool_put(waiter);
        uct_invoke_completion(comp, UCS_ERR_CANCELED);
    }
}

/*
 * Cancels what is outstanding, in the user's eyes: our copies are still sent,
 * so that no hole appears in the order. What the device has not been given yet
 * is copied; what it reads from the user's memory right now must come back
 * first.
 */
static ucs_status_t uct_srd_ep_cancel(uct_srd_iface_t *iface, uct_srd_ep_t *ep,
                                      uct_completion_t *comp)
{
    ucs_queue_head_t waiters;
    ucs_queue_iter_t iter;
    uct_srd_waiter_t *waiter;
    uct_srd_slot_t *slot;
    unsigned i, left;

    uct_srd_ep_set_cancelled(ep);
    ucs_queue_head_init(&waiters);
    ucs_queue_for_each_safe(waiter, iter, &ep->peer->tx.waiters, queue) {
        if (waiter->ep == ep) {
            ucs_queue_del_iter(&ep->peer->tx.waiters, iter);
            ucs_queue_push(&waiters, &waiter->queue);
        }
    }

    /* One-sided operations leave no hole in the order: these just end */
    uct_srd_rma_held_purge(ep->peer, ep, UCS_ERR_CANCELED);

    for (i = 0, left = ep->zcopy; (i < iface->tx.num_slots) && (left > 0);
         ++i) {
        slot = &iface->tx.slots[i];
        if (!(slot->flags & UCT_SRD_SLOT_ZCOPY) || (slot->ep != ep)) {
            continue;
        }

        --left;
        slot->flags |= UCT_SRD_SLOT_CANCEL;
        if (slot->flags & UCT_SRD_SLOT_QUEUED) {
            /* No memory: it goes on as it is and completes as cancelled */
            (void)uct_srd_tx_detach(iface, slot);
        }
    }

    while (!ucs_queue_is_empty(&waiters)) {
        waiter = ucs_queue_pull_elem_non_empty(&waiters, uct_srd_waiter_t,
                                               queue);
        uct_invoke_completion(waiter->comp, UCS_ERR_CANCELED);
        ucs_mpool_put(waiter);
    }

    if (ep->zcopy == 0) {
        return UCS_OK;
    }

    return uct_srd_ep_wait(iface, ep, &ep->cancels, comp);
}

ucs_status_t uct_srd_ep_flush(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    uct_srd_peer_t *peer   = ep->peer;
    ucs_status_t status;

    if (ucs_unlikely(flags & UCT_FLUSH_FLAG_CANCEL)) {
        return uct_srd_ep_cancel(iface, ep, comp);
    }

    if (!ucs_arbiter_group_is_empty(&ep->pending) &&
        (iface->tx.pending_ep != ep)) {
        return UCS_ERR_NO_RESOURCE;
    }

    if (peer->state == UCT_SRD_PEER_FAILED) {
        return peer->status;
    } else if (ep->status != UCS_OK) {
        return ep->status;
    }

    if ((peer->tx.una.una == peer->tx.psn) &&
        (peer->rma.una.una == peer->rma.psn)) {
        UCT_TL_EP_STAT_FLUSH(&ep->super);
        return UCS_OK;
    }

    status = uct_srd_ep_wait(iface, ep, &peer->tx.waiters, comp);
    if (status == UCS_INPROGRESS) {
        peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
        UCT_TL_EP_STAT_FLUSH_WAIT(&ep->super);
    }

    return status;
}

void uct_srd_peer_fence(uct_srd_peer_t *peer)
{
    peer->rma.beat = peer->iface->tx.fence_beat;

    if (peer->tx.una.una != peer->tx.psn) {
        peer->rma.fence_am  = 1;
        peer->rma.fence_psn = peer->tx.psn;
    }

    if (uct_srd_peer_rma_outstanding(peer) > 0) {
        peer->rma.fence = 1;
        uct_srd_peer_show_wait(peer);
        uct_srd_peer_tx_update(peer);
    }
}

ucs_status_t uct_srd_ep_fence(uct_ep_h tl_ep, UCS_V_UNUSED unsigned flags)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);

    if (ep->peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_peer_fence(ep->peer);
    }

    UCT_TL_EP_STAT_FENCE(&ep->super);
    return UCS_OK;
}

/* Peers with operations under way are stopped now, the others look at the beat
 * before their next operation: messages need not know. */
ucs_status_t uct_srd_iface_fence(uct_iface_h tl_iface,
                                 UCS_V_UNUSED unsigned flags)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    uct_srd_peer_t *peer;

    ++iface->tx.fence_beat;
    ucs_list_for_each(peer, &iface->tx.rma_peers, rma.list) {
        uct_srd_peer_fence(peer);
    }

    UCT_TL_IFACE_STAT_FENCE(&iface->super);
    return UCS_OK;
}

ucs_status_t uct_srd_ep_check(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp)
{
    uct_srd_ep_t *ep     = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_peer_t *peer = ep->peer;
    ucs_status_t status;

    UCT_EFA_EP_CHECK_PARAMS(flags, comp);

    if (peer->state == UCT_SRD_PEER_FAILED) {
        return peer->status;
    }

    /* Something under way: the device tells if nobody takes it. */
    if ((uct_srd_peer_outstanding(peer) > 0) || (peer->tx.ctl > 0)) {
        return UCS_OK;
    }

    status = uct_srd_peer_ah_get(peer);
    if (status == UCS_OK) {
        status = uct_srd_ctl_send(peer, UCT_SRD_OP_PING, 0);
    }

    return (status == UCS_ERR_NO_RESOURCE) ? UCS_OK : status;
}

ucs_status_t uct_srd_ep_invalidate(uct_ep_h tl_ep)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);

    uct_srd_peer_fail(ep->peer, UCS_ERR_ENDPOINT_TIMEOUT);
    return UCS_OK;
}
