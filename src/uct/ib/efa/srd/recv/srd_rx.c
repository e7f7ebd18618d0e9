/*
 * What arrives, beyond the fast path of srd_poll.c: whose is it, which one is
 * it, and what waits behind it.
 */
#include "srd/recv/srd_rx.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_show.h"
#include "srd/peer/srd_trace.h"
#include "srd/queues/srd_queues.h"
#include "srd/def/srd_upcall.h"

/* An early message for which there was no descriptor to spare */
typedef struct {
    unsigned length;
    unsigned am_id;
    uint8_t  data[];
} uct_srd_rx_copy_t;

/* Entries of the ring: descriptors, or copies with the low bit set */
static_assert((alignof(uct_srd_rx_copy_t) > 1) && (alignof(uct_srd_desc_t) > 1),
              "the low bit of their addresses is free");

static int uct_srd_rx_entry_is_copy(const void *entry)
{
    return (uintptr_t)entry & 1;
}

static uct_srd_rx_copy_t *uct_srd_rx_entry_copy(void *entry)
{
    return (uct_srd_rx_copy_t *)((uintptr_t)entry - 1);
}

static void uct_srd_rx_entry_put(uct_srd_iface_t *iface, void *entry)
{
    if (uct_srd_rx_entry_is_copy(entry)) {
        ucs_free(uct_srd_rx_entry_copy(entry));
    } else {
        uct_srd_desc_put(iface, entry);
    }
}

static void uct_srd_rx_copy_deliver(uct_srd_iface_t *iface,
                                    uct_srd_peer_t *peer,
                                    uct_srd_rx_copy_t *copy)
{
    UCT_SRD_COUNT(iface, rx_msgs);
    UCT_SRD_COUNT_ADD(iface, rx_bytes, copy->length);
    uct_srd_peer_count_received(iface, peer, copy->length);
    uct_iface_invoke_am(&iface->super, copy->am_id, copy->data, copy->length,
                        0);
    ucs_free(copy);
}

/* Keeps an early message, desc or a copy of it; a descriptor goes back to the
 * queue in any case. */
static uct_srd_ring_result_t uct_srd_rx_keep(uct_srd_iface_t *iface,
                                             uct_srd_peer_t *peer, uint16_t psn,
                                             uct_srd_desc_t *desc)
{
    uct_srd_desc_t *spare = uct_srd_desc_get(iface);
    uct_srd_ring_result_t result;
    uct_srd_rx_copy_t *copy;
    void *entry;

    if (ucs_likely(spare != NULL)) {
        desc->kept = 1;
        entry      = desc;
    } else {
        spare = desc;
        copy  = ucs_malloc(sizeof(*copy) + desc->length, "srd_out_of_order");
        if (copy == NULL) {
            uct_srd_desc_chain(iface, desc);
            return UCT_SRD_RING_NO_MEMORY;
        }

        copy->length = desc->length;
        copy->am_id  = desc->am_id;
        memcpy(copy->data,
               UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset + desc->offset),
               desc->length);
        entry = UCS_PTR_BYTE_OFFSET(copy, 1);
    }

    uct_srd_desc_chain(iface, spare);
    result = uct_srd_ring_put(&peer->rx.ring, &iface->rx.rings, psn, entry);
    if (result != UCT_SRD_RING_OUT_OF_ORDER) {
        uct_srd_rx_entry_put(iface, entry);
    }

    return result;
}

/* Puts a payload behind offset bytes of header, which has been read, where the
 * user wants it. Returns its offset, 0 or UCT_SRD_EXT_LEN. */
static size_t uct_srd_rx_place(uct_srd_iface_t *iface, void *message,
                               size_t offset, size_t length)
{
    void *data = UCS_PTR_BYTE_OFFSET(message, offset);

    if ((offset == 0) ||
        ((offset == UCT_SRD_EXT_LEN) && !(offset & iface->rx.align_mask))) {
        return offset;
    }

    memmove(message, data, length);
    return 0;
}

/* A message behind an extended header, or not */
static void uct_srd_rx_deliver_desc(uct_srd_iface_t *iface,
                                    uct_srd_peer_t *peer, uct_srd_desc_t *desc,
                                    int held)
{
    void *data = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset + desc->offset);

    if (desc->offset != 0) {
        /* over the header */
        uct_srd_desc_set_release(iface, data, &iface->rx.release_ext);
    }

    uct_srd_rx_deliver(iface, peer, desc, data, desc->length, desc->am_id,
                       UCT_CB_PARAM_FLAG_DESC, held);
}

/* The handlers may end the peer, or start rounds that deliver others'. */
void uct_srd_rx_awaited(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                        uct_srd_desc_t *desc)
{
    uct_srd_rx_current_t current = {
        .peer  = peer,
        .outer = iface->rx.current
    };
    void *entry;

    iface->rx.current = &current;
    ++peer->rx.ring.next;
    uct_srd_rx_deliver_desc(iface, peer, desc, 0);

    while ((current.peer != NULL) &&
           ((entry = uct_srd_ring_pop(&peer->rx.ring, &iface->rx.rings)) !=
            NULL)) {
        if (uct_srd_rx_entry_is_copy(entry)) {
            uct_srd_rx_copy_deliver(iface, peer, uct_srd_rx_entry_copy(entry));
        } else {
            uct_srd_rx_deliver_desc(iface, peer, entry, 1);
        }
    }

    if (current.peer != NULL) {
        uct_srd_show_gap(peer);
    }
    iface->rx.current = current.outer;
}

void uct_srd_rx_purge(uct_srd_peer_t *peer)
{
    void *entry;

    while ((entry = uct_srd_ring_purge(&peer->rx.ring,
                                       &peer->iface->rx.rings)) != NULL) {
        uct_srd_rx_entry_put(peer->iface, entry);
    }
    uct_srd_show_gap(peer);
}

static uct_srd_peer_t *uct_srd_rx_find_gid(uct_srd_iface_t *iface,
                                           const union ibv_gid *gid,
                                           uint32_t qpn)
{
    uct_srd_ident_t ident;

    memset(&ident, 0, sizeof(ident));
    memcpy(ident.gid, gid->raw, sizeof(ident.gid));
    ident.qpn  = qpn;
    ident.qkey = UCT_SRD_ANY_QKEY;
    return uct_srd_names_find(iface, &ident);
}

/* Who sent a message without extended header */
static uct_srd_peer_t *uct_srd_rx_find(uct_srd_iface_t *iface,
                                       const uct_srd_rx_wc_t *rx)
{
    const union ibv_gid *gid;
    uct_srd_peer_t *peer;
    khiter_t iter;
    uint32_t key;

    if (rx->wc.slid == UCT_EFA_AHN_UNKNOWN) {
        return rx->has_gid ?
                       uct_srd_rx_find_gid(iface, &rx->gid, rx->wc.src_qp) :
                       NULL;
    }

    key = uct_srd_key(rx->wc.slid, rx->wc.src_qp);
    if (key == iface->rx.last_key) {
        peer = iface->rx.last_peer; /* the fast path has looked */
    } else {
        iter = kh_get(uct_srd_keys, &iface->peers.keys, key);
        if (iter == kh_end(&iface->peers.keys)) {
            /* Its AH was given up, then made anew for another peer of that
             * host */
            gid = uct_srd_peer_ah_gid(iface, rx->wc.slid);
            return (gid == NULL) ?
                           NULL :
                           uct_srd_rx_find_gid(iface, gid, rx->wc.src_qp);
        }
        peer = kh_val(&iface->peers.keys, iter);
    }

    uct_srd_peer_ah_set_no_ah(peer, 0);
    return peer;
}

int uct_srd_rx_turn(uct_srd_iface_t *iface, uint32_t key)
{
    khiter_t iter = kh_get(uct_srd_keys, &iface->peers.keys, key);
    uct_srd_peer_t *peer;

    if (iter == kh_end(&iface->peers.keys)) {
        return 0;
    }

    peer = kh_val(&iface->peers.keys, iter);
    if ((peer->ah == NULL) || peer->rx.no_ah || iface->trace) {
        return 0;
    }

    iface->rx.last_key  = key;
    iface->rx.last_peer = peer;
    return 1;
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

void uct_srd_rx_drop(uct_srd_iface_t *iface, const void *gid, uint32_t qpn,
                     unsigned counter)
{
    ++(&iface->stats->tx_msgs)[counter];
    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_dropped(iface, gid, qpn, counter);
    }
    uct_efa_stats_event(EFA_STATS_EVENT_RX_DROP, iface->stats, gid, qpn, UCS_OK,
                        counter, 0);
}

void uct_srd_rx_drop_wc(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx,
                        unsigned counter)
{
    const void *gid = rx->has_gid ? rx->gid.raw : NULL;

    if ((gid == NULL) && (rx->wc.wc_flags & IBV_WC_WITH_IMM) &&
        (rx->wc.slid != UCT_EFA_AHN_UNKNOWN)) {
        gid = uct_srd_peer_ah_gid(iface, rx->wc.slid);
    }
    uct_srd_rx_drop(iface, gid, rx->wc.src_qp, counter);
}

static UCS_F_ALWAYS_INLINE void uct_srd_rx_trace(uct_srd_peer_t *peer,
                                                 const uct_srd_desc_t *desc,
                                                 uint32_t imm,
                                                 uct_srd_ring_result_t result)
{
    if (UCT_SRD_TRACE(peer->iface)) {
        uct_srd_trace_recv(peer, imm,
                           UCS_PTR_BYTE_OFFSET(desc, peer->iface->rx.offset +
                                                             desc->offset),
                           desc->length, result);
    }
}

static void uct_srd_rx_failed(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx)
{
    UCT_SRD_COUNT(iface, rx_errors);
    if (!iface->closing && !iface->recover.flushed) {
        /* Of a queue pair that dies the first one says it all. */
        uct_srd_show_event(iface, EFA_STATS_EVENT_RX_ERROR, UCS_OK,
                           rx->wc.vendor_err, 0);
    }
    if (rx->wc.vendor_err == UCT_EFA_STATUS_FLUSHED) {
        iface->recover.flushed = 1;
        uct_srd_queues_set_failed(iface);
    }
}

/* Whose message it is, if it is to be delivered, else NULL. *offset_p: of the
 * payload, 0 or behind an extended header. */
static uct_srd_peer_t *uct_srd_rx_sender(uct_srd_iface_t *iface,
                                         const uct_srd_rx_wc_t *rx,
                                         uint32_t imm, const void *message,
                                         size_t *offset_p)
{
    uct_srd_peer_t *peer;

    *offset_p = 0;
    if (!(rx->wc.wc_flags & IBV_WC_WITH_IMM) || (imm & UCT_SRD_IMM_MBZ)) {
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_imm));
        return NULL;
    } else if (imm & UCT_SRD_IMM_EXT) {
        return uct_srd_upcall_received(iface, rx, imm, message, offset_p);
    } else if (imm & UCT_SRD_IMM_CTL) {
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_header));
        return NULL;
    }

    peer = uct_srd_rx_find(iface, rx);
    if (peer == NULL) {
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_unknown));
        return NULL;
    } else if (!peer->rx.started ||
               ((imm ^ peer->rx.imm_base) & UCT_SRD_IMM_EPOCH_MASK)) {
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_epoch));
        return NULL;
    }

    return peer;
}

/* Everything that is not the fast path */
void uct_srd_rx_slow(uct_srd_iface_t *iface, const uct_srd_rx_wc_t *rx)
{
    uct_srd_desc_t *desc = (uct_srd_desc_t *)rx->wc.wr_id;
    void *message        = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset);
    uint32_t imm         = be32toh(rx->wc.imm_data);
    uct_srd_ring_result_t result;
    uct_srd_peer_t *peer;
    size_t offset;
    uint16_t psn;

    if (rx->wc.status != IBV_WC_SUCCESS) {
        uct_srd_rx_failed(iface, rx);
        uct_srd_desc_chain(iface, desc);
        return;
    }

    peer = uct_srd_rx_sender(iface, rx, imm, message, &offset);
    if (peer == NULL) {
        uct_srd_desc_chain(iface, desc);
        return;
    }

    psn          = (uint16_t)imm;
    desc->length = rx->wc.byte_len - offset;
    desc->am_id  = uct_srd_imm_am_id(imm);
    desc->offset = uct_srd_rx_place(iface, message, offset, desc->length);

    result = uct_srd_ring_classify(&peer->rx.ring, psn);
    if (result == UCT_SRD_RING_AWAITED) {
        uct_srd_rx_trace(peer, desc, imm, result);
        if (peer->rx.ring.held > 0) {
            uct_srd_rx_awaited(iface, peer, desc);
        } else {
            ++peer->rx.ring.next;
            uct_srd_rx_deliver_desc(iface, peer, desc, 0);
        }
        return;
    }

    if (result == UCT_SRD_RING_OUT_OF_ORDER) {
        result = uct_srd_rx_keep(iface, peer, psn, desc);
    } else {
        uct_srd_desc_chain(iface, desc);
    }

    uct_srd_rx_trace(peer, desc, imm, result);
    switch (result) {
    case UCT_SRD_RING_OUT_OF_ORDER:
        UCT_SRD_COUNT(iface, out_of_order);
        ++peer->stats->out_of_order;
        peer->stats->depth   = peer->rx.ring.held;
        peer->stats->rx_time = iface->shown.now;
        if (peer->rx.ring.held == 1) {
            uct_srd_show_gap(peer);
        }
        break;
    case UCT_SRD_RING_NO_MEMORY:
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY,
                              "no memory to keep a message that came early",
                              "free memory or lower UCX_SRD_RX_WINDOW");
        break;
    case UCT_SRD_RING_VIOLATION:
        uct_srd_rx_violation(peer, psn);
        break;
    default:
        UCT_SRD_COUNT(iface, dup);
        ++peer->stats->dup;
        break;
    }
}
