/*
 * What becomes of a one-sided operation that the device is done with. What
 * follows an error is said by the status table (efa_status.h).
 */
#include "srd/send/srd_rma_done.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/queues/srd_queues.h"
#include "srd/send/srd_buf.h"
#include "srd/send/srd_retransmit.h"
#include "srd/send/srd_rma_tx.h"
#include "srd/def/srd_upcall.h"

static void uct_srd_rma_done_finish(uct_srd_iface_t *iface,
                                    uct_srd_slot_t *slot, ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;

    uct_srd_peer_hold(peer);
    uct_srd_rma_tx_end(iface, slot, status);
    uct_srd_peer_release(peer);
    if (ucs_unlikely(peer->tx.flags != 0)) {
        uct_srd_upcall_moved(peer);
    }
}

static void uct_srd_rma_done_again(uct_srd_peer_t *peer, uct_srd_slot_t *slot,
                                   unsigned vendor_err)
{
    UCT_SRD_COUNT(peer->iface, retransmit);
    ++peer->stats->retransmit;
    slot->flags |= UCT_SRD_SLOT_AGAIN;
    uct_srd_rma_tx_hold(peer, slot);
    uct_srd_retransmit_start(peer, vendor_err);
}

void uct_srd_rma_done_op_failed(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                const uct_efa_status_desc_t *desc)
{
    uct_srd_peer_t *peer = slot->peer;
    uct_srd_ep_t *ep     = slot->rma.ep;
    int has_comp = (slot->flags & UCT_SRD_SLOT_ZCOPY) && (slot->comp != NULL);
    ucs_log_level_t level;
    char local[64], remote[64];

    /* Once where users see it: a bad key is seldom used only once. */
    level            = ((ep == NULL) || peer->rma.logged) ?
                               UCS_LOG_LEVEL_DEBUG :
                               uct_srd_peer_log_level(iface, desc->status);
    peer->rma.logged = 1;
    ucs_log(level,
            "srd: %s -> %s: %s of %u bytes %s %p there, key 0x%x, %s %p here: "
            "%s: %s; %s",
            uct_srd_addr_str(iface->queues.self.gid, iface->queues.self.qpn,
                             local, sizeof(local)),
            uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                             sizeof(remote)),
            (slot->flags & UCT_SRD_SLOT_READ) ? "get" : "put",
            slot->sge[1].length,
            (slot->flags & UCT_SRD_SLOT_READ) ? "from" : "to",
            (void *)slot->rma.remote_addr, slot->rma.rkey,
            (slot->flags & UCT_SRD_SLOT_READ) ? "to" : "from",
            (void *)slot->sge[1].addr, ucs_status_string(desc->status),
            desc->text, desc->advice);

    UCT_SRD_COUNT(iface, rdma_errors);
    if (!has_comp && (ep != NULL)) {
        uct_srd_peer_ep_fail(ep, desc->status);
    }
    uct_srd_rma_done_finish(iface, slot, desc->status);
}

static void uct_srd_rma_done_error(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                   unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_efa_status_action_t action    = desc->action[UCT_EFA_STATUS_RMA];
    uct_srd_peer_t *peer              = slot->peer;

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_rma_done_finish(iface, slot, peer->status);
        return;
    }

    uct_srd_retransmit_note(peer, vendor_err, slot->retries);
    if (((slot->flags & UCT_SRD_SLOT_CANCEL) || (slot->rma.ep == NULL)) &&
        ((action == UCT_EFA_STATUS_ACTION_HANDSHAKE) ||
         (action == UCT_EFA_STATUS_ACTION_RETRY) ||
         (action == UCT_EFA_STATUS_ACTION_SUSPECT_RETRY))) {
        uct_srd_rma_done_finish(iface, slot, UCS_ERR_CANCELED);
        return;
    }

    switch (action) {
    case UCT_EFA_STATUS_ACTION_HANDSHAKE:
        UCT_SRD_COUNT(iface, rdma_handshake);
        /* It gave up its address handle for us: a new handshake makes it have
         * one. Until then messages say who we are, too. */
        uct_srd_rma_tx_hold(peer, slot);
        uct_srd_upcall_wants(peer, UCT_SRD_WANTS_JOINED);
        return;
    case UCT_EFA_STATUS_ACTION_FAIL_OP:
        uct_srd_rma_done_op_failed(iface, slot, desc);
        return;
    case UCT_EFA_STATUS_ACTION_FAIL_IFACE:
        uct_srd_queues_set_failed(iface);
        if (!iface->closing) {
            uct_srd_rma_tx_hold(peer, slot);
            return;
        }
        break;
    default:
        if (uct_srd_retransmit_may(peer, action, vendor_err, &slot->retries)) {
            uct_srd_rma_done_again(peer, slot, vendor_err);
            return;
        }
        break;
    }

    UCT_SRD_COUNT(iface, tx_errors);
    peer->cause = vendor_err;
    uct_srd_peer_fail_log(peer, desc->status, desc->text, desc->advice);
    uct_srd_rma_done_finish(iface, slot, peer->status);
}

static void uct_srd_rma_done_slot(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                  unsigned vendor_err)
{
    if (ucs_unlikely(vendor_err != UCT_EFA_STATUS_OK)) {
        uct_srd_rma_done_error(iface, slot, vendor_err);
        return;
    }

    uct_srd_rma_done_finish(iface, slot,
                            (slot->peer->state >= UCT_SRD_PEER_FAILED) ?
                                    slot->peer->status :
                                    UCS_OK);
}

static void uct_srd_rma_done_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if ((slot->peer->state >= UCT_SRD_PEER_FAILED) ||
        (slot->flags & UCT_SRD_SLOT_CANCEL) || (slot->rma.ep == NULL)) {
        /* as cancelled, or with the peer's status */
        uct_srd_rma_done_slot(iface, slot, UCT_EFA_STATUS_UNRESPONSIVE);
    } else {
        uct_srd_rma_tx_hold(slot->peer, slot);
    }
}

static void uct_srd_rma_done_refused(uct_srd_iface_t *iface,
                                     uct_srd_slot_t *slot)
{
    uct_srd_rma_tx_hold(slot->peer, slot);
}

static void uct_srd_rma_done_renew(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                   uint32_t slots_lkey)
{
    slot->sge[1].lkey = (slot->rma.buf != NULL) ? slot->rma.buf->lkey :
                        (slot->memh != NULL) ? uct_efa_memh_lkey(slot->memh) :
                                               slots_lkey;
}

/* The device has it: what that uses at this moment it may go on using. */
static void uct_srd_rma_done_detach(uct_srd_iface_t *iface,
                                    uct_srd_slot_t *slot, uct_srd_ep_t *ep)
{
    unsigned flags = slot->flags;

    if (slot->rma.ep != ep) {
        return;
    }

    slot->rma.ep = NULL;
    slot->flags &= ~UCT_SRD_SLOT_ZCOPY;
    uct_srd_peer_ep_count_rma(ep, -1);
    if (flags & UCT_SRD_SLOT_ZCOPY) {
        uct_srd_peer_ep_count_zcopy(ep, -1);
        if (slot->comp != NULL) {
            uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
        }
    }
}

static void uct_srd_rma_done_drop(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->rma.buf != NULL) {
        uct_srd_buf_put(iface, slot->rma.buf);
    }
}

const uct_srd_slot_ops_t uct_srd_rma_done_ops = {
    .done    = uct_srd_rma_done_slot,
    .keep    = uct_srd_rma_done_keep,
    .refused = uct_srd_rma_done_refused,
    .renew   = uct_srd_rma_done_renew,
    .detach  = uct_srd_rma_done_detach,
    .drop    = uct_srd_rma_done_drop
};
