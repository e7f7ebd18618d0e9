/*
 * A program that goes past libefa: it takes the queues that efadv_query_qp_wqs()
 * and efadv_query_cq() name, writes entries, stores doorbells and reads the CQ's
 * entries itself. Its doorbells trap, or it calls Soft-EFA after each store
 * (softefa_direct.h). Who else has the signal of the trap: signal_test.cc.
 */
#include "direct_test.h"

#include <atomic>
#include <cerrno>
#include <poll.h>

#if defined(__x86_64__)
#  include <immintrin.h>
#endif

namespace device {

/* Each is another instruction; the last one does not trap. */
enum class store { PLAIN, CONSTANT, EXCHANGE, STREAMING, CALLED };

class doorbells : public ::testing::TestWithParam<store> {
protected:
    void SetUp() override
    {
        memset(&sq, 0, sizeof(sq));
        memset(&rq, 0, sizeof(rq));
        memset(&cq, 0, sizeof(cq));
        ASSERT_EQ(0, query_qp(a.qp.get(), &sq, &rq));
        ASSERT_EQ(0, query_cq(a.cq.get(), &cq));
        ASSERT_EQ(0, direct_qp(a.qp.get(), &called));
        ASSERT_EQ(0, direct_cq(a.cq.get(), &called_cq));
        ASSERT_EQ(0, efadv_query_ah(a.ah(b.addr()), &ah, sizeof(ah)));
        ASSERT_GE(sq.entry_size, 64u);
        ASSERT_NE(nullptr, sq.doorbell);
    }

    void write_entry(uint64_t data)
    {
        write_send(sq, count++, b.qp->qp_num, ah.ahn, data);
    }

    void ring(store how)
    {
        volatile uint32_t *doorbell = sq.doorbell;

        std::atomic_thread_fence(std::memory_order_seq_cst);
        switch (how) {
        case store::PLAIN:
            *doorbell = count;
            break;
        case store::CONSTANT:
            *doorbell = 1;
            break;
        case store::EXCHANGE:
#if defined(__x86_64__)
            EXPECT_EQ(rung, __atomic_exchange_n(sq.doorbell, count,
                                                __ATOMIC_SEQ_CST));
#else
            /* No store of one instruction, and no compiler makes it of one. */
            __atomic_store_n(sq.doorbell, count, __ATOMIC_SEQ_CST);
#endif
            break;
        case store::STREAMING:
#if defined(__x86_64__)
            _mm_stream_si32((int *)sq.doorbell, count);
#else
            __atomic_store_n(sq.doorbell, count, __ATOMIC_RELEASE);
#endif
            break;
        case store::CALLED:
            *(volatile uint32_t *)called.sq_doorbell = count;
            called.ring(called.arg);
            break;
        }
        rung = count;
    }

    /* The entries of a's CQ that it has not read: all with status 0 */
    unsigned completed()
    {
        unsigned done = 0;

        if (GetParam() == store::CALLED) {
            called_cq.poll(called_cq.poll_arg);
        }

        for (;; ++read, ++done) {
            const uint8_t *entry = cq.buffer + (read % cq.num_entries) *
                                                       cq.entry_size;
            uint32_t first = __atomic_load_n((const uint32_t *)entry,
                                             __ATOMIC_ACQUIRE);

            if (((first >> 24) & 1) != ((read / cq.num_entries) + 1) % 2) {
                return done;
            }
            EXPECT_EQ(0u, (first >> 16) & 0xff);
            EXPECT_LT(first & 0xffff, sq.num_entries); /* in any order */
        }
    }

    /* Waits until as many more have completed, not one more. */
    void take(unsigned messages)
    {
        unsigned done = 0;

        wait_until([&]() { return done >= messages; },
                   [&]() { done += completed(); }, "completions of sends");
        EXPECT_EQ(messages, done);
    }

    /* Not 0xefa0 */
    static bool has_events()
    {
        return device_attr(open_device().get()).vendor_part_id != 0xefa0;
    }

    static config small()
    {
        config cfg;

        cfg.send_wr = 16;
        cfg.channel = has_events();
        return cfg;
    }

    /* An armed doorbell of a's CQ: all read so far, and the next event */
    void arm(store how)
    {
        uint32_t value = (1u << 31) | ((++armed & 3) << 29) | (read & 0xffff);

        if (how == store::CALLED) {
            *(volatile uint32_t *)called_cq.doorbell = value;
            called_cq.armed(called_cq.armed_arg);
        } else {
            *(volatile uint32_t *)cq.doorbell = value;
        }
    }

    /* Takes one event, if there is one. */
    bool event()
    {
        pollfd fd = {a.channel->fd, POLLIN, 0};
        ibv_cq *from;
        void *context;

        if (poll(&fd, 1, 0) != 1) {
            return false;
        }
        EXPECT_EQ(0, ibv_get_cq_event(a.channel.get(), &from, &context));
        EXPECT_EQ(a.cq.get(), from);
        ibv_ack_cq_events(from, 1);
        return true;
    }

    /* A completion may be held back, and its event with it. */
    void await_event()
    {
        wait_until([&]() { return event(); },
                   [&]() {
                       if (GetParam() == store::CALLED) {
                           called_cq.poll(called_cq.poll_arg);
                       }
                   },
                   "an event");
    }

    endpoint            a{small()}, b;
    wq_attr             sq, rq;
    cq_attr             cq;
    efadv_ah_attr       ah;
    softefa_direct_qp_t called    = {sizeof(called), nullptr, nullptr, nullptr};
    softefa_direct_cq_t called_cq = {sizeof(called_cq), nullptr, nullptr,
                                     nullptr, nullptr, nullptr};
    uint32_t            count = 0, rung = 0, read = 0, armed = 0;
};

TEST_P(doorbells, ring)
{
    store how         = GetParam();
    unsigned messages = (how == store::CONSTANT) ? 1 : 100;

    for (unsigned i = 0; i < messages; ++i) {
        uint64_t got;

        b.recv(i, 0, 64);
        write_entry(0x1122334455667788 + i);
        EXPECT_TRUE(b.poll().empty());
        ring(how);

        completion c = b.wait()[0];
        EXPECT_EQ(i, c.wr_id);
        EXPECT_EQ(8u, c.byte_len);
        memcpy(&got, &b.buffer[0], sizeof(got));
        EXPECT_EQ(0x1122334455667788 + i, got);
        take(1);
    }
}

/* Three entries, one doorbell */
TEST_P(doorbells, batch)
{
    if (GetParam() == store::CONSTANT) {
        return;
    }
    for (unsigned i = 0; i < 3; ++i) {
        b.recv(i, i * 64, 64);
        write_entry(i);
    }
    ring(GetParam());
    EXPECT_EQ(3u, b.wait(3).size());
    take(3);
}

/* Nobody calls libefa on this side: what waits for a receive goes on anyway. */
TEST_P(doorbells, waits_for_a_receive)
{
    write_entry(5);
    ring(GetParam());
    EXPECT_EQ(0u, completed());
    b.recv(7, 0, 64);

    take(1);
    EXPECT_EQ(7u, b.wait()[0].wr_id);
}

/* The other side goes on by libefa. */
TEST_P(doorbells, both_ways)
{
    a.recv(3, 0, 64);
    b.recv(4, 64, 64);
    b.send(a.addr(), 2, 128, 8);
    write_entry(6);
    ring(GetParam());

    std::vector<completion> done = b.wait(2);
    EXPECT_EQ(6u, done[0].wr_id + done[1].wr_id);
}

TEST_P(doorbells, events)
{
    store how = GetParam();

    if ((how == store::CONSTANT) || !has_events()) {
        GTEST_SKIP() << "one store only, or a device without events";
    }

    ASSERT_NE(nullptr, cq.doorbell);
    b.recv(0, 0, 64);
    write_entry(1);
    ring(how);
    b.wait();
    EXPECT_FALSE(event()); /* not armed */
    take(1);

    arm(how);
    EXPECT_FALSE(event()); /* nothing since */
    b.recv(1, 0, 64);
    write_entry(2);
    ring(how);
    b.wait();
    await_event();
    EXPECT_FALSE(event());

    arm(how); /* and an entry waits */
    await_event();
    take(1);
}

/* Many rounds of a CQ whose doorbell was rung once: entries that were read are
 * none that are overwritten. */
TEST_P(doorbells, no_overrun)
{
    if ((GetParam() == store::CONSTANT) || !has_events()) {
        GTEST_SKIP() << "one store only, or a device without events";
    }

    b.recv(0, 0, 64);
    write_entry(0);
    ring(GetParam());
    b.wait();
    take(1);
    arm(GetParam());

    ::testing::internal::CaptureStderr();
    for (unsigned i = 0; i < 3 * cq.num_entries; ++i) {
        b.recv(i, 0, 64);
        write_entry(i);
        ring(GetParam());
        b.wait();
        take(1);
    }
    EXPECT_EQ("", ::testing::internal::GetCapturedStderr());
}

/* After they are gone the words ring nothing, and the program goes on. */
TEST_P(doorbells, of_what_is_destroyed)
{
    a.qp.reset();
    *(volatile uint32_t *)sq.doorbell = 1;
    a.cq.reset();
    if (cq.doorbell != nullptr) {
        *(volatile uint32_t *)cq.doorbell = 1u << 31;
    }
}

INSTANTIATE_TEST_SUITE_P(stores, doorbells,
                         ::testing::Values(store::PLAIN, store::CONSTANT,
                                           store::EXCHANGE, store::STREAMING,
                                           store::CALLED));

/* What a caller asks for that was built with another version */
TEST(direct, sizes)
{
    endpoint e;
    struct {
        wq_attr  attr;
        uint64_t beyond;
    } sq, rq;
    wq_attr before;
    cq_attr cq;
    softefa_direct_qp_t qp_entry = {};
    softefa_direct_cq_t cq_entry = {};

    EXPECT_EQ(EINVAL, query_qp(e.qp.get(), &sq.attr, &rq.attr, 32));
    EXPECT_EQ(EINVAL, query_cq(e.cq.get(), &cq, 16));
    EXPECT_EQ(EINVAL, direct_qp(e.qp.get(), &qp_entry));
    EXPECT_EQ(EINVAL, direct_cq(e.cq.get(), &cq_entry));

    /* Before caps, and before the doorbell of a CQ */
    memset(&sq, 0xa5, sizeof(sq));
    memset(&before, 0xa5, sizeof(before));
    EXPECT_EQ(0, query_qp(e.qp.get(), &sq.attr, &rq.attr,
                          offsetof(wq_attr, caps)));
    EXPECT_EQ(before.caps, sq.attr.caps);
    EXPECT_NE(before.max_batch, sq.attr.max_batch);
    memset(&cq, 0xa5, sizeof(cq));
    EXPECT_EQ(0, query_cq(e.cq.get(), &cq, offsetof(cq_attr, doorbell)));
    EXPECT_EQ(0, memcmp(&cq.doorbell, &before, sizeof(cq.doorbell)));
}

/* A CQ without a channel has none to ring. */
TEST(direct, cq_without_a_channel)
{
    endpoint e;
    cq_attr cq;
    softefa_direct_cq_t entry = {};

    entry.size = sizeof(entry);
    ASSERT_EQ(0, query_cq(e.cq.get(), &cq));
    EXPECT_EQ(nullptr, cq.doorbell);
    ASSERT_EQ(0, direct_cq(e.cq.get(), &entry));
    EXPECT_EQ(nullptr, entry.doorbell);
}

/* What is none of Soft-EFA's */
TEST(direct, strangers)
{
    ibv_qp qp                    = {};
    ibv_cq cq                    = {};
    softefa_direct_qp_t qp_entry = {};
    softefa_direct_cq_t cq_entry = {};

    qp_entry.size = sizeof(qp_entry);
    cq_entry.size = sizeof(cq_entry);
    EXPECT_EQ(ENOENT, direct_qp(&qp, &qp_entry));
    EXPECT_EQ(ENOENT, direct_cq(&cq, &cq_entry));
}

/* How many entries go between two doorbells is the device's. */
TEST(direct, max_batch)
{
    endpoint e;
    wq_attr sq, rq;

    ASSERT_EQ(0, query_qp(e.qp.get(), &sq, &rq));
    EXPECT_GE(sq.num_entries, e.cfg.send_wr);
    EXPECT_GE(rq.num_entries, e.cfg.recv_wr);
    EXPECT_EQ(16u, rq.entry_size);
    EXPECT_GE(sq.max_batch, 1u);
    EXPECT_LE(sq.max_batch, sq.num_entries);
}

/* Another fault is still the program's own. */
TEST(direct_death, other_faults)
{
    endpoint e;
    wq_attr sq, rq;

    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    ASSERT_EQ(0, query_qp(e.qp.get(), &sq, &rq));
    EXPECT_DEATH(*(volatile int *)8 = 1, "");
}

} // namespace device
