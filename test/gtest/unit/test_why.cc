/*
 * The word for why it does not move: a row of why.c's table each, and which of
 * two goes first.
 */
#include "srd/wire/srd_wire.h"
#include "tools/cmd/why.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

class test_why : public ::testing::Test {
protected:
    void SetUp() override
    {
        m_segment       = {};
        m_iface         = {};
        m_peer          = {};
        m_ep            = {};
        m_segment.alive = true;

        m_iface.create_time   = 1;
        m_iface.state_time    = 2;
        m_iface.progress_time = 3;
        m_peer.state          = EFA_STATS_PEER_JOINED;
        m_peer.state_time     = 4;
        m_peer.wait_time      = 5;
        m_peer.window         = 256;
        m_ep.wait_time        = 6;

        m_in = {&m_segment, &m_iface, &m_peer, &m_ep, false};
    }

    void expect(why_t why, uint64_t since)
    {
        uint64_t is_since;
        why_t is = why_get(&m_in, &is_since);

        EXPECT_STREQ(why_name(why), why_name(is));
        EXPECT_EQ(since, is_since);
    }

    /* That many are pending in the endpoint and its peer */
    void pending(unsigned count)
    {
        m_ep.pending   = count;
        m_peer.pending = count;
    }

    stats_segment_t           m_segment;
    efa_stats_iface_t m_iface;
    efa_stats_peer_t  m_peer;
    efa_stats_ep_t    m_ep;
    why_input_t        m_in;
};

} // namespace

TEST_F(test_why, ready)
{
    expect(WHY_READY, 0);

    /* Nothing is known of it but that it is there */
    m_in.peer = nullptr;
    expect(WHY_READY, 0);
    m_in.iface = nullptr;
    expect(WHY_READY, 0);
}

TEST_F(test_why, no_progress_calls)
{
    m_in.idle = true;
    expect(WHY_NO_PROGRESS_CALLS, 3);

    m_iface.progress_time = 0; /* not even one */
    expect(WHY_NO_PROGRESS_CALLS, 1);

    /* Who sleeps until an event need not call it, who is dead cannot */
    m_iface.asleep = 1;
    expect(WHY_READY, 0);
    m_iface.asleep  = 0;
    m_segment.alive = false;
    expect(WHY_READY, 0);
}

TEST_F(test_why, recovering)
{
    m_iface.state = EFA_STATS_IFACE_RECOVERING;
    expect(WHY_RECOVERING, 2);
    m_iface.state = EFA_STATS_IFACE_DOWN;
    expect(WHY_RECOVERING, 2);
    m_iface.state = EFA_STATS_IFACE_CLOSING;
    expect(WHY_READY, 0);

    m_peer.gate = EFA_STATS_GATE_BLOCKED;
    expect(WHY_RECOVERING, 5);
}

TEST_F(test_why, peer_unresponsive)
{
    m_peer.gate = EFA_STATS_GATE_SUSPECTED;
    expect(WHY_PEER_UNRESPONSIVE, 5);
    m_peer.gate  = 0;
    m_peer.state = EFA_STATS_PEER_FAILED;
    expect(WHY_PEER_UNRESPONSIVE, 4);
}

TEST_F(test_why, waits_handshake)
{
    m_peer.state = EFA_STATS_PEER_NEW;
    expect(WHY_READY, 0); /* nobody waits for it */
    pending(1);
    expect(WHY_WAITS_HANDSHAKE, 6);

    /* What waits for the answer may wait in UCP, where it is not seen */
    m_peer.state = EFA_STATS_PEER_JOINING;
    expect(WHY_WAITS_HANDSHAKE, 6);
    pending(0);
    expect(WHY_WAITS_HANDSHAKE, 4);
}

TEST_F(test_why, rnr_backoff)
{
    m_peer.backoff = 1;
    expect(WHY_RNR_BACKOFF, 5);
}

TEST_F(test_why, waits_fence)
{
    m_peer.fence = 1;
    expect(WHY_WAITS_FENCE, 5);
}

TEST_F(test_why, waits_window)
{
    m_peer.tx_done = 0x1ff80;
    m_peer.tx_msgs = 0x20080;
    expect(WHY_READY, 0);
    pending(1);
    expect(WHY_WAITS_WINDOW, 6);
    m_peer.tx_done = 0x1ff81;
    expect(WHY_READY, 0);
    m_peer.tx_done = 0x20081; /* read later than tx_msgs */
    expect(WHY_READY, 0);
}

TEST_F(test_why, reorder_gap)
{
    m_peer.gap_time = 7;
    expect(WHY_REORDER_GAP, 7);
    m_peer.gap_time = 0;
    m_peer.depth    = 1;
    expect(WHY_REORDER_GAP, 0);
}

TEST_F(test_why, another_endpoint_waits)
{
    m_peer.state   = EFA_STATS_PEER_NEW;
    m_peer.pending = 1;
    expect(WHY_READY, 0);

    m_in.ep = nullptr; /* the peer as a whole does */
    expect(WHY_WAITS_HANDSHAKE, 5);

    m_peer.state   = EFA_STATS_PEER_JOINED;
    m_peer.tx_msgs = 256;
    expect(WHY_WAITS_WINDOW, 5);
}

TEST_F(test_why, the_first_that_holds)
{
    /* Each cause is added in front of those that hold already */
    std::vector<std::function<void()>> causes = {
        [this]() { m_peer.depth = 1; },
        [this]() { pending(1); m_peer.tx_msgs = 256; },
        [this]() { m_peer.fence = 1; },
        [this]() { m_peer.backoff = 1; },
        [this]() { m_peer.state = EFA_STATS_PEER_JOINING; },
        [this]() { m_peer.gate |= EFA_STATS_GATE_SUSPECTED; },
        [this]() { m_peer.gate |= EFA_STATS_GATE_BLOCKED; },
        [this]() { m_in.idle = true; }
    };
    uint64_t since;

    for (unsigned i = 0; i < causes.size(); ++i) {
        causes[i]();
        EXPECT_STREQ(why_name(WHY_READY - 1 - i),
                     why_name(why_get(&m_in, &since)));
    }
}

TEST_F(test_why, every_word_has_a_text)
{
    for (unsigned why = 0; why < WHY_LAST; ++why) {
        ASSERT_NE(nullptr, why_name(why));
        EXPECT_GT(strlen(why_text(why)), 5u);
    }
    EXPECT_EQ(nullptr, why_name(WHY_LAST));
    EXPECT_EQ(nullptr, why_text(WHY_LAST));
}

TEST(stats_names, control_messages_are_those_of_the_wire)
{
    const char *const wire[] = UCT_SRD_OP_NAMES;
    unsigned index           = 0;

    for (std::string name : wire) {
        for (char &c : name) {
            c = (c == '_') ? '-' : char(tolower(c));
        }
        EXPECT_EQ(name, stats_name_control(index++));
    }
    EXPECT_STREQ("?", stats_name_control(index));
}
