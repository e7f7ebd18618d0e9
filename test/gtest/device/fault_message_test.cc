/*
 * What a fault plan does to messages: each rule strikes as often as its counter
 * says, and what it did not strike arrives.
 */
#include "fault_test.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

using namespace device;

namespace {

constexpr uint32_t LENGTH = 200;
constexpr unsigned DEPTH  = 64;

config depth(unsigned device, int rnr_retry = 7)
{
    config cfg;

    cfg.device    = device;
    cfg.rnr_retry = rnr_retry;
    cfg.buffer    = 1 << 17;
    return cfg;
}

struct arrival {
    uint32_t             imm;
    std::vector<uint8_t> data;
};

/* Sends one message after the other, `window` at a time, numbered by their
 * immediate data and wr_id. */
struct run {
    std::vector<uint32_t> status;   /* by number */
    std::vector<arrival>  arrivals; /* in their order */

    run(endpoint &from, endpoint &to, unsigned count, unsigned window = 1,
        unsigned extra = 0)
        : status(count, ~0u)
    {
        address  dest = to.addr();
        unsigned sent = 0, done = 0, more = 0;

        /* as many as there are not from an earlier run */
        for (unsigned i = 0; (i < DEPTH) && (to.try_recv(i, {to.sge(
                     i * LENGTH, LENGTH)}) == 0); ++i) {
        }
        wait_until([&] { return (done == count) && (more >= extra); },
                   [&] {
                       while ((sent < count) && (sent - done < window)) {
                           post(from, dest, sent++);
                       }
                       for (const completion &c : from.poll()) {
                           status.at(c.wr_id) = c.vendor_err;
                           ++done;
                       }
                       take(to);
                       more += (done == count);
                   },
                   "the end of the messages");
        take(to);
        take(to);
    }

    static void post(endpoint &from, const address &to, uint32_t i)
    {
        size_t    offset = (DEPTH + i) * LENGTH;
        send_args args;

        fill(from.buffer.data() + offset, LENGTH, i);
        args.wr_id   = i;
        args.has_imm = true;
        args.imm     = i;
        args.sgl     = {from.sge(offset, LENGTH)};
        from.send(to, args);
    }

    void take(endpoint &to)
    {
        for (const completion &c : to.poll(DEPTH)) {
            const uint8_t *data = to.buffer.data() + c.wr_id * LENGTH;

            EXPECT_EQ(0u, c.vendor_err);
            arrivals.push_back({c.imm, {data, data + LENGTH}});
            to.recv(c.wr_id, c.wr_id * LENGTH, LENGTH);
        }
    }

    unsigned with(uint32_t code) const
    {
        return std::count(status.begin(), status.end(), code);
    }

    /* All that has status 0 arrived once and intact, and nothing else. */
    void expect_only_successes() const
    {
        std::map<uint32_t, unsigned> got;

        for (const arrival &a : arrivals) {
            ++got[a.imm];
            check(a.data.data(), LENGTH, a.imm);
        }
        for (uint32_t i = 0; i < status.size(); ++i) {
            EXPECT_EQ((status[i] == 0) ? 1u : 0u, got[i]) << i;
        }
        EXPECT_EQ(with(0), arrivals.size());
    }

    bool in_order() const
    {
        return std::is_sorted(arrivals.begin(), arrivals.end(),
                              [](const arrival &a, const arrival &b) {
                                  return a.imm < b.imm;
                              });
    }
};

/* status code=13 every=3 after=10 count=5 */
DEVICE_ROLE(fault_status)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 40);

    for (uint32_t i = 0; i < 40; ++i) {
        bool hit = (i >= 10) && ((i - 10) % 3 == 2) && (i < 10 + 15);

        EXPECT_EQ(hit ? 13u : 0u, r.status[i]) << i;
    }
    EXPECT_EQ(5u, faults(1));
    r.expect_only_successes();
    return 0;
}

/* status code=10 p=0.25: says which were struck */
DEVICE_ROLE(fault_random)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 400);

    EXPECT_EQ(r.with(10), faults(1));
    EXPECT_GT(r.with(10), 50u);
    EXPECT_LT(r.with(10), 150u);
    r.expect_only_successes();
    for (uint32_t status : r.status) {
        parent.put<uint8_t>(status);
    }
    return 0;
}

/* status code=7 op=read; status code=8 peer=2; status code=9 dev=1 */
DEVICE_ROLE(fault_selectors)
{
    endpoint a(depth(0)), b(depth(1)), c(depth(2));

    EXPECT_EQ(10u, run(a, b, 10).with(0));
    EXPECT_EQ(10u, run(a, c, 10).with(8));
    EXPECT_EQ(10u, run(b, a, 10).with(9));
    EXPECT_EQ(0u, faults(1));
    EXPECT_EQ(10u, faults(2));
    EXPECT_EQ(10u, faults(3));
    return 0;
}

/* rnr burst=5 every=10: a QP that retries for ever, and one that does not */
DEVICE_ROLE(fault_rnr)
{
    endpoint a(depth(0)), b(depth(1)), hasty(depth(0, 1));
    run patient(a, b, 100);

    EXPECT_EQ(100u, patient.with(0));
    EXPECT_EQ(46u, faults(1)); /* of the last burst the first one */
    patient.expect_only_successes();

    run failing(hasty, b, 100);
    EXPECT_EQ(50u, failing.with(10));
    EXPECT_EQ(96u, faults(1));
    failing.expect_only_successes();
    return 0;
}

/* delay us=3000 p=0.3 dist=exp: overtaken, not lost */
DEVICE_ROLE(fault_delay)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 200, 32);

    EXPECT_EQ(200u, r.with(0));
    EXPECT_GT(faults(1), 20u);
    EXPECT_FALSE(r.in_order());
    r.expect_only_successes();
    return 0;
}

/* delay us=20000 every=10: never less */
DEVICE_ROLE(fault_delay_fixed)
{
    typedef std::chrono::steady_clock clock;
    endpoint a(depth(0)), b(depth(1));
    clock::time_point start = clock::now();

    EXPECT_EQ(20u, run(a, b, 20).with(0));
    EXPECT_EQ(2u, faults(1));
    EXPECT_LE(std::chrono::milliseconds(40), clock::now() - start);
    return 0;
}

/* pause after=5 for=30ms: as above */
DEVICE_ROLE(fault_pause)
{
    typedef std::chrono::steady_clock clock;
    endpoint a(depth(0)), b(depth(1));
    clock::time_point start = clock::now();
    run r(a, b, 30, 8);

    EXPECT_EQ(30u, r.with(0));
    EXPECT_LE(1u, faults(1));
    EXPECT_LE(std::chrono::milliseconds(30), clock::now() - start);
    r.expect_only_successes();
    return 0;
}

/* reorder depth=16 */
DEVICE_ROLE(fault_reorder)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 200, 32);

    EXPECT_LE(1u, faults(1));
    EXPECT_FALSE(r.in_order());
    r.expect_only_successes();
    return 0;
}

/* duplicate every=4 */
DEVICE_ROLE(fault_duplicate)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 40);
    std::map<uint32_t, unsigned> got;

    EXPECT_EQ(40u, r.with(0));
    EXPECT_EQ(10u, faults(1));
    EXPECT_EQ(50u, r.arrivals.size());
    for (const arrival &a : r.arrivals) {
        ++got[a.imm];
        check(a.data.data(), LENGTH, a.imm);
    }
    for (uint32_t i = 0; i < 40; ++i) {
        EXPECT_EQ((i % 4 == 3) ? 2u : 1u, got[i]) << i;
    }
    return 0;
}

unsigned bits(uint64_t value)
{
    return __builtin_popcountll(value);
}

/* corrupt what=payload every=2; corrupt what=imm every=3 */
DEVICE_ROLE(fault_corrupt)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 60);

    EXPECT_EQ(60u, r.with(0));
    EXPECT_EQ(30u, faults(1));
    EXPECT_EQ(20u, faults(2));
    EXPECT_EQ(60u, r.arrivals.size());
    for (uint32_t i = 0; i < r.arrivals.size(); ++i) {
        const arrival &arrival = r.arrivals[i];
        unsigned wrong         = 0;

        for (unsigned j = 0; j < LENGTH; ++j) {
            wrong += bits(arrival.data[j] ^ pattern(i, j));
        }
        EXPECT_EQ((i % 2 == 1) ? 1u : 0u, wrong) << i;
        EXPECT_EQ((i % 3 == 2) ? 1u : 0u, bits(arrival.imm ^ i)) << i;
        /* The sender's memory is as it was */
        check(a.buffer.data() + (DEPTH + i) * LENGTH, LENGTH, i);
    }
    return 0;
}

/* unreachable peer=1 after=10 */
DEVICE_ROLE(fault_unreachable)
{
    endpoint a(depth(0)), b(depth(1)), c(depth(2));
    run r(a, b, 30);

    EXPECT_EQ(20u, r.with(15));
    EXPECT_EQ(20u, faults(1));
    r.expect_only_successes();
    EXPECT_EQ(10u, run(a, c, 10).with(0));
    EXPECT_EQ(10u, run(b, a, 10).with(0));
    return 0;
}

/* unresponsive peer=1 after=10 for=30ms */
DEVICE_ROLE(fault_unresponsive)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 11);

    EXPECT_EQ(1u, r.with(13));
    r.expect_only_successes();
    wait_until(
            [&] {
        a.send(b.addr(), 1, 0, 10);
        uint32_t status = a.wait()[0].vendor_err;
        EXPECT_TRUE((status == 0) || (status == 13)) << status;
        return status == 0;
            },
            [] {}, "an answer");
    EXPECT_LE(1u, faults(1));
    return 0;
}

/* qp_error after=10: what was sent before has arrived, the rest is flushed */
DEVICE_ROLE(fault_qp_error)
{
    endpoint a(depth(0)), b(depth(1));
    run r(a, b, 20, 20);
    ibv_async_event event;

    EXPECT_EQ(1u, faults(1));
    EXPECT_EQ(10u, r.with(0));
    EXPECT_EQ(10u, r.with(STATUS_FLUSHED));
    r.expect_only_successes();
    EXPECT_EQ(0, ibv_get_async_event(a.context, &event));
    EXPECT_EQ(IBV_EVENT_QP_FATAL, event.event_type);
    EXPECT_EQ(a.qp.get(), event.element.qp);
    ibv_ack_async_event(&event);
    return 0;
}

/* fatal after=10 return=1us */
DEVICE_ROLE(fault_fatal)
{
    handle<ibv_context> context = open_device(0);
    endpoint *a = new endpoint(depth(0), context.get()); /* leaks */
    endpoint b(depth(1));
    ibv_async_event event;
    unsigned done = 0;

    for (unsigned i = 0; i < DEPTH; ++i) {
        b.recv(i, i * LENGTH, LENGTH);
    }
    for (unsigned i = 0; i < 20; ++i) {
        run::post(*a, b.addr(), i);
    }
    EXPECT_EQ(0, ibv_get_async_event(a->context, &event));
    EXPECT_EQ(IBV_EVENT_DEVICE_FATAL, event.event_type);
    for (unsigned i = 0; i < 10; ++i) {
        done += a->poll().size();
    }
    EXPECT_EQ(10u, done);
    EXPECT_EQ(10u, b.poll(32).size());
    EXPECT_EQ(1u, faults(1));
    context.reset();

    endpoint again(depth(0)); /* the rule has struck its one time */
    EXPECT_EQ(10u, run(again, b, 10).with(0));
    return 0;
}

/* Orders from outside: pause, unresponsive, unreachable, both directions */
DEVICE_ROLE(fault_orders)
{
    typedef std::chrono::steady_clock clock;
    endpoint a(depth(0)), b(depth(1)), c(depth(2));

    EXPECT_EQ(5u, run(a, b, 5).with(0));
    inject("unresponsive dev=1");
    EXPECT_EQ(5u, run(a, b, 5).with(13));
    EXPECT_EQ(5u, run(b, a, 5).with(13));
    EXPECT_EQ(5u, run(a, c, 5).with(0));
    inject("unreachable dev=1");
    EXPECT_EQ(5u, run(a, b, 5).with(15));
    inject("return dev=1");
    EXPECT_EQ(5u, run(a, b, 5).with(0));

    for (endpoint *e : {&a, &b}) {
        clock::time_point start = clock::now();

        inject("pause dev=1 for=30ms");
        run r(*e, (e == &a) ? b : a, 20, 8);
        EXPECT_EQ(20u, r.with(0));
        EXPECT_LE(std::chrono::milliseconds(30), clock::now() - start);
        r.expect_only_successes();
    }
    return 0;
}

typedef std::pair<const char*, const char*> message_param;

class message_faults : public ::testing::TestWithParam<message_param> {
};

TEST_P(message_faults, seen)
{
    EXPECT_EQ(0, play_faults(GetParam().first, GetParam().second,
                             {{"SOFTEFA_DEVICES", "3"},
                              {"SOFTEFA_REORDER", "0"},
                              NO_LEAK_CHECK}));
}

INSTANTIATE_TEST_SUITE_P(
        all, message_faults,
        ::testing::Values(
                message_param("fault_status",
                              "status code=13 every=3 after=10 count=5"),
                message_param("fault_selectors",
                              "status code=7 op=read; status code=8 peer=2\n"
                              "# a comment; status code=1\n"
                              " status code=9\tdev=1 op=any ;"),
                message_param("fault_rnr", "rnr burst=5 every=10"),
                message_param("fault_delay", "delay us=3000 p=0.3 dist=exp"),
                message_param("fault_delay_fixed", "delay us=20000 every=10"),
                message_param("fault_pause", "pause after=5 for=30ms"),
                message_param("fault_reorder", "reorder depth=16"),
                message_param("fault_duplicate", "duplicate every=4"),
                message_param("fault_corrupt", "corrupt what=payload every=2;"
                                               "corrupt what=imm every=3"),
                message_param("fault_unreachable",
                              "unreachable peer=1 after=10"),
                message_param("fault_unresponsive",
                              "unresponsive peer=1 after=10 for=30ms"),
                message_param("fault_qp_error", "qp_error after=10"),
                message_param("fault_fatal", "fatal after=10 return=1us"),
                message_param("fault_orders", "")),
        [](const ::testing::TestParamInfo<message_param> &i) {
            return std::string(i.param.first);
        });

/* The same seed strikes the same messages, another one others. */
TEST(fault_seed, repeats)
{
    auto struck = [](const char *seed) {
        std::string text;
        child c("fault_random", {{"SOFTEFA_FABRIC", fresh_fabric()},
                                 {"SOFTEFA_FAULTS", "status code=10 "
                                                    "p=0.25"},
                                 {"SOFTEFA_REORDER", "0"},
                                 {"SOFTEFA_SEED", seed}});

        for (unsigned i = 0; i < 400; ++i) {
            text += std::to_string(c.to->get<uint8_t>()) + " ";
        }
        EXPECT_EQ(0, c.join());
        return text;
    };
    std::string first = struck("5");

    EXPECT_EQ(first, struck("5"));
    EXPECT_NE(first, struck("6"));
}

/* proc=N: the first process is spared, the second is not */
DEVICE_ROLE(fault_second)
{
    address to = parent.get<address>();
    endpoint a(depth(0));

    a.send(to, 1, 0, 10);
    EXPECT_EQ(13u, a.wait()[0].vendor_err);
    EXPECT_EQ(1u, faults(1));
    return 0;
}

DEVICE_ROLE(fault_first)
{
    endpoint a(depth(0)), b(depth(1));
    child other("fault_second");

    other.to->put(b.addr());
    EXPECT_EQ(5u, run(a, b, 5).with(0));
    EXPECT_EQ(0, other.join());
    return 0;
}

TEST(fault_proc, one_of_two)
{
    EXPECT_EQ(0, play_faults("fault_first", "status code=13 proc=1"));
}

} // namespace
