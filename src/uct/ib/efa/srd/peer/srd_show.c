/*
 * What the segment shows of an interface and its peers besides counters: what
 * is, at present (efa_stats_format.h). Whoever changes a value writes it, in
 * the time of a store or two, whatever the number of peers; ages and sums are
 * the reader's business.
 *
 *   messages   counted where they are sent, acknowledged and delivered
 *              (srd_peer.h); the time is that of the last look around, after
 *              so many polls or so long (srd_housekeeping.c)
 *   waiting    peers' states, pending requests, pauses, fences, our reset, no
 *              answer, missing messages: here. The time is that of a clock that
 *              is read again when it is older than UCT_SRD_SHOW_FRESH.
 */
#include "srd/peer/srd_show.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"

#define UCT_SRD_SHOW_FRESH 1e-3       /* seconds                              */

/* ----------------------------------------------------------------- the time */

uint64_t uct_srd_show_now(uct_srd_iface_t *iface)
{
    ucs_time_t ticks = ucs_get_time();

    if (ucs_unlikely(ticks - iface->shown.ticks > iface->shown.fresh)) {
        iface->shown.ticks = ticks;
        iface->shown.now   = uct_efa_stats_now();
        iface->shown.fresh = ucs_time_from_sec(UCT_SRD_SHOW_FRESH);
    }

    return iface->shown.now;
}

/* -------------------------------------------------------------------- peers */

/* Pauses, or has paused and nothing went through since? */
static int uct_srd_show_is_pausing(const uct_srd_peer_t *peer)
{
    uint16_t una = peer->tx.una.una + peer->rma.una.una;

    return uct_srd_timer_is_set(&peer->tx.timer) ||
           ((peer->tx.backoff > 0) && (peer->tx.backoff_una == una) &&
            (uct_srd_peer_outstanding(peer) > 0));
}

/* Do messages before a fence hold up what is pending? uct_srd_tx_check() asks
 * the same. */
static int uct_srd_show_is_fenced(const uct_srd_peer_t *peer)
{
    uint16_t messages = peer->tx.psn - peer->tx.una.una;
    uint16_t since    = peer->tx.psn - peer->rma.fence_psn;

    return uct_srd_gate_has(peer, UCT_SRD_GATE_FENCE) ||
           (peer->rma.fence_am && (since < messages) &&
            (peer->eps.pending > 0));
}

void uct_srd_show_wait(uct_srd_peer_t *peer)
{
    uct_efa_stats_peer_t *stats = peer->stats;

    stats->suspected = uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED);
    stats->pending   = peer->eps.pending;
    stats->backoff   = uct_srd_show_is_pausing(peer);
    stats->fence     = uct_srd_show_is_fenced(peer);
    stats->blocked   = uct_srd_gate_has(peer, UCT_SRD_GATE_BLOCKED);

    if (!(stats->suspected | stats->pending | stats->backoff | stats->fence |
          stats->blocked)) {
        stats->wait_time = 0;
    } else if (stats->wait_time == 0) {
        stats->wait_time = uct_srd_show_now(peer->iface);
    }
}

void uct_srd_show_pause(uct_srd_peer_t *peer)
{
    if (!uct_srd_show_is_pausing(peer)) {
        peer->tx.flags &= ~UCT_SRD_PEER_TX_PAUSED;
        uct_srd_show_wait(peer);
    }
}

void uct_srd_show_gap(uct_srd_peer_t *peer)
{
    peer->stats->depth    = peer->rx.ring.held;
    peer->stats->gap_time = (peer->rx.ring.held > 0) ?
                                    uct_srd_show_now(peer->iface) :
                                    0;
}

/* ---------------------------------------------------------------- interface */

void uct_srd_show_event(const uct_srd_iface_t *iface, efa_stats_event_t event,
                        ucs_status_t status, uint32_t a, uint64_t b)
{
    uct_efa_stats_event(event, iface->stats, NULL, 0, status, a, b);
}

void uct_srd_show_state(uct_srd_iface_t *iface, efa_stats_iface_state_t state)
{
    iface->stats->state_time = uct_efa_stats_now();
    iface->stats->state      = state;
}

void uct_srd_show_progress(uct_srd_iface_t *iface)
{
    iface->stats->progress_time = uct_srd_show_now(iface);
    if (iface->stats->asleep) {
        iface->stats->asleep = 0;
    }
}

void uct_srd_show_asleep(uct_srd_iface_t *iface)
{
    uct_srd_show_progress(iface);
    iface->stats->asleep = 1;
    iface->house.look_at = 0; /* the next progress call says that it was here */
}
