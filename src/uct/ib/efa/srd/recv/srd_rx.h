/*
 * What arrives: delivered, kept for its turn, or dropped.
 */
#ifndef UCT_SRD_RX_H
#define UCT_SRD_RX_H

#include "srd/peer/srd_peer.h"
#include "srd/recv/srd_desc.h"

/* The place of a counter among those of the interface */
#define UCT_SRD_DROP(_name) \
    ((offsetof(uct_efa_stats_iface_t, _name) - EFA_STATS_IFACE_OFF) / \
     sizeof(uint64_t))

/* Counts a message that is dropped, and records who sent it; gid NULL: not
 * known. */
void uct_srd_rx_drop(uct_srd_iface_t *iface, const void *gid, uint32_t qpn,
                     unsigned counter);

/* The same of one whose sender is known by its completion alone */
void uct_srd_rx_drop_wc(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx,
                        unsigned counter);

/* Makes who sends with this key of AH number and QPN the sender of the last
 * message (rx.last_peer). False: nobody, or nobody for the fast path. */
int uct_srd_rx_turn(uct_srd_iface_t *iface, uint32_t key);

/* A receive completion that is not for the fast path */
void uct_srd_rx_slow(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx);

/* Delivers the message that is awaited, of which desc knows length, am_id and
 * offset, and what the ring holds behind it. */
void uct_srd_rx_awaited(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                        uct_srd_desc_t *desc);

/* Gives back what the reorder ring holds. */
void uct_srd_rx_purge(uct_srd_peer_t *peer);

/* A message of the peer, which may be gone afterwards. held: desc comes from
 * the ring and has been replaced. */
static UCS_F_ALWAYS_INLINE void
uct_srd_rx_deliver(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                   uct_srd_desc_t *desc, void *data, size_t length,
                   unsigned am_id, unsigned flags, int held)
{
    ucs_status_t status;

    UCT_SRD_COUNT(iface, rx_msgs);
    UCT_SRD_COUNT_ADD(iface, rx_bytes, length);
    uct_srd_peer_count_received(iface, peer, length);

    status = uct_iface_invoke_am(&iface->super, am_id, data, length, flags);
    if (ucs_unlikely(status == UCS_INPROGRESS)) {
        desc->kept = 1;
        iface->rx.missing += !held;
    } else if (held) {
        uct_srd_desc_put(iface, desc);
    } else {
        uct_srd_desc_chain(iface, desc);
    }
}

#endif
