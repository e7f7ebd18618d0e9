/*
 * Peers: made, failed, out of the tables (srd_peer.h). When they end, and who
 * hears of it, is assoc/srd_end.c's.
 */
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_rare.h"
#include "srd/peer/srd_show.h"
#include "srd/def/srd_upcall.h"

const char *uct_srd_peer_state_names[] = {
    [UCT_SRD_PEER_NEW]     = "new",
    [UCT_SRD_PEER_JOINING] = "joining",
    [UCT_SRD_PEER_JOINED]  = "joined",
    [UCT_SRD_PEER_LEAVING] = "leaving",
    [UCT_SRD_PEER_FAILED]  = "failed",
    [UCT_SRD_PEER_GONE]    = "gone"
};

uct_srd_peer_rare_t *uct_srd_peer_rare_or_fail(uct_srd_peer_t *peer)
{
    uct_srd_peer_rare_t *rare = uct_srd_peer_rare(peer);

    if (rare == NULL) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY,
                              "no memory to keep it over a reset",
                              "free memory");
    }
    return rare;
}

uct_srd_peer_t *uct_srd_peer_create(uct_srd_iface_t *iface,
                                    const uct_srd_ident_t *ident)
{
    uct_srd_peer_t *peer;

    peer = ucs_calloc(1, sizeof(*peer), "uct_srd_peer");
    if (peer == NULL) {
        goto err;
    }

    peer->iface = iface;
    peer->ident = *ident;
    uct_srd_peer_rare_init(peer);
    if (uct_srd_names_add(peer) != UCS_OK) {
        goto err_free;
    }

    peer->ahn.key = UCT_SRD_NO_KEY;
    peer->epoch   = ++iface->peers.epoch;
    peer->uid     = uct_srd_uid(&iface->peers.uid_key, ident, sizeof(*ident));
    peer->tx.gate = UCT_SRD_GATE_STATE | UCT_SRD_GATE_NO_AH |
                    (iface->recover.is ? UCT_SRD_GATE_BLOCKED : 0) |
                    (iface->trace ? UCT_SRD_GATE_TRACE : 0);
    peer->status       = UCS_OK;
    peer->tx.dest.qpn  = ident->qpn;
    peer->tx.dest.qkey = ident->qkey;
    peer->tx.imm_base  = uct_srd_imm_pack(peer->epoch, 0, 0, 0);
    peer->tx.window    = ucs_min(UCT_SRD_WINDOW_MIN, iface->config.peer_window);
    peer->tx.flags     = UCT_SRD_PEER_TX_CLOSED | UCT_SRD_PEER_TX_NO_EP;
    peer->rx.imm_base  = UCT_SRD_IMM_MBZ; /* matches nothing */
    peer->rma.fence_seq = iface->tx.fence_seq;
    uct_srd_una_init(&peer->tx.una, 0);
    uct_srd_una_init(&peer->rma.una, 0);
    uct_srd_ring_init(&peer->rx.ring, iface->config.rx_window, 0);
    ucs_queue_head_init(&peer->tx.retransmit);
    ucs_queue_head_init(&peer->tx.held);
    ucs_queue_head_init(&peer->tx.waiters);
    ucs_queue_head_init(&peer->rma.held);
    ucs_list_head_init(&peer->eps.list);
    ucs_list_add_tail(&iface->peers.alive, &peer->list);

    peer->stats = uct_efa_stats_peer_get(iface->stats, ident->gid, ident->qpn);
    peer->stats->epoch  = peer->epoch;
    peer->stats->window = peer->tx.window;
    peer->stats->gate   = peer->tx.gate;
    uct_srd_show_wait(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_NEW);
    UCT_SRD_COUNT(iface, peers);
    return peer;

err_free:
    ucs_free(peer);
err:
    ucs_error("srd: no memory for a peer");
    return NULL;
}

void uct_srd_peer_destroy(uct_srd_peer_t *peer)
{
    uct_srd_peer_rare_cleanup(peer);
    ucs_free(peer);
}

#define UCT_SRD_PEER_TO(_state) UCS_BIT(UCT_SRD_PEER_##_state)

/* Which state may follow (srd-wire.md, 7). JOINING may begin anew, after
 * another reset of our device. */
static const unsigned uct_srd_peer_next[UCT_SRD_PEER_LAST] = {
    [UCT_SRD_PEER_NEW]     = UCT_SRD_PEER_TO(NEW) | UCT_SRD_PEER_TO(JOINING) |
                             UCT_SRD_PEER_TO(LEAVING) |
                             UCT_SRD_PEER_TO(FAILED) | UCT_SRD_PEER_TO(GONE),
    [UCT_SRD_PEER_JOINING] = UCT_SRD_PEER_TO(NEW) | UCT_SRD_PEER_TO(JOINING) |
                             UCT_SRD_PEER_TO(JOINED) |
                             UCT_SRD_PEER_TO(LEAVING) |
                             UCT_SRD_PEER_TO(FAILED) | UCT_SRD_PEER_TO(GONE),
    [UCT_SRD_PEER_JOINED]  = UCT_SRD_PEER_TO(NEW) | UCT_SRD_PEER_TO(JOINING) |
                             UCT_SRD_PEER_TO(LEAVING) |
                             UCT_SRD_PEER_TO(FAILED) | UCT_SRD_PEER_TO(GONE),
    [UCT_SRD_PEER_LEAVING] = UCT_SRD_PEER_TO(JOINING) |
                             UCT_SRD_PEER_TO(FAILED) | UCT_SRD_PEER_TO(GONE)
};

void uct_srd_peer_set_state(uct_srd_peer_t *peer, uct_srd_peer_state_t state)
{
    if (UCT_SRD_CHECKS && !(uct_srd_peer_next[peer->state] & UCS_BIT(state))) {
        ucs_fatal("srd: a peer cannot be %s after %s",
                  uct_srd_peer_state_names[state],
                  uct_srd_peer_state_names[peer->state]);
    }

    if ((peer->state != state) && (state <= UCT_SRD_PEER_FAILED)) {
        uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_STATE, UCS_OK,
                           peer->state, state);
        peer->stats->state_time = uct_srd_show_now(peer->iface);
    }

    peer->state = state;
    uct_srd_gate_put(peer, UCT_SRD_GATE_STATE, state != UCT_SRD_PEER_JOINED);
    if (state <= UCT_SRD_PEER_FAILED) {
        peer->stats->state = state;
    }
}

void uct_srd_peer_event(const uct_srd_peer_t *peer, efa_stats_event_t event,
                        ucs_status_t status, uint32_t a, uint64_t b)
{
    uct_efa_stats_event(event, peer->iface->stats, peer->ident.gid,
                        peer->ident.qpn, status, a, b);
}

void uct_srd_peer_unlink(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_rx_current_t *current;

    uct_srd_names_del(peer);
    uct_srd_peer_ah_key_del(peer);
    for (current = iface->rx.current; current != NULL;
         current = current->outer) {
        if (current->peer == peer) {
            current->peer = NULL;
        }
    }
    uct_srd_timer_clear(&iface->timers, &peer->ctl.timer);
    uct_srd_timer_clear(&iface->timers, &peer->tx.timer);
    uct_srd_timer_clear(&iface->timers, &peer->rare->suspect.timer);
    ucs_list_del(&peer->list);
    uct_srd_peer_ah_set_no_ah(peer, 0);
    /* nor will it be found: nothing is sent again */
    uct_srd_gate_clear(peer, UCT_SRD_GATE_SUSPECTED);
    uct_srd_gate_set(peer, UCT_SRD_GATE_STATE);
    uct_srd_show_wait(peer);
    uct_srd_peer_ah_set_blind(peer);
}

void uct_srd_peer_fail(uct_srd_peer_t *peer, ucs_status_t status)
{
    uct_srd_iface_t *iface = peer->iface;
    char remote[64];

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        return;
    }

    peer->status        = status;
    peer->stats->status = status;
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_FAILED);
    uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_FAILED, status, peer->cause,
                       0);
    if (peer->eps.num > 0) {
        uct_efa_stats_events_log(peer->ident.gid, peer->ident.qpn,
                                 uct_srd_addr_str(peer->ident.gid,
                                                  peer->ident.qpn, remote,
                                                  sizeof(remote)));
    }
    uct_srd_peer_unlink(peer);
    uct_srd_upcall_failed(peer);
    ucs_list_add_tail(&iface->peers.failed, &peer->list);
    peer->in_failed = 1;
    UCT_SRD_COUNT(iface, peers_failed);
}

ucs_log_level_t uct_srd_peer_log_level(const uct_srd_iface_t *iface,
                                       ucs_status_t status)
{
    ucs_log_level_t level =
            uct_base_iface_failure_log_level((uct_base_iface_t *)&iface->super,
                                             UCS_OK, status);

    /* Without a handler the line is all that the user hears. */
    return (iface->super.err_handler == NULL) ?
                   ucs_min(level, UCS_LOG_LEVEL_WARN) :
                   level;
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
    level = (peer->eps.num == 0) ? UCS_LOG_LEVEL_DEBUG :
                                   uct_srd_peer_log_level(iface, status);
    ucs_log(level, "srd: %s -> %s: %s: %s; %s",
            uct_srd_addr_str(iface->queues.self.gid, iface->queues.self.qpn,
                             local, sizeof(local)),
            uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                             sizeof(remote)),
            ucs_status_string(status), cause, advice);
    uct_srd_peer_fail(peer, status);
}

void uct_srd_peer_superseded(uct_srd_peer_t *peer, const char *cause,
                             const char *advice)
{
    peer->rx.acked      = 0;
    peer->ctl.contacted = 0;
    uct_srd_peer_fail_log(peer, UCS_ERR_CONNECTION_RESET, cause, advice);
}
