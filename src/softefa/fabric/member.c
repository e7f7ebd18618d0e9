/*
 * The processes of a fabric: which of them live, and the locks between them.
 *
 * A process lives as long as its byte of the lock file is locked: the kernel
 * drops that lock with the last descriptor, however the process ended. Asking
 * costs a system call, so an answer "alive" is used for ALIVE_FOR_NS: longer
 * than a message, shorter than process ids take to come round again.
 */
#define _GNU_SOURCE
#include "base/log.h"
#include "nic/object.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#define ALIVE_FOR_NS 20000000ull

/* Until when (ns) a process need not be asked for again. */
static _Atomic uint64_t alive_until[SOFTEFA_MAX_PROCS];

void softefa_lock_setup(softefa_lock_t *lock)
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

static int admin_locked(int ret)
{
    if (ret == EOWNERDEAD) {
        softefa_object_repair();
        ret = 0;
    }
    if (ret == 0) {
        softefa_fault_point(SOFTEFA_POINT_LOCKED_ADMIN);
    }

    return ret;
}

int softefa_admin_lock(void)
{
    return admin_locked(softefa_lock_command(&softefa_fabric.shm->admin,
                                             "the device's tables"));
}

int softefa_admin_lock_soon(void)
{
    return admin_locked(softefa_lock(&softefa_fabric.shm->admin));
}

void softefa_admin_unlock(void)
{
    softefa_unlock(&softefa_fabric.shm->admin);
}

int softefa_file_lock(int fd, int command, int type, off_t start, off_t length)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length
    };
    int ret;

    do {
        ret = fcntl(fd, command, &lock);
    } while ((ret < 0) && (errno == EINTR));

    if (ret < 0) {
        return errno;
    }

    return ((command == F_OFD_GETLK) && (lock.l_type != F_UNLCK)) ? EAGAIN : 0;
}

static uint64_t clock_now(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ((uint64_t)ts.tv_sec * 1000000000) + ts.tv_nsec;
}

uint64_t softefa_now(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

uint64_t softefa_now_coarse(void)
{
    return clock_now(CLOCK_MONOTONIC_COARSE);
}

bool softefa_proc_alive(uint32_t slot, bool now)
{
    uint64_t time;

    if (slot == softefa_fabric.slot) {
        return true;
    }

    time = softefa_now_coarse();
    if (!now && (time < atomic_load_explicit(&alive_until[slot],
                                             memory_order_relaxed))) {
        return true;
    }

    if (softefa_file_lock(softefa_fabric.lock_fd, F_OFD_GETLK, F_WRLCK,
                  SOFTEFA_SLOT_BYTE(slot), 1) == 0) {
        atomic_store_explicit(&alive_until[slot], 0, memory_order_relaxed);
        return false;
    }

    atomic_store_explicit(&alive_until[slot], time + ALIVE_FOR_NS,
                          memory_order_relaxed);
    return true;
}

unsigned softefa_fabric_reap(void)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    unsigned count     = 0;
    uint32_t slot;

    for (slot = 0; slot < shm->num_procs; ++slot) {
        if ((shm->proc[slot].state != SOFTEFA_STATE_FREE) &&
            !softefa_proc_alive(slot, true) && softefa_object_reap(slot)) {
            shm->proc[slot].state = SOFTEFA_STATE_FREE;
            ++count;
        }
    }

    return count;
}
