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
        m_bits.resize(UCT_SRD_UNA_WORDS(GetParam()), ~0ull);
        init(0);
    }

    void init(uint64_t first)
    {
        uct_srd_una_init(&m_una, m_bits.data(), GetParam(), (uint16_t)first);
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
        unsigned moved = uct_srd_una_done(&m_una, (uint16_t)n);
        ASSERT_EQ(lowest() - before, moved);
        ASSERT_EQ((uint16_t)lowest(), m_una.una);
        ASSERT_EQ(m_open.size(),
                  uct_srd_una_outstanding(&m_una, (uint16_t)m_psn));
    }

    void send()
    {
        m_open.insert(m_psn++);
    }

    uct_srd_una_t         m_una;
    std::vector<uint64_t> m_bits;
    uint64_t              m_psn;
    std::set<uint64_t>    m_open;
};

TEST_P(una, in_order)
{
    for (uint64_t n = 0; n < 200000; ++n) {
        send();
        ASSERT_EQ(1u, uct_srd_una_outstanding(&m_una, (uint16_t)m_psn));
        ASSERT_NO_FATAL_FAILURE(done(n));
    }
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
    for (uint64_t word : m_bits) {
        EXPECT_EQ(0ull, word);
    }
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

INSTANTIATE_TEST_SUITE_P(windows, una, ::testing::Values(16, 64, 256, 4096));

} // namespace
