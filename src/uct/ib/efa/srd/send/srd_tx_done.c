/*
 * What becomes of a message that the device is done with.
 *
 *   success ------------------------------------> finish
 *   error --+--> RESEND, RETRY, SUSPECT_... -----> resend (srd_retransmit.c)
 *           +--> FAIL_IFACE ---------------------> resend
 *           +--> FAIL_PEER ----------------------> finish
 *
 * What follows an error is said by the status table (efa_status.h).
 */
#include "srd/send/srd_tx_done.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/queues/srd_queues.h"
#include "srd/send/srd_retransmit.h"

static void uct_srd_tx_done_finish(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                   ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;
    unsigned credit;

    /* una moves before the user hears of it; the peer stays until all is
     * said */
    credit = uct_srd_peer_count_done(iface, peer, (uint16_t)slot->imm);
    if (!(peer->tx.flags & UCT_SRD_PEER_TX_CLOSED)) {
        peer->tx.credit += credit; /* else the callback could send at once */
    }
    uct_srd_peer_hold(peer);
    uct_srd_slot_release(iface, slot, status);
    uct_srd_peer_release(peer);

    if (peer->tx.flags != 0) {
        uct_srd_upcall_moved(peer);
    }
}

void uct_srd_tx_done_ahead(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer = slot->peer;

    peer->tx.credit += uct_srd_peer_count_done(iface, peer,
                                               (uint16_t)slot->imm);
}

static void uct_srd_tx_done_error(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                  unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_efa_status_action_t action    = desc->action[UCT_EFA_STATUS_MESSAGE];
    uct_srd_peer_t *peer              = slot->peer;

    if (peer->state == UCT_SRD_PEER_FAILED) {
        goto finish;
    }

    uct_srd_retransmit_note(peer, vendor_err, slot->retries);
    if (action == UCT_EFA_STATUS_ACTION_RESEND) {
        UCT_SRD_COUNT(iface, rnr);
        ++peer->stats->rnr;
    } else if (action == UCT_EFA_STATUS_ACTION_FAIL_IFACE) {
        uct_srd_queues_set_failed(iface);
        if (!iface->closing) {
            uct_srd_retransmit_keep(iface, slot);
            return;
        }
    }

    if (uct_srd_retransmit_may(peer, action, vendor_err, &slot->retries)) {
        uct_srd_retransmit_later(peer, slot, vendor_err);
        return;
    }

    UCT_SRD_COUNT(iface, tx_errors);
    peer->cause = vendor_err;
    uct_srd_peer_fail_log(peer, desc->status, desc->text, desc->advice);
finish:
    uct_srd_tx_done_finish(iface, slot, peer->status);
}

static void uct_srd_tx_done_slot(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                 unsigned vendor_err)
{
    if (vendor_err != UCT_EFA_STATUS_OK) {
        uct_srd_tx_done_error(iface, slot, vendor_err);
        return;
    }

    uct_srd_tx_done_finish(iface, slot,
                           (slot->peer->state == UCT_SRD_PEER_FAILED) ?
                                   slot->peer->status :
                                   UCS_OK);
}

static void uct_srd_tx_done_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_tx_done_error(iface, slot, UCT_EFA_STATUS_FLUSHED);
    } else {
        uct_srd_retransmit_keep(iface, slot);
    }
}

/* Ends with its peer's failure, when that is told */
static void uct_srd_tx_done_refused(uct_srd_iface_t *iface,
                                    uct_srd_slot_t *slot)
{
    uct_srd_slot_set_queued(slot);
    ucs_queue_push(&slot->peer->tx.retransmit, &slot->queue);
    uct_srd_gate_set(slot->peer, UCT_SRD_GATE_RETRANSMIT);
}

static void uct_srd_tx_done_renew(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                  uint32_t slots_lkey)
{
    if (slot->flags & UCT_SRD_SLOT_BUF) {
        slot->sge[2].lkey = slot->buf->lkey;
    } else if ((slot->flags & UCT_SRD_SLOT_ZCOPY) &&
               (slot->sge[1].length > 0)) {
        slot->sge[1].lkey = uct_efa_memh_lkey(slot->memh);
    }
}

/* From our copy from now on: no hole may appear in the order. */
static void uct_srd_tx_done_detach(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                   uct_srd_ep_t *ep)
{
    if (!(slot->flags & UCT_SRD_SLOT_ZCOPY) || (slot->ep != ep) ||
        (uct_srd_slot_detach(iface, slot) == UCS_OK)) {
        return;
    }

    uct_srd_peer_fail_log(ep->peer, UCS_ERR_CANCELED,
                          "no copy can be made of a message of a closed "
                          "endpoint: no memory, or a GPU's",
                          "flush endpoints before you close them");
    /* uct_srd_slot_release() must not meet the endpoint any more */
    slot->flags &= ~UCT_SRD_SLOT_ZCOPY;
    uct_srd_peer_ep_count_zcopy(ep, -1);
    if (slot->comp != NULL) {
        uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
    }
}

static void uct_srd_tx_done_drop(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_BUF) {
        uct_srd_buf_put(iface, slot->buf);
    }
}

const uct_srd_slot_ops_t uct_srd_tx_done_ops = {
    .done    = uct_srd_tx_done_slot,
    .keep    = uct_srd_tx_done_keep,
    .refused = uct_srd_tx_done_refused,
    .renew   = uct_srd_tx_done_renew,
    .detach  = uct_srd_tx_done_detach,
    .drop    = uct_srd_tx_done_drop
};

void uct_srd_tx_done_purge(uct_srd_peer_t *peer, ucs_queue_head_t *queue,
                           ucs_status_t status)
{
    uct_srd_slot_t *slot;

    while (!ucs_queue_is_empty(queue)) {
        slot = ucs_queue_pull_elem_non_empty(queue, uct_srd_slot_t, queue);
        uct_srd_peer_count_done(peer->iface, peer, (uint16_t)slot->imm);
        uct_srd_slot_release(peer->iface, slot, status);
    }

    if (queue == &peer->tx.retransmit) {
        uct_srd_gate_clear(peer, UCT_SRD_GATE_RETRANSMIT);
    }
}
