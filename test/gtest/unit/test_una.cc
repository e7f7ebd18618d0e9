/* una and its bitmap against a model: the set of what has not completed. */
#include "srd/wire/srd_una.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace {

class una : public ::testing::TestWithParam<unsigned> {
protected:
    void SetUp() override
    {
        ASSERT_TRUE(uct_srd_una_pool_init(&m_pool, capacity(), SETS));
        init(0);
    }

    void TearDown() override
    {
        uct_srd_una_pool_cleanup(&m_pool);
    }

    /* A sequence may use less than its bitmap has */
    static unsigned capacity()
    {
        return std::max(GetParam(), 64u);
    }

    /* Sets that were taken, and those given back, whose bits are zero */
    void check_sets(unsigned taken, unsigned free)
    {
        unsigned num = 0;

        for (uint32_t set = m_pool.free; set != UCT_SRD_UNA_NO_SET; ++num) {
            const uint64_t *bits = m_pool.bits + set * m_pool.words;
            for (unsigned i = 1; i < m_pool.words; ++i) {
                EXPECT_EQ(0ull, bits[i]) << "set " << set;
            }
            set = (uint32_t)bits[0];
        }
        EXPECT_EQ(taken, m_pool.used);
        EXPECT_EQ(free, num);
    }

    void init(uint64_t first)
    {
        uct_srd_una_init(&m_una, (uint16_t)first);
        m_psn = first;
        m_open.clear();
    }

    uint64_t lowest() const
    {
        return m_open.empty() ? m_psn : *m_open.begin();
    }

    void done(uint64_t n)
    {
        uint64_t before = lowest();

        m_open.erase(n);
        unsigned moved = uct_srd_una_done(&m_una, &m_pool, (uint16_t)n);
        ASSERT_EQ(lowest() - before, moved);
        ASSERT_EQ((uint16_t)lowest(), m_una.una);
        ASSERT_EQ(m_open.size(),
                  uct_srd_una_outstanding(&m_una, (uint16_t)m_psn));
    }

    void send()
    {
        m_open.insert(m_psn++);
    }

    static const unsigned SETS = 3;

    uct_srd_una_t      m_una;
    uct_srd_una_pool_t m_pool;
    uint64_t           m_psn;
    std::set<uint64_t> m_open;
};

TEST_P(una, in_order)
{
    for (uint64_t n = 0; n < 200000; ++n) {
        send();
        ASSERT_EQ(1u, uct_srd_una_outstanding(&m_una, (uint16_t)m_psn));
        ASSERT_NO_FATAL_FAILURE(done(n));
    }
    check_sets(0, 0);
}

TEST_P(una, any_order)
{
    std::mt19937 rng(GetParam());

    for (uint64_t first : {0ull, 65000ull, 65535ull}) {
        init(first);
        std::vector<uint64_t> flight;
        for (unsigned i = 0; i < 200000; ++i) {
            if ((m_psn - lowest() < GetParam()) && (rng() % 2)) {
                flight.push_back(m_psn);
                send();
            } else if (!flight.empty()) {
                size_t k = rng() % flight.size();
                std::swap(flight[k], flight.back());
                uint64_t n = flight.back();
                flight.pop_back();
                ASSERT_NO_FATAL_FAILURE(done(n));
            }
        }
        while (!flight.empty()) {
            ASSERT_NO_FATAL_FAILURE(done(flight.back()));
            flight.pop_back();
        }
        EXPECT_EQ(0, m_una.ahead);
    }
    check_sets(1, 1);
}

TEST_P(una, a_hole_holds_everything)
{
    for (unsigned i = 0; i < GetParam(); ++i) {
        send();
    }
    for (uint64_t n = GetParam() - 1; n > 0; --n) {
        ASSERT_NO_FATAL_FAILURE(done(n));
        ASSERT_EQ(0, m_una.una);
    }
    ASSERT_NO_FATAL_FAILURE(done(0));
    EXPECT_EQ(GetParam(), m_una.una);
}

/* As many sequences with a hole as the pool has sets, again and again: none has
 * the bits of another, or of one before it. */
TEST_P(una, a_set_for_each_hole)
{
    uct_srd_una_t unas[SETS];

    for (uct_srd_una_t &una : unas) {
        uct_srd_una_init(&una, 0);
    }
    for (unsigned round = 0; round < 100; ++round) {
        uint16_t first = 4 * round;
        for (uct_srd_una_t &una : unas) {
            EXPECT_EQ(0u, uct_srd_una_done(&una, &m_pool, first + 3));
            EXPECT_EQ(0u, uct_srd_una_done(&una, &m_pool, first + 1));
        }
        check_sets(SETS, 0);
        for (uct_srd_una_t &una : unas) {
            EXPECT_EQ(2u, uct_srd_una_done(&una, &m_pool, first));
            EXPECT_EQ(2u, uct_srd_una_done(&una, &m_pool, first + 2));
        }
        check_sets(SETS, SETS);
    }
}

/* What is given up half way leaves zeros behind. */
TEST_P(una, forgotten)
{
    for (unsigned i = 0; i < 10; ++i) {
        init(i);
        EXPECT_EQ(0u, uct_srd_una_done(&m_una, &m_pool, i + 15));
        uct_srd_una_forget(&m_una, &m_pool, i + 16);
        EXPECT_EQ(0u, uct_srd_una_outstanding(&m_una, i + 16));
        check_sets(1, 1);
        EXPECT_EQ(1u, uct_srd_una_done(&m_una, &m_pool, i + 16));
        uct_srd_una_forget(&m_una, &m_pool, i + 17); /* nothing is ahead */
        check_sets(1, 1);
    }
}

INSTANTIATE_TEST_SUITE_P(windows, una, ::testing::Values(16, 64, 256, 4096));

} // namespace
