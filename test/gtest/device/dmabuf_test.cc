/*
 * Regions of a dma-buf: memory without an address in this process. A memfd
 * stands for the dma-buf; Soft-EFA takes any descriptor that can be mapped.
 */
#include "verbs_test.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace device {

namespace {

const int      rw       = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
const size_t   size     = 256 * 1024;
const size_t   start    = 8192 + 100;      /* of the region in the dma-buf */
const size_t   length   = 128 * 1024;
const uint64_t iova     = (1ull << 52) + 100; /* no process has this address */
const uint8_t  untouched = 0xee;

DEVICE_ROLE(dmabuf_reader)
{
    config cfg;

    cfg.rdma = true;
    endpoint a(cfg);
    parent.put(a.addr());
    address to = parent.get<address>();
    auto key   = parent.get<uint32_t>();

    a.read(to, 1, a.sge(0, 5000), iova + 7, key);
    parent.put(a.wait()[0].vendor_err);
    parent.put_bytes(a.buffer.data(), 5000);
    return 0;
}

} // namespace

class dmabuf : public ::testing::Test {
protected:
    dmabuf() : a(rdma_cfg()), b(rdma_cfg()), fd(memfd_create("dmabuf", 0))
    {
        std::vector<uint8_t> bytes(size, untouched);

        if ((fd < 0) || (pwrite(fd, bytes.data(), size, 0) != (ssize_t)size)) {
            throw failure("memfd");
        }
    }

    ~dmabuf()
    {
        close(fd);
    }

    static config rdma_cfg()
    {
        config cfg;

        cfg.rdma   = true;
        cfg.access = rw;
        return cfg;
    }

    handle<ibv_mr> reg(ibv_pd *pd, int access = rw)
    {
        handle<ibv_mr> region(ibv_reg_dmabuf_mr(pd, start, length, iova, fd,
                                                access));

        if (!region) {
            throw failure("ibv_reg_dmabuf_mr");
        }
        return region;
    }

    int error(uint64_t offset, size_t len, uint64_t va, int desc, int access)
    {
        errno = 0;
        handle<ibv_mr> region(ibv_reg_dmabuf_mr(a.pd, offset, len, va, desc,
                                                access));
        return region ? 0 : errno;
    }

    static ibv_sge at(const handle<ibv_mr> &region, size_t offset, uint32_t len)
    {
        return {iova + offset, len, region->lkey};
    }

    std::vector<uint8_t> content()
    {
        std::vector<uint8_t> bytes(size);

        if (pread(fd, bytes.data(), size, 0) != (ssize_t)size) {
            throw failure("pread");
        }
        return bytes;
    }

    void put(size_t offset, size_t len, uint64_t seed)
    {
        std::vector<uint8_t> bytes(len);

        fill(bytes.data(), len, seed);
        if (pwrite(fd, bytes.data(), len, start + offset) != (ssize_t)len) {
            throw failure("pwrite");
        }
    }

    /* The message is at offset of the region, and nothing else has changed */
    void expect_only(size_t offset, size_t len, uint64_t seed)
    {
        std::vector<uint8_t> bytes = content();

        check(bytes.data() + start + offset, len, seed);
        memset(bytes.data() + start + offset, untouched, len);
        for (size_t i = 0; i < size; ++i) {
            ASSERT_EQ(untouched, bytes[i]) << "at " << i;
        }
    }

    endpoint a, b;
    int      fd;
};

TEST_F(dmabuf, what_the_kernel_refuses)
{
    int pipes[2];

    EXPECT_EQ(EBADF, error(0, 4096, 0, -1, IBV_ACCESS_LOCAL_WRITE));
    EXPECT_EQ(EBADF, error(0, 4096, 0, 12345, IBV_ACCESS_LOCAL_WRITE));
    ASSERT_EQ(0, pipe(pipes));
    EXPECT_EQ(EINVAL, error(0, 4096, 0, pipes[0], 0)) << "no memory behind it";
    close(pipes[0]);
    close(pipes[1]);

    EXPECT_EQ(0, error(0, size, 0, fd, rw));
    EXPECT_EQ(EINVAL, error(0, size + 1, 0, fd, rw));
    EXPECT_EQ(EINVAL, error(4096, size, 0, fd, rw));
    EXPECT_EQ(EINVAL, error(size, 4096, 0, fd, rw));
    EXPECT_EQ(EINVAL, error((uint64_t)-4096, 8192, 0, fd, rw));
    EXPECT_EQ(EINVAL, error(0, 0, 0, fd, rw));
    EXPECT_EQ(EINVAL, error(100, 4096, 0, fd, rw)) << "in another page";
    EXPECT_EQ(0, error(100, 4096, iova, fd, rw));

    EXPECT_EQ(0, error(0, 4096, 0, fd, 0));
    EXPECT_EQ(0, error(0, 4096, 0, fd, IBV_ACCESS_RELAXED_ORDERING));
    EXPECT_EQ(EINVAL, error(0, 4096, 0, fd, IBV_ACCESS_REMOTE_WRITE));
    EXPECT_EQ(EINVAL, error(0, 4096, 0, fd, IBV_ACCESS_MW_BIND));
    EXPECT_EQ(EOPNOTSUPP,
              error(0, 4096, 0, fd,
                    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_ATOMIC));
}

TEST_F(dmabuf, send_and_receive)
{
    handle<ibv_mr> from = reg(a.pd, 0), to = reg(b.pd, IBV_ACCESS_LOCAL_WRITE);
    send_args args;

    put(33, 8000, 5);
    args.sgl = {at(from, 33, 8000)};
    b.recv(1, 0, 8192);
    a.send(b.addr(), args);
    EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
    b.wait();
    check(b.buffer.data(), 8000, 5);

    std::vector<uint8_t> clean(8000, untouched);
    ASSERT_EQ(8000, pwrite(fd, clean.data(), 8000, start + 33));
    fill(a.buffer.data(), 8000, 6);
    b.recv(2, {at(to, 4000, 8000)});
    a.send(b.addr(), 2, 0, 8000);
    EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
    b.wait();
    expect_only(4000, 8000, 6);
}

TEST_F(dmabuf, rdma_read)
{
    handle<ibv_mr> local = reg(a.pd, IBV_ACCESS_LOCAL_WRITE);

    b.ah(a.addr());
    fill(b.buffer.data(), 60000, 7);
    a.read(b.addr(), 1, at(local, 1, 60000),
           (uint64_t)(uintptr_t)b.buffer.data(), b.mr->rkey);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    expect_only(1, 60000, 7);

    handle<ibv_mr> remote = reg(b.pd, IBV_ACCESS_REMOTE_READ);
    a.read(b.addr(), 2, a.sge(0, 60000), iova + 1, remote->rkey);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    check(a.buffer.data(), 60000, 7);
}

TEST_F(dmabuf, read_by_another_process)
{
    handle<ibv_mr> remote = reg(b.pd);
    child reader("dmabuf_reader");
    std::vector<uint8_t> bytes(5000);

    put(7, 5000, 9);
    b.ah(reader.to->get<address>());
    reader.to->put(b.addr());
    reader.to->put(remote->rkey);
    EXPECT_EQ(0u, reader.to->get<uint32_t>());
    reader.to->get_bytes(bytes.data(), bytes.size());
    check(bytes.data(), bytes.size(), 9);
    EXPECT_EQ(0, reader.join());
}

TEST_F(dmabuf, bounds)
{
    handle<ibv_mr> region = reg(a.pd), remote = reg(b.pd);
    struct {
        long     offset;
        uint32_t length;
        bool     inside;
    } const cases[] = {{0, 64, true},           {length - 64, 64, true},
                       {-1, 64, false},         {length - 63, 64, false},
                       {-100, 100, false},      {length, 1, false},
                       {-(long)start, 64, false}};

    b.ah(a.addr());
    fill(b.buffer.data(), 64, 3);
    for (const auto &c : cases) {
        a.read(b.addr(), 1, at(region, c.offset, c.length),
               (uint64_t)(uintptr_t)b.buffer.data(), b.mr->rkey);
        EXPECT_EQ(c.inside ? 0u : (uint32_t)STATUS_BAD_LKEY,
                  a.wait()[0].vendor_err) << c.offset;
        a.read(b.addr(), 2, a.sge(0, c.length), iova + c.offset, remote->rkey);
        EXPECT_EQ(c.inside ? 0u : (uint32_t)STATUS_REM_BAD_ADDRESS,
                  a.wait()[0].vendor_err) << c.offset;
    }

    std::vector<uint8_t> bytes = content();
    for (size_t i = 0; i < size; ++i) {
        if ((i < start) || (i >= start + length)) {
            ASSERT_EQ(untouched, bytes[i]) << "at " << i;
        }
    }
}

/* The region needs the descriptor no more, and leaves nothing behind. */
TEST_F(dmabuf, lifetime)
{
    unsigned fds = harness::count_fds(), mappings = 0;

    for (int i = 0; i < 3; ++i) { /* the first may make a table grow */
        int copy = dup(fd);
        ASSERT_LE(0, copy);
        mappings = harness::count_mappings();
        handle<ibv_mr> region(ibv_reg_dmabuf_mr(a.pd, start, length, iova, copy,
                                                rw));
        ASSERT_TRUE(region);
        close(copy);

        put(0, 64, i);
        send_args args;
        args.sgl = {at(region, 0, 64)};
        b.recv(1, 0, 64);
        a.send(b.addr(), args);
        EXPECT_EQ(0u, a.wait(1, &b)[0].vendor_err);
        b.wait();
        check(b.buffer.data(), 64, i);
    }
    EXPECT_EQ(fds, harness::count_fds());
    EXPECT_EQ(mappings, harness::count_mappings());
}

} /* namespace device */
