/*
 * The NIC's counters, in sysfs: exactly what was done, at both devices.
 */
#include "fault_test.h"

#include <fstream>
#include <map>

namespace device {

typedef std::map<std::string, uint64_t> values;

static const char *const PORT[] = {
    "tx_bytes", "tx_pkts", "rx_bytes", "rx_pkts", "rx_drops", "send_bytes",
    "send_wrs", "recv_bytes", "recv_wrs", "rdma_read_wrs", "rdma_read_bytes",
    "rdma_read_wr_err", "rdma_read_resp_bytes", "rdma_write_wrs",
    "rdma_write_bytes", "rdma_write_wr_err", "rdma_write_recv_bytes",
    "retrans_bytes", "retrans_pkts", "retrans_timeout_events",
    "unresponsive_remote_events", "impaired_remote_conn_events",
};

static const char *const DEVICE[] = {
    "submitted_cmds", "completed_cmds", "cmds_err", "no_completion_cmds",
    "keep_alive_rcvd", "alloc_pd_err", "create_qp_err", "create_cq_err",
    "reg_mr_err", "alloc_ucontext_err", "create_ah_err", "mmap_err",
};

static values read_all(unsigned index)
{
    std::string root = "/sys/class/infiniband/efa_" + std::to_string(index);
    values result;

    for (const char *name : PORT) {
        std::ifstream file(root + "/ports/1/hw_counters/" + name);
        EXPECT_TRUE(file >> result[name]) << name;
    }
    for (const char *name : DEVICE) {
        std::ifstream file(root + "/hw_counters/" + name);
        EXPECT_TRUE(file >> result[name]) << name;
    }
    return result;
}

/* What both devices counted since the last look. */
class counters : public ::testing::Test {
protected:
    counters() : a(make_config(0)), b(make_config(1))
    {
        b.ah(a.addr());
        a.ah(b.addr());
        look();
    }

    static config make_config(unsigned device)
    {
        config cfg;

        cfg.rdma   = true;
        cfg.device = device;
        cfg.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
        return cfg;
    }

    values since(unsigned index)
    {
        values now = read_all(index), result;

        for (const auto &counter : now) {
            if (counter.second != last[index][counter.first]) {
                result[counter.first] = counter.second -
                                        last[index][counter.first];
            }
        }
        last[index] = now;
        return result;
    }

    void look()
    {
        since(0);
        since(1);
    }

    endpoint a, b;
    values last[2];
};

TEST_F(counters, sends_one_by_one_and_together)
{
    unsigned count = 40;

    for (unsigned i = 0; i < count; ++i) {
        b.recv(i, 0, 128);
    }
    for (unsigned i = 0; i < 8; ++i) {
        a.send(b.addr(), i, 0, 100);
    }
    a.wait(8, &b);

    /* one doorbell */
    ibv_wr_start(ibv_qp_to_qp_ex(a.qp.get()));
    for (unsigned i = 8; i < count; ++i) {
        ibv_qp_ex *qp = ibv_qp_to_qp_ex(a.qp.get());

        qp->wr_id    = i;
        qp->wr_flags = IBV_SEND_SIGNALED;
        ibv_wr_send(qp);
        ibv_wr_set_ud_addr(qp, a.ah(b.addr()), b.addr().qpn, b.addr().qkey);
        ibv_wr_set_sge(qp, a.mr->lkey, (uintptr_t)a.buffer.data(), 100);
    }
    ASSERT_EQ(0, ibv_wr_complete(ibv_qp_to_qp_ex(a.qp.get())));
    a.wait(count - 8, &b);

    EXPECT_EQ((values{{"send_wrs", count},
                      {"send_bytes", count * 100},
                      {"tx_pkts", count},
                      {"tx_bytes", count * 100}}),
              since(0));
    EXPECT_EQ((values{{"recv_wrs", count},
                      {"recv_bytes", count * 100},
                      {"rx_pkts", count},
                      {"rx_bytes", count * 100}}),
              since(1));
}

TEST_F(counters, outlive_queue_pairs)
{
    for (unsigned i = 0; i < 3; ++i) {
        endpoint from(make_config(0)), to(make_config(1));

        to.recv(1, 0, 64);
        from.send(to.addr(), 1, 0, 64);
        from.wait();
    }

    EXPECT_EQ(3u, since(0)["send_wrs"]);
    EXPECT_EQ(3u * 64, since(1)["recv_bytes"]);
}

TEST_F(counters, reads)
{
    uint32_t length = 2 * 8928 + 1;

    a.read(b.addr(), 1, a.sge(0, length), (uintptr_t)b.buffer.data(),
           b.mr->rkey);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    a.read(b.addr(), 2, a.sge(0, 8), (uintptr_t)b.buffer.data(),
           b.mr->rkey + 1);
    EXPECT_NE(0u, a.wait()[0].vendor_err);

    EXPECT_EQ((values{{"rdma_read_wrs", 1},
                      {"rdma_read_bytes", length},
                      {"rdma_read_wr_err", 1},
                      {"rx_bytes", length},
                      {"rx_pkts", 3}}),
              since(0));
    EXPECT_EQ((values{{"rdma_read_resp_bytes", length},
                      {"tx_bytes", length},
                      {"tx_pkts", 3}}),
              since(1));
}

TEST_F(counters, writes)
{
    if (!has_rdma_write()) {
        GTEST_SKIP() << "no RDMA write";
    }

    config cfg = make_config(0);
    cfg.write  = true;
    endpoint from(cfg);
    cfg.device = 1;
    cfg.access |= IBV_ACCESS_REMOTE_WRITE;
    endpoint to(cfg);

    to.ah(from.addr());
    from.ah(to.addr());
    look();
    from.write(to.addr(), 1, from.sge(0, 99), (uintptr_t)to.buffer.data(),
               to.mr->rkey);
    EXPECT_EQ(0u, from.wait()[0].vendor_err);
    EXPECT_EQ((values{{"rdma_write_wrs", 1},
                      {"rdma_write_bytes", 99},
                      {"tx_bytes", 99},
                      {"tx_pkts", 1}}),
              since(0));
    EXPECT_EQ((values{{"rdma_write_recv_bytes", 99},
                      {"rx_bytes", 99},
                      {"rx_pkts", 1}}),
              since(1));
}

TEST_F(counters, refused)
{
    address nowhere = b.addr();

    nowhere.qpn ^= 0x40;
    a.send(nowhere, 1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, a.wait()[0].vendor_err);
    EXPECT_EQ((values{{"send_wrs", 1},
                      {"send_bytes", 64},
                      {"tx_pkts", 1},
                      {"tx_bytes", 64}}),
              since(0));
    EXPECT_EQ((values{{"rx_drops", 1}}), since(1));

    config cfg = make_config(0);
    cfg.rdma   = false;
    cfg.ud     = true;
    endpoint ud(cfg);
    ud.ah(nowhere);
    look();
    ud.send(nowhere, 2, 0, 64);
    EXPECT_EQ(0u, ud.wait()[0].vendor_err);
    EXPECT_EQ((values{{"send_wrs", 1},
                      {"send_bytes", 64},
                      {"tx_pkts", 1},
                      {"tx_bytes", 64}}),
              since(0));
    EXPECT_EQ((values{{"rx_drops", 1}}), since(1));
}

TEST_F(counters, unreachable)
{
    address nowhere = b.addr();

    nowhere.gid = made_up_gid(1);
    a.ah(nowhere);
    look();
    a.send(nowhere, 1, 0, 64);
    EXPECT_EQ((uint32_t)STATUS_UNREACH, a.wait()[0].vendor_err);
    EXPECT_EQ((values{{"unresponsive_remote_events", 1},
                      {"send_wrs", 1},
                      {"send_bytes", 64},
                      {"tx_pkts", 1},
                      {"tx_bytes", 64}}),
              since(0));
}

/* What the own device refuses never leaves it. */
TEST_F(counters, refused_here)
{
    send_args args;

    args.sgl = {a.sge(0, 64)};
    args.sgl[0].lkey ^= 1;
    a.send(b.addr(), args);
    EXPECT_EQ((uint32_t)STATUS_BAD_LKEY, a.wait()[0].vendor_err);
    EXPECT_EQ((values{}), since(0));
    EXPECT_EQ((values{}), since(1));
}

TEST_F(counters, commands)
{
    {
        handle<ibv_pd> pd = alloc_pd(a.context);
    }
    EXPECT_EQ((values{{"submitted_cmds", 2}, {"completed_cmds", 2}}), since(0));

    EXPECT_EQ(nullptr,
              ibv_reg_mr(a.pd, a.buffer.data(), 16,
                         IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_LOCAL_WRITE));
    EXPECT_EQ((values{{"submitted_cmds", 1},
                      {"completed_cmds", 1},
                      {"cmds_err", 1},
                      {"reg_mr_err", 1}}),
              since(0));
}

/* One send for the sender, two messages for the receiver. */
DEVICE_ROLE(counters_duplicate)
{
    endpoint a, b;
    values before = read_all(0), after;

    b.recv(1, 0, 64);
    b.recv(2, 64, 64);
    a.send(b.addr(), 1, 0, 64);
    a.wait(1, &b);
    after = read_all(0);
    return ((after["send_wrs"] - before["send_wrs"] == 1) &&
            (after["recv_wrs"] - before["recv_wrs"] == 2) &&
            (after["retrans_pkts"] - before["retrans_pkts"] == 1) &&
            (after["retrans_bytes"] - before["retrans_bytes"] == 64)) ?
                   0 :
                   1;
}

TEST(counters_faults, duplicate)
{
    EXPECT_EQ(0, play_faults("counters_duplicate", "duplicate count=1"));
}

/* What a killed process had sent stays counted. */
DEVICE_ROLE(counters_sender)
{
    address to = parent.get<address>();
    endpoint a;

    a.send(to, 1, 0, 64);
    a.wait();
    parent.put(1);
    parent.get<int>();
    return 0;
}

TEST_F(counters, of_killed_processes)
{
    b.recv(1, 0, 64);
    {
        child sender("counters_sender");

        sender.to->put(b.addr());
        sender.to->get<int>();
        sender.kill9();
    }
    endpoint next(make_config(0)); /* takes what is left apart */
    EXPECT_EQ(1u, since(0)["send_wrs"]);
    EXPECT_EQ(1u, since(1)["recv_wrs"]);
}

} // namespace device
