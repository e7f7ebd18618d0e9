/*
 * Messages that have come to their end, or not: the fast path of a completion.
 * The rest is in srd_tx_done.c.
 */
#ifndef UCT_SRD_TX_DONE_H
#define UCT_SRD_TX_DONE_H

#include "srd/peer/srd_peer.h"
#include "srd/send/srd_buf.h"
#include "srd/send/srd_slot.h"
#include "srd/def/srd_upcall.h"

extern const uct_srd_slot_ops_t uct_srd_tx_done_ops;

/* Of a message that completed before an older one, or that older one: its
 * PSN */
void uct_srd_tx_done_ahead(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* All slots of a queue have ended with status (failed peer). */
void uct_srd_tx_done_purge(uct_srd_peer_t *peer, ucs_queue_head_t *queue,
                           ucs_status_t status);

/* Success of one send */
static UCS_F_ALWAYS_INLINE void uct_srd_tx_done(uct_srd_iface_t *iface,
                                                uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer = slot->peer;

    if (ucs_unlikely(slot->flags & ~UCT_SRD_SLOT_BUF)) {
        slot->ops->done(iface, slot, UCT_EFA_STATUS_OK);
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
        uct_srd_upcall_moved(peer);
    }
}

#endif
