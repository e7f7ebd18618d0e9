/*
 * Two names of one interface, or of two (srd_names.c): strangers with the same
 * GID and QKEY and another QPN, as an interface has after a reset. Resets of real
 * ones are in test_reset.cc.
 */
#include "stranger.h"

#include "common/counters.h"
#include "v2_probe.h"

#include <algorithm>

using harness::counter;
using namespace uct_test;

static const uint8_t AM_ID = 7;

class names_test : public uct_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
        m_b.reset(new node(m_dom, {{"GONE_TIMEOUT", "200ms"}}));
        m_old = made(5, 4711);
    }

    void TearDown() override
    {
        m_end.reset();
        m_old.reset();
        m_new.reset();
        m_b.reset();
        uct_base::TearDown();
    }

    std::unique_ptr<stranger> made(uint32_t epoch, uint64_t uid)
    {
        std::unique_ptr<stranger> x(new stranger(m_b->dom()->device(),
                                                 m_b->addr()));
        x->me.epoch = epoch;
        x->me.uid   = uid;
        return x;
    }

    /* A control message of x */
    void say(stranger &x, uct_srd_op_t op)
    {
        x.me.op   = op;
        x.me.len8 = uct_srd_ext_len(op) / 8;
        x.send_ext(uct_srd_imm_pack_ctl(x.me.epoch), nullptr, 0,
                   [this]() { m_b->progress(); });
    }

    /* What x heard with this operation; NULL: nothing */
    const uct_srd_ext_t *heard(stranger &x, uct_srd_op_t op)
    {
        auto found = x.answers.end();

        wait_until([&]() {
            found = std::find_if(x.answers.begin(), x.answers.end(),
                                 [op](const uct_srd_ext_t &ext) {
                return ext.op == op;
            });
            return found != x.answers.end();
        }, [&]() { step(x); });
        return (found == x.answers.end()) ? nullptr : &*found;
    }

    /* The node has a record of the old one. */
    void acquaint()
    {
        say(*m_old, UCT_SRD_OP_HELLO);
        ASSERT_NE(nullptr, heard(*m_old, UCT_SRD_OP_HELLO_ACK));
    }

    void step(stranger &x)
    {
        m_b->progress();
        x.poll();
    }

    address addr_of(const stranger &x) const
    {
        uct_srd_iface_addr_t addr = {};
        address to;

        addr.qpn     = x.me.qpn;
        addr.version = UCT_SRD_WIRE_VERSION;
        addr.qkey    = x.me.qkey;
        to.dev.assign(x.me.gid, x.me.gid + sizeof(x.me.gid));
        to.iface.resize(UCT_SRD_IFACE_ADDR_LEN);
        uct_srd_iface_addr_pack(&addr, to.iface.data());
        return to;
    }

    void connect_to(stranger &x)
    {
        m_end.reset(new end(*m_b, addr_of(x)));
    }

    int is_connected(const stranger &x) const
    {
        address to = addr_of(x);

        return v2_is_connected(m_end->ep(), to.dev.data(), to.iface.data());
    }

    ucs_status_t send()
    {
        return m_end->send(SHORT, AM_ID, m_stream, 0);
    }

    void rejoin_as_new(uint32_t prev)
    {
        m_new->me.word  = prev;
        m_new->me.flags = UCT_SRD_TAIL_NEXT;
        m_new->me.next  = 0;
        say(*m_new, UCT_SRD_OP_REJOIN);
    }

    stream                    m_stream{3, length_plan::fixed(8)};
    std::unique_ptr<node>     m_b;
    std::unique_ptr<stranger> m_old, m_new;
    std::unique_ptr<end>      m_end;
};

/* The one that we know answers: it is another one. */
TEST_F(names_test, both_are_there)
{
    m_new = made(9, 815);
    acquaint();
    connect_to(*m_new);
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, send()) << "before the other was asked";
    EXPECT_TRUE(wait_until([&]() { return send() == UCS_OK; },
                           [&]() { step(*m_old); }));
    EXPECT_NE(nullptr, heard(*m_new, UCT_SRD_OP_DATA));
    step(*m_old);
    for (const uct_srd_ext_t &ext : m_old->answers) {
        EXPECT_NE(UCT_SRD_OP_DATA, ext.op) << "it went to the other";
    }
    EXPECT_TRUE(m_b->failures.empty());
}

/* It does not answer, and nobody rejoins: not for ever. */
TEST_F(names_test, the_old_one_is_gone)
{
    m_new = made(9, 815);
    acquaint();
    m_old.reset();
    connect_to(*m_new);
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, send());
    EXPECT_TRUE(wait_until([&]() { return send() == UCS_OK; },
                           [&]() { step(*m_new); }));
    EXPECT_NE(nullptr, heard(*m_new, UCT_SRD_OP_DATA));
    EXPECT_TRUE(m_b->failures.empty());
}

/* The new one speaks for itself, and not of the association of the old one. */
TEST_F(names_test, the_new_one_begins)
{
    m_new = made(9, 815);
    acquaint();
    m_old.reset();
    connect_to(*m_new);
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, send());
    say(*m_new, UCT_SRD_OP_HELLO);
    ASSERT_NE(nullptr, heard(*m_new, UCT_SRD_OP_HELLO_ACK));
    EXPECT_EQ(UCS_OK, send());
    EXPECT_NE(nullptr, heard(*m_new, UCT_SRD_OP_DATA));
}

/* It is the same one: what waits goes on in its association. */
TEST_F(names_test, the_new_one_rejoins)
{
    uint64_t peers = counter("peers");

    m_new = made(9, m_old->me.uid);
    acquaint();
    uint32_t epoch = m_old->answers[0].epoch;
    uint32_t prev  = m_old->me.epoch;
    m_old.reset();

    connect_to(*m_new);
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, send());
    EXPECT_EQ(peers + 2, counter("peers"));
    rejoin_as_new(prev);
    const uct_srd_ext_t *ack = heard(*m_new, UCT_SRD_OP_REJOIN_ACK);
    ASSERT_NE(nullptr, ack);
    EXPECT_EQ(epoch, ack->epoch);

    ASSERT_EQ(UCS_OK, send());
    const uct_srd_ext_t *data = heard(*m_new, UCT_SRD_OP_DATA);
    ASSERT_NE(nullptr, data);
    EXPECT_EQ(epoch, data->epoch) << "of another association";
    EXPECT_TRUE(m_b->failures.empty());
    EXPECT_EQ(peers + 2, counter("peers"));
}

/* Likewise where nothing has been sent since it was found to be another. */
TEST_F(names_test, an_unused_one_rejoins)
{
    m_new = made(9, m_old->me.uid);
    acquaint();
    connect_to(*m_new);
    ASSERT_NE(nullptr, heard(*m_old, UCT_SRD_OP_PING));
    for (unsigned i = 0; i < 100; ++i) {
        step(*m_old);
    }
    rejoin_as_new(m_old->me.epoch);
    ASSERT_NE(nullptr, heard(*m_new, UCT_SRD_OP_REJOIN_ACK));
    EXPECT_EQ(UCS_OK, send());
    EXPECT_TRUE(m_b->failures.empty());
}

/* The old one rejoins from a third place: it is not the new one. */
TEST_F(names_test, the_old_one_rejoins_elsewhere)
{
    std::unique_ptr<stranger> third = made(9, 815);

    m_new = made(9, m_old->me.uid);
    acquaint();
    connect_to(*third);
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, send());
    rejoin_as_new(m_old->me.epoch);
    ASSERT_NE(nullptr, heard(*m_new, UCT_SRD_OP_REJOIN_ACK));
    EXPECT_EQ(UCS_OK, send());
    EXPECT_NE(nullptr, heard(*third, UCT_SRD_OP_DATA));
}

/* An endpoint is closed while it waits. */
TEST_F(names_test, closed_while_it_waits)
{
    uint64_t living = counter("peers") - counter("peers_gone");

    m_new = made(9, 815);
    acquaint();
    connect_to(*m_new);
    EXPECT_EQ(living + 2, counter("peers") - counter("peers_gone"));
    m_end.reset();
    EXPECT_EQ(living + 1, counter("peers") - counter("peers_gone"));
    for (unsigned i = 0; i < 100; ++i) {
        step(*m_old);
    }
    EXPECT_TRUE(m_new->answers.empty());
}

/* Endpoints are made with the first name, and the one before the last. */
TEST_F(names_test, aliases)
{
    uint64_t peers;
    std::vector<std::unique_ptr<stranger>> was;

    acquaint();
    for (unsigned i = 0; i < 3; ++i) {
        m_new = made(m_old->me.epoch + 1, m_old->me.uid);
        rejoin_as_new(m_old->me.epoch);
        ASSERT_NE(nullptr, heard(*m_new, UCT_SRD_OP_REJOIN_ACK)) << i;
        was.push_back(std::move(m_old));
        m_old = std::move(m_new);
    }

    peers = counter("peers");
    for (unsigned i : {0, 2}) {
        connect_to(*was[i]);
        EXPECT_EQ(UCS_OK, send()) << i;
        EXPECT_NE(nullptr, heard(*m_old, UCT_SRD_OP_DATA)) << i;
        EXPECT_EQ(peers, counter("peers")) << i;
        m_old->answers.clear();
    }
}

/* UCP asks whether an endpoint leads to an address: yes for the names it has, and
 * for nobody else's. */
TEST_F(names_test, is_connected)
{
    std::unique_ptr<stranger> other = made(9, 815);
    std::vector<std::unique_ptr<stranger>> was;

    acquaint();
    connect_to(*m_old);
    if (is_connected(*m_old) < 0) {
        GTEST_SKIP() << "UCX before 1.16";
    }
    EXPECT_EQ(1, is_connected(*m_old));
    for (unsigned i = 0; i < 3; ++i) {
        m_new = made(m_old->me.epoch + 1, m_old->me.uid);
        EXPECT_EQ(0, is_connected(*m_new)) << "before REJOIN";
        rejoin_as_new(m_old->me.epoch);
        ASSERT_NE(nullptr, heard(*m_new, UCT_SRD_OP_REJOIN_ACK)) << i;
        EXPECT_EQ(1, is_connected(*m_new));
        EXPECT_EQ(0, is_connected(*other));
        was.push_back(std::move(m_old));
        m_old = std::move(m_new);
    }
    EXPECT_EQ(1, is_connected(*was[0])) << "the first name";
    EXPECT_EQ(0, is_connected(*was[1])) << "forgotten";
    EXPECT_EQ(1, is_connected(*was[2])) << "the last but one";
}

/* Who was given the queue pair number of before the reset is somebody else, and
 * does no harm to whom it belonged to. */
TEST_F(names_test, old_number_of_another)
{
    m_new = made(9, m_old->me.uid);
    acquaint();
    rejoin_as_new(m_old->me.epoch);
    ASSERT_NE(nullptr, heard(*m_new, UCT_SRD_OP_REJOIN_ACK));
    connect_to(*m_new);

    m_old->me.uid   = 815;
    m_old->me.epoch = m_new->me.epoch;
    m_old->answers.clear();
    for (uint32_t i = 0; i < 3; ++i, ++m_old->me.epoch) {
        say(*m_old, UCT_SRD_OP_HELLO);
        EXPECT_NE(nullptr, heard(*m_old, UCT_SRD_OP_HELLO_ACK)) << i;
        m_old->answers.clear();
    }

    EXPECT_TRUE(m_b->failures.empty());
    EXPECT_EQ(UCS_OK, send());
    EXPECT_NE(nullptr, heard(*m_new, UCT_SRD_OP_DATA));
}
