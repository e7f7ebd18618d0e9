/*
 * SIGSEGV of doorbells that trap, in programs that have the signal for themselves,
 * block it, handle it on a stack of their own, fork, or exec.
 */
#include "direct_test.h"

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>

namespace device {

/* Rings its doorbell by a store, and by nothing else. */
struct ringer {
    ringer()
    {
        EXPECT_EQ(0, query_qp(a.qp.get(), &sq, &rq));
        EXPECT_EQ(0, efadv_query_ah(a.ah(b.addr()), &ah, sizeof(ah)));
    }

    void ring()
    {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        *(volatile uint32_t *)sq.doorbell = count;
    }

    /* As many messages with one doorbell arrive. */
    void talk(unsigned messages = 1)
    {
        for (unsigned i = 0; i < messages; ++i) {
            b.recv(i, i * 64, 64);
            write_send(sq, count++, b.qp->qp_num, ah.ahn, i);
        }
        ring();
        EXPECT_EQ(messages, b.wait(messages).size());
    }

    static config small()
    {
        config cfg;

        cfg.send_wr = 64;
        return cfg;
    }

    endpoint      a{small()}, b;
    wq_attr       sq    = {}, rq = {};
    efadv_ah_attr ah    = {};
    uint32_t      count = 0;
};

namespace {

sigjmp_buf jump;
int        calls;
bool       was_on_stack;

void on_fault(int, siginfo_t *info, void *context)
{
    ++calls;
    was_on_stack = !(((ucontext_t *)context)->uc_stack.ss_flags & SS_DISABLE);
    EXPECT_EQ((void *)8, info->si_addr);

    /* What it asked for, and no more */
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    EXPECT_FALSE(sigismember(&blocked, SIGUSR1));
    EXPECT_TRUE(sigismember(&blocked, SIGUSR2));
    siglongjmp(jump, 1);
}

void on_fault_plain(int)
{
    ++calls;
    siglongjmp(jump, 1);
}

/* What the program had is back when the test ends. */
class signals : public ::testing::Test {
protected:
    void SetUp() override
    {
        calls = 0;
        sigaction(SIGSEGV, nullptr, &m_action);
        pthread_sigmask(SIG_SETMASK, nullptr, &m_mask);
    }

    void TearDown() override
    {
        sigaction(SIGSEGV, &m_action, nullptr);
        pthread_sigmask(SIG_SETMASK, &m_mask, nullptr);
    }

    static struct sigaction handler(int flags = 0)
    {
        struct sigaction action = {};

        action.sa_sigaction = on_fault;
        action.sa_flags     = SA_SIGINFO | flags;
        sigaddset(&action.sa_mask, SIGUSR2);
        return action;
    }

    /* A fault of the program's own is the program's. */
    static void expect_own(int times = 1)
    {
        sigset_t before, after;

        pthread_sigmask(SIG_SETMASK, nullptr, &before);
        if (sigsetjmp(jump, 1) == 0) {
            *(volatile int *)8 = 1;
        }
        EXPECT_EQ(times, calls);
        pthread_sigmask(SIG_SETMASK, nullptr, &after);
        EXPECT_EQ(0, memcmp(&before, &after, sizeof(long)));
    }

private:
    struct sigaction m_action;
    sigset_t         m_mask;
};

} // namespace

TEST_F(signals, handler_of_before)
{
    struct sigaction own = handler(), told;

    ASSERT_EQ(0, sigaction(SIGSEGV, &own, nullptr));
    ringer r;
    r.talk();
    expect_own();
    r.talk();
    ASSERT_EQ(0, sigaction(SIGSEGV, nullptr, &told));
    EXPECT_EQ((void *)on_fault, (void *)told.sa_sigaction);
}

TEST_F(signals, handler_of_afterwards)
{
    struct sigaction own = handler(), told;
    ringer r;

    r.talk();
    ASSERT_EQ(0, sigaction(SIGSEGV, &own, nullptr));
    r.talk();
    expect_own();
    r.talk();
    ASSERT_EQ(0, sigaction(SIGSEGV, nullptr, &told));
    EXPECT_EQ((void *)on_fault, (void *)told.sa_sigaction);
    EXPECT_EQ(SA_SIGINFO, told.sa_flags & SA_SIGINFO);
}

TEST_F(signals, old_interface)
{
    ringer r;

    EXPECT_NE(SIG_ERR, signal(SIGSEGV, on_fault_plain));
    r.talk();
    expect_own();
    EXPECT_EQ(on_fault_plain, signal(SIGSEGV, SIG_IGN));
    r.talk();
    raise(SIGSEGV); /* ignored, as it was sent */
    r.talk();
    EXPECT_EQ(SIG_IGN, signal(SIGSEGV, SIG_DFL));
    r.talk();
}

/* A library that goes past whoever stands in front of libc */
TEST_F(signals, handler_that_nobody_told)
{
    struct sigaction own = handler();
    void *libc           = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    auto libc_sigaction  = (decltype(&sigaction))dlsym(libc, "sigaction");
    ringer r;

    r.talk();
    ASSERT_EQ(0, libc_sigaction(SIGSEGV, &own, nullptr));
    ringer next; /* looks */
    r.talk();
    next.talk();
    expect_own();
}

/* Its own choice of what is blocked meanwhile, once, and the default then */
TEST_F(signals, flags_of_a_handler)
{
    struct sigaction own = handler(SA_RESETHAND), told;
    ringer r;

    ASSERT_EQ(0, sigaction(SIGSEGV, &own, nullptr));
    expect_own();
    ASSERT_EQ(0, sigaction(SIGSEGV, nullptr, &told));
    EXPECT_EQ(SIG_DFL, told.sa_handler);
    r.talk();
}

/* All signals are blocked, before the first doorbell (in a process that has none
 * yet) or after. */
DEVICE_ROLE(ring_blocked)
{
    sigset_t all;

    sigfillset(&all);
    EXPECT_EQ(0, pthread_sigmask(SIG_BLOCK, &all, nullptr));
    ringer r;
    r.talk();
    return ::testing::Test::HasFailure();
}

TEST_F(signals, blocked)
{
    sigset_t all, now;
    child other("ring_blocked");

    EXPECT_EQ(0, other.join());
    sigfillset(&all);
    ringer r;
    ASSERT_EQ(0, pthread_sigmask(SIG_SETMASK, &all, nullptr));
    r.talk();
    ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &all, nullptr));
    r.talk();
    ASSERT_EQ(0, pthread_sigmask(SIG_SETMASK, nullptr, &now));
    EXPECT_TRUE(sigismember(&now, SIGUSR1));

    /* Inherited */
    std::thread([&]() { r.talk(); }).join();
}

/* A stack for handlers that is just large enough for one that does nothing: the
 * model needs more, and has the thread's own. */
TEST_F(signals, small_stack)
{
    size_t page          = sysconf(_SC_PAGESIZE);
    size_t size          = getauxval(AT_MINSIGSTKSZ) + 1536;
    struct sigaction own = handler(SA_ONSTACK);
    stack_t stack        = {}, before;

    /* Below it, nothing */
    size            = std::max(size, (size_t)MINSIGSTKSZ);
    size_t room     = (size + page - 1) / page * page;
    uint8_t *memory = (uint8_t *)mmap(nullptr, page + room, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(MAP_FAILED, memory);
    ASSERT_EQ(0, mprotect(memory + page, room, PROT_READ | PROT_WRITE));
    memset(memory + page, 0x5a, room);
    stack.ss_sp   = memory + page + room - size;
    stack.ss_size = size;
    ASSERT_EQ(0, sigaltstack(&stack, &before));
    ASSERT_EQ(0, sigaction(SIGSEGV, &own, nullptr));

    ringer r;
    for (unsigned i = 0; i < 50; ++i) {
        r.talk(16);
    }
    expect_own();
    EXPECT_TRUE(was_on_stack);
    for (uint8_t *byte = memory + page; byte < stack.ss_sp; ++byte) {
        ASSERT_EQ(0x5a, *byte) << "beyond the stack";
    }

    before.ss_flags = SS_DISABLE;
    EXPECT_EQ(0, sigaltstack(&before, nullptr));
    munmap(memory, page + room);
}

/* Several threads ring while another one changes the handler. */
TEST_F(signals, threads)
{
    std::vector<std::unique_ptr<ringer>> ringers;
    std::vector<std::thread> threads;
    std::atomic<unsigned> left{4};

    for (unsigned i = 0; i < left; ++i) {
        ringers.emplace_back(new ringer);
    }
    for (auto &r : ringers) {
        threads.emplace_back([&r, &left]() {
            for (unsigned i = 0; i < 300; ++i) {
                r->talk(1 + i % 3);
            }
            --left;
        });
    }
    while (left > 0) {
        struct sigaction own = handler(), told;

        EXPECT_EQ(0, sigaction(SIGSEGV, &own, nullptr));
        EXPECT_EQ(0, sigaction(SIGSEGV, nullptr, &told));
        EXPECT_EQ((void *)on_fault, (void *)told.sa_sigaction);
        signal(SIGSEGV, SIG_DFL);
        std::this_thread::yield();
    }
    for (std::thread &t : threads) {
        t.join();
    }
}

/* A child's store rings nothing, and its own objects work; the parent's, too. */
TEST_F(signals, fork)
{
    softefa_direct_qp_t direct = {sizeof(direct), nullptr, nullptr, nullptr};
    ringer r;

    ASSERT_EQ(0, direct_qp(r.a.qp.get(), &direct));
    r.talk();
    for (unsigned round = 0; round < 3; ++round) {
        pid_t pid = ::fork();

        ASSERT_GE(pid, 0);
        if (pid == 0) {
            r.count = 0x7777;
            r.ring();
            ringer own;
            own.talk(3);
            _exit(::testing::Test::HasFailure());
        }

        int status = -1;
        ASSERT_EQ(pid, waitpid(pid, &status, 0));
        EXPECT_EQ(0, status);
        EXPECT_EQ(r.count, *(volatile uint32_t *)direct.sq_doorbell);
        r.talk(2);
    }
}

/* Another program in this process, where nothing is prepared. */
DEVICE_ROLE(ring_after_exec)
{
    ringer r;

    r.talk(5);
    return ::testing::Test::HasFailure();
}

TEST_F(signals, exec)
{
    struct sigaction own = handler();
    ringer r;

    r.talk();
    ASSERT_EQ(0, sigaction(SIGSEGV, &own, nullptr));
    child other("ring_after_exec");
    EXPECT_EQ(0, other.join());
    r.talk();
}

/* A signal that was sent ends the process, as ever. */
TEST_F(signals, sent)
{
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
            {
                ringer r;
                signal(SIGSEGV, SIG_DFL);
                r.talk();
                kill(getpid(), SIGSEGV);
                for (unsigned i = 0; i < 1000; ++i) {
                    usleep(10000);
                }
            },
            ::testing::KilledBySignal(SIGSEGV), "");
}

} // namespace device
