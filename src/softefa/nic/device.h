/*
 * Status of a device, in the shared memory: for all processes of the fabric.
 *
 *   ALIVE(even) --fatal--> DEAD(odd) --return, or its time--> ALIVE(even)
 *                            |          incarnation grows with each arrow
 *        contexts of that incarnation stay dead until they are closed:
 *        commands EIO, doorbells nothing, no completion, no delivery;
 *        their QPs, CQs, MRs and AHs are in state DEAD
 *
 * Changed by rules (faults/fault.c, through the engine) and by orders from
 * outside (softefa_inject()).
 */
#ifndef SOFTEFA_DEVICE_H
#define SOFTEFA_DEVICE_H

#include "nic/object.h"

/* Whether the data path must look closer: some device has had a fault. */
static inline bool softefa_device_faulted(void)
{
    return atomic_load_explicit(&softefa_fabric.shm->faulted,
                                memory_order_relaxed) != 0;
}

/* Whether device `index` can be opened and answers. Lets it return if its time
 * has come. */
bool softefa_device_alive(unsigned index);

/* A dead device returns; conditions end. ETIME. */
int softefa_device_return(unsigned index);

/* A condition for `duration` ns (UINT64_MAX: until softefa_device_return()), of
 * all messages from and to the device. ETIME. */
int  softefa_device_set(unsigned index, softefa_condition_t condition,
                        uint64_t duration);
bool softefa_device_is(unsigned index, softefa_condition_t condition);

/* Until when (ns) a message with a valid AH waits as a device is paused, 0: it
 * need not. */
uint64_t softefa_device_paused(const softefa_qp_t *qp,
                               const softefa_io_wqe_t *wqe);

#endif
