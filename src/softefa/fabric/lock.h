/*
 * A lock in the fabric's memory: robust, and waited for never without an end.
 * See lock.c.
 */
#ifndef SOFTEFA_LOCK_H
#define SOFTEFA_LOCK_H

#include "base/point.h"
#include "base/util.h"
#include "fabric/layout.h"

#include <errno.h>

/* This thread as a holder; 0: it has tried no lock since its process joined.
 * The library is preloaded, so its thread storage is at a fixed place. */
extern __thread uint64_t softefa_lock_self
        __attribute__((tls_model("initial-exec")));

/* Who the process is from now on: the member in `slot`, the generation of which
 * that is, or a process that joins (SOFTEFA_SLOT_JOINING). The calling thread
 * holds no lock as another, and no other thread has one. */
void softefa_lock_identify(uint32_t slot, uint32_t generation);

/* Sets softefa_lock_self. */
void softefa_lock_identify_thread(void);

/* What softefa_lock() does if the lock is not free. */
int softefa_lock_slow(softefa_lock_t *lock);

/* Whether `holder` had it, 0: nobody, and it is this thread's now. */
static inline bool softefa_lock_take(softefa_lock_t *lock, uint64_t holder)
{
    return atomic_compare_exchange_strong_explicit(&lock->holder, &holder,
                                                   softefa_lock_self,
                                                   memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Whether it was free, and is this thread's now. */
static inline bool softefa_lock_try(softefa_lock_t *lock)
{
    if (softefa_unlikely(softefa_lock_self == 0)) {
        softefa_lock_identify_thread();
    }
    return softefa_lock_take(lock, 0);
}

/* 0: taken. EOWNERDEAD: taken, the last holder died with it: repair. EBUSY:
 * not taken, its holder is stopped or makes no progress. */
static inline int softefa_lock(softefa_lock_t *lock)
{
    int ret = softefa_likely(softefa_lock_try(lock)) ? 0 :
                                                       softefa_lock_slow(lock);

    SOFTEFA_POINT("lock");
    return ret;
}

/* The same for a command: gives the holder of `what` some seconds. Then
 * ETIME instead of EBUSY, as of an admin command without an answer; logged. */
int softefa_lock_command(softefa_lock_t *lock, const char *what);

/* Whether the lock's holder is known to be stuck: cheaper than to try. */
bool softefa_lock_stuck(const softefa_lock_t *lock);

static inline void softefa_unlock(softefa_lock_t *lock)
{
    SOFTEFA_POINT("unlock");
    atomic_store_explicit(&lock->holder, 0, memory_order_release);
    SOFTEFA_POINT("unlocked");
}

/* A lock in this process's own memory, of its threads: waits until taken. */
void softefa_lock_local_slow(softefa_lock_t *lock);

static inline void softefa_lock_local(softefa_lock_t *lock)
{
    if (softefa_unlikely(!softefa_lock_try(lock))) {
        softefa_lock_local_slow(lock);
    }
}

static inline void softefa_unlock_local(softefa_lock_t *lock)
{
    atomic_store_explicit(&lock->holder, 0, memory_order_release);
}

#endif
