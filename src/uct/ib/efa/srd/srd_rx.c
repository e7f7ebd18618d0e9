/*
 * What arrives, beyond the fast path of srd_poll.c: whose is it, which one is
 * it, and what waits behind it.
 */
#include "srd_rx.h"

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

/* Messages behind the one just delivered. The handler may have ended the peer:
 * then it is not the last peer any more. */
void uct_srd_rx_drain(uct_srd_iface_t *iface, uct_srd_peer_t *peer)
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
void uct_srd_rx_slow(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx)
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
