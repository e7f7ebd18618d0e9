/* An open device: what its objects ask of it. */
#ifndef SOFTEFA_DEV_H
#define SOFTEFA_DEV_H

#include "nic/object.h"

/* False in the child of a fork and after exit: its memory is not ours. */
static inline bool softefa_dev_valid(const softefa_dev_t *dev)
{
    return dev->epoch ==
           atomic_load_explicit(&softefa_fabric.epoch, memory_order_relaxed);
}

/* Of a valid one: its device died since it was opened. It stays dead when the
 * device returns. */
static inline bool softefa_dev_dead(const softefa_dev_t *dev)
{
    const softefa_shm_status_t *status = &softefa_fabric.shm
                                                  ->status[dev->index];

    return dev->incarnation !=
           atomic_load_explicit(&status->incarnation, memory_order_acquire);
}

/* Takes the admin lock for a command. EIO, and not taken: the device of `dev`
 * died; ETIME. */
int softefa_dev_lock(softefa_dev_t *dev);

#endif
