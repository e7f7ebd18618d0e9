/*
 * RDMA read: data of every size, and everything the responder refuses.
 *
 *   reader (a)                         responder (b)
 *   sends {rkey, address, length} -->  needs an AH for the reader's address,
 *   gets the bytes               <--   a region with REMOTE_READ in the PD of
 *                                      the QP that was named
 */
#include "verbs_test.h"

#include <cerrno>
#include <cstring>

namespace device {

static config rdma_config(unsigned device, size_t buffer = 1 << 16)
{
    config cfg;

    cfg.rdma   = true;
    cfg.device = device;
    cfg.buffer = buffer;
    cfg.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
    return cfg;
}

static uint64_t va(const endpoint &e, size_t offset)
{
    return (uint64_t)(uintptr_t)(e.buffer.data() + offset);
}

/* Parameter: the responder's device; 0 is also the reader's. */
class rdma_read : public ::testing::TestWithParam<unsigned> {
protected:
    rdma_read() :
        a(rdma_config(0, BUFFER)), b(rdma_config(GetParam(), BUFFER))
    {
        b.ah(a.addr());
    }

    uint32_t read(const ibv_sge &local, uint64_t remote, uint32_t rkey)
    {
        completion c;

        a.read(b.addr(), 77, local, remote, rkey);
        c = a.wait(1, &b)[0];
        EXPECT_EQ(77u, c.wr_id);
        EXPECT_EQ(a.qp->qp_num, c.qp_num);
        EXPECT_EQ(c.vendor_err == 0, c.status == IBV_WC_SUCCESS);
        return c.vendor_err;
    }

    static constexpr size_t BUFFER = (9 << 20) + 8192;
    endpoint                a, b;
};

TEST_P(rdma_read, sizes)
{
    static const uint32_t lengths[] = {
        0, 1, 7, 8, 64, 4095, 4096, 4097, 8928, 8929, 65535, 65536, 65537,
        1 << 20, (1 << 20) + 1, 9 << 20,
    };

    for (uint32_t length : lengths) {
        std::fill(a.buffer.begin(), a.buffer.end(), 0xee);
        fill(b.buffer.data() + 5, length, length);
        ASSERT_EQ(0u, read(a.sge(3, length), va(b, 5), b.mr->rkey)) << length;
        check(a.buffer.data() + 3, length, length);
        EXPECT_EQ(0xee, a.buffer[2]);
        EXPECT_EQ(0xee, a.buffer[3 + length]);
    }
    /* Nothing of this is the responder's business. */
    b.expect_silence(100);
}

TEST_P(rdma_read, many_in_flight)
{
    const unsigned total = harness::scaled(5000);
    unsigned posted = 0, done = 0;
    slots free_slots(64, total);

    for (unsigned i = 0; i < 64; ++i) {
        fill(b.buffer.data() + i * 512, 512, i);
    }
    wait_until([&] { return done == total; },
               [&] {
        while ((posted < total) && (posted - done < 64)) {
            unsigned slot = free_slots.get(posted);
            a.read(b.addr(), posted, a.sge(slot * 512, 512), va(b, slot * 512),
                   b.mr->rkey);
            posted++;
        }
        for (const completion &c : a.poll(64)) {
            ASSERT_EQ(IBV_WC_SUCCESS, c.status);
            unsigned slot = free_slots.of(c.wr_id);
            check(a.buffer.data() + slot * 512, 512, slot);
            memset(a.buffer.data() + slot * 512, 0, 512);
            free_slots.put(c.wr_id);
            done++;
        }
    },
               "5000 reads");
}

TEST_P(rdma_read, remote_bounds_and_keys)
{
    std::vector<uint8_t> memory(8192);
    handle<ibv_mr> region = reg_mr(b.pd, memory.data() + 4096, 2048,
                                   IBV_ACCESS_REMOTE_READ);
    uint64_t start        = (uint64_t)(uintptr_t)region->addr;
    ibv_sge local         = a.sge(0, 64);

    EXPECT_EQ(0u, read(local, start, region->rkey));
    EXPECT_EQ(0u, read(local, start + 2048 - 64, region->rkey));
    memset(a.buffer.data(), 0xee, 64);
    for (uint64_t bad :
         std::vector<uint64_t>{start - 1, start + 2048 - 63, start + 2048,
                               start - 64, start + (1ull << 40), 0,
                               UINT64_MAX - 10}) {
        EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
                  read(local, bad, region->rkey));
    }
    for (uint32_t bad :
         {0u, 0xffffffffu, region->rkey + 1, region->rkey ^ 0x80000000}) {
        if (bad != b.mr->rkey) {
            EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
                      read(local, start, bad));
        }
    }
    for (unsigned i = 0; i < 64; ++i) {
        ASSERT_EQ(0xee, a.buffer[i]);
    }
}

TEST_P(rdma_read, remote_permission)
{
    std::vector<uint8_t> memory(4096);
    handle<ibv_pd> other   = alloc_pd(b.context);
    handle<ibv_mr> mute    = reg_mr(b.pd, memory.data(), 4096,
                                    IBV_ACCESS_LOCAL_WRITE),
                   foreign = reg_mr(other.get(), memory.data(), 4096,
                                    IBV_ACCESS_REMOTE_READ);
    uint64_t start         = (uint64_t)(uintptr_t)memory.data();

    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
              read(a.sge(0, 64), start, mute->rkey));
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
              read(a.sge(0, 64), start, foreign->rkey));
}

TEST_P(rdma_read, after_dereg)
{
    std::vector<uint8_t> memory(4096);
    handle<ibv_mr> region = reg_mr(b.pd, memory.data(), 4096,
                                   IBV_ACCESS_REMOTE_READ);
    uint32_t rkey         = region->rkey;
    uint64_t start        = (uint64_t)(uintptr_t)memory.data();

    EXPECT_EQ(0u, read(a.sge(0, 64), start, rkey));
    region.reset();
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
              read(a.sge(0, 64), start, rkey));
}

/* The reader's own buffer must be one that the device may write. */
TEST_P(rdma_read, local_buffer)
{
    std::vector<uint8_t> memory(4096, 0xee);
    handle<ibv_mr> read_only = reg_mr(a.pd, memory.data(), 4096, 0);
    ibv_sge sge = {(uint64_t)(uintptr_t)memory.data(), 64, read_only->lkey};

    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, read(sge, va(b, 0), b.mr->rkey));
    sge.lkey ^= 0x800000;
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, read(sge, va(b, 0), b.mr->rkey));
    sge = a.sge(BUFFER - 10, 64);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, read(sge, va(b, 0), b.mr->rkey));
    EXPECT_EQ(std::vector<uint8_t>(4096, 0xee), memory);
}

TEST_P(rdma_read, longer_than_the_device_can)
{
    EXPECT_EQ((uint32_t)STATUS_BAD_LENGTH,
              read(a.sge(0, (1u << 30) + 1), va(b, 0), b.mr->rkey));
}

TEST_P(rdma_read, no_such_qp)
{
    address to = b.addr();

    to.qpn ^= 0x40;
    a.read(to, 1, a.sge(0, 64), va(b, 0), b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
}

INSTANTIATE_TEST_SUITE_P(device, rdma_read, ::testing::Values(0u, 1u));

/* Only with an AH for the reader does a responder answer. */
TEST(rdma_peer, must_be_known)
{
    endpoint a(rdma_config(0)), b(rdma_config(1));

    fill(b.buffer.data(), 64, 1);
    a.read(b.addr(), 1, a.sge(0, 64), va(b, 0), b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_NO_AH, a.wait(1, &b)[0].vendor_err);

    /* An AH of somebody else does not help. */
    b.ah(made_up_gid(3));
    a.read(b.addr(), 2, a.sge(0, 64), va(b, 0), b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_NO_AH, a.wait(1, &b)[0].vendor_err);

    b.ah(a.addr());
    a.read(b.addr(), 3, a.sge(0, 64), va(b, 0), b.mr->rkey);
    EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
    check(a.buffer.data(), 64, 1);

    b.ahs.clear();
    a.read(b.addr(), 4, a.sge(0, 64), va(b, 0), b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_NO_AH, a.wait(1, &b)[0].vendor_err);
}

/* A send needs no AH at the receiver. */
TEST(rdma_peer, send_needs_none)
{
    endpoint a(rdma_config(0)), b(rdma_config(1));

    b.recv(1, 0, 64);
    a.send(b.addr(), 1, 0, 64);
    EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
    EXPECT_EQ(AH_UNKNOWN, b.wait()[0].slid);
}

/* One's own memory through the device, with an AH to oneself. */
TEST(rdma_peer, oneself)
{
    endpoint e(rdma_config(0));

    fill(e.buffer.data(), 4096, 2);
    e.read(e.addr(), 1, e.sge(8192, 4096), va(e, 0), e.mr->rkey);
    EXPECT_EQ(0u, e.wait()[0].vendor_err);
    check(e.buffer.data() + 8192, 4096, 2);
}

/* libefa offers RDMA to SRD QPs that asked for it, never to UD. */
TEST(rdma_ops, of_the_qp)
{
    config cfg = rdma_config(0);

    cfg.ud = true;
    EXPECT_THROW({ endpoint e(cfg); }, std::runtime_error);
    cfg.ud   = false;
    cfg.rdma = false;
    endpoint without(cfg);
    EXPECT_EQ(nullptr, ibv_qp_to_qp_ex(without.qp.get())->wr_rdma_read);
}

} /* namespace device */
