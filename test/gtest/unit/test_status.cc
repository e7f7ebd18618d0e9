/* The table of device statuses: complete, and the same as in the docs. */
#include "stats/efa_status.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct row {
    unsigned    code;
    std::string name, message, control, rma, status, text;
};

bool operator==(const row &a, const row &b)
{
    return (a.code == b.code) && (a.name == b.name) &&
           (a.message == b.message) && (a.control == b.control) &&
           (a.rma == b.rma) && (a.status == b.status) && (a.text == b.text);
}

std::ostream &operator<<(std::ostream &out, const row &r)
{
    return out << r.code << " " << r.name << " " << r.message << " "
               << r.control << " " << r.rma << " " << r.status << " " << r.text;
}

std::vector<row> rows_of_code()
{
#define ROW(_code, _name, _message, _control, _rma, _status, _text, _advice) \
    row{_code, #_name, #_message, #_control, #_rma, #_status, _text},
    return {UCT_EFA_STATUS_TABLE(ROW)};
#undef ROW
}

std::string top_srcdir()
{
    const char *top = getenv("TOP");

    return (top != nullptr) ? top : TEST_TOP_SRCDIR;
}

std::string trim(const std::string &string)
{
    size_t first = string.find_first_not_of(" ");
    size_t last  = string.find_last_not_of(" ");

    return (first == std::string::npos) ?
                   "" :
                   string.substr(first, last - first + 1);
}

/* The table rows of section "## Completion status" */
std::vector<row> rows_of_docs()
{
    std::ifstream file(top_srcdir() + "/docs/device-facts.md");
    std::vector<row> rows;
    bool in_section = false;
    std::string line;

    EXPECT_TRUE(file.is_open());
    while (std::getline(file, line)) {
        if (line.compare(0, 3, "## ") == 0) {
            in_section = (line == "## Completion status");
        }
        if (!in_section || (line.compare(0, 2, "| ") != 0) ||
            !isdigit(static_cast<unsigned char>(line[2]))) {
            continue;
        }

        std::vector<std::string> cells;
        std::istringstream stream(line.substr(1));
        std::string cell;
        while (std::getline(stream, cell, '|')) {
            cells.push_back(trim(cell));
        }
        if (cells.size() != 7) {
            ADD_FAILURE() << "odd row: " << line;
            continue;
        }
        rows.push_back({static_cast<unsigned>(std::stoul(cells[0])), cells[1],
                        cells[2], cells[3], cells[4], cells[5], cells[6]});
    }
    return rows;
}

} // namespace

TEST(test_status, docs_and_code_are_the_same)
{
    std::vector<row> code = rows_of_code(), docs = rows_of_docs();

    ASSERT_EQ(code.size(), docs.size());
    for (size_t i = 0; i < code.size(); ++i) {
        EXPECT_EQ(code[i], docs[i]);
    }
}

TEST(test_status, every_code_says_what_to_do)
{
    std::set<std::string> names, texts;

    for (const row &r : rows_of_code()) {
        const uct_efa_status_desc_t *desc = uct_efa_status_desc(r.code);

        EXPECT_EQ(r.name, desc->name);
        EXPECT_EQ(r.text, desc->text);
        EXPECT_GT(std::string(desc->advice).size(), 5u) << r;
        EXPECT_TRUE(names.insert(desc->name).second) << r;
        EXPECT_TRUE(texts.insert(desc->text).second) << r;
        EXPECT_EQ(r.code == 0, desc->status == UCS_OK) << r;
        for (uct_efa_status_action_t action : desc->action) {
            EXPECT_EQ(r.code == 0, action == UCT_EFA_STATUS_ACTION_NONE) << r;
        }
    }
}

/* srd-wire.md, sections 6 and 11: message, control message, operation */
TEST(test_status, actions_are_those_of_the_protocol)
{
    enum {
        FAIL_IFACE     = UCT_EFA_STATUS_ACTION_FAIL_IFACE,
        FAIL_PEER      = UCT_EFA_STATUS_ACTION_FAIL_PEER,
        FAIL_OP        = UCT_EFA_STATUS_ACTION_FAIL_OP,
        HANDSHAKE      = UCT_EFA_STATUS_ACTION_HANDSHAKE,
        REPEAT         = UCT_EFA_STATUS_ACTION_REPEAT,
        RESEND         = UCT_EFA_STATUS_ACTION_RESEND,
        RETRY          = UCT_EFA_STATUS_ACTION_RETRY,
        SUSPECT_QP     = UCT_EFA_STATUS_ACTION_SUSPECT_QP,
        SUSPECT_DEVICE = UCT_EFA_STATUS_ACTION_SUSPECT_DEVICE,
        SUSPECT_RETRY  = UCT_EFA_STATUS_ACTION_SUSPECT_RETRY
    };
    const std::map<unsigned, std::vector<int>> expected = {
        {1, {FAIL_IFACE, FAIL_IFACE, FAIL_IFACE}},
        {2, {FAIL_PEER, FAIL_PEER, FAIL_PEER}},
        {3, {FAIL_PEER, FAIL_PEER, FAIL_OP}},
        {4, {FAIL_PEER, FAIL_PEER, FAIL_PEER}},
        {5, {FAIL_PEER, FAIL_PEER, FAIL_OP}},
        {6, {FAIL_PEER, FAIL_PEER, FAIL_OP}},
        {7, {FAIL_PEER, FAIL_PEER, FAIL_OP}},
        {8, {SUSPECT_QP, SUSPECT_QP, SUSPECT_QP}},
        {9, {SUSPECT_QP, SUSPECT_QP, SUSPECT_QP}},
        {10, {RESEND, REPEAT, RETRY}},
        {11, {FAIL_PEER, FAIL_PEER, FAIL_PEER}},
        {12, {RETRY, RETRY, RETRY}},
        {13, {SUSPECT_RETRY, SUSPECT_RETRY, SUSPECT_RETRY}},
        {14, {RETRY, RETRY, HANDSHAKE}},
        {15, {SUSPECT_DEVICE, SUSPECT_DEVICE, SUSPECT_DEVICE}},
        {18, {FAIL_PEER, FAIL_PEER, FAIL_OP}}
    };

    for (auto &entry : expected) {
        for (unsigned kind = 0; kind < UCT_EFA_STATUS_KIND_LAST; ++kind) {
            EXPECT_EQ(entry.second[kind],
                      uct_efa_status_desc(entry.first)->action[kind])
                    << entry.first << " " << kind;
        }
    }
}

static std::string name_of(unsigned code)
{
    char buffer[UCT_EFA_STATUS_NAME_MAX];

    return uct_efa_status_name(code, buffer);
}

TEST(test_status, names)
{
    for (auto &row : rows_of_code()) {
        EXPECT_EQ(row.name, name_of(row.code));
    }
}

TEST(test_status, unreachable_names_the_security_group)
{
    std::string advice = uct_efa_status_desc(15)->advice;

    EXPECT_NE(std::string::npos, advice.find("security group"));
    EXPECT_NE(std::string::npos, advice.find("from and to itself"));
}

TEST(test_status, unknown_codes)
{
    for (unsigned code : {16u, 17u, 19u, 20u, 255u, 256u, ~0u}) {
        const uct_efa_status_desc_t *desc = uct_efa_status_desc(code);

        ASSERT_NE(nullptr, desc);
        EXPECT_STREQ("UNKNOWN", desc->name);
        EXPECT_EQ(std::to_string(code), name_of(code));
        for (uct_efa_status_action_t action : desc->action) {
            EXPECT_EQ(UCT_EFA_STATUS_ACTION_FAIL_PEER, action);
        }
        EXPECT_NE(UCS_OK, desc->status);
    }
}
