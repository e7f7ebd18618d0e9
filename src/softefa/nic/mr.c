/*
 * Memory regions: keys and lookup.
 *
 *   lkey   24 bits   | generation, never 0 : 6 | index : 18 |
 *   rkey   32 bits   | scattered : 14          | index : 18 |
 *
 * The upper part of an rkey starts at random and then takes all of its values
 * before one comes again, so that the key of a region that is gone does not
 * open the one that was registered in its place.
 *
 * Lookups run in any process without a lock: an entry's fields are written
 * before its state is ALIVE and stay until it is registered anew.
 */
#include "nic/mr.h"
#include "base/clock.h"
#include "fabric/admin.h"
#include "fabric/member.h"
#include "fabric/table.h"
#include "nic/dev.h"
#include "nic/fifo.h"
#include "nic/pd.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <sched.h>
#include <stdlib.h>

static_assert(SOFTEFA_MR_INDEX_BITS < 24, "lkey has no room for the index");

/* A linear congruential generator of full period. */
#define MR_RKEY_FACTOR    0xcbdu
#define MR_RKEY_INCREMENT 0x1a95u

static_assert((MR_RKEY_FACTOR % 4 == 1) && (MR_RKEY_INCREMENT % 2 == 1),
              "keys would come again before all have been used");

/* The key after `rkey`, which the same index had before; 0: none. Never 0. */
static uint32_t mr_next_rkey(softefa_dev_t *dev, uint32_t rkey, uint32_t index)
{
    uint32_t value = rkey >> SOFTEFA_MR_INDEX_BITS;

    if (rkey == 0) {
        value = softefa_random(&dev->shm->random) >> 32;
    }

    do {
        value = (value * MR_RKEY_FACTOR) + MR_RKEY_INCREMENT;
        rkey  = (value << SOFTEFA_MR_INDEX_BITS) | index;
    } while (rkey == 0);

    return rkey;
}

int softefa_mr_reg(softefa_dev_t *dev, uint16_t pdn, uint64_t addr,
                   uint64_t length, uint64_t iova, uint32_t access,
                   softefa_mr_t **mr_p, uint32_t *lkey, uint32_t *rkey)
{
    softefa_shm_mr_t *shm;
    softefa_mr_t *mr;
    uint32_t index, generation;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    if ((length == 0) || (length > dev->profile.max_mr_size) ||
        (addr + length < addr) || (iova + length < iova)) {
        return EINVAL;
    }

    mr = calloc(1, sizeof(*mr));
    if (mr == NULL) {
        return ENOMEM;
    }

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        goto err_free;
    }

    ret = softefa_pd_hold(dev, pdn, 1);
    if (ret != 0) {
        goto err;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_MR, dev->owner, &index);
    if (ret != 0) {
        softefa_pd_hold(dev, pdn, -1);
        goto err;
    }

    shm         = &dev->shm->mr[index];
    generation  = ((shm->lkey >> SOFTEFA_MR_INDEX_BITS) % 63) + 1;
    shm->lkey   = (generation << SOFTEFA_MR_INDEX_BITS) | index;
    shm->rkey   = mr_next_rkey(dev, shm->rkey, index);
    shm->pdn    = pdn;
    shm->addr   = addr;
    shm->length = length;
    shm->iova   = iova;
    shm->access = access;
    atomic_store_explicit(&shm->obj.state, SOFTEFA_STATE_ALIVE,
                          memory_order_release);
    softefa_admin_unlock();

    mr->dev = dev;
    mr->shm = shm;
    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->mrs, &mr->link);
    pthread_mutex_unlock(&dev->lock);

    *lkey = shm->lkey;
    *rkey = shm->rkey;
    *mr_p = mr;
    return 0;

err:
    softefa_admin_unlock();
err_free:
    free(mr);
    return ret;
}

/* Waits until the RDMA that `qp` executes does not copy from or to the region
 * any more. A killed peer's mark is no reason to wait. */
static int mr_wait(const softefa_shm_qp_t *qp, uint32_t mark)
{
    softefa_member_t member = softefa_member(qp->obj.owner);
    uint64_t start          = softefa_clock_now();

    while ((qp->rdma_target == mark) &&
           (qp->obj.state >= SOFTEFA_STATE_ALIVE) &&
           softefa_member_alive(member.slot, true)) {
        sched_yield();
        if (softefa_member_give_up(member, start)) {
            return ETIME;
        }
    }

    return 0;
}

/* Memory may be freed once dereg returns. */
static int mr_quiesce(softefa_dev_t *dev, softefa_shm_mr_t *mr)
{
    uint32_t mark = (dev->index << 24) | ((mr - dev->shm->mr) + 1);
    softefa_shm_dev_t *other;
    unsigned index;
    uint32_t i;
    int ret;

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        other = &softefa_fabric.shm->dev[index];
        if (other->opens == 0) {
            continue;
        }

        for (i = 0; i < other->table[SOFTEFA_KIND_QP].backed; ++i) {
            ret = mr_wait(&other->qp[i], mark);
            if (ret != 0) {
                return ret;
            }
        }
    }

    return 0;
}

int softefa_mr_dereg(softefa_mr_t *mr)
{
    softefa_dev_t *dev    = mr->dev;
    softefa_shm_mr_t *shm = mr->shm;
    int ret               = 0;

    if (softefa_dev_valid(dev)) {
        softefa_fifo_move_all(dev);
        atomic_store(&shm->obj.state, SOFTEFA_STATE_RESERVED);
        if (shm->access & (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)) {
            ret = mr_quiesce(dev, shm);
        }
        if (ret == 0) {
            ret = softefa_admin_lock();
        }
        if (ret == 0) {
            softefa_pd_hold(dev, shm->pdn, -1);
            softefa_table_release(dev->shm, SOFTEFA_KIND_MR,
                                  shm - dev->shm->mr);
            softefa_admin_unlock();
        } else if (!dev->closing) {
            return ret;
        }
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&mr->link);
    pthread_mutex_unlock(&dev->lock);
    free(mr);
    return 0;
}
