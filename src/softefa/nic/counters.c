/*
 * The NIC's counters: names and sums. Names are those of the EFA driver of
 * Linux 7.3. What is counted when is chosen here, as nothing is published:
 *
 *   send_*            SENDs that left, whatever became of them: all but those
 *                     that the own device refused (2 to 6) or flushed (1)
 *   recv_*            those that were delivered
 *   rdma_read_*, rdma_write_*   done ones; _wr_err: those with an error status;
 *                     resp_bytes, recv_bytes: at the other side
 *   tx_*, rx_*        all of that by direction: payload without headers; a SEND
 *                     is one packet, RDMA one for each started max_msg_size
 *   rx_drops          messages that a receiver refused: statuses 9 to 12, UD
 *   unresponsive_remote_events  requests that ended with 13 or 15
 *   retrans_*         second deliveries by a fault (`duplicate`); memory loses
 *                     nothing
 */
#include "nic/counters.h"

#include <errno.h>

/* Sums over the device's QPs; the rest is in count[]. */
typedef struct {
    softefa_traffic_t sent, received, read, written;
} counters_sum_t;

typedef uint64_t (*counter_func_t)(const softefa_shm_dev_t *dev,
                                   const counters_sum_t *sum);

static uint64_t count(const softefa_shm_dev_t *dev, softefa_count_t what)
{
    return atomic_load_explicit(&dev->count[what], memory_order_relaxed);
}

#define COUNTER(_name, _value)                                                \
    static uint64_t counter_##_name(const softefa_shm_dev_t *dev,             \
                                    const counters_sum_t *sum)                \
    {                                                                         \
        (void)dev;                                                            \
        (void)sum;                                                            \
        return _value;                                                        \
    }

COUNTER(tx_bytes, sum->sent.bytes + sum->written.bytes +
                  count(dev, SOFTEFA_COUNT_READ_RESP_BYTES))
COUNTER(tx_pkts, sum->sent.wrs + count(dev, SOFTEFA_COUNT_RDMA_TX_PKTS))
COUNTER(rx_bytes, sum->received.bytes + sum->read.bytes +
                  count(dev, SOFTEFA_COUNT_WRITE_RECV_BYTES))
COUNTER(rx_pkts, sum->received.wrs + count(dev, SOFTEFA_COUNT_RDMA_RX_PKTS))
COUNTER(rx_drops, count(dev, SOFTEFA_COUNT_RX_DROPS))
COUNTER(send_bytes, sum->sent.bytes)
COUNTER(send_wrs, sum->sent.wrs)
COUNTER(recv_bytes, sum->received.bytes)
COUNTER(recv_wrs, sum->received.wrs)
COUNTER(rdma_read_wrs, sum->read.wrs)
COUNTER(rdma_read_bytes, sum->read.bytes)
COUNTER(rdma_read_wr_err, count(dev, SOFTEFA_COUNT_READ_ERR))
COUNTER(rdma_read_resp_bytes, count(dev, SOFTEFA_COUNT_READ_RESP_BYTES))
COUNTER(rdma_write_wrs, sum->written.wrs)
COUNTER(rdma_write_bytes, sum->written.bytes)
COUNTER(rdma_write_wr_err, count(dev, SOFTEFA_COUNT_WRITE_ERR))
COUNTER(rdma_write_recv_bytes, count(dev, SOFTEFA_COUNT_WRITE_RECV_BYTES))
COUNTER(retrans_bytes, count(dev, SOFTEFA_COUNT_RETRANS_BYTES))
COUNTER(retrans_pkts, count(dev, SOFTEFA_COUNT_RETRANS_PKTS))
COUNTER(retrans_timeout_events, 0)
COUNTER(unresponsive_remote_events, count(dev, SOFTEFA_COUNT_UNRESPONSIVE))
COUNTER(impaired_remote_conn_events, 0)
COUNTER(submitted_cmds, count(dev, SOFTEFA_COUNT_CMDS))
COUNTER(completed_cmds, count(dev, SOFTEFA_COUNT_CMDS) -
                        count(dev, SOFTEFA_COUNT_NO_COMPLETION))
COUNTER(cmds_err, count(dev, SOFTEFA_COUNT_CMDS_ERR))
COUNTER(no_completion_cmds, count(dev, SOFTEFA_COUNT_NO_COMPLETION))
COUNTER(keep_alive_rcvd, 0)
COUNTER(alloc_pd_err, count(dev, SOFTEFA_COUNT_ALLOC_PD_ERR))
COUNTER(create_qp_err, count(dev, SOFTEFA_COUNT_CREATE_QP_ERR))
COUNTER(create_cq_err, count(dev, SOFTEFA_COUNT_CREATE_CQ_ERR))
COUNTER(reg_mr_err, count(dev, SOFTEFA_COUNT_REG_MR_ERR))
COUNTER(alloc_ucontext_err, count(dev, SOFTEFA_COUNT_ALLOC_UCONTEXT_ERR))
COUNTER(create_ah_err, count(dev, SOFTEFA_COUNT_CREATE_AH_ERR))
COUNTER(mmap_err, 0)

#define ENTRY(_name) {#_name, counter_##_name}

typedef struct {
    const char     *name;
    counter_func_t value;
} counter_t;

static const counter_t port_counters[] = {
    ENTRY(tx_bytes), ENTRY(tx_pkts), ENTRY(rx_bytes), ENTRY(rx_pkts),
    ENTRY(rx_drops), ENTRY(send_bytes), ENTRY(send_wrs), ENTRY(recv_bytes),
    ENTRY(recv_wrs), ENTRY(rdma_read_wrs), ENTRY(rdma_read_bytes),
    ENTRY(rdma_read_wr_err), ENTRY(rdma_read_resp_bytes),
    ENTRY(rdma_write_wrs), ENTRY(rdma_write_bytes), ENTRY(rdma_write_wr_err),
    ENTRY(rdma_write_recv_bytes), ENTRY(retrans_bytes), ENTRY(retrans_pkts),
    ENTRY(retrans_timeout_events), ENTRY(unresponsive_remote_events),
    ENTRY(impaired_remote_conn_events)
};

static const counter_t device_counters[] = {
    ENTRY(submitted_cmds), ENTRY(completed_cmds), ENTRY(cmds_err),
    ENTRY(no_completion_cmds), ENTRY(keep_alive_rcvd), ENTRY(alloc_pd_err),
    ENTRY(create_qp_err), ENTRY(create_cq_err), ENTRY(reg_mr_err),
    ENTRY(alloc_ucontext_err), ENTRY(create_ah_err), ENTRY(mmap_err)
};

static const counter_t *counter_get(softefa_counters_t which, unsigned i)
{
    if (which == SOFTEFA_COUNTERS_PORT) {
        return (i < SOFTEFA_ARRAY_SIZE(port_counters)) ? &port_counters[i] :
                                                         NULL;
    }
    return (i < SOFTEFA_ARRAY_SIZE(device_counters)) ? &device_counters[i] :
                                                       NULL;
}

const char *softefa_counters_name(softefa_counters_t which, unsigned i)
{
    const counter_t *counter = counter_get(which, i);

    return (counter == NULL) ? NULL : counter->name;
}

static void sum_add(softefa_traffic_t *sum, const softefa_traffic_t *traffic)
{
    sum->wrs += __atomic_load_n(&traffic->wrs, __ATOMIC_RELAXED);
    sum->bytes += __atomic_load_n(&traffic->bytes, __ATOMIC_RELAXED);
}

static void counters_add_up(const softefa_shm_dev_t *dev, counters_sum_t *sum)
{
    const softefa_shm_qp_t *qp;
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_QP].backed; ++i) {
        qp = &dev->qp[i];
        sum_add(&sum->sent, &qp->sent);
        sum_add(&sum->received, &qp->received);
        sum_add(&sum->read, &qp->read);
        sum_add(&sum->written, &qp->written);
    }
}

uint64_t softefa_counters_value(softefa_counters_t which, unsigned index,
                                unsigned i)
{
    const softefa_shm_t *shm = softefa_fabric.shm;
    counters_sum_t sum       = {};

    /* Before the first open there is no memory to read */
    if ((shm == NULL) || !shm->status[index].backed) {
        return 0;
    }

    if (which == SOFTEFA_COUNTERS_PORT) {
        counters_add_up(&shm->dev[index], &sum);
    }
    return counter_get(which, i)->value(&shm->dev[index], &sum);
}

/* NULL: it goes to no device of this fabric. */
static softefa_shm_dev_t *dest_device(const softefa_qp_t *qp,
                                      const softefa_io_wqe_t *wqe)
{
    const softefa_shm_dev_t *own = qp->dev->shm;
    unsigned index;

    if (wqe->ahn >= own->table[SOFTEFA_KIND_AH].backed) {
        return NULL;
    }

    index = own->ah[wqe->ahn].device;
    return ((index < SOFTEFA_MAX_DEVICES) &&
            softefa_fabric.shm->status[index].backed) ?
                   &softefa_fabric.shm->dev[index] :
                   NULL;
}

static void count_sent(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    unsigned i;

    qp->shm->sent.wrs += 1;
    if (wqe->ctrl1 & SOFTEFA_CTRL1_INLINE) {
        qp->shm->sent.bytes += wqe->length;
        return;
    }

    for (i = 0; (i < wqe->length) && (i < SOFTEFA_WQE_SEND_SGE); ++i) {
        qp->shm->sent.bytes += wqe->sge[i].length;
    }
}

void softefa_counters_error(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                            int status)
{
    softefa_shm_dev_t *dest;

    switch (wqe->ctrl1 & SOFTEFA_CTRL1_OP) {
    case SOFTEFA_OP_RDMA_READ:
        softefa_counters_add(qp->dev->shm, SOFTEFA_COUNT_READ_ERR, 1);
        break;
    case SOFTEFA_OP_RDMA_WRITE:
        softefa_counters_add(qp->dev->shm, SOFTEFA_COUNT_WRITE_ERR, 1);
        break;
    default:
        if (status >= SOFTEFA_STATUS_REMOTE_ADDRESS) {
            count_sent(qp, wqe);
        }
        break;
    }

    switch (status) {
    case SOFTEFA_STATUS_REMOTE_QPN:
    case SOFTEFA_STATUS_RNR:
    case SOFTEFA_STATUS_REMOTE_LENGTH:
    case SOFTEFA_STATUS_REMOTE_STATUS:
        dest = dest_device(qp, wqe);
        if (dest != NULL) {
            softefa_counters_add(dest, SOFTEFA_COUNT_RX_DROPS, 1);
        }
        break;
    case SOFTEFA_STATUS_UNRESPONSIVE:
    case SOFTEFA_STATUS_UNREACHABLE:
        softefa_counters_add(qp->dev->shm, SOFTEFA_COUNT_UNRESPONSIVE, 1);
        break;
    default:
        break;
    }
}

void softefa_counters_ud_lost(const softefa_qp_t *qp,
                              const softefa_io_wqe_t *wqe)
{
    softefa_shm_dev_t *dest = dest_device(qp, wqe);

    count_sent(qp, wqe);
    if (dest != NULL) {
        softefa_counters_add(dest, SOFTEFA_COUNT_RX_DROPS, 1);
    }
}

void softefa_counters_again(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                            uint64_t length)
{
    if ((wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_SEND) {
        qp->shm->sent.wrs -= 1;
        qp->shm->sent.bytes -= length;
    }
    softefa_counters_add(qp->dev->shm, SOFTEFA_COUNT_RETRANS_PKTS, 1);
    softefa_counters_add(qp->dev->shm, SOFTEFA_COUNT_RETRANS_BYTES, length);
}

void softefa_counters_rdma(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                           softefa_shm_dev_t *dest)
{
    bool read       = (wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_RDMA_READ;
    uint32_t length = wqe->rdma.remote.length;
    uint32_t size   = qp->dev->profile.max_msg_size;
    uint32_t pkts   = (length > size) ? ((length + size - 1) / size) : 1;
    softefa_traffic_t *traffic = read ? &qp->shm->read : &qp->shm->written;

    traffic->wrs += 1;
    traffic->bytes += length;
    softefa_counters_add(dest,
                         read ? SOFTEFA_COUNT_READ_RESP_BYTES :
                                SOFTEFA_COUNT_WRITE_RECV_BYTES,
                         length);
    softefa_counters_add(dest,
                         read ? SOFTEFA_COUNT_RDMA_TX_PKTS :
                                SOFTEFA_COUNT_RDMA_RX_PKTS,
                         pkts);
    softefa_counters_add(qp->dev->shm,
                         read ? SOFTEFA_COUNT_RDMA_RX_PKTS :
                                SOFTEFA_COUNT_RDMA_TX_PKTS,
                         pkts);
}

void softefa_counters_command(unsigned index, softefa_count_t failed, int ret)
{
    softefa_shm_dev_t *dev = &softefa_fabric.shm->dev[index];

    softefa_counters_add(dev, SOFTEFA_COUNT_CMDS, 1);
    if (ret == 0) {
        return;
    }

    softefa_counters_add(dev,
                         (ret == ETIME) ? SOFTEFA_COUNT_NO_COMPLETION :
                                          SOFTEFA_COUNT_CMDS_ERR,
                         1);
    if (failed != SOFTEFA_NUM_COUNTS) {
        softefa_counters_add(dev, failed, 1);
    }
}
