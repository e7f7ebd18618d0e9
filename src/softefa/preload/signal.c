/*
 * One signal, two users: SIGSEGV is of doorbells that trap (doorbell.c), and
 * the program's own.
 *
 *   fault --> trap() --> a doorbell: done
 *                  \---> pass_on() --> what the program has installed
 *
 *   sigaction(), signal()             what the program installs later is kept
 *                                     for pass_on(), and told as installed
 *   pthread_sigmask(), sigprocmask()  SIGSEGV is not blocked any more: of a
 *                                     fault while it is the process would die
 *   alternate stack                   the program's, of a size for its own
 *                                     handler: the model runs on the one below
 *
 * All of this begins with the first doorbell that traps; programs without do
 * not notice. Libraries may have functions of these names, too (libucs),
 * and may go past ours: so libc's are called, and begin() looks each time.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include "preload/signal.h"
#include "base/util.h"
#include "preload/real.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

typedef int (*signal_action_t)(int, const struct sigaction *,
                               struct sigaction *);
typedef int (*signal_mask_t)(int, const sigset_t *, sigset_t *);

static struct {
    signal_action_t  action;         /* libc's */
    signal_mask_t    mask;
    void             (*trap)(int, siginfo_t *, void *);
    struct sigaction program;        /* what it believes to be installed */
    atomic_flag      lock;           /* of the last one; all signals blocked */
    atomic_bool      on;
} signals = {.lock = ATOMIC_FLAG_INIT};

static void signal_lock(sigset_t *saved)
{
    sigset_t all;

    sigfillset(&all);
    signals.mask(SIG_SETMASK, &all, saved);
    while (atomic_flag_test_and_set_explicit(&signals.lock,
                                             memory_order_acquire)) {
    }
}

static void signal_unlock(const sigset_t *saved)
{
    atomic_flag_clear_explicit(&signals.lock, memory_order_release);
    signals.mask(SIG_SETMASK, saved, NULL);
}

/* Locked. What overflows a stack must still find the other one. No other signal
 * comes while the model runs: it may be left by a jump. */
static void signal_install(void)
{
    struct sigaction action = {
        .sa_sigaction = signals.trap,
        .sa_flags     = SA_SIGINFO | SA_NODEFER |
                    (signals.program.sa_flags & SA_ONSTACK)
    };

    sigfillset(&action.sa_mask);
    signals.action(SIGSEGV, &action, NULL);
}

static bool signal_is_trap(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) &&
           (action->sa_sigaction == signals.trap);
}

void softefa_signal_begin(void (*trap)(int, siginfo_t *, void *))
{
    struct sigaction now;
    sigset_t saved, segv;

    if (signals.action == NULL) {
        void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

        signals.mask   = (signal_mask_t)dlsym(libc, "pthread_sigmask");
        signals.action = (signal_action_t)dlsym(libc, "sigaction");
        signals.trap   = trap;
    }

    signal_lock(&saved);
    signals.action(SIGSEGV, NULL, &now);
    if (!signal_is_trap(&now)) {
        signals.program = now;
        signal_install();
    }
    atomic_store(&signals.on, true);
    signal_unlock(&saved);

    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    signals.mask(SIG_UNBLOCK, &segv, NULL);
}

void softefa_signal_fork_child(void)
{
    atomic_flag_clear(&signals.lock);
}

/* ---- a fault ---- */

/* Sent by somebody, not caused by this thread: without a handler it would not
 * happen again by itself. */
static bool signal_was_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

static void signal_die(const siginfo_t *info, const struct sigaction *program)
{
    signals.action(SIGSEGV, program, NULL);
    if (signal_was_sent(info)) {
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSEGV);
    }
}

void softefa_signal_pass_on(int signal, siginfo_t *info, void *arg)
{
    ucontext_t *context = arg;
    struct sigaction program;
    sigset_t saved, mask;

    signal_lock(&saved);
    program = signals.program;
    if (program.sa_flags & (int)SA_RESETHAND) {
        signals.program.sa_flags &= ~SA_SIGINFO;
        signals.program.sa_handler = SIG_DFL;
    }
    signal_unlock(&saved);

    if (!(program.sa_flags & SA_SIGINFO) &&
        ((program.sa_handler == SIG_DFL) || (program.sa_handler == SIG_IGN))) {
        if ((program.sa_handler == SIG_DFL) || !signal_was_sent(info)) {
            signal_die(info, &program);
        }
        return;
    }

    /* What would be blocked without us */
    sigorset(&mask, &context->uc_sigmask, &program.sa_mask);
    signals.mask(SIG_SETMASK, &mask, NULL);
    if (program.sa_flags & SA_SIGINFO) {
        program.sa_sigaction(signal, info, arg);
    } else {
        program.sa_handler(signal);
    }
}

/* ---- stacks ---- */

#if defined(__x86_64__)

static uintptr_t signal_stack(const ucontext_t *context)
{
    return context->uc_mcontext.gregs[REG_RSP];
}

static __attribute__((noinline)) void
signal_call_on(uintptr_t stack, void (*func)(void *), void *arg)
{
    asm volatile("movq %%rsp, %%rbx\n\t"
                 "movq %[stack], %%rsp\n\t"
                 "callq *%[func]\n\t"
                 "movq %%rbx, %%rsp"
                 : "+D"(arg)
                 : [stack] "r"(stack), [func] "r"(func)
                 : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11",
                   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                   "xmm14", "xmm15", "cc", "memory");
}

#elif defined(__aarch64__)

static uintptr_t signal_stack(const ucontext_t *context)
{
    return context->uc_mcontext.sp;
}

static __attribute__((noinline)) void
signal_call_on(uintptr_t stack, void (*func)(void *), void *arg)
{
    register void *x0 asm("x0") = arg;

    asm volatile("mov x19, sp\n\t"
                 "mov sp, %[stack]\n\t"
                 "blr %[func]\n\t"
                 "mov sp, x19"
                 : "+r"(x0)
                 : [stack] "r"(stack), [func] "r"(func)
                 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
                   "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18",
                   "x19", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",
                   "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
                   "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
                   "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc",
                   "memory");
}

#else

static uintptr_t signal_stack(const ucontext_t *context)
{
    (void)context;
    return 0;
}

static void signal_call_on(uintptr_t stack, void (*func)(void *), void *arg)
{
    (void)stack;
    func(arg);
}

#endif

void softefa_signal_call(const void *arg, void (*func)(void *), void *func_arg)
{
    enum {
        RED_ZONE = 256
    }; /* what leaf functions keep below it */
    const ucontext_t *context = arg;
    uintptr_t begin           = (uintptr_t)context->uc_stack.ss_sp;
    uintptr_t size            = context->uc_stack.ss_size;
    uintptr_t here            = (uintptr_t)__builtin_frame_address(0);
    uintptr_t below           = signal_stack(context);

    if (!(context->uc_stack.ss_flags & SS_DISABLE) && (here - begin < size) &&
        (below - begin >= size)) {
        signal_call_on((below - RED_ZONE) & ~(uintptr_t)15, func, func_arg);
    } else {
        func(func_arg);
    }
}

/* ---- what the program asks libc for ---- */

/* ThreadSanitizer stands for these functions itself, and calls the next ones
 * before anything that it has instrumented can run. */
#ifndef __SANITIZE_THREAD__

EXPORT int sigaction(int number, const struct sigaction *action,
                     struct sigaction *old)
{
    struct sigaction given, now;
    sigset_t saved;

    if ((number != SIGSEGV) || !atomic_load(&signals.on)) {
        return REAL(sigaction)(number, action, old);
    }

    if (action != NULL) {
        given = *action;
    }
    signal_lock(&saved);
    now = signals.program;
    if (action != NULL) {
        signals.program = given;
        signal_install();
    }
    signal_unlock(&saved);

    if (old != NULL) {
        *old = now;
    }
    return 0;
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction old;

    if ((number != SIGSEGV) || (handler == SIG_ERR) ||
        !atomic_load(&signals.on)) {
        return REAL(signal)(number, handler);
    }

    sigaddset(&action.sa_mask, SIGSEGV);
    sigaction(SIGSEGV, &action, &old);
    return old.sa_handler;
}

/* The set that is meant */
static const sigset_t *signal_filter(int how, const sigset_t *set,
                                     sigset_t *copy)
{
    if ((set == NULL) || (how == SIG_UNBLOCK) || !atomic_load(&signals.on)) {
        return set;
    }

    *copy = *set;
    sigdelset(copy, SIGSEGV);
    return copy;
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t copy;

    return REAL(pthread_sigmask)(how, signal_filter(how, set, &copy), old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t copy;

    return REAL(sigprocmask)(how, signal_filter(how, set, &copy), old);
}

#endif
