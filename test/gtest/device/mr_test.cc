/*
 * Memory regions and who may use them: access flags, keys, bounds, PDs.
 */
#include "verbs_test.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace device {

class mr : public ::testing::Test {
protected:
    mr() : a(send_cfg()), b(config()), memory(64 * 1024)
    {
    }

    static config send_cfg()
    {
        config cfg;

        cfg.send_sge = 2;
        return cfg;
    }

    /* vendor_err of a's send of this memory to b. */
    uint32_t send(const std::vector<ibv_sge> &sgl)
    {
        send_args args;

        args.sgl = sgl;
        a.send(b.addr(), args);
        return a.wait(1, &b)[0].vendor_err;
    }

    ibv_sge at(const handle<ibv_mr> &region, long offset, uint32_t length)
    {
        return {(uint64_t)(uintptr_t)region->addr + offset, length,
                region->lkey};
    }

    endpoint             a, b;
    std::vector<uint8_t> memory;
};

TEST_F(mr, access_flags)
{
    struct {
        int access, error;
    } const cases[] = {
        {0, 0},
        {IBV_ACCESS_LOCAL_WRITE, 0},
        {IBV_ACCESS_REMOTE_READ, 0},
        {IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ, 0},
        {IBV_ACCESS_RELAXED_ORDERING, 0},
        {IBV_ACCESS_REMOTE_WRITE, EINVAL}, /* without LOCAL_WRITE */
        {IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_LOCAL_WRITE, EOPNOTSUPP},
        {IBV_ACCESS_MW_BIND, EOPNOTSUPP},
        {IBV_ACCESS_ON_DEMAND, EOPNOTSUPP}, /* or EINVAL: Linux 6.1 */
        {1 << 15, EINVAL}, /* by ib_uverbs */
    };

    for (const auto &c : cases) {
        errno = 0;
        handle<ibv_mr> region(ibv_reg_mr(a.pd, memory.data(), memory.size(),
                                         c.access));
        if (played() || (c.access != IBV_ACCESS_ON_DEMAND) ||
            (errno != EINVAL)) {
            EXPECT_EQ(c.error, errno * !region) << "access " << c.access;
        }
        EXPECT_EQ(c.error == 0, (bool)region) << "access " << c.access;
    }
}

/* Remote write depends on the generation: efa0 cannot. */
TEST_F(mr, remote_write_by_generation)
{
    bool can = device_attr(a.context).vendor_part_id != 0xefa0;

    errno = 0;
    handle<ibv_mr> region(ibv_reg_mr(a.pd, memory.data(), memory.size(),
                                     IBV_ACCESS_LOCAL_WRITE |
                                             IBV_ACCESS_REMOTE_WRITE));
    EXPECT_EQ(can, (bool)region);
    if (!can) {
        EXPECT_EQ(EOPNOTSUPP, errno);
    }
}

TEST_F(mr, bad_ranges)
{
    EXPECT_EQ(nullptr, ibv_reg_mr(a.pd, (void *)(uintptr_t)-4096, 8192, 0));
    EXPECT_EQ(nullptr, ibv_reg_mr(a.pd, memory.data(), 0, 0));
    EXPECT_EQ(nullptr,
              ibv_reg_mr(a.pd, memory.data(), (96ull << 30) + 4096, 0));
}

/* The kernel pins pages: there must be some. */
TEST_F(mr, unmapped_memory)
{
    size_t page = sysconf(_SC_PAGESIZE);
    char *hole  = (char *)mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT_NE(MAP_FAILED, (void *)hole);
    munmap(hole + page, page);
    EXPECT_EQ(nullptr, ibv_reg_mr(a.pd, hole, 3 * page, 0));
    EXPECT_EQ(EFAULT, errno);
    munmap(hole, page);
    munmap(hole + 2 * page, page);
}

/* As pinning needs it: what is written to must be writable. */
TEST_F(mr, protected_memory)
{
    static const struct {
        int protection, access, error;
    } cases[] = {
        {PROT_READ, 0, 0},
        {PROT_READ, IBV_ACCESS_REMOTE_READ, 0},
        {PROT_READ, IBV_ACCESS_LOCAL_WRITE, EFAULT},
        {PROT_READ | PROT_WRITE, IBV_ACCESS_LOCAL_WRITE, 0},
    };
    size_t size = 4 * sysconf(_SC_PAGESIZE);

    for (const auto &c : cases) {
        void *map = mmap(nullptr, size, c.protection,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ASSERT_NE(MAP_FAILED, map);
        errno = 0;
        handle<ibv_mr> region(ibv_reg_mr(a.pd, map, size, c.access));
        EXPECT_EQ(c.error, errno * !region)
                << "protection " << c.protection << " access " << c.access;
        region = handle<ibv_mr>();
        munmap(map, size);
    }
}

TEST_F(mr, keys)
{
    handle<ibv_mr> one = reg_mr(a.pd, memory.data(), 4096, 0),
                   two = reg_mr(a.pd, memory.data(), 4096, 0);

    EXPECT_LE(one->lkey, 0xffffffu);
    EXPECT_LE(two->lkey, 0xffffffu);
    EXPECT_NE(one->lkey, two->lkey);
    EXPECT_NE(one->rkey, two->rkey);
}

TEST_F(mr, bounds)
{
    handle<ibv_mr> region = reg_mr(a.pd, memory.data() + 8192, 4096, 0);

    for (int i = 0; i < 8; ++i) {
        b.recv(i, 0, 8192);
    }
    EXPECT_EQ(0u, send({at(region, 0, 4096)}));
    EXPECT_EQ(0u, send({at(region, 4095, 1)}));
    EXPECT_EQ(0u, send({at(region, 0, 1), at(region, 1, 4095)}));
    b.wait(3);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(region, 0, 4097)}));
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(region, -1, 1)}));
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(region, -1, 4096)}));
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(region, 4096, 1)}));
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(region, 1 << 20, 1)}));
    /* The second entry counts as well. */
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY,
              send({at(region, 0, 16), at(region, 4090, 16)}));
    /* An address near the end of all addresses must not wrap to inside. */
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY,
              send({{UINT64_MAX - 3, 8, region->lkey}}));
    b.expect_silence();
}

TEST_F(mr, wrong_keys)
{
    handle<ibv_mr> region = reg_mr(a.pd, memory.data(), 4096, 0);
    ibv_sge sge           = at(region, 0, 64);

    b.recv(1, 0, 8192);
    for (uint32_t key : {0u, 0xffffffu, region->lkey + 1,
                         region->lkey ^ 0x800000, region->lkey ^ 0x100}) {
        sge.lkey = key;
        if ((key == a.mr->lkey) || (key == region->lkey)) {
            continue;
        }
        EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({sge})) << key;
    }
    b.expect_silence();
}

TEST_F(mr, of_another_pd)
{
    handle<ibv_pd> other  = alloc_pd(a.context);
    handle<ibv_mr> region = reg_mr(other.get(), memory.data(), 4096, 0);

    b.recv(1, 0, 8192);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(region, 0, 64)}));
    b.expect_silence();
}

/* A key dies with its region, also if the next region gets the place. */
TEST_F(mr, after_dereg)
{
    handle<ibv_mr> region = reg_mr(a.pd, memory.data(), 4096, 0);
    ibv_sge sge           = at(region, 0, 64);

    b.recv(1, 0, 8192);
    b.recv(2, 0, 8192);
    EXPECT_EQ(0u, send({sge}));
    b.wait();
    region.reset();
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({sge}));

    region = reg_mr(a.pd, memory.data(), 4096, 0);
    if (region->lkey != sge.lkey) {
        EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({sge}));
    }
    EXPECT_EQ(0u, send({at(region, 0, 64)}));
    b.wait();
}

/* Deregistration with work in flight: it fails with a status, and the memory,
 * which may be somebody else's by now, is neither read nor written. */
TEST_F(mr, dereg_while_a_send_waits)
{
    handle<ibv_mr> region = reg_mr(a.pd, memory.data(), 4096, 0);
    send_args args;

    args.sgl = {at(region, 0, 64)};
    fill(memory.data(), 64, 1);
    a.send(b.addr(), args); /* no receive buffer: held by the device */
    a.expect_silence(100);
    region.reset();
    memset(memory.data(), 0xee, memory.size());
    fill(b.buffer.data(), 64, 2);
    b.recv(1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, a.wait(1, &b)[0].vendor_err);
    b.expect_silence();
    check(b.buffer.data(), 64, 2);

    a.send(b.addr(), 2, 0, 64); /* the queues are none the worse for it */
    EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
    b.wait();
}

TEST_F(mr, dereg_of_a_posted_receive_buffer)
{
    handle<ibv_mr> region = reg_mr(b.pd, memory.data(), 4096,
                                   IBV_ACCESS_LOCAL_WRITE);

    b.recv(1, {at(region, 0, 4096)});
    region.reset();
    memset(memory.data(), 0xee, memory.size());
    EXPECT_NE(0u, send({a.sge(0, 64)}));
    for (uint8_t byte : memory) {
        ASSERT_EQ(0xee, byte);
    }
    for (const completion &c : b.poll()) {
        EXPECT_NE(IBV_WC_SUCCESS, c.status);
    }
}

/* A receive buffer needs local write, and the right key, PD and bounds. What
 * the sender is told is not documented; that nothing is written is. */
TEST_F(mr, receive_buffers)
{
    handle<ibv_pd> other     = alloc_pd(b.context);
    handle<ibv_mr> read_only = reg_mr(b.pd, memory.data(), 4096, 0),
                   foreign   = reg_mr(other.get(), memory.data(), 4096,
                                      IBV_ACCESS_LOCAL_WRITE),
                   good      = reg_mr(b.pd, memory.data(), 4096,
                                      IBV_ACCESS_LOCAL_WRITE);
    const ibv_sge bad[] = {
        at(read_only, 0, 64), at(foreign, 0, 64),    at(good, 4090, 64),
        at(good, -64, 64),    {at(good, 0, 64).addr, 64, good->lkey ^ 0x700},
    };

    fill(a.buffer.data(), 64, 1);
    memset(memory.data(), 0xee, memory.size());
    for (const ibv_sge &sge : bad) {
        b.recv(1, {sge});
        EXPECT_NE(0u, send({a.sge(0, 64)}));
        for (uint8_t byte : memory) {
            ASSERT_EQ(0xee, byte);
        }
        for (const completion &c : b.poll()) {
            EXPECT_NE(IBV_WC_SUCCESS, c.status);
        }
    }

    /* The QP is none the worse for it. */
    b.to_state(IBV_QPS_RESET);
    b.to_state(IBV_QPS_RTS);
    b.recv(2, {at(good, 0, 64)});
    EXPECT_EQ(0u, send({a.sge(0, 64)}));
    b.wait();
    check(memory.data(), 64, 1);
}

TEST_F(mr, many_regions_of_one_buffer)
{
    std::vector<handle<ibv_mr>> regions;

    for (int i = 0; i < 1000; ++i) {
        regions.push_back(reg_mr(a.pd, memory.data() + i, 1000, 0));
    }
    for (int i = 0; i < 1000; i += 37) {
        fill(memory.data() + i, 1000, i);
        b.recv(i, 0, 1000);
        EXPECT_EQ(0u, send({at(regions[i], 0, 1000)}));
        b.wait();
        check(b.buffer.data(), 1000, i);
        EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, send({at(regions[i], 1, 1000)}));
    }
}

} /* namespace device */
