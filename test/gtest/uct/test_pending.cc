/*
 * What happens when resources run out: pending queue, flush, fence, cancel.
 */
#include "uct_test.h"

#include "common/counters.h"

using namespace uct_test;

static const uint8_t AM_ID = 5;

class pending_test : public uct_base {
protected:
    /* A queued send; dispatch order is noted in `log`. */
    struct request {
        uct_pending_req_t      req; /* first */
        pending_test          *test;
        end                   *e;
        const stream          *s;
        uint64_t               seq;
        unsigned               postpone = 0; /* answer INPROGRESS that often */
        unsigned               calls    = 0;
        std::vector<uint64_t> *log;
    };

    static ucs_status_t dispatch(uct_pending_req_t *self)
    {
        request *r = reinterpret_cast<request*>(self);

        ++r->calls;
        if (r->postpone > 0) {
            --r->postpone;
            return UCS_INPROGRESS;
        }
        ucs_status_t status = r->e->send(BCOPY, AM_ID, *r->s, r->seq);
        if (status == UCS_OK) {
            r->log->push_back(r->seq);
        }
        return status;
    }

    static void purge(uct_pending_req_t *self, void *arg)
    {
        static_cast<std::vector<uint64_t>*>(arg)->push_back(
                reinterpret_cast<request*>(self)->seq);
    }

    void SetUp() override
    {
        uct_base::SetUp();
        m_a   = &add_node();
        m_b   = &add_node();
        m_end = &connect(*m_a, *m_b);
    }

    /* Sends without any progress until the transport has no resource.
     * Returns the number of messages sent. */
    uint64_t fill(end &e, const stream &s, uint64_t seq)
    {
        const uint64_t first = seq;

        for (; seq < first + 1000000; ++seq) {
            ucs_status_t status = e.send(BCOPY, AM_ID, s, seq);
            if (status == UCS_ERR_NO_RESOURCE) {
                return seq - first;
            }
            check(status, "am_bcopy");
        }
        throw std::runtime_error("the transport never runs out of resources");
    }

    request *queue(end &e, const stream &s, uint64_t seq)
    {
        m_requests.emplace_back(new request());
        request *r  = m_requests.back().get();
        r->req.func = dispatch;
        r->test     = this;
        r->e        = &e;
        r->s        = &s;
        r->seq      = seq;
        r->log      = &m_log;
        EXPECT_EQ(UCS_OK, uct_ep_pending_add(e.ep(), &r->req, 0));
        return r;
    }

    node                                 *m_a;
    node                                 *m_b;
    end                                  *m_end;
    std::vector<std::unique_ptr<request>> m_requests;
    std::vector<uint64_t>                 m_log;
};

static const length_plan PLAN = length_plan::random(8, 2000);

TEST_F(pending_test, busy_while_resources_exist)
{
    stream s(1, PLAN);
    checker chk(s);
    request r;

    r.req.func = dispatch;
    m_b->check_am(AM_ID, &chk);
    send(*m_end, BCOPY, AM_ID, s, 0);
    flush(*m_end);
    EXPECT_EQ(UCS_ERR_BUSY, uct_ep_pending_add(m_end->ep(), &r.req, 0));
}

/* Of what is refused, send calls are counted, in the window and in UCX's
 * statistics; a queued request is no send call. */
TEST_F(pending_test, refused_sends_are_counted)
{
    stream s(1, PLAN);
    checker chk(s);

    m_b->check_am(AM_ID, &chk);
    uint64_t sent        = fill(*m_end, s, 0);
    uint64_t no_resource = harness::counter("no_resource");
    for (unsigned i = 0; i < 3; ++i) {
        EXPECT_EQ(UCS_ERR_NO_RESOURCE, m_end->send(BCOPY, AM_ID, s, sent));
    }
    queue(*m_end, s, sent);
    EXPECT_EQ(no_resource + 3, harness::counter("no_resource"));
    EXPECT_TRUE(wait([&]() { return m_log.size() == 1; }));
    EXPECT_EQ(no_resource + 3, harness::counter("no_resource"));
    flush(*m_end);
}

/* Queued requests leave in the order they came, and behind them nothing
 * overtakes. */
TEST_F(pending_test, first_in_first_out)
{
    stream s(1, PLAN);
    checker chk(s);
    uint64_t seq = 0;
    std::vector<uint64_t> expected;

    m_b->check_am(AM_ID, &chk);
    for (unsigned round = 0; round < scaled(50); ++round) {
        seq += fill(*m_end, s, seq);
        for (unsigned i = 0; i < 40; ++i) {
            queue(*m_end, s, seq);
            expected.push_back(seq++);
        }
        /* As long as somebody queues, nobody may overtake. */
        EXPECT_EQ(UCS_ERR_NO_RESOURCE, m_end->send(BCOPY, AM_ID, s, seq));
        EXPECT_EQ(UCS_ERR_NO_RESOURCE,
                  m_end->send(SHORT, AM_ID, stream(1), seq));
        EXPECT_EQ(UCS_ERR_NO_RESOURCE,
                  uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_LOCAL, nullptr));
        EXPECT_TRUE(wait([&]() { return m_log.size() == expected.size(); }));
    }
    EXPECT_EQ(expected, m_log);
    EXPECT_TRUE(wait([&]() { return chk.count() >= seq; }));
    expect_clean(chk, seq);
    expect_promises();
}

/* A callback that answers INPROGRESS is asked again. */
TEST_F(pending_test, postponed_request_is_asked_again)
{
    stream s(1, PLAN);
    checker chk(s);
    uint64_t seq = fill(*m_end, s, 0);

    m_b->check_am(AM_ID, &chk);
    request *r  = queue(*m_end, s, seq);
    r->postpone = 3;
    EXPECT_TRUE(wait([&]() { return m_log.size() == 1; }));
    EXPECT_GE(r->calls, 4u);
    EXPECT_TRUE(wait([&]() { return chk.count() > seq; }));
    expect_clean(chk, seq + 1);
    expect_promises();
}

TEST_F(pending_test, purge_gives_back_everything_in_order)
{
    stream s(1, PLAN);
    checker chk(s);
    uint64_t seq = fill(*m_end, s, 0);
    std::vector<uint64_t> purged, expected;

    m_b->check_am(AM_ID, &chk);
    for (unsigned i = 0; i < 100; ++i) {
        queue(*m_end, s, seq + i);
        expected.push_back(seq + i);
    }
    uct_ep_pending_purge(m_end->ep(), purge, &purged);
    EXPECT_EQ(expected, purged);
    purged.clear();
    uct_ep_pending_purge(m_end->ep(), purge, &purged);
    EXPECT_TRUE(purged.empty());

    /* Nothing of the purged is sent, the endpoint works. */
    EXPECT_TRUE(wait([&]() { return chk.count() >= seq; }));
    send(*m_end, BCOPY, AM_ID, s, seq);
    flush(*m_end);
    EXPECT_TRUE(wait([&]() { return chk.count() > seq; }));
    expect_clean(chk, seq + 1);
    EXPECT_TRUE(m_log.empty());
    for (auto &r : m_requests) {
        EXPECT_EQ(0u, r->calls);
    }
    expect_promises();
}

/* Requests of several endpoints to two peers all get their turn, though they
 * want the same resources. */
TEST_F(pending_test, every_endpoint_gets_its_turn)
{
    node &c = add_node();
    std::vector<end *> ends;
    std::vector<stream> streams;
    std::vector<std::unique_ptr<checker>> checkers;
    std::vector<uint64_t> sent;
    const unsigned num = 8, queued = 50;

    for (unsigned i = 0; i < num; ++i) {
        node &to = (i & 1) ? c : *m_b;
        streams.emplace_back(i, length_plan::random(8, 500));
        ends.push_back(&connect(*m_a, to));
        checkers.emplace_back(new checker(streams[i]));
        sent.push_back(0);
    }
    for (node *n : {m_b, &c}) {
        n->on_am(AM_ID, [&](void *data, size_t length, unsigned) {
            uint64_t word;
            memcpy(&word, data, 8);
            checkers.at(word >> stream::SEQ_BITS)->take(data, length);
            return UCS_OK;
        });
    }
    for (unsigned i = 0; i < num; ++i) {
        sent[i] = fill(*ends[i], streams[i], 0);
    }
    for (unsigned k = 0; k < queued; ++k) {
        for (unsigned i = 0; i < num; ++i) {
            queue(*ends[i], streams[i], sent[i]++);
        }
    }
    EXPECT_TRUE(wait([&]() { return m_log.size() == num * queued; }));
    EXPECT_TRUE(wait([&]() {
        for (unsigned i = 0; i < num; ++i) {
            if (checkers[i]->count() < sent[i]) {
                return false;
            }
        }
        return true;
    }));
    for (unsigned i = 0; i < num; ++i) {
        expect_clean(*checkers[i], sent[i]);
    }
    expect_promises();
}

TEST_F(pending_test, flush_of_idle_is_ok)
{
    flush_comp comp;

    if (!is_srd()) {
        GTEST_SKIP() << "others may still be connecting";
    }
    EXPECT_EQ(UCS_OK,
              uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_LOCAL, &comp.comp));
    EXPECT_EQ(UCS_OK,
              uct_iface_flush(m_a->iface(), UCT_FLUSH_FLAG_LOCAL, nullptr));
    EXPECT_EQ(0u, comp.calls);
}

/* A flush completes once, after every zcopy before it, and not before the
 * receiver's device has everything; also when several are under way. */
TEST_F(pending_test, flush_with_completion)
{
    stream s(1, length_plan::random(100, m_a->attr().cap.am.max_zcopy));
    checker chk(s);
    uint64_t seq = 0;
    std::deque<flush_comp> comps;

    m_b->check_am(AM_ID, &chk);
    for (unsigned round = 0; round < scaled(300); ++round) {
        for (unsigned i = 0; i < 1 + round % 40; ++i) {
            send(*m_end, ZCOPY, AM_ID, s, seq++);
        }
        for (unsigned i = 0; i < 1 + round % 3; ++i) {
            comps.emplace_back();
            flush_comp &f       = comps.back();
            ucs_status_t status = UCS_ERR_NO_RESOURCE;
            wait([&]() {
                status = uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_LOCAL,
                                      &f.comp);
                return status != UCS_ERR_NO_RESOURCE;
            });
            if (status == UCS_OK) {
                EXPECT_EQ(0u, m_end->zcopy_busy());
                f.calls = 1;
            } else {
                ASSERT_EQ(UCS_INPROGRESS, status);
            }
        }
        if (round % 4 == 0) {
            EXPECT_TRUE(wait([&]() { return comps.back().calls > 0; }));
            EXPECT_EQ(0u, m_end->zcopy_busy());
        }
    }
    EXPECT_TRUE(wait([&]() {
        return (chk.count() >= seq) && (comps.back().calls > 0);
    }));
    for (const flush_comp &f : comps) {
        EXPECT_EQ(1u, f.calls);
        EXPECT_EQ(UCS_OK, f.status);
    }
    expect_clean(chk, seq);
    expect_promises();
}

TEST_F(pending_test, iface_flush_and_fence)
{
    stream s(1, length_plan::random(8, 1000));
    checker chk(s);
    uint64_t seq = 0;

    m_b->check_am(AM_ID, &chk);
    for (unsigned round = 0; round < 100; ++round) {
        for (unsigned i = 0; i < 20; ++i) {
            send(*m_end, (i & 1) ? BCOPY : ZCOPY, AM_ID, s, seq++);
            EXPECT_EQ(UCS_OK, uct_ep_fence(m_end->ep(), 0));
            EXPECT_EQ(UCS_OK, uct_iface_fence(m_a->iface(), 0));
        }
        EXPECT_TRUE(wait([&]() {
            return uct_iface_flush(m_a->iface(), UCT_FLUSH_FLAG_LOCAL,
                                   nullptr) == UCS_OK;
        }));
        EXPECT_EQ(0u, m_end->zcopy_busy());
    }
    EXPECT_TRUE(wait([&]() { return chk.count() >= seq; }));
    expect_clean(chk, seq);
    expect_promises();
}

/* flush(CANCEL) ends every operation, and the endpoint may be destroyed;
 * others of the interface, to the same peer too, go on undisturbed. */
TEST_F(pending_test, cancel)
{
    stream s(1, length_plan::random(8, 1000)), t(2, length_plan::random(8, 99));
    node &c     = add_node();
    end &other  = connect(*m_a, c);
    end &second = connect(*m_a, *m_b);
    checker chk_b(t), chk_c(t);
    uint64_t got_cancelled = 0;

    if (!is_srd()) {
        GTEST_SKIP();
    }

    m_b->check_am(AM_ID + 1, &chk_b);
    c.check_am(AM_ID + 1, &chk_c);
    m_b->on_am(AM_ID, [&](void *, size_t, unsigned) {
        ++got_cancelled;
        return UCS_OK;
    });

    uint64_t seq = 0;
    for (;; ++seq) {
        ucs_status_t status = m_end->send((seq & 1) ? ZCOPY : BCOPY, AM_ID, s,
                                          seq);
        if (status == UCS_ERR_NO_RESOURCE) {
            break;
        }
        ASSERT_EQ(UCS_OK, status);
    }
    for (unsigned i = 0; i < 10; ++i) {
        queue(*m_end, s, seq + i);
    }

    std::vector<uint64_t> purged;
    flush_comp comp;
    uct_ep_pending_purge(m_end->ep(), purge, &purged);
    EXPECT_EQ(10u, purged.size());
    ucs_status_t status = UCS_ERR_NO_RESOURCE;
    wait([&]() {
        status = uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_CANCEL, &comp.comp);
        return status != UCS_ERR_NO_RESOURCE;
    });
    if (status == UCS_INPROGRESS) {
        EXPECT_TRUE(wait([&]() { return comp.calls > 0; }));
        EXPECT_EQ(1u, comp.calls);
    } else {
        EXPECT_EQ(UCS_OK, status);
    }
    EXPECT_EQ(0u, m_end->zcopy_busy());
    for (const auto &kv : m_end->zcopy_statuses) {
        EXPECT_TRUE((kv.first == UCS_OK) || (kv.first == UCS_ERR_CANCELED))
                << ucs_status_string(kv.first);
    }
    m_end->zcopy_statuses.clear();
    m_end->destroy();

    for (uint64_t i = 0; i < 5000; ++i) {
        send(other, BCOPY, AM_ID + 1, t, i);
        send(second, BCOPY, AM_ID + 1, t, i);
    }
    flush(other);
    flush(second);
    EXPECT_TRUE(wait([&]() {
        return (chk_b.count() >= 5000) && (chk_c.count() >= 5000);
    }));
    expect_clean(chk_b, 5000);
    expect_clean(chk_c, 5000);
    EXPECT_LE(got_cancelled, seq);
    expect_promises();
}
