/*
 * A poll of a CQ's owner, before it looks at the entries: what came in becomes
 * entries (fifo.h), what waits on the device is tried again.
 */
#include "nic/fifo.h"
#include "nic/progress.h"

static __attribute__((noinline)) void cq_poll_slow(softefa_cq_t *handle)
{
    softefa_progress(handle->dev);
    softefa_fifo_poll(handle);
}

void softefa_cq_poll(softefa_cq_t *handle)
{
    if (softefa_unlikely((atomic_load_explicit(&handle->dev->waiting,
                                               memory_order_relaxed) != 0) ||
                         softefa_fifo_waits(handle->shm))) {
        cq_poll_slow(handle);
    }
}
