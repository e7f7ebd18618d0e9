/*
 * Sends that the device did not bring to their end: kept, and sent again.
 *
 *   error --+--> RESEND, RETRY, peer lost --> resend --+-- timer --> post
 *           +--> FAIL_IFACE ----------------> resend   |
 *           +--> FAIL_PEER: it ends           held ----+   (srd_tx.h)
 *
 * What follows an error is said by the status table (efa_status.h):
 *   RESEND  to the resend queue, timer 50 us doubling to 10 ms, without end
 *   RETRY   likewise, RETRY_COUNT times, then the peer fails
 *   FAIL_PEER   the peer fails, unless it may only have been reset: srd_rejoin.c
 *   FAIL_IFACE  all is kept for a new queue pair: srd_recover.c
 */
#include "srd/send/srd_rma.h"

#define UCT_SRD_BACKOFF_MIN  50e-6
#define UCT_SRD_BACKOFF_STEPS 8      /* 50 us << 8 = 12.8 ms, capped below    */
#define UCT_SRD_BACKOFF_MAX  10e-3

void uct_srd_tx_queue_post(uct_srd_peer_t *peer, ucs_queue_head_t *queue)
{
    uct_srd_iface_t *iface = peer->iface;
    int nested             = iface->tx.batching;
    uct_srd_slot_t *slot;

    if (peer->blocked || ucs_queue_is_empty(queue)) {
        return;
    }

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        uct_srd_tx_timer_start(peer, UCT_EFA_STATUS_OK);
        return;
    }

    if (!nested) {
        uct_srd_tx_batch_begin(iface);
    }

    while (!ucs_queue_is_empty(queue)) {
        slot = ucs_queue_head_elem_non_empty(queue, uct_srd_slot_t, queue);
        ucs_queue_pull_non_empty(queue);
        if (uct_srd_slot_must_wait(slot)) {
            if (queue == &peer->tx.held) {
                ucs_queue_push_head(queue, &slot->queue);
                break; /* so must all of these */
            }
            ucs_queue_push(&peer->tx.held, &slot->queue);
            continue;
        }

        uct_srd_tx_post(iface, slot); /* in a batch: cannot fail here */
        if ((peer->state == UCT_SRD_PEER_FAILED) || peer->lost.is) {
            break; /* one is enough to see whether it answers */
        }
    }

    if ((peer->state == UCT_SRD_PEER_NEW) &&
        !ucs_queue_is_empty(&peer->tx.held)) {
        uct_srd_ctl_join_again(peer); /* it asked for headers: EXT_REQ */
    }

    if (!nested) {
        uct_srd_tx_batch_end(iface);
    }
}

void uct_srd_tx_timer_start(uct_srd_peer_t *peer, unsigned vendor_err)
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
    uct_srd_peer_show_wait(peer);
    if (vendor_err == UCT_EFA_STATUS_RNR) {
        uct_srd_peer_event(peer, EFA_STATS_EVENT_RNR, UCS_OK, delay * 1e6, 0);
    }
}

void uct_srd_tx_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_CANCEL) {
        (void)uct_srd_tx_detach(iface, slot);
    }

    slot->flags |= UCT_SRD_SLOT_AGAIN;
    uct_srd_slot_set_queued(slot);
    ucs_queue_push(&slot->peer->tx.resend, &slot->queue);
}

void uct_srd_tx_note_error(uct_srd_peer_t *peer, unsigned vendor_err,
                           unsigned retries)
{
    if ((uct_efa_status_desc(vendor_err)->action !=
         UCT_EFA_STATUS_ACTION_RESEND) && !peer->lost.is &&
        (peer->state < UCT_SRD_PEER_FAILED)) {
        uct_srd_peer_event(peer, EFA_STATS_EVENT_TX_ERROR, UCS_OK, vendor_err,
                           retries);
    }
}

static void uct_srd_tx_resend_later(uct_srd_peer_t *peer, uct_srd_slot_t *slot,
                                    unsigned vendor_err)
{
    uct_srd_iface_t *iface = peer->iface;

    uct_srd_tx_keep(iface, slot);
    UCT_SRD_COUNT(iface, resend);
    ++peer->stats->resend;
    uct_srd_tx_timer_start(peer, vendor_err);
    if (peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_peer_tx_update(peer);
    }
}

void uct_srd_tx_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, tx.timer);

    uct_srd_tx_queue_post(peer, &peer->tx.resend);
    uct_srd_tx_queue_post(peer, &peer->tx.held); /* for want of an AH */
    uct_srd_rma_held_post(peer);
    uct_srd_peer_tx_progress(peer);
}

void uct_srd_tx_error(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                      unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_srd_peer_t *peer              = slot->peer;

    if (slot->flags & UCT_SRD_SLOT_RMA) {
        uct_srd_rma_done(iface, slot, vendor_err);
        return;
    } else if (slot->flags & UCT_SRD_SLOT_CTL) {
        uct_srd_ctl_done(iface, slot, vendor_err);
        return;
    }

    if (peer->state != UCT_SRD_PEER_FAILED) {
        uct_srd_tx_note_error(peer, vendor_err, slot->retries);
        switch (desc->action) {
        case UCT_EFA_STATUS_ACTION_RESEND:
            UCT_SRD_COUNT(iface, rnr);
            ++peer->stats->rnr;
            uct_srd_tx_resend_later(peer, slot, vendor_err);
            return;
        case UCT_EFA_STATUS_ACTION_FAIL_IFACE:
            uct_srd_recover_qp_dead(iface);
            if (!iface->closing) {
                uct_srd_tx_keep(iface, slot);
                return;
            }
            break;
        default:
            if (uct_srd_peer_lose(peer, vendor_err) ||
                ((desc->action == UCT_EFA_STATUS_ACTION_RETRY) &&
                 (slot->retries++ < iface->config.retry_count))) {
                uct_srd_tx_resend_later(peer, slot, vendor_err);
                return;
            }
            break;
        }

        UCT_SRD_COUNT(iface, tx_errors);
        peer->cause = vendor_err;
        uct_srd_peer_fail_log(peer, desc->status, desc->text, desc->advice);
    }

    uct_srd_tx_finish(iface, slot, peer->status);
}
