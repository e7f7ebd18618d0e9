/*
 * A stranger with a queue pair of its own, who knows the QKEY and sends what
 * srd-wire.md forbids. Nothing of it is delivered, nobody else notices. What
 * the document allows is delivered, so that the stranger is known to be heard.
 */
#include "stranger.h"

#include "common/counters.h"

#include <random>

using harness::counter;
using namespace uct_test;

static const uint8_t AM_ID = 7;

class malformed_test : public uct_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        if (!is_srd()) {
            GTEST_SKIP() << "about the protocol of srd";
        }
        m_b      = &add_node();
        m_steady = &connect(add_node(), *m_b);
        m_b->check_am(AM_ID + 1, &m_chk);
        m_b->on_am(AM_ID, [this](void *data, size_t length, unsigned) {
            m_got.push_back(std::string((char*)data, length));
            return UCS_OK;
        });
        m_x.reset(new stranger(m_b->dom()->device(), m_b->addr()));
    }

    void TearDown() override
    {
        if (m_x) {
            for (unsigned i = 0; i < 1000; ++i) {
                uct_test::send_kind kind = (i & 1) ? BCOPY : SHORT;
                send(*m_steady, kind, AM_ID + 1, m_stream, m_seq++);
            }
            flush(*m_steady);
            EXPECT_TRUE(wait([&]() { return m_chk.count() >= m_seq; }));
            expect_clean(m_chk, m_seq);
            EXPECT_TRUE(m_b->failures.empty());
            m_x.reset();
        }
        uct_base::TearDown();
    }

    void raw(const std::string &data, uint32_t imm, bool with_imm = true)
    {
        m_x->send(data.data(), data.size(), imm, with_imm,
                  [this]() { progress(); });
        settle();
    }

    void ext(uint32_t imm, const std::string &data = std::string())
    {
        m_x->send_ext(imm, data.data(), data.size(), [this]() { progress(); });
        settle();
    }

    void settle()
    {
        for (unsigned i = 0; i < 200; ++i) {
            progress();
            m_x->poll();
        }
    }

    uint32_t data_imm(uint16_t psn, uint32_t flags = UCT_SRD_IMM_EXT)
    {
        return uct_srd_imm_pack(m_x->me.epoch, AM_ID, flags, psn);
    }

    void join()
    {
        m_x->me.op = UCT_SRD_OP_HELLO;
        ext(uct_srd_imm_pack_ctl(m_x->me.epoch));
        m_x->me.op = UCT_SRD_OP_DATA;
    }

    /* A good message, and that it arrives */
    void expect_heard(uint16_t psn, const std::string &text)
    {
        size_t before = m_got.size();

        raw(text, data_imm(psn, 0));
        ASSERT_EQ(before + 1, m_got.size());
        EXPECT_EQ(text, m_got.back());
    }

    stream                    m_stream{3, length_plan::random(8, 100)};
    checker                   m_chk{m_stream};
    uint64_t                  m_seq = 0;
    node                     *m_b;
    end                      *m_steady;
    std::unique_ptr<stranger> m_x;
    std::vector<std::string>  m_got;
};

TEST_F(malformed_test, handshake_of_a_stranger)
{
    raw("no one knows me", data_imm(0, 0));
    EXPECT_TRUE(m_got.empty());

    ext(data_imm(0), "with header");
    ASSERT_EQ(1u, m_got.size());
    EXPECT_EQ("with header", m_got[0]);
    ASSERT_EQ(1u, m_x->answers.size());
    EXPECT_EQ(UCT_SRD_OP_HELLO_ACK, m_x->answers[0].op);
    EXPECT_EQ(m_x->me.epoch, m_x->answers[0].arg);

    expect_heard(1, "without header");
}

/* Who follows somebody that has given up meanwhile is told so. */
TEST_F(malformed_test, rejoin_is_answered_too_late)
{
    m_x->me.op   = UCT_SRD_OP_REJOIN_ACK;
    m_x->me.arg  = 31;
    m_x->me.len8 = uct_srd_ext_len(UCT_SRD_OP_REJOIN_ACK) / 8;
    ext(uct_srd_imm_pack_ctl(m_x->me.epoch));
    ASSERT_EQ(1u, m_x->answers.size());
    EXPECT_EQ(UCT_SRD_OP_REJECT, m_x->answers[0].op);
    EXPECT_EQ(UCT_SRD_REJECT_FAILED, m_x->answers[0].arg);
    EXPECT_EQ(31u, m_x->answers[0].epoch);
}

TEST_F(malformed_test, immediate)
{
    join();
    raw("no immediate", 0, false);
    for (unsigned bit : {23u, 28u, 29u, 30u, 31u}) {
        raw("reserved bit", data_imm(0, 1u << bit));
    }
    raw("control without header", data_imm(0, UCT_SRD_IMM_CTL));
    for (uint32_t epoch = 1; epoch < 16; ++epoch) {
        raw("another epoch", data_imm(0, 0) ^ (epoch << 24));
    }
    EXPECT_TRUE(m_got.empty());
    expect_heard(0, "good");
}

TEST_F(malformed_test, header)
{
    uct_srd_ext_t good = m_x->me;

    for (size_t length = 0; length < UCT_SRD_EXT_LEN; ++length) {
        raw(std::string(length, 1), data_imm(0));
    }
    m_x->me.window = 100;
    ext(data_imm(0), "window");
    m_x->me      = good;
    m_x->me.len8 = 5;
    raw(std::string(100, 5), data_imm(0));
    m_x->me = good;
    m_x->me.qkey |= 0x80000000u;
    ext(data_imm(0), "privileged");
    m_x->me    = good;
    m_x->me.op = UCT_SRD_OP_PING;
    ext(data_imm(0), "not data");
    m_x->me = good;
    m_x->me.qpn ^= 1;
    ext(data_imm(0), "forged number");
    m_x->me = good;
    EXPECT_TRUE(m_got.empty());
    EXPECT_TRUE(m_x->answers.empty());
    ext(data_imm(0), "good");
    EXPECT_EQ(1u, m_got.size());
}

TEST_F(malformed_test, forged_address)
{
    uct_srd_ext_t good = m_x->me;

    join(); /* now our AH is known */
    m_x->me.gid[15] ^= 1;
    ext(data_imm(0), "forged address");
    EXPECT_TRUE(m_got.empty());
    m_x->me = good;
    expect_heard(0, "good");
}

TEST_F(malformed_test, foreign_version)
{
    m_x->me.version = 2;
    for (unsigned i = 0; i < 20; ++i) {
        ext(data_imm(0), "version 2");
    }
    EXPECT_TRUE(m_got.empty());
    ASSERT_EQ(1u, m_x->answers.size()) << "once for each sender";
    EXPECT_EQ(UCT_SRD_OP_REJECT, m_x->answers[0].op);
    EXPECT_EQ(1u, m_x->answers[0].version);
    EXPECT_EQ((uint32_t)UCT_SRD_REJECT_VERSION, m_x->answers[0].arg);
}

TEST_F(malformed_test, twice_is_once)
{
    join();
    for (uint16_t psn : {0, 0, 2, 2, 1, 1, 0, 2}) {
        raw(std::string(1, 'a' + psn), data_imm(psn, 0));
    }
    ASSERT_EQ(3u, m_got.size());
    EXPECT_EQ("abc", m_got[0] + m_got[1] + m_got[2]);
}

TEST_F(malformed_test, beyond_the_window)
{
    join();
    expect_heard(0, "good");
    m_x->answers.clear();
    raw("far away", data_imm(20000, 0));
    ASSERT_EQ(1u, m_x->answers.size());
    EXPECT_EQ(UCT_SRD_OP_REJECT, m_x->answers[0].op);
    raw("next", data_imm(1, 0));
    EXPECT_EQ(1u, m_got.size());

    /* Afresh, with a new epoch */
    ++m_x->me.epoch;
    join();
    expect_heard(0, "good again");
}

TEST_F(malformed_test, farewell)
{
    join();
    expect_heard(0, "good");
    m_x->answers.clear();

    m_x->me.op  = UCT_SRD_OP_BYE;
    m_x->me.arg = 5; /* 1..4 have not been seen */
    ext(uct_srd_imm_pack_ctl(m_x->me.epoch));
    EXPECT_TRUE(m_x->answers.empty());
    m_x->me.arg = 1;
    ext(uct_srd_imm_pack_ctl(m_x->me.epoch));
    ASSERT_EQ(1u, m_x->answers.size());
    EXPECT_EQ(UCT_SRD_OP_BYE_ACK, m_x->answers[0].op);
    EXPECT_EQ(m_x->me.epoch, m_x->answers[0].arg);
    raw("forgotten", data_imm(1, 0));
    EXPECT_EQ(1u, m_got.size());

    /* Who is not known is answered, too: the first answer may be lost. */
    m_x->answers.clear();
    ext(uct_srd_imm_pack_ctl(m_x->me.epoch));
    EXPECT_EQ(1u, m_x->answers.size());

    /* It changed its mind: same epoch, the sequence goes on. */
    m_x->me.op  = UCT_SRD_OP_DATA;
    m_x->me.arg = 1;
    ext(data_imm(1), "back");
    ASSERT_EQ(2u, m_got.size());
    expect_heard(2, "and on");
}

TEST_F(malformed_test, another_on_the_same_number)
{
    join();
    expect_heard(0, "first life");
    m_x->me.uid += 1;
    m_x->me.epoch = 77;
    m_x->me.arg   = 0;
    ext(data_imm(0), "second life");
    ASSERT_EQ(2u, m_got.size());
    expect_heard(1, "goes on");
    m_x->me.epoch = 76; /* a straggler */
    ext(data_imm(2), "late");
    EXPECT_EQ(3u, m_got.size());
}

/* Nobody can be used to amplify traffic: srd-wire.md, section 5 */
TEST_F(malformed_test, one_answer_each)
{
    join();
    expect_heard(0, "first life");

    m_x->answers.clear();
    m_x->me.uid += 1;
    m_x->me.epoch = 77;
    join();
    ASSERT_EQ(1u, m_x->answers.size()) << "another interface";
    EXPECT_EQ(UCT_SRD_OP_HELLO_ACK, m_x->answers[0].op);

    m_x->answers.clear();
    m_x->me.qkey ^= 1;
    join();
    EXPECT_LE(m_x->answers.size(), 1u) << "another key";
    m_x->me.qkey ^= 1;
    join();

    m_x->answers.clear();
    ++m_x->me.epoch;
    ext(data_imm(20000), "far away");
    EXPECT_LE(m_x->answers.size(), 1u) << "a violation, by a new association";
    EXPECT_EQ(1u, m_got.size());
}

/* Peers of whom nothing but their own word is known are few. */
TEST_F(malformed_test, invented_addresses)
{
    const unsigned limit = 4, count = 60;
    node &b = add_node({{"MAX_CLAIMED", std::to_string(limit)}});
    stranger x(b.dom()->device(), b.addr());
    std::mt19937 rng(1);
    uct_srd_ext_t honest = x.me;
    uint64_t nomem       = counter("drop_nomem");
    uint64_t forged      = counter("drop_forged");
    uint64_t peers       = counter("peers");
    uint64_t living      = peers - counter("peers_gone");

    x.me.op = UCT_SRD_OP_HELLO;
    for (unsigned i = 0; i < count; ++i) {
        for (unsigned k = 8; k < 16; ++k) {
            x.me.gid[k] = rng();
        }
        x.send_ext(uct_srd_imm_pack_ctl(x.me.epoch), nullptr, 0, []() {});
        if (i == 2 * limit) {
            /* In the same round: a message, which would be lost */
            uct_srd_ext_t hello = x.me;
            x.me                = honest;
            x.me.op             = UCT_SRD_OP_DATA;
            x.send_ext(uct_srd_imm_pack(x.me.epoch, AM_ID, UCT_SRD_IMM_EXT, 0),
                       nullptr, 0, []() {});
            x.me = hello;
        }
    }
    ASSERT_TRUE(wait([&]() {
        return (counter("drop_nomem") - nomem) +
                       (counter("drop_forged") - forged) +
                       (counter("peers") - peers) >=
               count + 1;
    }));
    EXPECT_GE(counter("drop_nomem"), nomem + 1);
    EXPECT_LE(counter("peers") - counter("peers_gone"), living + limit);

    ASSERT_TRUE(wait([&]() {
        x.poll();
        return !x.answers.empty();
    }));
    EXPECT_EQ(UCT_SRD_OP_REJECT, x.answers[0].op);
    EXPECT_EQ(UCT_SRD_REJECT_RESOURCES, x.answers[0].arg);

    /* Who says the truth is heard, once there is room; not where it would go on
     * behind the message that is lost. */
    x.answers.clear();
    x.me    = honest;
    x.me.op = UCT_SRD_OP_HELLO;
    x.send_ext(uct_srd_imm_pack_ctl(x.me.epoch), nullptr, 0,
               [this]() { progress(); });
    ASSERT_TRUE(wait([&]() {
        x.poll();
        return !x.answers.empty();
    }));
    EXPECT_EQ(UCT_SRD_OP_REJECT, x.answers[0].op);

    x.answers.clear();
    ++x.me.epoch;
    EXPECT_TRUE(wait([&]() {
        x.send_ext(uct_srd_imm_pack_ctl(x.me.epoch), nullptr, 0,
                   [this]() { progress(); });
        return !x.answers.empty();
    }));
    EXPECT_EQ(UCT_SRD_OP_HELLO_ACK, x.answers[0].op);
}

TEST_F(malformed_test, rubbish)
{
    std::mt19937 rng(1);

    for (unsigned i = 0; i < scaled(3000); ++i) {
        std::string text(rng() % 300, 0);
        for (char &c : text) {
            c = rng();
        }
        if (rng() % 2) {
            /* almost good */
            uct_srd_ext_t me = m_x->me;
            me.op            = rng() % UCT_SRD_OP_LAST;
            me.epoch         = rng();
            me.uid           = rng() % 4;
            me.arg           = rng() % 4;
            std::string head(UCT_SRD_EXT_LEN, 0);
            uct_srd_ext_pack(&me, &head[0]);
            head[rng() % head.size()] ^= (rng() % 3 == 0) ? rng() : 0;
            text = head + text;
            m_x->send(text.data(), text.size(),
                      (me.op == UCT_SRD_OP_DATA) ?
                              uct_srd_imm_pack(me.epoch, AM_ID, UCT_SRD_IMM_EXT,
                                               rng() % 8) :
                              uct_srd_imm_pack_ctl(me.epoch),
                      true, [this]() { progress(); });
        } else {
            uint32_t imm = rng();
            if (((imm >> 16) & 31) != AM_ID) {
                imm = (imm & ~UCT_SRD_IMM_AM_MASK) | (AM_ID << 16);
            }
            m_x->send(text.data(), text.size(), imm, rng() % 8 != 0,
                      [this]() { progress(); });
        }
    }
    settle();
}
