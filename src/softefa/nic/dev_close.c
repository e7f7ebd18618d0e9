/* Closing a device: destroys whatever was left. */
#include "base/point.h"
#include "fabric/admin.h"
#include "nic/ah.h"
#include "nic/async.h"
#include "nic/dev.h"
#include "nic/dev_list.h"
#include "nic/pd.h"

#include <stdlib.h>

void softefa_dev_close_begin(softefa_dev_t *dev)
{
    dev->closing = true;
}

void softefa_dev_close(softefa_dev_t *dev)
{
    uint32_t events;

    softefa_dev_list_remove(dev);
    softefa_dev_close_begin(dev);
    if (softefa_dev_valid(dev)) {
        while (dev->qps.next != &dev->qps) {
            softefa_qp_destroy(softefa_container_of(dev->qps.next, softefa_qp_t,
                                                    link));
        }
        while (dev->mrs.next != &dev->mrs) {
            softefa_mr_dereg(softefa_container_of(dev->mrs.next, softefa_mr_t,
                                                  link));
        }
        while (dev->cqs.next != &dev->cqs) {
            softefa_cq_destroy(softefa_container_of(dev->cqs.next, softefa_cq_t,
                                                    link),
                               &events);
        }
        while (dev->channels.next != &dev->channels) {
            softefa_channel_destroy(softefa_container_of(dev->channels.next,
                                                         softefa_channel_t,
                                                         link));
        }

        softefa_async_close(dev);
        if (softefa_admin_lock() == 0) {
            /* the lists had the rest; a PD in use by a left queue stays */
            softefa_ah_release_all(dev);
            softefa_pd_release_all(dev);
            --softefa_fabric.shm->proc[softefa_fabric.slot].opens[dev->index];
            SOFTEFA_POINT("opens");
            --dev->shm->opens;
            softefa_admin_unlock();
        }
    }

    pthread_mutex_destroy(&dev->wait_lock);
    pthread_mutex_destroy(&dev->ah_lock);
    pthread_mutex_destroy(&dev->lock);
    free(dev->ahs);
    free(dev);
}
