/*
 * The receive side, and the poll that serves both (srd_poll.c).
 */
#ifndef UCT_SRD_RX_H
#define UCT_SRD_RX_H

#include "srd/send/srd_tx.h"

#define UCT_SRD_RX_CHAIN_MAX 64
#define UCT_SRD_EFFORT       128u  /* polls and completions between two looks */
#define UCT_SRD_LOOK_TIME    10e-3 /* seconds: fewer polls, if they take more */
#define UCT_SRD_RECLAIM      16u    /* AHs given up for others at once        */

/* Headroom and alignment that users may ask for, bytes; memory ends before. So
 * sizes do not overflow. */
#define UCT_SRD_RX_ROOM_MAX  ((size_t)UINT32_MAX)

/* The place of a counter among those of the interface */
#define UCT_SRD_DROP(_name) \
    ((offsetof(uct_efa_stats_iface_t, _name) - EFA_STATS_IFACE_OFF) / \
     sizeof(uint64_t))

/* Counts a message that is dropped, and records who sent it; gid NULL: not
 * known. */
void uct_srd_dropped(uct_srd_iface_t *iface, const void *gid, uint32_t qpn,
                     unsigned counter);

/* The same of one whose sender is known by its completion alone */
void uct_srd_rx_dropped(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx,
                        unsigned counter);

/* Replaces descriptors that users or rings keep; posts full chains. */
void uct_srd_rx_refill(uct_srd_iface_t *iface);

/* From the free list or the pool; NULL: none */
uct_srd_desc_t *uct_srd_desc_get(uct_srd_iface_t *iface);

/* To the free list */
void uct_srd_desc_put(uct_srd_iface_t *iface, uct_srd_desc_t *desc);

/* Says how data is given back if the user keeps it. */
void uct_srd_desc_set_release(uct_srd_iface_t *iface, void *data,
                              uct_recv_desc_t *release);

/* A receive completion that is not for the fast path */
void uct_srd_rx_slow(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx);

/* Delivers the message that is awaited, of which desc knows length, am_id and
 * offset, and what the ring holds behind it. */
void uct_srd_rx_awaited(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                        uct_srd_desc_t *desc);

/* Handles up to max_poll completions. Returns how many. */
unsigned uct_srd_iface_poll(uct_srd_iface_t *iface);

static UCS_F_ALWAYS_INLINE void
uct_srd_rx_chain(uct_srd_iface_t *iface, uct_srd_desc_t *desc)
{
    desc->wr.next   = iface->rx.chain;
    iface->rx.chain = &desc->wr;
    ++iface->rx.chain_len;
}

/* A message of the peer, which may be gone afterwards. held: desc comes from the
 * ring and has been replaced. */
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
        desc->kept         = 1;
        iface->rx.missing += !held;
    } else if (held) {
        uct_srd_desc_put(iface, desc);
    } else {
        uct_srd_rx_chain(iface, desc);
    }
}

#endif
