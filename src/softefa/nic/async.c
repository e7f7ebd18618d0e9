/*
 * Asynchronous events of an open device. How they reach its process:
 * fabric/event.h.
 *
 *   raised by     device.c: DEVICE_FATAL, to all contexts of one incarnation;
 *                 QP_FATAL, to the QP's owner
 *   read by       libibverbs
 *   taken back    a QP's unread ones, when it is destroyed
 *
 * The descriptor is the application's. What a killed process left has no
 * reader and is ignored.
 */
#include "nic/async.h"
#include "fabric/admin.h"
#include "fabric/event.h"
#include "nic/dev.h"
#include "nic/device.h"

#include <errno.h>
#include <infiniband/verbs.h>

static softefa_event_context_t async_context(const softefa_dev_t *dev)
{
    return (softefa_event_context_t){.device      = dev->index,
                                     .incarnation = dev->incarnation,
                                     .owner       = dev->owner};
}

int softefa_async_open(softefa_dev_t *dev, int *fd)
{
    softefa_event_context_t context = async_context(dev);
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_event_async_create(&context, fd);
    if (ret != 0) {
        return ret;
    }

    /* A death from now on finds the FIFO; an earlier one is an EIO. */
    dev->async = true;
    if (softefa_dev_dead(dev)) {
        softefa_event_close(*fd);
        return EIO;
    }

    return 0;
}

void softefa_async_close(softefa_dev_t *dev)
{
    softefa_event_context_t context = async_context(dev);

    if (dev->async) {
        softefa_event_async_remove(&context);
        dev->async = false;
    }
}

uint32_t softefa_async_qp_events(softefa_qp_t *qp)
{
    softefa_event_context_t context = async_context(qp->dev);
    uint32_t events                 = 0;

    if (!softefa_dev_valid(qp->dev) || !softefa_device_faulted() ||
        (softefa_admin_lock() != 0)) {
        return 0;
    }

    if (qp->shm->events > 0) {
        qp->shm->events -= softefa_event_async_purge(&context,
                                                     IBV_EVENT_QP_FATAL,
                                                     qp->shm->cookie);
        events = qp->shm->events;
    }
    softefa_admin_unlock();
    return events;
}
