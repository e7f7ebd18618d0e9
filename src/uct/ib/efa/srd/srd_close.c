/*
 * Closing an interface: endpoints that their users forgot are named, goodbye is
 * said, what is under way arrives, the rest is given back.
 */
#include "srd_rx.h"

static ucs_status_t
uct_srd_iface_drop_am(UCS_V_UNUSED void *arg, UCS_V_UNUSED void *data,
                      UCS_V_UNUSED size_t length, UCS_V_UNUSED unsigned flags)
{
    return UCS_OK;
}

static void uct_srd_iface_leave(uct_srd_iface_t *iface)
{
    ucs_list_link_t todo;
    uct_srd_peer_t *peer;

    iface->closing = 1;
    uct_srd_peers_take(iface, &todo);
    while ((peer = uct_srd_peers_next(iface, &todo)) != NULL) {
        uct_srd_ctl_leave(peer);
    }
}

/* Says goodbye and lets what is under way arrive, for a bounded time. */
void uct_srd_iface_drain(uct_srd_iface_t *iface)
{
    ucs_time_t end = ucs_get_time() +
                     ucs_time_from_sec(iface->config.close_timeout);
    int said_bye   = 0;
    unsigned id;

    for (id = 0; id < UCT_AM_ID_MAX; ++id) {
        iface->super.am[id].cb = uct_srd_iface_drop_am;
    }

    for (;;) {
        uct_srd_iface_poll(iface);
        uct_srd_timers_run(&iface->timers, ucs_get_time());
        uct_srd_peers_tell(iface);

        if (iface->tx.num_free == iface->config.tx_queue_len) {
            if (!said_bye) {
                said_bye = 1;
                uct_srd_iface_leave(iface);
            } else if (iface->tx.num_ctl == UCT_SRD_CTL_SLOTS) {
                break;
            }
        }

        if (ucs_get_time() > end) {
            ucs_debug("srd: closing with %u messages under way",
                      iface->config.tx_queue_len - iface->tx.num_free);
            break;
        }
    }

    iface->closing = 1;
}

static void uct_srd_peer_close_eps(uct_srd_peer_t *peer, uct_efa_leak_t *leak)
{
    char remote[64], what[80];
    uct_srd_ep_t *ep;

    ++peer->tx.ctl; /* the peer stays until all is said */
    while (!ucs_list_is_empty(&peer->eps)) {
        ep = ucs_list_head(&peer->eps, uct_srd_ep_t, list);
        snprintf(what, sizeof(what), "endpoint to %s",
                 uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                                  sizeof(remote)));
        uct_efa_leak_add(leak, EFA_WINDOW_KIND_LAST, what, ep->caller,
                         ep->create_time);
        uct_ep_destroy(&ep->super.super);
    }
    --peer->tx.ctl;
    uct_srd_peer_tx_progress(peer);
}

static uct_srd_peer_t *uct_srd_iface_find_ep(uct_srd_iface_t *iface)
{
    ucs_list_link_t *lists[] = {&iface->peers, &iface->failed, &iface->told};
    uct_srd_peer_t *peer;
    unsigned i;

    for (i = 0; i < ucs_static_array_size(lists); ++i) {
        ucs_list_for_each(peer, lists[i], list) {
            if (peer->num_eps > 0) {
                return peer;
            }
        }
    }

    return NULL;
}

void uct_srd_iface_close_eps(uct_srd_iface_t *iface)
{
    char local[64], where[96];
    uct_efa_leak_t leak = {
        .device = uct_srd_iface_md(iface)->win,
        .where  = where
    };
    uct_srd_peer_t *peer;

    snprintf(where, sizeof(where), "interface %s was closed",
             uct_srd_addr_str(iface->self.gid, iface->self.qpn, local,
                              sizeof(local)));
    /* From the start each time: completions may close others */
    while ((peer = uct_srd_iface_find_ep(iface)) != NULL) {
        uct_srd_peer_close_eps(peer, &leak);
    }

    uct_efa_leak_end(&leak);
}

static void uct_srd_peer_forget_sends(uct_srd_peer_t *peer)
{
    peer->tx.ctl        = 0;
    peer->tx.una.una    = peer->tx.psn;
    peer->tx.una.ahead  = 0;
    peer->rma.una.una   = peer->rma.psn;
    peer->rma.una.ahead = 0;
}

/* The device has forgotten all work requests; so do we. */
void uct_srd_iface_forget_peers(uct_srd_iface_t *iface)
{
    uct_srd_slot_t *slot;
    uct_srd_peer_t *peer, *tmp;
    unsigned i;

    ucs_list_for_each(peer, &iface->peers, list) {
        /* their queues' slots are found below */
        ucs_queue_head_init(&peer->tx.resend);
        ucs_queue_head_init(&peer->tx.held);
        ucs_queue_head_init(&peer->rma.held);
    }

    for (i = 0; i < iface->tx.num_slots; ++i) {
        slot = &iface->tx.slots[i];
        if (slot->flags & UCT_SRD_SLOT_AH) {
            uct_efa_ah_put(iface->context->ahs, slot->ah);
        } else if (slot->flags & UCT_SRD_SLOT_RMA) {
            if (slot->rma.buf != NULL) {
                uct_srd_buf_put(iface, slot->rma.buf);
            }
        } else if (slot->flags & UCT_SRD_SLOT_BUF) {
            uct_srd_buf_put(iface, slot->buf);
        }
    }

    while (!ucs_list_is_empty(&iface->peers)) {
        peer = ucs_list_head(&iface->peers, uct_srd_peer_t, list);
        uct_srd_peer_forget_sends(peer);
        uct_srd_peer_forget(peer);
    }

    /* Failed ones that waited for completions */
    ucs_list_for_each_safe(peer, tmp, &iface->told, list) {
        uct_srd_peer_forget_sends(peer);
        uct_srd_peer_try_free(peer);
    }
}
