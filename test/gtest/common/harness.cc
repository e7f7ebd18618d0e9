#include "harness.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <atomic>

#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <map>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace harness {

std::string env(const char *name, const std::string &dflt)
{
    const char *value = getenv(name);
    return ((value != nullptr) && (*value != '\0')) ? value : dflt;
}

uint64_t env_u64(const char *name, uint64_t dflt)
{
    return strtoull(env(name, std::to_string(dflt)).c_str(), nullptr, 0);
}

uint64_t scaled(uint64_t count)
{
    return std::max<uint64_t>(1, count * env_u64("TEST_SCALE", 100) / 100);
}

/* One wait of this program was in vain. */
static std::atomic<bool> waited_in_vain;

int deadline_ms()
{
    uint64_t seconds = env_u64("TEST_DEADLINE", 600);

    return 1000 * (waited_in_vain ? std::min<uint64_t>(seconds, 60) : seconds);
}

bool wait_until(const std::function<bool()> &done,
                const std::function<void()> &step)
{
    typedef std::chrono::steady_clock clock;
    auto deadline = clock::now() + std::chrono::milliseconds(deadline_ms());

    while (!done()) {
        for (int i = 0; i < 16; ++i) {
            step();
            if (done()) {
                return true;
            }
        }
        if (clock::now() > deadline) {
            waited_in_vain = true;
            return false;
        }
    }
    return true;
}

unsigned count_fds()
{
    DIR *dir       = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(dir) != nullptr) {
        ++count;
    }
    closedir(dir);
    return count;
}

unsigned count_mappings()
{
    std::ifstream maps("/proc/self/maps");
    std::string range, access, offset, device, rest;
    unsigned long inode;
    unsigned count = 0;

    while (maps >> range >> access >> offset >> device >> inode) {
        count += (inode != 0);
        std::getline(maps, rest);
    }
    return count;
}

size_t resident_bytes()
{
    const char *variant = getenv("VARIANT");

    /* AddressSanitizer keeps freed memory on purpose (its quarantine), and
     * finds leaks by itself. */
    if ((variant != nullptr) && (std::string(variant) == "asan")) {
        return 0;
    }

    std::ifstream statm("/proc/self/statm");
    size_t total = 0, resident = 0;

    statm >> total >> resident;
    return resident * sysconf(_SC_PAGESIZE);
}

std::string to_hex(const std::vector<uint8_t> &v)
{
    static const char digits[] = "0123456789abcdef";
    std::string s;

    for (uint8_t b : v) {
        s += digits[b >> 4];
        s += digits[b & 15];
    }
    return s;
}

std::vector<uint8_t> from_hex(const std::string &s)
{
    std::vector<uint8_t> v;

    for (size_t i = 0; i + 1 < s.size(); i += 2) {
        v.push_back(strtoul(s.substr(i, 2).c_str(), nullptr, 16));
    }
    return v;
}

length_plan parse_plan(std::string text)
{
    length_plan plan;
    std::string kind;

    std::replace(text.begin(), text.end(), ':', ' ');
    std::istringstream in(text);
    in >> kind >> plan.min >> plan.max;
    if (kind == "fixed") {
        return length_plan::fixed(plan.min);
    } else if (kind == "ramp") {
        return length_plan::ramp(plan.min, plan.max);
    } else if (kind == "random") {
        return length_plan::random(plan.min, plan.max);
    }
    throw std::runtime_error("not a plan: " + text);
}

/* ---- the other process ---- */

void peer_loop(int fd, const obey_func &obey, const std::function<bool()> &idle)
{
    std::string in;
    bool awake = true;

    for (;;) {
        size_t end = in.find('\n');
        if (end == std::string::npos) {
            struct pollfd pfd = {fd, POLLIN, 0};
            if (poll(&pfd, 1, awake ? 0 : -1) > 0) {
                char chunk[4096];
                ssize_t n = read(fd, chunk, sizeof(chunk));
                if (n <= 0) {
                    return;
                }
                in.append(chunk, n);
            }
            awake = idle();
            continue;
        }

        std::string line = in.substr(0, end), answer;
        in.erase(0, end + 1);
        try {
            answer = "ok " + obey(line);
        } catch (const std::exception &e) {
            answer = std::string("error ") + e.what();
        }
        std::replace(answer.begin(), answer.end(), '\n', ';');
        answer += "\n";
        if ((write(fd, answer.data(), answer.size()) !=
             (ssize_t)answer.size()) ||
            (line == "quit")) {
            return;
        }
        awake = idle();
    }
}

int peer_run(int fd, const std::function<void()> &body)
{
    try {
        body();
    } catch (const std::exception &e) {
        std::string text = std::string("error ") + e.what() + "\n";
        return (write(fd, text.data(), text.size()) < 0) ? 2 : 1;
    }
    return 0;
}

/* ---- this side ---- */

peer_proc::peer_proc(const std::vector<std::string> &env)
{
    char self[4096];
    int fds[2];

    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if ((n <= 0) ||
        (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)) {
        throw std::runtime_error("cannot prepare a peer process");
    }
    self[n] = '\0';

    m_pid = fork();
    if (m_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (const std::string &e : env) {
            putenv(const_cast<char *>(e.c_str()));
        }
        std::string fd = std::to_string(dup(fds[1]));
        execl(self, self, "--peer", fd.c_str(), (char *)nullptr);
        /* In a mount namespace of our own, below chroot, the name is that of
         * before. Not at once: under valgrind the link leads to valgrind. */
        execl("/proc/self/exe", self, "--peer", fd.c_str(), (char *)nullptr);
        _exit(127);
    }
    close(fds[1]);
    m_fd = fds[0];
    if (m_pid < 0) {
        throw std::runtime_error("fork failed");
    }
}

peer_proc::~peer_proc()
{
    if (m_pid > 0) {
        /* End of file ends the peer. One that hangs is ended by its pid. */
        int status = 0;
        close(m_fd);
        if (wait_until(
                    [&]() { return waitpid(m_pid, &status, WNOHANG) == m_pid; },
                    []() { usleep(1000); })) {
            if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGABRT)) {
                ADD_FAILURE() << "the peer process has aborted";
            }
            return;
        }
        ADD_FAILURE() << "the peer process does not end";
        kill(m_pid, SIGKILL);
        waitpid(m_pid, nullptr, 0);
    }
}

void peer_proc::post(const std::string &line)
{
    std::string text = line + "\n";

    if (::send(m_fd, text.data(), text.size(), MSG_NOSIGNAL) !=
        (ssize_t)text.size()) {
        throw std::runtime_error("the peer process is gone");
    }
}

std::string peer_proc::answer(const std::function<void()> &step)
{
    size_t end = std::string::npos;
    bool gone  = false;

    bool done = wait_until(
            [&]() {
        end = m_in.find('\n');
        return gone || (end != std::string::npos);
            },
            [&]() {
        struct pollfd pfd = {m_fd, POLLIN, 0};
        if (step) {
            for (int i = 0; i < 64; ++i) {
                step();
            }
        }
        if (poll(&pfd, 1, step ? 0 : 100) > 0) {
            char chunk[4096];
            ssize_t n = read(m_fd, chunk, sizeof(chunk));
            if (n > 0) {
                m_in.append(chunk, n);
            } else {
                gone = true;
            }
        }
    });
    if (!done || (end == std::string::npos)) {
        throw std::runtime_error(gone ? "the peer process died" :
                                        "the peer process does not answer");
    }

    std::string line = m_in.substr(0, end);
    m_in.erase(0, end + 1);
    if (line.compare(0, 3, "ok ") != 0) {
        throw std::runtime_error("peer: " + line);
    }
    return line.substr(3);
}

std::string peer_proc::call(const std::string &line,
                            const std::function<void()> &step)
{
    post(line);
    return answer(step);
}

void peer_proc::kill9()
{
    kill(m_pid, SIGKILL);
    waitpid(m_pid, nullptr, 0);
    close(m_fd);
    m_pid = -1;
}

static std::map<std::string, role_t> &roles()
{
    static std::map<std::string, role_t> all;
    return all;
}

bool role_register(const char *name, role_t role)
{
    roles()[name] = role;
    return true;
}

std::string role_run(const std::string &name, const std::string &arguments)
{
    return roles().at(name)(arguments);
}

} // namespace harness
