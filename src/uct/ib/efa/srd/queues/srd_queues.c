/*
 * The queues of an interface as a whole: made, ready, shown, failed, destroyed.
 */
#include "srd/queues/srd_queues.h"
#include "srd/queues/srd_direct.h"
#include "srd/queues/srd_direct_cq.h"

#include "stats/efa_caller.h"

void uct_srd_queues_set_failed(uct_srd_iface_t *iface)
{
    __atomic_store_n(&iface->queues.dead, 1, __ATOMIC_RELAXED);
    iface->house.look_at = 0; /* look at the end of this poll */
}

void uct_srd_queues_count_events(uct_srd_iface_t *iface, unsigned count)
{
    iface->queues.direct.cq.armed_sn += count;
    iface->queues.unacked += count;
    if (iface->queues.unacked >= 1024) { /* acknowledging takes a lock */
        ibv_ack_cq_events(iface->queues.cq, iface->queues.unacked);
        iface->queues.unacked = 0;
    }
}

ucs_status_t uct_srd_queues_arm(uct_srd_iface_t *iface)
{
    int ret;

    if (iface->queues.direct.on) {
        uct_srd_direct_cq_arm(&iface->queues.direct.cq);
        return UCS_OK;
    }

    ret = ibv_req_notify_cq(iface->queues.cq, 0);
    if (ucs_unlikely(ret != 0)) {
        ucs_error("srd: ibv_req_notify_cq: %s", strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    return UCS_OK;
}

void uct_srd_queues_show(uct_srd_iface_t *iface)
{
    uct_efa_stats_device_t *device = uct_srd_iface_md(iface)->stats;
    char site[EFA_STATS_SITE_MAX];
    uct_efa_stats_object_params_t cq = {
        .kind  = EFA_STATS_CQ,
        .iface = iface->stats,
        .size  = iface->queues.cq->cqe,
        .site  = site
    };
    uct_efa_stats_object_params_t qp = {
        .kind   = EFA_STATS_QP,
        .iface  = iface->stats,
        .number = iface->queues.qp->qp_num,
        .size   = iface->tx.num_slots,
        .size2  = iface->config.rx_queue_len,
        .site   = site
    };

    iface->stats->data_path = iface->queues.direct.on ? EFA_STATS_PATH_DIRECT :
                                                        EFA_STATS_PATH_LIBEFA;
    uct_efa_caller_name(uct_efa_caller(), site, sizeof(site));
    iface->queues.cq_stats = uct_efa_stats_object_get(device, &cq);
    iface->queues.qp_stats = uct_efa_stats_object_get(device, &qp);
}

void uct_srd_queues_hide(const uct_srd_iface_t *iface,
                         const uct_srd_queues_t *queues)
{
    uct_efa_stats_device_t *device = uct_srd_iface_md(iface)->stats;

    uct_efa_stats_object_put(device, queues->cq_stats, EFA_STATS_CQ, 0);
    uct_efa_stats_object_put(device, queues->qp_stats, EFA_STATS_QP, 0);
}

ucs_status_t uct_srd_queues_create(uct_srd_iface_t *iface,
                                   uct_srd_queues_t *queues)
{
    ucs_status_t status;

    status = uct_srd_cq_create(iface, queues);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_srd_qp_create(iface, queues);
    if (status != UCS_OK) {
        uct_srd_cq_destroy(queues);
        return status;
    }

    status = uct_srd_direct_init(iface, queues, iface->config.direct);
    if (status != UCS_OK) {
        uct_srd_qp_destroy(queues);
        uct_srd_cq_destroy(queues);
    }

    return status;
}

void uct_srd_queues_destroy(uct_srd_queues_t *queues)
{
    uct_srd_qp_destroy(queues);
    uct_srd_cq_destroy(queues);
    uct_srd_channel_destroy(queues);
}
