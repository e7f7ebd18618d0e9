/*
 * Messages that do not arrive, and what the sender is told: no such QP, wrong
 * QKEY, receiver's buffer too short, unknown address.
 */
#include "verbs_test.h"

#include <cerrno>

namespace device {

TEST(remote_error, no_such_qp)
{
    endpoint a, b;
    address nowhere = b.addr();

    nowhere.qpn ^= 0x40;
    a.send(nowhere, 1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
    nowhere.qpn = 0xffff;
    a.send(nowhere, 2, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
    nowhere.qpn = 0;
    if ((a.qp->qp_num != 0) && (b.qp->qp_num != 0)) {
        a.send(nowhere, 3, 0, 64);
        EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
    }
}

/* Upper bits of a QPN may vary: another QP on the same place is another QP. */
TEST(remote_error, destroyed_qp)
{
    endpoint a;
    std::unique_ptr<endpoint> b(new endpoint);
    address gone = b->addr();

    b->recv(1, 0, 64);
    a.send(gone, 1, 0, 64);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    b.reset();
    a.send(gone, 2, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
}

/* Waiting for a receiver that goes away is over when it has gone. */
TEST(remote_error, destroyed_while_waiting)
{
    endpoint a;
    std::unique_ptr<endpoint> b(new endpoint);

    a.send(b->addr(), 1, 0, 64);
    a.expect_silence(100);
    b.reset();
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
}

TEST(remote_error, ud_is_not_told)
{
    config cfg;
    cfg.ud = true;
    endpoint a(cfg), b(cfg);
    address nowhere = b.addr();

    nowhere.qpn ^= 0x40;
    a.send(nowhere, 1, 0, 64);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    a.send(b.addr(), 2, 0, 64); /* nobody waits: dropped */
    EXPECT_EQ(0u, a.wait()[0].vendor_err);

    fill(a.buffer.data(), 64, 3);
    b.recv(3, 0, 128);
    a.send(b.addr(), 3, 0, 64);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    EXPECT_EQ(3u, b.wait()[0].wr_id);
    check(b.buffer.data() + UD_PREFIX, 64, 3);
    b.expect_silence(100);
}

/* SRD does not talk to UD and the other way round. */
TEST(remote_error, types_do_not_mix)
{
    config cfg;
    endpoint srd(cfg);
    cfg.ud = true;
    endpoint ud(cfg);

    srd.recv(1, 0, 4096);
    ud.recv(2, 0, 4096);
    srd.send(ud.addr(), 3, 0, 64);
    EXPECT_NE(0u, srd.wait()[0].vendor_err);
    ud.send(srd.addr(), 4, 0, 64);
    ud.wait();
    srd.expect_silence(100);
    ud.expect_silence(100);
}

/* The device drops what has the wrong QKEY: never delivered, and the right
 * one gets through after it. */
class qkey : public ::testing::TestWithParam<bool> {
};

TEST_P(qkey, mismatch)
{
    config cfg;
    cfg.ud = GetParam();
    endpoint a(cfg), b(cfg);
    address wrong = b.addr();
    completion c;

    b.recv(1, 0, 4096);
    for (uint32_t key : {QKEY + 1, 0u, QKEY | 0x80000000}) {
        wrong.qkey = key;
        a.send(wrong, 1, 0, 64);
        c = a.wait(1, &b)[0];
        if (!GetParam()) {
            /* SRD: the sender hears of it. */
            EXPECT_NE(0u, c.vendor_err);
        }
    }
    b.expect_silence(100);

    a.send(b.addr(), 2, 0, 64);
    EXPECT_EQ(IBV_WC_SUCCESS, b.wait()[0].status);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
}

/* The QKEY is the QP's, and RTS may change it. */
TEST_P(qkey, changed)
{
    config cfg;
    cfg.ud = GetParam();
    endpoint a(cfg), b(cfg);
    ibv_qp_attr attr = {};
    address to       = b.addr();

    b.recv(1, 0, 4096);
    b.recv(2, 0, 4096);
    attr.qp_state = IBV_QPS_RTS;
    attr.qkey     = 42;
    ASSERT_EQ(0, b.modify(attr, IBV_QP_STATE | IBV_QP_QKEY));
    a.send(to, 1, 0, 64);
    a.wait();
    b.expect_silence(100);
    to.qkey = 42;
    a.send(to, 2, 0, 64);
    EXPECT_EQ(1u, b.wait()[0].wr_id);
    a.wait();
}

INSTANTIATE_TEST_SUITE_P(type, qkey, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) {
                             return info.param ? "ud" : "srd";
                         });

TEST(remote_error, receiver_too_short)
{
    config cfg;
    cfg.recv_sge = 3;
    endpoint a, b(cfg);
    completion c;

    fill(a.buffer.data(), 8928, 1);
    for (uint32_t length : {64u, 65u, 1000u, 8928u}) {
        std::fill(b.buffer.begin(), b.buffer.end(), 0xee);
        b.recv(length, 0, length - 1);
        a.send(b.addr(), 1, 0, length);
        c = a.wait(1, &b)[0];
        EXPECT_EQ((uint32_t)STATUS_REM_BAD_LENGTH, c.vendor_err) << length;
        EXPECT_EQ(IBV_WC_REM_INV_REQ_ERR, c.status);
        EXPECT_EQ(0xee, b.buffer[length - 1]) << "written beyond";
        /* Whether it is consumed or not: no success. */
        for (const completion &other : b.poll()) {
            EXPECT_NE(IBV_WC_SUCCESS, other.status);
        }
    }

    b.to_state(IBV_QPS_RESET);
    b.to_state(IBV_QPS_RTS);
    b.recv(9, {b.sge(0, 10), b.sge(100, 20), b.sge(200, 30)});
    a.send(b.addr(), 2, 0, 60);
    EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
    EXPECT_EQ(60u, b.wait()[0].byte_len);
    b.recv(9, {b.sge(0, 10), b.sge(100, 20), b.sge(200, 30)});
    a.send(b.addr(), 2, 0, 61);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_LENGTH, a.wait(1, &b)[0].vendor_err);
}

/* UD: too short for the message and its 40 bytes, so dropped. */
TEST(remote_error, ud_too_short)
{
    config cfg;
    cfg.ud = true;
    endpoint a(cfg), b(cfg);

    b.recv(1, 0, 64 + UD_PREFIX - 1);
    a.send(b.addr(), 1, 0, 64);
    a.wait();
    for (const completion &c : b.poll()) {
        EXPECT_NE(IBV_WC_SUCCESS, c.status);
    }
    b.to_state(IBV_QPS_RESET);
    b.to_state(IBV_QPS_RTS);
    b.recv(2, 0, 64 + UD_PREFIX);
    a.send(b.addr(), 2, 0, 64);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    EXPECT_EQ(64 + UD_PREFIX, b.wait()[0].byte_len);
}

/* No device has this GID. An SRD sender must be told, not wait for ever. */
TEST(remote_error, nobody_there)
{
    endpoint a;
    address nowhere = {made_up_gid(1), 1, QKEY};

    a.send(nowhere, 1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_UNREACH, a.wait()[0].vendor_err);
}

/* An AH of another PD is not one that this QP may use. */
TEST(remote_error, ah_of_another_pd)
{
    endpoint a, b;
    handle<ibv_pd> other = alloc_pd(a.context);
    handle<ibv_ah> ah    = create_ah(other.get(), b.addr().gid);
    ibv_qp_ex *qpx       = ibv_qp_to_qp_ex(a.qp.get());

    b.recv(1, 0, 64);
    ibv_wr_start(qpx);
    qpx->wr_id    = 5;
    qpx->wr_flags = IBV_SEND_SIGNALED;
    ibv_wr_send(qpx);
    ibv_wr_set_inline_data(qpx, a.buffer.data(), 8);
    ibv_wr_set_ud_addr(qpx, ah.get(), b.qp->qp_num, QKEY);
    ASSERT_EQ(0, ibv_wr_complete(qpx));
    completion c = a.wait()[0];
    EXPECT_EQ((uint32_t)STATUS_BAD_AH, c.vendor_err);
    EXPECT_EQ(IBV_WC_LOC_QP_OP_ERR, c.status);
    b.expect_silence(100);
}

/* A bad message among good ones: only it fails. */
TEST(remote_error, others_go_on)
{
    endpoint a, b;
    address wrong = b.addr();

    wrong.qpn ^= 0x20;
    for (uint64_t i = 0; i < 30; ++i) {
        b.recv(i, 0, 64);
    }
    for (uint64_t i = 0; i < 40; ++i) {
        a.send((i % 4 == 3) ? wrong : b.addr(), i, 0, 64);
    }
    for (const completion &c : a.wait(40)) {
        EXPECT_EQ((c.wr_id % 4 == 3) ? (uint32_t)STATUS_REM_BAD_QPN : 0u,
                  c.vendor_err)
                << c.wr_id;
    }
    b.wait(30);
}

} /* namespace device */
