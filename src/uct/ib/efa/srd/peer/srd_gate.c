/*
 * May messages leave at once? One answer, recomputed when something changes that
 * it depends on.
 */
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_show.h"

void uct_srd_gate_update(uct_srd_peer_t *peer)
{
    int messages   = (uint16_t)(peer->tx.psn - peer->tx.una.una);
    int operations = (uint16_t)(peer->rma.psn - peer->rma.una.una);
    int credit;

    if (peer->rma.fence && (operations == 0)) {
        peer->rma.fence = 0;
        uct_srd_show_wait(peer);
    }
    if (ucs_unlikely(peer->rma.fence_am) &&
        ((uint16_t)(peer->tx.psn - peer->rma.fence_psn) >= messages)) {
        peer->rma.fence_am = 0;
        uct_srd_show_wait(peer);
    }

    if ((peer->state != UCT_SRD_PEER_JOINED) || (peer->ah == NULL) ||
        peer->rma.fence || (peer->eps.failed > 0) || peer->resume.blocked ||
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
