/*
 * A stranger with a queue pair of its own, who knows the QKEY and sends what
 * srd-wire.md forbids. Nothing of it is delivered, nobody else notices. What
 * the document allows is delivered, so that the stranger is known to be heard.
 */
#include "rma_test.h"
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

    /* How many there are, once these have come and what follows them, too */
    size_t answers(size_t expected)
    {
        wait([&]() {
            m_x->poll();
            return m_x->answers.size() >= expected;
        });
        settle();
        return m_x->answers.size();
    }

    size_t messages(size_t expected)
    {
        wait([&]() { return m_got.size() >= expected; });
        settle();
        return m_got.size();
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
        ASSERT_EQ(before + 1, messages(before + 1));
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
    ASSERT_EQ(1u, messages(1));
    EXPECT_EQ("with header", m_got[0]);
    ASSERT_EQ(1u, answers(1));
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
    ASSERT_EQ(1u, answers(1));
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
    EXPECT_EQ(1u, messages(1));
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
    ASSERT_EQ(1u, answers(1)) << "once for each sender";
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
    ASSERT_EQ(3u, messages(3));
    EXPECT_EQ("abc", m_got[0] + m_got[1] + m_got[2]);
}

TEST_F(malformed_test, beyond_the_window)
{
    join();
    expect_heard(0, "good");
    m_x->answers.clear();
    raw("far away", data_imm(20000, 0));
    ASSERT_EQ(1u, answers(1));
    EXPECT_EQ(UCT_SRD_OP_REJECT, m_x->answers[0].op);
    raw("next", data_imm(1, 0));
    EXPECT_EQ(1u, messages(1));

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
    ASSERT_EQ(1u, answers(1));
    EXPECT_EQ(UCT_SRD_OP_BYE_ACK, m_x->answers[0].op);
    EXPECT_EQ(m_x->me.epoch, m_x->answers[0].arg);
    raw("forgotten", data_imm(1, 0));
    EXPECT_EQ(1u, messages(1));

    /* Who is not known is answered, too: the first answer may be lost. */
    m_x->answers.clear();
    ext(uct_srd_imm_pack_ctl(m_x->me.epoch));
    EXPECT_EQ(1u, answers(1));

    /* It changed its mind: same epoch, the sequence goes on. */
    m_x->me.op  = UCT_SRD_OP_DATA;
    m_x->me.arg = 1;
    ext(data_imm(1), "back");
    ASSERT_EQ(2u, messages(2));
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
    ASSERT_EQ(2u, messages(2));
    expect_heard(1, "goes on");
    m_x->me.epoch = 76; /* a straggler */
    ext(data_imm(2), "late");
    EXPECT_EQ(3u, messages(3));
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
    ASSERT_EQ(1u, answers(1)) << "another interface";
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
    EXPECT_EQ(1u, messages(1));
}

static const unsigned MAX_ASSERTED = 16384; /* docs/security.md */

/* Somebody who invents GIDs, where completions name none: each is a peer of whom
 * nothing but its own word is known. */
class inventor {
public:
    inventor(const std::shared_ptr<domain> &dom) :
        m_b(dom), m_x(dom->device(), m_b.addr()), m_me(m_x.me)
    {
    }

    uint64_t peers()
    {
        return counter("peers") - counter("peers_gone");
    }

    /* Says op as GID number i, or as itself; returns when it was handled. */
    void say(uct_srd_op_t op, int i = -1)
    {
        post(op, i);
        heard();
    }

    void invent(unsigned first, unsigned count)
    {
        for (unsigned i = first; i < first + count; ++i) {
            post(UCT_SRD_OP_HELLO, i);
        }
        heard();
    }

    /* What it was told, to itself, since it said op */
    void answered(uct_srd_op_t op, uint32_t arg, const std::string &when)
    {
        if (expect(wait([&]() { return !m_x.answers.empty(); }),
                   when + ": no answer")) {
            expect((m_x.answers.back().op == op) &&
                           (m_x.answers.back().arg == arg),
                   when + ": answered by operation " +
                           std::to_string(m_x.answers.back().op));
        }
        m_x.answers.clear();
    }

    bool expect(bool good, const std::string &text)
    {
        if (!good) {
            m_text += text + "; ";
        }
        return good;
    }

    bool wait(const std::function<bool()> &done)
    {
        return wait_until(done, [this]() {
            m_b.progress();
            m_x.poll();
        });
    }

    void                new_epoch()  { ++m_me.epoch; }
    uint32_t            epoch() const { return m_me.epoch; }
    const std::string  &text() const { return m_text; }

private:
    void heard()
    {
        expect(wait([&]() {
            return counter("rx_ctl") + counter("rx_ext") >= m_said;
        }), "not heard");
    }

    void post(uct_srd_op_t op, int i)
    {
        m_x.me    = m_me;
        m_x.me.op = op;
        if (i >= 0) {
            memset(m_x.me.gid + 8, 0xab, 4);
            memcpy(m_x.me.gid + 12, &i, 4);
        }
        m_x.send_ext((op == UCT_SRD_OP_DATA) ?
                             uct_srd_imm_pack(m_x.me.epoch, AM_ID,
                                              UCT_SRD_IMM_EXT, 0) :
                             uct_srd_imm_pack_ctl(m_x.me.epoch),
                     nullptr, 0, [this]() { m_b.progress(); });
        ++m_said;
    }

    node                m_b;
    stranger            m_x;
    uct_srd_ext_t       m_me;
    uint64_t            m_said = 0;
    std::string         m_text;
};

HARNESS_ROLE(inventor)
{
    const unsigned limit = MAX_ASSERTED, beyond = 5;
    inventor x(std::make_shared<domain>());

    (void)arguments;
    x.invent(0, limit + beyond);
    x.expect(x.peers() == limit, std::to_string(x.peers()) + " peers");
    x.expect(counter("drop_nomem") == beyond,
             std::to_string(counter("drop_nomem")) + " refused");

    /* One leaves: there is room for one. */
    x.say(UCT_SRD_OP_BYE, 0);
    x.expect(x.wait([]() { return counter("peers_gone") == 1; }), "no room");
    x.invent(limit + beyond, 2);
    x.expect(x.peers() == limit, std::to_string(x.peers()) + " after one left");
    x.expect(counter("drop_nomem") == beyond + 1, "not one of two refused");

    /* Whose message was lost hears of it, and does not go on behind it. */
    x.say(UCT_SRD_OP_DATA);
    x.answered(UCT_SRD_OP_REJECT, UCT_SRD_REJECT_RESOURCES, "message");
    x.say(UCT_SRD_OP_HELLO);
    x.answered(UCT_SRD_OP_REJECT, UCT_SRD_REJECT_RESOURCES, "behind it");

    /* From the answer on completions name our AH: it does not count. Peers that
     * were made, not those that are left: if this takes long, attempts to answer
     * the others use up the fault, and one of them gets an AH that leads
     * nowhere. */
    x.new_epoch();
    x.say(UCT_SRD_OP_HELLO);
    x.answered(UCT_SRD_OP_HELLO_ACK, x.epoch(), "known by its AH");
    x.expect(counter("peers") == limit + 2,
             std::to_string(counter("peers")) + " made at last");
    return x.text();
}

/* They are bounded (UCT_SRD_MAX_ASSERTED). The device makes no AHs for them, after
 * the one of who invents them: then all are alike, and one is left for answers. */
TEST_F(malformed_test, invented_addresses)
{
    EXPECT_EQ("", run_role("inventor",
                           {"SOFTEFA_LIMITS=source_gid=0",
                            "SOFTEFA_FAULTS=fail cmd=create_ah after=1 count=" +
                                    std::to_string(MAX_ASSERTED)}));
}

/* Where completions name source GIDs, they contradict all but those that came
 * with the first one. */
TEST_F(malformed_test, invented_addresses_are_forged)
{
    const unsigned count = 60, batch = 16;
    uint64_t peers  = counter("peers");
    uint64_t forged = counter("drop_forged");

    m_x->me.op = UCT_SRD_OP_HELLO;
    for (unsigned i = 0; i < count; ++i) {
        memset(m_x->me.gid + 8, i + 1, 8);
        m_x->send_ext(uct_srd_imm_pack_ctl(m_x->me.epoch), nullptr, 0,
                      [this]() { progress(); });
    }
    EXPECT_TRUE(wait([&]() {
        return (counter("drop_forged") - forged) + (counter("peers") - peers) >=
               count;
    }));
    EXPECT_LE(counter("peers"), peers + batch);
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
