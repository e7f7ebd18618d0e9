/*
 * One-sided operations that must not work, and peers that go away.
 *
 *   refused by the remote side    its completion says IO_ERROR; without one its
 *   (key, bounds, access)         endpoint fails, once
 *   refused by local memory       INVALID_PARAM, in the same way
 *   key without the right         UNSUPPORTED, from the call
 *   peer gone                     every completion comes, the endpoint fails
 *
 * Nothing is written where it should not, and other endpoints, to the same
 * peer too, never notice.
 */
#include "rma_test.h"

#include "common/counters.h"

#include <infiniband/verbs.h>
#include <sstream>

using namespace uct_test;

static const uint8_t AM_ID = 13;

/* Memory registered without UCX: in a protection domain of its own, with the
 * rights of `like` */
class foreign_memory {
public:
    foreign_memory(std::string device, const remote &like) :
        m_data(4096, 0xee)
    {
        int access = IBV_ACCESS_LOCAL_WRITE, num = 0;
        struct ibv_device **list = ibv_get_device_list(&num);

        device = device.substr(0, device.find(':'));
        for (int i = 0; i < num; ++i) {
            if (device == ibv_get_device_name(list[i])) {
                m_ctx = ibv_open_device(list[i]);
            }
        }
        ibv_free_device_list(list);
        access |= (like.key >> 32) & 1 ? IBV_ACCESS_REMOTE_READ : 0;
        access |= (like.key >> 33) & 1 ? IBV_ACCESS_REMOTE_WRITE : 0;
        m_pd    = (m_ctx == nullptr) ? nullptr : ibv_alloc_pd(m_ctx);
        m_mr    = (m_pd == nullptr) ? nullptr :
                  ibv_reg_mr(m_pd, m_data.data(), m_data.size(), access);
        if (m_mr == nullptr) {
            throw std::runtime_error("no memory without UCX");
        }
        there.addr = (uintptr_t)m_data.data();
        there.key  = (like.key & ~(uct_rkey_t)UINT32_MAX) | m_mr->rkey;
    }

    ~foreign_memory()
    {
        ibv_dereg_mr(m_mr);
        ibv_dealloc_pd(m_pd);
        ibv_close_device(m_ctx);
    }

    bool is_clear() const
    {
        return m_data == std::vector<uint8_t>(m_data.size(), 0xee);
    }

    remote there;

private:
    std::vector<uint8_t> m_data;
    struct ibv_context  *m_ctx = nullptr;
    struct ibv_pd       *m_pd;
    struct ibv_mr       *m_mr;
};

static bool has_completion(rma_kind kind)
{
    return (kind != PUT_SHORT) && (kind != PUT_BCOPY);
}

class rma_errors : public rma_base {
protected:
    /* What is deregistered is to be gone, what is registered to be no more
     * than that. */
    config_map md_config() const override
    {
        return {{"RCACHE", "n"}};
    }

    void SetUp() override
    {
        rma_base::SetUp();
        if (IsSkipped()) {
            return;
        }
        m_steady = &connect(*m_a, *m_b);
        m_good.reset(new region(m_dom, 4096, 16));
        m_pool.reset(new rma_pool(m_dom, 64, 4096));
        m_to = remote_of(*m_good);
        m_b->check_am(AM_ID, &m_chk);
    }

    /* The conversation that must not be disturbed. */
    void expect_steady()
    {
        for (unsigned i = 0; i < 50; ++i) {
            send(*m_steady, BCOPY, AM_ID, m_stream, m_seq++);
        }
        for (rma_kind kind : kinds()) {
            rma_op &op    = *m_pool->get();
            size_t length = std::min<size_t>(rma_max(m_a->attr(), kind), 4096);

            m_good->fill(77);
            ASSERT_EQ(UCS_OK, run(*m_steady, op, kind, length, 77, m_to));
            EXPECT_EQ("", op.verify());
            EXPECT_EQ("", rma_verify(m_good->data(), length, 77));
            m_pool->put(&op);
        }
        flush(*m_steady);
        EXPECT_TRUE(wait([&]() { return m_chk.count() >= m_seq; }));
        expect_clean(m_chk, m_seq);
        EXPECT_EQ(0u, m_a->failure_count(m_steady->ep()));
        EXPECT_TRUE(m_b->failures.empty());
        EXPECT_EQ("", m_good->red());
        EXPECT_EQ("", m_pool->complaints());
    }

    /* An operation that comes back with this status; its endpoint lives on or,
     * if nobody could be told otherwise, has failed. */
    void expect_refused(rma_kind kind, size_t length, const remote &to,
                        ucs_status_t expected, uct_mem_h memh = nullptr)
    {
        end    &e           = connect(*m_a, *m_b);
        rma_op &op          = *m_pool->get();
        uct_mem_h own       = op.memh;
        ucs_status_t status = UCS_ERR_NO_RESOURCE;

        op.memh = memh ? memh : own;
        wait([&]() {
            status = op.issue(e.ep(), kind, length, 5, to);
            return status != UCS_ERR_NO_RESOURCE;
        });
        op.memh = own;
        ASSERT_EQ(UCS_OK, status) << ucs_status_string(status);
        if (has_completion(kind)) {
            ASSERT_TRUE(wait([&]() { return op.state == rma_op::DONE; }));
            EXPECT_EQ(expected, op.status) << rma_names[kind] << ": "
                                           << ucs_status_string(op.status);
            EXPECT_EQ(0u, m_a->failure_count(e.ep()));
            if (is_get(kind)) {
                EXPECT_EQ(std::string(length, (char)0xee),
                          std::string((char*)op.local, length));
            }
            /* It lives on. */
            m_good->fill(3);
            EXPECT_EQ(UCS_OK, run(e, op, kind, 64, 3, m_to));
            EXPECT_EQ("", op.verify());
            EXPECT_EQ(0u, m_a->failure_count(e.ep()));
        } else {
            EXPECT_TRUE(wait([&]() {
                return m_a->failure_count(e.ep()) > 0;
            })) << rma_names[kind];
            for (unsigned i = 0; i < 200; ++i) {
                progress();
            }
            EXPECT_EQ(1u, m_a->failure_count(e.ep()));
            EXPECT_EQ(expected, m_a->failures.back().status);
            status = op.issue(e.ep(), kind, 8, 5, m_to);
            EXPECT_TRUE(UCS_STATUS_IS_ERR(status) &&
                        (status != UCS_ERR_NO_RESOURCE));
            EXPECT_TRUE(UCS_STATUS_IS_ERR(e.send(BCOPY, AM_ID, m_stream, 0)));
        }
        EXPECT_EQ("", op.promises);
        m_pool->put(&op);
        e.destroy();
        m_a->failures.clear();
        EXPECT_EQ("", m_good->red());
    }

    std::unique_ptr<region>   m_good;
    std::unique_ptr<rma_pool> m_pool;
    remote                    m_to;
    end                      *m_steady = nullptr;
    stream                    m_stream{21, length_plan::random(8, 1500)};
    checker                   m_chk{m_stream};
    uint64_t                  m_seq = 0;
};

/* Keys that were never given out, of other memory, and old ones. */
TEST_F(rma_errors, wrong_key)
{
    region other(m_dom, 4096);
    std::unique_ptr<region> old(new region(m_dom, 4096));
    std::vector<uint8_t> old_key = old->key(), packed = m_good->key();
    remote to_old = remote_of(*old);

    for (rma_kind kind : kinds()) {
        for (unsigned bit : {0u, 17u, 18u, 31u}) {
            expect_refused(kind, 64, {m_to.addr, m_to.key ^ (1u << bit)},
                           UCS_ERR_IO_ERROR);
        }
        expect_refused(kind, 64, {m_to.addr, remote_of(other).key},
                       UCS_ERR_IO_ERROR);
    }
    EXPECT_TRUE(other.is_clear());
    old->dereg();
    for (rma_kind kind : kinds()) {
        expect_refused(kind, 64, to_old, UCS_ERR_IO_ERROR);
    }
    EXPECT_TRUE(old->is_clear());
    expect_steady();
}

TEST_F(rma_errors, out_of_bounds)
{
    const uint64_t far = 1ull << 40;

    for (rma_kind kind : kinds()) {
        for (uint64_t addr : {m_to.addr - 1, m_to.addr + 4096 - 63,
                              m_to.addr + 4096, m_to.addr + far,
                              m_to.addr - far, (uint64_t)1, UINT64_MAX - 100}) {
            expect_refused(kind, 64, {addr, m_to.key}, UCS_ERR_IO_ERROR);
        }
    }
    EXPECT_TRUE(m_good->red().empty());
    expect_steady();
}

/* Beginning inside and ending outside: not a byte of it is written. */
TEST_F(rma_errors, across_the_end)
{
    for (rma_kind kind : kinds()) {
        size_t length = std::min<size_t>(rma_max(m_a->attr(), kind), 4096);
        region small(m_dom, 64 * 1024);
        remote to = remote_of(small);

        if (!is_get(kind)) {
            small.clear();
        }
        for (size_t outside : {(size_t)1, length / 2, length - 1}) {
            expect_refused(kind, length,
                           to.at(small.length() - length + outside),
                           UCS_ERR_IO_ERROR);
            expect_refused(kind, length, {to.addr - outside, to.key},
                           UCS_ERR_IO_ERROR);
        }
        EXPECT_EQ("", small.red());
        EXPECT_TRUE(small.is_clear());
    }
    expect_steady();
}

/* Memory of the same process, but of another protection domain: all memory
 * domains of a device share one, so it is of nobody that UCX knows. */
TEST_F(rma_errors, foreign_domain)
{
    foreign_memory foreign(m_dom->device(), m_to);

    for (rma_kind kind : kinds()) {
        expect_refused(kind, 64, foreign.there, UCS_ERR_IO_ERROR);
    }
    EXPECT_TRUE(foreign.is_clear());
    expect_steady();
}

/* The user's own memory is not what it is said to be. */
TEST_F(rma_errors, local_memory)
{
    region elsewhere(m_dom, 4096);

    for (rma_kind kind : {PUT_ZCOPY, GET_ZCOPY}) {
        if (has(kind)) {
            expect_refused(kind, 64, m_to, UCS_ERR_INVALID_PARAM,
                           elsewhere.memh());
        }
    }
    EXPECT_TRUE(elsewhere.is_clear());
    expect_steady();
}

/* Memory that was registered without the right: said at once. Before UCX 1.17
 * whoever asks for any access gets all; only locked memory is for messages. */
TEST_F(rma_errors, no_right)
{
    region for_messages(m_dom, 4096, 0,
                        UCT_MD_MEM_ACCESS_LOCAL_READ |
                                UCT_MD_MEM_ACCESS_LOCAL_WRITE |
                                UCT_MD_MEM_FLAG_LOCK);
    region read_only(m_dom, 4096, 0,
                     UCT_MD_MEM_ACCESS_REMOTE_GET |
                             UCT_MD_MEM_ACCESS_LOCAL_WRITE);
    region write_only(m_dom, 4096, 0,
                      UCT_MD_MEM_ACCESS_REMOTE_PUT |
                              UCT_MD_MEM_ACCESS_LOCAL_WRITE);

    for (rma_kind kind : kinds()) {
        rma_op &op                   = *m_pool->get();
        region &right                = is_get(kind) ? read_only : write_only;
        std::vector<region *> wrongs = {&for_messages};

#if UCT_API >= UCT_VERSION(1, 17)
        wrongs.push_back(is_get(kind) ? &write_only : &read_only);
#endif
        for (region *wrong : wrongs) {
            remote to = remote_of(*wrong);
            ASSERT_EQ(UCS_ERR_UNSUPPORTED,
                      op.issue(m_end->ep(), kind, 64, 1, to))
                    << rma_names[kind];
        }
        right.fill(1);
        EXPECT_EQ(UCS_OK, run(*m_end, op, kind, 64, 1, remote_of(right)));
        m_pool->put(&op);
    }
    EXPECT_TRUE(for_messages.is_clear());
    expect_steady();
    expect_promises();
}

/* Many wrong ones among right ones: each gets its own answer. */
TEST_F(rma_errors, among_good_ones)
{
    const uint64_t count = scaled(3000);
    std::vector<rma_kind> all;
    uint64_t issued = 0, done = 0;

    for (rma_kind kind : kinds()) {
        if (has_completion(kind)) {
            all.push_back(kind);
        }
    }
    m_good->fill(1);
    EXPECT_TRUE(wait([&]() {
        rma_op *op;
        while ((issued < count) && ((op = m_pool->get()) != nullptr)) {
            /* The seed says what is to come. */
            remote to     = m_to;
            rma_kind kind = all[mix64(issued) % all.size()];
            uint64_t seed = (mix64(issued + 3) % 4 == 0) ? 2 : 1;
            to.key ^= (seed == 2) ? (1u << 20) : 0;
            ucs_status_t status = op->issue(m_end->ep(), kind, 64, seed, to);
            if (status == UCS_ERR_NO_RESOURCE) {
                m_pool->put(op);
                break;
            }
            check(status, "issue");
            ++issued;
        }
        for (rma_op &o : m_pool->ops()) {
            if (o.state == rma_op::DONE) {
                EXPECT_EQ((o.seed == 2) ? UCS_ERR_IO_ERROR : UCS_OK, o.status);
                if (o.seed == 1) {
                    EXPECT_EQ("", o.verify());
                }
                m_pool->put(&o);
                ++done;
            }
        }
        return done == count;
    }));
    EXPECT_EQ("", rma_verify(m_good->data(), 64, 1));
    expect_steady();
    expect_promises();
}

/* The memory is deregistered while operations on it are under way: each of
 * them is done or refused, and afterwards nobody writes to it. */
TEST_F(rma_errors, deregistered_in_flight)
{
    for (unsigned round = 0; round < scaled(50); ++round) {
        region target(m_dom, 64 * 4096);
        remote to = remote_of(target);
        std::vector<rma_op *> ops;
        rma_op *op;

        while ((op = m_pool->get()) != nullptr) {
            std::vector<rma_kind> all = kinds();
            rma_kind kind             = all.back();
            for (rma_kind k : all) {
                if (has_completion(k) && (mix64(round + ops.size()) & 1)) {
                    kind = k;
                }
            }
            ucs_status_t status = op->issue(m_end->ep(), kind, 4096, 9,
                                            to.at(ops.size() * 4096));
            if (status == UCS_ERR_NO_RESOURCE) {
                m_pool->put(op);
                break;
            }
            check(status, "issue");
            ops.push_back(op);
        }
        for (unsigned i = 0; i < round % 5; ++i) {
            m_a->progress();
        }
        target.dereg();
        std::vector<uint8_t> before(target.data(),
                                    target.data() + target.length());
        EXPECT_TRUE(wait([&]() {
            for (rma_op *o : ops) {
                if (o->state != rma_op::DONE) {
                    return false;
                }
            }
            return true;
        }));
        EXPECT_EQ(0, memcmp(before.data(), target.data(), before.size()));
        for (rma_op *o : ops) {
            EXPECT_TRUE((o->status == UCS_OK) ||
                        (o->status == UCS_ERR_IO_ERROR))
                    << ucs_status_string(o->status);
            m_pool->put(o);
        }
        EXPECT_EQ("", target.red());
    }
    expect_steady();
    expect_promises();
}

/* ---- peers that are not there ---- */

class rma_peers : public rma_errors,
                  public ::testing::WithParamInterface<int> {
protected:
    void SetUp() override
    {
        rma_errors::SetUp();
        m_kind = (rma_kind)GetParam();
        if (!IsSkipped() && !has(m_kind)) {
            GTEST_SKIP() << "no " << rma_names[m_kind];
        }
    }

    end &connect_to(const address &addr)
    {
        m_ends.emplace_back(new end(*m_a, addr));
        return *m_ends.back();
    }

    /* Keeps the transport busy with operations until the endpoint fails; all
     * completions come. */
    void until_failed(end &e, const remote &to, size_t length)
    {
        rma_pool pool(m_dom, 300, length);
        unsigned failed = 0;

        EXPECT_TRUE(wait([&]() {
            rma_op *op;
            while ((op = pool.get()) != nullptr) {
                if (op->issue(e.ep(), m_kind, length, 7, to) != UCS_OK) {
                    pool.put(op);
                    break;
                }
            }
            for (rma_op &o : pool.ops()) {
                if (o.state == rma_op::DONE) {
                    failed += (o.status != UCS_OK);
                    EXPECT_TRUE((o.status != UCS_OK) || o.verify().empty());
                    pool.put(&o);
                }
            }
            return m_a->failure_count(e.ep()) > 0;
        }));
        EXPECT_TRUE(wait([&]() { return pool.busy() == 0; }));
        for (rma_op &o : pool.ops()) {
            failed += (o.state == rma_op::DONE) && (o.status != UCS_OK);
        }
        if (has_completion(m_kind)) {
            EXPECT_GT(failed, 0u);
        }
        for (unsigned i = 0; i < 200; ++i) {
            progress();
        }
        EXPECT_EQ(1u, m_a->failure_count(e.ep()));
        rma_op &op          = *pool.ops().begin();
        op.state            = rma_op::IDLE;
        ucs_status_t status = op.issue(e.ep(), m_kind, 8, 7, to);
        EXPECT_TRUE(UCS_STATUS_IS_ERR(status) &&
                    (status != UCS_ERR_NO_RESOURCE))
                << ucs_status_string(status);
        status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_CANCEL, nullptr);
        EXPECT_NE(UCS_ERR_NO_RESOURCE, status);
        e.destroy();
        EXPECT_EQ("", pool.complaints());
        m_a->failures.clear();
    }

    rma_kind m_kind;
};

INSTANTIATE_TEST_SUITE_P(
        kinds, rma_peers, ::testing::Range(0, (int)RMA_LAST),
        [](const ::testing::TestParamInfo<int> &info) {
            return std::string(rma_names[info.param]);
        });

TEST_P(rma_peers, killed)
{
    size_t length = std::min<size_t>(rma_max(m_a->attr(), m_kind), 20000);
    rma_pool pool(m_dom, 100, length);

    for (bool joined : {true, false}) {
        peer_proc peer;
        end &e    = connect_to(address::parse(peer.call("addr")));
        remote to = region_of(peer, length, 7);

        if (joined) {
            ASSERT_EQ(UCS_OK, run(e, *pool.get(), m_kind, length, 7, to));
            for (unsigned i = 0; i < 50; ++i) {
                rma_op *op = pool.get();
                if (op->issue(e.ep(), m_kind, length, 7, to) != UCS_OK) {
                    break;
                }
            }
        }
        peer.kill9();
        until_failed(e, to, length);
        EXPECT_TRUE(wait([&]() { return pool.busy() == 0; }));
        expect_steady();
    }
    EXPECT_EQ("", pool.complaints());
}

/* The process that issues is killed, again and again: its target, and who
 * else talks to it, go on. */
TEST_P(rma_peers, initiator_killed)
{
    size_t length = std::min<size_t>(rma_max(m_a->attr(), m_kind), 20000);
    region target(m_dom, length);

    for (unsigned round = 0; round < 5; ++round) {
        peer_proc peer;

        target.fill(7);
        peer.call("connect " + m_a->addr().text());
        peer.call("rma 0 " + std::string(rma_names[m_kind]) + " " +
                          std::to_string(target.addr()) + " " +
                          to_hex(target.key()) + " " + std::to_string(length) +
                          " 7 10",
                  [this]() { progress(); });
        peer.post("rma 0 " + std::string(rma_names[m_kind]) + " " +
                  std::to_string(target.addr()) + " " + to_hex(target.key()) +
                  " " + std::to_string(length) + " 7 1000000000");
        for (unsigned i = 0; i < 2000; ++i) {
            progress();
        }
        peer.kill9();
        EXPECT_EQ("", rma_verify(target.data(), length, 7));
        expect_steady();
        EXPECT_EQ("", target.red());
    }
}

/* Held until the handshake, which never comes. */
TEST_P(rma_peers, unreachable)
{
    for (unsigned kind = 0; kind < 2; ++kind) {
        address addr = m_b->addr().nobody(kind == 0);
        std::unique_ptr<end> e;
        try {
            e.reset(new end(*m_a, addr));
        } catch (const std::runtime_error &) {
            continue; /* known at once, fine as well */
        }
        m_ends.push_back(std::move(e));
        until_failed(*m_ends.back(), m_to, 64);
        expect_steady();
    }
}

/* An interface is closed with operations that were held or are under way. */
TEST_P(rma_peers, iface_closed)
{
    for (unsigned steps : {0u, 3u, 30u}) {
        std::unique_ptr<node> c(new node(m_dom));
        std::unique_ptr<end> e(new end(*c, m_b->addr()));
        region target(m_dom, 4096);
        rma_pool pool(m_dom, 100, 64);
        remote to = remote_of(target);

        for (unsigned i = 0; i < 100; ++i) {
            rma_op *op = pool.get();
            if (op->issue(e->ep(), m_kind, 64, 1, to) != UCS_OK) {
                break;
            }
        }
        for (unsigned i = 0; i < steps; ++i) {
            c->progress();
            progress();
        }
        e->destroy();
        c.reset();
        EXPECT_EQ(0u, pool.busy());
        EXPECT_EQ("", pool.complaints());
        EXPECT_EQ("", target.red());
    }
    expect_steady();
}

/* ---- an AH table that is too small ---- */

/* One hub and more devices around it than it can have address handles for: it
 * gives up some, so that their operations meet status 14, and all of them get
 * through, mixed with messages that must keep their order. */
static std::string evict(const std::string &arguments)
{
    const unsigned leaves = 7;
    const size_t length   = 4000;
    std::istringstream in(arguments);
    std::string kind_name, how;

    in >> kind_name >> how;
    rma_kind kind = rma_kind_of(kind_name);
    bool asked    = (how == "asked"); /* without source GIDs: never status 14 */
    setenv("TEST_DEV", "", 1);
    std::shared_ptr<domain> hub_dom = std::make_shared<domain>();
    std::vector<std::string> errors;
    node hub(hub_dom);
    region target(hub_dom, leaves * length);
    struct leaf {
        std::shared_ptr<domain>   dom;
        std::unique_ptr<node>     n;
        std::unique_ptr<end>      out;  /* leaf to hub */
        std::unique_ptr<end>      back; /* hub to leaf */
        std::unique_ptr<rkey>     key;
        std::unique_ptr<rma_pool> pool;
        stream                    s, r;
        checker                   chk, replies;
        uint64_t                  sent = 0, answered = 0, issued = 0, done = 0;
    };
    std::deque<leaf> all(leaves);
    uint64_t rounds = scaled(60), turn = 0;
    std::string text;

    for (unsigned i = 0; i < leaves; ++i) {
        leaf &l = all[i];
        setenv("TEST_DEV", ("efa_" + std::to_string(i + 1) + ":1").c_str(), 1);
        l.dom.reset(new domain());
        l.n.reset(new node(l.dom));
        l.out.reset(new end(*l.n, hub.addr()));
        l.back.reset(new end(hub, l.n->addr()));
        l.key.reset(new rkey(l.dom, target.key()));
        l.pool.reset(new rma_pool(l.dom, 4, length));
        l.s       = stream(i, length_plan::random(8, 300));
        l.r       = stream(100 + i, length_plan::random(8, 300));
        l.chk     = checker(l.s);
        l.replies = checker(l.r);
        l.n->check_am(AM_ID, &l.replies);
        rma_fill(target.data() + i * length, length, 50 + i);
    }
    hub.on_am(AM_ID, [&](void *data, size_t len, unsigned) {
        uint64_t word;
        memcpy(&word, data, 8);
        all.at(word >> stream::SEQ_BITS).chk.take(data, len);
        return UCS_OK;
    });

    auto step = [&]() {
        hub.progress();
        for (leaf &l : all) {
            l.n->progress();
        }
    };
    auto taken = [&](ucs_status_t status, const char *what) {
        if ((status != UCS_OK) && (status != UCS_ERR_NO_RESOURCE)) {
            errors.push_back(std::string(what) + ": " +
                             ucs_status_string(status));
        }
        return status == UCS_OK;
    };
    bool ended = wait_until(
            [&]() {
        if (!errors.empty()) {
            return true;
        }
        for (const leaf &l : all) {
            if ((l.done < rounds) || (l.chk.count() < rounds) ||
                (l.replies.count() < rounds)) {
                return false;
            }
        }
        if (counter(asked ? "ah_evict" : "rdma_handshake") == 0) {
            rounds += 20; /* nobody has met what this is about */
            return false;
        }
        return true;
            },
            [&]() {
        /* Few at a time, by chance, so that one that nobody has talked to for
         * long is given up, and then comes back. */
        for (unsigned i = 0; i < leaves; ++i) {
            leaf &l = all[i];
            if (mix64(++turn) % leaves > 1) {
                step();
                continue;
            }
            if ((l.sent < rounds) && (l.sent <= l.done)) {
                l.sent += taken(l.out->send(BCOPY, AM_ID, l.s, l.sent), "am");
            }
            rma_op *op;
            if ((l.issued < rounds) && ((op = l.pool->get()) != nullptr)) {
                size_t len = std::min(length, rma_max(l.n->attr(), kind));
                if (taken(op->issue(l.out->ep(), kind, len, 50 + i,
                                    {target.addr() + i * length, l.key->get()}),
                          kind_name.c_str())) {
                    ++l.issued;
                } else {
                    l.pool->put(op);
                }
            }
            if ((l.answered < rounds) && (l.answered < l.chk.count())) {
                l.answered += taken(l.back->send(BCOPY, AM_ID, l.r, l.answered),
                                    "answer");
            }
            for (rma_op &o : l.pool->ops()) {
                if (o.state == rma_op::DONE) {
                    if ((o.status != UCS_OK) || !o.verify().empty()) {
                        errors.push_back(std::string("leaf ") +
                                         std::to_string(i) + ": " +
                                         ucs_status_string(o.status) +
                                         o.verify());
                    }
                    l.pool->put(&o);
                    ++l.done;
                }
            }
            for (unsigned k = 0; k < 20; ++k) {
                step();
            }
        }
    });
    if (!ended) {
        text += "does not end, operations that met a handle given up: " +
                std::to_string(counter("rdma_handshake")) +
                ", given up: " + std::to_string(counter("ah_evict")) + "; ";
        for (const leaf &l : all) {
            text += std::to_string(l.done) + " operations, " +
                    std::to_string(l.chk.count()) + " messages, " +
                    std::to_string(l.replies.count()) + " answers; ";
        }
    }
    for (unsigned i = 0; i < leaves; ++i) {
        leaf &l = all[i];
        wait_until(
                [&]() {
            return uct_ep_flush(l.out->ep(), 0, nullptr) == UCS_OK;
                },
                step);
        text += l.chk.text() + l.replies.text() + l.pool->complaints();
        text += rma_verify(target.data() + i * length,
                           std::min(length, rma_max(l.n->attr(), kind)),
                           50 + i);
        if (!l.n->failures.empty()) {
            text += "leaf " + std::to_string(i) + " failed; ";
        }
    }
    for (const std::string &error : errors) {
        text += error + "; ";
    }
    if (!hub.failures.empty()) {
        text += "hub failed; ";
    }
    text += target.red();
    for (leaf &l : all) {
        l.out.reset();
        l.back.reset();
    }
    return text;
}

HARNESS_ROLE(evict)
{
    return evict(arguments);
}

TEST_F(rma_errors, responder_gives_up_handles)
{
    for (rma_kind kind : kinds()) {
        EXPECT_EQ("",
                  run_role(std::string("evict ") + rma_names[kind],
                           {"SOFTEFA_DEVICES=8", "SOFTEFA_LIMITS=max_ah=3"}));
    }
}
