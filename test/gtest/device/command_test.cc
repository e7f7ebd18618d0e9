/*
 * What the kernel refuses of commands that libefa never sends: ib_uverbs, then the
 * EFA driver. Each case is a command that is accepted but for one value. They are
 * sent as libibverbs would: an ioctl() of the open device.
 *
 * Linux 7.2 has one way to refuse what a driver does not know, 6.1 and 6.12 others:
 * where they differ, a case has both. Soft-EFA does as the newest.
 */
#include "verbs_test.h"

#include "abi/efa_abi.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace device {

/* A command: its attributes, in place */
class command {
public:
    command(uint16_t object, uint16_t method) : header()
    {
        header.object_id = object;
        header.method_id = method;
        header.driver_id = SOFTEFA_DRIVER_EFA;
    }

    /* A number or a handle, or where the kernel puts one */
    void value(uint16_t id, uint64_t value, uint16_t length = 0)
    {
        add(id, length).data = value;
    }

    /* A structure; up to 8 bytes are in the attribute itself. */
    void in(uint16_t id, const void *data, uint16_t length)
    {
        softefa_abi_attr_t &attr = add(id, length);

        if (length <= sizeof(attr.data)) {
            memcpy(&attr.data, data, length);
        } else {
            attr.data = (uintptr_t)data;
        }
    }

    void out(uint16_t id, void *data, uint16_t length)
    {
        add(id, length).data = (uintptr_t)data;
    }

    /* 0, or an errno */
    int send(int fd)
    {
        header.num_attrs = attrs.size();
        header.length    = sizeof(header) + attrs.size() * sizeof(attrs[0]);
        message.resize(header.length);
        memcpy(message.data(), &header, sizeof(header));
        memcpy(message.data() + sizeof(header), attrs.data(),
               attrs.size() * sizeof(attrs[0]));
        return (ioctl(fd, SOFTEFA_ABI_VERBS_IOCTL,
                      message.data()) < 0) ?
                       errno :
                       0;
    }

    /* What the kernel has put into the first attribute */
    uint64_t handle() const
    {
        softefa_abi_attr_t first;

        memcpy(&first, message.data() + sizeof(header), sizeof(first));
        return first.data;
    }

private:
    softefa_abi_attr_t &add(uint16_t id, uint16_t length)
    {
        softefa_abi_attr_t attr = {};

        attr.attr_id = id;
        attr.len     = length;
        attr.flags   = SOFTEFA_ATTR_F_MANDATORY;
        attrs.push_back(attr);
        return attrs.back();
    }

    std::vector<softefa_abi_attr_t> attrs;
    std::vector<uint8_t>            message;
    softefa_abi_ioctl_t             header; /* has room behind it: the last */
};

class commands : public ::testing::Test {
protected:
    /* Driver data, with room for what it does not know */
    template <typename T> struct longer {
        T       data;
        uint8_t more[8];
    };

    struct cq_command {
        uint32_t                        cqe         = 16;
        uint32_t                        comp_vector = 0;
        uint32_t                        flags       = 0;
        uint16_t                        length = sizeof(softefa_abi_create_cq_t);
        longer<softefa_abi_create_cq_t> driver      = {};
    };

    struct qp_command {
        uint32_t                        type   = SOFTEFA_ABI_QPT_DRIVER;
        uint32_t                        flags  = 0;
        softefa_abi_qp_cap_t            cap    = {128, 128, 1, 1, 0};
        uint16_t                        length = sizeof(softefa_abi_create_qp_t);
        longer<softefa_abi_create_qp_t> driver = {};
    };

    commands() :
        context(open_device()), pd(alloc_pd(context.get())),
        cq(create_cq(context.get(), 256))
    {
        efadv_device_attr attr = efa_attr(context.get());

        max_sq_wr = attr.max_sq_wr;
        /* libefa has it from the driver, and keeps it to itself */
        while ((create(good_cq()) != 0) && (sub_cqs < 4)) {
            ++sub_cqs;
        }
    }

    /* Destroyed again at once: libibverbs knows nothing of it. */
    void destroy(uint16_t object, uint16_t method, uint64_t handle)
    {
        softefa_abi_destroy_cq_resp_t resp; /* the larger one */
        command cmd(object, method);

        cmd.value(SOFTEFA_ATTR_DESTROY_CQ_HANDLE, handle);
        cmd.out(SOFTEFA_ATTR_DESTROY_CQ_RESP, &resp,
                (object == SOFTEFA_OBJECT_CQ) ?
                        sizeof(resp) :
                        sizeof(softefa_abi_destroy_qp_resp_t));
        EXPECT_EQ(0, cmd.send(context->cmd_fd));
    }

    int create(const cq_command &ask)
    {
        softefa_abi_create_cq_resp_t resp;
        uint32_t cqe;
        command cmd(SOFTEFA_OBJECT_CQ, SOFTEFA_METHOD_CQ_CREATE);
        int ret;

        cmd.value(SOFTEFA_ATTR_CREATE_CQ_HANDLE, 0);
        cmd.value(SOFTEFA_ATTR_CREATE_CQ_CQE, ask.cqe, sizeof(ask.cqe));
        cmd.value(SOFTEFA_ATTR_CREATE_CQ_USER_HANDLE, 0, sizeof(uint64_t));
        cmd.value(SOFTEFA_ATTR_CREATE_CQ_COMP_VECTOR, ask.comp_vector,
                  sizeof(ask.comp_vector));
        cmd.value(SOFTEFA_ATTR_CREATE_CQ_FLAGS, ask.flags, sizeof(ask.flags));
        cmd.out(SOFTEFA_ATTR_CREATE_CQ_RESP_CQE, &cqe, sizeof(cqe));
        cmd.in(SOFTEFA_ATTR_UHW_IN, &ask.driver, ask.length);
        cmd.out(SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
        ret = cmd.send(context->cmd_fd);
        if (ret == 0) {
            destroy(SOFTEFA_OBJECT_CQ, SOFTEFA_METHOD_CQ_DESTROY, cmd.handle());
        }
        return ret;
    }

    int create(const qp_command &ask)
    {
        softefa_abi_create_qp_resp_t resp;
        softefa_abi_qp_cap_t cap;
        uint32_t number;
        command cmd(SOFTEFA_OBJECT_QP, SOFTEFA_METHOD_QP_CREATE);
        int ret;

        cmd.value(SOFTEFA_ATTR_CREATE_QP_HANDLE, 0);
        cmd.value(SOFTEFA_ATTR_CREATE_QP_PD_HANDLE, pd->handle);
        cmd.value(SOFTEFA_ATTR_CREATE_QP_SEND_CQ_HANDLE, cq->handle);
        cmd.value(SOFTEFA_ATTR_CREATE_QP_RECV_CQ_HANDLE, cq->handle);
        cmd.value(SOFTEFA_ATTR_CREATE_QP_USER_HANDLE, 0, sizeof(uint64_t));
        cmd.in(SOFTEFA_ATTR_CREATE_QP_CAP, &ask.cap, sizeof(ask.cap));
        cmd.value(SOFTEFA_ATTR_CREATE_QP_TYPE, ask.type, sizeof(uint64_t));
        cmd.value(SOFTEFA_ATTR_CREATE_QP_FLAGS, ask.flags, sizeof(ask.flags));
        cmd.out(SOFTEFA_ATTR_CREATE_QP_RESP_CAP, &cap, sizeof(cap));
        cmd.out(SOFTEFA_ATTR_CREATE_QP_RESP_QP_NUM, &number, sizeof(number));
        cmd.in(SOFTEFA_ATTR_UHW_IN, &ask.driver, ask.length);
        cmd.out(SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
        ret = cmd.send(context->cmd_fd);
        if (ret == 0) {
            destroy(SOFTEFA_OBJECT_QP, SOFTEFA_METHOD_QP_DESTROY, cmd.handle());
        }
        return ret;
    }

    cq_command good_cq() const
    {
        cq_command ask;

        ask.driver.data.cq_entry_size = 16;
        ask.driver.data.num_sub_cqs   = sub_cqs;
        return ask;
    }

    qp_command good_qp() const
    {
        qp_command ask;

        ask.driver.data.sq_ring_size = ask.cap.max_send_wr * 64;
        ask.driver.data.rq_ring_size = ask.cap.max_recv_wr * 16;
        return ask;
    }

    template <typename T, typename F>
    void refused(const char *what, int error, T ask, const F &change,
                 int older = 0)
    {
        int got;

        ASSERT_EQ(0, create(ask)) << "before " << what;
        change(ask);
        got = create(ask);
        if (played() || (got != older)) {
            EXPECT_EQ(error, got) << what;
        }
    }

    handle<ibv_context> context;
    handle<ibv_pd>      pd;
    handle<ibv_cq>      cq;
    uint32_t            max_sq_wr;
    uint16_t            sub_cqs = 1;
};

TEST_F(commands, create_cq)
{
    cq_command good = good_cq();

    refused("a vector too many", EINVAL, good, [&](cq_command &ask) {
        ask.comp_vector = context->num_comp_vectors;
    });
    refused("a flag without a name", EINVAL, good,
            [](cq_command &ask) { ask.flags = 1 << 7; });
    refused("a flag with one", EOPNOTSUPP, good, [](cq_command &ask) {
        ask.flags = 1; /* time stamps */
    });
    refused("no entries", EINVAL, good, [](cq_command &ask) { ask.cqe = 0; });
    refused("entries too many", EINVAL, good, [&](cq_command &ask) {
        ask.cqe = 2 * device_attr(context.get()).max_cqe;
    });
    refused("a flag of the driver", EINVAL, good,
            [](cq_command &ask) { ask.driver.data.flags = 1 << 6; });
    refused("reserved bytes", EINVAL, good,
            [](cq_command &ask) { ask.driver.data.reserved_58[2] = 1; });
    refused("the size of an entry", EINVAL, good,
            [](cq_command &ask) { ask.driver.data.cq_entry_size = 8; });
    refused("the number of sub-CQs", EINVAL, good,
            [](cq_command &ask) { ++ask.driver.data.num_sub_cqs; });
    refused("a source GID in an entry that is too small", EINVAL, good,
            [](cq_command &ask) {
        ask.driver.data.flags = SOFTEFA_ABI_CQ_WITH_SGID;
    });
    refused("too little of the driver's", EINVAL, good, [](cq_command &ask) {
        ask.length = offsetof(softefa_abi_create_cq_t, num_sub_cqs);
    });
    refused("nothing of the driver's", EINVAL, good,
            [](cq_command &ask) { ask.length = 0; });
    refused(
            "a bit of comp_mask", EOPNOTSUPP, good,
            [](cq_command &ask) { ask.driver.data.comp_mask = 1 << 9; },
            EINVAL);
    refused(
            "more than the driver knows", EOPNOTSUPP, good,
            [](cq_command &ask) {
        ask.length         = sizeof(ask.driver);
        ask.driver.more[3] = 1;
            },
            EINVAL);

    /* more, but nothing in it */
    good.length = sizeof(good.driver);
    EXPECT_EQ(0, create(good));
}

TEST_F(commands, create_qp)
{
    qp_command good = good_qp();

    refused("a flag without a name", EINVAL, good,
            [](qp_command &ask) { ask.flags = 1 << 20; });
    refused("a flag with one", EOPNOTSUPP, good, [](qp_command &ask) {
        ask.flags = 1 << 1; /* multicast not to itself */
    });
    refused("a type", EOPNOTSUPP, good,
            [](qp_command &ask) { ask.type = IBV_QPT_RC; });
    refused("the driver's type", EOPNOTSUPP, good,
            [](qp_command &ask) { ask.driver.data.driver_qp_type = 1; });
    refused("a send queue beyond the device's memory", EINVAL, good,
            [](qp_command &ask) { ask.driver.data.sq_ring_size = 1 << 19; });
    refused("send requests", EINVAL, good,
            [&](qp_command &ask) { ask.cap.max_send_wr = 2 * max_sq_wr; });
    refused("pieces of a send request", EINVAL, good,
            [](qp_command &ask) { ask.cap.max_send_sge = 17; });
    refused("inline data", EINVAL, good,
            [](qp_command &ask) { ask.cap.max_inline_data = 4096; });
    refused(
            "a flag of the driver", EOPNOTSUPP, good,
            [](qp_command &ask) { ask.driver.data.flags = 1 << 9; },
            EINVAL); /* 6.1: it has none */
    refused("reserved bytes", EINVAL, good,
            [](qp_command &ask) { ask.driver.data.reserved_98[3] = 1; });
    refused("too little of the driver's", EINVAL, good, [](qp_command &ask) {
        ask.length = offsetof(softefa_abi_create_qp_t, driver_qp_type);
    });
    refused(
            "a bit of comp_mask", EOPNOTSUPP, good,
            [](qp_command &ask) { ask.driver.data.comp_mask = 1 << 9; },
            EINVAL);
    refused(
            "more than the driver knows", EOPNOTSUPP, good,
            [](qp_command &ask) {
        ask.length         = sizeof(ask.driver);
        ask.driver.more[3] = 1;
            },
            EINVAL);

    good.length = sizeof(good.driver);
    EXPECT_EQ(0, create(good));
}

/* What libefa can cope with, and more: the driver takes what it knows. */
TEST_F(commands, get_context)
{
    std::string path = "/dev/infiniband/" +
                       std::string(context->device->dev_name);
    uint64_t knows[3] = {3, 0, 1};
    softefa_abi_ucontext_resp_t resp;
    uint64_t support;
    uint32_t vectors;
    int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);

    ASSERT_LE(0, fd) << path << ": " << strerror(errno);
    for (int error : {0, EINVAL}) { /* a second one: it has a context */
        command cmd(SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_GET_CONTEXT);

        cmd.out(SOFTEFA_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, &vectors,
                sizeof(vectors));
        cmd.out(SOFTEFA_ATTR_GET_CONTEXT_CORE_SUPPORT, &support,
                sizeof(support));
        cmd.in(SOFTEFA_ATTR_UHW_IN, knows, sizeof(knows));
        cmd.out(SOFTEFA_ATTR_UHW_OUT, &resp, sizeof(resp));
        EXPECT_EQ(error, cmd.send(fd));
    }
    EXPECT_EQ(context->num_comp_vectors, (int)vectors);
    EXPECT_EQ(sub_cqs, resp.sub_cqs_per_cq);
    close(fd);
}

/* A driver's part where the driver has none: it must be zero. */
TEST_F(commands, alloc_pd)
{
    softefa_abi_efa_pd_t answer;
    softefa_abi_alloc_pd_resp_t resp;
    softefa_abi_cmd_t ask = {};
    uint64_t more[2]      = {};
    int ret;

    for (uint64_t last : {0, 1}) {
        command cmd(SOFTEFA_OBJECT_DEVICE, SOFTEFA_METHOD_INVOKE_WRITE);

        more[1]      = last;
        ask.response = (uintptr_t)&resp;
        cmd.in(SOFTEFA_ATTR_CORE_IN, &ask, sizeof(ask));
        cmd.out(SOFTEFA_ATTR_CORE_OUT, &resp, sizeof(resp));
        cmd.value(SOFTEFA_ATTR_WRITE_CMD, SOFTEFA_WRITE_ALLOC_PD,
                  sizeof(uint64_t));
        cmd.in(SOFTEFA_ATTR_UHW_IN, more, sizeof(more));
        cmd.out(SOFTEFA_ATTR_UHW_OUT, &answer, sizeof(answer));
        ret = cmd.send(context->cmd_fd);
        if (last == 0) {
            ASSERT_EQ(0, ret);
            command destroy(SOFTEFA_OBJECT_PD, SOFTEFA_METHOD_PD_DESTROY);
            destroy.value(SOFTEFA_ATTR_DESTROY_PD_HANDLE, resp.pd_handle);
            EXPECT_EQ(0, destroy.send(context->cmd_fd));
        } else if (played() || (ret != EINVAL)) { /* EINVAL: 6.1 */
            EXPECT_EQ(EOPNOTSUPP, ret);
        }
    }
}

} /* namespace device */
