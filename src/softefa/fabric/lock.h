/*
 * A lock in the fabric's memory: robust, and waited for never without an end.
 * See lock.c.
 */
#ifndef SOFTEFA_LOCK_H
#define SOFTEFA_LOCK_H

#include "base/point.h"
#include "fabric/layout.h"

/* Initialises a lock in zeroed memory; later calls do nothing. A lock outlives
 * the object that it is in: a late sender may still hold it. */
void softefa_lock_init(softefa_lock_t *lock);

/* What softefa_lock() does after a try that returned `ret`. */
int softefa_lock_slow(softefa_lock_t *lock, int ret);

/* 0: taken. EOWNERDEAD: taken, the last owner died holding it: repair. EBUSY:
 * not taken, its holder is stopped or makes no progress. */
static inline int softefa_lock(softefa_lock_t *lock)
{
    int ret = pthread_mutex_trylock(&lock->mutex);

    if (__builtin_expect(ret != 0, 0)) {
        ret = softefa_lock_slow(lock, ret);
    }
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
    pthread_mutex_unlock(&lock->mutex);
    SOFTEFA_POINT("unlocked");
}

#endif
