/*
 * Workers with several devices, on both sides or on one: UCP chooses lanes,
 * configures an endpoint again when it hears which devices the other side uses,
 * and then asks the transport where a lane leads (ep_is_connected, UCX 1.16). A
 * lane that leads to another device than UCP believes carries keys of the wrong
 * device.
 */
#include "ucp_test.h"

#include "common/counters.h"

#include <stdexcept>
#include <unistd.h>

using namespace ucp_test;

namespace {

/* In another process, which prints what fails */
class world : public ucp_base {
public:
    explicit world(const std::string &fence)
    {
        const char *devices[] = {"all", "efa_0:1,efa_1:1", "efa_1:1",
                                 "efa_2:1,efa_3:1"};

        for (const char *list : devices) {
            ucp_options options;
            options.features = UCP_FEATURE_TAG | UCP_FEATURE_AM;
            options.err_peer = true;
            options.config["NET_DEVICES"] = list;
            if (!fence.empty()) {
                options.config["FENCE_MODE"] = fence;
            }
            m_all.push_back(&add_side(options));
        }
    }

    void talk()
    {
        const size_t lengths[] = {8, 3000, 8928, 100000, 3 << 20, 8, 2 << 20};
        uint64_t seq           = 0;

        for (size_t i = 0; i < m_all.size(); ++i) {
            for (size_t k = 0; k < i; ++k) {
                ep_errors errors[2];
                ucp_side &a = *m_all[i], &b = *m_all[k];
                ucp_ep_h ab = a.connect(b.address(), &errors[0]);
                ucp_ep_h ba = b.connect(a.address(), &errors[1]);

                for (unsigned round = 0; round < 3; ++round) {
                    for (size_t length : lengths) {
                        ping_pong(a, ab, b, ba, seq++, length);
                    }
                }
                for (const ep_errors &e : errors) {
                    EXPECT_EQ(0u, e.count) << i << " and " << k << ": "
                                           << ucs_status_string(e.status);
                }
                for (ucs_status_ptr_t request : {a.close(ab), b.close(ba)}) {
                    finish(request);
                }
            }
        }
        TearDown();
    }

private:
    void TestBody() override {}

    std::vector<ucp_side*> m_all;
};

} // namespace

HARNESS_ROLE(devices)
{
    world(arguments).talk();
    return ::testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed() ?
                   "failed, see above" :
                   "";
}

class ucp_devices : public ::testing::Test {
protected:
    std::string run(const std::string &fence)
    {
        static unsigned count;
        peer_proc peer({"SOFTEFA_DEVICES=4",
                        "SOFTEFA_FABRIC=devices-" + std::to_string(getpid()) +
                                "-" + std::to_string(++count)});

        return peer.call("role devices " + fence);
    }
};

TEST_F(ucp_devices, mixed)
{
    if (!is_srd()) {
        GTEST_SKIP() << "of this transport";
    }
    EXPECT_EQ("", run(""));
}

/* With strong fences UCX 1.23 configures endpoints again that are in use. */
TEST_F(ucp_devices, configured_again)
{
    if (!is_srd()) {
        GTEST_SKIP() << "of this transport";
    }
    if (!is_ucx(16)) {
        GTEST_SKIP() << "UCX before 1.16";
    }
    EXPECT_EQ("", run("strong"));
}
