/*
 * The second process of the device tests, and the program's main(): this
 * program starts itself again to play a role, if need be in another
 * environment.
 */
#include "verbs_test.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace device {

static std::map<std::string, role_t> &roles()
{
    static std::map<std::string, role_t> known;

    return known;
}

bool role_register(const char *name, role_t role)
{
    return roles().emplace(name, role).second;
}

void wire::put_bytes(const void *data, size_t length)
{
    const char *from = static_cast<const char *>(data);

    while (length > 0) {
        ssize_t n = ::send(fd, from, length, MSG_NOSIGNAL);
        if (n <= 0) {
            throw failure("write to the other process");
        }
        from += n;
        length -= n;
    }
}

void wire::get_bytes(void *data, size_t length)
{
    char *to = static_cast<char *>(data);

    while (length > 0) {
        ssize_t n = ::recv(fd, to, length, 0);
        if (n == 0) {
            throw std::runtime_error("the other process has gone");
        } else if (n < 0) {
            throw failure("read from the other process");
        }
        to += n;
        length -= n;
    }
}

/* Replaces this process, the child of a fork, which ends with its parent. */
static void exec_self(const std::vector<std::string> &args,
                      const environment &env)
{
    std::vector<char *> argv;
    char self[PATH_MAX];
    ssize_t length;

    /* By name: under valgrind the link itself leads to valgrind. */
    length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0) {
        _exit(127);
    }
    self[length] = '\0';

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const auto &variable : env) {
        setenv(variable.first.c_str(), variable.second.c_str(), 1);
    }
    argv.push_back(self); /* valgrind would replace anything else */
    for (const auto &arg : args) {
        argv.push_back(const_cast<char *>(arg.c_str()));
    }
    argv.push_back(nullptr);
    execv(self, argv.data());
    _exit(127);
}

static int decode(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

child::child(const std::string &role, const environment &env)
{
    int fds[2];
    timeval limit = {HANG_SEC, 0};

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
        throw failure("socketpair");
    }
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));

    pid = fork();
    if (pid == 0) {
        exec_self({"device_role", role, std::to_string(fds[1])}, env);
    }

    close(fds[1]);
    to.reset(new wire(fds[0]));
    if (pid < 0) {
        throw failure("fork");
    }
}

child::~child()
{
    kill9();
    close(to->fd);
}

int child::join()
{
    int status = 0;

    if (pid <= 0) {
        return -1;
    }
    while ((waitpid(pid, &status, 0) < 0) && (errno == EINTR)) {
    }
    pid = -1;
    return decode(status);
}

int child::poll()
{
    int status = 0;

    if ((pid <= 0) || (waitpid(pid, &status, WNOHANG) <= 0)) {
        return -1;
    }
    pid = -1;
    return decode(status);
}

void child::kill9()
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        join();
    }
}

std::string fresh_fabric()
{
    static int count = 0;

    /* beginning with this run's name, by which run.sh removes what is left */
    return harness::env("SOFTEFA_FABRIC", "fresh") + "-" +
           std::to_string(getpid()) + "-" + std::to_string(++count);
}

/* What has that name, or begins with it and a dot; "": all */
static void list_below(std::string directory, const std::string &part,
                       std::vector<std::string> *found)
{
    DIR *dir = opendir(directory.c_str());
    std::string name;

    if (dir == nullptr) {
        return;
    }
    while (dirent *entry = readdir(dir)) {
        name = entry->d_name;
        if ((name != ".") && (name != "..") &&
            (part.empty() || (name == part) ||
             (name.compare(0, part.size() + 1, part + ".") == 0))) {
            found->push_back(directory + "/" + name);
            if (entry->d_type == DT_DIR) {
                list_below(found->back(), "", found);
            }
        }
    }
    closedir(dir);
}

std::vector<std::string> fabric_files(const std::string &fabric)
{
    std::vector<std::string> found;

    list_below("/dev/shm",
               "softefa." + std::to_string(geteuid()) + "." +
                       (fabric.empty() ? getenv("SOFTEFA_FABRIC") : fabric),
               &found);
    return found;
}

static int play(const char *name, int fd)
{
    wire parent(fd);

    try {
        int result = roles().at(name)(parent);
        return ::testing::Test::HasFailure() ? 1 : result;
    } catch (const std::exception &e) {
        fprintf(stderr, "role %s: %s\n", name, e.what());
        return 1;
    }
}

} /* namespace device */

int main(int argc, char **argv)
{
    if ((argc == 4) && (strcmp(argv[1], "device_role") == 0)) {
        return device::play(argv[2], atoi(argv[3]));
    }

    /* A fabric of its own: programs that run at the same time must neither
     * see its objects nor count against its limits. Two devices: what the
     * second one knows of the first is part of many tests. Soft-EFA reads
     * its options at the first use of a device, which is yet to come. */
    if (getenv("SOFTEFA_FABRIC") == nullptr) {
        std::string fabric = "test" + std::to_string(getpid());

        setenv("SOFTEFA_FABRIC", fabric.c_str(), 1);
    }
    setenv("SOFTEFA_DEVICES", "2", 1);
    setenv("SOFTEFA_EFADV", "y", 1); /* direct_test.cc, on any libefa */

    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
