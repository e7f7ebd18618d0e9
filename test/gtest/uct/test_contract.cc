/*
 * docs/uct-contract.md: what an interface says of itself, what it makes of the
 * parameters that it is opened with, and what it answers where it offers
 * nothing. Limits of lengths are in test_params.cc, alignment in test_align.cc.
 */
#include "contract_probe.h"
#include "rma_test.h"

#include "common/said.h"

#include <climits>
#include <cstring>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 3;

class contract_test : public uct_base {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
        uct_base::SetUp();
    }
};

/* Worker and interface, as UCT makes them from any parameters */
class opened {
public:
    opened(std::shared_ptr<domain> dom,
           ucs_thread_mode_t mode = UCS_THREAD_MODE_SINGLE) : m_dom(dom)
    {
        check(ucs_async_context_create(UCS_ASYNC_MODE_THREAD_SPINLOCK, &m_async),
              "ucs_async_context_create");
        check(uct_worker_create(m_async, mode, &m_worker), "uct_worker_create");
        check(uct_md_iface_config_read(dom->md(), tl_name().c_str(), nullptr,
                                       nullptr, &m_config),
              "uct_md_iface_config_read");
        /* What is not named in field_mask is rubbish */
        memset(&params, 0xa5, sizeof(params));
        params.field_mask = UCT_IFACE_PARAM_FIELD_OPEN_MODE |
                            UCT_IFACE_PARAM_FIELD_DEVICE;
        params.open_mode  = UCT_IFACE_OPEN_MODE_DEVICE;
        params.mode.device.tl_name  = m_tl_name.c_str();
        params.mode.device.dev_name = dom->device().c_str();
    }

    ~opened()
    {
        if (iface != nullptr) {
            uct_iface_close(iface);
        }
        uct_config_release(m_config);
        uct_worker_destroy(m_worker);
        ucs_async_context_destroy(m_async);
    }

    ucs_status_t open()
    {
        ucs_status_t status = uct_iface_open(m_dom->md(), m_worker, &params,
                                             m_config, &iface);
        if (status != UCS_OK) {
            iface = nullptr;
        }
        return status;
    }

    /* A message to itself */
    bool works()
    {
        uct_iface_attr_t attr;
        uct_ep_params_t ep_params;
        unsigned count = 0;
        uct_ep_h ep;

        check(uct_iface_query(iface, &attr), "uct_iface_query");
        std::vector<char> dev(attr.device_addr_len), addr(attr.iface_addr_len);
        check(uct_iface_get_device_address(iface, (uct_device_addr_t*)&dev[0]),
              "uct_iface_get_device_address");
        check(uct_iface_get_address(iface, (uct_iface_addr_t*)&addr[0]),
              "uct_iface_get_address");
        check(uct_iface_set_am_handler(iface, AM_ID, arrived, &count, 0),
              "uct_iface_set_am_handler");
        uct_iface_progress_enable(iface,
                                  UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
        ep_params.field_mask = UCT_EP_PARAM_FIELD_IFACE |
                               UCT_EP_PARAM_FIELD_DEV_ADDR |
                               UCT_EP_PARAM_FIELD_IFACE_ADDR;
        ep_params.iface      = iface;
        ep_params.dev_addr   = (uct_device_addr_t*)&dev[0];
        ep_params.iface_addr = (uct_iface_addr_t*)&addr[0];
        check(uct_ep_create(&ep_params, &ep), "uct_ep_create");
        auto step = [&]() { uct_worker_progress(m_worker); };
        bool ok   = wait_until([&]() {
            return uct_ep_am_short(ep, AM_ID, 0, nullptr, 0) == UCS_OK;
        }, step) && wait_until([&]() { return count > 0; }, step);
        uct_ep_destroy(ep);
        return ok;
    }

    uct_worker_h worker() { return m_worker; }

    uct_iface_params_t params;
    uct_iface_h        iface = nullptr;

private:
    static ucs_status_t arrived(void *arg, void *, size_t length, unsigned)
    {
        *static_cast<unsigned*>(arg) += (length == 8);
        return UCS_OK;
    }

    std::shared_ptr<domain> m_dom;
    std::string             m_tl_name = tl_name();
    ucs_async_context_t    *m_async   = nullptr;
    uct_worker_h            m_worker  = nullptr;
    uct_iface_config_t     *m_config  = nullptr;
};

} // namespace

/* ------------------------------------------------------------- attributes */

TEST_F(contract_test, capabilities)
{
    node &a           = add_node();
    const auto &cap   = a.attr().cap;
    const uint64_t rd = UCT_IFACE_FLAG_GET_BCOPY | UCT_IFACE_FLAG_GET_ZCOPY;
    const uint64_t wr = UCT_IFACE_FLAG_PUT_SHORT | UCT_IFACE_FLAG_PUT_BCOPY |
                        UCT_IFACE_FLAG_PUT_ZCOPY;
    uint64_t always = UCT_IFACE_FLAG_AM_SHORT | UCT_IFACE_FLAG_AM_BCOPY |
                      UCT_IFACE_FLAG_AM_ZCOPY | UCT_IFACE_FLAG_PENDING |
                      UCT_IFACE_FLAG_CONNECT_TO_IFACE | UCT_IFACE_FLAG_CB_SYNC |
                      UCT_IFACE_FLAG_EP_CHECK |
                      UCT_IFACE_FLAG_ERRHANDLE_PEER_FAILURE;
    uint64_t events = UCT_IFACE_FLAG_EVENT_SEND_COMP |
                      UCT_IFACE_FLAG_EVENT_RECV | UCT_IFACE_FLAG_EVENT_FD;

#ifdef UCT_IFACE_FLAG_INTER_NODE
    always |= UCT_IFACE_FLAG_INTER_NODE;
#endif
    /* These, reading and writing as a whole, and nothing else */
    EXPECT_EQ(always, cap.flags & ~(rd | wr));
    EXPECT_TRUE(((cap.flags & rd) == 0) || ((cap.flags & rd) == rd));
    EXPECT_TRUE(((cap.flags & wr) == 0) || ((cap.flags & wr) == wr));
    EXPECT_TRUE((cap.event_flags == 0) || (cap.event_flags == events));
    EXPECT_EQ(0u, cap.atomic32.op_flags | cap.atomic32.fop_flags);
    EXPECT_EQ(0u, cap.atomic64.op_flags | cap.atomic64.fop_flags);
    EXPECT_EQ(0u, cap.tag.recv.min_recv | cap.tag.recv.max_zcopy |
                          cap.tag.recv.max_iov | cap.tag.recv.max_outstanding |
                          cap.tag.eager.max_short | cap.tag.eager.max_bcopy |
                          cap.tag.eager.max_zcopy | cap.tag.eager.max_iov |
                          cap.tag.rndv.max_zcopy | cap.tag.rndv.max_hdr |
                          cap.tag.rndv.max_iov);

    EXPECT_EQ(0u, cap.am.min_zcopy);
    EXPECT_EQ(1u, cap.am.max_iov);
    EXPECT_GE(cap.am.align_mtu, 4096u);
    EXPECT_TRUE(cap.am.opt_zcopy_align > 1);
    EXPECT_EQ(0u, cap.get.max_short);
    if (cap.flags & rd) {
        EXPECT_EQ(cap.am.max_bcopy, cap.get.max_bcopy);
        EXPECT_EQ(0u, cap.get.min_zcopy);
        EXPECT_GE(cap.get.max_zcopy, 1u << 20);
        EXPECT_EQ(1u, cap.get.max_iov);
        EXPECT_GE(cap.get.align_mtu, 4096u);
        EXPECT_TRUE(cap.get.opt_zcopy_align > 1);
    } else {
        EXPECT_EQ(0u, cap.get.max_bcopy | cap.get.max_zcopy | cap.get.max_iov);
    }
    if (cap.flags & wr) {
        EXPECT_EQ(cap.am.max_short, cap.put.max_short);
        EXPECT_EQ(cap.am.max_bcopy, cap.put.max_bcopy);
        EXPECT_EQ(0u, cap.put.min_zcopy);
        EXPECT_GE(cap.put.max_zcopy, 1u << 20);
        EXPECT_EQ(1u, cap.put.max_iov);
        EXPECT_GE(cap.put.align_mtu, 4096u);
        EXPECT_TRUE(cap.put.opt_zcopy_align > 1);
    } else {
        EXPECT_EQ(0u, cap.put.max_short | cap.put.max_bcopy |
                              cap.put.max_zcopy | cap.put.max_iov);
    }
}

TEST_F(contract_test, attributes)
{
    node &a                      = add_node();
    const uct_iface_attr_t &attr = a.attr();
    sockaddr_storage nowhere;

    memset(&nowhere, 0, sizeof(nowhere));
    EXPECT_EQ(0u, attr.ep_addr_len);
    EXPECT_EQ(0u, attr.max_conn_priv);
    EXPECT_EQ(0, memcmp(&nowhere, &attr.listen_sockaddr, sizeof(nowhere)));
    EXPECT_EQ(0, attr.bandwidth.dedicated) << "the port is everybody's";
    EXPECT_EQ(0, attr.latency.m);
    EXPECT_GT(attr.priority, 0);
    EXPECT_EQ((size_t)ULONG_MAX, attr.max_num_eps);
    EXPECT_EQ(1u, attr.dev_num_paths);
    EXPECT_FALSE(contract_has_ctl_device(&attr));

    node few(m_dom, {{"MAX_NUM_EPS", "7"}});
    EXPECT_EQ(7u, few.attr().max_num_eps);
}

/* All operations cost what the attributes say. */
TEST_F(contract_test, performance)
{
    node &a                      = add_node();
    const uct_iface_attr_t &attr = a.attr();

    for (unsigned op = 0; op < contract_perf_num_ops(); ++op) {
        contract_perf_t perf;

        ASSERT_EQ(UCS_OK, contract_perf(a.iface(), op, &perf)) << op;
        EXPECT_EQ(attr.overhead, perf.pre) << op;
        EXPECT_EQ(0, perf.post) << op;
        EXPECT_EQ(attr.overhead, perf.recv) << op;
        EXPECT_EQ(attr.bandwidth.shared, perf.bandwidth.shared) << op;
        EXPECT_EQ(attr.bandwidth.dedicated, perf.bandwidth.dedicated) << op;
        EXPECT_EQ(attr.bandwidth.shared, perf.path.shared) << op;
        EXPECT_EQ(attr.latency.c, perf.latency.c) << op;
        EXPECT_EQ(attr.latency.m, perf.latency.m) << op;
        EXPECT_EQ(SIZE_MAX, perf.max_inflight_eps) << op;
        EXPECT_EQ(0u, perf.flags) << op;
    }
    EXPECT_FALSE(contract_perf_touches(a.iface()));
}

/* ---------------------------------------------------------------- opening */

TEST_F(contract_test, open_parameters)
{
    typedef std::function<void(uct_iface_params_t &)> change_t;
    const std::string device = m_dom->device();
    const std::string port   = device.substr(device.find(':'));
    const std::string bare   = device.substr(0, device.find(':'));
    const std::string other  = bare + "9" + port;
    ucs_cpu_set_t all, none;
    memset(&all, 0xff, sizeof(all));
    memset(&none, 0, sizeof(none));

    const struct {
        const char   *what;
        ucs_status_t status;
        change_t     change;
    } table[] = {
        {"the least", UCS_OK, [](uct_iface_params_t&) {}},
        {"no open mode", UCS_ERR_INVALID_PARAM, [](uct_iface_params_t &p) {
            p.field_mask = UCT_IFACE_PARAM_FIELD_DEVICE;
        }},
        {"open mode of nothing", UCS_ERR_INVALID_PARAM,
         [](uct_iface_params_t &p) { p.open_mode = 0; }},
        {"server", UCS_ERR_NO_DEVICE, [](uct_iface_params_t &p) {
            p.open_mode = UCT_IFACE_OPEN_MODE_SOCKADDR_SERVER;
        }},
        {"client", UCS_ERR_NO_DEVICE, [](uct_iface_params_t &p) {
            p.open_mode = UCT_IFACE_OPEN_MODE_SOCKADDR_CLIENT;
        }},
        {"device and server", UCS_OK, [](uct_iface_params_t &p) {
            p.open_mode = UCT_IFACE_OPEN_MODE_DEVICE |
                          UCT_IFACE_OPEN_MODE_SOCKADDR_SERVER;
        }},
        {"no transport", UCS_ERR_NO_DEVICE, [](uct_iface_params_t &p) {
            p.mode.device.tl_name = nullptr;
        }},
        {"another transport", UCS_ERR_NO_DEVICE, [](uct_iface_params_t &p) {
            p.mode.device.tl_name = "ud_verbs";
        }},
        {"no device", UCS_ERR_INVALID_PARAM, [](uct_iface_params_t &p) {
            p.mode.device.dev_name = nullptr;
        }},
        {"device of no name", UCS_ERR_NO_DEVICE, [](uct_iface_params_t &p) {
            p.mode.device.dev_name = "";
        }},
        {"device without port", UCS_ERR_NO_DEVICE, [&](uct_iface_params_t &p) {
            p.mode.device.dev_name = bare.c_str();
        }},
        {"another device", UCS_ERR_NO_DEVICE, [&](uct_iface_params_t &p) {
            p.mode.device.dev_name = other.c_str();
        }},
        {"all CPUs", UCS_OK, [&](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_CPU_MASK;
            p.cpu_mask    = all;
        }},
        {"no CPU", UCS_OK, [&](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_CPU_MASK;
            p.cpu_mask    = none;
        }},
        {"no statistics", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_STATS_ROOT;
            p.stats_root  = nullptr;
        }},
        {"no headroom", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_RX_HEADROOM;
            p.rx_headroom = 0;
        }},
        {"no error handler", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask     |= UCT_IFACE_PARAM_FIELD_ERR_HANDLER |
                                UCT_IFACE_PARAM_FIELD_ERR_HANDLER_ARG;
            p.err_handler     = nullptr;
            p.err_handler_arg = nullptr;
        }},
        {"flags of an error handler", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask       |= UCT_IFACE_PARAM_FIELD_ERR_HANDLER_FLAGS;
            p.err_handler_flags = UCT_CB_FLAG_ASYNC;
        }},
        {"reserved flags", UCS_ERR_INVALID_PARAM, [](uct_iface_params_t &p) {
            p.field_mask       |= UCT_IFACE_PARAM_FIELD_ERR_HANDLER_FLAGS;
            p.err_handler_flags = UCT_CB_FLAG_RESERVED;
        }},
        {"no features", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_FEATURES;
            p.features    = 0;
        }},
        {"features it has not", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_FEATURES;
            p.features    = UINT64_MAX;
        }},
        {"keepalive", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask        |= UCT_IFACE_PARAM_FIELD_KEEPALIVE_INTERVAL;
            p.keepalive_interval = ucs_time_t(1000);
        }},
        {"asynchronous events", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask    |= UCT_IFACE_PARAM_FIELD_ASYNC_EVENT_CB |
                               UCT_IFACE_PARAM_FIELD_ASYNC_EVENT_ARG;
            p.async_event_cb = [](void*, unsigned) {
                ADD_FAILURE() << "an event that was not announced";
            };
            p.async_event_arg = nullptr;
        }},
        {"tag matching", UCS_OK, [](uct_iface_params_t &p) {
            p.field_mask |= UCT_IFACE_PARAM_FIELD_HW_TM_EAGER_CB |
                            UCT_IFACE_PARAM_FIELD_HW_TM_EAGER_ARG |
                            UCT_IFACE_PARAM_FIELD_HW_TM_RNDV_CB |
                            UCT_IFACE_PARAM_FIELD_HW_TM_RNDV_ARG;
            p.eager_cb  = nullptr;
            p.eager_arg = nullptr;
            p.rndv_cb   = nullptr;
            p.rndv_arg  = nullptr;
        }},
        {"offset without alignment", UCS_ERR_INVALID_PARAM,
         [](uct_iface_params_t &p) {
            p.field_mask     |= UCT_IFACE_PARAM_FIELD_AM_ALIGN_OFFSET;
            p.am_align_offset = 8;
        }},
    };

    unsigned fds = count_fds();
    for (auto &row : table) {
        SCOPED_TRACE(row.what);
        {
            opened o(m_dom);
            row.change(o.params);
            said said;
            ucs_status_t status = o.open();
            EXPECT_EQ(row.status, status) << ucs_status_string(status);
            if (status == UCS_OK) {
                EXPECT_EQ("", said.none());
                EXPECT_TRUE(o.works());
            }
        }
        EXPECT_EQ(fds, count_fds());
    }
}

/* One thread at a time, by whatever rule; many at once are refused. */
TEST_F(contract_test, thread_modes)
{
    for (auto mode : {UCS_THREAD_MODE_SINGLE, UCS_THREAD_MODE_SERIALIZED}) {
        opened o(m_dom, mode);

        EXPECT_EQ(UCS_OK, o.open()) << mode;
        EXPECT_TRUE(o.works()) << mode;
    }

    opened many(m_dom, UCS_THREAD_MODE_MULTI);
    said said;
    EXPECT_EQ(UCS_ERR_INVALID_PARAM, many.open());
    EXPECT_EQ("", said.only({"UCS_THREAD_MODE_MULTI",
                             "UCS_THREAD_MODE_SERIALIZED"}));
}

/* Progress: only while it is enabled, and not after the interface is gone */
TEST_F(contract_test, progress_follows_its_switch)
{
    const unsigned both = UCT_PROGRESS_SEND | UCT_PROGRESS_RECV;
    opened o(m_dom);

    ASSERT_EQ(UCS_OK, o.open());
    EXPECT_TRUE(o.works());
    uct_iface_progress_disable(o.iface, UCT_PROGRESS_SEND);
    EXPECT_TRUE(o.works()) << "half of it is left, and enabled again";
    uct_iface_progress_enable(o.iface, both);
    uct_iface_progress_disable(o.iface, both);
    for (unsigned i = 0; i < 100; ++i) {
        EXPECT_EQ(0u, uct_worker_progress(o.worker()));
    }
    uct_iface_progress_disable(o.iface, both);
    uct_iface_progress_enable(o.iface, both | UCT_PROGRESS_THREAD_SAFE);
    EXPECT_TRUE(o.works());
    uct_iface_close(o.iface);
    o.iface = nullptr;
    EXPECT_EQ(0u, uct_worker_progress(o.worker()));
}

/* ------------------------------------------------------- what is not there */

TEST_F(contract_test, operations_not_offered)
{
    node &a               = add_node();
    uct_ep_h ep           = connect(a, a).ep();
    uct_iface_h iface     = a.iface();
    uct_completion_t comp = {};
    uct_tag_context_t tag = {};
    uint64_t word = 0, result = 0;
    uct_iov_t iov              = {};
    char bytes[64]             = {};
    uct_ep_connect_params_t to = {};
    const ucs_status_t none    = UCS_ERR_UNSUPPORTED;
    auto pack                  = [](void *, void *) -> size_t {
        ADD_FAILURE() << "packed for nobody";
        return 0;
    };

    EXPECT_EQ(none, uct_ep_get_short(ep, bytes, 8, 0, 0));
    EXPECT_EQ(none,
              uct_ep_atomic_cswap32(ep, 0, 0, 0, 0, (uint32_t *)bytes, &comp));
    EXPECT_EQ(none, uct_ep_atomic_cswap64(ep, 0, 0, 0, 0, &result, &comp));
    EXPECT_EQ(none, uct_ep_atomic32_post(ep, UCT_ATOMIC_OP_ADD, 1, 0, 0));
    EXPECT_EQ(none, uct_ep_atomic64_post(ep, UCT_ATOMIC_OP_ADD, 1, 0, 0));
    EXPECT_EQ(none, uct_ep_atomic32_fetch(ep, UCT_ATOMIC_OP_ADD, 1,
                                          (uint32_t *)bytes, 0, 0, &comp));
    EXPECT_EQ(none, uct_ep_atomic64_fetch(ep, UCT_ATOMIC_OP_ADD, 1, &result, 0,
                                          0, &comp));
    EXPECT_EQ(none, uct_ep_tag_eager_short(ep, 1, &word, sizeof(word)));
    EXPECT_EQ((ssize_t)none,
              uct_ep_tag_eager_bcopy(ep, 1, 0, pack, nullptr, 0));
    EXPECT_EQ(none, uct_ep_tag_eager_zcopy(ep, 1, 0, &iov, 1, 0, &comp));
    EXPECT_EQ(none, UCS_PTR_STATUS(uct_ep_tag_rndv_zcopy(ep, 1, bytes, 8, &iov,
                                                         1, 0, &comp)));
    EXPECT_EQ(none, uct_ep_tag_rndv_cancel(ep, nullptr));
    EXPECT_EQ(none, uct_ep_tag_rndv_request(ep, 1, bytes, 8, 0));
    EXPECT_EQ(none, uct_iface_tag_recv_zcopy(iface, 1, 1, &iov, 1, &tag));
    EXPECT_EQ(none, uct_iface_tag_recv_cancel(iface, &tag, 0));
    EXPECT_EQ(none, uct_ep_get_address(ep, (uct_ep_addr_t *)bytes));
    EXPECT_EQ(none, uct_ep_connect_to_ep(ep, (uct_device_addr_t *)bytes,
                                         (uct_ep_addr_t *)bytes));
    EXPECT_EQ(none, uct_ep_connect(ep, &to));
    EXPECT_EQ(none, uct_ep_disconnect(ep, 0));
    EXPECT_EQ(none, uct_cm_client_ep_conn_notify(ep));
    EXPECT_EQ(none, uct_iface_accept(iface, nullptr));
    EXPECT_EQ(none, uct_iface_reject(iface, nullptr));
}

/* What the device cannot do its operations say, too. */
TEST_F(contract_test, operations_without_rdma)
{
    node a(m_dom, {{"RDMA", "n"}});
    end e(a, a.addr());
    uct_completion_t comp = {};
    uct_iov_t iov         = {};
    char bytes[8];
    size_t length = 8;
    said said;

    EXPECT_FALSE(a.flags() &
                 (UCT_IFACE_FLAG_GET_ZCOPY | UCT_IFACE_FLAG_PUT_ZCOPY));
    iov.buffer = bytes;
    iov.length = sizeof(bytes);
    iov.count  = 1;
    EXPECT_EQ(UCS_ERR_UNSUPPORTED, uct_ep_put_short(e.ep(), bytes, 8, 0, 0));
    EXPECT_EQ((ssize_t)UCS_ERR_UNSUPPORTED, uct_ep_put_bcopy(
                                                    e.ep(),
                                                    [](void *, void *arg) {
        return *static_cast<size_t *>(arg);
                                                    },
                                                    &length, 0, 0));
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_ep_put_zcopy(e.ep(), &iov, 1, 0, 0, &comp));
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_ep_get_bcopy(e.ep(), nullptr, nullptr, 8, 0, 0, &comp));
    EXPECT_EQ(UCS_ERR_UNSUPPORTED,
              uct_ep_get_zcopy(e.ep(), &iov, 1, 0, 0, &comp));
}
