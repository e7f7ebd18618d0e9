/*
 * A one-sided operation from the call to the device; the picture is in
 * srd_rma_tx.h. Completions: srd_rma_done.c, what waits: srd_rma_held.c.
 */
#include "srd/send/srd_rma_tx.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/peer/srd_trace.h"
#include "srd/queues/srd_direct_sq.h"
#include "srd/send/srd_buf.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_post.h"
#include "srd/send/srd_retransmit.h"
#include "srd/send/srd_rma_key.h"
#include "srd/send/srd_slot.h"

/* It has left alone, not in a batch. */
static void uct_srd_rma_tx_posted(uct_srd_iface_t *iface,
                                  const uct_srd_slot_t *slot, uint32_t rkey)
{
    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_rma(iface, slot, rkey);
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
}

static void uct_srd_rma_tx_post_direct(uct_srd_iface_t *iface,
                                       const uct_srd_slot_t *slot,
                                       uint32_t rkey)
{
    uct_srd_direct_sq_t *sq = &iface->queues.direct.sq;

    uct_srd_direct_sq_rdma(sq, &slot->peer->tx.dest,
                           uct_srd_slot_index(iface, slot),
                           (slot->flags & UCT_SRD_SLOT_READ) ?
                                   UCT_SRD_DIRECT_READ :
                                   UCT_SRD_DIRECT_WRITE,
                           rkey, slot->rma.remote_addr, &slot->sge[1]);
    if (iface->tx.rma_batching) {
        uct_srd_direct_sq_batch(sq);
    } else {
        uct_srd_direct_sq_ring(sq);
        uct_srd_rma_tx_posted(iface, slot, rkey);
    }
}

/* UCS_INPROGRESS, UCS_ERR_NO_ELEM: as uct_srd_rma_key_find(); the slot is as
 * before */
ucs_status_t uct_srd_rma_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
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

    if (iface->queues.direct.on) {
        uct_srd_rma_tx_post_direct(iface, slot, rkey);
        return UCS_OK;
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

    uct_srd_rma_tx_posted(iface, slot, rkey);
    return UCS_OK;
}

void uct_srd_rma_tx_hold(uct_srd_peer_t *peer, uct_srd_slot_t *slot)
{
    uct_srd_slot_set_queued(slot);
    ucs_queue_push(&peer->rma.held, &slot->queue);
}

void uct_srd_rma_tx_batch_begin(uct_srd_iface_t *iface)
{
    iface->tx.rma_batching = 1;
    if (!iface->queues.direct.on) {
        ibv_wr_start(iface->queues.qp_ex);
    }
}

void uct_srd_rma_tx_batch_end(uct_srd_iface_t *iface, uct_srd_slot_t **slots,
                              unsigned count)
{
    unsigned i;
    int ret;

    iface->tx.rma_batching = 0;
    UCT_SRD_COUNT(iface, tx_doorbells);
    if (iface->queues.direct.on) {
        (void)uct_srd_direct_sq_batch_end(&iface->queues.direct.sq);
        return;
    }

    ret = ibv_wr_complete(iface->queues.qp_ex);
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
static void uct_srd_rma_tx_slot_put(uct_srd_iface_t *iface,
                                    uct_srd_slot_t *slot, ucs_status_t status)
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
 * until all is said, and, if tx.flags are not zero then, that what waited goes
 * on: uct_srd_upcall_moved(). */
void uct_srd_rma_tx_end(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                        ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;
    unsigned moved, left;

    moved                  = uct_srd_una_done(&peer->rma.una, &iface->tx.unas,
                                              (uint16_t)slot->imm);
    left                   = uct_srd_peer_rma_outstanding(peer);
    peer->stats->rma       = left;
    peer->stats->done_time = iface->shown.now;
    if (left == 0) {
        ucs_list_del(&peer->rma.list);
    }

    /* Before callbacks, which may work the credit out anew */
    if (ucs_likely(peer->tx.flags == 0)) {
        uct_srd_gate_ops_end(peer, moved);
    }
    uct_srd_rma_tx_slot_put(iface, slot, status);
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
        slot->comp = NULL;
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
    uct_srd_gate_op_begin(peer);
    return UCS_OK;
}
