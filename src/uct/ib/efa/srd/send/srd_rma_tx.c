/*
 * The life of a one-sided operation between the call and its completion; the
 * picture is in srd_rma_tx.h.
 */
#include "srd/send/srd_rma_tx.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/peer/srd_trace.h"
#include "srd/queues/srd_queues.h"
#include "srd/send/srd_buf.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_post.h"
#include "srd/send/srd_retransmit.h"
#include "srd/send/srd_rma_key.h"
#include "srd/send/srd_slot.h"
#include "srd/def/srd_upcall.h"

/* UCS_INPROGRESS, UCS_ERR_NO_ELEM: as uct_srd_rma_key_find(); the slot is as
 * before */
static ucs_status_t
uct_srd_rma_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_dest_t *dest = &slot->peer->tx.dest;
    struct ibv_qp_ex *qp = iface->queues.qp_ex;
    uint32_t rkey        = slot->rma.rkey;
    ucs_status_t status;
    int ret;

    if (ucs_unlikely(slot->rma.generation != slot->peer->rx.generation)) {
        status = uct_srd_rma_key_find(slot->peer, &slot->rma, &rkey);
        if (status != UCS_OK) {
            return status;
        }
    }

    if (!iface->tx.rma_batching) {
        ibv_wr_start(qp);
    }
    qp->wr_id    = (uintptr_t)slot | UCT_SRD_WR_ID_SEND;
    qp->wr_flags = 0; /* the queue pair signals all */
    if (slot->flags & UCT_SRD_SLOT_READ) {
        ibv_wr_rdma_read(qp, rkey, slot->rma.remote_addr);
    } else {
        ibv_wr_rdma_write(qp, rkey, slot->rma.remote_addr);
    }
    ibv_wr_set_sge(qp, slot->sge[1].lkey, slot->sge[1].addr,
                   slot->sge[1].length);
    ibv_wr_set_ud_addr(qp, dest->ah, dest->qpn, dest->qkey);

    if (iface->tx.rma_batching) {
        return UCS_OK;
    }

    ret = ibv_wr_complete(qp);
    if (ucs_unlikely(ret != 0)) {
        return uct_srd_post_refused(slot->peer, ret);
    }

    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_rma(iface, slot, rkey);
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    return UCS_OK;
}

static void uct_srd_rma_tx_hold(uct_srd_peer_t *peer, uct_srd_slot_t *slot)
{
    uct_srd_slot_set_queued(slot);
    ucs_queue_push(&peer->rma.held, &slot->queue);
}

void uct_srd_rma_tx_batch_begin(uct_srd_iface_t *iface)
{
    iface->tx.rma_batching = 1;
    ibv_wr_start(iface->queues.qp_ex);
}

void uct_srd_rma_tx_batch_end(uct_srd_iface_t *iface, uct_srd_slot_t **slots,
                              unsigned count)
{
    int ret = ibv_wr_complete(iface->queues.qp_ex);
    unsigned i;

    iface->tx.rma_batching = 0;
    UCT_SRD_COUNT(iface, tx_doorbells);
    if (ucs_likely(ret == 0)) {
        return;
    }

    /* None was taken, and all have their place in the sequence: they end when
     * the peer's failure is told. */
    uct_srd_post_refused(slots[0]->peer, ret);
    for (i = 0; i < count; ++i) {
        uct_srd_rma_tx_hold(slots[i]->peer, slots[i]);
    }
}

/* Takes a filled slot out of its endpoint's accounts and frees it. */
static void
uct_srd_rma_tx_slot_put(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                        ucs_status_t status)
{
    uct_srd_buf_t *buf = slot->rma.buf;

    if (slot->rma.ep != NULL) {
        uct_srd_peer_ep_count_rma(slot->rma.ep, -1);
    }

    if (buf != NULL) {
        if ((status == UCS_OK) && (slot->rma.unpack != NULL) &&
            (slot->flags & UCT_SRD_SLOT_ZCOPY) &&
            !(slot->flags & UCT_SRD_SLOT_CANCEL)) {
            slot->rma.unpack(slot->rma.arg, buf->data, slot->sge[1].length);
        }
        uct_srd_buf_put(iface, buf);
    }

    slot->ops = iface->tx.ops;
    uct_srd_slot_release(iface, slot, status);
}

/* The operation has come to its end. The caller sees to it that the peer stays
 * until all is said, and that what waited for it goes on. */
static void uct_srd_rma_tx_end(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                               ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;
    unsigned left;

    uct_srd_una_done(&peer->rma.una, (uint16_t)slot->imm);
    left                   = uct_srd_peer_rma_outstanding(peer);
    peer->stats->rma       = left;
    peer->stats->done_time = iface->shown.now;
    if (left == 0) {
        ucs_list_del(&peer->rma.list);
    }
    uct_srd_rma_tx_slot_put(iface, slot, status);
}

static void uct_srd_rma_tx_finish(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                  ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;

    uct_srd_peer_hold(peer);
    uct_srd_rma_tx_end(iface, slot, status);
    uct_srd_peer_release(peer);
    uct_srd_upcall_moved(peer);
}

static void uct_srd_rma_tx_again(uct_srd_peer_t *peer, uct_srd_slot_t *slot,
                                 unsigned vendor_err)
{
    UCT_SRD_COUNT(peer->iface, resend);
    ++peer->stats->resend;
    slot->flags |= UCT_SRD_SLOT_AGAIN;
    uct_srd_rma_tx_hold(peer, slot);
    uct_srd_retransmit_start(peer, vendor_err);
}

ucs_status_t uct_srd_rma_tx_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                                 uct_srd_slot_t *slot)
{
    size_t length = slot->sge[1].length;
    ucs_status_t status;

    slot->peer = peer;
    slot->imm  = peer->rma.psn;

    if (ucs_likely(peer->state == UCT_SRD_PEER_JOINED)) {
        status = uct_srd_rma_tx_post(iface, slot);
    } else {
        if (ucs_queue_is_empty(&peer->rma.held)) {
            uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
        }
        status = UCS_INPROGRESS;
    }

    if (ucs_unlikely(peer->state >= UCT_SRD_PEER_FAILED)) {
        status = peer->status; /* a post was refused: nothing waits any more */
    }
    if (ucs_unlikely((status == UCS_INPROGRESS) ||
                     (status == UCS_ERR_NO_ELEM))) {
        uct_srd_rma_tx_hold(peer, slot);
        if (peer->state == UCT_SRD_PEER_JOINED) {
            uct_srd_retransmit_start(peer, UCT_EFA_STATUS_OK);
        }
    } else if (ucs_unlikely(status != UCS_OK)) {
        slot->flags |= UCT_SRD_SLOT_SILENT;
        uct_srd_rma_tx_slot_put(iface, slot, status);
        return status;
    }

    if (slot->flags & UCT_SRD_SLOT_READ) {
        UCT_SRD_COUNT(iface, rdma_read_ops);
        UCT_SRD_COUNT_ADD(iface, rdma_read_bytes, length);
    } else {
        UCT_SRD_COUNT(iface, rdma_write_ops);
        UCT_SRD_COUNT_ADD(iface, rdma_write_bytes, length);
    }

    if (uct_srd_peer_rma_outstanding(peer) == 0) {
        ucs_list_add_tail(&iface->tx.rma_peers, &peer->rma.list);
    }
    ++peer->rma.psn;
    peer->stats->rma = uct_srd_peer_rma_outstanding(peer);
    uct_srd_gate_update(peer); /* it shares the send queue with messages */
    return UCS_OK;
}

static void
uct_srd_rma_tx_op_failed(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                         const uct_efa_status_desc_t *desc)
{
    uct_srd_peer_t *peer = slot->peer;
    uct_srd_ep_t *ep     = slot->rma.ep;
    int has_comp         = (slot->flags & UCT_SRD_SLOT_ZCOPY) &&
                           (slot->comp != NULL);
    ucs_log_level_t level;
    char local[64], remote[64];

    /* Once where users see it: a bad key is seldom used only once. */
    level = ((ep == NULL) || peer->rma.logged) ? UCS_LOG_LEVEL_DEBUG :
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
            (void*)slot->rma.remote_addr, slot->rma.rkey,
            (slot->flags & UCT_SRD_SLOT_READ) ? "to" : "from",
            (void*)slot->sge[1].addr, ucs_status_string(desc->status),
            desc->text, desc->advice);

    UCT_SRD_COUNT(iface, rdma_errors);
    if (!has_comp && (ep != NULL)) {
        uct_srd_peer_ep_fail(ep, desc->status);
    }
    uct_srd_rma_tx_finish(iface, slot, desc->status);
}

void uct_srd_rma_tx_held_post(uct_srd_peer_t *peer)
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
                 UCS_ERR_NO_RESOURCE : uct_srd_peer_ah_get(peer);
        if (status == UCS_OK) {
            status = uct_srd_rma_tx_post(iface, slot);
        }

        if (status == UCS_OK) {
            uct_srd_slot_clear_queued(slot);
            /* one shows whether it answers */
            stop = uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED);
        } else if (status == UCS_ERR_NO_ELEM) {
            uct_srd_slot_clear_queued(slot);
            uct_srd_rma_tx_op_failed(
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

void uct_srd_rma_tx_held_purge(uct_srd_peer_t *peer, uct_srd_ep_t *ep,
                               ucs_status_t status)
{
    ucs_queue_head_t all, queue;
    uct_srd_slot_t *slot;

    ucs_queue_head_init(&all);
    ucs_queue_head_init(&queue);
    ucs_queue_splice(&all, &peer->rma.held);
    while (!ucs_queue_is_empty(&all)) {
        slot = ucs_queue_pull_elem_non_empty(&all, uct_srd_slot_t, queue);
        ucs_queue_push(((ep == NULL) || (slot->rma.ep == ep)) ?
                       &queue : &peer->rma.held, &slot->queue);
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

static void uct_srd_rma_tx_error(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                 unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_efa_status_action_t action    = desc->action[UCT_EFA_STATUS_RMA];
    uct_srd_peer_t *peer              = slot->peer;

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_rma_tx_finish(iface, slot, peer->status);
        return;
    }

    uct_srd_retransmit_note(peer, vendor_err, slot->retries);
    if (((slot->flags & UCT_SRD_SLOT_CANCEL) || (slot->rma.ep == NULL)) &&
        ((action == UCT_EFA_STATUS_ACTION_HANDSHAKE) ||
         (action == UCT_EFA_STATUS_ACTION_RETRY) ||
         (action == UCT_EFA_STATUS_ACTION_SUSPECT_RETRY))) {
        uct_srd_rma_tx_finish(iface, slot, UCS_ERR_CANCELED);
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
        uct_srd_rma_tx_op_failed(iface, slot, desc);
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
            uct_srd_rma_tx_again(peer, slot, vendor_err);
            return;
        }
        break;
    }

    UCT_SRD_COUNT(iface, tx_errors);
    peer->cause = vendor_err;
    uct_srd_peer_fail_log(peer, desc->status, desc->text, desc->advice);
    uct_srd_rma_tx_finish(iface, slot, peer->status);
}

static void uct_srd_rma_tx_done(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                unsigned vendor_err)
{
    if (ucs_unlikely(vendor_err != UCT_EFA_STATUS_OK)) {
        uct_srd_rma_tx_error(iface, slot, vendor_err);
        return;
    }

    uct_srd_rma_tx_finish(iface, slot,
                          (slot->peer->state >= UCT_SRD_PEER_FAILED) ?
                          slot->peer->status : UCS_OK);
}

static void uct_srd_rma_tx_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if ((slot->peer->state >= UCT_SRD_PEER_FAILED) ||
        (slot->flags & UCT_SRD_SLOT_CANCEL) || (slot->rma.ep == NULL)) {
        /* as cancelled, or with the peer's status */
        uct_srd_rma_tx_done(iface, slot, UCT_EFA_STATUS_UNRESPONSIVE);
    } else {
        uct_srd_rma_tx_hold(slot->peer, slot);
    }
}

static void
uct_srd_rma_tx_refused(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_rma_tx_hold(slot->peer, slot);
}

static void uct_srd_rma_tx_renew(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                 uint32_t slots_lkey)
{
    slot->sge[1].lkey = (slot->rma.buf != NULL) ? slot->rma.buf->lkey :
                        (slot->memh != NULL) ?
                        uct_efa_memh_lkey(slot->memh) : slots_lkey;
}

/* The device has it: what that uses at this moment it may go on using. */
static void uct_srd_rma_tx_detach(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                  uct_srd_ep_t *ep)
{
    unsigned flags = slot->flags;

    if (slot->rma.ep != ep) {
        return;
    }

    slot->rma.ep  = NULL;
    slot->flags  &= ~UCT_SRD_SLOT_ZCOPY;
    uct_srd_peer_ep_count_rma(ep, -1);
    if (flags & UCT_SRD_SLOT_ZCOPY) {
        uct_srd_peer_ep_count_zcopy(ep, -1);
        if (slot->comp != NULL) {
            uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
        }
    }
}

static void uct_srd_rma_tx_drop(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->rma.buf != NULL) {
        uct_srd_buf_put(iface, slot->rma.buf);
    }
}

const uct_srd_slot_ops_t uct_srd_rma_tx_slot_ops = {
    .done    = uct_srd_rma_tx_done,
    .keep    = uct_srd_rma_tx_keep,
    .refused = uct_srd_rma_tx_refused,
    .renew   = uct_srd_rma_tx_renew,
    .detach  = uct_srd_rma_tx_detach,
    .drop    = uct_srd_rma_tx_drop
};
