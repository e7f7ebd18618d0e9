/*
 * Devices and queue pairs that fall: what the application, its peers and other
 * processes see, and what there is after a device's return.
 *
 * Each scenario is a process of its own in a fabric of its own: a device that
 * fell leaves traces for all who use its fabric.
 */
#include "fault_test.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <set>

using namespace device;

namespace {

config on(unsigned device)
{
    config cfg;

    cfg.device    = device;
    cfg.rnr_retry = 7;
    return cfg;
}

std::set<std::string> listed()
{
    ibv_device **list = ibv_get_device_list(nullptr);
    std::set<std::string> names;

    for (ibv_device **d = list; *d != nullptr; ++d) {
        names.insert(ibv_get_device_name(*d));
    }
    ibv_free_device_list(list);
    return names;
}

/* By name: libibverbs lists a device that returned before the others. */
handle<ibv_context> open_named(const std::string &name)
{
    ibv_device **list = ibv_get_device_list(nullptr);
    handle<ibv_context> context;

    for (ibv_device **d = list; *d != nullptr; ++d) {
        if (name == ibv_get_device_name(*d)) {
            context.reset(ibv_open_device(*d));
        }
    }
    ibv_free_device_list(list);
    if (context == nullptr) {
        throw failure("open " + name);
    }
    return context;
}

bool readable(ibv_context *context)
{
    pollfd fd = {context->async_fd, POLLIN, 0};

    return poll(&fd, 1, 0) == 1;
}

ibv_async_event take_event(ibv_context *context)
{
    ibv_async_event event = {};

    if (!readable(context)) {
        throw std::runtime_error("no asynchronous event");
    }
    if (ibv_get_async_event(context, &event) != 0) {
        throw failure("ibv_get_async_event");
    }
    ibv_ack_async_event(&event);
    return event;
}

/* A command on a dead device gave this. */
#define EXPECT_EIO(_expr) \
    do { \
        errno = 0; \
        EXPECT_FALSE(_expr); \
        EXPECT_EQ(EIO, errno); \
    } while (0)

/* Gives up what can only be closed: each destruction fails. */
void bury(endpoint &e)
{
    for (auto &ah : e.ahs) {
        EXPECT_EQ(EIO, ibv_destroy_ah(ah.second.release()));
    }
    e.ahs.clear();
    EXPECT_EQ(EIO, ibv_destroy_qp(e.qp.release()));
    EXPECT_EQ(EIO, ibv_dereg_mr(e.mr.release()));
    EXPECT_EQ(EIO, ibv_destroy_cq(e.cq.release()));
    EXPECT_EQ(EIO, ibv_dealloc_pd(e.own_pd.release()));
    e.own_context.reset();
}

void expect_delivery(endpoint &from, endpoint &to, uint32_t imm)
{
    send_args args;

    args.has_imm = true;
    args.imm     = imm;
    args.sgl     = {from.sge(0, 100)};
    fill(from.buffer.data(), 100, imm);
    to.recv(1, 1000, 100);
    from.send(to.addr(), args);
    EXPECT_EQ(0u, from.wait(1, &to)[0].vendor_err);

    completion c = to.wait()[0];
    EXPECT_EQ(0u, c.vendor_err);
    EXPECT_EQ(imm, c.imm);
    check(to.buffer.data() + 1000, 100, imm);
}

uint32_t send_status(endpoint &from, const address &to)
{
    from.send(to, 1, 0, 10);
    return from.wait()[0].vendor_err;
}

void expect_commands_fail(endpoint &e)
{
    ibv_qp_init_attr init = {};
    ibv_qp_cap cap        = {8, 8, 1, 1, 0};
    ibv_device_attr device;
    ibv_port_attr port;
    ibv_qp_attr attr;
    ibv_gid gid;

    EXPECT_NE(0, ibv_query_device(e.context, &device));
    EXPECT_NE(0, ibv_query_port(e.context, 1, &port));
    EXPECT_NE(0, ibv_query_gid(e.context, 1, 0, &gid));
    EXPECT_EIO(ibv_alloc_pd(e.context));
    EXPECT_EIO(ibv_reg_mr(e.pd, e.buffer.data(), 10, IBV_ACCESS_LOCAL_WRITE));
    EXPECT_EIO(ibv_create_cq(e.context, 16, nullptr, nullptr, 0));
    EXPECT_EIO(ibv_create_comp_channel(e.context));
    EXPECT_EIO(try_create_qp(e.pd, e.cq.get(), false, cap));
    EXPECT_EIO(try_create_ah(e.pd, made_up_gid(3)));
    EXPECT_EQ(EIO, ibv_query_qp(e.qp.get(), &attr, IBV_QP_STATE, &init));
    attr.qp_state = IBV_QPS_ERR;
    EXPECT_EQ(EIO, e.modify(attr, IBV_QP_STATE));
}

/* The way of one device through death and return, as its user, a user of
 * another device and a newcomer see it. */
DEVICE_ROLE(fatal)
{
    endpoint a(on(0));
    handle<ibv_context> other = open_device(1);
    ibv_device *device        = other->device;

    {
        endpoint b(on(1)), stranger(on(2)), target(on(0));
        address old = b.addr(), now;
        send_args args;

        expect_delivery(a, b, 1);
        expect_delivery(b, a, 2);
        b.ah(target.addr());
        /* Written, and polled only afterwards; waiting, for ever */
        b.recv(1, 0, 100);
        EXPECT_EQ(0u, send_status(a, old));
        b.send(a.addr(), 7, 0, 10);
        a.send(old, 8, 0, 10);

        EXPECT_FALSE(readable(b.context));
        inject("fatal dev=1");
        EXPECT_EQ(IBV_EVENT_DEVICE_FATAL, take_event(b.context).event_type);
        EXPECT_EQ(IBV_EVENT_DEVICE_FATAL, take_event(other.get()).event_type);
        EXPECT_FALSE(readable(b.context));
        EXPECT_FALSE(readable(a.context));
        EXPECT_FALSE(readable(stranger.context));

        /* Who sends there: what waits, what is new, a stranger */
        EXPECT_EQ((uint32_t)STATUS_REM_UNRESP, a.wait()[0].vendor_err);
        EXPECT_EQ((uint32_t)STATUS_REM_UNRESP, send_status(a, old));
        EXPECT_EQ((uint32_t)STATUS_UNREACH, send_status(stranger, old));

        /* What was there, and no more, however much is posted */
        EXPECT_EQ(1u, b.wait()[0].wr_id);
        b.recv(1, 0, 100);
        target.recv(1, 0, 100);
        args.sgl = {b.sge(0, 10)};
        for (unsigned i = 0; i < b.cfg.send_wr / 2; ++i) {
            EXPECT_EQ(0, b.try_send(target.addr(), args));
        }
        b.expect_silence(100);
        target.expect_silence(100);

        expect_commands_fail(b);
        EXPECT_EQ((std::set<std::string>{"efa_0", "efa_2"}), listed());
        EXPECT_EQ(nullptr, ibv_open_device(device));
        EXPECT_EQ(-1, open("/dev/infiniband/uverbs1", O_RDWR));
        EXPECT_EQ(ENODEV, errno);
        inject("fatal dev=1"); /* it cannot die twice */
        EXPECT_FALSE(readable(b.context));

        inject("return dev=1");
        EXPECT_EQ((std::set<std::string>{"efa_0", "efa_1", "efa_2"}), listed());
        expect_commands_fail(b);
        EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, send_status(a, old));

        /* The same device, other numbers */
        handle<ibv_context> context = open_named("efa_1");
        endpoint again(on(1), context.get());
        now = again.addr();
        EXPECT_EQ(0, memcmp(&old.gid, &now.gid, sizeof(old.gid)));
        EXPECT_NE(old.qpn, now.qpn);
        EXPECT_NE(b.mr->lkey, again.mr->lkey);
        EXPECT_NE(nullptr, a.ah(now));
        expect_delivery(a, again, 3);
        a.expect_silence(100);
        expect_delivery(again, a, 4);

        /* What the dead leave behind is no part of the living */
        bury(b);
        other.reset();
        expect_delivery(a, again, 5);
        expect_delivery(again, a, 6);
        EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, send_status(a, old));
    }

    return 0;
}

/* With a limit of two queue pairs: closed contexts hold nothing. */
DEVICE_ROLE(fatal_often)
{
    for (unsigned i = 0; i < 20; ++i) {
        endpoint b(on(0)), c(on(0));

        expect_delivery(b, c, i);
        inject("fatal dev=0 return=1us");
        bury(b);
        bury(c);
    }

    endpoint b(on(0)), c(on(0));
    expect_delivery(b, c, 100);
    return 0;
}

/* RDMA, whose keys must not open what came after the return */
DEVICE_ROLE(fatal_rdma)
{
    config cfg = on(1);

    cfg.rdma    = true;
    cfg.access  = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
    config near = on(0);
    near.rdma   = true;
    endpoint a(near), b(cfg);
    address old    = b.addr();
    uint64_t start = (uintptr_t)b.buffer.data();

    b.ah(a.addr());
    a.read(old, 1, a.sge(0, 64), start, b.mr->rkey);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    inject("fatal dev=1");
    a.read(old, 1, a.sge(0, 64), start, b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_UNRESP, a.wait()[0].vendor_err);
    inject("return dev=1");

    handle<ibv_context> context = open_named("efa_1");
    endpoint again(cfg, context.get());
    a.read(again.addr(), 1, a.sge(0, 64), start, b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_NO_AH, a.wait()[0].vendor_err);
    again.ah(a.addr());
    a.read(again.addr(), 1, a.sge(0, 64), start, b.mr->rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS, a.wait()[0].vendor_err);
    a.read(again.addr(), 1, a.sge(0, 64), (uintptr_t)again.buffer.data(),
           again.mr->rkey);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    bury(b);
    a.read(again.addr(), 1, a.sge(0, 64), (uintptr_t)again.buffer.data(),
           again.mr->rkey);
    EXPECT_EQ(0u, a.wait()[0].vendor_err);
    return 0;
}

/* Sleeps until its device falls. */
DEVICE_ROLE(sleeper)
{
    endpoint b(on(1));
    pollfd fd = {b.context->async_fd, POLLIN, 0};

    parent.put(b.addr());
    EXPECT_EQ(1, poll(&fd, 1, HANG_SEC * 1000));
    EXPECT_EQ(IBV_EVENT_DEVICE_FATAL, take_event(b.context).event_type);
    expect_commands_fail(b);
    bury(b);
    parent.put(1);
    parent.get<int>();
    handle<ibv_context> context = open_named("efa_1");
    endpoint again(on(1), context.get());
    again.recv(1, 0, 100);
    parent.put(again.addr());
    EXPECT_EQ(0u, again.wait()[0].vendor_err);
    return 0;
}

DEVICE_ROLE(fatal_elsewhere)
{
    endpoint a(on(0));
    child other("sleeper");
    address to = other.to->get<address>();

    inject("fatal dev=1");
    other.to->get<int>();
    EXPECT_EQ((uint32_t)STATUS_UNREACH, send_status(a, to));
    inject("return dev=1");
    other.to->put(1);
    to = other.to->get<address>();
    EXPECT_EQ(0u, send_status(a, to));
    EXPECT_EQ(0, other.join());
    return 0;
}

/* Sends numbered messages until one fails; says how many succeeded. */
DEVICE_ROLE(counter)
{
    endpoint a(on(0));
    uint32_t done = 0, failed = 0, next = 0;

    for (;;) {
        address to = parent.get<address>();

        if (to.qpn == 0) {
            return 0;
        }
        done = failed = next = 0;
        wait_until([&] { return (failed > 0) && (done + failed == next); },
                   [&] {
            for (; (failed == 0) && (next - done < 16); ++next) {
                send_args args;
                args.sgl = {a.sge(0, 2000)};
                a.send(to, args);
            }
            for (const completion &c : a.poll()) {
                ++*(c.vendor_err ? &failed : &done);
            }
        },
                   "the end of the device");
        parent.put(done);
    }
}

/* A message whose sender has status 0 is in the receiver's ring, when the
 * receiver reads the event, and no other comes later. */
DEVICE_ROLE(fatal_in_traffic)
{
    child other("counter");

    for (unsigned round = 0; round < harness::scaled(30); ++round) {
        handle<ibv_context> context = open_named("efa_1");
        endpoint b(on(1), context.get());
        uint32_t got = 0, sent;
        bool fatal   = false;

        for (unsigned i = 0; i < b.cfg.recv_wr; ++i) {
            b.recv(i, 0, 2000);
        }
        other.to->put(b.addr());
        wait_until([&] { return fatal; },
                   [&] {
            for (const completion &c : b.poll()) {
                EXPECT_EQ(0u, c.vendor_err);
                b.recv(c.wr_id, 0, 2000);
                ++got;
            }
            if (got >= 10 + round * 7) {
                inject("fatal dev=1 return=1us");
                fatal = readable(b.context);
            }
        },
                   "the event");
        for (unsigned empty = 0; empty < 2;) {
            unsigned more = b.poll().size();
            empty += (more == 0);
            got += more;
        }
        sent = other.to->get<uint32_t>();
        /* One more may be there: received, and its sender has not heard of
         * it. It cannot be 16, as each completion is written at once. */
        EXPECT_LE(sent, got);
        EXPECT_LE(got, sent + 16);
        b.expect_silence(10);
        bury(b);
    }
    other.to->put(address());
    EXPECT_EQ(0, other.join());
    return 0;
}

/* A queue pair that falls by itself, its neighbour, its device and its peers */
DEVICE_ROLE(qp_error)
{
    endpoint a(on(0)), b(on(1)), neighbour(on(1), b.context, b.pd);
    ibv_qp_attr attr;
    ibv_qp_init_attr init;

    expect_delivery(a, b, 1);
    b.recv(1, 0, 100);
    b.recv(2, 0, 100);
    b.send(a.addr(), 3, 0, 10); /* waits: a has no request */
    b.expect_silence(10);

    inject("qp_error dev=1 qp=" + std::to_string(b.qp->qp_num));
    ibv_async_event event = take_event(b.context);
    EXPECT_EQ(IBV_EVENT_QP_FATAL, event.event_type);
    EXPECT_EQ(b.qp.get(), event.element.qp);

    std::set<uint64_t> flushed;
    for (const completion &c : b.wait(3)) {
        EXPECT_EQ((uint32_t)STATUS_FLUSHED, c.vendor_err);
        flushed.insert(c.wr_id);
    }
    EXPECT_EQ((std::set<uint64_t>{1, 2, 3}), flushed);
    b.send(a.addr(), 4, 0, 10);
    EXPECT_EQ((uint32_t)STATUS_FLUSHED, b.wait()[0].vendor_err);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_QPN, send_status(a, b.addr()));
    expect_delivery(a, neighbour, 2);
    expect_delivery(neighbour, a, 3);

    /* libefa learns the state here, and takes no more sends */
    EXPECT_EQ(0, ibv_query_qp(b.qp.get(), &attr, IBV_QP_STATE, &init));
    EXPECT_EQ(IBV_QPS_ERR, attr.qp_state);

    /* As a QP in ERR that the application put there */
    b.to_state(IBV_QPS_RESET);
    b.to_state(IBV_QPS_RTS);
    expect_delivery(a, b, 4);
    expect_delivery(b, a, 5);

    /* Destroyed with its event unread: nobody waits for that one */
    inject("qp_error dev=1 qp=" + std::to_string(b.qp->qp_num));
    EXPECT_TRUE(readable(b.context));
    inject("qp_error dev=1 qp=" + std::to_string(neighbour.qp->qp_num));
    b.qp.reset();
    event = take_event(b.context);
    EXPECT_EQ(neighbour.qp.get(), event.element.qp);
    EXPECT_FALSE(readable(b.context));
    return 0;
}

class device_faults : public ::testing::TestWithParam<const char*> {
};

TEST_P(device_faults, seen)
{
    environment env = {{"SOFTEFA_FABRIC", fresh_fabric()},
                       {"SOFTEFA_DEVICES", "3"},
                       NO_LEAK_CHECK};

    if (std::string(GetParam()) == "fatal_often") {
        env.push_back({"SOFTEFA_LIMITS", "max_qp=2,max_cq=2,max_mr=2,"
                                         "max_pd=2,max_ah=2"});
    }

    child process(GetParam(), env);
    EXPECT_EQ(0, process.join());
}

INSTANTIATE_TEST_SUITE_P(all, device_faults,
                         ::testing::Values("fatal", "fatal_often", "fatal_rdma",
                                           "fatal_elsewhere",
                                           "fatal_in_traffic", "qp_error"),
                         [](const ::testing::TestParamInfo<const char*> &i) {
                             return std::string(i.param);
                         });

} // namespace
