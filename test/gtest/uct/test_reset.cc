/*
 * Devices that are reset, queue pairs that fail, peers that vanish for a while,
 * below running traffic (docs/srd-wire.md, section 12): nothing is lost, twice
 * or out of order, and nobody is told of a failure; and where there is no way
 * back, everybody is told once.
 *
 * Each scenario is a role: a process in a fabric of its own, with two
 * interfaces on two devices.
 */
#include "rma_test.h"

#include "common/counters.h"

#include <cstdlib>
#include <dlfcn.h>
#include <sstream>
#include <sys/mman.h>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 9;

/* Of Soft-EFA, which is loaded into this process: efarun --inject */
void inject(const std::string &order)
{
    typedef int (*inject_t)(const char *);
    inject_t func = (inject_t)dlsym(RTLD_DEFAULT, "softefa_inject");

    if ((func == nullptr) || (func(order.c_str()) != 0)) {
        throw std::runtime_error("cannot inject: " + order);
    }
}

std::shared_ptr<domain> open_device(unsigned index)
{
    setenv("TEST_DEV", ("efa_" + std::to_string(index) + ":1").c_str(), 1);
    return std::make_shared<domain>();
}

/* This process has more interfaces than those of the scenario */
std::string qp_of(node &n)
{
    std::vector<uint8_t> bytes = n.addr().iface;

    return " qp=" + std::to_string(bytes[0] + (bytes[1] << 8));
}

/* Two nodes that talk in both directions, with checkers of order and content */
struct pair {
    std::shared_ptr<domain> dom[2];
    std::unique_ptr<node>   n[2];
    std::unique_ptr<end>    e[2];      /* of n[i], to the other */
    stream                  s[2];      /* what n[i] sends */
    checker                 chk[2];    /* of s[i], at the other */
    uint64_t                sent[2] = {};

    pair()
    {
        for (unsigned i = 0; i < 2; ++i) {
            dom[i] = open_device(i);
            n[i].reset(new node(dom[i]));
            s[i]   = stream(31 + i, length_plan::random(8, 3000));
            chk[i] = checker(s[i]);
        }
        for (unsigned i = 0; i < 2; ++i) {
            e[i].reset(new end(*n[i], n[!i]->addr()));
            n[!i]->check_am(AM_ID, &chk[i]);
        }
    }

    ~pair()
    {
        for (auto &end : e) {
            end->destroy();
        }
    }

    void progress()
    {
        n[0]->progress();
        n[1]->progress();
    }

    void wait(const std::function<bool()> &done, const std::string &what)
    {
        if (!wait_until(done, [this]() { progress(); })) {
            throw std::runtime_error("in vain: " + what);
        }
    }

    /* One message each way, of all kinds in turn */
    void talk()
    {
        for (unsigned i = 0; i < 2; ++i) {
            send_kind kind = (send_kind)(1 + (sent[i] % (KIND_LAST - 1)));
            ucs_status_t status = UCS_ERR_NO_RESOURCE;

            if ((kind == SHORT_IOV) &&
                (s[i].length(sent[i]) > e[i]->max_length(kind))) {
                kind = BCOPY;
            }
            wait([&]() {
                status = e[i]->send(kind, AM_ID, s[i], sent[i]);
                return status != UCS_ERR_NO_RESOURCE;
            }, "send");
            check(status, "send");
            ++sent[i];
        }
        progress();
    }

    /* As many as leave without anybody's progress */
    void burst(unsigned max)
    {
        for (unsigned i = 0; i < 2; ++i) {
            for (unsigned k = 0; k < max; ++k, ++sent[i]) {
                if (e[i]->send(BCOPY, AM_ID, s[i], sent[i]) != UCS_OK) {
                    break;
                }
            }
        }
    }

    void flush()
    {
        for (auto &end : e) {
            ucs_status_t status = UCS_INPROGRESS;

            wait([&]() {
                status = uct_ep_flush(end->ep(), 0, nullptr);
                return (status != UCS_INPROGRESS) &&
                       (status != UCS_ERR_NO_RESOURCE);
            }, "flush");
            check(status, "flush");
        }
        wait([&]() {
            return (chk[0].count() >= sent[0]) && (chk[1].count() >= sent[1]);
        }, "messages");
    }

    /* "ok", or what is wrong */
    std::string verdict()
    {
        std::ostringstream text;

        for (unsigned i = 0; i < 2; ++i) {
            if ((chk[i].count() != sent[i]) || (chk[i].errors() > 0)) {
                text << "from " << i << ": " << chk[i].count() << " of "
                     << sent[i] << ", " << chk[i].text();
            }
            text << e[i]->promises();
            for (auto &kv : e[i]->zcopy_statuses) {
                if (kv.first != UCS_OK) {
                    text << "zcopy: " << ucs_status_string(kv.first);
                }
            }
            if (!n[i]->failures.empty()) {
                text << "node " << i << ": "
                     << ucs_status_string(n[i]->failures[0].status);
            }
        }
        return text.str().empty() ? "ok" : text.str();
    }
};

/* How often, on which device (2: by turns), what befalls it; "dup": messages
 * must have come twice */
HARNESS_ROLE(reset_talk)
{
    std::istringstream in(arguments);
    unsigned times, device, count = 0;
    std::string order;
    pair p;

    in >> times >> device;
    std::getline(in, order);
    size_t dup = order.find(" dup");
    if (dup != std::string::npos) {
        order.erase(dup);
    }
    for (unsigned k = 0; k < times; ++k) {
        unsigned which = (device == 2) ? (k % 2) : device;

        for (unsigned i = 0; i < 500; ++i) {
            p.talk();
        }
        p.burst(150);
        inject(order + " dev=" + std::to_string(which) +
               ((order.find("qp_error") == std::string::npos) ?
                        "" :
                        qp_of(*p.n[which])));
        /* What is under way then is unknown; more follows */
        for (unsigned i = 0; i < 500; ++i) {
            p.talk();
        }
        if (order.find("pause") == std::string::npos) {
            p.wait([&]() { return counter("recovered") > count; }, "recovery");
        }
        ++count;
        p.flush();
    }
    if ((order.find("pause") == std::string::npos) &&
        ((counter("resets") != times) || (counter("followed") != times))) {
        return "resets " + std::to_string(counter("resets")) + ", followed " +
               std::to_string(counter("followed"));
    }
    if ((dup != std::string::npos) && (counter("dup") == 0)) {
        return "nothing came twice";
    }
    return p.verdict();
}

/* Reads, and writes where there are, of memory whose device is reset, from one
 * whose device is. Keys were given before, or while the device was away. */
HARNESS_ROLE(reset_rma)
{
    const size_t length = 100000;
    std::istringstream in(arguments);
    unsigned which, bad = 0;
    std::string away;
    pair p;

    in >> which >> away;
    if (!(p.n[0]->flags() & UCT_IFACE_FLAG_GET_ZCOPY)) {
        return "ok";
    }

    for (unsigned i = 0; i < 100; ++i) {
        p.talk();
    }
    if (!away.empty()) {
        inject("fatal dev=1");
        p.wait([&]() { return counter("resets") > 0; }, "reset");
    }

    region target(p.dom[1], length);
    rma_pool pool(p.dom[0], 16, length);
    rkey key(p.dom[0], target.key());

    target.fill(5);
    if (!away.empty()) {
        inject("return dev=1");
    }
    for (unsigned i = 0; i < 2000; ++i) {
        rma_kind kind = ((i % 3) &&
                         (p.n[0]->flags() & UCT_IFACE_FLAG_PUT_ZCOPY)) ?
                                PUT_ZCOPY :
                        (i % 2) ? GET_ZCOPY :
                                  GET_BCOPY;
        size_t size   = std::min(length, rma_max(p.n[0]->attr(), kind));
        rma_op *op    = nullptr;
        ucs_status_t status;

        p.wait(
                [&]() {
            for (rma_op &o : pool.ops()) {
                if (o.state == rma_op::DONE) {
                    bad += (o.status != UCS_OK) ||
                           ((o.length == length) && !o.verify().empty());
                    pool.put(&o);
                }
            }
            op = pool.get();
            return op != nullptr;
                },
                "operation");
        p.wait(
                [&]() {
            status = op->issue(p.e[0]->ep(), kind, size, 5,
                               {target.addr(), key.get()});
            return status != UCS_ERR_NO_RESOURCE;
                },
                "issue");
        check(status, "issue");
        if ((i == 1000) && away.empty()) {
            inject("fatal return=30ms dev=" + std::to_string(which));
        }
        if (i % 10 == 0) {
            p.talk();
        }
    }
    p.wait(
            [&]() {
        for (rma_op &o : pool.ops()) {
            if (o.state == rma_op::BUSY) {
                return false;
            }
        }
        return true;
            },
            "operations");
    p.flush();
    if (bad > 0) {
        return std::to_string(bad) + " operations failed";
    }
    if ((counter("recovered") != 1) ||
        (((which == 1) || !away.empty()) && (counter("rekeys") == 0))) {
        return "no recovery, or no key was asked for";
    }
    return rma_verify(target.data(), length, 5) + pool.complaints() +
           target.red() + p.verdict();
}

/* Memory of which a part was unmapped before the reset: the rest is of use. */
HARNESS_ROLE(reset_unmapped)
{
    const size_t page = sysconf(_SC_PAGESIZE), pages = 600;
    uint8_t *map[2];
    uct_mem_h memh[2];
    (void)arguments;
    pair p;

    if (!(p.n[0]->flags() & UCT_IFACE_FLAG_GET_ZCOPY)) {
        return "ok";
    }

    p.talk();
    p.flush();
    for (unsigned i = 0; i < 2; ++i) {
        map[i] = (uint8_t *)mmap(nullptr, pages * page, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(uct_md_mem_reg(p.dom[i]->md(), map[i] + 8, pages * page - 16,
                             UCT_MD_MEM_ACCESS_ALL, &memh[i]),
              "reg");
    }
    std::vector<uint8_t> packed(64);
    check(uct_md_mkey_pack(p.dom[1]->md(), memh[1], packed.data()), "pack");
    rkey key(p.dom[1], packed);

    for (unsigned i = 0; i < 2; ++i) {
        munmap(map[i], 3 * page);
        munmap(map[i] + (pages - 20) * page, 20 * page);
        inject("fatal return=1ms dev=" + std::to_string(i));
        p.wait([&]() { return counter("recovered") > i; }, "recovery");
        p.talk();
        p.flush();
    }

    for (size_t at : {3 * page, 300 * page, (pages - 21) * page}) {
        flush_comp done;
        uct_iov_t iov = {};
        ucs_status_t status;

        memset(map[1] + at, (int)(at / page), page);
        iov.buffer = map[0] + at;
        iov.length = page;
        iov.memh   = memh[0];
        iov.count  = 1;
        p.wait(
                [&]() {
            status = uct_ep_get_zcopy(p.e[0]->ep(), &iov, 1,
                                      (uintptr_t)map[1] + at, key.get(),
                                      &done.comp);
            return status != UCS_ERR_NO_RESOURCE;
                },
                "get");
        p.wait([&]() { return done.calls > 0; }, "its end");
        if ((done.status != UCS_OK) || memcmp(map[0] + at, map[1] + at, page)) {
            return "page " + std::to_string(at / page) + ": " +
                   ucs_status_string(done.status);
        }
    }
    for (unsigned i = 0; i < 2; ++i) {
        check(uct_md_mem_dereg(p.dom[i]->md(), memh[i]), "dereg");
        munmap(map[i] + 3 * page, (pages - 23) * page);
    }
    return p.verdict();
}

/* What replaces a key is asked of somebody who does not progress: again and
 * again, and the operation waits for the answer. */
HARNESS_ROLE(reset_key_ack)
{
    const size_t length = 5000;
    pair p;

    (void)arguments;
    if (!(p.n[0]->flags() & UCT_IFACE_FLAG_GET_ZCOPY)) {
        return "ok";
    }

    region target(p.dom[1], length);
    rma_pool pool(p.dom[0], 1, length);
    rkey key(p.dom[0], target.key());

    target.fill(5);
    p.talk();
    p.flush();
    inject("fatal return=1ms dev=1");
    p.wait([&]() { return counter("rejoined") == 1; }, "recovery");
    p.talk();
    p.flush();

    rma_op *op      = pool.get();
    uint64_t before = counter("tx_ctl");
    check(op->issue(p.e[0]->ep(), GET_ZCOPY, length, 5,
                    {target.addr(), key.get()}),
          "issue");
    if (!wait_until([&]() { return counter("tx_ctl") >= before + 4; },
                    [&]() { p.n[0]->progress(); })) {
        return "not asked again";
    }
    if ((op->state != rma_op::BUSY) || (counter("rekeys") != 0)) {
        return "nobody can have answered";
    }
    p.wait([&]() { return op->state == rma_op::DONE; }, "operation");
    check(op->status, "operation");
    return (counter("rekeys") == 1) ? op->verify() + p.verdict() :
                                      "no key came";
}

/* Nobody says so, and no command fails that would: nothing is registered. */
HARNESS_ROLE(reset_silent)
{
    pair p;

    for (unsigned i = 0; i < 100; ++i) {
        p.talk();
    }
    p.burst(150); /* makes the buffers */
    p.flush();
    inject(arguments);
    p.burst(50);
    p.wait([&]() { return counter("recovered") > 0; }, "recovery");
    for (unsigned i = 0; i < 500; ++i) {
        p.talk();
    }
    p.flush();
    if ((counter("resets") != 1) || (counter("followed") != 1)) {
        return "resets " + std::to_string(counter("resets")) + ", followed " +
               std::to_string(counter("followed"));
    }
    return p.verdict();
}

/* No way back: told once each, with a status, and closing works. */
HARNESS_ROLE(reset_for_good)
{
    std::istringstream in(arguments);
    std::ostringstream out;
    std::string order;
    pair p;

    for (unsigned i = 0; i < 100; ++i) {
        p.talk();
    }
    p.flush();
    while (std::getline(in, order, ';')) {
        inject(order);
    }
    p.wait(
            [&]() {
        for (unsigned i = 0; i < 2; ++i) {
            p.e[i]->send(BCOPY, AM_ID, p.s[i], p.sent[i]);
        }
        return !p.n[0]->failures.empty() && !p.n[1]->failures.empty();
            },
            "failures");
    for (unsigned i = 0; i < 1000; ++i) {
        p.progress();
    }
    for (unsigned i = 0; i < 2; ++i) {
        out << (i ? ", " : "") << p.n[i]->failures.size() << " "
            << ucs_status_string(p.n[i]->failures[0].status);
    }
    return out.str();
}

/* No way back, and who loses the device sleeps: it is told all the same. */
HARNESS_ROLE(reset_asleep)
{
    pair p;
    node &n = *p.n[1];

    if (!(n.attr().cap.event_flags & UCT_IFACE_FLAG_EVENT_FD)) {
        return "ok";
    }

    for (unsigned i = 0; i < 100; ++i) {
        p.talk();
    }
    p.flush();
    inject(arguments);
    check(p.e[1]->send(BCOPY, AM_ID, p.s[1], p.sent[1]), "send");
    n.sleep_until(UCT_EVENT_SEND_COMP | UCT_EVENT_RECV,
                  [&]() { return !n.failures.empty(); });
    return "ok";
}

/* Closed while the device is away, with messages under way. */
HARNESS_ROLE(reset_close)
{
    (void)arguments;
    {
        pair p;

        for (unsigned i = 0; i < 200; ++i) {
            p.talk();
        }
        inject("fatal dev=1");
        for (unsigned i = 0; i < 20; ++i) {
            p.e[1]->send(ZCOPY, AM_ID, p.s[1], p.sent[1] + i);
        }
        p.wait([&]() { return counter("resets") > 0; }, "reset");
    }
    inject("return dev=1");
    pair again;
    again.talk();
    again.flush();
    return again.verdict();
}

/* One whose identity has changed says goodbye and goes on; the other, which has
 * forgotten it meanwhile, begins anew at the same time. */
HARNESS_ROLE(reset_anew)
{
    (void)arguments;
    pair p;

    p.talk();
    p.flush();
    inject("fatal dev=0 return=1ms");
    p.wait([&]() { return counter("recovered") > 0; }, "recovery");
    p.talk();
    p.flush();

    /* Both say BYE; the first does not look at the answer */
    p.e[1]->destroy();
    p.e[0]->destroy();
    if (!wait_until([&]() { return counter("peers_gone") > 0; },
                    [&]() { p.n[1]->progress(); })) {
        return "no goodbye";
    }
    p.e[0].reset(new end(*p.n[0], p.n[1]->addr()));
    p.e[1].reset(new end(*p.n[1], p.n[0]->addr()));
    p.burst(1);
    p.flush();
    return p.verdict();
}

/* Its new address is used before the peer has heard of the reset from itself;
 * after more resets, the one that was told first. */
HARNESS_ROLE(reset_address)
{
    (void)arguments;
    pair p;
    address first = p.n[1]->addr();

    for (unsigned i = 1; i <= 3; ++i) {
        p.talk();
        p.flush();
        inject("fatal dev=1 return=1ms");
        if (!wait_until([&]() { return counter("recovered") >= i; },
                        [&]() { p.n[1]->progress(); })) {
            return "no recovery";
        }

        for (const address &to : {p.n[1]->addr(), first}) {
            end other(*p.n[0], to);
            p.wait(
                    [&]() {
                return other.send(BCOPY, AM_ID, p.s[0], p.sent[0]) == UCS_OK;
                    },
                    "a message to an address");
            ++p.sent[0];
            p.talk();
            p.flush();
            if (!other.promises().empty()) {
                return other.promises();
            }
        }
    }
    if (counter("peers_failed") > 0) {
        return "a peer failed";
    }
    return p.verdict();
}

/* One side has closed its endpoint, which the other, with one of its own, does
 * not answer; then that other side is reset. */
HARNESS_ROLE(reset_one_way)
{
    (void)arguments;
    pair p;

    p.wait(
            [&]() {
        return p.e[0]->send(BCOPY, AM_ID, p.s[0], p.sent[0]) == UCS_OK;
            },
            "send");
    ++p.sent[0];
    p.flush();
    p.e[0]->destroy();
    for (unsigned i = 0; i < 100; ++i) {
        p.progress();
    }

    inject("fatal dev=1");
    uint64_t lost = counter("peers_suspected");
    if (!wait_until([&]() { return counter("peers_suspected") > lost; },
                    [&]() { p.n[0]->progress(); })) {
        return "nobody asked it to say goodbye"; /* BYE, again */
    }
    inject("return dev=1");
    p.wait([&]() { return counter("rejoined") > 0; }, "answer to REJOIN");
    p.wait(
            [&]() {
        return p.e[1]->send(BCOPY, AM_ID, p.s[1], p.sent[1]) == UCS_OK;
            },
            "send");
    ++p.sent[1];
    p.e[0].reset(new end(*p.n[0], p.n[1]->addr()));
    p.flush();
    return p.verdict();
}

/* Who seldom calls progress notices a reset within 129 calls, wherever between
 * two looks at the device it comes. Of the time that passes between the calls
 * it is enough that the last look is long ago: it is the calls that count. */
HARNESS_ROLE(reset_slow)
{
    (void)arguments;
    pair p;

    for (unsigned round = 0; round < 16; ++round) {
        p.talk();
        p.flush();
        for (unsigned i = 0; i < 5000; ++i) {
            p.progress(); /* it has not been seldom so far */
        }
        for (unsigned i = 0; i < 9 * round; ++i) {
            p.n[1]->progress();
        }
        inject("fatal dev=1 return=1ms");
        usleep(11000);
        for (unsigned calls = 0; calls < 129; ++calls) {
            p.n[1]->progress();
        }
        if (counter("resets") <= round) {
            return "not noticed, round " + std::to_string(round);
        }
        p.wait([&]() { return counter("recovered") > round; }, "recovery");
    }
    return p.verdict();
}

/* A handler that calls progress, which UCX's do not, while the device is reset:
 * the queues stay until it returns, and so does what it was given. */
HARNESS_ROLE(reset_within)
{
    stream inner(77, length_plan::fixed(1000));
    std::string wrong;
    bool done = false;
    (void)arguments;
    pair p;

    p.n[1]->on_am(AM_ID + 1, [&](void *data, size_t length, unsigned) {
        std::vector<uint8_t> copy((uint8_t *)data, (uint8_t *)data + length);

        inject("fatal dev=1 return=1ms");
        for (unsigned i = 0; i < 500; ++i) {
            p.progress();
            usleep(100);
        }
        if (counter("resets") != 0) {
            wrong = "the reset was noticed within";
        } else if (memcmp(copy.data(), data, length) != 0) {
            wrong = "the message has changed";
        }
        done = true;
        return UCS_OK;
    });
    for (unsigned i = 0; i < 100; ++i) {
        p.talk();
    }
    p.flush();
    check(p.e[0]->send(BCOPY, AM_ID + 1, inner, 0), "send");
    for (unsigned i = 0; i < 20; ++i) {
        p.talk();
    }
    p.wait([&]() { return done && (counter("recovered") > 0); }, "recovery");
    for (unsigned i = 0; i < 2000; ++i) {
        p.talk();
    }
    p.flush();
    return wrong.empty() ? p.verdict() : wrong;
}

class reset_test : public ::testing::Test {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
    }

    std::string run(const std::string &role, const std::string &arguments,
                    const std::string &more = "SOFTEFA_REORDER=0")
    {
        return run_role(role + " " + arguments,
                        {"SOFTEFA_DEVICES=2", "UCX_SRD_RECOVERY_TIMEOUT=20s",
                         "UCX_SRD_GONE_TIMEOUT=20s", more});
    }

    std::string run_short(const std::string &role, const std::string &arguments)
    {
        return run_role(role + " " + arguments,
                        {"SOFTEFA_DEVICES=2", "UCX_SRD_RECOVERY_TIMEOUT=300ms",
                         "UCX_SRD_GONE_TIMEOUT=300ms"});
    }
};

} // namespace

TEST_F(reset_test, device)
{
    EXPECT_EQ("ok", run("reset_talk", "1 1 fatal return=30ms"));
}

TEST_F(reset_test, device_by_turns)
{
    EXPECT_EQ("ok", run("reset_talk", "10 2 fatal return=5ms"));
}

TEST_F(reset_test, both_begin_anew)
{
    EXPECT_EQ("ok", run("reset_anew", ""));
}

TEST_F(reset_test, addresses)
{
    EXPECT_EQ("ok", run("reset_address", ""));
}

TEST_F(reset_test, one_way)
{
    EXPECT_EQ("ok", run("reset_one_way", ""));
}

/* Nobody says that the device is gone; it is asked. */
TEST_F(reset_test, without_an_event)
{
    EXPECT_EQ("ok", run("reset_silent", "fatal dev=1 return=30ms event=n",
                        "UCX_SRD_GONE_TIMEOUT=10s"));
}

TEST_F(reset_test, seldom_progress)
{
    EXPECT_EQ("ok", run("reset_slow", ""));
}

TEST_F(reset_test, within_a_handler)
{
    EXPECT_EQ("ok", run("reset_within", ""));
}

/* With completions that are lost: what was delivered is sent again. */
TEST_F(reset_test, what_came_is_dropped)
{
    EXPECT_EQ("ok", run("reset_talk", "10 2 fatal return=5ms dup",
                        "SOFTEFA_REORDER=64"));
}

TEST_F(reset_test, queue_pair)
{
    EXPECT_EQ("ok", run("reset_talk", "10 2 qp_error"));
}

TEST_F(reset_test, remote_memory)
{
    EXPECT_EQ("ok", run("reset_rma", "1"));
}

TEST_F(reset_test, local_memory)
{
    EXPECT_EQ("ok", run("reset_rma", "0"));
}

TEST_F(reset_test, memory_that_was_unmapped_in_part)
{
    EXPECT_EQ("ok", run("reset_unmapped", ""));
}

TEST_F(reset_test, memory_registered_while_away)
{
    EXPECT_EQ("ok", run("reset_rma", "1 away"));
}

TEST_F(reset_test, key_of_a_stuck_peer)
{
    EXPECT_EQ("ok", run("reset_key_ack", ""));
}

TEST_F(reset_test, closed_while_away)
{
    EXPECT_EQ("ok", run_short("reset_close", ""));
}

/* Who loses the device is told so, the other that nobody answers. */
TEST_F(reset_test, device_stays_away)
{
    EXPECT_EQ(std::string("1 ") + ucs_status_string(UCS_ERR_ENDPOINT_TIMEOUT) +
                      ", 1 " + ucs_status_string(UCS_ERR_IO_ERROR),
              run_short("reset_for_good", "fatal dev=1"));
}

/* Nor does one that sleeps: no message and no event will wake it. */
TEST_F(reset_test, stays_away_without_an_event)
{
    std::string both = std::string("1 ") +
                       ucs_status_string(UCS_ERR_ENDPOINT_TIMEOUT) + ", 1 " +
                       ucs_status_string(UCS_ERR_IO_ERROR);

    EXPECT_EQ(both, run_short("reset_for_good", "fatal dev=1 event=n"));
    EXPECT_EQ("ok", run_short("reset_asleep", "fatal dev=1 event=n"));
}

/* Both at once: neither can find the other. */
TEST_F(reset_test, both_ends)
{
    std::string timeout = ucs_status_string(UCS_ERR_ENDPOINT_TIMEOUT);

    EXPECT_EQ("1 " + timeout + ", 1 " + timeout,
              run_short("reset_for_good",
                        "fatal dev=0 return=1ms;fatal dev=1 return=1ms"));
}
