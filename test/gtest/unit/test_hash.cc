/*
 * Hashes of the keys that peers are found by, as a cluster has them: khash
 * takes the lower bits, and many alike make a table slow.
 */
#include "srd/wire/srd_hash.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace {

const unsigned NUM = 10000;

/* Of NUM keys in 16384 buckets at random, 7480 buckets are hit. */
void expect_spread(const std::function<uint32_t(unsigned)> &hash)
{
    std::set<uint32_t> buckets;

    for (unsigned i = 0; i < NUM; ++i) {
        buckets.insert(hash(i) % 16384);
    }
    EXPECT_GT(buckets.size(), 6500u);
}

/* fe80::<host>, the last bytes of which differ, as of addresses in a row */
uint32_t ident(unsigned host, uint32_t qpn, uint32_t qkey)
{
    uint8_t gid[16] = {0xfe, 0x80, 0,    0,    0,    0,    0,
                       0,    0x04, 0x2b, 0xd7, 0xff, 0xfe, 0};

    gid[14] = host >> 8;
    gid[15] = host & 255;
    return uct_srd_hash_ident(gid, qpn, qkey);
}

} // namespace

TEST(hash, many_hosts)
{
    expect_spread([](unsigned i) { return ident(i, 1, 0xffffffff); });
    expect_spread([](unsigned i) { return ident(i, 0xffffffff, 0x1234); });
}

TEST(hash, many_queue_pairs)
{
    expect_spread([](unsigned i) { return ident(1, i, 0xffffffff); });
    expect_spread([](unsigned i) { return ident(i / 100, i % 100, ~0u); });
}

TEST(hash, many_qkeys)
{
    expect_spread([](unsigned i) { return ident(1, 1, i); });
    expect_spread([](unsigned i) { return ident(1, 1, i << 16); });
}

TEST(hash, ah_numbers_and_queue_pairs)
{
    expect_spread([](unsigned i) { return uct_srd_hash_key(i << 16 | 1); });
    expect_spread([](unsigned i) { return uct_srd_hash_key(1 << 16 | i); });
    expect_spread([](unsigned i) {
        return uct_srd_hash_key((i / 100) << 16 | (i % 100));
    });
    expect_spread([](unsigned i) { return uct_srd_hash_key(i); });
}
