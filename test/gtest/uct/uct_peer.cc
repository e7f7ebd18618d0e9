/*
 * The other process. It progresses its interface, which is made by the first line
 * that needs one, all the time and obeys:
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
 *                                              the next command but got,
 *                                              fill and verify)
 *   close INDEX                             -> ok
 *   region LENGTH SEED                      -> ok INDEX ADDRESS KEY
 *   fill INDEX SEED                         -> ok        (a region)
 *   verify INDEX OFFSET LENGTH SEED         -> ok        (bytes and red zones)
 *   dereg INDEX                             -> ok
 *   rma INDEX KIND ADDRESS KEY LENGTH SEED N -> ok       (N operations; INDEX
 *                                              of an endpoint)
 *   role NAME ARGUMENTS                     -> ok TEXT   (rma_test.h)
 *   quit                                    -> ok, and the process ends
 *
 * PLAN is fixed:LEN, ramp:MIN:MAX or random:MIN:MAX. Whatever goes wrong is
 * answered by "error TEXT".
 */
#include "rma_test.h"

#include <cerrno>
#include <poll.h>
#include <sstream>

namespace uct_test {

class peer {
public:
    peer(int fd) : m_fd(fd)
    {
    }

    void loop()
    {
        peer_loop(m_fd, [this](const std::string &line) { return obey(line); },
                  [this]() {
                      bool awake = m_made && !m_frozen;
                      for (int i = 0; awake && (i < 64); ++i) {
                          m_made->progress();
                      }
                      return awake;
                  });
    }

private:
    /* Made when it is first needed: a role has the process for itself */
    node &self()
    {
        if (!m_made) {
            m_made.reset(new node(std::make_shared<domain>()));
        }
        return *m_made;
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
                    }, [&]() { self().progress(); })) {
                throw std::runtime_error("no resource for ever");
            }
            check(status, "send");
            if ((seq & 63) == 0) {
                self().progress();
            }
        }

        flush(e);
        if (!e.promises().empty()) {
            throw std::runtime_error(e.promises());
        }
    }

    void flush(end &e)
    {
        ucs_status_t status = UCS_OK;

        if (!wait_until([&]() {
                    status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_LOCAL,
                                          nullptr);
                    return (status != UCS_INPROGRESS) &&
                           (status != UCS_ERR_NO_RESOURCE);
                }, [&]() { self().progress(); })) {
            throw std::runtime_error("flush does not end");
        }
        check(status, "flush");
    }

    void sleep_for(unsigned id, uint64_t count)
    {
        int fd;

        check(uct_iface_event_fd_get(self().iface(), &fd), "event_fd_get");
        while (m_checkers.at(id).count() < count) {
            if (self().progress() > 0) {
                continue;
            }
            ucs_status_t status = uct_iface_event_arm(self().iface(),
                                                      UCT_EVENT_RECV);
            if (status == UCS_ERR_BUSY) {
                continue;
            }
            check(status, "event_arm");
            struct pollfd pfd = {fd, POLLIN, 0};
            int ret = poll(&pfd, 1, deadline_ms());
            if ((ret < 0) && (errno != EINTR)) {
                throw std::runtime_error("poll failed");
            } else if (ret == 0) {
                throw std::runtime_error("never woken, " + report(id));
            }
        }
    }

    std::string add_region(std::istringstream &in)
    {
        size_t length;
        uint64_t seed;

        in >> length >> seed;
        m_regions.emplace_back(new region(self().dom(), length, 40));
        m_regions.back()->fill(seed);
        return std::to_string(m_regions.size() - 1) + " " +
               std::to_string(m_regions.back()->addr()) + " " +
               to_hex(m_regions.back()->key());
    }

    void verify(std::istringstream &in)
    {
        size_t index, offset, length;
        uint64_t seed;

        in >> index >> offset >> length >> seed;
        const region &r  = *m_regions.at(index);
        std::string text = rma_verify(r.data() + offset, length, seed) +
                           r.red();
        if (!text.empty()) {
            throw std::runtime_error(text);
        }
    }

    /* As many at a time as the transport takes, 64 at most. */
    void rma(std::istringstream &in)
    {
        size_t index, length;
        std::string kind_name, key_text;
        uint64_t addr, seed, count, issued = 0, done = 0;

        in >> index >> kind_name >> addr >> key_text >> length >> seed >>
                count;
        rma_kind kind = rma_kind_of(kind_name);
        rkey key(self().dom(), from_hex(key_text));
        rma_pool pool(self().dom(), 64, length);
        end &e = *m_ends.at(index);

        bool ended = wait_until([&]() { return done == count; }, [&]() {
            rma_op *op;
            while ((issued < count) && ((op = pool.get()) != nullptr)) {
                ucs_status_t status = op->issue(e.ep(), kind, length, seed,
                                                {addr, key.get()});
                if (status == UCS_ERR_NO_RESOURCE) {
                    pool.put(op);
                    break;
                }
                check(status, kind_name);
                ++issued;
            }
            self().progress();
            for (rma_op &o : pool.ops()) {
                if (o.state == rma_op::DONE) {
                    check(o.status, kind_name);
                    if (!o.verify().empty()) {
                        throw std::runtime_error(o.verify());
                    }
                    pool.put(&o);
                    ++done;
                }
            }
        });
        if (!ended) {
            throw std::runtime_error("operations do not end");
        }
        flush(e);
        if (!pool.complaints().empty()) {
            throw std::runtime_error(pool.complaints());
        }
    }

    std::string obey(const std::string &line)
    {
        std::istringstream in(line);
        std::string verb;
        unsigned id;
        uint64_t count;

        in >> verb;
        m_frozen = m_frozen && ((verb == "got") || (verb == "verify") ||
                                (verb == "fill"));
        if (verb == "addr") {
            return self().addr().text();
        } else if (verb == "connect") {
            std::string text;
            in >> text;
            m_ends.emplace_back(new end(self(), address::parse(text)));
            return std::to_string(m_ends.size() - 1);
        } else if (verb == "check") {
            uint64_t src;
            std::string plan;
            in >> id >> src >> plan;
            m_checkers[id] = checker(stream(src, parse_plan(plan)));
            self().check_am(id, &m_checkers[id]);
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
                    }, [&]() { self().progress(); })) {
                throw std::runtime_error("only " + report(id));
            }
            return report(id);
        } else if (verb == "sleep") {
            in >> id >> count;
            sleep_for(id, count);
            return report(id);
        } else if (verb == "failures") {
            return std::to_string(self().failures.size()) + " " +
                   (self().failures.empty() ? "" :
                    ucs_status_string(self().failures.back().status));
        } else if (verb == "freeze") {
            m_frozen = true;
            return "";
        } else if (verb == "close") {
            size_t index;
            in >> index;
            m_ends.at(index)->destroy();
            return "";
        } else if (verb == "region") {
            return add_region(in);
        } else if (verb == "fill") {
            size_t index;
            uint64_t seed;
            in >> index >> seed;
            m_regions.at(index)->fill(seed);
            return "";
        } else if (verb == "verify") {
            verify(in);
            return "";
        } else if (verb == "dereg") {
            size_t index;
            in >> index;
            m_regions.at(index)->dereg();
            return "";
        } else if (verb == "rma") {
            rma(in);
            return "";
        } else if (verb == "role") {
            std::string name, arguments;
            in >> name >> std::ws;
            std::getline(in, arguments);
            return role_run(name, arguments);
        } else if (verb == "quit") {
            for (auto &e : m_ends) {
                e->destroy();
            }
            return "";
        }
        throw std::runtime_error("unknown command " + line);
    }

    int                               m_fd;
    bool                              m_frozen = false;
    std::unique_ptr<node>             m_made;
    std::map<unsigned, checker>       m_checkers;
    std::vector<std::unique_ptr<end>> m_ends;
    std::deque<std::unique_ptr<region>> m_regions;
};

int peer_main(int fd)
{
    node::is_in_peer = true;
    return peer_run(fd, [fd]() { peer(fd).loop(); });
}

address addr_of(peer_proc &peer)
{
    return address::parse(peer.call("addr"));
}

} // namespace uct_test
