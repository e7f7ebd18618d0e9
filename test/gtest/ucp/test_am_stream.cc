/*
 * UCP active messages, streams and (emulated) one-sided operations.
 */
#include "ucp_test.h"

using namespace ucp_test;

static const size_t MB = 1 << 20;

class ucp_am : public ucp_base,
               public ::testing::WithParamInterface<const char*> {
protected:
    void SetUp() override
    {
        ucp_options options;

        options.features               = UCP_FEATURE_AM | UCP_FEATURE_STREAM |
                                         UCP_FEATURE_RMA | UCP_FEATURE_AMO64;
        /* Left alone, the new protocols find rendezvous never worth it. */
        options.config["RNDV_THRESH"]  = "65536";
        options.config["PROTO_ENABLE"] = GetParam();
        m_a  = &add_side(options);
        m_b  = &add_side(options);
        m_ab = m_a->connect(m_b->address());
        m_ba = m_b->connect(m_a->address());
    }

    /* Lengths of header and data follow from the number. */
    static size_t header_length(uint64_t seq)
    {
        return mix64(seq) % 200;
    }

    static size_t data_length(uint64_t seq)
    {
        uint64_t r = mix64(seq + 1000);
        return (seq == 0)     ? 64 * MB :
               (r % 50 == 0)  ? r % (4 * MB) :
               (r % 8 == 0)   ? r % 100000 : r % 4000;
    }

    struct arrival {
        bytes            data;
        ucs_status_ptr_t request;
        uint64_t         seq;
    };

    static ucs_status_t arrived(void *arg, const void *header,
                                size_t header_len, void *data, size_t length,
                                const ucp_am_recv_param_t *param)
    {
        ucp_am *self  = static_cast<ucp_am*>(arg);
        uint64_t seq  = 0;

        /* The number travels in front of the header: rendezvous messages may
         * be announced out of the order of eager ones. */
        if (header_len < 8) {
            ++self->m_errors;
            return UCS_OK;
        }
        memcpy(&seq, header, 8);
        bytes expected = message(1, seq, header_length(seq));
        if ((seq >= self->m_count) || self->m_seen[seq]++ ||
            (header_len != 8 + expected.size()) ||
            (memcmp((char*)header + 8, expected.data(),
                    expected.size()) != 0) ||
            (length != data_length(seq))) {
            ++self->m_errors;
            return UCS_OK;
        }
        if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) {
            ucp_request_param_t rparam;
            std::unique_ptr<arrival> a(new arrival());
            rparam.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
            a->data.resize(length);
            a->seq     = seq;
            a->request = ucp_am_recv_data_nbx(self->m_b->worker(), data,
                                              a->data.data(), length, &rparam);
            self->m_rndv.push_back(std::move(a));
            ++self->m_num_rndv;
            return UCS_INPROGRESS;
        }
        bytes body = message(2, seq, length);
        self->m_errors += (memcmp(body.data(), data, length) != 0);
        ++self->m_arrived;
        if ((param->recv_attr & UCP_AM_RECV_ATTR_FLAG_DATA) && (seq % 3 == 0)) {
            self->m_kept.push_back(data);
            return UCS_INPROGRESS;
        }
        return UCS_OK;
    }

    void handle_rndv()
    {
        for (size_t i = 0; i < m_rndv.size();) {
            arrival &a          = *m_rndv[i];
            ucs_status_t status = ucp_request_check_status(a.request);
            if (status == UCS_INPROGRESS) {
                ++i;
                continue;
            }
            m_errors += (status != UCS_OK) ||
                        (a.data != message(2, a.seq, a.data.size()));
            ucp_request_free(a.request);
            ++m_arrived;
            m_rndv[i].swap(m_rndv.back());
            m_rndv.pop_back();
        }
    }

    ucp_side *m_a;
    ucp_side *m_b;
    ucp_ep_h  m_ab;
    ucp_ep_h  m_ba;
    uint64_t  m_count = 0, m_arrived = 0, m_errors = 0, m_num_rndv = 0;
    std::vector<unsigned> m_seen;
    std::vector<std::unique_ptr<arrival>> m_rndv;
    std::vector<void*> m_kept;
};

TEST_P(ucp_am, eager_and_rendezvous)
{
    ucp_am_handler_param_t handler;
    std::vector<std::pair<bytes, bytes>> held;
    std::vector<ucs_status_ptr_t> sends;

    m_count = scaled(3000);
    m_seen.assign(m_count, 0);
    handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                         UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                         UCP_AM_HANDLER_PARAM_FIELD_CB |
                         UCP_AM_HANDLER_PARAM_FIELD_ARG;
    handler.id    = 3;
    handler.flags = UCP_AM_FLAG_WHOLE_MSG;
    handler.cb    = arrived;
    handler.arg   = this;
    ASSERT_EQ(UCS_OK, ucp_worker_set_am_recv_handler(m_b->worker(), &handler));

    for (uint64_t seq = 0; seq < m_count; ++seq) {
        ucp_request_param_t param;
        bytes header(8), rest = message(1, seq, header_length(seq));

        memcpy(header.data(), &seq, 8);
        header.insert(header.end(), rest.begin(), rest.end());
        held.emplace_back(header, message(2, seq, data_length(seq)));
        param.op_attr_mask = 0;
        sends.push_back(ucp_am_send_nbx(m_ab, 3, held.back().first.data(),
                                        held.back().first.size(),
                                        held.back().second.data(),
                                        held.back().second.size(), &param));
        if (held.size() == 32) {
            for (ucs_status_ptr_t send : sends) {
                wait([&]() {
                    handle_rndv();
                    return !UCS_PTR_IS_PTR(send) ||
                           (ucp_request_check_status(send) != UCS_INPROGRESS);
                });
                EXPECT_EQ(UCS_OK, finish(send));
            }
            held.clear();
            sends.clear();
        }
    }
    EXPECT_TRUE(wait([&]() {
        handle_rndv();
        return m_arrived >= m_count;
    }));
    for (ucs_status_ptr_t send : sends) {
        EXPECT_EQ(UCS_OK, finish(send));
    }
    for (void *data : m_kept) {
        ucp_am_data_release(m_b->worker(), data);
    }
    EXPECT_EQ(m_count, m_arrived);
    EXPECT_EQ(0u, m_errors);
    EXPECT_GT(m_num_rndv, 0u);
}

/* A stream is a sequence of bytes: chunks of one size go in, of another come
 * out. Byte number i is known from i. */
TEST_P(ucp_am, stream)
{
    const size_t total = scaled(48 * MB);
    bytes all          = message(6, 1, total);
    size_t sent = 0, received = 0, round = 0;
    ucp_request_param_t param;

    while (received < total) {
        std::vector<ucs_status_ptr_t> sends;
        for (unsigned i = 0; (i < 8) && (sent < total); ++i) {
            uint64_t r         = mix64(++round);
            size_t n           = (r % 20 == 0) ? r % (2 * MB) : r % 20000;
            n                  = std::min(n + 1, total - sent);
            param.op_attr_mask = 0;
            sends.push_back(ucp_stream_send_nbx(m_ab, &all[sent], n, &param));
            sent += n;
        }
        while (received < sent) {
            uint64_t r = mix64(++round);
            bytes part(1 + ((r % 20 == 0) ? r % (3 * MB) : r % 30000));
            size_t length         = 0;
            param.op_attr_mask    = 0;
            ucs_status_ptr_t recv = ucp_stream_recv_nbx(m_b->worker() ? m_ba :
                                                                        nullptr,
                                                        part.data(),
                                                        part.size(), &length,
                                                        &param);
            if (UCS_PTR_IS_PTR(recv)) {
                EXPECT_TRUE(wait([&]() {
                    return ucp_stream_recv_request_test(recv, &length) !=
                           UCS_INPROGRESS;
                }));
                ASSERT_EQ(UCS_OK, ucp_request_check_status(recv));
                ucp_request_free(recv);
            } else {
                ASSERT_FALSE(UCS_PTR_IS_ERR(recv));
            }
            ASSERT_LE(received + length, sent);
            ASSERT_EQ(0, memcmp(part.data(), &all[received], length))
                    << "between byte " << received << " and "
                    << received + length;
            received += length;
        }
        for (ucs_status_ptr_t send : sends) {
            EXPECT_EQ(UCS_OK, finish(send));
        }
    }
    EXPECT_EQ(total, received);
}

/* Put, get and atomics work over active messages alone, where UCX has them. */
TEST_P(ucp_am, emulated_rma)
{
    const size_t length = 300000;
    bytes target(length, 0), source = message(3, 1, length);
    ucp_mem_map_params_t params;
    ucp_mem_h memh;
    void *rkey_buffer;
    size_t rkey_length;
    ucp_rkey_h rkey;
    ucp_request_param_t param;

    memset(&params, 0, sizeof(params));
    params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                        UCP_MEM_MAP_PARAM_FIELD_LENGTH;
    params.address = target.data();
    params.length  = length;
    ASSERT_EQ(UCS_OK, ucp_mem_map(m_b->context(), &params, &memh));
    ASSERT_EQ(UCS_OK,
              ucp_rkey_pack(m_b->context(), memh, &rkey_buffer, &rkey_length));
    ASSERT_EQ(UCS_OK, ucp_ep_rkey_unpack(m_ab, rkey_buffer, &rkey));
    ucp_rkey_buffer_release(rkey_buffer);

    param.op_attr_mask = 0;
    for (size_t n :
         {(size_t)1, (size_t)8, (size_t)1000, (size_t)9000, length}) {
        if (!has_put_get(GetParam())) {
            break;
        }
        std::fill(target.begin(), target.end(), 0);
        EXPECT_EQ(UCS_OK,
                  finish(ucp_put_nbx(m_ab, source.data(), n,
                                     (uintptr_t)target.data(), rkey, &param)));
        EXPECT_EQ(UCS_OK, finish(ucp_ep_flush_nbx(m_ab, &param)));
        EXPECT_EQ(0, memcmp(source.data(), target.data(), n));
        EXPECT_TRUE((n == length) || (target[n] == 0));
        bytes back(n);
        EXPECT_EQ(UCS_OK,
                  finish(ucp_get_nbx(m_ab, back.data(), n,
                                     (uintptr_t)target.data(), rkey, &param)));
        EXPECT_EQ(0, memcmp(source.data(), back.data(), n));
    }

    uint64_t *counter = (uint64_t *)target.data();
    *counter          = 0;
    for (uint64_t i = 0; i < 1000; ++i) {
        uint64_t one = 1, old = ~0ull;
        param.op_attr_mask = UCP_OP_ATTR_FIELD_DATATYPE |
                             UCP_OP_ATTR_FIELD_REPLY_BUFFER;
        param.datatype     = ucp_dt_make_contig(8);
        param.reply_buffer = &old;
        EXPECT_EQ(UCS_OK,
                  finish(ucp_atomic_op_nbx(m_ab, UCP_ATOMIC_OP_ADD, &one, 1,
                                           (uintptr_t)counter, rkey, &param)));
        EXPECT_EQ(i, old);
    }
    EXPECT_EQ(1000u, *counter);

    ucp_rkey_destroy(rkey);
    EXPECT_EQ(UCS_OK, ucp_mem_unmap(m_b->context(), memh));
}

INSTANTIATE_TEST_SUITE_P(
        protocols, ucp_am, ::testing::Values("n", "y"),
        [](const ::testing::TestParamInfo<const char*> &info) {
            return std::string(info.param[0] == 'y' ? "proto_v2" : "proto_v1");
        });
