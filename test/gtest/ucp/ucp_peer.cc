/*
 * The other process of the UCP tests: one worker. Commands:
 *
 *   open FEATURES ERR_PEER PROTO [SCHEME] -> ok ADDRESS   (numbers)
 *                                       SCHEME: rendezvous, from 1000 bytes
 *   connect ADDRESS                  -> ok
 *   send TAG LENGTH N                -> ok    (messages 0..N-1 of stream TAG)
 *   recv TAG LENGTH N                -> ok ERRORS
 *   echo_sleep TAG LENGTH N          -> ok ERRORS POLLS (receives, answers
 *                                       with tag + 1, asleep in between)
 *   am ID                            -> ok    (count and check AMs: stream ID)
 *   got                              -> ok COUNT ERRORS (of those AMs)
 *   freeze                           -> ok    (no progress until next line)
 *   role NAME ARGUMENTS              -> ok TEXT
 *   quit
 */
#include "ucp_test.h"

#include <poll.h>
#include <sstream>
#include <stdexcept>

namespace ucp_test {

class ucp_peer {
public:
    ~ucp_peer()
    {
        /* Without "quit" nobody would answer a closing endpoint. */
        if (m_side) {
            m_side->abandon();
        }
    }

    std::string obey(const std::string &line)
    {
        std::istringstream in(line);
        std::string verb;

        in >> verb;
        m_frozen = false;
        if (verb == "open") {
            ucp_options options;
            std::string proto, scheme;
            in >> options.features >> options.err_peer >> proto >> scheme;
            options.config["PROTO_ENABLE"] = proto;
            if (!scheme.empty()) {
                options.config["RNDV_THRESH"] = "1000";
                options.config["RNDV_SCHEME"] = scheme;
            }
            m_side.reset(new ucp_side(options));
            return to_hex(m_side->address());
        } else if (verb == "connect") {
            std::string text;
            in >> text;
            m_ep = m_side->connect(from_hex(text), &m_errors);
            return "";
        } else if ((verb == "send") || (verb == "recv")) {
            uint64_t tag, count, errors = 0;
            size_t length;
            in >> tag >> length >> count;
            for (uint64_t seq = 0; seq < count; ++seq) {
                if (verb == "send") {
                    send(message(tag, seq, length), tag);
                } else {
                    errors += (recv(length, tag) != message(tag, seq, length));
                }
            }
            return std::to_string(errors);
        } else if (verb == "echo_sleep") {
            uint64_t tag, count, errors = 0;
            size_t length;
            in >> tag >> length >> count;
            m_sleep = true;
            m_polls = 0;
            for (uint64_t seq = 0; seq < count; ++seq) {
                bytes data = recv(length, tag);
                errors    += (data != message(tag, seq, length));
                send(data, tag + 1);
            }
            m_sleep = false;
            return std::to_string(errors) + " " + std::to_string(m_polls);
        } else if (verb == "am") {
            unsigned id;
            in >> id;
            m_am_id = id;
            ucp_am_handler_param_t param;
            param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                               UCP_AM_HANDLER_PARAM_FIELD_CB |
                               UCP_AM_HANDLER_PARAM_FIELD_ARG;
            param.id         = id;
            param.cb         = am;
            param.arg        = this;
            check(ucp_worker_set_am_recv_handler(m_side->worker(), &param),
                  "ucp_worker_set_am_recv_handler");
            return "";
        } else if (verb == "got") {
            return std::to_string(m_am_count) + " " +
                   std::to_string(m_am_errors);
        } else if (verb == "freeze") {
            m_frozen = true;
            return "";
        } else if (verb == "role") {
            std::string name, arguments;
            in >> name >> std::ws;
            std::getline(in, arguments);
            return role_run(name, arguments);
        } else if (verb == "quit") {
            m_side.reset();
            return "";
        }
        throw std::runtime_error("unknown command " + line);
    }

    bool idle()
    {
        for (int i = 0; m_side && !m_frozen && (i < 64); ++i) {
            m_side->progress();
        }
        return !m_frozen;
    }

private:
    static ucs_status_t am(void *arg, const void*, size_t, void *data,
                           size_t length, const ucp_am_recv_param_t *)
    {
        ucp_peer *self = static_cast<ucp_peer*>(arg);
        bytes expected = message(self->m_am_id, self->m_am_count, length);

        if (memcmp(expected.data(), data, length) != 0) {
            ++self->m_am_errors;
        }
        ++self->m_am_count;
        return UCS_OK;
    }

    void finish(ucs_status_ptr_t request)
    {
        ucs_status_t status = UCS_PTR_STATUS(request);

        if (UCS_PTR_IS_PTR(request)) {
            bool done = wait_until([&]() {
                status = ucp_request_check_status(request);
                return status != UCS_INPROGRESS;
            }, [this]() { step(); });
            if (!done) {
                throw std::runtime_error("a request does not complete");
            }
            ucp_request_free(request);
        }
        check(status, "request");
    }

    void step()
    {
        if ((m_side->progress() > 0) || !m_sleep) {
            return;
        }
        ucs_status_t status = ucp_worker_arm(m_side->worker());
        if (status == UCS_ERR_BUSY) {
            return;
        }
        check(status, "ucp_worker_arm");
        struct pollfd pfd;
        check(ucp_worker_get_efd(m_side->worker(), &pfd.fd),
              "ucp_worker_get_efd");
        pfd.events = POLLIN;
        ++m_polls;
        if (poll(&pfd, 1, deadline_ms()) <= 0) {
            throw std::runtime_error("asleep for ever");
        }
    }

    void send(const bytes &data, ucp_tag_t tag)
    {
        ucp_request_param_t param;
        param.op_attr_mask = 0;
        finish(ucp_tag_send_nbx(m_ep, data.data(), data.size(), tag, &param));
    }

    bytes recv(size_t length, ucp_tag_t tag)
    {
        ucp_request_param_t param;
        bytes data(length);
        param.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
        finish(ucp_tag_recv_nbx(m_side->worker(), data.data(), length, tag,
                                ~0ull, &param));
        return data;
    }

    std::unique_ptr<ucp_side> m_side;
    ucp_ep_h                  m_ep = nullptr;
    ep_errors                 m_errors;
    bool                      m_frozen = false, m_sleep = false;
    unsigned                  m_polls  = 0;
    unsigned                  m_am_id  = 0;
    uint64_t                  m_am_count = 0, m_am_errors = 0;
};

int peer_main(int fd)
{
    return peer_run(fd, [fd]() {
        ucp_peer peer;
        peer_loop(
                fd, [&](const std::string &line) { return peer.obey(line); },
                [&]() { return peer.idle(); });
    });
}

} // namespace ucp_test
