/*
 * How peers end (srd_end.h).
 *
 *   forgotten --> GONE ------------------------------+--> freed, when nothing
 *   failed -----> FAILED --> reported in progress ---+    refers to it
 */
#include "srd/assoc/srd_end.h"
#include "srd/assoc/srd_resume.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/recv/srd_rx.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_rma_held.h"
#include "srd/send/srd_tx_done.h"
#include "srd/send/srd_waiter.h"
#include "srd/def/srd_upcall.h"

void uct_srd_end_try_free(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;

    if ((peer->state < UCT_SRD_PEER_FAILED) || peer->in_failed ||
        !uct_srd_peer_is_quiet(peer)) {
        return;
    }

    /* Its user may keep the endpoint for long, others need an AH. */
    uct_srd_peer_ah_drop(peer);
    if (peer->eps.num > 0) {
        return;
    }

    ucs_list_del(&peer->list);
    uct_srd_rx_purge(peer);
    uct_efa_stats_peer_put(iface->stats, peer->stats);
    UCT_SRD_COUNT(iface, peers_gone);
    uct_srd_peer_destroy(peer);
}

void uct_srd_end_forget(uct_srd_peer_t *peer)
{
    ucs_assert(peer->eps.num == 0);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_GONE); /* not blind any more */
    uct_srd_peer_unlink(peer);
    peer->iface->resume->settled(peer);
    ucs_list_add_tail(&peer->iface->peers.ended, &peer->list);
    uct_srd_end_try_free(peer);
}

void uct_srd_upcall_failed(uct_srd_peer_t *peer)
{
    peer->iface->resume->settled(peer);
    if (peer->rx.acked || peer->ctl.contacted) {
        /* It may be alive, and would go on sending into the void. */
        uct_srd_ctl_send(peer, UCT_SRD_OP_REJECT, UCT_SRD_REJECT_FAILED);
    }
}

static unsigned uct_srd_end_report_peer(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    unsigned count         = 0;
    uct_srd_ep_t *ep;
    int found;

    uct_srd_rx_purge(peer);
    uct_srd_tx_done_purge(peer, &peer->tx.retransmit, peer->status);
    uct_srd_tx_done_purge(peer, &peer->tx.held, peer->status);
    uct_srd_rma_held_purge(peer, NULL, peer->status);
    uct_srd_waiter_purge(peer);

    /* The handler may close this and other endpoints: start over each time */
    do {
        found = 0;
        ucs_list_for_each(ep, &peer->eps.list, list) {
            if (!ep->reported) {
                ep->reported = 1;
                found        = 1;
                ++count;
                uct_iface_handle_ep_err(&iface->super.super, &ep->super.super,
                                        peer->status);
                break;
            }
        }
    } while (found);

    /* What the user left in the queue meets the status at its next try. */
    uct_srd_peer_ep_wake(peer);
    return count;
}

unsigned uct_srd_end_report(uct_srd_iface_t *iface)
{
    unsigned count = 0;
    uct_srd_peer_t *peer;
    uct_srd_ep_t *ep;

    while (!ucs_list_is_empty(&iface->peers.failed_eps)) {
        ep = ucs_list_extract_head(&iface->peers.failed_eps, uct_srd_ep_t,
                                   failed);
        ucs_list_head_init(&ep->failed);
        if (!ep->reported) {
            ep->reported = 1;
            ++count;
            uct_iface_handle_ep_err(&iface->super.super, &ep->super.super,
                                    ep->status);
        }
    }

    while (!ucs_list_is_empty(&iface->peers.failed)) {
        peer = ucs_list_extract_head(&iface->peers.failed, uct_srd_peer_t,
                                     list);
        count += 1 + uct_srd_end_report_peer(peer);
        peer->in_failed = 0;
        ucs_list_add_tail(&iface->peers.ended, &peer->list);
        uct_srd_end_try_free(peer);
    }

    return count;
}
