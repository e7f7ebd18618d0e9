/*
 * Receive descriptors that the user keeps, and a receiver that does not come
 * to reading: senders are slowed down, nothing is lost, nothing overwritten.
 */
#include "uct_test.h"

using namespace uct_test;

static const uint8_t AM_ID = 9;

class receive_test : public uct_base {
protected:
    struct held {
        void    *desc;
        void    *data;
        size_t   length;
        uint64_t seq;
    };

    /* Keeps what can be kept, copies nothing. */
    void keep_am(node &n, checker &chk)
    {
        n.on_am(AM_ID, [this, &chk](void *data, size_t length,
                                 unsigned flags) {
            uint64_t seq = chk.count();

            chk.take(data, length);
            if (!(flags & UCT_CB_PARAM_FLAG_DESC) || (m_keep == 0)) {
                return UCS_OK;
            }
            --m_keep;
            m_held.push_back({data, data, length, seq});
            return UCS_INPROGRESS;
        });
    }

    /* Looks at a kept message again and gives its descriptor back. */
    void release(const stream &s, size_t index)
    {
        held h = m_held[index];

        std::string text = s.verify(h.data, h.length, h.seq);
        EXPECT_EQ("", text) << "a kept descriptor was overwritten";
        uct_iface_release_desc(h.desc);
        m_held[index] = m_held.back();
        m_held.pop_back();
    }

    uint64_t          m_keep = 0; /* keep that many more */
    std::vector<held> m_held;
};

/* A handler starts another round of polling, which delivers what others sent,
 * while more of its own sender waits behind the message. */
TEST_F(receive_test, rounds_within_handlers)
{
    const uint64_t count = scaled(10000);
    node &a = add_node(), &b = add_node(), &c = add_node();
    end *ends[]     = {&connect(a, b), &connect(c, b)};
    stream s[]      = {stream(1, length_plan::random(8, 300)),
                       stream(2, length_plan::random(8, 300))};
    checker chk[]   = {checker(s[0]), checker(s[1])};
    uint64_t sent[] = {0, 0};
    bool within     = false;

    for (unsigned i = 0; i < 2; ++i) {
        b.on_am(AM_ID + i, [&, i](void *data, size_t length, unsigned) {
            chk[i].take(data, length);
            if (!within) {
                within = true;
                b.progress();
                within = false;
            }
            return UCS_OK;
        });
    }

    EXPECT_TRUE(wait([&]() {
        for (unsigned i = 0; i < 2; ++i) {
            for (unsigned k = 0;
                 (k < 16) && (sent[i] < count) &&
                 (ends[i]->send(BCOPY, AM_ID + i, s[i], sent[i]) == UCS_OK);
                 ++k) {
                ++sent[i];
            }
        }
        return (chk[0].count() >= count) && (chk[1].count() >= count);
    })) << chk[0].count()
        << " and " << chk[1].count() << " of " << sent[0] << " and " << sent[1];
    expect_clean(chk[0], count);
    expect_clean(chk[1], count);
}

/* Kept for a random time, released in random order. */
TEST_F(receive_test, kept_and_released)
{
    const uint64_t count = scaled(60000);
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    stream s(1, length_plan::random(64, a.attr().cap.am.max_bcopy));
    checker chk(s);
    uint64_t seen_held = 0;

    keep_am(b, chk);
    m_keep = ~0ull;
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(e, BCOPY, AM_ID, s, seq);
        if ((seq & 7) == 0) {
            progress();
        }
        seen_held = std::max<uint64_t>(seen_held, m_held.size());
        while (m_held.size() > 300) {
            release(s, mix64(seq + m_held.size()) % m_held.size());
        }
    }
    flush(e);
    EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
    while (!m_held.empty()) {
        release(s, m_held.size() / 2);
    }
    expect_clean(chk, count);
    expect_promises();
    if (is_srd()) {
        EXPECT_GT(seen_held, 200u);
    }
}

/* Thousands kept at the same time. */
TEST_F(receive_test, thousands_kept)
{
    const uint64_t count = scaled(20000);
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    stream s(1, length_plan::random(64, 512));
    checker chk(s);

    keep_am(b, chk);
    m_keep = ~0ull;
    for (uint64_t seq = 0; seq < count; ++seq) {
        send(e, BCOPY, AM_ID, s, seq);
        if ((seq & 7) == 0) {
            progress();
        }
    }
    flush(e);
    EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
    if (is_srd()) {
        EXPECT_EQ(count, m_held.size());
    }
    m_keep = 0;
    while (!m_held.empty()) {
        release(s, m_held.size() / 2);
    }
    expect_clean(chk, count);
    expect_promises();
}

/* A pool that may not grow: when all of it is kept, senders wait and, once
 * descriptors come back, go on from the very next message. */
TEST_F(receive_test, starved_pool)
{
    if (!is_srd()) {
        GTEST_SKIP();
    }

    const uint64_t count = scaled(20000);
    node &a              = add_node();
    node &b = add_node({{"RX_MAX_BUFS", "1024"}, {"RX_QUEUE_LEN", "256"}});
    node &c = add_node();
    end &e  = connect(a, b);
    stream s(1, length_plan::random(64, 512)), t(2, length_plan::fixed(64));
    checker chk(s), chk_c(t);

    keep_am(b, chk);
    m_keep       = ~0ull;
    uint64_t seq = 0;

    /* Until nothing moves any more: no send accepted, nothing received. */
    for (unsigned idle = 0; idle < 20000;) {
        uint64_t before     = chk.count();
        ucs_status_t status = e.send(BCOPY, AM_ID, s, seq);
        ASSERT_TRUE((status == UCS_OK) || (status == UCS_ERR_NO_RESOURCE))
                << ucs_status_string(status);
        seq += (status == UCS_OK);
        progress();
        idle = ((status == UCS_OK) || (chk.count() != before)) ? 0 : idle + 1;
        ASSERT_LT(seq, 200000u) << "the pool grows beyond its limit";
    }
    EXPECT_GE(chk.count(), 512u);
    EXPECT_LE(m_held.size(), 1024u + 256u);

    /* Somebody else is not touched by this. */
    end &f = connect(a, c);
    c.check_am(AM_ID, &chk_c);
    for (uint64_t i = 0; i < 5000; ++i) {
        send(f, BCOPY, AM_ID, t, i);
    }
    EXPECT_TRUE(wait([&]() { return chk_c.count() >= 5000; }));
    expect_clean(chk_c, 5000);

    /* From now on a release for a receive. */
    auto release_some = [&]() {
        progress();
        if (m_held.size() > 100) {
            release(s, m_held.size() - 1 - mix64(seq) % 50);
        }
    };
    for (; seq < count; ++seq) {
        ucs_status_t status = UCS_ERR_NO_RESOURCE;
        ASSERT_TRUE(wait_until(
                [&]() {
            status = e.send(BCOPY, AM_ID, s, seq);
            return status != UCS_ERR_NO_RESOURCE;
                },
                release_some))
                << "senders are not woken at message " << seq;
        ASSERT_EQ(UCS_OK, status);
    }
    EXPECT_TRUE(wait_until([&]() { return chk.count() >= seq; }, release_some));
    m_keep = 0;
    while (!m_held.empty()) {
        release(s, 0);
    }
    flush(e);
    expect_clean(chk, seq);
    expect_promises();
}

/* A receiver that does not progress at all, while several senders push until
 * none gets anything through; then it wakes up. */
TEST_F(receive_test, receiver_asleep)
{
    node &b            = add_node();
    const unsigned num = 6;
    std::vector<end *> ends;
    std::vector<stream> streams;
    std::vector<std::unique_ptr<checker>> checkers;
    std::vector<uint64_t> sent(num, 0);

    for (unsigned i = 0; i < num; ++i) {
        node &a = add_node();
        ends.push_back(&connect(a, b));
        streams.emplace_back(i, length_plan::random(8, 3000));
        checkers.emplace_back(new checker(streams[i]));
    }
    b.on_am(AM_ID, [&](void *data, size_t length, unsigned) {
        uint64_t word;
        memcpy(&word, data, 8);
        checkers.at(word >> stream::SEQ_BITS)->take(data, length);
        return UCS_OK;
    });

    for (unsigned idle = 0; idle < 2000; ++idle) {
        for (unsigned i = 0; i < num; ++i) {
            ucs_status_t status = ends[i]->send(BCOPY, AM_ID, streams[i],
                                                sent[i]);
            if (status == UCS_OK) {
                ++sent[i];
                idle = 0;
            } else {
                ASSERT_EQ(UCS_ERR_NO_RESOURCE, status);
            }
            ends[i]->owner().progress();
        }
    }
    for (unsigned i = 0; i < num; ++i) {
        for (unsigned k = 0; k < 1000; ++k) {
            send(*ends[i], BCOPY, AM_ID, streams[i], sent[i]++);
        }
    }
    for (unsigned i = 0; i < num; ++i) {
        flush(*ends[i]);
        EXPECT_TRUE(wait([&]() { return checkers[i]->count() >= sent[i]; }));
        expect_clean(*checkers[i], sent[i]);
    }
    expect_promises();
}
