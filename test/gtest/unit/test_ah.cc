/*
 * The AH cache against a device made of three functions: the program's own
 * ibv_create_ah, ibv_destroy_ah and efadv_query_ah come before libibverbs'.
 */
#include "base/device/efa_ah.h"
#include <infiniband/efadv.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

/* A device with room for `limit` AHs, as ENOMEM tells */
struct fake_device {
    std::mutex                         lock;
    size_t                             limit       = 4;
    int                                create_errno = 0; /* instead of an AH */
    int                                query_error  = 0;
    unsigned                           creates      = 0;
    size_t                             max_live     = 0;
    uint16_t                           next_ahn     = 100;
    std::map<ibv_ah*, std::string>     live;
    std::map<ibv_ah*, uint16_t>        ahn;
    std::vector<std::string>           destroyed;

    static std::string key(const ibv_gid &gid)
    {
        return std::string(reinterpret_cast<const char*>(gid.raw),
                           sizeof(gid.raw));
    }
};

fake_device *device;

} // namespace

extern "C" struct ibv_ah *ibv_create_ah(struct ibv_pd *,
                                        struct ibv_ah_attr *attr)
{
    /* A system call: others get their chance to be in the way */
    std::this_thread::yield();
    std::lock_guard<std::mutex> guard(device->lock);

    if (!attr->is_global || (attr->port_num != 1) ||
        (attr->grh.sgid_index != 0)) {
        errno = EINVAL;
        return nullptr;
    }
    if (device->create_errno != 0) {
        errno = device->create_errno;
        return nullptr;
    }
    if (device->live.size() >= device->limit) {
        errno = ENOMEM;
        return nullptr;
    }

    ibv_ah *ah       = new ibv_ah();
    device->live[ah] = fake_device::key(attr->grh.dgid);
    device->ahn[ah]  = device->next_ahn++;
    device->max_live = std::max(device->max_live, device->live.size());
    ++device->creates;
    return ah;
}

extern "C" int ibv_destroy_ah(struct ibv_ah *ah)
{
    std::this_thread::yield();
    std::lock_guard<std::mutex> guard(device->lock);

    EXPECT_EQ(1u, device->live.count(ah)) << "destroyed twice, or not made";
    device->destroyed.push_back(device->live[ah]);
    device->live.erase(ah);
    device->ahn.erase(ah);
    delete ah;
    return 0;
}

extern "C" int efadv_query_ah(struct ibv_ah *ah, struct efadv_ah_attr *attr,
                              uint32_t inlen)
{
    std::lock_guard<std::mutex> guard(device->lock);

    if (inlen < sizeof(*attr)) {
        return EINVAL;
    }
    if (device->query_error != 0) {
        return device->query_error;
    }
    attr->ahn = device->ahn.at(ah);
    return 0;
}

namespace {

ibv_gid gid_of(uint64_t number)
{
    ibv_gid gid;

    memset(&gid, 0, sizeof(gid));
    gid.raw[0] = 0xfe;
    gid.raw[1] = 0x80;
    memcpy(&gid.raw[8], &number, sizeof(number));
    return gid;
}

std::string key_of(uint64_t number)
{
    return fake_device::key(gid_of(number));
}

class test_ah : public ::testing::Test {
protected:
    void SetUp() override
    {
        device = &m_device;
        ASSERT_EQ(UCS_OK, uct_efa_ah_cache_create(&m_pd, &m_cache));
    }

    void TearDown() override
    {
        if (m_cache != nullptr) {
            uct_efa_ah_cache_destroy(m_cache);
        }
        EXPECT_EQ(0u, m_device.live.size()) << "AHs left on the device";
        EXPECT_EQ(m_device.creates, m_device.destroyed.size());
        device = nullptr;
    }

    uct_efa_ah_t *get(uint64_t number)
    {
        uct_efa_ah_t *ah = nullptr;

        EXPECT_EQ(UCS_OK, try_get(number, &ah)) << number;
        return ah;
    }

    ucs_status_t try_get(uint64_t number, uct_efa_ah_t **ah_p,
                         void *owner = nullptr)
    {
        ibv_gid gid = gid_of(number);

        return uct_efa_ah_get(m_cache, owner, nullptr, &gid, ah_p);
    }

    /* Has the device an AH for it? */
    bool is_live(uint64_t number)
    {
        for (auto &entry : m_device.live) {
            if (entry.second == key_of(number)) {
                return true;
            }
        }
        return false;
    }

    uct_efa_ah_stats_t stats()
    {
        uct_efa_ah_stats_t stats;

        uct_efa_ah_cache_stats(m_cache, &stats);
        return stats;
    }

    fake_device        m_device;
    ibv_pd             m_pd    = {};
    uct_efa_ah_cache_t *m_cache = nullptr;
};

/* Gives up references, as an interface does */
struct fake_owner {
    explicit fake_owner(uct_efa_ah_cache_t *c) : cache(c)
    {
    }

    uct_efa_ah_cache_t         *cache;
    std::vector<uct_efa_ah_t*> held;
    unsigned                   calls = 0;
    unsigned                   give  = ~0u; /* at most so many a call */

    static unsigned reclaim(void *arg, unsigned wanted)
    {
        fake_owner *self = static_cast<fake_owner*>(arg);
        unsigned count   = 0;

        ++self->calls;
        while (!self->held.empty() && (count < wanted) &&
               (count < self->give)) {
            uct_efa_ah_put(self->cache, self->held.front());
            self->held.erase(self->held.begin());
            ++count;
        }
        return count;
    }
};

} // namespace

TEST_F(test_ah, one_for_each_gid)
{
    uct_efa_ah_t *first  = get(1);
    uct_efa_ah_t *again  = get(1);
    uct_efa_ah_t *second = get(2);

    EXPECT_EQ(first, again);
    EXPECT_NE(first, second);
    EXPECT_EQ(2u, m_device.creates);
    EXPECT_EQ(100, first->ahn);
    EXPECT_EQ(101, second->ahn);
    EXPECT_EQ(2u, stats().used);

    uct_efa_ah_put(m_cache, first);
    EXPECT_EQ(2u, stats().used) << "one reference is left";
    uct_efa_ah_put(m_cache, again);
    uct_efa_ah_put(m_cache, second);
    EXPECT_EQ(0u, stats().used);
    EXPECT_EQ(2u, stats().idle);
}

TEST_F(test_ah, gids_that_differ_in_one_bit)
{
    /* Every bit of the GID counts, also those of the prefix */
    m_device.limit = 1000;
    std::set<uct_efa_ah_t *> all;
    ibv_gid base = gid_of(0x0123456789abcdefull);

    for (unsigned bit = 0; bit < 128; ++bit) {
        ibv_gid gid      = base;
        uct_efa_ah_t *ah = nullptr;

        gid.raw[bit / 8] ^= 1u << (bit % 8);
        ASSERT_EQ(UCS_OK, uct_efa_ah_get(m_cache, nullptr, nullptr, &gid, &ah));
        EXPECT_EQ(0, memcmp(&ah->gid, &gid, sizeof(gid)));
        all.insert(ah);
    }

    EXPECT_EQ(128u, all.size());
    EXPECT_EQ(128u, m_device.creates);
    for (auto ah : all) {
        uct_efa_ah_put(m_cache, ah);
    }
}

TEST_F(test_ah, idle_ones_are_kept_and_used_again)
{
    uct_efa_ah_t *ah = get(1);

    uct_efa_ah_put(m_cache, ah);
    EXPECT_EQ(1u, m_device.live.size());
    EXPECT_EQ(ah, get(1));
    EXPECT_EQ(1u, m_device.creates);
    EXPECT_EQ(1u, stats().used);
    EXPECT_EQ(0u, stats().idle);
    uct_efa_ah_put(m_cache, ah);
}

TEST_F(test_ah, evicts_the_one_put_first)
{
    uct_efa_ah_t *ahs[4];

    for (unsigned i = 0; i < 4; ++i) {
        ahs[i] = get(i);
    }
    /* Order of putting, not of making */
    for (unsigned i : {2, 0, 3, 1}) {
        uct_efa_ah_put(m_cache, ahs[i]);
    }
    /* Used again: goes to the end */
    uct_efa_ah_put(m_cache, get(0));

    uct_efa_ah_put(m_cache, get(10));
    EXPECT_EQ((std::vector<std::string>{key_of(2)}), m_device.destroyed);
    uct_efa_ah_put(m_cache, get(11));
    EXPECT_EQ((std::vector<std::string>{key_of(2), key_of(3)}),
              m_device.destroyed);
    EXPECT_EQ(2u, stats().evicts);

    EXPECT_FALSE(is_live(2));
    EXPECT_TRUE(is_live(0));
}

TEST_F(test_ah, never_evicts_what_is_used)
{
    std::vector<uct_efa_ah_t *> ahs;
    uct_efa_ah_t *ah = nullptr;

    for (unsigned i = 0; i < 4; ++i) {
        ahs.push_back(get(i));
    }

    EXPECT_EQ(UCS_ERR_NO_RESOURCE, try_get(4, &ah));
    EXPECT_EQ(nullptr, ah);
    EXPECT_EQ(0u, m_device.destroyed.size());
    EXPECT_EQ(1u, uct_efa_ah_cache_wanted(m_cache));

    /* The ones there are still found */
    EXPECT_EQ(ahs[3], get(3));
    uct_efa_ah_put(m_cache, ahs[3]);

    /* One given back, and it works */
    uct_efa_ah_put(m_cache, ahs[1]);
    EXPECT_EQ(UCS_OK, try_get(4, &ah));
    EXPECT_EQ((std::vector<std::string>{key_of(1)}), m_device.destroyed);
    uct_efa_ah_put(m_cache, ah);
    for (unsigned i : {0, 2, 3}) {
        uct_efa_ah_put(m_cache, ahs[i]);
    }
}

TEST_F(test_ah, owners_give_up_some)
{
    fake_owner owner1(m_cache), owner2(m_cache);
    uct_efa_ah_t *ah = nullptr;

    ASSERT_EQ(UCS_OK, uct_efa_ah_cache_add_owner(m_cache, fake_owner::reclaim,
                                                 &owner1));
    ASSERT_EQ(UCS_OK, uct_efa_ah_cache_add_owner(m_cache, fake_owner::reclaim,
                                                 &owner2));
    for (unsigned i = 0; i < 4; ++i) {
        ((i < 2) ? owner1 : owner2).held.push_back(get(i));
    }

    /* Only the one that asks */
    ASSERT_EQ(UCS_OK, try_get(10, &ah, &owner2));
    EXPECT_EQ(0u, owner1.calls);
    EXPECT_EQ(1u, owner2.calls);
    EXPECT_EQ(2u, owner1.held.size());
    EXPECT_EQ(1u, m_device.destroyed.size());
    owner2.held.push_back(ah);

    /* The second idle one of owner2 goes without asking */
    ASSERT_EQ(UCS_OK, try_get(11, &ah, &owner2));
    EXPECT_EQ(1u, owner2.calls);
    owner2.held.push_back(ah);

    /* owner2 gives nothing, and owner1 is not asked in its name */
    owner2.give = 0;
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, try_get(12, &ah, &owner2));
    EXPECT_EQ(0u, owner1.calls);
    EXPECT_EQ(1u, uct_efa_ah_cache_wanted(m_cache));

    ASSERT_EQ(UCS_OK, try_get(12, &ah, &owner1));
    EXPECT_EQ(1u, owner1.calls);
    owner1.held.push_back(ah);

    owner2.give = ~0u;
    fake_owner::reclaim(&owner1, ~0u);
    fake_owner::reclaim(&owner2, ~0u);
    uct_efa_ah_cache_remove_owner(m_cache, &owner1);
    uct_efa_ah_cache_remove_owner(m_cache, &owner2);
    unsigned calls = owner1.calls;
    for (unsigned i = 20; i < 30; ++i) {
        uct_efa_ah_put(m_cache, get(i));
    }
    EXPECT_EQ(calls, owner1.calls) << "removed owners are not asked";
}

/* The moment when a number has no meaning: destroyed, and not given again */
namespace {
struct evict_log {
    unsigned              calls = 0;
    std::vector<unsigned> destroyed, created; /* on the device, at each call */

    static void evicted(void *arg)
    {
        evict_log *self = static_cast<evict_log*>(arg);

        ++self->calls;
        self->destroyed.push_back(device->destroyed.size());
        self->created.push_back(device->creates);
    }
};
} // namespace

TEST_F(test_ah, tells_of_evictions)
{
    evict_log log;
    uct_efa_ah_t *ah = nullptr;
    ibv_gid gid;

    for (unsigned i = 0; i < 4; ++i) {
        uct_efa_ah_put(m_cache, get(i));
    }

    /* Found, or room for it: nothing to tell */
    gid = gid_of(1);
    ASSERT_EQ(UCS_OK,
              uct_efa_ah_get(m_cache, &log, evict_log::evicted, &gid, &ah));
    uct_efa_ah_put(m_cache, ah);
    EXPECT_EQ(0u, log.calls);

    gid = gid_of(10);
    ASSERT_EQ(UCS_OK,
              uct_efa_ah_get(m_cache, &log, evict_log::evicted, &gid, &ah));
    uct_efa_ah_put(m_cache, ah);
    m_device.limit = 2; /* others use the device, too: three must go */
    gid            = gid_of(11);
    ASSERT_EQ(UCS_OK,
              uct_efa_ah_get(m_cache, &log, evict_log::evicted, &gid, &ah));
    uct_efa_ah_put(m_cache, ah);
    EXPECT_EQ((std::vector<unsigned>{1, 2, 3, 4}), log.destroyed);
    EXPECT_EQ((std::vector<unsigned>{4, 5, 5, 5}), log.created);
}

TEST_F(test_ah, refused_gid)
{
    uct_efa_ah_t *ah = nullptr;

    m_device.create_errno = EINVAL;
    EXPECT_EQ(UCS_ERR_UNREACHABLE, try_get(1, &ah));
    EXPECT_EQ(nullptr, ah);
    EXPECT_EQ(0u, stats().used + stats().idle);
    EXPECT_EQ(0u, uct_efa_ah_cache_wanted(m_cache));

    /* Nothing is remembered against it */
    m_device.create_errno = 0;
    EXPECT_EQ(UCS_OK, try_get(1, &ah));
    uct_efa_ah_put(m_cache, ah);
}

TEST_F(test_ah, refused_gid_evicts_nobody)
{
    uct_efa_ah_t *ah = nullptr;

    for (unsigned i = 0; i < 4; ++i) {
        uct_efa_ah_put(m_cache, get(i));
    }
    m_device.create_errno = EINVAL;
    EXPECT_EQ(UCS_ERR_UNREACHABLE, try_get(9, &ah));
    EXPECT_EQ(0u, m_device.destroyed.size());
}

TEST_F(test_ah, number_unknown)
{
    uct_efa_ah_t *ah = nullptr;

    m_device.query_error = EOPNOTSUPP;
    EXPECT_EQ(UCS_ERR_UNREACHABLE, try_get(1, &ah));
    EXPECT_EQ(0u, m_device.live.size()) << "the AH must not stay behind";
    EXPECT_EQ(0u, stats().used + stats().idle);
}

TEST_F(test_ah, ten_thousand_peers_over_1024)
{
    m_device.limit = 1024;

    fake_owner owner(m_cache);
    owner.give = 3;
    ASSERT_EQ(UCS_OK,
              uct_efa_ah_cache_add_owner(m_cache, fake_owner::reclaim, &owner));
    for (unsigned i = 0; i < 10000; ++i) {
        uct_efa_ah_t *ah = nullptr;

        ASSERT_EQ(UCS_OK, try_get(i, &ah, &owner)) << i;
        ASSERT_EQ(0, memcmp(&ah->gid, gid_of(i).raw, sizeof(ah->gid)));
        owner.held.push_back(ah);
    }

    EXPECT_EQ(1024u, m_device.max_live);
    EXPECT_EQ(10000u - 1024u, stats().evicts);
    EXPECT_EQ(10000u, m_device.creates);
    EXPECT_EQ(stats().used + stats().idle, m_device.live.size());
    fake_owner::reclaim(&owner, ~0u);
    owner.give = ~0u;
    fake_owner::reclaim(&owner, ~0u);
    EXPECT_EQ(0u, stats().used);
}

TEST_F(test_ah, threads)
{
    const unsigned num_threads = 4, num_gids = 12, rounds = 1000;
    std::vector<std::thread> threads;

    /* Each holds one at a time: there is always an AH to be had */
    m_device.limit = num_threads + 1;
    for (unsigned t = 0; t < num_threads; ++t) {
        threads.emplace_back([this, t]() {
            std::minstd_rand random(t + 1);

            for (unsigned i = 0; i < rounds; ++i) {
                uint64_t number  = random() % num_gids;
                uct_efa_ah_t *ah = nullptr;

                ASSERT_EQ(UCS_OK, try_get(number, &ah));
                ASSERT_EQ(0, memcmp(&ah->gid, gid_of(number).raw,
                                    sizeof(ah->gid)));
                uct_efa_ah_put(m_cache, ah);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }

    EXPECT_EQ(0u, stats().used);
    EXPECT_EQ(stats().idle, m_device.live.size());
    EXPECT_LE(m_device.max_live, m_device.limit);

    /* No GID twice on the device */
    std::set<std::string> gids;
    for (auto &entry : m_device.live) {
        EXPECT_TRUE(gids.insert(entry.second).second);
    }
}
