/*
 * The fault matrix: each fault of the device (docs/soft-efa.md, "Faults") meets
 * each operation of the transport, and every message is accounted for.
 *
 *   cell   a process with two devices, an interface on each; the fault befalls
 *          the first one's, or what it sends, while it does the operation
 *   done   arrived, whole and in order; or completed
 *   again  sent, asked or posted again by the transport
 *   failed refused, or given up together with the endpoint, by a status
 *   lost, twice, order, bytes, hung    must be 0
 *
 * By default each fault meets two operations, in turn. TEST_MATRIX=full is the
 * whole of it, with more messages, and prints the table of docs/reliability.md
 * (contrib/reliability.sh); TEST_CELL=text: cells whose "fault/operation" has it.
 */
#include "rma_test.h"

#include "common/counters.h"
#include "common/said.h"

#include <dlfcn.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 5;

/* ---- what befalls ---- */

struct fault_t {
    const char *name;
    const char *plan;      /* SOFTEFA_FAULTS of the process */
    const char *order;     /* given in the middle, softefa_inject() */
};

const fault_t faults[] = {
    {"none", "", ""},
    {"REMOTE_ABORT", "status code=8 p=0.01", ""},
    {"REMOTE_QPN", "status code=9 p=0.01", ""},
    {"REMOTE_STATUS", "status code=12 p=0.02", ""},
    {"UNRESPONSIVE", "status code=13 p=0.02", ""},
    {"UNREACHABLE", "status code=15 p=0.01", ""},
    /* An operation that meets more than RETRY_COUNT in a row fails, a message
     * does not. */
    {"RNR storms", "rnr op=send burst=20 every=100; "
                   "rnr op=read burst=5 every=100; "
                   "rnr op=write burst=5 every=100", ""},
    {"delays", "delay us=200 dist=exp p=0.1", ""},
    {"delivered twice", "duplicate p=0.05", ""},
    {"reordering", "reorder depth=64", ""},
    {"all of these", "status code=13 p=0.01; status code=9 p=0.005; "
                     "rnr burst=5 every=200; delay us=100 dist=exp p=0.05; "
                     "duplicate p=0.02; reorder depth=16", ""},
    {"link pauses", "pause every=200 for=5ms", ""},
    {"unresponsive for 50 ms", "unresponsive peer=1 after=50 count=1 for=50ms",
     ""},
    {"unreachable for ever", "unreachable peer=1 after=100", ""},
    {"registration fails", "fail cmd=reg_mr errno=ENOMEM every=4", ""},
    {"AH creation fails", "fail cmd=create_ah errno=ENOMEM every=2", ""},
    {"queue pair creation fails", "fail cmd=create_qp errno=ENOMEM every=3", ""},
    {"device dies, returns", "", "fatal dev=0 return=20ms"},
    {"remote device dies, returns", "", "fatal dev=1 return=20ms"},
    {"device dies for ever", "", "fatal dev=0"},
    {"queue pair error", "", "qp_error dev=0"},
    {"remote queue pair error", "", "qp_error dev=1"}
};

const unsigned num_faults = sizeof(faults) / sizeof(faults[0]);

/* ---- what is done ---- */

enum op_t { OP_SHORT, OP_BCOPY, OP_ZCOPY, OP_PUT, OP_GET, OP_FLUSH, OP_CONNECT,
            OP_CLOSE, OP_LAST };

const char *const op_names[OP_LAST] = {
    "am_short", "am_bcopy", "am_zcopy", "put", "get", "flush", "connect",
    "close"
};

/* ---- accounts ---- */

struct account {
    uint64_t injected = 0, done = 0, again = 0, failed = 0, lost = 0,
             twice = 0, order = 0, bytes = 0, hung = 0;
    std::map<std::string, uint64_t> statuses;

    void fail(const std::string &status, uint64_t count)
    {
        if (count > 0) {
            failed           += count;
            statuses[status] += count;
        }
    }

    void add(const account &other)
    {
        injected += other.injected;
        done     += other.done;
        again    += other.again;
        failed   += other.failed;
        lost     += other.lost;
        twice    += other.twice;
        order    += other.order;
        bytes    += other.bytes;
        hung     += other.hung;
        for (const auto &kv : other.statuses) {
            statuses[kv.first] += kv.second;
        }
    }

    std::string text() const
    {
        std::ostringstream out;
        out << injected << ' ' << done << ' ' << again << ' ' << failed << ' '
            << lost << ' ' << twice << ' ' << order << ' ' << bytes << ' '
            << hung;
        for (const auto &kv : statuses) {
            out << '|' << kv.first << '=' << kv.second;
        }
        return out.str();
    }

    explicit account(const std::string &text = "0 0 0 0 0 0 0 0 0")
    {
        std::istringstream in(text);
        std::string rest, item;
        in >> injected >> done >> again >> failed >> lost >> twice >> order >>
                bytes >> hung;
        std::getline(in, item, '|');
        while (std::getline(in, item, '|')) {
            size_t equals = item.rfind('=');
            statuses[item.substr(0, equals)] = atoll(item.c_str() + equals + 1);
        }
    }

    std::string row(const std::string &fault, const std::string &op) const
    {
        std::ostringstream out;
        out << "| " << fault << " | " << op << " | " << injected << " | "
            << done << " | " << again << " | " << failed;
        const char *separator = " (";
        for (const auto &kv : statuses) {
            out << separator << kv.first;
            separator = ", ";
        }
        out << (statuses.empty() ? "" : ")") << " | " << lost << " | "
            << twice << " | " << order << " | " << bytes << " | " << hung
            << " |";
        return out.str();
    }

    bool clean() const
    {
        return (lost + twice + order + bytes + hung) == 0;
    }
};

/* ---- one cell, in a process of its own ---- */

class cell {
public:
    cell(const fault_t &fault, op_t op, uint64_t count) :
        m_fault(fault), m_op(op), m_count(count)
    {
        *(void**)&m_inject = dlsym(RTLD_DEFAULT, "softefa_inject");
        *(void**)&m_faults = dlsym(RTLD_DEFAULT, "softefa_fault_count");
    }

    account run()
    {
        said lines;

        m_dom_a = opened<std::shared_ptr<domain>>([]() {
            setenv("TEST_DEV", "efa_0:1", 1);
            return std::make_shared<domain>();
        });
        m_dom_b = opened<std::shared_ptr<domain>>([]() {
            setenv("TEST_DEV", "efa_1:1", 1);
            return std::make_shared<domain>();
        });
        if (m_dom_a && m_dom_b) {
            m_b = open(m_dom_b);
            m_a = open(m_dom_a);
        }
        if (m_a && m_b) {
            operate();
            count_retries();
        }
        m_a.reset();
        m_b.reset();
        m_dom_a.reset();
        m_dom_b.reset();
        for (unsigned rule = 1; (m_faults != nullptr) && (rule <= 8); ++rule) {
            m_all.injected += m_faults(rule);
        }
        return m_all;
    }

private:
    /* Tries for a while; what was refused, with whatever status, is one. */
    template <typename T> T opened(const std::function<T()> &func)
    {
        std::string text;
        T made;

        for (unsigned i = 0; (i < 400) && !made; ++i) {
            try {
                made = func();
            } catch (const std::runtime_error &e) {
                text = e.what();
                usleep(5000);
                if (m_a && m_b) {
                    step();
                }
            }
        }
        if (!text.empty()) {
            size_t colon = text.rfind(": ");
            m_all.fail(text.substr((colon == std::string::npos) ?
                                           0 : (colon + 2)), 1);
        }
        return made;
    }

    std::unique_ptr<node> open(std::shared_ptr<domain> dom)
    {
        return opened<std::unique_ptr<node>>([&]() {
            return std::unique_ptr<node>(new node(dom));
        });
    }

    void step()
    {
        m_a->progress();
        m_b->progress();
        if (m_c) {
            m_c->progress();
        }
    }

    bool wait(const std::function<bool()> &done)
    {
        return wait_until(done, [this]() { step(); });
    }

    void order_at(uint64_t i)
    {
        if ((i == m_count / 3) && (m_fault.order[0] != '\0') && !m_ordered) {
            std::string order = m_fault.order;
            m_ordered         = true;
            if (order.find("qp_error") == 0) {
                node &n = (order.find("dev=0") == std::string::npos) ? *m_b :
                                                                        *m_a;
                std::vector<uint8_t> addr = n.addr().iface;
                order += " qp=" + std::to_string(addr[0] | (addr[1] << 8));
            }
            if ((m_inject != nullptr) && (m_inject(order.c_str()) == 0)) {
                ++m_all.injected;
            }
        }
    }

    void count_retries()
    {
        for (const char *name : {"retransmit", "hello_retry", "rdma_handshake",
                                 "rejoined", "rekeys"}) {
            m_all.again += counter(name);
        }
    }

    /* What of a stream arrives, judged one by one */
    void listen(node &n, const stream &s)
    {
        m_next = 0;
        n.on_am(AM_ID, [this, s](void *data, size_t length, unsigned) {
            uint64_t word = 0;
            memcpy(&word, data, std::min<size_t>(8, length));
            uint64_t seq = word & ((1ull << stream::SEQ_BITS) - 1);
            if ((word >> stream::SEQ_BITS) != s.src()) {
                return UCS_OK; /* of an earlier conversation */
            }
            if (seq < m_next) {
                ++m_all.twice;
            } else if (seq > m_next) {
                ++m_all.order;
            } else if (!s.verify(data, length, seq).empty()) {
                ++m_all.bytes;
            }
            m_next = std::max(m_next, seq + 1);
            return UCS_OK;
        });
    }

    std::string status_of(const end &e, ucs_status_t dflt) const
    {
        for (const node::failure &f : m_a->failures) {
            if (f.ep == e.ep()) {
                return ucs_status_string(f.status);
            }
        }
        return (dflt == UCS_ERR_LAST) ? "said by the call" :
                                        ucs_status_string(dflt);
    }

    bool is_dead(const end &e) const
    {
        return m_a->failure_count(e.ep()) > 0;
    }

    /* Sends one; false: the endpoint has failed, or stands still. */
    bool send(end &e, send_kind kind, const stream &s, uint64_t seq)
    {
        ucs_status_t status = UCS_ERR_NO_RESOURCE;

        if (!wait([&]() {
                status = e.send(kind, AM_ID, s, seq);
                return (status != UCS_ERR_NO_RESOURCE) || is_dead(e);
            })) {
            ++m_all.hung;
        }
        return status == UCS_OK;
    }

    /* All that was accepted arrives, or is lost with its endpoint */
    void settle(end &e, uint64_t accepted)
    {
        bool done = wait([&]() {
            return ((m_next >= accepted) && (e.zcopy_busy() == 0)) ||
                   is_dead(e);
        });
        if (!done) {
            ++m_all.hung;
        }
        for (unsigned i = 0; i < 2000; ++i) {
            step();
        }
        uint64_t arrived = std::min(m_next, accepted);
        m_all.done += arrived;
        if (is_dead(e)) {
            m_all.fail(status_of(e, UCS_OK), accepted - arrived);
            if (!wait([&]() { return e.zcopy_busy() == 0; })) {
                ++m_all.hung;
            }
        } else {
            m_all.lost += accepted - arrived;
        }
        if (m_a->failure_count(e.ep()) > 1) {
            ++m_all.twice;
        }
        m_all.bytes += !e.promises().empty();
    }

    void messages(send_kind kind)
    {
        stream s(1, length_plan::random(8, (kind == SHORT) ? 150 : 2000));
        end e(*m_a, m_b->addr());
        uint64_t seq = 0;

        listen(*m_b, s);
        for (; (seq < m_count) && send(e, kind, s, seq); ++seq) {
            order_at(seq);
            if ((seq % 16) == 0) {
                step();
            }
        }
        if (seq < m_count) {
            m_all.fail(status_of(e, UCS_ERR_LAST), m_count - seq);
        }
        settle(e, seq);
    }

    void flushes()
    {
        stream s(2, length_plan::random(8, 300));
        end e(*m_a, m_b->addr());

        listen(*m_b, s);
        uint64_t i;
        for (i = 0; (i < m_count / 4) && send(e, BCOPY, s, i); ++i) {
            flush_comp comp;
            ucs_status_t status;
            if (!wait([&]() {
                    status = uct_ep_flush(e.ep(), 0, &comp.comp);
                    return status != UCS_ERR_NO_RESOURCE;
                }) || ((status == UCS_INPROGRESS) &&
                       !wait([&]() { return comp.calls > 0; }))) {
                ++m_all.hung;
                break;
            }
            if (status == UCS_INPROGRESS) {
                status = comp.status;
            }
            m_all.twice += (comp.calls > 1);
            if (status != UCS_OK) {
                m_all.fail(ucs_status_string(status), 1);
                break;
            }
            /* Flushed: the receiver has it without the sender's doing */
            if (!wait_until([&]() { return m_next > i; },
                            [&]() { m_b->progress(); })) {
                ++m_all.lost;
            }
            order_at(4 * i);
        }
        settle(e, i);
    }

    void rma(rma_kind kind)
    {
        const size_t length = 3000;
        std::unique_ptr<region> there;
        std::unique_ptr<rma_pool> pool;

        there = opened<std::unique_ptr<region>>([&]() {
            return std::unique_ptr<region>(new region(m_dom_b, length));
        });
        pool = opened<std::unique_ptr<rma_pool>>([&]() {
            return std::unique_ptr<rma_pool>(new rma_pool(m_dom_a, 8, length));
        });
        if (!there || !pool) {
            return;
        }
        there->fill(9);
        rkey key(m_dom_b, there->key());
        end e(*m_a, m_b->addr());
        uint64_t issued = 0, ended = 0;
        bool stopped    = false;

        bool all = wait([&]() {
            rma_op *op;
            while (!stopped && (issued < m_count / 2) &&
                   ((op = pool->get()) != nullptr)) {
                ucs_status_t status = op->issue(e.ep(), kind, length, 9,
                                                {there->addr(), key.get()});
                if (status != UCS_OK) {
                    pool->put(op);
                    if (status != UCS_ERR_NO_RESOURCE) {
                        stopped = true;
                        m_all.fail(ucs_status_string(status),
                                   m_count / 2 - issued);
                    }
                    break;
                }
                order_at(2 * issued++);
            }
            for (rma_op &op : pool->ops()) {
                if (op.state != rma_op::DONE) {
                    continue;
                }
                ++ended;
                if (op.status != UCS_OK) {
                    m_all.fail(ucs_status_string(op.status), 1);
                } else {
                    ++m_all.done;
                    m_all.bytes += !op.verify().empty();
                }
                pool->put(&op);
            }
            return (ended == issued) && (stopped || (issued == m_count / 2));
        });
        m_all.hung  += !all;
        m_all.bytes += !pool->complaints().empty();
        if (!is_get(kind)) {
            m_all.bytes += !rma_verify(there->data(), length, 9).empty();
        }
        m_all.bytes += !there->red().empty();
    }

    /* New interfaces, each the first to say something */
    void connects()
    {
        for (uint64_t i = 0; i < m_count / 20; ++i) {
            stream s(100 + i, length_plan::random(8, 300));
            m_c = open(m_dom_b);
            if (!m_c) {
                return;
            }
            listen(*m_c, s);
            m_a->failures.clear(); /* the next endpoint may lie where one was */
            {
                end e(*m_a, m_c->addr());
                uint64_t seq = 0;
                for (; (seq < 3) && send(e, BCOPY, s, seq); ++seq) {
                }
                if (seq < 3) {
                    m_all.fail(status_of(e, UCS_ERR_LAST), 3 - seq);
                }
                settle(e, seq);
            }
            m_c.reset();
            order_at(20 * i);
        }
    }

    /* Interfaces close with messages under way to them and from them */
    void closes()
    {
        for (uint64_t i = 0; i < m_count / 20; ++i) {
            stream s(100 + i, length_plan::random(8, 300));
            m_c = open(m_dom_a);
            if (!m_c) {
                return;
            }
            listen(*m_b, s);
            {
                end e(*m_c, m_b->addr()), to(*m_a, m_c->addr());
                uint64_t seq = 0;
                for (unsigned k = 0; k < 5; ++k) {
                    seq += (e.send(BCOPY, AM_ID, s, seq) == UCS_OK);
                    to.send(BCOPY, AM_ID + 1, s, k);
                    step();
                }
                order_at(20 * i);
            }
            m_c.reset(); /* returns: within CLOSE_TIMEOUT */
            ++m_all.done;
            for (unsigned k = 0; k < 100; ++k) {
                step();
            }
        }
    }

    void operate()
    {
        m_a->on_am(AM_ID + 1, [](void*, size_t, unsigned) { return UCS_OK; });
        switch (m_op) {
        case OP_SHORT:
            return messages(SHORT);
        case OP_BCOPY:
            return messages(BCOPY);
        case OP_ZCOPY:
            return messages(ZCOPY);
        case OP_PUT:
            return rma_has(m_a->attr(), PUT_ZCOPY) ? rma(PUT_ZCOPY) : void();
        case OP_GET:
            return rma_has(m_a->attr(), GET_ZCOPY) ? rma(GET_ZCOPY) : void();
        case OP_FLUSH:
            return flushes();
        case OP_CONNECT:
            return connects();
        default:
            return closes();
        }
    }

    const fault_t          &m_fault;
    op_t                    m_op;
    uint64_t                m_count;
    int                   (*m_inject)(const char *spec);
    uint64_t              (*m_faults)(unsigned rule);
    bool                    m_ordered = false;
    account                 m_all;
    std::shared_ptr<domain> m_dom_a, m_dom_b;
    std::unique_ptr<node>   m_a, m_b, m_c;
    uint64_t                m_next = 0;
};

} // namespace

HARNESS_ROLE(matrix)
{
    std::istringstream in(arguments);
    unsigned fault, op;
    uint64_t count;

    in >> fault >> op >> count;
    return cell(faults[fault], (op_t)op, count).run().text();
}

TEST(matrix_test, every_fault_meets_every_operation)
{
    bool full        = (env("TEST_MATRIX", "") == "full");
    uint64_t count   = full ? 3000 : scaled(300);
    std::string only = env("TEST_CELL", "");
    account sum;

    if (!is_srd()) {
        GTEST_SKIP();
    }
    printf("| fault | operation | injected | done | again | failed | lost | "
           "twice | order | bytes | hung |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (unsigned f = 0; f < num_faults; ++f) {
        if ((faults[f].plan[0] != '\0') &&
            (dlsym(RTLD_DEFAULT, "softefa_fault_count") == nullptr)) {
            continue;
        }
        for (unsigned op = 0; op < OP_LAST; ++op) {
            if ((!full && ((op + f) % (OP_LAST / 2) != 0)) ||
                ((std::string(faults[f].name) + "/" + op_names[op])
                         .find(only) == std::string::npos)) {
                continue;
            }
            std::vector<std::string> variables = {"SOFTEFA_DEVICES=2"};
            if (faults[f].plan[0] != '\0') {
                variables.push_back(std::string("SOFTEFA_FAULTS=") +
                                    faults[f].plan);
            }
            account a;
            try {
                a = account(run_role("matrix " + std::to_string(f) + " " +
                                             std::to_string(op) + " " +
                                             std::to_string(count),
                                     variables));
            } catch (const std::runtime_error &e) {
                ADD_FAILURE() << faults[f].name << ": " << e.what();
                ++a.hung;
            }
            if ((op == OP_PUT) && (a.done + a.failed == 0)) {
                continue; /* libefa has no RDMA write */
            }
            EXPECT_TRUE(a.clean()) << a.row(faults[f].name, op_names[op]);
            printf("%s\n", a.row(faults[f].name, op_names[op]).c_str());
            fflush(stdout);
            sum.add(a);
        }
    }
    sum.statuses.clear();
    printf("%s\n", sum.row("**all**", "").c_str());
}
