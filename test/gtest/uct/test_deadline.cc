/*
 * What an interface waits for, and until when: a test per row of the table in
 * docs/srd-wire.md, section 8, as far as it is not in
 *   test_reset.cc     REJOIN_ACK, KEY_ACK, the interface's own device
 *   test_exhaust.cc   address handles, EXT_ACK that comes
 *   test_many.cc      a receiver without buffers, peers that are dead
 *   test_matrix.cc    status 12
 *
 * No test measures time: what is given up is waited for, what is not given up
 * is seen to be asked for again, several times, and then answered.
 */
#include "uct_test.h"

#include "common/counters.h"
#include "common/said.h"
#include "rma_test.h"

#include <unistd.h>

using namespace uct_test;

static const uint8_t AM_ID = 6;

class deadline_test : public uct_base {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
        uct_base::SetUp();
    }

    /* Until the counter has grown by that much */
    bool grows(const char *name, uint64_t by,
               const std::function<void()> &step)
    {
        uint64_t before = counter(name);
        return wait_until([&]() { return counter(name) >= before + by; }, step);
    }

    /* A message is sent and, with both progressing, there. */
    void expect_talk(end &e, node &a, node &b)
    {
        checker chk(m_stream);

        b.check_am(AM_ID, &chk);
        send(e, BCOPY, AM_ID, m_stream, 0);
        EXPECT_TRUE(wait_until([&]() {
            return (chk.count() == 1) &&
                   (uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK);
        }, [&]() {
            a.progress();
            b.progress();
        }));
        expect_clean(chk, 1);
        b.on_am(AM_ID, [](void*, size_t, unsigned) { return UCS_OK; });
    }

    stream m_stream{3, length_plan::random(8, 300)};
};

/* HELLO_ACK: asked again and again, and never given up while the device says
 * that it arrives. */
TEST_F(deadline_test, hello)
{
    node &a = add_node({{"GONE_TIMEOUT", "1ms"}, {"RECOVERY_TIMEOUT", "1ms"}});
    node &b = add_node();
    end &e  = connect(a, b);
    checker chk(m_stream);

    b.check_am(AM_ID, &chk);
    ASSERT_EQ(UCS_OK, e.send(BCOPY, AM_ID, m_stream, 0));
    EXPECT_TRUE(grows("hello_retry", 4, [&]() { a.progress(); }));
    EXPECT_TRUE(a.failures.empty());
    EXPECT_TRUE(wait([&]() { return chk.count() == 1; }));
    flush(e);
    expect_clean(chk, 1);
    EXPECT_TRUE(a.failures.empty());
}

/* Status 12: as often as is said, and no value means for ever. */
TEST_F(deadline_test, retry_count)
{
    said lines;

    EXPECT_THROW(node(m_dom, {{"RETRY_COUNT", "255"}}), std::exception);
    EXPECT_EQ("", lines.only({"RETRY_COUNT: '255'", "0 to 254"}));
    node(m_dom, {{"RETRY_COUNT", "254"}});
}

/* BYE_ACK: who keeps its endpoint does not answer, and the record stays; it is
 * gone when the other side says goodbye as well. */
TEST_F(deadline_test, bye)
{
    node &a = add_node();
    node &b = add_node();
    end &ab = connect(a, b), &ba = connect(b, a);
    auto living = []() { return counter("peers") - counter("peers_gone"); };

    expect_talk(ab, a, b);
    expect_talk(ba, b, a);
    EXPECT_EQ(2u, living());
    uint64_t before = counter("tx_ctl");
    ab.destroy();
    /* BYE, and again */
    EXPECT_TRUE(wait([&]() { return counter("tx_ctl") >= before + 2; }));
    EXPECT_EQ(2u, living());
    expect_talk(ba, b, a);
    EXPECT_TRUE(a.failures.empty() && b.failures.empty());
    ba.destroy();
    EXPECT_TRUE(wait([&]() { return living() == 0; })) << living();
}

/* A lost peer whose device answers: it gets its time, and no more. Within it
 * somebody else with that number is no reason to wait on. */
TEST_F(deadline_test, gone)
{
    node &a = add_node({{"GONE_TIMEOUT", "3600s"}});
    node &c = add_node({{"GONE_TIMEOUT", "20ms"},
                        {"RECOVERY_TIMEOUT", "3600s"}});
    said lines;
    std::unique_ptr<node> b(new node(m_dom));
    address addr = b->addr();
    end *of_a, *of_c;

    m_ends.emplace_back(of_a = new end(a, addr));
    m_ends.emplace_back(of_c = new end(c, addr));
    auto step = [&]() {
        progress();
        b->progress();
    };
    b->on_am(AM_ID, [](void *, size_t, unsigned) { return UCS_OK; });
    for (end *e : {of_a, of_c}) {
        ASSERT_EQ(UCS_OK, e->send(BCOPY, AM_ID, m_stream, 0));
        ASSERT_TRUE(wait_until(
                [&]() { return uct_ep_flush(e->ep(), 0, nullptr) == UCS_OK; },
                step));
    }
    b.reset();
    for (end *e : {of_a, of_c}) {
        ucs_status_t status = UCS_ERR_NO_RESOURCE;
        wait([&]() {
            status = e->send(BCOPY, AM_ID, m_stream, 1);
            return status != UCS_ERR_NO_RESOURCE;
        });
        EXPECT_EQ(UCS_OK, status);
    }
    EXPECT_TRUE(wait([&]() { return c.failures.size() > 0; }));
    ASSERT_EQ(1u, c.failures.size());
    EXPECT_EQ(UCS_ERR_ENDPOINT_TIMEOUT, c.failures[0].status);
    EXPECT_EQ("", lines.only({"->", "queue pair does not exist"}));
    /* The other one goes on asking */
    EXPECT_TRUE(grows("retransmit", 4, [&]() { progress(); }));
    EXPECT_TRUE(a.failures.empty());
    of_a->destroy();
    of_c->destroy();
}

/* Nobody has this address, nor was anybody heard from there: no time at all. */
TEST_F(deadline_test, unreachable)
{
    node &a = add_node({{"GONE_TIMEOUT", "3600s"},
                        {"RECOVERY_TIMEOUT", "3600s"}});
    said lines;
    end *e;

    m_ends.emplace_back(e = new end(a, a.addr().nobody(true)));
    ASSERT_EQ(UCS_OK, e->send(BCOPY, AM_ID, m_stream, 0));
    EXPECT_TRUE(wait([&]() { return a.failures.size() > 0; }));
    ASSERT_EQ(1u, a.failures.size());
    EXPECT_EQ(UCS_ERR_UNREACHABLE, a.failures[0].status);
    EXPECT_EQ("", lines.only({"->", "security group"}));
    e->destroy();
}

/* Closing: what a receiver does not take is let go. */
TEST_F(deadline_test, close)
{
    node &b = add_node({{"RX_QUEUE_LEN", "16"}});
    std::unique_ptr<node> a(new node(m_dom, {{"CLOSE_TIMEOUT", "20ms"}}));
    std::unique_ptr<end> e(new end(*a, b.addr()));
    checker chk(m_stream);
    uint64_t seq = 0;

    b.check_am(AM_ID, &chk);
    ASSERT_EQ(UCS_OK, e->send(BCOPY, AM_ID, m_stream, seq++));
    ASSERT_TRUE(wait_until(
            [&]() {
        return (chk.count() == 1) &&
               (uct_ep_flush(e->ep(), 0, nullptr) == UCS_OK);
            },
            [&]() {
        a->progress();
        b.progress();
    }));
    for (unsigned idle = 0; idle < 1000;) {
        bool sent = (e->send(BCOPY, AM_ID, m_stream, seq) == UCS_OK);
        seq += sent;
        idle = sent ? 0 : (idle + 1);
        a->progress();
    }
    EXPECT_NE(UCS_OK, uct_ep_flush(e->ep(), 0, nullptr));
    e->destroy();
    a.reset(); /* returns */
    for (unsigned i = 0; i < 1000; ++i) {
        b.progress();
    }
    EXPECT_GT(seq, chk.count());
    EXPECT_EQ(0u, chk.errors()) << chk.text();
    EXPECT_TRUE(b.failures.empty());
}

/* EXT_ACK: an address handle is asked back of somebody who does not progress.
 * It stays, and who needs it waits; then it is given. */
HARNESS_ROLE(ext_ack)
{
    std::vector<std::unique_ptr<node>> nodes;
    std::string text;
    stream s(1, length_plan::random(8, 100));
    uint64_t got = 0;

    (void)arguments;
    for (unsigned i = 0; i < 3; ++i) {
        setenv("TEST_DEV", ("efa_" + std::to_string(i) + ":1").c_str(), 1);
        nodes.emplace_back(new node(std::make_shared<domain>()));
        nodes.back()->on_am(AM_ID, [&](void *, size_t, unsigned) {
            ++got;
            return UCS_OK;
        });
    }
    node &hub = *nodes[0], &frozen = *nodes[1], &other = *nodes[2];
    auto all = [&]() {
        for (auto &n : nodes) {
            n->progress();
        }
    };
    auto few = [&]() {
        hub.progress();
        other.progress();
    };
    end from(frozen, hub.addr()), to(other, hub.addr());
    from.send(BCOPY, AM_ID, s, 0);
    if (!wait_until(
                [&]() {
        return (got == 1) && (uct_ep_flush(from.ep(), 0, nullptr) == UCS_OK);
                },
                all)) {
        return "the first does not arrive";
    }
    /* The hub has one handle, for the frozen one */
    to.send(BCOPY, AM_ID, s, 0);
    uint64_t before = counter("tx_ctl");
    if (!wait_until(
                [&]() {
        return (got == 2) && (counter("tx_ctl") >= before + 5);
                },
                few)) {
        text += "not asked again; ";
    }
    if (uct_ep_flush(from.ep(), 0, nullptr) != UCS_OK) {
        text += "the frozen one hears of it; ";
    }
    /* A long one needs the handshake, and that the handle */
    stream longer(2, length_plan::fixed(8900));
    to.send(BCOPY, AM_ID, longer, 0);
    for (unsigned i = 0; i < 2000; ++i) {
        few();
    }
    if (got != 2) {
        text += "there was a handle; ";
    }
    if (!wait_until([&]() { return got == 3; }, all)) {
        text += "the handle is not given; ";
    }
    from.send(BCOPY, AM_ID, s, 1);
    if (!wait_until([&]() { return got == 4; }, all)) {
        text += "the frozen one lost its way; ";
    }
    for (auto &n : nodes) {
        if (!n->failures.empty()) {
            text += "failed; ";
        }
    }
    return text;
}

TEST_F(deadline_test, ext_ack)
{
    EXPECT_EQ("",
              run_role("ext_ack", {"SOFTEFA_DEVICES=3",
                                   "SOFTEFA_LIMITS=max_ah=1,source_gid=0"}));
}

/* Each message has its retries, whatever was sent from its slot before. */
HARNESS_ROLE(retries)
{
    const uint64_t count = 3000;
    auto dom             = std::make_shared<domain>();
    node a(dom, {{"TX_QUEUE_LEN", "8"}, {"RETRY_COUNT", "7"}}), b(dom);
    end e(a, b.addr());
    stream s(1, length_plan::random(8, 100));
    checker chk(s);
    uint64_t seq = 0;

    (void)arguments;
    b.check_am(AM_ID, &chk);
    bool done = wait_until(
            [&]() { return (chk.count() >= count) || !a.failures.empty(); },
            [&]() {
        seq += (seq < count) && (e.send(SHORT, AM_ID, s, seq) == UCS_OK);
        a.progress();
        b.progress();
            });
    if (!a.failures.empty()) {
        return "failed after " + std::to_string(chk.count()) +
               " messages and " + std::to_string(counter("retransmit")) +
               " retries";
    }
    return (counter("retransmit") < 100) ? "too few retries" :
           done                          ? chk.text() :
                                           "not all arrive";
}

TEST_F(deadline_test, retries_of_one_message)
{
    EXPECT_EQ("",
              run_role("retries", {"SOFTEFA_FAULTS=status code=12 every=20"}));
}
