/*
 * Address handles are few: who needs none at the moment gives it up.
 *
 *   the CQ names source GIDs,   at once: what comes without a header is known
 *   or it was told nothing      by its GID
 *   else                        EXT_REQ; when EXT_ACK says that it sends
 *                               headers again
 */
#include "srd/assoc/srd_reclaim.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/send/srd_ctl.h"

/* May the peer do without its AH? One that has sent since the last look is
 * passed over once, so that nothing has to be noted on the fast path. One that
 * is LEAVING may, too: the remote may keep its endpoint, and us waiting, for
 * ever. Not one that is suspected: it is being asked. */
static int uct_srd_reclaim_is_idle(uct_srd_peer_t *peer)
{
    uint16_t sent = peer->tx.una.una + peer->rma.una.una;
    int idle      = (peer->ahn.sweep_psn == sent);

    if ((peer->state >= UCT_SRD_PEER_FAILED) ||
        uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED) ||
        !uct_srd_peer_is_quiet(peer)) {
        return 0;
    }

    peer->ahn.sweep_psn = sent;
    return idle;
}

/* Second chance, as a clock: goes on where it ended, twice around at most. */
unsigned uct_srd_reclaim(void *arg, unsigned wanted)
{
    uct_srd_iface_t *iface = arg;
    unsigned left          = 2 * iface->peers.num_with_ah;
    unsigned count         = 0;
    unsigned asked         = 0;
    uct_srd_peer_t *peer;

    for (; (left > 0) && (count + asked < wanted) &&
           !ucs_list_is_empty(&iface->peers.with_ah);
         --left) {
        peer = ucs_list_extract_head(&iface->peers.with_ah, uct_srd_peer_t,
                                     ahn.list);
        ucs_list_add_tail(&iface->peers.with_ah, &peer->ahn.list);
        if (!uct_srd_reclaim_is_idle(peer)) {
            continue;
        }

        if (!peer->rx.acked || (iface->queues.cq_efa != NULL)) {
            uct_srd_peer_ah_drop(peer);
            UCT_SRD_COUNT(iface, ah_evict);
            ++count;
        } else if (!peer->ctl.ext_req) {
            peer->ctl.ext_req = 1;
            uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_REQ, 0);
            uct_srd_ctl_timer_start(peer, 10e-3);
            ++asked;
        }
    }

    return count;
}
