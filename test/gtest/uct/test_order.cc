/*
 * Millions of messages: none lost, none twice, none out of turn.
 *
 * TEST_ORDER_COUNT scales the whole (default 10 million messages in all; on a
 * device that reorders, in ten to thirty seconds).
 */
#include "uct_test.h"

using namespace uct_test;

static const uint8_t AM_ID = 11;

static uint64_t share(unsigned percent)
{
    return scaled(env_u64("TEST_ORDER_COUNT", 10000000) / 100 * percent);
}

class order_test : public uct_base {
protected:
    /* Sends with a helping hand for the receivers now and then. */
    void stream_out(end &e, send_kind kind, const stream &s, uint64_t seq)
    {
        ucs_status_t status = e.send(kind, AM_ID, s, seq);

        if (status == UCS_ERR_NO_RESOURCE) {
            send(e, kind, AM_ID, s, seq);
        } else if (status != UCS_OK) {
            throw std::runtime_error(ucs_status_string(status));
        }
    }
};

/* 50 %: the hot path, shortest messages, one way. */
TEST_F(order_test, short_one_way)
{
    const uint64_t count = share(50);
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    stream s(1, length_plan::fixed(8));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    for (uint64_t seq = 0; seq < count; ++seq) {
        stream_out(e, SHORT, s, seq);
        if ((seq & 15) == 0) {
            progress();
        }
    }
    EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
    flush(e);
    expect_clean(chk, count);
    expect_promises();
}

/* 25 %: short and buffered, random lengths, random rhythm of progress. */
TEST_F(order_test, mixed_one_way)
{
    const uint64_t count = share(25);
    node &a = add_node(), &b = add_node();
    end &e           = connect(a, b);
    size_t max_short = a.attr().cap.am.max_short;
    stream s(2, length_plan::random(8, 200));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    for (uint64_t seq = 0; seq < count; ++seq) {
        stream_out(e,
                   ((s.length(seq) <= max_short) && (seq & 1)) ? SHORT : BCOPY,
                   s, seq);
        switch (mix64(seq) & 31) {
        case 0:
            progress();
            break;
        case 1:
            a.progress();
            break;
        case 2:
            b.progress();
            break;
        }
    }
    EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
    flush(e);
    expect_clean(chk, count);
    expect_promises();
}

/* 20 %: four interfaces, each to each, three endpoints a pair that take
 * turns: they lead to the same peer and share its sequence. */
TEST_F(order_test, all_to_all)
{
    const unsigned num = 4, turns = 3;
    const uint64_t each = share(20) / (num * num);
    std::vector<stream> streams;
    std::vector<std::unique_ptr<checker>> checkers;
    std::vector<std::vector<end *>> ends(num * num);
    uint64_t strays = 0;

    for (unsigned i = 0; i < num; ++i) {
        add_node();
    }
    for (unsigned i = 0; i < num * num; ++i) {
        streams.emplace_back(i, length_plan::random(8, 100));
        checkers.emplace_back(new checker(streams[i]));
        for (unsigned t = 0; t < turns; ++t) {
            ends[i].push_back(&connect(*m_nodes[i / num], *m_nodes[i % num]));
        }
    }
    for (unsigned to = 0; to < num; ++to) {
        m_nodes[to]->on_am(AM_ID, [&, to](void *data, size_t length, unsigned) {
            uint64_t word = 0;
            if (length >= 8) {
                memcpy(&word, data, 8);
            }
            unsigned src = word >> stream::SEQ_BITS;
            if ((length < 8) || (src >= num * num) || (src % num != to)) {
                ++strays;
            } else {
                checkers[src]->take(data, length);
            }
            return UCS_OK;
        });
    }

    /* Between endpoints of one pair UCT promises no order; each endpoint's
     * turn is as long as it takes to flush. */
    const uint64_t turn_length = 500;
    for (uint64_t seq = 0; seq < each; ++seq) {
        for (unsigned i = 0; i < num * num; ++i) {
            unsigned t = (seq / turn_length) % turns;
            if ((seq > 0) && (seq % turn_length == 0)) {
                flush(*ends[i][(t + turns - 1) % turns]);
            }
            stream_out(*ends[i][t], BCOPY, streams[i], seq);
        }
        if ((seq & 3) == 0) {
            progress();
        }
    }
    EXPECT_TRUE(wait([&]() {
        for (auto &c : checkers) {
            if (c->count() < each) {
                return false;
            }
        }
        return true;
    }));
    EXPECT_EQ(0u, strays);
    for (auto &c : checkers) {
        expect_clean(*c, each);
    }
    expect_promises();
}

/* 5 %: two processes, both directions at the same time: half of what the other
 * tests together need. */
TEST_F(order_test, two_processes)
{
    const uint64_t count = share(5) / 2;
    node &a              = add_node();
    peer_proc peer;
    stream out(5, length_plan::random(8, 64)),
            in(6, length_plan::random(8, 64));
    checker chk(in);
    std::string n = std::to_string(count), id = std::to_string(AM_ID);

    a.check_am(AM_ID, &chk);
    peer.call("connect " + a.addr().text());
    peer.call("check " + id + " 5 random:8:64");
    m_ends.emplace_back(new end(a, addr_of(peer)));
    end &e = *m_ends.back();

    peer.post("send 0 am_bcopy " + id + " 6 random:8:64 0 " + n);
    for (uint64_t seq = 0; seq < count; ++seq) {
        stream_out(e, BCOPY, out, seq);
        if ((seq & 15) == 0) {
            progress();
        }
    }
    peer.answer([this]() { progress(); });
    EXPECT_EQ(n + " 0 ",
              peer.call("wait " + id + " " + n, [this]() { progress(); }));
    EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
    flush(e);
    expect_clean(chk, count);
    expect_promises();
}

/* The largest messages, where a reordering device holds back most bytes. */
TEST_F(order_test, large)
{
    const uint64_t count = scaled(100000);
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    stream s(9, length_plan::random(4000, a.attr().cap.am.max_zcopy));
    checker chk(s);

    b.check_am(AM_ID, &chk);
    for (uint64_t seq = 0; seq < count; ++seq) {
        bool bcopy = s.length(seq) <= a.attr().cap.am.max_bcopy;
        stream_out(e, (bcopy && (seq & 1)) ? BCOPY : ZCOPY, s, seq);
        if ((seq & 7) == 0) {
            progress();
        }
    }
    EXPECT_TRUE(wait([&]() { return chk.count() >= count; }));
    flush(e);
    expect_clean(chk, count);
    expect_promises();
}
