/*
 * Commands that a fault plan lets fail, and plans that are wrong.
 */
#include "fault_test.h"

#include <cerrno>

using namespace device;

namespace {

/* fail cmd=create_qp errno=ENOMEM every=2; fail cmd=reg_mr errno=EINVAL after=1
 * count=1; fail cmd=create_ah errno=EAGAIN after=1; fail cmd=open errno=EMFILE
 * after=1 */
DEVICE_ROLE(fault_fail)
{
    endpoint e;
    ibv_qp_cap cap = {8, 8, 1, 1, 0};

    for (unsigned i = 0; i < 6; ++i) {
        errno = 0;
        handle<ibv_qp> qp(try_create_qp(e.pd, e.cq.get(), false, cap));
        /* e has the first one */
        EXPECT_EQ(i % 2 == 1, qp != nullptr) << i;
        EXPECT_EQ((i % 2 == 1) ? 0 : ENOMEM, errno);
    }
    EXPECT_EQ(3u, faults(1));

    errno = 0;
    EXPECT_EQ(nullptr, ibv_reg_mr(e.pd, e.buffer.data(), 100, 0));
    EXPECT_EQ(EINVAL, errno);
    handle<ibv_mr> mr = reg_mr(e.pd, e.buffer.data(), 100, 0);
    EXPECT_EQ(1u, faults(2));

    handle<ibv_ah> ah = create_ah(e.pd, made_up_gid(1));
    errno             = 0;
    EXPECT_EQ(nullptr, try_create_ah(e.pd, made_up_gid(2)));
    EXPECT_EQ(EAGAIN, errno);

    ibv_device **list = ibv_get_device_list(nullptr);
    EXPECT_EQ(nullptr, ibv_open_device(list[0]));
    ibv_free_device_list(list);
    EXPECT_LE(1u, faults(4));
    return 0;
}

TEST(fault_commands, fail)
{
    EXPECT_EQ(0, play_faults("fault_fail",
                             "fail cmd=create_qp errno=ENOMEM every=2\n"
                             "fail cmd=reg_mr errno=EINVAL after=1 count=1\n"
                             "fail cmd=create_ah errno=EAGAIN after=1\n"
                             "fail cmd=open errno=EMFILE after=1"));
}

DEVICE_ROLE(fault_no_device)
{
    int count;
    ibv_device **list = ibv_get_device_list(&count);

    if (list != nullptr) {
        ibv_free_device_list(list);
    }
    return ((list == nullptr) || (count == 0)) ? 0 : 1;
}

TEST(fault_commands, wrong_plan)
{
    testing::internal::CaptureStderr();
    EXPECT_EQ(0, play_faults("fault_no_device", "pause for=1ms; statsu"));
    EXPECT_EQ("softefa: SOFTEFA_FAULTS: rule 2: no action is called "
              "\"statsu\"\n",
              testing::internal::GetCapturedStderr());
}

} // namespace
