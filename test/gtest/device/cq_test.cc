/*
 * Completion queues: what an entry says of the sender, both ways to poll,
 * rings that wrap, and completion channels.
 *
 *   arm (ibv_req_notify_cq) --> next completion --> one event in the channel
 *   arm while entries wait  --> event at once
 *   no arm                  --> no event
 */
#include "verbs_test.h"

#include <cerrno>
#include <cstring>
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <set>

namespace device {

/* --- who sent it -------------------------------------------------------- */

TEST(cq_source, sgid_of_the_unknown)
{
    config cfg, far;
    cfg.sgid   = true;
    far.device = 1;
    endpoint b(cfg), a(far);
    completion c;
    ibv_gid gid = a.addr().gid;

    for (int i = 0; i < 3; ++i) {
        b.recv(i, 0, 64);
    }
    a.send(b.addr(), 1, 0, 64);
    c = b.wait(1, &a)[0];
    EXPECT_EQ(AH_UNKNOWN, c.slid);
    ASSERT_EQ(0, c.sgid_error);
    EXPECT_EQ(0, memcmp(&gid, &c.sgid, sizeof(gid)));
    EXPECT_EQ(a.qp->qp_num, c.src_qp);
    a.wait();

    /* Known from now on: the number of the AH instead. */
    efadv_ah_attr attr = {};
    ASSERT_EQ(0, efadv_query_ah(b.ah(gid), &attr, sizeof(attr)));
    a.send(b.addr(), 2, 0, 64);
    c = b.wait(1, &a)[0];
    EXPECT_EQ(attr.ahn, c.slid);
    EXPECT_EQ(-ENOENT, c.sgid_error);
    a.wait();

    /* And unknown again. */
    b.ahs.clear();
    a.send(b.addr(), 3, 0, 64);
    c = b.wait(1, &a)[0];
    EXPECT_EQ(AH_UNKNOWN, c.slid);
    ASSERT_EQ(0, c.sgid_error);
    EXPECT_EQ(0, memcmp(&gid, &c.sgid, sizeof(gid)));
    a.wait();
}

/* The number is the one of the receiver's AH, among many. */
TEST(cq_source, ah_number)
{
    config far;
    far.device = 1;
    endpoint b, a(far), same;
    efadv_ah_attr to_a = {}, to_self = {};

    for (unsigned i = 0; i < 20; ++i) {
        b.ah(made_up_gid(i));
    }
    ASSERT_EQ(0, efadv_query_ah(b.ah(a.addr()), &to_a, sizeof(to_a)));
    ASSERT_EQ(0, efadv_query_ah(b.ah(b.addr()), &to_self, sizeof(to_self)));
    EXPECT_NE(to_a.ahn, to_self.ahn);
    b.recv(1, 0, 64);
    b.recv(2, 0, 64);
    a.send(b.addr(), 1, 0, 64);
    EXPECT_EQ(to_a.ahn, b.wait(1, &a)[0].slid);
    same.send(b.addr(), 1, 0, 64);
    EXPECT_EQ(to_self.ahn, b.wait(1, &same)[0].slid);
    a.wait();
    same.wait();
}

/* An AH of another PD of the device is not this QP's. */
TEST(cq_source, ah_of_another_pd)
{
    config far;
    far.device = 1;
    endpoint b, a(far);
    handle<ibv_pd> other = alloc_pd(b.context);
    handle<ibv_ah> ah    = create_ah(other.get(), a.addr().gid);

    b.recv(1, 0, 64);
    a.send(b.addr(), 1, 0, 64);
    EXPECT_EQ(AH_UNKNOWN, b.wait(1, &a)[0].slid);
    a.wait();
}

static uint32_t ahn_of(ibv_ah *ah)
{
    efadv_ah_attr attr = {};

    EXPECT_EQ(0, efadv_query_ah(ah, &attr, sizeof(attr)));
    return attr.ahn;
}

/* Processes with different SOFTEFA_HOST: a message to each who sends its
 * address, from both devices of ours */
DEVICE_ROLE(host_sender)
{
    config far;
    far.device = 1;
    endpoint device0, device1(far);
    address to = parent.get<address>();

    parent.put(device0.addr());
    parent.put(device1.addr());
    parent.get<int>();
    for (endpoint *from : {&device0, &device1}) {
        from->send(to, 1, 0, 64);
        from->wait();
    }
    parent.put(1);
    parent.get<int>();
    return ::testing::Test::HasFailure();
}

/* The same two devices under other addresses, each with an address handle of
 * its own: a completion names that of the sender's host. */
TEST(cq_source, of_another_host)
{
    config cfg;
    cfg.sgid = true;
    endpoint own(cfg);
    std::vector<address> from;
    std::vector<child *> children;
    std::set<std::string> gids;

    for (const char *host : {"0", "1", "65535"}) {
        children.push_back(new child("host_sender", {{"SOFTEFA_HOST", host}}));
        children.back()->to->put(own.addr());
        for (int i = 0; i < 2; ++i) {
            from.push_back(children.back()->to->get<address>());
            gids.emplace((const char *)from.back().gid.raw, 16);
        }
    }
    EXPECT_EQ(from.size(), gids.size());

    /* Of the first and the last sender there are address handles */
    uint32_t first = ahn_of(own.ah(from[0])), last = ahn_of(own.ah(from[5]));
    EXPECT_NE(first, last);

    for (size_t i = 0; i < children.size(); ++i) {
        own.recv(0, 0, 64);
        own.recv(1, 64, 64);
        children[i]->to->put(1);
        children[i]->to->get<int>();
        std::vector<completion> got = own.wait(2);

        for (const completion &c : got) {
            size_t sender = 2 * i + (c.src_qp == from[2 * i + 1].qpn);

            EXPECT_EQ(from[sender].qpn, c.src_qp);
            if ((sender == 0) || (sender == 5)) {
                EXPECT_EQ((sender == 0) ? first : last, c.slid) << sender;
            } else {
                EXPECT_EQ(AH_UNKNOWN, c.slid) << sender;
                EXPECT_EQ(0, memcmp(&from[sender].gid, &c.sgid, 16)) << sender;
            }
        }
    }
    for (child *each : children) {
        each->to->put(1);
        EXPECT_EQ(0, each->join());
        delete each;
    }
}

TEST(cq_source, ud_prefix_leaves_the_payload)
{
    config cfg;
    cfg.ud       = true;
    cfg.recv_sge = 2;
    endpoint a(cfg), b(cfg);

    fill(a.buffer.data(), 100, 1);
    b.recv(1, {b.sge(0, UD_PREFIX), b.sge(1024, 100)});
    a.send(b.addr(), 1, 0, 100);
    EXPECT_EQ(100 + UD_PREFIX, b.wait()[0].byte_len);
    check(b.buffer.data() + 1024, 100, 1);
}

/* --- rings -------------------------------------------------------------- */

/* A small queue, filled and emptied so that every start position is met. */
class cq_ring : public ::testing::TestWithParam<bool> {
};

TEST_P(cq_ring, wraps)
{
    config cfg;
    cfg.extended = GetParam();
    cfg.cqe      = 16;
    cfg.send_wr = cfg.recv_wr = 16;
    endpoint a(cfg), b(cfg);
    uint64_t next = 0;

    for (unsigned round = 0; round < 500; ++round) {
        unsigned burst = 1 + round % 16;
        std::vector<bool> sent(burst), received(burst);
        uint64_t base = next;

        for (unsigned i = 0; i < burst; ++i, ++next) {
            b.recv(next, 0, 64);
        }
        for (unsigned i = 0; i < burst; ++i) {
            a.send(b.addr(), base + i, 0, 64);
        }
        for (const completion &c : a.wait(burst, &b)) {
            ASSERT_LT(c.wr_id - base, burst);
            EXPECT_FALSE(sent[c.wr_id - base]);
            sent[c.wr_id - base] = true;
        }
        for (const completion &c : b.wait(burst)) {
            ASSERT_LT(c.wr_id - base, burst);
            EXPECT_FALSE(received[c.wr_id - base]);
            received[c.wr_id - base] = true;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(extended, cq_ring, ::testing::Bool());

/* Many QPs on one CQ: entries name theirs. */
/* What it says of a CQ that overruns, and nothing of one that is only polled
 * with ibv_start_poll(), until it is empty: libefa rings no doorbell then. */
TEST(cq_ring, overrun)
{
    config cfg;
    endpoint a;

    if (device_attr(a.context).vendor_part_id == 0xefa0) {
        GTEST_SKIP() << "0xefa0 has no completion events, so no doorbell";
    }
    cfg.channel  = true;
    cfg.extended = true;
    cfg.cqe      = 64;
    cfg.recv_wr  = 128;
    endpoint b(cfg);
    address to = b.addr();

    auto transfer = [&](unsigned count, bool poll) {
        for (unsigned i = 0; i < count; ++i) {
            b.recv(i, 0, 64);
            a.send(to, i, 0, 64);
            a.wait();
            if (poll) {
                b.wait(1, &a);
            }
        }
    };

    /* A doorbell that never rang tells nothing: arm it once */
    testing::internal::CaptureStderr();
    transfer(1, true);
    ASSERT_EQ(0, ibv_req_notify_cq(b.cq.get(), 0));
    transfer(300, true);
    EXPECT_EQ("", testing::internal::GetCapturedStderr());

    testing::internal::CaptureStderr();
    ASSERT_EQ(0, ibv_req_notify_cq(b.cq.get(), 0));
    transfer(64, false);
    EXPECT_EQ("", testing::internal::GetCapturedStderr());
    testing::internal::CaptureStderr();
    transfer(1, false);
    EXPECT_NE(std::string::npos,
              testing::internal::GetCapturedStderr().find("CQ OVERRUN"));
    b.poll(64);
}

TEST(cq_shared, by_qps)
{
    endpoint to;
    handle<ibv_cq> cq = create_cq(to.context, 256);
    std::vector<handle<ibv_qp>> qps;
    std::vector<int> seen;

    for (int i = 0; i < 20; ++i) {
        ibv_qp_attr attr = {};

        qps.emplace_back(try_create_qp(to.pd, cq.get(), false,
                                       {8, 8, 1, 1, 0}));
        ASSERT_TRUE(qps.back());
        attr.port_num = 1;
        attr.qkey     = QKEY;
        attr.qp_state = IBV_QPS_INIT;
        ASSERT_EQ(0, ibv_modify_qp(qps.back().get(), &attr,
                                   IBV_QP_STATE | IBV_QP_PKEY_INDEX |
                                           IBV_QP_PORT | IBV_QP_QKEY));
        attr.qp_state = IBV_QPS_RTR;
        ASSERT_EQ(0, ibv_modify_qp(qps.back().get(), &attr, IBV_QP_STATE));

        ibv_recv_wr wr = {}, *bad;
        ibv_sge sge    = to.sge(i * 64, 64);
        wr.wr_id       = 1000 + i;
        wr.sg_list     = &sge;
        wr.num_sge     = 1;
        ASSERT_EQ(0, ibv_post_recv(qps.back().get(), &wr, &bad));
    }
    for (int i = 19; i >= 0; --i) {
        send_args args;
        args.has_imm = true;
        args.imm     = i;
        to.send({gid_of(to.context), qps[i]->qp_num, QKEY}, args);
    }
    to.wait(20);
    ibv_wc wc[32];
    int count = 0;
    wait_until([&] { return count >= 20; },
               [&] { count += ibv_poll_cq(cq.get(), 32 - count, wc + count); },
               "20 receives");
    ASSERT_EQ(20, count);
    for (int i = 0; i < 20; ++i) {
        int qp = wc[i].wr_id - 1000;
        EXPECT_EQ(qps.at(qp)->qp_num, wc[i].qp_num);
        EXPECT_EQ((uint32_t)qp, be32toh(wc[i].imm_data));
    }
}

/* Separate queues for both directions. */
TEST(cq_shared, send_and_receive_apart)
{
    endpoint other;
    handle<ibv_cq> send_cq = create_cq(other.context),
                   recv_cq = create_cq(other.context);
    ibv_qp_init_attr init  = {};
    ibv_qp_attr attr       = {};
    ibv_wc wc;

    init.send_cq    = send_cq.get();
    init.recv_cq    = recv_cq.get();
    init.cap        = {8, 8, 1, 1, 32};
    init.qp_type    = IBV_QPT_DRIVER;
    init.sq_sig_all = 1;
    handle<ibv_qp> qp(efadv_create_driver_qp(other.pd, &init,
                                             EFADV_QP_DRIVER_TYPE_SRD));
    ASSERT_TRUE(qp);
    attr.port_num = 1;
    attr.qkey     = QKEY;
    attr.qp_state = IBV_QPS_INIT;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr,
                               IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                                       IBV_QP_QKEY));
    attr.qp_state = IBV_QPS_RTR;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr, IBV_QP_STATE));
    attr.qp_state = IBV_QPS_RTS;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr, IBV_QP_STATE | IBV_QP_SQ_PSN));

    ibv_sge sge      = other.sge(0, 64);
    ibv_recv_wr recv = {}, *bad_recv;
    ibv_send_wr send = {}, *bad_send;
    recv.wr_id       = 1;
    recv.sg_list     = &sge;
    recv.num_sge     = 1;
    ASSERT_EQ(0, ibv_post_recv(qp.get(), &recv, &bad_recv));
    send.wr_id             = 2;
    send.opcode            = IBV_WR_SEND;
    send.wr.ud.ah          = other.ah(other.addr());
    send.wr.ud.remote_qpn  = qp->qp_num;
    send.wr.ud.remote_qkey = QKEY;
    ASSERT_EQ(0, ibv_post_send(qp.get(), &send, &bad_send));

    int got = 0;
    wait_until([&] { return got != 0; },
               [&] { got = ibv_poll_cq(send_cq.get(), 1, &wc); }, "the send");
    EXPECT_EQ(2u, wc.wr_id);
    EXPECT_EQ(0, ibv_poll_cq(send_cq.get(), 1, &wc));
    got = 0;
    wait_until([&] { return got != 0; },
               [&] { got = ibv_poll_cq(recv_cq.get(), 1, &wc); },
               "the receive");
    EXPECT_EQ(1u, wc.wr_id);
    EXPECT_EQ(0, ibv_poll_cq(recv_cq.get(), 1, &wc));
}

/* --- channels ----------------------------------------------------------- */

class cq_channel : public ::testing::Test {
protected:
    void SetUp() override
    {
        if (device_attr(a.context).vendor_part_id == 0xefa0) {
            GTEST_SKIP() << "0xefa0 has no completion events";
        }
        config cfg;
        cfg.channel = true;
        b.reset(new endpoint(cfg));
        for (int i = 0; i < 32; ++i) {
            b->recv(i, 0, 64);
        }
    }

    bool readable(int timeout_ms = 0)
    {
        pollfd fd = {b->channel->fd, POLLIN, 0};

        return ::poll(&fd, 1, timeout_ms) == 1;
    }

    void message()
    {
        a.send(b->addr(), 1, 0, 64);
        a.wait();
    }

    void arm()
    {
        ASSERT_EQ(0, ibv_req_notify_cq(b->cq.get(), 0));
    }

    /* Reads one event, which must be there or come. */
    void event()
    {
        ibv_cq *cq      = nullptr;
        void   *context = nullptr;

        ASSERT_TRUE(readable(HANG_SEC * 1000));
        ASSERT_EQ(0, ibv_get_cq_event(b->channel.get(), &cq, &context));
        EXPECT_EQ(b->cq.get(), cq);
        ibv_ack_cq_events(cq, 1);
    }

    endpoint                  a;
    std::unique_ptr<endpoint> b;
};

TEST_F(cq_channel, silent_unless_armed)
{
    message();
    message();
    EXPECT_FALSE(readable());
    b->wait(2);
    EXPECT_FALSE(readable());
}

TEST_F(cq_channel, one_event_for_each_arm)
{
    for (int round = 0; round < 8; ++round) {
        arm();
        EXPECT_FALSE(readable());
        message();
        message();
        message();
        event();
        EXPECT_FALSE(readable());
        b->wait(3);
        EXPECT_FALSE(readable());
        for (int i = 0; i < 3; ++i) {
            b->recv(i, 0, 64);
        }
    }
}

TEST_F(cq_channel, armed_while_entries_wait)
{
    message();
    EXPECT_FALSE(readable());
    arm();
    event();
    b->wait(1);
    arm();
    EXPECT_FALSE(readable());
    message();
    event();
    b->wait(1);
}

/* Polling an empty or a full queue does not take the arm back. */
TEST_F(cq_channel, survives_polling)
{
    arm();
    EXPECT_TRUE(b->poll().empty());
    message();
    event();
    b->wait(1);
    message();
    b->wait(1);
    arm();
    EXPECT_TRUE(b->poll().empty());
    EXPECT_FALSE(readable());
    message();
    event();
    b->wait(1);
}

TEST_F(cq_channel, sends_count_as_well)
{
    endpoint quiet;

    quiet.recv(1, 0, 64);
    arm();
    b->send(quiet.addr(), 1, 0, 64);
    event();
    b->wait(1);
}

TEST_F(cq_channel, solicited_only_is_not_supported)
{
    EXPECT_EQ(EOPNOTSUPP, ibv_req_notify_cq(b->cq.get(), 1));
}

/* A CQ goes while its event is unread: the event goes with it. */
TEST_F(cq_channel, destroyed_with_unread_event)
{
    for (int round = 0; round < 20; ++round) {
        arm();
        message();
        ASSERT_TRUE(readable(HANG_SEC * 1000));
        b->qp.reset();
        b->cq.reset();
        b.reset();

        config cfg;
        cfg.channel = true;
        b.reset(new endpoint(cfg));
        b->recv(0, 0, 64);
        EXPECT_FALSE(readable());
    }
}

/* Two CQs of one channel: the event says which. */
TEST_F(cq_channel, of_two_queues)
{
    handle<ibv_cq> other(ibv_create_cq(b->context, 16, (void *)0x77,
                                       b->channel.get(), 0));
    ibv_cq *cq    = nullptr;
    void *context = nullptr;

    ASSERT_TRUE(other);
    handle<ibv_qp> qp(try_create_qp(b->pd, other.get(), false,
                                    {8, 8, 1, 1, 0}));
    ASSERT_TRUE(qp);
    ibv_qp_attr attr = {};
    attr.port_num    = 1;
    attr.qkey        = QKEY;
    attr.qp_state    = IBV_QPS_INIT;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr,
                               IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                                       IBV_QP_QKEY));
    attr.qp_state = IBV_QPS_RTR;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr, IBV_QP_STATE));
    ibv_recv_wr wr = {}, *bad;
    ibv_sge sge    = b->sge(0, 64);
    wr.sg_list     = &sge;
    wr.num_sge     = 1;
    ASSERT_EQ(0, ibv_post_recv(qp.get(), &wr, &bad));

    arm();
    ASSERT_EQ(0, ibv_req_notify_cq(other.get(), 0));
    a.send({gid_of(b->context), qp->qp_num, QKEY}, 1, 0, 8);
    a.wait();
    ASSERT_TRUE(readable(HANG_SEC * 1000));
    ASSERT_EQ(0, ibv_get_cq_event(b->channel.get(), &cq, &context));
    EXPECT_EQ(other.get(), cq);
    EXPECT_EQ((void *)0x77, context);
    ibv_ack_cq_events(cq, 1);
    EXPECT_FALSE(readable());
    message();
    event();
}

/* The receiver sleeps in the channel; another process wakes it. */
DEVICE_ROLE(send_on_demand)
{
    address to = parent.get<address>();
    endpoint a;

    for (int count; (count = parent.get<int>()) != 0;) {
        for (int i = 0; i < count; ++i) {
            a.send(to, i, 0, 64);
            a.wait();
        }
    }
    return 0;
}

TEST_F(cq_channel, woken_by_another_process)
{
    child sender("send_on_demand");

    sender.to->put(b->addr());
    for (int round = 0; round < 50; ++round) {
        arm();
        EXPECT_TRUE(b->poll().empty());
        sender.to->put(1);
        event();
        b->wait(1);
        b->recv(round, 0, 64);
    }
    sender.to->put(0);
    EXPECT_EQ(0, sender.join());
}

TEST_F(cq_channel, does_not_block_when_told)
{
    ibv_cq *cq;
    void *context;

    ASSERT_EQ(0, fcntl(b->channel->fd, F_SETFL,
                       fcntl(b->channel->fd, F_GETFL) | O_NONBLOCK));
    EXPECT_EQ(-1, ibv_get_cq_event(b->channel.get(), &cq, &context));
    EXPECT_EQ(EAGAIN, errno);
}

} /* namespace device */
