/*
 * Threads: each with its QP and CQ, sending into the other's; and two that
 * share a QP, as verbs allow.
 */
#include "verbs_test.h"

#include <atomic>
#include <thread>

namespace device {

/* Sends total numbered messages to to, and takes as many. */
static void exchange(endpoint &e, const address &to, unsigned total,
                     std::atomic<unsigned> &failures)
{
    const size_t slot = 256;
    std::vector<char> sent(total), received(total);
    unsigned posted = 0, completed = 0, arrived = 0;
    slots free_slots(64, total);

    try {
        wait_until([&] { return (completed == total) && (arrived == total); },
                   [&] {
            while ((posted < total) && (posted - completed < 32)) {
                send_args args;
                size_t offset = (64 + free_slots.get(posted)) * slot;

                args.wr_id   = posted;
                args.has_imm = true;
                args.imm     = posted;
                args.sgl     = {e.sge(offset, 1 + posted % 200)};
                fill(e.buffer.data() + offset, 1 + posted % 200, posted);
                e.send(to, args);
                posted++;
            }
            for (const completion &c : e.poll()) {
                failures += c.status != IBV_WC_SUCCESS;
                if (c.opcode & IBV_WC_RECV) {
                    failures += received.at(c.imm)++ != 0;
                    failures += c.byte_len != 1 + c.imm % 200;
                    for (unsigned i = 0; i < c.byte_len; ++i) {
                        failures += e.buffer[c.wr_id * slot + i] !=
                                    pattern(c.imm, i);
                    }
                    e.recv(c.wr_id, c.wr_id * slot, slot);
                    arrived++;
                } else {
                    failures += sent.at(c.wr_id)++ != 0;
                    free_slots.put(c.wr_id);
                    completed++;
                }
            }
        },
                   "messages of a thread");
    } catch (const std::exception &error) {
        fprintf(stderr, "thread: %s\n", error.what());
        failures++;
    }
}

/* Parameter: do the threads share one open device and PD? */
class threads : public ::testing::TestWithParam<bool> {
};

TEST_P(threads, on_two_qps)
{
    config cfg;
    std::unique_ptr<endpoint> a(new endpoint(cfg)), b;
    std::atomic<unsigned> failures(0);

    b.reset(GetParam() ? new endpoint(cfg, a->context, a->pd) :
                         new endpoint(cfg));
    for (unsigned i = 0; i < 64; ++i) {
        a->recv(i, i * 256, 256);
        b->recv(i, i * 256, 256);
    }
    address to_a = a->addr(), to_b = b->addr();
    std::thread other([&] {
        exchange(*b, to_a, harness::scaled(50000), failures);
    });
    exchange(*a, to_b, harness::scaled(50000), failures);
    other.join();
    EXPECT_EQ(0u, failures);
}

INSTANTIATE_TEST_SUITE_P(shared, threads, ::testing::Bool());

/* Objects come and go in one thread while another sends. */
TEST(thread, creates_while_another_sends)
{
    endpoint a, b;
    std::atomic<unsigned> failures(0);
    std::atomic<bool> stop(false);

    for (unsigned i = 0; i < 64; ++i) {
        a.recv(i, i * 256, 256);
        b.recv(i, i * 256, 256);
    }
    std::thread creator([&] {
        std::vector<uint8_t> memory(4096);
        while (!stop) {
            try {
                endpoint e(config(), a.context);
                handle<ibv_mr> mr = reg_mr(a.pd, memory.data(), 4096, 0);
                handle<ibv_ah> ah = create_ah(a.pd, made_up_gid(5));
            } catch (const std::exception &error) {
                fprintf(stderr, "creator: %s\n", error.what());
                failures++;
                break;
            }
        }
    });
    address to_a = a.addr(), to_b = b.addr();
    std::thread other([&] {
        exchange(b, to_a, harness::scaled(20000), failures);
    });
    exchange(a, to_b, harness::scaled(20000), failures);
    other.join();
    stop = true;
    creator.join();
    EXPECT_EQ(0u, failures);
}

/* Four threads post to one QP; one polls for all. */
TEST(thread, posts_to_a_shared_qp)
{
    config cfg;
    cfg.recv_wr = 512;
    cfg.send_wr = 256;
    endpoint a(cfg), b(cfg);
    const unsigned each = harness::scaled(5000);
    std::atomic<unsigned> failures(0), free_slots(256);
    std::vector<std::thread> posters;
    std::vector<char> seen(4 * each);
    unsigned completed = 0, arrived = 0;
    address to = b.addr();

    a.ah(to);
    for (unsigned i = 0; i < 512; ++i) {
        b.recv(i, 0, 64);
    }
    for (unsigned t = 0; t < 4; ++t) {
        posters.emplace_back([&, t] {
            for (unsigned i = 0; (i < each) && !failures;) {
                unsigned left = free_slots;
                if ((left == 0) ||
                    !free_slots.compare_exchange_strong(left, left - 1)) {
                    std::this_thread::yield();
                    continue;
                }
                send_args args;
                args.has_imm = true;
                args.imm     = t * each + i;
                failures += a.try_send(to, args) != 0;
                ++i;
            }
        });
    }
    try {
        wait_until(
                [&] {
            return (completed == 4 * each) && (arrived == 4 * each);
                },
                [&] {
            for (const completion &c : a.poll()) {
                failures += c.status != IBV_WC_SUCCESS;
                completed++;
                free_slots++;
            }
            for (const completion &c : b.poll()) {
                failures += seen.at(c.imm)++ != 0;
                b.recv(c.wr_id, 0, 64);
                arrived++;
            }
        },
                "messages of four threads");
    } catch (const std::exception &error) {
        ADD_FAILURE() << error.what() << ", " << completed << " completed, "
                      << arrived << " arrived";
        failures++;
    }
    for (std::thread &t : posters) {
        t.join();
    }
    EXPECT_EQ(0u, failures);
}

} /* namespace device */
