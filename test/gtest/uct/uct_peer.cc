/*
 * The other process. It progresses its interface all the time and obeys:
 *
 *   addr                                    -> ok ADDRESS
 *   connect ADDRESS                         -> ok INDEX
 *   check AMID SRC PLAN                     -> ok        (install a checker)
 *   send INDEX KIND AMID SRC PLAN FIRST N   -> ok        (send and flush)
 *   got AMID                                -> ok COUNT ERRORS TEXT
 *   wait AMID COUNT                         -> as got, when COUNT are there
 *   sleep AMID COUNT                        -> as wait, but asleep on the
 *                                              event fd between messages
 *   failures                                -> ok NUMBER STATUS-OF-LAST
 *   freeze                                  -> ok        (no progress until
 *                                              the next command but got)
 *   close INDEX                             -> ok
 *   quit                                    -> ok, and the process ends
 *
 * PLAN is fixed:LEN, ramp:MIN:MAX or random:MIN:MAX. Whatever goes wrong is
 * answered by "error TEXT".
 */
#include "uct_test.h"

#include <cerrno>
#include <poll.h>
#include <signal.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace uct_test {

static length_plan parse_plan(std::string text)
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

class peer {
public:
    peer(int fd) : m_fd(fd), m_node(std::make_shared<domain>())
    {
    }

    void loop()
    {
        std::string line;

        while (next_line(line)) {
            std::string answer;
            try {
                answer = "ok " + obey(line);
            } catch (const std::exception &e) {
                answer = std::string("error ") + e.what();
            }
            std::replace(answer.begin(), answer.end(), '\n', ';');
            answer += "\n";
            if (write(m_fd, answer.data(), answer.size()) !=
                (ssize_t)answer.size()) {
                return;
            }
            if (line == "quit") {
                return;
            }
        }
    }

private:
    bool next_line(std::string &line)
    {
        for (;;) {
            size_t end = m_in.find('\n');
            if (end != std::string::npos) {
                line = m_in.substr(0, end);
                m_in.erase(0, end + 1);
                return true;
            }

            struct pollfd pfd = {m_fd, POLLIN, 0};
            if (poll(&pfd, 1, m_frozen ? -1 : 0) > 0) {
                char chunk[4096];
                ssize_t n = read(m_fd, chunk, sizeof(chunk));
                if (n <= 0) {
                    return false;
                }
                m_in.append(chunk, n);
            }
            for (int i = 0; !m_frozen && (i < 64); ++i) {
                m_node.progress();
            }
        }
    }

    std::string report(unsigned id)
    {
        const checker &c = m_checkers.at(id);

        return std::to_string(c.count()) + " " + std::to_string(c.errors()) +
               " " + c.text();
    }

    void send(std::istringstream &in)
    {
        size_t index;
        std::string kind_name, plan;
        unsigned id, kind;
        uint64_t src, first, count;

        in >> index >> kind_name >> id >> src >> plan >> first >> count;
        for (kind = 0; (kind < KIND_LAST) && (kind_name != kind_names[kind]);
             ++kind) {
        }
        stream s(src, parse_plan(plan));
        end &e = *m_ends.at(index);

        for (uint64_t seq = first; seq < first + count; ++seq) {
            ucs_status_t status = UCS_OK;
            if (!wait_until([&]() {
                        status = e.send((send_kind)kind, id, s, seq);
                        return status != UCS_ERR_NO_RESOURCE;
                    }, [&]() { m_node.progress(); })) {
                throw std::runtime_error("no resource for ever");
            }
            check(status, "send");
            if ((seq & 63) == 0) {
                m_node.progress();
            }
        }

        ucs_status_t status = UCS_OK;
        if (!wait_until([&]() {
                    status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_LOCAL,
                                          nullptr);
                    return (status != UCS_INPROGRESS) &&
                           (status != UCS_ERR_NO_RESOURCE);
                }, [&]() { m_node.progress(); })) {
            throw std::runtime_error("flush does not end");
        }
        check(status, "flush");
        if (!e.promises().empty()) {
            throw std::runtime_error(e.promises());
        }
    }

    void sleep_for(unsigned id, uint64_t count)
    {
        int fd;

        check(uct_iface_event_fd_get(m_node.iface(), &fd), "event_fd_get");
        while (m_checkers.at(id).count() < count) {
            if (m_node.progress() > 0) {
                continue;
            }
            ucs_status_t status = uct_iface_event_arm(m_node.iface(),
                                                      UCT_EVENT_RECV);
            if (status == UCS_ERR_BUSY) {
                continue;
            }
            check(status, "event_arm");
            struct pollfd pfd = {fd, POLLIN, 0};
            int ret = poll(&pfd, 1, 1000 * env_u64("TEST_DEADLINE", 60));
            if ((ret < 0) && (errno != EINTR)) {
                throw std::runtime_error("poll failed");
            } else if (ret == 0) {
                throw std::runtime_error("never woken, " + report(id));
            }
        }
    }

    std::string obey(const std::string &line)
    {
        std::istringstream in(line);
        std::string verb;
        unsigned id;
        uint64_t count;

        in >> verb;
        m_frozen = m_frozen && (verb == "got");
        if (verb == "addr") {
            return m_node.addr().text();
        } else if (verb == "connect") {
            std::string text;
            in >> text;
            m_ends.emplace_back(new end(m_node, address::parse(text)));
            return std::to_string(m_ends.size() - 1);
        } else if (verb == "check") {
            uint64_t src;
            std::string plan;
            in >> id >> src >> plan;
            m_checkers[id] = checker(stream(src, parse_plan(plan)));
            m_node.check_am(id, &m_checkers[id]);
            return "";
        } else if (verb == "send") {
            send(in);
            return "";
        } else if (verb == "got") {
            in >> id;
            return report(id);
        } else if (verb == "wait") {
            in >> id >> count;
            if (!wait_until([&]() {
                        return m_checkers.at(id).count() >= count;
                    }, [&]() { m_node.progress(); })) {
                throw std::runtime_error("only " + report(id));
            }
            return report(id);
        } else if (verb == "sleep") {
            in >> id >> count;
            sleep_for(id, count);
            return report(id);
        } else if (verb == "failures") {
            return std::to_string(m_node.failures.size()) + " " +
                   (m_node.failures.empty() ? "" :
                    ucs_status_string(m_node.failures.back().status));
        } else if (verb == "freeze") {
            m_frozen = true;
            return "";
        } else if (verb == "close") {
            size_t index;
            in >> index;
            m_ends.at(index)->destroy();
            return "";
        } else if (verb == "quit") {
            for (auto &e : m_ends) {
                e->destroy();
            }
            return "";
        }
        throw std::runtime_error("unknown command " + line);
    }

    int                               m_fd;
    std::string                       m_in;
    bool                              m_frozen = false;
    node                              m_node;
    std::map<unsigned, checker>       m_checkers;
    std::vector<std::unique_ptr<end>> m_ends;
};

int peer_main(int fd)
{
    try {
        peer(fd).loop();
    } catch (const std::exception &e) {
        std::string text = std::string("error ") + e.what() + "\n";
        if (write(fd, text.data(), text.size()) < 0) {
            return 2;
        }
        return 1;
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
            putenv(const_cast<char*>(e.c_str()));
        }
        std::string fd = std::to_string(dup(fds[1]));
        execl(self, self, "--peer", fd.c_str(), (char*)nullptr);
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
        close(m_fd);
        for (int i = 0; i < 1000; ++i) {
            if (waitpid(m_pid, nullptr, WNOHANG) == m_pid) {
                return;
            }
            usleep(10000);
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

    bool done = wait_until([&]() {
        end = m_in.find('\n');
        return gone || (end != std::string::npos);
    }, [&]() {
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

address peer_proc::addr()
{
    return address::parse(call("addr"));
}

} // namespace uct_test
