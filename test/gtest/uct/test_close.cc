/*
 * Closing is local: it waits for the device, not for the other side's software.
 * Nobody here progresses while others close, and CLOSE_TIMEOUT is an hour where
 * nothing may wait for it: who waits, hangs.
 */
#include "rma_test.h"

#include "common/counters.h"

#include <dlfcn.h>
#include <chrono>
#include <fstream>
#include <signal.h>
#include <sstream>

using namespace uct_test;

static const uint8_t AM_ID = 3;

namespace {

const config_map patient = {{"CLOSE_TIMEOUT", "3600s"}};

typedef std::vector<std::unique_ptr<node>> nodes;
typedef std::vector<std::unique_ptr<end>>  ends;

uint64_t living()
{
    return counter("peers") - counter("peers_gone");
}

/* What the interface says before it has an endpoint's answer */
const stream brief(1, length_plan::random(8, 100));
/* Too long beside the extended header: waits for HELLO_ACK */
const stream longer(2, length_plan::fixed(8900));

ucs_status_t ignore(void *, size_t, unsigned)
{
    return UCS_OK;
}

} // namespace

class close_test : public uct_base {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
        uct_base::SetUp();
    }
};

/*
 * A hundred pairs: all connected, those whose number is
 *   0, 1, 2 (mod 3)  idle; with messages under way; with some that wait for the
 *                    handshake, one way
 * One side closes after the other. What was flushed is there, and whole.
 */
HARNESS_ROLE(close_hundred)
{
    const unsigned num = 100;
    auto dom           = std::make_shared<domain>();
    nodes a, b;
    ends ab, ba;
    std::vector<std::unique_ptr<checker>> got;
    uint64_t replies = 0;

    (void)arguments;
    for (unsigned i = 0; i < num; ++i) {
        a.emplace_back(new node(dom, patient));
        b.emplace_back(new node(dom, patient));
        got.emplace_back(new checker(brief));
        a[i]->on_am(AM_ID, [&](void *, size_t, unsigned) {
            ++replies;
            return UCS_OK;
        });
        b[i]->check_am(AM_ID, got[i].get());
        b[i]->on_am(AM_ID + 1, ignore);
        ab.emplace_back(new end(*a[i], b[i]->addr()));
        ba.emplace_back(new end(*b[i], a[i]->addr()));
    }

    for (unsigned i = 0; i < num; ++i) {
        check(ab[i]->send(BCOPY, AM_ID, brief, 0), "send");
        if (i % 3 < 2) {
            check(ba[i]->send(BCOPY, AM_ID, brief, 0), "answer");
        }
    }
    /* Those of 2 (mod 3) never hear HELLO_ACK */
    bool all = wait_until(
            [&]() {
        bool flushed = true;
        for (auto &e : ab) {
            flushed = (uct_ep_flush(e->ep(), 0, nullptr) == UCS_OK) && flushed;
        }
        return flushed && (replies >= num / 3 * 2);
            },
            [&]() {
        for (unsigned i = 0; i < num; ++i) {
            a[i]->progress();
            if (i % 3 < 2) {
                b[i]->progress();
            }
        }
    });
    if (!all) {
        return "no connections";
    }

    for (unsigned i = 0; i < num; ++i) {
        for (unsigned k = 0; k < 5; ++k) {
            if (i % 3 == 1) {
                check(ab[i]->send(BCOPY, AM_ID + 1, brief, k), "unflushed");
            } else if (i % 3 == 2) {
                check(ab[i]->send(BCOPY, AM_ID + 1, longer, k), "held");
            }
        }
    }
    for (unsigned i = 0; i < num; ++i) {
        ab[i]->destroy();
        a[i].reset();
    }

    for (unsigned i = 0; i < num; i += 2) {
        for (unsigned k = 0; k < 10; ++k) {
            b[i]->progress(); /* looks at the goodbye, or does not */
        }
        if ((got[i]->count() != 1) || (got[i]->errors() > 0)) {
            return "flushed and lost: " + got[i]->text();
        }
    }
    for (unsigned i = 0; i < num; ++i) {
        ba[i]->destroy();
        b[i].reset();
    }
    return "closed";
}

TEST_F(close_test, hundred)
{
    EXPECT_EQ("closed", run_role("close_hundred", {}));
}

/* Work requests that the device was given */
static uint64_t sent_to_device()
{
    std::ifstream file("/sys/class/infiniband/efa_0/ports/1/hw_counters/"
                       "send_wrs");
    uint64_t count = 0;

    file >> count;
    return count;
}

/*
 * Receivers without buffers: CLOSE_TIMEOUT for all closes together. The first one
 * waits for it. The next ones wait for 1 ms, in which the pause between two tries
 * doubles from 50 us on: the device is asked 5 times, on a busy machine less often.
 * Who waits for a second (of UCX's clock, which a busy machine measures badly)
 * asks it some thirty times even there. Only two may: where
 * the process stands still for CLOSE_TIMEOUT, the time begins anew.
 */
HARNESS_ROLE(close_stuck)
{
    typedef std::chrono::steady_clock clock;
    const unsigned num = 10, few = 12;
    auto dom = std::make_shared<domain>();
    node b(dom, {{"RX_QUEUE_LEN", "16"}});
    unsigned waited = 0;
    std::string text;
    nodes a;
    ends ab;

    (void)arguments;
    b.on_am(AM_ID, ignore);
    for (unsigned i = 0; i < num; ++i) {
        a.emplace_back(new node(dom,
                                {{"CLOSE_TIMEOUT", "1s"}, {"RNR_RETRY", "0"}}));
        ab.emplace_back(new end(*a[i], b.addr()));
        check(ab[i]->send(BCOPY, AM_ID, brief, 0), "send");
        if (!wait_until(
                    [&]() {
            return uct_ep_flush(ab[i]->ep(), 0, nullptr) == UCS_OK;
                    },
                    [&]() {
            a[i]->progress();
            b.progress();
            })) {
            return "no connection";
        }
    }
    for (unsigned i = 0, idle = 0; idle < 1000; ++idle) {
        if (ab[0]->send(BCOPY, AM_ID, brief, i) == UCS_OK) {
            idle = 0;
            ++i;
        }
        a[0]->progress();
    }
    for (unsigned i = 1; i < num; ++i) {
        check(ab[i]->send(BCOPY, AM_ID, brief, 1), "one more");
    }
    for (unsigned i = 0; i < num; ++i) {
        uint64_t before = sent_to_device();
        auto began      = clock::now();
        ab[i]->destroy();
        a[i].reset();
        uint64_t asked = sent_to_device() - before;
        text += " " + std::to_string(asked);
        if (i > 0) {
            waited += (asked > few);
        } else if (clock::now() - began < std::chrono::milliseconds(200)) {
            return "the first does not wait";
        }
    }
    return (waited <= 2) ? "closed" : "asked" + text + " times";
}

TEST_F(close_test, stuck_receivers)
{
    EXPECT_EQ("closed", run_role("close_stuck", {}));
}

/* Everybody hears a goodbye, though there are fewer places for them; with
 * endpoints closed before, or by closing. */
TEST_F(close_test, goodbye_to_all)
{
    const unsigned num = 80;
    std::unique_ptr<node> a(new node(m_dom));
    uint64_t got = 0;
    ends ab;

    for (unsigned i = 0; i < num; ++i) {
        add_node().on_am(AM_ID, [&](void *, size_t, unsigned) {
            ++got;
            return UCS_OK;
        });
        ab.emplace_back(new end(*a, m_nodes[i]->addr()));
        ASSERT_EQ(UCS_OK, ab[i]->send(BCOPY, AM_ID, brief, 0));
    }
    ASSERT_TRUE(wait_until(
            [&]() {
        bool all = (got == num);
        for (auto &e : ab) {
            all = all && (uct_ep_flush(e->ep(), 0, nullptr) == UCS_OK);
        }
        return all;
            },
            [&]() {
        a->progress();
        progress();
    }));
    ASSERT_EQ(2 * num, living());
    for (auto &e : ab) {
        e->destroy();
    }
    a.reset();
    EXPECT_TRUE(wait([&]() { return living() == 0; })) << living();
}

/* Something was dropped: the other side hears that, if only to forget. */
TEST_F(close_test, dropped_is_told)
{
    for (bool has_end : {false, true}) {
        node &b = add_node();
        std::unique_ptr<node> a(new node(m_dom, patient));
        std::unique_ptr<end> ab(new end(*a, b.addr())), ba;
        uint64_t got = 0;

        b.on_am(AM_ID, [&](void *, size_t, unsigned) {
            ++got;
            return UCS_OK;
        });
        if (has_end) {
            ba.reset(new end(b, a->addr()));
        }
        ASSERT_EQ(UCS_OK, ab->send(BCOPY, AM_ID, brief, 0));
        ASSERT_EQ(UCS_OK, ab->send(BCOPY, AM_ID, longer, 1));
        ASSERT_EQ(UCS_OK, ab->send(BCOPY, AM_ID, brief, 2));
        ab->destroy();
        a.reset();
        EXPECT_TRUE(wait([&]() {
            return has_end ? !b.failures.empty() :
                             ((got == 1) && (living() == 0));
        }));
        EXPECT_EQ(1u, got) << "the beginning, without gaps";
        if (has_end) {
            ASSERT_EQ(1u, b.failures.size());
            EXPECT_EQ(UCS_ERR_CONNECTION_RESET, b.failures[0].status);
        }
    }
}

/* Both at once, each without a look at what the other says */
TEST_F(close_test, both)
{
    std::unique_ptr<node> n[2];
    std::unique_ptr<end> e[2];

    for (unsigned i = 0; i < 2; ++i) {
        n[i].reset(new node(m_dom, patient));
        n[i]->on_am(AM_ID, ignore);
    }
    for (unsigned i = 0; i < 2; ++i) {
        e[i].reset(new end(*n[i], n[!i]->addr()));
        ASSERT_EQ(UCS_OK, e[i]->send(BCOPY, AM_ID, brief, 0));
    }
    ASSERT_TRUE(wait_until(
            [&]() {
        return (uct_ep_flush(e[0]->ep(), 0, nullptr) == UCS_OK) &&
               (uct_ep_flush(e[1]->ep(), 0, nullptr) == UCS_OK);
            },
            [&]() {
        n[0]->progress();
        n[1]->progress();
    }));
    for (unsigned i = 0; i < 2; ++i) {
        ASSERT_EQ(UCS_OK, e[i]->send(BCOPY, AM_ID, longer, 1));
        e[i]->destroy();
    }
    n[0].reset();
    n[1].reset();
}

/* The other process stands still; what its device took is there when it goes
 * on. Frozen first, so that it is not stopped in the middle of a look at it. */
TEST_F(close_test, stopped_process)
{
    stream s(1, length_plan::fixed(8900));
    peer_proc peer;
    address to = addr_of(peer);

    peer.call("check 6 1 fixed:8900");
    for (bool known : {true, false}) {
        std::unique_ptr<node> a(new node(m_dom, patient));
        std::unique_ptr<end> e(new end(*a, to));

        if (known) {
            ASSERT_EQ(UCS_OK, e->send(BCOPY, 6, s, 0));
            ASSERT_TRUE(wait_until(
                    [&]() {
                return uct_ep_flush(e->ep(), 0, nullptr) == UCS_OK;
                    },
                    [&]() { a->progress(); }));
        }
        peer.call("freeze");
        ASSERT_EQ(0, kill(peer.pid(), SIGSTOP));
        for (unsigned k = 1; k < 4; ++k) {
            EXPECT_EQ(UCS_OK, e->send(BCOPY, 6, s, k));
        }
        e->destroy();
        a.reset();
        ASSERT_EQ(0, kill(peer.pid(), SIGCONT));
        EXPECT_EQ("4 0 ", peer.call("wait 6 4"));
    }
    EXPECT_EQ("0 ", peer.call("failures"));
}

/* Nothing comes back from a device that is gone. */
HARNESS_ROLE(close_dead)
{
    auto dom = std::make_shared<domain>();
    auto order =
            reinterpret_cast<int (*)(const char *)>(dlsym(RTLD_DEFAULT,
                                                          "softefa_inject"));
    std::unique_ptr<node> a(new node(dom, patient)), b(new node(dom, patient));
    std::unique_ptr<end> e(new end(*a, b->addr()));

    (void)arguments;
    if (order == nullptr) {
        return "closed";
    }
    b->on_am(AM_ID, ignore);
    check(e->send(BCOPY, AM_ID, brief, 0), "send");
    if (!wait_until(
                [&]() { return uct_ep_flush(e->ep(), 0, nullptr) == UCS_OK; },
                [&]() {
        a->progress();
        b->progress();
                })) {
        return "no connection";
    }
    order("fatal dev=0");
    for (unsigned i = 0; i < 5; ++i) {
        e->send(BCOPY, AM_ID, brief, i);
    }
    e->destroy();
    a.reset();
    b.reset();
    return "closed";
}

TEST_F(close_test, device_is_gone)
{
    EXPECT_EQ("closed", run_role("close_dead", {}));
}
