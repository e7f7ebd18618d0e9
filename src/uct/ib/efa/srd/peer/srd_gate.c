/*
 * May messages leave at once? One answer, recomputed when something changes
 * that it depends on.
 */
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_show.h"

void uct_srd_gate_update(uct_srd_peer_t *peer)
{
    int messages   = (uint16_t)(peer->tx.psn - peer->tx.una.una);
    int operations = (uint16_t)(peer->rma.psn - peer->rma.una.una);
    int credit;

    if (uct_srd_gate_has(peer, UCT_SRD_GATE_FENCE) && (operations == 0)) {
        peer->tx.gate &= ~UCT_SRD_GATE_FENCE;
        uct_srd_show_wait(peer);
    }
    if (ucs_unlikely(peer->rma.fence_am) &&
        ((uint16_t)(peer->tx.psn - peer->rma.fence_psn) >= messages)) {
        peer->rma.fence_am = 0;
        uct_srd_show_wait(peer);
    }

    peer->stats->gate = peer->tx.gate;
    if (peer->tx.gate != 0) {
        peer->tx.flags |= UCT_SRD_PEER_TX_CLOSED;
        peer->tx.credit = 0;
        return;
    }

    /* The remote's window holds for messages, our share of the send queue for
     * both. */
    credit = ucs_min((int)peer->tx.window - messages,
                     (int)peer->iface->config.peer_window - messages -
                             operations);
    peer->tx.flags &= ~UCT_SRD_PEER_TX_CLOSED;
    peer->tx.credit = ucs_max(credit, 0);
}
