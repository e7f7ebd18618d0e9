/*
 * Tagged messages from 0 bytes to 64 MB: eager and rendezvous, expected and
 * unexpected, with UCP's old and new protocols, with and without error
 * handling.
 */
#include "ucp_test.h"

#include <tuple>

using namespace ucp_test;

static const size_t MB = 1 << 20;

typedef std::tuple<const char*, bool> tag_param; /* PROTO_ENABLE, err_peer */

class ucp_tag : public ucp_base,
                public ::testing::WithParamInterface<tag_param> {
protected:
    void SetUp() override
    {
        ucp_options options;

        /* Left alone, the new protocols find rendezvous never worth it. */
        options.config["RNDV_THRESH"]  = "65536";
        options.config["PROTO_ENABLE"] = std::get<0>(GetParam());
        options.err_peer               = std::get<1>(GetParam());
        m_a  = &add_side(options);
        m_b  = &add_side(options);
        m_ab = m_a->connect(m_b->address());
        m_ba = m_b->connect(m_a->address());
    }

    /* Lengths around every border there can be. */
    static std::vector<size_t> lengths()
    {
        std::vector<size_t> all;

        for (size_t border : {(size_t)0, (size_t)8, (size_t)24, (size_t)32,
                              (size_t)1024, (size_t)8192, (size_t)8880,
                              (size_t)8928, (size_t)16384, (size_t)65536,
                              MB}) {
            for (size_t length = (border < 9) ? 0 : border - 9;
                 length <= border + 9; ++length) {
                all.push_back(length);
            }
        }
        all.push_back(3 * MB + 1);
        all.push_back(16 * MB - 1);
        return all;
    }

    ucp_side *m_a;
    ucp_side *m_b;
    ucp_ep_h  m_ab;
    ucp_ep_h  m_ba;
};

TEST_P(ucp_tag, expected)
{
    uint64_t seq = 0;

    for (size_t length : lengths()) {
        ping_pong(*m_a, m_ab, *m_b, m_ba, seq++, length);
    }
}

TEST_P(ucp_tag, sixty_four_megabytes)
{
    ping_pong(*m_a, m_ab, *m_b, m_ba, 1, 64 * MB);
}

/* The message is there before anybody asks for it. */
TEST_P(ucp_tag, unexpected)
{
    for (bool sync : {false, true}) {
        if (sync && std::get<1>(GetParam())) {
            continue; /* not supported by UCP */
        }
        uint64_t seq = 100;
        for (size_t length : lengths()) {
            bytes data              = message(7, ++seq, length), got(length);
            ucs_status_ptr_t sent   = tag_send(m_ab, data, seq, sync);
            ucp_tag_message_h probe = nullptr;
            ucp_tag_recv_info_t info;

            EXPECT_TRUE(wait([&]() {
                probe = ucp_tag_probe_nb(m_b->worker(), seq, ~0ull, 1, &info);
                return probe != nullptr;
            }));
            ASSERT_TRUE(probe != nullptr);
            EXPECT_EQ(length, info.length);
            EXPECT_EQ(seq, info.sender_tag);
            ucp_request_param_t param;
            param.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
            EXPECT_EQ(UCS_OK,
                      finish(ucp_tag_msg_recv_nbx(m_b->worker(), got.data(),
                                                  length, probe, &param)));
            EXPECT_EQ(UCS_OK, finish(sent));
            EXPECT_TRUE(got == data) << "length " << length;
        }
    }
}

/* Messages of one tag match in the order they were sent, short and long
 * mixed, receives posted before, between and after. */
TEST_P(ucp_tag, one_tag_keeps_order)
{
    const uint64_t count = scaled(4000), ahead = 40;
    std::vector<bytes> sent(count), got(count);
    std::vector<ucs_status_ptr_t> sends(count), recvs(count);
    uint64_t posted = 0, finished = 0;

    auto length = [](uint64_t seq) -> size_t {
        uint64_t r = mix64(seq);
        return (r % 100 == 0) ? r % (2 * MB) :
               (r % 10 == 0)  ? r % 50000 :
                                r % 3000;
    };
    auto post_until = [&](uint64_t end) {
        for (; posted < std::min(end, count); ++posted) {
            got[posted].resize(length(posted));
            recvs[posted] = tag_recv(*m_b, got[posted], 77);
        }
    };

    for (uint64_t seq = 0; seq < count; ++seq) {
        sent[seq]  = message(4, seq, length(seq));
        sends[seq] = tag_send(m_ab, sent[seq], 77);
        if (mix64(seq) % 3 == 0) {
            progress();
        }
        /* Sometimes receives are ahead, sometimes behind. */
        post_until(((seq / 100) & 1) ? seq + ahead :
                                       seq - std::min(seq, ahead));
        for (; finished + 2 * ahead < posted; ++finished) {
            EXPECT_EQ(UCS_OK, finish(recvs[finished]));
            EXPECT_EQ(UCS_OK, finish(sends[finished]));
            ASSERT_TRUE(got[finished] == sent[finished]) << finished;
            bytes().swap(got[finished]);
            bytes().swap(sent[finished]);
        }
    }
    post_until(count);
    for (; finished < count; ++finished) {
        EXPECT_EQ(UCS_OK, finish(recvs[finished]));
        EXPECT_EQ(UCS_OK, finish(sends[finished]));
        ASSERT_TRUE(got[finished] == sent[finished]) << finished;
    }
}

/* Scattered memory on both sides. */
TEST_P(ucp_tag, iov)
{
    for (size_t part : {(size_t)1, (size_t)100, (size_t)3000, (size_t)100000}) {
        const size_t count = 5;
        bytes data         = message(9, part, part * count);
        bytes got(part * count);
        std::vector<ucp_dt_iov_t> from(count), to(count);
        ucp_request_param_t param;

        for (size_t i = 0; i < count; ++i) {
            from[i].buffer = data.data() + i * part;
            from[i].length = part;
            to[i].buffer   = got.data() + i * part;
            to[i].length   = part;
        }
        param.op_attr_mask    = UCP_OP_ATTR_FIELD_DATATYPE;
        param.datatype        = ucp_dt_make_iov();
        ucs_status_ptr_t send = ucp_tag_send_nbx(m_ab, from.data(), count, part,
                                                 &param);
        param.op_attr_mask |= UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
        ucs_status_ptr_t recv = ucp_tag_recv_nbx(m_b->worker(), to.data(),
                                                 count, part, ~0ull, &param);
        EXPECT_EQ(UCS_OK, finish(recv));
        EXPECT_EQ(UCS_OK, finish(send));
        EXPECT_TRUE(got == data) << "part " << part;
    }
}

/* A message longer than the buffer is reported and does no harm. */
TEST_P(ucp_tag, truncated)
{
    for (size_t length : {(size_t)100, (size_t)5000, MB}) {
        bytes data            = message(5, 1, length), small(length / 2);
        ucs_status_ptr_t recv = tag_recv(*m_b, small, 1);
        ucs_status_ptr_t send = tag_send(m_ab, data, 1);
        EXPECT_EQ(UCS_ERR_MESSAGE_TRUNCATED, finish(recv));
        finish(send);
        ping_pong(*m_a, m_ab, *m_b, m_ba, 2, length);
    }
}

/* A flush of the worker, the endpoint: afterwards everything that does not
 * wait for a receive has been sent. */
TEST_P(ucp_tag, flush)
{
    ucp_request_param_t param;
    param.op_attr_mask = 0;

    for (uint64_t round = 0; round < 50; ++round) {
        std::vector<bytes> data;
        std::vector<ucs_status_ptr_t> sends;
        for (uint64_t i = 0; i < 50; ++i) {
            data.push_back(message(1, i, 1000));
            sends.push_back(tag_send(m_ab, data.back(), 1000 + i));
        }
        EXPECT_EQ(UCS_OK,
                  finish((round & 1) ?
                                 ucp_ep_flush_nbx(m_ab, &param) :
                                 ucp_worker_flush_nbx(m_a->worker(), &param)));
        for (ucs_status_ptr_t send : sends) {
            EXPECT_NE(UCS_INPROGRESS, UCS_PTR_IS_PTR(send) ?
                                              ucp_request_check_status(send) :
                                              UCS_OK);
            finish(send);
        }
        for (uint64_t i = 0; i < 50; ++i) {
            bytes got(1000);
            EXPECT_EQ(UCS_OK, finish(tag_recv(*m_b, got, 1000 + i)));
            EXPECT_TRUE(got == data[i]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
        protocols, ucp_tag,
        ::testing::Combine(::testing::Values("n", "y"), ::testing::Bool()),
        [](const ::testing::TestParamInfo<tag_param> &info) {
            return std::string(std::get<0>(info.param)[0] == 'y' ? "proto_v2" :
                                                                   "proto_v1") +
                   (std::get<1>(info.param) ? "_err_peer" : "");
        });
