/*
 * Posting: work requests into one doorbell, or one each.
 */
#ifndef UCT_SRD_POST_H
#define UCT_SRD_POST_H

#include "srd/def/srd_iface_def.h"

/* The work request that is posted next, and room for its list */
static inline struct ibv_send_wr *uct_srd_post_next(uct_srd_iface_t *iface,
                                                    struct ibv_sge **sge_p)
{
    *sge_p = iface->tx.sges[iface->tx.batch];
    return &iface->tx.wrs[iface->tx.batch];
}

/* Posts it to dest, for slot, or adds it to the batch. List and flags of wr are
 * filled. On failure slot is as before. */
ucs_status_t uct_srd_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          const uct_srd_dest_t *dest, struct ibv_send_wr *wr,
                          uint32_t imm);

/* Collects posts between begin and end into few doorbells. */
void uct_srd_post_batch_begin(uct_srd_iface_t *iface);
void uct_srd_post_batch_end(uct_srd_iface_t *iface);

/* ibv_post_send() refused a send to peer (or NULL): it fails, never the
 * process. Returns UCS_ERR_IO_ERROR. */
ucs_status_t uct_srd_post_refused(uct_srd_peer_t *peer, int error);

#endif
