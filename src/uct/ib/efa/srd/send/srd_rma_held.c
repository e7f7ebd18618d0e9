/*
 * One-sided operations that wait: for the handshake, for a pause to end, or for
 * a key.
 */
#include "srd/send/srd_rma_held.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/send/srd_retransmit.h"
#include "srd/send/srd_rma_done.h"
#include "srd/send/srd_rma_tx.h"
#include "srd/send/srd_slot.h"
#include "srd/def/srd_upcall.h"

void uct_srd_rma_held_post(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    int stop               = 0;
    ucs_queue_head_t queue;
    uct_srd_slot_t *slot;
    ucs_status_t status;

    if (ucs_queue_is_empty(&peer->rma.held) ||
        uct_srd_gate_has(peer, UCT_SRD_GATE_RESUME)) {
        return;
    }

    if ((peer->state == UCT_SRD_PEER_NEW) &&
        (uct_srd_peer_ah_get(peer) == UCS_OK)) {
        /* it asked for headers: EXT_REQ */
        uct_srd_upcall_wants(peer, UCT_SRD_WANTS_JOINED);
    }

    if (peer->state != UCT_SRD_PEER_JOINED) {
        return;
    }

    ucs_queue_head_init(&queue);
    ucs_queue_splice(&queue, &peer->rma.held);
    uct_srd_peer_hold(peer); /* completions may close the last endpoint */
    while (!ucs_queue_is_empty(&queue)) {
        slot   = ucs_queue_pull_elem_non_empty(&queue, uct_srd_slot_t, queue);
        status = ((peer->state != UCT_SRD_PEER_JOINED) || stop) ?
                         UCS_ERR_NO_RESOURCE :
                         uct_srd_peer_ah_get(peer);
        if (status == UCS_OK) {
            status = uct_srd_rma_tx_post(iface, slot);
        }

        if (status == UCS_OK) {
            uct_srd_slot_clear_queued(slot);
            /* one shows whether it answers */
            stop = uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED);
        } else if (status == UCS_ERR_NO_ELEM) {
            uct_srd_slot_clear_queued(slot);
            uct_srd_rma_done_op_failed(
                    iface, slot,
                    uct_efa_status_desc(UCT_EFA_STATUS_REMOTE_ADDRESS));
        } else {
            /* In a failed peer the queue is purged when it is told. */
            ucs_queue_push(&peer->rma.held, &slot->queue);
        }
    }
    uct_srd_peer_release(peer);

    if (stop) {
        return; /* its completion goes on */
    }

    if ((peer->state < UCT_SRD_PEER_FAILED) &&
        !ucs_queue_is_empty(&peer->rma.held)) {
        uct_srd_retransmit_start(peer, UCT_EFA_STATUS_OK);
    }
}

void uct_srd_rma_held_purge(uct_srd_peer_t *peer, uct_srd_ep_t *ep,
                            ucs_status_t status)
{
    ucs_queue_head_t all, queue;
    uct_srd_slot_t *slot;

    ucs_queue_head_init(&all);
    ucs_queue_head_init(&queue);
    ucs_queue_splice(&all, &peer->rma.held);
    while (!ucs_queue_is_empty(&all)) {
        slot = ucs_queue_pull_elem_non_empty(&all, uct_srd_slot_t, queue);
        ucs_queue_push(((ep == NULL) || (slot->rma.ep == ep)) ? &queue :
                                                                &peer->rma.held,
                       &slot->queue);
    }

    if (ucs_queue_is_empty(&queue)) {
        return;
    }

    uct_srd_peer_hold(peer); /* completions may close the last endpoint */
    while (!ucs_queue_is_empty(&queue)) {
        slot = ucs_queue_pull_elem_non_empty(&queue, uct_srd_slot_t, queue);
        uct_srd_rma_tx_end(peer->iface, slot, status);
    }
    uct_srd_peer_release(peer);

    if ((peer->state < UCT_SRD_PEER_FAILED) && (peer->tx.flags != 0)) {
        uct_srd_upcall_moved(peer); /* a fence or flush waited for these */
    }
}
