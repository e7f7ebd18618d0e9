/*
 * A process that is killed at a chosen point, and those who go on: no lock, no
 * receive request and no completion goes with it.
 */
#include "fault_test.h"

#include <csignal>

using namespace device;

namespace {

constexpr uint32_t LENGTH = 500;

config endless()
{
    config cfg;

    cfg.rnr_retry = 7;
    return cfg;
}

/* Makes and destroys, sends and receives, until the plan kills it. */
DEVICE_ROLE(victim)
{
    address to = parent.get<address>();
    endpoint e(endless());

    for (unsigned i = 0; i < 1000; ++i) {
        e.recv(0, 0, LENGTH);
        e.send(to, i, 1000, LENGTH);
        e.send(e.addr(), i, 1000, LENGTH);
        e.wait(3);
        alloc_pd(e.context);
    }
    return 7;
}

/* TEST_POINT: where others are killed, time after time */
DEVICE_ROLE(survivors)
{
    const std::string point = harness::env("TEST_POINT", "");
    endpoint a(endless()), b(endless());
    unsigned sent = 0, got = 0, all = 0;
    auto take = [&] {
        for (const completion &c : b.poll()) {
            EXPECT_EQ(0u, c.vendor_err);
            EXPECT_EQ(LENGTH, c.byte_len);
            b.recv(c.wr_id, c.wr_id * LENGTH, LENGTH);
            got += (c.src_qp == a.qp->qp_num);
            ++all;
        }
    };

    for (unsigned i = 0; i < 16; ++i) {
        b.recv(i, i * LENGTH, LENGTH);
    }

    for (unsigned after : {1, 8, 21, 34, 62}) {
        child other("victim",
                    {{"SOFTEFA_FAULTS",
                      "kill at=" + point + " after=" + std::to_string(after)}});
        int status = -1;

        other.to->put(b.addr());
        wait_until([&] { return (status = other.poll()) >= 0; }, take,
                   "the victim's death");
        EXPECT_EQ(256 + SIGKILL, status) << after;

        /* As many messages as there are requests: none is lost */
        for (unsigned i = 0; i < 40; ++i) {
            a.send(b.addr(), 1, 10000, LENGTH);
            ++sent;
            wait_until([&] { return a.poll().size() == 1; }, take,
                       "a message after the death");
        }
        wait_until([&] { return got == sent; }, take, "all messages");
        /* and commands go on */
        endpoint fresh(endless());
        fresh.recv(0, 0, LENGTH);
        a.send(fresh.addr(), 1, 10000, LENGTH);
        EXPECT_EQ(0u, a.wait(1, &fresh)[0].vendor_err);
        EXPECT_EQ(0u, fresh.wait()[0].vendor_err);
    }
    EXPECT_GT(all, got); /* the victims did send */
    return 0;
}

class killed_at : public ::testing::TestWithParam<const char*> {
};

TEST_P(killed_at, others_go_on)
{
    child c("survivors",
            {{"SOFTEFA_FABRIC", fresh_fabric()}, {"TEST_POINT", GetParam()}});

    EXPECT_EQ(0, c.join());
}

INSTANTIATE_TEST_SUITE_P(fault, killed_at,
                         ::testing::Values("fetch", "deliver", "complete",
                                           "locked-admin", "locked-rq",
                                           "locked-cq"));

} // namespace
