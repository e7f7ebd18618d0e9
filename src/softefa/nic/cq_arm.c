/*
 * Arming a CQ: at once, or, while a stopped process has its lock, later.
 *
 * From then on nobody uses its FIFO (fifo.h), until the event.
 */
#include "nic/cq.h"
#include "nic/dev.h"
#include "nic/fifo.h"
#include "nic/wait.h"

#include <errno.h>

void softefa_cq_arm(softefa_cq_t *handle)
{
    softefa_shm_cq_t *cq = handle->shm;
    int ret;

    if (!softefa_dev_valid(handle->dev)) {
        return;
    }

    ret = softefa_cq_lock(cq);
    if (ret == 0) {
        softefa_fifo_move_locked(handle->dev->shm, cq);
        cq->armed = 1;
        if (softefa_cq_pending(cq) != 0) {
            softefa_cq_raise(cq);
        }
        softefa_unlock(&cq->lock);
    } else if ((ret == EBUSY) && !atomic_exchange(&handle->arm_later, true)) {
        atomic_fetch_add(&handle->dev->late_arms, 1);
        softefa_wait_dev(handle->dev, 1);
    }
}

void softefa_cq_arm_late(softefa_cq_t *handle)
{
    if (atomic_load_explicit(&handle->arm_later, memory_order_relaxed) &&
        !softefa_lock_stuck(&handle->shm->lock) &&
        atomic_exchange(&handle->arm_later, false)) {
        atomic_fetch_sub(&handle->dev->late_arms, 1);
        softefa_wait_dev(handle->dev, -1);
        softefa_cq_arm(handle);
    }
}
