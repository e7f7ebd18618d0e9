/* Messages through the function: rings in guest memory, regions in pieces,
 * events, two functions, memory that goes away. */
#include "driver.h"

#include "common/harness.h"

#include <csignal>
#include <cstring>
#include <infiniband/verbs.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

static const unsigned OK = SOFTEFA_ADMIN_OK;

/* A driver with one queue pair that can talk to itself and to others */
struct node {
    explicit node(const pci::server &server, bool interrupts = false,
                  size_t memory = 16 << 20) :
        drv(server, memory), probed(probe()), pd(drv.alloc_pd()),
        uar(drv.alloc_uar()), send_cq(drv, uar, 16),
        recv_cq(drv, uar, 16, interrupts), qp(drv, pd, uar, send_cq, recv_cq),
        buffer(drv.alloc(65536))
    {
        std::vector<uint64_t> pages;

        for (unsigned i = 0; i < 16; ++i) {
            pages.push_back(buffer + (i * 4096));
        }
        keys = drv.reg_mr(pd, buffer, 65536, pages);
        qp.to_rts(0x1234);
    }

    bool probe()
    {
        drv.probe();
        return true;
    }

    void fill(unsigned seed, size_t length)
    {
        for (size_t i = 0; i < length; ++i) {
            drv.at(buffer)[i] = seed + (i * 7);
        }
    }

    pci::driver drv;
    bool        probed;
    uint16_t    pd, uar;
    pci::cq     send_cq, recv_cq;
    pci::qp     qp;
    uint64_t    buffer;
    softefa_admin_reg_mr_resp_t keys;
};

TEST(pci_traffic, to_itself)
{
    pci::server server;
    node a(server);
    uint16_t ah = a.drv.create_ah(a.pd, a.drv.gid().data());

    /* more than the rings have, one by one: all phases, slots used again */
    for (unsigned i = 0; i < 100; ++i) {
        unsigned length = 1 + (i * 83);
        a.fill(i, length);
        a.qp.post_recv(i, a.buffer + 32768, 8928, a.keys.lkey);
        a.qp.send(1000 + i, ah, a.qp, a.buffer, length, a.keys.lkey);

        softefa_io_cqe_t sent = a.send_cq.next(), got = a.recv_cq.next();
        EXPECT_EQ(1000 + i, sent.req_id);
        EXPECT_EQ(0, sent.status);
        EXPECT_EQ(i, got.req_id);
        EXPECT_EQ(0, got.status);
        EXPECT_EQ(length, got.length);
        EXPECT_EQ(a.qp.made.qpn, got.src_qpn);
        EXPECT_EQ(ah, got.ahn);
        EXPECT_EQ(0, memcmp(a.drv.at(a.buffer), a.drv.at(a.buffer + 32768),
                            length));
    }

    std::vector<uint64_t> stats = a.drv.stats(SOFTEFA_STATS_MESSAGES);
    EXPECT_EQ(100u, stats[1]);
    EXPECT_EQ(100u, stats[3]);
    EXPECT_EQ(stats[0], stats[2]);
    EXPECT_EQ(100u, a.drv.stats(SOFTEFA_STATS_BASIC)[1]);
}

TEST(pci_traffic, rnr_waits)
{
    pci::server server;
    node a(server);
    uint16_t ah = a.drv.create_ah(a.pd, a.drv.gid().data());
    softefa_io_cqe_t cqe;

    a.qp.send(1, ah, a.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_FALSE(a.send_cq.poll(&cqe));
    a.qp.post_recv(2, a.buffer + 32768, 64, a.keys.lkey);
    EXPECT_EQ(1, a.send_cq.next().req_id); /* without another doorbell */
    EXPECT_EQ(2, a.recv_cq.next().req_id);
}

TEST(pci_traffic, errors_and_flush)
{
    pci::server server;
    node a(server);
    uint16_t ah = a.drv.create_ah(a.pd, a.drv.gid().data());

    a.qp.send(1, ah, a.qp, a.buffer + 65536, 64, a.keys.lkey);
    EXPECT_EQ(SOFTEFA_STATUS_INVALID_LKEY, a.send_cq.next().status);
    a.qp.send(2, ah + 1, a.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(SOFTEFA_STATUS_INVALID_AH, a.send_cq.next().status);
    a.qp.post_recv(3, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(OK, a.qp.modify(IBV_QPS_ERR, 0x1234));
    EXPECT_EQ(SOFTEFA_STATUS_FLUSHED, a.recv_cq.next().status);

    /* RESET: the rings begin anew */
    EXPECT_EQ(OK, a.qp.modify(IBV_QPS_RESET, 0x1234));
    a.qp.sq_pc = a.qp.rq_pc = 0;
    a.qp.to_rts(0x1234);
    a.qp.post_recv(4, a.buffer + 32768, 64, a.keys.lkey);
    a.qp.send(5, ah, a.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(0, a.send_cq.next().status);
    EXPECT_EQ(4, a.recv_cq.next().req_id);
}

/* Regions whose pages are anywhere in the guest: what the driver hands over for
 * memory of a program. */
class pieces : public ::testing::TestWithParam<unsigned> {};

TEST_P(pieces, rdma)
{
    const unsigned count = GetParam();
    const uint64_t iova  = 0x7f0000000000 + 123;
    pci::server server;
    node a(server, false, (64 << 20) + (count * 4096));
    uint16_t ah    = a.drv.create_ah(a.pd, a.drv.gid().data());
    uint64_t place = a.drv.alloc(count * 4096);
    size_t length  = (count * 4096) - 123 - 77;
    std::vector<uint64_t> pages;

    for (unsigned i = 0; i < count; ++i) {
        pages.push_back(place + (((i * 7ull) + 3) % count) * 4096);
    }
    ASSERT_NE(0u, count % 7);
    softefa_admin_reg_mr_resp_t mr = a.drv.reg_mr(a.pd, iova, length, pages);

    /* a byte of the region, in the guest */
    auto byte = [&](size_t i) {
        size_t at = 123 + i;
        return a.drv.at(pages[at / 4096] + (at % 4096));
    };
    size_t part = std::min<size_t>(length, 65536);
    for (size_t from : {(size_t)0, (length - part) / 2, length - part}) {
        a.fill(from + 1, part);
        a.qp.rdma(1, SOFTEFA_OP_RDMA_WRITE, ah, a.qp, a.buffer, a.keys.lkey,
                  iova + from, mr.rkey, part);
        ASSERT_EQ(0, a.send_cq.next().status);
        for (size_t i = 0; i < part; ++i) {
            ASSERT_EQ(a.drv.at(a.buffer)[i], *byte(from + i)) << i;
        }

        *byte(from)            = 0x77;
        *byte(from + part - 1) = 0x78;
        a.qp.rdma(2, SOFTEFA_OP_RDMA_READ, ah, a.qp, a.buffer, a.keys.lkey,
                  iova + from, mr.rkey, part);
        ASSERT_EQ(0, a.send_cq.next().status);
        EXPECT_EQ(0x77, a.drv.at(a.buffer)[0]);
        EXPECT_EQ(0x78, a.drv.at(a.buffer)[part - 1]);
    }

    EXPECT_EQ(OK, a.drv.number(SOFTEFA_ADMIN_DEREG_MR, mr.lkey));
    EXPECT_NE(OK, a.drv.number(SOFTEFA_ADMIN_DEREG_MR, mr.lkey));
    a.qp.rdma(3, SOFTEFA_OP_RDMA_READ, ah, a.qp, a.buffer, a.keys.lkey, iova,
              mr.rkey, 8);
    EXPECT_EQ(SOFTEFA_STATUS_REMOTE_ADDRESS, a.send_cq.next().status);
}

/* in the command; a list; lists */
INSTANTIATE_TEST_SUITE_P(counts, pieces,
                         ::testing::Values(1, 4, 5, 512, 513, 2049));

/* More lists than a chunk has: more than 1 GiB of pages, which lie side by side,
 * as no process could map so many pieces. */
TEST(pci_traffic, chunks)
{
    const size_t count = (SOFTEFA_ADMIN_CHUNK_PAGES * 512) + 3;
    pci::server server;
    node a(server, false, (64 << 20) + (count * 4096));
    uint16_t ah    = a.drv.create_ah(a.pd, a.drv.gid().data());
    uint64_t place = a.drv.alloc(count * 4096);
    std::vector<uint64_t> pages;

    for (size_t i = 0; i < count; ++i) {
        pages.push_back(place + (i * 4096));
    }
    softefa_admin_reg_mr_resp_t mr = a.drv.reg_mr(a.pd, 0, count * 4096, pages);
    a.fill(3, 12288);
    a.qp.rdma(1, SOFTEFA_OP_RDMA_WRITE, ah, a.qp, a.buffer, a.keys.lkey,
              (count - 3) * 4096, mr.rkey, 12288);
    ASSERT_EQ(0, a.send_cq.next().status);
    EXPECT_EQ(0, memcmp(a.drv.at(pages[count - 3]), a.drv.at(a.buffer), 12288));
}

/* The driver picks the largest page size that fits: one larger than what is
 * registered, and than the memory around it. */
TEST(pci_traffic, page_larger_than_memory)
{
    pci::server server;
    node a(server);
    uint16_t ah                    = a.drv.create_ah(a.pd, a.drv.gid().data());
    uint64_t addr                  = a.drv.alloc(4096) + 100;
    softefa_admin_reg_mr_resp_t mr = a.drv.reg_mr(a.pd, addr, 1000,
                                                  {0x40000000}, 7, 30);

    a.fill(5, 1000);
    a.qp.rdma(1, SOFTEFA_OP_RDMA_WRITE, ah, a.qp, a.buffer, a.keys.lkey, addr,
              mr.rkey, 1000);
    EXPECT_EQ(0, a.send_cq.next().status);
    EXPECT_EQ(0, memcmp(a.drv.at(addr), a.drv.at(a.buffer), 1000));
}

TEST(pci_traffic, regions_that_are_refused)
{
    pci::server server;
    node a(server);
    softefa_admin_cmd_t cmd, good = {};

    good.head.opcode     = SOFTEFA_ADMIN_REG_MR;
    good.reg_mr.pd       = a.pd;
    good.reg_mr.length   = 4096;
    good.reg_mr.flags    = 12;
    good.reg_mr.access   = 1;
    good.reg_mr.pages[0] = a.buffer;
    cmd                  = good;
    EXPECT_EQ(OK, a.drv.admin(cmd, nullptr));

    auto refused = [&](const std::function<void()> &change) {
        cmd = good;
        change();
        EXPECT_NE(OK, a.drv.admin(cmd, nullptr));
    };
    refused([&] { cmd.reg_mr.pd = 200; });
    refused([&] { cmd.reg_mr.length = 0; });
    refused([&] { cmd.reg_mr.length = UINT64_MAX; });
    refused([&] { cmd.reg_mr.length = 5 * 4096; }); /* not in the command */
    refused([&] { cmd.reg_mr.iova = UINT64_MAX - 4094; });
    refused([&] { cmd.reg_mr.flags = 11; });
    refused([&] { cmd.reg_mr.flags = 32; });
    refused([&] { cmd.reg_mr.flags = 12 | SOFTEFA_ADMIN_MR_PHYSICAL; });
    refused([&] { cmd.reg_mr.access = 0x10; });
    refused([&] { cmd.reg_mr.pages[0] = 0x1000; });
    refused([&] { cmd.reg_mr.pages[0] = UINT64_MAX & ~4095ull; });
    refused([&] { cmd.head.flags = SOFTEFA_ADMIN_CTRL; });
    refused([&] {
        cmd.head.flags = SOFTEFA_ADMIN_CTRL | SOFTEFA_ADMIN_CTRL_INDIRECT;
    });
    cmd = good;
    EXPECT_EQ(OK, a.drv.admin(cmd, nullptr));
}

/* A CQ that is armed has one event; an EQ that is not armed keeps it. */
TEST(pci_traffic, events)
{
    pci::server server;
    node a(server, true);
    uint16_t ah  = a.drv.create_ah(a.pd, a.drv.gid().data());
    auto message = [&] {
        a.qp.post_recv(1, a.buffer + 32768, 64, a.keys.lkey);
        a.qp.send(2, ah, a.qp, a.buffer, 64, a.keys.lkey);
        a.send_cq.next();
    };
    std::vector<uint16_t> one = {a.recv_cq.number}, none;

    message();
    a.recv_cq.next();
    EXPECT_EQ(none, a.drv.events()); /* not armed */

    a.recv_cq.arm();
    message();
    a.drv.wait([&] { return a.drv.interrupt(1); });
    EXPECT_EQ(one, a.drv.events());
    message(); /* armed no more */
    a.recv_cq.next();
    a.recv_cq.next();
    EXPECT_EQ(none, a.drv.events());

    /* the EQ was not armed again */
    a.recv_cq.arm();
    message();
    std::vector<uint16_t> seen;
    a.drv.wait([&] { return !(seen = a.drv.events()).empty(); });
    EXPECT_EQ(one, seen);
    EXPECT_FALSE(a.drv.interrupt(1));
    a.drv.arm_eq();
    EXPECT_TRUE(a.drv.interrupt(1));

    /* something is there already when the CQ is armed */
    a.recv_cq.arm();
    EXPECT_EQ(one, a.drv.events());
    a.drv.arm_eq();
    EXPECT_TRUE(a.drv.interrupt(1));
}

/* A fault: the entry of the event queue is lost. The next event is the first. */
TEST(pci_traffic, lost_event)
{
    pci::server server({"SOFTEFA_FAULTS=lose_event dev=0 count=1"});
    node a(server, true);
    uint16_t ah               = a.drv.create_ah(a.pd, a.drv.gid().data());
    std::vector<uint16_t> one = {a.recv_cq.number}, none;

    for (const std::vector<uint16_t> &expected : {none, one, one}) {
        a.recv_cq.arm();
        a.qp.post_recv(1, a.buffer + 32768, 64, a.keys.lkey);
        a.qp.send(2, ah, a.qp, a.buffer, 64, a.keys.lkey);
        a.send_cq.next();
        a.recv_cq.next();
        a.drv.read_reg(SOFTEFA_REG_VERSION); /* all before this is done */
        EXPECT_EQ(expected, a.drv.events());
        EXPECT_EQ(!expected.empty(), a.drv.interrupt(1));
        a.drv.arm_eq();
    }
}

/* A fault: the interrupt is lost, the entry is there. As a driver arms the event
 * queue when it was interrupted, no other one comes. */
TEST(pci_traffic, lost_interrupt)
{
    pci::server server({"SOFTEFA_FAULTS=lose_interrupt vector=1 count=1"});
    node a(server, true);
    uint16_t ah  = a.drv.create_ah(a.pd, a.drv.gid().data());
    auto message = [&] {
        a.recv_cq.arm();
        a.qp.post_recv(1, a.buffer + 32768, 64, a.keys.lkey);
        a.qp.send(2, ah, a.qp, a.buffer, 64, a.keys.lkey);
        a.send_cq.next();
        a.recv_cq.next();
        a.drv.read_reg(SOFTEFA_REG_VERSION);
    };

    EXPECT_TRUE(a.drv.interrupt(0)); /* another vector: commands */
    message();
    message();
    EXPECT_FALSE(a.drv.interrupt(1));
    EXPECT_EQ(2u, a.drv.events().size());
    a.drv.arm_eq();
    EXPECT_TRUE(a.drv.interrupt(1)); /* of the second one */
    message();
    EXPECT_EQ(1u, a.drv.events().size());
}

TEST(pci_traffic, two_functions)
{
    pci::server one({"SOFTEFA_DEVICES=2"});
    pci::server two({"SOFTEFA_DEVICES=2"}, {"--device", "1"}, &one);
    node a(one), b(two);
    uint16_t to_b = a.drv.create_ah(a.pd, b.drv.gid().data());
    uint16_t to_a = b.drv.create_ah(b.pd, a.drv.gid().data());

    ASSERT_NE(a.drv.gid(), b.drv.gid());
    for (unsigned i = 0; i < 50; ++i) {
        a.fill(i, 8928);
        b.qp.post_recv(i, b.buffer + 32768, 8928, b.keys.lkey);
        a.qp.send(1, to_b, b.qp, a.buffer, 8928, a.keys.lkey);
        EXPECT_EQ(0, a.send_cq.next().status);
        softefa_io_cqe_t got = b.recv_cq.next();
        EXPECT_EQ(0, got.status);
        EXPECT_EQ(to_a, got.ahn);
        ASSERT_EQ(0,
                  memcmp(a.drv.at(a.buffer), b.drv.at(b.buffer + 32768), 8928));
    }

    a.qp.rdma(2, SOFTEFA_OP_RDMA_READ, to_b, b.qp, a.buffer + 16384,
              a.keys.lkey, b.buffer + 32768, b.keys.rkey, 8928);
    EXPECT_EQ(0, a.send_cq.next().status);
    EXPECT_EQ(0, memcmp(a.drv.at(a.buffer + 16384), b.drv.at(b.buffer + 32768),
                        8928));

    /* the other one is reset: no such queue pair any more */
    b.drv.reset();
    a.qp.send(3, to_b, b.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(SOFTEFA_STATUS_REMOTE_QPN, a.send_cq.next().status);

    /* is off the bus: by a signal, with which nothing is said */
    kill(two.pid(), SIGUSR1);
    b.drv.wait([&] {
        return b.drv.read_region(SOFTEFA_VFU_REGION_CONFIG, 0) == UINT32_MAX;
    });
    EXPECT_EQ(UINT32_MAX, b.drv.read_region(0, SOFTEFA_REG_VERSION));
    EXPECT_EQ(UINT32_MAX, b.drv.read_region(2, 0));
    a.qp.send(4, to_b, b.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(SOFTEFA_STATUS_UNRESPONSIVE, a.send_cq.next().status);
    b.drv.write_bar(0, SOFTEFA_REG_DEV_CTL, SOFTEFA_DEV_CTL_RESET);
    b.drv.write_bar(2, 0, 0x12345678);
    b.drv.write_bar(4, 0, 1);
    EXPECT_EQ(0, b.drv.vfu().request(SOFTEFA_VFU_RESET, nullptr, 0).error());
    EXPECT_EQ(UINT32_MAX, b.drv.read_region(0, SOFTEFA_REG_DEV_STS));

    /* and back: as after power on */
    kill(two.pid(), SIGUSR2);
    b.drv.wait([&] {
        return b.drv.read_region(SOFTEFA_VFU_REGION_CONFIG, 0) != UINT32_MAX;
    });
    EXPECT_NE(0x12345678u, b.drv.read_region(2, 0));
    b.drv.probe();
    EXPECT_EQ(0u, b.drv.alloc_pd());
    a.qp.send(5, to_b, b.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(SOFTEFA_STATUS_REMOTE_QPN, a.send_cq.next().status);

    /* and is gone */
    EXPECT_EQ(0, two.stop());
    a.qp.send(6, to_b, b.qp, a.buffer, 64, a.keys.lkey);
    EXPECT_EQ(SOFTEFA_STATUS_UNRESPONSIVE, a.send_cq.next().status);
}

/* Memory goes away under regions and rings: nothing is touched any more. */
TEST(pci_traffic, memory_goes_away)
{
    pci::server server;
    node a(server);
    uint16_t ah                 = a.drv.create_ah(a.pd, a.drv.gid().data());
    softefa_vfu_dma_unmap_t all = {24, SOFTEFA_VFU_UNMAP_ALL, 0, 0};

    a.qp.post_recv(1, a.buffer + 32768, 64, a.keys.lkey);
    EXPECT_EQ(0, a.drv.vfu().request(SOFTEFA_VFU_DMA_UNMAP, all).error());
    a.fill(1, 64);
    memset(a.drv.at(a.buffer + 32768), 0, 64);
    a.qp.send(2, ah, a.qp, a.buffer, 64, a.keys.lkey);
    a.qp.post_recv(3, a.buffer + 32768, 64, a.keys.lkey);
    a.drv.write_bar(0, SOFTEFA_REG_AQ_PROD_DB, 1000);
    EXPECT_EQ(0, a.drv.at(a.buffer + 32768)[1]);

    EXPECT_EQ(0, a.drv.vfu().request(SOFTEFA_VFU_RESET, nullptr, 0).error());
    EXPECT_EQ(0, server.stop());
}

/* The same of one piece of memory: what lies elsewhere goes on. */
TEST(pci_traffic, a_part_goes_away)
{
    pci::server server;
    node a(server);
    uint16_t ah                   = a.drv.create_ah(a.pd, a.drv.gid().data());
    int fd                        = memfd_create("more", MFD_CLOEXEC);
    softefa_vfu_dma_map_t map     = {32, 3, 0, 0x200000000, 1 << 20};
    softefa_vfu_dma_unmap_t unmap = {24, 0, map.address, map.size};
    std::vector<uint64_t> pages   = {map.address + 8192, map.address};

    ASSERT_EQ(0, ftruncate(fd, map.size));
    EXPECT_EQ(0, a.drv.vfu().request(SOFTEFA_VFU_DMA_MAP, map, {fd}).error());
    softefa_admin_reg_mr_resp_t one = a.drv.reg_mr(a.pd, 0, 4096, {pages[1]});
    softefa_admin_reg_mr_resp_t two = a.drv.reg_mr(a.pd, 0, 8192, pages);
    for (const auto &mr : {one, two}) {
        a.qp.rdma(1, SOFTEFA_OP_RDMA_READ, ah, a.qp, a.buffer, a.keys.lkey, 0,
                  mr.rkey, 64);
        EXPECT_EQ(0, a.send_cq.next().status);
    }

    EXPECT_EQ(0, a.drv.vfu().request(SOFTEFA_VFU_DMA_UNMAP, unmap).error());
    for (const auto &mr : {one, two}) {
        a.qp.rdma(2, SOFTEFA_OP_RDMA_READ, ah, a.qp, a.buffer, a.keys.lkey, 0,
                  mr.rkey, 64);
        EXPECT_EQ(SOFTEFA_STATUS_REMOTE_ADDRESS, a.send_cq.next().status);
        a.qp.send(3, ah, a.qp, 0, 64, mr.lkey);
        EXPECT_EQ(SOFTEFA_STATUS_INVALID_LKEY, a.send_cq.next().status);
        EXPECT_EQ(OK, a.drv.number(SOFTEFA_ADMIN_DEREG_MR, mr.lkey));
    }
    a.qp.rdma(4, SOFTEFA_OP_RDMA_READ, ah, a.qp, a.buffer, a.keys.lkey,
              a.buffer, a.keys.rkey, 64);
    EXPECT_EQ(0, a.send_cq.next().status);
    close(fd);
}

} // namespace
