/*
 * Posting. A batch, of whatever peers, is handed to the device at its end. What
 * the device does not take never ends the process: the peers fail.
 */
#include "srd/send/srd_post.h"
#include "srd/peer/srd_peer.h"

ucs_status_t uct_srd_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          struct ibv_send_wr *wr, uint32_t imm)
{
    struct ibv_send_wr *bad;
    int ret;

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
