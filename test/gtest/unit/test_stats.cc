/*
 * The segment, from both sides: the owner's blocks and the tool's reader. Files
 * are made in a directory of this test, by way of XDG_RUNTIME_DIR.
 */
extern "C" {
#include "stats/efa_stats_record.h"
}
#include "common/temp.h"
#include "fake_clock.h"
#include "tools/reader/stats_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

const uint8_t own_gid[16]    = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3};
const uint8_t remote_gid[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 9, 9, 9};

/* Of this process' file; "" if there is none */
const char *file_path()
{
    return uct_efa_stats.file.path;
}

class test_stats : public ::testing::Test {
protected:
    void SetUp() override
    {
        m_umask = umask(077);
    }

    /* Whatever was left open, as by a test that failed */
    void TearDown() override
    {
        while (m_opened > 0) {
            close_segment();
        }
        umask(m_umask);
    }

    void open_segment(uct_efa_stats_mode_t mode)
    {
        uct_efa_stats_open(mode);
        ++m_opened;
    }

    void close_segment()
    {
        uct_efa_stats_close();
        --m_opened;
    }

    std::set<std::string> files()
    {
        std::set<std::string> names;
        DIR *dir = opendir(m_dir.c_str());

        while (struct dirent *entry = readdir(dir)) {
            if (entry->d_name[0] != '.') {
                names.insert(entry->d_name);
            }
        }
        closedir(dir);
        return names;
    }

    efa_stats_event_entry_t first_event(const efa_stats_event_entry_t *set)
    {
        int fd    = open(file_path(), O_RDWR | O_CLOEXEC);
        off_t pos = sizeof(efa_stats_header_t);
        efa_stats_event_entry_t entry = {};
        efa_stats_events_t ring;

        EXPECT_EQ(ssize_t(sizeof(ring)), pread(fd, &ring, sizeof(ring), pos));
        while ((ring.rec.type != EFA_STATS_EVENTS) && (ring.rec.length > 0)) {
            pos += ring.rec.length;
            EXPECT_GT(pread(fd, &ring, sizeof(ring), pos), 0);
        }
        pos += ring.entries_off;
        if (set != nullptr) {
            EXPECT_EQ(ssize_t(sizeof(*set)),
                      pwrite(fd, set, sizeof(*set), pos));
        }
        EXPECT_EQ(ssize_t(sizeof(entry)),
                  pread(fd, &entry, sizeof(entry), pos));
        close(fd);
        return entry;
    }

    /* In another process that ends without any exit handler */
    int in_child(const std::function<int()> &body)
    {
        pid_t pid = fork();

        if (pid == 0) {
            _exit(body());
        }

        int status = -1;
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }

    std::vector<stats_entry_t> entries(const stats_segment_t &segment,
                                       efa_stats_type_t type)
    {
        std::vector<stats_entry_t> all;
        stats_entry_t entry;
        size_t pos = 0;

        while (stats_entry_next(&segment, type, &pos, &entry)) {
            all.push_back(entry);
        }
        return all;
    }

    static unsigned iface_counter(const std::string &name)
    {
        for (unsigned i = 0; stats_name_iface_counter(i) != nullptr; ++i) {
            if (name == stats_name_iface_counter(i)) {
                return i;
            }
        }
        ADD_FAILURE() << "no counter " << name;
        return 0;
    }

    static unsigned peer_counter(const std::string &name)
    {
        for (unsigned i = 0; stats_name_peer_counter(i) != nullptr; ++i) {
            if (name == stats_name_peer_counter(i)) {
                return i;
            }
        }
        ADD_FAILURE() << "no counter " << name;
        return 0;
    }

    void read(stats_segment_t *segment,
              const std::string &path = file_path())
    {
        char error[512] = "";

        ASSERT_EQ(0, stats_read(path.c_str(), segment, error, sizeof(error)))
                << error;
    }

    /* Of the ring, in the file */
    efa_stats_event_entry_t stats_first_event()
    {
        return first_event(nullptr);
    }

    void set_first_event(const efa_stats_event_entry_t &entry)
    {
        first_event(&entry);
    }

    std::string read_error(const std::string &path)
    {
        char error[512] = "";
        stats_segment_t segment;

        if (stats_read(path.c_str(), &segment, error, sizeof(error)) == 0) {
            stats_free(&segment);
            return "";
        }
        return error;
    }

    std::string write_file(const std::vector<char> &bytes)
    {
        std::string path = m_dir + "/made";
        std::ofstream file(path, std::ios::binary | std::ios::trunc);

        file.write(bytes.data(), bytes.size());
        return path;
    }

    /* A valid file with two interfaces and three peers, cut behind its end */
    std::vector<char> sample()
    {
        open_segment(UCT_EFA_STATS_YES);
        uct_efa_stats_iface_t *one = uct_efa_stats_iface_get("a:1", own_gid,
                                                             1);
        uct_efa_stats_iface_t *two = uct_efa_stats_iface_get("b:1", own_gid,
                                                             2);
        uct_efa_stats_peer_t *peers[3];
        for (unsigned i = 0; i < 3; ++i) {
            peers[i] = uct_efa_stats_peer_get((i < 2) ? one : two, remote_gid,
                                              i);
        }

        std::ifstream file(file_path(), std::ios::binary);
        efa_stats_header_t header;
        file.read(reinterpret_cast<char*>(&header), sizeof(header));
        std::vector<char> bytes(header.used);
        file.seekg(0);
        file.read(bytes.data(), bytes.size());

        for (unsigned i = 0; i < 3; ++i) {
            uct_efa_stats_peer_put((i < 2) ? one : two, peers[i]);
        }
        uct_efa_stats_iface_put(one);
        uct_efa_stats_iface_put(two);
        close_segment();
        return bytes;
    }

    /* Where the first interface is in a sample */
    static size_t first_iface(const std::vector<char> &bytes)
    {
        efa_stats_record_t rec;

        for (size_t pos = sizeof(efa_stats_header_t); pos < bytes.size();
             pos += rec.length) {
            memcpy(&rec, &bytes.at(pos), sizeof(rec));
            if (rec.type == EFA_STATS_IFACE) {
                return pos;
            }
        }
        throw std::runtime_error("no interface");
    }

    template<typename T>
    static void poke(std::vector<char> &bytes, size_t offset, T value)
    {
        memcpy(&bytes.at(offset), &value, sizeof(value));
    }

    temp_dir    m_temp;
    std::string m_dir = m_temp.path();
    temp_env    m_env{"XDG_RUNTIME_DIR", m_dir};
    mode_t      m_umask  = 0;
    unsigned    m_opened = 0;
};

} // namespace

TEST_F(test_stats, what_is_counted_is_shown)
{
    open_segment(UCT_EFA_STATS_YES);
    ASSERT_EQ(m_dir + "/",
              std::string(file_path()).substr(0, m_dir.size() + 1));

    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("efa_0:1", own_gid,
                                                           77);
    uct_efa_stats_peer_t *peer = uct_efa_stats_peer_get(iface, remote_gid, 88);
    iface->tx_msgs += 5;
    iface->rx_bytes += 1ull << 40;
    ++iface->wakeups;
    peer->tx_msgs += 6;
    ++peer->dup;
    peer->state = EFA_STATS_PEER_JOINED;

    stats_segment_t segment;
    read(&segment);
    EXPECT_TRUE(segment.alive);
    EXPECT_EQ(static_cast<uint32_t>(getpid()), segment.header.pid);
    EXPECT_EQ(geteuid(), segment.header.uid);
    EXPECT_NE(0u, segment.header.start_time);
    EXPECT_STREQ("test_unit", segment.header.command);

    auto ifaces = entries(segment, EFA_STATS_IFACE);
    auto peers  = entries(segment, EFA_STATS_PEER);
    ASSERT_EQ(1u, ifaces.size());
    ASSERT_EQ(1u, peers.size());
    EXPECT_STREQ("efa_0:1", ifaces[0].name);
    EXPECT_EQ(77u, ifaces[0].qpn);
    EXPECT_EQ(0, memcmp(ifaces[0].gid, own_gid, 16));
    EXPECT_EQ(unsigned(EFA_STATS_IFACE_NUM), ifaces[0].num_counters);
    EXPECT_EQ(5u, ifaces[0].counters[iface_counter("tx_msgs")]);
    EXPECT_EQ(1ull << 40, ifaces[0].counters[iface_counter("rx_bytes")]);
    EXPECT_EQ(1u, ifaces[0].counters[iface_counter("wakeups")]);
    EXPECT_EQ(0u, ifaces[0].counters[iface_counter("tx_bytes")]);
    EXPECT_EQ(ifaces[0].index, peers[0].index);
    EXPECT_EQ(88u, peers[0].qpn);
    EXPECT_EQ(0, memcmp(peers[0].gid, remote_gid, 16));
    EXPECT_STREQ("joined", peers[0].state);
    EXPECT_EQ(6u, peers[0].counters[peer_counter("tx_msgs")]);
    EXPECT_EQ(1u, peers[0].counters[peer_counter("dup")]);
    stats_free(&segment);

    /* What was given back is not shown any more */
    uct_efa_stats_peer_put(iface, peer);
    read(&segment);
    EXPECT_EQ(0u, entries(segment, EFA_STATS_PEER).size());
    EXPECT_EQ(1u, entries(segment, EFA_STATS_IFACE).size());
    stats_free(&segment);

    uct_efa_stats_iface_put(iface);
    close_segment();
}

TEST_F(test_stats, file_is_private_and_goes)
{
    struct stat st;

    umask(0);
    open_segment(UCT_EFA_STATS_YES);
    open_segment(UCT_EFA_STATS_YES);
    ASSERT_EQ(1u, files().size());
    ASSERT_EQ(0, lstat(file_path(), &st));
    EXPECT_EQ(static_cast<mode_t>(S_IFREG | 0600), st.st_mode);
    EXPECT_EQ(geteuid(), st.st_uid);

    close_segment();
    EXPECT_EQ(1u, files().size()) << "one user is left";
    close_segment();
    EXPECT_EQ(0u, files().size());
    EXPECT_STREQ("", file_path());
}

TEST_F(test_stats, exit_without_close)
{
    /* exit() with its handlers, unlike in_child() */
    pid_t pid = fork();
    if (pid == 0) {
        open_segment(UCT_EFA_STATS_YES);
        exit(files().size() == 1 ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);
    EXPECT_EQ(0u, files().size());
}

TEST_F(test_stats, without_a_file)
{
    open_segment(UCT_EFA_STATS_NO);
    EXPECT_EQ(0u, files().size());

    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    uct_efa_stats_peer_t *peer1  = uct_efa_stats_peer_get(iface, remote_gid, 1);
    uct_efa_stats_peer_t *peer2  = uct_efa_stats_peer_get(iface, remote_gid, 2);
    ++iface->tx_msgs;
    ++peer1->tx_msgs;
    EXPECT_EQ(1u, iface->tx_msgs);
    EXPECT_EQ(0u, peer2->tx_msgs);
    uct_efa_stats_peer_put(iface, peer1);
    uct_efa_stats_peer_put(iface, peer2);
    uct_efa_stats_iface_put(iface);
    close_segment();
}

TEST_F(test_stats, small_file_limit_is_no_signal)
{
    EXPECT_EQ(0, in_child([this]() {
                  struct rlimit limit = {4096, 4096};

                  setrlimit(RLIMIT_FSIZE, &limit);
                  open_segment(UCT_EFA_STATS_YES);
                  uct_efa_stats_iface_t
                          *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
                  ++iface->tx_msgs;
                  uct_efa_stats_iface_put(iface);
                  return strcmp(file_path(), "") == 0 ? 0 : 1;
              }));
    EXPECT_EQ(0u, files().size());
}

TEST_F(test_stats, directory_of_others_is_not_used)
{
    /* Anybody could put a file there */
    ASSERT_EQ(0, chmod(m_dir.c_str(), 0777));
    open_segment(UCT_EFA_STATS_YES);
    EXPECT_EQ(0u, files().size());
    EXPECT_EQ(0u, std::string(file_path()).find("/dev/shm/"));
    close_segment();
}

TEST_F(test_stats, keep_stays_behind)
{
    open_segment(UCT_EFA_STATS_KEEP);
    std::string path             = file_path();
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    iface->tx_msgs               = 3;
    uct_efa_stats_iface_put(iface);
    close_segment();

    /* Nor does a later process take it away */
    open_segment(UCT_EFA_STATS_YES);
    EXPECT_NE(path, file_path());
    close_segment();

    stats_segment_t segment;
    read(&segment, path);
    EXPECT_FALSE(segment.alive);
    auto ifaces = entries(segment, EFA_STATS_IFACE);
    ASSERT_EQ(1u, ifaces.size());
    EXPECT_EQ(3u, ifaces[0].counters[iface_counter("tx_msgs")]);
    stats_free(&segment);
}

TEST_F(test_stats, leftovers_of_the_dead_are_removed)
{
    ASSERT_EQ(0, in_child([this]() {
                  open_segment(UCT_EFA_STATS_YES);
                  return file_path()[0] == '/' ? 0 : 1;
              }));
    ASSERT_EQ(1u, files().size());
    std::string left = *files().begin();

    /* Files of others' business stay */
    write_file({'x'});
    ASSERT_EQ(0, symlink("/etc/passwd", (m_dir + "/ucx-efa.1.0").c_str()));
    std::ofstream(m_dir + "/ucx-efa.12.x");

    open_segment(UCT_EFA_STATS_YES);
    EXPECT_EQ(0u, files().count(left));
    EXPECT_EQ(4u, files().size());
    close_segment();
    EXPECT_EQ(3u, files().size());
}

TEST_F(test_stats, files_of_the_living_stay)
{
    int to_child[2], to_parent[2];
    char byte = 0;

    ASSERT_EQ(0, pipe(to_child));
    ASSERT_EQ(0, pipe(to_parent));
    pid_t pid = fork();
    if (pid == 0) {
        open_segment(UCT_EFA_STATS_YES);
        if ((write(to_parent[1], &byte, 1) != 1) ||
            (::read(to_child[0], &byte, 1) != 1)) {
            _exit(1);
        }
        _exit(0);
    }

    ASSERT_EQ(1, ::read(to_parent[0], &byte, 1));
    ASSERT_EQ(1u, files().size());
    std::string living = *files().begin();
    open_segment(UCT_EFA_STATS_YES);
    EXPECT_EQ(1u, files().count(living));

    stats_segment_t segment;
    read(&segment, m_dir + "/" + living);
    EXPECT_TRUE(segment.alive);
    EXPECT_EQ(static_cast<uint32_t>(pid), segment.header.pid);
    stats_free(&segment);

    ASSERT_EQ(1, write(to_child[1], &byte, 1));
    waitpid(pid, nullptr, 0);
    close_segment();
    for (int fd : {to_child[0], to_child[1], to_parent[0], to_parent[1]}) {
        close(fd);
    }
}

TEST_F(test_stats, forked_child_leaves_it_alone)
{
    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    uct_efa_stats_peer_t *peer   = uct_efa_stats_peer_get(iface, remote_gid, 1);

    pid_t pid = fork();
    if (pid == 0) {
        uct_efa_stats_iface_t *more = uct_efa_stats_iface_get("y:1", own_gid,
                                                              2);
        more->tx_msgs               = 1;
        uct_efa_stats_iface_put(more);
        uct_efa_stats_peer_put(iface, peer);
        uct_efa_stats_iface_put(iface);
        close_segment();
        exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);

    EXPECT_EQ(1u, files().size());
    stats_segment_t segment;
    read(&segment);
    EXPECT_EQ(1u, entries(segment, EFA_STATS_IFACE).size());
    EXPECT_EQ(1u, entries(segment, EFA_STATS_PEER).size());
    EXPECT_TRUE(segment.alive);
    stats_free(&segment);

    uct_efa_stats_peer_put(iface, peer);
    uct_efa_stats_iface_put(iface);
    close_segment();
}

TEST_F(test_stats, name_taken_by_a_link)
{
    /* The next names this process would take, all leading to a victim */
    std::string victim = m_dir + "/victim";
    std::ofstream(victim) << "precious";
    for (unsigned n = 0; n < 200; ++n) {
        std::string link = m_dir + "/ucx-efa." + std::to_string(getpid()) +
                           "." + std::to_string(n);
        ASSERT_EQ(0, symlink(victim.c_str(), link.c_str()));
    }

    open_segment(UCT_EFA_STATS_YES);
    std::ifstream file(victim);
    std::string content;
    std::getline(file, content);
    EXPECT_EQ("precious", content);
    close_segment();
}

TEST_F(test_stats, blocks_are_used_again)
{
    open_segment(UCT_EFA_STATS_YES);
    uint64_t used = 0;

    for (unsigned i = 0; i < 1000; ++i) {
        uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid,
                                                               i);
        uct_efa_stats_peer_t *peers[3];
        EXPECT_EQ(0u, iface->tx_msgs);
        iface->tx_msgs = 1;
        for (auto &peer : peers) {
            peer = uct_efa_stats_peer_get(iface, remote_gid, i);
            EXPECT_EQ(0u, peer->tx_msgs);
            EXPECT_EQ(unsigned(EFA_STATS_PEER_NEW), peer->state);
            peer->tx_msgs = 1;
            peer->state   = EFA_STATS_PEER_FAILED;
        }

        stats_segment_t segment;
        read(&segment);
        EXPECT_EQ(1u, entries(segment, EFA_STATS_IFACE).size());
        EXPECT_EQ(3u, entries(segment, EFA_STATS_PEER).size());
        if (i == 0) {
            used = segment.header.used;
        }
        ASSERT_EQ(used, segment.header.used);
        stats_free(&segment);

        for (auto peer : peers) {
            uct_efa_stats_peer_put(iface, peer);
        }
        uct_efa_stats_iface_put(iface);
    }
    close_segment();
}

TEST_F(test_stats, more_peers_than_room)
{
    const unsigned count = 30000;
    std::vector<uct_efa_stats_peer_t *> peers;
    std::set<uct_efa_stats_peer_t *> different;

    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    for (unsigned i = 0; i < count; ++i) {
        peers.push_back(uct_efa_stats_peer_get(iface, remote_gid, i));
        ++peers.back()->tx_msgs;
        different.insert(peers.back());
    }
    /* An interface that finds no room counts in private */
    uct_efa_stats_iface_t *late = uct_efa_stats_iface_get("y:1", own_gid, 2);
    ++late->tx_msgs;
    uct_efa_stats_peer_t *late_peer = uct_efa_stats_peer_get(late, remote_gid,
                                                             1);
    ++late_peer->tx_msgs;

    EXPECT_GT(different.size(), 10000u);
    EXPECT_LT(different.size(), size_t(count));

    stats_segment_t segment;
    read(&segment);
    auto shown = entries(segment, EFA_STATS_PEER);
    ASSERT_EQ(different.size(), shown.size());
    EXPECT_GT(segment.header.hidden, 0u);
    uint64_t total     = 0;
    unsigned overflows = 0;
    for (auto &entry : shown) {
        total += entry.counters[peer_counter("tx_msgs")];
        overflows += entry.overflow;
    }
    EXPECT_EQ(count, total) << "nothing counted is lost";
    EXPECT_EQ(1u, overflows);
    stats_free(&segment);

    for (auto peer : peers) {
        uct_efa_stats_peer_put(iface, peer);
    }
    uct_efa_stats_peer_put(late, late_peer);
    uct_efa_stats_iface_put(iface);
    uct_efa_stats_iface_put(late);
    close_segment();
}

TEST_F(test_stats, reader_while_the_owner_changes)
{
    /* Peers come and go; every one shown must be whole: its qpn in all words */
    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    bool stop                    = false;
    std::thread owner([&]() {
        for (uint32_t i = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); ++i) {
            uct_efa_stats_peer_t *peers[8];

            for (auto &peer : peers) {
                peer = uct_efa_stats_peer_get(iface, remote_gid, i);
            }
            for (auto peer : peers) {
                uct_efa_stats_peer_put(iface, peer);
            }
            std::this_thread::yield();
        }
    });

    for (unsigned i = 0; i < 200; ++i) {
        stats_segment_t segment;
        read(&segment);
        for (auto &entry : entries(segment, EFA_STATS_PEER)) {
            EXPECT_NE(0u, entry.qpn);
            EXPECT_EQ(0, memcmp(entry.gid, remote_gid, 16));
            EXPECT_EQ(unsigned(EFA_STATS_PEER_NUM), entry.num_counters);
        }
        stats_free(&segment);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    owner.join();
    uct_efa_stats_iface_put(iface);
    close_segment();
}

/* ----------------------------------------------------- files made by others */

TEST_F(test_stats, reader_refuses_what_is_no_stats)
{
    std::vector<char> good  = sample(), bad;
    const size_t header_len = offsetof(efa_stats_header_t, header_len);
    const size_t used       = offsetof(efa_stats_header_t, used);
    const size_t version    = offsetof(efa_stats_header_t, version);
    const size_t first_len  = sizeof(efa_stats_header_t) +
                             offsetof(efa_stats_record_t, length);

    EXPECT_EQ("", read_error(write_file(good)));

    EXPECT_NE("", read_error(m_dir + "/absent"));
    EXPECT_NE("", read_error(m_dir));
    EXPECT_NE("", read_error(write_file({})));
    EXPECT_NE("", read_error(write_file(std::vector<char>(191, 'x'))));
    EXPECT_NE("", read_error(write_file(std::vector<char>(5000, 'x'))));
    EXPECT_NE("", read_error(write_file(std::vector<char>(9 << 20, 0))));

    bad = good;
    poke<uint16_t>(bad, version, EFA_STATS_VERSION + 1);
    EXPECT_NE(std::string::npos,
              read_error(write_file(bad)).find("another version"));

    for (uint16_t value : {0, 64, 191, 193, 65535}) {
        bad = good;
        poke<uint16_t>(bad, header_len, value);
        EXPECT_NE("", read_error(write_file(bad))) << value;
    }
    for (uint64_t value :
         {uint64_t(0), uint64_t(64), uint64_t(good.size() + 64),
          uint64_t(1) << 40, ~uint64_t(0), ~uint64_t(63),
          uint64_t(good.size() - 1)}) {
        bad = good;
        poke<uint64_t>(bad, used, value);
        EXPECT_NE("", read_error(write_file(bad))) << value;
    }
    for (uint32_t value : {0u, 1u, 63u, 65u, 0x7fffffc0u, 0xffffffc0u, ~0u}) {
        bad = good;
        poke<uint32_t>(bad, first_len, value);
        EXPECT_NE("", read_error(write_file(bad))) << value;
    }

    /* Cut anywhere in the records */
    for (size_t size = sizeof(efa_stats_header_t); size < good.size();
         size += 32) {
        bad.assign(good.begin(), good.begin() + size);
        EXPECT_NE("", read_error(write_file(bad))) << size;
    }
}

TEST_F(test_stats, reader_does_not_follow_or_block)
{
    std::string path = m_dir + "/ucx-efa.1.1";

    std::string good = write_file(sample());
    EXPECT_EQ("", read_error(good));
    ASSERT_EQ(0, symlink(good.c_str(), path.c_str()));
    EXPECT_NE("", read_error(path));
    ASSERT_EQ(0, unlink(path.c_str()));
    ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
    EXPECT_NE("", read_error(path));
}

TEST_F(test_stats, reader_cleans_names)
{
    std::vector<char> bytes = sample();
    size_t command          = offsetof(efa_stats_header_t, command);
    size_t name = first_iface(bytes) + offsetof(efa_stats_iface_t, name);

    /* No end, and what a terminal would obey */
    std::fill_n(bytes.begin() + command, 64, '\033');
    std::fill_n(bytes.begin() + name, EFA_STATS_NAME_MAX, '\007');

    stats_segment_t segment;
    read(&segment, write_file(bytes));
    EXPECT_EQ(std::string(63, '?'), segment.header.command);
    auto ifaces = entries(segment, EFA_STATS_IFACE);
    ASSERT_EQ(2u, ifaces.size());
    EXPECT_EQ(std::string(EFA_STATS_NAME_MAX - 1, '?'), ifaces[0].name);
    stats_free(&segment);
}

TEST_F(test_stats, reader_of_longer_and_shorter_records)
{
    std::vector<char> bytes = sample();
    size_t first            = first_iface(bytes);
    size_t num              = first + offsetof(efa_stats_iface_t, num_counters);
    size_t off              = first + offsetof(efa_stats_iface_t, counters_off);
    stats_segment_t segment;

    /* Fewer counters than we know: an older writer */
    poke<uint32_t>(bytes, num, 3);
    read(&segment, write_file(bytes));
    EXPECT_EQ(3u, entries(segment, EFA_STATS_IFACE)[0].num_counters);
    stats_free(&segment);

    /* More than fit: only what lies in the record */
    poke<uint32_t>(bytes, num, ~0u);
    read(&segment, write_file(bytes));
    EXPECT_EQ(unsigned(EFA_STATS_IFACE_NUM),
              entries(segment, EFA_STATS_IFACE)[0].num_counters);
    stats_free(&segment);

    poke<uint32_t>(bytes, off, sizeof(efa_stats_iface_t) - 16);
    read(&segment, write_file(bytes));
    EXPECT_EQ(2u, entries(segment, EFA_STATS_IFACE)[0].num_counters);
    stats_free(&segment);

    for (uint32_t value : {0u, 8u, 17u, 1u << 20, ~0u, ~7u}) {
        poke<uint32_t>(bytes, off, value);
        read(&segment, write_file(bytes));
        EXPECT_EQ(0u, entries(segment, EFA_STATS_IFACE)[0].num_counters);
        stats_free(&segment);
    }

    /* A type we do not know, between others */
    poke<uint16_t>(bytes, first, 999);
    read(&segment, write_file(bytes));
    EXPECT_EQ(1u, entries(segment, EFA_STATS_IFACE).size());
    EXPECT_EQ(3u, entries(segment, EFA_STATS_PEER).size());
    stats_free(&segment);
}

TEST_F(test_stats, reader_of_noise)
{
    std::vector<char> good = sample();
    std::mt19937 random(7);
    unsigned accepted = 0;

    for (unsigned i = 0; i < 3000; ++i) {
        std::vector<char> bytes = good;
        unsigned changes        = 1 + random() % 8;

        for (unsigned c = 0; c < changes; ++c) {
            size_t at = random() % bytes.size();
            bytes[at] = (random() % 2) ? char(random()) : char(0xff);
        }

        char error[512];
        stats_segment_t segment;
        std::string path = write_file(bytes);
        if (stats_read(path.c_str(), &segment, error, sizeof(error)) != 0) {
            continue;
        }

        /* Every byte of every entry can be touched */
        ++accepted;
        volatile uint64_t sum = 0;
        for (auto type : {EFA_STATS_IFACE, EFA_STATS_PEER}) {
            for (auto &entry : entries(segment, type)) {
                sum = sum + strlen(entry.name) + strlen(entry.state) +
                      entry.gid[15];
                for (unsigned n = 0; n < entry.num_counters; ++n) {
                    sum = sum + entry.counters[n];
                }
            }
        }
        stats_free(&segment);
    }
    EXPECT_GT(accepted, 100u);
}

/* -------------------------------------- devices, objects, endpoints, events */

TEST_F(test_stats, what_is_held_is_shown)
{
    const uint64_t max[EFA_STATS_KIND_LAST] = {1, 2, 3, 4, 0};

    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_device_t *device = uct_efa_stats_device_get("efa_0", max);
    uct_efa_stats_iface_t *iface   = uct_efa_stats_iface_get("efa_0:1", own_gid,
                                                             5);
    uct_efa_stats_peer_t *peer = uct_efa_stats_peer_get(iface, remote_gid, 6);
    uct_efa_stats_ep_t *ep = uct_efa_stats_ep_get(iface, peer, "app(main+0x1)");
    uct_efa_stats_object_params_t mr = {};
    mr.kind                          = EFA_STATS_MR;
    mr.size                          = 4096;
    mr.size2                         = 0x1000;
    mr.site                          = "app+0x2";
    uct_efa_stats_object_params_t ah = {};
    ah.kind                          = EFA_STATS_AH;
    ah.iface                         = iface;
    ah.number                        = 77;
    ah.gid                           = remote_gid;
    uct_efa_stats_object_t *first    = uct_efa_stats_object_get(device, &mr);
    uct_efa_stats_object_t *second   = uct_efa_stats_object_get(device, &mr);
    uct_efa_stats_object_t *third    = uct_efa_stats_object_get(device, &ah);
    uct_efa_stats_object_resize(third, 9);
    uct_efa_stats_device_refused(device, EFA_STATS_QP, ENOMEM);
    uct_efa_stats_device_leaked(device, 3);

    stats_segment_t segment;
    read(&segment);
    ASSERT_EQ(1u, segment.num_devices);
    EXPECT_STREQ("efa_0", segment.devices[0].name);
    EXPECT_EQ(4u, segment.devices[0].mr_max);
    EXPECT_EQ(2u, segment.devices[0].mr);
    EXPECT_EQ(1u, segment.devices[0].ah);
    EXPECT_EQ(0u, segment.devices[0].qp);
    EXPECT_EQ(8192u, segment.devices[0].mr_bytes);
    EXPECT_EQ(1u, segment.devices[0].refused);
    EXPECT_EQ(3u, segment.devices[0].leaked);
    ASSERT_EQ(3u, segment.num_objects);
    EXPECT_EQ(unsigned(EFA_STATS_MR), segment.objects[0].kind);
    EXPECT_NE(segment.objects[0].number, segment.objects[1].number);
    EXPECT_EQ(4096u, segment.objects[0].size);
    EXPECT_EQ(0x1000u, segment.objects[0].size2);
    EXPECT_EQ(EFA_STATS_NONE, segment.objects[0].iface);
    EXPECT_NE(0u, segment.objects[0].create_time);
    EXPECT_STREQ("app+0x2", segment.objects[0].site);
    EXPECT_EQ(77u, segment.objects[2].number);
    EXPECT_EQ(9u, segment.objects[2].size);
    EXPECT_EQ(iface->index, segment.objects[2].iface);
    EXPECT_EQ(0, memcmp(remote_gid, segment.objects[2].gid, 16));
    ASSERT_EQ(1u, segment.num_eps);
    ASSERT_EQ(1u, segment.num_peers);
    EXPECT_EQ(&segment.peers[0], stats_link_peer(&segment, &segment.eps[0]));
    EXPECT_STREQ("app(main+0x1)", segment.eps[0].site);
    ASSERT_EQ(1u, segment.num_events);
    EXPECT_EQ(EFA_STATS_EVENT_REFUSED, segment.events[0].event);
    EXPECT_EQ(unsigned(EFA_STATS_QP), segment.events[0].a);
    EXPECT_EQ(unsigned(ENOMEM), segment.events[0].b);
    stats_free(&segment);

    /* Not a child's: what it gives back its parent still has */
    EXPECT_EQ(0, in_child([&]() {
                  uct_efa_stats_object_put(device, first, EFA_STATS_MR, 4096);
                  uct_efa_stats_event(EFA_STATS_EVENT_RESET, iface, nullptr, 0,
                                      0, 0, 0);
                  uct_efa_stats_ep_put(iface, ep);
                  return 0;
              }));
    uct_efa_stats_object_put(device, second, EFA_STATS_MR, 4096);
    read(&segment);
    EXPECT_EQ(1u, segment.devices[0].mr);
    EXPECT_EQ(4096u, segment.devices[0].mr_bytes);
    EXPECT_EQ(2u, segment.num_objects);
    EXPECT_EQ(1u, segment.num_eps);
    EXPECT_EQ(1u, segment.num_events);
    stats_free(&segment);

    uct_efa_stats_object_put(device, first, EFA_STATS_MR, 4096);
    uct_efa_stats_object_put(device, third, EFA_STATS_AH, 0);
    uct_efa_stats_ep_put(iface, ep);
    uct_efa_stats_peer_put(iface, peer);
    uct_efa_stats_iface_put(iface);
    uct_efa_stats_device_put(device);
    read(&segment);
    EXPECT_EQ(0u, segment.num_devices + segment.num_objects + segment.num_eps);
    stats_free(&segment);
    close_segment();
}

/* Objects that find no room cost no memory, and are counted all the same */
TEST_F(test_stats, more_objects_than_room)
{
    const uint64_t max[EFA_STATS_KIND_LAST] = {};
    const unsigned count                    = 80000;
    std::vector<uct_efa_stats_object_t *> objects;
    std::set<uct_efa_stats_object_t *> different;
    uct_efa_stats_object_params_t params = {};

    params.kind = EFA_STATS_MR;
    params.size = 2;
    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_device_t *device = uct_efa_stats_device_get("efa_0", max);
    uct_efa_stats_iface_t *iface   = uct_efa_stats_iface_get("efa_0:1", own_gid,
                                                             5);
    for (unsigned i = 0; i < count; ++i) {
        objects.push_back(uct_efa_stats_object_get(device, &params));
        different.insert(objects.back());
        uct_efa_stats_object_resize(objects.back(), 3);
    }
    uct_efa_stats_peer_t *peer = uct_efa_stats_peer_get(iface, remote_gid, 1);
    uct_efa_stats_ep_t *eps[2];
    for (auto &ep : eps) {
        ep          = uct_efa_stats_ep_get(iface, peer, "?");
        ep->pending = 1;
    }
    EXPECT_EQ(eps[0], eps[1]);
    EXPECT_EQ(count, device->mr);
    EXPECT_EQ(2u * count, device->mr_bytes);

    stats_segment_t segment;
    read(&segment);
    EXPECT_GT(segment.num_objects, 10000u);
    EXPECT_EQ(different.size() - 1, segment.num_objects);
    EXPECT_EQ(count - segment.num_objects + 3, segment.header.hidden);
    EXPECT_EQ(0u, segment.num_eps);
    stats_free(&segment);

    for (auto ep : eps) {
        uct_efa_stats_ep_put(iface, ep);
    }
    uct_efa_stats_peer_put(iface, peer);
    for (auto object : objects) {
        uct_efa_stats_object_put(device, object, EFA_STATS_MR, 2);
    }
    EXPECT_EQ(0u, device->mr);
    EXPECT_EQ(0u, device->mr_bytes);
    uct_efa_stats_iface_put(iface);
    uct_efa_stats_device_put(device);
    close_segment();
}

TEST_F(test_stats, last_events_are_kept)
{
    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    const unsigned count         = 3 * EFA_STATS_EVENTS_NUM + 5;

    for (unsigned i = 0; i < count; ++i) {
        uct_efa_stats_event(EFA_STATS_EVENT_CTL_TX, iface, remote_gid, 9, -3, i,
                            2ull * i);
    }

    stats_segment_t segment;
    read(&segment);
    ASSERT_EQ(EFA_STATS_EVENTS_NUM, segment.num_events);
    for (unsigned i = 0; i < EFA_STATS_EVENTS_NUM; ++i) {
        const efa_stats_event_entry_t &event = segment.events[i];
        unsigned number                      = count - EFA_STATS_EVENTS_NUM + i;

        ASSERT_EQ(number + 1, event.seq);
        ASSERT_EQ(number, event.a);
        ASSERT_EQ(2ull * number, event.b);
        ASSERT_EQ(-3, event.status);
        ASSERT_EQ(9u, event.qpn);
        ASSERT_EQ(iface->index, event.iface);
        ASSERT_EQ(0, memcmp(remote_gid, event.gid, 16));
    }
    stats_free(&segment);
    uct_efa_stats_iface_put(iface);
    close_segment();

    /* Nowhere to go */
    uct_efa_stats_event(EFA_STATS_EVENT_RESET, nullptr, nullptr, 0, 0, 0, 0);
}

/* Every event that a reader sees is one that somebody wrote */
TEST_F(test_stats, events_of_many_threads)
{
    const unsigned num = 4, each = EFA_STATS_EVENTS_NUM / num;
    std::vector<std::thread> threads;

    open_segment(UCT_EFA_STATS_YES);
    for (unsigned t = 0; t < num; ++t) {
        threads.emplace_back([=]() {
            for (unsigned i = 0; i < each; ++i) {
                uct_efa_stats_event(EFA_STATS_EVENT_RNR, nullptr, nullptr, t, t,
                                    i, (uint64_t(t) << 32) | i);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }

    stats_segment_t segment;
    read(&segment);
    ASSERT_EQ(EFA_STATS_EVENTS_NUM, segment.num_events);
    EXPECT_EQ(num * each, segment.events[EFA_STATS_EVENTS_NUM - 1].seq);
    for (unsigned i = 0; i < segment.num_events; ++i) {
        const efa_stats_event_entry_t &event = segment.events[i];
        EXPECT_EQ((uint64_t(event.qpn) << 32) | event.a, event.b);
        EXPECT_EQ(int(event.qpn), event.status);
    }
    stats_free(&segment);
    close_segment();
}

/* A peer that sends nonsense without end, and want of something that lasts */
TEST_F(test_stats, a_flood_leaves_what_was_before)
{
    const unsigned peers = 20, kinds = 8, rounds = 3 * EFA_STATS_EVENTS_NUM;
    fake_clock clock(uct_efa_stats_now());

    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    uct_efa_stats_event(EFA_STATS_EVENT_RESET, iface, nullptr, 0, 0, 1, 0);
    for (unsigned i = 0; i < rounds; ++i) {
        for (unsigned peer = 0; peer < peers; ++peer) {
            for (unsigned kind = 0; kind < kinds; ++kind) {
                uct_efa_stats_event((kind & 1) ? EFA_STATS_EVENT_CTL_RX :
                                                 EFA_STATS_EVENT_RX_DROP,
                                    iface, remote_gid, peer, 0, kind / 2, 0);
            }
        }
    }

    stats_segment_t segment;
    read(&segment);
    ASSERT_LT(segment.num_events, EFA_STATS_EVENTS_NUM);
    EXPECT_EQ(EFA_STATS_EVENT_RESET, segment.events[0].event);
    EXPECT_EQ(0u, segment.events[0].repeats);
    std::map<std::pair<unsigned, unsigned>, unsigned> counts;
    for (unsigned i = 1; i < segment.num_events; ++i) {
        const efa_stats_event_entry_t &event = segment.events[i];
        unsigned kind = 2 * event.a + (event.event == EFA_STATS_EVENT_CTL_RX);
        counts[{event.qpn, kind}] += 1 + event.repeats;
        EXPECT_LE(stats_time_event_last(&event), uct_efa_stats_now());
    }
    EXPECT_EQ(peers * kinds, counts.size());
    for (auto &count : counts) {
        EXPECT_EQ(rounds, count.second);
    }
    stats_free(&segment);
    uct_efa_stats_iface_put(iface);
    close_segment();
}

/* Each difference makes another event; so does a pause, on a machine that was
 * up for an instant and on one that was for a century. Time stands still. */
class test_stats_time : public test_stats,
                         public ::testing::WithParamInterface<uint64_t> {
};

TEST_P(test_stats_time, what_repeats_an_event)
{
    const uint64_t ms = 1000000, hour = 3600000 * ms;
    fake_clock clock(GetParam());

    open_segment(UCT_EFA_STATS_YES);
    uct_efa_stats_iface_t *iface = uct_efa_stats_iface_get("x:1", own_gid, 1);
    auto add                     = [&](unsigned qpn) {
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, iface, remote_gid, qpn, -3, 6,
                                                7);
    };

    for (unsigned i = 0; i < 2; ++i) {
        add(5);
        add(4);
        uct_efa_stats_event(EFA_STATS_EVENT_CTL_TX, iface, remote_gid, 5, -3, 6,
                            7);
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, nullptr, remote_gid, 5, -3, 6,
                            7);
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, iface, own_gid, 5, -3, 6, 7);
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, iface, nullptr, 5, -3, 6, 7);
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, iface, remote_gid, 5, -4, 6,
                            7);
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, iface, remote_gid, 5, -3, 5,
                            7);
        uct_efa_stats_event(EFA_STATS_EVENT_RNR, iface, remote_gid, 5, -3, 6,
                            1ull << 40);
    }

    stats_segment_t segment;
    read(&segment);
    ASSERT_EQ(9u, segment.num_events);
    for (unsigned i = 0; i < segment.num_events; ++i) {
        EXPECT_EQ(1u, segment.events[i].repeats) << i;
    }
    stats_free(&segment);

    /* The first, after a time, as if it had come again at `last` ms of it */
    auto after = [&](uint64_t ns, uint32_t last, uint32_t repeats) {
        efa_stats_event_entry_t entry = stats_first_event();
        clock.set(GetParam() + ns);
        entry.last    = last;
        entry.repeats = repeats;
        set_first_event(entry);
        add(5);
    };
    EXPECT_EQ(GetParam(), stats_first_event().time);
    after(9999 * ms, 0, 3);
    EXPECT_EQ(4u, stats_first_event().repeats);
    EXPECT_EQ(9999u, stats_first_event().last);
    after(hour, 3590000, 3);
    EXPECT_EQ(4u, stats_first_event().repeats);
    EXPECT_EQ(3600000u, stats_first_event().last);
    after(hour, 3595000, UINT32_MAX);
    EXPECT_EQ(UINT32_MAX, stats_first_event().repeats);

    after(hour, 3589999, 3);
    EXPECT_EQ(3u, stats_first_event().repeats);
    add(5);
    EXPECT_EQ(3u, stats_first_event().repeats);
    read(&segment);
    ASSERT_EQ(10u, segment.num_events);
    EXPECT_EQ(EFA_STATS_EVENT_RNR, segment.events[9].event);
    EXPECT_EQ(5u, segment.events[9].qpn);
    EXPECT_EQ(1u, segment.events[9].repeats);
    EXPECT_EQ(GetParam() + hour, segment.events[9].time);
    stats_free(&segment);

    /* Overwritten by others: it is a new one, and what is new has no past */
    for (unsigned i = 0; i < EFA_STATS_EVENTS_NUM; ++i) {
        uct_efa_stats_event(EFA_STATS_EVENT_LEAK, nullptr, nullptr, 0, 0, i, 0);
    }
    add(5);
    read(&segment);
    ASSERT_EQ(EFA_STATS_EVENTS_NUM, segment.num_events);
    for (unsigned i = 0; i < segment.num_events; ++i) {
        EXPECT_EQ(0u, segment.events[i].repeats);
    }
    EXPECT_EQ(EFA_STATS_EVENT_RNR,
              segment.events[EFA_STATS_EVENTS_NUM - 1].event);
    stats_free(&segment);
    uct_efa_stats_iface_put(iface);
    close_segment();
}

INSTANTIATE_TEST_SUITE_P(up, test_stats_time,
                         ::testing::Values(1ull, 5000000000ull,
                                           3155760000000000000ull));

/* None is lost, none is counted twice, whoever else reports the same */
TEST_F(test_stats, repeats_of_many_threads)
{
    const unsigned num = 4, each = 20000;
    std::vector<std::thread> threads;
    fake_clock clock(uct_efa_stats_now());
    uint64_t sum = 0;

    open_segment(UCT_EFA_STATS_YES);
    for (unsigned t = 0; t < num; ++t) {
        threads.emplace_back([=]() {
            for (unsigned i = 0; i < each; ++i) {
                uct_efa_stats_event(EFA_STATS_EVENT_RNR, nullptr, nullptr, 0, 0,
                                    i % 8, 0);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }

    stats_segment_t segment;
    read(&segment);
    EXPECT_LT(segment.num_events, EFA_STATS_EVENTS_NUM);
    for (unsigned i = 0; i < segment.num_events; ++i) {
        sum += 1 + segment.events[i].repeats;
    }
    EXPECT_EQ(num * each, sum);
    stats_free(&segment);
    close_segment();
}
