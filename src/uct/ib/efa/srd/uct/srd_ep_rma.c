/*
 * One-sided operations as UCT knows them (srd_rma_tx.h).
 *
 *   zero bytes?  ---- yes --> nothing to do: done
 *        | no
 *   open?  -- no --> admit: NO_RESOURCE, failure, or slot
 *        | yes
 *       slot
 */
#include "srd/uct/srd_ep.h"
#include "srd/uct/srd_iface.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_rma_done.h"
#include "srd/send/srd_rma_tx.h"
#include "srd/send/srd_tx.h"

UCS_F_NOINLINE ucs_status_t uct_srd_ep_rma_no_right(uct_srd_ep_t *ep,
                                                    uct_rkey_t right)
{
    char remote[64];

    ucs_error("srd: the remote memory of %s may not be %s: it was registered "
              "without that right, or the remote device does not have it",
              uct_srd_addr_str(ep->peer->ident.gid, ep->peer->ident.qpn, remote,
                               sizeof(remote)),
              (right == UCT_EFA_RKEY_READ) ? "read" : "written");
    return UCS_ERR_UNSUPPORTED;
}

/* UCS_INPROGRESS: go on */
static UCS_F_ALWAYS_INLINE ucs_status_t uct_srd_ep_rma_admit(uct_srd_ep_t *ep,
                                                             uct_rkey_t rkey,
                                                             uct_rkey_t right,
                                                             size_t length)
{
    ucs_status_t status;

    if (ucs_unlikely(length == 0)) {
        return UCS_OK;
    }

    if (ucs_unlikely(!uct_efa_rkey_may(rkey, right))) {
        return uct_srd_ep_rma_no_right(ep, right);
    }

    if (uct_srd_tx_is_open_rma(UCT_SRD_EP_IFACE(ep), ep)) {
        return UCS_INPROGRESS;
    }

    status = uct_srd_tx_admit(ep);
    return ucs_likely(status == UCS_OK) ? UCS_INPROGRESS : status;
}

uct_srd_slot_t *uct_srd_ep_rma_slot(uct_srd_ep_t *ep, unsigned flags,
                                    uint64_t remote_addr, uct_rkey_t rkey,
                                    uct_completion_t *comp)
{
    uct_srd_slot_t *slot = uct_srd_slot_get(UCT_SRD_EP_IFACE(ep));

    slot->ops             = &uct_srd_rma_done_ops;
    slot->flags           = UCT_SRD_SLOT_OTHER | flags;
    slot->comp            = comp;
    slot->ep              = ep;
    slot->rma.remote_addr = remote_addr;
    slot->rma.rkey        = uct_efa_rkey_value(rkey);
    slot->rma.generation  = uct_efa_rkey_generation(rkey);
    slot->memh            = NULL;
    slot->rma.ep          = ep;
    slot->rma.buf         = NULL;
    slot->rma.unpack      = NULL;
    uct_srd_peer_ep_count_rma(ep, 1);
    if (flags & UCT_SRD_SLOT_ZCOPY) {
        uct_srd_peer_ep_count_zcopy(ep, 1);
    }
    return slot;
}

static UCS_F_ALWAYS_INLINE void
uct_srd_ep_rma_slot_set_buf(uct_srd_slot_t *slot, uct_srd_buf_t *buf,
                            size_t length)
{
    slot->rma.buf       = buf;
    slot->sge[1].addr   = (uintptr_t)buf->data;
    slot->sge[1].length = length;
    slot->sge[1].lkey   = buf->lkey;
}

ucs_status_t uct_srd_ep_put_short(uct_ep_h tl_ep, const void *buffer,
                                  unsigned length, uint64_t remote_addr,
                                  uct_rkey_t rkey)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_slot_t *slot;
    ucs_status_t status;

    UCT_CHECK_LENGTH(length, 0, UCT_SRD_EP_IFACE(ep)->config.rdma_short,
                     "put_short");

    status = uct_srd_ep_rma_admit(ep, rkey, UCT_EFA_RKEY_WRITE, length);
    if (status != UCS_INPROGRESS) {
        return status;
    }

    slot                = uct_srd_ep_rma_slot(ep, 0, remote_addr, rkey, NULL);
    slot->sge[1].addr   = slot->sge[0].addr;
    slot->sge[1].length = length;
    slot->sge[1].lkey   = slot->sge[0].lkey;
    memcpy(slot->data, buffer, length);

    UCT_TL_EP_STAT_OP(&ep->super, PUT, SHORT, length);
    return uct_srd_rma_tx_send(UCT_SRD_EP_IFACE(ep), ep->peer, slot);
}

ssize_t uct_srd_ep_put_bcopy(uct_ep_h tl_ep, uct_pack_callback_t pack,
                             void *arg, uint64_t remote_addr, uct_rkey_t rkey)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    uct_srd_slot_t *slot;
    uct_srd_buf_t *buf;
    ucs_status_t status;
    size_t length;

    /* Of what length will be known when it is packed: not zero for now. */
    status = uct_srd_ep_rma_admit(ep, rkey, UCT_EFA_RKEY_WRITE, 1);
    if (status != UCS_INPROGRESS) {
        return status;
    }

    buf = uct_srd_buf_get(iface);
    if (ucs_unlikely(buf == NULL)) {
        return uct_srd_tx_no_resource(ep);
    }

    length = pack(buf->data, arg);
    if (ucs_unlikely(length == 0)) {
        uct_srd_buf_put(iface, buf);
        return 0;
    } else if (ucs_unlikely(length > iface->config.rdma_bcopy)) {
        return uct_srd_buf_overrun(iface, buf, length, iface->config.rdma_bcopy,
                                   "put_bcopy");
    }

    slot = uct_srd_ep_rma_slot(ep, 0, remote_addr, rkey, NULL);
    uct_srd_ep_rma_slot_set_buf(slot, buf, length);

    UCT_TL_EP_STAT_OP(&ep->super, PUT, BCOPY, length);
    status = uct_srd_rma_tx_send(iface, ep->peer, slot);
    return (status == UCS_OK) ? (ssize_t)length : status;
}

ucs_status_t uct_srd_ep_get_bcopy(uct_ep_h tl_ep, uct_unpack_callback_t unpack,
                                  void *arg, size_t length,
                                  uint64_t remote_addr, uct_rkey_t rkey,
                                  uct_completion_t *comp)
{
    uct_srd_ep_t *ep       = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    uct_srd_slot_t *slot;
    uct_srd_buf_t *buf;
    ucs_status_t status;

    UCT_CHECK_LENGTH(length, 0, iface->config.rdma_bcopy, "get_bcopy");

    status = uct_srd_ep_rma_admit(ep, rkey, UCT_EFA_RKEY_READ, length);
    if (status != UCS_INPROGRESS) {
        return status;
    }

    buf = uct_srd_buf_get(iface);
    if (ucs_unlikely(buf == NULL)) {
        return uct_srd_tx_no_resource(ep);
    }

    /* ZCOPY: unpack writes to the user's memory, so a cancelling flush must
     * wait for it. */
    slot = uct_srd_ep_rma_slot(ep, UCT_SRD_SLOT_READ | UCT_SRD_SLOT_ZCOPY,
                               remote_addr, rkey, comp);
    uct_srd_ep_rma_slot_set_buf(slot, buf, length);
    slot->rma.unpack = unpack;
    slot->rma.arg    = arg;

    status = uct_srd_rma_tx_send(iface, ep->peer, slot);
    if (ucs_unlikely(status != UCS_OK)) {
        return status;
    }

    UCT_TL_EP_STAT_OP(&ep->super, GET, BCOPY, length);
    return UCS_INPROGRESS;
}

static UCS_F_ALWAYS_INLINE ucs_status_t
uct_srd_ep_rma_zcopy(uct_srd_ep_t *ep, unsigned flags, uct_rkey_t right,
                     const char *name, const uct_iov_t *iov, size_t iovcnt,
                     uint64_t remote_addr, uct_rkey_t rkey,
                     uct_completion_t *comp)
{
    uct_srd_iface_t *iface = UCT_SRD_EP_IFACE(ep);
    size_t length          = uct_iov_total_length(iov, iovcnt);
    uct_srd_slot_t *slot;
    ucs_status_t status;

    UCT_CHECK_IOV_SIZE(iovcnt, (size_t)UCT_SRD_MAX_IOV, name);
    UCT_SRD_CHECK_BLOCK(iov, iovcnt, name);
    UCT_CHECK_LENGTH(length, 0, iface->config.rdma_zcopy, name);

    status = uct_srd_ep_rma_admit(ep, rkey, right, length);
    if (status != UCS_INPROGRESS) {
        return status;
    }

    slot = uct_srd_ep_rma_slot(ep, UCT_SRD_SLOT_ZCOPY | flags, remote_addr,
                               rkey, comp);
    slot->sge[1].addr   = (uintptr_t)iov[0].buffer;
    slot->sge[1].length = length;
    slot->sge[1].lkey   = uct_efa_memh_lkey(iov[0].memh);
    slot->memh          = iov[0].memh;

    status = uct_srd_rma_tx_send(iface, ep->peer, slot);
    return ucs_likely(status == UCS_OK) ? UCS_INPROGRESS : status;
}

ucs_status_t uct_srd_ep_put_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                  size_t iovcnt, uint64_t remote_addr,
                                  uct_rkey_t rkey, uct_completion_t *comp)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);
    ucs_status_t status;

    status = uct_srd_ep_rma_zcopy(ep, 0, UCT_EFA_RKEY_WRITE, "put_zcopy", iov,
                                  iovcnt, remote_addr, rkey, comp);
    UCT_TL_EP_STAT_OP_IF_SUCCESS(status, &ep->super, PUT, ZCOPY,
                                 uct_iov_total_length(iov, iovcnt));
    return status;
}

ucs_status_t uct_srd_ep_get_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                  size_t iovcnt, uint64_t remote_addr,
                                  uct_rkey_t rkey, uct_completion_t *comp)
{
    uct_srd_ep_t *ep = ucs_derived_of(tl_ep, uct_srd_ep_t);
    ucs_status_t status;

    status = uct_srd_ep_rma_zcopy(ep, UCT_SRD_SLOT_READ, UCT_EFA_RKEY_READ,
                                  "get_zcopy", iov, iovcnt, remote_addr, rkey,
                                  comp);
    UCT_TL_EP_STAT_OP_IF_SUCCESS(status, &ep->super, GET, ZCOPY,
                                 uct_iov_total_length(iov, iovcnt));
    return status;
}

void uct_srd_ep_rma_query(const uct_srd_iface_t *iface, uct_iface_attr_t *attr)
{
    if (iface->config.rdma_read) {
        attr->cap.flags |= UCT_IFACE_FLAG_GET_BCOPY | UCT_IFACE_FLAG_GET_ZCOPY;
        attr->cap.get.max_bcopy       = iface->config.rdma_bcopy;
        attr->cap.get.min_zcopy       = 0;
        attr->cap.get.max_zcopy       = iface->config.rdma_zcopy;
        attr->cap.get.opt_zcopy_align = uct_srd_iface_zcopy_align(iface);
        attr->cap.get.align_mtu       = iface->config.max_msg;
        attr->cap.get.max_iov         = UCT_SRD_MAX_IOV;
    }

    if (iface->config.rdma_write) {
        attr->cap.flags |= UCT_IFACE_FLAG_PUT_SHORT | UCT_IFACE_FLAG_PUT_BCOPY |
                           UCT_IFACE_FLAG_PUT_ZCOPY;
        attr->cap.put.max_short       = iface->config.rdma_short;
        attr->cap.put.max_bcopy       = iface->config.rdma_bcopy;
        attr->cap.put.min_zcopy       = 0;
        attr->cap.put.max_zcopy       = iface->config.rdma_zcopy;
        attr->cap.put.opt_zcopy_align = uct_srd_iface_zcopy_align(iface);
        attr->cap.put.align_mtu       = iface->config.max_msg;
        attr->cap.put.max_iov         = UCT_SRD_MAX_IOV;
    }
}
