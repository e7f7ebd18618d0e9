/*
 * The receive side: descriptors, polling, order, dispatch.
 *
 *   RQ --> completion --> awaited? --> handler --> chain --> RQ
 *                           | early       | kept
 *                           v             v
 *                         ring          user --> free list
 *
 * A descriptor that neither ring nor user keeps goes back to the queue in
 * chains of rx.batch; "missing" counts the others, which are replaced from the
 * free list or the pool. An empty pool slows senders down (RNR), no more.
 *
 * Fast path: a message without extended header, from the same sender as the
 * last one, in order. The rest takes uct_srd_rx_slow().
 */
#include "srd_rx.h"

static void uct_srd_desc_put(uct_srd_iface_t *iface, uct_srd_desc_t *desc)
{
    desc->wr.next  = (struct ibv_recv_wr*)iface->rx.free;
    iface->rx.free = desc;
}

/* The user gives back what its handler kept. */
static void uct_srd_desc_release(uct_recv_desc_t *self, void *user_desc)
{
    uct_srd_iface_t *iface = ucs_container_of(self, uct_srd_iface_t,
                                              rx.release);

    uct_srd_desc_put(iface, UCS_PTR_BYTE_OFFSET(user_desc,
                     -(ptrdiff_t)(iface->rx.offset - iface->rx.headroom)));
}

static void uct_srd_desc_release_ext(uct_recv_desc_t *self, void *user_desc)
{
    uct_srd_iface_t *iface = ucs_container_of(self, uct_srd_iface_t,
                                              rx.release_ext);

    uct_srd_desc_release(&iface->rx.release,
                         UCS_PTR_BYTE_OFFSET(user_desc,
                                             -(ptrdiff_t)UCT_SRD_EXT_LEN));
}

static void uct_srd_desc_set_release(uct_srd_iface_t *iface, void *data,
                                     uct_recv_desc_t *release)
{
    uct_recv_desc(UCS_PTR_BYTE_OFFSET(data, -(ptrdiff_t)iface->rx.headroom)) =
            release;
}

/* What a handler may do with data behind offset bytes of header */
static unsigned
uct_srd_rx_flags(uct_srd_iface_t *iface, void *data, size_t offset)
{
    if (offset == UCT_SRD_EXT_LEN) {
        /* over the header, which has been read */
        uct_srd_desc_set_release(iface, data, &iface->rx.release_ext);
    } else if (offset != 0) {
        return 0;
    }

    return UCT_CB_PARAM_FLAG_DESC;
}

static void
uct_srd_desc_init(uct_iface_h tl_iface, void *obj, uct_mem_h memh)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    uct_srd_desc_t *desc   = obj;
    void *message          = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset);

    desc->sge.addr   = (uintptr_t)message;
    desc->sge.length = uct_srd_iface_md(iface)->dev.max_msg_sz;
    desc->sge.lkey   = uct_efa_memh_lkey(memh);
    desc->wr.wr_id   = (uintptr_t)desc;
    desc->wr.sg_list = &desc->sge;
    desc->wr.num_sge = 1;
    desc->wr.next    = NULL;
    uct_srd_desc_set_release(iface, message, &iface->rx.release);
    VALGRIND_MAKE_MEM_DEFINED(message, desc->sge.length);
}

static UCS_F_ALWAYS_INLINE void
uct_srd_rx_chain(uct_srd_iface_t *iface, uct_srd_desc_t *desc)
{
    desc->wr.next   = iface->rx.chain;
    iface->rx.chain = &desc->wr;
    ++iface->rx.chain_len;
}

static void uct_srd_rx_post(uct_srd_iface_t *iface)
{
    struct ibv_recv_wr *bad, *next;
    int ret;

    ret = ibv_post_recv(iface->qp, iface->rx.chain, &bad);
    iface->rx.chain     = NULL;
    iface->rx.chain_len = 0;
    UCT_SRD_COUNT(iface, rx_refills);

    if (ucs_unlikely(ret != 0)) {
        /* Refused: they are tried again with the next refill. */
        for (; bad != NULL; bad = next) {
            next = bad->next;
            uct_srd_desc_put(iface, (uct_srd_desc_t*)bad->wr_id);
            ++iface->rx.missing;
        }
    }
}

void uct_srd_rx_refill(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc;

    while (iface->rx.missing > 0) {
        desc = iface->rx.free;
        if (desc != NULL) {
            iface->rx.free = (uct_srd_desc_t*)desc->wr.next;
        } else {
            desc = ucs_mpool_get(&iface->rx.mp);
            if (desc == NULL) {
                UCT_SRD_COUNT(iface, rx_starved);
                break;
            }
        }

        --iface->rx.missing;
        uct_srd_rx_chain(iface, desc);
        if (iface->rx.chain_len >= UCT_SRD_RX_CHAIN_MAX) {
            uct_srd_rx_post(iface);
        }
    }

    if (iface->rx.chain_len >= iface->config.rx_batch) {
        uct_srd_rx_post(iface);
    }
}

ucs_status_t uct_srd_rx_init(uct_srd_iface_t *iface,
                             const uct_iface_params_t *params,
                             const uct_srd_iface_config_t *config)
{
    size_t max_msg = uct_srd_iface_md(iface)->dev.max_msg_sz;
    size_t align, align_offset;
    ucs_status_t status;

    iface->rx.headroom   = UCT_IFACE_PARAM_VALUE(params, rx_headroom,
                                                 RX_HEADROOM, 0);
    iface->rx.offset     = sizeof(uct_srd_desc_t) + sizeof(uct_recv_desc_t*) +
                           iface->rx.headroom;
    iface->rx.last_key   = UCT_SRD_NO_KEY;
    iface->rx.release.cb = uct_srd_desc_release;
    iface->rx.release_ext.cb = uct_srd_desc_release_ext;

    status = uct_iface_param_am_alignment(params, max_msg, iface->rx.offset,
                                          iface->rx.offset, &align,
                                          &align_offset);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_iface_mpool_init(&iface->super, &iface->rx.mp,
                                  iface->rx.offset + max_msg, align_offset,
                                  align, &config->rx.mp,
                                  ucs_min(iface->config.rx_queue_len, 256u),
                                  uct_srd_desc_init, "srd_rx");
    if (status != UCS_OK) {
        return status;
    }

    iface->rx.missing = iface->config.rx_queue_len;
    return UCS_OK;
}

void uct_srd_rx_cleanup(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc;

    while ((desc = iface->rx.free) != NULL) {
        iface->rx.free = (uct_srd_desc_t*)desc->wr.next;
        ucs_mpool_put(desc);
    }

    /* What was posted comes back with the pool's memory. */
    ucs_mpool_cleanup(&iface->rx.mp, 0);
}

/* ---------------------------------------------------------------- dispatch */

/* held: desc comes from the ring and is already counted as missing */
static UCS_F_ALWAYS_INLINE void
uct_srd_rx_deliver(uct_srd_iface_t *iface, uct_srd_desc_t *desc, void *data,
                   size_t length, unsigned am_id, unsigned flags, int held)
{
    ucs_status_t status;

    UCT_SRD_COUNT(iface, rx_msgs);
    UCT_SRD_COUNT_ADD(iface, rx_bytes, length);

    status = uct_iface_invoke_am(&iface->super, am_id, data, length, flags);
    if (ucs_unlikely(status == UCS_INPROGRESS)) {
        iface->rx.missing += !held;
    } else if (held) {
        uct_srd_desc_put(iface, desc);
    } else {
        uct_srd_rx_chain(iface, desc);
    }
}

/* Messages behind the one just delivered. The handler may have ended the peer:
 * then it is not the last peer any more. */
static void uct_srd_rx_drain(uct_srd_iface_t *iface, uct_srd_peer_t *peer)
{
    uct_srd_desc_t *desc;
    void *data;

    while ((iface->rx.current == peer) &&
           ((desc = uct_srd_ring_pop(&peer->rx.ring)) != NULL)) {
        data = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset + desc->offset);
        uct_srd_rx_deliver(iface, desc, data, desc->length, desc->am_id,
                           uct_srd_rx_flags(iface, data, desc->offset), 1);
    }
}

void uct_srd_rx_ring_purge(uct_srd_peer_t *peer)
{
    void *desc;

    while ((desc = uct_srd_ring_purge(&peer->rx.ring)) != NULL) {
        uct_srd_desc_put(peer->iface, desc);
    }
}

/* Who sent a message without extended header */
static uct_srd_peer_t *
uct_srd_rx_find(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx)
{
    uct_srd_peer_t *peer;
    uct_srd_ident_t ident;
    khiter_t iter;

    if (rx->wc.slid == UCT_EFA_AHN_UNKNOWN) {
        if (!rx->has_gid) {
            return NULL;
        }

        memset(&ident, 0, sizeof(ident));
        memcpy(ident.gid, rx->gid.raw, sizeof(ident.gid));
        ident.qpn  = rx->wc.src_qp;
        ident.qkey = UCT_SRD_ANY_QKEY;
        return uct_srd_peer_find(iface, &ident);
    }

    iter = kh_get(uct_srd_keys, &iface->keys,
                  uct_srd_key(rx->wc.slid, rx->wc.src_qp));
    if (iter == kh_end(&iface->keys)) {
        return NULL;
    }

    peer = kh_val(&iface->keys, iter);
    if (peer->ah != NULL) {
        iface->rx.last_key  = uct_srd_key(rx->wc.slid, rx->wc.src_qp);
        iface->rx.last_peer = peer;
    }

    return peer;
}

static void uct_srd_rx_violation(uct_srd_peer_t *peer, uint16_t psn)
{
    char cause[96];

    snprintf(cause, sizeof(cause),
             "message %u arrived, %u is awaited and the window is %u", psn,
             peer->rx.ring.next, peer->iface->config.rx_window);
    uct_srd_peer_fail_log(peer, UCS_ERR_IO_ERROR, cause,
                          "a fault of the remote side: please report it");
}

/* Everything that is not the fast path */
static void uct_srd_rx_slow(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx)
{
    uct_srd_desc_t *desc = (uct_srd_desc_t*)rx->wc.wr_id;
    void *message        = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset);
    size_t offset        = 0;
    uct_srd_peer_t *peer;
    uint32_t imm;
    uint16_t psn;

    if (rx->wc.status != IBV_WC_SUCCESS) {
        UCT_SRD_COUNT(iface, rx_errors);
        goto repost;
    }

    imm = be32toh(rx->wc.imm_data);
    if (!(rx->wc.wc_flags & IBV_WC_WITH_IMM) || (imm & UCT_SRD_IMM_MBZ)) {
        UCT_SRD_COUNT(iface, drop_imm);
        goto repost;
    }

    if (imm & UCT_SRD_IMM_EXT) {
        peer = uct_srd_ctl_receive(iface, rx, imm, message, &offset);
        if (peer == NULL) {
            goto repost;
        }
    } else if (imm & UCT_SRD_IMM_CTL) {
        UCT_SRD_COUNT(iface, drop_header);
        goto repost;
    } else {
        peer = uct_srd_rx_find(iface, rx);
        if (peer == NULL) {
            UCT_SRD_COUNT(iface, drop_unknown);
            goto repost;
        }
        if (!peer->rx.started ||
            ((imm ^ peer->rx.imm_base) & UCT_SRD_IMM_EPOCH_MASK)) {
            UCT_SRD_COUNT(iface, drop_epoch);
            goto repost;
        }
    }

    psn          = (uint16_t)imm;
    desc->length = rx->wc.byte_len - offset;
    desc->am_id  = uct_srd_imm_am_id(imm);
    desc->offset = offset;

    switch (uct_srd_ring_put(&peer->rx.ring, psn, desc)) {
    case UCT_SRD_RING_AWAITED:
        ++peer->rx.ring.next;
        iface->rx.current = peer;
        message           = UCS_PTR_BYTE_OFFSET(message, offset);
        uct_srd_rx_deliver(iface, desc, message, desc->length, desc->am_id,
                           uct_srd_rx_flags(iface, message, offset), 0);
        uct_srd_rx_drain(iface, peer);
        return;
    case UCT_SRD_RING_EARLY:
        ++iface->rx.missing;
        UCT_SRD_COUNT(iface, early);
        ++peer->win->early;
        return;
    case UCT_SRD_RING_DUPLICATE:
        UCT_SRD_COUNT(iface, dup);
        ++peer->win->dup;
        break;
    case UCT_SRD_RING_NO_MEMORY:
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY,
                              "no memory for its reorder ring", "free memory");
        break;
    case UCT_SRD_RING_VIOLATION:
        uct_srd_rx_violation(peer, psn);
        break;
    }

repost:
    uct_srd_rx_chain(iface, desc);
}

static UCS_F_ALWAYS_INLINE void
uct_srd_rx_wc(uct_srd_iface_t *iface, const struct ibv_wc *wc)
{
    uct_srd_peer_t *peer = iface->rx.last_peer;
    uct_srd_rx_wc_t rx;
    uct_srd_desc_t *desc;
    uint32_t imm;

    imm = be32toh(wc->imm_data);
    if (ucs_likely((wc->status == IBV_WC_SUCCESS) &&
                   (wc->wc_flags & IBV_WC_WITH_IMM) && (peer != NULL) &&
                   (uct_srd_key(wc->slid, wc->src_qp) == iface->rx.last_key) &&
                   ((imm & ~UCT_SRD_IMM_AM_MASK) ==
                    (peer->rx.imm_base | peer->rx.ring.next)))) {
        desc = (uct_srd_desc_t*)wc->wr_id;
        ++peer->rx.ring.next;
        iface->rx.current = peer;
        uct_srd_rx_deliver(iface, desc,
                           UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset),
                           wc->byte_len, uct_srd_imm_am_id(imm),
                           UCT_CB_PARAM_FLAG_DESC, 0);
        if (ucs_unlikely((iface->rx.current == peer) &&
                         (peer->rx.ring.held > 0))) {
            uct_srd_rx_drain(iface, peer);
        }
        return;
    }

    rx.wc      = *wc;
    rx.has_gid = 0;
    uct_srd_rx_slow(iface, &rx);
}

/* ----------------------------------------------------------------- polling */

/* One round of polling; handlers may start another one, or stash the rest */
typedef struct uct_srd_poll {
    struct uct_srd_poll *outer;
    struct ibv_wc       *wc;      /* either these                            */
    uct_srd_rx_wc_t     *rx;      /* or these                                */
    unsigned            next;
    unsigned            count;
} uct_srd_poll_t;

static UCS_F_ALWAYS_INLINE void
uct_srd_tx_wc(uct_srd_iface_t *iface, const struct ibv_wc *wc)
{
    uct_srd_slot_t *slot = (uct_srd_slot_t*)(wc->wr_id & ~UCT_SRD_WR_ID_SEND);

    if (ucs_likely(wc->status == IBV_WC_SUCCESS)) {
        uct_srd_tx_done(iface, slot);
    } else {
        uct_srd_tx_error(iface, slot, wc->vendor_err);
    }
}

static void uct_srd_any_wc(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx)
{
    if (rx->wc.wr_id & UCT_SRD_WR_ID_SEND) {
        uct_srd_tx_wc(iface, &rx->wc);
    } else {
        uct_srd_rx_slow(iface, rx);
    }
}

/* The extended interface tells source GIDs. Returns how many. */
static unsigned
uct_srd_poll_ex(uct_srd_iface_t *iface, uct_srd_rx_wc_t *rx, unsigned max)
{
    struct ibv_cq_ex *cq         = iface->cq_ex;
    struct ibv_poll_cq_attr attr = {};
    unsigned count               = 0;

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
            if ((iface->cq_efa != NULL) &&
                (rx->wc.slid == UCT_EFA_AHN_UNKNOWN)) {
                rx->has_gid = (efadv_wc_read_sgid(iface->cq_efa, &rx->gid) ==
                               0);
            }
        }
        ++rx;
    } while ((++count < max) && (ibv_next_poll(cq) == 0));

    ibv_end_poll(cq);
    return count;
}

static uct_srd_rx_wc_t *uct_srd_stash_room(uct_srd_iface_t *iface)
{
    unsigned max = iface->rx.stash_len + UCT_SRD_POLL_BATCH;
    uct_srd_rx_wc_t *stash;

    if (max > iface->rx.stash_max) {
        max   = ucs_max(2 * max, 256u);
        stash = ucs_realloc(iface->rx.stash, max * sizeof(*stash), "srd_stash");
        if (stash == NULL) {
            ucs_error("srd: no memory for %u completions", max);
            return NULL;
        }
        iface->rx.stash     = stash;
        iface->rx.stash_max = max;
    }

    return &iface->rx.stash[iface->rx.stash_len];
}

/* Replaces the AH number by whom it means at this moment. */
static void uct_srd_stash_resolve(uct_srd_iface_t *iface, uct_srd_rx_wc_t *rx)
{
    const union ibv_gid *gid;

    if ((rx->wc.wr_id & UCT_SRD_WR_ID_SEND) ||
        (rx->wc.status != IBV_WC_SUCCESS) ||
        (rx->wc.slid == UCT_EFA_AHN_UNKNOWN)) {
        return;
    }

    gid = uct_srd_iface_ahn_gid(iface, rx->wc.slid);
    if (gid != NULL) {
        rx->gid     = *gid;
        rx->has_gid = 1;
    }
    rx->wc.slid = UCT_EFA_AHN_UNKNOWN;
}

void uct_srd_rx_stash(void *arg)
{
    uct_srd_iface_t *iface = arg;
    uct_srd_rx_wc_t *rx;
    uct_srd_poll_t *poll;
    unsigned count, i;

    for (poll = iface->rx.poll; poll != NULL; poll = poll->outer) {
        rx = uct_srd_stash_room(iface);
        if (rx == NULL) {
            return;
        }
        for (; poll->next < poll->count; ++poll->next, ++rx) {
            if (poll->rx != NULL) {
                *rx = poll->rx[poll->next];
            } else {
                rx->wc      = poll->wc[poll->next];
                rx->has_gid = 0;
            }
            uct_srd_stash_resolve(iface, rx);
            ++iface->rx.stash_len;
        }
    }

    do {
        rx = uct_srd_stash_room(iface);
        if (rx == NULL) {
            return;
        }
        count = uct_srd_poll_ex(iface, rx, UCT_SRD_POLL_BATCH);
        for (i = 0; i < count; ++i) {
            uct_srd_stash_resolve(iface, &rx[i]);
        }
        iface->rx.stash_len += count;
    } while (count > 0);
}

/* Handlers may stash more meanwhile: from a copy. */
static unsigned uct_srd_poll_stash(uct_srd_iface_t *iface)
{
    uct_srd_rx_wc_t rx[UCT_SRD_POLL_BATCH];
    unsigned count = ucs_min(iface->rx.stash_len, UCT_SRD_POLL_BATCH);
    unsigned i;

    memcpy(rx, iface->rx.stash, count * sizeof(*rx));
    iface->rx.stash_len -= count;
    memmove(iface->rx.stash, iface->rx.stash + count,
            iface->rx.stash_len * sizeof(*rx));

    for (i = 0; i < count; ++i) {
        uct_srd_any_wc(iface, &rx[i]); /* resolved: need not be stashed again */
    }

    return count;
}

/* Some peer's AH was given up: its messages are known by source GID alone. */
static unsigned uct_srd_poll_blind(uct_srd_iface_t *iface)
{
    uct_srd_rx_wc_t rx[UCT_SRD_POLL_BATCH];
    uct_srd_poll_t poll = {
        .outer = iface->rx.poll,
        .rx    = rx,
        .count = uct_srd_poll_ex(iface, rx, iface->config.max_poll)
    };
    unsigned count      = poll.count;

    iface->rx.poll = &poll;
    while (poll.next < poll.count) {
        uct_srd_any_wc(iface, &rx[poll.next++]);
    }

    iface->rx.poll = poll.outer;
    return count;
}

static UCS_F_ALWAYS_INLINE unsigned uct_srd_poll_plain(uct_srd_iface_t *iface)
{
    struct ibv_wc wcs[UCT_SRD_POLL_BATCH], *wc;
    uct_srd_poll_t poll;
    int count;

    count = ibv_poll_cq(iface->cq, iface->config.max_poll, wcs);
    if (count <= 0) {
        return 0;
    }

    poll.outer     = iface->rx.poll;
    poll.wc        = wcs;
    poll.rx        = NULL;
    poll.next      = 0;
    poll.count     = count;
    iface->rx.poll = &poll;

    do {
        wc = &wcs[poll.next++];
        if (wc->wr_id & UCT_SRD_WR_ID_SEND) {
            uct_srd_tx_wc(iface, wc);
        } else {
            uct_srd_rx_wc(iface, wc);
        }
    } while (poll.next < poll.count);

    iface->rx.poll = poll.outer;
    return count;
}

/* Now and then: before PSNs can have wrapped, or when there is time */
static UCS_F_NOINLINE void uct_srd_iface_keep_house(uct_srd_iface_t *iface)
{
    uint64_t wanted = uct_efa_ah_cache_wanted(uct_srd_iface_md(iface)->ahs);
    uct_srd_peer_t *peer;

    iface->rx.effort = 0;
    ucs_list_for_each(peer, &iface->peers, list) {
        uct_srd_peer_show(peer);
    }

    /* Another interface of this device goes short of address handles */
    if (ucs_unlikely(wanted != iface->ahs_wanted)) {
        iface->ahs_wanted = wanted;
        uct_srd_peer_reclaim(iface, UCT_SRD_RECLAIM);
    }
}

unsigned uct_srd_iface_poll(uct_srd_iface_t *iface)
{
    unsigned count;

    if (ucs_unlikely(iface->rx.stash_len > 0)) {
        count = uct_srd_poll_stash(iface);
    } else if (ucs_unlikely(iface->rx.blind > 0) && (iface->cq_efa != NULL)) {
        count = uct_srd_poll_blind(iface);
    } else {
        count = uct_srd_poll_plain(iface);
    }

    if ((iface->rx.chain_len + iface->rx.missing) >= iface->config.rx_batch) {
        uct_srd_rx_refill(iface);
    }

    iface->rx.effort += count + 1;
    if (ucs_unlikely(iface->rx.effort > UCT_SRD_EFFORT)) {
        uct_srd_iface_keep_house(iface);
    }

    return count;
}
