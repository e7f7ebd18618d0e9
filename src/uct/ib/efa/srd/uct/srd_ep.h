/*
 * UCT's face of an endpoint.
 *
 *   srd_ep.c          made, closed          srd_ep_am.c     active messages
 *   srd_ep_pending.c  pending requests      srd_ep_rma.c    put and get
 *   srd_ep_flush.c    flush, fence, check   srd_ep_sgl.c    several in one call
 */
#ifndef UCT_SRD_EP_H
#define UCT_SRD_EP_H

#include "srd/def/srd_iface_def.h"

UCS_CLASS_DECLARE_NEW_FUNC(uct_srd_ep_t, uct_ep_t, const uct_ep_params_t*);
UCS_CLASS_DECLARE_DELETE_FUNC(uct_srd_ep_t, uct_ep_t);

/* ---- srd_ep_am.c ------------------------------------------------------- */

ucs_status_t uct_srd_ep_am_short(uct_ep_h tl_ep, uint8_t id, uint64_t header,
                                 const void *payload, unsigned length);
ucs_status_t uct_srd_ep_am_short_iov(uct_ep_h tl_ep, uint8_t id,
                                     const uct_iov_t *iov, size_t iovcnt);
ssize_t uct_srd_ep_am_bcopy(uct_ep_h tl_ep, uint8_t id,
                            uct_pack_callback_t pack, void *arg,
                            unsigned flags);
ucs_status_t uct_srd_ep_am_zcopy(uct_ep_h tl_ep, uint8_t id, const void *header,
                                 unsigned header_length, const uct_iov_t *iov,
                                 size_t iovcnt, unsigned flags,
                                 uct_completion_t *comp);

/* ---- srd_ep_flush.c ---------------------------------------------------- */

ucs_status_t uct_srd_ep_flush(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp);
ucs_status_t uct_srd_ep_fence(uct_ep_h tl_ep, unsigned flags);
ucs_status_t uct_srd_ep_check(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp);
ucs_status_t uct_srd_ep_invalidate(uct_ep_h tl_ep);
ucs_status_t uct_srd_iface_fence(uct_iface_h tl_iface, unsigned flags);

/* ---- srd_ep_pending.c -------------------------------------------------- */

ucs_status_t uct_srd_ep_pending_add(uct_ep_h tl_ep, uct_pending_req_t *req,
                                    unsigned flags);
void uct_srd_ep_pending_purge(uct_ep_h tl_ep, uct_pending_purge_callback_t cb,
                              void *arg);

/* Runs pending requests that may succeed now. */
void uct_srd_ep_pending_progress(uct_srd_iface_t *iface);

/* ---- srd_iface_address.c ----------------------------------------------- */

int uct_srd_ep_is_connected(uct_ep_h tl_ep, const void *dev_addr,
                            const void *iface_addr);

/* ---- srd_ep_rma.c ------------------------------------------------------ */

ucs_status_t uct_srd_ep_put_short(uct_ep_h tl_ep, const void *buffer,
                                  unsigned length, uint64_t remote_addr,
                                  uct_rkey_t rkey);
ssize_t uct_srd_ep_put_bcopy(uct_ep_h tl_ep, uct_pack_callback_t pack,
                             void *arg, uint64_t remote_addr, uct_rkey_t rkey);
ucs_status_t uct_srd_ep_put_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                  size_t iovcnt, uint64_t remote_addr,
                                  uct_rkey_t rkey, uct_completion_t *comp);
ucs_status_t uct_srd_ep_get_bcopy(uct_ep_h tl_ep, uct_unpack_callback_t unpack,
                                  void *arg, size_t length,
                                  uint64_t remote_addr, uct_rkey_t rkey,
                                  uct_completion_t *comp);
ucs_status_t uct_srd_ep_get_zcopy(uct_ep_h tl_ep, const uct_iov_t *iov,
                                  size_t iovcnt, uint64_t remote_addr,
                                  uct_rkey_t rkey, uct_completion_t *comp);

/* An operation in a slot, filled but for the local memory (sge[1]) */
uct_srd_slot_t *
uct_srd_ep_rma_slot(uct_srd_ep_t *ep, unsigned flags, uint64_t remote_addr,
                    uct_rkey_t rkey, uct_completion_t *comp);

/* The key does not have that right: says so. */
ucs_status_t uct_srd_ep_rma_no_right(uct_srd_ep_t *ep, uct_rkey_t right);

/* Fills the attributes of what the device and libefa can do. */
void uct_srd_ep_rma_query(const uct_srd_iface_t *iface, uct_iface_attr_t *attr);

/* ---- srd_ep_sgl.c ------------------------------------------------------ */

ucs_status_t uct_srd_ep_put_sgl(UCT_EFA_SGL_ARGS);
ucs_status_t uct_srd_ep_get_sgl(UCT_EFA_SGL_ARGS);
void         uct_srd_ep_sgl_max(uct_iface_h iface, uct_efa_sgl_max_t *max);

#endif
