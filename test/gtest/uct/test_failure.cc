/*
 * Peers that die, freeze or never existed. Whoever talks to somebody else
 * does not notice.
 */
#include "rma_test.h"

#include "common/said.h"

#include <csignal>
#include <sys/wait.h>

using namespace uct_test;

static const uint8_t AM_ID = 17;

class failure_test : public uct_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        m_a = &add_node();
        m_b = &add_node();
        m_b->check_am(AM_ID, &m_chk);
        m_steady = &connect(*m_a, *m_b);
        m_a->on_am(AM_ID, [](void*, size_t, unsigned) { return UCS_OK; });
        if (!is_srd()) {
            GTEST_SKIP() << "errors differ from transport to transport";
        }
    }

    end &connect_to(const address &addr)
    {
        m_ends.emplace_back(new end(*m_a, addr));
        return *m_ends.back();
    }

    /* One message of the conversation that must not be disturbed. */
    void steady()
    {
        send(*m_steady, BCOPY, AM_ID, m_stream, m_seq++);
        progress();
    }

    void expect_steady()
    {
        for (unsigned i = 0; i < 1000; ++i) {
            steady();
        }
        flush(*m_steady);
        EXPECT_TRUE(wait([&]() { return m_chk.count() >= m_seq; }));
        expect_clean(m_chk, m_seq);
        EXPECT_EQ(0u, m_a->failure_count(m_steady->ep()));
        EXPECT_TRUE(m_b->failures.empty());
    }

    /* After the failure: operations answer with an error, cancel works. */
    void expect_failed(end &e)
    {
        EXPECT_EQ(1u, m_a->failure_count(e.ep()));
        for (const node::failure &f : m_a->failures) {
            EXPECT_TRUE(UCS_STATUS_IS_ERR(f.status));
        }
        ucs_status_t status = e.send(BCOPY, AM_ID, m_stream, 0);
        EXPECT_TRUE((status != UCS_ERR_NO_RESOURCE) &&
                    UCS_STATUS_IS_ERR(status)) << ucs_status_string(status);
        /* Every zcopy was completed, with whatever status. */
        EXPECT_TRUE(wait([&]() { return e.zcopy_busy() == 0; }));
        status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_CANCEL, nullptr);
        EXPECT_TRUE((status == UCS_OK) || (status == UCS_INPROGRESS) ||
                    UCS_STATUS_IS_ERR(status));
        EXPECT_NE(UCS_ERR_NO_RESOURCE, status);
        for (unsigned i = 0; i < 1000; ++i) {
            progress();
        }
        EXPECT_EQ(1u, m_a->failure_count(e.ep())) << "reported again";
        EXPECT_EQ("", e.promises());
    }

    stream   m_stream{21, length_plan::random(8, 1500)};
    checker  m_chk{m_stream};
    uint64_t m_seq = 0;
    node    *m_a;
    node    *m_b;
    end     *m_steady;
};

/* Killed in the middle of a conversation: the error handler is called once,
 * the others go on. */
TEST_F(failure_test, killed_while_receiving)
{
    peer_proc peer;
    stream s(4, length_plan::random(8, 1000));

    peer.call("check 17 4 random:8:1000");
    end &e = connect_to(addr_of(peer));
    for (uint64_t seq = 0; seq < 5000; ++seq) {
        send(e, (seq & 1) ? BCOPY : ZCOPY, AM_ID, s, seq);
        if (seq % 10 == 0) {
            steady();
        }
    }
    peer.kill9();
    uint64_t more = 5000;
    EXPECT_TRUE(wait([&]() {
        if (e.send((more & 1) ? BCOPY : ZCOPY, AM_ID, s, more) == UCS_OK) {
            ++more;
        }
        return m_a->failure_count(e.ep()) > 0;
    }));
    expect_failed(e);
    expect_steady();
    e.destroy();
    expect_steady();
}

/* Killed before it ever answered. */
TEST_F(failure_test, killed_before_first_message)
{
    peer_proc peer;
    stream s(4, length_plan::random(8, 1000));
    address addr = addr_of(peer);

    peer.kill9();
    end &e       = connect_to(addr);
    uint64_t seq = 0;
    EXPECT_TRUE(wait([&]() {
        seq += (e.send(BCOPY, AM_ID, s, seq) == UCS_OK);
        return m_a->failure_count(e.ep()) > 0;
    }));
    expect_failed(e);
    expect_steady();
}

/* Several endpoints lead to the dead: each is told, once. */
TEST_F(failure_test, every_endpoint_is_told)
{
    peer_proc peer;
    stream s(4, length_plan::random(8, 1000));
    std::vector<end *> ends;

    peer.call("check 17 4 random:8:1000");
    address addr = addr_of(peer);
    for (unsigned i = 0; i < 5; ++i) {
        ends.push_back(&connect_to(addr));
    }
    send(*ends[0], BCOPY, AM_ID, s, 0);
    flush(*ends[0]);
    peer.kill9();
    EXPECT_TRUE(wait([&]() {
        unsigned told = 0;
        for (end *e : ends) {
            told += m_a->failure_count(e->ep());
            e->send(BCOPY, AM_ID, s, 1);
        }
        return told >= ends.size();
    }));
    for (end *e : ends) {
        expect_failed(*e);
    }
    expect_steady();
}

/* A queue to the dead is not forgotten: each request is dispatched or, purged
 * by the user, given back; once. */
TEST_F(failure_test, pending_to_the_dead)
{
    struct request {
        uct_pending_req_t req; /* first */
        end              *e;
        stream           *s;
        unsigned          sent = 0, failed = 0, purged = 0;
    };
    peer_proc peer;
    stream s(4, length_plan::random(8, 1000));
    std::vector<request> requests(500);

    peer.call("check 17 4 random:8:1000");
    end &e = connect_to(addr_of(peer));
    send(e, BCOPY, AM_ID, s, 0);
    flush(e);
    peer.call("freeze");
    uint64_t seq = 1;
    while (e.send(BCOPY, AM_ID, s, seq) == UCS_OK) {
        ++seq;
    }
    for (request &r : requests) {
        r.e        = &e;
        r.s        = &s;
        r.req.func = [](uct_pending_req_t *self) {
            request *r          = reinterpret_cast<request *>(self);
            ucs_status_t status = r->e->send(BCOPY, AM_ID, *r->s, 0);
            if (status == UCS_ERR_NO_RESOURCE) {
                return status;
            }
            ++((status == UCS_OK) ? r->sent : r->failed);
            return UCS_OK;
        };
        ASSERT_EQ(UCS_OK, uct_ep_pending_add(e.ep(), &r.req, 0));
    }
    peer.kill9();
    EXPECT_TRUE(wait([&]() {
        e.send(BCOPY, AM_ID, s, 0);
        return m_a->failure_count(e.ep()) > 0;
    }));
    uct_ep_pending_purge(
            e.ep(),
            [](uct_pending_req_t *self, void *) {
        ++reinterpret_cast<request *>(self)->purged;
            },
            nullptr);
    for (request &r : requests) {
        EXPECT_EQ(1u, r.sent + r.failed + r.purged);
    }
    expect_failed(e);
    expect_steady();
}

/* Nothing is sent; the check alone finds out that the peer is gone. */
TEST_F(failure_test, ep_check)
{
    peer_proc peer;
    stream s(4, length_plan::random(8, 1000));

    if (!(m_a->flags() & UCT_IFACE_FLAG_EP_CHECK)) {
        GTEST_SKIP() << "the capability is not announced";
    }
    peer.call("check 17 4 random:8:1000");
    end &e = connect_to(addr_of(peer));
    send(e, BCOPY, AM_ID, s, 0);
    flush(e);

    for (unsigned i = 0; i < 100; ++i) {
        ucs_status_t status = uct_ep_check(e.ep(), 0, nullptr);
        EXPECT_TRUE((status == UCS_OK) || (status == UCS_INPROGRESS) ||
                    (status == UCS_ERR_NO_RESOURCE));
        progress();
    }
    flush(e);
    EXPECT_TRUE(m_a->failures.empty()) << "a living peer was called dead";
    EXPECT_EQ("1 0 ", peer.call("got 17")) << "a check is no message";

    peer.kill9();
    EXPECT_TRUE(wait([&]() {
        uct_ep_check(e.ep(), 0, nullptr);
        return m_a->failure_count(e.ep()) > 0;
    }));
    expect_failed(e);
    expect_steady();
}

/* A frozen peer (a process that computes, or is stopped) is not a dead one. */
TEST_F(failure_test, stopped_process_is_not_dead)
{
    peer_proc peer;
    stream s(4, length_plan::random(8, 1000));
    uint64_t seq = 0;
    int wstatus;

    peer.call("check 17 4 random:8:1000");
    end &e = connect_to(addr_of(peer));
    send(e, BCOPY, AM_ID, s, seq++);
    flush(e);
    /* Not in the middle of a command of the device: it makes one that answers */
    peer.call("wait 17 1", [this]() { progress(); });
    ASSERT_EQ(0, kill(peer.pid(), SIGSTOP));
    ASSERT_EQ(peer.pid(), waitpid(peer.pid(), &wstatus, WUNTRACED));
    for (unsigned i = 0; i < 20000; ++i) {
        seq += (e.send(BCOPY, AM_ID, s, seq) == UCS_OK);
        steady();
    }
    EXPECT_TRUE(m_a->failures.empty());
    ASSERT_EQ(0, kill(peer.pid(), SIGCONT));
    for (unsigned i = 0; i < 100; ++i) {
        send(e, BCOPY, AM_ID, s, seq++);
    }
    EXPECT_EQ(std::to_string(seq) + " 0 ",
              peer.call("wait 17 " + std::to_string(seq),
                        [this]() { progress(); }));
    flush(e);
    expect_steady();
    expect_promises();
}

TEST_F(failure_test, unreachable_address)
{
    stream s(4, length_plan::random(8, 1000));

    for (unsigned kind = 0; kind < 2; ++kind) {
        address addr = m_b->addr().nobody(kind == 0);

        std::unique_ptr<end> e;
        try {
            e.reset(new end(*m_a, addr));
        } catch (const std::runtime_error &) {
            continue; /* known at once, fine as well */
        }
        uint64_t seq = 0;
        EXPECT_TRUE(wait([&]() {
            seq += (e->send(BCOPY, AM_ID, s, seq) == UCS_OK);
            return m_a->failure_count(e->ep()) > 0;
        })) << "kind "
            << kind;
        expect_failed(*e);
        m_ends.push_back(std::move(e));
    }
    expect_steady();
}

/* A wrong QKEY: the device stops the messages, nobody is hurt. */
TEST_F(failure_test, wrong_qkey)
{
    stream s(4, length_plan::random(8, 1000));
    address addr    = m_b->addr();
    uint64_t before = m_chk.count();

    addr.iface[4] ^= 0x55;
    end &e       = connect_to(addr);
    uint64_t seq = 0;
    for (unsigned i = 0; i < 2000; ++i) {
        seq += (e.send(BCOPY, AM_ID, s, seq) == UCS_OK);
        progress();
    }
    EXPECT_EQ(before, m_chk.count());
    expect_steady();
}

/* The peer process dies and a new one is started, again and again. */
TEST_F(failure_test, new_peer_after_each_death)
{
    stream s(4, length_plan::random(8, 1000));

    for (unsigned round = 0; round < scaled(10); ++round) {
        peer_proc peer;
        peer.call("check 17 4 random:8:1000");
        peer.call("connect " + m_a->addr().text());
        end &e = connect_to(addr_of(peer));
        peer.call("send 0 am_bcopy 17 9 random:8:100 0 100",
                  [this]() { progress(); });
        for (uint64_t seq = 0; seq < 500; ++seq) {
            send(e, BCOPY, AM_ID, s, seq);
        }
        flush(e);
        EXPECT_EQ("500 0 ", peer.call("wait 17 500", [this]() { progress(); }));
        if (round & 1) {
            peer.kill9();
            wait([&]() {
                e.send(BCOPY, AM_ID, s, 500);
                return m_a->failure_count(e.ep()) > 0;
            });
            expect_failed(e);
        }
        e.destroy();
        m_a->failures.clear();
    }
    expect_steady();
}

/* Killed at each point of what its device does for it, again and again, with
 * messages under way from it: those that came are in order, and nobody else
 * notices. On the direct data path it is the transport that was ringing. */
class failure_point : public failure_test,
                      public ::testing::WithParamInterface<const char *> {
};

TEST_P(failure_point, killed_at)
{
    stream s(9, length_plan::random(8, 1000));

    for (unsigned after : {3, 20, 77, 300}) {
        peer_proc peer({"SOFTEFA_FAULTS=kill at=" + std::string(GetParam()) +
                        " after=" + std::to_string(after)});
        checker chk(s);

        m_a->check_am(AM_ID, &chk);
        EXPECT_THROW(
                {
                    peer.call("connect " + m_a->addr().text());
                    peer.call("send 0 am_bcopy 17 9 random:8:1000 0 100000",
                              [this]() { steady(); });
                },
                std::runtime_error)
                << after;
        while (progress() > 0) {
        }
        EXPECT_EQ(0u, chk.errors()) << chk.text();
        m_a->on_am(AM_ID, [](void *, size_t, unsigned) { return UCS_OK; });

        /* Locks and receive buffers that it had are there for the next one. */
        peer_proc next;
        checker all(s);
        m_a->check_am(AM_ID + 1, &all);
        next.call("connect " + m_a->addr().text());
        next.call("send 0 am_bcopy 18 9 random:8:1000 0 300",
                  [this]() { steady(); });
        EXPECT_TRUE(wait([&]() { return all.count() >= 300; }));
        expect_clean(all, 300);
        expect_steady();
        m_a->on_am(AM_ID + 1, [](void *, size_t, unsigned) { return UCS_OK; });
    }
}

INSTANTIATE_TEST_SUITE_P(point, failure_point,
                         ::testing::Values("fetch", "deliver", "complete",
                                           "locked-rq", "locked-cq"));

/* Requests that leave together: killed when two are in the send queue and no
 * doorbell has told so. */
struct batched {
    uct_pending_req_t super;
    end               *e;
    stream            *s;
    uint64_t          *seq;
};

static ucs_status_t batched_send(uct_pending_req_t *self)
{
    batched *req         = (batched *)self;
    static unsigned sent = 0;

    if (sent == 2) {
        raise(SIGKILL);
    }

    ucs_status_t status = req->e->send(BCOPY, AM_ID, *req->s, *req->seq);
    if (status == UCS_OK) {
        ++sent;
        ++*req->seq;
    }
    return status;
}

HARNESS_ROLE(failure_batch)
{
    stream s(9, length_plan::fixed(100));
    node n(std::make_shared<domain>());
    end e(n, address::parse(arguments));
    uint64_t seq    = 0;
    batched reqs[3] = {};

    /* Until all has arrived, and then as many as leave at once */
    check(e.send(BCOPY, AM_ID, s, seq++), "send");
    if (!wait_until(
                [&]() {
        return uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_LOCAL, nullptr) == UCS_OK;
                },
                [&]() { n.progress(); })) {
        return "no flush";
    }
    while (e.send(BCOPY, AM_ID, s, seq) == UCS_OK) {
        ++seq;
    }
    for (batched &req : reqs) {
        req.super.func = batched_send;
        req.e          = &e;
        req.s          = &s;
        req.seq        = &seq;
        check(uct_ep_pending_add(e.ep(), &req.super, 0), "pending_add");
    }
    for (;;) {
        n.progress();
    }
}

TEST_F(failure_test, killed_between_entry_and_doorbell)
{
    stream s(9, length_plan::fixed(100));
    peer_proc peer;
    checker chk(s);

    m_a->check_am(AM_ID, &chk);
    EXPECT_THROW(peer.call("role failure_batch " + m_a->addr().text(),
                           [this]() { steady(); }),
                 std::runtime_error);
    while (progress() > 0) {
    }
    EXPECT_GT(chk.count(), 1u);
    EXPECT_EQ(0u, chk.errors()) << chk.text();
    m_a->on_am(AM_ID, [](void *, size_t, unsigned) { return UCS_OK; });
    expect_steady();
}

/* At which level a peer that leaves is said: as UCT's other transports do it, and
 * louder only where there is no error handler to be called. */
HARNESS_ROLE(failure_level)
{
    bool has_handler = (arguments.find("handler") != std::string::npos);
    auto dom         = std::make_shared<domain>();
    unsetenv("UCX_SRD_FAILURE");
    node a(dom, config_map(), room_t(), has_handler);
    stream s(1, length_plan::fixed(100));
    std::unique_ptr<node> c(new node(dom));
    end e(a, c->addr());
    said lines;

    c->on_am(3, [](void *, size_t, unsigned) { return UCS_OK; });
    check(e.send(BCOPY, 3, s, 0), "send");
    if (!wait_until(
                [&]() { return uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK; },
                [&]() {
        a.progress();
        c->progress();
                })) {
        return "no connection";
    }
    c.reset();
    if (!wait_until(
                [&]() {
        return e.send(BCOPY, 3, s, 1) == UCS_ERR_ENDPOINT_TIMEOUT;
                },
                [&]() { a.progress(); })) {
        return "no failure";
    }
    a.progress();
    return has_handler ?
                   (a.failures.size() == 1 ? "" : "not told; ") + lines.none() :
                   lines.only({"->", "queue pair does not exist"});
}

TEST_F(failure_test, log_level)
{
    EXPECT_EQ("", run_role("failure_level handler", {}));
    EXPECT_EQ("", run_role("failure_level none", {}));
}

/* UCT: after flush(CANCEL) an endpoint is in error state, unusable for sending.
 * Nobody is told, for its user knows; others to the same peer go on. */
TEST_F(failure_test, cancelled)
{
    end &e = connect(*m_a, *m_b);
    flush_comp comp;
    said lines;

    m_b->on_am(AM_ID + 1, [](void *, size_t, unsigned) { return UCS_OK; });
    steady();
    send(e, BCOPY, AM_ID + 1, m_stream, 0);
    ucs_status_t status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_CANCEL,
                                       &comp.comp);
    EXPECT_TRUE(wait([&]() { return (status == UCS_OK) || (comp.calls > 0); }));
    for (unsigned kind = 0; kind < KIND_LAST; ++kind) {
        status = e.send((send_kind)kind, AM_ID + 1,
                        stream(5, length_plan::fixed(100)), 1);
        EXPECT_EQ(UCS_ERR_CANCELED, status) << ucs_status_string(status);
    }
    EXPECT_EQ(UCS_ERR_CANCELED, uct_ep_flush(e.ep(), 0, nullptr));
    EXPECT_EQ("", e.promises());
    expect_steady();
    e.destroy();
    end &again = connect(*m_a, *m_b);
    send(again, BCOPY, AM_ID + 1, m_stream, 0);
    flush(again);
    expect_steady();
    EXPECT_TRUE(m_a->failures.empty());
    EXPECT_EQ("", lines.none());
}
