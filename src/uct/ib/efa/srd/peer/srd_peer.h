/*
 * Peers: made, failed, out of the tables. States: srd_peer_def.h.
 */
#ifndef UCT_SRD_PEER_H
#define UCT_SRD_PEER_H

#include "srd/def/srd_iface_def.h"

extern const char *uct_srd_peer_state_names[];

/* One-sided operations that have not completed */
static UCS_F_ALWAYS_INLINE unsigned
uct_srd_peer_rma_outstanding(const uct_srd_peer_t *peer)
{
    return uct_srd_una_outstanding(&peer->rma.una, peer->rma.psn);
}

/* And messages */
static UCS_F_ALWAYS_INLINE unsigned
uct_srd_peer_outstanding(const uct_srd_peer_t *peer)
{
    return uct_srd_una_outstanding(&peer->tx.una, peer->tx.psn) +
           uct_srd_peer_rma_outstanding(peer);
}

/* A message of so many bytes was given its PSN. */
static UCS_F_ALWAYS_INLINE void uct_srd_peer_count_sent(uct_srd_peer_t *peer,
                                                        size_t bytes)
{
    ++peer->stats->tx_msgs;
    peer->stats->tx_bytes += bytes;
}

/* A message from it is delivered. */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_count_received(const uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                            size_t bytes)
{
    ++peer->stats->rx_msgs;
    peer->stats->rx_bytes += bytes;
    peer->stats->rx_time = iface->shown.now;
}

/* The message of that PSN has completed. Returns by how much una advanced. */
static UCS_F_ALWAYS_INLINE unsigned
uct_srd_peer_count_done(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                        uint16_t psn)
{
    unsigned advance = uct_srd_una_done(&peer->tx.una, &iface->tx.unas, psn);

    peer->stats->tx_done += advance;
    peer->stats->done_time = iface->shown.now;
    return advance;
}

/* Sends, ever, that have completed with success, modulo 65536 */
static UCS_F_ALWAYS_INLINE uint16_t
uct_srd_peer_done_count(const uct_srd_peer_t *peer)
{
    return peer->tx.una.una + peer->tx.una.ahead + peer->rma.una.una +
           peer->rma.una.ahead;
}

/* Nothing of ours is with the device, and nobody holds the peer. */
static UCS_F_ALWAYS_INLINE int uct_srd_peer_is_quiet(const uct_srd_peer_t *peer)
{
    return (uct_srd_peer_outstanding(peer) == 0) && (peer->ctl.num == 0) &&
           (peer->holds == 0);
}

/* Between these the peer is not freed, whatever callbacks do. Whoever releases
 * it goes on with uct_srd_upcall_moved(). */
static UCS_F_ALWAYS_INLINE void uct_srd_peer_hold(uct_srd_peer_t *peer)
{
    ++peer->holds;
}

static UCS_F_ALWAYS_INLINE void uct_srd_peer_release(uct_srd_peer_t *peer)
{
    --peer->holds;
}

/* For each of the peers, whatever is done with it, also if it or others end.
 * uct_srd_peer_take_all() once, then uct_srd_peer_take_next() until it returns
 * NULL. */
static inline void uct_srd_peer_take_all(uct_srd_iface_t *iface,
                                         ucs_list_link_t *todo)
{
    ucs_list_head_init(todo);
    ucs_list_splice_tail(todo, &iface->peers.alive);
    ucs_list_head_init(&iface->peers.alive);
}

static inline uct_srd_peer_t *uct_srd_peer_take_next(uct_srd_iface_t *iface,
                                                     ucs_list_link_t *todo)
{
    uct_srd_peer_t *peer;

    if (ucs_list_is_empty(todo)) {
        return NULL;
    }

    peer = ucs_list_extract_head(todo, uct_srd_peer_t, list);
    ucs_list_add_tail(&iface->peers.alive, &peer->list);
    return peer;
}

/* NULL: no memory (logged). In the tables, no AH yet, timers without functions:
 * uct_srd_assoc_new(). */
uct_srd_peer_t *uct_srd_peer_create(uct_srd_iface_t *iface,
                                    const uct_srd_ident_t *ident);

/* uct_srd_peer_rare() for a peer that cannot live without: it fails (logged) */
uct_srd_peer_rare_t *uct_srd_peer_rare_or_fail(uct_srd_peer_t *peer);

/* The memory of a peer to whom nothing refers any more */
void uct_srd_peer_destroy(uct_srd_peer_t *peer);

void uct_srd_peer_set_state(uct_srd_peer_t *peer, uct_srd_peer_state_t state);

/* Out of the tables, without timers and address handle numbers */
void uct_srd_peer_unlink(uct_srd_peer_t *peer);

/* Ends the association; the endpoints are told in progress. Callable from
 * anywhere. The caller has logged the cause, or does. */
void uct_srd_peer_fail(uct_srd_peer_t *peer, ucs_status_t status);

/* As above, logs: what is "sent HELLO" or so, desc the device's status. */
void uct_srd_peer_fail_log(uct_srd_peer_t *peer, ucs_status_t status,
                           const char *cause, const char *advice);

/* As above, of a peer in whose place another one speaks: that one would meet a
 * REJECT, or nobody, and one message would have two answers. */
void uct_srd_peer_superseded(uct_srd_peer_t *peer, const char *cause,
                             const char *advice);

/* At which level a failure is logged: UCX_SRD_FAILURE where UCT says so. */
ucs_log_level_t
uct_srd_peer_log_level(const uct_srd_iface_t *iface, ucs_status_t status);

/* For the flight recorder */
void uct_srd_peer_event(const uct_srd_peer_t *peer, efa_stats_event_t event,
                        ucs_status_t status, uint32_t a, uint64_t b);

#endif
