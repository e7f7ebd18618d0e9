#define _GNU_SOURCE
#include "ring.h"

#include <infiniband/verbs.h>
#include <string.h>
#include <time.h>

uint64_t ring_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

uint64_t ring_deadline(void)
{
    return ring_now() + (RING_DEADLINE * 1000000000ull);
}

unsigned ring_scaled(unsigned count)
{
    const char *scale = getenv("TEST_SCALE");
    unsigned result   = (scale == NULL) ? count :
                                          (uint64_t)count * atoi(scale) / 100;

    return (result > 0) ? result : 1;
}

void ring_port_open(ring_port_t *port, unsigned device)
{
    uint8_t gid[16];
    unsigned i;

    memset(port, 0, sizeof(*port));
    CHECK(softefa_dev_open(device, &port->dev) == 0);
    CHECK(softefa_pd_alloc(port->dev, &port->pdn) == 0);
    port->memory = aligned_alloc(4096, RING_MEMORY);
    memset(port->memory, 0, RING_MEMORY);
    CHECK(softefa_mr_reg(port->dev, port->pdn, (uintptr_t)port->memory,
                         RING_MEMORY, (uintptr_t)port->memory,
                         IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                                 IBV_ACCESS_REMOTE_WRITE,
                         &port->mr, &port->lkey, &port->rkey) == 0);
    for (i = 0; i < RING_DEVICES; ++i) {
        softefa_fabric_gid(i, gid);
        CHECK(softefa_ah_create(port->dev, port->pdn, gid, &port->ahn[i]) == 0);
    }
}

void ring_port_close(ring_port_t *port)
{
    softefa_dev_close(port->dev);
    free(port->memory);
}

void ring_cq_create(ring_port_t *port, ring_cq_t *cq, uint32_t depth,
                    softefa_channel_t *channel, uint64_t cookie)
{
    softefa_cq_attr_t attr = {
        .depth = depth, .entry_size = sizeof(softefa_io_cqe_t),
        .num_sub_cqs = 1, .channel = channel, .cookie = cookie
    };

    cq->dev      = port->dev;
    cq->depth    = depth;
    cq->consumed = 0;
    CHECK(softefa_cq_create(port->dev, &attr, &cq->cq, &cq->map) == 0);
}

bool ring_cq_poll(ring_cq_t *cq, softefa_io_cqe_t *cqe)
{
    softefa_io_cqe_t *ring = softefa_fabric_at(cq->map.ring_key);
    softefa_io_cqe_t *next = &ring[cq->consumed & (cq->depth - 1)];
    softefa_io_cqe_t first;

    softefa_cq_poll(cq->cq);
    first.first = atomic_load_explicit((_Atomic uint32_t *)&next->first,
                                       memory_order_acquire);
    if ((first.flags & SOFTEFA_CQE_PHASE) ==
        ((cq->consumed & cq->depth) ? SOFTEFA_CQE_PHASE : 0)) {
        return false;
    }

    *cqe = *next;
    ++cq->consumed;
    atomic_store((_Atomic uint32_t *)softefa_fabric_at(cq->map.db_key),
                 cq->consumed & SOFTEFA_CQ_DB_CONSUMER);
    return true;
}

softefa_io_cqe_t ring_cq_wait(ring_cq_t *cq)
{
    uint64_t end = ring_deadline();
    softefa_io_cqe_t cqe;

    while (!ring_cq_poll(cq, &cqe)) {
        CHECK(ring_now() < end);
    }

    return cqe;
}

void ring_cq_silent(ring_cq_t *cq)
{
    softefa_io_cqe_t cqe;
    int i;

    for (i = 0; i < 5; ++i) {
        CHECK(!ring_cq_poll(cq, &cqe));
        usleep(1000);
    }
}

int ring_qp_create(ring_port_t *port, ring_qp_t *qp, ring_cq_t *send,
                   ring_cq_t *recv, softefa_qp_attr_t attr)
{
    memset(qp, 0, sizeof(*qp));
    attr.pdn           = port->pdn;
    attr.send_cq       = send->cq;
    attr.recv_cq       = recv->cq;
    attr.sq_entry_size = attr.sq_entry_size ? attr.sq_entry_size : 64;
    attr.max_inline    = attr.max_inline ? attr.max_inline : 32;
    attr.sq_ring_size  = attr.sq_ring_size ? attr.sq_ring_size :
                                             64 * attr.sq_entry_size;
    attr.rq_ring_size  = 64 * sizeof(softefa_io_rx_t);
    qp->sq_size        = attr.sq_ring_size / attr.sq_entry_size;
    qp->rq_size        = 64;
    qp->entry_size     = attr.sq_entry_size;
    return softefa_qp_create(port->dev, &attr, &qp->qp, &qp->map);
}

void ring_qp_to(ring_qp_t *qp, int state)
{
    softefa_qp_mod_t mod = {
        .state = state, .qkey = -1, .sq_psn = -1, .rnr_retry = -1
    };

    CHECK(softefa_qp_modify(qp->qp, &mod) == 0);
    if (state == IBV_QPS_RESET) {
        /* as libefa: indices, not the phase */
        qp->sq_tail = 0;
        qp->rq_tail = 0;
    }
}

void ring_qp_to_rts(ring_qp_t *qp, uint32_t qkey, int rnr_retry)
{
    softefa_qp_mod_t mod = {
        .state = IBV_QPS_INIT, .qkey = qkey, .sq_psn = -1, .rnr_retry = -1
    };

    CHECK(softefa_qp_modify(qp->qp, &mod) == 0);
    ring_qp_to(qp, IBV_QPS_RTR);
    mod.state     = IBV_QPS_RTS;
    mod.qkey      = -1;
    mod.rnr_retry = rnr_retry;
    CHECK(softefa_qp_modify(qp->qp, &mod) == 0);
}

void ring_recv(ring_qp_t *qp, void *buffer, uint16_t length, uint32_t lkey,
               uint16_t id)
{
    softefa_io_rx_t *ring = softefa_fabric_at(qp->map.rq_key);

    ring[qp->rq_tail & (qp->rq_size - 1)] = (softefa_io_rx_t){
            .addr_lo   = (uintptr_t)buffer,
            .addr_hi   = (uintptr_t)buffer >> 32,
            .req_id    = id,
            .length    = length,
            .lkey_ctrl = lkey | SOFTEFA_RX_FIRST | SOFTEFA_RX_LAST};
    ++qp->rq_tail;
    atomic_store((_Atomic uint32_t *)softefa_fabric_at(qp->map.rq_db_key),
                 qp->rq_tail);
}

void ring_put(ring_qp_t *qp, softefa_op_t op, softefa_io_wqe_t wqe)
{
    uint8_t *ring = softefa_fabric_at(qp->map.sq_key);

    wqe.ctrl1 |= SOFTEFA_CTRL1_META | op;
    wqe.ctrl2 = SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST |
                SOFTEFA_CTRL2_COMP_REQ | qp->phase;
    memcpy(ring + (qp->sq_tail & (qp->sq_size - 1)) * qp->entry_size, &wqe,
           qp->entry_size);
    ++qp->sq_tail;
    if ((qp->sq_tail & (qp->sq_size - 1)) == 0) {
        qp->phase ^= SOFTEFA_CTRL2_PHASE;
    }
}

void ring_doorbell(ring_qp_t *qp)
{
    atomic_store((_Atomic uint32_t *)softefa_fabric_at(qp->map.sq_db_key),
                 qp->sq_tail);
    softefa_engine_doorbell(qp->qp);
}

static softefa_io_buf_t ring_buf(uint64_t addr, uint32_t length, uint32_t key)
{
    return (softefa_io_buf_t){.length  = length,
                              .key     = key,
                              .addr_lo = addr,
                              .addr_hi = addr >> 32};
}

softefa_io_wqe_t ring_send(const ring_port_t *port, uint16_t qpn, uint16_t id,
                           const void *buffer, uint32_t length)
{
    softefa_io_wqe_t wqe = {
        .req_id = id, .dest_qpn = qpn, .ahn = port->ahn[0], .qkey = RING_QKEY,
        .length = 1, .sge = {ring_buf((uintptr_t)buffer, length, port->lkey)}
    };

    return wqe;
}

softefa_io_wqe_t ring_rdma(const ring_port_t *port, uint16_t qpn, uint16_t id,
                           uint64_t remote, void *local, uint32_t length)
{
    softefa_io_wqe_t wqe = {
        .req_id = id, .dest_qpn = qpn, .ahn = port->ahn[0], .qkey = RING_QKEY,
        .length = 1
    };

    wqe.rdma.remote = ring_buf(remote, length, port->rkey);
    wqe.rdma.local  = ring_buf((uintptr_t)local, length, port->lkey);
    return wqe;
}
