/*
 * The completion queue: one for both directions, so one poll and one doorbell.
 *
 *   with source GIDs       where the device reports them (efadv)
 *   with a channel         where the device has notifications
 */
#include "srd/queues/srd_queues.h"
#include "srd/queues/srd_direct.h"

#include <errno.h>

static const uint64_t uct_srd_cq_wc_flags = IBV_WC_EX_WITH_BYTE_LEN |
                                            IBV_WC_EX_WITH_IMM |
                                            IBV_WC_EX_WITH_QP_NUM |
                                            IBV_WC_EX_WITH_SRC_QP |
                                            IBV_WC_EX_WITH_SLID;

ucs_status_t uct_srd_cq_create(uct_srd_iface_t *iface, uct_srd_queues_t *queues)
{
    uct_efa_md_t *md                   = uct_srd_iface_md(iface);
    struct ibv_cq_init_attr_ex attr    = {};
    struct efadv_cq_init_attr efa_attr = {};

    /* Every work request leaves one completion at most; the device does not
     * stop when the CQ is full. */
    attr.cqe      = iface->tx.num_slots + iface->config.rx_queue_len;
    attr.channel  = queues->channel;
    attr.wc_flags = uct_srd_cq_wc_flags;

    if ((int)attr.cqe > md->dev.attr.max_cqe) {
        ucs_error("srd: UCX_SRD_TX_QUEUE_LEN + UCX_SRD_RX_QUEUE_LEN need a "
                  "completion queue of %u entries, %s has at most %d "
                  "(max_cqe): lower them",
                  attr.cqe, uct_efa_md_device_name(md), md->dev.attr.max_cqe);
        return UCS_ERR_INVALID_PARAM;
    }

    for (;;) {
        if (md->dev.has_sgid) {
            efa_attr.wc_flags = EFADV_WC_EX_WITH_SGID;
            queues->cq_ex     = efadv_create_cq(queues->context->ctx, &attr,
                                                &efa_attr, sizeof(efa_attr));
            if (queues->cq_ex != NULL) {
                queues->cq_efa = efadv_cq_from_ibv_cq_ex(queues->cq_ex);
                break;
            }
        }

        if (!md->dev.has_sgid || (errno != ENOMEM)) {
            queues->cq_ex = ibv_create_cq_ex(queues->context->ctx, &attr);
            if (queues->cq_ex != NULL) {
                queues->cq_efa = NULL;
                break;
            }
        }

        if ((attr.channel == NULL) || (errno == ENOMEM)) {
            uct_srd_queues_log_error(md, "completion queue",
                                     iface->tx.num_slots,
                                     iface->config.rx_queue_len, "max_cq",
                                     md->dev.attr.max_cq);
            return (errno == ENOMEM) ? UCS_ERR_NO_MEMORY : UCS_ERR_IO_ERROR;
        }

        /* A device without notifications: do without events. */
        attr.channel = NULL;
        uct_srd_channel_destroy(queues);
    }

    queues->cq = ibv_cq_ex_to_cq(queues->cq_ex);
    return UCS_OK;
}

void uct_srd_cq_destroy(uct_srd_queues_t *queues)
{
    int ret;

    if (queues->unacked > 0) {
        ibv_ack_cq_events(queues->cq, queues->unacked);
        queues->unacked = 0;
    }

    uct_srd_direct_cleanup(queues);
    ret = ibv_destroy_cq(queues->cq);
    if ((ret != 0) && !uct_efa_context_is_gone(queues->context, ret)) {
        ucs_warn("srd: ibv_destroy_cq: %s", strerror(ret));
    }
}
