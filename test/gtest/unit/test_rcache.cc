/*
 * The registration cache: who gets which registration, and when one ends. The
 * device is that of fake_verbs.h, which counts; the cache is UCX's own.
 */
#include "unit/fake_verbs.h"
#include "unit/md_probe.h"
#include "base/mem/efa_rkey.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

const size_t page       = 4096;
const int local         = IBV_ACCESS_LOCAL_WRITE;
const int remote_read   = IBV_ACCESS_REMOTE_READ;
const int remote_write  = IBV_ACCESS_REMOTE_WRITE;
const int all           = local | remote_read | remote_write;

class test_rcache : public ::testing::Test {
protected:
    void SetUp() override
    {
        memset(&fake_verbs, 0, sizeof(fake_verbs));
        fake_device_t *fake = &fake_verbs.devices[0];
        strcpy(fake->name, "efa_0");
        strcpy(fake->sysfs, "/nowhere");
        fake->is_efa              = 1;
        fake->attr.vendor_part_id = 0xefa1;
        fake->attr.max_mr_size    = 96ull << 30;
        fake->attr.max_mr         = 262144;
        fake->efa.device_caps     = 0xf;
        fake->port.state          = IBV_PORT_ACTIVE;
        fake->port.max_msg_sz     = 8928;

        m_mem = map(nullptr);
        ASSERT_NE(MAP_FAILED, (void*)m_mem);
    }

    void TearDown() override
    {
        if (m_md != nullptr) {
            md_probe_close(m_md);
        }
        EXPECT_EQ(0, fake_verbs.num_mrs) << "left behind";
        EXPECT_EQ(0, fake_verbs.num_pds);
        munmap(m_mem, pages * page);
    }

    static char *map(char *where)
    {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0);

        return (char*)mmap(where, pages * page, PROT_READ | PROT_WRITE, flags,
                           -1, 0);
    }

    void open(std::vector<const char*> options = {"RCACHE", "y"})
    {
        options.push_back(nullptr);
        if (md_probe_open_with("efa_0", options.data(), &m_md) != UCS_OK) {
            throw std::runtime_error("cannot open efa_0");
        }
    }

    void *reg(char *address, size_t length, int how = MD_PROBE_REG_ALL)
    {
        void *memh = nullptr;

        EXPECT_EQ(UCS_OK, md_probe_reg(m_md, address, length, how, &memh));
        return memh;
    }

    void dereg(void *memh)
    {
        EXPECT_EQ(UCS_OK, md_probe_dereg(m_md, memh));
    }

    /* Registrations with the device that body made */
    template <typename Func> unsigned made(Func body)
    {
        unsigned before = fake_verbs.num_regs;

        body();
        return fake_verbs.num_regs - before;
    }

    unsigned made_by_reg(char *address, size_t length,
                         int how = MD_PROBE_REG_ALL)
    {
        return made([&]() { dereg(reg(address, length, how)); });
    }

    uint64_t rkey(void *memh)
    {
        return md_probe_rkey(m_md, memh);
    }

    static const size_t pages = 16;
    void                *m_md = nullptr;
    char                *m_mem;
};

} // namespace

TEST_F(test_rcache, kept_after_deregistration)
{
    open();
    EXPECT_EQ(1u, made_by_reg(m_mem, 2 * page));
    EXPECT_EQ(1, fake_verbs.num_mrs);
    EXPECT_EQ(0u, made_by_reg(m_mem, 2 * page));
    EXPECT_EQ(0u, made_by_reg(m_mem + 100, page)) << "a part of it";
    EXPECT_EQ(1u, made_by_reg(m_mem + 4 * page, page)) << "not a part of it";

    void *first = reg(m_mem, page), *second = reg(m_mem + 64, page);
    EXPECT_EQ(first, second);
    dereg(second);
    EXPECT_EQ(2, fake_verbs.num_mrs);
    dereg(first);
    EXPECT_EQ(2, fake_verbs.num_mrs);
}

TEST_F(test_rcache, off)
{
    open({"RCACHE", "n"});
    EXPECT_EQ(1u, made_by_reg(m_mem, page));
    EXPECT_EQ(0, fake_verbs.num_mrs);
    EXPECT_EQ(1u, made_by_reg(m_mem, page));
}

TEST_F(test_rcache, default_by_version)
{
    md_probe_attr_t attr;

    open({});
    made_by_reg(m_mem, page);
    EXPECT_EQ(md_probe_caches_by_default() ? 1 : 0, fake_verbs.num_mrs);

    md_probe_query(m_md, &attr);
    EXPECT_EQ(md_probe_flag_invalidate(),
              attr.flags & md_probe_flag_invalidate());
}

TEST_F(test_rcache, only_asked_for_loses_invalidation)
{
    md_probe_attr_t attr;
    int done = 0;

    open();
    md_probe_query(m_md, &attr);
    EXPECT_EQ(md_probe_caches_by_default() ? md_probe_flag_invalidate() : 0,
              attr.flags & md_probe_flag_invalidate());
    if (!md_probe_caches_by_default()) {
        void *memh = reg(m_mem, page);
        EXPECT_EQ(UCS_ERR_UNSUPPORTED,
                  md_probe_ucx_invalidate(m_md, memh, &done));
        EXPECT_EQ(0, done);
        dereg(memh);
    }
}

TEST_F(test_rcache, cost_is_that_of_a_lookup)
{
    md_probe_attr_t cached, alone;

    open({"RCACHE", "y", "RCACHE_OVERHEAD", "1us"});
    md_probe_query(m_md, &cached);
    EXPECT_NEAR(1e-6, cached.reg_cost, 1e-9);
    EXPECT_EQ(0, cached.reg_cost_per_byte);
    md_probe_close(m_md);

    open({"RCACHE", "n"});
    md_probe_query(m_md, &alone);
    EXPECT_GT(alone.reg_cost, 1e-6);
    EXPECT_GT(alone.reg_cost_per_byte, 0);
}

/* What nobody may reach from outside is no part of what a key opens */
TEST_F(test_rcache, memory_for_messages_stays_alone)
{
    open();
    void *messages = reg(m_mem, 2 * page, MD_PROBE_REG_NONE);
    EXPECT_EQ(local, fake_verbs.reg_access);
    EXPECT_EQ(0u, rkey(messages) >> 32);

    void *remote = reg(m_mem + page, 2 * page);
    EXPECT_NE(messages, remote);
    EXPECT_EQ(m_mem + page, fake_verbs.reg_address);
    EXPECT_EQ(2 * page, fake_verbs.reg_length);
    dereg(messages);
    EXPECT_EQ(1, fake_verbs.num_mrs) << "was kept";

    /* Nor is it found there */
    messages = reg(m_mem + page, page, MD_PROBE_REG_NONE);
    EXPECT_EQ(0u, rkey(messages) >> 32);
    dereg(messages);
    dereg(remote);
}

TEST_F(test_rcache, wider_access_replaces_narrower)
{
    open();
    void *get = reg(m_mem, page, MD_PROBE_REG_GET);
    EXPECT_EQ(local | remote_read, fake_verbs.reg_access);
    EXPECT_EQ(UCT_EFA_RKEY_READ, rkey(get) >> 32 << 32);

    void *put = reg(m_mem, page, MD_PROBE_REG_PUT);
    EXPECT_EQ(all, fake_verbs.reg_access) << "or the two replace each other";
    EXPECT_EQ(UCT_EFA_RKEY_READ | UCT_EFA_RKEY_WRITE, rkey(put) >> 32 << 32);
    EXPECT_NE(get, put);
    EXPECT_EQ(2, fake_verbs.num_mrs) << "the first has a user";
    EXPECT_EQ(0u, made_by_reg(m_mem, page, MD_PROBE_REG_GET));

    dereg(get);
    EXPECT_EQ(1, fake_verbs.num_mrs);
    dereg(put);
    EXPECT_EQ(0u, made_by_reg(m_mem, page, MD_PROBE_REG_PUT));
}

TEST_F(test_rcache, overlapping_memory_becomes_one)
{
    open();
    void *first  = reg(m_mem, 2 * page, MD_PROBE_REG_GET);
    void *merged = reg(m_mem + page, 2 * page, MD_PROBE_REG_GET);
    EXPECT_EQ(m_mem, fake_verbs.reg_address);
    EXPECT_EQ(3 * page, fake_verbs.reg_length);
    EXPECT_EQ(0u, made_by_reg(m_mem, 3 * page, MD_PROBE_REG_GET));
    dereg(first);
    dereg(merged);
    EXPECT_EQ(1, fake_verbs.num_mrs);
}

TEST_F(test_rcache, what_cannot_be_merged_stays_apart_quietly)
{
    open();
    fake_verbs.reg_max = 2 * page;
    void *first        = reg(m_mem, 2 * page);

    ::testing::internal::CaptureStdout();
    void *second = reg(m_mem + page, 2 * page);
    EXPECT_EQ("", ::testing::internal::GetCapturedStdout());
    EXPECT_EQ(m_mem + page, fake_verbs.reg_address);
    EXPECT_EQ(2 * page, fake_verbs.reg_length);
    dereg(first);
    dereg(second);
}

TEST_F(test_rcache, read_only_memory)
{
    open();
    fake_verbs.read_only_page = m_mem + page;

    void *constant = reg(m_mem + page, page);
    EXPECT_EQ(remote_read, fake_verbs.reg_access);
    EXPECT_EQ(UCT_EFA_RKEY_READ, rkey(constant) >> 32 << 32);
    dereg(constant);
    EXPECT_EQ(0u, made_by_reg(m_mem + page, page)) << "kept like others";

    /* Two pages, of which one is read-only, are so together ... */
    void *both = reg(m_mem + page, 2 * page);
    EXPECT_EQ(remote_read, fake_verbs.reg_access);

    /* ... but who needs the other one alone can write there */
    void *writable = reg(m_mem + 2 * page, page);
    EXPECT_EQ(all, fake_verbs.reg_access);
    EXPECT_NE(both, writable);
    dereg(writable);
    dereg(both);
}

TEST_F(test_rcache, merging_with_read_only_memory_takes_no_rights)
{
    open();
    fake_verbs.read_only_page = m_mem;

    void *writable = reg(m_mem + page, 2 * page);
    EXPECT_EQ(all, fake_verbs.reg_access);
    void *constant = reg(m_mem, page + 64);
    EXPECT_EQ(remote_read, fake_verbs.reg_access);
    EXPECT_EQ(page + 64, fake_verbs.reg_length) << "merged";

    void *again = reg(m_mem + page, 2 * page);
    EXPECT_EQ(UCT_EFA_RKEY_READ | UCT_EFA_RKEY_WRITE, rkey(again) >> 32 << 32);
    EXPECT_EQ(0u, made_by_reg(m_mem + page, 2 * page)) << "not in the cache";
    dereg(again);
    dereg(constant);
    dereg(writable);
}

TEST_F(test_rcache, limit_of_regions)
{
    open({"RCACHE", "y", "RCACHE_MAX_REGIONS", "2"});
    void *used = reg(m_mem, page);
    for (unsigned i = 1; i < pages / 2; ++i) {
        made_by_reg(m_mem + 2 * i * page, page);
    }
    EXPECT_LE(fake_verbs.num_mrs, 3);
    EXPECT_EQ(0u, made_by_reg(m_mem, page)) << "it has a user";
    EXPECT_EQ(1u, made_by_reg(m_mem + 2 * page, page)) << "not used for long";
    dereg(used);
}

TEST_F(test_rcache, share_of_the_device)
{
    fake_verbs.devices[0].attr.max_mr = 32; /* for all processes */
    open();
    for (unsigned i = 0; i < pages / 2; ++i) {
        made_by_reg(m_mem + 2 * i * page, page);
    }
    EXPECT_LE(fake_verbs.num_mrs, 3);
}

TEST_F(test_rcache, failure_is_said_once_and_not_kept)
{
    void *memh = nullptr;

    open();
    fake_verbs.reg_errno = ENOMEM;
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(UCS_ERR_NO_MEMORY,
              md_probe_reg(m_md, m_mem, page, MD_PROBE_REG_ALL, &memh));
    std::string log = ::testing::internal::GetCapturedStdout();
    EXPECT_NE(std::string::npos, log.find("UCX_EFA_RCACHE_MAX_REGIONS")) << log;
    EXPECT_EQ(log.size() - 1, log.find('\n')) << log;

    ::testing::internal::CaptureStdout();
    EXPECT_EQ(UCS_ERR_NO_MEMORY,
              md_probe_reg(m_md, m_mem, page,
                           MD_PROBE_REG_ALL | MD_PROBE_REG_HIDE_ERRORS, &memh));
    EXPECT_EQ("", ::testing::internal::GetCapturedStdout());

    fake_verbs.reg_errno = 0;
    EXPECT_EQ(1u, made_by_reg(m_mem, page));
}

/* ------------------------------------------------------------ invalidation */

/* Only where it is offered; see only_asked_for_loses_invalidation */
#define SKIP_WITHOUT_INVALIDATION() \
    if (!md_probe_caches_by_default()) { \
        GTEST_SKIP() << "UCP caches in this version of UCX"; \
    }

TEST_F(test_rcache, invalidate_alone)
{
    int done = 0;

    open({"RCACHE", "n"});
    void *memh = reg(m_mem, page);
    EXPECT_EQ(UCS_ERR_INVALID_PARAM,
              md_probe_ucx_invalidate(m_md, memh, nullptr));
    EXPECT_EQ(1, fake_verbs.num_mrs);
    EXPECT_EQ(UCS_OK, md_probe_ucx_invalidate(m_md, memh, &done));
    EXPECT_EQ(1, done);
    EXPECT_EQ(0, fake_verbs.num_mrs);
}

TEST_F(test_rcache, invalidate_the_only_user)
{
    int done = 0;

    SKIP_WITHOUT_INVALIDATION();
    open();
    void *memh = reg(m_mem, page);
    EXPECT_EQ(UCS_OK, md_probe_ucx_invalidate(m_md, memh, &done));
    EXPECT_EQ(1, done);
    EXPECT_EQ(0, fake_verbs.num_mrs) << "a key still opens it";
    EXPECT_EQ(1u, made_by_reg(m_mem, page));
}

TEST_F(test_rcache, invalidate_with_others)
{
    int done = 0;

    SKIP_WITHOUT_INVALIDATION();
    open();
    void *first = reg(m_mem, page), *second = reg(m_mem, page);
    void *third = reg(m_mem, page);
    EXPECT_EQ(UCS_OK, md_probe_ucx_invalidate(m_md, first, &done));
    EXPECT_EQ(0, done) << "others use it";
    EXPECT_EQ(1, fake_verbs.num_mrs);

    /* New users get a registration of their own */
    EXPECT_EQ(1u, made_by_reg(m_mem, page));
    EXPECT_EQ(2, fake_verbs.num_mrs);

    EXPECT_EQ(UCS_OK, md_probe_ucx_invalidate(m_md, second, &done));
    EXPECT_EQ(0, done);
    dereg(third);
    EXPECT_EQ(2, done) << "both have waited";
    EXPECT_EQ(1, fake_verbs.num_mrs);
}

TEST_F(test_rcache, invalidate_what_was_replaced)
{
    int done = 0;

    SKIP_WITHOUT_INVALIDATION();
    open();
    void *get = reg(m_mem, page, MD_PROBE_REG_GET);
    void *put = reg(m_mem, page, MD_PROBE_REG_PUT);
    EXPECT_EQ(UCS_OK, md_probe_ucx_invalidate(m_md, get, &done));
    EXPECT_EQ(1, done);
    EXPECT_EQ(1, fake_verbs.num_mrs);
    dereg(put);
}

/* ------------------------------------------------------- memory goes away */

TEST_F(test_rcache, unmapped_memory_is_forgotten)
{
    open();
    if (!md_probe_sees_unmap()) {
        GTEST_SKIP() << "UCM sees no munmap() here";
    }

    made_by_reg(m_mem, page);
    void *used = reg(m_mem + 2 * page, page);
    munmap(m_mem, pages * page);
    ASSERT_EQ(m_mem, map(m_mem));
    EXPECT_EQ(1u, made_by_reg(m_mem, page)) << "of memory that is gone";
    EXPECT_EQ(1u, made_by_reg(m_mem + 2 * page, page));
    dereg(used);
}

TEST_F(test_rcache, fork)
{
    open();
    made_by_reg(m_mem, page);
    void *used = reg(m_mem + 2 * page, page);
    ASSERT_EQ(2, fake_verbs.num_mrs);

    pid_t pid = ::fork();
    if (pid == 0) {
        memset(m_mem, 1, 3 * page);
        _exit(m_mem[2 * page] != 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);

    /* What nobody uses was given back before, so that a kernel which copies
     * on fork has less to copy; what is used goes on */
    EXPECT_EQ(1, fake_verbs.num_mrs);
    EXPECT_EQ(0x1234u, md_probe_lkey(used));
    dereg(used);
    EXPECT_EQ(1u, made_by_reg(m_mem, page));
}

/* ------------------------------------------------ as this UCX's UCP asks */

TEST_F(test_rcache, access_for_what_ucp_keeps)
{
    void *memh;

    open({"RCACHE", "n"});
    ASSERT_EQ(UCS_OK, md_probe_ucx_reg(m_md, m_mem, page,
                                       MD_PROBE_REG_LOCAL_READ, -1, 0, &memh));
    EXPECT_EQ(md_probe_checks_access() ? 0 : all, fake_verbs.reg_access);
    dereg(memh);

    /* An interface's own buffers, however UCX asks for them */
    for (int how : {int(MD_PROBE_REG_ALL),
                    MD_PROBE_REG_LOCAL_READ | MD_PROBE_REG_LOCAL_WRITE}) {
        ASSERT_EQ(UCS_OK,
                  md_probe_ucx_reg(m_md, m_mem, page, how | MD_PROBE_REG_LOCK,
                                   -1, 0, &memh));
        EXPECT_EQ((md_probe_checks_access() && (how == MD_PROBE_REG_ALL)) ?
                          all :
                          local,
                  fake_verbs.reg_access);
        dereg(memh);
    }

    /* Rendezvous of UCP's first protocols: asks for nothing, packs the key */
    ASSERT_EQ(UCS_OK, md_probe_ucx_reg(m_md, m_mem, page, MD_PROBE_REG_NONE, -1,
                                       0, &memh));
    EXPECT_EQ(all, fake_verbs.reg_access);
    dereg(memh);
}
