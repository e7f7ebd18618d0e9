/*
 * One-sided operations: RDMA read (get) and write (put). docs/srd-wire.md, 11.
 *
 *   put_short        the slot's own memory        \
 *   put_bcopy        a bcopy buffer                } RDMA write
 *   put_zcopy        the user's memory            /
 *   get_bcopy        a bcopy buffer, then unpack  \  RDMA read
 *   get_zcopy        the user's memory            /
 *   put_sgl, get_sgl several zcopies, one call, one completion: srd_ep_sgl.c
 *
 * An operation holds a slot, as a message does, but has a sequence of its own
 * per peer (rma.psn, rma.una), for the receiver sees none of it:
 *
 *     free --> filled --> posted --> success: una moves, free
 *                 |         | ^
 *     not JOINED  v         v | handshake, or timer
 *                  ---> held
 *
 * What follows an error is said by the status table (efa_status.h). An
 * operation that fails alone says so to its completion; without one, its
 * endpoint fails.
 */
#ifndef UCT_SRD_RMA_TX_H
#define UCT_SRD_RMA_TX_H

#include "srd/def/srd_iface_def.h"

/* Posts a filled slot, or holds it until the peer is JOINED. On failure the
 * slot is given back. */
ucs_status_t uct_srd_rma_tx_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                                 uct_srd_slot_t *slot);

/* Posts it now. UCS_INPROGRESS, UCS_ERR_NO_ELEM: as uct_srd_rma_key_find(); the
 * slot is as before. */
ucs_status_t uct_srd_rma_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* Keeps a slot that the device does not have (any more): srd_rma_held.h. */
void uct_srd_rma_tx_hold(uct_srd_peer_t *peer, uct_srd_slot_t *slot);

/* The operation has come to its end. The caller sees to it that the peer stays
 * until all is said, and, if tx.flags are not zero then, that what waited goes
 * on: uct_srd_upcall_moved(). */
void uct_srd_rma_tx_end(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                        ucs_status_t status);

/* Between these, posts of operations to a JOINED peer whose keys are of its
 * present generation share a doorbell; nothing else is posted. */
void uct_srd_rma_tx_batch_begin(uct_srd_iface_t *iface);
void uct_srd_rma_tx_batch_end(uct_srd_iface_t *iface, uct_srd_slot_t **slots,
                              unsigned count);

#endif
