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
    std::string name, action, status, text;
};

bool operator==(const row &a, const row &b)
{
    return (a.code == b.code) && (a.name == b.name) && (a.action == b.action) &&
           (a.status == b.status) && (a.text == b.text);
}

std::ostream &operator<<(std::ostream &out, const row &r)
{
    return out << r.code << " " << r.name << " " << r.action << " " << r.status
               << " " << r.text;
}

std::vector<row> rows_of_code()
{
#define ROW(_code, _name, _action, _status, _text, _advice) \
    row{_code, #_name, #_action, #_status, _text},
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

    return (first == std::string::npos) ? "" :
                                          string.substr(first,
                                                        last - first + 1);
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
        if (cells.size() != 5) {
            ADD_FAILURE() << "odd row: " << line;
            continue;
        }
        rows.push_back({static_cast<unsigned>(std::stoul(cells[0])), cells[1],
                        cells[2], cells[3], cells[4]});
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
        EXPECT_EQ(r.code == 0, desc->action == UCT_EFA_STATUS_ACTION_NONE) << r;
    }
}

/* srd-wire.md, section 6 */
TEST(test_status, actions_are_those_of_the_protocol)
{
    const std::map<unsigned, uct_efa_status_action_t> expected = {
        {1, UCT_EFA_STATUS_ACTION_FAIL_IFACE},
        {2, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {3, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {4, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {5, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {6, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {8, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {9, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {10, UCT_EFA_STATUS_ACTION_RESEND},
        {11, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {12, UCT_EFA_STATUS_ACTION_RETRY},
        {13, UCT_EFA_STATUS_ACTION_RETRY},
        {15, UCT_EFA_STATUS_ACTION_FAIL_PEER},
        {18, UCT_EFA_STATUS_ACTION_FAIL_PEER}
    };

    for (auto &entry : expected) {
        EXPECT_EQ(entry.second, uct_efa_status_desc(entry.first)->action)
                << entry.first;
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
        EXPECT_EQ(UCT_EFA_STATUS_ACTION_FAIL_PEER, desc->action);
        EXPECT_NE(UCS_OK, desc->status);
    }
}
