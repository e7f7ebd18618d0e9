/* Commands of the device: features, statistics. */
#include "pci/admin.h"
#include "nic/counters.h"

#include <errno.h>
#include <string.h>

enum {
    API_VERSION = 1,
    DB_BAR      = SOFTEFA_PCI_BAR_DB,
    PHYS_BITS   = 48,
    VIRT_BITS   = 57,
    PAGE_SHIFT  = 12,

    /* ms: of a machine that is busy, too. The driver polls for it with
     * interrupts off, but finds it at once. */
    MMIO_TIMEOUT = 10000,

    ALL_GROUPS  = (1 << SOFTEFA_AENQ_FATAL) | (1 << SOFTEFA_AENQ_WARNING) |
                 (1 << SOFTEFA_AENQ_NOTIFICATION) |
                 (1 << SOFTEFA_AENQ_KEEP_ALIVE)
};

static const struct {
    uint32_t profile;                /* softefa_cap_t */
    uint32_t admin;
} cap_table[] = {
    {SOFTEFA_CAP_RDMA_READ, SOFTEFA_ADMIN_CAP_READ},
    {SOFTEFA_CAP_RNR_RETRY, SOFTEFA_ADMIN_CAP_RNR_RETRY},
    {SOFTEFA_CAP_DATA_POLLING_128, SOFTEFA_ADMIN_CAP_POLLING_128},
    {SOFTEFA_CAP_RDMA_WRITE, SOFTEFA_ADMIN_CAP_WRITE},
    {SOFTEFA_CAP_UNSOLICITED_WRITE_RECV, SOFTEFA_ADMIN_CAP_UNSOLICITED}
};

static uint64_t features(const softefa_pci_t *pci)
{
    uint64_t bits = (1 << SOFTEFA_FEATURE_DEVICE) |
                    (1 << SOFTEFA_FEATURE_AENQ) |
                    (1 << SOFTEFA_FEATURE_NETWORK) |
                    (1 << SOFTEFA_FEATURE_QUEUES) |
                    (1 << SOFTEFA_FEATURE_HINTS) |
                    (1 << SOFTEFA_FEATURE_HOST_INFO);

    if (pci->profile.caps & SOFTEFA_CAP_CQ_NOTIFICATIONS) {
        bits |= 1 << SOFTEFA_FEATURE_EVENT_QUEUES;
    }
    if (pci->profile.inline_size_ex > 0) {
        bits |= 1 << SOFTEFA_FEATURE_QUEUES_2;
    }
    return bits;
}

static void feature_device(const softefa_pci_t *pci,
                           softefa_feature_device_t *device)
{
    uint8_t gid[16];
    size_t i;

    softefa_dev_gid(pci->dev, gid);
    device->features       = features(pci);
    device->page_sizes     = 0xfffff000u;
    device->api_version    = API_VERSION;
    device->device_version = pci->profile.pci_device;
    device->db_bar         = DB_BAR;
    device->phys_bits      = PHYS_BITS;
    device->virt_bits      = VIRT_BITS;
    device->max_rdma_size  = pci->profile.max_rdma_size;
    device->link_gbps      = pci->profile.link_gbps;
    memcpy(&device->guid, gid + 8, sizeof(device->guid));
    for (i = 0; i < SOFTEFA_ARRAY_SIZE(cap_table); ++i) {
        if (pci->profile.caps & cap_table[i].profile) {
            device->caps |= cap_table[i].admin;
        }
    }
}

static void feature_queues(const softefa_pci_t *pci,
                           softefa_feature_queues_t *queues)
{
    const softefa_profile_t *profile = &pci->profile;

    queues->max_qp       = profile->max_qp;
    queues->max_sq_depth = profile->max_sq_wr;
    queues->inline_size  = profile->inline_size;
    queues->max_rq_depth = profile->max_rq_wr;
    queues->max_cq       = profile->max_cq;
    queues->max_cq_depth = profile->max_cqe;
    queues->sub_cqs      = profile->sub_cqs;
    queues->min_sq_depth = profile->min_sq_wr;
    queues->max_send_sge = profile->max_sq_sge;
    queues->max_recv_sge = profile->max_rq_sge;
    queues->max_mr       = profile->max_mr;
    queues->max_mr_pages = profile->max_mr_size >> PAGE_SHIFT;
    queues->max_pd       = profile->max_pd;
    queues->max_ah       = profile->max_ah;
    queues->max_llq_size = profile->max_llq_size;
    queues->max_rdma_sge = profile->max_rdma_sge;
    queues->max_tx_batch = profile->max_tx_batch;
}

/* A CQ has at most one event that the driver has not seen, so an EQ that has
 * room for one of each is never full. */
static void feature_eq(const softefa_pci_t *pci, softefa_feature_eq_t *eq)
{
    eq->max_eq       = pci->num_vectors - 1;
    eq->max_eq_depth = pci->cq_slots * 2;
    eq->events       = 1;
    if (eq->max_eq_depth > UINT16_MAX / 2 + 1) {
        eq->max_eq_depth = UINT16_MAX / 2 + 1;
    }
}

int softefa_pci_cmd_get_feature(softefa_pci_t *pci,
                                const softefa_admin_cmd_t *cmd,
                                softefa_admin_resp_t *resp)
{
    unsigned feature = cmd->feature.feature;

    if ((feature >= 64) || !((features(pci) >> feature) & 1)) {
        return EOPNOTSUPP;
    }

    switch (feature) {
    case SOFTEFA_FEATURE_DEVICE:
        feature_device(pci, &resp->device);
        return 0;
    case SOFTEFA_FEATURE_AENQ:
        resp->aenq.supported = ALL_GROUPS;
        resp->aenq.enabled   = pci->aenq_groups;
        return 0;
    case SOFTEFA_FEATURE_NETWORK:
        softefa_dev_gid(pci->dev, resp->network.gid);
        resp->network.mtu = pci->profile.max_msg_size;
        return 0;
    case SOFTEFA_FEATURE_QUEUES:
        feature_queues(pci, &resp->queues);
        return 0;
    case SOFTEFA_FEATURE_QUEUES_2:
        resp->queues_2.inline_size_ex = pci->profile.inline_size_ex;
        return 0;
    case SOFTEFA_FEATURE_HINTS:
        resp->hints.mmio_read_timeout = MMIO_TIMEOUT;
        return 0;
    case SOFTEFA_FEATURE_EVENT_QUEUES:
        feature_eq(pci, &resp->eq);
        return 0;
    default:
        return EOPNOTSUPP;
    }
}

int softefa_pci_cmd_set_feature(softefa_pci_t *pci,
                                const softefa_admin_cmd_t *cmd,
                                softefa_admin_resp_t *resp)
{
    uint64_t address = ((uint64_t)cmd->feature.ctrl.addr_hi << 32) |
                       cmd->feature.ctrl.addr_lo;

    (void)resp;
    switch (cmd->feature.feature) {
    case SOFTEFA_FEATURE_AENQ:
        if (cmd->feature.aenq.enabled & ~(uint32_t)ALL_GROUPS) {
            return EINVAL;
        }
        pci->aenq_groups = cmd->feature.aenq.enabled;
        pci->keep_alive  = (pci->aenq_groups & (1 << SOFTEFA_AENQ_KEEP_ALIVE)) ?
                                   1 :
                                   0;
        return 0;
    case SOFTEFA_FEATURE_HOST_INFO:
        return (softefa_pci_dma_at(&pci->dma, address,
                                   sizeof(softefa_host_info_t),
                                   false) == NULL) ?
                       EINVAL :
                       0;
    default:
        return EOPNOTSUPP;
    }
}

/* The counters of each type, by the model's names, in the response's order */
static const char *const
        stats_table[SOFTEFA_STATS_TYPES][SOFTEFA_STATS_MAX] = {
    [SOFTEFA_STATS_BASIC]    = {"tx_bytes", "tx_pkts", "rx_bytes", "rx_pkts",
                                "rx_drops"},
    [SOFTEFA_STATS_MESSAGES] = {"send_bytes", "send_wrs", "recv_bytes",
                                "recv_wrs"},
    [SOFTEFA_STATS_READ]     = {"rdma_read_wrs", "rdma_read_bytes",
                                "rdma_read_wr_err", "rdma_read_resp_bytes"},
    [SOFTEFA_STATS_WRITE]    = {"rdma_write_wrs", "rdma_write_bytes",
                                "rdma_write_wr_err", "rdma_write_recv_bytes"},
    [SOFTEFA_STATS_NETWORK]  = {"retrans_bytes", "retrans_pkts",
                                "retrans_timeout_events",
                                "unresponsive_remote_events",
                                "impaired_remote_conn_events"}
};

static uint64_t stats_value(const softefa_pci_t *pci, const char *name)
{
    const char *other;
    unsigned i;

    for (i = 0;
         (other = softefa_counters_name(SOFTEFA_COUNTERS_PORT, i)) != NULL;
         ++i) {
        if (!strcmp(name, other)) {
            return softefa_counters_value(SOFTEFA_COUNTERS_PORT, pci->index, i);
        }
    }

    return 0;
}

int softefa_pci_cmd_get_stats(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    unsigned type = cmd->stats.type;
    unsigned i;

    if ((type >= SOFTEFA_STATS_TYPES) || (cmd->stats.scope != 0)) {
        return EINVAL;
    }

    for (i = 0; (i < SOFTEFA_STATS_MAX) && (stats_table[type][i] != NULL);
         ++i) {
        resp->stats[i] = stats_value(pci, stats_table[type][i]);
    }
    return 0;
}
