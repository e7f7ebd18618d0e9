/*
 * Headroom and alignment of received messages, as uct_iface_params_t asks for
 * them, whichever way a message comes:
 *
 *       headroom        data, data + offset a multiple of the alignment
 *   +--------------+---------------------------------------------------+
 *   | ours, if kept|  message                                          |
 *   +--------------+---------------------------------------------------+
 *
 * Each row of the table is an interface that gets messages with the extended
 * header and without, early ones where the device reorders, keeps some, writes
 * all over what is its own, and gives them back later, in no order.
 */
#include "common/counters.h"
#include "common/said.h"
#include "stranger.h"

using namespace uct_test;

namespace {

const uint8_t AM_SHORT = 3, AM_LONG = 4;

/* alignment 0: not asked for */
struct row_t {
    size_t headroom, alignment, offset;
};

class kept_messages {
public:
    kept_messages(const row_t &row, unsigned every) :
        m_row(row), m_every(every)
    {
    }

    ~kept_messages()
    {
        while (!m_held.empty()) {
            release(0);
        }
    }

    void take_from(node &n, uint8_t id, const stream &s, checker &chk)
    {
        n.on_am(id, [this, &s, &chk](void *data, size_t length,
                                     unsigned flags) {
            uint64_t seq = chk.count();

            chk.take(data, length);
            return take(s, seq, data, length, flags);
        });
    }

    void release_down_to(size_t count)
    {
        while (m_held.size() > count) {
            release(mix64(++m_released) % m_held.size());
        }
    }

    uint64_t in_descriptors = 0;
    uint64_t kept           = 0;

private:
    struct held {
        const stream *s;
        uint64_t      seq;
        uint8_t       *data;
        size_t        length;
        uint8_t       mark;
    };

    ucs_status_t take(const stream &s, uint64_t seq, void *data, size_t length,
                      unsigned flags)
    {
        if (!(flags & UCT_CB_PARAM_FLAG_DESC)) {
            return UCS_OK;
        }

        ++in_descriptors;
        if (m_row.alignment != 0) {
            EXPECT_EQ(0u, ((uintptr_t)data + m_row.offset) % m_row.alignment)
                    << "message " << seq << " of " << length << " bytes at "
                    << data;
        }

        held h = {&s, seq, static_cast<uint8_t*>(data), length,
                  (uint8_t)mix64(seq + s.src())};
        memset(h.data - m_row.headroom, h.mark, m_row.headroom);
        if (seq % m_every != 0) {
            return UCS_OK;
        }
        ++kept;
        m_held.push_back(h);
        return UCS_INPROGRESS;
    }

    void release(size_t index)
    {
        held h = m_held[index];

        EXPECT_EQ("", h.s->verify(h.data, h.length, h.seq));
        for (size_t i = 1; i <= m_row.headroom; ++i) {
            if (h.data[-(ptrdiff_t)i] != h.mark) {
                ADD_FAILURE() << "headroom of message " << h.seq
                              << " was overwritten, " << i
                              << " bytes before the data";
                break;
            }
        }
        uct_iface_release_desc(h.data - m_row.headroom);
        m_held[index] = m_held.back();
        m_held.pop_back();
    }

    row_t             m_row;
    unsigned          m_every;
    uint64_t          m_released = 0;
    std::vector<held> m_held;
};

} // namespace

class align_test : public uct_base {
protected:
    static uint64_t with_header()
    {
        return is_srd() ? counter("rx_ext") : 0;
    }

    /* Messages first..last-1: short ones and long ones, by all ways */
    void send_all(end &e, const stream &small, const stream &large,
                  uint64_t first, uint64_t last, kept_messages &kept)
    {
        for (uint64_t seq = first; seq < last; ++seq) {
            send(e, (seq & 1) ? SHORT_IOV : SHORT, AM_SHORT, small, seq);
            send(e, (seq & 1) ? ZCOPY : BCOPY, AM_LONG, large, seq);
            if ((seq & 7) == 7) {
                progress();
            }
            kept.release_down_to(30);
        }
    }

    void run(const row_t &row)
    {
        config_map config;

        if (is_srd()) {
            /* Few, so that each is used again; nothing to wait for */
            config["RX_QUEUE_LEN"]  = "64";
            config["CLOSE_TIMEOUT"] = "0";
        }

        node &a = add_node(config);
        node &b = add_node(config, room_t(row.headroom, row.alignment,
                                          row.offset));
        end &e  = connect(a, b);
        stream small(1, length_plan::random(8, e.max_length(SHORT)));
        stream large(2, length_plan::random(1, e.max_length(BCOPY)));
        checker chk_small(small), chk_large(large);
        kept_messages kept(row, 3);
        const uint64_t before = with_header(), count = scaled(200);

        kept.take_from(b, AM_SHORT, small, chk_small);
        kept.take_from(b, AM_LONG, large, chk_large);

        /* Nobody answers before these have left. */
        for (uint64_t seq = 0; seq < 3; ++seq) {
            send(e, SHORT, AM_SHORT, small, seq);
            send(e, BCOPY, AM_LONG, large, seq);
        }
        send_all(e, small, large, 3, count, kept);
        flush(e);
        EXPECT_TRUE(wait([&]() {
            return (chk_small.count() >= count) && (chk_large.count() >= count);
        }));
        expect_clean(chk_small, count);
        expect_clean(chk_large, count);
        expect_promises();

        if (is_srd()) {
            /* All of them have a descriptor as long as there are some. */
            EXPECT_EQ(2 * count, kept.in_descriptors);
            EXPECT_GT(kept.kept, count / 2);
            EXPECT_GE(with_header() - before, 3u);
            EXPECT_LT(with_header() - before, 2 * count);
        }

        kept.release_down_to(0);
        m_ends.clear();
        m_nodes.clear();
    }

    /* Each headroom with each alignment and offset */
    void run_table(const std::vector<size_t> &headrooms,
                   const std::vector<std::pair<size_t, size_t>> &alignments)
    {
        for (size_t headroom : headrooms) {
            for (const auto &align : alignments) {
                SCOPED_TRACE("rx_headroom " + std::to_string(headroom) +
                             ", am_alignment " + std::to_string(align.first) +
                             ", am_align_offset " +
                             std::to_string(align.second));
                run({headroom, align.first, align.second});
                if (HasFailure()) {
                    return;
                }
            }
        }
    }

    /* What opening such an interface ends with */
    std::string open(const room_t &room)
    {
        said quiet;

        try {
            node n(m_dom, config_map(), room);
        } catch (const std::runtime_error &e) {
            return e.what();
        }
        return "no error";
    }
};

TEST_F(align_test, headroom_alone)
{
    run_table({0, 1, 2, 3, 5, 7, 8, 40, 47, 48, 49, 80, 255, 4097, 65536},
              {{0, 0}});
}

TEST_F(align_test, small_alignments)
{
    run_table({0, 1, 3, 80}, {{1, 0},
                              {1, 8},
                              {2, 1},
                              {4, 3},
                              {8, 0},
                              {8, 1},
                              {8, 7},
                              {16, 0},
                              {16, 5},
                              {16, 8}});
}

/* The extended header is no multiple of these. */
TEST_F(align_test, large_alignments)
{
    run_table({0, 1, 13, 80}, {{32, 0},
                               {32, 31},
                               {64, 0},
                               {64, 1},
                               {128, 8},
                               {512, 511},
                               {4096, 0},
                               {4096, 8},
                               {4096, 4095}});
}

TEST_F(align_test, beyond_pages)
{
    run_table({0, 7, 100000}, {{16384, 9000}, {65536, 65535}, {1 << 18, 1}});
}

/* Its extended header is longer: the payload stands where no other does. */
TEST_F(align_test, header_of_a_later_version)
{
    if (!is_srd()) {
        GTEST_SKIP() << "about the protocol of srd";
    }

    for (const row_t &row :
         {row_t{0, 0, 0}, row_t{5, 0, 0}, row_t{80, 8, 1}, row_t{80, 64, 3}}) {
        node &b = add_node(config_map(),
                           room_t(row.headroom, row.alignment, row.offset));
        stranger x(b.dom()->device(), b.addr());
        stream s(1, length_plan::random(1, 3000));
        checker chk(s);
        kept_messages kept(row, 1);

        kept.take_from(b, AM_LONG, s, chk);
        for (uint64_t seq = 0; seq < 20; ++seq) {
            std::vector<uint8_t> data(s.length(seq));

            s.fill(data.data(), seq, data.size());
            x.me.len8 = (UCT_SRD_EXT_LEN / 8) + (seq % 4);
            x.send_ext(uct_srd_imm_pack(x.me.epoch, AM_LONG, UCT_SRD_IMM_EXT,
                                        seq),
                       data.data(), data.size(), [this]() { progress(); });
            wait([&]() { return chk.count() > seq; });
        }
        expect_clean(chk, 20);
        EXPECT_EQ(20u, kept.in_descriptors);
        kept.release_down_to(0);
    }
}

/* 0 and 3 are no alignments, and without one there is no offset. */
TEST_F(align_test, not_legal)
{
    const std::string refused = std::string("uct_iface_open: ") +
                                ucs_status_string(UCS_ERR_INVALID_PARAM);

    EXPECT_EQ(refused, open(room_t(0, 0, 11)));
    for (size_t alignment : {(size_t)0, (size_t)3, (size_t)12, SIZE_MAX}) {
        room_t room(0, alignment, 0);

        room.fields = UCT_IFACE_PARAM_FIELD_AM_ALIGNMENT;
        EXPECT_EQ(refused, open(room)) << alignment;
    }
    for (size_t headroom : {SIZE_MAX, SIZE_MAX - 100, (size_t)1 << 62}) {
        EXPECT_EQ(refused, open(room_t(headroom))) << headroom;
    }
}
