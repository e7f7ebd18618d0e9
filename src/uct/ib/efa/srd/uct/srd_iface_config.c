/*
 * UCX_SRD_*: what the user can set, and within which limits.
 *
 *   the table         what no device can do, and what makes no sense: refused
 *                     where UCX reads the option (efa_config.h)
 *   config_check()    what this device cannot do
 */
#include "srd/uct/srd_iface.h"

#include "base/ucx/efa_config.h"

/* Of tables of this size PSNs of 16 bits tell all messages apart. The device
 * limits queues further: uct_srd_iface_config_check(). */
#define UCT_SRD_QUEUE_MAX 65535

/* What has one name for all of UCX's verbs transports */
static ucs_config_field_t uct_srd_iface_config_ib_table[] = {
    {"SEG_SIZE", "inf",
     "Largest message, and largest put or get through a buffer. The device's "
     "limit (max_msg_sz, 8928 bytes on all known devices) holds in any case.",
     ucs_offsetof(uct_srd_iface_config_t, seg_size),
     UCT_EFA_CONFIG_TYPE_SIZE(UCT_SRD_INLINE_AREA)},

    {.name = NULL}
};

static ucs_config_field_t uct_srd_iface_config_srd_table[] = {
    {"", "", NULL, ucs_offsetof(uct_srd_iface_config_t, super),
     UCS_CONFIG_TYPE_TABLE(uct_iface_config_table)},

    {"IB_", "", NULL, 0, UCS_CONFIG_TYPE_TABLE(uct_srd_iface_config_ib_table)},

    {"TX_QUEUE_LEN", "512",
     "Messages an interface may have under way, to all peers together.",
     ucs_offsetof(uct_srd_iface_config_t, tx.queue_len),
     UCT_EFA_CONFIG_TYPE_UINT(1, UCT_SRD_QUEUE_MAX)},

    {"TX_WINDOW", "256",
     "Messages an interface may have under way to one peer; a power of two, 16 "
     "to 4096. The peer's RX_WINDOW and half of TX_QUEUE_LEN limit it, too: "
     "one peer that does not take messages cannot stop the others.",
     ucs_offsetof(uct_srd_iface_config_t, tx.window),
     UCT_EFA_CONFIG_TYPE_UINT_FLAGS(UCT_SRD_WINDOW_MIN, UCT_SRD_WINDOW_MAX,
                                    UCT_EFA_CONFIG_POW2)},

    {"RNR_RETRY", "3",
     "How often the device sends a message again that met a receiver without "
     "buffers, 0 to 6, or 7 for without end. Then the message is sent again "
     "from here after a pause, so none is lost with any value.",
     ucs_offsetof(uct_srd_iface_config_t, tx.rnr_retry),
     UCT_EFA_CONFIG_TYPE_UINT(0, 7)},

    {"RETRY_COUNT", "7",
     "How often a message that ends with an unexpected status is sent again "
     "before the peer counts as failed, 0 to 254.",
     ucs_offsetof(uct_srd_iface_config_t, tx.retry_count),
     UCT_EFA_CONFIG_TYPE_UINT(0, UCT_SRD_RETRY_MAX)},

    UCT_EFA_MPOOL_CONFIG_FIELDS("TX_", "send",
                                ucs_offsetof(uct_srd_iface_config_t, tx.mp)),

    {"RX_QUEUE_LEN", "1024",
     "Receive buffers an interface keeps posted at most: 256 for each peer "
     "that was heard from, at least 256. Each takes the device's max_msg_sz of "
     "registered memory.",
     ucs_offsetof(uct_srd_iface_config_t, rx.queue_len),
     UCT_EFA_CONFIG_TYPE_UINT(1, UCT_SRD_QUEUE_MAX)},

    {"RX_WINDOW", "512",
     "Messages beyond a missing one that are kept for a peer; a power of two, "
     "16 to 4096. Peers send no further.",
     ucs_offsetof(uct_srd_iface_config_t, rx.window),
     UCT_EFA_CONFIG_TYPE_UINT_FLAGS(UCT_SRD_WINDOW_MIN, UCT_SRD_WINDOW_MAX,
                                    UCT_EFA_CONFIG_POW2)},

    {"RX_BATCH", "32",
     "Receive buffers that are posted at once, 1 to 64.",
     ucs_offsetof(uct_srd_iface_config_t, rx.batch),
     UCT_EFA_CONFIG_TYPE_UINT(1, 64)},

    UCT_EFA_MPOOL_CONFIG_FIELDS("RX_", "receive",
                                ucs_offsetof(uct_srd_iface_config_t, rx.mp)),

    {"MAX_POLL", "16",
     "Completions handled in one round of progress, 1 to 16.",
     ucs_offsetof(uct_srd_iface_config_t, max_poll),
     UCT_EFA_CONFIG_TYPE_UINT(1, UCT_SRD_POLL_BATCH)},

    {"EVENTS", "try",
     "Completion events, for workers that sleep: \"try\" uses them if the "
     "device has them, \"y\" demands them, \"n\" does without.",
     ucs_offsetof(uct_srd_iface_config_t, events), UCS_CONFIG_TYPE_TERNARY},

    {"RDMA", "try",
     "One-sided operations of the device: \"try\" uses RDMA read and RDMA "
     "write as far as the device and libefa have them, \"y\" demands at least "
     "read, \"n\" does without; then UCP sends all data as active messages.",
     ucs_offsetof(uct_srd_iface_config_t, rdma), UCS_CONFIG_TYPE_TERNARY},

    {"DIRECT", "try",
     "Direct data path: the transport writes and reads the device's queues "
     "itself, which takes half the instructions of libefa's calls. \"try\" "
     "uses it where libefa tells where the queues are (rdma-core 60 and "
     "later), \"y\" demands it, \"n\" leaves the queues to libefa.",
     ucs_offsetof(uct_srd_iface_config_t, direct), UCS_CONFIG_TYPE_TERNARY},

    {"CLOSE_TIMEOUT", "200ms",
     "How long a process that closes interfaces, one or one after the other,\n"
     "waits for messages that were not flushed and that their receivers have\n"
     "no buffers for. Answers are not waited for.",
     ucs_offsetof(uct_srd_iface_config_t, close_timeout),
     UCT_EFA_CONFIG_TYPE_DURATION},

    {"GONE_TIMEOUT", "2s",
     "How long a peer may be without its queue pair, though its device "
     "answers,\n"
     "before it counts as failed: its process has exited, or makes a new one\n"
     "after a reset of the device.",
     ucs_offsetof(uct_srd_iface_config_t, gone_timeout),
     UCT_EFA_CONFIG_TYPE_DURATION},

    {"RECOVERY_TIMEOUT", "10s",
     "How long to wait for our device after its reset, and for a peer whose\n"
     "device does not answer any more, before endpoints fail.",
     ucs_offsetof(uct_srd_iface_config_t, recovery_timeout),
     UCT_EFA_CONFIG_TYPE_DURATION},

    {"LATENCY", "0us",
     "Latency of a small message, one way, that UCX is told, by which it\n"
     "chooses transports and from which size on it uses rendezvous. 0 tells\n"
     "an estimate for the generation of the device.",
     ucs_offsetof(uct_srd_iface_config_t, latency),
     UCT_EFA_CONFIG_TYPE_DURATION},

    {.name = NULL}
};

/* uct_config_modify(), which UCP calls for ucp_config_modify(), knows the
 * prefix of a transport from UCX 1.17 on, but that of a table in all of
 * them. */
ucs_config_field_t uct_srd_iface_config_table[] = {
    {"SRD_", "", NULL, 0,
     UCS_CONFIG_TYPE_TABLE(uct_srd_iface_config_srd_table)},

    {.name = NULL}
};

/* A queue that the device can have; extra entries are ours. */
static ucs_status_t
uct_srd_iface_config_check_queue(const uct_srd_iface_t *iface, const char *name,
                                 unsigned value, unsigned extra,
                                 const char *limit_name, uint32_t limit)
{
    const char *device = uct_efa_md_device_name(uct_srd_iface_md(iface));

    if (limit <= extra) {
        ucs_error("srd: %s has queues of %u entries (%s), srd needs %u or more",
                  device, limit, limit_name, extra + 1);
        return UCS_ERR_UNSUPPORTED;
    }

    if (value > limit - extra) {
        ucs_error("srd: UCX_SRD_%s=%u: must be 1 to %u: %s has queues of %u "
                  "entries (%s)",
                  name, value, limit - extra, device, limit, limit_name);
        return UCS_ERR_INVALID_PARAM;
    }

    return UCS_OK;
}

ucs_status_t uct_srd_iface_config_check(uct_srd_iface_t *iface,
                                        const uct_srd_iface_config_t *config)
{
    const uct_efa_device_t *dev = &uct_srd_iface_md(iface)->dev;
    unsigned half_queue, max_batch;
    ucs_status_t status;

    status = uct_srd_iface_config_check_queue(iface, "TX_QUEUE_LEN",
                                              config->tx.queue_len,
                                              UCT_SRD_CTL_SLOTS, "max_sq_wr",
                                              dev->efa.max_sq_wr);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_srd_iface_config_check_queue(iface, "RX_QUEUE_LEN",
                                              config->rx.queue_len, 0,
                                              "max_rq_wr", dev->efa.max_rq_wr);
    if (status != UCS_OK) {
        return status;
    }

    iface->config.max_msg       = ucs_min(config->seg_size, dev->max_msg_sz);
    iface->config.tx_queue_len  = config->tx.queue_len;
    iface->config.tx_window     = config->tx.window;
    half_queue                  = ucs_max(config->tx.queue_len / 2, 1u);
    iface->config.peer_window   = ucs_min(config->tx.window, half_queue);
    iface->config.rnr_retry     = config->tx.rnr_retry;
    iface->config.retry_count   = config->tx.retry_count;
    iface->config.rx_queue_len  = ucs_min(config->rx.queue_len,
                                          config->rx.mp.max_bufs);
    iface->config.rx_window     = config->rx.window;
    max_batch                   = ucs_max(iface->config.rx_queue_len / 4, 1u);
    iface->config.rx_batch      = ucs_min(config->rx.batch, max_batch);
    iface->config.max_poll      = config->max_poll;
    iface->config.direct        = config->direct;
    iface->config.close_timeout = config->close_timeout;
    iface->config.gone_timeout  = config->gone_timeout;
    iface->config.recovery_timeout = config->recovery_timeout;
    iface->config.latency          = (config->latency > 0) ? config->latency :
                                                             dev->latency;

    iface->config.rdma_read  = (config->rdma != UCS_NO) && dev->has_rdma_read;
    iface->config.rdma_write = (config->rdma != UCS_NO) && dev->has_rdma_write;
    iface->config.rdma_zcopy = dev->efa.max_rdma_size;
    iface->config.rdma_bcopy = ucs_min(iface->config.max_msg,
                                       dev->efa.max_rdma_size);
    iface->config.rdma_short = ucs_min(UCT_SRD_INLINE_AREA,
                                       dev->efa.max_rdma_size);
    if ((config->rdma == UCS_YES) && !dev->has_rdma_read) {
        ucs_error("srd: UCX_SRD_RDMA=y, but %s cannot do RDMA reads",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)));
        return UCS_ERR_UNSUPPORTED;
    }

    if (iface->config.max_msg < UCT_SRD_INLINE_AREA) {
        ucs_error("srd: %s takes messages of %zu bytes (max_msg_sz), srd needs "
                  "%u or more",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)),
                  iface->config.max_msg, UCT_SRD_INLINE_AREA);
        return UCS_ERR_UNSUPPORTED;
    }

    return UCS_OK;
}
