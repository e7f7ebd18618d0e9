/*
 * What RDMA may touch when keys are old, when the device has been told to be
 * smaller than usual, and what it says of its order of bytes.
 */
#include "verbs_test.h"

#include "ucx_efa_config.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <set>

namespace device {

static config key_config(bool write)
{
    config cfg;

    cfg.rdma   = true;
    cfg.write  = write;
    cfg.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                 (write ? IBV_ACCESS_REMOTE_WRITE : 0);
    return cfg;
}

class rdma_keys : public ::testing::Test {
protected:
    rdma_keys() :
        write(has_rdma_write()), a(key_config(write)), b(key_config(write)),
        memory(8192, 0xee)
    {
        b.ah(a.addr());
        memset(a.buffer.data(), 0x11, 64);
    }

    int remote_access() const
    {
        return IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
               (write ? IBV_ACCESS_REMOTE_WRITE : 0);
    }

    uint64_t start() const { return (uintptr_t)memory.data(); }

    uint32_t read(const ibv_sge &local, uint64_t remote, uint32_t rkey)
    {
        a.read(b.addr(), 1, local, remote, rkey);
        return a.wait(1, &b)[0].vendor_err;
    }

    uint32_t do_write(const ibv_sge &local, uint64_t remote, uint32_t rkey)
    {
        a.write(b.addr(), 1, local, remote, rkey);
        return a.wait(1, &b)[0].vendor_err;
    }

    const bool           write;
    endpoint             a, b;
    std::vector<uint8_t> memory;
};

/* The same memory registered again and again takes the same place in the
 * device's table; no earlier key may open it. */
TEST_F(rdma_keys, old_keys_stay_closed)
{
    std::set<uint32_t> rkeys, lkeys;
    std::vector<uint32_t> old;
    unsigned near = 0;

    for (unsigned round = 0; round < harness::scaled(5000); ++round) {
        handle<ibv_mr> mr = reg_mr(b.pd, memory.data(), memory.size(),
                                   remote_access());

        ASSERT_TRUE(rkeys.insert(mr->rkey).second) << "round " << round;
        near += !old.empty() && (mr->rkey - old.back() + 256 < 512);
        if (round % 100 == 0) {
            EXPECT_EQ(0u, read(a.sge(0, 64), start(), mr->rkey));
            for (uint32_t key : old) {
                ASSERT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
                          read(a.sge(0, 64), start(), key));
                if (write) {
                    ASSERT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
                              do_write(a.sge(0, 64), start(), key));
                }
            }
            old.clear();
        }
        old.push_back(mr->rkey);
    }
    EXPECT_EQ(0u, near) << "a neighbour's key can be guessed";
    EXPECT_EQ(std::vector<uint8_t>(8192, 0xee), memory);
}

/* Many at the same time: keys differ, each opens its own region only. */
TEST_F(rdma_keys, each_opens_its_own)
{
    std::vector<handle<ibv_mr>> regions;
    std::set<uint32_t> keys;

    for (unsigned i = 0; i < 64; ++i) {
        regions.push_back(reg_mr(b.pd, memory.data() + 128 * i, 64,
                                 remote_access()));
        EXPECT_TRUE(keys.insert(regions[i]->rkey).second);
    }
    for (unsigned i = 0; i < 64; ++i) {
        for (unsigned j : {i, (i + 1) % 64, (i + 32) % 64}) {
            EXPECT_EQ((i == j) ? 0u : (uint32_t)STATUS_REM_BAD_ADDRESS,
                      read(a.sge(0, 64), start() + 128 * i, regions[j]->rkey));
        }
    }
}

/* Local keys that were valid once. */
TEST_F(rdma_keys, old_local_keys)
{
    ibv_sge local = {start(), 64, 0};

    for (unsigned round = 0; round < 20; ++round) {
        handle<ibv_mr> mr = reg_mr(a.pd, memory.data(), memory.size(),
                                   IBV_ACCESS_LOCAL_WRITE);
        if (round > 0) {
            ASSERT_NE(mr->lkey, local.lkey);
            ASSERT_EQ((uint32_t)STATUS_BAD_LKEY,
                      read(local, (uintptr_t)b.buffer.data(), b.mr->rkey));
            if (write) {
                ASSERT_EQ((uint32_t)STATUS_BAD_LKEY,
                          do_write(local, (uintptr_t)b.buffer.data(),
                                   b.mr->rkey));
            }
        }
        local.lkey = mr->lkey;
    }
    /* A key of another PD, and a remote key as a local one */
    handle<ibv_pd> pd      = alloc_pd(a.context);
    handle<ibv_mr> foreign = reg_mr(pd.get(), memory.data(), memory.size(),
                                    IBV_ACCESS_LOCAL_WRITE);
    local.lkey             = foreign->lkey;
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY,
              read(local, (uintptr_t)b.buffer.data(), b.mr->rkey));
    /* A descriptor has room for 24 bits, which one of 64 rkeys has as an lkey */
    local      = a.sge(0, 64);
    local.lkey = a.mr->rkey;
    if ((a.mr->rkey & 0xffffff) != a.mr->lkey) {
        EXPECT_EQ((uint32_t)STATUS_BAD_LKEY,
                  read(local, (uintptr_t)b.buffer.data(), b.mr->rkey));
    }
    EXPECT_EQ(std::vector<uint8_t>(8192, 0xee), memory);
}

/* A write that the responder refuses, or that its own side cannot read, leaves
 * nothing, not even the part that would have been allowed. */
TEST_F(rdma_keys, refused_writes_leave_nothing)
{
    if (!write) {
        GTEST_SKIP() << "neither before rdma-core 46 nor on 0xefa0";
    }

    handle<ibv_mr> region = reg_mr(b.pd, memory.data() + 1024, 1024,
                                   remote_access());
    for (uint32_t length : {2u, 64u, 2048u}) {
        for (uint64_t at :
             {start() + 1024 - 1, start() + 2048 - 1,
              start() + 1024 - length + 1, start() + 2048 - length + 1}) {
            EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
                      do_write(a.sge(0, length), at, region->rkey));
        }
    }
    ibv_sge beyond = a.sge(a.buffer.size() - 8, 64);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY,
              do_write(beyond, start() + 1024, region->rkey));
    EXPECT_EQ(std::vector<uint8_t>(8192, 0xee), memory);
}

/* libefa has no room for more than one buffer of RDMA. */
TEST_F(rdma_keys, one_buffer)
{
    ibv_qp_ex *qpx = ibv_qp_to_qp_ex(a.qp.get());
    ibv_sge sges[] = {a.sge(0, 8), a.sge(8, 8)};

    EXPECT_EQ(1, device_attr(a.context).max_sge_rd);
    ibv_wr_start(qpx);
    qpx->wr_id    = 1;
    qpx->wr_flags = IBV_SEND_SIGNALED;
    ibv_wr_rdma_read(qpx, b.mr->rkey, (uintptr_t)b.buffer.data());
    ibv_wr_set_sge_list(qpx, 2, sges);
    ibv_wr_set_ud_addr(qpx, a.ah(b.addr()), b.qp->qp_num, QKEY);
    EXPECT_EQ(EINVAL, ibv_wr_complete(qpx));
    EXPECT_EQ(0u, read(a.sge(0, 16), (uintptr_t)b.buffer.data(), b.mr->rkey));
}

/* ---- a device with other limits ---- */

struct limit_report {
    uint32_t max_rdma_size, caps;
    uint32_t at_limit, above;          /* status of a read */
    uint32_t write_at_limit, write_above;
    int      reg_read, reg_write;      /* errno */
    int      qp_read;
};

DEVICE_ROLE(rdma_limits)
{
    const uint32_t limit        = 5000;
    limit_report report         = {};
    handle<ibv_context> context = open_device();
    handle<ibv_pd> pd           = alloc_pd(context.get());
    handle<ibv_cq> cq           = create_cq(context.get());
    efadv_device_attr attr      = efa_attr(context.get());
    char memory[64];
    bool write = parent.get<uint32_t>() != 0;

    report.max_rdma_size = attr.max_rdma_size;
    report.caps          = attr.device_caps;
    handle<ibv_mr> mr(ibv_reg_mr(pd.get(), memory, sizeof(memory),
                                 IBV_ACCESS_REMOTE_READ));
    report.reg_read = mr ? 0 : errno;
    mr.reset(ibv_reg_mr(pd.get(), memory, sizeof(memory),
                        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE));
    report.reg_write = mr ? 0 : errno;

    try {
        config cfg = key_config(write);
        endpoint a(cfg), b(cfg);

        b.ah(a.addr());
        a.read(b.addr(), 1, a.sge(0, limit), (uintptr_t)b.buffer.data(),
               b.mr->rkey);
        report.at_limit = a.wait(1, &b)[0].vendor_err;
        a.read(b.addr(), 1, a.sge(0, limit + 1), (uintptr_t)b.buffer.data(),
               b.mr->rkey);
        report.above = a.wait(1, &b)[0].vendor_err;
        if (write) {
            a.write(b.addr(), 1, a.sge(0, limit), (uintptr_t)b.buffer.data(),
                    b.mr->rkey);
            report.write_at_limit = a.wait(1, &b)[0].vendor_err;
            a.write(b.addr(), 1, a.sge(0, limit + 1),
                    (uintptr_t)b.buffer.data(), b.mr->rkey);
            report.write_above = a.wait(1, &b)[0].vendor_err;
        }
    } catch (const std::exception &e) {
        report.qp_read = 1;
    }
    parent.put(report);
    return 0;
}

static limit_report limits(const char *text)
{
    child c("rdma_limits",
            {{"SOFTEFA_FABRIC", fresh_fabric()}, {"SOFTEFA_LIMITS", text}});

    c.to->put((uint32_t)(has_rdma_write() && !strstr(text, "rdma_write=0")));
    limit_report report = c.to->get<limit_report>();
    EXPECT_EQ(0, c.join());
    return report;
}

TEST(rdma_limit, size)
{
    limit_report report = limits("max_rdma_size=5000");

    EXPECT_EQ(5000u, report.max_rdma_size);
    EXPECT_EQ(0, report.qp_read);
    EXPECT_EQ(0u, report.at_limit);
    EXPECT_EQ((uint32_t)STATUS_BAD_LENGTH, report.above);
    if (has_rdma_write()) {
        EXPECT_EQ(0u, report.write_at_limit);
        EXPECT_EQ((uint32_t)STATUS_BAD_LENGTH, report.write_above);
    }
}

TEST(rdma_limit, no_read)
{
    limit_report report = limits("rdma_read=0,rdma_write=0");

    EXPECT_EQ(0u, report.caps & EFADV_DEVICE_ATTR_CAPS_RDMA_READ);
    EXPECT_EQ(EOPNOTSUPP, report.reg_read);
    EXPECT_EQ(EOPNOTSUPP, report.reg_write);
    EXPECT_NE(0, report.qp_read);
}

/* ---- what newer libraries ask ---- */

#if HAVE_EFADV_RDMA_WRITE
/* Blocks of 128 bytes arrive in order where the generation says so. */
TEST(rdma_order_of_bytes, as_the_generation_has_it)
{
    endpoint e(key_config(false));
    bool has = device_attr(e.context).vendor_part_id == 0xefa1;

    for (ibv_wr_opcode op : {IBV_WR_RDMA_READ, IBV_WR_SEND}) {
        EXPECT_EQ(has ? IBV_QUERY_QP_DATA_IN_ORDER_ALIGNED_128_BYTES : 0,
                  ibv_query_qp_data_in_order(
                          e.qp.get(), op,
                          IBV_QUERY_QP_DATA_IN_ORDER_RETURN_CAPS));
    }
}
#endif

#if HAVE_EFADV_UNSOLICITED_WRITE_RECV
/* A QP that takes writes with immediate data without a receive request. */
TEST(rdma_unsolicited, needs_no_receive)
{
    handle<ibv_context> context = open_device();
    handle<ibv_pd> pd           = alloc_pd(context.get());
    ibv_cq_init_attr_ex cq_attr = {};
    efadv_cq_init_attr efa_cq   = {};
    ibv_qp_init_attr_ex attr    = {};
    efadv_qp_init_attr efa      = {};
    bool has                    = efa_attr(context.get()).device_caps &
               EFADV_DEVICE_ATTR_CAPS_UNSOLICITED_WRITE_RECV;

    cq_attr.cqe      = 64;
    cq_attr.wc_flags = IBV_WC_STANDARD_FLAGS;
    efa_cq.wc_flags  = EFADV_WC_EX_WITH_IS_UNSOLICITED;
    ibv_cq_ex *cqx   = efadv_create_cq(context.get(), &cq_attr, &efa_cq,
                                       sizeof(efa_cq));
    if (!has) {
        EXPECT_EQ(nullptr, cqx);
        return;
    }
    ASSERT_NE(nullptr, cqx);
    handle<ibv_cq> cq(ibv_cq_ex_to_cq(cqx));

    attr.send_cq = attr.recv_cq = cq.get();
    attr.cap                    = {8, 8, 1, 1, 0};
    attr.qp_type                = IBV_QPT_DRIVER;
    attr.sq_sig_all             = 1;
    attr.comp_mask      = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    attr.pd             = pd.get();
    attr.send_ops_flags = IBV_QP_EX_WITH_SEND | WRITE_OPS;
    efa.driver_qp_type  = EFADV_QP_DRIVER_TYPE_SRD;
    efa.flags           = EFADV_QP_FLAGS_UNSOLICITED_WRITE_RECV;
    handle<ibv_qp> qp(efadv_create_qp_ex(context.get(), &attr, &efa,
                                         sizeof(efa)));
    ASSERT_TRUE(qp != nullptr);
    ibv_qp_attr mod = {};
    mod.port_num    = 1;
    mod.qkey        = QKEY;
    mod.qp_state    = IBV_QPS_INIT;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &mod,
                               IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                                       IBV_QP_QKEY));
    mod.qp_state = IBV_QPS_RTR;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &mod, IBV_QP_STATE));

    std::vector<uint8_t> memory(4096);
    handle<ibv_mr> mr = reg_mr(pd.get(), memory.data(), memory.size(),
                               IBV_ACCESS_LOCAL_WRITE |
                                       IBV_ACCESS_REMOTE_WRITE);
    endpoint a(key_config(true));
    handle<ibv_ah> ah = create_ah(pd.get(), a.addr().gid);
    address to        = {gid_of(context.get()), qp->qp_num, QKEY};

    for (uint32_t i = 0; i < 20; ++i) {
        uint32_t imm          = 0xabc00000 + i;
        ibv_poll_cq_attr poll = {};
        int err               = ENOENT;

        fill(a.buffer.data(), 100 + i, i);
        a.write(to, i, a.sge(0, 100 + i), (uintptr_t)memory.data(), mr->rkey,
                &imm);
        EXPECT_EQ(0u, a.wait()[0].vendor_err);
        wait_until([&] { return (err = ibv_start_poll(cqx, &poll)) == 0; },
                   [&] { a.poll(); }, "the unsolicited completion");
        EXPECT_EQ(0u, cqx->wr_id);
        EXPECT_EQ(IBV_WC_SUCCESS, cqx->status);
        EXPECT_EQ(IBV_WC_RECV_RDMA_WITH_IMM, ibv_wc_read_opcode(cqx));
        EXPECT_TRUE(efadv_wc_is_unsolicited(efadv_cq_from_ibv_cq_ex(cqx)));
        EXPECT_EQ(100 + i, ibv_wc_read_byte_len(cqx));
        EXPECT_EQ(htonl(imm), ibv_wc_read_imm_data(cqx));
        ibv_end_poll(cqx);
        check(memory.data(), 100 + i, i);
    }
}
#endif

} /* namespace device */
