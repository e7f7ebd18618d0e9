/*
 * Many peers, and bad ones among them.
 *
 *   short-lived ones    records, segment entries, memory stay as they are
 *   dead ones           each endpoint is told once, with the right status, and
 *                       one line names who, why and what to do
 *   a QPN given again   its new owner gets nothing that was for the old one
 *   one that is stuck   the others do not notice, it loses nothing
 *
 * The numbers are small by default. TEST_PEERS=100000 and TEST_RECEIVERS=100
 * are the full ones; TEST_RATES=N prints N pairs of rates, without and with the
 * stuck one, interleaved (no test judges by them).
 */
#include "rma_test.h"

#include "common/counters.h"
#include "common/said.h"
#include "tools/reader/stats_reader.h"

#include <chrono>
#include <infiniband/efadv.h>
#include <malloc.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 21;

/* Small queues: it is about peers, not about what they send */
const config_map small = {{"TX_QUEUE_LEN", "64"}, {"RX_QUEUE_LEN", "64"}};

/* Those that die are many */
const config_map hasty = {{"GONE_TIMEOUT", "2ms"}, {"RECOVERY_TIMEOUT", "20ms"}};

/* ---- this process' segment ---- */

struct segment_peer {
    std::string state;
    uint32_t    qpn;
    uint64_t    tx_msgs, tx_done, rnr;
};

std::vector<segment_peer> segment_peers()
{
    static const char *const names[] = {"tx_msgs", "tx_done", "rnr"};
    std::vector<segment_peer> peers;
    std::string path;
    char error[256];
    stats_segment_t segment;

    stats_find(
            getpid(),
            [](const char *found, void *arg) {
        *static_cast<std::string *>(arg) = found;
            },
            &path);
    if (stats_read(path.c_str(), &segment, error, sizeof(error)) != 0) {
        throw std::runtime_error(error);
    }
    stats_entry_t entry;
    size_t pos = 0;
    while (stats_entry_next(&segment, EFA_STATS_PEER, &pos, &entry)) {
        segment_peer p           = {entry.state, entry.qpn, 0, 0, 0};
        uint64_t *const values[] = {&p.tx_msgs, &p.tx_done, &p.rnr};
        for (unsigned i = 0; i < entry.num_counters; ++i) {
            for (unsigned k = 0; k < 3; ++k) {
                if (std::string(names[k]) == stats_name_peer_counter(i)) {
                    *values[k] = entry.counters[i];
                }
            }
        }
        peers.push_back(p);
    }
    stats_free(&segment);
    return peers;
}

uint64_t living_peers()
{
    return counter("peers") - counter("peers_gone");
}

class many_test : public uct_base {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "counts what only srd has";
        }
        uct_base::SetUp();
        m_a = &add_node(hasty);
        m_b = &add_node();
        m_b->check_am(AM_ID, &m_chk);
        m_steady = &connect(*m_a, *m_b);
    }

    /* The conversation that must not be disturbed. */
    void steady(unsigned count)
    {
        for (unsigned i = 0; i < count; ++i) {
            send(*m_steady, BCOPY, AM_ID, m_stream, m_seq++);
        }
    }

    void expect_steady()
    {
        steady(200);
        flush(*m_steady);
        EXPECT_TRUE(wait([&]() { return m_chk.count() >= m_seq; }));
        expect_clean(m_chk, m_seq);
        EXPECT_EQ(0u, m_a->failure_count(m_steady->ep()));
        EXPECT_TRUE(m_b->failures.empty());
    }

    stream   m_stream{21, length_plan::random(8, 300)};
    checker  m_chk{m_stream};
    uint64_t m_seq = 0;
    node    *m_a, *m_b;
    end     *m_steady;
};

} // namespace

/* ---- short-lived peers ---- */

/* Interfaces come and go, each with a QP of its own, and talk to one that
 * stays, in four ways; what it holds afterwards is what it held before. */
TEST_F(many_test, short_lived)
{
    uint64_t count  = env_u64("TEST_PEERS", scaled(1000));
    size_t resident = 0, records = 0;
    unsigned fds = 0, mappings = 0;
    uint64_t got = 0, sent = 0, told = 0, living = 0;

    m_a->on_am(AM_ID + 1, [&](void *, size_t, unsigned) {
        ++got;
        return UCS_OK;
    });

    for (uint64_t i = 0; i < count; ++i) {
        bool to_us = (i % 4) != 1, from_us = (i % 4) != 0, abrupt = i % 4 == 3;
        stream s(2, length_plan::random(8, 200));
        checker chk(s);
        std::unique_ptr<node> n(new node(m_dom, small));
        std::unique_ptr<end> in, out;
        auto step = [&]() {
            progress();
            if (n) {
                n->progress();
            }
        };
        auto talk = [&](end &e, uint8_t id, uint64_t seq) {
            ucs_status_t status = UCS_OK;
            ASSERT_TRUE(wait_until(
                    [&]() {
                status = e.send((seq & 1) ? SHORT : BCOPY, id, s, seq);
                return status != UCS_ERR_NO_RESOURCE;
                    },
                    step));
            ASSERT_EQ(UCS_OK, status);
        };

        n->check_am(AM_ID + 1, &chk);
        if (to_us) {
            in.reset(new end(*n, m_a->addr()));
            talk(*in, AM_ID + 1, 0);
            talk(*in, AM_ID + 1, 1);
            sent += 2;
        }
        if (from_us) {
            out.reset(new end(*m_a, n->addr()));
            talk(*out, AM_ID + 1, 0);
            talk(*out, AM_ID + 1, 1);
        }
        ASSERT_TRUE(wait_until(
                [&]() {
            return (got == sent) && (chk.count() == 2 * from_us) &&
                   (!in || (uct_ep_flush(in->ep(), 0, nullptr) == UCS_OK)) &&
                   (!out || (uct_ep_flush(out->ep(), 0, nullptr) == UCS_OK));
                },
                step))
                << i;
        EXPECT_EQ(0u, chk.errors()) << chk.text();
        in.reset();
        if (abrupt) {
            /* It is gone before our endpoint is, which hears of it once */
            said lines;
            uct_ep_h ep = out->ep();
            n.reset();
            ASSERT_TRUE(wait_until(
                    [&]() {
                out->send(BCOPY, AM_ID + 1, s, 2);
                return m_a->failure_count(ep) > 0;
                    },
                    step));
            EXPECT_EQ(1u, m_a->failures.size());
            EXPECT_EQ(UCS_ERR_ENDPOINT_TIMEOUT, m_a->failures.back().status);
            m_a->failures.clear();
            ++told;
        }
        out.reset();
        n.reset();
        steady(1);

        if (i == count / 10) {
            ASSERT_TRUE(wait([&]() { return living_peers() <= 3; }));
            malloc_trim(0);
            resident = resident_bytes();
            records  = segment_peers().size();
            fds      = count_fds();
            mappings = count_mappings();
            living   = living_peers();
        }
    }

    /* What said goodbye and waits for an answer gets one or a status */
    EXPECT_TRUE(wait([&]() { return living_peers() <= living; }));
    malloc_trim(0);
    printf("%lu peers: resident %zu -> %zu KiB, peer records of the segment "
           "%zu -> %zu, peers %lu -> %lu, made %lu, failed %lu, address "
           "handles made %lu\n",
           (unsigned long)count, resident / 1024, resident_bytes() / 1024,
           records, segment_peers().size(), (unsigned long)living,
           (unsigned long)living_peers(), (unsigned long)counter("peers"),
           (unsigned long)counter("peers_failed"),
           (unsigned long)counter("ah_create"));
    EXPECT_GE(counter("peers"), count);
    EXPECT_GE(counter("peers_failed"), told);
    EXPECT_LE(living_peers(), living);
    EXPECT_LE(segment_peers().size(), records);
    EXPECT_LE(resident_bytes(), resident + (1 << 20));
    EXPECT_EQ(fds, count_fds());
    EXPECT_LE(count_mappings(), mappings);
    expect_steady();
}

/* ---- dead peers ---- */

class dead_test : public many_test {
protected:
    /* Sends into the void on two endpoints until both have been told; each is
     * told once, with this status, and one line has these words. */
    void expect_dead(const address &addr, ucs_status_t status,
                     const std::vector<std::string> &words)
    {
        said lines;
        end &e1 = *m_ends.emplace(m_ends.end(), new end(*m_a, addr))->get();
        end &e2 = *m_ends.emplace(m_ends.end(), new end(*m_a, addr))->get();

        ASSERT_TRUE(wait([&]() {
            e1.send(BCOPY, AM_ID, m_stream, 0);
            steady(1);
            return (m_a->failure_count(e1.ep()) > 0) &&
                   (m_a->failure_count(e2.ep()) > 0);
        }));
        EXPECT_EQ("", lines.only(words));
        for (end *e : {&e1, &e2}) {
            ucs_status_t refused = e->send(BCOPY, AM_ID, m_stream, 0);
            EXPECT_EQ(status, refused) << ucs_status_string(refused);
        }
        for (unsigned i = 0; i < 100; ++i) {
            steady(1);
        }
        for (end *e : {&e1, &e2}) {
            EXPECT_EQ(1u, m_a->failure_count(e->ep()));
            e->destroy();
        }
        for (const node::failure &f : m_a->failures) {
            EXPECT_EQ(status, f.status) << ucs_status_string(f.status);
        }
        m_a->failures.clear();
        expect_steady();
        EXPECT_EQ("", lines.none());
    }

    static std::string qpn_of(const address &addr)
    {
        return "/" + std::to_string(addr.iface[0] | (addr.iface[1] << 8)) + ":";
    }
};

/* The process was killed: its kernel has closed its queue pair. */
TEST_F(dead_test, killed)
{
    peer_proc peer;
    address addr = addr_of(peer);

    end e(*m_a, addr);
    peer.call("check 21 21 random:8:300");
    send(e, BCOPY, AM_ID, m_stream, 0);
    flush(e);
    e.destroy();
    peer.kill9();
    expect_dead(addr, UCS_ERR_ENDPOINT_TIMEOUT,
                {"srd: ", " -> ", qpn_of(addr), "queue pair does not exist",
                 "the remote process has exited", "look at its output"});
}

/* No device has this address, or none that lets us in. */
TEST_F(dead_test, unreachable)
{
    address addr = m_b->addr().nobody(true);

    expect_dead(addr, UCS_ERR_UNREACHABLE,
                {"srd: ", " -> ", qpn_of(addr), "never answered",
                 "security group"});
}

/* It answered, and then its host was gone: no process has that device open. */
static std::string unplugged()
{
    std::string text;
    std::unique_ptr<peer_proc> far(new peer_proc({"TEST_DEV=efa_1:1"}));
    address addr = addr_of(*far);
    node a(std::make_shared<domain>(), hasty);
    end e(a, addr);
    stream s(4);
    said lines;
    flush_comp comp;

    far->call("check 21 4 fixed:8");
    wait_until([&]() { return e.send(BCOPY, AM_ID, s, 0) == UCS_OK; },
               [&]() { a.progress(); });
    far->call("wait 21 1", [&]() { a.progress(); });
    wait_until([&]() { return uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK; },
               [&]() { a.progress(); });
    far->kill9();
    wait_until([&]() { return e.send(BCOPY, AM_ID, s, 1) != UCS_OK; },
               [&]() {});
    ucs_status_t status = uct_ep_flush(e.ep(), 0, &comp.comp);
    if (!wait_until([&]() { return !a.failures.empty(); },
                    [&]() { a.progress(); })) {
        return "never told";
    }
    for (unsigned i = 0; i < 1000; ++i) {
        a.progress();
    }
    if ((a.failures.size() != 1) ||
        (a.failures[0].status != UCS_ERR_ENDPOINT_TIMEOUT)) {
        text += "told " + std::to_string(a.failures.size()) +
                " times: " + ucs_status_string(a.failures[0].status) + "; ";
    }
    if ((status == UCS_INPROGRESS) && (comp.calls != 1)) {
        text += "the flush ends " + std::to_string(comp.calls) + " times; ";
    }
    return text + lines.only({" -> ", "answered before and does no longer",
                              "the remote host is down"});
}

HARNESS_ROLE(unplugged)
{
    (void)arguments;
    return unplugged();
}

TEST_F(dead_test, unplugged)
{
    EXPECT_EQ("", run_role("unplugged", {"SOFTEFA_DEVICES=2"}));
}

/* ---- a queue pair number that was given to somebody else ---- */

/* Makes and destroys queue pairs until all numbers were given out once: they
 * are given out in turn, from 32768 on, and have no other bits to change. */
static void spend_numbers()
{
    int num;
    struct ibv_device **list = ibv_get_device_list(&num);
    struct ibv_context *ctx  = ibv_open_device(list[0]);
    struct ibv_pd *pd        = ibv_alloc_pd(ctx);
    struct ibv_cq *cq        = ibv_create_cq(ctx, 16, nullptr, nullptr, 0);
    uint32_t last            = 0;

    for (unsigned i = 0; (i < 65536) && (last != 65535); ++i) {
        struct ibv_qp_init_attr attr = {};
        attr.send_cq = attr.recv_cq = cq;
        attr.cap.max_send_wr = attr.cap.max_recv_wr = 1;
        attr.cap.max_send_sge = attr.cap.max_recv_sge = 1;
        attr.qp_type                                  = IBV_QPT_DRIVER;
        struct ibv_qp *qp = efadv_create_driver_qp(pd, &attr,
                                                   EFADV_QP_DRIVER_TYPE_SRD);
        last              = qp->qp_num;
        ibv_destroy_qp(qp);
    }
    ibv_destroy_cq(cq);
    ibv_dealloc_pd(pd);
    ibv_close_device(ctx);
    ibv_free_device_list(list);
}

/* One that we talk to, and then somebody else with its number */
class inherited {
public:
    inherited(std::shared_ptr<domain> dom, node &a) :
        m_dom(dom), m_a(a), m_old(new node(dom)), m_was(m_old->addr()),
        m_end(new end(a, m_was))
    {
        m_old->check_am(AM_ID, &m_chk);
        push(*m_end, m_s, m_seq, 20);
        wait_until([&]() {
            return (m_chk.count() == m_seq) &&
                   (uct_ep_flush(m_end->ep(), 0, nullptr) == UCS_OK);
        }, step());
    }

    void close()
    {
        m_old.reset();
    }

    std::string check(bool speaks)
    {
        node fresh(m_dom);
        address is       = fresh.addr();
        uint64_t foreign = 0, none = 0;
        checker strange(m_t), heard(m_t);
        std::unique_ptr<end> back;
        std::string text;
        said lines;

        if (!std::equal(is.iface.begin(), is.iface.begin() + 2,
                        m_was.iface.begin())) {
            return "not the same number: " + m_was.text() + " " + is.text();
        }
        m_now = &fresh;
        m_a.failures.clear();
        fresh.on_am(AM_ID, [&](void*, size_t, unsigned) {
            ++foreign;
            return UCS_OK;
        });
        m_a.check_am(AM_ID, &heard);
        if (speaks) {
            /* We hear from the new owner before we notice */
            back.reset(new end(fresh, m_a.addr()));
            push(*back, m_t, none, 20);
            wait_until([&]() { return heard.count() == 20; }, step());
        }
        bool told = wait_until([&]() {
            m_end->send(BCOPY, AM_ID, m_s, m_seq++);
            return !m_a.failures.empty();
        }, step());
        for (unsigned i = 0; i < 1000; ++i) {
            step()();
        }
        ucs_status_t expected = speaks ? UCS_ERR_CONNECTION_RESET :
                                         UCS_ERR_ENDPOINT_TIMEOUT;
        if (!told || (m_a.failures.size() != 1) ||
            (m_a.failures[0].status != expected)) {
            text += "told " + std::to_string(m_a.failures.size()) +
                    " times: " + (told ? ucs_status_string(
                                                 m_a.failures[0].status) :
                                         "") + "; ";
        }
        text += lines.only({" -> ", speaks ? "belongs to another interface now" :
                                             "queue pair does not exist"});
        if (foreign > 0) {
            text += std::to_string(foreign) + " messages for the old one; ";
        }

        /* The new one is a peer like any other */
        fresh.check_am(AM_ID, &strange);
        end to(m_a, is);
        none = 0;
        push(to, m_t, none, 20);
        if (!wait_until([&]() {
                return (strange.count() == 20) &&
                       (uct_ep_flush(to.ep(), 0, nullptr) == UCS_OK);
            }, step())) {
            text += "the new one is not reached; ";
        }
        text += strange.text() + heard.text() + lines.none();
        to.destroy();
        m_end.reset();
        back.reset();
        m_now = nullptr;
        return text;
    }

private:
    std::function<void()> step()
    {
        return [this]() {
            m_a.progress();
            if (m_old) {
                m_old->progress();
            }
            if (m_now != nullptr) {
                m_now->progress();
            }
        };
    }

    void push(end &e, const stream &s, uint64_t &seq, unsigned count)
    {
        for (unsigned i = 0; i < count; ++i, ++seq) {
            wait_until([&]() { return e.send(BCOPY, AM_ID, s, seq) == UCS_OK; },
                       step());
        }
    }

    std::shared_ptr<domain> m_dom;
    node                   &m_a;
    std::unique_ptr<node>   m_old;
    node                   *m_now = nullptr;
    address                 m_was;
    std::unique_ptr<end>    m_end;
    stream                  m_s{4, length_plan::random(8, 100)};
    stream                  m_t{5, length_plan::random(8, 100)};
    checker                 m_chk{m_s};
    uint64_t                m_seq = 0;
};

HARNESS_ROLE(stranger)
{
    (void)arguments;
    auto dom = std::make_shared<domain>();
    node a(dom, hasty);
    inherited silent(dom, a), speaks(dom, a);

    silent.close();
    speaks.close();
    spend_numbers();
    std::string text = silent.check(false);
    return text + speaks.check(true);
}

TEST_F(dead_test, number_given_to_a_stranger)
{
    if (env("VARIANT", "plain") != "plain") {
        GTEST_SKIP() << "makes 32768 queue pairs";
    }
    EXPECT_EQ("", run_role("stranger", {"SOFTEFA_LIMITS=max_qp=32768"}));
}

/* ---- one that is stuck ---- */

class stuck_test : public many_test {
protected:
    struct receiver {
        node    *n;
        end     *e;
        checker  chk;
        uint64_t seq = 0;
    };

    void make_others()
    {
        unsigned count = env_u64("TEST_RECEIVERS", 16) - 1;

        m_others.resize(count);
        for (unsigned i = 0; i < count; ++i) {
            receiver &r = m_others[i];
            r.n   = &add_node(small);
            r.e   = &connect(*m_a, *r.n);
            r.chk = checker(others_stream(i));
            r.n->check_am(AM_ID, &r.chk);
        }
    }

    static stream others_stream(unsigned i)
    {
        return stream(100 + i, length_plan::random(8, 200));
    }

    /* One message to each of the others, and tries to the stuck one between */
    void round(end *stuck, uint64_t *seq)
    {
        for (unsigned i = 0; i < m_others.size(); ++i) {
            send(*m_others[i].e, BCOPY, AM_ID, others_stream(i),
                 m_others[i].seq++);
            if (stuck != nullptr) {
                *seq += (stuck->send(BCOPY, AM_ID, m_stream, *seq) == UCS_OK);
            }
        }
        progress();
    }

    bool others_have_all()
    {
        return wait([&]() {
            for (const receiver &r : m_others) {
                if (r.chk.count() < r.seq) {
                    return false;
                }
            }
            return true;
        });
    }

    double rate(unsigned rounds)
    {
        auto start = std::chrono::steady_clock::now();
        for (unsigned i = 0; i < rounds; ++i) {
            round(nullptr, nullptr);
        }
        others_have_all();
        std::chrono::duration<double> time =
                std::chrono::steady_clock::now() - start;
        return rounds * m_others.size() / time.count();
    }

    /* e leads to somebody who takes nothing */
    void expect_harmless(end &e, uint64_t &seq, uint32_t qpn)
    {
        fill(e, seq);
        for (unsigned i = 0; i < scaled(500); ++i) {
            round(&e, &seq);
        }
        EXPECT_TRUE(others_have_all());
        EXPECT_LE(seq, +limit) << "it was not stuck";
        EXPECT_TRUE(m_a->failures.empty());
        for (unsigned i = 0; i < m_others.size(); ++i) {
            expect_clean(m_others[i].chk, m_others[i].seq);
        }

        /* Seen from outside: joined, messages under way, no buffers there */
        std::ostringstream seen;
        bool shown = wait([&]() {
            round(&e, &seq);
            seen.str("");
            for (const segment_peer &p : segment_peers()) {
                if (p.qpn != qpn) {
                    continue;
                }
                seen << p.state << ", " << p.rnr << " RNR, " << p.tx_done
                     << " of " << p.tx_msgs << " of " << seq << " messages; ";
                if ((p.state == "joined") && (p.rnr > 0) &&
                    (p.tx_msgs != p.tx_done) && (p.tx_msgs == seq)) {
                    return true;
                }
            }
            return false;
        });
        EXPECT_TRUE(shown) << "in the segment: " << seen.str();
    }

    /* What it has room for, and a segment: far below what is tried */
    static const uint64_t limit = 1024;

    /* Until it takes no more: nothing accepted for a while */
    void fill(end &e, uint64_t &seq)
    {
        for (unsigned idle = 0; idle < 2000;) {
            ucs_status_t status = e.send(BCOPY, AM_ID, m_stream, seq);
            idle = (status == UCS_OK) ? 0 : (idle + 1);
            seq += (status == UCS_OK);
            ASSERT_TRUE((status == UCS_OK) ||
                        (status == UCS_ERR_NO_RESOURCE));
            ASSERT_LE(seq % 100000, 50000u) << "it takes more and more";
            progress();
        }
    }

    /* Has it answered our HELLO? What it has taken says nothing of that. */
    static bool is_joined(uint32_t qpn)
    {
        for (const segment_peer &p : segment_peers()) {
            if ((p.qpn == qpn) && (p.state == "joined")) {
                return true;
            }
        }
        return false;
    }

    static uint32_t qpn_of(const address &addr)
    {
        return addr.iface[0] | (addr.iface[1] << 8);
    }

    std::deque<receiver> m_others;
};

/* It exists and does not progress: its receive queue is full. */
TEST_F(stuck_test, without_progress)
{
    node n(m_dom);
    checker chk(m_stream);
    uint64_t seq = 0;

    n.check_am(AM_ID, &chk);
    end e(*m_a, n.addr());
    make_others();
    auto some = [&](unsigned count) {
        auto step = [&]() {
            progress();
            n.progress();
        };
        for (unsigned i = 0; i < count; ++i, ++seq) {
            ASSERT_TRUE(wait_until(
                    [&]() {
                return e.send(BCOPY, AM_ID, m_stream, seq) == UCS_OK;
                    },
                    step));
        }
        EXPECT_TRUE(wait_until(
                [&]() {
            return (chk.count() == seq) && is_joined(qpn_of(n.addr())) &&
                   (uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK);
                },
                step));
    };
    some(1);
    expect_harmless(e, seq, qpn_of(n.addr()));
    some(100);
    expect_clean(chk, seq);
    for (unsigned i = 0; i < env_u64("TEST_RATES", 0); ++i) {
        double idle = rate(2000);
        fill(e, seq);
        uint64_t resent = counter("retransmit");
        double stuck    = rate(2000);
        resent          = counter("retransmit") - resent;
        printf("messages/s to the %zu others: %.0f, with one stuck %.0f, "
               "ratio %.3f, %lu of its messages sent again\n",
               m_others.size(), idle, stuck, stuck / idle,
               (unsigned long)resent);
        some(1);
    }
    e.destroy();
}

/* Its process is stopped. */
TEST_F(stuck_test, stopped)
{
    peer_proc peer;
    uint64_t seq = 0;
    int status;

    peer.call("check 21 21 random:8:300");
    address addr = addr_of(peer);
    end e(*m_a, addr);
    make_others();
    send(e, BCOPY, AM_ID, m_stream, seq++);
    peer.call("wait 21 1", [this]() { progress(); });
    flush(e);
    ASSERT_TRUE(wait([&]() { return is_joined(qpn_of(addr)); }));
    ASSERT_EQ(0, kill(peer.pid(), SIGSTOP));
    ASSERT_EQ(peer.pid(), waitpid(peer.pid(), &status, WUNTRACED));
    expect_harmless(e, seq, qpn_of(addr));

    ASSERT_EQ(0, kill(peer.pid(), SIGCONT));
    for (unsigned i = 0; i < 100; ++i) {
        send(e, BCOPY, AM_ID, m_stream, seq++);
    }
    EXPECT_EQ(std::to_string(seq) + " 0 ",
              peer.call("wait 21 " + std::to_string(seq),
                        [this]() { progress(); }));
    flush(e);
    EXPECT_TRUE(m_a->failures.empty());
    e.destroy();
}
