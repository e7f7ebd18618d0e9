/*
 * Active messages of every length and kind: content, order, ids. What is
 * refused: test_params.cc; tracers: test_trace.cc.
 */
#include "uct_test.h"


using namespace uct_test;

static const uint8_t AM_ID = 7;

class am_test : public uct_base, public ::testing::WithParamInterface<int> {
protected:
    void SetUp() override
    {
        static const uint64_t flag[KIND_LAST] = {
            UCT_IFACE_FLAG_AM_SHORT, UCT_IFACE_FLAG_AM_SHORT,
            UCT_IFACE_FLAG_AM_BCOPY, UCT_IFACE_FLAG_AM_ZCOPY
        };

        uct_base::SetUp();
        m_kind = (send_kind)GetParam();
        m_a    = &add_node();
        m_b    = &add_node();
        m_end  = &connect(*m_a, *m_b);
        if (!is_srd() && !(m_a->flags() & flag[m_kind])) {
            GTEST_SKIP() << tl_name() << " has no " << kind_names[m_kind];
        }
        ASSERT_TRUE(m_a->flags() & flag[m_kind]);
    }

    /* Sends `count` messages of the plan and checks all of them. */
    void run(const length_plan &plan, uint64_t count)
    {
        stream s(3, plan);
        checker chk(s);

        m_b->check_am(AM_ID, &chk);
        for (uint64_t seq = 0; seq < count; ++seq) {
            send(*m_end, m_kind, AM_ID, s, seq);
            if ((seq & 15) == 0) {
                progress();
            }
        }
        flush(*m_end);
        EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
        /* Nothing may follow. */
        for (int i = 0; i < 1000; ++i) {
            progress();
        }
        expect_clean(chk, count);
        EXPECT_EQ(0u, m_end->zcopy_busy());
        expect_promises();
    }

    send_kind m_kind;
    node     *m_a;
    node     *m_b;
    end      *m_end;
};

/* Every length the kind can have, one after the other, from a cold start:
 * the first ones are under way before the peers know each other. */
TEST_P(am_test, every_length)
{
    size_t min = m_end->min_length(m_kind), max = m_end->max_length(m_kind);

    run(length_plan::ramp(min, max), max - min + 1);
}

TEST_P(am_test, random_lengths)
{
    run(length_plan::random(m_end->min_length(m_kind),
                            m_end->max_length(m_kind)),
        scaled(20000));
}

TEST_P(am_test, longest)
{
    run(length_plan::fixed(m_end->max_length(m_kind)), scaled(5000));
}

TEST_P(am_test, shortest)
{
    run(length_plan::fixed(m_end->min_length(m_kind)), scaled(50000));
}

INSTANTIATE_TEST_SUITE_P(
        kinds, am_test, ::testing::Range(0, (int)KIND_LAST),
        [](const ::testing::TestParamInfo<int> &info) {
            return std::string(kind_names[info.param]);
        });

class am_misc : public uct_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        m_a   = &add_node();
        m_b   = &add_node();
        m_end = &connect(*m_a, *m_b);
    }

    node *m_a;
    node *m_b;
    end  *m_end;
};

/* All kinds mixed on one endpoint keep their common order. */
TEST_F(am_misc, kinds_keep_order)
{
    const uint64_t count = scaled(50000);
    size_t max           = m_a->attr().cap.am.max_short;
    stream s(1, length_plan::random(8, max));
    checker chk(s);

    m_b->check_am(AM_ID, &chk);
    for (uint64_t seq = 0; seq < count; ++seq) {
        send_kind kind = (send_kind)(mix64(seq) % KIND_LAST);
        if (!is_srd() && (kind == SHORT_IOV)) {
            kind = SHORT; /* tcp of UCX 1.13 has it; others may not */
        }
        send(*m_end, kind, AM_ID, s, seq);
        if (mix64(seq) % 7 == 0) {
            progress();
        }
    }
    flush(*m_end);
    wait([&]() { return chk.count() >= count; });
    expect_clean(chk, count);
    expect_promises();
}

/* Each of the 32 ids reaches its own handler with its own argument, and
 * the order holds across ids too. */
TEST_F(am_misc, every_id)
{
    const uint64_t count = scaled(32000);
    stream s(1, length_plan::fixed(8));
    uint64_t next = 0, errors = 0;

    for (unsigned id = 0; id < UCT_AM_ID_MAX; ++id) {
        m_b->on_am(id, [&, id](void *data, size_t length, unsigned) {
            if ((id != mix64(next) % UCT_AM_ID_MAX) ||
                !s.verify(data, length, next).empty()) {
                ++errors;
            }
            ++next;
            return UCS_OK;
        });
    }
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(*m_end, SHORT, mix64(seq) % UCT_AM_ID_MAX, s, seq);
        progress();
    }
    wait([&]() { return next >= count; });
    EXPECT_EQ(count, next);
    EXPECT_EQ(0u, errors);
}

/* A handler may be changed and taken away; messages without a handler are
 * swallowed and do no harm to those around them. */
TEST_F(am_misc, handler_replaced_and_removed)
{
    stream s(1, length_plan::fixed(16));
    checker with(s), after(s);
    unsigned other = 0;

    m_b->check_am(AM_ID, &with);
    m_b->on_am(AM_ID + 1, [&](void *, size_t, unsigned) {
        ++other;
        return UCS_OK;
    });
    for (uint64_t seq = 0; seq < 100; ++seq) {
        send(*m_end, BCOPY, AM_ID, s, seq);
    }
    wait([&]() { return with.count() >= 100; });

    m_b->on_am(AM_ID, nullptr);
    for (uint64_t seq = 0; seq < 3; ++seq) {
        send(*m_end, BCOPY, AM_ID, s, seq);
    }
    send(*m_end, BCOPY, AM_ID + 1, s, 0);
    wait([&]() { return other == 1; });
    EXPECT_EQ(1u, other);

    m_b->check_am(AM_ID, &after);
    for (uint64_t seq = 0; seq < 100; ++seq) {
        send(*m_end, BCOPY, AM_ID, s, seq);
    }
    wait([&]() { return after.count() >= 100; });
    expect_clean(with, 100);
    expect_clean(after, 100);
    expect_promises();
}

/* An interface may talk to itself. */
TEST_F(am_misc, loopback)
{
    const uint64_t count = scaled(20000);
    end &self            = connect(*m_a, *m_a);
    stream s(1, length_plan::random(8, m_a->attr().cap.am.max_bcopy));
    checker chk(s);

    m_a->check_am(AM_ID, &chk);
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(self, BCOPY, AM_ID, s, seq);
    }
    flush(self);
    wait([&]() { return chk.count() >= count; });
    expect_clean(chk, count);
    expect_promises();
}

/* Both directions at once, the receiver answering from its handler. UCT does
 * not promise resources there, so what has none is answered later. */
TEST_F(am_misc, reply_from_handler)
{
    const uint64_t count = scaled(20000);
    end &back            = connect(*m_b, *m_a);
    stream s(1, length_plan::random(8, 512)), r(2, length_plan::random(8, 512));
    checker chk(s), replies(r);
    uint64_t owed = 0, answered = 0;

    auto answer = [&]() {
        while ((answered < owed) &&
               (back.send(BCOPY, AM_ID, r, answered) == UCS_OK)) {
            ++answered;
        }
    };
    m_b->on_am(AM_ID, [&](void *data, size_t length, unsigned) {
        chk.take(data, length);
        ++owed;
        answer();
        return UCS_OK;
    });
    m_a->check_am(AM_ID, &replies);
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(*m_end, BCOPY, AM_ID, s, seq);
        answer();
    }
    wait([&]() {
        answer();
        return replies.count() >= count;
    });
    expect_clean(chk, count);
    expect_clean(replies, count);
    expect_promises();
}

/* Headroom asked for by the user lies in front of every message that comes
 * in a descriptor, and may be written to. */
TEST_F(am_misc, headroom)
{
    const uint64_t count = 1000;
    node &c              = add_node(config_map(), 192);
    end &e               = connect(*m_a, c);
    stream s(1, length_plan::random(64, m_a->attr().cap.am.max_bcopy));
    checker chk(s);
    std::vector<void *> kept;

    c.on_am(AM_ID, [&](void *data, size_t length, unsigned flags) {
        chk.take(data, length);
        if (flags & UCT_CB_PARAM_FLAG_DESC) {
            void *desc = (char *)data - 192;
            memset(desc, 0xab, 192);
            kept.push_back(desc);
            return UCS_INPROGRESS;
        }
        return UCS_OK;
    });
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(e, BCOPY, AM_ID, s, seq);
        progress();
    }
    wait([&]() { return chk.count() >= count; });
    for (void *desc : kept) {
        uct_iface_release_desc(desc);
    }
    expect_clean(chk, count);
    /* Only those that came before the handshake are handed over in place. */
    if (is_srd()) {
        EXPECT_GT(kept.size(), count * 9 / 10);
    }
}
