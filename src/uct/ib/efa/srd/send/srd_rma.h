/*
 * One-sided operations: RDMA read (get) and write (put). docs/srd-wire.md, 11.
 *
 *   put_short        the slot's own memory        \
 *   put_bcopy        a bcopy buffer                } RDMA write
 *   put_zcopy        the user's memory            /
 *   get_bcopy        a bcopy buffer, then unpack  \  RDMA read
 *   get_zcopy        the user's memory            /
 *   put_sgl, get_sgl several zcopies, one call, one completion: srd_rma_sgl.c
 *
 * An operation holds a slot, as a message does, but has a sequence of its own
 * per peer (rma.psn, rma.una), for the receiver sees none of it:
 *
 *     free --> filled --> posted --> success: una moves, free
 *                 |         | ^
 *     not JOINED  v         v | handshake, or timer
 *                  ---> held
 *
 *   status of the device          what follows
 *   14 no AH for us there         new handshake, the operation again
 *   12, 13                        again after a pause, RETRY_COUNT times
 *   3, 5, 6, 7, 18                the operation fails: its completion says so;
 *                                 without one, its endpoint fails
 *   1 our queue pair is gone      held for a new one: srd_recover.c
 *   any other                     the peer fails, perhaps after some time
 *                                 (srd_rejoin.c)
 */
#ifndef UCT_SRD_RMA_H
#define UCT_SRD_RMA_H

#include "srd/send/srd_tx.h"

/* Posts a filled slot, or holds it until the peer is JOINED. On failure the
 * slot is given back. */
ucs_status_t uct_srd_rma_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                              uct_srd_slot_t *slot);

/* The device is done with a slot, with this status. */
void uct_srd_rma_done(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                      unsigned vendor_err);

/* Keeps a slot that the device does not have (any more). */
void uct_srd_rma_hold(uct_srd_peer_t *peer, uct_srd_slot_t *slot);

/* Posts what is held if the peer is JOINED; a NEW one joins for it. */
void uct_srd_rma_held_post(uct_srd_peer_t *peer);

/* Ends what is held, of ep or (NULL) all, with status. */
void uct_srd_rma_held_purge(uct_srd_peer_t *peer, uct_srd_ep_t *ep,
                            ucs_status_t status);

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

/* srd_rma_sgl.c */
ucs_status_t uct_srd_ep_put_sgl(UCT_EFA_SGL_ARGS);
ucs_status_t uct_srd_ep_get_sgl(UCT_EFA_SGL_ARGS);
void         uct_srd_sgl_max(uct_iface_h iface, uct_efa_sgl_max_t *max);

/* An operation in a slot, filled but for the local memory (sge[1]) */
uct_srd_slot_t *
uct_srd_rma_slot(uct_srd_ep_t *ep, unsigned flags, uint64_t remote_addr,
                 uct_rkey_t rkey, uct_completion_t *comp);

/* The key does not have that right: says so. */
ucs_status_t uct_srd_rma_no_right(uct_srd_ep_t *ep, uct_rkey_t right);

/* Between these, posts of operations to a JOINED peer whose keys are of its
 * present generation share a doorbell; nothing else is posted. */
void uct_srd_rma_batch_begin(uct_srd_iface_t *iface);
void uct_srd_rma_batch_end(uct_srd_iface_t *iface, uct_srd_slot_t **slots,
                           unsigned count);

/* Fills the attributes of what the device and libefa can do. */
void uct_srd_rma_query(const uct_srd_iface_t *iface, uct_iface_attr_t *attr);

#endif
