/*
 * Puts and gets of lists (UCX 1.22 and 1.23): every byte, one completion, and
 * what a list may not be.
 */
#include "rma_test.h"

#include "common/counters.h"
#include "common/said.h"
#include "v2_probe.h"

using namespace uct_test;

class sgl_test : public rma_base, public ::testing::WithParamInterface<bool> {
protected:
    void SetUp() override
    {
        int has;

        rma_base::SetUp();
        if (IsSkipped()) {
            return;
        }
        m_max = v2_sgl_max(m_a->iface(), GetParam(), &has);
        EXPECT_EQ(m_max > 0, !!has);
        if (!has) {
            GTEST_SKIP() << "UCX, libefa or the device has none";
        }
        EXPECT_GE(m_max, 2u);
        EXPECT_LE(m_max, 32u);
    }

    struct piece {
        std::unique_ptr<region> here, there;
    };

    /* Pieces of different lengths, zero among them; from there to here for a get,
     * each byte known. */
    void make(unsigned count)
    {
        m_sgl       = v2_sgl_t();
        m_sgl.count = count;
        m_pieces.clear();
        for (unsigned i = 0; i < count; ++i) {
            size_t length = (i % 4 == 3) ? 0 : (1 + mix64(i) % 50000);
            piece p;

            p.here.reset(new region(m_dom, length + 1, i * 8));
            p.there.reset(new region(m_dom, length + 1, i * 24));
            source(p).fill(i);
            target(p).clear();
            remote to             = remote_of(*p.there);
            m_sgl.buffers[i]      = p.here->data();
            m_sgl.lengths[i]      = length;
            m_sgl.memhs[i]        = p.here->memh();
            m_sgl.remote_addrs[i] = to.addr;
            m_sgl.rkeys[i]        = to.key;
            m_pieces.push_back(std::move(p));
        }
    }

    region &source(piece &p) { return GetParam() ? *p.there : *p.here; }
    region &target(piece &p) { return GetParam() ? *p.here : *p.there; }

    void expect_bytes()
    {
        for (unsigned i = 0; i < m_sgl.count; ++i) {
            piece &p      = m_pieces[i];
            size_t length = m_sgl.lengths[i];

            EXPECT_EQ(0, memcmp(source(p).data(), target(p).data(), length))
                    << "piece " << i;
            EXPECT_EQ(0xee, target(p).data()[length]) << "beyond " << i;
            EXPECT_EQ("", p.here->red() + p.there->red());
        }
    }

    /* Until it is taken */
    ucs_status_t issue(flush_comp &done)
    {
        ucs_status_t status = UCS_ERR_NO_RESOURCE;

        wait([&]() {
            status = v2_sgl(m_end->ep(), GetParam(), &m_sgl, &done.comp);
            return status != UCS_ERR_NO_RESOURCE;
        });
        return status;
    }

    size_t             m_max;
    v2_sgl_t           m_sgl;
    std::vector<piece> m_pieces;
};

TEST_P(sgl_test, every_byte)
{
    for (unsigned round = 0; round < 3; ++round) {
        for (unsigned count = 1; count <= m_max; ++count) {
            flush_comp done;

            make(count);
            ASSERT_EQ(UCS_INPROGRESS, issue(done)) << count;
            EXPECT_TRUE(wait([&]() { return done.calls > 0; }));
            EXPECT_EQ(UCS_OK, done.status);
            flush(*m_end);
            EXPECT_EQ(1u, done.calls);
            expect_bytes();
        }
    }
    expect_promises();
}

/* The pieces of one list share a doorbell. */
TEST_P(sgl_test, one_doorbell)
{
    flush_comp first, done;

    make(m_max);
    ASSERT_EQ(UCS_INPROGRESS, issue(first)); /* and now they are acquainted */
    flush(*m_end);
    uint64_t doorbells = harness::counter("tx_doorbells");
    uint64_t before    = harness::counter(GetParam() ? "rdma_read_ops" :
                                                       "rdma_write_ops");
    ASSERT_EQ(UCS_INPROGRESS, issue(done));
    EXPECT_EQ(doorbells + 1, harness::counter("tx_doorbells"));
    EXPECT_EQ(before + m_max - m_max / 4,
              harness::counter(GetParam() ? "rdma_read_ops" :
                                            "rdma_write_ops"));
    flush(*m_end);
    EXPECT_EQ(1u, done.calls);
}

/* Blocks at a distance */
TEST_P(sgl_test, strides)
{
    const size_t length = 100, stride = 256;
    region here(m_dom, m_max * stride), there(m_dom, m_max * stride);
    remote to = remote_of(there);
    flush_comp done;

    here.fill(1);
    there.fill(2);
    std::vector<uint8_t> before(GetParam() ? here.data() : there.data(),
                                (GetParam() ? here.data() : there.data()) +
                                        m_max * stride);
    m_sgl                 = v2_sgl_t();
    m_sgl.count           = 1;
    m_sgl.buffers[0]      = here.data();
    m_sgl.lengths[0]      = length;
    m_sgl.memhs[0]        = here.memh();
    m_sgl.remote_addrs[0] = to.addr;
    m_sgl.rkeys[0]        = to.key;
    m_sgl.counts[0]       = m_max;
    m_sgl.strides[0]      = stride;
    m_sgl.has_strides     = 1;
    ASSERT_EQ(UCS_INPROGRESS, issue(done));
    flush(*m_end);
    EXPECT_EQ(1u, done.calls);
    uint8_t *from = GetParam() ? there.data() : here.data();
    uint8_t *into = GetParam() ? here.data() : there.data();
    for (size_t i = 0; i < m_max * stride; ++i) {
        ASSERT_EQ((i % stride < length) ? from[i] : before[i], into[i]) << i;
    }
}

/* Refused as a whole, with nothing done and no completion */
TEST_P(sgl_test, refused)
{
    flush_comp done;
    said lines;

    make(m_max);
    m_sgl.count          = m_max + 1;
    m_sgl.lengths[m_max] = m_sgl.lengths[0];
    m_sgl.rkeys[m_max]   = m_sgl.rkeys[0];
    m_sgl.has_strides    = 1;
    for (size_t i = 0; i < m_sgl.count; ++i) {
        m_sgl.counts[i] = 1 + m_max;
    }
    EXPECT_EQ(UCS_ERR_EXCEEDS_LIMIT,
              v2_sgl(m_end->ep(), GetParam(), &m_sgl, &done.comp));
    EXPECT_EQ("", lines.only({"blocks"}));

    make(m_max);
    region closed(m_dom, 100, 0,
                  UCT_MD_MEM_ACCESS_LOCAL_READ | UCT_MD_MEM_ACCESS_LOCAL_WRITE);
    m_sgl.count              = m_max;
    m_sgl.lengths[m_max - 1] = 100;
    m_sgl.rkeys[m_max - 1]   = remote_of(closed).key;
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              v2_sgl(m_end->ep(), GetParam(), &m_sgl, &done.comp));
    EXPECT_EQ("", lines.only({"without that right"}));

    make(1);
    m_sgl.lengths[0] = 0;
    EXPECT_EQ(UCS_OK, v2_sgl(m_end->ep(), GetParam(), &m_sgl, &done.comp));
    flush(*m_end);
    EXPECT_EQ(0u, done.calls);
    EXPECT_EQ(1, done.comp.count);
}

/* One piece fails: one completion, with its status; the endpoint lives. */
TEST_P(sgl_test, one_piece_fails)
{
    flush_comp done, again;
    said lines;

    make(m_max);
    for (size_t i = 0; i < m_max; ++i) {
        if (m_sgl.lengths[i] > 0) {
            m_sgl.remote_addrs[i] = 4096; /* nobody's memory */
            break;
        }
    }
    ASSERT_EQ(UCS_INPROGRESS, issue(done));
    EXPECT_TRUE(wait([&]() { return done.calls > 0; }));
    EXPECT_TRUE(UCS_STATUS_IS_ERR(done.status));
    flush(*m_end);
    EXPECT_EQ(1u, done.calls);
    make(m_max);
    ASSERT_EQ(UCS_INPROGRESS, issue(again));
    flush(*m_end);
    expect_bytes();
    EXPECT_TRUE(m_a->failures.empty());
}

/* A short send queue, half of which messages to others hold: lists wait for place
 * as pending requests, and it comes. */
TEST_P(sgl_test, few_slots)
{
    node &a = add_node({{"TX_QUEUE_LEN", "16"}});
    node &c = add_node();
    end &e = connect(a, *m_b), &other = connect(a, c);
    int has    = 0;
    size_t max = v2_sgl_max(a.iface(), GetParam(), &has);
    ASSERT_GE(max, 2u);

    struct request {
        uct_pending_req_t req; /* first */
        const v2_sgl_t   *sgl;
        uct_ep_h          ep;
        flush_comp        done;
        bool              is_get;
        unsigned          tries;
    };
    const unsigned num = 20;
    std::vector<request> all(num);
    unsigned queued = 0;

    c.on_am(3, [](void *, size_t, unsigned) { return UCS_OK; });
    make(max);
    flush_comp first;
    ASSERT_EQ(UCS_INPROGRESS, v2_sgl(e.ep(), GetParam(), &m_sgl, &first.comp));
    flush(e); /* and now they are acquainted */
    for (unsigned i = 0; i < 8; ++i) {
        ASSERT_EQ(UCS_OK,
                  other.send(BCOPY, 3, stream(1, length_plan::fixed(8)), i));
    }
    for (request &r : all) {
        r.sgl      = &m_sgl;
        r.ep       = e.ep();
        r.is_get   = GetParam();
        r.tries    = 0;
        r.req.func = [](uct_pending_req_t *self) {
            request *one        = reinterpret_cast<request *>(self);
            ucs_status_t status = v2_sgl(one->ep, one->is_get, one->sgl,
                                         &one->done.comp);
            ++one->tries;
            return (status == UCS_INPROGRESS) ? UCS_OK : status;
        };
        while (r.req.func(&r.req) == UCS_ERR_NO_RESOURCE) {
            if (uct_ep_pending_add(e.ep(), &r.req, 0) == UCS_OK) {
                ++queued;
                break;
            }
            /* It has place, it says: so the next try must succeed. */
            ASSERT_LT(r.tries, 100u) << "neither taken nor queued";
        }
    }
    EXPECT_GT(queued, 0u);
    EXPECT_TRUE(wait([&]() {
        unsigned done = 0;
        for (request &r : all) {
            done += r.done.calls;
        }
        return done == num;
    }));
    for (request &r : all) {
        EXPECT_EQ(1u, r.done.calls);
        EXPECT_EQ(UCS_OK, r.done.status);
    }
    expect_bytes();
}

/* Closed or cancelled with lists under way: each completion comes once. */
TEST_P(sgl_test, closed_under_way)
{
    for (unsigned way = 0; way < 2; ++way) {
        end e(*m_a, m_b->addr());
        flush_comp done[4];
        unsigned taken = 0;

        make(m_max);
        for (flush_comp &d : done) {
            taken += (v2_sgl(e.ep(), GetParam(), &m_sgl, &d.comp) ==
                      UCS_INPROGRESS);
        }
        if (way == 0) {
            flush_comp cancelled;
            ucs_status_t status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_CANCEL,
                                               &cancelled.comp);
            EXPECT_TRUE(wait([&]() {
                return (status == UCS_OK) || (cancelled.calls > 0);
            }));
        } else {
            e.destroy();
        }
        unsigned calls = 0;
        for (flush_comp &d : done) {
            EXPECT_LE(d.calls, 1u);
            calls += d.calls;
        }
        EXPECT_EQ(taken, calls);
        /* The device may still be at it: memory goes after the node's flush */
        EXPECT_TRUE(wait([&]() {
            return uct_iface_flush(m_a->iface(), 0, nullptr) == UCS_OK;
        }));
    }
}

INSTANTIATE_TEST_SUITE_P(ways, sgl_test, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) {
    return info.param ? "get" : "put";
});
