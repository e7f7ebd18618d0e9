/*
 * A program that goes past libefa: it takes the queues that efadv_query_qp_wqs()
 * names, writes entries, stores the doorbell and reads the CQ's entries itself.
 */
#include "verbs_test.h"

#include <atomic>
#include <cstring>

#if HAVE_EFADV_QUERY_QP_WQS

#if defined(__x86_64__)
#  include <immintrin.h>
#endif

namespace device {

/* Each is another instruction. */
enum class store { PLAIN, CONSTANT, EXCHANGE, STREAMING };

class doorbells : public ::testing::TestWithParam<store> {
protected:
    void SetUp() override
    {
        memset(&sq, 0, sizeof(sq));
        memset(&rq, 0, sizeof(rq));
        memset(&cq, 0, sizeof(cq));
        ASSERT_EQ(0, efadv_query_qp_wqs(a.qp.get(), &sq, &rq, sizeof(sq)));
        ASSERT_EQ(0, efadv_query_cq(a.cq.get(), &cq, sizeof(cq)));
        ASSERT_EQ(0, efadv_query_ah(a.ah(b.addr()), &ah, sizeof(ah)));
        ASSERT_GE(sq.entry_size, 64u);
        ASSERT_NE(nullptr, sq.doorbell);
    }

    /* An inline send of 8 bytes, as the device's documentation has it */
    void write_entry(uint64_t data)
    {
        std::vector<uint8_t> entry(sq.entry_size);
        uint16_t id = count % sq.num_entries;
        uint16_t qpn = b.qp->qp_num, length = sizeof(data);
        uint32_t qkey = QKEY;
        bool phase = (count / sq.num_entries) % 2;

        memcpy(&entry[0], &id, sizeof(id));
        entry[2] = 0x80 | 0x20; /* meta, inline; SEND */
        entry[3] = 0x10 | 0x08 | 0x04 | phase;
        memcpy(&entry[4], &qpn, sizeof(qpn));
        memcpy(&entry[6], &length, sizeof(length));
        memcpy(&entry[12], &ah.ahn, sizeof(ah.ahn));
        memcpy(&entry[16], &qkey, sizeof(qkey));
        memcpy(&entry[32], &data, sizeof(data));
        memcpy(sq.buffer + (count % sq.num_entries) * sq.entry_size,
               entry.data(), sq.entry_size);
        ++count;
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
            EXPECT_EQ(rung, __atomic_exchange_n(sq.doorbell, count,
                                                __ATOMIC_SEQ_CST));
            break;
        case store::STREAMING:
#if defined(__x86_64__)
            _mm_stream_si32((int *)sq.doorbell, count);
#else
            __atomic_store_n(sq.doorbell, count, __ATOMIC_RELEASE);
#endif
            break;
        }
        rung = count;
    }

    /* The entries of a's CQ that it has not read: all with status 0 */
    unsigned completed()
    {
        unsigned done = 0;

        for (;; ++read, ++done) {
            const uint8_t *entry = cq.buffer + (read % cq.num_entries) *
                                                       cq.entry_size;
            uint32_t first = __atomic_load_n((const uint32_t *)entry,
                                             __ATOMIC_ACQUIRE);

            if (((first >> 24) & 1) != ((read / cq.num_entries) + 1) % 2) {
                return done;
            }
            EXPECT_EQ(0u, (first >> 16) & 0xff);
            EXPECT_EQ(read % sq.num_entries, first & 0xffff);
        }
    }

    static config small()
    {
        config cfg;

        cfg.send_wr = 16;
        return cfg;
    }

    endpoint      a{small()}, b;
    efadv_wq_attr sq, rq;
    efadv_cq_attr cq;
    efadv_ah_attr ah;
    uint32_t      count = 0, rung = 0, read = 0;
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
        EXPECT_EQ(1u, completed());
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
    EXPECT_EQ(3u, completed());
}

/* Nobody calls libefa on this side: what waits for a receive goes on anyway. */
TEST_P(doorbells, waits_for_a_receive)
{
    write_entry(5);
    ring(GetParam());
    EXPECT_EQ(0u, completed());
    b.recv(7, 0, 64);

    unsigned done = 0;
    wait_until([&]() { return done == 1; }, [&]() { done += completed(); },
               "the completion of a send that waited");
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

/* After the QP is gone the word rings nothing, and the program goes on. */
TEST_P(doorbells, of_a_destroyed_qp)
{
    uint32_t *doorbell = sq.doorbell;

    a.qp.reset();
    *(volatile uint32_t *)doorbell = 1;
}

INSTANTIATE_TEST_SUITE_P(stores, doorbells,
                         ::testing::Values(store::PLAIN, store::CONSTANT,
                                           store::EXCHANGE,
                                           store::STREAMING));

/* Another fault is still the program's own. */
TEST(doorbells_death, other_faults)
{
    endpoint e;
    efadv_wq_attr sq = {}, rq = {};

    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    ASSERT_EQ(0, efadv_query_qp_wqs(e.qp.get(), &sq, &rq, sizeof(sq)));
    EXPECT_DEATH(*(volatile int *)8 = 1, "");
}

} // namespace device

#else

TEST(doorbells, need_a_newer_libefa)
{
    GTEST_SKIP() << "this libefa has no efadv_query_qp_wqs()";
}

#endif
