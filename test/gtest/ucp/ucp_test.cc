#include "ucp_test.h"

#include <stdexcept>

namespace ucp_test {

void check(ucs_status_t status, const std::string &what)
{
    if (UCS_STATUS_IS_ERR(status)) {
        throw std::runtime_error(what + ": " + ucs_status_string(status));
    }
}

bool is_srd()
{
    return env("TEST_UCP_TLS", "srd,self").find("srd") != std::string::npos;
}

bool is_ucx(unsigned wanted)
{
    unsigned major, minor, release;

    ucp_get_version(&major, &minor, &release);
    return (major > 1) || (minor >= wanted);
}

bool bears_rndv_death()
{
    bool has_rcache = (env("UCX_RCACHE_ENABLE", "try") != "n") &&
                      (env("LD_PRELOAD", "").find("libasan") ==
                       std::string::npos);

    return has_rcache || !is_ucx(16) || is_ucx(23);
}

bool has_put_get(const char *proto_enable)
{
    return (proto_enable[0] == 'y') || !is_ucx(22);
}

bytes message(uint64_t src, uint64_t seq, size_t length)
{
    bytes data(length);

    stream(src, length_plan::fixed(length)).fill(data.data(), seq, length);
    return data;
}

ucp_side::ucp_side(const ucp_options &options) : m_options(options)
{
    ucp_config_t *config;
    ucp_params_t params;

    check(ucp_config_read(nullptr, nullptr, &config), "ucp_config_read");
    check(ucp_config_modify(config, "TLS",
                            env("TEST_UCP_TLS", "srd,self").c_str()),
          "TLS");
    for (const auto &kv : options.config) {
        check(ucp_config_modify(config, kv.first.c_str(), kv.second.c_str()),
              kv.first);
    }
    memset(&params, 0, sizeof(params));
    params.field_mask = UCP_PARAM_FIELD_FEATURES |
                        UCP_PARAM_FIELD_MT_WORKERS_SHARED;
    params.features          = options.features;
    params.mt_workers_shared = 1;
    ucs_status_t status      = ucp_init(&params, config, &m_context);
    ucp_config_release(config);
    check(status, "ucp_init");
    open_worker(options.thread_mode);
}

ucp_side::ucp_side(ucp_side &other, ucs_thread_mode_t thread_mode) :
    m_options(other.m_options), m_context(other.m_context), m_own_context(false)
{
    open_worker(thread_mode);
}

void ucp_side::open_worker(ucs_thread_mode_t thread_mode)
{
    ucp_worker_params_t params;

    memset(&params, 0, sizeof(params));
    params.field_mask   = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    params.thread_mode  = thread_mode;
    ucs_status_t status = ucp_worker_create(m_context, &params, &m_worker);
    if ((status != UCS_OK) && m_own_context) {
        ucp_cleanup(m_context);
    }
    check(status, "ucp_worker_create");
}

ucp_side::~ucp_side()
{
    std::vector<ucs_status_ptr_t> requests = close_all();

    for (ucs_status_ptr_t request : requests) {
        wait_until(
                [&]() {
            return ucp_request_check_status(request) != UCS_INPROGRESS;
                },
                [this]() { progress(); });
        ucp_request_free(request);
    }
    ucp_worker_destroy(m_worker);
    if (m_own_context) {
        ucp_cleanup(m_context);
    }
}

bytes ucp_side::address()
{
    ucp_address_t *address;
    size_t length;

    check(ucp_worker_get_address(m_worker, &address, &length),
          "ucp_worker_get_address");
    bytes copy((uint8_t *)address, (uint8_t *)address + length);
    ucp_worker_release_address(m_worker, address);
    return copy;
}

static void on_error(void *arg, ucp_ep_h, ucs_status_t status)
{
    ep_errors *errors = static_cast<ep_errors *>(arg);

    if (errors != nullptr) {
        ++errors->count;
        errors->status = status;
    }
}

ucp_ep_h ucp_side::connect(const bytes &address, ep_errors *errors)
{
    ucp_ep_params_t params;
    ucp_ep_h ep;

    memset(&params, 0, sizeof(params));
    params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS;
    params.address    = (const ucp_address_t *)address.data();
    if (m_options.err_peer) {
        params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                             UCP_EP_PARAM_FIELD_ERR_HANDLER;
        params.err_mode        = UCP_ERR_HANDLING_MODE_PEER;
        params.err_handler.cb  = on_error;
        params.err_handler.arg = errors;
    }
    check(ucp_ep_create(m_worker, &params, &ep), "ucp_ep_create");
    m_eps.push_back(ep);
    return ep;
}

ucs_status_ptr_t ucp_side::close(ucp_ep_h ep, unsigned flags)
{
    ucp_request_param_t param;

    memset(&param, 0, sizeof(param));
    /* Without error handling a forced close is not allowed. */
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags        = m_options.err_peer ? flags : 0;
    m_eps.erase(std::find(m_eps.begin(), m_eps.end(), ep));
    return ucp_ep_close_nbx(ep, &param);
}

std::vector<ucs_status_ptr_t> ucp_side::close_all()
{
    std::vector<ucs_status_ptr_t> requests;

    while (!m_eps.empty()) {
        ucs_status_ptr_t request = close(m_eps.back(), UCP_EP_CLOSE_FLAG_FORCE);
        if (UCS_PTR_IS_PTR(request)) {
            requests.push_back(request);
        }
    }
    return requests;
}

/* ---- fixture ---- */

ucp_side &ucp_base::add_side(const ucp_options &options)
{
    m_sides.emplace_back(new ucp_side(options));
    return *m_sides.back();
}

unsigned ucp_base::progress()
{
    unsigned count = 0;

    for (auto &s : m_sides) {
        count += s->progress();
    }
    return count;
}

bool ucp_base::wait(const std::function<bool()> &done)
{
    return wait_until(done, [this]() { progress(); });
}

ucs_status_t ucp_base::finish(ucs_status_ptr_t request)
{
    if (!UCS_PTR_IS_PTR(request)) {
        return UCS_PTR_STATUS(request);
    }

    ucs_status_t status = UCS_INPROGRESS;
    bool done           = wait([&]() {
        status = ucp_request_check_status(request);
        return status != UCS_INPROGRESS;
    });
    EXPECT_TRUE(done) << "a request does not complete";
    ucp_request_free(request);
    return done ? status : UCS_ERR_TIMED_OUT;
}

ucs_status_ptr_t ucp_base::tag_send(ucp_ep_h ep, const bytes &data,
                                    ucp_tag_t tag, bool sync)
{
    ucp_request_param_t param;

    param.op_attr_mask = 0;
    return sync ? ucp_tag_send_sync_nbx(ep, data.data(), data.size(), tag,
                                        &param) :
                  ucp_tag_send_nbx(ep, data.data(), data.size(), tag, &param);
}

ucs_status_ptr_t ucp_base::tag_recv(ucp_side &side, bytes &data, ucp_tag_t tag,
                                    ucp_tag_t mask)
{
    ucp_request_param_t param;

    /* Always a request, so that completion is seen in one way only. */
    param.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
    return ucp_tag_recv_nbx(side.worker(), data.data(), data.size(), tag, mask,
                            &param);
}

void ucp_base::ping_pong(ucp_side &a, ucp_ep_h ab, ucp_side &b, ucp_ep_h ba,
                         uint64_t seq, size_t length)
{
    bytes there = message(1, seq, length), back = message(2, seq, length);
    bytes at_a(length), at_b(length);
    ucs_status_ptr_t ra = tag_recv(a, at_a, seq), rb = tag_recv(b, at_b, seq);
    ucs_status_ptr_t sa = tag_send(ab, there, seq);
    ucs_status_ptr_t sb = tag_send(ba, back, seq);

    EXPECT_EQ(UCS_OK, finish(sa));
    EXPECT_EQ(UCS_OK, finish(sb));
    EXPECT_EQ(UCS_OK, finish(ra));
    EXPECT_EQ(UCS_OK, finish(rb));
    EXPECT_TRUE(at_b == there) << "length " << length;
    EXPECT_TRUE(at_a == back) << "length " << length;
}

void ucp_base::TearDown()
{
    /* Closing may need the other side, so all of them progress. */
    for (auto &s : m_sides) {
        for (ucs_status_ptr_t request : s->close_all()) {
            finish(request);
        }
    }
    /* A context goes after the workers that others made in it. */
    while (!m_sides.empty()) {
        m_sides.pop_back();
    }
}

} // namespace ucp_test
