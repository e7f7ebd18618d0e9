/*
 * What the segment shows of a running transport: each present value and each
 * event is brought about, and must be there when its cause is, not later.
 */
#include "rma_test.h"
#include "stranger.h"

#include "common/said.h"
#include "tools/reader/stats_reader.h"

#include <algorithm>
#include <climits>
#include <dlfcn.h>
#include <set>
#include <unistd.h>

extern "C" {
#include <ucs/datastruct/string_buffer.h>
#include <ucs/vfs/base/vfs_obj.h>
}

using namespace uct_test;

namespace {

const uint8_t AM_ID = 21;

/* This process' segment at one moment */
class inside {
public:
    inside()
    {
        char error[512] = "", path[PATH_MAX] = "";

        stats_find(getpid(), [](const char *found, void *arg) {
            strcpy(static_cast<char*>(arg), found);
        }, path);
        if (stats_read(path, &m_segment, error, sizeof(error)) != 0) {
            throw std::runtime_error(error);
        }
    }

    ~inside() { stats_free(&m_segment); }

    const stats_segment_t *operator->() const { return &m_segment; }

    static uint32_t qpn_of(const address &addr)
    {
        return addr.iface[0] + (addr.iface[1] << 8);
    }

    const efa_stats_iface_t &iface(node &n) const
    {
        for (unsigned i = 0; i < m_segment.num_ifaces; ++i) {
            if (m_segment.ifaces[i].qpn == qpn_of(n.addr())) {
                return m_segment.ifaces[i];
            }
        }
        throw std::runtime_error("an interface is not shown");
    }

    /* What `from` shows of the interface with that address */
    const efa_stats_peer_t &peer(node &from, const address &to) const
    {
        uint32_t index = iface(from).index;

        for (unsigned i = 0; i < m_segment.num_peers; ++i) {
            if ((m_segment.peers[i].iface == index) &&
                (m_segment.peers[i].qpn == qpn_of(to))) {
                return m_segment.peers[i];
            }
        }
        throw std::runtime_error("a peer is not shown");
    }

    /* The only endpoint that leads to it */
    const efa_stats_ep_t &ep(node &from, const address &to) const
    {
        const efa_stats_peer_t *wanted = &peer(from, to);

        for (unsigned i = 0; i < m_segment.num_eps; ++i) {
            if (stats_link_peer(&m_segment, &m_segment.eps[i]) == wanted) {
                return m_segment.eps[i];
            }
        }
        throw std::runtime_error("an endpoint is not shown");
    }

    const efa_stats_device_t &device() const
    {
        if (m_segment.num_devices == 0) {
            throw std::runtime_error("no device is shown");
        }
        return m_segment.devices[m_segment.num_devices - 1];
    }

    std::vector<efa_stats_object_t> objects(efa_stats_kind_t kind) const
    {
        std::vector<efa_stats_object_t> found;

        std::copy_if(m_segment.objects, m_segment.objects + m_segment.num_objects,
                     std::back_inserter(found),
                     [&](const efa_stats_object_t &o) {
                         return o.kind == kind;
                     });
        return found;
    }

    /* Since event number `first`; a UINT32_MAX: any */
    std::vector<efa_stats_event_entry_t>
    find(efa_stats_event_t event, uint64_t first,
         uint32_t a = UINT32_MAX) const
    {
        std::vector<efa_stats_event_entry_t> found;

        std::copy_if(m_segment.events, m_segment.events + m_segment.num_events,
                     std::back_inserter(found),
                     [&](const efa_stats_event_entry_t &e) {
                         return (e.event == event) && (e.seq > first) &&
                                ((a == UINT32_MAX) || (e.a == a));
                     });
        return found;
    }

    /* How often that was */
    unsigned events(efa_stats_event_t event, uint64_t first,
                    uint32_t a = UINT32_MAX) const
    {
        unsigned count = 0;

        for (auto &entry : find(event, first, a)) {
            count += 1 + entry.repeats;
        }
        return count;
    }

    uint64_t last_event() const
    {
        return (m_segment.num_events == 0) ? 0 :
               m_segment.events[m_segment.num_events - 1].seq;
    }

private:
    stats_segment_t m_segment;
};

class inside_test : public rma_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport alone";
        }
        m_first = inside().last_event();
        m_a     = &add_node();
    }

    /* Sends until nothing leaves any more; the number of messages */
    uint64_t fill(end &e, const stream &s)
    {
        uint64_t seq = 0;

        while (e.send(BCOPY, AM_ID, s, seq) == UCS_OK) {
            ++seq;
        }
        return seq;
    }

    uint64_t m_first; /* events before the test */
};

struct request {
    uct_pending_req_t req; /* first */
    unsigned          calls = 0;
    end              *to    = nullptr;

    static ucs_status_t call(uct_pending_req_t *self)
    {
        request *r    = reinterpret_cast<request*>(self);
        stream s(5, length_plan::fixed(64));
        ucs_status_t status = r->to->send(BCOPY, AM_ID, s, 0);

        ++r->calls;
        return status;
    }
};

} // namespace

TEST_F(inside_test, objects)
{
    inside before;
    const efa_stats_device_t &was = before.device();
    EXPECT_EQ(1u, was.pd);
    EXPECT_GE(was.pd_max, 1u);
    EXPECT_GE(was.qp_max, was.qp);
    EXPECT_GE(was.cq_max, was.cq);
    EXPECT_GE(was.mr_max, was.mr);
    EXPECT_EQ(1u, before.objects(EFA_STATS_PD).size());
    EXPECT_EQ(was.mr, before.objects(EFA_STATS_MR).size());

    auto qps = before.objects(EFA_STATS_QP);
    ASSERT_EQ(1u, qps.size());
    EXPECT_EQ(inside::qpn_of(m_a->addr()), qps[0].number);
    EXPECT_EQ(before.iface(*m_a).index, qps[0].iface);
    EXPECT_EQ(was.index, qps[0].device);
    EXPECT_GT(qps[0].size, 0u);
    EXPECT_NE(0u, qps[0].create_time);
    EXPECT_EQ(0u, std::string(qps[0].site).find("test_uct")) << qps[0].site;
    EXPECT_EQ(1u, before.objects(EFA_STATS_CQ).size());
    EXPECT_EQ(was.index, before.iface(*m_a).device);
    EXPECT_EQ(unsigned(EFA_STATS_IFACE_READY), before.iface(*m_a).state);
    EXPECT_GT(before.iface(*m_a).tx_queue, 0u);

    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(100));
    checker chk(s);
    b.check_am(AM_ID, &chk);
    send(e, BCOPY, AM_ID, s, 0);
    ASSERT_TRUE(wait([&]() { return chk.count() == 1; }));
    {
        region memory(m_dom, 12345);
        inside now;

        EXPECT_EQ(now.device().mr, now.objects(EFA_STATS_MR).size());
        auto mrs = now.objects(EFA_STATS_MR);
        auto mr  = std::find_if(mrs.begin(), mrs.end(),
                                [&](const efa_stats_object_t &o) {
            return (o.size2 <= memory.addr()) &&
                   (o.size2 + o.size >= memory.addr() + memory.length());
        });
        ASSERT_NE(mrs.end(), mr);
        EXPECT_EQ(0u, std::string(mr->site).find("test_uct")) << mr->site;
        EXPECT_GE(now.device().mr_bytes, was.mr_bytes + 12345);
        EXPECT_EQ(2u, now.objects(EFA_STATS_QP).size());

        auto ahs = now.objects(EFA_STATS_AH);
        ASSERT_EQ(1u, ahs.size());
        EXPECT_EQ(2u, ahs[0].size) << "one reference for each peer";
        EXPECT_EQ(0, memcmp(ahs[0].gid, now.iface(b).gid, 16));

        const efa_stats_ep_t &ep = now.ep(*m_a, b.addr());
        EXPECT_EQ(now.iface(*m_a).index, ep.iface);
        EXPECT_EQ(0u, std::string(ep.site).find("test_uct")) << ep.site;
        EXPECT_GE(ep.create_time, qps[0].create_time);
        EXPECT_EQ(0u, ep.wait_time);
    }

    flush(e);
    m_ends.clear();
    EXPECT_EQ(0u, inside()->num_eps);
}

TEST_F(inside_test, handshake)
{
    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(100));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    ASSERT_EQ(UCS_OK, e.send(BCOPY, AM_ID, s, 0));
    {
        inside now;
        EXPECT_EQ(unsigned(EFA_STATS_PEER_JOINING),
                  now.peer(*m_a, b.addr()).state);
        EXPECT_NE(0u, now.peer(*m_a, b.addr()).state_time);
        EXPECT_EQ(1u, now.events(EFA_STATS_EVENT_PEER_STATE, m_first,
                                 EFA_STATS_PEER_NEW));
    }
    /* Nobody answers: it is asked again */
    ASSERT_TRUE(wait_until(
            [&]() {
        inside now;
        return now.events(EFA_STATS_EVENT_CTL_TX, m_first) > 0;
            },
            [&]() { m_a->progress(); }));

    ASSERT_TRUE(wait([&]() {
        return (chk.count() == 1) &&
               (inside().peer(*m_a, b.addr()).state == EFA_STATS_PEER_JOINED);
    }));
    inside now;
    EXPECT_GT(now.events(EFA_STATS_EVENT_CTL_RX, m_first), 0u);
    EXPECT_EQ(1u, now.events(EFA_STATS_EVENT_PEER_STATE, m_first,
                             EFA_STATS_PEER_JOINING));
    EXPECT_EQ(0u, now.peer(*m_a, b.addr()).wait_time);
}

TEST_F(inside_test, pending)
{
    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(64));
    uint64_t got = 0;

    b.on_am(AM_ID, [&](void *, size_t, unsigned) {
        ++got;
        return UCS_OK;
    });
    uint64_t sent = fill(e, s);
    EXPECT_EQ(0u, inside().peer(*m_a, b.addr()).pending);

    request requests[3];
    for (auto &r : requests) {
        r.to       = &e;
        r.req.func = request::call;
        ASSERT_EQ(UCS_OK, uct_ep_pending_add(e.ep(), &r.req, 0));
    }
    {
        inside now;
        EXPECT_EQ(3u, now.peer(*m_a, b.addr()).pending);
        EXPECT_NE(0u, now.peer(*m_a, b.addr()).wait_time);
        EXPECT_EQ(3u, now.ep(*m_a, b.addr()).pending);
        EXPECT_NE(0u, now.ep(*m_a, b.addr()).wait_time);
    }

    ASSERT_TRUE(wait([&]() { return got == sent + 3; }));
    {
        inside now;
        EXPECT_EQ(0u, now.peer(*m_a, b.addr()).pending);
        EXPECT_EQ(0u, now.ep(*m_a, b.addr()).pending);
        EXPECT_EQ(0u, now.ep(*m_a, b.addr()).wait_time);
    }

    sent = fill(e, s);
    ASSERT_EQ(UCS_OK, uct_ep_pending_add(e.ep(), &requests[0].req, 0));
    EXPECT_EQ(1u, inside().ep(*m_a, b.addr()).pending);
    uct_ep_pending_purge(e.ep(), nullptr, nullptr);
    EXPECT_EQ(0u, inside().ep(*m_a, b.addr()).pending);
    EXPECT_EQ(0u, inside().peer(*m_a, b.addr()).pending);
    flush(e);
}

/* A receiver without buffers */
TEST_F(inside_test, backoff)
{
    node &b = add_node({{"RX_QUEUE_LEN", "16"}});
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(64));
    uint64_t got = 0;

    b.on_am(AM_ID, [&](void *, size_t, unsigned) {
        ++got;
        return UCS_OK;
    });
    send(e, BCOPY, AM_ID, s, 0);
    flush(e);
    uint64_t sent = 1;
    bool seen     = wait_until(
            [&]() { return inside().peer(*m_a, b.addr()).backoff != 0; },
            [&]() {
        sent += (e.send(BCOPY, AM_ID, s, sent) == UCS_OK);
        m_a->progress();
            });
    ASSERT_TRUE(seen);
    {
        inside now;
        EXPECT_NE(0u, now.peer(*m_a, b.addr()).wait_time);
        EXPECT_GT(now.peer(*m_a, b.addr()).rnr, 0u);
        EXPECT_GT(now.events(EFA_STATS_EVENT_RNR, m_first), 0u);
    }

    ASSERT_TRUE(wait([&]() { return got == sent; }));
    flush(e);
    EXPECT_TRUE(wait([&]() {
        inside now;
        return (now.peer(*m_a, b.addr()).backoff == 0) &&
               (now.peer(*m_a, b.addr()).queued == 0) &&
               (now.peer(*m_a, b.addr()).wait_time == 0);
    })) << "the pause stays for ever";
}

/* While a message is delivered, those behind it that came early are kept */
TEST_F(inside_test, gap)
{
    if (env("SOFTEFA_REORDER", "0") == "0") {
        GTEST_SKIP() << "the device keeps the order";
    }

    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(64));
    unsigned gaps = 0, timeless = 0;
    uint64_t got = 0;

    b.on_am(AM_ID, [&](void *, size_t, unsigned) {
        inside now;
        const efa_stats_peer_t &peer = now.peer(b, m_a->addr());
        gaps += peer.depth > 0;
        timeless += (peer.depth > 0) && (peer.gap_time == 0);
        ++got;
        return UCS_OK;
    });
    uint64_t sent = 0;
    bool seen     = wait_until([&]() { return gaps > 0; },
                           [&]() {
        while ((sent < got + 64) && (e.send(BCOPY, AM_ID, s, sent) == UCS_OK)) {
            ++sent;
        }
        progress();
    });
    EXPECT_TRUE(seen);
    EXPECT_EQ(0u, timeless);
    ASSERT_TRUE(wait([&]() { return got == sent; }));
    EXPECT_EQ(0u, inside().peer(b, m_a->addr()).depth);
    EXPECT_EQ(0u, inside().peer(b, m_a->addr()).gap_time);
}

/* A process that sleeps leaves no old values behind */
TEST_F(inside_test, asleep)
{
    if (!(m_a->attr().cap.event_flags & UCT_IFACE_FLAG_EVENT_FD)) {
        GTEST_SKIP() << "the device has no completion channel";
    }

    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(64));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    for (unsigned i = 0; i < 10; ++i) {
        send(e, BCOPY, AM_ID, s, i);
    }
    flush(e);
    ASSERT_TRUE(wait([&]() { return chk.count() == 10; }));
    for (node *n : {m_a, &b}) {
        ASSERT_TRUE(wait([&]() {
            return uct_iface_event_arm(n->iface(), UCT_EVENT_RECV) == UCS_OK;
        }));
    }

    inside now;
    EXPECT_EQ(1u, now.iface(b).asleep);
    EXPECT_EQ(10u, now.peer(*m_a, b.addr()).tx_msgs);
    EXPECT_EQ(10u, now.peer(*m_a, b.addr()).tx_done);
    EXPECT_EQ(10u, now.peer(b, m_a->addr()).rx_msgs);
    EXPECT_NE(0u, now.peer(*m_a, b.addr()).done_time);
    EXPECT_NE(0u, now.peer(b, m_a->addr()).rx_time);
    EXPECT_GT(now.peer(*m_a, b.addr()).window, 0u);
    EXPECT_NE(0u, now.iface(b).progress_time);

    b.progress();
    inside later;
    EXPECT_EQ(0u, later.iface(b).asleep);
    EXPECT_GT(later.iface(b).polls, now.iface(b).polls);
    EXPECT_GE(later.iface(b).progress_time, now.iface(b).progress_time);
}

/* What one-sided operations of a test go to, and come from */
struct two_pages {
    region there, here;

    explicit two_pages(std::shared_ptr<domain> dom) :
        there(dom, 4096), here(dom, 4096)
    {
    }

    void use(rma_op &op)
    {
        op.local = here.data();
        op.memh  = here.memh();
    }
};

TEST_F(inside_test, fence)
{
    node &b = add_node();
    end &e  = connect(*m_a, b);

    if (!rma_has(m_a->attr(), GET_ZCOPY)) {
        GTEST_SKIP() << "the device has no RDMA";
    }

    two_pages pages(m_dom);
    rma_op op;
    pages.use(op);
    pages.there.fill(3);
    m_b = &b;
    EXPECT_EQ(UCS_OK, run(e, op, GET_ZCOPY, 4096, 3, remote_of(pages.there)));

    rma_op next;
    pages.use(next);
    issue(e.ep(), next, GET_ZCOPY, 4096, 3, remote_of(pages.there));
    ASSERT_EQ(UCS_OK, uct_ep_fence(e.ep(), 0));
    EXPECT_EQ(1u, inside().peer(*m_a, b.addr()).fence);
    EXPECT_NE(0u, inside().peer(*m_a, b.addr()).wait_time);
    ASSERT_TRUE(wait([&]() { return next.state == rma_op::DONE; }));
    EXPECT_EQ(0u, inside().peer(*m_a, b.addr()).fence);
    EXPECT_EQ(0u, inside().peer(*m_a, b.addr()).wait_time);
}

TEST_F(inside_test, lost_and_failed)
{
    peer_proc other;
    address to = addr_of(other);
    other.call("check " + std::to_string(AM_ID) + " 1 fixed:64");
    m_ends.emplace_back(new end(*m_a, to));
    end &e = *m_ends.back();
    stream s(1, length_plan::fixed(64));

    send(e, BCOPY, AM_ID, s, 0);
    flush(e);
    ASSERT_TRUE(wait([&]() {
        return inside().peer(*m_a, to).state == EFA_STATS_PEER_JOINED;
    }));
    other.kill9();
    send(e, BCOPY, AM_ID, s, 1);

    bool lost = false;
    ASSERT_TRUE(wait([&]() {
        inside now;
        const efa_stats_peer_t &peer = now.peer(*m_a, to);
        lost = lost || ((peer.suspected == 1) && (peer.wait_time != 0));
        return peer.state == EFA_STATS_PEER_FAILED;
    }));
    EXPECT_TRUE(lost);

    inside now;
    EXPECT_EQ(1u, now.events(EFA_STATS_EVENT_PEER_SUSPECTED, m_first));
    EXPECT_GT(now.events(EFA_STATS_EVENT_TX_ERROR, m_first), 0u);
    EXPECT_EQ(1u, now.events(EFA_STATS_EVENT_PEER_FAILED, m_first));
    EXPECT_NE(0, now.peer(*m_a, to).status);
    ASSERT_TRUE(wait([&]() { return m_a->failure_count(e.ep()) == 1; }));
}

/* One endpoint fails, its peer does not */
TEST_F(inside_test, endpoint_failed)
{
    node &b = add_node();
    end &e  = connect(*m_a, b);

    if (!rma_has(m_a->attr(), GET_ZCOPY)) {
        GTEST_SKIP() << "the device has no RDMA";
    }

    two_pages pages(m_dom);
    rma_op op;
    pages.use(op);
    m_b = &b;
    issue(e.ep(), op, GET_ZCOPY, 64, 3, remote_of(pages.there).at(1ull << 40),
          false);
    ASSERT_TRUE(wait([&]() { return m_a->failure_count(e.ep()) == 1; }));

    inside now;
    auto found = now.find(EFA_STATS_EVENT_EP_FAILED, m_first);
    ASSERT_EQ(1u, found.size());
    EXPECT_EQ(0u, found[0].repeats);
    EXPECT_EQ(UCS_ERR_IO_ERROR, found[0].status);
    EXPECT_EQ(inside::qpn_of(b.addr()), found[0].qpn);
    EXPECT_EQ(0, memcmp(found[0].gid, b.addr().dev.data(), 16));
    EXPECT_EQ(now.iface(*m_a).index, found[0].iface);
    EXPECT_EQ(UCS_ERR_IO_ERROR, now.ep(*m_a, b.addr()).status);
    EXPECT_EQ(0u, now.events(EFA_STATS_EVENT_PEER_FAILED, m_first));
    e.destroy();
}

/* Somebody sends nonsense and greetings without end: each kind is recorded from
 * the first on, and what was before is still there. */
TEST_F(inside_test, flood)
{
    const unsigned count = 2 * EFA_STATS_EVENTS_NUM;
    node &b              = add_node();
    end &e               = connect(*m_a, b);
    stream s(1, length_plan::fixed(64));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    send(e, BCOPY, AM_ID, s, 0);
    ASSERT_TRUE(wait([&]() { return chk.count() == 1; }));
    flush(e);

    stranger x(m_a->dom()->device(), m_a->addr());
    auto meanwhile = [this]() { progress(); };
    auto counter   = [](const char *name) {
        for (unsigned i = 0; i < EFA_STATS_IFACE_NUM; ++i) {
            if (stats_name_iface_counter(i) == std::string(name)) {
                return i;
            }
        }
        throw std::runtime_error("no such counter");
    };
    uint32_t unknown = counter("drop_unknown"), header = counter("drop_header");
    auto dropped = [&](uint32_t drop) {
        inside now;
        return (&now.iface(*m_a).tx_msgs)[drop];
    };

    x.send("unknown", 8, uct_srd_imm_pack(x.me.epoch, AM_ID, 0, 0), true,
           meanwhile);
    ASSERT_TRUE(wait([&]() { return dropped(unknown) > 0; }));
    {
        inside now;
        auto found = now.find(EFA_STATS_EVENT_RX_DROP, m_first);
        ASSERT_EQ(1u, found.size());
        EXPECT_EQ(unknown, found[0].a);
        EXPECT_EQ(x.me.qpn, found[0].qpn);
        EXPECT_EQ(0, memcmp(x.me.gid, found[0].gid, 16));
        EXPECT_EQ(now.iface(*m_a).index, found[0].iface);
    }

    x.me.op = UCT_SRD_OP_HELLO;
    for (unsigned i = 0; i < count; ++i) {
        x.send("no header", 9,
               uct_srd_imm_pack(x.me.epoch, AM_ID, UCT_SRD_IMM_EXT, i), true,
               meanwhile);
        x.send_ext(uct_srd_imm_pack_ctl(x.me.epoch), nullptr, 0, meanwhile);
    }
    ASSERT_TRUE(wait([&]() {
        x.poll();
        inside now;
        return (dropped(header) >= count) &&
               (now.events(EFA_STATS_EVENT_CTL_RX, m_first, UCT_SRD_OP_HELLO) >=
                count);
    }));

    inside now;
    EXPECT_EQ(count, dropped(header));
    EXPECT_EQ(1u, now.events(EFA_STATS_EVENT_RX_DROP, m_first, unknown));
    EXPECT_EQ(count, now.events(EFA_STATS_EVENT_RX_DROP, m_first, header));
    auto states = now.find(EFA_STATS_EVENT_PEER_STATE, m_first,
                           EFA_STATS_PEER_NEW);
    ASSERT_FALSE(states.empty());
    EXPECT_EQ(inside::qpn_of(b.addr()), states[0].qpn);
}

/* A queue pair falls: its receives come back. In a process of its own */
HARNESS_ROLE(inside_rx_error)
{
    typedef int (*inject_t)(const char *);
    inject_t inject = (inject_t)dlsym(RTLD_DEFAULT, "softefa_inject");
    std::shared_ptr<domain> dom(new domain());
    node n(dom);
    uint64_t first = inside().last_event();
    uint32_t qpn   = inside::qpn_of(n.addr());
    uint32_t index = inside().iface(n).index;

    (void)arguments;
    if (inject(("qp_error dev=0 qp=" + std::to_string(qpn)).c_str()) != 0) {
        return "no fault";
    }
    bool back = wait_until(
            [&]() {
        return inside().events(EFA_STATS_EVENT_RECOVERED, first) > 0;
            },
            [&]() { n.progress(); });

    inside now;
    auto found = now.find(EFA_STATS_EVENT_RX_ERROR, first);
    if (!back || (inside::qpn_of(n.addr()) == qpn)) {
        return "not recovered";
    } else if ((found.size() != 1) || (found[0].repeats != 0)) {
        return std::to_string(now.events(EFA_STATS_EVENT_RX_ERROR, first)) +
               " events"; /* of some thousand receives the first alone */
    }
    return (found[0].a == 1) && (found[0].iface == index) ?
                   "shown" :
                   "status " + std::to_string(found[0].a);
}

TEST_F(inside_test, receive_error)
{
    EXPECT_EQ("shown", run_role("inside_rx_error", {"UCX_LOG_LEVEL=error"}));
}

/* More hosts than address handles */
HARNESS_ROLE(inside_evict)
{
    std::vector<std::unique_ptr<node>> nodes;
    std::set<std::vector<uint8_t>> gids;
    stream s(1, length_plan::fixed(64));
    uint64_t got = 0;

    (void)arguments;
    for (unsigned i = 0; i < 4; ++i) {
        setenv("TEST_DEV", ("efa_" + std::to_string(i) + ":1").c_str(), 1);
        nodes.emplace_back(new node(std::make_shared<domain>()));
        nodes.back()->on_am(AM_ID, [&](void *, size_t, unsigned) {
            ++got;
            return UCS_OK;
        });
    }
    for (unsigned i = 1; i < nodes.size(); ++i) {
        address to = nodes[i]->addr();
        end e(*nodes[0], to);
        bool sent = false;
        gids.insert(std::vector<uint8_t>(to.dev.begin(), to.dev.begin() + 16));
        if (!wait_until(
                    [&]() {
            sent = sent || (e.send(BCOPY, AM_ID, s, 0) == UCS_OK);
            return (got == i) && (uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK);
                    },
                    [&]() {
            for (auto &n : nodes) {
                n->progress();
            }
            })) {
            return "nothing goes to number " + std::to_string(i);
        }
    }

    inside now;
    auto found = now.find(EFA_STATS_EVENT_AH_EVICT, 0);
    for (auto &event : found) {
        if (gids.count(std::vector<uint8_t>(event.gid, event.gid + 16)) == 0) {
            return "of nobody";
        }
    }
    return found.empty() ? "none" : "shown";
}

TEST_F(inside_test, handles_given_up)
{
    EXPECT_EQ("shown", run_role("inside_evict", {"SOFTEFA_DEVICES=4",
                                                 "SOFTEFA_LIMITS=max_ah=2"}));
}

/* Two devices, one of which is reset; in a process of its own */
HARNESS_ROLE(inside_reset)
{
    typedef int (*inject_t)(const char *);
    inject_t inject = (inject_t)dlsym(RTLD_DEFAULT, "softefa_inject");
    std::shared_ptr<domain> dom[2];
    std::unique_ptr<node> n[2];
    stream s(1, length_plan::fixed(64));
    uint64_t got = 0;

    (void)arguments;
    for (unsigned i = 0; i < 2; ++i) {
        setenv("TEST_DEV", ("efa_" + std::to_string(i) + ":1").c_str(), 1);
        dom[i] = std::make_shared<domain>();
        n[i].reset(new node(dom[i]));
    }
    auto step = [&]() { /* often: not every call looks at the device */
                        for (unsigned i = 0; i < 500; ++i) {
                            n[0]->progress();
                            n[1]->progress();
                        }
    };
    end e(*n[0], n[1]->addr());
    n[1]->on_am(AM_ID, [&](void *, size_t, unsigned) {
        ++got;
        return UCS_OK;
    });
    check(e.send(BCOPY, AM_ID, s, 0), "send");
    if (!wait_until(
                [&]() {
        return (got == 1) && (inside().peer(*n[0], n[1]->addr()).state ==
                              EFA_STATS_PEER_JOINED);
                },
                step)) {
        return "no message";
    }

    uint32_t qpn    = inside::qpn_of(n[0]->addr());
    uint64_t first  = inside().last_event();
    uint32_t index  = inside().iface(*n[0]).device;
    auto mrs        = inside().objects(EFA_STATS_MR);
    bool recovering = false, blocked = false;
    if (inject("fatal dev=0") != 0) {
        return "no fault";
    }
    /* The device returns when all has been seen that is to be, not after a time */
    wait_until(
            [&]() {
        inside now;
        recovering |= now.iface(*n[0]).state == EFA_STATS_IFACE_RECOVERING;
        for (unsigned i = 0; i < now->num_peers; ++i) {
            blocked |= (now->peers[i].blocked == 1) &&
                       (now->peers[i].wait_time != 0);
        }
        return recovering && blocked;
            },
            step);
    if (inject("return dev=0") != 0) {
        return "no return";
    }
    bool back = wait_until(
            [&]() {
        inside now;
        return (now.events(EFA_STATS_EVENT_REJOINED, first) > 0) &&
               (now.events(EFA_STATS_EVENT_FOLLOWED, first) > 0);
            },
            step);

    inside now;
    const efa_stats_device_t &device = *stats_link_device(now.operator->(),
                                                          index);
    std::string text;
    text += back ? "" : "not rejoined; ";
    text += recovering ? "" : "never recovering; ";
    text += blocked ? "" : "never blocked; ";
    text += now.events(EFA_STATS_EVENT_RESET, first) == 1 ? "" : "no reset; ";
    text += now.events(EFA_STATS_EVENT_RECOVERED, first) == 1 ?
                    "" :
                    "no recovered; ";
    text += now.events(EFA_STATS_EVENT_ASYNC, first) > 0 ? "" : "no async; ";
    text += now.iface(*n[0]).state == EFA_STATS_IFACE_READY ? "" :
                                                              "not ready; ";
    text += device.generation == 1 ? "" : "generation; ";
    text += (device.qp == 1) && (device.cq == 1) && (device.pd == 1) ? "" :
                                                                       "held; ";
    for (auto &qp : now.objects(EFA_STATS_QP)) {
        text += (qp.device != index) || (qp.number != qpn) ? "" :
                                                             "old queue pair; ";
    }
    for (auto &mr : now.objects(EFA_STATS_MR)) {
        for (auto &was : mrs) {
            text += (mr.device != index) || (was.device != index) ||
                                    (mr.number != was.number) ?
                            "" :
                            "old memory; ";
        }
    }
    return text.empty() ? "all shown" : text;
}

TEST_F(inside_test, reset)
{
    EXPECT_EQ("all shown",
              run_role("inside_reset",
                       {"SOFTEFA_DEVICES=2", "UCX_SRD_RECOVERY_TIMEOUT=3600s",
                        "UCX_LOG_LEVEL=error"}));
}

/* A device that does not come back */
HARNESS_ROLE(inside_down)
{
    typedef int (*inject_t)(const char *);
    inject_t inject = (inject_t)dlsym(RTLD_DEFAULT, "softefa_inject");
    std::shared_ptr<domain> dom(new domain());
    node n(dom);
    uint64_t first = inside().last_event();

    (void)arguments;
    if (inject("fatal dev=0") != 0) {
        return "no fault";
    }
    bool down = wait_until(
            [&]() { return inside().iface(n).state == EFA_STATS_IFACE_DOWN; },
            [&]() {
        for (unsigned i = 0; i < 500; ++i) {
            n.progress();
        }
            });
    return !down ? "never down" :
           (inside().events(EFA_STATS_EVENT_GIVEN_UP, first) != 1) ?
                   "not given up" :
                   "down";
}

TEST_F(inside_test, given_up)
{
    EXPECT_EQ("down", run_role("inside_down", {"UCX_SRD_RECOVERY_TIMEOUT=100ms",
                                               "UCX_LOG_LEVEL=fatal"}));
}

TEST_F(inside_test, endpoint_left_open)
{
    std::unique_ptr<node> b(new node(m_dom));
    address to = m_a->addr();
    uct_ep_params_t params;
    uct_ep_h eps[12];

    params.field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                        UCT_EP_PARAM_FIELD_IFACE_ADDR;
    params.iface      = b->iface();
    params.dev_addr   = (const uct_device_addr_t *)to.dev.data();
    params.iface_addr = (const uct_iface_addr_t *)to.iface.data();
    for (auto &ep : eps) {
        ASSERT_EQ(UCS_OK, uct_ep_create(&params, &ep));
    }
    ASSERT_EQ(UCS_OK, uct_ep_am_short(eps[0], AM_ID, 0, nullptr, 0));

    uint64_t leaked = inside().device().leaked;
    harness::said log;
    b.reset();
    ASSERT_EQ(11u, log.lines().size()) << log.none();
    for (unsigned i = 0; i < 10; ++i) {
        EXPECT_NE(std::string::npos, log.lines()[i].find("not given back"));
        EXPECT_NE(std::string::npos, log.lines()[i].find("endpoint to fe80"));
        EXPECT_NE(std::string::npos, log.lines()[i].find("made by test_uct"))
                << log.lines()[i];
    }
    EXPECT_NE(std::string::npos, log.lines()[10].find("2 more"));

    inside now;
    EXPECT_EQ(leaked + 12, now.device().leaked);
    EXPECT_EQ(12u, now.events(EFA_STATS_EVENT_LEAK, m_first));
    EXPECT_EQ(0u, now->num_eps) << "they are closed";
}

TEST_F(inside_test, memory_left_registered)
{
    std::unique_ptr<domain> other(new domain());
    std::vector<char> memory(10000);
    uct_mem_h memh;

    ASSERT_EQ(UCS_OK, uct_md_mem_reg(other->md(), memory.data(), memory.size(),
                                     UCT_MD_MEM_ACCESS_LOCAL_READ, &memh));
    harness::said log;
    other.reset();
    EXPECT_EQ("",
              log.only({"not given back", "10000 bytes", "made by test_uct"}));
    EXPECT_EQ(1u, inside().events(EFA_STATS_EVENT_LEAK, m_first, EFA_STATS_MR));
}

/* What ucx_vfs would show */
TEST_F(inside_test, vfs)
{
    node &b = add_node();
    end &e  = connect(*m_a, b);
    stream s(1, length_plan::fixed(100));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    send(e, BCOPY, AM_ID, s, 0);
    ASSERT_TRUE(wait([&]() {
        return (chk.count() == 1) &&
               (inside().peer(*m_a, b.addr()).state == EFA_STATS_PEER_JOINED);
    }));

    auto read = [](const std::string &path) {
        ucs_string_buffer_t strb;
        ucs_string_buffer_init(&strb);
        ucs_status_t status = ucs_vfs_path_read_file(path.c_str(), &strb);
        std::string text = (status == UCS_OK) ? ucs_string_buffer_cstr(&strb) :
                                                "no file";
        ucs_string_buffer_cleanup(&strb);
        return text;
    };

    char dir[128];
    snprintf(dir, sizeof(dir), "/uct/worker/%p/iface/%p", (void *)m_a->worker(),
             (void *)m_a->iface());
    ucs_vfs_path_list_dir(
            dir, [](const char *, void *) {}, nullptr);
    std::string peers = read(dir + std::string("/peers"));
    std::string sent  = read(dir + std::string("/counters/tx_msgs"));
    EXPECT_NE(std::string::npos, peers.find(" joined ")) << peers;
    EXPECT_NE(std::string::npos,
              peers.find("/" + std::to_string(inside::qpn_of(b.addr()))));
    EXPECT_EQ("1\n", sent);
    flush(e);
}
