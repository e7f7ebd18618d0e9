/* The wire format: every example of docs/srd-wire.md, read from the document
 * itself, packed and unpacked; and what must be refused. */
#include "srd/wire/srd_uid.h"
#include "srd/wire/srd_wire.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

typedef std::vector<uint8_t> bytes_t;

uint64_t number(const std::string &text)
{
    return strtoull(text.c_str(), nullptr, 0);
}

bytes_t parse_bytes(const std::string &text)
{
    std::istringstream in(text);
    std::string word;
    bytes_t bytes;

    while (in >> word) {
        bytes.push_back(strtoul(word.c_str(), nullptr, 16));
    }
    return bytes;
}

/* Section 9 of the document, as one string per line */
std::vector<std::string> example_lines()
{
    std::ifstream in(TEST_TOP_SRCDIR "/docs/srd-wire.md");
    std::vector<std::string> lines;
    std::string line;
    bool inside = false;

    while (std::getline(in, line)) {
        if (line.compare(0, 3, "## ") == 0) {
            inside = line.compare(0, 5, "## 9.") == 0;
        } else if (inside) {
            lines.push_back(line);
        }
    }
    return lines;
}

/* Rows of the table whose first cell matches; the groups of `pattern` and
 * behind them the second cell. */
std::vector<std::vector<std::string>> rows(const std::string &pattern)
{
    std::regex re("\\| " + pattern + " \\| (.*) \\|");
    std::vector<std::vector<std::string>> found;
    std::smatch match;

    for (const std::string &line : example_lines()) {
        if (std::regex_match(line, match, re)) {
            found.emplace_back(match.begin() + 1, match.end());
        }
    }
    return found;
}

class wire : public ::testing::Test {
protected:
    void SetUp() override
    {
        memset(&m_ext, 0, sizeof(m_ext));
        m_ext.version = UCT_SRD_WIRE_VERSION;
        m_ext.len8    = UCT_SRD_EXT_LEN / 8;
        m_ext.op      = UCT_SRD_OP_HELLO;
        m_ext.qkey    = 0x12345678;
        m_ext.qpn     = 0xabcd;
        m_ext.window  = 64;
        m_ext.epoch   = 0x99;
        m_ext.uid     = 0x8877665544332211ull;
        m_ext.arg     = 17;
        m_imm         = uct_srd_imm_pack_ctl(m_ext.epoch);
    }

    uct_srd_ext_check_t check(size_t length = UCT_SRD_EXT_LEN)
    {
        uct_srd_ext_t out;

        m_bytes.assign(64, 0xee);
        uct_srd_ext_pack(&m_ext, m_bytes.data());
        return uct_srd_ext_unpack(m_bytes.data(), length, m_imm, &out);
    }

    uct_srd_ext_t m_ext;
    uint32_t      m_imm;
    bytes_t       m_bytes;
};

TEST_F(wire, document_has_its_examples)
{
    EXPECT_EQ(2u, rows("immediate of AM id .*").size());
    EXPECT_EQ(1u, rows("immediate of any control message, epoch 1").size());
    EXPECT_EQ(1u, rows("interface address .*").size());
}

TEST_F(wire, immediate_of_data)
{
    for (auto &r : rows("immediate of AM id (\\w+), PSN (\\w+), epoch (\\w+), "
                        "(no|with) header")) {
        uint32_t imm = uct_srd_imm_pack(number(r[2]), number(r[0]),
                                        (r[3] == "with") ? UCT_SRD_IMM_EXT : 0,
                                        number(r[1]));
        EXPECT_EQ(number(r[4]), imm);
        EXPECT_EQ(number(r[0]), uct_srd_imm_am_id(imm));
        EXPECT_EQ(number(r[1]), imm & UCT_SRD_IMM_PSN_MASK);
        EXPECT_EQ(0u, imm & (UCT_SRD_IMM_MBZ | UCT_SRD_IMM_CTL));
    }
}

TEST_F(wire, immediate_of_control)
{
    for (auto &r : rows("immediate of any control message, epoch (\\w+)")) {
        EXPECT_EQ(number(r[1]), uct_srd_imm_pack_ctl(number(r[0])));
    }
}

TEST_F(wire, interface_address)
{
    for (auto &r : rows("interface address QPN (\\w+), QKEY (\\w+)")) {
        uct_srd_iface_addr_t addr = {};
        bytes_t packed(UCT_SRD_IFACE_ADDR_LEN, 0xee);

        addr.qpn     = number(r[0]);
        addr.version = UCT_SRD_WIRE_VERSION;
        addr.qkey    = number(r[1]);
        uct_srd_iface_addr_pack(&addr, packed.data());
        EXPECT_EQ(parse_bytes(r[2]), packed);

        memset(&addr, 0, sizeof(addr));
        uct_srd_iface_addr_unpack(packed.data(), &addr);
        EXPECT_EQ(number(r[0]), addr.qpn);
        EXPECT_EQ(number(r[1]), addr.qkey);
        EXPECT_EQ(1u, addr.version);
    }
}

/* Example `index` of a header: its text in one line, and its bytes */
std::pair<std::string, bytes_t> header_example(unsigned index)
{
    std::vector<std::pair<std::string, std::string>> found;
    bool in_hex = true;

    for (const std::string &line : example_lines()) {
        bool is_hex = line.compare(0, 4, "    ") == 0;

        if (line.empty() || (line.compare(0, 1, "|") == 0)) {
            continue;
        }
        if (in_hex && !is_hex) {
            found.emplace_back();
        }
        (is_hex ? found.back().second : found.back().first) += line + " ";
        in_hex = is_hex;
    }
    return std::make_pair(found.at(index).first,
                          parse_bytes(found.at(index).second));
}

TEST_F(wire, tail)
{
    std::pair<std::string, bytes_t> example = header_example(1);
    std::smatch match;
    std::regex re("REJOIN from GID (\\S+), QPN (\\w+), QKEY (\\w+), window "
                  "(\\w+), epoch (\\w+), UID (\\w+), features (\\w+), una "
                  "(\\w+), PREV (\\w+), NEXT (\\w+), flags (\\w+), GEN "
                  "(\\w+): ");
    ASSERT_TRUE(std::regex_match(example.first, match, re)) << example.first;

    uct_srd_ext_t ext = {}, out = {};
    ext.version = UCT_SRD_WIRE_VERSION;
    ext.op      = UCT_SRD_OP_REJOIN;
    ext.len8    = uct_srd_ext_len(ext.op) / 8;
    ASSERT_EQ(1, inet_pton(AF_INET6, match[1].str().c_str(), ext.gid));
    ext.qpn        = number(match[2]);
    ext.qkey       = number(match[3]);
    ext.window     = number(match[4]);
    ext.epoch      = number(match[5]);
    ext.uid        = number(match[6]);
    ext.features   = number(match[7]);
    ext.arg        = number(match[8]);
    ext.word       = number(match[9]);
    ext.next       = number(match[10]);
    ext.flags      = number(match[11]);
    ext.generation = number(match[12]);
    EXPECT_EQ(1u, ext.features >> UCT_SRD_GENERATION_SHIFT);

    bytes_t packed(UCT_SRD_EXT_TAIL_LEN, 0xee);
    uct_srd_ext_pack(&ext, packed.data());
    EXPECT_EQ(example.second, packed);

    uint32_t imm = uct_srd_imm_pack_ctl(ext.epoch);
    ASSERT_EQ(UCT_SRD_EXT_OK,
              uct_srd_ext_unpack(packed.data(), packed.size(), imm, &out));
    EXPECT_EQ(ext.word, out.word);
    EXPECT_EQ(ext.next, out.next);
    EXPECT_EQ(ext.flags, out.flags);
    EXPECT_EQ(ext.generation, out.generation);

    /* Without its tail such an operation means nothing */
    packed[UCT_SRD_EXT_LEN8] = 6;
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED,
              uct_srd_ext_unpack(packed.data(), packed.size(), imm, &out));
    packed[UCT_SRD_EXT_LEN8] = 7;
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED,
              uct_srd_ext_unpack(packed.data(), packed.size() - 1, imm, &out));
}

/* The example of the algorithm's authors: appendix A of their paper */
TEST_F(wire, uid)
{
    uct_srd_uid_key_t key = {{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull}};
    uint8_t data[15];

    for (unsigned i = 0; i < sizeof(data); ++i) {
        data[i] = i;
    }
    EXPECT_EQ(0xa129ca6149be45e5ull, uct_srd_uid(&key, data, sizeof(data)));
    EXPECT_NE(uct_srd_uid(&key, data, 8), uct_srd_uid(&key, data, 7));
}

TEST_F(wire, extended_header)
{
    std::pair<std::string, bytes_t> example = header_example(0);
    std::smatch match;

    std::regex re("(\\w+) from GID (\\S+), QPN (\\w+), QKEY (\\w+), window "
                  "(\\w+), epoch (\\w+), UID (\\w+), features (\\w+), to a "
                  "peer in epoch (\\w+): ");
    ASSERT_TRUE(std::regex_match(example.first, match, re)) << example.first;

    static const char *names[] = UCT_SRD_OP_NAMES;
    uct_srd_ext_t ext          = {};
    ext.version                = UCT_SRD_WIRE_VERSION;
    ext.len8                   = UCT_SRD_EXT_LEN / 8;
    while ((ext.op < UCT_SRD_OP_LAST) && (names[ext.op] != match[1].str())) {
        ++ext.op;
    }
    ASSERT_LT(ext.op, UCT_SRD_OP_LAST);
    ASSERT_EQ(1, inet_pton(AF_INET6, match[2].str().c_str(), ext.gid));
    ext.qpn      = number(match[3]);
    ext.qkey     = number(match[4]);
    ext.window   = number(match[5]);
    ext.epoch    = number(match[6]);
    ext.uid      = number(match[7]);
    ext.features = number(match[8]);
    ext.arg      = number(match[9]);

    /* gcc 14 does not see that there is no tail */
    bytes_t packed(UCT_SRD_EXT_TAIL_LEN, 0xee);
    uct_srd_ext_pack(&ext, packed.data());
    packed.resize(uct_srd_ext_len(ext.op));
    EXPECT_EQ(example.second, packed);

    uct_srd_ext_t out = {};
    ASSERT_EQ(UCT_SRD_EXT_OK,
              uct_srd_ext_unpack(packed.data(), packed.size(),
                                 uct_srd_imm_pack_ctl(ext.epoch), &out));
    EXPECT_EQ(ext.op, out.op);
    EXPECT_EQ(ext.qpn, out.qpn);
    EXPECT_EQ(ext.qkey, out.qkey);
    EXPECT_EQ(ext.window, out.window);
    EXPECT_EQ(ext.epoch, out.epoch);
    EXPECT_EQ(ext.uid, out.uid);
    EXPECT_EQ(ext.features, out.features);
    EXPECT_EQ(ext.arg, out.arg);
    EXPECT_EQ(0, memcmp(ext.gid, out.gid, sizeof(ext.gid)));
}

TEST_F(wire, accepts_longer_headers_of_later_releases)
{
    m_ext.len8 = 8;
    EXPECT_EQ(UCT_SRD_EXT_OK, check(64));
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check(63));
}

TEST_F(wire, refuses_short_messages)
{
    for (size_t length = 0; length < UCT_SRD_EXT_LEN; ++length) {
        EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check(length)) << length;
    }
    EXPECT_EQ(UCT_SRD_EXT_OK, check());
}

TEST_F(wire, refuses_what_does_not_fit_together)
{
    ASSERT_EQ(UCT_SRD_EXT_OK, check());

    SetUp();
    m_ext.op = UCT_SRD_OP_DATA; /* but the immediate says control */
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());
    m_imm = uct_srd_imm_pack(m_ext.epoch, 31, UCT_SRD_IMM_EXT, 65535);
    EXPECT_EQ(UCT_SRD_EXT_OK, check());
    m_ext.op = UCT_SRD_OP_PING; /* a control operation in data */
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());

    SetUp();
    m_ext.op = UCT_SRD_OP_LAST;
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());

    SetUp();
    m_imm |= 1; /* a PSN */
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());

    SetUp();
    m_imm |= 1u << UCT_SRD_IMM_AM_SHIFT;
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());

    SetUp();
    m_imm = uct_srd_imm_pack_ctl(m_ext.epoch + 1);
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());

    SetUp();
    m_ext.qkey |= 0x80000000u; /* privileged */
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());

    SetUp();
    m_ext.len8 = 5;
    EXPECT_EQ(UCT_SRD_EXT_MALFORMED, check());
}

TEST_F(wire, windows)
{
    for (unsigned window = 0; window <= 65535; ++window) {
        bool good = (window >= 16) && (window <= 4096) &&
                    ((window & (window - 1)) == 0);

        m_ext.window = window;
        ASSERT_EQ(good ? UCT_SRD_EXT_OK : UCT_SRD_EXT_MALFORMED, check())
                << window;
    }
}

TEST_F(wire, another_version_is_told_apart)
{
    uct_srd_ext_t out;

    for (unsigned version = 0; version < 256; ++version) {
        m_ext.version = version;
        EXPECT_EQ((version == 1) ? UCT_SRD_EXT_OK : UCT_SRD_EXT_BAD_VERSION,
                  check());
    }

    /* Its sender can be answered. */
    uct_srd_ext_unpack(m_bytes.data(), UCT_SRD_EXT_LEN, m_imm, &out);
    EXPECT_EQ(m_ext.qkey, out.qkey);
    EXPECT_EQ(m_ext.qpn, out.qpn);
}

} // namespace
