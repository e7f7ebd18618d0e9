/*
 * A member lives as long as its byte of the lock file is locked: the kernel
 * drops that lock with the last descriptor, however the process ended. Asking
 * costs a system call, so an answer "alive" is used for ALIVE_FOR_NS: longer
 * than a message, shorter than process ids take to come round again.
 */
#define _GNU_SOURCE
#include "fabric/member.h"
#include "base/clock.h"
#include "base/log.h"
#include "fabric/dir.h"
#include "fabric/reap.h"
#include "fabric/thread.h"

#define ALIVE_FOR_NS 20000000ull

/* How long one waits for a member that copies: if it is stopped; at all (1 GiB
 * takes a second, the memory's debuggers ten times that) */
#define PATIENCE_NS  3000000000ull
#define COPY_NS      30000000000ull

/* Until when (ns) a member need not be asked for again. */
static _Atomic uint64_t alive_until[SOFTEFA_MAX_PROCS];

bool softefa_member_alive(uint32_t slot, bool now)
{
    uint64_t time;

    if (slot == softefa_fabric.slot) {
        return true;
    }

    time = softefa_clock_coarse();
    if (!now && (time < atomic_load_explicit(&alive_until[slot],
                                             memory_order_relaxed))) {
        return true;
    }

    if (softefa_dir_lock(softefa_fabric.lock_fd, F_OFD_GETLK, F_WRLCK,
                         SOFTEFA_SLOT_BYTE(slot), 1) == 0) {
        atomic_store_explicit(&alive_until[slot], 0, memory_order_relaxed);
        return false;
    }

    atomic_store_explicit(&alive_until[slot], time + ALIVE_FOR_NS,
                          memory_order_relaxed);
    return true;
}

bool softefa_member_give_up(softefa_member_t member, uint64_t start)
{
    uint64_t passed = softefa_clock_now() - start;

    if ((passed <= COPY_NS) &&
        ((passed <= PATIENCE_NS) || !softefa_thread_stopped(member.pid))) {
        return false;
    }

    softefa_error("process %d, which is stopped or does not go on, may be "
                  "about to read or write memory that is to be deregistered; "
                  "let it go on (kill -CONT %d) or end it (kill -9 %d)",
                  member.pid, member.pid, member.pid);
    return true;
}

unsigned softefa_member_reap(void)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    unsigned count     = 0;
    uint32_t slot;

    for (slot = 0; slot < shm->num_procs; ++slot) {
        if ((shm->proc[slot].state != SOFTEFA_STATE_FREE) &&
            !softefa_member_alive(slot, true) && softefa_reap(slot)) {
            shm->proc[slot].state = SOFTEFA_STATE_FREE;
            ++count;
        }
    }

    return count;
}
