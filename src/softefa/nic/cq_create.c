/*
 * Making and taking apart completion queues. Their memory: cq.c.
 */
#include "nic/cq.h"
#include "fabric/admin.h"
#include "fabric/event.h"
#include "fabric/heap.h"
#include "fabric/lock.h"
#include "fabric/reap.h"
#include "fabric/table.h"
#include "nic/channel.h"
#include "nic/dev.h"
#include "nic/fifo.h"
#include "nic/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool cq_attr_valid(const softefa_dev_t *dev,
                          const softefa_cq_attr_t *attr)
{
    return softefa_is_pow2(attr->depth) &&
           (attr->depth <= dev->profile.max_cqe) &&
           ((attr->entry_size == 16) || (attr->entry_size == 32)) &&
           (!attr->with_sgid || (attr->entry_size == 32)) &&
           (attr->num_sub_cqs > 0) &&
           (attr->num_sub_cqs <= SOFTEFA_MAX_SUB_CQS);
}

/* Under the admin lock; the entry and its memory are there. */
static void cq_init_shared(softefa_shm_cq_t *shm, const softefa_cq_attr_t *attr)
{
    unsigned sub;

    shm->depth       = attr->depth;
    shm->capacity    = attr->depth * attr->num_sub_cqs;
    shm->entry_size  = attr->entry_size;
    shm->num_sub_cqs = attr->num_sub_cqs;
    shm->db          = shm->extent.offset;
    shm->cookie      = attr->cookie;
    shm->with_sgid   = attr->with_sgid;
    shm->refs        = 0;
    shm->channel     = 0;
    if (attr->channel != NULL) {
        shm->channel = attr->channel->index + 1;
        ++attr->channel->shm->refs;
    }
    for (sub = 0; sub < attr->num_sub_cqs; ++sub) {
        shm->ring[sub] = shm->extent.offset + softefa_page_size() +
                         ((uint64_t)sub * attr->depth * attr->entry_size);
    }
    memset(shm->head, 0, sizeof(shm->head));
    shm->total     = 0;
    shm->armed     = 0;
    shm->events    = 0;
    shm->overrun   = 0;
    shm->raising   = 0;
    shm->uncertain = 0;
    shm->writer    = 0;
    softefa_fifo_init(shm);
    atomic_store_explicit(&shm->obj.state, SOFTEFA_STATE_ALIVE,
                          memory_order_release);
}

int softefa_cq_create(softefa_dev_t *dev, const softefa_cq_attr_t *attr,
                      softefa_cq_t **cq_p, softefa_cq_map_t *map)
{
    uint64_t size = softefa_page_align((uint64_t)attr->depth *
                                       attr->entry_size * attr->num_sub_cqs);
    uint32_t fifo = softefa_fifo_size(size);
    softefa_shm_cq_t *shm;
    softefa_cq_t *cq;
    uint32_t index;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    if (!cq_attr_valid(dev, attr)) {
        return EINVAL;
    }

    cq = calloc(1, sizeof(*cq));
    if (cq == NULL) {
        return ENOMEM;
    }

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        goto err_free;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_CQ, dev->owner, &index);
    if (ret != 0) {
        goto err;
    }

    shm = &dev->shm->cq[index];
    ret = softefa_heap_alloc(&shm->extent, softefa_page_size() + size + fifo);
    if (ret != 0) {
        softefa_table_release(dev->shm, SOFTEFA_KIND_CQ, index);
        goto err;
    }

    shm->fifo      = shm->extent.offset + softefa_page_size() + size;
    shm->fifo_size = fifo;
    cq_init_shared(shm, attr);
    softefa_admin_unlock();

    cq->dev     = dev;
    cq->shm     = shm;
    cq->channel = attr->channel;
    cq->index   = index;
    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->cqs, &cq->link);
    pthread_mutex_unlock(&dev->lock);

    map->cqn       = index;
    map->ring_key  = shm->ring[0];
    map->ring_size = size;
    map->db_key    = shm->db;
    *cq_p          = cq;
    return 0;

err:
    softefa_admin_unlock();
err_free:
    free(cq);
    return ret;
}

static int cq_release(softefa_cq_t *cq, uint32_t *events)
{
    softefa_shm_cq_t *shm = cq->shm;
    int ret               = softefa_admin_lock();

    if (ret != 0) {
        return ret;
    }

    if (shm->refs > 0) {
        ret = EBUSY;
        goto out;
    }

    *events = shm->events;
    if (cq->channel != NULL) {
        *events -= softefa_event_channel_purge(cq->channel->reader,
                                               shm->cookie);
        softefa_channel_put(cq->channel->shm);
    }
    if (shm->uncertain || shm->raising) {
        *events = SOFTEFA_EVENTS_UNKNOWN;
    }
    softefa_reap_cq(shm);
    softefa_table_release(cq->dev->shm, SOFTEFA_KIND_CQ, cq->index);
out:
    softefa_admin_unlock();
    return ret;
}

int softefa_cq_destroy(softefa_cq_t *cq, uint32_t *events)
{
    softefa_dev_t *dev = cq->dev;
    int ret;

    *events = 0;
    if (softefa_dev_valid(dev)) {
        ret = cq_release(cq, events);
        if ((ret != 0) && !dev->closing) {
            return ret;
        }
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&cq->link);
    pthread_mutex_unlock(&dev->lock);
    if (cq->arm_later) {
        atomic_fetch_sub(&dev->late_arms, 1);
        softefa_wait_dev(dev, -1);
    }
    free(cq);
    return 0;
}
