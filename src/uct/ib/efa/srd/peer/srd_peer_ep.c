/*
 * Endpoints of a peer, in a list with those first in which requests wait.
 */
#include "srd/peer/srd_peer_ep.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_show.h"
#include "srd/def/srd_upcall.h"

/* Into the list, by whether it has pending requests */
static void uct_srd_peer_ep_place(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    if (ep->num_pending > 0) {
        ucs_list_add_head(&peer->eps.list, &ep->list);
    } else {
        ucs_list_add_tail(&peer->eps.list, &ep->list);
    }
}

void uct_srd_peer_ep_wake(uct_srd_peer_t *peer)
{
    uct_srd_ep_t *ep;

    ucs_list_for_each(ep, &peer->eps.list, list) {
        if (ep->num_pending == 0) {
            break; /* nor have those behind it */
        }
        if (peer->iface->tx.pending_ep != ep) {
            ucs_arbiter_group_schedule(&peer->iface->tx.arbiter, &ep->pending);
        }
    }
}

/* So many more or fewer endpoints that failed by themselves */
static void uct_srd_peer_ep_count_failed(uct_srd_peer_t *peer, int change)
{
    peer->eps.failed += change;
    uct_srd_gate_put(peer, UCT_SRD_GATE_EP_FAILED, peer->eps.failed > 0);
}

static void uct_srd_peer_ep_link(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    uct_srd_peer_ep_place(peer, ep);
    peer->stats->eps = ++peer->eps.num;
    peer->tx.flags &= ~UCT_SRD_PEER_TX_NO_EP;
}

void uct_srd_peer_ep_add(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    uct_srd_peer_ep_link(peer, ep);
    UCT_SRD_COUNT(peer->iface, eps);
}

void uct_srd_peer_ep_move(uct_srd_ep_t *ep, uct_srd_peer_t *to)
{
    uct_srd_peer_t *from = ep->peer;

    ucs_assert((ep->rma == 0) && (ep->zcopy == 0));
    ucs_list_del(&ep->list);
    from->stats->eps = --from->eps.num;
    from->eps.pending -= ep->num_pending;
    uct_srd_peer_ep_count_failed(from, -(ep->status != UCS_OK));
    uct_srd_show_wait(from);

    ep->peer = to;
    to->eps.pending += ep->num_pending;
    uct_srd_peer_ep_count_failed(to, ep->status != UCS_OK);
    uct_srd_peer_ep_link(to, ep);
    uct_srd_show_wait(to);
    uct_efa_stats_ep_set_peer(ep->stats, to->stats);
}

void uct_srd_peer_ep_del(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    if (ep->status != UCS_OK) {
        ucs_list_del(&ep->failed);
        uct_srd_peer_ep_count_failed(peer, -1);
    }

    ucs_list_del(&ep->list);
    peer->stats->eps = --peer->eps.num;
    UCT_SRD_COUNT(peer->iface, eps_gone);
    if (peer->eps.num == 0) {
        peer->tx.flags |= UCT_SRD_PEER_TX_NO_EP;
        uct_srd_upcall_moved(peer);
    }
}

void uct_srd_peer_ep_count_pending(uct_srd_ep_t *ep, int change)
{
    uct_srd_peer_t *peer = ep->peer;
    unsigned before      = peer->eps.pending;
    int had              = ep->num_pending > 0;

    ep->num_pending += change;
    peer->eps.pending += change;
    if ((ep->num_pending > 0) != had) {
        ucs_list_del(&ep->list);
        uct_srd_peer_ep_place(peer, ep);
    }

    ep->stats->pending = ep->num_pending;
    if (ep->num_pending == 0) {
        ep->stats->wait_time = 0;
    } else if (ep->stats->wait_time == 0) {
        ep->stats->wait_time = uct_srd_show_now(peer->iface);
    }

    peer->stats->pending = peer->eps.pending;
    if ((before == 0) || (peer->eps.pending == 0)) {
        uct_srd_show_wait(peer);
    }
}

static void uct_srd_peer_ep_set_failed(uct_srd_ep_t *ep, ucs_status_t status)
{
    ep->status        = status;
    ep->stats->status = status;
    ucs_list_head_init(&ep->failed);
    uct_srd_peer_ep_count_failed(ep->peer, 1);
}

void uct_srd_peer_ep_fail(uct_srd_ep_t *ep, ucs_status_t status)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);

    if (ep->status == UCS_OK) {
        uct_srd_peer_ep_set_failed(ep, status);
        uct_srd_peer_event(ep->peer, EFA_STATS_EVENT_EP_FAILED, status, 0, 0);
        ucs_list_add_tail(&iface->peers.failed_eps, &ep->failed);
    }
}

void uct_srd_peer_ep_set_cancelled(uct_srd_ep_t *ep)
{
    if (ep->status == UCS_OK) {
        uct_srd_peer_ep_set_failed(ep, UCS_ERR_CANCELED);
        ep->reported = 1; /* it was the user's own wish */
    }
}
