/*
 * Pending requests: one arbiter group for each endpoint. A group that its
 * peer's window stops is taken out of the arbiter until the window opens
 * (uct_srd_peer_ep_wake()); want of slots or buffers stops the whole arbiter.
 */
#include "srd/uct/srd_ep.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_post.h"
#include "srd/send/srd_tx.h"

static ucs_arbiter_cb_result_t
uct_srd_ep_pending_purge_cb(UCS_V_UNUSED ucs_arbiter_t *arbiter,
                            ucs_arbiter_group_t *group,
                            ucs_arbiter_elem_t *elem, void *arg)
{
    uct_srd_ep_t *ep          = ucs_container_of(group, uct_srd_ep_t, pending);
    uct_purge_cb_args_t *args = arg;

    uct_srd_peer_ep_count_pending(ep, -1);
    if (args->cb != NULL) {
        args->cb(ucs_container_of(elem, uct_pending_req_t, priv), args->arg);
    }

    return UCS_ARBITER_CB_RESULT_REMOVE_ELEM;
}

void uct_srd_ep_pending_purge(uct_ep_h tl_ep, uct_pending_purge_callback_t cb,
                              void *arg)
{
    uct_srd_ep_t *ep         = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface   = UCT_SRD_EP_IFACE(ep);
    uct_purge_cb_args_t args = {cb, arg};

    ucs_arbiter_group_purge(&iface->tx.arbiter, &ep->pending,
                            uct_srd_ep_pending_purge_cb, &args);
}

/* ----------------------------------------------------------------- pending */

ucs_status_t uct_srd_ep_pending_add(uct_ep_h tl_ep, uct_pending_req_t *req,
                                    UCS_V_UNUSED unsigned flags)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);

    /* A failed peer says so at the next send, too. */
    if (ucs_arbiter_group_is_empty(&ep->pending) && !iface->tx.bufs_short &&
        (ep->wanted <= iface->tx.num_free) &&
        (uct_srd_tx_check(ep) != UCS_ERR_NO_RESOURCE)) {
        return UCS_ERR_BUSY;
    }

    uct_pending_req_arb_group_push(&ep->pending, req);
    if (iface->tx.pending_ep != ep) {
        ucs_arbiter_group_schedule(&iface->tx.arbiter, &ep->pending);
    }

    uct_srd_peer_ep_count_pending(ep, 1);
    UCT_TL_EP_STAT_PEND(&ep->super);
    return UCS_OK;
}

static ucs_arbiter_cb_result_t
uct_srd_ep_pending_cb(UCS_V_UNUSED ucs_arbiter_t *arbiter,
                      ucs_arbiter_group_t *group, ucs_arbiter_elem_t *elem,
                      void *arg)
{
    uct_srd_iface_t *iface = arg;
    uct_srd_ep_t *ep       = ucs_container_of(group, uct_srd_ep_t, pending);
    uct_pending_req_t *req = ucs_container_of(elem, uct_pending_req_t, priv);
    ucs_status_t status;

    if ((iface->tx.num_free == 0) || iface->tx.bufs_short) {
        return UCS_ARBITER_CB_RESULT_STOP;
    }

    iface->tx.pending_ep = ep;
    if (uct_srd_tx_check(ep) == UCS_ERR_NO_RESOURCE) {
        iface->tx.pending_ep = NULL;
        ep->peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
        return UCS_ARBITER_CB_RESULT_DESCHED_GROUP;
    }

    status               = req->func(req);
    iface->tx.pending_ep = NULL;

    if (status == UCS_OK) {
        uct_srd_peer_ep_count_pending(ep, -1);
        return UCS_ARBITER_CB_RESULT_REMOVE_ELEM;
    } else if (status == UCS_INPROGRESS) {
        return UCS_ARBITER_CB_RESULT_NEXT_GROUP;
    }

    return UCS_ARBITER_CB_RESULT_RESCHED_GROUP;
}

void uct_srd_ep_pending_progress(uct_srd_iface_t *iface)
{
    if ((iface->tx.num_free == 0) || iface->tx.bufs_short) {
        return;
    }

    uct_srd_post_batch_begin(iface);
    ucs_arbiter_dispatch(&iface->tx.arbiter, 1, uct_srd_ep_pending_cb, iface);
    uct_srd_post_batch_end(iface);
}
