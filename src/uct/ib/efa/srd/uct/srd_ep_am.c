/*
 * Active messages.
 *
 *   is everything normal? ------ yes --> slot, post
 *           | no
 *        admit: NO_RESOURCE, failure, or slot, extended header
 *
 * All resources are in hand before the user's data is touched.
 */
#include "srd/uct/srd_ep.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_tx.h"

static UCS_F_NOINLINE ucs_status_t uct_srd_ep_am_short_slow(uct_srd_ep_t *ep,
                                                            uint8_t id,
                                                            uint64_t header,
                                                            const void *payload,
                                                            unsigned length)
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
        return uct_srd_ep_am_short_slow(ep, id, header, payload, length);
    }

    slot                = uct_srd_slot_get(iface);
    slot->sge[0].length = total;
    memcpy(slot->data, &header, sizeof(header));
    if (length > 0) {
        memcpy(slot->data + sizeof(header), payload, length);
    }

    return uct_srd_tx_post_buf(iface, ep->peer, slot, id, slot->sge, total);
}

/* Copies all blocks of iov; of none the buffer is looked at. */
static UCS_F_ALWAYS_INLINE void
uct_srd_ep_am_gather(const uct_iov_t *iov, size_t iovcnt, uint8_t *dest)
{
    const uct_iov_t *end = iov + iovcnt;
    const uint8_t *block;
    unsigned left;

    for (; iov < end; ++iov) {
        block = iov->buffer;
        for (left = (iov->length > 0) ? iov->count : 0; left > 0; --left) {
            memcpy(dest, block, iov->length);
            dest += iov->length;
            block += iov->stride;
        }
    }
}

ucs_status_t uct_srd_ep_am_short_iov(uct_ep_h tl_ep, uint8_t id,
                                     const uct_iov_t *iov, size_t iovcnt)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    size_t total           = uct_iov_total_length(iov, iovcnt);
    int open               = uct_srd_tx_is_open(iface, ep);
    uct_srd_slot_t *slot;
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
    uct_srd_ep_am_gather(iov, iovcnt, slot->data);
    slot->sge[0].length = total;
    UCT_TL_EP_STAT_OP(&ep->super, AM, SHORT, total);
    if (ucs_likely(open)) {
        return uct_srd_tx_post_buf(iface, ep->peer, slot, id, slot->sge, total);
    }

    return uct_srd_tx_send(iface, ep->peer, slot, id, total);
}

ssize_t uct_srd_ep_am_bcopy(uct_ep_h tl_ep, uint8_t id,
                            uct_pack_callback_t pack, void *arg,
                            UCS_V_UNUSED unsigned flags)
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
        return uct_srd_tx_no_resource(ep);
    }

    length = pack(buf->data, arg);
    if (ucs_unlikely(length > iface->config.max_msg)) {
        return uct_srd_buf_overrun(iface, buf, length, iface->config.max_msg,
                                   "am_bcopy");
    }

    slot                = uct_srd_slot_get(iface);
    slot->flags         = UCT_SRD_SLOT_BUF;
    slot->buf           = buf;
    slot->sge[2].addr   = (uintptr_t)buf->data;
    slot->sge[2].length = length;
    slot->sge[2].lkey   = buf->lkey;

    UCT_TL_EP_STAT_OP(&ep->super, AM, BCOPY, length);
    if (ucs_likely(open)) {
        status = uct_srd_tx_post_buf(iface, ep->peer, slot, id, &slot->sge[2],
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
    unsigned num_sge;

    UCT_CHECK_AM_ID(id);
    UCT_CHECK_IOV_SIZE(iovcnt, (size_t)UCT_SRD_MAX_IOV, "am_zcopy");
    UCT_SRD_CHECK_BLOCK(iov, iovcnt, "am_zcopy");
    UCT_CHECK_LENGTH(header_length, 0, UCT_SRD_INLINE_AREA, "am_zcopy header");
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
        slot->memh          = iov[0].memh;
    } else {
        slot->sge[1].length = 0;
    }

    slot->flags = UCT_SRD_SLOT_ZCOPY;
    if (ucs_unlikely((payload > 0) && uct_efa_memh_is_dmabuf(iov[0].memh))) {
        slot->flags |= UCT_SRD_SLOT_DEVICE;
    }
    slot->comp = comp;
    slot->ep   = ep;
    uct_srd_peer_ep_count_zcopy(ep, 1);

    if (ucs_likely(open)) {
        num_sge = (header_length != 0) + (payload != 0);
        status  = uct_srd_tx_post_fast(iface, ep->peer, slot, id,
                                       UCT_SRD_WR_USER,
                                       &slot->sge[header_length == 0], num_sge,
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
