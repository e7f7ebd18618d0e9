/*
 * Endpoints: made and closed.
 */
#include "srd/uct/srd_ep.h"
#include "srd/uct/srd_iface.h"
#include "srd/assoc/recovery/srd_successor.h"
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_end.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_rma_held.h"
#include "srd/send/srd_waiter.h"

#include "stats/efa_caller.h"

static UCS_CLASS_INIT_FUNC(uct_srd_ep_t, const uct_ep_params_t *params)
{
    uct_srd_iface_t *iface = ucs_derived_of(params->iface, uct_srd_iface_t);
    char site[EFA_STATS_SITE_MAX];
    uct_efa_remote_t remote;
    uct_srd_ident_t ident;
    uct_srd_peer_t *peer;
    ucs_status_t status;
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
                  "srd interface, of the same release of ucx-efa",
                  why);
        return UCS_ERR_UNREACHABLE;
    }

    uct_srd_iface_address_ident(params->dev_addr, params->iface_addr, &ident);

    peer = uct_srd_names_find(iface, &ident);
    if (peer == NULL) {
        peer = uct_srd_assoc_new(iface, &ident);
        if (peer == NULL) {
            return UCS_ERR_NO_MEMORY;
        }
        status = uct_srd_successor_wait(peer);
        if (status != UCS_OK) {
            uct_srd_end_forget(peer); /* alone, it would break that one's */
            return status;
        }
    }

    self->peer        = peer;
    self->zcopy       = 0;
    self->rma         = 0;
    self->status      = UCS_OK;
    self->reported    = 0;
    self->wanted      = 0;
    self->num_pending = 0;
    ucs_arbiter_group_init(&self->pending);
    ucs_queue_head_init(&self->cancels);
    uct_srd_peer_ep_add(peer, self);

    self->caller      = uct_efa_caller();
    self->create_time = uct_efa_stats_now();
    uct_efa_caller_name(self->caller, site, sizeof(site));
    self->stats = uct_efa_stats_ep_get(iface->stats, peer->stats, site);
    return UCS_OK;
}

/* What of ep is under way refers to the user no more. What the device uses at
 * this moment it may go on using. */
static void uct_srd_ep_detach(uct_srd_iface_t *iface, uct_srd_ep_t *ep)
{
    uct_srd_slot_t *slot;
    unsigned i;

    uct_srd_rma_held_purge(ep->peer, ep, UCS_ERR_CANCELED);

    for (i = 0;
         (i < iface->config.tx_queue_len) && ((ep->zcopy > 0) || (ep->rma > 0));
         ++i) {
        slot = &iface->tx.slots[i];
        slot->ops->detach(iface, slot, ep);
    }
}

static UCS_CLASS_CLEANUP_FUNC(uct_srd_ep_t)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(self);
    uct_srd_peer_t *peer   = self->peer;
    ucs_queue_head_t waiters;

    uct_srd_ep_pending_purge(&self->super.super, NULL, NULL);
    ucs_arbiter_group_cleanup(&self->pending);
    uct_srd_ep_detach(iface, self);

    uct_srd_waiter_take(self, &waiters);
    uct_srd_waiter_cancel(&waiters);
    uct_srd_waiter_cancel(&self->cancels);
    uct_efa_stats_ep_put(iface->stats, self->stats);
    uct_srd_peer_ep_del(peer, self);
}

UCS_CLASS_DEFINE(uct_srd_ep_t, uct_base_ep_t);

UCS_CLASS_DEFINE_NEW_FUNC(uct_srd_ep_t, uct_ep_t, const uct_ep_params_t*);

UCS_CLASS_DEFINE_DELETE_FUNC(uct_srd_ep_t, uct_ep_t);
