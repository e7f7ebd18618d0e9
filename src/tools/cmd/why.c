/*
 * Why it does not move. The first line that holds:
 *
 *   word               holds if                                  since
 *   no-progress-calls  the owner lives, its interface is not     progress_time,
 *                      asleep and polls does not move            if none: made
 *   recovering         the interface is recovering or down       iface.state
 *                      the peer waits for that (gate)            peer.wait
 *   peer-unresponsive  it does not answer (gate)                 peer.wait
 *                      it has failed                             peer.state
 *   waits-handshake    it is joining: its answer is missing      ep/peer.wait,
 *                      it is new and something waits             if none: state
 *   rnr-backoff        it pauses after RNR                       peer.wait
 *   waits-fence        a fence waits                             peer.wait
 *   waits-window       something waits and the window is full    ep/peer.wait
 *   reorder-gap        messages wait for an older one            peer.gap
 *   ready              nothing of that
 *
 * "Something waits" is pending of the endpoint, where one is asked for: another
 * endpoint of the same peer may wait while this one has nothing to do.
 */
#include "tools/cmd/why.h"

#include <stddef.h>

#define WHY_NAME(_NAME, _name, _text) _name,
#define WHY_TEXT(_NAME, _name, _text) _text,

static const char *const names[] = {WHY_LIST(WHY_NAME)};
static const char *const texts[] = {WHY_LIST(WHY_TEXT)};

const char *why_name(unsigned why)
{
    return (why < WHY_LAST) ? names[why] : NULL;
}

const char *why_text(unsigned why)
{
    return (why < WHY_LAST) ? texts[why] : NULL;
}

static why_t why_iface(const why_input_t *in, uint64_t *since)
{
    const efa_stats_iface_t *iface = in->iface;

    if (in->segment->alive && in->idle && !iface->asleep) {
        *since = (iface->progress_time != 0) ? iface->progress_time :
                                               iface->create_time;
        return WHY_NO_PROGRESS_CALLS;
    }
    if (iface->state == EFA_STATS_IFACE_RECOVERING ||
        iface->state == EFA_STATS_IFACE_DOWN) {
        *since = iface->state_time;
        return WHY_RECOVERING;
    }
    return WHY_READY;
}

static why_t why_peer(const efa_stats_peer_t *peer, const efa_stats_ep_t *ep,
                      uint64_t *since)
{
    uint64_t pending   = (ep != NULL) ? ep->pending : peer->pending;
    uint64_t wait_time = (ep != NULL && ep->wait_time != 0) ? ep->wait_time :
                                                              peer->wait_time;

    *since = peer->wait_time;
    if (peer->gate & EFA_STATS_GATE_BLOCKED) {
        return WHY_RECOVERING;
    }
    if (peer->gate & EFA_STATS_GATE_SUSPECTED) {
        return WHY_PEER_UNRESPONSIVE;
    }
    if (peer->state == EFA_STATS_PEER_FAILED) {
        *since = peer->state_time;
        return WHY_PEER_UNRESPONSIVE;
    }
    if (peer->state == EFA_STATS_PEER_JOINING ||
        (peer->state == EFA_STATS_PEER_NEW && pending > 0)) {
        *since = (pending > 0) ? wait_time : peer->state_time;
        return WHY_WAITS_HANDSHAKE;
    }
    if (peer->backoff) {
        return WHY_RNR_BACKOFF;
    }
    if (peer->fence) {
        return WHY_WAITS_FENCE;
    }
    if (pending > 0 && stats_peer_unacked(peer) >= peer->window) {
        *since = wait_time;
        return WHY_WAITS_WINDOW;
    }
    if (peer->depth > 0 || peer->gap_time != 0) {
        *since = peer->gap_time;
        return WHY_REORDER_GAP;
    }

    *since = 0;
    return WHY_READY;
}

why_t why_get(const why_input_t *in, uint64_t *since)
{
    why_t why = WHY_READY;

    *since = 0;
    if (in->iface != NULL) {
        why = why_iface(in, since);
    }
    if (why == WHY_READY && in->peer != NULL) {
        why = why_peer(in->peer, in->ep, since);
    }
    return why;
}
