/*
 * The send side beyond the fast path (srd_tx.h): who may send, handshake
 * headers.
 *
 *   admit --> send --> post --> [batch] --> device --> finish (srd_tx_done.c)
 *               |                  |
 *               v                  v
 *             held               refused: the peer fails (srd_post.c)
 */
#include "srd/send/srd_tx.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_show.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_fence.h"
#include "srd/send/srd_post.h"

ucs_status_t uct_srd_tx_check(uct_srd_ep_t *ep)
{
    uct_srd_peer_t *peer   = ep->peer;
    uct_srd_iface_t *iface = peer->iface;
    unsigned messages, operations;
    ucs_status_t status;
    int had_ah;

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

    if (ucs_unlikely(peer->rma.fence_seq != iface->tx.fence_seq)) {
        uct_srd_fence_peer(peer);
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
        uct_srd_gate_has(peer, UCT_SRD_GATE_RETRANSMIT | UCT_SRD_GATE_FENCE |
                                       UCT_SRD_GATE_RESUME)) {
        return UCS_ERR_NO_RESOURCE;
    }

    if (ucs_unlikely(peer->rma.fence_am)) {
        /* Still in flight? PSNs may have wrapped since the fence. */
        if ((uint16_t)(peer->tx.psn - peer->rma.fence_psn) < messages) {
            return UCS_ERR_NO_RESOURCE;
        }
        peer->rma.fence_am = 0;
        uct_srd_show_wait(peer);
    }

    if ((peer->state == UCT_SRD_PEER_LEAVING) && (peer->ctl.byes > 0)) {
        /* The remote must see them before what follows. */
        return UCS_ERR_NO_RESOURCE;
    }

    had_ah = (peer->ah != NULL);
    status = uct_srd_peer_ah_get(peer);
    if (status == UCS_ERR_NO_RESOURCE) {
        uct_srd_ctl_timer_start(peer, 1e-3);
        return UCS_ERR_NO_RESOURCE;
    } else if (status != UCS_OK) {
        uct_srd_peer_fail(peer, status);
        return status;
    }

    if (peer->state == UCT_SRD_PEER_JOINED) {
        uct_srd_gate_update(peer); /* the AH may be a new one */
    } else if ((peer->state != UCT_SRD_PEER_JOINING) || !had_ah) {
        uct_srd_upcall_wants(peer, UCT_SRD_WANTS_SEND);
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

/* The pieces of a message: how many, 1 or 2, and their bytes */
static unsigned uct_srd_tx_pieces(const uct_srd_slot_t *slot,
                                  const struct ibv_sge **pieces_p,
                                  size_t *length_p)
{
    const struct ibv_sge *pieces = slot->sge;
    unsigned num                 = 1;

    if (slot->flags & UCT_SRD_SLOT_BUF) {
        pieces = &slot->sge[2];
    } else if ((slot->flags & UCT_SRD_SLOT_ZCOPY) && (pieces[1].length > 0)) {
        num = 2;
    }

    *pieces_p = pieces;
    *length_p = pieces[0].length + ((num == 2) ? pieces[1].length : 0);
    return num;
}

int uct_srd_tx_must_wait(const uct_srd_slot_t *slot)
{
    const struct ibv_sge *pieces;
    size_t length;

    if (slot->peer->state == UCT_SRD_PEER_JOINED) {
        return 0;
    }

    uct_srd_tx_pieces(slot, &pieces, &length);
    return length + UCT_SRD_EXT_LEN >
           uct_srd_iface_md(slot->peer->iface)->dev.max_msg_sz;
}

ucs_status_t uct_srd_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer = slot->peer;
    uint32_t imm         = slot->imm | uct_srd_imm_pack(peer->epoch, 0, 0, 0);
    const struct ibv_sge *pieces;
    struct ibv_send_wr *wr;
    struct ibv_sge *sge;
    uct_srd_ext_t ext;
    unsigned num_sge;
    size_t total;

    wr      = uct_srd_post_next(iface, &sge);
    num_sge = uct_srd_tx_pieces(slot, &pieces, &total);
    memcpy(sge, pieces, num_sge * sizeof(*sge));
    if (peer->state != UCT_SRD_PEER_JOINED) {
        imm |= UCT_SRD_IMM_EXT;
        sge[0].addr -= UCT_SRD_EXT_LEN;
        sge[0].length += UCT_SRD_EXT_LEN;
        total += UCT_SRD_EXT_LEN;
        uct_srd_ctl_ext_init(peer, UCT_SRD_OP_DATA, peer->tx.una.una, &ext);
        uct_srd_ext_pack(&ext, (void *)sge[0].addr);
        peer->ctl.contacted = 1;
        UCT_SRD_COUNT(iface, tx_ext);
    }

    if ((num_sge == 2) && (sge[0].length == 0)) {
        ++sge;
        num_sge = 1;
    }

    wr->sg_list    = sge;
    wr->num_sge    = num_sge;
    /* The user's memory may be a GPU's, which libefa cannot copy */
    wr->send_flags = ((total <= iface->tx.max_inline) &&
                      !(slot->flags & UCT_SRD_SLOT_ZCOPY)) ?
                             IBV_SEND_INLINE :
                             0;
    uct_srd_slot_clear_queued(slot);
    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_send(iface, slot, imm);
    }

    return uct_srd_post(iface, slot, &peer->tx.dest, wr, imm);
}

ucs_status_t uct_srd_tx_refused_slot(uct_srd_iface_t *iface,
                                     uct_srd_peer_t *peer, uct_srd_slot_t *slot,
                                     int error)
{
    slot->comp = NULL;
    uct_srd_slot_release(iface, slot, UCS_ERR_IO_ERROR);
    return uct_srd_post_refused(peer, error);
}

ucs_status_t uct_srd_tx_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                             uct_srd_slot_t *slot, unsigned am_id, size_t total)
{
    ucs_status_t status;

    slot->peer = peer;
    slot->imm  = (am_id << UCT_SRD_IMM_AM_SHIFT) | peer->tx.psn;

    if (uct_srd_tx_must_wait(slot)) {
        if (ucs_queue_is_empty(&peer->tx.held)) {
            uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
        }
        uct_srd_slot_set_queued(slot);
        ucs_queue_push(&peer->tx.held, &slot->queue);
    } else {
        status = uct_srd_tx_post(iface, slot);
        if (ucs_unlikely(status != UCS_OK)) {
            slot->comp = NULL;
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
