/*
 * Memory regions: keys and lookup. A region is a place in its owner's address
 * space; only the functions of nic/host.h go there.
 */
#ifndef SOFTEFA_MR_H
#define SOFTEFA_MR_H

#include "nic/object.h"

/* The region that covers [addr, addr + length) and has all of `access`, in
 * `pdn`; NULL if there is none. addr is an IOVA. */
const softefa_shm_mr_t *
softefa_mr_find(const softefa_shm_dev_t *dev, uint32_t lkey, uint16_t pdn,
                uint64_t addr, uint64_t length, uint32_t access);
softefa_shm_mr_t *
softefa_mr_find_remote(softefa_shm_dev_t *dev, uint32_t rkey, uint16_t pdn,
                       uint64_t addr, uint64_t length, uint32_t access);

#endif
