/*
 * The entries of the direct data path beside those of libefa: the same requests,
 * on a queue pair of libefa's and on memory, make the same bytes, and the same
 * completions mean the same to both. libefa is right.
 */
#include "direct_probe.h"
#include "uct_test.h"

#include <dlfcn.h>
#include <endian.h>
#include <infiniband/efadv.h>

#include <cstring>
#include <vector>

using namespace uct_test;

namespace {

const unsigned MESSAGES = 150; /* two rounds of the queues, and more */
const uint32_t QKEY     = 0x1234567;

/* struct efadv_wq_attr and efadv_cq_attr of rdma-core 60 */
struct wq_attr {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size, num_entries, *doorbell, max_batch;
    uint16_t caps;
    uint8_t  reserved[2];
};

struct cq_attr {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size, num_entries, *doorbell;
};

class direct_test : public uct_base {
protected:
    void SetUp() override
    {
        auto query_qp = (int (*)(ibv_qp *, wq_attr *, wq_attr *, uint32_t))
                dlsym(RTLD_DEFAULT, "efadv_query_qp_wqs");
        auto query_cq = (int (*)(ibv_cq *, cq_attr *, uint32_t))
                dlsym(RTLD_DEFAULT, "efadv_query_cq");

        uct_base::SetUp();
        create();
        if ((query_qp == nullptr) || (query_cq == nullptr) ||
            (query_qp(qp, &sq, &rq, sizeof(sq)) != 0) ||
            (query_cq(cq, &cqa, sizeof(cqa)) != 0)) {
            GTEST_SKIP() << "libefa does not tell where its queues are, and "
                            "SOFTEFA_EFADV is not y";
        }
        probe = {cqa.buffer, cqa.entry_size, cqa.num_entries, 0};
    }

    void TearDown() override
    {
        ibv_destroy_qp(qp);
        ibv_destroy_ah(ah);
        ibv_dereg_mr(mr);
        ibv_destroy_cq(cq);
        ibv_dealloc_pd(pd);
        ibv_close_device(ctx);
        uct_base::TearDown();
    }

    void create()
    {
        ibv_device **list = ibv_get_device_list(nullptr);

        ctx = ibv_open_device(list[0]);
        ibv_free_device_list(list);
        ASSERT_NE(nullptr, ctx);
        ASSERT_EQ(0, efadv_query_device(ctx, &dev, sizeof(dev)));
        pd = ibv_alloc_pd(ctx);
        cq = ibv_create_cq(ctx, 128, nullptr, nullptr, 0);
        mr = ibv_reg_mr(pd, memory, sizeof(memory), IBV_ACCESS_LOCAL_WRITE);
        ASSERT_TRUE((pd != nullptr) && (cq != nullptr) && (mr != nullptr));

        ibv_qp_init_attr_ex attr = {};
        efadv_qp_init_attr efa   = {};
        attr.comp_mask           = IBV_QP_INIT_ATTR_PD |
                         IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
        attr.send_ops_flags = IBV_QP_EX_WITH_SEND_WITH_IMM |
                              IBV_QP_EX_WITH_RDMA_READ;
        attr.pd             = pd;
        attr.qp_type        = IBV_QPT_DRIVER;
        attr.send_cq = attr.recv_cq = cq;
        attr.sq_sig_all             = 1;
        attr.cap                    = {64, 64, 2, 1, max_inline()};
        efa.driver_qp_type          = EFADV_QP_DRIVER_TYPE_SRD;
        qp = efadv_create_qp_ex(ctx, &attr, &efa, sizeof(efa));
        ASSERT_NE(nullptr, qp);

        ibv_qp_attr mod = {};
        mod.port_num    = 1;
        mod.qkey        = QKEY;
        mod.qp_state    = IBV_QPS_INIT;
        ASSERT_EQ(0, ibv_modify_qp(qp, &mod, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
                                                     IBV_QP_PORT |
                                                     IBV_QP_QKEY));
        mod.qp_state = IBV_QPS_RTR;
        ASSERT_EQ(0, ibv_modify_qp(qp, &mod, IBV_QP_STATE));
        mod.qp_state = IBV_QPS_RTS;
        ASSERT_EQ(0, ibv_modify_qp(qp, &mod, IBV_QP_STATE | IBV_QP_SQ_PSN));

        ibv_ah_attr to = {};
        ASSERT_EQ(0, ibv_query_gid(ctx, 1, 0, &to.grh.dgid));
        to.is_global = 1;
        to.port_num  = 1;
        ah           = ibv_create_ah(pd, &to);
        ASSERT_NE(nullptr, ah);
        ASSERT_EQ(0, efadv_query_ah(ah, &ahn, sizeof(ahn)));
    }

    uint32_t max_inline()
    {
        return dev.inline_buf_size;
    }

    /* Libefa has written entry number i. Ours has its id. */
    void compare(direct_probe_wr_t &wr, unsigned i)
    {
        std::vector<uint8_t> theirs(sq.entry_size), ours(sq.entry_size);

        memcpy(theirs.data(),
               sq.buffer + (i % sq.num_entries) * sq.entry_size, sq.entry_size);
        memcpy(&wr.id, theirs.data(), sizeof(wr.id));
        memset(&theirs[26], 0, 6); /* upper bits of an id of 64 */
        wr.ahn  = ahn.ahn;
        wr.qpn  = qp->qp_num;
        wr.qkey = QKEY;
        EXPECT_EQ(i + 1, direct_probe_send(sq.entry_size, sq.num_entries, i, &wr,
                                           ours.data()));
        EXPECT_EQ(theirs, ours) << "entry " << i;
    }

    /* Libefa's completions, and what we make of the same entries */
    void completions(unsigned num)
    {
        direct_probe_cqe_t cqe;
        ibv_wc wc;

        while (num > 0) {
            if (ibv_poll_cq(cq, 1, &wc) == 0) {
                continue;
            }
            ASSERT_TRUE(direct_probe_next(&probe, &cqe));
            EXPECT_EQ(probe.consumed & 0xffff, cqe.doorbell);
            EXPECT_EQ(wc.vendor_err, cqe.status);
            EXPECT_EQ(wc.opcode != IBV_WC_RECV, (bool)cqe.is_send);
            if ((wc.opcode == IBV_WC_RECV) && (wc.status == IBV_WC_SUCCESS)) {
                EXPECT_EQ(be32toh(wc.imm_data), cqe.imm);
                EXPECT_EQ(!!(wc.wc_flags & IBV_WC_WITH_IMM), cqe.has_imm);
                EXPECT_EQ(wc.byte_len, cqe.length);
                EXPECT_EQ(wc.src_qp, cqe.src_qpn);
                EXPECT_EQ(wc.slid, cqe.ahn);
            }
            --num;
        }
        EXPECT_FALSE(direct_probe_next(&probe, &cqe));
    }

    void recv(unsigned i)
    {
        ibv_sge sge    = {(uintptr_t)memory + 4096, 100 + i, mr->lkey};
        ibv_recv_wr wr = {}, *bad;
        uint8_t theirs[16], ours[16];
        uint16_t id;

        wr.sg_list = &sge;
        wr.num_sge = 1;
        ASSERT_EQ(0, ibv_post_recv(qp, &wr, &bad));
        memcpy(theirs, rq.buffer + (i % rq.num_entries) * 16, sizeof(theirs));
        memcpy(&id, theirs + 8, sizeof(id));
        direct_probe_recv(id, &sge, ours);
        EXPECT_EQ(0, memcmp(theirs, ours, sizeof(ours))) << "receive " << i;
    }

    ibv_context       *ctx = nullptr;
    ibv_pd            *pd  = nullptr;
    ibv_cq            *cq  = nullptr;
    ibv_qp            *qp  = nullptr;
    ibv_mr            *mr  = nullptr;
    ibv_ah            *ah  = nullptr;
    efadv_device_attr dev  = {};
    efadv_ah_attr     ahn  = {};
    wq_attr           sq   = {}, rq = {};
    cq_attr           cqa  = {};
    direct_probe_cq_t probe = {};
    alignas(64) uint8_t memory[8192];
};

TEST_F(direct_test, sends)
{
    for (unsigned i = 0; i < MESSAGES; ++i) {
        uint8_t data[128]    = {};
        ibv_sge sge[2]       = {{(uintptr_t)memory + i, i % 3, mr->lkey},
                                {(uintptr_t)memory + 512, 40, mr->lkey}};
        ibv_send_wr wr       = {}, *bad;
        direct_probe_wr_t we = {};

        recv(i);
        wr.opcode            = IBV_WR_SEND_WITH_IMM;
        wr.sg_list           = sge;
        wr.num_sge           = 1 + i % 2;
        wr.imm_data          = htobe32(0xa0b0c0d0 + i);
        wr.wr.ud.ah          = ah;
        wr.wr.ud.remote_qpn  = qp->qp_num;
        wr.wr.ud.remote_qkey = QKEY;
        we.imm               = 0xa0b0c0d0 + i;
        we.op                = DIRECT_PROBE_SEND;
        we.num_sge           = wr.num_sge;
        memcpy(we.sge, sge, sizeof(sge));
        if (i % 4 == 0) {
            we.op     = DIRECT_PROBE_INLINE;
            we.data   = data;
            we.length = i % (max_inline() + 1);
            memset(data, 1 + i, we.length);
            sge[0]        = {(uintptr_t)data, (uint32_t)we.length, 0};
            wr.send_flags = IBV_SEND_INLINE;
        }

        ASSERT_EQ(0, ibv_post_send(qp, &wr, &bad));
        compare(we, i);
        completions(2);
    }
}

TEST_F(direct_test, reads)
{
    ibv_qp_ex *qpx = ibv_qp_to_qp_ex(qp);

    for (unsigned i = 0; i < MESSAGES; ++i) {
        direct_probe_wr_t we = {};

        we.op          = DIRECT_PROBE_READ;
        we.rkey        = 0x87654300 + i;
        we.remote_addr = 0x1122334455667700 + i;
        we.sge[0]      = {(uintptr_t)memory, 1000 + i, mr->lkey};
        ibv_wr_start(qpx);
        ibv_wr_rdma_read(qpx, we.rkey, we.remote_addr);
        ibv_wr_set_sge(qpx, we.sge[0].lkey, we.sge[0].addr, we.sge[0].length);
        ibv_wr_set_ud_addr(qpx, ah, qp->qp_num, QKEY);
        ASSERT_EQ(0, ibv_wr_complete(qpx));
        compare(we, i);
        completions(1); /* there is no such memory */
    }
}

} // namespace

/* Entries of 128 bytes, which libefa makes for more inline data than the transport
 * asks for: by hand */
TEST(direct_batch, wide)
{
    for (unsigned inlined = 0; inlined < 2; ++inlined) {
        std::vector<uint8_t> entry(128), expected(128);
        uint8_t data[80];
        direct_probe_wr_t wr = {};

        memset(data, 0x5a, sizeof(data));
        wr.op      = inlined ? DIRECT_PROBE_INLINE : DIRECT_PROBE_SEND;
        wr.id      = 0x1234;
        wr.ahn     = 0x2345;
        wr.qpn     = 0x3456;
        wr.qkey    = 0x456789ab;
        wr.imm     = 0x56789abc;
        wr.data    = data;
        wr.length  = sizeof(data);
        wr.sge[0]  = {0x1122334455667788, 0x99, 0xaabbcc};
        wr.num_sge = 1;

        const uint8_t head[]   = {0x34,
                                  0x12,
                                  (uint8_t)(inlined ? 0xb0 : 0x90),
                                  0x1d,
                                  0x56,
                                  0x34,
                                  (uint8_t)(inlined ? 80 : 1),
                                  0,
                                  0xbc,
                                  0x9a,
                                  0x78,
                                  0x56,
                                  0x45,
                                  0x23,
                                  0,
                                  0,
                                  0xab,
                                  0x89,
                                  0x67,
                                  0x45};
        const uint8_t buffer[] = {0x99, 0,    0,    0,    0xcc, 0xbb,
                                  0xaa, 0,    0x88, 0x77, 0x66, 0x55,
                                  0x44, 0x33, 0x22, 0x11};
        memcpy(&expected[0], head, sizeof(head));
        if (inlined) {
            memcpy(&expected[32], data, sizeof(data));
        } else {
            memcpy(&expected[32], buffer, sizeof(buffer));
        }

        /* Number 5 of a ring of 4: the second round */
        EXPECT_EQ(6u, direct_probe_send(128, 4, 5, &wr, entry.data()));
        EXPECT_EQ(expected, entry);
    }
}

/* No more at once than the device takes, and one doorbell for the rest */
TEST(direct_batch, doorbells)
{
    EXPECT_EQ(1u, direct_probe_doorbells(32, 1));
    EXPECT_EQ(1u, direct_probe_doorbells(32, 20));
    EXPECT_EQ(1u, direct_probe_doorbells(16, 16));
    EXPECT_EQ(3u, direct_probe_doorbells(8, 20));
    EXPECT_EQ(4u, direct_probe_doorbells(1, 4));
}
