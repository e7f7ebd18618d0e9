/*
 * What the memory domain makes of its parameters: by UCT's own functions, with
 * the statuses that UCX's transports answer and UCX's own tests expect
 * (docs/uct-contract.md). Devices are those of fake_verbs.h.
 */
#include "unit/fake_verbs.h"
#include "unit/md_probe.h"

#include <gtest/gtest.h>

#include <uct/api/uct.h>
#include <uct/api/v2/uct_v2.h>
#include <uct/api/version.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#define UCX(_major, _minor) (UCT_API >= UCT_VERSION(_major, _minor))

namespace {

#if UCX(1, 15)
const unsigned pack_invalidate = UCT_MD_MKEY_PACK_FLAG_INVALIDATE_RMA;
#else
const unsigned pack_invalidate = UCT_MD_MKEY_PACK_FLAG_INVALIDATE;
#endif
const unsigned remote = UCT_MD_MEM_ACCESS_REMOTE_PUT |
                        UCT_MD_MEM_ACCESS_REMOTE_GET;

class md_params : public ::testing::Test {
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
        fake->attr.node_guid      = 0x1122334455667788ull;
        fake->efa.device_caps     = 0xf;
        fake->port.state          = IBV_PORT_ACTIVE;
        fake->port.max_msg_sz     = 8928;
        open({"RCACHE", "n"});
    }

    void TearDown() override
    {
        close();
        EXPECT_EQ(0, fake_verbs.num_mrs) << "left behind";
        EXPECT_EQ(0, fake_verbs.num_pds);
    }

    void open(std::vector<const char*> options)
    {
        void *md = nullptr;

        options.push_back(nullptr);
        ASSERT_EQ(UCS_OK, md_probe_open_with("efa_0", options.data(), &md));
        m_md = (uct_md_h)md;
    }

    void close()
    {
        if (m_md != nullptr) {
            md_probe_close(m_md);
            m_md = nullptr;
        }
    }

    ucs_status_t try_reg(void *address, size_t length, unsigned flags,
                         uct_mem_h *memh_p)
    {
        return uct_md_mem_reg(m_md, address, length, flags, memh_p);
    }

    uct_mem_h reg(unsigned flags)
    {
        uct_mem_h memh = nullptr;

        EXPECT_EQ(UCS_OK, try_reg(m_mem, sizeof(m_mem), flags, &memh));
        return memh;
    }

    ucs_status_t pack(uct_mem_h memh, unsigned flags, void *buffer,
                      uint64_t fields = UCT_MD_MKEY_PACK_FIELD_FLAGS)
    {
        uct_md_mkey_pack_params_t params;

        memset(&params, 0xff, sizeof(params));
        params.field_mask = fields;
        params.flags      = flags;
#if UCX(1, 16)
        return uct_md_mkey_pack_v2(m_md, memh, m_mem, sizeof(m_mem), &params,
                                   buffer);
#else
        return uct_md_mkey_pack_v2(m_md, memh, &params, buffer);
#endif
    }

    struct done_t {
        uct_completion_t comp;
        unsigned         calls;
    };

    static void done(uct_completion_t *self)
    {
        ++((done_t*)self)->calls;
    }

    ucs_status_t dereg(uct_mem_h memh, uint64_t fields, unsigned flags)
    {
        uct_md_mem_dereg_params_t params;

        memset(&params, 0, sizeof(params));
        m_done.comp       = {done, 1, UCS_OK};
        m_done.calls      = 0;
        params.field_mask = fields;
        params.memh       = memh;
        params.flags      = flags;
        params.comp       = &m_done.comp;
        return uct_md_mem_dereg_v2(m_md, &params);
    }

    ucs_status_t invalidate(uct_mem_h memh)
    {
        return dereg(memh, UCT_MD_MEM_DEREG_FIELD_MEMH |
                           UCT_MD_MEM_DEREG_FIELD_FLAGS |
                           UCT_MD_MEM_DEREG_FIELD_COMPLETION,
                     UCT_MD_MEM_DEREG_FLAG_INVALIDATE);
    }

    bool can_invalidate()
    {
        uct_md_attr_t attr;

        EXPECT_EQ(UCS_OK, uct_md_query(m_md, &attr));
        return attr.cap.flags & UCT_MD_FLAG_INVALIDATE;
    }

    uct_md_h m_md = nullptr;
    done_t   m_done;
    char     m_mem[4096];
    char     m_key[64];
};

} // namespace

/* ---------------------------------------------------------------- mem_reg */

TEST_F(md_params, registration)
{
    const unsigned hide = UCT_MD_MEM_FLAG_HIDE_ERRORS;
    const unsigned all  = UCT_MD_MEM_ACCESS_ALL | hide;
    const struct {
        const char   *what;
        void         *address;
        size_t       length;
        unsigned     flags;
        ucs_status_t status;
    } table[] = {
        {"plain", m_mem, 64, all, UCS_OK},
        {"one byte", m_mem, 1, all, UCS_OK},
        {"no bytes", m_mem, 0, all, UCS_ERR_INVALID_PARAM},
        {"nothing", nullptr, 0, all, UCS_ERR_INVALID_PARAM},
        {"nothing, fixed", nullptr, 0, all | UCT_MD_MEM_FLAG_FIXED,
         UCS_ERR_INVALID_PARAM},
        {"hints", m_mem, 64, all | UCT_MD_MEM_FLAG_NONBLOCK |
                             UCT_MD_MEM_FLAG_FIXED | UCT_MD_MEM_FLAG_LOCK,
         UCS_OK},
        {"atomic", m_mem, 64, UCT_MD_MEM_ACCESS_REMOTE_ATOMIC | hide, UCS_OK},
#if UCX(1, 16)
        {"symmetric", m_mem, 64, all | UCT_MD_MEM_SYMMETRIC_RKEY, UCS_OK},
#endif
#if UCX(1, 18)
        {"everything", nullptr, SIZE_MAX, all | UCT_MD_MEM_GVA,
         UCS_ERR_UNSUPPORTED},
#endif
    };

    for (auto &row : table) {
        uct_mem_h memh = nullptr;
        int before     = fake_verbs.num_mrs;

        ::testing::internal::CaptureStdout();
        EXPECT_EQ(row.status,
                  try_reg(row.address, row.length, row.flags, &memh))
                << row.what;
        EXPECT_EQ("", ::testing::internal::GetCapturedStdout()) << row.what;
        EXPECT_EQ(before + (row.status == UCS_OK), fake_verbs.num_mrs)
                << row.what;
        if (row.status == UCS_OK) {
            EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh)) << row.what;
        }
    }
}

/* Fields that are not named do not count; what they leave out is as 0. */
TEST_F(md_params, registration_fields)
{
#if !UCX(1, 14)
    GTEST_SKIP() << "this version of UCX has flags alone";
#else
    uct_md_mem_reg_params_t params;
    uct_mem_h memh;
    int fd;

    memset(&params, 0, sizeof(params));
    params.flags         = UCT_MD_MEM_ACCESS_LOCAL_READ;
    params.dmabuf_fd     = 12345;
    params.dmabuf_offset = 7;
    ASSERT_EQ(UCS_OK, uct_md_mem_reg_v2(m_md, m_mem, 64, &params, &memh));
    EXPECT_EQ(-1, fake_verbs.reg_dmabuf_fd);
    int without = fake_verbs.reg_access;
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));

    params.field_mask = UCT_MD_MEM_REG_FIELD_FLAGS |
                        UCT_MD_MEM_REG_FIELD_DMABUF_OFFSET;
    params.flags = 0;
    ASSERT_EQ(UCS_OK, uct_md_mem_reg_v2(m_md, m_mem, 64, &params, &memh));
    EXPECT_EQ(without, fake_verbs.reg_access);
    EXPECT_EQ(-1, fake_verbs.reg_dmabuf_fd);
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));

    params.field_mask = UCT_MD_MEM_REG_FIELD_FLAGS |
                        UCT_MD_MEM_REG_FIELD_DMABUF_FD;
    params.dmabuf_fd = UCT_DMABUF_FD_INVALID;
    ASSERT_EQ(UCS_OK, uct_md_mem_reg_v2(m_md, m_mem, 64, &params, &memh));
    EXPECT_EQ(-1, fake_verbs.reg_dmabuf_fd);
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));

    /* At any address, NULL too */
    fd = ::open("/dev/null", O_RDONLY);
    ASSERT_LE(0, fd);
    params.field_mask |= UCT_MD_MEM_REG_FIELD_DMABUF_OFFSET;
    params.dmabuf_fd     = fd;
    params.dmabuf_offset = 4096;
    ASSERT_EQ(UCS_OK, uct_md_mem_reg_v2(m_md, nullptr, 64, &params, &memh));
    EXPECT_EQ(fd, fake_verbs.reg_dmabuf_fd);
    EXPECT_EQ(4096u, fake_verbs.reg_offset);
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));
    ::close(fd);

    params.flags = UCT_MD_MEM_FLAG_HIDE_ERRORS;
    EXPECT_EQ(UCS_ERR_IO_ERROR,
              uct_md_mem_reg_v2(m_md, m_mem, 64, &params, &memh))
            << "a closed descriptor";
#endif
}

/* -------------------------------------------------------------- mem_dereg */

TEST_F(md_params, deregistration)
{
    const unsigned invalid = UCT_MD_MEM_DEREG_FLAG_INVALIDATE;
    const uint64_t memh    = UCT_MD_MEM_DEREG_FIELD_MEMH;
    const uint64_t flags   = UCT_MD_MEM_DEREG_FIELD_FLAGS;
    const uint64_t comp    = UCT_MD_MEM_DEREG_FIELD_COMPLETION;
    const struct {
        const char   *what;
        uint64_t     fields;
        unsigned     flags;
        ucs_status_t status;
    } table[] = {
        {"nothing", 0, 0, UCS_ERR_INVALID_PARAM},
        {"completion alone", comp, invalid, UCS_ERR_INVALID_PARAM},
        {"no handle", comp | flags, invalid, UCS_ERR_INVALID_PARAM},
        {"no completion", memh | flags, invalid, UCS_ERR_INVALID_PARAM},
        {"flags not named", memh | comp, invalid, UCS_OK},
        {"no flags", memh | flags | comp, 0, UCS_OK},
        {"handle alone", memh, 0, UCS_OK},
    };

    for (auto &row : table) {
        uct_mem_h handle = reg(remote);

        EXPECT_EQ(UCS_OK, pack(handle, pack_invalidate, m_key)) << row.what;
        EXPECT_EQ(row.status, dereg(handle, row.fields, row.flags)) << row.what;
        EXPECT_EQ(0u, m_done.calls) << row.what;
        EXPECT_EQ(row.status != UCS_OK, fake_verbs.num_mrs) << row.what;
        if (row.status != UCS_OK) {
            EXPECT_EQ(UCS_OK, invalidate(handle)) << row.what;
            EXPECT_EQ(1u, m_done.calls) << row.what;
        }
    }
    EXPECT_EQ(UCS_ERR_INVALID_PARAM, dereg(nullptr, memh, 0));
}

/* A key that peers may have must have been packed to be invalidated; memory
 * that nobody asked access to for others has none. */
TEST_F(md_params, invalidation_wants_a_key_for_it)
{
    const struct {
        unsigned     access;
        bool         is_packed;
        unsigned     flags;
        ucs_status_t status;
    } table[] = {
        {remote, false, 0, UCS_ERR_INVALID_PARAM},
        {remote, true, 0, UCS_ERR_INVALID_PARAM},
        {remote, true, pack_invalidate, UCS_OK},
        {UCT_MD_MEM_ACCESS_REMOTE_GET, true, 0, UCS_ERR_INVALID_PARAM},
        {UCT_MD_MEM_ACCESS_REMOTE_PUT, true, 0, UCS_ERR_INVALID_PARAM},
        {UCT_MD_MEM_ACCESS_REMOTE_ATOMIC, false, 0, UCS_ERR_INVALID_PARAM},
        {UCT_MD_MEM_ACCESS_REMOTE_ATOMIC, true, pack_invalidate, UCS_OK},
        {UCT_MD_MEM_ACCESS_LOCAL_READ, false, 0, UCS_OK},
        {UCT_MD_MEM_ACCESS_LOCAL_READ | UCT_MD_MEM_ACCESS_LOCAL_WRITE, true, 0,
         UCS_OK},
    };

    for (auto &row : table) {
        uct_mem_h memh = reg(row.access);

        if (row.is_packed) {
            EXPECT_EQ(UCS_OK, pack(memh, row.flags, m_key));
        }
        ::testing::internal::CaptureStdout();
        EXPECT_EQ(row.status, invalidate(memh))
                << row.access << " " << row.flags;
        EXPECT_EQ("", ::testing::internal::GetCapturedStdout());
        EXPECT_EQ(row.status == UCS_OK, m_done.calls);
        if (row.status != UCS_OK) {
            /* It is still registered, and can be packed for it now */
            EXPECT_EQ(1, fake_verbs.num_mrs);
            EXPECT_EQ(UCS_OK, pack(memh, 0, m_key));
            EXPECT_EQ(row.status, invalidate(memh));
            EXPECT_EQ(UCS_OK, pack(memh, pack_invalidate, m_key));
            EXPECT_EQ(UCS_OK, invalidate(memh));
            EXPECT_EQ(1u, m_done.calls);
        }
        EXPECT_EQ(0, fake_verbs.num_mrs);
    }
}

/* With a cache where UCP has its own: nothing that needs invalidation */
TEST_F(md_params, invalidation_not_offered)
{
    close();
    open({"RCACHE", "y"});
    if (can_invalidate()) {
        EXPECT_TRUE(md_probe_caches_by_default());
        GTEST_SKIP() << "offered by this version with a cache, too";
    }

    uct_mem_h memh = reg(remote);
    EXPECT_EQ(UCS_ERR_UNSUPPORTED, pack(memh, pack_invalidate, m_key));
    EXPECT_EQ(UCS_ERR_UNSUPPORTED, invalidate(memh));
    EXPECT_EQ(0u, m_done.calls);
    EXPECT_EQ(UCS_OK, pack(memh, 0, m_key));
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));
}

/* Two users of one cached region: a key packed by either counts */
TEST_F(md_params, invalidation_of_cached_memory)
{
    close();
    open({"RCACHE", "y"});
    if (!can_invalidate()) {
        GTEST_SKIP() << "not offered with a cache";
    }

    uct_mem_h first = reg(remote), second = reg(remote);
    EXPECT_EQ(UCS_ERR_INVALID_PARAM, invalidate(first));
    EXPECT_EQ(UCS_OK, pack(second, pack_invalidate, m_key));
    EXPECT_EQ(UCS_OK, invalidate(first));
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, second));
    EXPECT_EQ(1u, m_done.calls);
    EXPECT_EQ(0, fake_verbs.num_mrs);
}

/* ------------------------------------------------------------------- keys */

TEST_F(md_params, packing)
{
    uct_mem_h memh = reg(remote);
    char other[64], none = 0;

    EXPECT_EQ(UCS_ERR_INVALID_PARAM, pack(nullptr, 0, m_key));
    EXPECT_EQ(UCS_ERR_INVALID_PARAM, pack(memh, 0, nullptr));
    EXPECT_EQ(UCS_OK, pack(memh, 0, m_key));

    /* No more than rkey_packed_size, and the same each time; flags that are
     * not named do not count. */
    memset(other, 0x5c, sizeof(other));
    EXPECT_EQ(UCS_OK, pack(memh, ~0u, other, 0));
    EXPECT_EQ(0, memcmp(m_key, other, 6));
    for (unsigned i = 6; i < sizeof(other); ++i) {
        none |= other[i] ^ 0x5c;
    }
    EXPECT_EQ(0, none);
    EXPECT_EQ(UCS_ERR_INVALID_PARAM, invalidate(memh));
    EXPECT_EQ(UCS_OK, uct_md_mkey_pack(m_md, memh, other));
    EXPECT_EQ(0, memcmp(m_key, other, 6));
#if UCX(1, 14)
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              pack(memh, UCT_MD_MKEY_PACK_FLAG_EXPORT, other));
#endif
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));
}

TEST_F(md_params, unpacking)
{
    uct_component_h component = (uct_component_h)md_probe_component();
    uct_mem_h memh            = reg(remote);
    uct_rkey_bundle_t bundle;
    void *address = nullptr;

    ASSERT_EQ(UCS_OK, pack(memh, 0, m_key));
    ASSERT_EQ(UCS_OK, uct_rkey_unpack(component, m_key, &bundle));
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_rkey_ptr(component, &bundle, (uintptr_t)m_mem, &address));
    EXPECT_EQ(nullptr, address);

#if UCX(1, 16)
    uct_rkey_compare_params_t params;
    int result = -2;

    params.field_mask = 0;
    EXPECT_EQ(UCS_OK, uct_rkey_compare(component, bundle.rkey, bundle.rkey,
                                       &params, &result));
    EXPECT_EQ(0, result);
    EXPECT_EQ(UCS_OK, uct_rkey_compare(component, bundle.rkey, bundle.rkey + 1,
                                       &params, &result));
    EXPECT_GT(0, result);
    EXPECT_EQ(UCS_ERR_INVALID_PARAM,
              uct_rkey_compare(component, 0, 0, &params, nullptr));
    params.field_mask = 1;
    EXPECT_EQ(UCS_ERR_INVALID_PARAM,
              uct_rkey_compare(component, 0, 0, &params, &result));
#endif
#if UCX(1, 19)
    uct_rkey_unpack_params_t unpack;
    uct_rkey_bundle_t same;

    unpack.field_mask = UCT_RKEY_UNPACK_FIELD_SYS_DEVICE;
    unpack.sys_device = 3;
    ASSERT_EQ(UCS_OK, uct_rkey_unpack_v2(component, m_key, &unpack, &same));
    EXPECT_EQ(bundle.rkey, same.rkey);
#endif
    EXPECT_EQ(UCS_OK, uct_rkey_release(component, &bundle));

    /* A byte that is no format of ours: said, and refused */
    for (unsigned format = 0; format < 256; ++format) {
        char format_1 = m_key[0];

        if (format == (unsigned char)format_1) {
            continue;
        }
        m_key[0] = (char)format;
        ::testing::internal::CaptureStdout();
        EXPECT_EQ(UCS_ERR_INVALID_PARAM,
                  uct_rkey_unpack(component, m_key, &bundle))
                << format;
        EXPECT_NE("", ::testing::internal::GetCapturedStdout());
        m_key[0] = format_1;
    }
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));
}

/* ------------------------------------------------- what is not offered */

TEST_F(md_params, not_offered)
{
    const uct_alloc_method_t by_md = UCT_ALLOC_METHOD_MD;
    uct_mem_alloc_params_t params  = {};
    uct_allocated_memory_t allocated;
    ucs_memory_type_t mem_type;
    uct_mem_h memh = reg(remote);
    uct_md_mem_attr_t mem_attr;

    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_md_mem_advise(m_md, memh, m_mem, 64, UCT_MADV_WILLNEED));
    EXPECT_EQ(UCS_ERR_INVALID_PARAM,
              uct_md_mem_advise(m_md, memh, nullptr, 64, UCT_MADV_NORMAL));
    EXPECT_EQ(UCS_ERR_INVALID_PARAM,
              uct_md_mem_advise(m_md, memh, m_mem, 0, UCT_MADV_NORMAL));

    memset(&mem_attr, 0, sizeof(mem_attr));
    mem_attr.field_mask = UCT_MD_MEM_ATTR_FIELD_MEM_TYPE |
                          UCT_MD_MEM_ATTR_FIELD_SYS_DEV;
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_md_mem_query(m_md, m_mem, 64, &mem_attr));
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_md_detect_memory_type(m_md, m_mem, 64, &mem_type));

    /* UCT passes over a memory domain that does not allocate; and as UCP calls
     * the table itself, that too has an answer. */
    params.field_mask = UCT_MEM_ALLOC_PARAM_FIELD_MDS;
    params.mds.mds    = &m_md;
    params.mds.count  = 1;
    EXPECT_EQ(UCS_ERR_NO_MEMORY,
              uct_mem_alloc(4096, &by_md, 1, &params, &allocated));
    EXPECT_EQ("", std::string(md_probe_missing_ops(m_md)));
#if UCX(1, 14)
    uct_md_mem_attach_params_t attach = {};
    uct_mem_h attached;
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_md_mem_attach(m_md, m_key, &attach, &attached));
#endif
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));
}

/* ------------------------------------------------------------- attributes */

TEST_F(md_params, attributes)
{
    const uint64_t host = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    uct_md_attr_t attr;

    memset(&attr, 0xff, sizeof(attr));
    ASSERT_EQ(UCS_OK, uct_md_query(m_md, &attr));
    EXPECT_EQ(0u, attr.cap.max_alloc);
    EXPECT_EQ(96ull << 30, attr.cap.max_reg);
    EXPECT_EQ((uint64_t)(UCT_MD_FLAG_REG | UCT_MD_FLAG_NEED_MEMH |
                         UCT_MD_FLAG_NEED_RKEY) |
                      md_probe_flag_invalidate() |
                      (md_probe_has_dmabuf() ? md_probe_flag_dmabuf() : 0),
              attr.cap.flags);
    EXPECT_EQ(host, attr.cap.reg_mem_types & host);
    EXPECT_EQ(0u, attr.cap.detect_mem_types);
    EXPECT_EQ(0u, attr.cap.alloc_mem_types);
    EXPECT_EQ(host, attr.cap.access_mem_types);
    EXPECT_GT(attr.reg_cost.c, 0);
    EXPECT_LT(attr.reg_cost.c, 1e-3);
    EXPECT_GT(attr.reg_cost.m, 0);
    EXPECT_LT(attr.reg_cost.m, 1e-9);
    EXPECT_EQ(6u, attr.rkey_packed_size);
    EXPECT_STREQ("efasrd", attr.component_name);
    EXPECT_TRUE(ucs_cpu_is_set(0, &attr.local_cpus));
#if UCX(1, 14)
    uct_md_attr_v2_t v2, some;

    memset(&v2, 0xff, sizeof(v2));
    v2.field_mask = UINT64_MAX;
    ASSERT_EQ(UCS_OK, uct_md_query_v2(m_md, &v2));
    EXPECT_EQ(attr.cap.max_alloc, v2.max_alloc);
    EXPECT_EQ(attr.cap.max_reg, v2.max_reg);
    EXPECT_EQ(attr.cap.flags, v2.flags);
    EXPECT_EQ(attr.cap.reg_mem_types, v2.reg_mem_types);
    EXPECT_EQ(v2.reg_mem_types, v2.cache_mem_types & v2.reg_mem_types);
    EXPECT_EQ(0u, v2.detect_mem_types);
    EXPECT_EQ(0u, v2.alloc_mem_types);
    EXPECT_EQ(host, v2.access_mem_types);
    EXPECT_EQ(0u, v2.dmabuf_mem_types);
    EXPECT_EQ(attr.reg_cost.c, v2.reg_cost.c);
    EXPECT_EQ(attr.reg_cost.m, v2.reg_cost.m);
    EXPECT_EQ(attr.rkey_packed_size, v2.rkey_packed_size);
    EXPECT_EQ(0,
              memcmp(&attr.local_cpus, &v2.local_cpus, sizeof(v2.local_cpus)));
    EXPECT_STREQ("efasrd", v2.component_name);
    EXPECT_EQ(0u, v2.exported_mkey_packed_size);
    EXPECT_EQ(0, memcmp(&fake_verbs.devices[0].attr.node_guid, v2.global_id,
                        sizeof(uint64_t)));
#if UCX(1, 15)
    EXPECT_EQ(0u, v2.reg_nonblock_mem_types);
#endif
#if UCX(1, 16)
    EXPECT_EQ(1u, v2.reg_alignment);
#endif
#if UCX(1, 18)
    EXPECT_EQ(0u, v2.gva_mem_types);
#endif
#if UCX(1, 22)
    EXPECT_EQ(UCS_MEM_FLAG_REGISTRABLE, v2.required_mem_flags);
#endif

    /* What is not asked for is not touched */
    memset(&some, 0x77, sizeof(some));
    some.field_mask = UCT_MD_ATTR_FIELD_MAX_REG;
    ASSERT_EQ(UCS_OK, uct_md_query_v2(m_md, &some));
    EXPECT_EQ(96ull << 30, some.max_reg);
    EXPECT_EQ(0x7777777777777777ull, some.flags);
#endif
}

/* A region may be as long as max_reg says */
TEST_F(md_params, longest_region)
{
    uct_mem_h memh;

    fake_verbs.reg_max = 96ull << 30;
    ASSERT_EQ(UCS_OK, try_reg(m_mem, 96ull << 30, remote, &memh));
    EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_md, memh));
    EXPECT_EQ(UCS_ERR_NO_MEMORY,
              try_reg(m_mem, (96ull << 30) + 1,
                      remote | UCT_MD_MEM_FLAG_HIDE_ERRORS, &memh));
}
