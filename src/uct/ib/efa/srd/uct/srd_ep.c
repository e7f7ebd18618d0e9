/*
 * Endpoints: made, closed, and what waits in them.
 *
 * Pending requests: one arbiter group for each endpoint. A group that its
 * peer's window stops is taken out of the arbiter until the window opens
 * (uct_srd_peer_wake()); want of slots or buffers stops the whole arbiter.
 */
#include "srd/send/srd_rma.h"

#include "stats/efa_caller.h"

static UCS_CLASS_INIT_FUNC(uct_srd_ep_t, const uct_ep_params_t *params)
{
    uct_srd_iface_t *iface = ucs_derived_of(params->iface, uct_srd_iface_t);
    char site[EFA_STATS_SITE_MAX];
    uct_efa_remote_t remote;
    uct_srd_ident_t ident;
    uct_srd_peer_t *peer;
    char why[128];

    UCT_EP_PARAMS_CHECK_DEV_IFACE_ADDRS(params);
    UCS_CLASS_CALL_SUPER_INIT(uct_base_ep_t, &iface->super);

    remote.dev_addr       = params->dev_addr;
    remote.dev_addr_len   = UCT_EFA_EP_PARAM_LENGTH(params, dev_addr, DEV_ADDR);
    remote.iface_addr     = params->iface_addr;
    remote.iface_addr_len = UCT_EFA_EP_PARAM_LENGTH(params, iface_addr,
                                                    IFACE_ADDR);
    if (!uct_srd_iface_address_is_good(&remote, why, sizeof(why))) {
        ucs_error("srd: no endpoint to this address: %s; it must be that of an "
                  "srd interface, of the same release of ucx-efa", why);
        return UCS_ERR_UNREACHABLE;
    }

    uct_srd_ident_unpack(params->dev_addr, params->iface_addr, &ident);

    peer = uct_srd_peer_find(iface, &ident);
    if (peer == NULL) {
        peer = uct_srd_peer_create(iface, &ident);
        if (peer == NULL) {
            return UCS_ERR_NO_MEMORY;
        }
        uct_srd_heir_wait(peer);
    }

    self->peer        = peer;
    self->zcopy       = 0;
    self->rma         = 0;
    self->status      = UCS_OK;
    self->told        = 0;
    self->wanted      = 0;
    self->num_pending = 0;
    ucs_arbiter_group_init(&self->pending);
    ucs_queue_head_init(&self->cancels);
    uct_srd_peer_ep_add(peer, self);

    self->caller      = uct_efa_caller();
    self->create_time = uct_efa_stats_now();
    uct_efa_caller_name(self->caller, site, sizeof(site));
    self->stats         = uct_efa_stats_ep_get(iface->stats, peer->stats, site);
    return UCS_OK;
}

static void uct_srd_ep_set_failed(uct_srd_ep_t *ep, ucs_status_t status)
{
    ep->status      = status;
    ep->stats->status = status;
    ucs_list_head_init(&ep->failed);
    ++ep->peer->num_failed;
    uct_srd_peer_tx_update(ep->peer);
}

void uct_srd_ep_fail(uct_srd_ep_t *ep, ucs_status_t status)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);

    if (ep->status == UCS_OK) {
        uct_srd_ep_set_failed(ep, status);
        uct_srd_peer_event(ep->peer, EFA_STATS_EVENT_EP_FAILED, status, 0, 0);
        ucs_list_add_tail(&iface->failed_eps, &ep->failed);
    }
}

void uct_srd_ep_set_cancelled(uct_srd_ep_t *ep)
{
    if (ep->status == UCS_OK) {
        uct_srd_ep_set_failed(ep, UCS_ERR_CANCELED);
        ep->told = 1; /* it was the user's own wish */
    }
}

static ucs_arbiter_cb_result_t
uct_srd_ep_purge_cb(UCS_V_UNUSED ucs_arbiter_t *arbiter,
                    ucs_arbiter_group_t *group,
                    ucs_arbiter_elem_t *elem, void *arg)
{
    uct_srd_ep_t *ep          = ucs_container_of(group, uct_srd_ep_t, pending);
    uct_purge_cb_args_t *args = arg;

    uct_srd_ep_count_pending(ep, -1);
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
                            uct_srd_ep_purge_cb, &args);
}

/* An operation that the device has: nobody waits for it any more. */
static void uct_srd_ep_detach_rma(uct_srd_slot_t *slot)
{
    uct_srd_ep_t *ep = slot->rma.ep;
    unsigned flags   = slot->flags;

    slot->rma.ep  = NULL;
    slot->flags  &= ~UCT_SRD_SLOT_ZCOPY;
    uct_srd_ep_count_rma(ep, -1);
    if (flags & UCT_SRD_SLOT_ZCOPY) {
        uct_srd_ep_count_zcopy(ep, -1);
        if (slot->comp != NULL) {
            uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
        }
    }
}

/* The messages of ep that still refer to the user: from our copy from now on.
 * What the device uses at this moment it may go on using. */
static void uct_srd_ep_detach(uct_srd_iface_t *iface, uct_srd_ep_t *ep)
{
    uct_srd_slot_t *slot;
    unsigned i;

    uct_srd_rma_held_purge(ep->peer, ep, UCS_ERR_CANCELED);

    for (i = 0; (i < iface->tx.num_slots) && ((ep->zcopy > 0) || (ep->rma > 0));
         ++i) {
        slot = &iface->tx.slots[i];
        if (slot->flags & UCT_SRD_SLOT_RMA) {
            if (slot->rma.ep == ep) {
                uct_srd_ep_detach_rma(slot);
            }
        } else if ((slot->flags & UCT_SRD_SLOT_ZCOPY) && (slot->ep == ep) &&
                   (uct_srd_tx_detach(iface, slot) != UCS_OK)) {
            uct_srd_peer_fail_log(ep->peer, UCS_ERR_CANCELED,
                                  "no copy can be made of a message of a "
                                  "closed endpoint: no memory, or a GPU's",
                                  "flush endpoints before you close them");
            /* uct_srd_slot_release() must not meet the endpoint any more */
            slot->flags &= ~UCT_SRD_SLOT_ZCOPY;
            uct_srd_ep_count_zcopy(ep, -1);
            if (slot->comp != NULL) {
                uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
            }
        }
    }
}

static UCS_CLASS_CLEANUP_FUNC(uct_srd_ep_t)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(self);
    uct_srd_peer_t *peer   = self->peer;
    uct_srd_waiter_t *waiter;
    ucs_queue_iter_t iter;

    uct_srd_ep_pending_purge(&self->super.super, NULL, NULL);
    ucs_arbiter_group_cleanup(&self->pending);
    uct_srd_ep_detach(iface, self);

    ucs_queue_for_each_safe(waiter, iter, &peer->tx.waiters, queue) {
        if (waiter->ep == self) {
            ucs_queue_del_iter(&peer->tx.waiters, iter);
            uct_invoke_completion(waiter->comp, UCS_ERR_CANCELED);
            ucs_mpool_put(waiter);
        }
    }

    uct_srd_ep_cancels_end(&self->cancels);
    uct_efa_stats_ep_put(iface->stats, self->stats);
    if (self->status != UCS_OK) {
        ucs_list_del(&self->failed);
        --peer->num_failed;
    }
    uct_srd_peer_ep_del(peer, self);
}

UCS_CLASS_DEFINE(uct_srd_ep_t, uct_base_ep_t);
UCS_CLASS_DEFINE_NEW_FUNC(uct_srd_ep_t, uct_ep_t, const uct_ep_params_t*);
UCS_CLASS_DEFINE_DELETE_FUNC(uct_srd_ep_t, uct_ep_t);

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

    uct_srd_ep_count_pending(ep, 1);
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
        iface->tx.pending_ep  = NULL;
        ep->peer->tx.flags   |= UCT_SRD_PEER_TX_WAITERS;
        return UCS_ARBITER_CB_RESULT_DESCHED_GROUP;
    }

    status               = req->func(req);
    iface->tx.pending_ep = NULL;

    if (status == UCS_OK) {
        uct_srd_ep_count_pending(ep, -1);
        return UCS_ARBITER_CB_RESULT_REMOVE_ELEM;
    } else if (status == UCS_INPROGRESS) {
        return UCS_ARBITER_CB_RESULT_NEXT_GROUP;
    }

    return UCS_ARBITER_CB_RESULT_RESCHED_GROUP;
}

void uct_srd_iface_pending_progress(uct_srd_iface_t *iface)
{
    if ((iface->tx.num_free == 0) || iface->tx.bufs_short) {
        return;
    }

    uct_srd_tx_batch_begin(iface);
    ucs_arbiter_dispatch(&iface->tx.arbiter, 1, uct_srd_ep_pending_cb, iface);
    uct_srd_tx_batch_end(iface);
}
