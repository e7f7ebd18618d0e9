/*
 * Connections: attributes, addresses, many interfaces, endpoints that come and
 * go while messages are under way, and what all that leaves behind.
 */
#include "uct_test.h"

using namespace uct_test;

static const uint8_t AM_ID = 3;

class connect_test : public uct_base {
};

/* What UCP asks of a transport that is the only one, and numbers a user can
 * believe. */
TEST_F(connect_test, attributes)
{
    node &a                    = add_node();
    const uct_iface_attr_t &at = a.attr();

    if (!is_srd()) {
        GTEST_SKIP();
    }

    EXPECT_EQ("efasrd", m_dom->component_name());
    for (uint64_t flag :
         {UCT_IFACE_FLAG_AM_SHORT, UCT_IFACE_FLAG_AM_BCOPY,
          UCT_IFACE_FLAG_AM_ZCOPY, UCT_IFACE_FLAG_PENDING,
          UCT_IFACE_FLAG_CB_SYNC, UCT_IFACE_FLAG_CONNECT_TO_IFACE,
          UCT_IFACE_FLAG_ERRHANDLE_PEER_FAILURE}) {
        EXPECT_EQ(flag, at.cap.flags & flag) << std::hex << flag;
    }
    EXPECT_FALSE(at.cap.flags & UCT_IFACE_FLAG_AM_DUP);
    EXPECT_FALSE(at.cap.flags & UCT_IFACE_FLAG_CONNECT_TO_EP);
    EXPECT_TRUE(m_dom->attr().cap.flags & UCT_MD_FLAG_REG);

    EXPECT_GE(at.cap.am.max_short, 32u);
    EXPECT_GE(at.cap.am.max_bcopy, 8192u);
    EXPECT_GE(at.cap.am.max_zcopy, at.cap.am.max_bcopy);
    EXPECT_LE(at.cap.am.max_zcopy, 9000u);
    EXPECT_GE(at.cap.am.max_hdr, 40u);
    EXPECT_GE(at.cap.am.max_iov, 1u);
    EXPECT_EQ(16u, at.device_addr_len);
    EXPECT_EQ(8u, at.iface_addr_len);

    double bw = at.bandwidth.dedicated + at.bandwidth.shared;
    EXPECT_GT(bw, 1e9);  /* bytes/s: 8 Gb/s ... */
    EXPECT_LT(bw, 2e11); /* ... to 1.6 Tb/s */
    EXPECT_GT(at.latency.c, 1e-7);
    EXPECT_LT(at.latency.c, 1e-3);
    EXPECT_GT(at.overhead, 1e-9);
    EXPECT_LT(at.overhead, 1e-5);
    EXPECT_GE(at.dev_num_paths, 1u);
}

/* Two addresses of one device differ, and stay as long as the interface. */
TEST_F(connect_test, addresses)
{
    node &a = add_node(), &b = add_node();

    EXPECT_EQ(a.addr().text(), a.addr().text());
    EXPECT_NE(a.addr().text(), b.addr().text());
    address addr = b.addr();
    EXPECT_TRUE(uct_iface_is_reachable(a.iface(),
                                       (uct_device_addr_t *)addr.dev.data(),
                                       (uct_iface_addr_t *)addr.iface.data()));
}

/* An address of another version of the protocol: not reachable, refused. */
TEST_F(connect_test, foreign_version)
{
    node &a = add_node(), &b = add_node();
    address addr = b.addr();

    if (!is_srd()) {
        GTEST_SKIP();
    }
    addr.iface[2] += 1;
    EXPECT_FALSE(uct_iface_is_reachable(a.iface(),
                                        (uct_device_addr_t *)addr.dev.data(),
                                        (uct_iface_addr_t *)addr.iface.data()));
    try {
        end e(a, addr);
        ADD_FAILURE() << "connected to another version";
    } catch (const std::runtime_error &e) {
        EXPECT_NE(std::string::npos,
                  std::string(e.what())
                          .find(ucs_status_string(UCS_ERR_UNREACHABLE)))
                << e.what();
    }
}

/* 64 interfaces, each talking to all, from a cold start at the same time. */
TEST_F(connect_test, sixty_four)
{
    const unsigned num  = 64;
    const uint64_t each = 8;
    std::vector<std::vector<uint64_t>> next(num, std::vector<uint64_t>(num, 0));
    std::vector<end *> ends;
    uint64_t received = 0, errors = 0;

    for (unsigned i = 0; i < num; ++i) {
        node &n = add_node();
        n.on_am(AM_ID, [&, i](void *data, size_t length, unsigned) {
            uint64_t word = 0;
            memcpy(&word, data, std::min<size_t>(8, length));
            unsigned from = (word >> stream::SEQ_BITS) % num;
            unsigned to   = (word >> stream::SEQ_BITS) / num;
            stream s(word >> stream::SEQ_BITS, length_plan::random(8, 300));
            if ((to != i) || !s.verify(data, length, next[from][i]).empty()) {
                ++errors;
            }
            ++next[from][i];
            ++received;
            return UCS_OK;
        });
    }
    for (unsigned i = 0; i < num; ++i) {
        for (unsigned k = 0; k < num; ++k) {
            ends.push_back(&connect(*m_nodes[i], *m_nodes[k]));
        }
    }
    for (uint64_t seq = 0; seq < each; ++seq) {
        for (unsigned i = 0; i < num * num; ++i) {
            unsigned from = i / num, to = i % num;
            send(*ends[i], BCOPY, AM_ID,
                 stream(to * num + from, length_plan::random(8, 300)), seq);
        }
        progress();
    }
    EXPECT_TRUE(wait([&]() { return received >= each * num * num; }));
    EXPECT_EQ(each * num * num, received);
    EXPECT_EQ(0u, errors);
    for (end *e : ends) {
        flush(*e);
    }
    expect_promises();
}

/* 500 endpoints to one interface. */
TEST_F(connect_test, many_endpoints_one_peer)
{
    const unsigned num = 500;
    node &a = add_node(), &b = add_node();
    std::vector<std::unique_ptr<checker>> checkers;
    std::vector<end *> ends;
    uint64_t received = 0;

    for (unsigned i = 0; i < num; ++i) {
        ends.push_back(&connect(a, b));
        checkers.emplace_back(new checker(stream(i,
                                                 length_plan::random(8, 99))));
    }
    b.on_am(AM_ID, [&](void *data, size_t length, unsigned) {
        uint64_t word = 0;
        memcpy(&word, data, std::min<size_t>(8, length));
        checkers.at(word >> stream::SEQ_BITS)->take(data, length);
        ++received;
        return UCS_OK;
    });
    for (uint64_t seq = 0; seq < 20; ++seq) {
        for (unsigned i = 0; i < num; ++i) {
            send(*ends[i], BCOPY, AM_ID, stream(i, length_plan::random(8, 99)),
                 seq);
        }
        /* Some leave on the way; the others do not care. */
        if (seq == 10) {
            for (unsigned i = 0; i < num; i += 2) {
                flush(*ends[i]);
                ends[i]->destroy();
                end *fresh = &connect(a, b);
                ends[i]    = fresh;
            }
        }
    }
    EXPECT_TRUE(wait([&]() { return received >= 20 * num; }));
    for (auto &c : checkers) {
        expect_clean(*c, 20);
    }
    expect_promises();
}

/* Endpoints are made and destroyed while their messages are under way. What
 * was sent by an endpoint that is flushed first arrives; an endpoint that is
 * destroyed without flush may take its messages along, but what arrives is in
 * order and whole, and others are not disturbed. */
TEST_F(connect_test, endpoints_come_and_go)
{
    node &a = add_node(), &b = add_node();
    end &steady = connect(a, b);
    stream s(1, length_plan::random(8, 400)),
            t(2, length_plan::random(8, 2000));
    checker chk(s);
    uint64_t seq = 0, flushed = 0, got = 0, bad = 0;
    int64_t last = -1;

    b.check_am(AM_ID, &chk);
    b.on_am(AM_ID + 1, [&](void *data, size_t length, unsigned) {
        uint64_t word = 0;
        memcpy(&word, data, std::min<size_t>(8, length));
        int64_t number = word & ((1ull << stream::SEQ_BITS) - 1);
        if (!t.verify(data, length, number).empty() || (number <= last)) {
            ++bad;
        }
        last = number;
        ++got;
        return UCS_OK;
    });

    uint64_t number = 0;
    for (unsigned round = 0; round < scaled(2000); ++round) {
        bool keep = round & 1;
        std::unique_ptr<end> e(new end(a, b.addr()));
        for (unsigned i = 0; i < 5; ++i) {
            send(*e, BCOPY, AM_ID + 1, t, number++);
        }
        if (keep) {
            flush(*e);
            flushed += 5;
        }
        e->destroy();
        EXPECT_EQ("", e->promises());
        send(steady, BCOPY, AM_ID, s, seq++);
    }
    flush(steady);
    EXPECT_TRUE(wait([&]() { return chk.count() >= seq; }));
    wait([&]() { return got >= flushed; });
    EXPECT_GE(got, flushed);
    EXPECT_LE(got, number);
    EXPECT_EQ(0u, bad);
    expect_clean(chk, seq);
    expect_promises();
}

/* Interfaces opened and closed, each time with a conversation: no descriptor
 * and no mapping more than after the first rounds. */
TEST_F(connect_test, open_close_cycles)
{
    node &a      = add_node();
    unsigned fds = 0, mappings = 0;
    size_t resident       = 0;
    const unsigned rounds = scaled(200);

    for (unsigned round = 0; round < rounds; ++round) {
        {
            node b(m_dom);
            end to(a, b.addr()), from(b, a.addr());
            stream s(round, length_plan::random(8, 3000));
            checker chk(s), back(s);

            b.check_am(AM_ID, &chk);
            a.check_am(AM_ID, &back);
            for (uint64_t seq = 0; seq < 20; ++seq) {
                auto step = [&]() {
                    a.progress();
                    b.progress();
                };
                for (end *e : {&to, &from}) {
                    ucs_status_t status;
                    wait_until(
                            [&]() {
                        status = e->send(BCOPY, AM_ID, s, seq);
                        return status != UCS_ERR_NO_RESOURCE;
                            },
                            step);
                    ASSERT_EQ(UCS_OK, status);
                }
                EXPECT_TRUE(wait_until(
                        [&]() {
                    return (chk.count() > seq) && (back.count() > seq);
                        },
                        step));
            }
            expect_clean(chk, 20);
            expect_clean(back, 20);
            a.on_am(AM_ID, nullptr);
            to.destroy();
            from.destroy();
        }
        if (round == rounds / 4) {
            fds      = count_fds();
            mappings = count_mappings();
            resident = resident_bytes();
        }
    }
    EXPECT_EQ(fds, count_fds());
    EXPECT_LE(count_mappings(), mappings);
    EXPECT_LE(resident_bytes(), resident + (4 << 20));
}

/* An interface is closed while messages to it and from it are under way. a makes
 * few calls and falls behind: some closes wait as long as they may. */
TEST_F(connect_test, closed_in_the_middle)
{
    const config_map hasty = {{"CLOSE_TIMEOUT", "20ms"}};
    node &a                = add_node();
    node &c                = add_node();
    end &steady            = connect(a, c);
    stream s(1, length_plan::random(8, 1000));
    checker chk(s);
    uint64_t seq = 0;

    c.check_am(AM_ID, &chk);
    a.on_am(AM_ID, [](void *, size_t, unsigned) { return UCS_OK; });
    for (unsigned round = 0; round < scaled(100); ++round) {
        std::unique_ptr<node> b(new node(m_dom, hasty));
        std::unique_ptr<end> from(new end(*b, a.addr()));
        b->on_am(AM_ID, [](void *, size_t, unsigned) { return UCS_OK; });
        for (unsigned i = 0; i < 50; ++i) {
            from->send((i & 1) ? BCOPY : ZCOPY, AM_ID, s, i);
            if (i == round % 50) {
                b->progress();
                a.progress();
            }
        }
        from->destroy();
        b.reset();
        from.reset();
        send(steady, BCOPY, AM_ID, s, seq++);
    }
    flush(steady);
    EXPECT_TRUE(wait([&]() { return chk.count() >= seq; }));
    expect_clean(chk, seq);
    expect_promises();
}
