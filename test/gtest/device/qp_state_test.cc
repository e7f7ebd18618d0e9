/*
 * The state machine of a QP: every pair of states, every mask.
 *
 *     RESET --> INIT --> RTR --> RTS <--> SQD
 *       ^                                      any state --> RESET
 *       '--- ERR <--- any state but RESET
 *
 * The table below is the driver's (docs/soft-efa.md, "Driver checks"); a
 * transition that is not in it fails with EINVAL, a mask bit that the driver
 * does not know at all with EOPNOTSUPP.
 */
#include "verbs_test.h"

#include <cerrno>

namespace device {

static const ibv_qp_state states[] = {IBV_QPS_RESET, IBV_QPS_INIT, IBV_QPS_RTR,
                                      IBV_QPS_RTS,   IBV_QPS_SQD,  IBV_QPS_ERR};

static const char *const state_names[] = {"RESET", "INIT", "RTR", "RTS",
                                          "SQD",   "SQE",  "ERR"};

struct transition {
    ibv_qp_state from, to;
    int          required, optional; /* besides IBV_QP_STATE */
};

static const transition transitions[] = {
    {IBV_QPS_RESET, IBV_QPS_RESET, 0, 0},
    {IBV_QPS_RESET, IBV_QPS_INIT,
     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY, 0},
    {IBV_QPS_INIT, IBV_QPS_RESET, 0, 0},
    {IBV_QPS_INIT, IBV_QPS_ERR, 0, 0},
    {IBV_QPS_INIT, IBV_QPS_INIT, 0,
     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY},
    {IBV_QPS_INIT, IBV_QPS_RTR, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY},
    {IBV_QPS_RTR, IBV_QPS_RESET, 0, 0},
    {IBV_QPS_RTR, IBV_QPS_ERR, 0, 0},
    {IBV_QPS_RTR, IBV_QPS_RTS, IBV_QP_SQ_PSN,
     IBV_QP_CUR_STATE | IBV_QP_QKEY | IBV_QP_RNR_RETRY},
    {IBV_QPS_RTS, IBV_QPS_RESET, 0, 0},
    {IBV_QPS_RTS, IBV_QPS_ERR, 0, 0},
    {IBV_QPS_RTS, IBV_QPS_RTS, 0, IBV_QP_CUR_STATE | IBV_QP_QKEY},
    {IBV_QPS_RTS, IBV_QPS_SQD, 0, IBV_QP_EN_SQD_ASYNC_NOTIFY},
    {IBV_QPS_SQD, IBV_QPS_RESET, 0, 0},
    {IBV_QPS_SQD, IBV_QPS_ERR, 0, 0},
    {IBV_QPS_SQD, IBV_QPS_RTS, 0, IBV_QP_CUR_STATE | IBV_QP_QKEY},
    {IBV_QPS_SQD, IBV_QPS_SQD, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY},
    {IBV_QPS_ERR, IBV_QPS_RESET, 0, 0},
    {IBV_QPS_ERR, IBV_QPS_ERR, 0, 0},
};

/* The bits that some transition takes. */
static const int known_bits[] = {
    IBV_QP_CUR_STATE, IBV_QP_EN_SQD_ASYNC_NOTIFY, IBV_QP_PKEY_INDEX,
    IBV_QP_PORT,      IBV_QP_QKEY,                IBV_QP_SQ_PSN,
    IBV_QP_RNR_RETRY,
};

static const int unknown_bits[] = {
    IBV_QP_ACCESS_FLAGS, IBV_QP_AV,
    IBV_QP_PATH_MTU,     IBV_QP_TIMEOUT,
    IBV_QP_RETRY_CNT,    IBV_QP_RQ_PSN,
    IBV_QP_MAX_QP_RD_ATOMIC, IBV_QP_MIN_RNR_TIMER,
    IBV_QP_MAX_DEST_RD_ATOMIC, IBV_QP_DEST_QPN,
    IBV_QP_RATE_LIMIT,
};

static const transition *find(ibv_qp_state from, ibv_qp_state to)
{
    for (const transition &t : transitions) {
        if ((t.from == from) && (t.to == to)) {
            return &t;
        }
    }
    return nullptr;
}

class qp_state : public ::testing::TestWithParam<bool> {
protected:
    qp_state() :
        context(open_device()), pd(alloc_pd(context.get())), cfg(base_config())
    {
    }

    static config base_config()
    {
        config cfg;

        cfg.ud    = GetParam();
        cfg.state = IBV_QPS_RESET;
        return cfg;
    }

    /* A QP in that state. */
    std::unique_ptr<endpoint> in(ibv_qp_state state)
    {
        std::unique_ptr<endpoint> e(new endpoint(cfg, context.get(),
                                                 pd.get()));

        if (state == IBV_QPS_ERR) {
            e->to_state(IBV_QPS_INIT);
        }
        e->to_state(state);
        return e;
    }

    static ibv_qp_attr values(ibv_qp_state from, ibv_qp_state to)
    {
        ibv_qp_attr attr = {};

        attr.qp_state          = to;
        attr.cur_qp_state      = from;
        attr.port_num          = 1;
        attr.qkey              = QKEY;
        attr.rnr_retry         = 7;
        attr.ah_attr.port_num  = 1;
        attr.alt_port_num      = 1;
        attr.path_mtu          = IBV_MTU_1024;
        return attr;
    }

    /* Tries one modify on a fresh QP. The state is what it was if it failed,
     * for the provider and for the kernel. */
    void expect(int error, ibv_qp_state from, ibv_qp_state to, int mask)
    {
        std::unique_ptr<endpoint> e = in(from);
        ibv_qp_attr               attr;
        ibv_qp_init_attr          init;
        int                       ret;

        ret = e->modify(values(from, to), mask | IBV_QP_STATE);
        EXPECT_EQ(error, ret) << state_names[from] << " -> "
                              << state_names[to] << " mask 0x" << std::hex
                              << mask;
        ASSERT_EQ(0, ibv_query_qp(e->qp.get(), &attr, IBV_QP_STATE, &init));
        EXPECT_EQ(ret ? from : to, attr.qp_state);
    }

    handle<ibv_context> context;
    handle<ibv_pd>      pd;
    config              cfg;
};

TEST_P(qp_state, every_pair_of_states)
{
    for (ibv_qp_state from : states) {
        for (ibv_qp_state to : states) {
            const transition *t = find(from, to);
            if (t != nullptr) {
                expect(0, from, to, t->required);
            } else {
                /* No mask makes it right. */
                expect(EINVAL, from, to, 0);
                expect(EINVAL, from, to, IBV_QP_QKEY);
                expect(EINVAL, from, to,
                       IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);
                expect(EINVAL, from, to, IBV_QP_SQ_PSN);
            }
        }
    }
}

TEST_P(qp_state, every_required_bit)
{
    for (const transition &t : transitions) {
        for (int bit : known_bits) {
            if (t.required & bit) {
                expect(EINVAL, t.from, t.to, t.required & ~bit);
            }
        }
    }
}

TEST_P(qp_state, every_other_known_bit)
{
    for (const transition &t : transitions) {
        for (int bit : known_bits) {
            if (t.required & bit) {
                continue;
            }
            /* UD QPs have no RNR retry: nothing answers. */
            bool allowed = ((t.optional & bit) != 0) &&
                           !(GetParam() && (bit == IBV_QP_RNR_RETRY));
            expect(allowed ? 0 : EINVAL, t.from, t.to, t.required | bit);
        }
    }
}

TEST_P(qp_state, every_unknown_bit)
{
    for (const transition &t : transitions) {
        for (int bit : unknown_bits) {
            expect(EOPNOTSUPP, t.from, t.to, t.required | bit);
        }
    }
}

TEST_P(qp_state, wrong_values)
{
    std::unique_ptr<endpoint> e = in(IBV_QPS_RESET);
    int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY;
    ibv_qp_attr attr = values(IBV_QPS_RESET, IBV_QPS_INIT);

    attr.pkey_index = 1;
    EXPECT_EQ(EOPNOTSUPP, e->modify(attr, mask));
    attr.pkey_index = 0;
    attr.port_num   = 2;
    /* The kernel's core sees it before the driver. */
    EXPECT_EQ(EINVAL, e->modify(attr, mask));
    attr.port_num = 1;
    EXPECT_EQ(0, e->modify(attr, mask));
}

TEST_P(qp_state, query_returns_what_modify_set)
{
    std::unique_ptr<endpoint> e = in(IBV_QPS_INIT);
    int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY |
               IBV_QP_SQ_PSN | IBV_QP_CAP;
    ibv_qp_attr attr = values(IBV_QPS_RTR, IBV_QPS_RTS), got;
    ibv_qp_init_attr init;

    e->to_state(IBV_QPS_RTR);
    attr.sq_psn = 0x123456;
    attr.qkey   = 0x2468ace;
    ASSERT_EQ(0, e->modify(attr, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_QKEY));
    ASSERT_EQ(0, ibv_query_qp(e->qp.get(), &got, mask, &init));
    EXPECT_EQ(IBV_QPS_RTS, got.qp_state);
    EXPECT_EQ(0x123456u, got.sq_psn);
    EXPECT_EQ(0x2468aceu, got.qkey);
    EXPECT_EQ(1, got.port_num);
    EXPECT_EQ(0, got.pkey_index);
    EXPECT_EQ(64u, got.cap.max_send_wr);
    EXPECT_EQ(64u, got.cap.max_recv_wr);
    EXPECT_EQ(1u, got.cap.max_send_sge);
    EXPECT_EQ(1u, got.cap.max_recv_sge);
    EXPECT_EQ(32u, got.cap.max_inline_data);
    EXPECT_EQ(e->cq.get(), init.send_cq);
    EXPECT_EQ(GetParam() ? IBV_QPT_UD : IBV_QPT_DRIVER, init.qp_type);
    /* The driver does not fill these in. */
    EXPECT_EQ(IBV_QPS_RESET, got.cur_qp_state);
    EXPECT_EQ(1, init.sq_sig_all);
}

TEST_P(qp_state, query_of_unknown_bits)
{
    std::unique_ptr<endpoint> e = in(IBV_QPS_RTS);
    ibv_qp_attr attr;
    ibv_qp_init_attr init;

    for (int bit : unknown_bits) {
        EXPECT_EQ(EOPNOTSUPP,
                  ibv_query_qp(e->qp.get(), &attr, IBV_QP_STATE | bit, &init))
                << bit;
    }
}

/* Posting by state is libefa's decision, from what modify told it. */
TEST_P(qp_state, posting_by_state)
{
    for (ibv_qp_state state : states) {
        std::unique_ptr<endpoint> e = in(state);
        bool sends    = (state == IBV_QPS_RTS) || (state == IBV_QPS_SQD);
        bool receives = (state != IBV_QPS_RESET) && (state != IBV_QPS_ERR);
        send_args args;

        args.sgl = {e->sge(0, 8)};
        EXPECT_EQ(receives ? 0 : EINVAL, e->try_recv(1, {e->sge(0, 64)}))
                << state_names[state];
        EXPECT_EQ(sends ? 0 : EINVAL, e->try_send(e->addr(), args))
                << state_names[state];
    }
}

INSTANTIATE_TEST_SUITE_P(type, qp_state, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) {
                             return info.param ? "ud" : "srd";
                         });

TEST(qp_reset, starts_over)
{
    endpoint a, b;

    for (uint64_t round = 0; round < 200; ++round) {
        b.recv(round, 4096, 64);
        fill(a.buffer.data(), 64, round);
        a.send(b.addr(), round, 0, 64);
        ASSERT_EQ(round, b.wait()[0].wr_id);
        ASSERT_EQ(round, a.wait()[0].wr_id);
        check(b.buffer.data() + 4096, 64, round);
        if ((round % 7) == 3) {
            /* A posted receive goes with the reset. */
            b.recv(999, 0, 64);
            b.to_state(IBV_QPS_RESET);
            b.to_state(IBV_QPS_RTS);
        }
        if ((round % 11) == 5) {
            a.to_state(IBV_QPS_RESET);
            a.to_state(IBV_QPS_RTS);
        }
    }
}

TEST(qp_reset, rnr_retry_range)
{
    config cfg;
    cfg.state = IBV_QPS_RTR;

    for (int retry = 0; retry < 8; ++retry) {
        endpoint e(cfg);
        ibv_qp_attr attr = {};
        ibv_qp_init_attr init;

        e.to_state(IBV_QPS_RTS, retry);
        ASSERT_EQ(0, ibv_query_qp(e.qp.get(), &attr, IBV_QP_RNR_RETRY, &init));
        EXPECT_EQ(retry, attr.rnr_retry);
    }
}

/* Receives that wait when the QP goes to ERR come back flushed. */
TEST(qp_error, flushes_receives)
{
    endpoint e;
    std::vector<bool> seen(5);

    for (int i = 0; i < 5; ++i) {
        e.recv(i, 0, 64);
    }
    e.to_state(IBV_QPS_ERR);
    for (const completion &c : e.wait(5)) {
        EXPECT_EQ((uint32_t)STATUS_FLUSHED, c.vendor_err);
        EXPECT_EQ(IBV_WC_WR_FLUSH_ERR, c.status);
        ASSERT_LT(c.wr_id, 5u);
        EXPECT_FALSE(seen[c.wr_id]);
        seen[c.wr_id] = true;
    }
}

/* Sends that wait for a receiver, too. */
TEST(qp_error, flushes_sends)
{
    endpoint a, b;

    a.send(b.addr(), 1, 0, 64);
    a.send(b.addr(), 2, 0, 64);
    a.expect_silence(100);
    a.to_state(IBV_QPS_ERR);
    for (const completion &c : a.wait(2)) {
        EXPECT_EQ((uint32_t)STATUS_FLUSHED, c.vendor_err);
    }
    /* They are not delivered later. */
    b.recv(1, 0, 64);
    b.expect_silence();
    a.expect_silence();
}

TEST(qp_error, destination_in_error)
{
    endpoint a, b;

    b.recv(1, 0, 64);
    b.to_state(IBV_QPS_ERR);
    b.wait();
    a.send(b.addr(), 1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);

    b.to_state(IBV_QPS_RESET);
    b.to_state(IBV_QPS_RTS);
    b.recv(2, 0, 64);
    a.send(b.addr(), 2, 0, 64);
    EXPECT_EQ(IBV_WC_SUCCESS, a.wait()[0].status);
    EXPECT_EQ(2u, b.wait()[0].wr_id);
}

} /* namespace device */
