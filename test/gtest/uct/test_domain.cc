/*
 * Memory domains of one device in one process: they share what the device has
 * few of, and each goes on when the others close or the device is reset.
 */
#include "rma_test.h"

#include "common/counters.h"
#include "tools/reader/stats_reader.h"

#include <climits>
#include <cstring>
#include <dlfcn.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 17;

/* How many objects of each kind this process holds, and what else its segment
 * shows */
struct held {
    held()
    {
        char error[512] = "", path[PATH_MAX] = "";
        stats_segment_t segment;

        stats_find(getpid(), [](const char *found, void *arg) {
            strcpy(static_cast<char*>(arg), found);
        }, path);
        if (stats_read(path, &segment, error, sizeof(error)) != 0) {
            throw std::runtime_error(error);
        }
        for (unsigned i = 0; i < segment.num_objects; ++i) {
            ++objects[segment.objects[i].kind];
        }
        devices = segment.num_devices;
        for (unsigned i = 0; i < segment.num_devices; ++i) {
            pds         += segment.devices[i].pd;
            pds_max      = segment.devices[i].pd_max;
            generations += segment.devices[i].generation;
        }
        for (unsigned i = 0; i < segment.num_peers; ++i) {
            joined += segment.peers[i].state == EFA_STATS_PEER_JOINED;
        }
        stats_free(&segment);
    }

    std::map<unsigned, unsigned> objects;
    unsigned                     devices = 0, joined = 0;
    uint64_t                     pds = 0, pds_max = 0, generations = 0;
};

int inject(const std::string &order)
{
    typedef int (*inject_t)(const char *);
    inject_t func = (inject_t)dlsym(RTLD_DEFAULT, "softefa_inject");

    return (func == nullptr) ? -1 : func(order.c_str());
}

std::shared_ptr<domain> open_device(unsigned index)
{
    return std::make_shared<domain>(config_map(),
                                    "efa_" + std::to_string(index) + ":1");
}

/* An endpoint that stays, and messages over it */
class way {
public:
    way(node &from, node &to, uint8_t id) :
        m_from(from), m_to(to), m_id(id), m_s(40 + id, length_plan::fixed(700)),
        m_chk(m_s), m_end(from, to.addr())
    {
        to.check_am(id, &m_chk);
    }

    ~way()
    {
        m_to.on_am(m_id, nullptr);
        m_end.destroy();
    }

    /* One message, until it has come and nothing is under way */
    bool talk()
    {
        auto step = [&]() {
            m_from.progress();
            m_to.progress();
        };
        auto sent = [&]() {
            return m_end.send(BCOPY, m_id, m_s, m_seq) == UCS_OK;
        };
        auto done = [&]() {
            return (m_chk.count() == m_seq) &&
                   (uct_ep_flush(m_end.ep(), 0, nullptr) == UCS_OK);
        };

        if (!wait_until(sent, step)) {
            return false;
        }
        ++m_seq;
        return wait_until(done, step) && (m_chk.errors() == 0);
    }

private:
    node    &m_from, &m_to;
    uint8_t  m_id;
    stream   m_s;
    checker  m_chk;
    end      m_end;
    uint64_t m_seq = 0;
};

class domain_test : public uct_base {
protected:
    void SetUp() override
    {
        uct_base::SetUp();
        if (!is_srd()) {
            GTEST_SKIP() << "of this transport";
        }
    }
};

} // namespace

/* More than the device has protection domains for all processes */
TEST_F(domain_test, opened_three_hundred_times)
{
    std::vector<std::shared_ptr<domain>> domains;

    for (unsigned i = 0; i < 300; ++i) {
        domains.push_back(std::make_shared<domain>());
    }

    held now;
    EXPECT_GT(domains.size(), now.pds_max);
    EXPECT_EQ(1u, now.pds);
    EXPECT_EQ(1u, now.objects[EFA_STATS_PD]);
    EXPECT_EQ(1u, now.devices);

    /* They work, in any order of closing */
    domains.erase(domains.begin(), domains.begin() + 100);
    domains.resize(100);
    node first(domains.front()), last(domains.back());
    EXPECT_TRUE(way(first, last, AM_ID).talk());
    EXPECT_TRUE(way(last, first, AM_ID).talk());
    EXPECT_EQ(1u, held().pds);
}

/* What one registers is not lost with another that is closed */
TEST_F(domain_test, memory_of_each)
{
    std::shared_ptr<domain> one = std::make_shared<domain>();
    std::shared_ptr<domain> two = std::make_shared<domain>();
    region kept(two, 4096);
    {
        region gone(one, 4096);
        EXPECT_LE(2u, held().objects[EFA_STATS_MR]);
    }
    one.reset();
    EXPECT_EQ(1u, held().objects[EFA_STATS_MR]);
    EXPECT_EQ(1u, held().pds);

    node a(two);
    EXPECT_TRUE(way(a, a, AM_ID).talk());
}

/* A device that is reset below two memory domains: one new context for both */
HARNESS_ROLE(domain_reset)
{
    (void)arguments;
    std::shared_ptr<domain> one = open_device(0), two = open_device(0);
    node a(one), b(two), far(open_device(1));
    way a_far(a, far, AM_ID), far_b(far, b, AM_ID + 1);
    std::string text;
    auto step = [&]() {
        a.progress();
        b.progress();
        far.progress();
    };

    for (unsigned round = 1; round <= 3; ++round) {
        std::shared_ptr<domain> late;

        text += a_far.talk() && far_b.talk() ? "" : "not before; ";
        if (!wait_until([]() { return held().joined == 2; }, step)) {
            return "not joined"; /* before that a reset is a failure */
        }
        if (inject("fatal dev=0 return=1ms") != 0) {
            return "no fault";
        }
        if (!wait_until([&]() { return counter("recovered") >= 2 * round; },
                        step)) {
            return "not recovered";
        }
        text += a_far.talk() && far_b.talk() ? "" : "not after; ";

        late = open_device(0);
        node c(late);
        text += way(c, far, AM_ID + 3).talk() ? "" : "not one opened later; ";
        held now;
        text += now.pds == 2 ? "" : std::to_string(now.pds) + " domains; ";
        text += now.devices == 2 ? "" :
                                   std::to_string(now.devices) + " devices; ";
        text += now.generations == round ? "" : "generation; ";
    }
    return text.empty() ? "ok" : text;
}

TEST_F(domain_test, device_is_reset)
{
    EXPECT_EQ("ok", run_role("domain_reset", {"SOFTEFA_DEVICES=2",
                                              "UCX_SRD_RECOVERY_TIMEOUT=20s",
                                              "UCX_LOG_LEVEL=diag"}));
}

/* Whoever looks first takes the event away: the others must be woken, too. */
HARNESS_ROLE(domain_asleep)
{
    std::shared_ptr<domain> one = open_device(0);
    std::shared_ptr<domain> two = (arguments == "shared") ? open_device(0) :
                                                            one;
    node a(one), b(two);
    int fd = -1;

    check(uct_iface_event_fd_get(b.iface(), &fd), "event_fd_get");
    struct pollfd pfd = {fd, POLLIN, 0};
    auto quiet        = [&]() {
        return (uct_iface_event_arm(b.iface(), UCT_EVENT_RECV) == UCS_OK) &&
               (poll(&pfd, 1, 0) == 0);
    };
    if (!wait_until(quiet, [&]() { b.progress(); })) {
        return "never quiet";
    }

    inject("fatal dev=0 return=1ms");
    if (!wait_until([&]() { return counter("resets") > 0; },
                    [&]() { a.progress(); })) {
        return "not noticed";
    }
    if (!wait_until([&]() { return poll(&pfd, 1, 0) > 0; }, []() {})) {
        return "not woken";
    }
    if (!wait_until([&]() { return counter("recovered") == 2; },
                    [&]() {
        a.progress();
        b.progress();
        })) {
        return "not recovered";
    }
    if (!wait_until(quiet, [&]() { b.progress(); })) {
        return "never quiet again";
    }
    return "woken";
}

TEST_F(domain_test, sleeper_hears_of_a_reset)
{
    if (env("SOFTEFA_PROFILE", "") == "efa0") {
        GTEST_SKIP() << "the device has no completion channel";
    }

    for (auto domains : {"same", "shared"}) {
        EXPECT_EQ("woken", run_role(std::string("domain_asleep ") + domains,
                                    {"SOFTEFA_DEVICES=1", "UCX_LOG_LEVEL=error",
                                     "UCX_SRD_RECOVERY_TIMEOUT=20s"}))
                << domains;
    }
}
