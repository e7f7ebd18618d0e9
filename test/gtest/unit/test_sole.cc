/*
 * One srd in a process: what is listed beside ours. (Ours itself is linked here
 * without its transport, so none is left.)
 */
#include "common/fake_srd.h"

#include <gtest/gtest.h>

TEST(test_sole, the_other_one_leaves_before_ours_tells_its_devices)
{
    for (int i = 0; i < 2; ++i) {
        fake_srd_register();
        EXPECT_EQ(1u, fake_srd_count_transports());
        EXPECT_EQ(1u, fake_srd_count_tables());

        EXPECT_EQ(0, fake_srd_query_ours());
        ASSERT_EQ(0u, fake_srd_count_transports());
        ASSERT_EQ(0u, fake_srd_count_tables());

        /* as its library is unloaded, with and without having been taken off */
        fake_srd_unregister();
        ASSERT_EQ(0u, fake_srd_count_tables());
        EXPECT_EQ(0, fake_srd_query_ours());
    }
}
