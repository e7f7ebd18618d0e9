/*
 * The members of a fabric: which of them live.
 *
 * Objects in the fabric's memory name their owner: slot << 16 | file. The slot
 * is the member's; it is a member's until its objects were reclaimed.
 */
#ifndef SOFTEFA_MEMBER_H
#define SOFTEFA_MEMBER_H

#include "fabric/fabric.h"

/* The member that owns a QP or MR. Must be read while it cannot have been
 * reclaimed: under the RQ's lock, or before the MR is found once more. */
typedef struct {
    uint32_t slot;
    int32_t  pid;
} softefa_member_t;

static inline uint32_t softefa_member_slot(uint32_t owner)
{
    return owner >> 16;
}

static inline softefa_member_t softefa_member(uint32_t owner)
{
    uint32_t slot = softefa_member_slot(owner);

    return (softefa_member_t){slot, softefa_fabric.shm->proc[slot].pid};
}

/* Whether the member in `slot` lives. The answer may be 20 ms old, unless
 * `now`: then it costs a system call. */
bool softefa_member_alive(uint32_t slot, bool now);

/* The same, 5 us old: who was told of the member's death is not told that it
 * lives. */
bool softefa_member_alive_lately(uint32_t slot);

/* Whether a thread that held a lock has ended, or its process has: the one that
 * had `slot` in this generation, or that joined (SOFTEFA_SLOT_JOINING). */
bool softefa_member_gone(uint32_t slot, uint32_t generation, int tid);

/* Whether waiting since `start` (ns) for a member that may be about to read or
 * write memory is to be given up, as it is stopped or took too long; logged. */
bool softefa_member_give_up(softefa_member_t member, uint64_t start);

#endif
