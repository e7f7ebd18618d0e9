/* See progress.h. */
#include "nic/progress.h"
#include "fabric/lock.h"
#include "nic/cq.h"
#include "nic/dev.h"
#include "nic/dev_list.h"
#include "nic/device.h"
#include "nic/engine.h"
#include "nic/flight.h"
#include "nic/rq.h"

#include <errno.h>
#include <time.h>

/* Under qp->lock */
static void progress_qp(softefa_qp_t *qp)
{
    if (softefa_device_faulted()) {
        (void)softefa_engine_in_error(qp);
    }

    softefa_flight_retry(qp);
    if (qp->flush_later) {
        softefa_rq_flush_own(qp);
    }
    if (qp->backlog) {
        softefa_engine_fetch(qp);
    }
}

/* The QP whose messages have waited longest without a look; it is the last one
 * then. NULL: none */
static softefa_qp_t *progress_next(softefa_dev_t *dev)
{
    softefa_link_t *link = NULL;

    pthread_mutex_lock(&dev->wait_lock);
    if (dev->num_waiters > 0) {
        link = dev->waiters.next;
        softefa_list_del(link);
        softefa_list_add(&dev->waiters, link);
    }
    pthread_mutex_unlock(&dev->wait_lock);
    return (link == NULL) ? NULL :
                            softefa_container_of(link, softefa_qp_t, wait_link);
}

static void progress_retry(softefa_dev_t *dev)
{
    softefa_link_t *link;
    softefa_qp_t *qp;
    uint32_t count;

    /* Whoever holds the locks is doing the same. */
    if (pthread_mutex_trylock(&dev->lock) != 0) {
        return;
    }

    /* dev->lock keeps them: a QP leaves dev->qps before it is freed. */
    pthread_mutex_lock(&dev->wait_lock);
    count = dev->num_waiters;
    pthread_mutex_unlock(&dev->wait_lock);
    for (; (count > 0) && ((qp = progress_next(dev)) != NULL); --count) {
        if (softefa_lock_try(&qp->lock)) {
            if (softefa_dev_valid(dev) && !softefa_dev_dead(dev)) {
                progress_qp(qp);
            }
            softefa_unlock_local(&qp->lock);
        }
    }
    for (link = dev->cqs.next;
         (link != &dev->cqs) && (atomic_load(&dev->late_arms) > 0);
         link = link->next) {
        softefa_cq_arm_late(softefa_container_of(link, softefa_cq_t, link));
    }

    pthread_mutex_unlock(&dev->lock);
}

void softefa_progress(softefa_dev_t *dev)
{
    if (softefa_likely(atomic_load_explicit(&dev->waiting,
                                            memory_order_relaxed) == 0)) {
        return;
    }

    if (softefa_dev_valid(dev)) {
        atomic_store_explicit(&dev->polled, true, memory_order_relaxed);
        progress_retry(dev);
    }
}

static bool progress_look(softefa_dev_t *dev)
{
    if ((atomic_load(&dev->waiting) == 0) || !softefa_dev_valid(dev) ||
        softefa_dev_dead(dev)) {
        return false;
    }

    if (!atomic_exchange(&dev->polled, false)) {
        progress_retry(dev);
    }
    return true;
}

bool softefa_progress_all(void)
{
    return softefa_dev_list_any(progress_look);
}

/* Waits, a second at most, until no thread is in the model for dev. */
static bool progress_quiesce(softefa_dev_t *dev)
{
    struct timespec until;
    softefa_link_t *link;
    softefa_qp_t *qp;
    bool quiet = true;

    clock_gettime(CLOCK_REALTIME, &until);
    ++until.tv_sec;
    if (pthread_mutex_timedlock(&dev->lock, &until) != 0) {
        return false;
    }

    for (link = dev->qps.next; link != &dev->qps; link = link->next) {
        qp = softefa_container_of(link, softefa_qp_t, link);
        if (softefa_lock_slow(&qp->lock) == EBUSY) {
            quiet = false;
            break;
        }
        softefa_unlock_local(&qp->lock);
    }

    pthread_mutex_unlock(&dev->lock);
    return quiet;
}

bool softefa_progress_stop(void)
{
    return softefa_dev_list_clear(progress_quiesce);
}

void softefa_progress_reset(void)
{
    softefa_dev_list_reset();
}
