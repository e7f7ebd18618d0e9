/*
 * Messages of another process that wait in the receiver's FIFO until it polls
 * (src/softefa/nic/fifo.h): where the program could notice, they are in its
 * buffers.
 *
 *   feeder, a child           receiver, this process
 *   send, wait, "done" ---->  looks, without a poll, and polls
 */
#include "verbs_test.h"

#include <csignal>

using namespace device;

namespace {

struct order {
    address  to;
    uint32_t count, length;
    uint64_t seed;              /* of the first message, then one more each */
    uint64_t read_addr;         /* 0: nothing is read */
    uint32_t read_rkey;
    uint32_t zero;              /* sent as bytes: no padding */
};

/* Sends what it is told to, until it has completed. Then reads from the
 * receiver's memory, which has to be the first message. */
DEVICE_ROLE(feeder)
{
    config cfg;

    cfg.rdma      = efa_attr(open_device().get()).max_rdma_size > 0;
    cfg.access    = IBV_ACCESS_LOCAL_WRITE;
    cfg.rnr_retry = 7;
    endpoint e(cfg);
    parent.put(e.addr());
    for (;;) {
        order o = parent.get<order>();
        if (o.count == 0) {
            return ::testing::Test::HasFailure();
        }
        for (uint32_t i = 0; i < o.count; ++i) {
            fill(e.buffer.data(), o.length, o.seed + i);
            e.send(o.to, i, 0, o.length);
            EXPECT_EQ(0u, e.wait()[0].vendor_err);
        }
        if (o.read_addr != 0) {
            fill(e.buffer.data(), o.length, 0);
            e.read(o.to, 1, e.sge(0, o.length), o.read_addr, o.read_rkey);
            EXPECT_EQ(0u, e.wait()[0].vendor_err);
            check(e.buffer.data(), o.length, o.seed);
        }
        parent.put(uint32_t(0));
    }
}

bool has_events()
{
    return device_attr(open_device().get()).vendor_part_id != 0xefa0;
}

class fifo : public ::testing::TestWithParam<bool> {
protected:
    static constexpr uint32_t SLOT = 2000;

    /* The receiver has polled: from now on the FIFO may be used. */
    fifo() : receiver(config_of()), other("feeder"),
             from(other.to->get<address>())
    {
        receiver.ah(from);
        post(receiver, 0, 32);
        receiver.expect_silence(1);
    }

    static config config_of()
    {
        config cfg;

        cfg.extended = GetParam();
        cfg.channel  = has_events();
        cfg.buffer   = 64 * SLOT;
        cfg.access   = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
        return cfg;
    }

    static void post(endpoint &e, unsigned first, unsigned count)
    {
        for (unsigned i = first; i < first + count; ++i) {
            e.recv(i, (i % 64) * SLOT, SLOT);
        }
    }

    void feed(const endpoint &e, uint32_t count, uint32_t length,
              uint64_t seed, const uint8_t *read = nullptr)
    {
        order o = {e.addr(), count, length, seed,
                   reinterpret_cast<uintptr_t>(read), e.mr ? e.mr->rkey : 0, 0};

        other.to->put(o);
        EXPECT_EQ(0u, other.to->get<uint32_t>());
    }

    static void expect_data(endpoint &e, unsigned first, unsigned count,
                            uint32_t length, uint64_t seed)
    {
        for (unsigned i = 0; i < count; ++i) {
            check(e.buffer.data() + ((first + i) % 64) * SLOT, length,
                  seed + i);
        }
    }

    /* In the order of their sending, as this device keeps it */
    static void expect_messages(endpoint &e, unsigned first, unsigned count,
                                uint32_t length, uint64_t seed)
    {
        std::vector<completion> got = e.wait(count);

        for (unsigned i = 0; i < count; ++i) {
            EXPECT_EQ(first + i, got[i].wr_id);
            EXPECT_EQ(0u, got[i].vendor_err);
            EXPECT_EQ(length, got[i].byte_len);
        }
        expect_data(e, first, count, length, seed);
    }

    void end()
    {
        other.to->put(order());
        EXPECT_EQ(0, other.join());
    }

    endpoint receiver;
    child    other;
    address  from;
};

/* Some wait, more than it takes, of all lengths; again and again, so that it
 * wraps at different places. */
TEST_P(fifo, any_number_of_any_length)
{
    unsigned next = 0, posted = 32;

    for (unsigned round = 0; round < 40; ++round) {
        uint32_t count  = 1 + (round * 7) % 32;
        uint32_t length = (round * 331) % (SLOT + 1);

        feed(receiver, count, length, 100 * round);
        expect_messages(receiver, next, count, length, 100 * round);
        next += count;
        post(receiver, posted, count);
        posted += count;
    }
    end();
}

TEST_P(fifo, read_by_the_sender)
{
    if (efa_attr(receiver.context).max_rdma_size == 0) {
        GTEST_SKIP() << "no RDMA read";
    }
    feed(receiver, 3, 900, 5, receiver.buffer.data());
    expect_messages(receiver, 0, 3, 900, 5);
    end();
}

TEST_P(fifo, region_deregistered)
{
    feed(receiver, 3, 900, 5);
    receiver.mr.reset();
    expect_data(receiver, 0, 3, 900, 5);
    std::fill(receiver.buffer.begin(), receiver.buffer.end(), 0);
    for (const completion &c : receiver.wait(3)) {
        EXPECT_EQ(0u, c.vendor_err);
    }
    EXPECT_EQ(0, receiver.buffer[0]);
    end();
}

TEST_P(fifo, queue_pair_in_error)
{
    feed(receiver, 3, 900, 5);
    receiver.to_state(IBV_QPS_ERR);
    expect_data(receiver, 0, 3, 900, 5);
    std::vector<completion> got = receiver.wait(32);
    for (unsigned i = 0; i < 32; ++i) {
        EXPECT_EQ(i, got[i].wr_id);
        EXPECT_EQ(i < 3 ? STATUS_OK : STATUS_FLUSHED, int(got[i].vendor_err));
    }
    end();
}

TEST_P(fifo, queue_pair_reset)
{
    feed(receiver, 3, 900, 5);
    receiver.to_state(IBV_QPS_RESET);
    expect_data(receiver, 0, 3, 900, 5);
    end();
}

/* What it had for a queue pair that is gone never comes to the next one. */
TEST_P(fifo, queue_pair_destroyed)
{
    config cfg = config_of();

    feed(receiver, 3, 900, 5);
    receiver.qp.reset();
    receiver.mr.reset();
    std::fill(receiver.buffer.begin(), receiver.buffer.end(), 0);
    receiver.expect_silence(1);

    endpoint next(cfg, receiver.context);
    next.ah(from);
    post(next, 0, 3);
    next.expect_silence(1);
    feed(next, 1, 700, 50);
    expect_messages(next, 0, 1, 700, 50);
    for (uint8_t byte : receiver.buffer) {
        ASSERT_EQ(0, byte);
    }
    end();
}

/* One that waits raises the event at once; one that comes later does. */
TEST_P(fifo, armed)
{
    ibv_cq *cq;
    void *context;

    if (!has_events()) {
        GTEST_SKIP() << "0xefa0 has no completion events";
    }
    feed(receiver, 1, 900, 5);
    for (unsigned i = 0; i < 3; ++i) {
        ASSERT_EQ(0, ibv_req_notify_cq(receiver.cq.get(), 0));
        if (i > 0) {
            feed(receiver, 1, 900, 5 + i);
        }
        ASSERT_EQ(0, ibv_get_cq_event(receiver.channel.get(), &cq, &context));
        ibv_ack_cq_events(cq, 1);
        expect_messages(receiver, i, 1, 900, 5 + i);
    }
    end();
}

TEST_P(fifo, sender_killed)
{
    feed(receiver, 20, 900, 5);
    other.kill9();
    other.join();
    expect_messages(receiver, 0, 20, 900, 5);
}

/* A receiver that is killed takes no more: its kernel would have destroyed its
 * queue pair. */
DEVICE_ROLE(eater)
{
    endpoint e;

    for (unsigned i = 0; i < 32; ++i) {
        e.recv(i, 0, 100);
    }
    e.expect_silence(1);
    parent.put(e.addr());
    return parent.get<int>();
}

TEST(fifo_receiver, killed)
{
    config cfg;
    child other("eater");
    address to = other.to->get<address>();

    cfg.rnr_retry = 7;
    endpoint e(cfg);
    e.send(to, 1, 0, 100);
    EXPECT_EQ(0u, e.wait()[0].vendor_err);
    other.kill9();
    other.join();
    e.send(to, 2, 0, 100);
    EXPECT_NE(0u, e.wait()[0].vendor_err);
}

INSTANTIATE_TEST_SUITE_P(polls, fifo, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) {
                             return info.param ? "extended" : "plain";
                         });

} /* namespace */
