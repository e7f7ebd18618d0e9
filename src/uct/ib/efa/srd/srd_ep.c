/*
 * Endpoints: the UCT operations.
 *
 *   am_*      is everything normal? ------ yes --> slot, post
 *                     | no
 *                  admit: NO_RESOURCE, failure, or slot, extended header
 *   flush     waits until the peer's una reaches today's PSN
 *   pending   one arbiter group for each endpoint
 */
#include "srd_tx.h"

#define UCT_SRD_EP_IFACE(_ep) \
    ucs_derived_of((_ep)->super.super.iface, uct_srd_iface_t)

static UCS_CLASS_INIT_FUNC(uct_srd_ep_t, const uct_ep_params_t *params)
{
    uct_srd_iface_t *iface = ucs_derived_of(params->iface, uct_srd_iface_t);
    uct_srd_iface_addr_t addr;
    uct_srd_ident_t ident;
    uct_srd_peer_t *peer;
    char str[64];

    UCT_EP_PARAMS_CHECK_DEV_IFACE_ADDRS(params);
    UCS_CLASS_CALL_SUPER_INIT(uct_base_ep_t, &iface->super);

    memset(&ident, 0, sizeof(ident));
    memcpy(ident.gid, params->dev_addr, sizeof(ident.gid));
    uct_srd_iface_addr_unpack(params->iface_addr, &addr);
    ident.qpn  = addr.qpn;
    ident.qkey = addr.qkey;

    if (addr.version != UCT_SRD_WIRE_VERSION) {
        ucs_error("srd: %s speaks version %u of the SRD wire protocol, this "
                  "side version %u: use the same release of ucx-efa on both",
                  uct_srd_addr_str(ident.gid, ident.qpn, str, sizeof(str)),
                  addr.version, UCT_SRD_WIRE_VERSION);
        return UCS_ERR_UNREACHABLE;
    }

    peer = uct_srd_peer_find(iface, &ident);
    if (peer == NULL) {
        peer = uct_srd_peer_create(iface, &ident);
        if (peer == NULL) {
            return UCS_ERR_NO_MEMORY;
        }
    }

    self->peer  = peer;
    self->zcopy = 0;
    self->told  = 0;
    ucs_arbiter_group_init(&self->pending);
    ucs_queue_head_init(&self->cancels);
    uct_srd_peer_ep_add(peer, self);
    return UCS_OK;
}

static ucs_arbiter_cb_result_t
uct_srd_ep_purge_cb(UCS_V_UNUSED ucs_arbiter_t *arbiter,
                    UCS_V_UNUSED ucs_arbiter_group_t *group,
                    ucs_arbiter_elem_t *elem, void *arg)
{
    uct_purge_cb_args_t *args = arg;

    if (args->cb != NULL) {
        args->cb(ucs_container_of(elem, uct_pending_req_t, priv), args->arg);
    }

    return UCS_ARBITER_CB_RESULT_REMOVE_ELEM;
}

void uct_srd_ep_pending_purge(uct_ep_h tl_ep, uct_pending_purge_callback_t cb,
                              void *arg)
{
    uct_srd_ep_t *ep         = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface   = UCT_SRD_EP_IFACE(ep);
    uct_purge_cb_args_t args = {cb, arg};

    ucs_arbiter_group_purge(&iface->tx.arbiter, &ep->pending,
                            uct_srd_ep_purge_cb, &args);
}

/* The messages of ep that still refer to the user: from our copy from now on.
 * What the device reads at this moment it may go on reading. */
static void uct_srd_ep_detach(uct_srd_iface_t *iface, uct_srd_ep_t *ep)
{
    uct_srd_slot_t *slot;
    unsigned i;

    for (i = 0; (i < iface->tx.num_slots) && (ep->zcopy > 0); ++i) {
        slot = &iface->tx.slots[i];
        if ((slot->flags & UCT_SRD_SLOT_ZCOPY) && (slot->ep == ep) &&
            (uct_srd_tx_detach(iface, slot) != UCS_OK)) {
            uct_srd_peer_fail_log(ep->peer, UCS_ERR_NO_MEMORY,
                                  "no memory to keep a message of a closed "
                                  "endpoint", "flush endpoints before you "
                                  "close them");
            /* uct_srd_slot_release() must not meet the endpoint any more */
            slot->flags &= ~UCT_SRD_SLOT_ZCOPY;
            --ep->zcopy;
            uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
        }
    }
}

static UCS_CLASS_CLEANUP_FUNC(uct_srd_ep_t)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(self);
    uct_srd_peer_t *peer   = self->peer;
    uct_srd_waiter_t *waiter;
    ucs_queue_iter_t iter;

    uct_srd_ep_pending_purge(&self->super.super, NULL, NULL);
    ucs_arbiter_group_cleanup(&self->pending);
    uct_srd_ep_detach(iface, self);

    ucs_queue_for_each_safe(waiter, iter, &peer->tx.waiters, queue) {
        if (waiter->ep == self) {
            ucs_queue_del_iter(&peer->tx.waiters, iter);
            uct_invoke_completion(waiter->comp, UCS_ERR_CANCELED);
            ucs_mpool_put(waiter);
        }
    }

    uct_srd_ep_cancel_done(self);
    uct_srd_peer_ep_del(peer, self);
}

UCS_CLASS_DEFINE(uct_srd_ep_t, uct_base_ep_t);
UCS_CLASS_DEFINE_NEW_FUNC(uct_srd_ep_t, uct_ep_t, const uct_ep_params_t*);
UCS_CLASS_DEFINE_DELETE_FUNC(uct_srd_ep_t, uct_ep_t);

/* ------------------------------------------------------- active messages */

static UCS_F_NOINLINE ucs_status_t
uct_srd_ep_short_slow(uct_srd_ep_t *ep, uint8_t id, uint64_t header,
                      const void *payload, unsigned length)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    uct_srd_slot_t *slot;
    ucs_status_t status;

    status = uct_srd_tx_admit(ep);
    if (status != UCS_OK) {
        return status;
    }

    slot                = uct_srd_slot_get(iface);
    slot->sge[0].length = sizeof(header) + length;
    memcpy(slot->data, &header, sizeof(header));
    if (length > 0) {
        memcpy(slot->data + sizeof(header), payload, length);
    }
    return uct_srd_tx_send(iface, ep->peer, slot, id, slot->sge[0].length);
}

ucs_status_t uct_srd_ep_am_short(uct_ep_h tl_ep, uint8_t id, uint64_t header,
                                 const void *payload, unsigned length)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    size_t total           = sizeof(header) + length;
    uct_srd_slot_t *slot;

    UCT_CHECK_AM_ID(id);
    UCT_CHECK_LENGTH(total, 0, UCT_SRD_INLINE_AREA, "am_short");
    UCT_TL_EP_STAT_OP(&ep->super, AM, SHORT, total);

    if (ucs_unlikely(!uct_srd_tx_is_open(iface, ep))) {
        return uct_srd_ep_short_slow(ep, id, header, payload, length);
    }

    slot                = uct_srd_slot_get(iface);
    slot->sge[0].length = total;
    memcpy(slot->data, &header, sizeof(header));
    if (length > 0) {
        memcpy(slot->data + sizeof(header), payload, length);
    }

    return uct_srd_tx_post_fast(iface, ep->peer, slot, id, slot->sge, 1, total);
}

ucs_status_t uct_srd_ep_am_short_iov(uct_ep_h tl_ep, uint8_t id,
                                     const uct_iov_t *iov, size_t iovcnt)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    size_t total           = uct_iov_total_length(iov, iovcnt);
    int open               = uct_srd_tx_is_open(iface, ep);
    uct_srd_slot_t *slot;
    ucs_iov_iter_t iter;
    ucs_status_t status;

    UCT_CHECK_AM_ID(id);
    UCT_CHECK_LENGTH(total, 0, UCT_SRD_INLINE_AREA, "am_short_iov");

    if (ucs_unlikely(!open)) {
        status = uct_srd_tx_admit(ep);
        if (status != UCS_OK) {
            return status;
        }
    }

    slot = uct_srd_slot_get(iface);
    ucs_iov_iter_init(&iter);
    uct_iov_to_buffer(iov, iovcnt, &iter, slot->data, UCT_SRD_INLINE_AREA);

    slot->sge[0].length = total;
    UCT_TL_EP_STAT_OP(&ep->super, AM, SHORT, total);
    if (ucs_likely(open)) {
        return uct_srd_tx_post_fast(iface, ep->peer, slot, id, slot->sge, 1,
                                    total);
    }

    return uct_srd_tx_send(iface, ep->peer, slot, id, total);
}

ssize_t uct_srd_ep_am_bcopy(uct_ep_h tl_ep, uint8_t id, uct_pack_callback_t pack,
                            void *arg, UCS_V_UNUSED unsigned flags)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    int open               = uct_srd_tx_is_open(iface, ep);
    uct_srd_slot_t *slot;
    uct_srd_buf_t *buf;
    ucs_status_t status;
    size_t length;

    UCT_CHECK_AM_ID(id);

    if (ucs_unlikely(!open)) {
        status = uct_srd_tx_admit(ep);
        if (status != UCS_OK) {
            return status;
        }
    }

    /* All resources before the callback: it must not be called in vain. */
    buf = uct_srd_buf_get(iface);
    if (ucs_unlikely(buf == NULL)) {
        UCT_SRD_COUNT(iface, no_resource);
        return UCS_ERR_NO_RESOURCE;
    }

    length = pack(buf->data, arg);
    if (ucs_unlikely(length > iface->config.max_msg)) {
        ucs_error("srd: am_bcopy packed %zu bytes, the limit is %zu", length,
                  iface->config.max_msg);
        uct_srd_buf_put(iface, buf);
        return UCS_ERR_EXCEEDS_LIMIT;
    }

    slot                = uct_srd_slot_get(iface);
    slot->flags         = UCT_SRD_SLOT_BUF;
    slot->buf           = buf;
    slot->sge[2].addr   = (uintptr_t)buf->data;
    slot->sge[2].length = length;
    slot->sge[2].lkey   = buf->lkey;

    UCT_TL_EP_STAT_OP(&ep->super, AM, BCOPY, length);
    if (ucs_likely(open)) {
        status = uct_srd_tx_post_fast(iface, ep->peer, slot, id, &slot->sge[2], 1,
                                      length);
    } else {
        status = uct_srd_tx_send(iface, ep->peer, slot, id, length);
    }

    return (status == UCS_OK) ? (ssize_t)length : status;
}

ucs_status_t uct_srd_ep_am_zcopy(uct_ep_h tl_ep, uint8_t id, const void *header,
                                 unsigned header_length, const uct_iov_t *iov,
                                 size_t iovcnt, UCS_V_UNUSED unsigned flags,
                                 uct_completion_t *comp)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    int open               = uct_srd_tx_is_open(iface, ep);
    size_t payload         = uct_iov_total_length(iov, iovcnt);
    size_t total           = header_length + payload;
    uct_srd_slot_t *slot;
    ucs_status_t status;

    UCT_CHECK_AM_ID(id);
    UCT_CHECK_IOV_SIZE(iovcnt, (size_t)UCT_SRD_MAX_IOV, "am_zcopy");
    UCT_CHECK_PARAM(header_length <= UCT_SRD_INLINE_AREA,
                    "am_zcopy header of %u bytes, the limit is %u",
                    header_length, UCT_SRD_INLINE_AREA);
    UCT_CHECK_LENGTH(total, 0, iface->config.max_msg, "am_zcopy");

    if (ucs_unlikely(!open)) {
        status = uct_srd_tx_admit(ep);
        if (status != UCS_OK) {
            return status;
        }
    }

    slot                = uct_srd_slot_get(iface);
    slot->sge[0].length = header_length;
    if (header_length > 0) {
        memcpy(slot->data, header, header_length);
    }
    if (payload > 0) {
        slot->sge[1].addr   = (uintptr_t)iov[0].buffer;
        slot->sge[1].length = payload;
        slot->sge[1].lkey   = uct_efa_memh_lkey(iov[0].memh);
    } else {
        slot->sge[1].length = 0;
    }

    slot->flags = UCT_SRD_SLOT_ZCOPY;
    slot->comp  = comp;
    slot->ep    = ep;
    ++ep->zcopy;

    if (ucs_likely(open)) {
        status = uct_srd_tx_post_fast(iface, ep->peer, slot, id,
                                      &slot->sge[header_length == 0],
                                      (header_length != 0) + (payload != 0),
                                      total);
    } else {
        status = uct_srd_tx_send(iface, ep->peer, slot, id, total);
    }

    if (ucs_unlikely(status != UCS_OK)) {
        return status;
    }

    UCT_TL_EP_STAT_OP(&ep->super, AM, ZCOPY, total);
    return UCS_INPROGRESS;
}

/* --------------------------------------------------------- flush and check */

static ucs_status_t
uct_srd_ep_wait(uct_srd_iface_t *iface, uct_srd_ep_t *ep,
                ucs_queue_head_t *queue, uct_completion_t *comp)
{
    uct_srd_waiter_t *waiter;

    if (comp == NULL) {
        return UCS_INPROGRESS;
    }

    waiter = ucs_mpool_get(&iface->tx.flush_mp);
    if (waiter == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    waiter->comp = comp;
    waiter->ep   = ep;
    waiter->psn  = ep->peer->tx.psn;
    ucs_queue_push(queue, &waiter->queue);
    return UCS_INPROGRESS;
}

void uct_srd_ep_cancel_done(uct_srd_ep_t *ep)
{
    uct_srd_waiter_t *waiter;
    uct_completion_t *comp;

    while (!ucs_queue_is_empty(&ep->cancels)) {
        waiter = ucs_queue_pull_elem_non_empty(&ep->cancels, uct_srd_waiter_t,
                                               queue);
        comp   = waiter->comp;
        ucs_mpool_put(waiter);
        uct_invoke_completion(comp, UCS_ERR_CANCELED);
    }
}

/*
 * Cancels what is outstanding, in the user's eyes: our copies are still sent,
 * so that no hole appears in the order. What the device has not been given yet
 * is copied; what it reads from the user's memory right now must come back
 * first.
 */
static ucs_status_t uct_srd_ep_cancel(uct_srd_iface_t *iface, uct_srd_ep_t *ep,
                                      uct_completion_t *comp)
{
    ucs_queue_head_t waiters;
    ucs_queue_iter_t iter;
    uct_srd_waiter_t *waiter;
    uct_srd_slot_t *slot;
    unsigned i, left;

    ucs_queue_head_init(&waiters);
    ucs_queue_for_each_safe(waiter, iter, &ep->peer->tx.waiters, queue) {
        if (waiter->ep == ep) {
            ucs_queue_del_iter(&ep->peer->tx.waiters, iter);
            ucs_queue_push(&waiters, &waiter->queue);
        }
    }

    for (i = 0, left = ep->zcopy; (i < iface->tx.num_slots) && (left > 0);
         ++i) {
        slot = &iface->tx.slots[i];
        if (!(slot->flags & UCT_SRD_SLOT_ZCOPY) || (slot->ep != ep)) {
            continue;
        }

        --left;
        slot->flags |= UCT_SRD_SLOT_CANCEL;
        if (slot->flags & UCT_SRD_SLOT_QUEUED) {
            /* No memory: it goes on as it is and completes as cancelled */
            (void)uct_srd_tx_detach(iface, slot);
        }
    }

    while (!ucs_queue_is_empty(&waiters)) {
        waiter = ucs_queue_pull_elem_non_empty(&waiters, uct_srd_waiter_t,
                                               queue);
        uct_invoke_completion(waiter->comp, UCS_ERR_CANCELED);
        ucs_mpool_put(waiter);
    }

    if (ep->zcopy == 0) {
        return UCS_OK;
    }

    return uct_srd_ep_wait(iface, ep, &ep->cancels, comp);
}

ucs_status_t uct_srd_ep_flush(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    uct_srd_peer_t *peer   = ep->peer;
    ucs_status_t status;

    if (ucs_unlikely(flags & UCT_FLUSH_FLAG_CANCEL)) {
        return uct_srd_ep_cancel(iface, ep, comp);
    }

    if (!ucs_arbiter_group_is_empty(&ep->pending) &&
        (iface->tx.pending_ep != ep)) {
        return UCS_ERR_NO_RESOURCE;
    }

    if (peer->state == UCT_SRD_PEER_FAILED) {
        return peer->status;
    }

    if (peer->tx.una.una == peer->tx.psn) {
        UCT_TL_EP_STAT_FLUSH(&ep->super);
        return UCS_OK;
    }

    status = uct_srd_ep_wait(iface, ep, &peer->tx.waiters, comp);
    if (status == UCS_INPROGRESS) {
        peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
        UCT_TL_EP_STAT_FLUSH_WAIT(&ep->super);
    }

    return status;
}

ucs_status_t
uct_srd_ep_fence(UCS_V_UNUSED uct_ep_h tl_ep, UCS_V_UNUSED unsigned flags)
{
    /* Messages are delivered in the order in which they were sent. */
    UCT_TL_EP_STAT_FENCE(ucs_derived_of(tl_ep, uct_base_ep_t));
    return UCS_OK;
}

ucs_status_t uct_srd_ep_check(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp)
{
    uct_srd_ep_t *ep     = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_peer_t *peer = ep->peer;
    ucs_status_t status;

    UCT_EFA_EP_CHECK_PARAMS(flags, comp);

    if (peer->state == UCT_SRD_PEER_FAILED) {
        return peer->status;
    }

    /* Something under way: the device tells if nobody takes it. */
    if ((uct_srd_peer_outstanding(peer) > 0) || (peer->tx.ctl > 0)) {
        return UCS_OK;
    }

    status = uct_srd_peer_ah_get(peer);
    if (status == UCS_OK) {
        status = uct_srd_ctl_send(peer, UCT_SRD_OP_PING, 0);
    }

    return (status == UCS_ERR_NO_RESOURCE) ? UCS_OK : status;
}

ucs_status_t uct_srd_ep_invalidate(uct_ep_h tl_ep)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);

    uct_srd_peer_fail(ep->peer, UCS_ERR_ENDPOINT_TIMEOUT);
    return UCS_OK;
}

/* ----------------------------------------------------------------- pending */

ucs_status_t uct_srd_ep_pending_add(uct_ep_h tl_ep, uct_pending_req_t *req,
                                    UCS_V_UNUSED unsigned flags)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);

    /* A failed peer says so at the next send, too. */
    if (ucs_arbiter_group_is_empty(&ep->pending) && !iface->tx.bufs_short &&
        (uct_srd_tx_admit(ep) != UCS_ERR_NO_RESOURCE)) {
        return UCS_ERR_BUSY;
    }

    uct_pending_req_arb_group_push(&ep->pending, req);
    if (iface->tx.pending_ep != ep) {
        ucs_arbiter_group_schedule(&iface->tx.arbiter, &ep->pending);
    }

    UCT_TL_EP_STAT_PEND(&ep->super);
    return UCS_OK;
}

static ucs_arbiter_cb_result_t
uct_srd_ep_pending_cb(UCS_V_UNUSED ucs_arbiter_t *arbiter,
                      ucs_arbiter_group_t *group, ucs_arbiter_elem_t *elem,
                      void *arg)
{
    uct_srd_iface_t *iface = arg;
    uct_srd_ep_t *ep       = ucs_container_of(group, uct_srd_ep_t, pending);
    uct_pending_req_t *req = ucs_container_of(elem, uct_pending_req_t, priv);
    ucs_status_t status;

    if ((iface->tx.num_free == 0) || iface->tx.bufs_short) {
        return UCS_ARBITER_CB_RESULT_STOP;
    }

    iface->tx.pending_ep = ep;
    if (uct_srd_tx_admit(ep) == UCS_ERR_NO_RESOURCE) {
        iface->tx.pending_ep  = NULL;
        ep->peer->tx.flags   |= UCT_SRD_PEER_TX_WAITERS;
        return UCS_ARBITER_CB_RESULT_DESCHED_GROUP;
    }

    status               = req->func(req);
    iface->tx.pending_ep = NULL;

    if (status == UCS_OK) {
        return UCS_ARBITER_CB_RESULT_REMOVE_ELEM;
    } else if (status == UCS_INPROGRESS) {
        return UCS_ARBITER_CB_RESULT_NEXT_GROUP;
    }

    return UCS_ARBITER_CB_RESULT_RESCHED_GROUP;
}

void uct_srd_iface_pending_progress(uct_srd_iface_t *iface)
{
    if ((iface->tx.num_free == 0) || iface->tx.bufs_short) {
        return;
    }

    uct_srd_tx_batch_begin(iface);
    ucs_arbiter_dispatch(&iface->tx.arbiter, 1, uct_srd_ep_pending_cb, iface);
    uct_srd_tx_batch_end(iface);
}
