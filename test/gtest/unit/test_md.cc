/*
 * Looking for devices, opening one, registering: what is asked of verbs, what
 * is said to the user. Devices are those of fake_verbs.h, sysfs is a directory
 * of this test. Warnings come once in a process, so each search that may warn
 * runs in a process of its own.
 */
#include "common/temp.h"
#include "unit/fake_verbs.h"
#include "unit/md_probe.h"
#include "base/mem/efa_rkey.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

const char efa_modalias[] = "pci:v00001D0Fd0000EFA1sv00001D0Fsd0000EFA1bc02";

class test_md : public ::testing::Test {
protected:
    void SetUp() override
    {
        memset(&fake_verbs, 0, sizeof(fake_verbs));
        make_dirs("class/infiniband_verbs");
    }

    void TearDown() override
    {
        EXPECT_EQ(0, fake_verbs.num_lists);
        EXPECT_EQ(0, fake_verbs.num_contexts);
        EXPECT_EQ(0, fake_verbs.num_pds);
        EXPECT_EQ(0, fake_verbs.num_mrs);
    }

    void make_dirs(const std::string &path)
    {
        for (size_t end = path.find('/'); ; end = path.find('/', end + 1)) {
            mkdir((m_dir + "/" + path.substr(0, end)).c_str(), 0755);
            if (end == std::string::npos) {
                break;
            }
        }
    }

    void write(const std::string &path, const std::string &content)
    {
        std::ofstream(m_dir + "/" + path) << content << "\n";
    }

    /* A device as a 0xefa1 is; sysfs says what `vendor` and `modalias` say */
    fake_device_t *add(const std::string &name, const std::string &vendor,
                       const std::string &modalias = "", bool is_efa = true)
    {
        unsigned n = 0;
        while (fake_verbs.devices[n].name[0] != '\0') {
            ++n;
        }

        fake_device_t *fake = &fake_verbs.devices[n];
        std::string node    = "uverbs" + std::to_string(900 + n);
        std::string sysfs   = "class/infiniband/" + name;
        strcpy(fake->name, name.c_str());
        strcpy(fake->node, node.c_str());
        strcpy(fake->sysfs, (m_dir + "/" + sysfs).c_str());
        fake->is_efa                = is_efa;
        fake->attr.vendor_id        = 0x1d0f;
        fake->attr.vendor_part_id   = 0xefa1;
        fake->attr.max_mr_size      = 96ull << 30;
        fake->attr.max_mr           = 262144;
        fake->attr.max_pd           = 256;
        fake->efa.inline_buf_size   = 32;
        fake->efa.device_caps       = 0xf;
        fake->port.state            = IBV_PORT_ACTIVE;
        fake->port.max_msg_sz       = 8928;
        fake->port.active_speed     = 32;
        fake->port.active_width     = 2;

        make_dirs(sysfs);
        make_dirs("devices/pci0000:00/0000:00:1e.0");
        std::string device = "devices/pci0000:00/0000:00:1e.0";
        if (n > 0) {
            device = "devices/pci0000:00/0000:00:1e." + std::to_string(n);
            make_dirs(device);
        }
        if (!vendor.empty()) {
            write(device + "/vendor", vendor);
        }
        if (!modalias.empty()) {
            write(device + "/modalias", modalias);
        }
        EXPECT_EQ(0, symlink(("../../../" + device).c_str(),
                             (m_dir + "/" + sysfs + "/device").c_str()));
        return fake;
    }

    /* A verbs device of the kernel, listed by libibverbs or not */
    void add_uverbs(const std::string &node, const std::string &vendor)
    {
        make_dirs("class/infiniband_verbs/" + node + "/device");
        write("class/infiniband_verbs/" + node + "/device/vendor", vendor);
    }

    std::vector<std::string> resources()
    {
        std::vector<std::string> names;
        char list[8][64];
        int count = md_probe_resources(list, 8);

        EXPECT_LE(0, count);
        for (int i = 0; i < count; ++i) {
            names.push_back(list[i]);
        }
        return names;
    }

    /* Searches in another process; what it finds, then what it logs */
    void search(std::string *found, std::string *log, unsigned times = 2)
    {
        std::string out = m_dir + "/out", result = m_dir + "/result";
        pid_t pid       = fork();

        if (pid == 0) {
            if ((freopen(out.c_str(), "w", stdout) == nullptr) ||
                (freopen(out.c_str(), "a", stderr) == nullptr)) {
                _exit(2);
            }
            std::ofstream file(result);
            for (unsigned i = 0; i < times; ++i) {
                for (auto &name : resources()) {
                    file << name << " ";
                }
                file << (fake_verbs.num_lists + fake_verbs.num_contexts) << ";";
            }
            file.close();
            fflush(stdout);
            _exit(0);
        }

        int status = -1;
        waitpid(pid, &status, 0);
        ASSERT_EQ(0, status);
        std::ifstream in(result), in_log(out);
        std::getline(in, *found, '\0');
        log->clear();
        std::getline(in_log, *log, '\0');
    }

    static unsigned lines(const std::string &text)
    {
        unsigned count = 0;

        for (char c : text) {
            count += (c == '\n');
        }
        return count;
    }

    void expect_warning(const std::vector<std::string> &words)
    {
        std::string found, log;

        search(&found, &log, 3);
        EXPECT_EQ("0;0;0;", found);
        EXPECT_EQ(1u, lines(log)) << log;
        EXPECT_NE(std::string::npos, log.find("WARN")) << log;
        for (auto &word : words) {
            EXPECT_NE(std::string::npos, log.find(word)) << word << ": " << log;
        }
    }

    void expect_silence(const std::string &expected)
    {
        std::string found, log;

        search(&found, &log);
        EXPECT_EQ(expected, found);
        EXPECT_EQ("", log);
    }

    /* What a call of the memory domain logs */
    std::string logged(const std::function<void()> &body)
    {
        ::testing::internal::CaptureStdout();
        body();
        return ::testing::internal::GetCapturedStdout();
    }

    temp_dir    m_temp;
    std::string m_dir = m_temp.path();
    temp_env    m_env{"SYSFS_PATH", m_dir};
};

} // namespace

/* ------------------------------------------------------------------- search */

TEST_F(test_md, no_verbs_at_all)
{
    fake_verbs.list_errno = ENOSYS;
    expect_silence("0;0;");
}

TEST_F(test_md, no_device)
{
    expect_silence("0;0;");
}

TEST_F(test_md, only_efa_devices)
{
    add("efa_0", "0x1d0f");
    add("mlx5_0", "0x15b3", "", false)->open_errno = EACCES;
    add("efa_1", "", efa_modalias); /* as Soft-EFA shows itself */
    expect_silence("efa_0 efa_1 0;efa_0 efa_1 0;");
}

TEST_F(test_md, other_devices_are_not_opened)
{
    add("mlx5_0", "0x15b3", "", false);
    EXPECT_EQ(0u, resources().size());
    EXPECT_EQ(0u, fake_verbs.opens);
}

TEST_F(test_md, sysfs_does_not_say)
{
    /* Then the device does */
    add("a", "", "", true);
    add("b", "", "", false);
    add("c", "", "", true)->open_errno = EACCES;
    expect_silence("a 0;a 0;");
}

TEST_F(test_md, no_permission)
{
    add("efa_0", "0x1d0f")->open_errno = EACCES;
    expect_warning({"efa_0", "no permission", "/dev/infiniband/uverbs900",
                    "udev", "--device=/dev/infiniband"});
}

TEST_F(test_md, no_permission_and_libibverbs_says_otherwise)
{
    /* It tries another node of the device, and reports about that one */
    add("efa_0", "0x1d0f")->open_errno = ENOENT;
    strcpy(fake_verbs.node, "uverbs900");
    fake_verbs.node_errno = EACCES;
    expect_warning({"efa_0", "no permission"});
}

TEST_F(test_md, no_permission_for_one_of_two)
{
    std::string found, log;

    add("efa_0", "0x1d0f")->open_errno = EPERM;
    add("efa_1", "0x1d0f");
    search(&found, &log);
    EXPECT_EQ("efa_1 0;efa_1 0;", found);
    EXPECT_EQ(1u, lines(log)) << log;
}

TEST_F(test_md, node_is_missing)
{
    /* libibverbs does not list a device without a node */
    add_uverbs("uverbs907", "0x1d0f");
    expect_warning({"uverbs907", "missing", "ib_uverbs", "container"});
}

TEST_F(test_md, node_of_others_is_missing)
{
    add_uverbs("uverbs907", "0x15b3");
    expect_silence("0;0;");
}

TEST_F(test_md, provider_is_missing)
{
    add_uverbs("uverbs907", "0x1d0f");
    strcpy(fake_verbs.node, "uverbs907");
    expect_warning({"uverbs907", "provider", "ibverbs-providers"});
}

TEST_F(test_md, allowed_node_is_not_opened)
{
    add("efa_0", "0x1d0f");
    strcpy(fake_verbs.node, "uverbs900");
    EXPECT_EQ(1u, resources().size());
    EXPECT_EQ(0u, fake_verbs.opens);

    fake_verbs.node_errno = EACCES;
    EXPECT_EQ(1u, resources().size()) << "open() has the last word";
    EXPECT_EQ(1u, fake_verbs.opens);
}

TEST_F(test_md, too_old_or_broken)
{
    fake_device_t *fake = add("efa_0", "0x1d0f");

    fake->open_errno = EOPNOTSUPP;
    expect_warning({"efa_0", "update rdma-core"});
    fake->open_errno = EMFILE;
    expect_warning({"efa_0", "ulimit -n"});
    fake->open_errno = EIO;
    expect_warning({"efa_0", "dmesg"});
}

/* --------------------------------------------------------------------- open */

TEST_F(test_md, attributes)
{
    md_probe_attr_t attr;
    void *md;

    fake_device_t *fake   = add("efa_0", "0x1d0f");
    fake->efa.device_caps = 0x5;
    write("devices/pci0000:00/0000:00:1e.0/local_cpus", "3,80000000,0000ff01");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
    md_probe_query(md, &attr);

    EXPECT_STREQ("efa_0:1", attr.port_name);
    EXPECT_STREQ("efasrd", attr.component_name);
    EXPECT_EQ(96ull << 30, attr.max_reg);
    EXPECT_EQ(6u, attr.rkey_packed_size);
    EXPECT_EQ(8928u, attr.max_msg_sz);
    EXPECT_EQ(32u, attr.max_inline);
    EXPECT_DOUBLE_EQ(12.5e9, attr.bandwidth);
    EXPECT_GT(attr.latency, 1e-6);
    EXPECT_LT(attr.latency, 50e-6);
    EXPECT_TRUE(attr.has_rdma_read);
    EXPECT_FALSE(attr.has_rnr_retry);
    EXPECT_TRUE(attr.has_sgid);
    EXPECT_FALSE(attr.has_rdma_write);

    for (int cpu = 0; cpu < 160; ++cpu) {
        bool expected = (cpu == 0) || ((cpu >= 8) && (cpu < 16)) ||
                        (cpu == 63) || (cpu == 64) || (cpu == 65);
        EXPECT_EQ(expected, !!attr.cpu_is_local[cpu]) << cpu;
    }

    EXPECT_TRUE(attr.sys_dev_known);
    EXPECT_EQ(0u, attr.bus_domain);
    EXPECT_EQ(0u, attr.bus);
    EXPECT_EQ(0x1eu, attr.bus_slot);
    EXPECT_EQ(0u, attr.bus_function);
    md_probe_close(md);
}

TEST_F(test_md, locality_unknown)
{
    md_probe_attr_t attr;
    void *md;

    add("efa_0", "0x1d0f");
    ASSERT_EQ(0, unlink((m_dir + "/class/infiniband/efa_0/device").c_str()));
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
    md_probe_query(md, &attr);
    EXPECT_FALSE(attr.sys_dev_known);
    EXPECT_TRUE(attr.cpu_is_local[0] && attr.cpu_is_local[159]);
    md_probe_close(md);
}

/* docs/device-facts.md, "Port speed" */
TEST_F(test_md, port_speeds)
{
    const unsigned sdr = 1, ddr = 2, fdr10 = 8, edr = 32, hdr = 64;
    const unsigned x1 = 1, x4 = 2, x8 = 4, x12 = 8;
    const struct {
        unsigned gbps, width, speed;
    } table[] = {{400, x8, hdr},   {200, x4, hdr},  {120, x12, fdr10},
                 {100, x4, edr},   {60, x12, ddr},  {50, x1, hdr},
                 {40, x4, fdr10},  {30, x12, sdr},  {25, x1, edr}};

    for (auto &row : table) {
        EXPECT_DOUBLE_EQ(row.gbps * 1e9 / 8,
                         md_probe_bandwidth(row.speed, row.width));
    }
    EXPECT_EQ(0, md_probe_bandwidth(0, x4));
    EXPECT_EQ(0, md_probe_bandwidth(edr, 3));
}

TEST_F(test_md, bandwidth_by_generation)
{
    const struct {
        unsigned part, speed, width;
        double   gbps;
    } table[] = {
        {0xefa0, 32, 2, 100}, {0xefa1, 32, 2, 100},
        {0xefa2, 32, 2, 200}, /* an old kernel's 100 Gb/s */
        {0xefa3, 32, 2, 400}, {0xefa2, 64, 2, 200},
        {0xefa3, 64, 4, 400}, {0xefa2, 64, 1, 50}, /* a slower instance */
        {0xefa1, 0, 0, 100},                       /* says nothing */
    };
    fake_device_t *fake = add("efa_0", "0x1d0f");

    for (auto &row : table) {
        md_probe_attr_t attr;
        void *md;

        fake->attr.vendor_part_id = row.part;
        fake->port.active_speed   = row.speed;
        fake->port.active_width   = row.width;
        ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
        md_probe_query(md, &attr);
        EXPECT_DOUBLE_EQ(row.gbps * 1e9 / 8, attr.bandwidth) << row.part;
        md_probe_close(md);
    }
}

TEST_F(test_md, open_fails_with_a_reason)
{
    fake_device_t *fake = add("efa_0", "0x1d0f");
    ucs_status_t status = UCS_OK;
    std::string log;
    void *md;
    auto open = [&]() { status = md_probe_open("efa_0", &md); };

    log = logged([&]() { status = md_probe_open("efa_7", &md); });
    EXPECT_EQ(UCS_ERR_NO_DEVICE, status);
    EXPECT_NE(std::string::npos, log.find("efa_7")) << log;

    fake->open_errno = EACCES;
    log              = logged(open);
    EXPECT_EQ(UCS_ERR_NO_DEVICE, status);
    EXPECT_NE(std::string::npos, log.find("Permission denied")) << log;
    fake->open_errno = 0;

    fake->is_efa = 0;
    log          = logged(open);
    EXPECT_EQ(UCS_ERR_UNSUPPORTED, status);
    EXPECT_NE(std::string::npos, log.find("EFA")) << log;
    fake->is_efa = 1;

    fake->port.state = IBV_PORT_DOWN;
    log              = logged(open);
    EXPECT_EQ(UCS_ERR_NO_DEVICE, status);
    EXPECT_NE(std::string::npos, log.find("not active")) << log;
    fake->port.state = IBV_PORT_ACTIVE;

    fake_verbs.pd_errno = ENOMEM;
    log                 = logged(open);
    EXPECT_EQ(UCS_ERR_NO_RESOURCE, status);
    EXPECT_NE(std::string::npos, log.find("256 of them")) << log;
    EXPECT_EQ(1u, lines(log)) << log;
}

/* ------------------------------------------------------------ opened once */

TEST_F(test_md, opened_twice_is_open_once)
{
    void *one, *two, *other;

    add("efa_0", "0x1d0f");
    add("efa_1", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &one));
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &two));
    ASSERT_EQ(UCS_OK, md_probe_open("efa_1", &other));
    EXPECT_EQ(2, fake_verbs.num_pds);
    EXPECT_EQ(2, fake_verbs.num_contexts);
    md_probe_close(one);
    EXPECT_EQ(2, fake_verbs.num_pds);
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &one));
    md_probe_close(two);
    md_probe_close(one);
    EXPECT_EQ(1, fake_verbs.num_pds);
    md_probe_close(other);
}

/* The second finds what the first could not make, and the other way round */
TEST_F(test_md, opened_where_another_failed)
{
    fake_device_t *fake = add("efa_0", "0x1d0f");
    void *one, *two;

    fake_verbs.pd_errno = ENOMEM;
    logged([&]() {
        EXPECT_EQ(UCS_ERR_NO_RESOURCE, md_probe_open("efa_0", &one));
    });
    fake_verbs.pd_errno = 0;
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &one));

    fake->port.state = IBV_PORT_DOWN;
    logged([&]() {
        EXPECT_EQ(UCS_ERR_NO_DEVICE, md_probe_open("efa_0", &two));
    });
    fake->port.state    = IBV_PORT_ACTIVE;
    fake_verbs.pd_errno = ENOMEM;
    EXPECT_EQ(UCS_OK, md_probe_open("efa_0", &two));
    md_probe_close(one);
    md_probe_close(two);
}

TEST_F(test_md, reset_with_two_domains)
{
    void *one, *two, *three, *memh;
    char buffer[64];

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &one));
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &two));
    ASSERT_EQ(UCS_OK, md_probe_reg(two, buffer, sizeof(buffer),
                                   MD_PROBE_REG_ALL, &memh));
    fake_verbs.num_fatal = 1;
    EXPECT_EQ(UCS_OK, md_probe_replace(one));
    EXPECT_EQ(1u, md_probe_generation(one));
    EXPECT_EQ(0u, md_probe_generation(two)) << "it moves when it looks";
    EXPECT_EQ(2, fake_verbs.num_pds) << "the old one is in use";

    /* Joins the new one */
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &three));
    EXPECT_EQ(1u, md_probe_generation(three));
    EXPECT_EQ(UCS_OK, md_probe_replace(two));
    EXPECT_EQ(1u, md_probe_generation(two));
    EXPECT_EQ(1, fake_verbs.num_pds);
    EXPECT_EQ(1, fake_verbs.num_contexts);
    EXPECT_EQ(UCS_OK, md_probe_dereg(two, memh));

    /* Whoever opens it may be the first to see the reset, too */
    md_probe_close(three);
    fake_verbs.num_fatal = 1;
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &three));
    EXPECT_EQ(2u, md_probe_generation(three));
    EXPECT_EQ(UCS_OK, md_probe_replace(one));
    EXPECT_EQ(UCS_OK, md_probe_replace(two));
    EXPECT_EQ(2u, md_probe_generation(one));
    EXPECT_EQ(2u, md_probe_generation(two));
    EXPECT_EQ(1, fake_verbs.num_pds);
    for (void *md : {one, two, three}) {
        md_probe_close(md);
    }
}

/* An open device is its process' own: a child begins anew */
TEST_F(test_md, forked_child_opens_its_own)
{
    void *md;

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
    pid_t pid = fork();
    if (pid == 0) {
        void *own;
        int ok = (md_probe_open("efa_0", &own) == UCS_OK) &&
                 (fake_verbs.num_contexts == 2) && (fake_verbs.num_pds == 2);

        if (ok) {
            md_probe_close(own);
            ok = (fake_verbs.num_contexts == 1) && (fake_verbs.num_pds == 1);
        }
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);
    md_probe_close(md);
}

/* ------------------------------------------------------------- registration */

TEST_F(test_md, access_by_capability)
{
    const int local = IBV_ACCESS_LOCAL_WRITE, read = IBV_ACCESS_REMOTE_READ;
    const int write = IBV_ACCESS_REMOTE_WRITE;
    const struct {
        unsigned caps;
        int      how, access;
        uint64_t rkey_access;
    } table[] = {{0x0, MD_PROBE_REG_ALL, local, 0},
                 {0x1, MD_PROBE_REG_ALL, local | read, UCT_EFA_RKEY_READ},
                 {0x8, MD_PROBE_REG_ALL, local | write, UCT_EFA_RKEY_WRITE},
                 {0xf, MD_PROBE_REG_ALL, local | read | write,
                  UCT_EFA_RKEY_READ | UCT_EFA_RKEY_WRITE},
                 {0xf, MD_PROBE_REG_NONE, local, 0},
                 {0xf, MD_PROBE_REG_LOCAL_READ, 0, 0}};
    fake_device_t *fake = add("efa_0", "0x1d0f");
    char buffer[64];

    for (auto &row : table) {
        void *md, *memh;

        fake->efa.device_caps = row.caps;
        ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
        ASSERT_EQ(UCS_OK, md_probe_reg(md, buffer, sizeof(buffer), row.how,
                                       &memh));
        EXPECT_EQ(row.access, fake_verbs.reg_access) << row.caps;
        EXPECT_EQ(0x1234u, md_probe_lkey(memh));
        EXPECT_EQ(0xfedcba98ull | row.rkey_access, md_probe_rkey(md, memh));
        EXPECT_EQ(UCS_OK, md_probe_dereg(md, memh));
        md_probe_close(md);
    }
}

TEST_F(test_md, read_only_memory)
{
    static const char constant[64] = "sent, never received";
    void *md, *memh;

    add("efa_0", "0x1d0f");
    fake_verbs.reg_read_only = 1;
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
    std::string log = logged([&]() {
        EXPECT_EQ(UCS_OK, md_probe_reg(md, const_cast<char *>(constant), 64,
                                       MD_PROBE_REG_ALL, &memh));
    });
    EXPECT_EQ("", log);
    EXPECT_EQ(IBV_ACCESS_REMOTE_READ, fake_verbs.reg_access);
    EXPECT_EQ(0xfedcba98ull | UCT_EFA_RKEY_READ, md_probe_rkey(md, memh));
    EXPECT_EQ(UCS_OK, md_probe_dereg(md, memh));
    md_probe_close(md);
}

/* EIO says that the device is gone if other commands fail with it, too; whether
 * its event has come is not asked. What is registered then waits for it. */
TEST_F(test_md, registration_while_the_device_goes)
{
    void *md, *memh = nullptr;
    char buffer[64];
    ucs_status_t status = UCS_OK;
    auto reg            = [&]() {
        status = md_probe_reg(md, buffer, 64, MD_PROBE_REG_ALL, &memh);
    };

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));

    fake_verbs.reg_errno = EIO;
    EXPECT_NE("", logged(reg)) << "it answers: a failure";
    EXPECT_EQ(UCS_ERR_IO_ERROR, status);

    fake_verbs.query_errno = EIO;
    logged(reg);
    EXPECT_EQ(UCS_OK, status);
    EXPECT_EQ(UCS_OK, md_probe_dereg(md, memh));
    md_probe_close(md);
}

TEST_F(test_md, registration_fails_with_advice)
{
    void *md, *memh = nullptr;
    char buffer[64];
    ucs_status_t status = UCS_OK;
    auto reg            = [&]() {
        status = md_probe_reg(md, buffer, 64, MD_PROBE_REG_ALL, &memh);
    };

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));

    fake_verbs.reg_errno = EFAULT;
    EXPECT_NE(std::string::npos, logged(reg).find("not mapped"));
    EXPECT_EQ(UCS_ERR_IO_ERROR, status);

    /* Plenty of locked memory: then it is something else */
    fake_verbs.reg_errno = ENOMEM;
    std::string log      = logged(reg);
    EXPECT_NE(std::string::npos, log.find("max_mr")) << log;
    EXPECT_EQ(std::string::npos, log.find("RLIMIT_MEMLOCK")) << log;
    EXPECT_EQ(UCS_ERR_NO_MEMORY, status);
    EXPECT_EQ(1u, lines(log));

    /* The caller has another plan */
    log = logged([&]() {
        status = md_probe_reg(md, buffer, 64,
                              MD_PROBE_REG_ALL | MD_PROBE_REG_HIDE_ERRORS,
                              &memh);
    });
    EXPECT_EQ("", log);
    EXPECT_EQ(UCS_ERR_NO_MEMORY, status);
    EXPECT_EQ(nullptr, memh);
    md_probe_close(md);
}

TEST_F(test_md, many_pages_others_may_write)
{
    const size_t four_gb = 4ull << 30;
    char *address        = (char *)4096;
    fake_device_t *fake  = add("efa_0", "0x1d0f");
    void *md, *memh;

    for (unsigned caps : {0xfu, 0x7u}) { /* with RDMA write, without */
        for (size_t length : {four_gb, four_gb + 4096}) {
            for (int error : {ENOMEM, EINVAL}) {
                fake->efa.device_caps = caps;
                ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
                fake_verbs.reg_errno = error;
                std::string log      = logged([&]() {
                    EXPECT_NE(UCS_OK, md_probe_reg(md, address, length,
                                                        MD_PROBE_REG_ALL, &memh));
                });
                EXPECT_EQ((caps == 0xf) && (length > four_gb),
                          log.find("1048576 pages") != std::string::npos)
                        << log;
                md_probe_close(md);
            }
        }
    }
}

/* ------------------------------------------------------------ device memory */

TEST_F(test_md, dmabuf)
{
    const char *on[]  = {nullptr};
    const char *off[] = {"GPU_DIRECT_RDMA", "n", nullptr};
    md_probe_attr_t attr;
    void *md, *memh = nullptr;

    if (!md_probe_has_dmabuf()) {
        GTEST_SKIP() << "this version of UCX knows no dma-buf";
    }

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open_with("efa_0", on, &md));
    md_probe_query(md, &attr);
    EXPECT_NE(0u, attr.flags & md_probe_flag_dmabuf());
    EXPECT_EQ(1u, attr.access_mem_types) << "the host's, and no other";
    EXPECT_EQ(1u, attr.reg_mem_types);

    int fd = fcntl(0, F_DUPFD, 900); /* a number that nobody else takes */
    ASSERT_EQ(UCS_OK, md_probe_ucx_reg(md, (void *)0x5000, 4096,
                                       MD_PROBE_REG_ALL, fd, 0x3000, &memh));
    EXPECT_EQ(fd, fake_verbs.reg_dmabuf_fd);
    EXPECT_EQ(0x3000u, fake_verbs.reg_offset);
    EXPECT_EQ((void *)0x5000, fake_verbs.reg_address);
    EXPECT_EQ(7, fake_verbs.reg_access);
    EXPECT_EQ(0xfedcba98ull | UCT_EFA_RKEY_READ | UCT_EFA_RKEY_WRITE,
              md_probe_rkey(md, memh));
    EXPECT_EQ(UCS_OK, md_probe_dereg(md, memh));
    close(fd);

    std::string log = logged([&]() {
        EXPECT_EQ(UCS_ERR_IO_ERROR,
                  md_probe_ucx_reg(md, (void *)0x5000, 4096, MD_PROBE_REG_ALL,
                                   fd, 0x3000, &memh));
    });
    EXPECT_NE(std::string::npos, log.find("descriptor")) << log;
    fake_verbs.dmabuf_errno = EINVAL;
    log                     = logged([&]() {
        EXPECT_EQ(UCS_ERR_IO_ERROR,
                                      md_probe_ucx_reg(md, (void *)0x5000, 4096, MD_PROBE_REG_ALL,
                                                       0, 0x3000, &memh));
    });
    EXPECT_NE(std::string::npos, log.find("Linux 5.16")) << log;
    fake_verbs.dmabuf_errno = 0;
    md_probe_close(md);

    ASSERT_EQ(UCS_OK, md_probe_open_with("efa_0", off, &md));
    md_probe_query(md, &attr);
    EXPECT_EQ(0u, attr.flags & md_probe_flag_dmabuf());
    md_probe_close(md);
}

/* What a dma-buf backs is known to UCP, not to the cache */
TEST_F(test_md, dmabuf_is_not_cached)
{
    const char *options[] = {"RCACHE", "y", nullptr};
    void *md, *memh;

    if (!md_probe_has_dmabuf()) {
        GTEST_SKIP() << "this version of UCX knows no dma-buf";
    }

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open_with("efa_0", options, &md));
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(UCS_OK, md_probe_ucx_reg(md, (void *)0x5000, 4096,
                                           MD_PROBE_REG_ALL, 0, 0, &memh));
        EXPECT_EQ(UCS_OK, md_probe_dereg(md, memh));
        EXPECT_EQ(0, fake_verbs.num_mrs);
    }
    md_probe_close(md);
}

TEST_F(test_md, gpu_memory)
{
    const char *try_it[] = {nullptr};
    const char *must[]   = {"GPU_DIRECT_RDMA", "y", nullptr};
    const uint64_t host = 1, cuda = 2; /* bits of ucs_memory_type_t */
    ucs_status_t status = UCS_OK;
    md_probe_attr_t attr;
    void *md, *memh;

    /* Neither dma-buf nor peer memory */
    add("efa_0", "0x1d0f");
    fake_verbs.dmabuf_errno = EOPNOTSUPP;
    ASSERT_EQ(UCS_OK, md_probe_open_with("efa_0", try_it, &md));
    md_probe_query(md, &attr);
    EXPECT_EQ(host, attr.reg_mem_types);
    EXPECT_EQ(0u, attr.flags & md_probe_flag_dmabuf());
    fake_verbs.reg_errno = EFAULT;
    std::string log      = logged([&]() {
        status = md_probe_reg(md, (void *)0x5000, 64, MD_PROBE_REG_ALL, &memh);
    });
    EXPECT_EQ(UCS_ERR_IO_ERROR, status);
    EXPECT_NE(std::string::npos, log.find("efa_nv_peermem")) << log;
    fake_verbs.reg_errno = 0;
    md_probe_close(md);

    log = logged([&]() { status = md_probe_open_with("efa_0", must, &md); });
    EXPECT_EQ(UCS_ERR_UNSUPPORTED, status);
    EXPECT_NE(std::string::npos, log.find("efa_nv_peermem")) << log;

    make_dirs("module/efa_nv_peermem");
    write("module/efa_nv_peermem/version", "1.2.3");
    ASSERT_EQ(UCS_OK, md_probe_open_with("efa_0", must, &md));
    md_probe_query(md, &attr);
    EXPECT_EQ(host | cuda, attr.reg_mem_types);
    EXPECT_EQ(host, attr.access_mem_types);
    EXPECT_EQ(attr.reg_mem_types, attr.cache_mem_types & attr.reg_mem_types);
    md_probe_close(md);
}

TEST_F(test_md, locked_memory_exhausted)
{
    /* Root is above the limit: become somebody else, in another process */
    std::string out = m_dir + "/out";
    void *md;

    add("efa_0", "0x1d0f");
    ASSERT_EQ(UCS_OK, md_probe_open("efa_0", &md));
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {64 << 10, 64 << 10};
        char buffer[64];
        void *memh;

        if ((freopen(out.c_str(), "w", stdout) == nullptr) ||
            (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) ||
            ((geteuid() == 0) && (setuid(65534) != 0))) {
            _exit(2);
        }
        fake_verbs.reg_errno = ENOMEM;
        md_probe_reg(md, buffer, 100 << 10, MD_PROBE_REG_ALL, &memh);
        md_probe_reg(md, buffer, 10 << 10, MD_PROBE_REG_ALL, &memh);
        fflush(stdout);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    ASSERT_EQ(0, status);
    md_probe_close(md);

    std::ifstream in(out);
    std::string first, second;
    std::getline(in, first);
    std::getline(in, second);
    for (auto word : {"RLIMIT_MEMLOCK) is 64 KiB", "ulimit -l unlimited",
                      "limits.conf", "LimitMEMLOCK", "--ulimit memlock=-1"}) {
        EXPECT_NE(std::string::npos, first.find(word)) << word << ": " << first;
    }
    EXPECT_NE(std::string::npos, second.find("max_mr")) << second;
}
