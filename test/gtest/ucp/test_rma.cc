/*
 * UCP's put, get and atomics, of every length, with UCP's old and new
 * protocols: over the device's one-sided operations where UCP uses them, over
 * active messages where it does not.
 */
#include "ucp_test.h"

#include "common/counters.h"

#include <tuple>

using namespace ucp_test;

static const size_t MB = 1 << 20;

/* Memory that a peer may touch, with bytes around it that nobody may. */
class ucp_memory {
public:
    ucp_memory(ucp_side &side, size_t length) :
        m_context(side.context()), m_bytes(length + 2 * RED, RED_BYTE),
        m_length(length)
    {
        ucp_mem_map_params_t params;

        memset(&params, 0, sizeof(params));
        params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                            UCP_MEM_MAP_PARAM_FIELD_LENGTH;
        params.address    = data();
        params.length     = length;
        check(ucp_mem_map(m_context, &params, &m_memh), "ucp_mem_map");
    }
    ~ucp_memory()
    {
        EXPECT_EQ(UCS_OK, ucp_mem_unmap(m_context, m_memh));
    }
    ucp_memory(const ucp_memory&)            = delete;
    ucp_memory &operator=(const ucp_memory&) = delete;

    uint8_t *data()        { return m_bytes.data() + RED; }
    uint64_t addr()        { return (uintptr_t)data(); }
    size_t   length() const { return m_length; }

    ucp_rkey_h rkey(ucp_ep_h ep)
    {
        void *buffer;
        size_t length;
        ucp_rkey_h rkey;

        check(ucp_rkey_pack(m_context, m_memh, &buffer, &length),
              "ucp_rkey_pack");
        ucs_status_t status = ucp_ep_rkey_unpack(ep, buffer, &rkey);
        ucp_rkey_buffer_release(buffer);
        check(status, "ucp_ep_rkey_unpack");
        return rkey;
    }

    bool is_red() const
    {
        return std::all_of(m_bytes.begin(), m_bytes.begin() + RED, is_red_byte)
               && std::all_of(m_bytes.end() - RED, m_bytes.end(), is_red_byte);
    }

private:
    static const size_t  RED      = 8192;
    enum : uint8_t { RED_BYTE = 0xa5 };

    static bool is_red_byte(uint8_t byte) { return byte == RED_BYTE; }

    ucp_context_h m_context;
    bytes         m_bytes;
    size_t        m_length;
    ucp_mem_h     m_memh = nullptr;
};

class ucp_rma : public ucp_base,
                public ::testing::WithParamInterface<const char*> {
protected:
    void SetUp() override
    {
        ucp_options options;

        options.features = UCP_FEATURE_RMA | UCP_FEATURE_AMO32 |
                           UCP_FEATURE_AMO64;
        options.config["PROTO_ENABLE"] = GetParam();
        m_a  = &add_side(options);
        m_b  = &add_side(options);
        m_ab = m_a->connect(m_b->address());
        m_ba = m_b->connect(m_a->address());
    }

    ucs_status_ptr_t put(const void *from, size_t length, uint64_t to,
                         ucp_rkey_h rkey)
    {
        ucp_request_param_t param;

        param.op_attr_mask = 0;
        return ucp_put_nbx(m_ab, from, length, to, rkey, &param);
    }

    ucs_status_ptr_t get(void *to, size_t length, uint64_t from,
                         ucp_rkey_h rkey)
    {
        ucp_request_param_t param;

        param.op_attr_mask = 0;
        return ucp_get_nbx(m_ab, to, length, from, rkey, &param);
    }

    void flush(ucp_ep_h ep)
    {
        ucp_request_param_t param;

        param.op_attr_mask = 0;
        EXPECT_EQ(UCS_OK, finish(ucp_ep_flush_nbx(ep, &param)));
    }

    ucp_side *m_a;
    ucp_side *m_b;
    ucp_ep_h  m_ab;
    ucp_ep_h  m_ba;
};

INSTANTIATE_TEST_SUITE_P(
        protocols, ucp_rma, ::testing::Values("n", "y"),
        [](const ::testing::TestParamInfo<const char*> &info) {
            return std::string(info.param[0] == 'y' ? "proto_v2" : "proto_v1");
        });

TEST_P(ucp_rma, lengths)
{
    if (!has_put_get(GetParam())) {
        GTEST_SKIP() << "UCX from 1.22 on has put and get in its new "
                        "protocols only";
    }

    ucp_memory target(*m_b, 8 * MB + 3);
    ucp_rkey_h rkey = target.rkey(m_ab);
    uint64_t seq    = 0;

    for (size_t length :
         std::vector<size_t>{0,     1,     7,     8,    9,         31,
                             32,    33,    63,    64,   191,       192,
                             193,   255,   256,   1000, 4095,      4096,
                             4097,  8880,  8927,  8928, 8929,      17857,
                             65535, 65536, 65537, MB,   8 * MB + 1}) {
        bytes data = message(1, ++seq, length), back(length + 2, 0x77);
        size_t at  = seq & 1;

        memset(target.data(), 0x11, length + 2);
        EXPECT_EQ(UCS_OK,
                  finish(put(data.data(), length, target.addr() + at, rkey)));
        flush(m_ab);
        EXPECT_EQ(0, memcmp(data.data(), target.data() + at, length))
                << "put of " << length;
        EXPECT_EQ(0x11, target.data()[at + length]);
        EXPECT_TRUE((at == 0) || (target.data()[0] == 0x11));

        data = message(2, seq, length);
        memcpy(target.data() + at, data.data(), length);
        EXPECT_EQ(UCS_OK, finish(get(back.data() + 1, length,
                                     target.addr() + at, rkey)));
        EXPECT_EQ(0, memcmp(data.data(), back.data() + 1, length))
                << "get of " << length;
        EXPECT_EQ(0x77, back[0]);
        EXPECT_EQ(0x77, back[length + 1]);
    }
    EXPECT_TRUE(target.is_red());
    ucp_rkey_destroy(rkey);
}

/* Many at a time, a slice each; a flush ends them all. */
TEST_P(ucp_rma, many)
{
    if (!has_put_get(GetParam())) {
        GTEST_SKIP() << "UCX from 1.22 on has put and get in its new "
                        "protocols only";
    }

    const unsigned slices = 64;
    const size_t slice    = 40000;
    ucp_memory target(*m_b, slices * slice);
    ucp_rkey_h rkey = target.rkey(m_ab);

    auto length = [&](uint64_t seq) -> size_t {
        uint64_t r = mix64(seq);
        return 1 + ((r % 4 == 0) ? r % slice : r % 300);
    };
    for (uint64_t round = 0; round < scaled(60); ++round) {
        std::vector<bytes> data, back(slices);
        std::vector<ucs_status_ptr_t> requests;

        for (unsigned i = 0; i < slices; ++i) {
            uint64_t seq = round * slices + i;
            data.push_back(message(3, seq, length(seq)));
            requests.push_back(put(data[i].data(), data[i].size(),
                                   target.addr() + i * slice, rkey));
        }
        flush(m_ab);
        for (unsigned i = 0; i < slices; ++i) {
            EXPECT_EQ(UCS_OK, finish(requests[i]));
            EXPECT_EQ(0, memcmp(data[i].data(), target.data() + i * slice,
                                data[i].size()));
        }
        requests.clear();
        for (unsigned i = 0; i < slices; ++i) {
            back[i].resize(data[i].size());
            requests.push_back(get(back[i].data(), back[i].size(),
                                   target.addr() + i * slice, rkey));
        }
        for (unsigned i = 0; i < slices; ++i) {
            EXPECT_EQ(UCS_OK, finish(requests[i]));
            EXPECT_TRUE(back[i] == data[i]);
        }
    }
    EXPECT_TRUE(target.is_red());
    ucp_rkey_destroy(rkey);
}

/* Data, fence, flag: who sees the flag sees the data. */
TEST_P(ucp_rma, fence)
{
    if (!has_put_get(GetParam())) {
        GTEST_SKIP() << "UCX from 1.22 on has put and get in its new "
                        "protocols only";
    }

    ucp_memory target(*m_b, 20000);
    ucp_rkey_h rkey         = target.rkey(m_ab);
    volatile uint64_t *flag = (volatile uint64_t *)target.data();
    uint8_t *place          = target.data() + 64;

    /* Some versions of UCP wait within the call, 1.16 in its new protocols only:
     * then the target has to be known already, for it makes no progress
     * meanwhile. */
    *flag = 0;
    EXPECT_EQ(UCS_OK,
              finish(put((const void *)place, 8, target.addr() + 64, rkey)));
    flush(m_ab);
    if ((harness::counter("rdma_write_ops") == 0) &&
        is_ucx((GetParam()[0] == 'y') ? 16 : 17)) {
        ucp_rkey_destroy(rkey);
        GTEST_SKIP() << "this UCX waits within ucp_worker_fence() for puts "
                        "that the target, in this thread, would have to "
                        "answer";
    }

    for (uint64_t seq = 1; seq <= scaled(1000); ++seq) {
        bytes data = message(4, seq, 1 + mix64(seq) % 12000);
        std::vector<ucs_status_ptr_t> requests;

        memset(place, 0, data.size());
        requests.push_back(put(data.data(), data.size(), target.addr() + 64,
                               rkey));
        ASSERT_EQ(UCS_OK, ucp_worker_fence(m_a->worker()));
        requests.push_back(put(&seq, 8, target.addr(), rkey));
        ASSERT_TRUE(wait_until(
                [&]() {
            bool seen = *flag == seq;
            if (seen) {
                EXPECT_EQ(0, memcmp(place, data.data(), data.size()))
                        << "seen too early";
            }
            return seen;
                },
                [&]() {
            if (*flag != seq) {
                m_a->progress();
            }
            if (*flag != seq) {
                m_b->progress();
            }
        }));
        for (ucs_status_ptr_t request : requests) {
            EXPECT_EQ(UCS_OK, finish(request));
        }
        flush(m_ab);
    }
    EXPECT_TRUE(target.is_red());
    ucp_rkey_destroy(rkey);
}

/* ---- atomics ---- */

template <typename T>
static T apply(ucp_atomic_op_t op, T old, T operand, T swap)
{
    switch (op) {
    case UCP_ATOMIC_OP_ADD:
        return old + operand;
    case UCP_ATOMIC_OP_SWAP:
        return operand;
    case UCP_ATOMIC_OP_CSWAP:
        return (old == operand) ? swap : old;
    case UCP_ATOMIC_OP_AND:
        return old & operand;
    case UCP_ATOMIC_OP_OR:
        return old | operand;
    default:
        return old ^ operand;
    }
}

class ucp_amo : public ucp_rma {
protected:
    /* Without a reply: posted, and flushed. */
    template <typename T>
    void one(ucp_atomic_op_t op, uint64_t addr, T *word, ucp_rkey_h rkey,
             T operand, T swap, bool reply)
    {
        ucp_request_param_t param;
        T old = *word, got = reply ? ~old : 0;
        /* CSWAP's reply buffer holds what to swap in */
        T result = (op == UCP_ATOMIC_OP_CSWAP) ? swap : got;

        param.op_attr_mask = UCP_OP_ATTR_FIELD_DATATYPE;
        param.datatype     = ucp_dt_make_contig(sizeof(T));
        if (reply) {
            param.op_attr_mask |= UCP_OP_ATTR_FIELD_REPLY_BUFFER;
            param.reply_buffer  = &result;
        }
        ASSERT_EQ(UCS_OK, finish(ucp_atomic_op_nbx(m_ab, op, &operand, 1, addr,
                                                   rkey, &param)))
                << "operation " << op;
        flush(m_ab);
        EXPECT_EQ(apply(op, old, operand, swap), *word) << "operation " << op;
        if (reply) {
            EXPECT_EQ(old, result) << "operation " << op;
        }
    }

    template <typename T> void all()
    {
        ucp_memory target(*m_b, 64);
        ucp_rkey_h rkey = target.rkey(m_ab);
        T *word         = (T*)(target.data() + 8);

        *word = 5;
        for (uint64_t round = 0; round < scaled(100); ++round) {
            for (int op = 0; op < UCP_ATOMIC_OP_LAST; ++op) {
                bool fetches = (op == UCP_ATOMIC_OP_SWAP) ||
                               (op == UCP_ATOMIC_OP_CSWAP);
                for (bool reply : {true, false}) {
                    T operand = mix64(2 * (round * 10 + op) + reply);
                    if ((op == UCP_ATOMIC_OP_CSWAP) && (round & 1)) {
                        operand = *word; /* so that it swaps */
                    }
                    if (fetches && !reply) {
                        continue;
                    }
                    one<T>((ucp_atomic_op_t)op, target.addr() + 8, word, rkey,
                           operand, (T)mix64(round), reply);
                }
            }
        }
        EXPECT_TRUE(target.is_red());
        ucp_rkey_destroy(rkey);
    }
};

INSTANTIATE_TEST_SUITE_P(
        protocols, ucp_amo, ::testing::Values("n", "y"),
        [](const ::testing::TestParamInfo<const char*> &info) {
            return std::string(info.param[0] == 'y' ? "proto_v2" : "proto_v1");
        });

TEST_P(ucp_amo, of_32_bits)
{
    all<uint32_t>();
}

TEST_P(ucp_amo, of_64_bits)
{
    all<uint64_t>();
}

/* Several workers add to and swap into one word: nothing is lost, each value
 * is fetched once. */
TEST_P(ucp_amo, contended)
{
    const uint64_t count = scaled(300);
    ucp_memory target(*m_b, 64);
    std::vector<ucp_ep_h> eps{m_ab};
    std::vector<ucp_rkey_h> rkeys{target.rkey(m_ab)};
    std::vector<unsigned> seen;
    ucp_options options;

    options.features               = UCP_FEATURE_RMA | UCP_FEATURE_AMO64;
    options.config["PROTO_ENABLE"] = GetParam();
    for (unsigned i = 0; i < 3; ++i) {
        eps.push_back(add_side(options).connect(m_b->address()));
        rkeys.push_back(target.rkey(eps.back()));
    }
    memset(target.data(), 0, 8);
    seen.resize(eps.size() * count);
    for (uint64_t i = 0; i < count; ++i) {
        std::vector<ucs_status_ptr_t> requests;
        std::vector<uint64_t> got(eps.size(), ~0ull);
        static const uint64_t one = 1;
        for (size_t k = 0; k < eps.size(); ++k) {
            ucp_request_param_t param;
            param.op_attr_mask = UCP_OP_ATTR_FIELD_DATATYPE |
                                 UCP_OP_ATTR_FIELD_REPLY_BUFFER;
            param.datatype     = ucp_dt_make_contig(8);
            param.reply_buffer = &got[k];
            requests.push_back(ucp_atomic_op_nbx(eps[k], UCP_ATOMIC_OP_ADD,
                                                 &one, 1, target.addr(),
                                                 rkeys[k], &param));
        }
        for (size_t k = 0; k < eps.size(); ++k) {
            ASSERT_EQ(UCS_OK, finish(requests[k]));
            ASSERT_LT(got[k], seen.size());
            EXPECT_EQ(1u, ++seen[got[k]]);
        }
    }
    EXPECT_EQ(seen.size(), *(uint64_t *)target.data());
    for (ucp_rkey_h rkey : rkeys) {
        ucp_rkey_destroy(rkey);
    }
}
