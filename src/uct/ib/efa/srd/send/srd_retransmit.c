/*
 * Sends that the device did not bring to their end: kept, and posted again
 * after a pause of 50 us, doubling to 10 ms.
 *
 *   failed --> resend --+-- timer (srd_backlog.c) --> post
 *              held ----+   (srd_tx.h)
 */
#include "srd/send/srd_retransmit.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_show.h"
#include "srd/send/srd_post.h"
#include "srd/send/srd_tx.h"
#include "srd/def/srd_upcall.h"

#define UCT_SRD_BACKOFF_MIN  50e-6
#define UCT_SRD_BACKOFF_STEPS 8      /* 50 us << 8 = 12.8 ms, capped below    */
#define UCT_SRD_BACKOFF_MAX  10e-3

void uct_srd_retransmit_queue(uct_srd_peer_t *peer, ucs_queue_head_t *queue)
{
    uct_srd_iface_t *iface = peer->iface;
    int nested             = iface->tx.batching;
    uct_srd_slot_t *slot;

    if (uct_srd_gate_has(peer, UCT_SRD_GATE_RESUME) ||
        ucs_queue_is_empty(queue)) {
        return;
    }

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        uct_srd_retransmit_start(peer, UCT_EFA_STATUS_OK);
        return;
    }

    if (!nested) {
        uct_srd_post_batch_begin(iface);
    }

    while (!ucs_queue_is_empty(queue)) {
        slot = ucs_queue_head_elem_non_empty(queue, uct_srd_slot_t, queue);
        ucs_queue_pull_non_empty(queue);
        if (uct_srd_tx_must_wait(slot)) {
            if (queue == &peer->tx.held) {
                ucs_queue_push_head(queue, &slot->queue);
                break; /* so must all of these */
            }
            ucs_queue_push(&peer->tx.held, &slot->queue);
            continue;
        }

        uct_srd_tx_post(iface, slot); /* in a batch: cannot fail here */
        if ((peer->state == UCT_SRD_PEER_FAILED) ||
            uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED)) {
            break; /* one is enough to see whether it answers */
        }
    }

    if ((peer->state == UCT_SRD_PEER_NEW) &&
        !ucs_queue_is_empty(&peer->tx.held)) {
        /* it asked for headers: EXT_REQ */
        uct_srd_upcall_wants(peer, UCT_SRD_WANTS_JOINED);
    }

    if (ucs_queue_is_empty(&peer->tx.retransmit)) {
        uct_srd_gate_clear(peer, UCT_SRD_GATE_RETRANSMIT);
    }
    if (!nested) {
        uct_srd_post_batch_end(iface);
    }
}

void uct_srd_retransmit_start(uct_srd_peer_t *peer, unsigned vendor_err)
{
    /* Of both sequences: any success changes it */
    uint16_t una = peer->tx.una.una + peer->rma.una.una;
    double delay;

    /* FAILED: by what the user did when its cancelled message completed */
    if (uct_srd_timer_is_set(&peer->tx.timer) ||
        (peer->state >= UCT_SRD_PEER_FAILED)) {
        return;
    }

    /* Something went through since: start with short pauses again */
    if (peer->tx.backoff_una != una) {
        peer->tx.backoff_una = una;
        peer->tx.backoff     = 0;
    }

    delay = ucs_min(UCT_SRD_BACKOFF_MIN * (1u << peer->tx.backoff),
                    UCT_SRD_BACKOFF_MAX);
    if (peer->tx.backoff < UCT_SRD_BACKOFF_STEPS) {
        ++peer->tx.backoff;
    }

    if (uct_srd_timer_set(&peer->iface->timers, &peer->tx.timer,
                          ucs_get_time() + ucs_time_from_sec(delay)) !=
        UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a timer",
                              "free memory");
        return;
    }

    peer->tx.flags |= UCT_SRD_PEER_TX_PAUSED;
    uct_srd_show_wait(peer);
    if (vendor_err == UCT_EFA_STATUS_RNR) {
        uct_srd_peer_event(peer, EFA_STATS_EVENT_RNR, UCS_OK, delay * 1e6, 0);
    }
}

void uct_srd_retransmit_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_CANCEL) {
        (void)uct_srd_slot_detach(iface, slot);
    }

    slot->flags |= UCT_SRD_SLOT_AGAIN;
    uct_srd_slot_set_queued(slot);
    ucs_queue_push(&slot->peer->tx.retransmit, &slot->queue);
    uct_srd_gate_set(slot->peer, UCT_SRD_GATE_RETRANSMIT);
}

int uct_srd_retransmit_may(uct_srd_peer_t *peer, uct_efa_status_action_t action,
                           unsigned vendor_err, uint8_t *retries)
{
    switch (action) {
    case UCT_EFA_STATUS_ACTION_RESEND:
        return 1;
    case UCT_EFA_STATUS_ACTION_SUSPECT_QP:
    case UCT_EFA_STATUS_ACTION_SUSPECT_DEVICE:
        return uct_srd_upcall_suspects(peer, vendor_err);
    case UCT_EFA_STATUS_ACTION_SUSPECT_RETRY:
        if (uct_srd_upcall_suspects(peer, vendor_err)) {
            return 1;
        }
        /* fall through */
    case UCT_EFA_STATUS_ACTION_RETRY:
        return (*retries)++ < peer->iface->config.retry_count;
    default:
        return 0;
    }
}

void uct_srd_retransmit_note(uct_srd_peer_t *peer, unsigned vendor_err,
                             unsigned retries)
{
    if ((vendor_err != UCT_EFA_STATUS_RNR) &&
        !uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED) &&
        (peer->state < UCT_SRD_PEER_FAILED)) {
        uct_srd_peer_event(peer, EFA_STATS_EVENT_TX_ERROR, UCS_OK, vendor_err,
                           retries);
    }
}

void uct_srd_retransmit_later(uct_srd_peer_t *peer, uct_srd_slot_t *slot,
                              unsigned vendor_err)
{
    uct_srd_iface_t *iface = peer->iface;

    uct_srd_retransmit_keep(iface, slot);
    UCT_SRD_COUNT(iface, retransmit);
    ++peer->stats->retransmit;
    uct_srd_retransmit_start(peer, vendor_err);
    if (peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_gate_update(peer);
    }
}
