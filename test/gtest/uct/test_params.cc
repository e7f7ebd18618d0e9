/*
 * What operations make of their parameters: what is beyond a limit is refused
 * in UCT's words, before anything is sent; what is legal and empty, strided or
 * nowhere is taken. Limits follow SEG_SIZE, by every name that it has.
 */
#include "common/said.h"
#include "rma_test.h"

using namespace uct_test;

namespace {

const uint8_t AM_ID = 7;

size_t pack_length(void *, void *arg)
{
    return *static_cast<size_t *>(arg);
}

void no_unpack(void *, const void *, size_t)
{
    ADD_FAILURE() << "unpack of an operation that was refused";
}

void no_completion(uct_completion_t *)
{
    ADD_FAILURE() << "completion of an operation that was refused";
}

std::string text(size_t value)
{
    return std::to_string(value);
}

} // namespace

class params_test : public rma_base {
protected:
    typedef std::function<ucs_status_t()> call_t;

    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "other transports abort in such cases";
        }
        m_dom = std::make_shared<domain>();
        open(config_map());
    }

    void open(const config_map &config)
    {
        m_a   = &add_node(config);
        m_b   = &add_node(config);
        m_end = &connect(*m_a, *m_b);
        m_b->on_am(AM_ID, [this](void *data, size_t length, unsigned) {
            m_got.push_back(std::string((char*)data, length));
            return UCS_OK;
        });
    }

    /* One line, with these words; and the status */
    void refused(const std::string &what, const call_t &call,
                 const std::string &words)
    {
        said said;
        ucs_status_t status = call();

        EXPECT_EQ(UCS_ERR_INVALID_PARAM, status)
                << what << ": " << ucs_status_string(status);
        EXPECT_EQ("", said.only({words})) << what;
    }

    void too_long(const std::string &what, size_t length, size_t max,
                  const call_t &call)
    {
        refused(what, call, "Invalid " + what + " length: " + text(length) +
                            " (expected: <= " + text(max) + ")");
    }

    void taken(const std::string &what, const call_t &call)
    {
        said said;
        ucs_status_t status = UCS_ERR_NO_RESOURCE;

        wait([&]() {
            status = call();
            return status != UCS_ERR_NO_RESOURCE;
        });
        EXPECT_FALSE(UCS_STATUS_IS_ERR(status))
                << what << ": " << ucs_status_string(status);
        EXPECT_EQ("", said.none()) << what;
    }

    void arrives(const std::string &what, const std::string &data,
                 const call_t &call)
    {
        size_t before = m_got.size();

        taken(what, call);
        EXPECT_TRUE(wait([&]() { return m_got.size() > before; })) << what;
        flush(*m_end);
        EXPECT_EQ(data, m_got.back()) << what;
    }

    uct_iov_t iov(void *buffer, size_t length, unsigned count = 1,
                  size_t stride = 0)
    {
        return {buffer, length, m_mem->memh(), stride, count};
    }

    ucs_status_t zcopy(const uct_iov_t *iov, size_t iovcnt,
                       size_t header_length = 0, uint8_t id = AM_ID)
    {
        return uct_ep_am_zcopy(m_end->ep(), id, m_mem->data(), header_length,
                               iov, iovcnt, 0, &m_comp);
    }

    ucs_status_t bcopy(size_t length, uint8_t id = AM_ID)
    {
        ssize_t ret = uct_ep_am_bcopy(m_end->ep(), id, pack_length, &length, 0);

        return (ret < 0) ? (ucs_status_t)ret : UCS_OK;
    }

    void check_am_limits()
    {
        auto am         = m_a->attr().cap.am;
        uint8_t *mem    = m_mem->data();
        uct_ep_h ep     = m_end->ep();
        uct_iov_t long1 = iov(mem, am.max_short + 1);
        uct_iov_t long2 = iov(mem, am.max_zcopy + 1);
        uct_iov_t most  = iov(mem, am.max_zcopy), small = iov(mem, 8);
        uct_iov_t apart = iov(mem, 8, 3, 16);
        std::vector<uct_iov_t> many(am.max_iov + 1, small);
        const std::string bad_id = "Invalid active message id (valid range: "
                                   "0.." + text(UCT_AM_ID_MAX - 1) + ")";

        too_long("am_short", am.max_short + 1, am.max_short, [&]() {
            return uct_ep_am_short(ep, AM_ID, 0, mem, am.max_short - 8 + 1);
        });
        too_long("am_short_iov", am.max_short + 1, am.max_short, [&]() {
            return uct_ep_am_short_iov(ep, AM_ID, &long1, 1);
        });
        too_long("am_bcopy", am.max_bcopy + 1, am.max_bcopy, [&]() {
            return bcopy(am.max_bcopy + 1);
        });
        too_long("am_zcopy", am.max_zcopy + 1, am.max_zcopy, [&]() {
            return zcopy(&long2, 1);
        });
        too_long("am_zcopy", am.max_zcopy + 1, am.max_zcopy, [&]() {
            return zcopy(&most, 1, 1);
        });
        too_long("am_zcopy header", am.max_hdr + 1, am.max_hdr, [&]() {
            return zcopy(&small, 1, am.max_hdr + 1);
        });
        refused("iovs of am_zcopy", [&]() {
            return zcopy(many.data(), many.size());
        }, "iovcnt(" + text(many.size()) + ") should be limited by " +
           text(am.max_iov) + " in am_zcopy");
        refused("strides of am_zcopy", [&]() { return zcopy(&apart, 1); },
                "Invalid am_zcopy iov: 3 blocks of 8 bytes, 16 apart");

        for (unsigned id : {(unsigned)UCT_AM_ID_MAX, 0xffu}) {
            refused("am_short", [&]() {
                return uct_ep_am_short(ep, id, 0, nullptr, 0);
            }, bad_id);
            refused("am_short_iov", [&]() {
                return uct_ep_am_short_iov(ep, id, &small, 1);
            }, bad_id);
            refused("am_bcopy", [&]() { return bcopy(8, id); }, bad_id);
            refused("am_zcopy", [&]() { return zcopy(&small, 1, 0, id); },
                    bad_id);
        }
    }

    void check_rma_limits(rma_kind kind, const remote &to)
    {
        size_t max = rma_max(m_a->attr(), kind), length = max + 1;
        uct_ep_h ep      = m_end->ep();
        uct_iov_t big    = iov(m_mem->data(), length);
        uct_iov_t two[2] = {iov(m_mem->data(), 8), iov(m_mem->data(), 8)};
        uct_iov_t apart  = iov(m_mem->data(), 8, 3, 16);
        auto by_zcopy    = [&](const uct_iov_t *iov, size_t iovcnt) {
            return (kind == PUT_ZCOPY) ?
                   uct_ep_put_zcopy(ep, iov, iovcnt, to.addr, to.key, &m_comp) :
                   uct_ep_get_zcopy(ep, iov, iovcnt, to.addr, to.key, &m_comp);
        };
        std::string name = rma_names[kind];

        too_long(name, length, max, [&]() {
            switch (kind) {
            case PUT_SHORT:
                return uct_ep_put_short(ep, m_mem->data(), length, to.addr,
                                        to.key);
            case PUT_BCOPY:
                return (ucs_status_t)uct_ep_put_bcopy(ep, pack_length, &length,
                                                      to.addr, to.key);
            case GET_BCOPY:
                return uct_ep_get_bcopy(ep, no_unpack, nullptr, length, to.addr,
                                        to.key, &m_comp);
            default:
                return by_zcopy(&big, 1);
            }
        });
        if ((kind == PUT_ZCOPY) || (kind == GET_ZCOPY)) {
            refused(name, [&]() { return by_zcopy(two, 2); },
                    "iovcnt(2) should be limited by 1 in " + name);
            refused(name, [&]() { return by_zcopy(&apart, 1); },
                    "Invalid " + name + " iov: 3 blocks of 8 bytes, 16 apart");
        }
    }

    uct_completion_t         m_comp = {no_completion, 1, UCS_OK};
    std::unique_ptr<buffer>  m_mem;
    std::vector<std::string> m_got;
};

/* Once before anything was said, once between acquainted peers. */
TEST_F(params_test, over_the_limits)
{
    region target(m_dom, 64);
    remote to = remote_of(target);

    m_mem.reset(new buffer(m_dom, 10000));
    for (unsigned round = 0; round < 2; ++round) {
        check_am_limits();
        for (rma_kind kind : kinds()) {
            check_rma_limits(kind, to);
        }
        EXPECT_EQ(round, m_got.size());

        /* The endpoint goes on working. */
        arrives("am_short", std::string(8, 'a'), [&]() {
            return uct_ep_am_short(m_end->ep(), AM_ID, 0x6161616161616161ull,
                                   nullptr, 0);
        });
    }
    EXPECT_TRUE(target.is_clear());
    for (rma_kind kind : kinds()) {
        rma_pool pool(m_dom, 1, 64);

        EXPECT_EQ(UCS_OK, rma_base::run(*m_end, *pool.get(), kind, 8, 5, to));
    }
    expect_promises();
}

/* Of nothing, nothing is looked at; blocks of an iov come one after the other,
 * wherever they lie. */
TEST_F(params_test, empty_and_strided)
{
    uct_ep_h ep   = m_end->ep();
    void *nowhere = (void *)8;
    region target(m_dom, 64);
    remote to = remote_of(target);

    m_mem.reset(new buffer(m_dom, 10000));
    memcpy(m_mem->data(), "0123456789abcdef", 16);
    m_comp.func  = [](uct_completion_t *) {};
    m_comp.count = 100;

    for (unsigned round = 0; round < 2; ++round) {
        uct_iov_t none[3]    = {iov(nowhere, 0), iov(nowhere, 5, 0),
                                iov(nullptr, 0, 0)};
        uct_iov_t strided[3] = {iov(m_mem->data(), 2, 3, 5), iov(nowhere, 9, 0),
                                iov(m_mem->data() + 3, 1, 2, 0)};
        uct_iov_t dense      = iov(m_mem->data(), 4, 3, 4);

        arrives("am_short", std::string(8, 0),
                [&]() { return uct_ep_am_short(ep, AM_ID, 0, nullptr, 0); });
        arrives("am_short_iov, none", "",
                [&]() { return uct_ep_am_short_iov(ep, AM_ID, nullptr, 0); });
        arrives("am_short_iov, empty", "",
                [&]() { return uct_ep_am_short_iov(ep, AM_ID, none, 3); });
        arrives("am_short_iov, strided", "0156ab33",
                [&]() { return uct_ep_am_short_iov(ep, AM_ID, strided, 3); });
        arrives("am_bcopy", "", [&]() { return bcopy(0); });
        arrives("am_zcopy, none", "", [&]() { return zcopy(nullptr, 0); });
        arrives("am_zcopy, empty", "", [&]() { return zcopy(&none[1], 1); });
        arrives("am_zcopy, header", "0123",
                [&]() { return zcopy(&none[0], 1, 4); });
        arrives("am_zcopy, blocks", "0123456789ab",
                [&]() { return zcopy(&dense, 1); });

        for (rma_kind kind : kinds()) {
            taken(rma_names[kind], [&]() -> ucs_status_t {
                size_t zero = 0;
                switch (kind) {
                case PUT_SHORT:
                    return uct_ep_put_short(ep, nullptr, 0, to.addr, to.key);
                case PUT_BCOPY:
                    return (ucs_status_t)uct_ep_put_bcopy(ep, pack_length,
                                                          &zero, to.addr,
                                                          to.key);
                case PUT_ZCOPY:
                    return uct_ep_put_zcopy(ep, none, 1, to.addr, to.key,
                                            &m_comp);
                case GET_BCOPY:
                    return uct_ep_get_bcopy(ep, no_unpack, nullptr, 0, to.addr,
                                            to.key, &m_comp);
                default:
                    return uct_ep_get_zcopy(ep, none, 0, to.addr, to.key,
                                            &m_comp);
                }
            });
        }
    }
    flush(*m_end);
    EXPECT_TRUE(target.is_clear());
    expect_promises();
}

/* Messages and what goes through buffers have one limit; the other side's may
 * be another. */
TEST_F(params_test, seg_size)
{
    node &c                     = *m_b;
    const uct_iface_attr_t full = c.attr();

    for (size_t size : {(size_t)192, (size_t)193, (size_t)1000, (size_t)4096,
                        full.cap.am.max_bcopy, SIZE_MAX}) {
        SCOPED_TRACE("SEG_SIZE " + text(size));
        size_t max = std::min(size, full.cap.am.max_bcopy);
        node n(m_dom, {{"SEG_SIZE", (size == SIZE_MAX) ? "inf" : text(size)}});
        const uct_iface_attr_t &attr = n.attr();

        EXPECT_EQ(max, attr.cap.am.max_bcopy);
        EXPECT_EQ(max, attr.cap.am.max_zcopy);
        EXPECT_EQ(std::min(max, full.cap.am.max_short), attr.cap.am.max_short);
        EXPECT_EQ(std::min(max, full.cap.am.max_hdr), attr.cap.am.max_hdr);
        EXPECT_EQ(max, attr.cap.am.align_mtu);
        /* UCP subtracts a place in the one from the other */
        EXPECT_LE(attr.cap.am.opt_zcopy_align, attr.cap.am.align_mtu);
        EXPECT_LE(attr.cap.get.opt_zcopy_align, attr.cap.get.align_mtu);
        EXPECT_LE(attr.cap.put.opt_zcopy_align, attr.cap.put.align_mtu);
        if (attr.cap.flags & UCT_IFACE_FLAG_GET_BCOPY) {
            EXPECT_EQ(max, attr.cap.get.max_bcopy);
            EXPECT_EQ(full.cap.get.max_zcopy, attr.cap.get.max_zcopy);
        }
        if (attr.cap.flags & UCT_IFACE_FLAG_PUT_BCOPY) {
            EXPECT_EQ(max, attr.cap.put.max_bcopy);
            EXPECT_GE(max, attr.cap.put.max_short);
            EXPECT_EQ(full.cap.put.max_zcopy, attr.cap.put.max_zcopy);
        }

        /* Both ways, as long as each can */
        end to(n, c.addr()), from(c, n.addr());
        stream s(1, length_plan::fixed(max));
        stream t(2, length_plan::fixed(full.cap.am.max_bcopy));
        checker chk_s(s), chk_t(t);
        auto wait_both = [&](const std::function<bool()> &done) {
            EXPECT_TRUE(wait_until(done, [&]() {
                progress();
                n.progress();
            }));
        };

        c.check_am(AM_ID + 1, &chk_s);
        n.check_am(AM_ID + 1, &chk_t);
        for (uint64_t seq = 0; seq < 50; ++seq) {
            send_kind kind = (seq & 1) ? BCOPY : ZCOPY;

            wait_both([&]() {
                return to.send(kind, AM_ID + 1, s, seq) == UCS_OK;
            });
            wait_both([&]() {
                return from.send(kind, AM_ID + 1, t, seq) == UCS_OK;
            });
        }
        wait_both([&]() {
            return (chk_s.count() >= 50) && (chk_t.count() >= 50) &&
                   (to.zcopy_busy() + from.zcopy_busy() == 0);
        });
        expect_clean(chk_s, 50);
        expect_clean(chk_t, 50);
        EXPECT_EQ("", to.promises() + from.promises());
        c.on_am(AM_ID + 1, nullptr);
    }
}

/* As UCP sets what its user sets with ucp_config_modify() */
TEST_F(params_test, names_of_options)
{
    uct_iface_config_t *config;

    check(uct_md_iface_config_read(m_dom->md(), tl_name().c_str(), nullptr,
                                   nullptr, &config),
          "uct_md_iface_config_read");
    for (const std::string name :
         {"SRD_SEG_SIZE", "IB_SEG_SIZE", "SRD_TX_WINDOW", "SRD_RX_MAX_BUFS",
          "SRD_FAILURE"}) {
        EXPECT_EQ(UCS_OK,
                  uct_config_modify(config, name.c_str(),
                                    (name == "SRD_FAILURE") ? "info" : "512"))
                << name;
    }
    uct_config_release(config);

    for (const std::string name : {"SRD_SEG_SIZE", "IB_SEG_SIZE"}) {
        node n(m_dom, {{name, "3000"}});

        EXPECT_EQ(3000u, n.attr().cap.am.max_bcopy) << name;
    }
}
