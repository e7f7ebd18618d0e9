/*
 * SRD orders nothing, but messages are put into order by their receiver. What a
 * fence makes wait:
 *
 *     before the fence    after it     waits for
 *     message             message      nothing
 *     message             operation    its completion
 *     operation           any          its completion
 *
 * The second line is kept per peer by a PSN (fence_psn), the third by stopping
 * all sends to the peer (UCT_SRD_GATE_FENCE).
 */
#include "srd/send/srd_fence.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_show.h"

void uct_srd_fence_peer(uct_srd_peer_t *peer)
{
    peer->rma.fence_seq = peer->iface->tx.fence_seq;

    if (peer->tx.una.una != peer->tx.psn) {
        peer->rma.fence_am  = 1;
        peer->rma.fence_psn = peer->tx.psn;
    }

    if (uct_srd_peer_rma_outstanding(peer) > 0) {
        uct_srd_gate_set(peer, UCT_SRD_GATE_FENCE);
        uct_srd_show_wait(peer);
    }
}
