/*
 * Allocations that fail: the n-th of a stage, for n = 1, 2.. until the stage
 * asks for no more. Each time: a status, no crash, nothing leaks, and the same
 * thing done again without the failure works.
 *
 *   device -> interface -> connect -> send -> progress -> register -> close
 *
 * One stage is starved at a time. It may succeed nevertheless (there is another
 * way), be refused (then it is done again), or end the endpoint (told once;
 * then there is a new one). Messages are lost only with their endpoint, and
 * what arrives is in order and whole.
 */
#include "fail_alloc.h"
#include "rma_test.h"

#include "common/counters.h"
#include "common/said.h"

#include <dlfcn.h>
#include <sstream>
#include <unistd.h>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 11;

enum stage_t { DEVICE, IFACE, CONNECT, SEND, PROGRESS, REGISTER, CLOSE,
               STAGE_LAST };

const char *const stage_names[STAGE_LAST] = {
    "device", "interface", "connect", "send", "progress", "register", "close"
};

class starved {
public:
    starved(stage_t stage, unsigned long n) : m_stage(stage)
    {
        void (*set)(const char*, unsigned long);

        *(void**)&set     = dlsym(RTLD_DEFAULT, "fail_alloc_set");
        *(void**)&m_count = dlsym(RTLD_DEFAULT, "fail_alloc_count");
        if ((set == nullptr) || (m_count == nullptr)) {
            throw std::runtime_error("fail_alloc is not preloaded");
        }
        set("libefasrd", n);
    }

    void run()
    {
        std::shared_ptr<domain> dom;
        std::unique_ptr<node> a, b;

        twice(DEVICE, [&]() {
            dom = std::make_shared<domain>(config_map(), "efa_0:1");
        });
        twice(IFACE, [&]() { a.reset(new node(dom)); });
        twice(IFACE, [&]() { b.reset(new node(dom)); });
        m_a = a.get();
        m_b = b.get();
        talk();
        if (m_to != nullptr) {
            memory(dom);
        }
        arm(CLOSE);
        m_to.reset();
        m_back.reset();
        a.reset();
        b.reset();
        dom.reset();
        disarm();
    }

    bool               fired() const   { return m_fired; }
    bool               refused() const { return m_refused; }
    const std::string &text() const    { return m_text; }

private:
    void arm(stage_t stage)
    {
        if (stage == m_stage) {
            m_count(1);
        }
    }

    void disarm()
    {
        m_fired |= (m_count(0) != 0);
    }

    /* Armed; if it is refused, once more without. */
    void twice(stage_t stage, const std::function<void()> &func)
    {
        try {
            arm(stage);
            func();
            disarm();
        } catch (const std::runtime_error &e) {
            disarm();
            if (!m_fired) {
                m_text += std::string("for no reason: ") + e.what() + "; ";
            }
            m_refused = true;
            func();
        }
    }

    void progress()
    {
        arm(PROGRESS);
        m_a->progress();
        m_b->progress();
        disarm();
    }

    bool failed() const
    {
        return !m_a->failures.empty() || !m_b->failures.empty();
    }

    /* One conversation; false: it ended with an endpoint */
    bool converse(uint64_t count)
    {
        stream s(3, length_plan::random(8, 1500));
        checker chk(s), back(s);
        uint64_t seq = 0;
        bool stopped = false;

        m_a->failures.clear();
        m_b->failures.clear();
        m_b->check_am(AM_ID, &chk);
        m_a->check_am(AM_ID, &back);
        twice(CONNECT, [&]() { m_to.reset(new end(*m_a, m_b->addr())); });
        twice(CONNECT, [&]() { m_back.reset(new end(*m_b, m_a->addr())); });
        for (; (seq < count) && !stopped; ) {
            send_kind kind = (send_kind)(seq % KIND_LAST);
            size_t length  = s.length(seq);
            for (end *e : {m_to.get(), m_back.get()}) {
                ucs_status_t status;
                unsigned tries = 0;
                if ((kind < BCOPY) && (length > e->max_length(kind))) {
                    kind = BCOPY;
                }
                do {
                    arm(SEND);
                    status = e->send(kind, AM_ID, s, seq);
                    disarm();
                    if (status != UCS_OK) {
                        m_refused = true;
                        progress();
                    }
                } while ((status != UCS_OK) && !failed() &&
                         (++tries < 1000000));
                if (status != UCS_OK) {
                    stopped = true;
                    break;
                }
            }
            seq += !stopped;
            progress();
        }
        bool ended = wait_until([&]() {
            return failed() || ((chk.count() == seq) && (back.count() == seq));
        }, [&]() { progress(); });
        for (unsigned i = 0; i < 20; ++i) {
            progress();
        }
        if (!ended || (stopped && !failed())) {
            m_text += "stands still at " + std::to_string(seq) + ", " +
                      std::to_string(chk.count()) + ", " +
                      std::to_string(back.count()) + "; ";
        }
        if (failed() && !m_fired) {
            m_text += "failed for no reason; ";
        }
        for (node *n : {m_a, m_b}) {
            for (end *e : {m_to.get(), m_back.get()}) {
                if (n->failure_count(e->ep()) > 1) {
                    m_text += "told twice; ";
                }
            }
        }
        for (end *e : {m_to.get(), m_back.get()}) {
            if (!wait_until([&]() { return e->zcopy_busy() == 0; },
                            [&]() { progress(); })) {
                m_text += "a zcopy does not complete; ";
            }
            m_text += e->promises();
        }
        m_text += chk.text() + back.text();
        m_a->on_am(AM_ID, nullptr);
        m_b->on_am(AM_ID, nullptr);
        return !failed();
    }

    void talk()
    {
        for (unsigned round = 0; round < 3; ++round) {
            if (converse(24)) {
                return;
            }
            m_refused = true;
            m_to.reset();
            m_back.reset();
        }
        m_text += "does not recover; ";
    }

    /* Registers, reads. */
    void memory(std::shared_ptr<domain> dom)
    {
        const size_t length = 5000;
        std::unique_ptr<region> there;
        std::unique_ptr<rma_pool> pool;

        twice(REGISTER, [&]() { there.reset(new region(dom, length)); });
        twice(REGISTER, [&]() {
            pool.reset(new rma_pool(dom, 1, length));
        });
        there->fill(7);
        if (rma_has(m_a->attr(), GET_ZCOPY)) {
            rkey key(dom, there->key());
            rma_op *op          = pool->get();
            ucs_status_t status = UCS_OK;
            bool done = wait_until([&]() {
                if (op->state == rma_op::IDLE) {
                    arm(SEND);
                    status = op->issue(m_to->ep(), GET_ZCOPY, length, 7,
                                       {there->addr(), key.get()});
                    disarm();
                }
                return op->state == rma_op::DONE;
            }, [&]() { progress(); });
            if (!done || (op->status != UCS_OK) || !op->verify().empty()) {
                m_text += std::string("get: ") + ucs_status_string(status) +
                          "; ";
            }
            pool->put(op);
        }
        arm(CLOSE);
        pool.reset();
        there.reset();
        disarm();
    }

    stage_t              m_stage;
    int                (*m_count)(int);
    bool                 m_fired   = false;
    bool                 m_refused = false;
    std::string          m_text;
    node                *m_a = nullptr, *m_b = nullptr;
    std::unique_ptr<end> m_to, m_back;
};

std::string starve(const std::string &arguments)
{
    std::istringstream in(arguments);
    std::string name;
    unsigned stage, refused = 0;
    long (*balance)();
    std::string text;
    unsigned long n;
    bool fired = true;
    said lines;

    in >> name;
    for (stage = 0; (stage < STAGE_LAST) && (name != stage_names[stage]);
         ++stage) {
    }
    *(void **)&balance = dlsym(RTLD_DEFAULT, "fail_alloc_balance");
    for (n = 0; fired && (n < 2000); ++n) {
        long leaked = 0;
        /* What is made once and kept is made by the first; twice is a leak */
        for (unsigned i = 0; i < 3; ++i) {
            long before = balance();
            {
                starved s((stage_t)stage, n);
                s.run();
                lines.forget();
                fired = s.fired() || (n == 0);
                refused += (i == 0) && s.refused() && s.fired();
                if (!s.text().empty()) {
                    return "allocation " + std::to_string(n) + ": " + s.text();
                }
            }
            leaked = balance() - before;
            if (leaked <= 0) {
                break;
            }
        }
        if (leaked > 0) {
            text += "allocation " + std::to_string(n) + ": " +
                    std::to_string(leaked) + " not given back; ";
        }
    }
    return text.empty() ? ("ok " + std::to_string(n - 2) + " " +
                           std::to_string(refused)) :
                          text;
}

} // namespace

HARNESS_ROLE(starve)
{
    /* Keeps UCX's thread for events, which cannot be started without memory */
    domain apart(config_map(), "efa_1:1");

    return starve(arguments);
}

/* The sender of a message is known, and fails for want of memory before it is
 * delivered. Which peer is the one for which a table grows, is not said here. */
HARNESS_ROLE(starve_sender)
{
    auto dom = std::make_shared<domain>();
    stream s(3, length_plan::random(8, 100));
    void (*set)(const char *, unsigned long);
    int (*count)(int);
    uint64_t got = 0;
    said lines;

    (void)arguments;
    *(void **)&set   = dlsym(RTLD_DEFAULT, "fail_alloc_set");
    *(void **)&count = dlsym(RTLD_DEFAULT, "fail_alloc_count");
    for (unsigned others = 0; others < 16; ++others) {
        node a(dom), b(dom);
        std::vector<std::unique_ptr<end>> ends;
        auto heard = [&](const char *name, uint64_t before) {
            return wait_until([&]() { return counter(name) > before; },
                              [&]() {
                count(1);
                b.progress();
                count(0);
            });
        };

        b.on_am(AM_ID, [&](void *, size_t, unsigned) {
            ++got;
            return UCS_OK;
        });
        for (unsigned i = 0; i < others; ++i) {
            address nobody = b.addr().nobody(true);
            nobody.dev[15] += i;
            ends.emplace_back(new end(b, nobody));
        }
        end back(b, a.addr()), to(a, b.addr());
        back.send(SHORT, AM_ID, s, 0); /* the remote is told of a failure */
        check(to.send(SHORT, AM_ID, s, 0), "send");
        set("libefasrd", 1);
        if (!heard("rx_ext", 0)) {
            return "not heard";
        } else if (counter("drop_failed") == 0) {
            got = 0;
            continue;
        }

        wait_until(
                [&]() { return (a.failures.size() + b.failures.size()) > 1; },
                [&]() {
            a.progress();
            b.progress();
                });
        if ((counter("drop_failed") != 1) || (got > 0) ||
            (b.failure_count(back.ep()) != 1) ||
            (b.failures[0].status != UCS_ERR_NO_MEMORY) ||
            (a.failure_count(to.ep()) != 1) ||
            (a.failures[0].status != UCS_ERR_CONNECTION_RESET)) {
            return "dropped " + std::to_string(counter("drop_failed")) +
                   ", delivered " + std::to_string(got) + ", failures " +
                   std::to_string(a.failures.size()) + " " +
                   std::to_string(b.failures.size());
        }
        return "dropped";
    }
    return "no table grew";
}

class starve_test : public ::testing::TestWithParam<unsigned> {
public:
    /* "": cannot be */
    static std::string run(const std::string &role)
    {
        std::string library = env("BUILD", ".") +
                              "/test/gtest/.libs/libfail_alloc.so";

        if (!is_srd() || (env("VARIANT", "") == "asan") ||
            (access(library.c_str(), R_OK) != 0)) {
            return "";
        }
        return run_role(role, {"SOFTEFA_DEVICES=2",
                               "LD_PRELOAD=" + env("LD_PRELOAD", "") + ":" +
                                       library});
    }
};

TEST(starve_sender_test, is_told_and_its_message_dropped)
{
    std::string text = starve_test::run("starve_sender");

    if (text.empty()) {
        GTEST_SKIP() << "allocations are others' business";
    }
    EXPECT_EQ("dropped", text);
}

TEST_P(starve_test, every_allocation)
{
    std::string text = run(std::string("starve ") + stage_names[GetParam()]);

    if (text.empty()) {
        GTEST_SKIP() << "allocations are others' business";
    }
    EXPECT_EQ("ok ", text.substr(0, 3)) << text;
    printf("%s: allocations that failed, and calls that did: %s\n",
           stage_names[GetParam()], text.c_str() + (text[0] == 'o' ? 3 : 0));
}

INSTANTIATE_TEST_SUITE_P(stage, starve_test,
                         ::testing::Range(0u, (unsigned)STAGE_LAST),
                         [](const ::testing::TestParamInfo<unsigned> &info) {
                             return std::string(stage_names[info.param]);
                         });
