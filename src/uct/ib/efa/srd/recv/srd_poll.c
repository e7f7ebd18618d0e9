/*
 * Polling the completion queue, and the fast path of what arrives: a message
 * without extended header, from a known sender, in order. That of the last one
 * is found at once.
 *
 *   direct  without libefa, which has nothing below to choose from
 *   plain   ibv_poll_cq(): cheapest
 *   blind   while some peer's AH is given up, and until the CQ was empty once
 *           after it was made again, and while somebody's address is not
 *           proven: source GIDs are needed
 *   stash   completions that were taken out before an AH number changed its
 *           meaning; they come first
 */
#include "srd/recv/srd_poll.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_trace.h"
#include "srd/queues/srd_direct_cq.h"
#include "srd/queues/srd_direct_rq.h"
#include "srd/queues/srd_queues.h"
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

static UCS_F_ALWAYS_INLINE void uct_srd_poll_rx_wc(uct_srd_iface_t *iface,
                                                   const struct ibv_wc *wc)
{
    uct_srd_rx_wc_t rx;

    if (ucs_likely((wc->status == IBV_WC_SUCCESS) &&
                   (wc->wc_flags & IBV_WC_WITH_IMM) &&
                   uct_srd_poll_rx(iface, (uct_srd_desc_t *)wc->wr_id,
                                   uct_srd_key(wc->slid, wc->src_qp),
                                   be32toh(wc->imm_data), wc->byte_len))) {
        return;
    }

    rx.wc      = *wc;
    rx.has_gid = 0;
    uct_srd_rx_slow(iface, &rx);
}

/* One round of polling; handlers may start another one, or stash the rest */
typedef struct uct_srd_poll {
    struct uct_srd_poll *outer;
    uct_srd_rx_wc_t     *rx;      /* these are left                          */
    uct_srd_rx_wc_t     *rx_end;
    struct ibv_wc       *wc;      /* or, if rx is NULL, these                */
    struct ibv_wc       *wc_end;
} uct_srd_poll_t;

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

static void uct_srd_poll_any_wc(uct_srd_iface_t *iface,
                                const uct_srd_rx_wc_t *rx)
{
    if (rx->wc.wr_id & UCT_SRD_WR_ID_SEND) {
        uct_srd_poll_tx_wc(iface, &rx->wc);
    } else {
        uct_srd_rx_slow(iface, rx);
    }
}

/* What a completion of the direct path says: of a send (id: its slot), */
static void uct_srd_poll_cqe_status(uint32_t first, uintptr_t id,
                                    uct_srd_rx_wc_t *rx)
{
    rx->has_gid       = 0;
    rx->wc.wr_id      = id;
    rx->wc.vendor_err = UCT_SRD_DIRECT_CQE_STATUS(first);
    rx->wc.status     = (rx->wc.vendor_err == UCT_EFA_STATUS_OK) ?
                                IBV_WC_SUCCESS :
                                IBV_WC_GENERAL_ERR;
}

/* and of the receive that desc was posted for. */
static void uct_srd_poll_cqe_rx(const uct_srd_iface_t *iface,
                                const uct_srd_direct_cqe_t *cqe, uint32_t first,
                                uct_srd_desc_t *desc, uct_srd_rx_wc_t *rx)
{
    uct_srd_poll_cqe_status(first, (uintptr_t)desc, rx);
    rx->wc.imm_data = htobe32(cqe->imm);
    rx->wc.byte_len = cqe->length;
    rx->wc.src_qp   = cqe->src_qpn;
    rx->wc.slid     = cqe->ahn;
    /* No message of ours is a WRITE: dropped, as one without */
    rx->wc.wc_flags = ((first & UCT_SRD_DIRECT_CQE_HAS_IMM) &&
                       !(first & UCT_SRD_DIRECT_CQE_OP)) ?
                              IBV_WC_WITH_IMM :
                              0;
    if ((iface->queues.cq_efa != NULL) && (cqe->ahn == UCT_EFA_AHN_UNKNOWN)) {
        rx->has_gid = 1;
        memcpy(rx->gid.raw, cqe->gid, sizeof(rx->gid.raw));
    }
}

/* A completion that no work request explains: its id is not in use, or more
 * bytes came than there was room for. Nothing that the device says of this
 * queue pair is believed from now on: it is given up, as one that failed. */
static UCS_F_NOINLINE void
uct_srd_poll_cqe_nonsense(uct_srd_iface_t *iface,
                          const uct_srd_direct_cqe_t *cqe, uint32_t first)
{
    if (uct_srd_queues_is_failed(iface)) {
        return; /* known, and perhaps what follows from it */
    }

    ucs_error("srd: %s wrote a completion that belongs to no work request "
              "(first word 0x%x, QPN %u, %u bytes): the queue pair is "
              "replaced; look for errors of the device in the kernel's log, "
              "else please report it",
              uct_efa_md_device_name(uct_srd_iface_md(iface)), first, cqe->qpn,
              cqe->length);
    uct_srd_queues_set_failed(iface);
}

/* The device has answered a receive with what cannot be. */
static UCS_F_NOINLINE void
uct_srd_poll_cqe_rx_nonsense(uct_srd_iface_t *iface,
                             const uct_srd_direct_cqe_t *cqe, uint32_t first,
                             uct_srd_desc_t *desc)
{
    uct_srd_poll_cqe_nonsense(iface, cqe, first);
    if (desc != NULL) {
        uct_srd_desc_chain(iface, desc);
    }
}

/* The descriptor that an entry gives back; NULL: it is not to be believed. Only
 * of a message does the length say what is in the buffer. */
static UCS_F_ALWAYS_INLINE uct_srd_desc_t *
uct_srd_poll_cqe_desc(uct_srd_iface_t *iface, const uct_srd_direct_cqe_t *cqe,
                      uint32_t first, int is_message)
{
    uct_srd_desc_t *desc = uct_srd_direct_rq_take(&iface->queues.direct.rq,
                                                  UCT_SRD_DIRECT_CQE_ID(first));

    if (ucs_unlikely((desc == NULL) ||
                     (is_message && (cqe->length > desc->sge.length)))) {
        uct_srd_poll_cqe_rx_nonsense(iface, cqe, first, desc);
        return NULL;
    }

    return desc;
}

/* One entry, without handling it. False: it is not to be believed. */
static int uct_srd_poll_cqe_read(uct_srd_iface_t *iface,
                                 const uct_srd_direct_cqe_t *cqe,
                                 uint32_t first, uct_srd_rx_wc_t *rx)
{
    uint16_t id = UCT_SRD_DIRECT_CQE_ID(first);
    uct_srd_desc_t *desc;
    int is_message;

    if ((first & UCT_SRD_DIRECT_CQE_QUEUE) == UCT_SRD_DIRECT_CQE_SEND) {
        if (id >= iface->tx.num_slots) {
            uct_srd_poll_cqe_nonsense(iface, cqe, first);
            return 0;
        }
        uct_srd_poll_cqe_status(first,
                                (uintptr_t)&iface->tx.slots[id] |
                                        UCT_SRD_WR_ID_SEND,
                                rx);
        return 1;
    }

    is_message = (UCT_SRD_DIRECT_CQE_STATUS(first) == UCT_EFA_STATUS_OK) &&
                 (first & UCT_SRD_DIRECT_CQE_HAS_IMM) &&
                 !(first & UCT_SRD_DIRECT_CQE_OP);
    desc = uct_srd_poll_cqe_desc(iface, cqe, first, is_message);
    if (desc == NULL) {
        return 0;
    }

    uct_srd_poll_cqe_rx(iface, cqe, first, desc, rx);
    return 1;
}

/* The completions that the queue has, without handling them. */
static unsigned uct_srd_poll_cqes_read(uct_srd_iface_t *iface,
                                       uct_srd_rx_wc_t *rx, unsigned max)
{
    uct_srd_direct_cq_t *cq = &iface->queues.direct.cq;
    unsigned count          = 0;
    uint32_t first;

    uct_srd_direct_cq_look(cq);
    while ((count < max) && uct_srd_direct_cq_is_ready(cq, &first)) {
        count += uct_srd_poll_cqe_read(iface, uct_srd_direct_cq_next(cq), first,
                                       &rx[count]);
    }

    if (count > 0) {
        uct_srd_direct_cq_ring(cq, 0);
    }
    return count;
}

/* With source GIDs, which the extended interface tells. Returns how many. */
static unsigned uct_srd_poll_ex(uct_srd_iface_t *iface, uct_srd_rx_wc_t *rx,
                                unsigned max)
{
    struct ibv_cq_ex *cq         = iface->queues.cq_ex;
    struct ibv_poll_cq_attr attr = {};
    unsigned count               = 0;

    if (iface->queues.direct.on) {
        return uct_srd_poll_cqes_read(iface, rx, max);
    }

    if (ibv_start_poll(cq, &attr) != 0) {
        return 0;
    }

    do {
        rx->has_gid       = 0;
        rx->wc.wr_id      = cq->wr_id;
        rx->wc.status     = cq->status;
        rx->wc.vendor_err = ibv_wc_read_vendor_err(cq);
        if (!(cq->wr_id & UCT_SRD_WR_ID_SEND)) {
            rx->wc.wc_flags = ibv_wc_read_wc_flags(cq);
            rx->wc.byte_len = ibv_wc_read_byte_len(cq);
            rx->wc.imm_data = ibv_wc_read_imm_data(cq);
            rx->wc.src_qp   = ibv_wc_read_src_qp(cq);
            rx->wc.slid     = ibv_wc_read_slid(cq);
            if ((iface->queues.cq_efa != NULL) &&
                (rx->wc.slid == UCT_EFA_AHN_UNKNOWN)) {
                rx->has_gid = (efadv_wc_read_sgid(iface->queues.cq_efa,
                                                  &rx->gid) == 0);
            }
        }
        ++rx;
    } while ((++count < max) && (ibv_next_poll(cq) == 0));

    ibv_end_poll(cq);
    return count;
}

/* Replaces the AH number by whom it means at this moment. */
static void uct_srd_poll_stash_resolve(uct_srd_iface_t *iface,
                                       uct_srd_rx_wc_t *rx)
{
    const union ibv_gid *gid;

    if ((rx->wc.wr_id & UCT_SRD_WR_ID_SEND) ||
        (rx->wc.status != IBV_WC_SUCCESS) ||
        (rx->wc.slid == UCT_EFA_AHN_UNKNOWN)) {
        return;
    }

    gid = uct_srd_peer_ah_gid(iface, rx->wc.slid);
    if (gid != NULL) {
        rx->gid     = *gid;
        rx->has_gid = 1;
    }
    rx->wc.slid = UCT_EFA_AHN_UNKNOWN;
}

void uct_srd_poll_stash_all(void *arg)
{
    uct_srd_iface_t *iface = arg;
    unsigned before        = iface->rx.stash_len;
    unsigned room          = iface->tx.num_slots + iface->config.rx_queue_len;
    uct_srd_rx_wc_t *rx;
    uct_srd_poll_t *poll;
    unsigned count, i;

    /* There is room for one of each work request: what is here has not been
     * handled, and is posted once. */
    rx = &iface->rx.stash[iface->rx.stash_len];
    for (poll = iface->rx.poll; poll != NULL; poll = poll->outer) {
        for (; (poll->rx != NULL) ? (poll->rx < poll->rx_end) :
                                    (poll->wc < poll->wc_end);
             ++rx) {
            if (poll->rx != NULL) {
                *rx = *poll->rx++;
            } else {
                rx->wc      = *poll->wc++;
                rx->has_gid = 0;
            }
            uct_srd_poll_stash_resolve(iface, rx);
            ++iface->rx.stash_len;
        }
    }

    do {
        count = uct_srd_poll_ex(iface, rx,
                                ucs_min(UCT_SRD_POLL_BATCH,
                                        room - iface->rx.stash_len));
        for (i = 0; i < count; ++i, ++rx) {
            uct_srd_poll_stash_resolve(iface, rx);
        }
        iface->rx.stash_len += count;
    } while ((count > 0) && (iface->rx.stash_len < room));

    iface->rx.special += (before == 0) && (iface->rx.stash_len > 0);
}

/* Handlers may stash more meanwhile: from a copy. */
static unsigned uct_srd_poll_stashed(uct_srd_iface_t *iface)
{
    uct_srd_rx_wc_t rx[UCT_SRD_POLL_BATCH];
    unsigned count = ucs_min(iface->rx.stash_len, UCT_SRD_POLL_BATCH);
    unsigned i;

    memcpy(rx, iface->rx.stash, count * sizeof(*rx));
    iface->rx.stash_len -= count;
    iface->rx.special -= (iface->rx.stash_len == 0);
    memmove(iface->rx.stash, iface->rx.stash + count,
            iface->rx.stash_len * sizeof(*rx));

    for (i = 0; i < count; ++i) {
        uct_srd_poll_any_wc(iface, &rx[i]); /* resolved: not stashed again */
    }

    return count;
}

/* Some peer's AH was given up: its messages are known by source GID alone. */
static unsigned uct_srd_poll_blind(uct_srd_iface_t *iface)
{
    uct_srd_rx_wc_t rx[UCT_SRD_POLL_BATCH];
    unsigned count      = uct_srd_poll_ex(iface, rx, iface->config.max_poll);
    uct_srd_poll_t poll = {
        .outer  = iface->rx.poll,
        .rx     = rx,
        .rx_end = rx + count
    };

    if (count < iface->config.max_poll) {
        uct_srd_peer_ah_set_unverified(iface,
                                       0); /* from now on the AH is named */
    }

    iface->rx.poll = &poll;
    while (poll.rx < poll.rx_end) {
        uct_srd_poll_any_wc(iface, poll.rx++);
    }

    iface->rx.poll = poll.outer;
    return count;
}

static UCS_F_ALWAYS_INLINE unsigned uct_srd_poll_plain(uct_srd_iface_t *iface)
{
    struct ibv_wc wcs[UCT_SRD_POLL_BATCH], *wc;
    uct_srd_poll_t poll;
    int count;

    count = ibv_poll_cq(iface->queues.cq, iface->config.max_poll, wcs);
    if (count <= 0) {
        return 0;
    }

    poll.outer     = iface->rx.poll;
    poll.wc        = wcs;
    poll.wc_end    = wcs + count;
    poll.rx        = NULL;
    iface->rx.poll = &poll;

    do {
        wc = poll.wc++;
        if (wc->wr_id & UCT_SRD_WR_ID_SEND) {
            uct_srd_poll_tx_wc(iface, wc);
        } else {
            uct_srd_poll_rx_wc(iface, wc);
        }
    } while (poll.wc < poll.wc_end);

    iface->rx.poll = poll.outer;
    return count;
}

/* An entry that is not for the fast paths */
static UCS_F_NOINLINE void
uct_srd_poll_cqe_slow(uct_srd_iface_t *iface, const uct_srd_direct_cqe_t *cqe,
                      uint32_t first)
{
    uct_srd_rx_wc_t rx;

    if (uct_srd_poll_cqe_read(iface, cqe, first, &rx)) {
        uct_srd_poll_any_wc(iface, &rx);
    }
}

static UCS_F_ALWAYS_INLINE void
uct_srd_poll_cqe(uct_srd_iface_t *iface, const uct_srd_direct_cqe_t *cqe,
                 uint32_t first)
{
    uint16_t id = UCT_SRD_DIRECT_CQE_ID(first);
    uct_srd_desc_t *desc;
    uct_srd_rx_wc_t rx;

    if ((first & UCT_SRD_DIRECT_CQE_TX_MASK) == UCT_SRD_DIRECT_CQE_TX_PLAIN) {
        if (ucs_likely(id < iface->tx.num_slots)) {
            uct_srd_tx_done(iface, &iface->tx.slots[id]);
            return;
        }
    } else if (ucs_likely((first & UCT_SRD_DIRECT_CQE_RX_MASK) ==
                          UCT_SRD_DIRECT_CQE_RX_PLAIN)) {
        desc = uct_srd_poll_cqe_desc(iface, cqe, first, 1);
        if (ucs_unlikely(desc == NULL) ||
            ucs_likely(uct_srd_poll_rx(iface, desc,
                                       uct_srd_key(cqe->ahn, cqe->src_qpn),
                                       cqe->imm, cqe->length))) {
            return;
        }

        uct_srd_poll_cqe_rx(iface, cqe, first, desc, &rx);
        uct_srd_rx_slow(iface, &rx);
        return;
    }

    uct_srd_poll_cqe_slow(iface, cqe, first);
}

/* Handlers may start another round, or stash what the queue has: each entry is
 * taken out before it is handled. An entry tells the source GID where one is
 * needed: there is one way of polling. */
static unsigned uct_srd_poll_direct(uct_srd_iface_t *iface)
{
    uct_srd_direct_cq_t *cq = &iface->queues.direct.cq;
    unsigned count          = 0;
    uint32_t first;

    uct_srd_direct_cq_look(cq);
    if (!uct_srd_direct_cq_is_ready(cq, &first)) {
        return 0;
    }

    ++iface->rx.direct_rounds; /* the queues stay, whatever handlers do */
    do {
        uct_srd_poll_cqe(iface, uct_srd_direct_cq_next(cq), first);
    } while ((++count < iface->config.max_poll) &&
             uct_srd_direct_cq_is_ready(cq, &first));

    --iface->rx.direct_rounds;
    uct_srd_direct_cq_ring(cq, 0);
    return count;
}

unsigned uct_srd_poll(uct_srd_iface_t *iface)
{
    uct_efa_stats_iface_t *stats = iface->stats;
    unsigned count;

    /* Before the poll: what it finds after a pause is not of before that. */
    if (ucs_unlikely(stats->polls >= iface->house.look_at)) {
        iface->house.look(iface);
    }

    if (ucs_likely(iface->rx.special == 0)) {
        count = iface->queues.direct.on ? uct_srd_poll_direct(iface) :
                                          uct_srd_poll_plain(iface);
    } else if (iface->rx.stash_len > 0) {
        count = uct_srd_poll_stashed(iface);
    } else if (iface->queues.direct.on) {
        count = uct_srd_poll_direct(iface);
        if (count < iface->config.max_poll) {
            uct_srd_peer_ah_set_unverified(iface, 0); /* as when blind */
        }
    } else if (iface->queues.cq_efa != NULL) {
        count = uct_srd_poll_blind(iface);
    } else {
        count = uct_srd_poll_plain(iface);
    }

    /* A dead queue pair may give back at once whatever it is given. */
    if (((iface->rx.chain_len + iface->rx.missing) >= iface->config.rx_batch) &&
        ucs_likely(!iface->recover.is)) {
        uct_srd_desc_refill(iface);
    }

    stats->polls += count + 1;
    return count;
}
