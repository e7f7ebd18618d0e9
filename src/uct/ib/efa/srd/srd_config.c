/*
 * UCX_SRD_*: what the user can set, and within which limits.
 */
#include "srd_iface.h"

/* What has one name for all of UCX's verbs transports */
static ucs_config_field_t uct_srd_ib_config_table[] = {
    {"SEG_SIZE", "inf",
     "Largest message, and largest put or get through a buffer, bytes. The "
     "device's limit (max_msg_sz, 8928 on all known devices) holds in any case.",
     ucs_offsetof(uct_srd_iface_config_t, seg_size), UCS_CONFIG_TYPE_MEMUNITS},

    {.name = NULL}
};

static ucs_config_field_t uct_srd_config_table[] = {
    {"", "", NULL, ucs_offsetof(uct_srd_iface_config_t, super),
     UCS_CONFIG_TYPE_TABLE(uct_iface_config_table)},

    {"IB_", "", NULL, 0, UCS_CONFIG_TYPE_TABLE(uct_srd_ib_config_table)},

    {"TX_QUEUE_LEN", "512",
     "Messages an interface may have under way, to all peers together.",
     ucs_offsetof(uct_srd_iface_config_t, tx.queue_len), UCS_CONFIG_TYPE_UINT},

    {"TX_WINDOW", "256",
     "Messages an interface may have under way to one peer; a power of two, 16 "
     "to 4096. The peer's RX_WINDOW and half of TX_QUEUE_LEN limit it, too: one "
     "peer that does not take messages cannot stop the others.",
     ucs_offsetof(uct_srd_iface_config_t, tx.window), UCS_CONFIG_TYPE_UINT},

    {"RNR_RETRY", "3",
     "How often the device sends a message again that met a receiver without "
     "buffers, 0 to 6, or 7 for without end. Then the message is sent again "
     "from here after a pause, so none is lost with any value.",
     ucs_offsetof(uct_srd_iface_config_t, tx.rnr_retry), UCS_CONFIG_TYPE_UINT},

    {"RETRY_COUNT", "7",
     "How often a message that ends with an unexpected status is sent again "
     "before the peer counts as failed, 0 to 254.",
     ucs_offsetof(uct_srd_iface_config_t, tx.retry_count),
     UCS_CONFIG_TYPE_UINT},

    UCT_EFA_MPOOL_CONFIG_FIELDS("TX_", -1, 0, "send",
                                ucs_offsetof(uct_srd_iface_config_t, tx.mp),
                                ""),

    {"RX_QUEUE_LEN", "1024",
     "Receive buffers an interface keeps posted at most: 256 for each peer that "
     "was heard from, at least 256. Each takes the device's max_msg_sz of "
     "registered memory.",
     ucs_offsetof(uct_srd_iface_config_t, rx.queue_len), UCS_CONFIG_TYPE_UINT},

    {"RX_WINDOW", "512",
     "Messages beyond a missing one that are kept for a peer; a power of two, "
     "16 to 4096. Peers send no further.",
     ucs_offsetof(uct_srd_iface_config_t, rx.window), UCS_CONFIG_TYPE_UINT},

    {"RX_BATCH", "32",
     "Receive buffers that are posted at once, 1 to 64.",
     ucs_offsetof(uct_srd_iface_config_t, rx.batch), UCS_CONFIG_TYPE_UINT},

    UCT_EFA_MPOOL_CONFIG_FIELDS("RX_", -1, 0, "receive",
                                ucs_offsetof(uct_srd_iface_config_t, rx.mp),
                                ""),

    {"MAX_POLL", "16",
     "Completions handled in one round of progress, 1 to 16.",
     ucs_offsetof(uct_srd_iface_config_t, max_poll), UCS_CONFIG_TYPE_UINT},

    {"EVENTS", "try",
     "Completion events, for workers that sleep: \"try\" uses them if the device "
     "has them, \"y\" demands them, \"n\" does without.",
     ucs_offsetof(uct_srd_iface_config_t, events), UCS_CONFIG_TYPE_TERNARY},

    {"RDMA", "try",
     "One-sided operations of the device: \"try\" uses RDMA read and RDMA write "
     "as far as the device and libefa have them, \"y\" demands at least read, "
     "\"n\" does without; then UCP sends all data as active messages.",
     ucs_offsetof(uct_srd_iface_config_t, rdma), UCS_CONFIG_TYPE_TERNARY},

    {"CLOSE_TIMEOUT", "200ms",
     "How long a process that closes interfaces, one or one after the other,\n"
     "waits for messages that were not flushed and that their receivers have\n"
     "no buffers for. Answers are not waited for.",
     ucs_offsetof(uct_srd_iface_config_t, close_timeout),
     UCS_CONFIG_TYPE_TIME},

    {"MAX_CLAIMED", "16384",
     "Peers that are remembered though nothing but their own word says where\n"
     "they are; others that begin so are not heard until these have proven\n"
     "theirs. Counted as drop_nomem.",
     ucs_offsetof(uct_srd_iface_config_t, max_claimed), UCS_CONFIG_TYPE_UINT},

    {"GONE_TIMEOUT", "2s",
     "How long a peer may be without its queue pair, though its device answers,\n"
     "before it counts as failed: its process has exited, or makes a new one\n"
     "after a reset of the device.",
     ucs_offsetof(uct_srd_iface_config_t, gone_timeout), UCS_CONFIG_TYPE_TIME},

    {"RECOVERY_TIMEOUT", "10s",
     "How long to wait for our device after its reset, and for a peer whose\n"
     "device does not answer any more, before endpoints fail.",
     ucs_offsetof(uct_srd_iface_config_t, recovery_timeout),
     UCS_CONFIG_TYPE_TIME},

    {.name = NULL}
};

/* uct_config_modify(), which UCP calls for ucp_config_modify(), knows the prefix
 * of a transport from UCX 1.17 on, but that of a table in all of them. */
ucs_config_field_t uct_srd_iface_config_table[] = {
    {"SRD_", "", NULL, 0, UCS_CONFIG_TYPE_TABLE(uct_srd_config_table)},

    {.name = NULL}
};

ucs_status_t uct_srd_iface_config_check(uct_srd_iface_t *iface,
                                        const uct_srd_iface_config_t *config)
{
    const uct_efa_device_t *dev = &uct_srd_iface_md(iface)->dev;
    struct {
        const char *name;
        unsigned   value, min, max;
        int        pow2;
    } limits[] = {
        {"TX_QUEUE_LEN", config->tx.queue_len, 1,
         dev->efa.max_sq_wr - UCT_SRD_CTL_SLOTS, 0},
        {"RX_QUEUE_LEN", config->rx.queue_len, 1, dev->efa.max_rq_wr, 0},
        {"TX_WINDOW", config->tx.window, UCT_SRD_WINDOW_MIN,
         UCT_SRD_WINDOW_MAX, 1},
        {"RX_WINDOW", config->rx.window, UCT_SRD_WINDOW_MIN,
         UCT_SRD_WINDOW_MAX, 1},
        {"RX_BATCH", config->rx.batch, 1, 64, 0},
        {"MAX_POLL", config->max_poll, 1, UCT_SRD_POLL_BATCH, 0},
        {"RNR_RETRY", config->tx.rnr_retry, 0, 7, 0},
        {"RETRY_COUNT", config->tx.retry_count, 0, UCT_SRD_RETRY_MAX, 0}
    };
    unsigned i;

    for (i = 0; i < ucs_static_array_size(limits); ++i) {
        if ((limits[i].value < limits[i].min) ||
            (limits[i].value > limits[i].max) ||
            (limits[i].pow2 && !ucs_is_pow2(limits[i].value))) {
            ucs_error("srd: UCX_SRD_%s=%u: must be %u to %u%s", limits[i].name,
                      limits[i].value, limits[i].min, limits[i].max,
                      limits[i].pow2 ? ", a power of two" : "");
            return UCS_ERR_INVALID_PARAM;
        }
    }

    iface->config.max_msg       = ucs_min(config->seg_size, dev->max_msg_sz);
    iface->config.tx_queue_len  = config->tx.queue_len;
    iface->config.tx_window     = config->tx.window;
    iface->config.peer_window   = ucs_min(config->tx.window,
                                          ucs_max(config->tx.queue_len / 2,
                                                  1u));
    iface->config.rnr_retry     = config->tx.rnr_retry;
    iface->config.retry_count   = config->tx.retry_count;
    iface->config.rx_queue_len  = ucs_min(config->rx.queue_len,
                                          config->rx.mp.max_bufs);
    iface->config.rx_window     = config->rx.window;
    iface->config.rx_batch      = ucs_min(config->rx.batch,
                                          ucs_max(iface->config.rx_queue_len /
                                                  4, 1u));
    iface->config.max_poll      = config->max_poll;
    iface->config.close_timeout = config->close_timeout;
    iface->config.max_claimed      = config->max_claimed;
    iface->config.gone_timeout     = config->gone_timeout;
    iface->config.recovery_timeout = config->recovery_timeout;

    iface->config.rdma_read     = (config->rdma != UCS_NO) &&
                                  dev->has_rdma_read;
    iface->config.rdma_write    = (config->rdma != UCS_NO) &&
                                  dev->has_rdma_write;
    iface->config.rdma_zcopy    = dev->efa.max_rdma_size;
    iface->config.rdma_bcopy    = ucs_min(iface->config.max_msg,
                                          dev->efa.max_rdma_size);
    iface->config.rdma_short    = ucs_min(UCT_SRD_INLINE_AREA,
                                          dev->efa.max_rdma_size);
    if ((config->rdma == UCS_YES) && !dev->has_rdma_read) {
        ucs_error("srd: UCX_SRD_RDMA=y, but %s cannot do RDMA reads",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)));
        return UCS_ERR_UNSUPPORTED;
    }

    if (iface->config.max_msg < UCT_SRD_INLINE_AREA) {
        ucs_error("srd: UCX_SRD_SEG_SIZE=%zu: must be %u or more",
                  iface->config.max_msg, UCT_SRD_INLINE_AREA);
        return UCS_ERR_INVALID_PARAM;
    }

    return UCS_OK;
}
