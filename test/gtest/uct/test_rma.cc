/*
 * One-sided operations: the bytes of every kind and length, many at a time,
 * mixed with active messages, through pending queues and flushes.
 */
#include "rma_test.h"

#include <set>
#include <sstream>

using namespace uct_test;

static const uint8_t AM_ID = 19;
static const size_t  MB    = 1 << 20;

/* Borders of inline data, slot, packet, page, and larger than any of them. */
static std::vector<size_t> lengths(size_t max)
{
    std::vector<size_t> all;

    for (size_t length :
         std::vector<size_t>{0,     1,     7,      8,    31,        32,
                             33,    63,    64,     65,   191,       192,
                             193,   255,   256,    257,  4095,      4096,
                             4097,  8880,  8927,   8928, 8929,      65535,
                             65536, 65537, MB - 1, MB,   3 * MB + 1}) {
        if (length <= max) {
            all.push_back(length);
        }
    }
    if (max < MB) {
        all.push_back(max);
    }
    return all;
}

class rma_kinds : public rma_base,
                  public ::testing::WithParamInterface<int> {
protected:
    void SetUp() override
    {
        rma_base::SetUp();
        m_kind = (rma_kind)GetParam();
        if (IsSkipped() || !has(m_kind)) {
            GTEST_SKIP() << "no " << rma_names[m_kind];
        }
        m_max = std::min(rma_max(m_a->attr(), m_kind), 4 * MB);
    }

    rma_kind m_kind;
    size_t   m_max = 0;
};

INSTANTIATE_TEST_SUITE_P(
        kinds, rma_kinds, ::testing::Range(0, (int)RMA_LAST),
        [](const ::testing::TestParamInfo<int> &info) {
            return std::string(rma_names[info.param]);
        });

/* Every length, in places that are aligned to nothing; the first operations
 * are issued before the peers know each other. */
TEST_P(rma_kinds, lengths)
{
    uint64_t seed = 0;

    for (size_t length : lengths(m_max)) {
        for (size_t at : {(size_t)0, (size_t)1, (size_t)67}) {
            region target(m_dom, length + 100, at);
            rma_pool pool(m_dom, 1, length);
            rma_op &op  = *pool.get();
            uint8_t *to = target.data() + 3 + at / 2;

            ++seed;
            if (is_get(m_kind)) {
                rma_fill(to, length, seed);
            }
            ASSERT_EQ(UCS_OK, run(*m_end, op, m_kind, length, seed,
                                  remote_of(target).at(to - target.data())));
            if (is_get(m_kind)) {
                EXPECT_EQ("", op.verify());
            } else if (length > 0) {
                EXPECT_EQ("", rma_verify(to, length, seed));
            }
            /* What lies around, in the same registration */
            EXPECT_EQ("", target.red());
            EXPECT_EQ("", pool.complaints());
            memset(to, 0xee, length);
            EXPECT_TRUE(target.is_clear());
        }
    }
    expect_promises();
}

/* Nothing is to be done, so all is well, whatever the key. */
TEST_P(rma_kinds, of_no_bytes)
{
    region target(m_dom, 64);
    rma_pool pool(m_dom, 1, 64);
    rma_op &op = *pool.get();

    for (bool with_comp : {true, false}) {
        EXPECT_EQ(UCS_OK, op.issue(m_end->ep(), m_kind, 0, 1, remote_of(target),
                                   with_comp));
        EXPECT_EQ(rma_op::DONE, op.state);
    }
    flush(*m_end);
    EXPECT_TRUE(target.is_clear());
    EXPECT_EQ("", pool.complaints());
    expect_promises();
}

/* As many at a time as the transport takes, into slices of their own. */
TEST_P(rma_kinds, many)
{
    const unsigned slices = 1024;
    const uint64_t count  = scaled(20000);
    const size_t slice    = 512;
    size_t max            = std::min(m_max, slice - 8);
    region target(m_dom, slices * slice);
    rma_pool pool(m_dom, slices, max);
    remote to = remote_of(target);
    std::map<rma_op *, unsigned> places;
    std::vector<unsigned> free_slices;
    uint64_t issued = 0, done = 0, refused = 0;

    auto length_of = [&](uint64_t seed) { return 1 + mix64(seed) % max; };
    for (unsigned i = 0; i < slices; ++i) {
        free_slices.push_back(i);
        rma_fill(target.data() + i * slice, max, i);
    }
    EXPECT_TRUE(wait([&]() {
        while (issued < count) {
            rma_op *op = pool.get();
            if (op == nullptr) {
                break;
            }
            unsigned place      = free_slices.back();
            uint64_t seed       = is_get(m_kind) ? place : slices + issued;
            size_t length       = length_of(issued);
            ucs_status_t status = op->issue(m_end->ep(), m_kind, length, seed,
                                            to.at(place * slice));
            if (status == UCS_ERR_NO_RESOURCE) {
                ++refused;
                pool.put(op);
                break;
            }
            check(status, rma_names[m_kind]);
            free_slices.pop_back();
            places[op] = place;
            ++issued;
        }
        progress();
        bool flushed = ((m_kind == PUT_SHORT) || (m_kind == PUT_BCOPY)) &&
                       (uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_LOCAL,
                                     nullptr) == UCS_OK);
        for (rma_op &op : pool.ops()) {
            if ((op.state != rma_op::DONE) ||
                (((m_kind == PUT_SHORT) || (m_kind == PUT_BCOPY)) &&
                 !flushed)) {
                continue;
            }
            EXPECT_EQ(UCS_OK, op.status);
            /* A get's bytes were cut from a longer message: compare. */
            unsigned place = places[&op];
            if (is_get(m_kind)) {
                EXPECT_EQ(0, memcmp(op.local, target.data() + place * slice,
                                    op.length));
            } else {
                EXPECT_EQ("", rma_verify(target.data() + place * slice,
                                         op.length, op.seed));
            }
            free_slices.push_back(place);
            pool.put(&op);
            ++done;
        }
        return done == count;
    }));
    EXPECT_GT(refused, 0u) << "the transport never said NO_RESOURCE";
    EXPECT_EQ("", target.red());
    EXPECT_EQ("", pool.complaints());
    expect_promises();
}

/* Between two processes, both at work at the same time. */
TEST_P(rma_kinds, between_processes)
{
    peer_proc peer;
    address addr  = address::parse(peer.call("addr"));
    size_t length = std::min<size_t>(m_max, 30000);
    region here(m_dom, length, 9);
    rma_pool pool(m_dom, 64, length);
    const uint64_t count = scaled(500);
    auto step            = [this]() { progress(); };

    m_ends.emplace_back(new end(*m_a, addr));
    end &e    = *m_ends.back();
    remote to = region_of(peer, length, 7);

    peer.call("connect " + m_a->addr().text());
    here.fill(is_get(m_kind) ? 9 : 1);
    peer.post("rma 0 " + std::string(rma_names[m_kind]) + " " +
              std::to_string(here.addr()) + " " + to_hex(here.key()) + " " +
              std::to_string(length) + " 9 " + std::to_string(count));
    uint64_t issued = 0, done = 0;
    EXPECT_TRUE(wait([&]() {
        rma_op *op;
        while ((issued < count) && ((op = pool.get()) != nullptr)) {
            ucs_status_t status = op->issue(e.ep(), m_kind, length,
                                            is_get(m_kind) ? 7 : 8, to);
            if (status == UCS_ERR_NO_RESOURCE) {
                pool.put(op);
                break;
            }
            check(status, rma_names[m_kind]);
            ++issued;
        }
        for (rma_op &o : pool.ops()) {
            if (o.state == rma_op::DONE) {
                EXPECT_EQ(UCS_OK, o.status);
                EXPECT_EQ("", o.verify());
                pool.put(&o);
                ++done;
            }
        }
        return done == count;
    }));
    flush(e);
    peer.answer(step);
    EXPECT_EQ("", rma_verify(here.data(), length, 9));
    EXPECT_EQ("", here.red());
    EXPECT_EQ("", pool.complaints());
    peer.call("verify 0 0 " + std::to_string(length) +
                      (is_get(m_kind) ? " 7" : " 8"),
              step);
    expect_promises();
}

/* The target does nothing at all: no call of it is needed. */
TEST_P(rma_kinds, target_is_frozen)
{
    peer_proc peer;
    size_t length = std::min<size_t>(m_max, 5000);
    rma_pool pool(m_dom, 1, length);
    rma_op &op = *pool.get();

    m_ends.emplace_back(new end(*m_a, address::parse(peer.call("addr"))));
    end &e    = *m_ends.back();
    remote to = region_of(peer, length, 7);
    ASSERT_EQ(UCS_OK, run(e, op, m_kind, length, 7, to)); /* acquainted */

    peer.call("freeze");
    for (uint64_t seed = 10; seed < 60; ++seed) {
        if (is_get(m_kind)) {
            peer.call("fill 0 " + std::to_string(seed));
        }
        ASSERT_EQ(UCS_OK, run(e, op, m_kind, length, seed, to));
        EXPECT_EQ("", op.verify());
        peer.call("verify 0 0 " + std::to_string(length) + " " +
                  std::to_string(seed));
    }
    EXPECT_EQ("", pool.complaints());
    expect_promises();
}

/* One's own interface is a peer like any other. */
TEST_P(rma_kinds, oneself)
{
    end &self = connect(*m_a, *m_a);
    region target(m_dom, std::min<size_t>(m_max, 20000), 1);
    rma_pool pool(m_dom, 1, target.length());
    rma_op &op = *pool.get();
    remote to  = remote_of(target);

    for (uint64_t seed = 1; seed < 100; ++seed) {
        if (is_get(m_kind)) {
            target.fill(seed);
        }
        ASSERT_EQ(UCS_OK, run(self, op, m_kind, target.length(), seed, to));
        EXPECT_EQ("", op.verify());
        EXPECT_EQ("", rma_verify(target.data(), target.length(), seed));
    }
    EXPECT_EQ("", target.red());
    expect_promises();
}

/* ---- mixed ---- */

class rma_mixed : public rma_base {
protected:
    struct request {
        uct_pending_req_t req; /* first */
        rma_mixed        *test;
        uint64_t          seq;
        unsigned          refused = 0;
    };

    /* A slice of the target, a kind and a length for each operation. */
    void prepare(size_t slice, unsigned slices)
    {
        m_slice = slice;
        m_target.reset(new region(m_dom, slice * slices));
        m_pool.reset(new rma_pool(m_dom, slices, slice));
        m_to = remote_of(*m_target);
        for (unsigned i = 0; i < slices; ++i) {
            m_free.push_back(i);
        }
    }

    /* Issues one operation, of a kind that seq chooses. */
    ucs_status_t one(end &e, uint64_t seq)
    {
        std::vector<rma_kind> all = kinds();
        rma_kind kind = all[mix64(seq) % all.size()];
        size_t max    = std::min(m_slice, rma_max(m_a->attr(), kind));
        size_t length = 1 + mix64(seq + 77) % max;
        rma_op *op    = m_pool->get();

        if (op == nullptr) {
            return UCS_ERR_NO_RESOURCE;
        }
        unsigned place = m_free.back();
        uint8_t *at    = m_target->data() + place * m_slice;
        if (is_get(kind)) {
            rma_fill(at, length, seq);
        }
        ucs_status_t status = op->issue(e.ep(), kind, length, seq,
                                        m_to.at(place * m_slice));
        if (status != UCS_OK) {
            m_pool->put(op);
            return status;
        }
        m_free.pop_back();
        m_places[op] = place;
        return UCS_OK;
    }

    /* Takes and judges what is done. Puts of no completion are only when
     * everything has been flushed. */
    void reap(bool flushed)
    {
        for (rma_op &op : m_pool->ops()) {
            if ((op.state != rma_op::DONE) ||
                (!flushed &&
                 ((op.kind == PUT_SHORT) || (op.kind == PUT_BCOPY)))) {
                continue;
            }
            unsigned place = m_places.at(&op);
            EXPECT_EQ(UCS_OK, op.status) << ucs_status_string(op.status);
            EXPECT_EQ("", op.verify());
            EXPECT_EQ("", rma_verify(m_target->data() + place * m_slice,
                                     op.length, op.seed))
                    << rma_names[op.kind];
            m_free.push_back(place);
            m_pool->put(&op);
            ++m_done;
        }
    }

    void expect_done(uint64_t count)
    {
        EXPECT_TRUE(wait([&]() {
            ucs_status_t status = uct_iface_flush(m_a->iface(),
                                                  UCT_FLUSH_FLAG_LOCAL,
                                                  nullptr);
            reap(status == UCS_OK);
            return m_done == count;
        })) << m_done << " of " << count;
        EXPECT_EQ("", m_target->red());
        EXPECT_EQ("", m_pool->complaints());
        expect_promises();
    }

    static ucs_status_t dispatch(uct_pending_req_t *self)
    {
        request *r          = reinterpret_cast<request*>(self);
        ucs_status_t status = r->test->one(*r->test->m_end, r->seq);

        if (status == UCS_OK) {
            r->test->m_log.push_back(r->seq);
        } else {
            ++r->refused;
        }
        return status;
    }

    size_t                      m_slice = 0;
    std::unique_ptr<region>     m_target;
    std::unique_ptr<rma_pool>   m_pool;
    remote                      m_to;
    std::vector<unsigned>       m_free;
    std::map<rma_op*, unsigned> m_places;
    uint64_t                    m_done = 0;
    std::vector<uint64_t>       m_log;
};

/* All kinds and active messages, in both directions of the latter. */
TEST_F(rma_mixed, with_messages)
{
    const uint64_t count = scaled(20000);
    stream s(1, length_plan::random(8, 2000)), t(2, length_plan::random(8, 99));
    checker chk(s), back(t);
    end &reverse = connect(*m_b, *m_a);
    uint64_t seq = 0, sent = 0, replied = 0;

    prepare(2000, 300);
    m_b->check_am(AM_ID, &chk);
    m_a->check_am(AM_ID, &back);
    EXPECT_TRUE(wait([&]() {
        for (unsigned i = 0; (i < 40) && (seq < count); ++i) {
            ucs_status_t status = one(*m_end, seq);
            if (status != UCS_ERR_NO_RESOURCE) {
                check(status, "rma");
                ++seq;
            }
        }
        for (unsigned i = 0; (i < 20) && (sent < count); ++i) {
            ucs_status_t status = m_end->send((sent & 1) ? BCOPY : ZCOPY, AM_ID,
                                              s, sent);
            if (status == UCS_ERR_NO_RESOURCE) {
                break;
            }
            check(status, "am");
            ++sent;
        }
        replied += (replied < count) &&
                   (reverse.send(BCOPY, AM_ID, t, replied) == UCS_OK);
        progress();
        ucs_status_t status = uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_LOCAL,
                                           nullptr);
        reap(status == UCS_OK);
        return (seq == count) && (sent == count);
    }));
    expect_done(count);
    flush(reverse);
    EXPECT_TRUE(wait([&]() {
        return (chk.count() >= sent) && (back.count() >= replied);
    }));
    expect_clean(chk, sent);
    expect_clean(back, replied);
}

/* Operations come and go; the receiver's window holds for messages alone, and
 * holds all the same. */
TEST_F(rma_mixed, window_of_the_receiver)
{
    const unsigned window = 32;
    node &c               = add_node({{"RX_WINDOW", std::to_string(window)}});
    end &e                = connect(*m_a, c);
    stream s(1, length_plan::fixed(8));
    checker chk(s);
    uint64_t seq = 0, sent = 0;

    prepare(600, 300);
    c.check_am(AM_ID, &chk);
    send(e, BCOPY, AM_ID, s, sent++);
    flush(e);
    for (unsigned round = 0; round < 10; ++round) {
        while (one(e, seq) == UCS_OK) {
            ++seq;
        }
        flush(e);
        reap(true);
        for (unsigned i = 0; e.send(BCOPY, AM_ID, s, sent) == UCS_OK; ++i) {
            ASSERT_LT(i, window);
            ++sent;
        }
        flush(e);
    }
    EXPECT_GT(seq, 10 * window);
    EXPECT_TRUE(wait([&]() { return chk.count() >= sent; }));
    expect_clean(chk, sent);
    expect_promises();
}

/* Queued behind exhausted resources, they leave in their order; nobody who
 * asks to be queued is told BUSY for ever. */
TEST_F(rma_mixed, pending)
{
    std::deque<request> requests;
    std::vector<uint64_t> expected;
    uint64_t seq = 0, issued = 0;

    prepare(600, 4096);
    for (unsigned round = 0; round < scaled(20); ++round) {
        ucs_status_t status;
        while ((status = one(*m_end, seq)) == UCS_OK) {
            ++seq;
            ++issued;
        }
        ASSERT_EQ(UCS_ERR_NO_RESOURCE, status);
        ASSERT_FALSE(m_free.empty()) << "the test's own memory ran out";
        for (unsigned i = 0; i < 60; ++i) {
            requests.emplace_back();
            request &r = requests.back();
            r.req.func = dispatch;
            r.test     = this;
            r.seq      = seq;
            ASSERT_EQ(UCS_OK, uct_ep_pending_add(m_end->ep(), &r.req, 0));
            expected.push_back(seq++);
            ++issued;
        }
        EXPECT_EQ(UCS_ERR_NO_RESOURCE, one(*m_end, seq));
        EXPECT_EQ(UCS_ERR_NO_RESOURCE, m_end->send(BCOPY, AM_ID, stream(1), 0));
        EXPECT_TRUE(wait([&]() { return m_log.size() == expected.size(); }));
        expect_done(issued);
    }
    EXPECT_EQ(expected, m_log);
}

/* Whatever was refused, the queue takes it, or the next try is not refused:
 * with queues of all sizes, after a fence, before and after the handshake. */
TEST_F(rma_mixed, refused_means_queued)
{
    for (const char *queue_len : {"1", "2", "16", "40"}) {
        node &c = add_node({{"TX_QUEUE_LEN", queue_len}, {"TX_WINDOW", "16"}});
        end &e  = connect(c, *m_b);
        uint64_t issued = 0;
        std::deque<request> requests;

        m_done = 0;
        m_target.reset();
        m_pool.reset();
        m_free.clear();
        m_places.clear();
        m_log.clear();
        prepare(600, 600);
        m_end = &e;
        for (uint64_t seq = 0; seq < scaled(2000); ++seq) {
            ucs_status_t status = UCS_ERR_NO_RESOURCE;
            unsigned tries      = 0;

            if (mix64(seq) % 5 == 0) {
                EXPECT_EQ(UCS_OK, (seq & 1) ? uct_ep_fence(e.ep(), 0) :
                                              uct_iface_fence(c.iface(), 0));
            }
            /* What is queued must find memory of the test's own. */
            ASSERT_TRUE(wait([&]() {
                reap(uct_iface_flush(c.iface(), UCT_FLUSH_FLAG_LOCAL,
                                     nullptr) == UCS_OK);
                return (m_free.size() > 200) &&
                       (m_log.size() + 100 >= requests.size());
            }));
            for (; (status == UCS_ERR_NO_RESOURCE) && (tries < 10); ++tries) {
                status = one(e, seq);
                if (status != UCS_ERR_NO_RESOURCE) {
                    break;
                }
                requests.emplace_back();
                request &r         = requests.back();
                r.req.func         = dispatch;
                r.test             = this;
                r.seq              = seq;
                ucs_status_t added = uct_ep_pending_add(e.ep(), &r.req, 0);
                if (added == UCS_OK) {
                    status = UCS_OK;
                } else {
                    ASSERT_EQ(UCS_ERR_BUSY, added);
                    requests.pop_back();
                }
            }
            ASSERT_EQ(UCS_OK, status) << "refused and BUSY, again and again";
            ++issued;
            if (mix64(seq) % 3 == 0) {
                progress();
            }
        }
        EXPECT_TRUE(wait([&]() { return m_log.size() == requests.size(); }));
        EXPECT_TRUE(wait([&]() {
            reap(uct_iface_flush(c.iface(), UCT_FLUSH_FLAG_LOCAL, nullptr) ==
                 UCS_OK);
            return m_done == issued;
        })) << queue_len
            << ": " << m_done << " of " << issued;
        EXPECT_EQ("", m_target->red());
        EXPECT_EQ("", m_pool->complaints());
        expect_promises();
        e.destroy();
    }
}

/* Several endpoints to several peers; one of them is sometimes the same peer
 * as another one's. */
TEST_F(rma_mixed, several_peers)
{
    std::vector<end *> ends;
    uint64_t seq         = 0;
    const uint64_t count = scaled(10000);

    prepare(700, 500);
    for (unsigned i = 0; i < 6; ++i) {
        ends.push_back(&connect(*m_a, (i < 3) ? add_node() : *m_b));
    }
    EXPECT_TRUE(wait([&]() {
        for (unsigned i = 0; (i < 50) && (seq < count); ++i) {
            ucs_status_t status = one(*ends[mix64(seq) % ends.size()], seq);
            if (status == UCS_ERR_NO_RESOURCE) {
                break;
            }
            check(status, "rma");
            ++seq;
        }
        reap(uct_iface_flush(m_a->iface(), UCT_FLUSH_FLAG_LOCAL, nullptr) ==
             UCS_OK);
        return seq == count;
    }));
    expect_done(count);
}

/* ---- flush ---- */

class rma_flush : public rma_mixed,
                  public ::testing::WithParamInterface<unsigned> {
};

#if UCT_API >= UCT_VERSION(1, 17)
#define FLUSH_FLAGS (unsigned)UCT_FLUSH_FLAG_LOCAL, \
                    (unsigned)UCT_FLUSH_FLAG_REMOTE
#else
#define FLUSH_FLAGS (unsigned)UCT_FLUSH_FLAG_LOCAL
#endif

INSTANTIATE_TEST_SUITE_P(flags, rma_flush, ::testing::Values(FLUSH_FLAGS));

/* When it completes, everything before it has: bytes are where they belong,
 * completions were called. What comes after it is not waited for. */
TEST_P(rma_flush, endpoint)
{
    uint64_t seq = 0;
    std::deque<flush_comp> comps;

    prepare(3000, 200);
    for (unsigned round = 0; round < scaled(200); ++round) {
        std::vector<rma_op *> before;
        for (unsigned i = 0; i < 1 + round % 30; ++i) {
            ucs_status_t status = UCS_ERR_NO_RESOURCE;
            wait([&]() {
                status = one(*m_end, seq);
                return status != UCS_ERR_NO_RESOURCE;
            });
            ASSERT_EQ(UCS_OK, status);
            ++seq;
        }
        for (rma_op &op : m_pool->ops()) {
            if (op.state != rma_op::IDLE) {
                before.push_back(&op);
            }
        }
        comps.emplace_back();
        flush_comp &f       = comps.back();
        ucs_status_t status = UCS_ERR_NO_RESOURCE;
        wait([&]() {
            status = uct_ep_flush(m_end->ep(), GetParam(), &f.comp);
            return status != UCS_ERR_NO_RESOURCE;
        });
        ASSERT_TRUE((status == UCS_OK) || (status == UCS_INPROGRESS))
                << ucs_status_string(status);
        EXPECT_TRUE(wait([&]() {
            return (status == UCS_OK) || (f.calls > 0);
        }));
        EXPECT_EQ((status == UCS_OK) ? 0u : 1u, f.calls);
        EXPECT_EQ(UCS_OK, f.status);
        for (rma_op *op : before) {
            EXPECT_EQ(rma_op::DONE, op->state) << rma_names[op->kind];
        }
        reap(true);
        EXPECT_EQ(seq, m_done);
    }
    expect_done(seq);
}

/* Several at a time, with operations between them, complete in their order. */
TEST_P(rma_flush, several_under_way)
{
    uint64_t seq = 0;
    std::deque<flush_comp> comps;
    std::vector<uint64_t> issued;

    prepare(300, 3000);
    for (unsigned round = 0; round < 30; ++round) {
        for (unsigned i = 0; i < 8; ++i) {
            seq += (one(*m_end, seq) == UCS_OK);
        }
        comps.emplace_back();
        ucs_status_t status = uct_ep_flush(m_end->ep(), GetParam(),
                                           &comps.back().comp);
        if (status != UCS_INPROGRESS) {
            EXPECT_TRUE((status == UCS_OK) || (status == UCS_ERR_NO_RESOURCE));
            comps.pop_back();
        } else {
            issued.push_back(seq);
        }
    }
    EXPECT_TRUE(wait([&]() {
        unsigned complete = 0;
        for (size_t i = 0; i < comps.size(); ++i) {
            complete += comps[i].calls;
            if ((i > 0) && (comps[i].calls > comps[i - 1].calls)) {
                ADD_FAILURE() << "a later flush completed before an earlier";
            }
        }
        return complete >= comps.size();
    }));
    for (flush_comp &f : comps) {
        EXPECT_EQ(1u, f.calls);
        EXPECT_EQ(UCS_OK, f.status);
    }
    expect_done(seq);
}

TEST_P(rma_flush, iface)
{
    node &c      = add_node();
    end &ec      = connect(*m_a, c);
    uint64_t seq = 0;

    prepare(3000, 200);
    for (unsigned round = 0; round < scaled(100); ++round) {
        for (unsigned i = 0; i < 20; ++i) {
            seq += (one((i & 1) ? ec : *m_end, seq) == UCS_OK);
        }
        EXPECT_TRUE(wait([&]() {
            ucs_status_t status = uct_iface_flush(m_a->iface(), GetParam(),
                                                  nullptr);
            EXPECT_FALSE(UCS_STATUS_IS_ERR(status))
                    << ucs_status_string(status);
            return status == UCS_OK;
        }));
        EXPECT_EQ(0u, m_pool->busy());
        reap(true);
        EXPECT_EQ(seq, m_done);
    }
    expect_done(seq);
}

/* A cancelling flush gives all user memory back: afterwards nothing is
 * completed, unpacked or written to it, and the peer's other endpoints never
 * notice. Before and after the handshake. */
TEST_F(rma_mixed, cancel)
{
    for (bool cold : {true, false, false}) {
        end &e       = connect(*m_a, *m_b);
        end &another = connect(*m_a, *m_b);
        uint64_t seq = 0;
        flush_comp f;

        m_target.reset();
        m_pool.reset();
        m_free.clear();
        m_places.clear();
        prepare(2000, 2000);
        if (!cold) {
            while (one(another, seq++) != UCS_OK) {
                progress();
            }
        }
        while (one(e, seq) == UCS_OK) {
            ++seq;
        }
        ucs_status_t status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_CANCEL,
                                           &f.comp);
        ASSERT_TRUE((status == UCS_OK) || (status == UCS_INPROGRESS))
                << ucs_status_string(status);
        EXPECT_TRUE(wait([&]() {
            return (status == UCS_OK) || (f.calls > 0);
        }));
        if (cold) {
            EXPECT_EQ(0u, m_pool->busy());
        }
        std::set<rma_op *> mine;
        for (rma_op &op : m_pool->ops()) {
            if (op.state == rma_op::DONE) {
                EXPECT_TRUE((op.status == UCS_OK) ||
                            (op.status == UCS_ERR_CANCELED))
                        << ucs_status_string(op.status);
                memset(op.local, 0x3c, op.length);
                mine.insert(&op);
            }
        }
        e.destroy();
        flush(another);
        for (unsigned i = 0; i < 2000; ++i) {
            progress();
        }
        for (rma_op *op : mine) {
            EXPECT_EQ(std::string(op->length, 0x3c),
                      std::string((char *)op->local, op->length))
                    << rma_names[op->kind] << " was given back and written to";
        }
        EXPECT_EQ("", m_target->red());
        EXPECT_EQ("", m_pool->complaints());

        rma_pool pool(m_dom, 1, 100);
        ASSERT_EQ(UCS_OK,
                  run(another, *pool.get(), kinds().back(), 100, 1, m_to));
        expect_promises();
    }
}

/* An endpoint is destroyed with operations under way: each completion comes
 * before the call returns, or the operation is complete. */
TEST_F(rma_mixed, endpoint_destroyed)
{
    for (unsigned round = 0; round < 10; ++round) {
        end &e       = connect(*m_a, *m_b);
        uint64_t seq = 0;

        m_target.reset();
        m_pool.reset();
        m_free.clear();
        m_places.clear();
        prepare(2000, 1000);
        while (one(e, seq) == UCS_OK) {
            ++seq;
        }
        for (unsigned i = 0; i < 3 * round; ++i) {
            m_a->progress();
        }
        e.destroy();
        EXPECT_EQ(0u, m_pool->busy());
        /* Memory that the device may still use stays until it is done. */
        EXPECT_TRUE(wait([&]() {
            return uct_iface_flush(m_a->iface(), UCT_FLUSH_FLAG_LOCAL,
                                   nullptr) == UCS_OK;
        }));
        for (rma_op &op : m_pool->ops()) {
            EXPECT_TRUE((op.state == rma_op::IDLE) || (op.status == UCS_OK) ||
                        (op.status == UCS_ERR_CANCELED));
        }
        EXPECT_EQ("", m_target->red());
        EXPECT_EQ("", m_pool->complaints());
        expect_promises();
    }
    ASSERT_EQ(UCS_OK,
              run(*m_end, *m_pool->get(), kinds().back(), 100, 1, m_to));
}

/* ---- devices of other sizes ---- */

static std::string self_run(const std::string &arguments)
{
    std::istringstream in(arguments);
    std::string kind_name, text;
    size_t length;
    std::shared_ptr<domain> dom = std::make_shared<domain>();
    node a(dom), b(dom);
    end e(a, b.addr());

    in >> kind_name >> length;
    rma_kind kind = rma_kind_of(kind_name);
    if (!rma_has(a.attr(), kind)) {
        return "without";
    }
    region target(dom, length + 64);
    rma_pool pool(dom, 1, length);
    rkey key(dom, target.key());
    rma_op &op = *pool.get();

    target.fill(3);
    rma_fill(target.data(), length, 3);
    ucs_status_t status = UCS_ERR_NO_RESOURCE;
    auto step           = [&]() {
        a.progress();
        b.progress();
    };
    wait_until(
            [&]() {
        status = op.issue(e.ep(), kind, length, 3, {target.addr(), key.get()});
        return status != UCS_ERR_NO_RESOURCE;
            },
            step);
    if (status == UCS_OK) {
        wait_until([&]() { return op.state == rma_op::DONE; }, step);
        wait_until([&]() { return uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK; },
                   step);
        status = op.status;
        text   = rma_verify(target.data(), length, 3) + op.verify();
    }
    text += pool.complaints() + target.red();
    e.destroy();
    return std::to_string(rma_max(a.attr(), kind)) + " " +
           ucs_status_string(status) + (text.empty() ? "" : ": " + text);
}

HARNESS_ROLE(self_run)
{
    return self_run(arguments);
}

class rma_device : public rma_base {
};

/* The largest operation of the device, and one byte more. */
TEST_F(rma_device, largest)
{
    for (rma_kind kind : kinds()) {
        std::string name    = rma_names[kind];
        std::string invalid = ucs_status_string(UCS_ERR_INVALID_PARAM);
        std::vector<std::string> env{"SOFTEFA_LIMITS=max_rdma_size=100001"};

        if ((kind == PUT_ZCOPY) || (kind == GET_ZCOPY)) {
            EXPECT_EQ("100001 Success",
                      run_role("self_run " + name + " 100001", env));
            EXPECT_EQ("100001 " + invalid,
                      run_role("self_run " + name + " 100002", env));
        }
        /* Less than one packet */
        env[0] = "SOFTEFA_LIMITS=max_rdma_size=100";
        EXPECT_EQ("100 Success", run_role("self_run " + name + " 100", env));
        if (kind != PUT_BCOPY) {
            EXPECT_EQ("100 " + invalid,
                      run_role("self_run " + name + " 101", env));
        }
    }
}

/* What the device lacks is not offered, and does not work by accident. */
TEST_F(rma_device, without)
{
    for (int kind = 0; kind < RMA_LAST; ++kind) {
        std::string line = std::string("self_run ") + rma_names[kind] + " 100";

        EXPECT_EQ("without",
                  run_role(line, {"SOFTEFA_LIMITS=rdma_read=0,rdma_write=0"}));
        EXPECT_EQ("without", run_role(line, {"UCX_SRD_RDMA=n"}));
        if (is_get((rma_kind)kind)) {
            EXPECT_EQ("without",
                      run_role(line, {"SOFTEFA_LIMITS=rdma_read=0"}));
        } else {
            EXPECT_EQ("without", run_role(line, {"SOFTEFA_PROFILE=efa0",
                                                 "UCX_SRD_DIRECT=try"}));
        }
    }
}
