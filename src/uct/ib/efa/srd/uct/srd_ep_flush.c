/*
 * Flush, fence, check.
 *
 *   flush          waits until una of messages and of one-sided operations
 *                  reach today's PSNs. REMOTE asks for no more than that: a put
 *                  completes when its data is in the remote memory.
 *   flush(CANCEL)  waits until the device uses no user memory any more; nothing
 *                  can be sent by the endpoint afterwards
 *   fence          srd_fence.c
 */
#include "srd/uct/srd_ep.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_fence.h"
#include "srd/send/srd_rma_held.h"
#include "srd/send/srd_slot.h"
#include "srd/send/srd_waiter.h"

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
    uct_srd_slot_t *slot;
    unsigned i, left;

    uct_srd_peer_ep_set_cancelled(ep);
    uct_srd_waiter_take(ep, &waiters);

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
            (void)uct_srd_slot_detach(iface, slot);
        }
    }

    uct_srd_waiter_cancel(&waiters);
    if (ep->zcopy == 0) {
        return UCS_OK;
    }

    return uct_srd_waiter_add(iface, ep, &ep->cancels, comp);
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

    status = uct_srd_waiter_add(iface, ep, &peer->tx.waiters, comp);
    if (status == UCS_INPROGRESS) {
        peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
        UCT_TL_EP_STAT_FLUSH_WAIT(&ep->super);
    }

    return status;
}

ucs_status_t uct_srd_ep_fence(uct_ep_h tl_ep, UCS_V_UNUSED unsigned flags)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);

    if (ep->peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_fence_peer(ep->peer);
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

    ++iface->tx.fence_seq;
    ucs_list_for_each(peer, &iface->tx.rma_peers, rma.list) {
        uct_srd_fence_peer(peer);
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
    if ((uct_srd_peer_outstanding(peer) > 0) || (peer->ctl.num > 0)) {
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
