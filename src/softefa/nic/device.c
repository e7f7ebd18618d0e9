/* See device.h. */
#include "nic/device.h"
#include "base/clock.h"
#include "fabric/admin.h"

bool softefa_device_alive(unsigned index)
{
    softefa_shm_status_t *status = &softefa_fabric.shm->status[index];
    uint32_t incarnation         = status->incarnation;

    if (!(incarnation & 1)) {
        return true;
    }

    if ((status->return_at == UINT64_MAX) ||
        (softefa_clock_now() < status->return_at)) {
        return false;
    }

    /* Another process may have been faster: it is alive then, too. */
    atomic_compare_exchange_strong(&status->incarnation, &incarnation,
                                   incarnation + 1);
    return true;
}

bool softefa_device_is(unsigned index, softefa_condition_t condition)
{
    uint64_t until = softefa_fabric.shm->status[index].until[condition];

    return (until != 0) && (softefa_clock_now() < until);
}

uint64_t softefa_device_paused(const softefa_qp_t *qp,
                               const softefa_io_wqe_t *wqe)
{
    const softefa_shm_status_t *status = softefa_fabric.shm->status;
    unsigned peer                      = qp->dev->shm->ah[wqe->ahn].device;
    uint64_t until, other;

    if (!softefa_device_faulted()) {
        return 0;
    }

    until = status[qp->dev->index].until[SOFTEFA_PAUSED];
    other = (peer == SOFTEFA_NO_DEVICE) ? 0 :
                                          status[peer].until[SOFTEFA_PAUSED];
    until = (until > other) ? until : other;
    return ((until != 0) && (softefa_clock_now() < until)) ? until : 0;
}

int softefa_device_set(unsigned index, softefa_condition_t condition,
                       uint64_t duration)
{
    softefa_shm_status_t *status = &softefa_fabric.shm->status[index];
    int ret                      = softefa_admin_lock();

    if (ret == 0) {
        status->until[condition]    = (duration == UINT64_MAX) ?
                                              UINT64_MAX :
                                              softefa_clock_now() + duration;
        softefa_fabric.shm->faulted = 1;
        softefa_admin_unlock();
    }
    return ret;
}

int softefa_device_return(unsigned index)
{
    softefa_shm_status_t *status = &softefa_fabric.shm->status[index];
    int ret                      = softefa_admin_lock();
    int i;

    if (ret != 0) {
        return ret;
    }

    for (i = 0; i < SOFTEFA_NUM_CONDITIONS; ++i) {
        status->until[i] = 0;
    }
    status->return_at = 0;
    (void)softefa_device_alive(index);
    softefa_admin_unlock();
    return 0;
}
