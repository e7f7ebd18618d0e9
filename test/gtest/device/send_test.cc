/*
 * Messages between two endpoints of this process: every way to post them,
 * every size, both QP types, with the data checked at the other side.
 */
#include "verbs_test.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <tuple>

namespace device {

/* UD or SRD, how to post, how to poll, to the same or to another device */
typedef std::tuple<bool, api, bool, unsigned> send_param;

class send_data : public ::testing::TestWithParam<send_param> {
protected:
    send_data() : ud(std::get<0>(GetParam())), prefix(ud ? UD_PREFIX : 0)
    {
        cfg.ud       = ud;
        cfg.post     = std::get<1>(GetParam());
        cfg.extended = std::get<2>(GetParam());
        cfg.send_sge = 2;
        cfg.recv_sge = 3;
        a.reset(new endpoint(cfg));
        cfg.device   = std::get<3>(GetParam());
        b.reset(new endpoint(cfg));
        /* What is written where nothing should be is seen. */
        std::fill(b->buffer.begin(), b->buffer.end(), 0xee);
    }

    /* b's completion of a message of length bytes from a, and a's. */
    void expect_one(uint64_t wr_id, uint32_t length, const send_args &args)
    {
        completion c = b->wait(1, a.get())[0];

        EXPECT_EQ(wr_id, c.wr_id);
        EXPECT_EQ(IBV_WC_SUCCESS, c.status);
        EXPECT_EQ(0u, c.vendor_err);
        EXPECT_EQ(IBV_WC_RECV, c.opcode);
        EXPECT_EQ(length + prefix, c.byte_len);
        EXPECT_EQ(b->qp->qp_num, c.qp_num);
        EXPECT_EQ(a->qp->qp_num, c.src_qp);
        EXPECT_EQ(args.has_imm, c.has_imm);
        EXPECT_EQ(args.has_imm ? args.imm : 0, c.imm);

        c = a->wait()[0];
        EXPECT_EQ(args.wr_id, c.wr_id);
        EXPECT_EQ(IBV_WC_SUCCESS, c.status);
        EXPECT_EQ(0u, c.vendor_err);
        EXPECT_EQ(IBV_WC_SEND, c.opcode);
        EXPECT_EQ(a->qp->qp_num, c.qp_num);
    }

    /* One message from a contiguous buffer into another. */
    void one(uint32_t length, bool inlined, bool imm)
    {
        uint64_t  seed = ++count;
        send_args args;

        args.wr_id   = seed * 3;
        args.inlined = inlined;
        args.has_imm = imm;
        args.imm     = imm ? 0x80c0ffee + length : 0;
        args.sgl     = {a->sge(64, length)};
        fill(a->buffer.data() + 64, length, seed);
        memset(b->buffer.data(), 0xee, prefix + length + 16);
        b->recv(seed, 0, 10000);
        a->send(b->addr(), args);
        if (inlined) {
            /* Taken at the post. */
            memset(a->buffer.data() + 64, 0xdd, length);
        }
        expect_one(seed, length, args);
        check(b->buffer.data() + prefix, length, seed);
        for (unsigned i = 0; i < 16; ++i) {
            ASSERT_EQ(0xee, b->buffer[prefix + length + i])
                    << "written beyond the end, length " << length;
        }
    }

    const bool                ud;
    const unsigned            prefix;
    config                    cfg;
    std::unique_ptr<endpoint> a, b;
    uint64_t                  count = 0;
};

TEST_P(send_data, inline_sizes)
{
    for (uint32_t length = 0; length <= 32; ++length) {
        one(length, true, false);
        one(length, true, true);
    }
}

TEST_P(send_data, inline_too_long)
{
    send_args args;

    args.inlined = true;
    args.sgl     = {a->sge(0, 33)};
    EXPECT_EQ(EINVAL, a->try_send(b->addr(), args));
    one(32, true, false);
}

TEST_P(send_data, inline_list)
{
    for (uint32_t split = 0; split <= 32; ++split) {
        send_args args;

        args.inlined = true;
        args.sgl     = {a->sge(0, split), a->sge(1000, 32 - split)};
        std::vector<uint8_t> message(32);
        fill(message.data(), 32, split);
        memcpy(a->buffer.data(), message.data(), split);
        memcpy(a->buffer.data() + 1000, message.data() + split, 32 - split);
        b->recv(split, 0, 100);
        a->send(b->addr(), args);
        expect_one(split, 32, args);
        check(b->buffer.data() + prefix, 32, split);
    }
}

TEST_P(send_data, sizes)
{
    for (uint32_t length : {0,    1,    2,    3,    7,    8,    31,   32,
                            33,   63,   64,   65,   255,  256,  1000, 4095,
                            4096, 4097, 8000, 8191, 8192, 8193, 8927, 8928}) {
        one(length, false, false);
        one(length, false, true);
    }
}

TEST_P(send_data, too_long)
{
    b->recv(1, 0, 20000);
    for (uint32_t length : {8929u, 9000u, 65536u - 64}) {
        a->send(b->addr(), 7, 0, length);
        completion c = a->wait()[0];
        EXPECT_EQ(7u, c.wr_id);
        EXPECT_EQ((uint32_t)STATUS_BAD_LENGTH, c.vendor_err);
        EXPECT_EQ(IBV_WC_LOC_LEN_ERR, c.status);
    }
    b->expect_silence();

    /* The QP goes on, and the receive is still there. */
    fill(a->buffer.data(), 100, 5);
    a->send(b->addr(), 8, 0, 100);
    EXPECT_EQ(1u, b->wait(1, a.get())[0].wr_id);
    EXPECT_EQ(IBV_WC_SUCCESS, a->wait()[0].status);
    check(b->buffer.data() + prefix, 100, 5);
}

/* Two entries whose sum is too long, each of which is not. */
TEST_P(send_data, too_long_in_two)
{
    send_args args;

    args.sgl = {a->sge(0, 5000), a->sge(5000, 3929)};
    b->recv(1, 0, 20000);
    a->send(b->addr(), args);
    EXPECT_EQ((uint32_t)STATUS_BAD_LENGTH, a->wait()[0].vendor_err);
    args.sgl[1].length = 3928;
    fill(a->buffer.data(), 8928, 9);
    a->send(b->addr(), args);
    expect_one(1, 8928, args);
    check(b->buffer.data() + prefix, 8928, 9);
}

TEST_P(send_data, zero_entries)
{
    send_args args;

    if (cfg.post == api::WR) {
        args.has_imm = true;
        args.imm     = 1;
    }
    b->recv(1, 0, 100);
    a->send(b->addr(), args);
    expect_one(1, 0, args);
}

/* Every pair of entry counts, cut at different places. */
TEST_P(send_data, gather_and_scatter)
{
    static const uint32_t send_cuts[][2] = {{10, 0}, {0, 10},    {1, 1},
                                            {3, 61}, {100, 900}, {8000, 928}};
    static const uint32_t recv_cuts[][3] = {{10000, 0, 0},      {41, 10000, 0},
                                            {50, 1, 10000},     {47, 60, 10000},
                                            {4096, 4096, 4096}, {1, 2, 10000}};
    uint64_t seed                        = 100;

    for (const auto &from : send_cuts) {
        for (const auto &to : recv_cuts) {
            uint32_t length = from[0] + from[1], done = 0;
            std::vector<uint8_t> message(prefix + length), got;
            std::vector<ibv_sge> recv_sgl;
            send_args args;

            ++seed;
            fill(message.data() + prefix, length, seed);
            memcpy(a->buffer.data() + 33, message.data() + prefix, from[0]);
            memcpy(a->buffer.data() + 20000, message.data() + prefix + from[0],
                   from[1]);
            args.wr_id = seed;
            args.sgl   = {a->sge(33, from[0]), a->sge(20000, from[1])};

            for (unsigned i = 0; i < 3; ++i) {
                if (to[i] != 0) {
                    recv_sgl.push_back(b->sge(i * 12000 + i, to[i]));
                }
            }
            b->recv(seed, recv_sgl);
            a->send(b->addr(), args);
            expect_one(seed, length, args);
            for (unsigned i = 0; (i < 3) && (done < message.size()); ++i) {
                uint32_t part = std::min<uint32_t>(to[i],
                                                   message.size() - done);
                got.insert(got.end(), b->buffer.begin() + i * 12000 + i,
                           b->buffer.begin() + i * 12000 + i + part);
                done += part;
            }
            ASSERT_EQ(message.size(), got.size());
            check(got.data() + prefix, length, seed);
        }
    }
}

TEST_P(send_data, too_many_entries)
{
    send_args args;

    args.sgl = {a->sge(0, 1), a->sge(1, 1), a->sge(2, 1)};
    EXPECT_EQ(EINVAL, a->try_send(b->addr(), args));
    EXPECT_EQ(EINVAL, b->try_recv(1, {b->sge(0, 1), b->sge(1, 1), b->sge(2, 1),
                                      b->sge(3, 1)}));
    one(1, false, false);
}

/* Queues of 64 entries wrapped a hundred times, the sender ahead of the
 * receiver by a varying distance. Completions may come in any order. */
TEST_P(send_data, ring_wrap)
{
    const uint64_t total = harness::scaled(6400);
    const uint32_t slot  = 512;
    std::vector<int> sent(total), received(total);
    uint64_t posted_send = 0, posted_recv = 0;
    unsigned inflight_send = 0, inflight_recv = 0, done = 0;
    slots send_slots(64, total), recv_slots(64, total);

    wait_until([&] { return (done == total) && (inflight_send == 0); },
               [&] {
        while ((posted_recv < total) && (inflight_recv < 64)) {
            b->recv(posted_recv, recv_slots.get(posted_recv) * slot, slot);
            posted_recv++;
            inflight_recv++;
        }
        /* UD drops what nobody waits for. */
        while ((posted_send < posted_recv) &&
               (inflight_send < 1 + posted_send % 37)) {
            size_t offset   = send_slots.get(posted_send) * slot;
            uint32_t length = 8 + posted_send % 400;
            send_args args;

            args.wr_id   = posted_send;
            args.has_imm = true;
            args.imm     = posted_send;
            args.sgl     = {a->sge(offset, length)};
            args.inlined = length <= 32;
            fill(a->buffer.data() + offset, length, posted_send);
            a->send(b->addr(), args);
            posted_send++;
            inflight_send++;
        }
        for (const completion &c : a->poll()) {
            ASSERT_EQ(IBV_WC_SUCCESS, c.status);
            ASSERT_LT(c.wr_id, total);
            EXPECT_EQ(1, ++sent[c.wr_id]);
            send_slots.put(c.wr_id);
            inflight_send--;
        }
        for (const completion &c : b->poll()) {
            ASSERT_EQ(IBV_WC_SUCCESS, c.status);
            ASSERT_LT(c.imm, total);
            EXPECT_EQ(1, ++received[c.imm]);
            ASSERT_EQ(8 + c.imm % 400 + prefix, c.byte_len);
            check(b->buffer.data() + recv_slots.of(c.wr_id) * slot + prefix,
                  8 + c.imm % 400, c.imm);
            recv_slots.put(c.wr_id);
            inflight_recv--;
            done++;
        }
    },
               "6400 messages");
    a->expect_silence(100);
    b->expect_silence(100);
}

/* The send queue is full when the provider says so, not before. */
TEST_P(send_data, full_queue)
{
    config small  = cfg;
    small.device  = 0;
    small.send_wr = 64;
    endpoint s(small);

    for (unsigned i = 0; i < 64; ++i) {
        b->recv(i, 0, 512);
    }
    send_args args;
    args.sgl = {s.sge(0, 8)};
    for (unsigned i = 0; i < 64; ++i) {
        args.wr_id = i;
        ASSERT_EQ(0, s.try_send(b->addr(), args)) << i;
    }
    EXPECT_EQ(ENOMEM, s.try_send(b->addr(), args));
    s.wait(64);
    b->wait(64, &s);
    EXPECT_EQ(0, s.try_send(b->addr(), args));
}

/* A list of work requests in one call, longer than a doorbell may cover. */
TEST_P(send_data, list_of_requests)
{
    const unsigned count = 60;
    std::vector<ibv_send_wr> wrs(count);
    std::vector<ibv_sge> sges(count);
    ibv_send_wr *bad = nullptr;
    std::vector<bool> seen(count);

    for (unsigned i = 0; i < count; ++i) {
        b->recv(i, i * 256, 256);
        fill(a->buffer.data() + i * 128, 128, i);
        sges[i]                  = a->sge(i * 128, 128);
        wrs[i]                   = {};
        wrs[i].wr_id             = i;
        wrs[i].next              = (i + 1 < count) ? &wrs[i + 1] : nullptr;
        wrs[i].sg_list           = &sges[i];
        wrs[i].num_sge           = 1;
        wrs[i].opcode            = IBV_WR_SEND_WITH_IMM;
        wrs[i].imm_data          = htonl(i);
        wrs[i].send_flags        = IBV_SEND_SIGNALED;
        wrs[i].wr.ud.ah          = a->ah(b->addr());
        wrs[i].wr.ud.remote_qpn  = b->qp->qp_num;
        wrs[i].wr.ud.remote_qkey = QKEY;
    }

    if (cfg.post == api::POST_SEND) {
        ASSERT_EQ(0, ibv_post_send(a->qp.get(), wrs.data(), &bad));
    } else {
        ibv_qp_ex *qpx = ibv_qp_to_qp_ex(a->qp.get());

        ibv_wr_start(qpx);
        for (unsigned i = 0; i < count; ++i) {
            qpx->wr_id    = i;
            qpx->wr_flags = IBV_SEND_SIGNALED;
            ibv_wr_send_imm(qpx, htonl(i));
            ibv_wr_set_sge(qpx, sges[i].lkey, sges[i].addr, sges[i].length);
            ibv_wr_set_ud_addr(qpx, wrs[i].wr.ud.ah, b->qp->qp_num, QKEY);
        }
        ASSERT_EQ(0, ibv_wr_complete(qpx));
    }

    a->wait(count);
    for (const completion &c : b->wait(count, a.get())) {
        unsigned id = c.imm;

        ASSERT_LT(id, count);
        EXPECT_FALSE(seen[id]);
        seen[id] = true;
        check(b->buffer.data() + c.wr_id * 256 + prefix, 128, id);
    }
}

static std::string
send_param_name(const ::testing::TestParamInfo<send_param> &info)
{
    return std::string(std::get<0>(info.param) ? "ud" : "srd") +
           (std::get<1>(info.param) == api::WR ? "_wr" : "_post_send") +
           (std::get<2>(info.param) ? "_start_poll" : "_poll_cq") +
           (std::get<3>(info.param) ? "_far" : "_near");
}

INSTANTIATE_TEST_SUITE_P(all, send_data,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(api::POST_SEND,
                                                              api::WR),
                                            ::testing::Bool(),
                                            ::testing::Values(0u, 1u)),
                         send_param_name);

/* To itself: the sender's and the receiver's work on one QP and one CQ. */
TEST(send_self, both_completions)
{
    endpoint e;

    for (uint64_t i = 0; i < 1000; ++i) {
        unsigned sends = 0, recvs = 0;

        fill(e.buffer.data(), 300, i);
        e.recv(2 * i, 4096, 512);
        e.send(e.addr(), 2 * i + 1, 0, 300);
        for (const completion &c : e.wait(2)) {
            EXPECT_EQ(IBV_WC_SUCCESS, c.status);
            sends += (c.opcode == IBV_WC_SEND) && (c.wr_id == 2 * i + 1);
            recvs += (c.opcode == IBV_WC_RECV) && (c.wr_id == 2 * i);
        }
        ASSERT_EQ(1u, sends);
        ASSERT_EQ(1u, recvs);
        check(e.buffer.data() + 4096, 300, i);
    }
}

TEST(send_unsignaled, is_refused)
{
    endpoint to;
    handle<ibv_cq> cq     = create_cq(to.context);
    ibv_qp_init_attr init = {};
    ibv_qp_attr attr      = {};
    ibv_send_wr wr = {}, *bad = nullptr;

    init.send_cq = init.recv_cq = cq.get();
    init.cap                    = {8, 8, 1, 1, 0};
    init.qp_type                = IBV_QPT_DRIVER;
    handle<ibv_qp> qp(efadv_create_driver_qp(to.pd, &init,
                                             EFADV_QP_DRIVER_TYPE_SRD));
    ASSERT_TRUE(qp);
    attr.port_num = 1;
    attr.qkey     = QKEY;
    attr.qp_state = IBV_QPS_INIT;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr,
                               IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                                       IBV_QP_QKEY));
    attr.qp_state = IBV_QPS_RTR;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr, IBV_QP_STATE));
    attr.qp_state = IBV_QPS_RTS;
    ASSERT_EQ(0, ibv_modify_qp(qp.get(), &attr, IBV_QP_STATE | IBV_QP_SQ_PSN));

    wr.opcode            = IBV_WR_SEND;
    wr.wr.ud.ah          = to.ah(to.addr());
    wr.wr.ud.remote_qpn  = to.qp->qp_num;
    wr.wr.ud.remote_qkey = QKEY;
    EXPECT_EQ(EINVAL, ibv_post_send(qp.get(), &wr, &bad));
    wr.send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED;
    EXPECT_EQ(EINVAL, ibv_post_send(qp.get(), &wr, &bad));
    wr.send_flags = IBV_SEND_SIGNALED | IBV_SEND_FENCE;
    EXPECT_EQ(EINVAL, ibv_post_send(qp.get(), &wr, &bad));
}

/* More than 32 bytes need a generation and an rdma-core with entries of 128
 * bytes. Who lets the QP be made must also carry the data. */
TEST(send_inline, beyond_32)
{
    endpoint b;
    bool any = false;

    for (uint32_t size = 33; size <= 81; ++size) {
        config cfg;
        cfg.max_inline = size;
        std::unique_ptr<endpoint> a;
        try {
            a.reset(new endpoint(cfg));
        } catch (const std::exception &) {
            continue;
        }
        any = true;
        EXPECT_LE(size, 80u);
        for (unsigned i = 0; i < 100; ++i) {
            send_args args;
            args.inlined = true;
            args.sgl     = {a->sge(0, size - i % 8)};
            fill(a->buffer.data(), size, i);
            b.recv(i, 0, 100);
            a->send(b.addr(), args);
            ASSERT_EQ(IBV_WC_SUCCESS, a->wait()[0].status);
            EXPECT_EQ(size - i % 8, b.wait()[0].byte_len);
            check(b.buffer.data(), size - i % 8, i);
        }
    }
    EXPECT_TRUE(!any || (device_attr(b.context).vendor_part_id == 0xefa4));
}

/* Data comes from memory registered under another address. */
TEST(send_iova, translates)
{
    endpoint a, b;
    std::vector<uint8_t> pages(4 * 4096);
    uint8_t *memory     = pages.data() + (-(uintptr_t)pages.data() & 4095);
    const uint64_t iova = 0x7000000000ull;

    /* Both addresses have the same place in their pages, or it is refused. */
    EXPECT_EQ(nullptr, ibv_reg_mr_iova(a.pd, memory, 12288, iova + 1, 0));
    EXPECT_EQ(EINVAL, errno);
    ibv_mr *raw = ibv_reg_mr_iova(a.pd, memory, 12288, iova, 0);
    ASSERT_NE(nullptr, raw) << strerror(errno);
    handle<ibv_mr> mr(raw);
    fill(memory, 12288, 77);
    for (uint32_t offset : {0u, 1u, 4095u, 4096u, 12288u - 100}) {
        send_args args;

        args.sgl = {{iova + offset, 100, mr->lkey}};
        b.recv(1, 0, 100);
        a.send(b.addr(), args);
        ASSERT_EQ(IBV_WC_SUCCESS, a.wait()[0].status);
        b.wait();
        for (unsigned i = 0; i < 100; ++i) {
            ASSERT_EQ(memory[offset + i], b.buffer[i]);
        }
    }

    send_args args;
    args.sgl = {{iova + 12288 - 99, 100, mr->lkey}};
    a.send(b.addr(), args);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, a.wait()[0].vendor_err);
    args.sgl = {{(uint64_t)(uintptr_t)memory, 100, mr->lkey}};
    a.send(b.addr(), args);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, a.wait()[0].vendor_err);
}

} /* namespace device */
