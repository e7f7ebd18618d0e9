/*
 * Sleeping until something happens: event fd, arm, wake, no event lost.
 */
#include "uct_test.h"

#include <poll.h>

using namespace uct_test;

static const uint8_t AM_ID = 13;

class event_test : public uct_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        m_a = &add_node();
        if ((is_srd() && (env("SOFTEFA_PROFILE", "") == "efa0")) ||
            (!is_srd() && !(m_a->attr().cap.event_flags &
                            UCT_IFACE_FLAG_EVENT_FD))) {
            int fd;
            EXPECT_EQ(0u, m_a->attr().cap.event_flags);
            EXPECT_EQ(UCS_ERR_UNSUPPORTED,
                      uct_iface_event_fd_get(m_a->iface(), &fd));
            GTEST_SKIP() << "the device has no completion channel";
        }
    }

    static int fd(const node &n)
    {
        return n.event_fd();
    }

    /* Both sides progress until the interface can be armed and stays quiet. */
    void settle(node &n, unsigned events)
    {
        bool quiet = wait([&]() {
            if (uct_iface_event_arm(n.iface(), events) != UCS_OK) {
                return false;
            }
            struct pollfd pfd = {fd(n), POLLIN, 0};
            return poll(&pfd, 1, 0) == 0;
        });
        EXPECT_TRUE(quiet) << "the interface is never idle";
    }

    node *m_a;
};

TEST_F(event_test, attributes)
{
    uint64_t both = UCT_IFACE_FLAG_EVENT_SEND_COMP | UCT_IFACE_FLAG_EVENT_RECV;

    EXPECT_TRUE(m_a->attr().cap.event_flags & UCT_IFACE_FLAG_EVENT_FD);
    EXPECT_EQ(both, m_a->attr().cap.event_flags & both);
    EXPECT_GE(fd(*m_a), 0);
    EXPECT_EQ(fd(*m_a), fd(*m_a));
}

/* A message that comes after arming makes the fd readable; one that came
 * before makes arming say BUSY, or the fd readable. */
TEST_F(event_test, receive_wakes)
{
    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::random(8, m_a->attr().cap.am.max_short));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    for (uint64_t seq = 0; seq < scaled(2000); ++seq) {
        if (seq % 3 != 0) {
            settle(b, UCT_EVENT_RECV);
        }
        send(e, (seq & 1) ? SHORT : BCOPY, AM_ID, s, seq);
        struct pollfd pfd = {fd(b), POLLIN, 0};
        if (seq % 3 == 0) {
            ucs_status_t status = uct_iface_event_arm(b.iface(),
                                                      UCT_EVENT_RECV);
            ASSERT_TRUE((status == UCS_OK) || (status == UCS_ERR_BUSY));
            if (status == UCS_OK) {
                wait_until([&]() { return poll(&pfd, 1, 1) > 0; },
                           [&]() { m_a->progress(); });
                ASSERT_EQ(1, poll(&pfd, 1, 0)) << "message " << seq;
            }
        } else {
            /* The sender may have to progress (handshake), b sleeps. */
            wait_until([&]() { return poll(&pfd, 1, 1) > 0; },
                       [&]() { m_a->progress(); });
            ASSERT_EQ(1, poll(&pfd, 1, 0)) << "message " << seq;
        }
        EXPECT_TRUE(wait([&]() { return chk.count() > seq; }));
    }
    expect_clean(chk, scaled(2000));
    expect_promises();
}

/* Another process sends; this one is asleep between the messages. */
TEST_F(event_test, sleep_between_messages)
{
    const uint64_t count = scaled(20000);
    peer_proc peer;
    stream s(4, length_plan::random(8, 500));
    checker chk(s);

    m_a->check_am(AM_ID, &chk);
    peer.call("connect " + m_a->addr().text());
    peer.post("send 0 am_bcopy 13 4 random:8:500 0 " + std::to_string(count));
    unsigned polls = m_a->sleep_until(UCT_EVENT_RECV | UCT_EVENT_SEND_COMP,
                                      [&]() { return chk.count() >= count; });
    EXPECT_GT(polls, 0u);
    peer.answer([this]() { progress(); });
    expect_clean(chk, count);
}

/* The receiving process is asleep, this one sends in single messages. */
TEST_F(event_test, sleeping_peer)
{
    const uint64_t count = scaled(2000);
    peer_proc peer;
    stream s(4, length_plan::random(8, 500));

    peer.call("check 13 4 random:8:500");
    m_ends.emplace_back(new end(*m_a, addr_of(peer)));
    end &e = *m_ends.back();
    peer.post("sleep 13 " + std::to_string(count));
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(e, BCOPY, AM_ID, s, seq);
        flush(e);
    }
    EXPECT_EQ(std::to_string(count) + " 0 ",
              peer.answer([this]() { progress(); }));
    expect_promises();
}

/* The end of a send wakes a sender that sleeps. */
TEST_F(event_test, send_completion_wakes)
{
    peer_proc peer;
    stream s(4, length_plan::random(8, 5000));

    if (!is_srd()) {
        GTEST_SKIP() << "completes at once";
    }
    peer.call("check 13 4 random:8:5000");
    m_ends.emplace_back(new end(*m_a, addr_of(peer)));
    end &e = *m_ends.back();
    for (uint64_t seq = 0; seq < scaled(2000); ++seq) {
        send(e, ZCOPY, AM_ID, s, seq);
        m_a->sleep_until(UCT_EVENT_SEND_COMP,
                         [&]() { return e.zcopy_busy() == 0; });
    }
    EXPECT_EQ(std::to_string(scaled(2000)) + " 0 ",
              peer.call("wait 13 " + std::to_string(scaled(2000)),
                        [this]() { progress(); }));
    expect_promises();
}

/* A sender with a queue, asleep, is woken when it may go on. */
TEST_F(event_test, pending_wakes)
{
    struct request {
        uct_pending_req_t req; /* first */
        end              *e;
        const stream     *s;
        uint64_t          seq;
        bool              sent;
    };
    peer_proc peer;
    stream s(4, length_plan::random(8, 2000));
    uint64_t seq = 0;

    peer.call("check 13 4 random:8:2000");
    m_ends.emplace_back(new end(*m_a, addr_of(peer)));
    end &e = *m_ends.back();

    for (unsigned round = 0; round < scaled(100); ++round) {
        request r;
        ucs_status_t status;
        r.e        = &e;
        r.s        = &s;
        r.sent     = false;
        r.req.func = [](uct_pending_req_t *self) {
            request *r     = reinterpret_cast<request *>(self);
            ucs_status_t s = r->e->send(BCOPY, AM_ID, *r->s, r->seq);
            r->sent        = (s == UCS_OK);
            return s;
        };
        do {
            while ((status = e.send(BCOPY, AM_ID, s, seq)) == UCS_OK) {
                ++seq;
            }
            ASSERT_EQ(UCS_ERR_NO_RESOURCE, status);
            r.seq  = seq;
            status = uct_ep_pending_add(e.ep(), &r.req, 0);
        } while (status == UCS_ERR_BUSY);
        ASSERT_EQ(UCS_OK, status);
        ++seq;
        m_a->sleep_until(UCT_EVENT_SEND_COMP | UCT_EVENT_RECV,
                         [&]() { return r.sent; });
    }
    flush(e);
    EXPECT_EQ(std::to_string(seq) + " 0 ",
              peer.call("wait 13 " + std::to_string(seq),
                        [this]() { progress(); }));
    expect_promises();
}
