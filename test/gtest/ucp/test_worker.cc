/*
 * Workers and endpoints as a whole: many of them, again and again, asleep,
 * in threads, and with peers that die.
 */
#include "common/counters.h"
#include "common/said.h"
#include "ucp_test.h"

#include <atomic>
#include <poll.h>
#include <sstream>
#include <thread>

using namespace ucp_test;

class ucp_worker_test : public ucp_base,
                        public ::testing::WithParamInterface<const char*> {
protected:
    ucp_options options(uint64_t features = UCP_FEATURE_TAG,
                        bool err_peer     = false)
    {
        ucp_options o;
        o.features               = features;
        o.err_peer               = err_peer;
        o.config["PROTO_ENABLE"] = GetParam();
        return o;
    }

    std::string open_line(uint64_t features, bool err_peer)
    {
        return "open " + std::to_string(features) + " " +
               std::to_string(err_peer) + " " + GetParam();
    }

    /* Progresses one side until the request is done; its status. */
    ucs_status_t finish_one(ucp_side &side, ucs_status_ptr_t request)
    {
        ucs_status_t status = UCS_PTR_STATUS(request);
        if (UCS_PTR_IS_PTR(request)) {
            bool done = wait_until([&]() {
                status = ucp_request_check_status(request);
                return status != UCS_INPROGRESS;
            }, [&]() { side.progress(); });
            status = done ? status : UCS_ERR_TIMED_OUT;
            ucp_request_free(request);
        }
        return status;
    }

    /* The same, asleep when there is nothing to do. */
    ucs_status_t finish_asleep(ucp_side &side, ucs_status_ptr_t request)
    {
        ucs_status_t status = UCS_PTR_STATUS(request);
        if (!UCS_PTR_IS_PTR(request)) {
            return status;
        }
        while ((status = ucp_request_check_status(request)) ==
               UCS_INPROGRESS) {
            if (side.progress() > 0) {
                continue;
            }
            status = ucp_worker_arm(side.worker());
            if (status == UCS_ERR_BUSY) {
                continue;
            }
            check(status, "ucp_worker_arm");
            struct pollfd pfd;
            check(ucp_worker_get_efd(side.worker(), &pfd.fd), "get_efd");
            pfd.events = POLLIN;
            ++m_polls;
            if (poll(&pfd, 1, deadline_ms()) <= 0) {
                throw std::runtime_error("asleep for ever");
            }
        }
        ucp_request_free(request);
        return status;
    }

    unsigned m_polls = 0;
};

/* 64 endpoints of one worker, to 64 workers, wired up at the same time, data
 * first in both directions. */
TEST_P(ucp_worker_test, sixty_four_endpoints)
{
    const unsigned num = 64;
    ucp_side &hub      = add_side(options());
    std::vector<ucp_ep_h> out, in;
    std::vector<bytes> got_hub(num, bytes(20000)), got(num, bytes(20000));
    std::vector<bytes> sent_hub, sent;
    std::vector<ucs_status_ptr_t> requests;

    for (unsigned i = 0; i < num; ++i) {
        m_sides.emplace_back(new ucp_side(hub, UCS_THREAD_MODE_SINGLE));
    }
    for (unsigned i = 0; i < num; ++i) {
        ucp_side &leaf = *m_sides[i + 1];
        out.push_back(hub.connect(leaf.address()));
        in.push_back(leaf.connect(hub.address()));
    }
    for (unsigned i = 0; i < num; ++i) {
        size_t length = 1 + mix64(i) % 20000;
        got[i].resize(length);
        got_hub[i].resize(length);
        sent.push_back(message(i, 1, length));
        sent_hub.push_back(message(i, 2, length));
        requests.push_back(tag_recv(*m_sides[i + 1], got[i], i));
        requests.push_back(tag_recv(hub, got_hub[i], i));
    }
    for (unsigned i = 0; i < num; ++i) {
        requests.push_back(tag_send(out[i], sent[i], i));
        requests.push_back(tag_send(in[i], sent_hub[i], i));
    }
    for (ucs_status_ptr_t request : requests) {
        EXPECT_EQ(UCS_OK, finish(request));
    }
    for (unsigned i = 0; i < num; ++i) {
        EXPECT_TRUE(got[i] == sent[i]) << i;
        EXPECT_TRUE(got_hub[i] == sent_hub[i]) << i;
    }
    for (unsigned i = 0; i < num; ++i) {
        ping_pong(hub, out[i], *m_sides[i + 1], in[i], 1000 + i, 3000);
    }
}

/* Endpoints are closed and made anew, with a conversation each time: nothing
 * grows. */
TEST_P(ucp_worker_test, reconnect_thousand_times)
{
    const unsigned rounds = scaled(1000);

    for (bool err_peer : {false, true}) {
        ucp_side &a  = add_side(options(UCP_FEATURE_TAG, err_peer));
        ucp_side &b  = add_side(options(UCP_FEATURE_TAG, err_peer));
        unsigned fds = 0, mappings = 0;
        /* Buffers may become more at any time, where the device is slow; what
         * is lost with each connection makes every quarter grow. */
        size_t resident[4] = {}, grown = SIZE_MAX;

        for (unsigned round = 0; round < rounds; ++round) {
            ep_errors errors;
            ucp_ep_h ab = a.connect(b.address(), &errors);
            ucp_ep_h ba = b.connect(a.address(), &errors);
            ping_pong(a, ab, b, ba, round, (round % 10 == 0) ? 100000 : 500);
            ucs_status_ptr_t ca = a.close(ab), cb = b.close(ba);
            /* With error handling the other side's leaving may be told. */
            ucs_status_t sa = finish(ca), sb = finish(cb);
            if (!err_peer) {
                EXPECT_EQ(UCS_OK, sa);
                EXPECT_EQ(UCS_OK, sb);
                EXPECT_EQ(0u, errors.count);
            }
            if (round == rounds / 4) {
                fds      = count_fds();
                mappings = count_mappings();
            }
            if ((round + 1) % std::max(1u, rounds / 4) == 0) {
                resident[std::min(3u, round / std::max(1u, rounds / 4))] =
                        resident_bytes();
            }
        }
        for (unsigned i = 1; i < 4; ++i) {
            grown = std::min(grown, resident[i] - std::min(resident[i],
                                                           resident[i - 1]));
        }
        if (is_srd()) { /* tcp keeps some connections */
            EXPECT_EQ(fds, count_fds());
            EXPECT_LE(count_mappings(), mappings);
            EXPECT_LE(grown, 1u << 18);
        }
    }
}

/* Whole contexts come and go. */
TEST_P(ucp_worker_test, open_and_close)
{
    const unsigned rounds = scaled(60);
    unsigned fds = 0, mappings = 0;
    size_t resident = 0;

    for (unsigned round = 0; round < rounds; ++round) {
        ucp_side &a = add_side(options());
        ucp_side &b = add_side(options());
        ping_pong(a, a.connect(b.address()), b, b.connect(a.address()), round,
                  20000);
        TearDown();
        if (round == rounds / 3) {
            fds      = count_fds();
            mappings = count_mappings();
            resident = resident_bytes();
        }
    }
    EXPECT_EQ(fds, count_fds());
    EXPECT_LE(count_mappings(), mappings);
    EXPECT_LE(resident_bytes(), resident + (4 << 20));
}

/* Two processes, both asleep while they wait for each other. */
TEST_P(ucp_worker_test, wakeup)
{
    if (is_srd() && (env("SOFTEFA_PROFILE", "") == "efa0")) {
        GTEST_SKIP() << "the device has no completion channel";
    }

    const uint64_t features = UCP_FEATURE_TAG | UCP_FEATURE_WAKEUP;
    ucp_side &a             = add_side(options(features));
    peer_proc peer;
    ucp_ep_h ep  = a.connect(from_hex(peer.call(open_line(features, false))));
    uint64_t tag = 10;

    peer.call("connect " + to_hex(a.address()));
    for (size_t length :
         {(size_t)8, (size_t)5000, (size_t)20000, (size_t)2000000}) {
        const uint64_t count = scaled((length > 100000) ? 20 : 300);
        tag += 10;
        peer.post("echo_sleep " + std::to_string(tag) + " " +
                  std::to_string(length) + " " + std::to_string(count));
        for (uint64_t seq = 0; seq < count; ++seq) {
            bytes data            = message(tag, seq, length), back(length);
            ucs_status_ptr_t recv = tag_recv(a, back, tag + 1);
            EXPECT_EQ(UCS_OK, finish_asleep(a, tag_send(ep, data, tag)));
            EXPECT_EQ(UCS_OK, finish_asleep(a, recv));
            EXPECT_TRUE(back == data);
        }
        std::istringstream answer(peer.answer([&]() { a.progress(); }));
        unsigned errors = 1, polls = 0;
        answer >> errors >> polls;
        EXPECT_EQ(0u, errors);
        EXPECT_GT(polls + m_polls, 0u) << "nobody ever slept";
    }
    peer.call("quit", [&]() { a.progress(); });
}

/* ucp_worker_wait in one thread is ended by ucp_worker_signal in another. */
TEST_P(ucp_worker_test, signal_ends_wait)
{
    ucp_side &a = add_side(options(UCP_FEATURE_TAG | UCP_FEATURE_WAKEUP));

    for (unsigned round = 0; round < 20; ++round) {
        std::atomic<bool> done(false);
        std::thread waiter([&]() {
            while (!done) {
                while (a.progress() > 0) {
                }
                check(ucp_worker_wait(a.worker()), "ucp_worker_wait");
            }
        });
        done = true;
        EXPECT_EQ(UCS_OK, ucp_worker_signal(a.worker()));
        waiter.join();
    }
}

/* Two workers of one context, each in a thread of its own, talk. */
TEST_P(ucp_worker_test, a_worker_per_thread)
{
    ucp_side a(options());
    /* Made here, used there: never by two threads at a time */
    ucp_side b(a, UCS_THREAD_MODE_SERIALIZED);
    ucp_ep_h ab = a.connect(b.address()), ba = b.connect(a.address());
    const uint64_t count = scaled(2000);
    std::atomic<unsigned> errors(0);
    std::atomic<int> running(2);

    auto talk = [&](ucp_side &side, ucp_ep_h ep, uint64_t out, uint64_t in) {
        for (uint64_t seq = 0; seq < count; ++seq) {
            size_t length = mix64(seq) % ((seq % 50 == 0) ? 500000 : 5000);
            bytes data    = message(out, seq, length), got(length);
            ucs_status_ptr_t recv = tag_recv(side, got, in);
            ucs_status_ptr_t send = tag_send(ep, data, out);
            errors += (finish_one(side, send) != UCS_OK);
            errors += (finish_one(side, recv) != UCS_OK);
            errors += (got != message(in, seq, length));
        }
        --running;
        /* The other one may still need our answers. */
        wait_until([&]() { return running == 0; }, [&]() { side.progress(); });
    };
    std::thread other([&]() { talk(b, ba, 2, 1); });
    talk(a, ab, 1, 2);
    other.join();
    EXPECT_EQ(0u, errors);

    for (ucp_side *side : {&a, &b}) {
        for (ucs_status_ptr_t request : side->close_all()) {
            wait_until(
                    [&]() {
                return ucp_request_check_status(request) != UCS_INPROGRESS;
                    },
                    [&]() {
                a.progress();
                b.progress();
            });
            ucp_request_free(request);
        }
    }
}

/* Several threads send through one worker of mode MULTI. */
TEST_P(ucp_worker_test, threads_share_a_worker)
{
    ucp_options o = options();
    o.thread_mode = UCS_THREAD_MODE_MULTI;
    ucp_side &a   = add_side(o);
    ucp_side &b   = add_side(o);
    ucp_ep_h ab   = a.connect(b.address());
    ucp_worker_attr_t attr;
    std::atomic<unsigned> errors(0);
    std::vector<std::thread> threads;
    const uint64_t count = scaled(1000);

    attr.field_mask = UCP_WORKER_ATTR_FIELD_THREAD_MODE;
    ASSERT_EQ(UCS_OK, ucp_worker_query(a.worker(), &attr));
    if (attr.thread_mode != UCS_THREAD_MODE_MULTI) {
        GTEST_SKIP() << "UCX was built without thread support";
    }
    for (unsigned t = 0; t < 4; ++t) {
        bool sender = t & 1;
        threads.emplace_back([&, t, sender]() {
            for (uint64_t seq = 0; seq < count; ++seq) {
                size_t length = mix64(seq) % ((seq % 50 == 0) ? 200000 : 3000);
                bytes data    = message(t / 2, seq, length), got(length);
                if (sender) {
                    errors += finish_one(a, tag_send(ab, data, t / 2)) !=
                              UCS_OK;
                } else {
                    errors += finish_one(b, tag_recv(b, got, t / 2)) != UCS_OK;
                    errors += got != data;
                }
            }
        });
    }
    std::atomic<bool> done(false);
    std::thread helper([&]() {
        while (!done) {
            a.progress();
            b.progress();
            std::this_thread::yield();
        }
    });
    for (std::thread &thread : threads) {
        thread.join();
    }
    done = true;
    helper.join();
    EXPECT_EQ(0u, errors);
}

/* kill -9 of a peer: its endpoint reports once, its requests end with an
 * error, everybody else goes on; and again with the next peer. */
TEST_P(ucp_worker_test, killed_peer)
{
    if ((GetParam()[0] == 'y') && !is_ucx(15)) {
        GTEST_SKIP() << "UCX before 1.15 aborts here by itself, over tcp too";
    }
    if (!bears_rndv_death()) {
        GTEST_SKIP() << "this UCX crashes when a peer dies and it has no "
                        "registration cache";
    }

    ucp_options o = options(UCP_FEATURE_TAG | UCP_FEATURE_AM, true);
    /* What the dead one's device has accepted fails no send. */
    o.config["KEEPALIVE_INTERVAL"] = "100ms";
    ucp_side &a = add_side(o), &b = add_side(o);
    ep_errors none;
    ucp_ep_h ab  = a.connect(b.address(), &none);
    ucp_ep_h ba  = b.connect(a.address(), &none);
    uint64_t seq = 0;

    ping_pong(a, ab, b, ba, seq++, 5000);
    for (unsigned round = 0; round < scaled(6); ++round) {
        peer_proc peer;
        ep_errors errors;
        ucp_ep_h ep =
                a.connect(from_hex(peer.call(open_line(UCP_FEATURE_TAG |
                                                               UCP_FEATURE_AM,
                                                       true))),
                          &errors);
        std::vector<bytes> data;
        std::vector<ucs_status_ptr_t> sends;

        peer.call("connect " + to_hex(a.address()));
        peer.post("recv 5 3000 50");
        for (uint64_t i = 0; i < 50; ++i) {
            EXPECT_EQ(UCS_OK, finish(tag_send(ep, message(5, i, 3000), 5)));
        }
        EXPECT_EQ("0", peer.answer([this]() { progress(); }));
        /* A rendezvous makes UCP ask for the remote endpoint's number. While
         * it waits for that answer, it checks nobody's life. */
        peer.post("recv 5 1000000 1");
        EXPECT_EQ(UCS_OK, finish(tag_send(ep, message(5, 0, 1000000), 5)));
        EXPECT_EQ("0", peer.answer([this]() { progress(); }));

        /* Eager and rendezvous, nobody receives them any more. */
        data.reserve(100);
        if (round & 1) {
            peer.call("freeze");
        }
        for (uint64_t i = 0; i < 100; ++i) {
            data.push_back(message(6, i, (i % 3) ? 2000 : 1000000));
            sends.push_back(tag_send(ep, data.back(), 6));
        }
        ping_pong(a, ab, b, ba, seq++, 5000);
        peer.kill9();
        ping_pong(a, ab, b, ba, seq++, 50000);

        EXPECT_TRUE(wait([&]() { return errors.count > 0; }))
                << "nobody noticed, round " << round;
        for (ucs_status_ptr_t send : sends) {
            ucs_status_t status = finish(send);
            EXPECT_NE(UCS_ERR_TIMED_OUT, status);
        }
        ping_pong(a, ab, b, ba, seq++, 50000);
        finish(a.close(ep, UCP_EP_CLOSE_FLAG_FORCE));
        EXPECT_EQ(1u, errors.count);
        EXPECT_TRUE(UCS_STATUS_IS_ERR(errors.status));
        ping_pong(a, ab, b, ba, seq++, 50000);
    }
    EXPECT_EQ(0u, none.count);
}

/* Nobody sends to the dead peer: UCP's keepalive finds out. */
TEST_P(ucp_worker_test, keepalive)
{
    ucp_options o                  = options(UCP_FEATURE_TAG, true);
    o.config["KEEPALIVE_INTERVAL"] = "100ms";
    ucp_side &a                    = add_side(o);
    peer_proc peer;
    ep_errors errors;
    ucp_ep_h ep = a.connect(from_hex(peer.call(open_line(UCP_FEATURE_TAG,
                                                         true))),
                            &errors);

    peer.call("connect " + to_hex(a.address()));
    peer.post("recv 5 3000 1");
    EXPECT_EQ(UCS_OK, finish(tag_send(ep, message(5, 0, 3000), 5)));
    EXPECT_EQ("0", peer.answer([this]() { progress(); }));
    for (unsigned i = 0; i < 100000; ++i) {
        progress();
    }
    EXPECT_EQ(0u, errors.count) << "a living peer was called dead";
    peer.kill9();
    EXPECT_TRUE(wait([&]() { return errors.count > 0; }));
    finish(a.close(ep, UCP_EP_CLOSE_FLAG_FORCE));
    EXPECT_EQ(1u, errors.count);
}

/* What ucp_config_modify() says reaches the transport. */
TEST_P(ucp_worker_test, options_of_the_transport)
{
    const size_t length = 100000, seg_size = 2048;

    if (!is_srd()) {
        GTEST_SKIP() << "about srd's options";
    }

    for (const std::string name : {"SRD_SEG_SIZE", "IB_SEG_SIZE"}) {
        ucp_options o           = options();
        o.config[name]          = std::to_string(seg_size);
        o.config["RNDV_THRESH"] = "inf";

        said said;
        ucp_side &a = add_side(o), &b = add_side(o);
        EXPECT_EQ("", said.none());
        ucp_ep_h ab = a.connect(b.address()), ba = b.connect(a.address());
        uint64_t before = counter("tx_msgs");
        ping_pong(a, ab, b, ba, 1, length);
        EXPECT_GE(counter("tx_msgs") - before, 2 * length / seg_size) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(
        protocols, ucp_worker_test, ::testing::Values("n", "y"),
        [](const ::testing::TestParamInfo<const char*> &info) {
            return std::string(info.param[0] == 'y' ? "proto_v2" : "proto_v1");
        });

/* ---- closing ---- */

/* Twenty workers, connected and with messages under way, are destroyed one
 * after the other while no other worker progresses. What waits, hangs: the time
 * that a close may take is an hour. */
HARNESS_ROLE(close_workers)
{
    const unsigned num = 20;
    std::vector<std::unique_ptr<ucp_side>> a, b;
    std::vector<ucp_ep_h> eps;
    bytes data = message(1, 1, 100000); /* in fragments: no handshake yet */
    ucp_options options;
    ucp_request_param_t param = {};

    (void)arguments;
    options.config["RNDV_THRESH"] = "inf";
    a.emplace_back(new ucp_side(options));
    while (b.size() < num) {
        b.emplace_back(new ucp_side(*a[0], UCS_THREAD_MODE_SINGLE));
        a.emplace_back(new ucp_side(*a[0], UCS_THREAD_MODE_SINGLE));
        eps.push_back(a.back()->connect(b.back()->address()));
    }
    for (unsigned i = 0; i < num; ++i) {
        for (unsigned k = 0; k < 3; ++k) {
            ucs_status_ptr_t request = ucp_tag_send_nbx(eps[i], data.data(),
                                                        data.size(), 1, &param);
            if (UCS_PTR_IS_PTR(request)) {
                ucp_request_free(request);
            }
            a[i + 1]->progress();
        }
    }
    for (auto *sides : {&a, &b}) {
        while (sides->size() > (sides == &a)) {
            sides->back()->abandon();
            sides->pop_back();
        }
    }
    return "closed";
}

TEST(ucp_close, workers)
{
    if (!is_srd()) {
        GTEST_SKIP() << "of this transport";
    }
    peer_proc peer({"UCX_SRD_CLOSE_TIMEOUT=3600s",
                    "SOFTEFA_FABRIC=close-" + std::to_string(getpid())});
    EXPECT_EQ("closed", peer.call("role close_workers"));
}
