/*
 * The interface's completion queue and queue pair.
 *
 *   one CQ for both directions: one poll, one doorbell
 *     with source GIDs       where the device reports them (efadv)
 *     with a channel         where the device has notifications
 *   one SRD QP: RESET -> INIT -> (receives posted) -> RTR -> RTS
 */
#include "srd/uct/srd_iface.h"

#include <errno.h>

static const uint64_t uct_srd_cq_wc_flags = IBV_WC_EX_WITH_BYTE_LEN |
                                            IBV_WC_EX_WITH_IMM |
                                            IBV_WC_EX_WITH_QP_NUM |
                                            IBV_WC_EX_WITH_SRC_QP |
                                            IBV_WC_EX_WITH_SLID;

/* errno says why, and stays. */
static void uct_srd_create_error(const uct_efa_md_t *md, const char *what,
                                 unsigned num_send, unsigned num_recv,
                                 const char *limit_name, int limit)
{
    int err          = errno;
    char advice[256] = "";

    if (err == ENOMEM) {
        snprintf(advice, sizeof(advice),
                 "; the device has %d for all processes of the host (%s of "
                 "ibv_devinfo -v): run fewer processes or workers on it; or "
                 "memory is short: lower UCX_SRD_TX_QUEUE_LEN and "
                 "UCX_SRD_RX_QUEUE_LEN", limit, limit_name);
    } else if (err == EOPNOTSUPP) {
        snprintf(advice, sizeof(advice), "; the device has no SRD");
    }

    ucs_error("srd: cannot create a %s (%u + %u entries) on %s: %s%s", what,
              num_send, num_recv, uct_efa_md_device_name(md), strerror(err),
              advice);
    errno = err;
}

ucs_status_t uct_srd_cq_create(uct_srd_iface_t *iface)
{
    uct_efa_md_t *md                   = uct_srd_iface_md(iface);
    struct ibv_cq_init_attr_ex attr    = {};
    struct efadv_cq_init_attr efa_attr = {};

    /* Every work request leaves one completion at most; the device does not
     * stop when the CQ is full. */
    attr.cqe      = iface->tx.num_slots + iface->config.rx_queue_len;
    attr.channel  = iface->event.channel;
    attr.wc_flags = uct_srd_cq_wc_flags;

    if ((int)attr.cqe > md->dev.attr.max_cqe) {
        ucs_error("srd: UCX_SRD_TX_QUEUE_LEN + UCX_SRD_RX_QUEUE_LEN need a "
                  "completion queue of %u entries, %s has at most %d "
                  "(max_cqe): lower them", attr.cqe, uct_efa_md_device_name(md),
                  md->dev.attr.max_cqe);
        return UCS_ERR_INVALID_PARAM;
    }

    for (;;) {
        if (md->dev.has_sgid) {
            efa_attr.wc_flags = EFADV_WC_EX_WITH_SGID;
            iface->cq_ex      = efadv_create_cq(iface->context->ctx, &attr, &efa_attr,
                                                sizeof(efa_attr));
            if (iface->cq_ex != NULL) {
                iface->cq_efa = efadv_cq_from_ibv_cq_ex(iface->cq_ex);
                break;
            }
        }

        if (!md->dev.has_sgid || (errno != ENOMEM)) {
            iface->cq_ex = ibv_create_cq_ex(iface->context->ctx, &attr);
            if (iface->cq_ex != NULL) {
                iface->cq_efa = NULL;
                break;
            }
        }

        if ((attr.channel == NULL) || (errno == ENOMEM)) {
            uct_srd_create_error(md, "completion queue", iface->tx.num_slots,
                                 iface->config.rx_queue_len, "max_cq",
                                 md->dev.attr.max_cq);
            return (errno == ENOMEM) ? UCS_ERR_NO_MEMORY : UCS_ERR_IO_ERROR;
        }

        /* A device without notifications: do without events. */
        attr.channel = NULL;
        uct_srd_event_cleanup(iface);
    }

    iface->cq = ibv_cq_ex_to_cq(iface->cq_ex);
    return UCS_OK;
}

void uct_srd_cq_destroy(uct_srd_iface_t *iface)
{
    int ret;

    if (iface->event.unacked > 0) {
        ibv_ack_cq_events(iface->cq, iface->event.unacked);
        iface->event.unacked = 0;
    }

    ret = ibv_destroy_cq(iface->cq);
    if ((ret != 0) && !uct_efa_context_is_gone(iface->context, ret)) {
        ucs_warn("srd: ibv_destroy_cq: %s", strerror(ret));
    }
}

ucs_status_t uct_srd_qp_create(uct_srd_iface_t *iface)
{
    uct_efa_md_t *md                   = uct_srd_iface_md(iface);
    struct ibv_qp_init_attr_ex attr    = {};
    struct efadv_qp_init_attr efa_attr = {};
    struct ibv_qp_attr mod             = {};
    int ret;

    attr.comp_mask           = IBV_QP_INIT_ATTR_PD |
                               IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    attr.pd                  = iface->context->pd;
    attr.qp_context          = &iface->recover.qp_dead;
    attr.send_ops_flags      = IBV_QP_EX_WITH_SEND_WITH_IMM |
                               (iface->config.rdma_read ?
                                IBV_QP_EX_WITH_RDMA_READ : 0) |
                               (iface->config.rdma_write ?
                                IBV_QP_EX_WITH_RDMA_WRITE : 0);
    attr.qp_type             = IBV_QPT_DRIVER;
    attr.send_cq             = iface->cq;
    attr.recv_cq             = iface->cq;
    attr.sq_sig_all          = 1;
    attr.cap.max_send_wr     = iface->tx.num_slots;
    attr.cap.max_recv_wr     = iface->config.rx_queue_len;
    attr.cap.max_send_sge    = ucs_min(2, md->dev.efa.max_sq_sge);
    attr.cap.max_recv_sge    = 1;
    attr.cap.max_inline_data = md->dev.max_inline;
    efa_attr.driver_qp_type  = EFADV_QP_DRIVER_TYPE_SRD;

    iface->qp = efadv_create_qp_ex(iface->context->ctx, &attr, &efa_attr,
                                   sizeof(efa_attr));
    if (iface->qp == NULL) {
        uct_srd_create_error(md, "SRD queue pair", attr.cap.max_send_wr,
                             attr.cap.max_recv_wr, "max_qp",
                             md->dev.attr.max_qp);
        return (errno == ENOMEM) ? UCS_ERR_NO_MEMORY : UCS_ERR_IO_ERROR;
    }

    mod.qp_state   = IBV_QPS_INIT;
    mod.pkey_index = 0;
    mod.port_num   = UCT_EFA_PORT_NUM;
    mod.qkey       = iface->self.qkey;
    ret            = ibv_modify_qp(iface->qp, &mod,
                                   IBV_QP_STATE | IBV_QP_PKEY_INDEX |
                                   IBV_QP_PORT | IBV_QP_QKEY);
    if (ret != 0) {
        ucs_error("srd: cannot initialize the queue pair on %s: %s",
                  uct_efa_md_device_name(md), strerror(ret));
        uct_srd_qp_destroy(iface);
        return UCS_ERR_IO_ERROR;
    }

    iface->qp_ex    = ibv_qp_to_qp_ex(iface->qp);
    iface->self.qpn = iface->qp->qp_num;
    return UCS_OK;
}

ucs_status_t uct_srd_qp_activate(uct_srd_iface_t *iface)
{
    struct ibv_qp_attr mod = {};
    int mask;
    int ret;

    mod.qp_state = IBV_QPS_RTR;
    ret          = ibv_modify_qp(iface->qp, &mod, IBV_QP_STATE);
    if (ret == 0) {
        mod.qp_state  = IBV_QPS_RTS;
        mod.sq_psn    = 0;
        mask          = IBV_QP_STATE | IBV_QP_SQ_PSN;
        if (uct_srd_iface_md(iface)->dev.has_rnr_retry) {
            /* Finite, so that one slow receiver does not keep our slots in
             * the device; the rest of the waiting is ours. */
            mod.rnr_retry = iface->config.rnr_retry;
            mask         |= IBV_QP_RNR_RETRY;
        }

        ret = ibv_modify_qp(iface->qp, &mod, mask);
    }

    if (ret != 0) {
        ucs_error("srd: cannot activate the queue pair on %s: %s",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)),
                  strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    return UCS_OK;
}

void uct_srd_qp_destroy(uct_srd_iface_t *iface)
{
    int ret = ibv_destroy_qp(iface->qp);

    if ((ret != 0) && !uct_efa_context_is_gone(iface->context, ret)) {
        ucs_warn("srd: ibv_destroy_qp: %s", strerror(ret));
    }
}
