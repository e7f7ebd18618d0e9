/*
 * Packed and unpacked remote keys, byte by byte: a peer may run another build.
 */
#include "unit/md_probe.h"
#include "base/mem/efa_rkey.h"

#include <gtest/gtest.h>
#include <infiniband/verbs.h>

#include <cstring>
#include <string>

namespace {

const int l = IBV_ACCESS_LOCAL_WRITE, r = IBV_ACCESS_REMOTE_READ;
const int w = IBV_ACCESS_REMOTE_WRITE;

const struct {
    int        access;
    uint8_t    packed[6];
    uct_rkey_t rkey;
} examples[] = {
    {l, {1, 0, 0x98, 0xba, 0xdc, 0xfe}, 0xfedcba98},
    {l | r, {1, 1, 0x98, 0xba, 0xdc, 0xfe}, 0x1fedcba98},
    {l | w, {1, 2, 0x98, 0xba, 0xdc, 0xfe}, 0x2fedcba98},
    {l | r | w, {1, 3, 0x98, 0xba, 0xdc, 0xfe}, 0x3fedcba98},
};

} // namespace

TEST(test_rkey, packed_bytes)
{
    for (auto &example : examples) {
        uint8_t buffer[16];

        memset(buffer, 0xee, sizeof(buffer));
        uct_efa_rkey_pack(0xfedcba98, example.access, 0, buffer + 1);
        EXPECT_EQ(0, memcmp(buffer + 1, example.packed, 6)) << example.access;
        EXPECT_EQ(0xee, buffer[0]);
        EXPECT_EQ(0xee, buffer[7]) << "more bytes than a key has";
    }
}

TEST(test_rkey, unpacked)
{
    for (auto &example : examples) {
        void *handle    = &handle;
        uct_rkey_t rkey = 0;

        ASSERT_EQ(UCS_OK, uct_efa_rkey_unpack(example.packed, &rkey, &handle));
        EXPECT_EQ(example.rkey, rkey);
        EXPECT_EQ(nullptr, handle);
        EXPECT_EQ(0xfedcba98u, uct_efa_rkey_value(rkey));
        EXPECT_EQ(!!(example.access & r),
                  uct_efa_rkey_may(rkey, UCT_EFA_RKEY_READ));
        EXPECT_EQ(!!(example.access & w),
                  uct_efa_rkey_may(rkey, UCT_EFA_RKEY_WRITE));
        EXPECT_EQ((example.access & r) && (example.access & w),
                  uct_efa_rkey_may(rkey,
                                   UCT_EFA_RKEY_READ | UCT_EFA_RKEY_WRITE));
    }
}

TEST(test_rkey, generation)
{
    for (unsigned generation : {1, 32, 63}) {
        uct_rkey_t rkey = 0;
        uint8_t packed[6];
        void *handle;

        uct_efa_rkey_pack(0xfedcba98, l | r, generation, packed);
        EXPECT_EQ((generation << 2) | 1, packed[1]);
        ASSERT_EQ(UCS_OK, uct_efa_rkey_unpack(packed, &rkey, &handle));
        EXPECT_EQ(generation, uct_efa_rkey_generation(rkey));
        EXPECT_EQ(0xfedcba98u, uct_efa_rkey_value(rkey));
        EXPECT_TRUE(uct_efa_rkey_may(rkey, UCT_EFA_RKEY_READ));
        EXPECT_FALSE(uct_efa_rkey_may(rkey, UCT_EFA_RKEY_WRITE));
    }
}

TEST(test_rkey, another_format)
{
    for (unsigned format : {0, 2, 0x98, 255}) {
        const uint8_t packed[6] = {(uint8_t)format, 3, 1, 0, 0, 0};
        uct_rkey_t rkey         = 77;
        void *handle            = &rkey;

        ::testing::internal::CaptureStdout();
        EXPECT_EQ(UCS_ERR_INVALID_PARAM,
                  uct_efa_rkey_unpack(packed, &rkey, &handle));
        std::string log = ::testing::internal::GetCapturedStdout();
        EXPECT_NE(std::string::npos,
                  log.find("format " + std::to_string(format)))
                << log;
        EXPECT_EQ(log.size() - 1, log.find('\n')) << log;
        EXPECT_EQ(77u, rkey);
        EXPECT_EQ(&rkey, handle);
    }
}
