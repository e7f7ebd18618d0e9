/*
 * A member lives as long as its byte of the lock file is locked: the kernel
 * drops that lock with the last descriptor, however the process ended. Asking
 * costs a system call, so an answer "alive" is used for ALIVE_FOR_NS: longer
 * than a message, shorter than process ids take to come round again. Where
 * nothing else notices a death it is used for LATELY_NS: shorter than a process
 * takes from giving up the lock to being waited for.
 */
#define _GNU_SOURCE
#include "fabric/member.h"
#include "base/clock.h"
#include "base/log.h"
#include "fabric/dir.h"
#include "fabric/thread.h"

#define ALIVE_FOR_NS 20000000ull
#define LATELY_NS    5000ull

/* How long one waits for a member that copies: if it is stopped; at all (1 GiB
 * takes a second, the memory's debuggers ten times that) */
#define PATIENCE_NS  3000000000ull
#define COPY_NS      30000000000ull

/* Until when (ns) a member need not be asked for again. */
static _Atomic uint64_t alive_until[SOFTEFA_MAX_PROCS];

/* When (ns) it was last seen to live. */
static _Atomic uint64_t alive_at[SOFTEFA_MAX_PROCS];

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

bool softefa_member_alive_lately(uint32_t slot)
{
    uint64_t now  = softefa_clock_now();
    uint64_t seen = atomic_load_explicit(&alive_at[slot], memory_order_relaxed);

    if (now - seen < LATELY_NS) {
        return true;
    } else if (!softefa_member_alive(slot, true)) {
        return false;
    }

    atomic_store_explicit(&alive_at[slot], now, memory_order_relaxed);
    return true;
}

/* Its own thread's number, unless that is one of another PID namespace */
static bool member_thread_gone(const softefa_shm_proc_t *proc, int tid)
{
    const softefa_shm_proc_t *own = &softefa_fabric.shm
                                             ->proc[softefa_fabric.slot];

    return (softefa_fabric.generation != 0) && (proc->pidns == own->pidns) &&
           softefa_thread_gone(proc->pid, tid);
}

bool softefa_member_gone(uint32_t slot, uint32_t generation, int tid)
{
    const softefa_shm_proc_t *proc = &softefa_fabric.shm->proc[slot];
    off_t byte                     = SOFTEFA_SLOT_BYTE(slot);

    if (slot == SOFTEFA_SLOT_JOINING) {
        byte = SOFTEFA_ENTER_BYTE;
    } else if (proc->generation != generation) {
        return true;
    } else if ((slot == softefa_fabric.slot) &&
               (generation == softefa_fabric.generation)) {
        return member_thread_gone(proc, tid);
    }

    /* What this process itself has locked counts as free: a slot that it takes
     * just now was the dead one's, and who enters is it. */
    return (softefa_dir_lock(softefa_fabric.lock_fd, F_OFD_GETLK, F_WRLCK, byte,
                             1) == 0) ||
           ((slot != SOFTEFA_SLOT_JOINING) && member_thread_gone(proc, tid));
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
