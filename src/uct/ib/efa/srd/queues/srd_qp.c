/*
 * The SRD queue pair:
 *
 *   RESET --> INIT --> (receives are posted) --> RTR --> RTS
 */
#include "srd/queues/srd_queues.h"

#include <errno.h>

ucs_status_t uct_srd_qp_create(uct_srd_iface_t *iface, uct_srd_queues_t *queues)
{
    uct_efa_md_t *md                   = uct_srd_iface_md(iface);
    struct ibv_qp_init_attr_ex attr    = {};
    struct efadv_qp_init_attr efa_attr = {};
    struct ibv_qp_attr mod             = {};
    int mask, ret;

    attr.comp_mask      = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    attr.pd             = queues->context->pd;
    attr.qp_context     = &iface->queues.dead;
    attr.send_ops_flags = IBV_QP_EX_WITH_SEND_WITH_IMM |
                          (iface->config.rdma_read ? IBV_QP_EX_WITH_RDMA_READ :
                                                     0) |
                          (iface->config.rdma_write ?
                                   IBV_QP_EX_WITH_RDMA_WRITE :
                                   0);
    attr.qp_type             = IBV_QPT_DRIVER;
    attr.send_cq             = queues->cq;
    attr.recv_cq             = queues->cq;
    attr.sq_sig_all          = 1;
    attr.cap.max_send_wr     = iface->tx.num_slots;
    attr.cap.max_recv_wr     = iface->config.rx_queue_len;
    attr.cap.max_send_sge    = ucs_min(2, md->dev.efa.max_sq_sge);
    attr.cap.max_recv_sge    = 1;
    attr.cap.max_inline_data = md->dev.max_inline;
    efa_attr.driver_qp_type  = EFADV_QP_DRIVER_TYPE_SRD;

    queues->qp = efadv_create_qp_ex(queues->context->ctx, &attr, &efa_attr,
                                    sizeof(efa_attr));
    if (queues->qp == NULL) {
        uct_srd_queues_log_error(md, "SRD queue pair", attr.cap.max_send_wr,
                                 attr.cap.max_recv_wr, "max_qp",
                                 md->dev.attr.max_qp);
        return (errno == ENOMEM) ? UCS_ERR_NO_MEMORY : UCS_ERR_IO_ERROR;
    }

    mod.qp_state   = IBV_QPS_INIT;
    mod.pkey_index = 0;
    mod.port_num   = UCT_EFA_PORT_NUM;
    mod.qkey       = queues->self.qkey;
    mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY;
    ret  = ibv_modify_qp(queues->qp, &mod, mask);
    if (ret != 0) {
        ucs_error("srd: cannot initialize the queue pair on %s: %s",
                  uct_efa_md_device_name(md), strerror(ret));
        uct_srd_qp_destroy(queues);
        return UCS_ERR_IO_ERROR;
    }

    queues->qp_ex    = ibv_qp_to_qp_ex(queues->qp);
    queues->self.qpn = queues->qp->qp_num;
    return UCS_OK;
}

ucs_status_t uct_srd_qp_activate(uct_srd_iface_t *iface)
{
    struct ibv_qp_attr mod = {};
    int mask;
    int ret;

    mod.qp_state = IBV_QPS_RTR;
    ret          = ibv_modify_qp(iface->queues.qp, &mod, IBV_QP_STATE);
    if (ret == 0) {
        mod.qp_state = IBV_QPS_RTS;
        mod.sq_psn   = 0;
        mask         = IBV_QP_STATE | IBV_QP_SQ_PSN;
        if (uct_srd_iface_md(iface)->dev.has_rnr_retry) {
            /* Finite, so that one slow receiver does not keep our slots in
             * the device; the rest of the waiting is ours. */
            mod.rnr_retry = iface->config.rnr_retry;
            mask |= IBV_QP_RNR_RETRY;
        }

        ret = ibv_modify_qp(iface->queues.qp, &mod, mask);
    }

    if (ret != 0) {
        ucs_error("srd: cannot activate the queue pair on %s: %s",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)),
                  strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    return UCS_OK;
}

int uct_srd_qp_ask(uct_srd_iface_t *iface)
{
    struct ibv_qp_init_attr init = {};
    struct ibv_qp_attr attr      = {};
    int ret;

    ret = ibv_query_qp(iface->queues.qp, &attr, IBV_QP_STATE, &init);
    if (ret == ETIME) {
        /* Linux's driver gives a device up after that: ENODEV from now on. */
        ret = ibv_query_qp(iface->queues.qp, &attr, IBV_QP_STATE, &init);
    }

    /* EINVAL: the device does not know the queue pair. */
    if (uct_efa_err_is_gone(ret) || (ret == EINVAL)) {
        uct_efa_context_set_lost(uct_srd_iface_md(iface),
                                 iface->queues.context);
    }
    return (ret == 0) && (attr.qp_state == IBV_QPS_ERR);
}

void uct_srd_qp_destroy(uct_srd_queues_t *queues)
{
    int ret = ibv_destroy_qp(queues->qp);

    if ((ret != 0) && !uct_efa_context_is_gone(queues->context, ret)) {
        ucs_warn("srd: ibv_destroy_qp: %s", strerror(ret));
    }
}
