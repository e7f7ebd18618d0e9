/*
 * Packet lines (srd_trace.h) and the tracer of active messages: each packet has
 * its line with what it carries, the tracer is shown each message as it is, and
 * without UCX_LOG_LEVEL=data there is neither. In processes of their own, as
 * the level of a UCX without "data" counts when an interface is opened.
 */
#include "rma_test.h"
#include "stranger.h"

#include <arpa/inet.h>
#include <cstdarg>
#include <mutex>
#include <sstream>

extern "C" {
#include <ucs/debug/log_def.h>
}

using namespace uct_test;

namespace {

const uint8_t AM_ID = 7;
const char *const QUIET = "UCX_LOG_FILE=/dev/null";

/* Lines of packets, as long as it lives; of all that is logged */
class packet_lines {
public:
    packet_lines()
    {
        g_self = this;
        ucs_log_push_handler(listen);
    }

    ~packet_lines()
    {
        ucs_log_pop_handler();
        g_self = nullptr;
    }

    /* How many have all these words */
    size_t count(const std::vector<std::string> &words) const
    {
        return std::count_if(m_lines.begin(), m_lines.end(),
                             [&](const std::string &line) {
            return std::all_of(words.begin(), words.end(),
                               [&](const std::string &word) {
                return line.find(word) != std::string::npos;
            });
        });
    }

    size_t size() const { return m_lines.size(); }

private:
    static ucs_log_func_rc_t listen(const char *, unsigned, const char *,
                                    ucs_log_level_t,
                                    const ucs_log_component_config_t *,
                                    const char *format, va_list ap)
    {
        char line[2048];

        vsnprintf(line, sizeof(line), format, ap);
        if (!strncmp(line, "srd: SEND ", 10) ||
            !strncmp(line, "srd: RECV ", 10)) {
            std::lock_guard<std::mutex> guard(g_self->m_lock);
            g_self->m_lines.push_back(line);
        }
        return UCS_LOG_FUNC_RC_STOP;
    }

    static packet_lines *g_self;

    std::mutex               m_lock;
    std::vector<std::string> m_lines;
};

packet_lines *packet_lines::g_self;

/* "fe80::1/5", as a line has it */
std::string name_of(node &n)
{
    address addr = n.addr();
    uct_srd_iface_addr_t iface;
    char gid[INET6_ADDRSTRLEN];

    uct_srd_iface_addr_unpack(addr.iface.data(), &iface);
    inet_ntop(AF_INET6, addr.dev.data(), gid, sizeof(gid));
    return std::string(gid) + "/" + std::to_string(iface.qpn);
}

struct traced {
    stream      s;
    uint64_t    send = 0, recv = 0, dropped = 0;
    std::string text;
};

/* Of a message that is as it was sent, its number */
void tracer(void *arg, uct_am_trace_type_t type, uint8_t id, const void *data,
            size_t length, char *buffer, size_t max)
{
    traced *t    = static_cast<traced *>(arg);
    uint64_t seq = 0;

    memcpy(&seq, data, std::min(length, sizeof(seq)));
    seq &= (1ull << stream::SEQ_BITS) - 1;
    t->text += t->s.verify(data, length, seq);
    t->text += (id == AM_ID) ? "" : "another id\n";
    t->send += (type == UCT_AM_TRACE_TYPE_SEND);
    t->recv += (type == UCT_AM_TRACE_TYPE_RECV);
    t->dropped += (type == UCT_AM_TRACE_TYPE_RECV_DROP);
    snprintf(buffer, max, "message %lu.", (unsigned long)seq);
}

class trace_run {
public:
    explicit trace_run(uint64_t count) :
        m_dom(std::make_shared<domain>()), m_a(m_dom), m_b(m_dom),
        m_end(new end(m_a, m_b.addr())), m_count(count)
    {
        m_traced.s = stream(1, length_plan::random(8, 8000));
        m_short    = stream(1, length_plan::random(8, 192));
        m_there    = name_of(m_a) + " -> " + name_of(m_b);
        m_back     = name_of(m_b) + " <- " + name_of(m_a);
        for (node *n : {&m_a, &m_b}) {
            check(uct_iface_set_am_tracer(n->iface(), tracer, &m_traced),
                  "uct_iface_set_am_tracer");
        }
    }

    void messages(send_kind kind)
    {
        if ((kind == SHORT) || (kind == SHORT_IOV)) {
            m_traced.s = m_short;
        }

        checker chk(m_traced.s);

        m_b.check_am(AM_ID, &chk);
        for (uint64_t seq = 0; seq < m_count; ++seq) {
            ucs_status_t status = UCS_ERR_NO_RESOURCE;

            wait([&]() {
                status = m_end->send(kind, AM_ID, m_traced.s, seq);
                return status != UCS_ERR_NO_RESOURCE;
            });
            check(status, "send");
        }
        wait([&]() {
            return (chk.count() >= m_count) && (m_end->zcopy_busy() == 0) &&
                   (uct_ep_flush(m_end->ep(), UCT_FLUSH_FLAG_LOCAL, nullptr) ==
                    UCS_OK);
        });
        m_text += (chk.errors() == 0) ? "" : chk.text();
        m_text += m_traced.text + m_end->promises();
    }

    bool wait(const std::function<bool()> &done)
    {
        bool ended = wait_until(done, [this]() {
            m_a.progress();
            m_b.progress();
        });
        m_text += ended ? "" : "waited in vain; ";
        return ended;
    }

    void expect(const std::string &what, uint64_t value, uint64_t expected)
    {
        if (value != expected) {
            m_text += what + ": " + std::to_string(value) + " instead of " +
                      std::to_string(expected) + "; ";
        }
    }

    void expect_some(const std::string &what, uint64_t value)
    {
        m_text += (value > 0) ? "" : "no " + what + "; ";
    }

    /* Each message has its line, at both ends. */
    void expect_message_lines()
    {
        for (uint64_t seq = 0; seq < m_count; ++seq) {
            const std::vector<std::string> words = {
                " AM psn " + std::to_string(seq) + " epoch ",
                " am_id " + std::to_string(AM_ID) + " len " +
                        std::to_string(m_traced.s.length(seq)) + " message " +
                        std::to_string(seq) + "."
            };
            auto with = [&](const std::string &first) {
                std::vector<std::string> all = words;
                all.push_back("srd: " + first);
                return all;
            };

            expect_some("line of message " + std::to_string(seq) + " sent",
                        m_lines.count(with("SEND " + m_there)));
            expect_some("line of message " + std::to_string(seq) + " received",
                        m_lines.count(with("RECV " + m_back)));
        }
    }

    packet_lines         m_lines;
    std::shared_ptr<domain> m_dom;
    node                 m_a, m_b;
    std::unique_ptr<end> m_end;
    uint64_t             m_count;
    traced               m_traced;
    stream               m_short;
    std::string          m_there, m_back, m_text;
};

} // namespace

/* One kind of message, from the first one on */
HARNESS_ROLE(trace_kind)
{
    trace_run run(100);

    run.messages((send_kind)std::stoul(arguments));
    run.expect("traced sends", run.m_traced.send, run.m_count);
    run.expect("traced receives", run.m_traced.recv, run.m_count);
    run.expect("traced drops", run.m_traced.dropped, 0);
    run.expect("lines of sends", run.m_lines.count({"srd: SEND", " AM psn "}),
               run.m_count);
    run.expect("lines of receives",
               run.m_lines.count({"srd: RECV", " AM psn "}), run.m_count);
    run.expect_message_lines();
    run.expect_some("message with header, sent",
                    run.m_lines.count({"SEND " + run.m_there, " header "}));
    run.expect("messages with header, received",
               run.m_lines.count({"RECV " + run.m_back, " header "}),
               run.m_lines.count({"SEND " + run.m_there, " header "}));
    return run.m_text;
}

/* Control messages and what is dropped */
HARNESS_ROLE(trace_control)
{
    (void)arguments;
    trace_run run(10);
    const std::string a = name_of(run.m_a), b = name_of(run.m_b);

    run.messages(BCOPY);
    run.expect_some("HELLO_ACK sent",
                    run.m_lines.count({"SEND " + b + " -> " + a +
                                               " HELLO_ACK epoch ",
                                       " arg ", " window 512 ", " features 0x",
                                       " uid 0x"}));
    run.wait([&]() {
        return run.m_lines.count({"RECV " + a + " <- " + b +
                                          " HELLO_ACK epoch ",
                                  " arg ", " window 512 "}) > 0;
    });

    stranger x(run.m_dom->device(), run.m_b.addr());
    x.send("nobody", 6, uct_srd_imm_pack(x.me.epoch, AM_ID, 0, 3), true,
           [&]() { run.m_b.progress(); });
    run.wait([&]() {
        return run.m_lines.count({"RECV " + b + " <- ",
                                  "/" + std::to_string(x.me.qpn) + " ",
                                  "dropped: no extended header"}) == 1;
    });

    run.m_end.reset();
    run.wait([&]() {
        return (run.m_lines.count({"SEND " + run.m_there + " BYE epoch "}) >
                0) &&
               (run.m_lines.count({"RECV " + run.m_back + " BYE epoch "}) > 0);
    });
    return run.m_text;
}

HARNESS_ROLE(trace_rma)
{
    (void)arguments;
    trace_run run(0);
    region target(run.m_dom, 64), local(run.m_dom, 64);
    rkey key(run.m_dom, target.key());
    rma_op op;

    op.local = local.data();
    op.memh  = local.memh();
    for (int kind = 0; kind < RMA_LAST; ++kind) {
        std::ostringstream place;

        if (!rma_has(run.m_a.attr(), (rma_kind)kind)) {
            continue;
        }
        run.wait([&]() {
            return op.issue(run.m_end->ep(), (rma_kind)kind, 48, 1,
                            {target.addr(), key.get()}) != UCS_ERR_NO_RESOURCE;
        });
        run.wait([&]() {
            return uct_ep_flush(run.m_end->ep(), UCT_FLUSH_FLAG_LOCAL,
                                nullptr) == UCS_OK;
        });
        place << std::hex << "[rva 0x" << target.addr() << " rkey 0x";
        run.expect_some(rma_names[kind],
                        run.m_lines.count({"SEND " + run.m_there +
                                                   (is_get((rma_kind)kind) ?
                                                            " READ op " :
                                                            " WRITE op "),
                                           " len 48 [va 0x", " lkey 0x",
                                           place.str()}));
    }
    return run.m_text;
}

/* Sent again, delivered twice or before its time: the plan of faults says how. */
HARNESS_ROLE(trace_faults)
{
    trace_run run(300);

    run.messages(BCOPY);
    run.expect_message_lines();
    if (arguments == "again") {
        run.expect_some("line of one sent again",
                        run.m_lines.count({"SEND " + run.m_there, " again "}));
        run.expect("traced sends", run.m_traced.send,
                   run.m_lines.count({"SEND " + run.m_there, " AM "}));
    } else if (arguments == "duplicate") {
        run.expect_some("line of a duplicate",
                        run.m_lines.count({"RECV " + run.m_back,
                                           " duplicate, dropped "}));
        run.expect("traced drops", run.m_traced.dropped,
                   run.m_lines.count({" duplicate, dropped "}));
        run.expect("traced receives", run.m_traced.recv, run.m_count);
    } else {
        run.expect_some("line of an early one",
                        run.m_lines.count({"RECV " + run.m_back, " early "}));
    }
    return run.m_text;
}

HARNESS_ROLE(trace_off)
{
    (void)arguments;
    trace_run run(100);

    run.messages(BCOPY);
    run.expect("lines", run.m_lines.size(), 0);
    run.expect("traced", run.m_traced.send + run.m_traced.recv, 0);
    return run.m_text;
}

class trace_test : public ::testing::Test {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "about srd's lines";
        }
    }
};

TEST_F(trace_test, messages)
{
    for (int kind = 0; kind < KIND_LAST; ++kind) {
        EXPECT_EQ("", run_role("trace_kind " + std::to_string(kind),
                               {"UCX_LOG_LEVEL=data", QUIET}))
                << kind_names[kind];
    }
}

TEST_F(trace_test, control)
{
    EXPECT_EQ("", run_role("trace_control", {"UCX_LOG_LEVEL=data", QUIET}));
}

TEST_F(trace_test, one_sided)
{
    EXPECT_EQ("", run_role("trace_rma", {"UCX_LOG_LEVEL=data", QUIET}));
}

TEST_F(trace_test, faults)
{
    EXPECT_EQ("", run_role("trace_faults again",
                           {"UCX_LOG_LEVEL=data", QUIET,
                            "SOFTEFA_FAULTS=status code=12 every=50"}));
    EXPECT_EQ("", run_role("trace_faults duplicate",
                           {"UCX_LOG_LEVEL=data", QUIET,
                            "SOFTEFA_FAULTS=duplicate every=50"}));
    EXPECT_EQ("", run_role("trace_faults early",
                           {"UCX_LOG_LEVEL=data", QUIET,
                            "SOFTEFA_FAULTS=reorder depth=16"}));
}

TEST_F(trace_test, off)
{
    for (const char *level : {"warn", "info", "debug"}) {
        EXPECT_EQ("", run_role("trace_off",
                               {std::string("UCX_LOG_LEVEL=") + level, QUIET}))
                << level;
    }
}
