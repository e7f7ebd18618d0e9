/*
 * What order RDMA has: none, neither among reads and writes nor between them
 * and SENDs, except that who has seen a completion knows the bytes in place.
 *
 *   initiator (a)                      responder (b)
 *   FIRST  ------------.  .----------> word, or a receive buffer
 *   SECOND -------------'  `---------> the same, or another one
 *
 * A child posts pairs of operations and tells how often the second one was
 * seen to take effect before the first. The device that reorders must show
 * every pair turned round, the one that does not must show none; and when the
 * second is posted after the completion of the first, neither may.
 */
#include "verbs_test.h"

#include <cstring>

namespace device {

enum pair_kind {
    SEND_READ,   /* the read looks at the receive buffer of the SEND */
    READ_SEND,
    READ_READ,   /* the responder counts up in between */
    WRITE_SEND,  /* the word is looked at when the SEND arrives */
    SEND_WRITE,
    WRITE_WRITE, /* to one word: who was last */
    WRITE_READ,  /* of one word */
    READ_WRITE,
    PAIR_LAST
};

static bool needs_write(unsigned kind)
{
    return kind >= WRITE_SEND;
}

struct pair_job {
    uint32_t kind;
    uint32_t pairs;
    uint32_t wait;   /* for the first one's completion */
    uint32_t other;  /* the responder is another device */
};

struct pair_report {
    uint32_t turned; /* pairs of which the second came first */
    uint32_t wrong;  /* bytes that were not in place with the completion */
};

/* One pair at a time, with a few reads around it that give the device
 * something to mix it with. */
class pair_runner {
public:
    explicit pair_runner(const pair_job &job) :
        m_job(job), m_a(make_config(job, 0)),
        m_b(make_config(job, job.other ? 1 : 0)), m_to(m_b.addr())
    {
        m_b.ah(m_a.addr());
    }

    pair_report run()
    {
        for (uint32_t i = 0; i < m_job.pairs; ++i) {
            one(i + 1);
        }
        return m_report;
    }

private:
    enum { WORD = 0, RX = 64, SOURCE = 128, GOT = 192, NOISE = 256 };
    enum { FIRST = 1, SECOND = 2, FIRST_NOISE = 3, NUM_NOISE = 6 };

    static config make_config(const pair_job &job, unsigned device)
    {
        config cfg;

        cfg.device = device;
        cfg.rdma   = true;
        cfg.write  = needs_write(job.kind);
        cfg.buffer = 4096;
        cfg.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                     (cfg.write ? IBV_ACCESS_REMOTE_WRITE : 0);
        return cfg;
    }

    static uint64_t &at(endpoint &e, size_t offset)
    {
        return *reinterpret_cast<uint64_t*>(e.buffer.data() + offset);
    }

    uint64_t va(size_t offset)
    {
        return (uintptr_t)(m_b.buffer.data() + offset);
    }

    void send(uint64_t id, uint64_t value)
    {
        at(m_a, SOURCE) = value;
        m_a.send(m_to, id, SOURCE, 8);
        m_sends = true;
    }

    void read(uint64_t id, size_t offset, size_t to)
    {
        m_a.read(m_to, id, m_a.sge(to, 8), va(offset), m_b.mr->rkey);
    }

    void write(uint64_t id, uint64_t value)
    {
        size_t from = SOURCE + 8 * id;

        at(m_a, from) = value;
        m_a.write(m_to, id, m_a.sge(from, 8), va(WORD), m_b.mr->rkey);
    }

    /* Takes what is there; returns whether `id` has completed. */
    bool poll(uint64_t id)
    {
        for (const completion &c : m_a.poll()) {
            if (c.status != IBV_WC_SUCCESS) {
                throw std::runtime_error("status " +
                                         std::to_string(c.vendor_err));
            }
            m_done |= 1u << c.wr_id;
            completed(c.wr_id);
        }
        for (const completion &c : m_b.poll()) {
            m_word_at_arrival = at(m_b, WORD);
            m_arrived         = true;
            m_report.wrong   += (c.status != IBV_WC_SUCCESS) ||
                                (at(m_b, RX) != m_seq);
        }
        return m_done & (1u << id);
    }

    /* The bytes are there when the completion is. */
    void completed(uint64_t id)
    {
        /* 0 until the first write; of two, the other may have come since. */
        if (((m_job.kind == WRITE_SEND) || (m_job.kind == WRITE_WRITE) ||
             (m_job.kind == WRITE_READ)) && (id == FIRST)) {
            m_report.wrong += at(m_b, WORD) < 2 * m_seq - 1;
        }
        if (((m_job.kind == SEND_WRITE) || (m_job.kind == READ_WRITE)) &&
            (id == SECOND)) {
            m_report.wrong += at(m_b, WORD) != 2 * m_seq;
        }
        if ((id >= FIRST_NOISE) && (id < FIRST_NOISE + NUM_NOISE)) {
            m_report.wrong += at(m_a, NOISE + 8 * id) != 4711;
        }
    }

    void noise(unsigned first)
    {
        for (unsigned i = first; i < NUM_NOISE; i += 2) {
            at(m_a, NOISE + 8 * (FIRST_NOISE + i)) = 0;
            read(FIRST_NOISE + i, NOISE, NOISE + 8 * (FIRST_NOISE + i));
        }
    }

    void first()
    {
        switch (m_job.kind) {
        case SEND_READ:
        case SEND_WRITE:
            send(FIRST, m_seq);
            break;
        case READ_SEND:
            read(FIRST, RX, GOT);
            break;
        case READ_READ:
        case READ_WRITE:
            read(FIRST, WORD, GOT);
            break;
        default:
            write(FIRST, 2 * m_seq - 1);
        }
    }

    void second()
    {
        switch (m_job.kind) {
        case SEND_READ:
            read(SECOND, RX, GOT);
            break;
        case READ_SEND:
        case WRITE_SEND:
            send(SECOND, m_seq);
            break;
        case READ_READ:
        case WRITE_READ:
            read(SECOND, WORD, GOT + 8);
            break;
        default:
            write(SECOND, 2 * m_seq);
        }
    }

    bool turned()
    {
        switch (m_job.kind) {
        case SEND_READ:
            return at(m_a, GOT) != m_seq;
        case READ_SEND:
            return at(m_a, GOT) == m_seq;
        case READ_READ:
            return at(m_a, GOT + 8) < at(m_a, GOT);
        case WRITE_SEND:
            return m_word_at_arrival != 2 * m_seq - 1;
        case SEND_WRITE:
            return m_word_at_arrival == 2 * m_seq;
        case WRITE_WRITE:
            return at(m_b, WORD) != 2 * m_seq;
        case WRITE_READ:
            return at(m_a, GOT + 8) != 2 * m_seq - 1;
        default:
            return at(m_a, GOT) == 2 * m_seq;
        }
    }

    void one(uint64_t seq)
    {
        const uint32_t all = ((1u << NUM_NOISE) - 1) << FIRST_NOISE |
                             1u << FIRST | 1u << SECOND;

        m_seq     = seq;
        m_done    = 0;
        m_arrived = m_sends = false;
        at(m_b, RX)    = 0;
        at(m_b, WORD)  = 0;
        at(m_b, NOISE) = 4711;
        at(m_a, GOT)   = at(m_a, GOT + 8) = 0;
        m_b.recv(seq, RX, 64);
        noise(0);
        first();
        if (m_job.wait) {
            wait_until([&] { return poll(FIRST); }, [] {}, "the first one");
        } else if (m_job.kind == SEND_WRITE) {
            poll(0); /* a SEND seen before the write is posted came first */
        }
        second();
        noise(1);
        wait_until(
                [&] {
                    if (m_job.kind == READ_READ) {
                        ++at(m_b, WORD);
                    }
                    poll(0);
                    return (m_done == all) && (m_arrived || !m_sends);
                },
                [] {}, "all of a pair");
        m_report.turned += turned();
        if (!m_sends) {
            /* The request that no SEND took */
            m_a.send(m_to, 0, SOURCE, 8);
            m_a.wait(1, &m_b);
            m_b.wait(1, &m_a);
        }
    }

    const pair_job m_job;
    endpoint       m_a, m_b;
    const address  m_to;
    pair_report    m_report          = {0, 0};
    uint64_t       m_seq             = 0;
    uint64_t       m_word_at_arrival = 0;
    uint32_t       m_done            = 0;
    bool           m_arrived         = false, m_sends = false;
};

DEVICE_ROLE(rdma_pairs)
{
    pair_runner runner(parent.get<pair_job>());

    parent.put(runner.run());
    return 0;
}

class rdma_order : public ::testing::TestWithParam<unsigned> {
protected:
    void SetUp() override
    {
        if (needs_write(GetParam()) && !has_rdma_write()) {
            GTEST_SKIP() << "neither before rdma-core 46 nor on 0xefa0";
        }
    }

    pair_report run(const char *reorder, bool wait, bool other)
    {
        child       c("rdma_pairs", {{"SOFTEFA_REORDER", reorder},
                                     {"SOFTEFA_SEED", "5"},
                                     {"SOFTEFA_FABRIC", fresh_fabric()}});
        pair_report report = {~0u, ~0u};
        pair_job    job    = {GetParam(), (uint32_t)harness::scaled(2000),
                              wait, other};

        c.to->put(job);
        try {
            report = c.to->get<pair_report>();
        } catch (const std::exception &e) {
            ADD_FAILURE() << e.what();
        }
        EXPECT_EQ(0, c.join());
        EXPECT_EQ(0u, report.wrong);
        return report;
    }
};

TEST_P(rdma_order, as_posted_by_default)
{
    EXPECT_EQ(0u, run("0", false, false).turned);
}

/* Where the machine stalls the program, the device does not wait for company
 * to turn an operation round with: more such runs then. */
TEST_P(rdma_order, turned_round_on_request)
{
    for (bool other : {false, true}) {
        unsigned turned = 0;

        for (unsigned tries = 0;
             (turned <= harness::scaled(2000) / 20) && (tries < 20); ++tries) {
            turned += run("16", false, other).turned;
        }
        EXPECT_GT(turned, harness::scaled(2000) / 20);
    }
}

TEST_P(rdma_order, completion_is_placement)
{
    for (bool other : {false, true}) {
        EXPECT_EQ(0u, run("16", true, other).turned);
    }
}

static std::string pair_name(const ::testing::TestParamInfo<unsigned> &info)
{
    static const char *const names[PAIR_LAST] = {
        "send_read", "read_send", "read_read", "write_send", "send_write",
        "write_write", "write_read", "read_write"
    };

    return names[info.param];
}

INSTANTIATE_TEST_SUITE_P(pair, rdma_order,
                         ::testing::Range(0u, (unsigned)PAIR_LAST),
                         pair_name);

} /* namespace device */
