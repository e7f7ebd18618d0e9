/*
 * What a completion becomes, whichever way it was polled: the end of a send, or
 * a message. The fast path of a message: without extended header, from a known
 * sender, in order. That of the last one is found at once.
 */
#ifndef UCT_SRD_POLL_WC_H
#define UCT_SRD_POLL_WC_H

#include "srd/peer/srd_trace.h"
#include "srd/recv/srd_rx.h"
#include "srd/send/srd_tx_done.h"

/* Whether rx.last_peer is whose message this is, or has become it. */
static UCS_F_ALWAYS_INLINE int uct_srd_poll_turn(uct_srd_iface_t *iface,
                                                 uint32_t key)
{
    return ucs_likely(key == iface->rx.last_key) || uct_srd_rx_turn(iface, key);
}

static UCS_F_ALWAYS_INLINE int
uct_srd_poll_is_awaited(const uct_srd_peer_t *peer, uint32_t imm)
{
    return (imm & ~UCT_SRD_IMM_AM_MASK) ==
           (peer->rx.imm_base | peer->rx.ring.next);
}

/* A message with immediate data that came well. False: not for the fast path */
static UCS_F_ALWAYS_INLINE int uct_srd_poll_rx(uct_srd_iface_t *iface,
                                               uct_srd_desc_t *desc,
                                               uint32_t key, uint32_t imm,
                                               size_t length)
{
    uct_srd_peer_t *peer;
    void *data;

    if (ucs_unlikely(!uct_srd_poll_turn(iface, key) ||
                     !uct_srd_poll_is_awaited(iface->rx.last_peer, imm))) {
        return 0;
    }

    peer = iface->rx.last_peer;
    data = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset);
    if (UCT_SRD_TRACE_FAST()) {
        uct_srd_trace_recv(peer, imm, data, length, UCT_SRD_RING_AWAITED);
    }

    if (ucs_unlikely(peer->rx.ring.held > 0)) {
        desc->length = length;
        desc->am_id  = uct_srd_imm_am_id(imm);
        desc->offset = 0;
        uct_srd_rx_awaited(iface, peer, desc);
        return 1;
    }

    ++peer->rx.ring.next;
    uct_srd_rx_deliver(iface, peer, desc, data, length, uct_srd_imm_am_id(imm),
                       UCT_CB_PARAM_FLAG_DESC, 0);
    return 1;
}

static UCS_F_ALWAYS_INLINE void uct_srd_poll_tx_wc(uct_srd_iface_t *iface,
                                                   const struct ibv_wc *wc)
{
    uct_srd_slot_t *slot = (uct_srd_slot_t *)(wc->wr_id & ~UCT_SRD_WR_ID_SEND);

    if (ucs_likely(wc->status == IBV_WC_SUCCESS)) {
        uct_srd_tx_done(iface, slot);
    } else {
        slot->ops->done(iface, slot, wc->vendor_err);
    }
}

static inline void uct_srd_poll_any_wc(uct_srd_iface_t *iface,
                                       const uct_srd_rx_wc_t *rx)
{
    if (rx->wc.wr_id & UCT_SRD_WR_ID_SEND) {
        uct_srd_poll_tx_wc(iface, &rx->wc);
    } else {
        uct_srd_rx_slow(iface, rx);
    }
}

#endif
