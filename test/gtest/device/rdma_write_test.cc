/*
 * RDMA write, with and without immediate data.
 *
 * Needs rdma-core 46 or newer: an older libefa refuses such a QP before the
 * device is asked. The tests then skip themselves. Generation 0xefa0 cannot.
 */
#include "verbs_test.h"

#include <cerrno>
#include <cstring>

namespace device {

static config write_config(unsigned device)
{
    config cfg;

    cfg.rdma   = true;
    cfg.write  = true;
    cfg.device = device;
    cfg.buffer = (1 << 20) + 8192;
    cfg.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                 IBV_ACCESS_REMOTE_WRITE;
    return cfg;
}

/* What a QP with RDMA write fails with; 0: it can be made. */
static int write_error()
{
    handle<ibv_context> context = open_device();
    handle<ibv_pd> pd           = alloc_pd(context.get());
    handle<ibv_cq> cq           = create_cq(context.get());
    ibv_qp_init_attr_ex attr    = {};
    efadv_qp_init_attr efa      = {};

    attr.send_cq = attr.recv_cq = cq.get();
    attr.cap                    = {8, 8, 1, 1, 0};
    attr.qp_type                = IBV_QPT_DRIVER;
    attr.comp_mask      = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    attr.pd             = pd.get();
    attr.send_ops_flags = WRITE_OPS;
    handle<ibv_qp> qp(efadv_create_qp_ex(context.get(), &attr, &efa,
                                         sizeof(efa)));
    return qp ? 0 : errno;
}

bool has_rdma_write()
{
    return write_error() == 0;
}

/* Where it cannot be made, this is why: the library or the generation. */
TEST(rdma_ops, write_or_not_supported)
{
    int error = write_error();

    EXPECT_TRUE((error == 0) || (error == EOPNOTSUPP)) << error;
    if (device_attr(open_device().get()).vendor_part_id == 0xefa0) {
        EXPECT_EQ(EOPNOTSUPP, error);
    }
}

/* Parameter: the responder's device. */
class rdma_write : public ::testing::TestWithParam<unsigned> {
protected:
    void SetUp() override
    {
        if (!has_rdma_write()) {
            GTEST_SKIP() << "neither before rdma-core 46 nor on 0xefa0";
        }
        a.reset(new endpoint(write_config(0)));
        b.reset(new endpoint(write_config(GetParam())));
        b->ah(a->addr());
    }

    uint64_t va(size_t offset) const
    {
        return (uint64_t)(uintptr_t)(b->buffer.data() + offset);
    }

    void post(const ibv_sge &local, uint64_t remote, uint32_t rkey,
              const uint32_t *imm = nullptr)
    {
        a->write(b->addr(), 9, local, remote, rkey, imm);
    }

    uint32_t write(const ibv_sge &local, uint64_t remote, uint32_t rkey,
                   const uint32_t *imm = nullptr)
    {
        post(local, remote, rkey, imm);
        return a->wait(1, b.get())[0].vendor_err;
    }

    std::unique_ptr<endpoint> a, b;
};

TEST_P(rdma_write, sizes)
{
    for (uint32_t length : {1u, 7u, 64u, 4096u, 8929u, 65537u, 1u << 20}) {
        fill(a->buffer.data() + 3, length, length);
        std::fill(b->buffer.begin(), b->buffer.end(), 0xee);
        ASSERT_EQ(0u, write(a->sge(3, length), va(5), b->mr->rkey));
        check(b->buffer.data() + 5, length, length);
        EXPECT_EQ(0xee, b->buffer[4]);
        EXPECT_EQ(0xee, b->buffer[5 + length]);
    }
    b->expect_silence(100);
}

TEST_P(rdma_write, immediate_takes_a_receive)
{
    for (uint32_t length : {8u, 8929u, 70000u}) {
        uint32_t imm = 0x80000000 + length;
        completion c;

        fill(a->buffer.data(), length, length);
        b->recv(length, 0, 0);
        ASSERT_EQ(0u, write(a->sge(0, length), va(64), b->mr->rkey, &imm));
        c = b->wait()[0];
        EXPECT_EQ(IBV_WC_SUCCESS, c.status);
        EXPECT_EQ(IBV_WC_RECV_RDMA_WITH_IMM, c.opcode);
        EXPECT_EQ(length, c.wr_id);
        EXPECT_EQ(length, c.byte_len);
        EXPECT_TRUE(c.has_imm);
        EXPECT_EQ(imm, c.imm);
        check(b->buffer.data() + 64, length, length);
    }
}

TEST_P(rdma_write, immediate_waits_for_a_receive)
{
    uint32_t imm = 5;

    post(a->sge(0, 64), va(64), b->mr->rkey, &imm);
    a->expect_silence(200);
    b->expect_silence(200);
    b->recv(1, 0, 0);
    EXPECT_EQ(5u, b->wait(1, a.get())[0].imm);
    EXPECT_EQ(0u, a->wait()[0].vendor_err);
}

TEST_P(rdma_write, what_the_responder_refuses)
{
    std::vector<uint8_t> memory(4096, 0xee);
    handle<ibv_pd> other   = alloc_pd(b->context);
    handle<ibv_mr> read    = reg_mr(b->pd, memory.data(), 4096,
                                    IBV_ACCESS_REMOTE_READ),
                   foreign = reg_mr(other.get(), memory.data(), 4096,
                                    IBV_ACCESS_LOCAL_WRITE |
                                            IBV_ACCESS_REMOTE_WRITE),
                   good    = reg_mr(b->pd, memory.data() + 64, 1024,
                                    IBV_ACCESS_LOCAL_WRITE |
                                            IBV_ACCESS_REMOTE_WRITE);
    uint64_t start         = (uint64_t)(uintptr_t)memory.data();
    ibv_sge sge            = a->sge(0, 64);

    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS, write(sge, start, read->rkey));
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
              write(sge, start, foreign->rkey));
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS, write(sge, start, good->rkey));
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
              write(sge, start + 1025, good->rkey));
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS,
              write(sge, start + 64, good->rkey + 1));
    EXPECT_EQ(std::vector<uint8_t>(4096, 0xee), memory);

    sge.lkey ^= 0x800000;
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, write(sge, start + 64, good->rkey));
    EXPECT_EQ(0u, write(a->sge(0, 64), start + 64, good->rkey));
}

TEST_P(rdma_write, needs_an_ah_at_the_responder)
{
    if (GetParam() == 0) {
        return; /* the sender's own AH is on that device */
    }
    b->ahs.clear();
    EXPECT_EQ((uint32_t)STATUS_REM_NO_AH,
              write(a->sge(0, 64), va(0), b->mr->rkey));
}

INSTANTIATE_TEST_SUITE_P(device, rdma_write, ::testing::Values(0u, 1u));

} /* namespace device */
