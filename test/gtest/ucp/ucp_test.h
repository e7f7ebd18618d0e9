/*
 * What every UCP test starts from.
 *
 *   ucp_side   context and worker, and the endpoints that lead from it
 *   ucp_base   fixture: sides in this process, progressed together
 *   peer_proc  another process with one side (harness.h; commands in
 *              ucp_peer.cc)
 *
 * The transports are TEST_UCP_TLS (default srd,self): with these two a
 * message between two workers can travel by srd and by nothing else.
 */
#ifndef TEST_UCP_TEST_H_
#define TEST_UCP_TEST_H_

#include "common/harness.h"

#include <gtest/gtest.h>

#include <ucp/api/ucp.h>

#include <map>
#include <memory>

namespace ucp_test {

using namespace harness;

typedef std::vector<uint8_t>               bytes;
typedef std::map<std::string, std::string> config_map;

void check(ucs_status_t status, const std::string &what);
bool is_srd();

struct ucp_options {
    uint64_t          features    = UCP_FEATURE_TAG;
    bool              err_peer    = false; /* UCP_ERR_HANDLING_MODE_PEER */
    ucs_thread_mode_t thread_mode = UCS_THREAD_MODE_SINGLE;
    config_map        config;              /* without the UCX_ prefix */
};

/* Number and status of the error callbacks of one endpoint. */
struct ep_errors {
    unsigned     count  = 0;
    ucs_status_t status = UCS_OK;
};

class ucp_side {
public:
    explicit ucp_side(const ucp_options &options = ucp_options());
    /* A second worker in the context of another side. */
    ucp_side(ucp_side &other, ucs_thread_mode_t thread_mode);
    ~ucp_side();
    ucp_side(const ucp_side&)            = delete;
    ucp_side &operator=(const ucp_side&) = delete;

    ucp_worker_h worker()  { return m_worker; }
    ucp_context_h context() { return m_context; }
    unsigned     progress() { return ucp_worker_progress(m_worker); }
    bytes        address();
    /* errors may be null. Closed by close(), else forced at the end. */
    ucp_ep_h     connect(const bytes &address, ep_errors *errors = nullptr);
    /* flags: 0 flushes first, UCP_EP_CLOSE_FLAG_FORCE does not. */
    ucs_status_ptr_t close(ucp_ep_h ep, unsigned flags = 0);
    /* Closes what is left; returns the requests that are not done yet. */
    std::vector<ucs_status_ptr_t> close_all();
    /* The other side is gone: leave the endpoints to the worker. */
    void abandon() { m_eps.clear(); }

private:
    void open_worker(ucs_thread_mode_t thread_mode);

    ucp_options           m_options;
    ucp_context_h         m_context      = nullptr;
    bool                  m_own_context  = true;
    ucp_worker_h          m_worker       = nullptr;
    std::vector<ucp_ep_h> m_eps;
};

/* The libucp that runs, which may be newer than the headers, is 1.minor or newer. */
bool is_ucx(unsigned minor);

/* Whether it survives a peer that dies in the middle of a rendezvous. From 1.16 to
 * 1.22 it crashes then if it has no registration cache: UCX_RCACHE_ENABLE=n, or
 * AddressSanitizer, which replaces what UCX's memory hooks need. */
bool bears_rndv_death();

/* Whether ucp_put_nbx() and ucp_get_nbx() do anything with this value of
 * UCX_PROTO_ENABLE: UCX 1.22 has them in its new protocols only, and returns
 * UCS_ERR_UNSUPPORTED over any transport. */
bool has_put_get(const char *proto_enable);

/* Message `seq` of stream `src`, as bytes. */
bytes message(uint64_t src, uint64_t seq, size_t length);

class ucp_base : public ::testing::Test {
protected:
    ucp_side &add_side(const ucp_options &options = ucp_options());
    unsigned  progress();
    bool      wait(const std::function<bool()> &done);

    /* Waits for a request, frees it, returns its status. */
    ucs_status_t finish(ucs_status_ptr_t request);

    ucs_status_ptr_t tag_send(ucp_ep_h ep, const bytes &data, ucp_tag_t tag,
                              bool sync = false);
    ucs_status_ptr_t tag_recv(ucp_side &side, bytes &data, ucp_tag_t tag,
                              ucp_tag_t mask = ~0ull);

    /* Sends in both directions one message that is checked. */
    void ping_pong(ucp_side &a, ucp_ep_h ab, ucp_side &b, ucp_ep_h ba,
                   uint64_t seq, size_t length);

    void TearDown() override;

    std::vector<std::unique_ptr<ucp_side>> m_sides;
};

int peer_main(int fd);

} // namespace ucp_test

#endif
