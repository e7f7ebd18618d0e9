/*
 * Flush, fence, check.
 *
 *   flush          waits until the peer's una reaches today's PSN
 *   flush(CANCEL)  waits until the device reads no user memory any more
 */
#include "srd_tx.h"

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

    waiter->comp = comp;
    waiter->ep   = ep;
    waiter->psn  = ep->peer->tx.psn;
    ucs_queue_push(queue, &waiter->queue);
    return UCS_INPROGRESS;
}

void uct_srd_ep_cancel_done(uct_srd_ep_t *ep)
{
    uct_srd_waiter_t *waiter;
    uct_completion_t *comp;

    while (!ucs_queue_is_empty(&ep->cancels)) {
        waiter = ucs_queue_pull_elem_non_empty(&ep->cancels, uct_srd_waiter_t,
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

    ucs_queue_head_init(&waiters);
    ucs_queue_for_each_safe(waiter, iter, &ep->peer->tx.waiters, queue) {
        if (waiter->ep == ep) {
            ucs_queue_del_iter(&ep->peer->tx.waiters, iter);
            ucs_queue_push(&waiters, &waiter->queue);
        }
    }

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
    }

    if (peer->tx.una.una == peer->tx.psn) {
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

ucs_status_t
uct_srd_ep_fence(UCS_V_UNUSED uct_ep_h tl_ep, UCS_V_UNUSED unsigned flags)
{
    /* Messages are delivered in the order in which they were sent. */
    UCT_TL_EP_STAT_FENCE(ucs_derived_of(tl_ep, uct_base_ep_t));
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
