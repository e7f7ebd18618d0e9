/*
 * A lock is one word: who holds it, zero for nobody. Taking a free one is a
 * compare-and-swap, giving it back a store; the rest is here: waiting for one
 * that is held, and never without an end.
 *
 *   holder             a process that wants the lock
 *   works              waits: it is held for microseconds
 *   died               gets it, and EOWNERDEAD: repairs what it protects
 *   is stopped, or     EBUSY: a message waits as for a receiver without
 *   keeps it HOLD_NS   requests, a completion is written later; commands wait
 *                      PATIENCE_NS for it, then they fail
 *
 * A NIC would not notice that a process was stopped (SIGSTOP, a debugger) in
 * the middle of a send. A thread that was found stopped is known for a while,
 * so that repeated tries do not wait each time.
 *
 * Whether the holder is dead, the one who waits asks (member.c). The word has
 * the slot's generation, so that a holder that died is not taken for the
 * process that has its slot now, nor for a thread that has its number now. A
 * process that joins has no slot yet: it holds the directory's lock meanwhile.
 *
 * Why not pthread's robust mutex: a message takes three, which cost 306
 * instructions, for a list that the kernel walks when a thread ends.
 */
#define _GNU_SOURCE
#include "fabric/lock.h"
#include "base/clock.h"
#include "base/log.h"
#include "fabric/fabric.h"
#include "fabric/member.h"
#include "fabric/thread.h"

#include <time.h>
#include <unistd.h>

#define MS 1000000ull

/* Tries before sleeping: longer than most deliveries; then how long at a time,
 * and tries between two looks at the holder: one that was only preempted is
 * back before, mostly. */
#define SPINS       200
#define NAP_NS      20000
#define LOOK_ROUNDS 256

#define HOLD_NS     (500 * MS)               /* by a thread that runs */
#define KNOWN_NS    (50 * MS)                /* until it is looked at again */
#define PATIENCE_NS (3000 * MS)              /* of a command */
#define COMMAND_NS  (30000 * MS)             /* the same, all together */

/* Threads that hold a lock and are stuck, by thread id. Several threads of
 * this process may write an entry: what they read of it is a hint. */
enum {
    NUM_STUCK = 64                           /* power of two */
};

static struct {
    _Atomic int      tid;
    _Atomic uint64_t since, checked;         /* ns */
} stuck_threads[NUM_STUCK];

static_assert(SOFTEFA_HOLDER_TID_BITS + SOFTEFA_HOLDER_SLOT_BITS +
                              SOFTEFA_HOLDER_GENERATION_BITS ==
                      64,
              "a holder is one word");
static_assert(SOFTEFA_SLOT_JOINING < (1 << SOFTEFA_HOLDER_SLOT_BITS),
              "a holder has no room for the slot");

__thread uint64_t softefa_lock_self
        __attribute__((tls_model("initial-exec")));

/* A holder of this process without its thread's number */
static _Atomic uint64_t lock_process;

void softefa_lock_identify(uint32_t slot, uint32_t generation)
{
    atomic_store(&lock_process,
                 (((uint64_t)generation << SOFTEFA_HOLDER_SLOT_BITS) | slot)
                         << SOFTEFA_HOLDER_TID_BITS);
    softefa_lock_self = 0;
}

void softefa_lock_identify_thread(void)
{
    softefa_lock_self = lock_process | (uint64_t)syscall(SYS_gettid);
}

static inline int holder_tid(uint64_t holder)
{
    return holder & ((1u << SOFTEFA_HOLDER_TID_BITS) - 1);
}

static bool holder_gone(uint64_t holder)
{
    uint64_t member = holder >> SOFTEFA_HOLDER_TID_BITS;

    return softefa_member_gone(member & ((1u << SOFTEFA_HOLDER_SLOT_BITS) - 1),
                               member >> SOFTEFA_HOLDER_SLOT_BITS,
                               holder_tid(holder));
}

static inline uint64_t lock_holder(const softefa_lock_t *lock)
{
    return atomic_load_explicit(&lock->holder, memory_order_relaxed);
}

static void stuck_note(int tid, uint64_t now)
{
    unsigned index = tid % NUM_STUCK;

    if (stuck_threads[index].tid != tid) {
        stuck_threads[index].since = now;
        stuck_threads[index].tid   = tid;
    }
    stuck_threads[index].checked = now;
}

/* Since when (ns) this thread is known to be stuck; 0: it is not */
static uint64_t stuck_since(int tid)
{
    unsigned index = tid % NUM_STUCK;
    uint64_t now;

    if ((tid == 0) || (stuck_threads[index].tid != tid)) {
        return 0;
    }

    now = softefa_clock_coarse();
    if (now - stuck_threads[index].checked > KNOWN_NS) {
        if (!softefa_thread_stopped(tid)) {
            stuck_threads[index].tid = 0;
            return 0;
        }
        stuck_threads[index].checked = now;
    }
    return stuck_threads[index].since;
}

bool softefa_lock_stuck(const softefa_lock_t *lock)
{
    return stuck_since(holder_tid(lock_holder(lock))) != 0;
}

int softefa_lock_slow(softefa_lock_t *lock)
{
    static const struct timespec nap = {.tv_nsec = NAP_NS};
    uint64_t start                   = 0;
    uint64_t last                    = 0;
    uint64_t now, holder;
    unsigned round;

    for (round = 1;; ++round) {
        holder = lock_holder(lock);
        if (holder == 0) {
            if (softefa_lock_take(lock, 0)) {
                return 0;
            }
            continue;
        }

        if (stuck_since(holder_tid(holder)) != 0) {
            return EBUSY;
        }

        if (round < SPINS) {
            softefa_relax();
            continue;
        }

        if (((round % LOOK_ROUNDS) == 0) || (round == SPINS)) {
            if (holder_gone(holder)) {
                if (softefa_lock_take(lock, holder)) {
                    return EOWNERDEAD;
                }
                continue;
            }

            now   = softefa_clock_coarse();
            start = (holder == last) ? start : now;
            last  = holder;
            if ((round > SPINS) &&
                (softefa_thread_stopped(holder_tid(holder)) ||
                 (now - start > HOLD_NS)) &&
                (holder == lock_holder(lock))) {
                stuck_note(holder_tid(holder), now);
                return EBUSY;
            }
        }
        nanosleep(&nap, NULL);
    }
}

void softefa_lock_local_slow(softefa_lock_t *lock)
{
    static const struct timespec nap = {.tv_nsec = MS};

    while (softefa_lock_slow(lock) == EBUSY) {
        nanosleep(&nap, NULL);
    }
}

int softefa_lock_command(softefa_lock_t *lock, const char *what)
{
    static const struct timespec nap = {.tv_nsec = MS};
    static _Atomic int logged; /* of which thread */
    uint64_t start = softefa_clock_now();
    uint64_t now, since;
    int holder, ret;

    while ((ret = softefa_lock(lock)) == EBUSY) {
        now    = softefa_clock_now();
        holder = holder_tid(lock_holder(lock));
        if (holder == (int)syscall(SYS_gettid)) {
            return ETIME; /* exit() in a signal handler */
        }

        since = stuck_since(holder);
        if ((holder != 0) && (((since != 0) && (now > since + PATIENCE_NS)) ||
                              (now > start + COMMAND_NS))) {
            if (atomic_exchange(&logged, holder) != holder) {
                softefa_error("process %d, which holds %s, is stopped or does "
                              "not go on; commands fail until it does (kill "
                              "-CONT %d) or ends (kill -9 %d)",
                              holder, what, holder, holder);
            }
            return ETIME;
        }
        nanosleep(&nap, NULL);
    }

    return ret;
}
