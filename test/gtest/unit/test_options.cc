/*
 * Soft-EFA's options: what is taken, and what is said about the rest.
 */
#include <gtest/gtest.h>

extern "C" {
#include "softefa/config/options.h"
}

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

class test_options : public ::testing::Test {
protected:
    typedef std::vector<std::pair<std::string, std::string>> environment;

    softefa_options_t options;
    char              error[256];

    void SetUp() override
    {
        clear();
    }

    void TearDown() override
    {
        clear();
    }

    int parse(const environment &env)
    {
        int ret;

        clear();
        for (const auto &variable : env) {
            setenv(variable.first.c_str(), variable.second.c_str(), 1);
        }
        error[0] = '\0';
        ret      = softefa_options_parse(&options, error, sizeof(error));
        EXPECT_EQ(ret == 0, error[0] == '\0') << error;
        return ret;
    }

    /* The line names the variable and what is wrong about it, and is one. */
    void expect_wrong(const std::string &name, const std::string &value,
                      const std::string &word)
    {
        EXPECT_EQ(EINVAL, parse({{name, value}})) << name << "=" << value;
        EXPECT_NE(nullptr, strstr(error, name.c_str())) << error;
        EXPECT_NE(nullptr, strstr(error, word.c_str())) << error;
        EXPECT_EQ(nullptr, strchr(error, '\n')) << error;
    }

private:
    static void clear()
    {
        static const char *names[] = {"FABRIC", "DEVICES", "HOST", "PROFILE",
                                      "MTU", "LIMITS", "REORDER", "SEED",
                                      "PROFIL", "X"};

        for (const char *name : names) {
            unsetenv((std::string("SOFTEFA_") + name).c_str());
        }
    }
};

TEST_F(test_options, defaults)
{
    ASSERT_EQ(0, parse({}));
    EXPECT_STREQ("default", options.fabric);
    EXPECT_EQ(1u, options.devices);
    EXPECT_STREQ("efa1", options.profile.name);
    EXPECT_EQ(8928u, options.profile.max_msg_size);
    EXPECT_EQ(0u, options.reorder);
    EXPECT_EQ(1u, options.seed);
}

TEST_F(test_options, empty_is_default)
{
    ASSERT_EQ(0, parse({{"SOFTEFA_PROFILE", ""}, {"SOFTEFA_DEVICES", ""}}));
    EXPECT_STREQ("efa1", options.profile.name);
    EXPECT_EQ(1u, options.devices);
}

TEST_F(test_options, all_at_once)
{
    ASSERT_EQ(0, parse({{"SOFTEFA_FABRIC", "a-B_9"},
                        {"SOFTEFA_DEVICES", "16"},
                        {"SOFTEFA_PROFILE", "EFA3"},
                        {"SOFTEFA_MTU", "4096"},
                        {"SOFTEFA_LIMITS", "max_ah=16,max_qp=8"},
                        {"SOFTEFA_REORDER", "4096"},
                        {"SOFTEFA_SEED", "0xffffffffffffffff"}}));
    EXPECT_STREQ("a-B_9", options.fabric);
    EXPECT_EQ(16u, options.devices);
    EXPECT_EQ(0xefa3, options.profile.pci_device);
    EXPECT_EQ(4096u, options.profile.max_msg_size);
    EXPECT_EQ(16u, options.profile.max_ah);
    EXPECT_EQ(8u, options.profile.max_qp);
    EXPECT_EQ(512u, options.profile.max_cq);
    EXPECT_EQ(4096u, options.reorder);
    EXPECT_EQ(UINT64_MAX, options.seed);
}

TEST_F(test_options, profiles_differ)
{
    for (unsigned i = 0; i <= 4; ++i) {
        ASSERT_EQ(0, parse({{"SOFTEFA_PROFILE", "efa" + std::to_string(i)}}));
        EXPECT_EQ(0xefa0 + i, options.profile.pci_device);
        EXPECT_EQ(i != 0, !!(options.profile.caps & SOFTEFA_CAP_RDMA_WRITE));
    }
}

TEST_F(test_options, capabilities_can_change)
{
    ASSERT_EQ(0, parse({{"SOFTEFA_LIMITS", "rdma_write=0,max_ah=9"}}));
    EXPECT_FALSE(options.profile.caps & SOFTEFA_CAP_RDMA_WRITE);
    EXPECT_TRUE(options.profile.caps & SOFTEFA_CAP_RDMA_READ);
    EXPECT_EQ(9u, options.profile.max_ah);
    ASSERT_EQ(0, parse({{"SOFTEFA_LIMITS", "rdma_read=0,rdma_write=1"},
                        {"SOFTEFA_PROFILE", "efa0"}}));
    EXPECT_TRUE(options.profile.caps & SOFTEFA_CAP_RDMA_WRITE);
    EXPECT_FALSE(options.profile.caps & SOFTEFA_CAP_RDMA_READ);
    EXPECT_TRUE(options.profile.caps & SOFTEFA_CAP_RNR_RETRY);
}

TEST_F(test_options, wrong_values)
{
    expect_wrong("SOFTEFA_FABRIC", "a/b", "letters");
    expect_wrong("SOFTEFA_FABRIC", std::string(32, 'a'), "31");
    expect_wrong("SOFTEFA_DEVICES", "0", "1 to 16");
    expect_wrong("SOFTEFA_DEVICES", "17", "1 to 16");
    expect_wrong("SOFTEFA_DEVICES", "two", "1 to 16");
    expect_wrong("SOFTEFA_DEVICES", "-1", "1 to 16");
    expect_wrong("SOFTEFA_DEVICES", "2x", "1 to 16");
    expect_wrong("SOFTEFA_PROFILE", "efa9", "efa0..efa4");
    expect_wrong("SOFTEFA_MTU", "255", "256 to 65535");
    expect_wrong("SOFTEFA_MTU", "65536", "256 to 65535");
    expect_wrong("SOFTEFA_REORDER", "4097", "4096");
    expect_wrong("SOFTEFA_HOST", "65536", "0 to 65535");
    expect_wrong("SOFTEFA_HOST", "first", "0 to 65535");
    expect_wrong("SOFTEFA_SEED", "0x", "number");
    expect_wrong("SOFTEFA_SEED", "18446744073709551616", "number");
}

TEST_F(test_options, wrong_limits)
{
    expect_wrong("SOFTEFA_LIMITS", "max_ah", "max_ah=N");
    expect_wrong("SOFTEFA_LIMITS", "max_foo=1", "max_foo");
    expect_wrong("SOFTEFA_LIMITS", "rdma_read=2", "0 to 1");
    expect_wrong("SOFTEFA_LIMITS", "max_ah=65536", "65535");
    expect_wrong("SOFTEFA_LIMITS", "max_ah=0", "1 to 65535");
    expect_wrong("SOFTEFA_LIMITS", "max_ah=" + std::string(400, '9'),
                 "1 to 65535");
    expect_wrong("SOFTEFA_LIMITS", "max_qp=8,max_ah=x", "max_ah=x");
    expect_wrong("SOFTEFA_LIMITS", std::string(600, 'a'), "longer");
}

/* However long the value is, what would be right is said */
TEST_F(test_options, long_values)
{
    std::string value(3000, 'a');

    expect_wrong("SOFTEFA_FABRIC", value, "letters");
    expect_wrong("SOFTEFA_DEVICES", value, "1 to 16");
    expect_wrong("SOFTEFA_PROFILE", value, "efa0..efa4");
    expect_wrong("SOFTEFA_MTU", value, "256 to 65535");
    expect_wrong("SOFTEFA_REORDER", value, "4096");
    expect_wrong("SOFTEFA_SEED", value, "18446744073709551615");
}

TEST_F(test_options, misspelt_name)
{
    expect_wrong("SOFTEFA_PROFIL", "efa2", "not an option");
    expect_wrong("SOFTEFA_X", "", "not an option");
}

TEST_F(test_options, help_names_all)
{
    char *text = nullptr;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ASSERT_NE(nullptr, stream);
    softefa_options_print(stream);
    fclose(stream);
    for (const char *word :
         {"SOFTEFA_FABRIC", "SOFTEFA_DEVICES", "SOFTEFA_PROFILE", "SOFTEFA_MTU",
          "SOFTEFA_LIMITS", "SOFTEFA_REORDER", "SOFTEFA_SEED", "efa0", "efa4",
          "max_ah"}) {
        EXPECT_NE(nullptr, strstr(text, word)) << word;
    }
    free(text);
}
