/*
 * A process that is stopped (SIGSTOP, a debugger) in the middle of a send, with
 * the receiver's queue in its hands: no NIC would notice. Others go on sending
 * to that receiver, without blocking; what cannot be delivered meanwhile is
 * delivered afterwards.
 */
#include "verbs_test.h"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>

using namespace device;

namespace {

constexpr uint32_t LENGTH = 8000; /* copying takes most of the time */

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
    address to = parent.get<address>();
    endpoint e(endless());

    /* Nothing but sends from now on */
    e.send(to, 0, 0, LENGTH);
    e.wait();
    parent.put<uint32_t>(1);
    for (;;) {
        e.send(to, 0, 0, LENGTH);
        e.wait();
    }
}

/* Takes everything that has arrived and posts the buffers again; counts the
 * messages of `own`. */
unsigned take(endpoint &target, uint32_t own)
{
    unsigned count = 0;

    for (const completion &c : target.poll()) {
        EXPECT_EQ(0u, c.vendor_err);
        count += (c.src_qp == own);
        target.recv(c.wr_id, c.wr_id * LENGTH, LENGTH);
    }
    return count;
}

} // namespace

TEST(stopped, sender_holds_nobody_up)
{
    endpoint target(endless()), other(endless());
    child pusher("pusher");
    unsigned rounds = std::max<unsigned>(40, harness::scaled(600));
    unsigned sent = 0, done = 0, got = 0;
    int wstatus;

    for (unsigned i = 0; i < 32; ++i) {
        target.recv(i, i * LENGTH, LENGTH);
    }
    pusher.to->put(target.addr());
    pusher.to->get<uint32_t>();

    while (sent < rounds) {
        for (unsigned i = 0; i < 20 + sent; ++i) {
            got += take(target, other.qp->qp_num);
        }

        ASSERT_EQ(0, kill(pusher.pid, SIGSTOP));
        ASSERT_EQ(pusher.pid, waitpid(pusher.pid, &wstatus, WUNTRACED));
        ASSERT_TRUE(WIFSTOPPED(wstatus));
        /* Here it would hang */
        other.send(target.addr(), ++sent, 0, LENGTH);
        for (unsigned i = 0; i < 20; ++i) {
            got  += take(target, other.qp->qp_num);
            done += other.poll().size();
        }
        ASSERT_EQ(0, kill(pusher.pid, SIGCONT));
        wait_until([&] { return (done == sent) && (got == sent); },
                   [&] {
                       got += take(target, other.qp->qp_num);
                       for (const completion &c : other.poll()) {
                           EXPECT_EQ(0u, c.vendor_err);
                           ++done;
                       }
                   },
                   "a message sent beside a stopped process");
    }

    EXPECT_EQ(rounds, got);
}
