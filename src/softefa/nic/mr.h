/*
 * Memory regions: keys and lookup. A region is a place in its owner's address
 * space; only the functions of nic/host.h go there.
 */
#ifndef SOFTEFA_MR_H
#define SOFTEFA_MR_H

#include "nic/object.h"

#define SOFTEFA_MR_INDEX_MASK ((1u << SOFTEFA_MR_INDEX_BITS) - 1)

/* Whether that region covers [addr, addr + length) and has all of `access`, in
 * `pdn`. addr is an IOVA. */
static inline bool softefa_mr_covers(const softefa_shm_mr_t *mr, uint16_t pdn,
                                     uint64_t addr, uint64_t length,
                                     uint32_t access)
{
    return (atomic_load_explicit(&mr->obj.state, memory_order_acquire) ==
            SOFTEFA_STATE_ALIVE) &&
           (mr->pdn == pdn) && ((access & ~mr->access) == 0) &&
           (addr >= mr->iova) && (length <= mr->length) &&
           (addr - mr->iova <= mr->length - length);
}

/* The region with a key that covers all of this; NULL if there is none. */
static inline const softefa_shm_mr_t *
softefa_mr_find(const softefa_shm_dev_t *dev, uint32_t lkey, uint16_t pdn,
                uint64_t addr, uint64_t length, uint32_t access)
{
    uint32_t index             = lkey & SOFTEFA_MR_INDEX_MASK;
    const softefa_shm_mr_t *mr = &dev->mr[index];

    return ((index < dev->table[SOFTEFA_KIND_MR].backed) &&
            softefa_mr_covers(mr, pdn, addr, length, access) &&
            (mr->lkey == lkey)) ?
                   mr :
                   NULL;
}

static inline softefa_shm_mr_t *
softefa_mr_find_remote(softefa_shm_dev_t *dev, uint32_t rkey, uint16_t pdn,
                       uint64_t addr, uint64_t length, uint32_t access)
{
    uint32_t index       = rkey & SOFTEFA_MR_INDEX_MASK;
    softefa_shm_mr_t *mr = &dev->mr[index];

    return ((index < dev->table[SOFTEFA_KIND_MR].backed) &&
            softefa_mr_covers(mr, pdn, addr, length, access) &&
            (mr->rkey == rkey)) ?
                   mr :
                   NULL;
}

#endif
