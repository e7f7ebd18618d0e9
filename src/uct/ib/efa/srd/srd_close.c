/*
 * Closing an interface: goodbye, what is under way arrives, the rest is given
 * back.
 */
#include "srd_rx.h"

static ucs_status_t
uct_srd_iface_drop_am(UCS_V_UNUSED void *arg, UCS_V_UNUSED void *data,
                      UCS_V_UNUSED size_t length, UCS_V_UNUSED unsigned flags)
{
    return UCS_OK;
}

/* Says goodbye and lets what is under way arrive, for a bounded time. */
void uct_srd_iface_drain(uct_srd_iface_t *iface)
{
    ucs_time_t end = ucs_get_time() +
                     ucs_time_from_sec(iface->config.close_timeout);
    uct_srd_peer_t *peer, *tmp;
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
                said_bye       = 1;
                iface->closing = 1;
                ucs_list_for_each_safe(peer, tmp, &iface->peers, list) {
                    uct_srd_ctl_leave(peer);
                }
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

/* The device has forgotten all work requests; so do we. */
void uct_srd_iface_forget_peers(uct_srd_iface_t *iface)
{
    uct_srd_slot_t *slot;
    uct_srd_peer_t *peer;
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
        if (peer->num_eps > 0) {
            ucs_warn("srd: interface closed with %u endpoints open",
                     peer->num_eps);
        }
        peer->num_eps       = 0;
        peer->tx.ctl        = 0;
        peer->tx.una.una    = peer->tx.psn;
        peer->tx.una.ahead  = 0;
        peer->rma.una.una   = peer->rma.psn;
        peer->rma.una.ahead = 0;
        uct_srd_peer_forget(peer);
    }
}
