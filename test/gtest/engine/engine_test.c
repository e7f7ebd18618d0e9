/* What entries do that rdma-core 44 does not write, and state changes. */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <string.h>

/* Two QPs of one port, a sends to b; one CQ for sends, one for receives. */
typedef struct {
    ring_port_t port;
    ring_cq_t   send, recv;
    ring_qp_t   a, b;
} pair_t;

static void pair_open(pair_t *pair, softefa_qp_attr_t attr_a,
                      softefa_qp_attr_t attr_b)
{
    attr_a.type = SOFTEFA_QP_SRD;
    attr_b.type = SOFTEFA_QP_SRD;
    ring_port_open(&pair->port, 0);
    ring_cq_create(&pair->port, &pair->send, 256, NULL, 0);
    ring_cq_create(&pair->port, &pair->recv, 256, NULL, 0);
    CHECK(ring_qp_create(&pair->port, &pair->a, &pair->send, &pair->recv,
                         attr_a) == 0);
    CHECK(ring_qp_create(&pair->port, &pair->b, &pair->send, &pair->recv,
                         attr_b) == 0);
    ring_qp_to_rts(&pair->a, RING_QKEY, 7);
    ring_qp_to_rts(&pair->b, RING_QKEY, 7);
}

static void send_entry(pair_t *pair, softefa_op_t op, softefa_io_wqe_t wqe)
{
    ring_put(&pair->a, op, wqe);
    ring_doorbell(&pair->a);
}

static void expect_send(pair_t *pair, uint16_t id, int status)
{
    softefa_io_cqe_t cqe = ring_cq_wait(&pair->send);

    CHECK(cqe.req_id == id);
    CHECK(cqe.status == status);
    CHECK(cqe.qpn == pair->a.map.qpn);
}

/* Inline data in a 128-byte entry; the doorbell wraps at 65536; 64-bit ids. */
void test_rdma_write(void)
{
    softefa_qp_attr_t attr = {.sq_entry_size = 128,
                              .max_inline    = 80,
                              .sq_ring_size  = 16 * 128};
    softefa_io_wqe_t wqe;
    softefa_io_cqe_t cqe;
    uint8_t *target;
    pair_t pair;
    uint32_t i;

    pair_open(&pair, attr, (softefa_qp_attr_t){});
    target = pair.port.memory + 4096;
    for (i = 0; i < 66000; ++i) {
        wqe = ring_rdma(&pair.port, pair.b.map.qpn, i, (uintptr_t)target, NULL,
                        77);
        wqe.ctrl1        = SOFTEFA_CTRL1_INLINE;
        wqe.length       = 77;
        wqe.req_id_ex[0] = 1;
        wqe.req_id_ex[2] = i;
        memset(wqe.rdma.data, i, 77);
        send_entry(&pair, SOFTEFA_OP_RDMA_WRITE, wqe);

        cqe = ring_cq_wait(&pair.send);
        CHECK((cqe.status == 0) && (cqe.req_id == (uint16_t)i));
        CHECK((cqe.req_id_ex[0] == 1) && (cqe.req_id_ex[2] == (uint16_t)i));
        CHECK(((cqe.flags >> SOFTEFA_CQE_OP_SHIFT) & 7) ==
              SOFTEFA_OP_RDMA_WRITE);
        CHECK((target[0] == (uint8_t)i) && (target[76] == (uint8_t)i));
        CHECK(target[77] == 0);
    }

    ring_cq_silent(&pair.recv);
    ring_port_close(&pair.port);
}

/* Takes a receive request, waits for one; the length has 32 bits. */
void test_rdma_write_imm(void)
{
    const uint32_t length = 200000;
    softefa_io_wqe_t wqe;
    softefa_io_cqe_t cqe;
    pair_t pair;

    pair_open(&pair, (softefa_qp_attr_t){}, (softefa_qp_attr_t){});
    memset(pair.port.memory, 9, length);
    wqe       = ring_rdma(&pair.port, pair.b.map.qpn, 1,
                          (uintptr_t)pair.port.memory + 300000, pair.port.memory,
                          length);
    wqe.ctrl1 = SOFTEFA_CTRL1_HAS_IMM;
    wqe.imm   = 0xabcd;
    send_entry(&pair, SOFTEFA_OP_RDMA_WRITE, wqe);
    ring_cq_silent(&pair.send);

    ring_recv(&pair.b, pair.port.memory, 0, pair.port.lkey, 7);
    expect_send(&pair, 1, 0);
    cqe = ring_cq_wait(&pair.recv);
    CHECK((cqe.status == 0) && (cqe.req_id == 7) && (cqe.imm == 0xabcd));
    CHECK(cqe.flags & SOFTEFA_CQE_HAS_IMM);
    CHECK(!(cqe.flags & SOFTEFA_CQE_UNSOLICITED));
    CHECK(cqe.length + ((uint32_t)cqe.length_hi << 16) == length);
    CHECK(pair.port.memory[300000 + length - 1] == 9);
    CHECK(pair.port.memory[300000 + length] == 0);
    ring_port_close(&pair.port);
}

void test_rdma_write_unsolicited(void)
{
    softefa_qp_attr_t attr = {.unsolicited_write_recv = true};
    softefa_io_wqe_t wqe;
    softefa_io_cqe_t cqe;
    pair_t pair;

    pair_open(&pair, (softefa_qp_attr_t){}, attr);
    wqe       = ring_rdma(&pair.port, pair.b.map.qpn, 1,
                          (uintptr_t)pair.port.memory + 4096, pair.port.memory, 8);
    wqe.ctrl1 = SOFTEFA_CTRL1_HAS_IMM;
    wqe.imm   = 77;
    send_entry(&pair, SOFTEFA_OP_RDMA_WRITE, wqe);
    expect_send(&pair, 1, 0);
    cqe = ring_cq_wait(&pair.recv);
    CHECK((cqe.flags & SOFTEFA_CQE_UNSOLICITED) && (cqe.imm == 77));
    CHECK((cqe.qpn == pair.b.map.qpn) && (cqe.length == 8));
    ring_port_close(&pair.port);
}

void test_rdma_errors(void)
{
    softefa_io_wqe_t good, wqe;
    uint8_t *memory;
    pair_t pair;
    unsigned op;

    pair_open(&pair, (softefa_qp_attr_t){}, (softefa_qp_attr_t){});
    memory = pair.port.memory;
    for (op = SOFTEFA_OP_RDMA_READ; op <= SOFTEFA_OP_RDMA_WRITE; ++op) {
        good = ring_rdma(&pair.port, pair.b.map.qpn, 1, (uintptr_t)memory,
                         memory + 512, 8);
#define EXPECT(_status, ...) \
    wqe = good; \
    __VA_ARGS__; \
    send_entry(&pair, op, wqe); \
    expect_send(&pair, 1, _status)

        EXPECT(0, (void)0);
        EXPECT(SOFTEFA_STATUS_REMOTE_ADDRESS, wqe.rdma.remote.key ^= 1 << 18);
        EXPECT(SOFTEFA_STATUS_REMOTE_ADDRESS,
               wqe.rdma.remote.addr_lo += RING_MEMORY - 7);
        EXPECT(SOFTEFA_STATUS_REMOTE_ADDRESS, --wqe.rdma.remote.addr_lo);
        EXPECT(SOFTEFA_STATUS_INVALID_LKEY, ++wqe.rdma.local.key);
        EXPECT(SOFTEFA_STATUS_INVALID_LKEY, wqe.rdma.local.key |= 1 << 24);
        EXPECT(SOFTEFA_STATUS_REMOTE_QPN, wqe.dest_qpn ^= 0x100);
        EXPECT(SOFTEFA_STATUS_REMOTE_QPN, ++wqe.qkey);
        EXPECT(SOFTEFA_STATUS_INVALID_AH, wqe.ahn += RING_DEVICES);
        EXPECT(SOFTEFA_STATUS_LOCAL_LENGTH, ++wqe.rdma.remote.length);
        EXPECT(SOFTEFA_STATUS_LOCAL_LENGTH, wqe.length = 2);
        EXPECT(SOFTEFA_STATUS_UNSUPPORTED_OP,
               wqe.ctrl1 = SOFTEFA_OP_RDMA_READ | SOFTEFA_OP_RDMA_WRITE);
        EXPECT(0, wqe.rdma.remote = (softefa_io_buf_t){};
               wqe.rdma.local.length = 0);
    }

    ring_cq_silent(&pair.recv);
    ring_port_close(&pair.port);
}

void test_malformed(void)
{
    softefa_io_wqe_t wqe;
    uint8_t *ring;
    pair_t pair;

    pair_open(&pair, (softefa_qp_attr_t){}, (softefa_qp_attr_t){});
    ring = softefa_fabric_at(pair.a.map.sq_key);
    wqe  = ring_send(&pair.port, pair.b.map.qpn, 9, pair.port.memory, 8);

    ring_put(&pair.a, SOFTEFA_OP_SEND, wqe);
    ring[3] ^= SOFTEFA_CTRL2_PHASE;
    ring_doorbell(&pair.a);
    expect_send(&pair, 9, SOFTEFA_STATUS_QP_INTERNAL);

    ring_put(&pair.a, SOFTEFA_OP_SEND, wqe);
    ring[64 + 3] ^= SOFTEFA_CTRL2_LAST;
    ring_doorbell(&pair.a);
    expect_send(&pair, 9, SOFTEFA_STATUS_QP_INTERNAL);

    /* More than the ring has: ignored, with a line on stderr. */
    pair.a.sq_tail += 65;
    ring_doorbell(&pair.a);
    pair.a.sq_tail -= 65;
    ring_cq_silent(&pair.send);

    ring_recv(&pair.b, pair.port.memory, 64, pair.port.lkey, 3);
    send_entry(&pair, SOFTEFA_OP_SEND, wqe);
    expect_send(&pair, 9, 0);
    CHECK(ring_cq_wait(&pair.recv).req_id == 3);
    ring_port_close(&pair.port);
}

/* A message that waits loses its AH with the last user of it. */
void test_ah_destroyed(void)
{
    uint8_t gid[16];
    uint16_t ahn;
    pair_t pair;

    pair_open(&pair, (softefa_qp_attr_t){}, (softefa_qp_attr_t){});
    softefa_dev_gid(pair.port.dev, gid);
    CHECK(softefa_ah_create(pair.port.dev, pair.port.pdn, gid, &ahn) == 0);
    CHECK(ahn == pair.port.ahn[0]);
    send_entry(&pair, SOFTEFA_OP_SEND,
               ring_send(&pair.port, pair.b.map.qpn, 3, pair.port.memory, 8));
    CHECK(softefa_ah_destroy(pair.port.dev, pair.port.pdn, ahn) == 0);
    ring_cq_silent(&pair.send);
    CHECK(softefa_ah_destroy(pair.port.dev, pair.port.pdn, ahn) == 0);
    expect_send(&pair, 3, SOFTEFA_STATUS_FLUSHED);
    ring_port_close(&pair.port);
}

void test_flush_and_reset(void)
{
    softefa_io_cqe_t cqe;
    softefa_io_wqe_t wqe;
    pair_t pair;
    int i;

    pair_open(&pair, (softefa_qp_attr_t){}, (softefa_qp_attr_t){});
    wqe = ring_send(&pair.port, pair.b.map.qpn, 4, pair.port.memory, 8);

    /* ERR ends what is posted, on both sides. */
    for (i = 0; i < 2; ++i) {
        send_entry(&pair, SOFTEFA_OP_SEND, wqe);
    }
    ring_recv(&pair.a, pair.port.memory, 64, pair.port.lkey, 21);
    ring_recv(&pair.a, pair.port.memory, 64, pair.port.lkey, 22);
    ring_qp_to(&pair.a, IBV_QPS_ERR);
    expect_send(&pair, 4, SOFTEFA_STATUS_FLUSHED);
    expect_send(&pair, 4, SOFTEFA_STATUS_FLUSHED);
    for (i = 21; i <= 22; ++i) {
        cqe = ring_cq_wait(&pair.recv);
        CHECK((cqe.req_id == i) && (cqe.status == SOFTEFA_STATUS_FLUSHED));
    }

    /* RESET in the middle of a round: indices start at 0, the phase stays. */
    ring_qp_to(&pair.a, IBV_QPS_RESET);
    ring_qp_to_rts(&pair.a, RING_QKEY, 7);
    for (i = 0; i < 200; ++i) {
        if (i == 100) {
            ring_qp_to(&pair.a, IBV_QPS_RESET);
            ring_qp_to_rts(&pair.a, RING_QKEY, 7);
        }
        ring_recv(&pair.b, pair.port.memory + 4096, 64, pair.port.lkey, i);
        send_entry(&pair, SOFTEFA_OP_SEND, wqe);
        expect_send(&pair, 4, 0);
        CHECK(ring_cq_wait(&pair.recv).req_id == i);
    }

    /* A receiver in ERR is as good as none. */
    ring_qp_to(&pair.b, IBV_QPS_ERR);
    send_entry(&pair, SOFTEFA_OP_SEND, wqe);
    expect_send(&pair, 4, SOFTEFA_STATUS_REMOTE_QPN);

    /* In use. */
    CHECK(softefa_pd_free(pair.port.dev, pair.port.pdn) == EBUSY);
    CHECK(softefa_cq_destroy(pair.send.cq, &(uint32_t){0}) == EBUSY);
    ring_port_close(&pair.port);
}

static uint64_t event_get(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    uint64_t cookie   = 0;

    if (poll(&pfd, 1, 0) == 1) {
        CHECK(read(fd, &cookie, sizeof(cookie)) == sizeof(cookie));
    }

    return cookie;
}

/* One event per arm, at once if something waits; none outlives its CQ. */
void test_events(void)
{
    softefa_channel_t *channel;
    softefa_qp_attr_t attr = {.type = SOFTEFA_QP_SRD};
    ring_qp_t qp[2];
    ring_cq_t cq[2];
    ring_port_t port;
    uint32_t events;
    int fd, i;

    ring_port_open(&port, 0);
    CHECK(softefa_channel_create(port.dev, &channel, &fd) == 0);
    for (i = 0; i < 2; ++i) {
        ring_cq_create(&port, &cq[i], 16, channel, 100 + i);
        CHECK(ring_qp_create(&port, &qp[i], &cq[i], &cq[i], attr) == 0);
        ring_qp_to_rts(&qp[i], RING_QKEY, 7);
        softefa_cq_arm(cq[i].cq);
    }
    CHECK(event_get(fd) == 0);

#define SEND() \
    do { \
        ring_recv(&qp[1], port.memory, 64, port.lkey, 1); \
        ring_put(&qp[0], SOFTEFA_OP_SEND, \
                 ring_send(&port, qp[1].map.qpn, 1, port.memory, 8)); \
        ring_doorbell(&qp[0]); \
    } while (0)

    SEND();
    CHECK(event_get(fd) == 101);
    CHECK(event_get(fd) == 100);
    SEND();
    CHECK(event_get(fd) == 0);
    softefa_cq_arm(cq[1].cq);
    CHECK(event_get(fd) == 101);
    ring_cq_wait(&cq[1]);
    ring_cq_wait(&cq[1]);
    softefa_cq_arm(cq[1].cq);
    CHECK(event_get(fd) == 0);

    /* Its event waits unread, between others. */
    softefa_cq_arm(cq[0].cq);
    SEND();
    CHECK(softefa_qp_destroy(qp[0].qp) == 0);
    CHECK(softefa_qp_destroy(qp[1].qp) == 0);
    CHECK(softefa_cq_destroy(cq[1].cq, &events) == 0);
    CHECK(events == 2);
    CHECK(event_get(fd) == 100);
    CHECK(event_get(fd) == 0);
    CHECK(softefa_cq_destroy(cq[0].cq, &events) == 0);
    CHECK(events == 2);
    CHECK(softefa_channel_destroy(channel) == 0);
    close(fd);
    ring_port_close(&port);
}
