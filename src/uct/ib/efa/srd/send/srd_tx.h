/*
 * The send side: what the fast path of a send and of its completion needs.
 * The rest is in srd_tx.c, ends in srd_tx_done.c; the life of a slot:
 *
 *     free --> filled --> posted --> success: una moves, free
 *                 |         | ^
 *      too long   |         | | timer (RNR, retry)
 *      for now    v         v |
 *               held       resend          both: UCT_SRD_SLOT_QUEUED
 */
#ifndef UCT_SRD_TX_H
#define UCT_SRD_TX_H

#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_trace.h"
#include "srd/queues/srd_direct_sq.h"
#include "srd/send/srd_buf.h"
#include "srd/send/srd_slot.h"
#include "srd/def/srd_upcall.h"

/* Everything normal: peer JOINED, window open, nothing waiting, a slot free */
static UCS_F_ALWAYS_INLINE int uct_srd_tx_is_open(const uct_srd_iface_t *iface,
                                                  const uct_srd_ep_t *ep)
{
    return ucs_likely((ep->peer->tx.credit > 0) && (iface->tx.num_free > 0) &&
                      (ep->pending.tail == NULL));
}

/* The same for an operation, which no fence holds up */
static UCS_F_ALWAYS_INLINE int
uct_srd_tx_is_open_rma(const uct_srd_iface_t *iface, const uct_srd_ep_t *ep)
{
    return uct_srd_tx_is_open(iface, ep) &&
           ucs_likely((ep->peer->rma.fence_seq == iface->tx.fence_seq) &&
                      !ep->peer->rma.fence_am);
}

/* May ep send now? Starts the handshake where needed.
 * UCS_ERR_NO_RESOURCE, or the status of the peer's failure. */
ucs_status_t uct_srd_tx_check(uct_srd_ep_t *ep);

/* As above, of a send call: one that is refused is counted. */
ucs_status_t uct_srd_tx_admit(uct_srd_ep_t *ep);

/* Counts a refused send call. Returns UCS_ERR_NO_RESOURCE. */
ucs_status_t uct_srd_tx_no_resource(uct_srd_ep_t *ep);

/* Slow path of all sends, after admit: gives slot its PSN and posts it. The
 * slot is gone when this fails. total: bytes of payload. */
ucs_status_t uct_srd_tx_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                             uct_srd_slot_t *slot, unsigned am_id,
                             size_t total);

/* Posts a message, with the extended header if the peer needs it. */
ucs_status_t uct_srd_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* Is it too long as long as its peer needs the extended header? */
int uct_srd_tx_must_wait(const uct_srd_slot_t *slot);

/* ibv_post_send() refused slot in the send call: it is given back, its PSN was
 * not used. */
ucs_status_t uct_srd_tx_refused_slot(uct_srd_iface_t *iface,
                                     uct_srd_peer_t *peer,
                                     uct_srd_slot_t *slot, int error);

/* The device sends one block of the user's memory: no strides. */
#define UCT_SRD_CHECK_BLOCK(_iov, _iovcnt, _name) \
    UCT_CHECK_PARAM(((_iovcnt) == 0) || ((_iov)->count <= 1) || \
                    ((_iov)->stride == (_iov)->length), \
                    "Invalid %s iov: %u blocks of %zu bytes, %zu apart " \
                    "(expected: one block)", \
                    _name, (_iov)->count, (_iov)->length, (_iov)->stride)

/* Fast path after uct_srd_tx_is_open(): slot's sge are filled, total is their
 * sum, kind and num_sge say which work request it becomes. Consumes a PSN and a
 * credit. */
static UCS_F_ALWAYS_INLINE ucs_status_t
uct_srd_tx_post_fast(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                     uct_srd_slot_t *slot, unsigned am_id,
                     uct_srd_wr_kind_t kind, struct ibv_sge *sge,
                     unsigned num_sge, size_t total)
{
    uct_srd_direct_sq_t *sq = &iface->queues.direct.sq;
    struct ibv_send_wr *bad, *wr;
    uint32_t imm;
    int ret;

    imm        = (am_id << UCT_SRD_IMM_AM_SHIFT) | peer->tx.psn;
    slot->peer = peer;
    slot->imm  = imm;

    if (iface->queues.direct.on) {
        uct_srd_direct_sq_message(sq, &peer->tx.dest,
                                  uct_srd_slot_index(iface, slot),
                                  imm | peer->tx.imm_base,
                                  kind == UCT_SRD_WR_INLINE, sge, num_sge,
                                  total);
        uct_srd_direct_sq_ring(sq);
    } else {
        wr           = &iface->tx.wr[kind];
        wr->wr_id    = (uintptr_t)slot | UCT_SRD_WR_ID_SEND;
        wr->sg_list  = sge;
        wr->num_sge  = num_sge;
        wr->imm_data = htobe32(imm | peer->tx.imm_base);
        memcpy(&wr->wr.ud, &peer->tx.dest, sizeof(wr->wr.ud));

        ret = ibv_post_send(iface->queues.qp, wr, &bad);
        if (ucs_unlikely(ret != 0)) {
            return uct_srd_tx_refused_slot(iface, peer, slot, ret);
        }
    }

    if (UCT_SRD_TRACE_FAST()) {
        uct_srd_trace_send(iface, slot, imm | peer->tx.imm_base);
    }

    ++peer->tx.psn;
    --peer->tx.credit;
    uct_srd_peer_count_sent(peer, total);
    UCT_SRD_COUNT(iface, tx_msgs);
    UCT_SRD_COUNT_ADD(iface, tx_bytes, total);
    UCT_SRD_COUNT(iface, tx_doorbells);
    return UCS_OK;
}

/* The same of a buffer of ours */
static UCS_F_ALWAYS_INLINE ucs_status_t
uct_srd_tx_post_buf(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                    uct_srd_slot_t *slot, unsigned am_id, struct ibv_sge *sge,
                    size_t total)
{
    if (total <= iface->tx.max_inline) {
        return uct_srd_tx_post_fast(iface, peer, slot, am_id, UCT_SRD_WR_INLINE,
                                    sge, 1, total);
    }

    return uct_srd_tx_post_fast(iface, peer, slot, am_id, UCT_SRD_WR_BUF, sge,
                                1, total);
}

#endif
