/*
 * Waiting for a lock that processes share, and never without an end.
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
 * No pthread_mutex_timedlock(): valgrind refuses the futex call behind it.
 */
#define _GNU_SOURCE
#include "fabric/lock.h"
#include "base/clock.h"
#include "base/log.h"
#include "fabric/fabric.h"
#include "fabric/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
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

void softefa_lock_init(softefa_lock_t *lock)
{
    pthread_mutexattr_t attr;

    if (lock->ready) {
        return;
    }

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&lock->mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    lock->ready = 1;
}

/* The thread that has it, 0: nobody. The word that the kernel knows: the owner
 * that glibc notes beside it comes later and goes earlier. */
static inline int lock_holder(const softefa_lock_t *lock)
{
    return __atomic_load_n(&lock->mutex.__data.__lock, __ATOMIC_RELAXED) &
           FUTEX_TID_MASK;
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
    return stuck_since(lock_holder(lock)) != 0;
}

/* 0, EOWNERDEAD or EBUSY: the holder is stuck. */
static int lock_wait(softefa_lock_t *lock)
{
    static const struct timespec nap = {.tv_nsec = NAP_NS};
    uint64_t start                   = 0;
    uint64_t now;
    unsigned round;
    int holder, ret;

    for (round = 1;; ++round) {
        holder = lock_holder(lock);
        if (stuck_since(holder) != 0) {
            return EBUSY;
        }

        if (round > SPINS) {
            nanosleep(&nap, NULL);
        }

        ret = pthread_mutex_trylock(&lock->mutex);
        if (ret != EBUSY) {
            return ret;
        }

        if ((round % LOOK_ROUNDS) != 0) {
            continue;
        }

        now   = softefa_clock_coarse();
        start = (start == 0) ? now : start;
        if ((holder != 0) && (holder == lock_holder(lock)) &&
            (softefa_thread_stopped(holder) || (now - start > HOLD_NS)) &&
            (holder == lock_holder(lock))) {
            stuck_note(holder, now);
            return EBUSY;
        }
    }
}

int softefa_lock_slow(softefa_lock_t *lock, int ret)
{
    if (ret == EBUSY) {
        ret = lock_wait(lock);
    }

    switch (ret) {
    case 0:
    case EBUSY:
        return ret;
    case EOWNERDEAD:
        pthread_mutex_consistent(&lock->mutex);
        return EOWNERDEAD;
    default:
        /* Nothing else can come back: a lock is made consistent at once, so
         * it never becomes unrecoverable, and no thread takes one twice. */
        softefa_error("a lock of fabric %s is damaged (%s); end its processes "
                      "and start again",
                      softefa_fabric.dir, strerror(ret));
        return EBUSY;
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
        holder = lock_holder(lock);
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
