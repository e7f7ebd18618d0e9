/*
 * May messages leave at once? What the fast path of a send asks, tx.credit and
 * tx.flags of a peer, follows from the gate, in which each reason why not is a
 * bit that its owner sets and clears, and from the windows.
 *
 *   STATE        srd_peer.c               NO_AH       srd_peer_ah.c
 *   EP_FAILED    srd_peer_ep.c            TRACE       srd_peer.c, for ever
 *   RETRANSMIT   send/: tx.retransmit is not empty
 *   FENCE        send/srd_fence.c; cleared when operations have completed
 *   BLOCKED, SUCCESSOR, SUSPECTED    assoc/recovery/
 */
#ifndef UCT_SRD_GATE_H
#define UCT_SRD_GATE_H

#include "srd/def/srd_iface_def.h"

/* Recomputes credit and flags: una moved, or a window changed. */
void uct_srd_gate_update(uct_srd_peer_t *peer);

/* The same for one operation that begins, which has a part of our share of the
 * send queue, */
static UCS_F_ALWAYS_INLINE void uct_srd_gate_op_begin(uct_srd_peer_t *peer)
{
    if (peer->tx.credit > 0) {
        --peer->tx.credit;
    }
}

/* and for those that una has passed, if nothing waits for that: tx.flags is
 * zero. Messages may be as many as the remote's window all the same. */
static UCS_F_ALWAYS_INLINE void uct_srd_gate_ops_end(uct_srd_peer_t *peer,
                                                     unsigned count)
{
    int messages = (uint16_t)(peer->tx.psn - peer->tx.una.una);
    int room     = (int)peer->tx.window - messages;

    if ((int)peer->tx.credit < room) {
        peer->tx.credit = ucs_min((int)(peer->tx.credit + count), room);
    }
}

static UCS_F_ALWAYS_INLINE int uct_srd_gate_has(const uct_srd_peer_t *peer,
                                                unsigned bits)
{
    return (peer->tx.gate & bits) != 0;
}

static inline void uct_srd_gate_set(uct_srd_peer_t *peer, unsigned bits)
{
    if ((peer->tx.gate & bits) != bits) {
        peer->tx.gate |= bits;
        uct_srd_gate_update(peer);
    }
}

static inline void uct_srd_gate_clear(uct_srd_peer_t *peer, unsigned bits)
{
    if (uct_srd_gate_has(peer, bits)) {
        peer->tx.gate &= ~bits;
        uct_srd_gate_update(peer);
    }
}

/* Sets or clears it. */
static inline void uct_srd_gate_put(uct_srd_peer_t *peer, unsigned bit, int is)
{
    if (is) {
        uct_srd_gate_set(peer, bit);
    } else {
        uct_srd_gate_clear(peer, bit);
    }
}

#endif
