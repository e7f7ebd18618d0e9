/*
 * Delivery out of order, on request (SOFTEFA_REORDER, SOFTEFA_SEED).
 *
 * A child sends numbered messages to itself and reports in which order they
 * came. The device may permute them, must not lose or repeat any, and does the
 * same again for the same seed.
 */
#include "verbs_test.h"

#include <algorithm>
#include <cstring>

namespace device {

struct order_job {
    uint32_t total;
    uint32_t distance; /* messages in flight at most */
    uint32_t ud;
    uint32_t read;     /* every read-th operation is an RDMA read; 0: none */
};

/* Returns a checksum of the order, in place of 200k numbers. */
struct order_report {
    uint64_t checksum;
    uint32_t displaced;   /* arrived before one that was sent earlier */
    uint32_t completions_displaced;
    uint32_t farthest;    /* how many later ones it let pass */
    uint32_t reserved;    /* no byte of it is sent without a value */
};

DEVICE_ROLE(send_in_order)
{
    order_job job     = parent.get<order_job>();
    const size_t slot = 256, prefix = job.ud ? UD_PREFIX : 0;
    config cfg;

    cfg.ud      = job.ud;
    cfg.rdma    = !job.ud;
    cfg.access  = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
    cfg.send_wr = cfg.recv_wr = 512;
    cfg.buffer                = 2 * 512 * slot;
    endpoint a(cfg), b(cfg);
    address to = b.addr();
    std::vector<uint8_t> received(job.total), sent(job.total);
    uint32_t posted = 0, next_recv = 0, completed = 0;
    uint32_t arrived = 0, expected = 0, highest = 0;
    uint32_t reads = 0, last_completion = 0;
    order_report report = {14695981039346656037ull, 0, 0, 0, 0};
    slots free_slots(512, job.total);

    b.ah(a.addr());
    fill(b.buffer.data() + 512 * slot, slot, 12345);
    for (; next_recv < 512; ++next_recv) {
        b.recv(next_recv, next_recv * slot, slot);
    }

    wait_until(
            [&] {
        return (completed == job.total) && (arrived == expected) &&
               (posted == job.total);
            },
            [&] {
        while ((posted < job.total) && (posted - completed < job.distance) &&
               (expected - arrived < 512)) {
            size_t offset = free_slots.get(posted) * slot;
            if (job.read && (posted % job.read == 0)) {
                a.read(to, posted, a.sge(512 * slot + offset, slot),
                       (uintptr_t)b.buffer.data() + 512 * slot, b.mr->rkey);
                reads++;
            } else {
                send_args args;
                args.wr_id   = posted;
                args.has_imm = true;
                args.imm     = posted;
                args.sgl     = {a.sge(offset, 16 + posted % 100)};
                fill(a.buffer.data() + offset, 16 + posted % 100, posted);
                a.send(to, args);
                expected++;
            }
            posted++;
        }
        for (const completion &c : a.poll(64)) {
            if ((c.status != IBV_WC_SUCCESS) || (c.wr_id >= job.total) ||
                sent[c.wr_id]++) {
                throw std::runtime_error("bad or second completion");
            }
            if (job.read && (c.wr_id % job.read == 0)) {
                check(a.buffer.data() + 512 * slot +
                              free_slots.of(c.wr_id) * slot,
                      slot, 12345);
            }
            free_slots.put(c.wr_id);
            report.completions_displaced += c.wr_id < last_completion;
            last_completion = std::max<uint32_t>(last_completion, c.wr_id);
            completed++;
        }
        for (const completion &c : b.poll(64)) {
            if ((c.status != IBV_WC_SUCCESS) || (c.imm >= job.total) ||
                received[c.imm]++) {
                throw std::runtime_error("bad or second message");
            }
            if (c.byte_len != prefix + 16 + c.imm % 100) {
                throw std::runtime_error("wrong length");
            }
            check(b.buffer.data() + (c.wr_id % 512) * slot + prefix,
                  16 + c.imm % 100, c.imm);
            if (c.imm < highest) {
                report.displaced++;
                report.farthest = std::max(report.farthest, highest - c.imm);
            }
            highest         = std::max(highest, c.imm);
            report.checksum = (report.checksum ^ c.imm) * 1099511628211ull;
            b.recv(c.wr_id, (c.wr_id % 512) * slot, slot);
            arrived++;
        }
    },
            "all messages");

    if (std::count(sent.begin(), sent.end(), 1) != job.total) {
        return 2;
    }
    if (std::count(received.begin(), received.end(), 1) !=
        (long)(job.total - reads)) {
        return 3;
    }
    a.expect_silence();
    b.expect_silence();
    parent.put(report);
    return 0;
}

static order_report run(order_job job, const char *reorder, const char *seed)
{
    /* The random choices of a QP depend on its number. */
    child c("send_in_order", {{"SOFTEFA_REORDER", reorder},
                              {"SOFTEFA_SEED", seed},
                              {"SOFTEFA_FABRIC", fresh_fabric()}});
    order_report report = {};

    job.total = harness::scaled(job.total);
    c.to->put(job);
    try {
        report = c.to->get<order_report>();
    } catch (const std::exception &e) {
        ADD_FAILURE() << e.what();
    }
    EXPECT_EQ(0, c.join());
    return report;
}

TEST(order, as_sent_by_default)
{
    order_report report = run({20000, 256, 0, 0}, "0", "1");

    EXPECT_EQ(0u, report.displaced);
}

TEST(order, permuted_and_complete)
{
    order_report report = run({2000000, 256, 0, 0}, "32", "1");

    EXPECT_GT(report.displaced, harness::scaled(2000000) / 10);
    EXPECT_GT(report.completions_displaced, 0u);
}

/* If the machine stalls the program for longer than a millisecond, the device
 * looks after what it holds by itself: such a run does not count. So the runs
 * are short, that two without a stall are soon found on any machine. Without
 * the seed no two of them would ever be equal. */
TEST(order, same_seed_same_order)
{
    order_job job      = {100, 32, 0, 0};
    order_report first = run(job, "16", "7"), second, other;
    unsigned tries     = 0;

    do {
        second = run(job, "16", "7");
        std::swap(first, second);
    } while ((first.checksum != second.checksum) && (++tries < 200));
    EXPECT_EQ(first.checksum, second.checksum);
    EXPECT_EQ(first.displaced, second.displaced);
    EXPECT_GT(first.displaced, 0u);

    other = run(job, "16", "8");
    EXPECT_NE(first.checksum, other.checksum);
}

/* A larger distance lets more pass; an absurd one still ends. */
TEST(order, distance)
{
    order_report near = run({20000, 256, 0, 0}, "2", "1"),
                 far  = run({20000, 256, 0, 0}, "128", "1"),
                 most = run({20000, 512, 0, 0}, "4096", "1");

    EXPECT_GT(near.displaced, 0u);
    EXPECT_LT(near.farthest, far.farthest);
    EXPECT_GT(most.displaced, 0u);
}

/* One message at a time must not be held back for company. */
TEST(order, one_at_a_time)
{
    order_report report = run({2000, 1, 0, 0}, "64", "1");

    EXPECT_EQ(0u, report.displaced);
}

TEST(order, ud)
{
    order_report report = run({50000, 256, 1, 0}, "32", "3");

    EXPECT_GT(report.displaced, 0u);
}

TEST(order, reads_among_sends)
{
    order_report report = run({50000, 256, 0, 3}, "32", "3");

    EXPECT_GT(report.displaced, 0u);
}

} /* namespace device */
