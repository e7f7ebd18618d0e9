/*
 * What the transport and UCP suites share: environment, waiting, a stream of
 * checkable messages (stream.h), a second process.
 *
 * No test measures time. A wait ends when what it waits for is there; after
 * TEST_DEADLINE seconds (600) it gives up, which only tells a hang from a
 * failure: no machine is that busy. A program in which one had to gives the
 * others 60, so that what hangs leaves time to what follows.
 */
#ifndef TEST_COMMON_HARNESS_H_
#define TEST_COMMON_HARNESS_H_

#include "stream.h"

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace harness {

std::string env(const char *name, const std::string &dflt);
uint64_t    env_u64(const char *name, uint64_t dflt);

/* Scales message counts: TEST_SCALE percent, for slow (valgrind) runs. */
uint64_t scaled(uint64_t count);

/* How long to wait for what must come, as poll(2) wants it. */
int deadline_ms();

/* Repeats step() until done(); false after the deadline. */
bool wait_until(const std::function<bool()> &done,
                const std::function<void()> &step);

/* Entries in /proc/self/fd; mapped files (the memory of the device and of its
 * fabric, segments), not the memory that an allocator keeps; resident bytes (0
 * below AddressSanitizer). */
unsigned count_fds();
unsigned count_mappings();
size_t   resident_bytes();

std::string          to_hex(const std::vector<uint8_t> &bytes);
std::vector<uint8_t> from_hex(const std::string &text);
length_plan          parse_plan(std::string text);

/*
 * This program once more (fork + exec with "--peer FD"), told what to do in
 * lines of text over a socket pair; which ones, the suite says. call() sends
 * one line and waits for the line that answers it, calling step() meanwhile.
 * Throws if the peer died or answered "error ...".
 */
class peer_proc {
public:
    explicit peer_proc(const std::vector<std::string> &env = {});
    ~peer_proc();
    peer_proc(const peer_proc&)            = delete;
    peer_proc &operator=(const peer_proc&) = delete;

    std::string call(const std::string &line,
                     const std::function<void()> &step = nullptr);
    void        post(const std::string &line);
    std::string answer(const std::function<void()> &step = nullptr);
    void        kill9();
    pid_t       pid() const { return m_pid; }

private:
    pid_t       m_pid = -1;
    int         m_fd  = -1;
    std::string m_in;
};

/*
 * The loop of the other process: obeys one line after the other and calls
 * idle() in between. obey() returns the answer or throws; idle() returns
 * false to sleep until the next line. Ends after "quit" or end of file.
 */
typedef std::function<std::string(const std::string&)> obey_func;
void peer_loop(int fd, const obey_func &obey,
               const std::function<bool()> &idle);

/* Runs body(); an exception becomes an "error ..." line. Returns the exit
 * status of the process. */
int peer_run(int fd, const std::function<void()> &body);

/* A function that runs in another process: command "role NAME ARGUMENTS" of a
 * peer. role_run() throws std::out_of_range for a name that nobody has. */
typedef std::string (*role_t)(const std::string &arguments);

bool        role_register(const char *name, role_t role);
std::string role_run(const std::string &name, const std::string &arguments);

#define HARNESS_ROLE(_name) \
    static std::string role_##_name(const std::string &arguments); \
    static const bool role_##_name##_known = \
            ::harness::role_register(#_name, role_##_name); \
    static std::string role_##_name(const std::string &arguments)

} // namespace harness

#endif
