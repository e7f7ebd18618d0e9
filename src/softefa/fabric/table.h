/*
 * Tables of the device in shared memory: allocation of numbers, up to the
 * limit of the profile, all under the admin lock. The bit map and the counts
 * are derived: table_rebuild() makes them anew from the entries' states.
 */
#ifndef SOFTEFA_TABLE_H
#define SOFTEFA_TABLE_H

#include "fabric/layout.h"

/* Reserves an entry; its state is RESERVED and its owner set. ENOMEM at the
 * limit, after dead processes were reclaimed. Contents but for the state are
 * what the last owner left. */
int softefa_table_alloc(softefa_shm_dev_t *dev, softefa_kind_t kind,
                        uint32_t owner, uint32_t *index);
void softefa_table_release(softefa_shm_dev_t *dev, softefa_kind_t kind,
                           uint32_t index);
/* ENOMEM: /dev/shm is full. */
int softefa_table_init(softefa_shm_dev_t *dev,
                       const softefa_profile_t *profile);
void softefa_table_rebuild(softefa_shm_dev_t *dev);

/* Maps what commands use, of a device with tables, into this process. Commands
 * so make hardly a page fault or system call under the admin lock, which is
 * where a process that is stopped stops: with the lock. */
void softefa_table_populate(const softefa_shm_dev_t *dev);

/* The entry, or NULL if index is beyond what was ever used. Any state. */
softefa_shm_obj_t *softefa_table_entry(softefa_shm_dev_t *dev,
                                       softefa_kind_t kind, uint32_t index);

/* The entry if it is alive and belongs to `owner`, else NULL. */
void *softefa_table_get(softefa_shm_dev_t *dev, softefa_kind_t kind,
                        uint32_t owner, uint32_t index);

#endif
