/*
 * A device that is lost without a word. Linux's efa driver (6.1 to 7.2) tells
 * no program that its device is off the bus, was reset or died: what was posted
 * just never ends. So the device is asked.
 *
 *   it has requests of ours, and for half of GONE_TIMEOUT none has ended and
 *   nothing has come: ibv_query_qp(), which is a command to the device
 *
 *     fails as on a lost device   the context is dead
 *     tells ERR                   the queue pair has failed
 *     else                        receivers that are busy: the same time again
 *
 * Half of it, as our peers are told by their devices, and wait GONE_TIMEOUT for
 * a queue pair that is away. Who only receives is not looked after: nothing is
 * due to it.
 */
#include "srd/assoc/recovery/srd_lost.h"
#include "srd/queues/srd_queues.h"

/* Whether the device has, or may have, requests of ours */
static int uct_srd_lost_is_busy(const uct_srd_iface_t *iface)
{
    return !iface->recover.is &&
           ((iface->tx.num_free < iface->config.tx_queue_len) ||
            (iface->tx.num_ctl < UCT_SRD_CTL_SLOTS));
}

/* Changes whenever a request ends or something comes: each request counts as
 * it is posted, and has a slot until it ends. */
static uint64_t uct_srd_lost_ended(const uct_srd_iface_t *iface)
{
    const uct_efa_stats_iface_t *stats = iface->stats;

    return stats->tx_msgs + stats->tx_ctl + stats->retransmit +
           stats->rdma_read_ops + stats->rdma_write_ops + iface->tx.num_free +
           iface->tx.num_ctl + stats->rx_msgs + stats->rx_ctl;
}

ucs_time_t uct_srd_lost_deadline(const uct_srd_iface_t *iface)
{
    return uct_srd_lost_is_busy(iface) ?
                   iface->recover.quiet_since +
                           ucs_time_from_sec(iface->config.gone_timeout / 2) :
                   UCS_TIME_INFINITY;
}

void uct_srd_lost_look(uct_srd_iface_t *iface, ucs_time_t now)
{
    uint64_t ended = uct_srd_lost_ended(iface);

    if (!uct_srd_lost_is_busy(iface) || (ended != iface->recover.quiet_at)) {
        iface->recover.quiet_at    = ended;
        iface->recover.quiet_since = now;
    } else if (now >= uct_srd_lost_deadline(iface)) {
        iface->recover.quiet_since = now;
        if (uct_srd_qp_ask(iface)) {
            uct_srd_queues_set_failed(iface);
        }
    }
}
