/*
 * The send side: what the fast path of a send and of its completion needs.
 * The rest is in srd_tx.c, errors in srd_resend.c; the life of a slot:
 *
 *     free --> filled --> posted --> success: una moves, free
 *                 |         | ^
 *      too long   |         | | timer (RNR, retry)
 *      for now    v         v |
 *               held       resend          both: UCT_SRD_SLOT_QUEUED
 */
#ifndef UCT_SRD_TX_H
#define UCT_SRD_TX_H

#include "srd/uct/srd_ep.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_trace.h"

/* Everything normal: peer JOINED, window open, nothing waiting, a slot free */
static UCS_F_ALWAYS_INLINE int
uct_srd_tx_is_open(const uct_srd_iface_t *iface, const uct_srd_ep_t *ep)
{
    return ucs_likely((ep->peer->tx.credit > 0) && (iface->tx.num_free > 0) &&
                      (ep->pending.tail == NULL));
}

static UCS_F_ALWAYS_INLINE uct_srd_slot_t *
uct_srd_slot_get(uct_srd_iface_t *iface)
{
    return iface->tx.free[--iface->tx.num_free];
}

static UCS_F_ALWAYS_INLINE void
uct_srd_slot_put(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    iface->tx.free[iface->tx.num_free++] = slot;
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

/* The slot waits in a queue of its peer; does so no more, if it did. */
static UCS_F_ALWAYS_INLINE void uct_srd_slot_set_queued(uct_srd_slot_t *slot)
{
    slot->flags |= UCT_SRD_SLOT_QUEUED;
    ++slot->peer->stats->queued;
}

static UCS_F_ALWAYS_INLINE void uct_srd_slot_clear_queued(uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_QUEUED) {
        slot->flags &= ~UCT_SRD_SLOT_QUEUED;
        --slot->peer->stats->queued;
    }
}

/* Is it too long as long as its peer needs the extended header? */
int uct_srd_slot_must_wait(const uct_srd_slot_t *slot);

/* Posts a slot, with the extended header if the peer needs it. */
ucs_status_t uct_srd_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* Collects posts between begin and end into few doorbells. */
void uct_srd_tx_batch_begin(uct_srd_iface_t *iface);
void uct_srd_tx_batch_end(uct_srd_iface_t *iface);

/* ibv_post_send() refused slot: the peer fails, never the process. */
ucs_status_t uct_srd_tx_refused(uct_srd_peer_t *peer, int error);

/* As above, in the send call: slot is given back, its PSN was not used. */
ucs_status_t uct_srd_tx_refused_slot(uct_srd_iface_t *iface,
                                     uct_srd_peer_t *peer,
                                     uct_srd_slot_t *slot, int error);

/* Gives back what the slot holds and the slot; completes with status. */
void uct_srd_slot_release(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          ucs_status_t status);

/* Of a message that completed before an older one, or that older one: its PSN */
void uct_srd_tx_done_ahead(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* The device is done with a slot that needs more than the fast path. */
void uct_srd_tx_done_slow(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* The slot's message has come to its end. */
void uct_srd_tx_finish(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                       ucs_status_t status);

/* A completion with an error, srd_resend.c. vendor_err: the device's status */
void uct_srd_tx_error(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                      unsigned vendor_err);

/* For the flight recorder; not of those that are sent again anyway, and of a
 * peer that is lost the first only. */
void uct_srd_tx_note_error(uct_srd_peer_t *peer, unsigned vendor_err,
                           unsigned retries);

/* All slots of a queue have ended with status (failed peer). */
void uct_srd_tx_purge(uct_srd_peer_t *peer, ucs_queue_head_t *queue,
                      ucs_status_t status);

/* Posts a queue's slots; stops at the first that is refused. */
void uct_srd_tx_queue_post(uct_srd_peer_t *peer, ucs_queue_head_t *queue);

/* Replaces the user's memory by a copy, so that the slot outlives it.
 * UCS_ERR_NO_MEMORY; UCS_ERR_UNSUPPORTED: no CPU can read it. */
ucs_status_t uct_srd_tx_detach(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* What the device did not take, or may not have: to be sent again. */
void uct_srd_tx_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* Starts the pause before what has failed is sent again, unless it runs.
 * vendor_err: why, or UCT_EFA_STATUS_OK. */
void uct_srd_tx_timer_start(uct_srd_peer_t *peer, unsigned vendor_err);
void uct_srd_tx_timer(uct_srd_timer_t *timer);

/* A bcopy buffer, NULL: none (tx.bufs_short is set). There is at least one, which
 * comes back: a send returns uct_srd_tx_no_resource() then. */
uct_srd_buf_t *uct_srd_buf_get_slow(uct_srd_iface_t *iface);

/* A pack callback wrote length bytes to buf, for which there was no room. Puts
 * buf back; UCS_ERR_INVALID_PARAM. */
ucs_status_t uct_srd_buf_overrun(uct_srd_iface_t *iface, uct_srd_buf_t *buf,
                                 size_t length, size_t max, const char *name);

/* The device sends one block of the user's memory: no strides. */
#define UCT_SRD_CHECK_BLOCK(_iov, _iovcnt, _name) \
    UCT_CHECK_PARAM(((_iovcnt) == 0) || ((_iov)->count <= 1) || \
                    ((_iov)->stride == (_iov)->length), \
                    "Invalid %s iov: %u blocks of %zu bytes, %zu apart " \
                    "(expected: one block)", \
                    _name, (_iov)->count, (_iov)->length, (_iov)->stride)

static UCS_F_ALWAYS_INLINE uct_srd_buf_t *
uct_srd_buf_get(uct_srd_iface_t *iface)
{
    uct_srd_buf_t *buf = iface->tx.bufs;

    if (ucs_unlikely(buf == NULL)) {
        return uct_srd_buf_get_slow(iface);
    }

    iface->tx.bufs = buf->next;
    return buf;
}

static UCS_F_ALWAYS_INLINE void
uct_srd_buf_put(uct_srd_iface_t *iface, uct_srd_buf_t *buf)
{
    buf->next            = iface->tx.bufs;
    iface->tx.bufs       = buf;
    iface->tx.bufs_short = 0;
}

/* Fast path after uct_srd_tx_is_open(): slot's sge are filled, total is their
 * sum, wr is a prepared one with its num_sge. Consumes a PSN and a credit. */
static UCS_F_ALWAYS_INLINE ucs_status_t
uct_srd_tx_post_fast(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                     uct_srd_slot_t *slot, unsigned am_id,
                     struct ibv_send_wr *wr, struct ibv_sge *sge, size_t total)
{
    struct ibv_send_wr *bad;
    uint32_t imm;
    int ret;

    imm          = (am_id << UCT_SRD_IMM_AM_SHIFT) | peer->tx.psn;
    slot->peer   = peer;
    slot->imm    = imm;
    wr->wr_id    = (uintptr_t)slot | UCT_SRD_WR_ID_SEND;
    wr->sg_list  = sge;
    wr->imm_data = htobe32(imm | peer->tx.imm_base);
    memcpy(&wr->wr.ud, &peer->tx.dest, sizeof(wr->wr.ud));

    ret = ibv_post_send(iface->qp, wr, &bad);
    if (ucs_unlikely(ret != 0)) {
        return uct_srd_tx_refused_slot(iface, peer, slot, ret);
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
        return uct_srd_tx_post_fast(iface, peer, slot, am_id,
                                    &iface->tx.wr[UCT_SRD_WR_INLINE], sge,
                                    total);
    }

    return uct_srd_tx_post_fast(iface, peer, slot, am_id,
                                &iface->tx.wr[UCT_SRD_WR_BUF], sge, total);
}

static_assert(sizeof(uct_srd_dest_t) == sizeof(((struct ibv_send_wr*)0)->wr.ud),
              "copied as one");
static_assert(offsetof(struct ibv_send_wr, wr.ud.remote_qkey) -
              offsetof(struct ibv_send_wr, wr.ud.ah) ==
              offsetof(uct_srd_dest_t, qkey), "copied as one");

/* Success of one send */
static UCS_F_ALWAYS_INLINE void
uct_srd_tx_done(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer = slot->peer;

    if (ucs_unlikely(slot->flags & ~UCT_SRD_SLOT_BUF)) {
        uct_srd_tx_done_slow(iface, slot);
        return;
    }

    if (slot->flags & UCT_SRD_SLOT_BUF) {
        uct_srd_buf_put(iface, slot->buf);
        slot->flags = 0;
    }

    if (ucs_likely(uct_srd_una_is_next(&peer->tx.una, (uint16_t)slot->imm))) {
        ++peer->tx.una.una;
        ++peer->tx.credit;
        ++peer->stats->tx_done;
        peer->stats->done_time = iface->shown.now;
    } else {
        uct_srd_tx_done_ahead(iface, slot);
    }
    uct_srd_slot_put(iface, slot);

    if (ucs_unlikely(peer->tx.flags != 0)) {
        uct_srd_peer_tx_progress(peer);
    }
}

#endif
