/*
 * The queues of an interface as a whole: made, ready, shown, failed, destroyed.
 */
#include "srd/queues/srd_queues.h"

#include "stats/efa_caller.h"

void uct_srd_queues_set_failed(uct_srd_iface_t *iface)
{
    __atomic_store_n(&iface->queues.dead, 1, __ATOMIC_RELAXED);
    iface->house.look_at = 0; /* look at the end of this poll */
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
    }

    return status;
}

void uct_srd_queues_destroy(uct_srd_queues_t *queues)
{
    uct_srd_qp_destroy(queues);
    uct_srd_cq_destroy(queues);
    uct_srd_channel_destroy(queues);
}
