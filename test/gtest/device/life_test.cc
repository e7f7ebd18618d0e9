/*
 * Processes that talk, die and fork, and what they leave behind.
 */
#include "verbs_test.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <cstddef>
#include <dirent.h>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace device {

/* --- one process, in a container that is stricter than others ----------- */

/* Copying between processes is forbidden: within one it works. */
DEVICE_ROLE(without_process_vm)
{
    sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_writev, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};

    if ((prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ||
        (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)) {
        return 77;
    }

    endpoint a, b;

    b.recv(1, 0, 64);
    a.send(b.addr(), 2, 0, 64);
    b.wait(1, &a);
    a.wait();
    return 0;
}

TEST(containers, process_vm_forbidden)
{
    child process("without_process_vm");
    int status = process.join();

    if (status == 77) {
        GTEST_SKIP() << "this kernel takes no seccomp filter";
    }
    EXPECT_EQ(0, status);
}

/* --- two processes ------------------------------------------------------ */

/* Sends every message back, until one of length 0 comes. */
DEVICE_ROLE(echo)
{
    const size_t slot = 10000;
    config cfg;

    cfg.ud     = parent.get<int>();
    cfg.device = parent.get<int>();
    cfg.buffer = 64 * slot;
    endpoint b(cfg);
    address to     = parent.get<address>();
    size_t prefix  = cfg.ud ? UD_PREFIX : 0;
    bool stop      = false;
    unsigned sends = 0;

    for (unsigned i = 0; i < 32; ++i) {
        b.recv(i, i * slot, slot);
    }
    parent.put(b.addr());
    wait_until([&] { return stop && (sends == 0); },
               [&] {
        for (const completion &c : b.poll()) {
            if (c.status != IBV_WC_SUCCESS) {
                throw std::runtime_error("echo: completion error");
            }
            if (!(c.opcode & IBV_WC_RECV)) {
                /* The buffer is free again. */
                b.recv(c.wr_id, c.wr_id * slot, slot);
                sends--;
                continue;
            }
            if (c.byte_len == prefix) {
                stop = true;
                continue;
            }
            send_args args;
            args.wr_id   = c.wr_id;
            args.has_imm = c.has_imm;
            args.imm     = c.imm + 1;
            args.sgl = {b.sge(c.wr_id * slot + prefix, c.byte_len - prefix)};
            b.send(to, args);
            sends++;
        }
    },
               "the end of the echo");
    return 0;
}

typedef std::tuple<bool, unsigned> process_param;

class two_processes : public ::testing::TestWithParam<process_param> {
};

TEST_P(two_processes, echo)
{
    const bool ud       = std::get<0>(GetParam());
    const size_t prefix = ud ? UD_PREFIX : 0;
    config cfg;
    cfg.ud     = ud;
    cfg.buffer = 1 << 18;
    endpoint a(cfg);
    child other("echo");

    other.to->put((int)ud);
    other.to->put((int)std::get<1>(GetParam()));
    other.to->put(a.addr());
    address to = other.to->get<address>();

    for (uint32_t i = 0; i < harness::scaled(2000); ++i) {
        uint32_t length = 1 + (i * 37) % 8928;
        send_args args;

        args.has_imm = true;
        args.imm     = i * 2;
        args.sgl     = {a.sge(0, length)};
        fill(a.buffer.data(), length, i);
        a.recv(i, 100000, 10000);
        a.send(to, args);
        /* The answer may come before the completion of the question. */
        for (const completion &c : a.wait(2)) {
            ASSERT_EQ(IBV_WC_SUCCESS, c.status) << c.vendor_err;
            if (c.opcode & IBV_WC_RECV) {
                ASSERT_EQ(length + prefix, c.byte_len);
                ASSERT_EQ(i * 2 + 1, c.imm);
                check(a.buffer.data() + 100000 + prefix, length, i);
            }
        }
    }
    a.send(to, 1, 0, 0);
    a.wait();
    EXPECT_EQ(0, other.join());
}

/* UD or SRD; the other process on the same or the second device */
INSTANTIATE_TEST_SUITE_P(all, two_processes,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(0u, 1u)));

struct region {
    address  addr;
    uint64_t start;
    uint32_t rkey, length;
};

DEVICE_ROLE(own_memory)
{
    config cfg;
    address reader = parent.get<address>();

    cfg.rdma   = true;
    cfg.access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
    cfg.buffer = 3 << 20;
    cfg.device = 1;
    endpoint b(cfg);
    region r = {b.addr(), (uintptr_t)b.buffer.data(), b.mr->rkey, 3 << 20};

    b.ah(reader);
    fill(b.buffer.data(), cfg.buffer, 4711);
    parent.put(r);
    return parent.get<int>(); /* the device answers, not the process */
}

TEST(two_processes_rdma, read)
{
    config cfg;
    cfg.rdma   = true;
    cfg.buffer = 3 << 20;
    endpoint a(cfg);
    child other("own_memory");

    other.to->put(a.addr());
    region r = other.to->get<region>();
    for (uint32_t length : {1u, 64u, 4096u, 8929u, 1u << 20, 3u << 20}) {
        a.read(r.addr, 1, a.sge(0, length), r.start, r.rkey);
        ASSERT_EQ(0u, a.wait()[0].vendor_err);
        check(a.buffer.data(), length, 4711);
        memset(a.buffer.data(), 0, length);
    }
    /* Its memory is safe from a reader that guesses. */
    a.read(r.addr, 1, a.sge(0, 64), r.start + r.length - 63, r.rkey);
    EXPECT_EQ((uint32_t)STATUS_REM_BAD_ADDRESS, a.wait()[0].vendor_err);
    other.to->put(0);
    EXPECT_EQ(0, other.join());
}

/* --- sudden death ------------------------------------------------------- */

/* Sends to the parent and takes what it sends, for ever. */
DEVICE_ROLE(traffic)
{
    address to = parent.get<address>();
    config cfg;
    unsigned inflight = 0;

    cfg.device = parent.get<int>();
    endpoint b(cfg);
    for (unsigned i = 0; i < 32; ++i) {
        b.recv(i, i * 1024, 1024);
    }
    parent.put(b.addr());
    for (;;) {
        while (inflight < 16) {
            b.send(to, 1000, 40000, 700);
            inflight++;
        }
        for (const completion &c : b.poll()) {
            if (c.opcode & IBV_WC_RECV) {
                b.recv(c.wr_id, c.wr_id * 1024, 1024);
            } else {
                inflight--;
            }
        }
    }
}

/* The first peer gets messages until the moment it is killed; the sends that
 * are under way end, well or with the status of a peer that has gone. */
static void kill_in_traffic(endpoint &a, unsigned device, unsigned messages)
{
    child peer("traffic");
    unsigned inflight = 0, got = 0;
    uint32_t error = 0;
    address to;

    peer.to->put(a.addr());
    peer.to->put((int)device);
    to = peer.to->get<address>();

    wait_until([&] { return (error != 0) && (inflight == 0); },
               [&] {
        while ((inflight < 16) && (error == 0)) {
            a.send(to, 500, 40000, 600);
            inflight++;
        }
        for (const completion &c : a.poll()) {
            if (c.opcode & IBV_WC_RECV) {
                ASSERT_EQ(IBV_WC_SUCCESS, c.status);
                a.recv(c.wr_id, c.wr_id * 1024, 1024);
                if (++got == messages) {
                    peer.kill9();
                }
            } else {
                inflight--;
                error = error ? error : c.vendor_err;
            }
        }
    },
               "an error from the dead peer");
    EXPECT_TRUE((error == STATUS_REM_BAD_QPN) || (error == STATUS_REM_UNRESP) ||
                (error == STATUS_UNREACH))
            << error;
}

class death : public ::testing::TestWithParam<unsigned> {
};

TEST_P(death, in_the_middle_of_traffic)
{
    endpoint a;

    for (unsigned i = 0; i < 32; ++i) {
        a.recv(i, i * 1024, 1024);
    }
    for (unsigned round = 0; round < harness::scaled(50); ++round) {
        SCOPED_TRACE("round " + std::to_string(round));
        kill_in_traffic(a, GetParam(), 1 + round * 5);
        if (HasFatalFailure()) {
            return;
        }
    }

    /* Later starts are unhurt: traffic, and every place of the device. */
    std::vector<handle<ibv_qp>> qps;
    handle<ibv_context> context = open_device(GetParam());
    handle<ibv_pd> pd           = alloc_pd(context.get());
    handle<ibv_cq> cq           = create_cq(context.get());
    int taken                   = (GetParam() == 0) ? 1 : 0,
        max_qp                  = device_attr(context.get()).max_qp;
    for (int i = taken; i < max_qp; ++i) {
        qps.emplace_back(try_create_qp(pd.get(), cq.get(), false,
                                       {8, 8, 1, 1, 0}));
        ASSERT_TRUE(qps.back()) << i << ": " << strerror(errno);
    }
    qps.clear();
    endpoint c, d;
    for (unsigned i = 0; i < 1000; ++i) {
        d.recv(i, 0, 64);
        c.send(d.addr(), i, 0, 64);
        ASSERT_EQ(IBV_WC_SUCCESS, c.wait()[0].status);
        d.wait();
    }
}

INSTANTIATE_TEST_SUITE_P(device, death, ::testing::Values(0u, 1u));

/* A receiver dies while a message waits for its receive. */
DEVICE_ROLE(never_receive)
{
    endpoint b;

    parent.put(b.addr());
    return parent.get<int>();
}

TEST(death_of, a_receiver_not_ready)
{
    endpoint a;
    child peer("never_receive");
    address to = peer.to->get<address>();

    a.send(to, 1, 0, 64);
    a.expect_silence();
    peer.kill9();
    EXPECT_NE(0u, a.wait()[0].vendor_err);
}

/* Killed while it held everything the device has. */
DEVICE_ROLE(hold_everything)
{
    handle<ibv_context> context = open_device();
    ibv_device_attr attr        = device_attr(context.get());
    handle<ibv_pd> pd           = alloc_pd(context.get());
    handle<ibv_cq> cq           = create_cq(context.get());
    std::vector<handle<ibv_qp>> qps;
    std::vector<handle<ibv_ah>> ahs;
    std::vector<handle<ibv_pd>> pds;
    std::vector<handle<ibv_cq>> cqs;
    std::vector<handle<ibv_mr>> mrs;
    char memory[64];

    for (int i = 0; i < attr.max_qp; ++i) {
        qps.emplace_back(try_create_qp(pd.get(), cq.get(), i & 1,
                                       {8, 8, 1, 1, 0}));
    }
    for (int i = 0; i < attr.max_ah; ++i) {
        ahs.push_back(create_ah(pd.get(), made_up_gid(i)));
    }
    for (int i = 1; i < attr.max_pd; ++i) {
        pds.push_back(alloc_pd(context.get()));
    }
    for (int i = 1; i < attr.max_cq; ++i) {
        cqs.push_back(create_cq(context.get()));
    }
    for (int i = 0; i < 10000; ++i) {
        mrs.push_back(reg_mr(pd.get(), memory, sizeof(memory), 0));
    }
    parent.put(0);
    return parent.get<int>();
}

TEST(death_of, a_holder_of_everything)
{
    handle<ibv_context> context = open_device();

    for (int round = 0; round < 3; ++round) {
        child holder("hold_everything");

        holder.to->get<int>();
        EXPECT_EQ(nullptr, ibv_alloc_pd(context.get()));
        holder.kill9();
        handle<ibv_pd> pd = alloc_pd(context.get());
        handle<ibv_cq> cq = create_cq(context.get());
        EXPECT_TRUE(handle<ibv_qp>(try_create_qp(pd.get(), cq.get(), false,
                                                 {8, 8, 1, 1, 0})));
        create_ah(pd.get(), made_up_gid(0));
    }
}

/* --- growth ------------------------------------------------------------- */

struct belongings {
    unsigned fds, mappings, files;
    long     blocks; /* of the fabric's files, 512 bytes each */
};

static belongings count_belongings()
{
    belongings b = {};
    std::ifstream maps("/proc/self/maps");
    std::string line;
    struct stat st;

    b.fds = harness::count_fds();
    while (std::getline(maps, line)) {
        /* The heap's own pieces come and go. */
        b.mappings += (line.find('/') != std::string::npos);
    }
    for (const std::string &file : fabric_files()) {
        b.files++;
        b.blocks += stat(file.c_str(), &st) ? 0 : st.st_blocks;
    }
    return b;
}

static void open_use_close(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; ++i) {
        endpoint a, b;
        config cfg;
        cfg.ud = true;
        endpoint ud(cfg);

        b.recv(i, 0, 64);
        a.send(b.addr(), i, 0, 64);
        a.wait();
        b.wait();
    }
}

TEST(growth, of_open_and_close)
{
    open_use_close(50);
    belongings before = count_belongings();
    open_use_close(harness::scaled(1000));
    belongings after = count_belongings();

    EXPECT_EQ(before.fds, after.fds);
    EXPECT_EQ(before.mappings, after.mappings);
    EXPECT_EQ(before.files, after.files);
    EXPECT_EQ(before.blocks, after.blocks);
}

/* The same while another context keeps the device open. */
TEST(growth, beside_an_open_device)
{
    endpoint other;

    open_use_close(50);
    belongings before = count_belongings();
    open_use_close(harness::scaled(1000));
    belongings after = count_belongings();

    EXPECT_EQ(before.fds, after.fds);
    EXPECT_EQ(before.mappings, after.mappings);
    EXPECT_EQ(before.files, after.files);
    EXPECT_EQ(before.blocks, after.blocks);
}

TEST(growth, of_objects)
{
    endpoint e;
    std::vector<uint8_t> memory(4096);
    belongings before = {}, after;

    for (unsigned i = 0; i < 100 + harness::scaled(2000); ++i) {
        if (i == 100) {
            before = count_belongings();
        }
        handle<ibv_pd> pd = alloc_pd(e.context);
        handle<ibv_cq> cq = create_cq(e.context, 64);
        handle<ibv_mr> mr = reg_mr(pd.get(), memory.data(), 4096, 0);
        handle<ibv_ah> ah = create_ah(pd.get(), made_up_gid(i));
        handle<ibv_qp> qp(try_create_qp(pd.get(), cq.get(), i & 1,
                                        {64, 64, 1, 1, 0}));
        ASSERT_TRUE(qp);
        handle<ibv_comp_channel> channel(ibv_create_comp_channel(e.context));
        ASSERT_TRUE(channel);
    }
    after = count_belongings();
    EXPECT_EQ(before.fds, after.fds);
    EXPECT_EQ(before.mappings, after.mappings);
    EXPECT_EQ(before.files, after.files);
    EXPECT_EQ(before.blocks, after.blocks);
}

/* --- what is left ------------------------------------------------------- */

DEVICE_ROLE(come_and_go)
{
    int how = parent.get<int>();

    {
        endpoint a, b;
        b.recv(1, 0, 64);
        a.send(b.addr(), 1, 0, 64);
        a.wait();
        b.wait();
        parent.put((int)fabric_files().size());
        for (const std::string &file : fabric_files()) {
            struct stat st = {};
            EXPECT_EQ(0, lstat(file.c_str(), &st)) << file;
            EXPECT_EQ(geteuid(), st.st_uid) << file;
            if (!S_ISLNK(st.st_mode)) {
                EXPECT_EQ(S_ISDIR(st.st_mode) ? 0700u : 0600u,
                          st.st_mode & 07777)
                        << file;
            }
        }
        if (how == 1) {
            parent.get<int>(); /* killed here */
        } else if (how == 2) {
            exit(::testing::Test::HasFailure());
        } else if (how == 3) {
            _exit(::testing::Test::HasFailure());
        }
    }
    return ::testing::Test::HasFailure();
}

static const std::vector<std::string> none;

static int come_and_go(const std::string &fabric, int how)
{
    child c("come_and_go", {{"SOFTEFA_FABRIC", fabric}});

    c.to->put(how);
    EXPECT_GT(c.to->get<int>(), 0) << "no file while in use?";
    if (how == 1) {
        c.kill9();
        return 0;
    }
    return c.join();
}

TEST(left_behind, nothing_after_the_last_exit)
{
    for (int how : {0, 2, 3}) {
        std::string fabric = fresh_fabric();

        EXPECT_EQ(0, come_and_go(fabric, how)) << how;
        if (how != 3) {
            EXPECT_EQ(none, fabric_files(fabric)) << how;
        }
        EXPECT_EQ(0, come_and_go(fabric, 0));
        EXPECT_EQ(none, fabric_files(fabric)) << how;
    }
}

/* A killed process cannot tidy up; the next one to leave does it. */
TEST(left_behind, nothing_after_a_kill_and_the_next)
{
    std::string fabric = fresh_fabric();

    for (int round = 0; round < 10; ++round) {
        come_and_go(fabric, 1);
    }
    EXPECT_EQ(0, come_and_go(fabric, 0));
    EXPECT_EQ(none, fabric_files(fabric));
}

/* --- fork --------------------------------------------------------------- */

/* The child of a fork goes away in different manners; the parent's objects,
 * and the fabric, are none of its business. */
class after_fork : public ::testing::TestWithParam<int> {
};

TEST_P(after_fork, parent_goes_on)
{
    std::unique_ptr<endpoint> a(new endpoint), b(new endpoint);
    child other("echo");

    other.to->put(0);
    other.to->put(0);
    other.to->put(a->addr());
    address to = other.to->get<address>();

    for (int round = 0; round < 10; ++round) {
        pid_t pid = fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            switch (GetParam()) {
            case 0:
                _exit(0);
            case 1:
                exit(0);
            case 2:
                execl("/bin/true", "true", nullptr);
                _exit(1);
            default:
                kill(getpid(), SIGKILL);
            }
        }
        int status = 0;
        ASSERT_EQ(pid, waitpid(pid, &status, 0));
        EXPECT_EQ(GetParam() == 3 ? SIGKILL : 0, status);

        fill(a->buffer.data(), 500, round);
        b->recv(round, 0, 512);
        a->send(b->addr(), round, 0, 500);
        ASSERT_EQ(IBV_WC_SUCCESS, a->wait()[0].status);
        b->wait();
        check(b->buffer.data(), 500, round);

        a->recv(round, 4096, 512);
        a->send(to, round, 0, 500);
        for (const completion &c : a->wait(2)) {
            ASSERT_EQ(IBV_WC_SUCCESS, c.status);
        }
        check(a->buffer.data() + 4096, 500, round);
    }
    a->send(to, 1, 0, 0);
    a->wait();
    EXPECT_EQ(0, other.join());
    /* Still there, as this process is. */
    EXPECT_EQ(played(), !fabric_files().empty());
}

/* 0: _exit(), 1: exit(), 2: exec, 3: killed */
INSTANTIATE_TEST_SUITE_P(by, after_fork, ::testing::Range(0, 4));

} /* namespace device */
