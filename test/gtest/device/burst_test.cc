/*
 * Many messages under one doorbell, good ones among bad ones: each has the
 * outcome that it would have alone.
 *
 *   ibv_wr_start()  [good][no such QP][good][bad lkey][too long] ...
 *   ibv_wr_complete() --> one doorbell, or one for each batch that the
 *                         generation takes
 */
#include "verbs_test.h"

#include <endian.h>
#include <map>
#include <random>

namespace device {

struct burst_message {
    address              to;
    uint32_t             length;
    std::vector<ibv_sge> sgl; /* empty: inline */
    uint32_t             status;
};

/* Posts all of them at once; wr_id and immediate are base + position. Message
 * n has its data, pattern n, in slot (n mod 64) of the sender's buffer. */
static void post_burst(endpoint &e, const std::vector<burst_message> &burst,
                       uint64_t base, size_t slot)
{
    ibv_qp_ex *qpx = ibv_qp_to_qp_ex(e.qp.get());

    for (const burst_message &m : burst) {
        e.ah(m.to); /* a system call, not between start and complete */
    }
    ibv_wr_start(qpx);
    for (size_t i = 0; i < burst.size(); ++i) {
        const burst_message &m = burst[i];

        qpx->wr_id    = base + i;
        qpx->wr_flags = IBV_SEND_SIGNALED;
        ibv_wr_send_imm(qpx, htobe32(base + i));
        if (m.sgl.empty()) {
            ibv_wr_set_inline_data(qpx,
                                   e.buffer.data() + ((base + i) % 64) * slot,
                                   m.length);
        } else {
            ibv_wr_set_sge_list(qpx, m.sgl.size(), m.sgl.data());
        }
        ibv_wr_set_ud_addr(qpx, e.ah(m.to), m.to.qpn, m.to.qkey);
    }
    ASSERT_EQ(0, ibv_wr_complete(qpx));
}

class burst : public ::testing::TestWithParam<bool> {
};

/* Random bursts to two receivers, against a model of what must come of each
 * message. Receives are plenty and all of one length. */
TEST_P(burst, good_among_bad)
{
    const size_t slot = 9000, room = 2000;
    const bool ud         = GetParam();
    const uint32_t prefix = ud ? UD_PREFIX : 0;
    config cfg;
    cfg.ud       = ud;
    cfg.send_sge = 2;
    cfg.buffer   = 64 * slot;
    endpoint a(cfg);
    cfg.recv_wr = 128;
    cfg.buffer  = 128 * room;
    endpoint near(cfg);
    cfg.device = 1;
    endpoint far(cfg);
    std::mt19937 random(ud);
    uint64_t base = 0;

    for (unsigned i = 0; i < 128; ++i) {
        near.recv(i, i * room, room - 100);
        far.recv(i, i * room, room - 100);
    }

    for (unsigned round = 0; round < harness::scaled(300); ++round) {
        std::vector<burst_message> messages(1 + random() % 64);
        std::map<uint32_t, uint32_t> expected[2]; /* number -> length */
        unsigned target = 0;

        for (size_t i = 0; i < messages.size(); ++i) {
            burst_message &m = messages[i];
            uint64_t number  = base + i;
            size_t offset    = (number % 64) * slot;
            /* Mostly runs to one receiver, as applications do. */
            if (random() % 4 == 0) {
                target = random() % 2;
            }
            m.to     = (target ? far : near).addr();
            m.length = (random() % 3) ? random() % 33 : random() % 1800;
            m.status = STATUS_OK;
            switch (random() % 40) {
            case 0:
                m.to.qpn ^= 0x60;
                m.status = STATUS_REM_BAD_QPN;
                break;
            case 1:
                m.length = room - prefix - 99;
                m.status = STATUS_REM_BAD_LENGTH;
                break;
            case 2:
                m.length = 8929;
                m.status = STATUS_BAD_LENGTH;
                break;
            case 3:
                m.length = room - prefix - 100; /* just fits */
                break;
            }
            fill(a.buffer.data() + offset, m.length, number);
            if ((m.length > 32) || (random() % 2)) {
                uint32_t cut = random() % (m.length + 1);
                m.sgl        = {a.sge(offset, m.length)};
                if (random() % 2) {
                    m.sgl = {a.sge(offset, cut),
                             a.sge(offset + cut, m.length - cut)};
                }
                if (random() % 40 == 0) {
                    m.sgl[0].lkey ^= 0x400000;
                    m.sgl[0].length += (m.sgl[0].length == 0);
                    if (m.status != STATUS_BAD_LENGTH) {
                        m.status = STATUS_BAD_LKEY;
                    }
                }
            }
            if (m.status == STATUS_OK) {
                expected[target][number] = m.length;
            } else if (ud && (m.status >= STATUS_REM_BAD_ADDRESS)) {
                m.status = STATUS_OK; /* as far as the sender knows */
            }
        }

        post_burst(a, messages, base, slot);
        for (const completion &c : a.wait(messages.size())) {
            ASSERT_LT(c.wr_id - base, messages.size());
            burst_message &m = messages[c.wr_id - base];
            ASSERT_EQ(m.status, c.vendor_err)
                    << "message " << c.wr_id - base << " of " << messages.size()
                    << ", " << m.length << " bytes";
            m.status = UINT32_MAX; /* only once */
        }
        for (unsigned t = 0; t < 2; ++t) {
            endpoint &e = t ? far : near;
            for (const completion &c : e.wait(expected[t].size(), &a)) {
                auto found = expected[t].find(c.imm);
                ASSERT_NE(expected[t].end(), found) << c.imm - base;
                ASSERT_EQ(found->second + prefix, c.byte_len);
                check(e.buffer.data() + c.wr_id * room + prefix, found->second,
                      c.imm);
                expected[t].erase(found);
                e.recv(c.wr_id, c.wr_id * room, room - 100);
            }
        }
        base += messages.size();
    }
    near.expect_silence(100);
    far.expect_silence(100);
}

INSTANTIATE_TEST_SUITE_P(type, burst, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) {
                             return info.param ? "ud" : "srd";
                         });

/* A burst meets a receiver with room for a part of it, one more at a time. */
TEST(burst_rnr, the_rest_waits)
{
    endpoint a, b;

    for (unsigned ready = 0; ready <= 20; ++ready) {
        std::vector<burst_message> messages(20);
        std::vector<int> seen(20), sent(20);

        for (unsigned i = 0; i < 20; ++i) {
            messages[i] = {b.addr(), 100 + i, {a.sge(i * 200, 100 + i)}, 0};
            fill(a.buffer.data() + i * 200, 100 + i, i);
        }
        for (unsigned i = 0; i < ready; ++i) {
            b.recv(i, i * 200, 200);
        }
        post_burst(a, messages, 0, 200);
        for (const completion &c : a.wait(ready)) {
            EXPECT_EQ(0u, c.vendor_err);
            EXPECT_EQ(1, ++sent.at(c.wr_id));
        }
        a.expect_silence(20);
        for (unsigned i = ready; i < 20; ++i) {
            b.recv(i, i * 200, 200);
        }
        for (const completion &c : a.wait(20 - ready, &b)) {
            EXPECT_EQ(0u, c.vendor_err);
            EXPECT_EQ(1, ++sent.at(c.wr_id));
        }
        for (const completion &c : b.wait(20)) {
            EXPECT_EQ(1, ++seen.at(c.imm));
            EXPECT_EQ(100 + c.imm, c.byte_len);
            check(b.buffer.data() + c.wr_id * 200, c.byte_len, c.imm);
        }
    }
}

/* With nothing to retry, exactly those that found no receive fail. */
TEST(burst_rnr, without_retry_the_rest_fails)
{
    config cfg;
    cfg.rnr_retry = 0;
    endpoint a(cfg), b;
    std::vector<burst_message> messages(20);
    unsigned good = 0, bad = 0;

    for (unsigned i = 0; i < 20; ++i) {
        messages[i] = {b.addr(), 8, {a.sge(0, 8)}, 0};
    }
    for (unsigned i = 0; i < 7; ++i) {
        b.recv(i, 0, 64);
    }
    post_burst(a, messages, 0, 64);
    for (const completion &c : a.wait(20)) {
        good += c.vendor_err == 0;
        bad += c.vendor_err == STATUS_REM_RNR;
    }
    EXPECT_EQ(7u, good);
    EXPECT_EQ(13u, bad);
    b.wait(7);
    b.recv(9, 0, 64);
    b.expect_silence(200);
}

/* Receives of several entries, unequal ones, filled by one burst. */
TEST(burst_sgl, scattered_receives)
{
    config cfg;
    cfg.recv_sge = 3;
    cfg.recv_wr  = 40;
    endpoint a, b(cfg);
    std::vector<burst_message> messages(32);

    for (unsigned round = 0; round < 50; ++round) {
        for (unsigned i = 0; i < 32; ++i) {
            uint32_t length          = 60 + (i * 7 + round) % 100;
            std::vector<ibv_sge> sgl = {b.sge(i * 1000, 20 + i)};

            if (i % 3) {
                sgl.push_back(b.sge(i * 1000 + 300, 30));
            }
            if (i % 3 == 2) {
                sgl.push_back(b.sge(i * 1000 + 600, 300));
            } else {
                sgl.back().length = 200;
            }
            b.recv(i, sgl);
            messages[i] = {b.addr(), length, {a.sge(i * 200, length)}, 0};
            fill(a.buffer.data() + i * 200, length, i + round * 32);
        }
        post_burst(a, messages, 0, 200);
        for (const completion &c : a.wait(32)) {
            ASSERT_EQ(0u, c.vendor_err);
        }
        for (const completion &c : b.wait(32)) {
            unsigned r = c.wr_id;
            std::vector<uint8_t> got;
            size_t first  = (r % 3) ? 20 + r : 200;
            size_t second = (r % 3 == 2) ? 30 : (r % 3) ? 200 : 0;

            ASSERT_EQ(messages.at(c.imm).length, c.byte_len);
            for (size_t i = 0; i < c.byte_len; ++i) {
                got.push_back(b.buffer[r * 1000 +
                                       ((i < first) ?
                                                i :
                                        (i < first + second) ?
                                                300 + i - first :
                                                600 + i - first - second)]);
            }
            check(got.data(), got.size(), c.imm + round * 32);
        }
    }
}

} /* namespace device */
