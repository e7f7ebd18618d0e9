/*
 * Creating objects up to the limit of the device, one beyond, and again after
 * something was freed. Limits are those of the device, so they hold over all
 * contexts and processes together.
 */
#include "verbs_test.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace device {

class objects : public ::testing::Test {
protected:
    objects() :
        context(open_device()), attr(device_attr(context.get())),
        pd(alloc_pd(context.get()))
    {
    }

    /* create() makes one object or returns NULL. All of limit objects must
     * come, then ENOMEM, then one for each that was destroyed. */
    template <typename T>
    void up_to(int limit, const std::function<T *()> &create)
    {
        std::vector<handle<T>> made;
        T                     *object;

        for (int i = 0; i < limit; ++i) {
            object = create();
            ASSERT_NE(nullptr, object)
                    << i << " of " << limit << ": " << strerror(errno);
            made.emplace_back(object);
        }

        for (int round = 0; round < 2; ++round) {
            errno  = 0;
            object = create();
            EXPECT_EQ(nullptr, object) << "one beyond " << limit;
            EXPECT_EQ(ENOMEM, errno);
            if (object != nullptr) {
                made.emplace_back(object);
            }

            /* From the middle: the device must find the hole. */
            made.erase(made.begin() + made.size() / 2);
            object = create();
            ASSERT_NE(nullptr, object) << "after one was destroyed";
            made.emplace_back(object);
        }
    }

    handle<ibv_context> context;
    ibv_device_attr     attr;
    handle<ibv_pd>      pd;
};

static const ibv_qp_cap small_qp = {8, 8, 1, 1, 0};

TEST_F(objects, pds)
{
    up_to<ibv_pd>(attr.max_pd - 1, [&] { return ibv_alloc_pd(context.get()); });
}

TEST_F(objects, cqs)
{
    up_to<ibv_cq>(attr.max_cq, [&] {
        return ibv_create_cq(context.get(), 16, nullptr, nullptr, 0);
    });
}

TEST_F(objects, srd_qps)
{
    handle<ibv_cq> cq = create_cq(context.get());

    up_to<ibv_qp>(attr.max_qp, [&] {
        return try_create_qp(pd.get(), cq.get(), false, small_qp);
    });
}

TEST_F(objects, srd_and_ud_qps_share_the_limit)
{
    handle<ibv_cq> cq = create_cq(context.get());
    int count         = 0;

    up_to<ibv_qp>(attr.max_qp, [&] {
        return try_create_qp(pd.get(), cq.get(), (count++ & 1) != 0, small_qp);
    });
}

TEST_F(objects, ahs)
{
    unsigned count = 0;

    up_to<ibv_ah>(attr.max_ah, [&] {
        return try_create_ah(pd.get(), made_up_gid(count++));
    });
}

TEST_F(objects, mrs)
{
    std::vector<uint8_t> memory(4096);

    up_to<ibv_mr>(attr.max_mr, [&] {
        return ibv_reg_mr(pd.get(), memory.data(), memory.size(),
                          IBV_ACCESS_LOCAL_WRITE);
    });
}

/* Limits as the user sets them, also where they are no power of two. */
DEVICE_ROLE(count_objects)
{
    handle<ibv_context> context = open_device();
    handle<ibv_pd> pd           = alloc_pd(context.get());
    handle<ibv_cq> cq           = create_cq(context.get());
    std::vector<handle<ibv_qp>> qps;
    std::vector<handle<ibv_ah>> ahs;
    std::vector<handle<ibv_mr>> mrs;
    char memory[64];

    while (ibv_qp *qp = try_create_qp(pd.get(), cq.get(), false, small_qp)) {
        qps.emplace_back(qp);
    }
    while (ibv_ah *ah = try_create_ah(pd.get(), made_up_gid(ahs.size()))) {
        ahs.emplace_back(ah);
    }
    while (ibv_mr *mr = ibv_reg_mr(pd.get(), memory, sizeof(memory), 0)) {
        mrs.emplace_back(mr);
    }
    parent.put((int)qps.size());
    parent.put((int)ahs.size());
    parent.put((int)mrs.size());
    parent.put(device_attr(context.get()));
    return 0;
}

TEST(object_limits, as_asked_for)
{
    child c("count_objects",
            {{"SOFTEFA_FABRIC", fresh_fabric()},
             {"SOFTEFA_LIMITS", "max_qp=100,max_ah=3,max_mr=1000"}});

    EXPECT_EQ(100, c.to->get<int>());
    EXPECT_EQ(3, c.to->get<int>());
    EXPECT_EQ(1000, c.to->get<int>());
    ibv_device_attr attr = c.to->get<ibv_device_attr>();
    EXPECT_EQ(100, attr.max_qp);
    EXPECT_EQ(3, attr.max_ah);
    EXPECT_EQ(1000, attr.max_mr);
    EXPECT_EQ(0, c.join());
}

/* The limit counts both contexts of this process, and a third in another. */
DEVICE_ROLE(take_qps)
{
    int wanted = parent.get<int>(), made = 0, error;
    handle<ibv_context> context = open_device();
    handle<ibv_pd> pd           = alloc_pd(context.get());
    handle<ibv_cq> cq           = create_cq(context.get());
    std::vector<handle<ibv_qp>> qps;

    for (; made < wanted; ++made) {
        ibv_qp *qp = try_create_qp(pd.get(), cq.get(), false, small_qp);
        if (qp == nullptr) {
            break;
        }
        qps.emplace_back(qp);
    }
    error = (made < wanted) ? errno : 0;
    parent.put(made);
    parent.put(error);
    return parent.get<int>(); /* hold them until told */
}

TEST_F(objects, limit_spans_processes)
{
    handle<ibv_context> second = open_device();
    handle<ibv_pd> second_pd   = alloc_pd(second.get());
    handle<ibv_cq> cq          = create_cq(context.get());
    handle<ibv_cq> second_cq   = create_cq(second.get());
    std::vector<handle<ibv_qp>> qps;
    child other("take_qps");

    for (int i = 0; i < 100; ++i) {
        bool here  = (i & 1) != 0;
        ibv_qp *qp = try_create_qp(here ? pd.get() : second_pd.get(),
                                   here ? cq.get() : second_cq.get(), false,
                                   small_qp);
        ASSERT_NE(nullptr, qp);
        qps.emplace_back(qp);
    }

    other.to->put(attr.max_qp);
    EXPECT_EQ(attr.max_qp - 100, other.to->get<int>());
    EXPECT_EQ(ENOMEM, other.to->get<int>());
    EXPECT_EQ(nullptr, try_create_qp(pd.get(), cq.get(), false, small_qp));
    EXPECT_EQ(ENOMEM, errno);
    other.to->put(0);
    ASSERT_EQ(0, other.join());

    handle<ibv_qp> again(try_create_qp(pd.get(), cq.get(), false, small_qp));
    EXPECT_TRUE(again);
}

/* The other device has limits of its own. */
TEST_F(objects, limits_are_per_device)
{
    handle<ibv_context> other = open_device(1);
    handle<ibv_pd> other_pd   = alloc_pd(other.get());
    handle<ibv_cq> cq         = create_cq(context.get()),
                   other_cq   = create_cq(other.get());
    std::vector<handle<ibv_qp>> qps;

    for (int i = 0; i < attr.max_qp; ++i) {
        qps.emplace_back(try_create_qp(pd.get(), cq.get(), false, small_qp));
        ASSERT_TRUE(qps.back());
    }
    handle<ibv_qp> elsewhere(try_create_qp(other_pd.get(), other_cq.get(),
                                           false, small_qp));
    EXPECT_TRUE(elsewhere);
}

/* QPNs of a device are unique modulo its (rounded up) number of QPs: libefa
 * indexes its table by that. */
TEST_F(objects, qp_numbers)
{
    handle<ibv_cq> cq = create_cq(context.get());
    std::vector<handle<ibv_qp>> qps;
    std::vector<bool> seen(256);

    for (int i = 0; i < 200; ++i) {
        qps.emplace_back(try_create_qp(pd.get(), cq.get(), i & 1, small_qp));
        ASSERT_TRUE(qps.back());
        EXPECT_LE(qps.back()->qp_num, 0xffffu);
        EXPECT_FALSE(seen[qps.back()->qp_num % 256]);
        seen[qps.back()->qp_num % 256] = true;
    }
}

/* Equal addresses of one PD share a device AH, which dies with the last. */
TEST_F(objects, equal_ahs_share_a_number)
{
    efadv_ah_attr one = {}, two = {}, other = {};
    handle<ibv_ah> a = create_ah(pd.get(), made_up_gid(7)),
                   b = create_ah(pd.get(), made_up_gid(7)),
                   c = create_ah(pd.get(), made_up_gid(8));

    ASSERT_EQ(0, efadv_query_ah(a.get(), &one, sizeof(one)));
    ASSERT_EQ(0, efadv_query_ah(b.get(), &two, sizeof(two)));
    ASSERT_EQ(0, efadv_query_ah(c.get(), &other, sizeof(other)));
    EXPECT_EQ(one.ahn, two.ahn);
    EXPECT_NE(one.ahn, other.ahn);
    EXPECT_NE(AH_UNKNOWN, one.ahn);
}

TEST_F(objects, shared_ahs_count_once)
{
    std::vector<handle<ibv_ah>> ahs;

    for (int i = 0; i < attr.max_ah; ++i) {
        ahs.push_back(create_ah(pd.get(), made_up_gid(i)));
    }
    /* Full, but these are known. */
    for (int i = 0; i < attr.max_ah; i += 97) {
        ahs.push_back(create_ah(pd.get(), made_up_gid(i)));
    }
    EXPECT_EQ(nullptr, try_create_ah(pd.get(), made_up_gid(attr.max_ah)));
    EXPECT_EQ(ENOMEM, errno);
}

/* An AH of an address has to be global; there are no LIDs. */
TEST_F(objects, ah_without_gid)
{
    ibv_ah_attr ah_attr = {};

    ah_attr.port_num = 1;
    ah_attr.dlid     = 1;
    EXPECT_EQ(nullptr, ibv_create_ah(pd.get(), &ah_attr));
}

TEST_F(objects, pd_in_use)
{
    std::vector<uint8_t> memory(4096);
    handle<ibv_cq> cq = create_cq(context.get());

    {
        handle<ibv_mr> mr = reg_mr(pd.get(), memory.data(), memory.size(), 0);
        EXPECT_EQ(EBUSY, ibv_dealloc_pd(pd.get()));
    }
    {
        handle<ibv_ah> ah = create_ah(pd.get(), made_up_gid(1));
        EXPECT_EQ(EBUSY, ibv_dealloc_pd(pd.get()));
    }
    {
        handle<ibv_qp> qp(try_create_qp(pd.get(), cq.get(), false, small_qp));
        EXPECT_EQ(EBUSY, ibv_dealloc_pd(pd.get()));
    }
}

TEST_F(objects, cq_depth)
{
    handle<ibv_cq> cq = create_cq(context.get(), attr.max_cqe);

    EXPECT_EQ(attr.max_cqe, cq->cqe);
    EXPECT_EQ(nullptr, ibv_create_cq(context.get(), attr.max_cqe + 1, nullptr,
                                     nullptr, 0));
    EXPECT_EQ(EINVAL, errno);

    /* Rounded up: libefa counts on a power of two. */
    EXPECT_EQ(128, create_cq(context.get(), 100)->cqe);
}

TEST_F(objects, cq_vector)
{
    handle<ibv_cq> last(ibv_create_cq(context.get(), 16, nullptr, nullptr,
                                      context->num_comp_vectors - 1));

    EXPECT_TRUE(last);
    EXPECT_EQ(nullptr, ibv_create_cq(context.get(), 16, nullptr, nullptr,
                                     context->num_comp_vectors));
    EXPECT_EQ(EINVAL, errno);
}

TEST_F(objects, qp_capabilities)
{
    static const ibv_qp_cap good[] = {
        {4096, 64, 2, 1, 32}, {64, 8192, 1, 3, 0}, {64, 32768, 1, 1, 0},
        {1, 1, 1, 1, 32},
    };
    static const ibv_qp_cap bad[] = {
        {4097, 64, 1, 1, 0}, {64, 32769, 1, 1, 0}, {64, 64, 3, 1, 0},
        {64, 64, 1, 4, 0},   {64, 64, 1, 1, 81},
    };
    handle<ibv_cq> cq = create_cq(context.get());

    for (const ibv_qp_cap &cap : good) {
        handle<ibv_qp> qp(try_create_qp(pd.get(), cq.get(), false, cap));
        EXPECT_TRUE(qp) << cap.max_send_wr << "/" << cap.max_recv_wr << ": "
                        << strerror(errno);
    }
    for (const ibv_qp_cap &cap : bad) {
        errno = 0;
        handle<ibv_qp> qp(try_create_qp(pd.get(), cq.get(), false, cap));
        EXPECT_FALSE(qp) << cap.max_send_wr << "/" << cap.max_recv_wr << "/"
                         << cap.max_send_sge << "/" << cap.max_recv_sge << "/"
                         << cap.max_inline_data;
        EXPECT_EQ(EINVAL, errno);
    }
}

TEST_F(objects, what_the_device_does_not_have)
{
    handle<ibv_cq> cq     = create_cq(context.get());
    ibv_qp_init_attr rc   = {};
    ibv_srq_init_attr srq = {};

    rc.send_cq = rc.recv_cq = cq.get();
    rc.cap                  = small_qp;
    rc.qp_type              = IBV_QPT_RC;
    EXPECT_EQ(nullptr, ibv_create_qp(pd.get(), &rc));
    EXPECT_EQ(EOPNOTSUPP, errno);

    srq.attr.max_wr  = 16;
    srq.attr.max_sge = 1;
    EXPECT_EQ(nullptr, ibv_create_srq(pd.get(), &srq));
}

/* Closing a context that still has objects frees them, as the kernel does
 * when a file is closed. */
DEVICE_ROLE(leave_objects)
{
    /* Reachable to the end: left to the device, not lost by the program. */
    static std::vector<void *> &left = *new std::vector<void *>;
    static char memory[4096];
    ibv_context *context = open_device().release();
    ibv_device_attr attr = device_attr(context);
    ibv_pd *pd           = ibv_alloc_pd(context);
    ibv_cq *cq           = ibv_create_cq(context, 16, nullptr, nullptr, 0);

    left = {context, pd, cq};
    for (int i = 0; i < attr.max_qp; ++i) {
        left.push_back(try_create_qp(pd, cq, false, small_qp));
    }
    for (int i = 0; i < attr.max_ah; ++i) {
        left.push_back(try_create_ah(pd, made_up_gid(i)));
    }
    left.push_back(ibv_reg_mr(pd, memory, sizeof(memory), 0));
    if (std::count(left.begin(), left.end(), nullptr) != 0) {
        return 2;
    }
    parent.put(0);
    switch (parent.get<int>()) {
    case 0:
        return 0;
    case 1:
        _exit(0);
    default:
        return ibv_close_device(context) ? 5 : parent.get<int>();
    }
}

class objects_left : public objects, public ::testing::WithParamInterface<int> {
};

TEST_P(objects_left, are_reclaimed)
{
    handle<ibv_cq> cq = create_cq(context.get());
    child other("leave_objects");

    other.to->get<int>();
    EXPECT_EQ(nullptr, try_create_qp(pd.get(), cq.get(), false, small_qp));
    other.to->put(GetParam());
    if (GetParam() == 2) {
        /* Closed, but the process lives. */
        other.to->put(0);
    }
    EXPECT_EQ(0, other.join());

    up_to<ibv_qp>(attr.max_qp, [&] {
        return try_create_qp(pd.get(), cq.get(), false, small_qp);
    });
    unsigned count = 0;
    up_to<ibv_ah>(attr.max_ah, [&] {
        return try_create_ah(pd.get(), made_up_gid(count++));
    });
}

/* 0: exit(), 1: _exit(), 2: ibv_close_device() */
INSTANTIATE_TEST_SUITE_P(by, objects_left, ::testing::Values(0, 1, 2));

} /* namespace device */
