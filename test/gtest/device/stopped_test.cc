/*
 * A process that is stopped (SIGSTOP, a debugger) in the middle of a send, with
 * the receiver's queues in its hands: no NIC would notice. Others go on sending
 * to that receiver, and the receiver itself, without blocking; what cannot be
 * delivered or completed meanwhile is afterwards. Stopped at random here, with
 * libibverbs; at every point: ../engine/points_test.c.
 */
#include "verbs_test.h"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>

using namespace device;

namespace {

/* Room for each; the pusher's own length says what takes most of its time */
constexpr uint32_t SLOT = 8000;

config endless()
{
    config cfg;

    cfg.rnr_retry = 7;
    cfg.buffer    = 1 << 20;
    return cfg;
}

/* Sends without end, one message at a time */
DEVICE_ROLE(pusher)
{
    address to      = parent.get<address>();
    uint32_t length = parent.get<uint32_t>();
    endpoint e(endless());

    /* Nothing but sends from now on */
    e.send(to, 0, 0, length);
    e.wait();
    parent.put<uint32_t>(1);
    for (;;) {
        e.send(to, 0, 0, length);
        e.wait();
    }
}

/* Takes everything that has arrived and posts the buffers again; counts the
 * messages of `own` and what was sent. */
void take(endpoint &e, uint32_t own, unsigned *got, unsigned *done)
{
    for (const completion &c : e.poll()) {
        EXPECT_EQ(0u, c.vendor_err);
        if (c.opcode == IBV_WC_SEND) {
            ++*done;
        } else {
            *got += (c.src_qp == own);
            e.recv(c.wr_id, c.wr_id * SLOT, SLOT);
        }
    }
}

class stopped : public ::testing::TestWithParam<uint32_t> {};

} // namespace

TEST_P(stopped, sender_holds_nobody_up)
{
    unsigned rounds = std::max<unsigned>(8, harness::scaled(80));
    endpoint target(endless()), other(endless());
    child pusher("pusher");
    unsigned sent = 0, done[2] = {}, got[2] = {};
    int wstatus;
    auto step = [&] {
        take(target, other.qp->qp_num, &got[0], &done[0]);
        take(other, target.qp->qp_num, &got[1], &done[1]);
    };

    for (unsigned i = 0; i < 32; ++i) {
        target.recv(i, i * SLOT, SLOT);
        other.recv(i, i * SLOT, SLOT);
    }
    target.ah(other.addr());
    pusher.to->put(target.addr());
    pusher.to->put(GetParam());
    pusher.to->get<uint32_t>();

    while (sent < rounds) {
        for (unsigned i = 0; i < 20 + sent; ++i) {
            step();
        }

        ASSERT_EQ(0, kill(pusher.pid, SIGSTOP));
        ASSERT_EQ(pusher.pid, waitpid(pusher.pid, &wstatus, WUNTRACED));
        ASSERT_TRUE(WIFSTOPPED(wstatus));
        /* Here it would hang */
        ++sent;
        other.send(target.addr(), 0, 0, 64);
        target.send(other.addr(), 0, 0, 64);
        for (unsigned i = 0; i < 20; ++i) {
            step();
        }
        ASSERT_EQ(0, kill(pusher.pid, SIGCONT));
        wait_until(
                [&] {
            return (done[0] == sent) && (got[0] == sent) && (done[1] == sent) &&
                   (got[1] == sent);
                },
                step, "a message sent beside a stopped process");
    }

    EXPECT_EQ(rounds, got[0]);
    EXPECT_EQ(rounds, got[1]);
}

INSTANTIATE_TEST_SUITE_P(length, stopped, ::testing::Values(8, SLOT));
