/*
 * Posting. A batch, of whatever peers, is handed to the device at its end. What
 * the device does not take never ends the process: the peers fail.
 */
#include "srd/send/srd_post.h"
#include "srd/peer/srd_peer.h"
#include "srd/queues/srd_direct_sq.h"
#include "srd/send/srd_slot.h"

/* The direct path takes all that fits into its queue, and everything fits. */
static void uct_srd_post_direct(uct_srd_iface_t *iface,
                                const uct_srd_slot_t *slot,
                                const uct_srd_dest_t *dest,
                                const struct ibv_send_wr *wr, uint32_t imm)
{
    uct_srd_direct_sq_t *sq = &iface->queues.direct.sq;
    int is_inline           = !!(wr->send_flags & IBV_SEND_INLINE);

    uct_srd_direct_sq_message(sq, dest, uct_srd_slot_index(iface, slot), imm,
                              is_inline, wr->sg_list, wr->num_sge,
                              wr->sg_list->length);
    if (iface->tx.batching) {
        uct_srd_direct_sq_batch(sq);
    } else {
        uct_srd_direct_sq_ring(sq);
        UCT_SRD_COUNT(iface, tx_doorbells);
    }
}

ucs_status_t uct_srd_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          const uct_srd_dest_t *dest, struct ibv_send_wr *wr,
                          uint32_t imm)
{
    struct ibv_send_wr *bad;
    int ret;

    if (iface->queues.direct.on) {
        uct_srd_post_direct(iface, slot, dest, wr, imm);
        return UCS_OK;
    }

    memcpy(&wr->wr.ud, dest, sizeof(wr->wr.ud));
    wr->wr_id    = (uintptr_t)slot | UCT_SRD_WR_ID_SEND;
    wr->imm_data = htobe32(imm);
    wr->next     = NULL;
    if (iface->tx.batching) {
        if (++iface->tx.batch == UCT_SRD_POST_BATCH) {
            uct_srd_post_batch_end(iface);
            uct_srd_post_batch_begin(iface);
        }
        return UCS_OK;
    }

    ret = ibv_post_send(iface->queues.qp, wr, &bad);
    if (ucs_unlikely(ret != 0)) {
        return uct_srd_post_refused(slot->peer, ret);
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    return UCS_OK;
}

void uct_srd_post_batch_begin(uct_srd_iface_t *iface)
{
    iface->tx.batching = 1;
    iface->tx.batch    = 0;
}

void uct_srd_post_batch_end(uct_srd_iface_t *iface)
{
    unsigned count = iface->tx.batch;
    uct_srd_slot_t *slots[UCT_SRD_POST_BATCH], *slot;
    struct ibv_send_wr *bad;
    unsigned i, first;
    int ret;

    iface->tx.batching = 0;
    iface->tx.batch    = 0;
    if (uct_srd_direct_sq_batch_end(&iface->queues.direct.sq)) {
        UCT_SRD_COUNT(iface, tx_doorbells);
    }
    if (count == 0) {
        return;
    }

    for (i = 0; i < count - 1; ++i) {
        iface->tx.wrs[i].next = &iface->tx.wrs[i + 1];
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    ret = ibv_post_send(iface->queues.qp, iface->tx.wrs, &bad);
    if (ucs_likely(ret == 0)) {
        return;
    }

    /* Their PSNs are used: the peers fail, and with them what is queued. A peer
     * that fails is told so, with the first of these work requests. */
    first = bad - iface->tx.wrs;
    for (i = first; i < count; ++i) {
        slots[i] = (uct_srd_slot_t *)(iface->tx.wrs[i].wr_id &
                                      ~UCT_SRD_WR_ID_SEND);
    }

    for (i = first; i < count; ++i) {
        slot = slots[i];
        uct_srd_post_refused(slot->peer, ret);
        slot->ops->refused(iface, slot);
    }
}

ucs_status_t uct_srd_post_refused(uct_srd_peer_t *peer, int error)
{
    char cause[64];

    if (peer != NULL) {
        snprintf(cause, sizeof(cause), "ibv_post_send: %s", strerror(error));
        uct_srd_peer_fail_log(peer, UCS_ERR_IO_ERROR, cause,
                              "the local queue pair refused a send; look for "
                              "an earlier error, else please report it");
    }

    return UCS_ERR_IO_ERROR;
}
