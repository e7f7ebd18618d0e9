/*
 * Receiver not ready: an SRD message waits at the sender, tried again as
 * often as the QP's RNR retry count says (7: without end), while messages to
 * other receivers pass it.
 */
#include "verbs_test.h"

#include <cerrno>

namespace device {

static config with_retry(int retry)
{
    config cfg;

    cfg.rnr_retry = retry;
    return cfg;
}

TEST(rnr, held_until_there_is_a_receive)
{
    endpoint a, b;

    fill(a.buffer.data(), 1000, 1);
    a.send(b.addr(), 5, 0, 1000);
    a.expect_silence();
    b.expect_silence();

    b.recv(6, 4096, 1000);
    EXPECT_EQ(6u, b.wait(1, &a)[0].wr_id);
    check(b.buffer.data() + 4096, 1000, 1);
    completion c = a.wait()[0];
    EXPECT_EQ(5u, c.wr_id);
    EXPECT_EQ(IBV_WC_SUCCESS, c.status);
    a.expect_silence(100);
    b.expect_silence(100);
}

/* Inline data belongs to the WQE, which the ring may reuse. */
TEST(rnr, keeps_inline_data)
{
    endpoint a, b, other;
    send_args args;

    args.inlined = true;
    args.has_imm = true;
    args.imm     = 0xabcdef01;
    args.sgl     = {a.sge(0, 32)};
    fill(a.buffer.data(), 32, 1);
    a.send(b.addr(), args);

    /* Run the send ring round many times meanwhile. */
    for (uint64_t i = 0; i < 500; ++i) {
        fill(a.buffer.data(), 32, 1000 + i);
        other.recv(i, 0, 64);
        a.send(other.addr(), args);
        ASSERT_EQ(IBV_WC_SUCCESS, a.wait()[0].status);
        other.wait();
        check(other.buffer.data(), 32, 1000 + i);
    }

    b.recv(1, 0, 64);
    completion c = b.wait(1, &a)[0];
    EXPECT_EQ(32u, c.byte_len);
    EXPECT_EQ(0xabcdef01u, c.imm);
    check(b.buffer.data(), 32, 1);
    a.wait();
}

TEST(rnr, other_destinations_pass)
{
    endpoint a, stuck, free_one;

    for (uint64_t i = 0; i < 10; ++i) {
        a.send(stuck.addr(), 100 + i, 0, 64);
    }
    for (uint64_t i = 0; i < 200; ++i) {
        free_one.recv(i, 0, 64);
        a.send(free_one.addr(), i, 0, 64);
        EXPECT_EQ(i, a.wait(1)[0].wr_id);
        EXPECT_EQ(i, free_one.wait()[0].wr_id);
    }
    a.expect_silence(100);
    for (uint64_t i = 0; i < 10; ++i) {
        stuck.recv(i, 0, 64);
    }
    for (const completion &c : a.wait(10, &stuck)) {
        EXPECT_GE(c.wr_id, 100u);
        EXPECT_EQ(IBV_WC_SUCCESS, c.status);
    }
    stuck.wait(10);
}

/* As many as the send queue takes, fed one receive at a time. */
TEST(rnr, whole_queue)
{
    endpoint a, b;
    std::vector<int> seen(64);

    for (uint64_t i = 0; i < 64; ++i) {
        fill(a.buffer.data() + i * 64, 64, i);
        a.send(b.addr(), i, i * 64, 64);
    }
    send_args more;
    more.sgl = {a.sge(0, 8)};
    EXPECT_EQ(ENOMEM, a.try_send(b.addr(), more));
    a.expect_silence(100);
    for (uint64_t i = 0; i < 64; ++i) {
        b.recv(i, 0, 64);
        b.wait(1, &a);
        /* Which one it is, is the network's choice. */
        completion c = a.wait()[0];
        ASSERT_EQ(IBV_WC_SUCCESS, c.status);
        ASSERT_LT(c.wr_id, 64u);
        EXPECT_EQ(1, ++seen[c.wr_id]);
        check(b.buffer.data(), 64, c.wr_id);
    }
    b.expect_silence(100);
}

TEST(rnr, no_retry)
{
    endpoint a(with_retry(0)), b;
    completion c;

    a.send(b.addr(), 1, 0, 64);
    c = a.wait()[0];
    EXPECT_EQ((uint32_t)STATUS_REM_RNR, c.vendor_err);
    EXPECT_EQ(IBV_WC_RNR_RETRY_EXC_ERR, c.status);

    /* It is over: not delivered later, and the QP goes on. */
    b.recv(1, 0, 64);
    b.expect_silence();
    a.send(b.addr(), 2, 0, 64);
    EXPECT_EQ(2u, a.wait()[0].wr_id);
    EXPECT_EQ(1u, b.wait()[0].wr_id);
}

class rnr_count : public ::testing::TestWithParam<int> {
};

TEST_P(rnr_count, is_finite)
{
    endpoint a(with_retry(GetParam())), b;

    a.send(b.addr(), 1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_REM_RNR, a.wait()[0].vendor_err);
    b.recv(1, 0, 64);
    b.expect_silence();
}

INSTANTIATE_TEST_SUITE_P(retry, rnr_count, ::testing::Values(1, 2, 3, 6));

TEST(rnr, seven_is_for_ever)
{
    endpoint a(with_retry(7)), b;

    a.send(b.addr(), 1, 0, 64);
    a.expect_silence(200000);
    b.recv(1, 0, 64);
    EXPECT_EQ(IBV_WC_SUCCESS, a.wait(1, &b)[0].status);
    b.wait();
}

/* A sender that sleeps, and never polls, still gets its message through. */
DEVICE_ROLE(send_and_sleep)
{
    address to = parent.get<address>();
    endpoint a;

    fill(a.buffer.data(), 500, 3);
    a.send(to, 1, 0, 500);
    parent.put(0);
    parent.get<int>(); /* asleep in a system call */
    return a.wait()[0].status == IBV_WC_SUCCESS ? 0 : 1;
}

TEST(rnr, sender_asleep)
{
    endpoint b;
    child sender("send_and_sleep");

    sender.to->put(b.addr());
    sender.to->get<int>();
    b.expect_silence();
    b.recv(1, 0, 500);
    b.wait();
    check(b.buffer.data(), 500, 3);
    sender.to->put(0);
    EXPECT_EQ(0, sender.join());
}

/* Many senders wait for one receiver: each gets through, none twice. */
TEST(rnr, incast)
{
    std::vector<std::unique_ptr<endpoint>> senders;
    endpoint b;
    std::vector<int> seen(8 * 16);
    unsigned sent = 0;

    for (unsigned s = 0; s < 8; ++s) {
        senders.emplace_back(new endpoint);
        for (unsigned i = 0; i < 16; ++i) {
            send_args args;
            args.wr_id   = i;
            args.has_imm = true;
            args.imm     = s * 16 + i;
            senders[s]->send(b.addr(), args);
        }
    }
    for (unsigned i = 0; i < 8 * 16; ++i) {
        b.recv(i, 0, 64);
        std::vector<completion> got;
        wait_until([&] { return !got.empty(); },
                   [&] {
            for (auto &s : senders) {
                for (const completion &c : s->poll()) {
                    EXPECT_EQ(IBV_WC_SUCCESS, c.status);
                    sent++;
                }
            }
            got = b.poll();
        },
                   "message " + std::to_string(i));
        ASSERT_EQ(1u, got.size());
        EXPECT_EQ(1, ++seen[got[0].imm]);
    }
    wait_until([&] { return sent == 8 * 16; },
               [&] {
        for (auto &s : senders) {
            sent += s->poll().size();
        }
    },
               "the senders' completions");
}

} /* namespace device */
