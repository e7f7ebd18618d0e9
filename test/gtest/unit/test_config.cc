/*
 * Types of options with a range: what is taken, as what, and what is not.
 */
#include <gtest/gtest.h>

extern "C" {
#include "config_probe.h"
}

#include <climits>
#include <cstdint>
#include <string>

namespace {

const char *const nothing[] = {
    "", " ", "-", "-1", "+1", "1x", "x1", "0x10", "1e3", "nan", "NaN", "infs",
    "1 2", " 1", "1 ", "%s", ",", ".", ".5", "99999999999999999999999"
};

/* Empty, or that it is taken */
template <typename T>
std::string refused(const config_probe_t &type, const std::string &text)
{
    T value = 0;

    return (config_probe_read(type, text.c_str(), &value) == 0) ?
                   "" :
                   "'" + text + "' is taken; ";
}

} // namespace

TEST(test_config, numbers)
{
    unsigned value;

    for (const char *text : nothing) {
        EXPECT_EQ("", refused<unsigned>(CONFIG_PROBE_UINT, text));
    }
    for (const char *text : {"0", "65", "4294967297", "1.5", "inf"}) {
        EXPECT_EQ("", refused<unsigned>(CONFIG_PROBE_UINT, text));
    }
    EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_UINT, "1", &value));
    EXPECT_EQ(1u, value);
    EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_UINT, "64", &value));
    EXPECT_EQ(64u, value);
    EXPECT_EQ("number, 1 to 64",
              std::string(config_probe_help(CONFIG_PROBE_UINT)));
}

TEST(test_config, powers_of_two)
{
    unsigned value;

    for (const char *text : {"0", "8", "17", "8192", "48"}) {
        EXPECT_EQ("", refused<unsigned>(CONFIG_PROBE_POW2, text));
    }
    EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_POW2, "4096", &value));
    EXPECT_EQ(4096u, value);
}

TEST(test_config, limits)
{
    unsigned value;

    for (const char *text : {"0", "-2", "2147483648", "1x", ""}) {
        EXPECT_EQ("", refused<unsigned>(CONFIG_PROBE_LIMIT, text));
    }
    for (const char *text : {"-1", "inf", "INF"}) {
        EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_LIMIT, text, &value));
        EXPECT_EQ(UINT_MAX, value);
    }
    EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_LIMIT, "2147483647", &value));
    EXPECT_EQ((unsigned)INT_MAX, value);
}

TEST(test_config, sizes)
{
    size_t value;

    for (const char *text : nothing) {
        EXPECT_EQ("", refused<size_t>(CONFIG_PROBE_SIZE, text));
    }
    /* The last ones overflow */
    for (const char *text :
         {"191", "0k", "1kk", "1kx", "2bb", "1.5k", "18446744073709551616",
          "18014398509481984k", "16777216t", "16e"}) {
        EXPECT_EQ("", refused<size_t>(CONFIG_PROBE_SIZE, text));
    }
    const struct {
        const char *text;
        size_t     value;
    } taken[] = {
        {"192", 192}, {"192b", 192}, {"1k", 1024}, {"1KB", 1024},
        {"2m", 2 << 20}, {"16777215t", 16777215ull << 40},
        {"15e", 15ull << 60}, {"inf", SIZE_MAX}, {"auto", SIZE_MAX},
        {"18446744073709551615", SIZE_MAX}
    };
    for (const auto &t : taken) {
        EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_SIZE, t.text, &value))
                << t.text;
        EXPECT_EQ(t.value, value) << t.text;
    }
}

TEST(test_config, times)
{
    double value;

    for (const char *text : nothing) {
        if (std::string(text) != ".5") {
            EXPECT_EQ("", refused<double>(CONFIG_PROBE_DURATION, text));
        }
    }
    for (const char *text : {"1h", "1mss", "-1s", "1000000001s",
                             "99999999999999999m", "1..5s", "s", "1e9s"}) {
        EXPECT_EQ("", refused<double>(CONFIG_PROBE_DURATION, text));
    }
    const struct {
        const char *text, *written;
        double     value;
    } taken[] = {
        {"0", "0.00us", 0}, {"1", "1000000.00us", 1}, {"1.5s", "", 1.5},
        {"2m", "", 120}, {"20ms", "", 20e-3}, {"7us", "", 7e-6},
        {"9ns", "", 9e-9}, {"inf", "inf", 1e9}, {"1000000000s", "inf", 1e9}
    };
    for (const auto &t : taken) {
        EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_DURATION, t.text, &value))
                << t.text;
        EXPECT_DOUBLE_EQ(t.value, value) << t.text;
        if (*t.written != '\0') {
            EXPECT_EQ(t.written,
                      std::string(config_probe_write(CONFIG_PROBE_DURATION,
                                                     &value)));
        }
    }
}

TEST(test_config, factors)
{
    double value;

    for (const char *text : nothing) {
        EXPECT_EQ("", refused<double>(CONFIG_PROBE_FACTOR, text));
    }
    for (const char *text : {"0", "0.99", "1000.1", "inf"}) {
        EXPECT_EQ("", refused<double>(CONFIG_PROBE_FACTOR, text));
    }
    EXPECT_EQ(1, config_probe_read(CONFIG_PROBE_FACTOR, "1.25", &value));
    EXPECT_DOUBLE_EQ(1.25, value);
}

/* A pool takes no more at once than is needed, and at least one buffer */
TEST(test_config, pools)
{
    EXPECT_EQ(100u, config_probe_grow(1000000, UINT_MAX, 100));
    EXPECT_EQ(7u, config_probe_grow(1000000, 7, 100));
    EXPECT_EQ(50u, config_probe_grow(50, UINT_MAX, 100));
    EXPECT_EQ(0u, config_probe_grow(0, UINT_MAX, 100));
}
