/*
 * What a program does with descriptors and paths besides calling verbs. The
 * device must follow duplicates, and must not be mistaken for a file that got
 * its number.
 */
#include "verbs_test.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

namespace device {

constexpr unsigned UVERBS_MAJOR  = 231;
constexpr int      HIGH_FD       = 200;
/* _IOWR(0x1b, 1, struct ib_uverbs_ioctl_hdr), 24 bytes */
constexpr unsigned long RDMA_IOCTL = 0xc0181b01ul;

class descriptor : public ::testing::Test {
protected:
    handle<ibv_context> context = open_device();

    bool works() const
    {
        ibv_device_attr attr;

        return ibv_query_device(context.get(), &attr) == 0;
    }

    static unsigned major_of(int fd)
    {
        struct stat st;

        if (fstat(fd, &st) != 0) {
            return UINT_MAX;
        }
        return S_ISCHR(st.st_mode) ? major(st.st_rdev) : 0;
    }

    /* An uverbs command on something else is that file's affair. */
    static void expect_foreign(int fd)
    {
        char command[64] = {};

        EXPECT_NE(UVERBS_MAJOR, major_of(fd));
        EXPECT_EQ(-1, ioctl(fd, RDMA_IOCTL, command));
        EXPECT_EQ(ENOTTY, errno);
    }
};

TEST_F(descriptor, is_a_character_device)
{
    EXPECT_EQ(UVERBS_MAJOR, major_of(context->cmd_fd));
}

TEST_F(descriptor, duplicate_outlives_the_original)
{
    int original = context->cmd_fd;

    context->cmd_fd = dup(original);
    ASSERT_GE(context->cmd_fd, 0);
    EXPECT_EQ(0, close(original));
    EXPECT_TRUE(works());
    EXPECT_NE(nullptr, alloc_pd(context.get()));
}

TEST_F(descriptor, number_used_again)
{
    int original = context->cmd_fd;

    context->cmd_fd = fcntl(original, F_DUPFD_CLOEXEC, HIGH_FD);
    EXPECT_EQ(0, close(original));
    ASSERT_EQ(original, open("/dev/zero", O_RDWR));
    expect_foreign(original);
    EXPECT_EQ(0, close(original));
    EXPECT_TRUE(works());
}

TEST_F(descriptor, number_used_again_unseen)
{
    int copy = fcntl(context->cmd_fd, F_DUPFD, HIGH_FD);
    int zero = open("/dev/zero", O_RDWR);

    ASSERT_GE(copy, HIGH_FD);
    ASSERT_EQ(copy, syscall(SYS_dup3, zero, copy, 0));
    expect_foreign(copy);
    EXPECT_EQ(0, close(copy));
    EXPECT_EQ(0, close(zero));
    EXPECT_TRUE(works());
}

TEST_F(descriptor, overwritten_by_dup2)
{
    int zero = open("/dev/zero", O_RDWR);

    ASSERT_EQ(HIGH_FD, dup2(context->cmd_fd, HIGH_FD));
    EXPECT_EQ(UVERBS_MAJOR, major_of(HIGH_FD));
    ASSERT_EQ(HIGH_FD, dup2(zero, HIGH_FD));
    expect_foreign(HIGH_FD);
    EXPECT_EQ(0, close(HIGH_FD));
    EXPECT_EQ(0, close(zero));
    EXPECT_TRUE(works());
}

TEST_F(descriptor, copies_closed_by_range)
{
    ASSERT_EQ(HIGH_FD, fcntl(context->cmd_fd, F_DUPFD, HIGH_FD));
    ASSERT_EQ(0, close_range(HIGH_FD, HIGH_FD + 10, 0));
    EXPECT_EQ(UINT_MAX, major_of(HIGH_FD));
    EXPECT_TRUE(works());
}

/* The device holds one end of the asynchronous event channel: it is closed
 * when the last descriptor is. */
TEST_F(descriptor, last_closed_by_range)
{
    unsigned before;

    ASSERT_EQ(HIGH_FD, fcntl(context->cmd_fd, F_DUPFD, HIGH_FD));
    EXPECT_EQ(0, close(context->cmd_fd));
    context->cmd_fd = -1;
    before          = harness::count_fds();
    ASSERT_EQ(0, close_range(HIGH_FD, HIGH_FD + 10, 0));
    EXPECT_EQ(before - 1, harness::count_fds());
}

TEST_F(descriptor, of_the_parent_fails_in_a_child)
{
    handle<ibv_pd> pd = alloc_pd(context.get());
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        bool refused = (ibv_alloc_pd(context.get()) == nullptr) &&
                       (errno == EIO);
        close(context->cmd_fd);
        _exit(refused ? 0 : 1);
    }
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_TRUE(works());
}

TEST_F(descriptor, closed_by_a_child_that_shares_memory)
{
    int status;
    int fd    = context->cmd_fd;
    pid_t pid = vfork();

    if (pid == 0) {
        close(fd);
        _exit(0);
    }
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_TRUE(works());
}

TEST(paths, device_node)
{
    struct stat st;
    struct statx stx;

    ASSERT_EQ(0, stat("/dev/infiniband/uverbs0", &st));
    EXPECT_TRUE(S_ISCHR(st.st_mode));
    EXPECT_EQ(UVERBS_MAJOR, major(st.st_rdev));
    ASSERT_EQ(0, statx(AT_FDCWD, "/dev/infiniband/uverbs0", 0,
                       STATX_BASIC_STATS, &stx));
    EXPECT_EQ(UVERBS_MAJOR, stx.stx_rdev_major);
    EXPECT_EQ(0, access("/dev/infiniband/uverbs0", R_OK | W_OK));
    EXPECT_EQ(0, faccessat(AT_FDCWD, "/dev/infiniband/uverbs0", R_OK, 0));

    EXPECT_EQ(-1, access("/dev/infiniband/uverbs99", F_OK));
    EXPECT_EQ(-1, open("/dev/infiniband/uverbs99", O_RDWR));
    EXPECT_EQ(ENOENT, errno);
}

TEST(paths, pci_device)
{
    char path[PATH_MAX];
    std::string pci = "/sys/devices/pci0000:00/0000:00:1e.0";
    FILE *file;
    unsigned vendor = 0;

    ASSERT_NE(nullptr, realpath("/sys/class/infiniband/efa_0/device", path));
    EXPECT_EQ(pci, path);
    ASSERT_NE(nullptr, realpath("/sys/bus/pci/devices/0000:00:1e.0", path));
    EXPECT_EQ(pci, path);
    EXPECT_GT(readlink("/sys/class/infiniband/efa_0/device", path,
                       sizeof(path)),
              0);

    file = fopen((pci + "/vendor").c_str(), "r");
    ASSERT_NE(nullptr, file);
    EXPECT_EQ(1, fscanf(file, "%x", &vendor));
    EXPECT_EQ(0, fclose(file));
    EXPECT_EQ(0x1d0fu, vendor);
}

TEST(paths, others_are_left_alone)
{
    struct stat st;

    EXPECT_EQ(0, stat("/sys/class", &st));
    EXPECT_EQ(0, stat("/dev/zero", &st));
    EXPECT_EQ(1u, major(st.st_rdev));
    EXPECT_EQ(-1, stat("/sys/class/infiniband_nothing", &st));
    EXPECT_EQ(ENOENT, errno);
}

TEST(paths, directory)
{
    DIR *dir       = opendir("/sys/class/infiniband");
    unsigned found = 0;

    ASSERT_NE(nullptr, dir);
    while (dirent *entry = readdir(dir)) {
        found += !strcmp(entry->d_name, "efa_0");
    }
    EXPECT_EQ(0, closedir(dir));
    EXPECT_EQ(1u, found);
}

TEST(netlink, of_rdma_is_closed)
{
    int fd;

    EXPECT_EQ(-1, socket(AF_NETLINK, SOCK_RAW, NETLINK_RDMA));
    fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    EXPECT_GE(fd, 0);
    close(fd);
}

} // namespace device
