/* The reorder ring against a model: a map of what has arrived. */
#include "srd/wire/srd_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace {

/* Message n of the sequence, as an entry; never NULL */
void *entry(uint64_t n)
{
    return reinterpret_cast<void *>(n * 8 + 8);
}

class ring : public ::testing::TestWithParam<unsigned> {
protected:
    void SetUp() override
    {
        uct_srd_ring_pool_init(&m_pool);
        init(GetParam(), 0);
    }

    void TearDown() override
    {
        while (uct_srd_ring_purge(&m_ring, &m_pool) != nullptr) {
        }
        EXPECT_EQ(0, m_ring.held);
        EXPECT_EQ(nullptr, m_ring.entries);
        uct_srd_ring_pool_cleanup(&m_pool);
    }

    void init(unsigned window, uint64_t first)
    {
        uct_srd_ring_init(&m_ring, window, (uint16_t)first);
        m_next = first;
    }

    /* Message n arrives; what is delivered must be m_next, m_next + 1, ... */
    uct_srd_ring_result_t arrive(uint64_t n)
    {
        uct_srd_ring_result_t result = uct_srd_ring_put(&m_ring, &m_pool,
                                                        (uint16_t)n, entry(n));
        void *got;

        if (result == UCT_SRD_RING_AWAITED) {
            EXPECT_EQ(m_next, n);
            ++m_ring.next;
            ++m_next;
            while ((got = uct_srd_ring_pop(&m_ring, &m_pool)) != nullptr) {
                EXPECT_EQ(entry(m_next), got);
                m_early.erase(m_next++);
            }
        } else if (result == UCT_SRD_RING_OUT_OF_ORDER) {
            EXPECT_TRUE(m_early.insert(n).second);
        }

        EXPECT_EQ(m_early.size(), m_ring.held);
        EXPECT_EQ(m_early.empty(), m_ring.entries == nullptr);
        EXPECT_EQ((uint16_t)m_next, m_ring.next);
        return result;
    }

    uct_srd_ring_pool_t m_pool;
    uct_srd_ring_t     m_ring;
    uint64_t           m_next;
    std::set<uint64_t> m_early;
};

TEST_P(ring, in_order_needs_no_memory)
{
    for (uint64_t n = 0; n < 200000; ++n) {
        ASSERT_EQ(UCT_SRD_RING_AWAITED, arrive(n));
    }
    EXPECT_EQ(nullptr, m_ring.entries);
}

TEST_P(ring, any_order_in_the_window)
{
    unsigned window = GetParam();
    std::mt19937 rng(window);
    uint64_t total = 300000;
    std::vector<uint64_t> pending;
    uint64_t sent = 0;

    /* As the sender does it: at most `window` beyond the lowest missing one */
    while (m_next < total) {
        while ((sent < total) && (sent - m_next < window)) {
            pending.push_back(sent++);
        }
        size_t i = rng() % pending.size();
        std::swap(pending[i], pending.back());
        uint64_t n = pending.back();
        pending.pop_back();

        uct_srd_ring_result_t result = arrive(n);
        ASSERT_TRUE((result == UCT_SRD_RING_AWAITED) ||
                    (result == UCT_SRD_RING_OUT_OF_ORDER));
        if (rng() % 8 == 0) {
            ASSERT_EQ(UCT_SRD_RING_DUPLICATE, arrive(n));
        }
    }
    EXPECT_EQ(total, m_next);
    EXPECT_TRUE(m_early.empty());
}

TEST_P(ring, every_distance)
{
    int places = 2 * GetParam();

    for (uint64_t first : {0ull, 1ull, 40000ull, 65535ull}) {
        init(GetParam(), first);
        for (int distance = -32768; distance < 32768; ++distance) {
            uct_srd_ring_result_t expected = (distance < 0) ?
                                                     UCT_SRD_RING_DUPLICATE :
                                             (distance == 0) ?
                                                     UCT_SRD_RING_AWAITED :
                                             (distance < places) ?
                                                     UCT_SRD_RING_OUT_OF_ORDER :
                                                     UCT_SRD_RING_VIOLATION;
            ASSERT_EQ(expected,
                      uct_srd_ring_classify(&m_ring,
                                            (uint16_t)(first + distance)))
                    << first << " " << distance;
        }
    }
}

TEST_P(ring, a_violation_changes_nothing)
{
    uint64_t places = 2 * GetParam();

    EXPECT_EQ(UCT_SRD_RING_OUT_OF_ORDER, arrive(1));
    EXPECT_EQ(UCT_SRD_RING_OUT_OF_ORDER, arrive(places - 1));
    EXPECT_EQ(UCT_SRD_RING_VIOLATION, arrive(places));
    EXPECT_EQ(UCT_SRD_RING_VIOLATION, arrive(32767));
    EXPECT_EQ(UCT_SRD_RING_DUPLICATE, arrive(32768));
    EXPECT_EQ(UCT_SRD_RING_DUPLICATE, arrive(1));
    EXPECT_EQ(UCT_SRD_RING_AWAITED, arrive(0));
    EXPECT_EQ(2u, m_next);
}

TEST_P(ring, full_ring_drains_at_once)
{
    uint64_t places = 2 * GetParam();

    for (uint64_t n = places - 1; n > 0; --n) {
        ASSERT_EQ(UCT_SRD_RING_OUT_OF_ORDER, arrive(n));
    }
    EXPECT_EQ(UCT_SRD_RING_AWAITED, arrive(0));
    EXPECT_EQ(places, m_next);
}

TEST_P(ring, purge_returns_each_entry_once)
{
    std::set<void *> expected, got;
    void *e;

    for (uint64_t n = 1; n < 2 * GetParam(); n += 3) {
        arrive(n);
        expected.insert(entry(n));
    }
    while ((e = uct_srd_ring_purge(&m_ring, &m_pool)) != nullptr) {
        EXPECT_TRUE(got.insert(e).second);
    }
    EXPECT_EQ(expected, got);
    m_early.clear();
}

/* Only who waits for a message has places; they come back empty. */
TEST_P(ring, places_go_from_one_to_the_next)
{
    unsigned places = 2 * GetParam(), num = UCT_SRD_RING_POOL_MAX + 2;
    std::vector<uct_srd_ring_t> rings(num);

    for (int round = 0; round < 3; ++round) {
        for (uct_srd_ring_t &each : rings) {
            uct_srd_ring_init(&each, GetParam(), 1);
            for (unsigned n = 2; n <= places; ++n) {
                ASSERT_EQ(UCT_SRD_RING_OUT_OF_ORDER,
                          uct_srd_ring_put(&each, &m_pool, n, entry(n)));
            }
        }
        EXPECT_EQ(0u, m_pool.num);
        for (uct_srd_ring_t &each : rings) {
            ++each.next;
            for (unsigned n = 2; n <= places; ++n) {
                ASSERT_EQ(entry(n), uct_srd_ring_pop(&each, &m_pool));
            }
            EXPECT_EQ(nullptr, uct_srd_ring_pop(&each, &m_pool));
            EXPECT_EQ(nullptr, each.entries);
        }
        EXPECT_EQ(UCT_SRD_RING_POOL_MAX, m_pool.num);
    }
}

INSTANTIATE_TEST_SUITE_P(windows, ring, ::testing::Values(16, 64, 512, 4096));

} // namespace
