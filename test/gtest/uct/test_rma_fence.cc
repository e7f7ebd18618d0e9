/*
 * Fence: what is issued after it takes effect after what was issued before.
 *
 * Each test issues a pair over and over, among others that have nothing to do
 * with it, and looks after each step of anybody whether the second has taken
 * effect without the first:
 *
 *   put, FENCE, put       the flag is there, the data is not
 *   put, FENCE, get       the get brings old data
 *   put, FENCE, message   the message has come, the data has not
 *   get, FENCE, put       the get brings what the put wrote
 *   get, FENCE, get       of a word that counts up: the second brings less
 *   get, FENCE, message   whose receiver changes the data: the get brings that
 *   message, FENCE, put   the data is there, the message is not in the queue
 *   message, FENCE, get   the get is complete, the message is not in the queue
 *
 * On a device that keeps the order all of them hold without any fence. The
 * suite also runs on one that does not, and there `needed` makes sure that a
 * fence which does nothing would be seen.
 */
#include "rma_test.h"

using namespace uct_test;

static const uint8_t AM_ID = 11, NOISE_ID = 12;

enum step_kind { PUT, GET, AM };

enum fence_kind { EP_FENCE, IFACE_FENCE, NO_FENCE };

struct fence_param {
    step_kind   first, second;
    const char *name;
};

static const fence_param all_pairs[] = {
    {PUT, PUT, "put_put"}, {PUT, GET, "put_get"}, {PUT, AM, "put_am"},
    {GET, PUT, "get_put"}, {GET, GET, "get_get"}, {GET, AM, "get_am"},
    {AM, PUT, "am_put"},   {AM, GET, "am_get"}
};

static void PrintTo(const fence_param &p, std::ostream *out)
{
    *out << p.name;
}

class fence_test : public rma_base,
                   public ::testing::WithParamInterface<fence_param> {
protected:
    enum { MAX = 3000, DATA = 0, FLAG = 4096, NOISE = 8192 };
    static const uint64_t OLD = 1 << 22, CHANGED = 2 << 22;

    void SetUp() override
    {
        rma_base::SetUp();
        if (IsSkipped()) {
            return;
        }
        for (step_kind kind : {GetParam().first, GetParam().second}) {
            if (((kind == PUT) && !has(PUT_ZCOPY)) ||
                ((kind == GET) && !has(GET_ZCOPY))) {
                GTEST_SKIP() << "the device has no such operation";
            }
        }
        /* A device of its own, where there are two: within one that is open,
         * whoever polls lets it go on with what everybody has sent. */
        m_dom_b = std::make_shared<domain>(config_map(),
                                           m_dom->devices().back());
        m_nodes.emplace_back(new node(m_dom_b));
        m_b   = m_nodes.back().get();
        m_end = &connect(*m_a, *m_b);
        m_target.reset(new region(m_dom_b, 4 * 4096));
        m_pool.reset(new rma_pool(m_dom, 64, MAX));
        m_to = remote_of(*m_target);
        m_b->on_am(NOISE_ID, [](void*, size_t, unsigned) { return UCS_OK; });
        m_b->on_am(AM_ID, [this](void *data, size_t, unsigned) {
            arrived(data);
            return UCS_OK;
        });
    }

    void arrived(void *data)
    {
        uint64_t seq;

        memcpy(&seq, data, sizeof(seq));
        EXPECT_EQ(m_seq, seq);
        m_came = true;
        if (GetParam().first == PUT) {
            m_turned_now |= !has_data();
        } else if (GetParam().first == GET) {
            rma_fill(m_target->data() + DATA, m_length, m_seq + CHANGED);
        }
    }

    bool has_data() const
    {
        return rma_verify(m_target->data() + DATA, m_length, m_seq).empty();
    }

    bool has_flag() const
    {
        return rma_verify(m_target->data() + FLAG, 8, m_seq).empty();
    }

    static uint64_t word(const uint8_t *at)
    {
        uint64_t value;

        memcpy(&value, at, sizeof(value));
        return value;
    }

    /* The receiver alone must be able to find the message. */
    bool is_queued()
    {
        for (unsigned i = 0; (i < 100) && !m_came; ++i) {
            m_b->progress();
        }
        return m_came;
    }

    void look()
    {
        step_kind first = GetParam().first, second = GetParam().second;

        if ((first == GET) && (second == GET)) {
            ++m_counter;
            memcpy(m_target->data() + DATA, &m_counter, sizeof(m_counter));
        }
        if (second == PUT) {
            if ((first == PUT) && has_flag()) {
                m_turned_now |= !has_data();
            } else if ((first == AM) && !m_came && has_data()) {
                m_turned_now |= !is_queued();
            }
        } else if ((second == GET) && (first == AM) && !m_came &&
                   (m_second != nullptr) &&
                   (m_second->state == rma_op::DONE)) {
            m_turned_now |= !is_queued();
        }
    }

    void step()
    {
        m_a->progress();
        look();
        m_b->progress();
        look();
    }

    /* Until the transport takes it, with a look after each step. */
    void insist(const std::function<ucs_status_t()> &what)
    {
        ucs_status_t status = UCS_ERR_NO_RESOURCE;

        if (!wait_until([&]() {
                status = what();
                look();
                return status != UCS_ERR_NO_RESOURCE;
            }, [this]() { step(); })) {
            throw std::runtime_error("no resource for ever");
        }
        check(status, "issue");
    }

    rma_op *rma(rma_kind kind, size_t length, uint64_t seed, size_t at)
    {
        rma_op *op = m_pool->get();

        insist([&]() {
            return op->issue(m_end->ep(), kind, length, seed, m_to.at(at));
        });
        m_ops.push_back(op);
        return op;
    }

    void put(size_t length, size_t at)
    {
        static const rma_kind all[] = {PUT_SHORT, PUT_BCOPY, PUT_ZCOPY};
        rma_kind kind               = all[random() % 3];

        rma((has(kind) && (length <= rma_max(m_a->attr(), kind))) ?
            kind : PUT_ZCOPY, length, m_seq, at);
    }

    rma_op *get(size_t length, uint64_t seed, size_t at)
    {
        return rma((random() & 1) ? GET_ZCOPY : GET_BCOPY, length, seed, at);
    }

    void am(uint8_t id)
    {
        insist([&]() {
            return uct_ep_am_short(m_end->ep(), id, m_seq, nullptr, 0);
        });
    }

    /* Has nothing to do with the pair. */
    void noise()
    {
        for (unsigned i = random() % 4; i > 0; --i) {
            if (random() % 3 == 0) {
                am(NOISE_ID);
            } else if (has(GET_ZCOPY)) {
                rma(GET_ZCOPY, 1 + random() % 100, 0, NOISE);
            }
        }
    }

    void issue_first()
    {
        switch (GetParam().first) {
        case PUT:
            put(m_length, DATA);
            break;
        case GET:
            if (GetParam().second == GET) {
                m_first = get(8, 0, DATA);
            } else {
                rma_fill(m_target->data() + DATA, m_length, m_seq + OLD);
                m_first = get(m_length, m_seq + OLD, DATA);
            }
            break;
        default:
            am(AM_ID);
        }
    }

    void issue_second()
    {
        switch (GetParam().second) {
        case PUT:
            if (GetParam().first == PUT) {
                put(8, FLAG);
            } else {
                put(m_length, DATA);
            }
            break;
        case GET:
            m_second = (GetParam().first == GET) ? get(8, 0, DATA) :
                       get(m_length, m_seq, DATA);
            break;
        default:
            am(AM_ID);
        }
    }

    /* One pair; whether it was seen the wrong way round. */
    bool one(fence_kind kind)
    {
        const bool with_am = (GetParam().first == AM) ||
                             (GetParam().second == AM);

        ++m_seq;
        m_length     = (random() & 1) ? 8 + random() % 184 :
                                        8 + random() % (MAX - 8);
        m_first      = m_second = nullptr;
        m_came       = m_turned_now = false;
        memset(m_target->data() + DATA, 0xee, MAX);
        memset(m_target->data() + FLAG, 0xee, 8);
        look(); /* sets the word that counts */
        noise();
        issue_first();
        noise();
        if (kind != NO_FENCE) {
            EXPECT_EQ(UCS_OK, (kind == EP_FENCE) ?
                              uct_ep_fence(m_end->ep(), 0) :
                              uct_iface_fence(m_a->iface(), 0));
        }
        issue_second();
        noise();
        if (!wait_until([&]() {
                return (m_came || !with_am) &&
                       (uct_ep_flush(m_end->ep(), 0, nullptr) == UCS_OK);
            }, [this]() { step(); })) {
            throw std::runtime_error("a pair does not end");
        }
        for (rma_op *op : m_ops) {
            EXPECT_EQ(rma_op::DONE, op->state);
            EXPECT_EQ(UCS_OK, op->status);
            m_pool->put(op);
        }
        m_ops.clear();
        if ((GetParam().first == GET) && (GetParam().second == GET)) {
            return word(m_second->local) < word(m_first->local);
        } else if (GetParam().first == GET) {
            return !m_first->verify().empty();
        } else if ((GetParam().first == PUT) && (GetParam().second == GET)) {
            return !m_second->verify().empty();
        }
        return m_turned_now;
    }

    uint64_t random()
    {
        return mix64(++m_random);
    }

    uint64_t run_pairs(fence_kind kind)
    {
        uint64_t turned = 0;

        for (uint64_t i = 0; i < scaled(1500); ++i) {
            turned += one(kind);
        }
        EXPECT_EQ("", m_target->red());
        EXPECT_EQ("", m_pool->complaints());
        expect_promises();
        return turned;
    }

    std::shared_ptr<domain>   m_dom_b;
    std::unique_ptr<region>   m_target;
    std::unique_ptr<rma_pool> m_pool;
    remote                    m_to;
    std::vector<rma_op*>      m_ops;
    rma_op                   *m_first = nullptr, *m_second = nullptr;
    size_t                    m_length  = 0;
    uint64_t                  m_seq     = 0, m_random = 0, m_counter = 0;
    bool                      m_came = false, m_turned_now = false;
};

INSTANTIATE_TEST_SUITE_P(
        pair, fence_test, ::testing::ValuesIn(all_pairs),
        [](const ::testing::TestParamInfo<fence_param> &info) {
            return std::string(info.param.name);
        });

TEST_P(fence_test, endpoint)
{
    EXPECT_EQ(0u, run_pairs(EP_FENCE));
}

TEST_P(fence_test, iface)
{
    EXPECT_EQ(0u, run_pairs(IFACE_FENCE));
}

/* The other tests prove something only where this one sees the disorder. */
TEST_P(fence_test, needed)
{
    if (env_u64("SOFTEFA_REORDER", 0) == 0) {
        GTEST_SKIP() << "this device keeps the order";
    }
    if ((GetParam().first == AM) && (m_dom->devices().size() < 2)) {
        GTEST_SKIP() << "of one device";
    }
    EXPECT_GT(run_pairs(NO_FENCE), 0u);
}

/* ---- what a fence must not do ---- */

class fence_progress : public rma_base {
protected:
    void SetUp() override
    {
        rma_base::SetUp();
        if (IsSkipped()) {
            return;
        }
        m_target.reset(new region(m_dom, 64 * 1024));
        m_pool.reset(new rma_pool(m_dom, 512, 1000));
        m_to = remote_of(*m_target);
        m_b->check_am(AM_ID, &m_chk);
    }

    /* Messages and operations, a fence after each. */
    void run_fenced(end &e, uint64_t count)
    {
        std::vector<rma_kind> all = kinds();
        uint64_t issued = 0;

        EXPECT_TRUE(wait([&]() {
            for (rma_op &op : m_pool->ops()) {
                if (op.state == rma_op::DONE) {
                    EXPECT_EQ(UCS_OK, op.status);
                    m_pool->put(&op);
                }
            }
            while (issued < count) {
                ucs_status_t status;
                if (mix64(issued) & 1) {
                    status = e.send(BCOPY, AM_ID, m_stream, m_sent);
                    m_sent += (status == UCS_OK);
                } else {
                    rma_op *op = m_pool->get();
                    if (op == nullptr) {
                        break;
                    }
                    rma_kind kind = all[mix64(issued) % all.size()];
                    status        = op->issue(
                            e.ep(), kind,
                            std::min<size_t>(100, rma_max(m_a->attr(), kind)),
                            issued, m_to.at(mix64(issued) % 60000));
                    if (status != UCS_OK) {
                        m_pool->put(op);
                    }
                }
                if (status == UCS_ERR_NO_RESOURCE) {
                    break;
                }
                check(status, "issue");
                EXPECT_EQ(UCS_OK, (mix64(issued) & 2) ?
                                  uct_ep_fence(e.ep(), 0) :
                                  uct_iface_fence(m_a->iface(), 0));
                ++issued;
            }
            return issued == count;
        }));
        flush(e);
    }

    std::unique_ptr<region>   m_target;
    std::unique_ptr<rma_pool> m_pool;
    remote                    m_to;
    stream                    m_stream{3, length_plan::random(8, 500)};
    checker                   m_chk{m_stream};
    uint64_t                  m_sent = 0;
};

/* Fences everywhere, also before anybody knows anybody: all goes on. */
TEST_F(fence_progress, after_each)
{
    EXPECT_EQ(UCS_OK, uct_ep_fence(m_end->ep(), 0));
    EXPECT_EQ(UCS_OK, uct_iface_fence(m_a->iface(), 0));
    run_fenced(*m_end, scaled(5000));
    EXPECT_TRUE(wait([&]() { return m_chk.count() >= m_sent; }));
    expect_clean(m_chk, m_sent);
    EXPECT_EQ("", m_target->red());
    EXPECT_EQ("", m_pool->complaints());
    expect_promises();
}

/* An endpoint's fence stops nobody else: while the peer of one does not take
 * messages, others work; also with a fence of the interface afterwards, which
 * needs nothing of whoever has nothing under way. */
TEST_F(fence_progress, of_one_does_not_stop_others)
{
    peer_proc peer;

    m_ends.emplace_back(new end(*m_a, address::parse(peer.call("addr"))));
    end &stuck = *m_ends.back();
    stream s(9, length_plan::fixed(1000));
    peer.call("check 17 9 fixed:1000");
    send(stuck, BCOPY, 17, s, 0);
    flush(stuck);
    peer.call("freeze");
    uint64_t seq = 1;
    for (unsigned idle = 0; idle < 200; ++idle) {
        if (stuck.send(BCOPY, 17, s, seq) == UCS_OK) {
            ++seq;
        }
        progress();
    }
    EXPECT_EQ(UCS_OK, uct_ep_fence(stuck.ep(), 0));
    run_fenced(*m_end, scaled(500));
    EXPECT_EQ(std::to_string(seq) + " 0 ",
              peer.call("wait 17 " + std::to_string(seq),
                        [this]() { progress(); }));
    flush(stuck);
    EXPECT_TRUE(wait([&]() { return m_chk.count() >= m_sent; }));
    expect_clean(m_chk, m_sent);
    expect_promises();
}
