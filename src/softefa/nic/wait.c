/* See wait.h. */
#include "nic/wait.h"
#include "nic/host.h"

void softefa_wait_dev(softefa_dev_t *dev, int count)
{
    if ((atomic_fetch_add(&dev->waiting, count) == 0) && (count > 0)) {
        softefa_host_wake();
    }
}

void softefa_wait_qp(softefa_qp_t *qp, int count)
{
    softefa_dev_t *dev = qp->dev;
    uint32_t before    = qp->waiting;
    uint32_t now       = before + count;

    atomic_store_explicit(&qp->waiting, now, memory_order_relaxed);
    if ((before == 0) != (now == 0)) {
        pthread_mutex_lock(&dev->wait_lock);
        if (now == 0) {
            softefa_list_del(&qp->wait_link);
            --dev->num_waiters;
        } else {
            softefa_list_add(&dev->waiters, &qp->wait_link);
            ++dev->num_waiters;
        }
        pthread_mutex_unlock(&dev->wait_lock);
    }
    softefa_wait_dev(dev, count);
}
