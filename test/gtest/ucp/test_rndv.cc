/*
 * Rendezvous over the device's RDMA: that the data is right, that it took that
 * way and no other, and that a peer which dies in the middle hangs nobody.
 *
 *   scheme      who moves the data          needs
 *   get_zcopy   receiver reads              RDMA read
 *   put_zcopy   sender writes               RDMA write
 *   auto        as UCP finds better
 */
#include "ucp_test.h"

#include "common/counters.h"
#include "ucx_efa_config.h"

#include <tuple>

using namespace ucp_test;

static const size_t MB = 1 << 20;

/* What the device and libefa have together, as far as tests can know. */
static bool has_read()
{
    return is_srd() &&
           (env("SOFTEFA_LIMITS", "").find("rdma_read=0") ==
            std::string::npos) &&
           (env("UCX_SRD_RDMA", "try") != "n");
}

static bool has_write()
{
#if HAVE_EFADV_RDMA_WRITE
    return has_read() && (env("SOFTEFA_PROFILE", "efa1") != "efa0");
#else
    return false;
#endif
}

/* PROTO_ENABLE, RNDV_SCHEME, transports, error handling */
typedef std::tuple<const char*, const char*, const char*, bool> rndv_param;

static std::string rndv_name(const ::testing::TestParamInfo<rndv_param> &info)
{
    return std::string(std::get<0>(info.param)[0] == 'y' ? "proto_v2_" :
                                                           "proto_v1_") +
           std::get<1>(info.param) +
           (strstr(std::get<2>(info.param), "tcp") ? "_tcp" : "") +
           (std::get<3>(info.param) ? "_err_peer" : "");
}

static ucp_options rndv_options(const rndv_param &param)
{
    ucp_options options;

    options.config["RNDV_THRESH"]        = "1000";
    options.config["PROTO_ENABLE"]       = std::get<0>(param);
    options.config["RNDV_SCHEME"]        = std::get<1>(param);
    options.config["TLS"]                = std::get<2>(param);
    options.err_peer                     = std::get<3>(param);
    /* What the dead one's device has accepted fails no send. */
    options.config["KEEPALIVE_INTERVAL"] = "100ms";
    return options;
}

class ucp_rndv : public ucp_base,
                 public ::testing::WithParamInterface<rndv_param> {
protected:
    void SetUp() override
    {
        ucp_options options = rndv_options(GetParam());

        m_a  = &add_side(options);
        m_b  = &add_side(options);
        m_ab = m_a->connect(m_b->address());
        m_ba = m_b->connect(m_a->address());
    }

    std::string scheme() const
    {
        return std::get<1>(GetParam());
    }

    /* The counter that the scheme moves; empty: it depends. */
    std::string bytes_counter() const
    {
        return ((scheme() == "get_zcopy") && has_read()) ? "rdma_read_bytes" :
               ((scheme() == "put_zcopy") && has_write()) ?
               "rdma_write_bytes" : "";
    }

    ucp_side *m_a;
    ucp_side *m_b;
    ucp_ep_h  m_ab;
    ucp_ep_h  m_ba;
};

INSTANTIATE_TEST_SUITE_P(
        way, ucp_rndv,
        ::testing::Combine(::testing::Values("n", "y"),
                           ::testing::Values("auto", "get_zcopy", "put_zcopy"),
                           ::testing::Values("srd,self", "srd,tcp,self"),
                           ::testing::Bool()), rndv_name);

/* Both directions at once, every length; beyond the first few the bytes must
 * have moved by RDMA, and by nothing else. */
TEST_P(ucp_rndv, lengths)
{
    uint64_t seq = 0, moved = 0, before, reads, writes;

    ping_pong(*m_a, m_ab, *m_b, m_ba, seq++, 3 * MB); /* all is wired up */
    reads  = counter("rdma_read_bytes");
    writes = counter("rdma_write_bytes");
    before = counter("tx_bytes");
    for (size_t length :
         std::vector<size_t>{1, 8, 500, 2000, 4096, 8000, 8928, 8929, 20000,
                             65536, 65537, 300001, MB, 2 * MB + 7, 8 * MB}) {
        ping_pong(*m_a, m_ab, *m_b, m_ba, seq++, length);
        moved += (length > MB / 4) ? 2 * length : 0;
    }
    reads  = counter("rdma_read_bytes") - reads;
    writes = counter("rdma_write_bytes") - writes;
    if (!bytes_counter().empty()) {
        EXPECT_GE(bytes_counter() == "rdma_read_bytes" ? reads : writes, moved);
    } else if ((scheme() == "auto") && has_read()) {
        EXPECT_GE(reads + writes, moved);
    }
    if (reads + writes >= moved) {
        EXPECT_LT(counter("tx_bytes") - before, moved / 10);
    }
}

/* A message that is there before its receive, and one that is too long. */
TEST_P(ucp_rndv, unexpected_and_truncated)
{
    for (size_t length : {(size_t)20000, 2 * MB}) {
        bytes data = message(7, 1, length), got(length), small(length / 2);
        ucs_status_ptr_t sent = tag_send(m_ab, data, 1);

        for (unsigned i = 0; i < 500; ++i) {
            progress();
        }
        EXPECT_EQ(UCS_OK, finish(tag_recv(*m_b, got, 1)));
        EXPECT_EQ(UCS_OK, finish(sent));
        EXPECT_TRUE(got == data);

        ucs_status_ptr_t recv = tag_recv(*m_b, small, 2);
        sent                  = tag_send(m_ab, data, 2);
        EXPECT_EQ(UCS_ERR_MESSAGE_TRUNCATED, finish(recv));
        finish(sent);
        ping_pong(*m_a, m_ab, *m_b, m_ba, 3, length);
    }
}

/* Many under way at the same time, in both directions, short ones between. */
TEST_P(ucp_rndv, many)
{
    const uint64_t count = scaled(60);
    std::vector<bytes> sent, got(2 * count);
    std::vector<ucs_status_ptr_t> requests;

    auto length = [](uint64_t seq) -> size_t {
        return (mix64(seq) % 3 == 0) ? mix64(seq) % 900 : mix64(seq) % (MB / 2);
    };
    for (uint64_t seq = 0; seq < 2 * count; ++seq) {
        sent.push_back(message(9, seq, length(seq)));
        got[seq].resize(length(seq));
    }
    for (uint64_t seq = 0; seq < 2 * count; ++seq) {
        requests.push_back(tag_recv((seq & 1) ? *m_a : *m_b, got[seq], seq));
        requests.push_back(tag_send((seq & 1) ? m_ba : m_ab, sent[seq], seq));
    }
    for (ucs_status_ptr_t request : requests) {
        EXPECT_EQ(UCS_OK, finish(request));
    }
    for (uint64_t seq = 0; seq < 2 * count; ++seq) {
        EXPECT_TRUE(got[seq] == sent[seq]) << seq;
    }
}

/* ---- two rails ---- */

/* In a process with two devices: the bytes of large messages go over both,
 * and no result depends on it. Returns "" or what is wrong. */
static std::string two_rails(const std::string &proto,
                             const std::string &scheme)
{
    std::string counter_name = (scheme == "put_zcopy") ? "rdma_write_bytes" :
                                                         "rdma_read_bytes";
    std::vector<size_t> all  = {500, 20000, 300001, MB, 8 * MB + 1};
    std::string text;
    ucp_options options;

    options.config["RNDV_THRESH"]    = "1000";
    options.config["PROTO_ENABLE"]   = proto;
    options.config["RNDV_SCHEME"]    = scheme;
    options.config["MAX_RNDV_RAILS"] = "2";
    ucp_side a(options), b(options);
    ucp_ep_h ab = a.connect(b.address()), ba = b.connect(a.address());

    auto progress = [&]() {
        a.progress();
        b.progress();
    };
    auto finish = [&](ucs_status_ptr_t request) {
        ucs_status_t status = UCS_PTR_STATUS(request);
        if (UCS_PTR_IS_PTR(request)) {
            if (!wait_until(
                        [&]() {
                status = ucp_request_check_status(request);
                return status != UCS_INPROGRESS;
                        },
                        progress)) {
                throw std::runtime_error("a request does not complete");
            }
            ucp_request_free(request);
        }
        if (status != UCS_OK) {
            text += std::string(ucs_status_string(status)) + "; ";
        }
    };
    for (unsigned round = 0; round < 3; ++round) {
        for (size_t length : all) {
            for (bool back : {false, true}) {
                bytes data = message(back, round, length), got(length);
                ucp_request_param_t param;

                param.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
                ucs_status_ptr_t recv =
                        ucp_tag_recv_nbx((back ? a : b).worker(), got.data(),
                                         length, 1, ~0ull, &param);
                param.op_attr_mask = 0;
                finish(ucp_tag_send_nbx(back ? ba : ab, data.data(), length, 1,
                                        &param));
                finish(recv);
                if (got != data) {
                    text += "wrong data at length " + std::to_string(length) +
                            "; ";
                }
            }
        }
    }
    unsigned used = 0;
    for (const auto &kv : counter_by_device(counter_name)) {
        used += kv.second > 4 * MB;
    }
    if (used != 2) {
        for (const auto &kv : counter_by_device(counter_name)) {
            text += kv.first + " moved " + std::to_string(kv.second) +
                    " bytes; ";
        }
    }
    for (ucp_side *side : {&a, &b}) {
        for (ucs_status_ptr_t request : side->close_all()) {
            finish(request);
        }
    }
    return text;
}

HARNESS_ROLE(two_rails)
{
    size_t space = arguments.find(' ');

    return two_rails(arguments.substr(0, space), arguments.substr(space + 1));
}

class ucp_rails : public ::testing::Test {
};

TEST_F(ucp_rails, both_carry_data)
{
    if (!has_read()) {
        GTEST_SKIP() << "no RDMA read";
    }
    for (const char *proto : {"n", "y"}) {
        for (const char *scheme : {"get_zcopy", "put_zcopy"}) {
            if (!strcmp(scheme, "put_zcopy") && !has_write()) {
                continue;
            }
            peer_proc peer({"SOFTEFA_DEVICES=2",
                            "SOFTEFA_FABRIC=rails-" +
                                    std::to_string(getpid())});
            EXPECT_EQ("", peer.call(std::string("role two_rails ") + proto +
                                    " " + scheme))
                    << proto << " " << scheme;
        }
    }
}

/* ---- peers that die in the middle ---- */

class ucp_rndv_death : public ucp_rndv {
protected:
    void SetUp() override
    {
        /* "abort" of its protocols is an assertion that fails. */
        if ((std::get<0>(GetParam())[0] == 'y') && !is_ucx(16)) {
            GTEST_SKIP() << "this UCX cannot end requests of new protocols";
        }
        if (!bears_rndv_death()) {
            GTEST_SKIP() << "this UCX crashes when a peer dies and it has no "
                            "registration cache";
        }
        ucp_rndv::SetUp();
        m_seq = 0;
        ping_pong(*m_a, m_ab, *m_b, m_ba, m_seq++, MB);
    }

    /* Another peer's conversation */
    void others_go_on()
    {
        ping_pong(*m_a, m_ab, *m_b, m_ba, m_seq++, 5000);
        ping_pong(*m_a, m_ab, *m_b, m_ba, m_seq++, MB);
    }

    ucp_ep_h connect_peer(peer_proc &peer, ep_errors &errors)
    {
        ucp_ep_h ep = m_a->connect(from_hex(peer.call(
                "open " + std::to_string(UCP_FEATURE_TAG) + " 1 " +
                std::get<0>(GetParam()) + " " + std::get<1>(GetParam()))),
                &errors);

        peer.call("connect " + to_hex(m_a->address()));
        /* Acquainted in both directions, short and long */
        for (size_t length : {(size_t)100, MB}) {
            std::string line = " 5 " + std::to_string(length) + " 1";
            bytes got(length);

            peer.post("recv" + line);
            EXPECT_EQ(UCS_OK, finish(tag_send(ep, message(5, 0, length), 5)));
            EXPECT_EQ("0", peer.answer([this]() { progress(); }));
            ucs_status_ptr_t recv = tag_recv(*m_a, got, 5);
            peer.call("send" + line, [this]() { progress(); });
            EXPECT_EQ(UCS_OK, finish(recv));
            EXPECT_TRUE(got == message(5, 0, length));
        }
        return ep;
    }

    void finish_all(ucp_ep_h ep, ep_errors &errors,
                    const std::vector<ucs_status_ptr_t> &requests)
    {
        EXPECT_TRUE(wait([&]() { return errors.count > 0; }))
                << "nobody noticed";
        for (ucs_status_ptr_t request : requests) {
            EXPECT_NE(UCS_ERR_TIMED_OUT, finish(request));
        }
        others_go_on();
        finish(m_a->close(ep, UCP_EP_CLOSE_FLAG_FORCE));
        EXPECT_EQ(1u, errors.count);
        EXPECT_TRUE(UCS_STATUS_IS_ERR(errors.status));
        others_go_on();
    }

    uint64_t m_seq = 0;
};

INSTANTIATE_TEST_SUITE_P(
        way, ucp_rndv_death,
        ::testing::Combine(::testing::Values("n", "y"),
                           ::testing::Values("auto", "get_zcopy", "put_zcopy"),
                           ::testing::Values("srd,self"),
                           ::testing::Values(true)), rndv_name);

/* We send, the receiver is killed: our requests end with an error or, if they
 * had reached it, without. */
TEST_P(ucp_rndv_death, receiver)
{
    for (unsigned round = 0; round < scaled(3); ++round) {
        peer_proc peer;
        ep_errors errors;
        ucp_ep_h ep = connect_peer(peer, errors);
        std::vector<bytes> data;
        std::vector<ucs_status_ptr_t> sends;

        for (unsigned i = 0; i < 20; ++i) {
            data.push_back(message(6, i, 2 * MB));
        }
        peer.post("recv 6 " + std::to_string(2 * MB) + " 20");
        for (unsigned i = 0; i < 20; ++i) {
            sends.push_back(tag_send(ep, data[i], 6));
            progress();
        }
        for (unsigned i = 0; i < round * 100; ++i) {
            progress();
        }
        peer.kill9();
        finish_all(ep, errors, sends);
    }
}

/* We receive, the sender is killed: what was under way ends, of a rendezvous
 * (UCP waits for ever for the rest of an eager message); what never began can
 * be cancelled. Nothing of a message that failed is taken for good. */
TEST_P(ucp_rndv_death, sender)
{
    for (unsigned round = 0; round < scaled(3); ++round) {
        const unsigned count = 20;
        peer_proc peer;
        ep_errors errors;
        ucp_ep_h ep = connect_peer(peer, errors);
        std::vector<bytes> got(count, bytes(2 * MB));
        std::vector<ucs_status_ptr_t> recvs;

        for (unsigned i = 0; i < count; ++i) {
            recvs.push_back(tag_recv(*m_a, got[i], 6));
        }
        peer.post("send 6 " + std::to_string(2 * MB) + " 1000");
        wait([&]() {
            return ucp_request_check_status(recvs[round]) != UCS_INPROGRESS;
        });
        peer.kill9();
        /* Somebody has to talk to it, to learn of its death. */
        bytes word = message(8, 1, 100);
        finish(tag_send(ep, word, 8));
        EXPECT_TRUE(wait([&]() { return errors.count > 0; }))
                << "nobody noticed";
        for (unsigned i = 0; i < 2000; ++i) {
            progress();
        }
        for (unsigned i = 0; i < count; ++i) {
            if (ucp_request_check_status(recvs[i]) == UCS_INPROGRESS) {
                ucp_request_cancel(m_a->worker(), recvs[i]);
            }
        }
        for (unsigned i = 0; i < count; ++i) {
            ucs_status_t status = finish(recvs[i]);
            EXPECT_NE(UCS_ERR_TIMED_OUT, status) << "receive " << i;
            if (status == UCS_OK) {
                EXPECT_TRUE(got[i] == message(6, i, 2 * MB));
            }
        }
        finish_all(ep, errors, {});
    }
}
