/*
 * The fabric: memory shared by all processes of one user that name the same
 * fabric. It holds every device, its tables and its rings (layout.h).
 *
 *   /dev/shm/softefa.<uid>.<fabric>/      0700, owner checked
 *     lock     byte 0: held while a process joins or leaves
 *              byte 1 + slot: held by the process in that slot as long as it
 *              lives (open file description lock: the kernel drops it)
 *     mem      softefa_shm_t, sparse, mapped whole; mmap key = offset in it
 *     ev<n>    FIFO of completion channel n                 (event.c)
 *     as<...>  FIFO of the asynchronous events of an open context
 *     sys/     the device's files                           (sysfs/tree.c)
 *
 *   membership.c  joining, leaving   dir.c      the directory, its locks
 *   member.c   liveness              memory.c   what of the sparse file exists
 *   lock.c     locks in the memory   heap.c     pages for rings
 *   admin.c    the lock of all       table.c    numbers of objects
 *   event.c    events to others      reap.c, repair.c   what the dead left
 *
 * A member of the fabric is a process of this host, whatever way its devices
 * are attached. So which process lives, holds a lock or is stopped is this
 * floor's business, and nic/ deals in slots.
 *
 * Life of the directory: a process that joins and finds no living slot starts
 * with an empty memory, so leftovers of kill -9 never count. The last process
 * that leaves removes it. Dead processes' objects are reclaimed when a process
 * joins, when a table or the heap is full, and when a sender meets one.
 */
#ifndef SOFTEFA_FABRIC_H
#define SOFTEFA_FABRIC_H

#include "fabric/layout.h"

/* This process's membership. */
typedef struct {
    softefa_shm_t    *shm;                   /* NULL: not a member */
    _Atomic uint32_t epoch;                  /* grows at fork and at exit */
    uint32_t         slot;
    uint32_t         generation;             /* of the slot; 0: has none */
    int              dir_fd, lock_fd, mem_fd;
    char             dir[96];
} softefa_fabric_t;

extern softefa_fabric_t softefa_fabric;

/* GID of device `index` in the fabric and on the host that the options name.
 * Needs no membership; equal in all processes of that host. */
void softefa_fabric_gid(unsigned index, uint8_t gid[16]);

/* Index of the device with this GID, whatever the host, or
 * SOFTEFA_NO_DEVICE. */
unsigned softefa_fabric_find(const uint8_t gid[16]);

/* Number of the host in such a GID */
static inline unsigned softefa_fabric_host(const uint8_t gid[16])
{
    return (gid[6] << 8) | gid[7];
}

/* Is this AH the one that ah_of of its PD has? Those of other hosts than 0 are
 * looked for: softefa_ah_find_host(). */
static inline bool softefa_fabric_ah_is_listed(const softefa_shm_ah_t *ah)
{
    return (ah->device != SOFTEFA_NO_DEVICE) &&
           (softefa_fabric_host(ah->gid) == 0);
}

void softefa_fabric_fork_child(void);

static inline void *softefa_fabric_at(uint64_t offset)
{
    return (char *)softefa_fabric.shm + offset;
}

static inline uint64_t softefa_fabric_offset(const void *ptr)
{
    return (const char *)ptr - (const char *)softefa_fabric.shm;
}

#endif
