/*
 * The tool's reader on stats segments with records of every type, in memory:
 * what changes between the two looks, rings, links, times. The file around it,
 * and what the transport writes, is in test_stats.cc.
 */
#include "tools/reader/stats_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

class test_reader : public ::testing::Test {
protected:
    void SetUp() override
    {
        efa_stats_header_t header = {};

        header.magic      = EFA_STATS_MAGIC;
        header.version    = EFA_STATS_VERSION;
        header.header_len = sizeof(header);
        m_bytes.assign(reinterpret_cast<char*>(&header),
                       reinterpret_cast<char*>(&header + 1));
    }

    void TearDown() override
    {
        stats_free(&m_segment);
    }

    template<typename T>
    static T record(efa_stats_type_t type)
    {
        T rec          = {};
        rec.rec.type   = type;
        rec.rec.length = sizeof(T);
        return rec;
    }

    /* Returns its place */
    template<typename T>
    uint32_t add(const T &rec)
    {
        size_t at = m_bytes.size();

        m_bytes.resize(at + rec.rec.length);
        memcpy(&m_bytes[at], &rec,
               std::min<size_t>(rec.rec.length, sizeof(rec)));
        return uint32_t(at / EFA_STATS_ALIGN);
    }

    uint32_t add_peer(uint32_t qpn)
    {
        efa_stats_peer_t peer = record<efa_stats_peer_t>(EFA_STATS_PEER);

        peer.qpn          = qpn;
        peer.num_counters = EFA_STATS_PEER_NUM;
        peer.counters_off = EFA_STATS_PEER_OFF;
        return add(peer);
    }

    /* num entries, the events [first, next) in their places */
    uint32_t add_ring(uint32_t num, uint64_t first, uint64_t next)
    {
        efa_stats_events_t ring = record<efa_stats_events_t>(
                EFA_STATS_EVENTS);

        ring.num         = num;
        ring.entries_off = sizeof(ring);
        ring.next        = next;
        ring.rec.length += num * sizeof(efa_stats_event_entry_t);
        uint32_t place   = add(ring);
        for (uint64_t n = first; n < next; ++n) {
            efa_stats_event_entry_t entry = {};

            entry.seq  = n + 1;
            entry.time = 100 + n;
            memcpy(&m_bytes[event_at(place, n % num)], &entry, sizeof(entry));
        }
        return place;
    }

    static size_t event_at(uint32_t place, uint64_t index)
    {
        return place * EFA_STATS_ALIGN + sizeof(efa_stats_events_t) +
               index * sizeof(efa_stats_event_entry_t);
    }

    template<typename T>
    static void poke(std::vector<char> &bytes, size_t at, T value)
    {
        ASSERT_LE(at + sizeof(value), bytes.size());
        memcpy(&bytes[at], &value, sizeof(value));
    }

    void complete()
    {
        poke<uint64_t>(m_bytes, offsetof(efa_stats_header_t, used),
                       m_bytes.size());
    }

    /* second: the file at the second look */
    void parse(const std::vector<char> &second)
    {
        stats_free(&m_segment);
        EXPECT_STREQ(nullptr, stats_parse(m_bytes.data(), second.data(),
                                          m_bytes.size(), &m_segment));
    }

    void parse()
    {
        complete();
        parse(m_bytes);
    }

    std::vector<uint64_t> events()
    {
        std::vector<uint64_t> numbers;

        for (unsigned i = 0; i < m_segment.num_events; ++i) {
            numbers.push_back(m_segment.events[i].seq - 1);
        }
        return numbers;
    }

    std::vector<char> m_bytes;
    stats_segment_t          m_segment = {};
};

typedef std::vector<uint64_t> numbers;

} // namespace

TEST_F(test_reader, events_in_order)
{
    uint32_t place = add_ring(4, 0, 3);
    parse();
    EXPECT_EQ(numbers({0, 1, 2}), events());

    m_bytes.resize(place * EFA_STATS_ALIGN);
    place = add_ring(4, 6, 10); /* overwritten from the front */
    parse();
    EXPECT_EQ(numbers({6, 7, 8, 9}), events());

    /* One that was being written, one that was written between the looks */
    poke<uint64_t>(m_bytes, event_at(place, 6 % 4), 0);
    std::vector<char> later = m_bytes;
    poke<uint64_t>(later, event_at(place, 7 % 4), 12);
    parse(later);
    EXPECT_EQ(numbers({8, 9}), events());
}

TEST_F(test_reader, events_of_a_ring_that_lies)
{
    uint32_t place = add_ring(4, 0, 4);
    size_t num = place * EFA_STATS_ALIGN + offsetof(efa_stats_events_t, num);
    size_t off = place * EFA_STATS_ALIGN +
                 offsetof(efa_stats_events_t, entries_off);
    size_t next = place * EFA_STATS_ALIGN + offsetof(efa_stats_events_t, next);
    complete();
    const std::vector<char> good = m_bytes;

    for (uint32_t value : {0u, 5u, 0x04000001u, ~0u}) {
        m_bytes = good;
        poke<uint32_t>(m_bytes, num, value);
        parse();
        EXPECT_EQ(0u, m_segment.num_events) << value;
    }
    for (uint32_t value : {0u, 8u, 129u, 1u << 20, ~0u}) {
        m_bytes = good;
        poke<uint32_t>(m_bytes, off, value);
        parse();
        EXPECT_EQ(0u, m_segment.num_events) << value;
    }
    for (uint64_t value : {uint64_t(0), ~uint64_t(0), uint64_t(1) << 63}) {
        m_bytes = good;
        poke<uint64_t>(m_bytes, next, value);
        parse();
        EXPECT_EQ(0u, m_segment.num_events) << value;
    }
}

TEST_F(test_reader, what_changes_its_identity_is_left_out)
{
    uint32_t first = add_peer(1), second = add_peer(2), third = add_peer(3);
    complete();

    std::vector<char> later = m_bytes;
    size_t gen              = offsetof(efa_stats_record_t, gen);
    poke<uint32_t>(m_bytes, first * EFA_STATS_ALIGN + gen, 1);
    poke<uint32_t>(later, first * EFA_STATS_ALIGN + gen, 1);
    poke<uint32_t>(later, third * EFA_STATS_ALIGN + gen, 2);
    parse(later);
    ASSERT_EQ(1u, m_segment.num_peers);
    EXPECT_EQ(2u, m_segment.peers[0].qpn);
    EXPECT_EQ(second, m_segment.peers[0].rec.reserved);
}

TEST_F(test_reader, links)
{
    efa_stats_device_t device = record<efa_stats_device_t>(EFA_STATS_DEVICE);
    efa_stats_iface_t iface   = record<efa_stats_iface_t>(EFA_STATS_IFACE);
    efa_stats_ep_t ep         = record<efa_stats_ep_t>(EFA_STATS_EP);

    for (uint32_t index : {7, 2, 9}) { /* in no order */
        device.index = index;
        iface.index  = 10 + index;
        iface.device = index;
        snprintf(device.name, sizeof(device.name), "efa_%u", index);
        add(device);
        add(iface);
    }
    add_peer(1);
    ep.peer = add_peer(2);
    add_peer(3);
    add(ep);
    ep.peer += 1; /* inside of a record */
    add(ep);
    ep.peer = 1u << 30;
    add(ep);
    ep.peer = 0;
    add(ep);
    parse();

    ASSERT_EQ(4u, m_segment.num_eps);
    ASSERT_NE(nullptr, stats_link_peer(&m_segment, &m_segment.eps[0]));
    EXPECT_EQ(2u, stats_link_peer(&m_segment, &m_segment.eps[0])->qpn);
    for (unsigned i = 1; i < 4; ++i) {
        EXPECT_EQ(nullptr, stats_link_peer(&m_segment, &m_segment.eps[i])) << i;
    }

    for (uint32_t index : {2, 7, 9}) {
        const efa_stats_iface_t *found = stats_link_iface(&m_segment,
                                                          10 + index);
        ASSERT_NE(nullptr, found);
        ASSERT_EQ(index, found->device);
        EXPECT_EQ("efa_" + std::to_string(index),
                  stats_link_device(&m_segment, found->device)->name);
    }
    for (uint32_t index : {0u, 1u, 8u, 10u, EFA_STATS_NONE}) {
        EXPECT_EQ(nullptr, stats_link_device(&m_segment, index));
    }
}

TEST_F(test_reader, shorter_records_have_zeroes)
{
    efa_stats_object_t object = record<efa_stats_object_t>(EFA_STATS_OBJECT);

    memset(&object.kind, 0x55, sizeof(object) - sizeof(object.rec));
    object.rec.length = 64; /* up to size2 */
    add(object);
    parse();
    ASSERT_EQ(1u, m_segment.num_objects);
    EXPECT_EQ(0x55555555u, m_segment.objects[0].number);
    EXPECT_EQ(0x5555555555555555u, m_segment.objects[0].size2);
    EXPECT_EQ(0x55, m_segment.objects[0].gid[0]);
    EXPECT_EQ(0, m_segment.objects[0].gid[15]);
    EXPECT_STREQ("", m_segment.objects[0].site);

    /* An interface without its names and counters is none */
    efa_stats_iface_t iface = record<efa_stats_iface_t>(EFA_STATS_IFACE);
    iface.rec.length        = 64;
    add(iface);
    parse();
    EXPECT_EQ(0u, m_segment.num_ifaces);
}

TEST_F(test_reader, times)
{
    poke<uint64_t>(m_bytes, offsetof(efa_stats_header_t, create_time), 5000000);
    poke<uint64_t>(m_bytes, offsetof(efa_stats_header_t, open_time), 1000);
    add_peer(1);
    size_t peer = sizeof(efa_stats_header_t);
    add_ring(2, 0, 2);
    parse();
    EXPECT_EQ(1000u, stats_time_newest(&m_segment));

    poke<uint64_t>(m_bytes, peer + offsetof(efa_stats_peer_t, rx_time), 3000);
    parse();
    EXPECT_EQ(3000u, stats_time_newest(&m_segment));

    m_segment.now = 3000;
    EXPECT_EQ(0u, stats_time_age(&m_segment, 0)) << "never";
    EXPECT_EQ(0u, stats_time_age(&m_segment, 3001)) << "later than now";
    EXPECT_EQ(2999u, stats_time_age(&m_segment, 1));
    EXPECT_EQ(0u, stats_time_wall(&m_segment, 0));
    EXPECT_EQ(5001000u, stats_time_wall(&m_segment, 2000));
    EXPECT_EQ(4999900u, stats_time_wall(&m_segment, 900)) << "before it";
}
