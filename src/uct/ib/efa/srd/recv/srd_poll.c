/*
 * Polling the completion queue. What is found: srd_poll_wc.h.
 *
 *   direct  without libefa: srd_poll_direct.c
 *   plain   ibv_poll_cq(): cheapest
 *   blind   while some peer's AH is given up, and until the CQ was empty once
 *           after it was made again, and while somebody's address is not
 *           proven: source GIDs are needed
 *   stash   completions that were taken out before an AH number changed its
 *           meaning; they come first
 */
#include "srd/recv/srd_poll.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/recv/srd_poll_direct.h"
#include "srd/recv/srd_poll_wc.h"

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

/* With source GIDs, which the extended interface tells. Returns how many. */
static unsigned uct_srd_poll_ex(uct_srd_iface_t *iface, uct_srd_rx_wc_t *rx,
                                unsigned max)
{
    struct ibv_cq_ex *cq         = iface->queues.cq_ex;
    struct ibv_poll_cq_attr attr = {};
    unsigned count               = 0;

    if (iface->queues.direct.on) {
        return uct_srd_poll_direct_read(iface, rx, max);
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
    if (uct_srd_poll_may_refill(iface) && ucs_likely(!iface->recover.is)) {
        uct_srd_desc_refill(iface);
    }

    stats->polls += count + 1;
    return count;
}
