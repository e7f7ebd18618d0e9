/*
 * Addresses: which are reachable, and why others are not; which one an endpoint
 * leads to; what of UCT's newer operations there is not.
 */
#include "rma_test.h"

#include "common/said.h"
#include "v2_probe.h"

using namespace uct_test;

static const uint8_t AM_ID = 3;

namespace {

v2_address_t v2(const address &a)
{
    return {a.dev.data(), V2_NO_LENGTH, a.iface.data(), V2_NO_LENGTH, 0};
}

} // namespace

class address_test : public uct_base {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
        uct_base::SetUp();
        m_a = &add_node();
        m_b = &add_node();
    }

    /* All ways to ask agree; the reason has these words, or there is none. */
    void expect(const v2_address_t &a, const std::string &words)
    {
        bool good      = words.empty();
        char why[128]  = "as before";
        char little[8] = "as then";
        uct_ep_h ep    = nullptr;
        bool can_v1    = (a.dev != nullptr) && !a.same_device &&
                         (a.dev_length == V2_NO_LENGTH) &&
                         (a.iface_length == V2_NO_LENGTH);

        if (can_v1) {
            EXPECT_EQ(good, !!uct_iface_is_reachable(
                    m_a->iface(), (const uct_device_addr_t*)a.dev,
                    (const uct_iface_addr_t*)a.iface)) << words;
        }

        int is = v2_is_reachable(m_a->iface(), &a, why, sizeof(why));
        if (is >= 0) {
            EXPECT_EQ(good, is > 0) << words;
            EXPECT_EQ(good, why[0] == '\0') << why;
            EXPECT_NE(std::string::npos, std::string(why).find(words)) << why;
            v2_is_reachable(m_a->iface(), &a, little, sizeof(little));
            EXPECT_EQ(std::string(why).substr(0, sizeof(little) - 1), little);
        }

        if ((a.dev == nullptr) || (a.iface == nullptr) || a.same_device) {
            return;
        }
        said lines;
        EXPECT_EQ(good ? UCS_OK : UCS_ERR_UNREACHABLE,
                  v2_ep_create(m_a->iface(), &a, &ep));
        EXPECT_EQ("", good ? lines.none() : lines.only({words}));
        if (ep != nullptr) {
            uct_ep_destroy(ep);
        }
    }

    node *m_a, *m_b;
};

TEST_F(address_test, reachable)
{
    address b      = m_b->addr();
    v2_address_t a = v2(b);

    expect(a, "");
    a.iface = nullptr;
    expect(a, ""); /* a device alone */
    a     = v2(b);
    a.dev = nullptr;
    expect(a, "invalid device address");

    for (uint8_t first : {0x00, 0xff}) {
        address other = b;
        std::fill(other.dev.begin(), other.dev.end(), 0);
        other.dev[0] = first;
        expect(v2(other), "invalid remote GID");
    }

    address other = b;
    other.iface[2] += 1;
    expect(v2(other), "version 2");
    other = b;
    other.iface[7] |= 0x80;
    expect(v2(other), "invalid remote QKEY");
}

TEST_F(address_test, lengths)
{
    address b      = m_b->addr();
    v2_address_t a = v2(b);

    if (!v2_has_lengths()) {
        GTEST_SKIP() << "UCX before 1.18";
    }
    a.dev_length   = b.dev.size();
    a.iface_length = b.iface.size();
    expect(a, "");
    for (size_t length : {0, 15, 17}) {
        a.dev_length = length;
        expect(a, "invalid device address length " + std::to_string(length));
    }
    a.dev_length = b.dev.size();
    for (size_t length : {0, 7, 9}) {
        a.iface_length = length;
        expect(a, "invalid interface address length " + std::to_string(length));
    }
}

TEST_F(address_test, same_device)
{
    address b      = m_b->addr();
    v2_address_t a = v2(b);

    a.same_device = 1;
    expect(a, "");
    address other = b.nobody(true);
    a             = v2(other);
    expect(a, "");
    a.same_device = 1;
    expect(a, "same device is expected");
}

/* Several devices: an endpoint leads to one of all these interfaces. */
HARNESS_ROLE(is_connected)
{
    const unsigned num = 3;
    std::vector<std::unique_ptr<node>> nodes;
    std::vector<address> addrs;
    std::string text;

    (void)arguments;
    for (unsigned i = 0; i < 2 * num; ++i) {
        std::string name = "efa_" + std::to_string(i % num) + ":1";
        setenv("TEST_DEV", name.c_str(), 1);
        nodes.emplace_back(new node(std::make_shared<domain>()));
        addrs.push_back(nodes.back()->addr());
    }
    for (unsigned i = 0; i < 2 * num; ++i) {
        end e(*nodes[0], addrs[i]);
        for (unsigned k = 0; k < 2 * num; ++k) {
            int is = v2_is_connected(e.ep(), addrs[k].dev.data(),
                                     addrs[k].iface.data());
            if (is != (i == k)) {
                text += std::to_string(i) + " to " + std::to_string(k) + ": " +
                        std::to_string(is) + "; ";
            }
        }
        /* another life of the same queue pair number */
        address other = addrs[i];
        other.iface[4] ^= 1;
        if (v2_is_connected(e.ep(), other.dev.data(), other.iface.data())) {
            text += "another QKEY; ";
        }
    }
    return text;
}

TEST_F(address_test, is_connected)
{
    address b = m_b->addr();
    end &e    = connect(*m_a, *m_b);

    if (v2_is_connected(e.ep(), b.dev.data(), b.iface.data()) < 0) {
        GTEST_SKIP() << "UCX before 1.16";
    }
    EXPECT_EQ("", run_role("is_connected", {"SOFTEFA_DEVICES=3"}));
}

/* One that has failed leads where it led. */
TEST_F(address_test, failed_is_connected)
{
    address nobody = m_b->addr().nobody(true);
    end e(*m_a, nobody);
    said lines;

    if (v2_is_connected(e.ep(), nobody.dev.data(), nobody.iface.data()) < 0) {
        GTEST_SKIP() << "UCX before 1.16";
    }
    ASSERT_EQ(UCS_OK,
              e.send(BCOPY, AM_ID, stream(1, length_plan::fixed(8)), 0));
    EXPECT_TRUE(wait([&]() { return !m_a->failures.empty(); }));
    EXPECT_EQ(1,
              v2_is_connected(e.ep(), nobody.dev.data(), nobody.iface.data()));
    EXPECT_EQ(0, v2_is_connected(e.ep(), m_b->addr().dev.data(),
                                 m_b->addr().iface.data()));
}

/* docs/uct-contract.md says why */
TEST_F(address_test, not_offered)
{
    end &e = connect(*m_a, *m_b);

    for (ucs_status_t status :
         {v2_ep_query(e.ep()), v2_outstanding_purge(e.ep()),
          v2_connect_to_ep(e.ep()), v2_get_device_ep(e.ep()),
          v2_query_tokens(m_a->iface())}) {
        EXPECT_TRUE((status == UCS_ERR_UNSUPPORTED) ||
                    (status == UCS_ERR_NOT_IMPLEMENTED))
                << ucs_status_string(status);
    }
}

/* UCP invalidates an endpoint when it must not be used: it fails, is told, and
 * what follows is refused. */
TEST_F(address_test, invalidate)
{
    stream s(1, length_plan::fixed(8));
    end &e = connect(*m_a, *m_b);

    m_b->on_am(AM_ID, [](void *, size_t, unsigned) { return UCS_OK; });
    send(e, BCOPY, AM_ID, s, 0);
    flush(e);
    EXPECT_EQ(UCS_OK, v2_invalidate(e.ep()));
    EXPECT_TRUE(wait([&]() { return m_a->failures.size() == 1; }));
    EXPECT_EQ(UCS_ERR_ENDPOINT_TIMEOUT, e.send(BCOPY, AM_ID, s, 1));
    e.destroy();
    m_a->failures.clear();
}
