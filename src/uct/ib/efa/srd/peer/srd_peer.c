/*
 * Peers: made, waited for, failed, forgotten (srd_peer.h).
 */
#include "srd/send/srd_rma.h"

#include <arpa/inet.h>

const char *uct_srd_peer_state_names[] = {
    [UCT_SRD_PEER_NEW]     = "new",
    [UCT_SRD_PEER_JOINING] = "joining",
    [UCT_SRD_PEER_JOINED]  = "joined",
    [UCT_SRD_PEER_LEAVING] = "leaving",
    [UCT_SRD_PEER_FAILED]  = "failed",
    [UCT_SRD_PEER_GONE]    = "gone"
};

const char *uct_srd_gid_str(const void *gid, char *buf, size_t max)
{
    static_assert(INET6_ADDRSTRLEN <= 64, "the room that callers have");

    return inet_ntop(AF_INET6, gid, buf, max);
}

const char *
uct_srd_addr_str(const void *gid, uint32_t qpn, char *buf, size_t max)
{
    char str[64];

    ucs_snprintf_safe(buf, max, "%s/%u",
                      uct_srd_gid_str(gid, str, sizeof(str)), qpn);
    return buf;
}

uct_srd_peer_t *uct_srd_peer_create(uct_srd_iface_t *iface,
                                    const uct_srd_ident_t *ident)
{
    /* Lists of operations may go beyond the window: less than twice */
    unsigned ops   = 2 * iface->config.tx_window;
    unsigned words = UCT_SRD_UNA_WORDS(iface->config.tx_window);
    uct_srd_peer_t *peer;

    peer = ucs_calloc(1, sizeof(*peer) + ((words + UCT_SRD_UNA_WORDS(ops)) *
                                            sizeof(uint64_t)),
                      "uct_srd_peer");
    if (peer == NULL) {
        goto err;
    }

    peer->iface          = iface;
    peer->ident          = *ident;
    if (uct_srd_names_add(peer) != UCS_OK) {
        goto err_free;
    }

    peer->key            = UCT_SRD_NO_KEY;
    peer->epoch          = ++iface->epoch;
    peer->uid            = uct_srd_uid(&iface->uid_key, ident, sizeof(*ident));
    peer->blocked        = iface->recover.is;
    peer->status         = UCS_OK;
    peer->tx.dest.qpn    = ident->qpn;
    peer->tx.dest.qkey   = ident->qkey;
    peer->tx.imm_base    = uct_srd_imm_pack(peer->epoch, 0, 0, 0);
    peer->tx.window      = ucs_min(UCT_SRD_WINDOW_MIN,
                                   iface->config.peer_window);
    peer->tx.flags       = UCT_SRD_PEER_TX_CLOSED | UCT_SRD_PEER_TX_NO_EP;
    peer->rx.imm_base    = UCT_SRD_IMM_MBZ; /* matches nothing */
    peer->rma.beat       = iface->tx.fence_beat;
    uct_srd_una_init(&peer->tx.una, peer->una_bits, iface->config.tx_window, 0);
    uct_srd_una_init(&peer->rma.una, peer->una_bits + words, ops, 0);
    uct_srd_ring_init(&peer->rx.ring, iface->config.rx_window, 0);
    ucs_queue_head_init(&peer->tx.resend);
    ucs_queue_head_init(&peer->tx.held);
    ucs_queue_head_init(&peer->tx.waiters);
    ucs_queue_head_init(&peer->rma.held);
    uct_srd_timer_init(&peer->tx.timer, uct_srd_tx_timer);
    uct_srd_timer_init(&peer->timer, uct_srd_ctl_timer);
    uct_srd_timer_init(&peer->lost.timer, uct_srd_peer_lost_timer);
    kh_init_inplace(uct_srd_rkeys, &peer->keys.map);
    ucs_list_head_init(&peer->eps);
    ucs_list_add_tail(&iface->peers, &peer->list);

    peer->stats        = uct_efa_stats_peer_get(iface->stats, ident->gid,
                                               ident->qpn);
    peer->stats->epoch  = peer->epoch;
    peer->stats->window = peer->tx.window;
    uct_srd_peer_show_wait(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_NEW);
    UCT_SRD_COUNT(iface, peers);
    return peer;

err_free:
    ucs_free(peer);
err:
    ucs_error("srd: no memory for a peer");
    return NULL;
}

void uct_srd_peer_tx_update(uct_srd_peer_t *peer)
{
    int messages   = (uint16_t)(peer->tx.psn - peer->tx.una.una);
    int operations = (uint16_t)(peer->rma.psn - peer->rma.una.una);
    int credit;

    if (peer->rma.fence && (operations == 0)) {
        peer->rma.fence = 0;
        uct_srd_peer_show_wait(peer);
    }
    if (ucs_unlikely(peer->rma.fence_am) &&
        ((uint16_t)(peer->tx.psn - peer->rma.fence_psn) >= messages)) {
        peer->rma.fence_am = 0;
        uct_srd_peer_show_wait(peer);
    }

    if ((peer->state != UCT_SRD_PEER_JOINED) || (peer->ah == NULL) ||
        peer->rma.fence || (peer->num_failed > 0) || peer->blocked ||
        peer->lost.is || !ucs_queue_is_empty(&peer->tx.resend) ||
        peer->iface->trace) {
        peer->tx.flags  |= UCT_SRD_PEER_TX_CLOSED;
        peer->tx.credit  = 0;
    } else {
        /* The remote's window holds for messages, our share of the send queue
         * for both. */
        credit = ucs_min((int)peer->tx.window - messages,
                         (int)peer->iface->config.peer_window - messages -
                                 operations);
        peer->tx.flags  &= ~UCT_SRD_PEER_TX_CLOSED;
        peer->tx.credit  = ucs_max(credit, 0);
    }
}

void uct_srd_peer_wake(uct_srd_peer_t *peer)
{
    uct_srd_ep_t *ep;

    ucs_list_for_each(ep, &peer->eps, list) {
        if (ep->num_pending == 0) {
            break; /* nor have those behind it */
        }
        if (peer->iface->tx.pending_ep != ep) {
            ucs_arbiter_group_schedule(&peer->iface->tx.arbiter, &ep->pending);
        }
    }
}

void uct_srd_peer_tx_progress(uct_srd_peer_t *peer)
{
    uct_srd_waiter_t *waiter;
    uct_completion_t *comp;

    if (ucs_unlikely(peer->lost.is) &&
        (peer->lost.done != uct_srd_peer_done_count(peer))) {
        uct_srd_peer_found(peer);
    }

    uct_srd_peer_tx_update(peer);
    if (peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_peer_try_free(peer);
        return;
    }

    if (ucs_unlikely(peer->tx.flags & UCT_SRD_PEER_TX_PAUSED)) {
        uct_srd_peer_show_pause(peer);
    }

    if (peer->tx.flags & UCT_SRD_PEER_TX_WAITERS) {
        peer->tx.flags &= ~UCT_SRD_PEER_TX_WAITERS;
        ++peer->tx.ctl; /* the callbacks below may close endpoints */
        while (!ucs_queue_is_empty(&peer->tx.waiters)) {
            waiter = ucs_queue_head_elem_non_empty(&peer->tx.waiters,
                                                   uct_srd_waiter_t, queue);
            if (((int16_t)(waiter->psn - peer->tx.una.una) > 0) ||
                ((int16_t)(waiter->rma_psn - peer->rma.una.una) > 0)) {
                peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
                break;
            }

            ucs_queue_pull_non_empty(&peer->tx.waiters);
            comp = waiter->comp;
            ucs_mpool_put(waiter);
            if (comp != NULL) {
                uct_invoke_completion(comp, UCS_OK);
            } else {
                uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_ACK, 0);
            }
        }

        --peer->tx.ctl;
        uct_srd_peer_wake(peer);
    }

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_peer_try_free(peer);
    } else if ((peer->tx.flags & UCT_SRD_PEER_TX_NO_EP) &&
               (peer->num_eps == 0) && uct_srd_peer_is_quiet(peer)) {
        uct_srd_ctl_leave(peer);
    }
}

/* Out of the tables, without timers and address handle numbers */
static void uct_srd_peer_unlink(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_rx_current_t *current;

    uct_srd_names_del(peer);
    uct_srd_peer_key_del(peer);
    for (current = iface->rx.current; current != NULL;
         current = current->outer) {
        if (current->peer == peer) {
            current->peer = NULL;
        }
    }
    uct_srd_timer_clear(&iface->timers, &peer->timer);
    uct_srd_timer_clear(&iface->timers, &peer->tx.timer);
    uct_srd_timer_clear(&iface->timers, &peer->lost.timer);
    peer->lost.is = 0; /* nor will it be found: nothing is sent again */
    ucs_list_del(&peer->list);
    uct_srd_peer_set_stranger(peer, 0);
    peer->tx.credit  = 0;
    peer->tx.flags  |= UCT_SRD_PEER_TX_CLOSED;
    uct_srd_peer_show_wait(peer);
    uct_srd_peer_set_blind(peer);
}

void uct_srd_peer_fail(uct_srd_peer_t *peer, ucs_status_t status)
{
    uct_srd_iface_t *iface = peer->iface;
    char remote[64];

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        return;
    }

    peer->status      = status;
    peer->stats->status = status;
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_FAILED);
    uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_FAILED, status,
                       peer->cause, 0);
    if (peer->num_eps > 0) {
        uct_efa_stats_events_log(peer->ident.gid, peer->ident.qpn,
                                  uct_srd_addr_str(peer->ident.gid,
                                                   peer->ident.qpn, remote,
                                                   sizeof(remote)));
    }
    uct_srd_peer_unlink(peer);
    if (peer->rx.acked || peer->contacted) {
        /* It may be alive, and would go on sending into the void. */
        uct_srd_ctl_send(peer, UCT_SRD_OP_REJECT, UCT_SRD_REJECT_FAILED);
    }
    ucs_list_add_tail(&iface->failed, &peer->list);
    peer->in_failed = 1;
    UCT_SRD_COUNT(iface, peers_failed);
}

ucs_log_level_t
uct_srd_failure_log_level(const uct_srd_iface_t *iface, ucs_status_t status)
{
    ucs_log_level_t level = uct_base_iface_failure_log_level(
            (uct_base_iface_t*)&iface->super, UCS_OK, status);

    /* Without a handler the line is all that the user hears. */
    return (iface->super.err_handler == NULL) ?
                   ucs_min(level, UCS_LOG_LEVEL_WARN) : level;
}

void uct_srd_peer_fail_log(uct_srd_peer_t *peer, ucs_status_t status,
                           const char *cause, const char *advice)
{
    uct_srd_iface_t *iface = peer->iface;
    ucs_log_level_t level;
    char local[64], remote[64];

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        return;
    }

    /* Nobody's business if no endpoint leads there (any more) */
    level = (peer->num_eps == 0) ? UCS_LOG_LEVEL_DEBUG :
            uct_srd_failure_log_level(iface, status);
    ucs_log(level, "srd: %s -> %s: %s: %s; %s",
            uct_srd_addr_str(iface->self.gid, iface->self.qpn, local,
                             sizeof(local)),
            uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                             sizeof(remote)),
            ucs_status_string(status), cause, advice);
    uct_srd_peer_fail(peer, status);
}

void uct_srd_peer_superseded(uct_srd_peer_t *peer, const char *cause,
                             const char *advice)
{
    peer->rx.acked  = 0;
    peer->contacted = 0;
    uct_srd_peer_fail_log(peer, UCS_ERR_CONNECTION_RESET, cause, advice);
}

void uct_srd_peer_forget(uct_srd_peer_t *peer)
{
    ucs_assert(peer->num_eps == 0);
    peer->state = UCT_SRD_PEER_GONE; /* not blind any more */
    uct_srd_peer_unlink(peer);
    ucs_list_add_tail(&peer->iface->told, &peer->list);
    uct_srd_peer_try_free(peer);
}

void uct_srd_peer_try_free(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;

    if ((peer->state < UCT_SRD_PEER_FAILED) || peer->in_failed ||
        !uct_srd_peer_is_quiet(peer)) {
        return;
    }

    /* Its user may keep the endpoint for long, others need an AH. */
    uct_srd_peer_ah_drop(peer);
    if (peer->num_eps > 0) {
        return;
    }

    ucs_list_del(&peer->list);
    uct_srd_rx_ring_purge(peer);
    uct_srd_ring_cleanup(&peer->rx.ring);
    kh_destroy_inplace(uct_srd_rkeys, &peer->keys.map);
    uct_efa_stats_peer_put(iface->stats, peer->stats);
    UCT_SRD_COUNT(iface, peers_gone);
    ucs_free(peer);
}

static unsigned uct_srd_peer_tell(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_waiter_t *waiter;
    unsigned count = 0;
    uct_srd_ep_t *ep;
    int found;

    uct_srd_rx_ring_purge(peer);
    uct_srd_tx_purge(peer, &peer->tx.resend, peer->status);
    uct_srd_tx_purge(peer, &peer->tx.held, peer->status);
    uct_srd_rma_held_purge(peer, NULL, peer->status);

    while (!ucs_queue_is_empty(&peer->tx.waiters)) {
        waiter = ucs_queue_pull_elem_non_empty(&peer->tx.waiters,
                                               uct_srd_waiter_t, queue);
        if (waiter->comp != NULL) {
            uct_invoke_completion(waiter->comp, peer->status);
        }
        ucs_mpool_put(waiter);
    }

    /* The handler may close this and other endpoints: start over each time */
    do {
        found = 0;
        ucs_list_for_each(ep, &peer->eps, list) {
            if (!ep->told) {
                ep->told = 1;
                found    = 1;
                ++count;
                uct_iface_handle_ep_err(&iface->super.super, &ep->super.super,
                                        peer->status);
                break;
            }
        }
    } while (found);

    /* What the user left in the queue meets the status at its next try. */
    uct_srd_peer_wake(peer);
    return count;
}

unsigned uct_srd_peers_tell(uct_srd_iface_t *iface)
{
    unsigned count = 0;
    uct_srd_peer_t *peer;
    uct_srd_ep_t *ep;

    while (!ucs_list_is_empty(&iface->failed_eps)) {
        ep = ucs_list_extract_head(&iface->failed_eps, uct_srd_ep_t, failed);
        ucs_list_head_init(&ep->failed);
        if (!ep->told) {
            ep->told = 1;
            ++count;
            uct_iface_handle_ep_err(&iface->super.super, &ep->super.super,
                                    ep->status);
        }
    }

    while (!ucs_list_is_empty(&iface->failed)) {
        peer = ucs_list_extract_head(&iface->failed, uct_srd_peer_t, list);
        count          += 1 + uct_srd_peer_tell(peer);
        peer->in_failed = 0;
        ucs_list_add_tail(&iface->told, &peer->list);
        uct_srd_peer_try_free(peer);
    }

    return count;
}

static void uct_srd_peer_ep_link(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    uct_srd_peer_ep_place(peer, ep);
    peer->stats->eps   = ++peer->num_eps;
    peer->tx.flags  &= ~UCT_SRD_PEER_TX_NO_EP;
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
    from->stats->eps     = --from->num_eps;
    from->num_pending -= ep->num_pending;
    from->num_failed  -= (ep->status != UCS_OK);
    uct_srd_peer_show_wait(from);

    ep->peer         = to;
    to->num_pending += ep->num_pending;
    to->num_failed  += (ep->status != UCS_OK);
    uct_srd_peer_ep_link(to, ep);
    uct_srd_peer_show_wait(to);
    uct_efa_stats_ep_set_peer(ep->stats, to->stats);
}

void uct_srd_peer_ep_del(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    ucs_list_del(&ep->list);
    peer->stats->eps = --peer->num_eps;
    UCT_SRD_COUNT(peer->iface, eps_gone);
    if (peer->num_eps == 0) {
        peer->tx.flags |= UCT_SRD_PEER_TX_NO_EP;
        uct_srd_peer_tx_progress(peer);
    }
}
