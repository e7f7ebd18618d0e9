/*
 * The suites of this program again, on every generation of the device and
 * with delivery out of order: each case runs this program anew.
 */
#include "verbs_test.h"

namespace device {

struct variant {
    const char *name;
    environment env;
};

class suites_on : public ::testing::TestWithParam<variant> {
};

/* Everything about single messages, errors and limits; not the long runs. */
TEST_P(suites_on, variant)
{
    std::string output;
    int         result = run_self(
            "query.*:devices.*:objects.srd*:objects.cq*:objects.qp*:"
            "objects.ahs:qp_*:*/qp_state.*:qp_reset.*:all/send_data.*:"
            "send_*:mr.*:remote_error.*:type/qkey.*:*rdma*:rnr.*:*rnr_count*:"
            "cq_*:*/cq_*:*two_processes*:thread*:*/threads.*",
            GetParam().env, &output);

    EXPECT_EQ(0, result) << output;
    EXPECT_NE(std::string::npos, output.find("[  PASSED  ]")) << output;
    EXPECT_EQ(std::string::npos, output.find("0 tests ran")) << output;
}

INSTANTIATE_TEST_SUITE_P(
        each, suites_on,
        ::testing::Values(variant{"efa0", {{"SOFTEFA_PROFILE", "efa0"}}},
                          variant{"efa2", {{"SOFTEFA_PROFILE", "efa2"}}},
                          variant{"efa3", {{"SOFTEFA_PROFILE", "efa3"}}},
                          variant{"efa4", {{"SOFTEFA_PROFILE", "efa4"}}},
                          variant{"reordered", {{"SOFTEFA_REORDER", "16"}}}),
        [](const ::testing::TestParamInfo<variant> &info) {
            return std::string(info.param.name);
        });

} /* namespace device */
