/*
 * The send side beyond the fast path (srd_tx.h): who may send, handshake
 * headers, batches, what the device refuses, ends. Errors: srd_resend.c.
 *
 *   admit --> send --> post --> [batch] --> device --> finish
 *               |                  |
 *               v                  v
 *             held               refused: the peer fails
 */
#include "srd/send/srd_rma.h"

ucs_status_t uct_srd_tx_check(uct_srd_ep_t *ep)
{
    uct_srd_peer_t *peer   = ep->peer;
    uct_srd_iface_t *iface = peer->iface;
    unsigned messages, operations;
    ucs_status_t status;

    if (ucs_unlikely(peer->state == UCT_SRD_PEER_FAILED)) {
        return peer->status;
    } else if (ucs_unlikely(ep->status != UCS_OK)) {
        return ep->status;
    }

    if (ucs_unlikely(iface->recover.failed)) {
        /* Made since the device was given up */
        uct_srd_peer_fail(peer, UCS_ERR_IO_ERROR);
        return peer->status;
    }

    if (ucs_unlikely(peer->rma.beat != iface->tx.fence_beat)) {
        uct_srd_peer_fence(peer);
    }

    /* One answer for messages and operations: whoever is refused queues a
     * pending request, which nobody asks what it will send. */
    messages   = (uint16_t)(peer->tx.psn - peer->tx.una.una);
    operations = (uint16_t)(peer->rma.psn - peer->rma.una.una);
    if ((iface->tx.num_free == 0) ||
        (!ucs_arbiter_group_is_empty(&ep->pending) &&
         (iface->tx.pending_ep != ep)) ||
        (messages >= peer->tx.window) ||
        (messages + operations >= iface->config.peer_window) ||
        !ucs_queue_is_empty(&peer->tx.resend) || peer->rma.fence ||
        peer->blocked) {
        return UCS_ERR_NO_RESOURCE;
    }

    if (ucs_unlikely(peer->rma.fence_am)) {
        /* Still in flight? PSNs may have wrapped since the fence. */
        if ((uint16_t)(peer->tx.psn - peer->rma.fence_psn) < messages) {
            return UCS_ERR_NO_RESOURCE;
        }
        peer->rma.fence_am = 0;
        uct_srd_peer_show_wait(peer);
    }

    if ((peer->state == UCT_SRD_PEER_LEAVING) && (peer->tx.byes > 0)) {
        /* The remote must see them before what follows. */
        return UCS_ERR_NO_RESOURCE;
    }

    status = uct_srd_peer_ah_get(peer);
    if (status == UCS_ERR_NO_RESOURCE) {
        uct_srd_ctl_timer_start(peer, 1e-3);
        return UCS_ERR_NO_RESOURCE;
    } else if (status != UCS_OK) {
        uct_srd_peer_fail(peer, status);
        return status;
    }

    if (peer->state == UCT_SRD_PEER_JOINED) {
        uct_srd_peer_tx_update(peer); /* the AH may be a new one */
    } else if (peer->state != UCT_SRD_PEER_JOINING) {
        uct_srd_ctl_join(peer);
    }

    return UCS_OK;
}

ucs_status_t uct_srd_tx_no_resource(uct_srd_ep_t *ep)
{
    UCT_SRD_COUNT(ep->peer->iface, no_resource);
    UCS_STATS_UPDATE_COUNTER(ep->super.stats, UCT_EP_STAT_NO_RES, 1);
    return UCS_ERR_NO_RESOURCE;
}

ucs_status_t uct_srd_tx_admit(uct_srd_ep_t *ep)
{
    ucs_status_t status = uct_srd_tx_check(ep);

    return (status == UCS_ERR_NO_RESOURCE) ? uct_srd_tx_no_resource(ep) :
                                             status;
}

/* Bytes of payload */
static size_t uct_srd_slot_length(const uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_BUF) {
        return slot->sge[2].length;
    } else if (slot->flags & UCT_SRD_SLOT_ZCOPY) {
        return slot->sge[0].length + slot->sge[1].length;
    }

    return slot->sge[0].length;
}

int uct_srd_slot_must_wait(const uct_srd_slot_t *slot)
{
    return (slot->peer->state != UCT_SRD_PEER_JOINED) &&
           (uct_srd_slot_length(slot) + UCT_SRD_EXT_LEN >
            uct_srd_iface_md(slot->peer->iface)->dev.max_msg_sz);
}

ucs_status_t uct_srd_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer   = slot->peer;
    struct ibv_send_wr *wr = &iface->tx.wrs[iface->tx.batch];
    uct_srd_ext_t ext;
    size_t total           = uct_srd_slot_length(slot);
    struct ibv_sge *sge    = iface->tx.sges[iface->tx.batch];
    struct ibv_send_wr *bad;
    unsigned num_sge;
    uint32_t imm;
    int ret;

    if (slot->flags & UCT_SRD_SLOT_BUF) {
        sge[0]  = slot->sge[2];
        num_sge = 1;
    } else {
        sge[0]  = slot->sge[0];
        sge[1]  = slot->sge[1];
        num_sge = ((slot->flags & UCT_SRD_SLOT_ZCOPY) &&
                   (slot->sge[1].length > 0)) ? 2 : 1;
    }

    imm = slot->imm;
    if (slot->flags & UCT_SRD_SLOT_CTL) {
        memcpy(&wr->wr.ud, &slot->dest, sizeof(wr->wr.ud));
    } else {
        memcpy(&wr->wr.ud, &peer->tx.dest, sizeof(wr->wr.ud));
        imm |= uct_srd_imm_pack(peer->epoch, 0, 0, 0);
        if (peer->state != UCT_SRD_PEER_JOINED) {
            imm           |= UCT_SRD_IMM_EXT;
            sge[0].addr   -= UCT_SRD_EXT_LEN;
            sge[0].length += UCT_SRD_EXT_LEN;
            total         += UCT_SRD_EXT_LEN;
            uct_srd_ext_init(peer, UCT_SRD_OP_DATA, peer->tx.una.una, &ext);
            uct_srd_ext_pack(&ext, (void*)sge[0].addr);
            peer->contacted = 1;
            UCT_SRD_COUNT(iface, tx_ext);
        }
    }

    if ((num_sge == 2) && (sge[0].length == 0)) {
        ++sge;
        num_sge = 1;
    }

    wr->wr_id      = (uintptr_t)slot | UCT_SRD_WR_ID_SEND;
    wr->sg_list    = sge;
    wr->num_sge    = num_sge;
    wr->imm_data   = htobe32(imm);
    /* The user's memory may be a GPU's, which libefa cannot copy */
    wr->send_flags = ((total <= iface->tx.max_inline) &&
                      !(slot->flags & UCT_SRD_SLOT_ZCOPY)) ?
                             IBV_SEND_INLINE : 0;
    wr->next       = NULL;
    uct_srd_slot_clear_queued(slot);
    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_send(iface, slot, imm);
    }

    if (iface->tx.batching) {
        if (++iface->tx.batch == UCT_SRD_POST_BATCH) {
            uct_srd_tx_batch_end(iface);
            uct_srd_tx_batch_begin(iface);
        }
        return UCS_OK;
    }

    ret = ibv_post_send(iface->qp, wr, &bad);
    if (ucs_unlikely(ret != 0)) {
        return uct_srd_tx_refused(peer, ret);
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    return UCS_OK;
}

void uct_srd_tx_batch_begin(uct_srd_iface_t *iface)
{
    iface->tx.batching = 1;
    iface->tx.batch    = 0;
}

void uct_srd_tx_batch_end(uct_srd_iface_t *iface)
{
    unsigned count = iface->tx.batch;
    uct_srd_slot_t *slots[UCT_SRD_POST_BATCH], *slot;
    struct ibv_send_wr *bad;
    unsigned i, first;
    int ret;

    iface->tx.batching = 0;
    iface->tx.batch    = 0;
    if (count == 0) {
        return;
    }

    for (i = 0; i < count - 1; ++i) {
        iface->tx.wrs[i].next = &iface->tx.wrs[i + 1];
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    ret = ibv_post_send(iface->qp, iface->tx.wrs, &bad);
    if (ucs_likely(ret == 0)) {
        return;
    }

    /* Their PSNs are used: the peers fail, and with them what is queued. A peer
     * that fails is told so, with the first of these work requests. */
    first = bad - iface->tx.wrs;
    for (i = first; i < count; ++i) {
        slots[i] = (uct_srd_slot_t*)(iface->tx.wrs[i].wr_id &
                                     ~UCT_SRD_WR_ID_SEND);
    }

    for (i = first; i < count; ++i) {
        slot = slots[i];
        uct_srd_tx_refused(slot->peer, ret);
        if (slot->flags & UCT_SRD_SLOT_CTL) {
            /* As lost: the queue pair may be sound */
            uct_srd_ctl_done(iface, slot, UCT_EFA_STATUS_RNR);
        } else {
            uct_srd_slot_set_queued(slot);
            ucs_queue_push(&slot->peer->tx.resend, &slot->queue);
        }
    }
}

ucs_status_t uct_srd_tx_refused(uct_srd_peer_t *peer, int error)
{
    char cause[64];

    if (peer != NULL) {
        snprintf(cause, sizeof(cause), "ibv_post_send: %s", strerror(error));
        uct_srd_peer_fail_log(peer, UCS_ERR_IO_ERROR, cause,
                              "the local queue pair refused a send; look for "
                              "an earlier error, else please report it");
    }

    return UCS_ERR_IO_ERROR;
}

ucs_status_t uct_srd_tx_refused_slot(uct_srd_iface_t *iface,
                                     uct_srd_peer_t *peer,
                                     uct_srd_slot_t *slot, int error)
{
    slot->flags |= UCT_SRD_SLOT_SILENT;
    uct_srd_slot_release(iface, slot, UCS_ERR_IO_ERROR);
    return uct_srd_tx_refused(peer, error);
}

ucs_status_t uct_srd_tx_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                             uct_srd_slot_t *slot, unsigned am_id, size_t total)
{
    ucs_status_t status;

    slot->peer = peer;
    slot->imm  = (am_id << UCT_SRD_IMM_AM_SHIFT) | peer->tx.psn;

    if (uct_srd_slot_must_wait(slot)) {
        if (ucs_queue_is_empty(&peer->tx.held)) {
            uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
        }
        uct_srd_slot_set_queued(slot);
        ucs_queue_push(&peer->tx.held, &slot->queue);
    } else {
        status = uct_srd_tx_post(iface, slot);
        if (ucs_unlikely(status != UCS_OK)) {
            slot->flags |= UCT_SRD_SLOT_SILENT;
            uct_srd_slot_release(iface, slot, status);
            return status;
        }
    }

    ++peer->tx.psn;
    if (peer->tx.credit > 0) {
        --peer->tx.credit;
    }

    uct_srd_peer_count_sent(peer, total);
    UCT_SRD_COUNT(iface, tx_msgs);
    UCT_SRD_COUNT_ADD(iface, tx_bytes, total);
    return UCS_OK;
}

void uct_srd_tx_finish(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                       ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;
    unsigned credit;

    /* una moves before the user hears of it; the peer stays until all is said */
    credit = uct_srd_peer_count_done(iface, peer, (uint16_t)slot->imm);
    if (!(peer->tx.flags & UCT_SRD_PEER_TX_CLOSED)) {
        peer->tx.credit += credit; /* else the callback could send at once */
    }
    ++peer->tx.ctl;
    uct_srd_slot_release(iface, slot, status);
    --peer->tx.ctl;

    if (peer->tx.flags != 0) {
        uct_srd_peer_tx_progress(peer);
    }
}

void uct_srd_tx_done_ahead(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer = slot->peer;

    peer->tx.credit += uct_srd_peer_count_done(iface, peer,
                                               (uint16_t)slot->imm);
}

void uct_srd_tx_done_slow(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_RMA) {
        uct_srd_rma_done(iface, slot, UCT_EFA_STATUS_OK);
        return;
    } else if (slot->flags & UCT_SRD_SLOT_CTL) {
        uct_srd_ctl_done(iface, slot, UCT_EFA_STATUS_OK);
        return;
    }

    uct_srd_tx_finish(iface, slot,
                      (slot->peer->state == UCT_SRD_PEER_FAILED) ?
                      slot->peer->status : UCS_OK);
}

void uct_srd_tx_purge(uct_srd_peer_t *peer, ucs_queue_head_t *queue,
                      ucs_status_t status)
{
    uct_srd_slot_t *slot;

    while (!ucs_queue_is_empty(queue)) {
        slot = ucs_queue_pull_elem_non_empty(queue, uct_srd_slot_t, queue);
        uct_srd_peer_count_done(peer->iface, peer, (uint16_t)slot->imm);
        uct_srd_slot_release(peer->iface, slot, status);
    }
}
