#include "uct_test.h"
#include "invariants.h"

#include <poll.h>
#include <cstdlib>

namespace uct_test {

const char *const kind_names[KIND_LAST] = {
    "am_short", "am_short_iov", "am_bcopy", "am_zcopy"
};

std::string tl_name()
{
    return env("TEST_TL", "srd");
}

bool is_srd()
{
    return tl_name() == "srd";
}

void check(ucs_status_t status, const std::string &what)
{
    if (UCS_STATUS_IS_ERR(status)) {
        throw std::runtime_error(what + ": " + ucs_status_string(status));
    }
}

/* UCX 1.13 wants an option's name as it is, later ones with the prefix. */
static ucs_status_t set_option(void *config, const std::string &prefix,
                               const std::string &name,
                               const std::string &value)
{
    ucs_status_t status = uct_config_modify(config, name.c_str(),
                                            value.c_str());

    if (status == UCS_ERR_NO_ELEM) {
        status = uct_config_modify(config, (prefix + name).c_str(),
                                   value.c_str());
    }
    return status;
}

/* ---- memory domain ---- */

bool domain::try_component(uct_component_h component,
                           const config_map &settings, const std::string &want)
{
    uct_component_attr_t cattr;

    memset(&cattr, 0, sizeof(cattr));
    cattr.field_mask = UCT_COMPONENT_ATTR_FIELD_NAME |
                       UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
    check(uct_component_query(component, &cattr), "uct_component_query");

    if (cattr.md_resource_count == 0) {
        return false;
    }

    /* UCT looks again, and writes as many as there are then */
    std::vector<uct_md_resource_desc_t> mds(cattr.md_resource_count + 16);
    cattr.field_mask |= UCT_COMPONENT_ATTR_FIELD_MD_RESOURCES;
    cattr.md_resources = mds.data();
    check(uct_component_query(component, &cattr), "uct_component_query");
    mds.resize(cattr.md_resource_count);

    for (const uct_md_resource_desc_t &res : mds) {
        uct_md_config_t *config;
        uct_md_h md;

        check(uct_md_config_read(component, nullptr, nullptr, &config),
              "uct_md_config_read");
        unsigned num_unknown = 0;
        for (const auto &kv : settings) {
            num_unknown += set_option(config, "EFA_", kv.first, kv.second) !=
                           UCS_OK;
        }
        ucs_status_t status = uct_md_open(component, res.md_name, config, &md);
        uct_config_release(config);
        if (status != UCS_OK) {
            continue;
        }

        uct_tl_resource_desc_t *tls;
        unsigned num_tls = 0;
        if (uct_md_query_tl_resources(md, &tls, &num_tls) == UCS_OK) {
            for (unsigned i = 0; i < num_tls; ++i) {
                if (tl_name() != tls[i].tl_name) {
                    continue;
                }
                m_devices.push_back(tls[i].dev_name);
                if ((m_md == nullptr) &&
                    (want.empty() || (want == tls[i].dev_name))) {
                    EXPECT_EQ(0u, num_unknown) << "options of " << cattr.name;
                    m_device         = tls[i].dev_name;
                    m_component      = component;
                    m_component_name = cattr.name;
                    m_md             = md;
                }
            }
            uct_release_tl_resource_list(tls);
        }

        if (m_md != md) {
            uct_md_close(md);
        }
    }

    return m_md != nullptr;
}

domain::domain(const config_map &config, const std::string &device)
{
    uct_component_h *components;
    unsigned count;

    check(uct_query_components(&components, &count), "uct_query_components");
    std::unique_ptr<uct_component_h, void (*)(uct_component_h *)>
            list(components, uct_release_component_list);
    for (unsigned i = 0;
         (i < count) && !try_component(components[i], config, device); ++i) {
    }

    if (m_md == nullptr) {
        throw std::runtime_error("no device offers the transport " + tl_name() +
                                 " (TEST_TL, TEST_DEV)");
    }
    check(uct_md_query(m_md, &m_attr), "uct_md_query");
}

domain::~domain()
{
    uct_md_close(m_md);
}

/* ---- addresses ---- */

std::string address::text() const
{
    return to_hex(dev) + ":" + to_hex(iface);
}

address address::nobody(bool gid) const
{
    address other = *this;

    if (gid) {
        other.dev[15] ^= 0x5a;
        other.dev[14] ^= 0xa5;
    } else {
        other.iface[0] ^= 0xff;
        other.iface[1] ^= 0x3f;
    }
    return other;
}

address address::parse(const std::string &text)
{
    size_t colon = text.find(':');
    address a;

    if (colon == std::string::npos) {
        throw std::runtime_error("not an address: " + text);
    }
    a.dev   = from_hex(text.substr(0, colon));
    a.iface = from_hex(text.substr(colon + 1));
    return a;
}

/* ---- node ---- */

node::node(std::shared_ptr<domain> dom, const config_map &config,
           const room_t &room, bool has_handler) :
    m_dom(dom)
{
    std::string name = tl_name();
    uct_iface_config_t *iface_config;
    uct_iface_params_t params;

    check(ucs_async_context_create(UCS_ASYNC_MODE_THREAD_SPINLOCK, &m_async),
          "ucs_async_context_create");
    check(uct_worker_create(m_async, UCS_THREAD_MODE_SINGLE, &m_worker),
          "uct_worker_create");

    check(uct_md_iface_config_read(dom->md(), name.c_str(), nullptr, nullptr,
                                   &iface_config),
          "uct_md_iface_config_read");
    ucs_status_t status = UCS_OK;
    std::string what    = "uct_iface_open";
    for (auto kv = config.begin(); (kv != config.end()) && (status == UCS_OK);
         ++kv) {
        status = set_option(iface_config, "SRD_", kv->first, kv->second);
        if (status != UCS_OK) {
            what = "setting " + kv->first + "=" + kv->second;
        }
    }

    memset(&params, 0, sizeof(params));
    params.field_mask = UCT_IFACE_PARAM_FIELD_CPU_MASK |
                        UCT_IFACE_PARAM_FIELD_OPEN_MODE |
                        UCT_IFACE_PARAM_FIELD_DEVICE |
                        UCT_IFACE_PARAM_FIELD_RX_HEADROOM |
                        UCT_IFACE_PARAM_FIELD_ERR_HANDLER |
                        UCT_IFACE_PARAM_FIELD_ERR_HANDLER_ARG |
                        UCT_IFACE_PARAM_FIELD_ERR_HANDLER_FLAGS |
                        UCT_IFACE_PARAM_FIELD_FEATURES | room.fields;
    if (!has_handler) {
        params.field_mask &= ~(uint64_t)UCT_IFACE_PARAM_FIELD_ERR_HANDLER;
    }
    params.open_mode            = UCT_IFACE_OPEN_MODE_DEVICE;
    params.mode.device.tl_name  = name.c_str();
    params.mode.device.dev_name = dom->device().c_str();
    params.rx_headroom          = room.headroom;
    params.am_alignment         = room.alignment;
    params.am_align_offset      = room.offset;
    params.err_handler          = error_trampoline;
    params.err_handler_arg      = this;
    params.err_handler_flags    = 0;
    params.features             = UCT_IFACE_FEATURE_AM | UCT_IFACE_FEATURE_PUT |
                      UCT_IFACE_FEATURE_GET;

    if (status == UCS_OK) {
        status = uct_iface_open(dom->md(), m_worker, &params, iface_config,
                                &m_iface);
    }

    uct_config_release(iface_config);
    if (status != UCS_OK) {
        uct_worker_destroy(m_worker);
        ucs_async_context_destroy(m_async);
        check(status, what);
    }

    check(uct_iface_query(m_iface, &m_attr), "uct_iface_query");
    uct_iface_progress_enable(m_iface, UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
}

bool node::is_in_peer = false;

node::~node()
{
    std::string broken = invariants_broken(m_iface);

    if (!broken.empty() && is_in_peer) {
        fprintf(stderr, "invariant broken: %s\n", broken.c_str());
        abort(); /* seen by ~peer_proc() */
    } else if (!broken.empty()) {
        ADD_FAILURE() << "invariant broken: " << broken;
    }

    uct_iface_close(m_iface);
    uct_worker_destroy(m_worker);
    ucs_async_context_destroy(m_async);
}

ucs_status_t node::am_trampoline(void *arg, void *data, size_t length,
                                 unsigned flags)
{
    return static_cast<slot *>(arg)->func(data, length, flags);
}

ucs_status_t node::error_trampoline(void *arg, uct_ep_h ep, ucs_status_t status)
{
    static_cast<node *>(arg)->failures.push_back({ep, status});
    return UCS_OK;
}

size_t node::failure_count(uct_ep_h ep) const
{
    return std::count_if(failures.begin(), failures.end(),
                         [&](const failure &f) { return f.ep == ep; });
}

address node::addr()
{
    address a;

    a.dev.resize(m_attr.device_addr_len);
    a.iface.resize(m_attr.iface_addr_len);
    check(uct_iface_get_device_address(m_iface,
                                       (uct_device_addr_t *)a.dev.data()),
          "uct_iface_get_device_address");
    check(uct_iface_get_address(m_iface, (uct_iface_addr_t *)a.iface.data()),
          "uct_iface_get_address");
    return a;
}

unsigned node::progress()
{
    return uct_worker_progress(m_worker);
}

int node::event_fd() const
{
    int fd = -1;

    check(uct_iface_event_fd_get(m_iface, &fd), "event_fd_get");
    return fd;
}

unsigned node::sleep_until(unsigned events, const std::function<bool()> &done)
{
    unsigned polls = 0;

    while (!done()) {
        if (progress() > 0) {
            continue;
        }
        ucs_status_t status = uct_iface_event_arm(m_iface, events);
        if (status == UCS_ERR_BUSY) {
            continue;
        }
        check(status, "event_arm");
        struct pollfd pfd = {event_fd(), POLLIN, 0};
        ++polls;
        if (poll(&pfd, 1, deadline_ms()) <= 0) {
            throw std::runtime_error("asleep for ever");
        }
    }
    return polls;
}

void node::on_am(uint8_t id, am_func func)
{
    m_slots[id].func = func;
    check(uct_iface_set_am_handler(m_iface, id, func ? am_trampoline : nullptr,
                                   &m_slots[id], 0),
          "uct_iface_set_am_handler");
}

void node::check_am(uint8_t id, checker *chk)
{
    on_am(id, [chk](void *data, size_t length, unsigned) {
        chk->take(data, length);
        return UCS_OK;
    });
}

/* ---- registered memory ---- */

buffer::buffer(std::shared_ptr<domain> dom, size_t length) :
    m_dom(dom), m_length(length)
{
    m_data = static_cast<uint8_t *>(malloc(length + 64));
    if (m_dom->attr().cap.flags & UCT_MD_FLAG_REG) {
        ucs_status_t status = uct_md_mem_reg(m_dom->md(), m_data, length + 64,
                                             UCT_MD_MEM_ACCESS_ALL, &m_memh);
        if (status != UCS_OK) {
            free(m_data);
            check(status, "uct_md_mem_reg");
        }
    }
}

buffer::~buffer()
{
    if (m_dom->attr().cap.flags & UCT_MD_FLAG_REG) {
        uct_md_mem_dereg(m_dom->md(), m_memh);
    }
    free(m_data);
}

/* ---- endpoint ---- */

end::end(node &from, const address &to) : m_node(from)
{
    uct_ep_params_t params;

    memset(&params, 0, sizeof(params));
    params.field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                        UCT_EP_PARAM_FIELD_IFACE_ADDR;
    params.iface      = from.iface();
    params.dev_addr   = (const uct_device_addr_t *)to.dev.data();
    params.iface_addr = (const uct_iface_addr_t *)to.iface.data();
    check(uct_ep_create(&params, &m_ep), "uct_ep_create");

    m_scratch.resize(std::max(from.attr().cap.am.max_bcopy,
                              from.attr().cap.am.max_short) +
                     64);
}

end::~end()
{
    destroy();
}

void end::destroy()
{
    if (m_ep != nullptr) {
        uct_ep_destroy(m_ep);
        m_ep = nullptr;
    }
}

size_t end::min_length(send_kind kind) const
{
    return (kind == SHORT) ? sizeof(uint64_t) :
           (kind == ZCOPY) ? m_node.attr().cap.am.min_zcopy :
                             0;
}

size_t end::max_length(send_kind kind) const
{
    switch (kind) {
    case SHORT:
    case SHORT_IOV:
        return m_node.attr().cap.am.max_short;
    case BCOPY:
        return m_node.attr().cap.am.max_bcopy;
    default:
        return m_node.attr().cap.am.max_zcopy;
    }
}

struct pack_arg {
    const stream *s;
    uint64_t      seq;
    size_t        len;
    unsigned      calls;
};

size_t end::pack(void *dest, void *arg)
{
    pack_arg *a = static_cast<pack_arg *>(arg);

    ++a->calls;
    a->s->fill(dest, a->seq, a->len);
    return a->len;
}

void end::zcopy_completed(uct_completion_t *comp)
{
    zcopy_op *op = reinterpret_cast<zcopy_op *>(comp);
    end *owner   = op->owner;

    if (!op->busy) {
        owner->m_promises += "a zcopy completed twice\n";
        return;
    }
    ++owner->zcopy_statuses[comp->status];
    memset(op->mem->data(), 0xdd, op->mem->length());
    op->busy = false;
    --owner->m_zcopy_busy;
    owner->m_free.push_back(op);
}

ucs_status_t end::send_zcopy(uint8_t id, const stream &s, uint64_t seq,
                             size_t len)
{
    const uct_iface_attr_t &attr = m_node.attr();
    size_t max_iov               = std::max<size_t>(1, attr.cap.am.max_iov);
    zcopy_op *op;

    if (m_free.empty()) {
        m_ops.emplace_back(new zcopy_op());
        op        = m_ops.back().get();
        op->owner = this;
        op->busy  = false;
        try {
            op->mem.reset(new buffer(m_node.dom(), attr.cap.am.max_zcopy + 64));
        } catch (const std::runtime_error &) {
            m_ops.pop_back();
            return UCS_ERR_NO_MEMORY;
        }
    } else {
        op = m_free.back();
        m_free.pop_back();
    }

    /* Every split into header and iovs gets its turn. The header must have
     * been taken over when the call returns, whatever it returns. */
    size_t hdr_len = std::min<size_t>(mix64(seq) % (attr.cap.am.max_hdr + 1),
                                      len);
    if (hdr_len > len) {
        hdr_len = len;
    }
    s.fill(op->mem->data(), seq, len);
    std::vector<uint8_t> header(op->mem->data(), op->mem->data() + hdr_len);
    size_t rest  = len - hdr_len;
    size_t count = std::min<size_t>(1 + (mix64(seq + 1) % max_iov),
                                    std::max<size_t>(rest, 1));
    std::vector<uct_iov_t> iov(count);
    size_t offset = hdr_len;

    for (size_t i = 0; i < count; ++i) {
        size_t part   = (i + 1 == count) ? (len - offset) : (rest / count);
        iov[i].buffer = op->mem->data() + offset;
        iov[i].length = part;
        iov[i].memh   = op->mem->memh();
        iov[i].stride = 0;
        iov[i].count  = 1;
        offset += part;
    }

    op->comp.func   = zcopy_completed;
    op->comp.count  = 1;
    op->comp.status = UCS_OK;
    op->busy        = true;
    ++m_zcopy_busy;
    ucs_status_t status = uct_ep_am_zcopy(m_ep, id, header.data(), hdr_len,
                                          iov.data(), (rest > 0) ? count : 0, 0,
                                          &op->comp);
    std::fill(header.begin(), header.end(), 0xcc);
    if (status != UCS_INPROGRESS) {
        if (op->busy) {
            op->busy = false;
            --m_zcopy_busy;
            m_free.push_back(op);
        } else {
            m_promises += "zcopy completed and returned " +
                          std::string(ucs_status_string(status)) + "\n";
        }
        return status;
    }
    return UCS_OK;
}

ucs_status_t end::send(send_kind kind, uint8_t id, const stream &s,
                       uint64_t seq)
{
    size_t len = s.length(seq);
    ucs_status_t status;

    switch (kind) {
    case SHORT:
        s.fill(m_scratch.data(), seq, len);
        status = uct_ep_am_short(m_ep, id, s.word0(seq),
                                 m_scratch.data() + sizeof(uint64_t),
                                 len - sizeof(uint64_t));
        memset(m_scratch.data(), 0xdd, len);
        return status;

    case SHORT_IOV: {
        size_t max_iov = std::max<size_t>(1, m_node.attr().cap.am.max_iov);
        size_t count   = 1 + (mix64(seq) % std::min<size_t>(max_iov, 4));
        std::vector<uct_iov_t> iov(count);
        size_t offset = 0;

        s.fill(m_scratch.data(), seq, len);
        for (size_t i = 0; i < count; ++i) {
            size_t part   = (i + 1 == count) ? (len - offset) : (len / count);
            iov[i].buffer = m_scratch.data() + offset;
            iov[i].length = part;
            iov[i].memh   = UCT_MEM_HANDLE_NULL;
            iov[i].stride = 0;
            iov[i].count  = 1;
            offset += part;
        }
        status = uct_ep_am_short_iov(m_ep, id, iov.data(), count);
        memset(m_scratch.data(), 0xdd, len);
        return status;
    }

    case BCOPY: {
        pack_arg arg   = {&s, seq, len, 0};
        ssize_t packed = uct_ep_am_bcopy(m_ep, id, pack, &arg, 0);

        if (packed >= 0) {
            if ((size_t)packed != len) {
                m_promises += "am_bcopy returned another length\n";
            }
            if (arg.calls != 1) {
                m_promises += "pack callback was called " +
                              std::to_string(arg.calls) + " times\n";
            }
            return UCS_OK;
        }
        if (arg.calls != 0) {
            m_promises += std::string("pack callback was called before ") +
                          ucs_status_string((ucs_status_t)packed) + "\n";
        }
        return (ucs_status_t)packed;
    }

    default:
        return send_zcopy(id, s, seq, len);
    }
}

/* ---- fixture ---- */

node &uct_base::add_node(const config_map &config, const room_t &room)
{
    m_nodes.emplace_back(new node(m_dom, config, room));
    return *m_nodes.back();
}

end &uct_base::connect(node &from, node &to)
{
    m_ends.emplace_back(new end(from, to.addr()));
    return *m_ends.back();
}

unsigned uct_base::progress()
{
    unsigned count = 0;

    for (auto &n : m_nodes) {
        count += n->progress();
    }
    return count;
}

bool uct_base::wait(const std::function<bool()> &done)
{
    return wait_until(done, [this]() { progress(); });
}

void uct_base::send(end &e, send_kind kind, uint8_t id, const stream &s,
                    uint64_t seq)
{
    ucs_status_t status = e.send(kind, id, s, seq);

    if (status == UCS_ERR_NO_RESOURCE) {
        wait([&]() {
            status = e.send(kind, id, s, seq);
            return status != UCS_ERR_NO_RESOURCE;
        });
    }
    if (status != UCS_OK) {
        throw std::runtime_error(std::string(kind_names[kind]) +
                                 " of message " + std::to_string(seq) + ": " +
                                 ucs_status_string(status));
    }
}

void uct_base::flush(end &e)
{
    ucs_status_t status = UCS_INPROGRESS;

    /* Without a completion the call may be repeated until it says UCS_OK. */
    bool done = wait([&]() {
        status = uct_ep_flush(e.ep(), UCT_FLUSH_FLAG_LOCAL, nullptr);
        return (status != UCS_INPROGRESS) && (status != UCS_ERR_NO_RESOURCE);
    });
    EXPECT_TRUE(done) << "flush does not complete";
    EXPECT_EQ(UCS_OK, status) << ucs_status_string(status);
}

void uct_base::expect_clean(const checker &chk, uint64_t count)
{
    EXPECT_EQ(count, chk.count()) << "messages received";
    EXPECT_EQ(0u, chk.errors()) << chk.text();
}

void uct_base::expect_promises()
{
    for (auto &e : m_ends) {
        EXPECT_EQ("", e->promises());
        for (const auto &kv : e->zcopy_statuses) {
            EXPECT_EQ(UCS_OK, kv.first) << ucs_status_string(kv.first);
        }
    }
    for (auto &n : m_nodes) {
        for (const node::failure &f : n->failures) {
            ADD_FAILURE() << "endpoint failed: " << ucs_status_string(f.status);
        }
    }
}

void uct_base::TearDown()
{
    for (auto &n : m_nodes) {
        EXPECT_EQ("", invariants_broken(n->iface())) << "with endpoints";
    }
    for (auto &e : m_ends) {
        e->destroy();
    }
    m_nodes.clear();
    m_ends.clear();
    m_dom.reset();
}

} // namespace uct_test
