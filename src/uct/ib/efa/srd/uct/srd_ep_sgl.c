/*
 * One-sided operations on a list of pieces (UCX 1.22: put, 1.23: get).
 *
 *     piece 0, 1, ... --> as many RDMA writes or reads --> one completion
 *
 * The device has an operation for each contiguous piece; what a list saves is
 * doorbells. All or nothing: the call takes slots for all pieces, or says
 * NO_RESOURCE. The window must be open, no more: a list may go beyond it, by
 * less than UCT_SRD_MAX_SGL, so that it need not wait for a moment when nobody
 * else uses it.
 */
#include "srd/uct/srd_ep.h"
#include "srd/send/srd_rma_tx.h"
#include "srd/send/srd_tx.h"

static_assert(UCT_SRD_MAX_SGL <= UCT_SRD_WINDOW_MIN,
              "so much beyond the window is in the bitmap of operations");

void uct_srd_ep_sgl_max(uct_iface_h tl_iface, uct_efa_sgl_max_t *max)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    size_t most = ucs_min(UCT_SRD_MAX_SGL, iface->config.tx_queue_len);

    max->put = iface->config.rdma_write ? most : 0;
    max->get = iface->config.rdma_read ? most : 0;
}

/* How many operations; negative: a status */
static int uct_srd_ep_sgl_check(uct_srd_ep_t *ep, const char *name,
                                uct_rkey_t right, const size_t *lengths,
                                uct_rkey_t const *rkeys, const size_t *counts,
                                const size_t *strides, size_t count)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    size_t max   = ucs_min(UCT_SRD_MAX_SGL, iface->config.tx_queue_len);
    size_t total = 0;
    size_t i, blocks;

    UCT_CHECK_PARAM((counts == NULL) == (strides == NULL),
                    "%s: counts without strides, or strides without counts",
                    name);
    for (i = 0; i < count; ++i) {
        blocks = (counts == NULL) ? 1 : counts[i];
        if ((lengths[i] == 0) || (blocks == 0)) {
            continue;
        }

        UCT_CHECK_LENGTH(lengths[i], 0, iface->config.rdma_zcopy, name);
        if (!uct_efa_rkey_may(rkeys[i], right)) {
            return uct_srd_ep_rma_no_right(ep, right);
        }

        if ((blocks > max) || (total + blocks > max)) {
            ucs_error("srd: %s: a list of more than %zu blocks", name, max);
            return UCS_ERR_EXCEEDS_LIMIT;
        }

        total += blocks;
    }

    return total;
}

/* Can all of them be posted at once? */
static int uct_srd_ep_sgl_is_plain(const uct_srd_peer_t *peer,
                                   const size_t *lengths,
                                   uct_rkey_t const *rkeys, size_t count)
{
    size_t i;

    for (i = 0; i < count; ++i) {
        if ((lengths[i] > 0) &&
            (uct_efa_rkey_generation(rkeys[i]) != peer->rx.generation)) {
            return 0;
        }
    }

    return peer->state == UCT_SRD_PEER_JOINED;
}

static UCS_F_ALWAYS_INLINE ucs_status_t uct_srd_ep_sgl_post(UCT_EFA_SGL_ARGS,
                                                            const char *name,
                                                            uct_rkey_t right,
                                                            unsigned flags)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    uct_srd_peer_t *peer   = ep->peer;
    int total = uct_srd_ep_sgl_check(ep, name, right, lengths, rkeys, counts,
                                     strides, count);
    ucs_status_t status = UCS_OK;
    uct_srd_slot_t *slots[UCT_SRD_MAX_SGL], *slot;
    int is_batch, done = 0;
    size_t i, k, offset;

    if (total <= 0) {
        return (ucs_status_t)total; /* UCS_OK: nothing to do */
    }

    status = uct_srd_tx_admit(ep);
    if (status != UCS_OK) {
        return status;
    }

    ep->wanted = total;
    if (iface->tx.num_free < (unsigned)total) {
        return uct_srd_tx_no_resource(ep);
    }

    ep->wanted = 0;
    if (comp != NULL) {
        comp->count += total - 1; /* each operation takes one off */
    }

    is_batch = uct_srd_ep_sgl_is_plain(peer, lengths, rkeys, count);
    if (is_batch) {
        uct_srd_rma_tx_batch_begin(iface);
    }

    for (i = 0; (i < count) && (status == UCS_OK); ++i) {
        for (k = 0; (k < ((counts == NULL) ? 1 : counts[i])) &&
                    (lengths[i] > 0) && (status == UCS_OK);
             ++k) {
            offset = (strides == NULL) ? 0 : (k * strides[i]);
            slot   = uct_srd_ep_rma_slot(ep, UCT_SRD_SLOT_ZCOPY | flags,
                                         remote_addrs[i] + offset, rkeys[i],
                                         comp);
            slot->sge[1].addr   = (uintptr_t)buffers[i] + offset;
            slot->sge[1].length = lengths[i];
            slot->sge[1].lkey   = uct_efa_memh_lkey(memhs[i]);
            slot->memh          = memhs[i];
            status              = uct_srd_rma_tx_send(iface, peer, slot);
            slots[done]         = slot;
            done += (status == UCS_OK);
        }
    }

    if (is_batch) {
        uct_srd_rma_tx_batch_end(iface, slots, done);
    }

    if (status == UCS_OK) {
        return UCS_INPROGRESS;
    }

    /* The device refused: the peer has failed, and with it the first ones, as
     * is told later. */
    if (comp != NULL) {
        comp->count -= ucs_min(total - done, total - 1);
    }

    return (done == 0) ? status : UCS_INPROGRESS;
}

static UCS_F_MAYBE_UNUSED size_t uct_srd_ep_sgl_bytes(const size_t *lengths,
                                                      const size_t *counts,
                                                      size_t count)
{
    size_t bytes = 0;
    size_t i;

    for (i = 0; i < count; ++i) {
        bytes += lengths[i] * ((counts == NULL) ? 1 : counts[i]);
    }

    return bytes;
}

ucs_status_t uct_srd_ep_put_sgl(UCT_EFA_SGL_ARGS)
{
    ucs_status_t status;

    status = uct_srd_ep_sgl_post(tl_ep, buffers, lengths, memhs, remote_addrs,
                                 rkeys, counts, strides, count, comp,
                                 "put_sgl_zcopy", UCT_EFA_RKEY_WRITE, 0);
    UCT_TL_EP_STAT_OP_IF_SUCCESS(status, ucs_derived_of(tl_ep, uct_base_ep_t),
                                 PUT, ZCOPY,
                                 uct_srd_ep_sgl_bytes(lengths, counts, count));
    return status;
}

ucs_status_t uct_srd_ep_get_sgl(UCT_EFA_SGL_ARGS)
{
    ucs_status_t status;

    status = uct_srd_ep_sgl_post(tl_ep, buffers, lengths, memhs, remote_addrs,
                                 rkeys, counts, strides, count, comp,
                                 "get_sgl_zcopy", UCT_EFA_RKEY_READ,
                                 UCT_SRD_SLOT_READ);
    UCT_TL_EP_STAT_OP_IF_SUCCESS(status, ucs_derived_of(tl_ep, uct_base_ep_t),
                                 GET, ZCOPY,
                                 uct_srd_ep_sgl_bytes(lengths, counts, count));
    return status;
}
