/*
 * Making and taking apart devices, PDs and AHs. Numbers are indices of the
 * tables: PDN and AHN, 16 bits each. Equal (PD, GID) share one AH, counted.
 *
 * Memory regions: mr.c. Channels, CQs, QPs: channel.c, cqs.c, qps.c. Death:
 * repair.c.
 */
#define _GNU_SOURCE
#include "faults/fault.h"
#include "base/log.h"
#include "nic/object.h"
#include "fabric/table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static_assert(SOFTEFA_TABLE_AH <= SOFTEFA_AH_UNKNOWN + 1, "AHN is 16 bits");

static int dev_init_shared(softefa_dev_t *dev, const softefa_profile_t *profile)
{
    softefa_shm_dev_t *shm = dev->shm;
    softefa_profile_t copy;
    uint32_t size;
    int ret;

    /* The name is a pointer of this process. memcpy() takes the padding along,
     * which is compared below. */
    memcpy(&copy, profile, sizeof(copy));
    copy.name = NULL;
    if (shm->opens == 0) {
        ret = softefa_fabric_back(softefa_offset(shm),
                                  offsetof(softefa_shm_dev_t, pd));
        if (ret != 0) {
            return ret;
        }

        for (size = 1; size < profile->max_qp; size *= 2) {
        }
        shm->qp_mask = size - 1;
        memcpy(&shm->profile, &copy, sizeof(copy));
        softefa_table_init(shm, profile);
        while (shm->random == 0) {
            if (getrandom(&shm->random, sizeof(shm->random), 0) < 0) {
                shm->random = softefa_now();
            }
        }
    } else if (memcmp(&shm->profile, &copy, sizeof(copy)) != 0) {
        softefa_error("device %u of fabric %s is in use with another profile "
                      "or other limits; give all processes the same "
                      "SOFTEFA_PROFILE, SOFTEFA_LIMITS and SOFTEFA_MTU, or "
                      "name another fabric (SOFTEFA_FABRIC)",
                      dev->index, softefa_fabric.dir);
        return EBUSY;
    }

    softefa_fabric.shm->fate[dev->index].backed = 1;
    ++softefa_fabric.shm->proc[softefa_fabric.slot].opens[dev->index];
    SOFTEFA_POINT("opens");
    ++shm->opens;
    return 0;
}

int softefa_dev_open(unsigned index, softefa_dev_t **dev_p)
{
    static _Atomic uint16_t next_file;
    const softefa_options_t *options;
    softefa_dev_t *dev;
    uint16_t file;
    int ret;

    ret = softefa_fabric_attach();
    if (ret != 0) {
        return ret;
    }

    options = softefa_options();
    if (index >= options->devices) {
        return ENODEV;
    }

    dev = calloc(1, sizeof(*dev));
    if (dev == NULL) {
        return ENOMEM;
    }

    file         = next_file++;
    dev->epoch   = softefa_fabric.epoch;
    dev->owner   = (softefa_fabric.slot << 16) | file;
    dev->index   = index;
    dev->shm     = &softefa_fabric.shm->dev[index];
    dev->profile = options->profile;
    softefa_fabric_gid(index, dev->gid);
    pthread_mutex_init(&dev->lock, NULL);
    pthread_mutex_init(&dev->wait_lock, NULL);
    softefa_list_init(&dev->waiters);
    softefa_list_init(&dev->qps);
    softefa_list_init(&dev->cqs);
    softefa_list_init(&dev->mrs);
    softefa_list_init(&dev->channels);

    ret = softefa_admin_lock();
    if (ret == 0) {
        softefa_fabric_reap();
        ret       = softefa_device_lives(index) ?
                    dev_init_shared(dev, &options->profile) : ENODEV;
        dev->life = softefa_fabric.shm->fate[index].life;
        softefa_admin_unlock();
    }
    if (ret != 0) {
        pthread_mutex_destroy(&dev->wait_lock);
        pthread_mutex_destroy(&dev->lock);
        free(dev);
        return ret;
    }

    softefa_ticker_add(dev);
    *dev_p = dev;
    return 0;
}

static softefa_shm_pd_t *pd_get(softefa_dev_t *dev, uint16_t pdn)
{
    return softefa_table_get(dev->shm, SOFTEFA_KIND_PD, dev->owner, pdn);
}

/* Under the admin lock: an AH that nobody has any more */
static void ah_release(softefa_dev_t *dev, softefa_shm_ah_t *ah)
{
    softefa_shm_pd_t *pd = &dev->shm->pd[ah->pdn];
    bool alive           = atomic_exchange(&ah->obj.state,
                                           SOFTEFA_STATE_RESERVED) ==
                           SOFTEFA_STATE_ALIVE;

    SOFTEFA_POINT("AH");
    --pd->refs;
    if (alive && (ah->device != SOFTEFA_NO_DEVICE)) {
        pd->ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
        SOFTEFA_POINT("AH of");
        --dev->shm->ah_for[ah->device];
        SOFTEFA_POINT("AH for");
    }
    softefa_table_release(dev->shm, SOFTEFA_KIND_AH, ah - dev->shm->ah);
}

/* Under the admin lock: releases AHs, then PDs of this file; the lists have the
 * rest. A PD stays that a left queue uses. */
static void dev_release_numbers(softefa_dev_t *dev)
{
    softefa_shm_ah_t *ah;
    softefa_shm_pd_t *pd;
    uint32_t i;

    for (i = 0; i < dev->shm->table[SOFTEFA_KIND_AH].backed; ++i) {
        ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, i);
        if (ah != NULL) {
            ah_release(dev, ah);
        }
    }

    for (i = 0; i < dev->shm->table[SOFTEFA_KIND_PD].backed; ++i) {
        pd = pd_get(dev, i);
        if ((pd != NULL) && (pd->refs == 0)) {
            softefa_table_release(dev->shm, SOFTEFA_KIND_PD, i);
        }
    }
}

void softefa_dev_shut(softefa_dev_t *dev)
{
    dev->closing = true;
}

void softefa_dev_close(softefa_dev_t *dev)
{
    uint32_t events;

    softefa_ticker_remove(dev);
    softefa_dev_shut(dev);
    if (softefa_dev_valid(dev)) {
        while (dev->qps.next != &dev->qps) {
            softefa_qp_destroy(softefa_container_of(dev->qps.next,
                                                    softefa_qp_t, link));
        }
        while (dev->mrs.next != &dev->mrs) {
            softefa_mr_dereg(softefa_container_of(dev->mrs.next, softefa_mr_t,
                                                  link));
        }
        while (dev->cqs.next != &dev->cqs) {
            softefa_cq_destroy(softefa_container_of(dev->cqs.next,
                                                    softefa_cq_t, link),
                               &events);
        }
        while (dev->channels.next != &dev->channels) {
            softefa_channel_destroy(
                    softefa_container_of(dev->channels.next,
                                         softefa_channel_t, link));
        }

        softefa_async_close(dev);
        if (softefa_admin_lock() == 0) {
            dev_release_numbers(dev);
            --softefa_fabric.shm->proc[softefa_fabric.slot].opens[dev->index];
            SOFTEFA_POINT("opens");
            --dev->shm->opens;
            softefa_admin_unlock();
        }
    }

    pthread_mutex_destroy(&dev->wait_lock);
    pthread_mutex_destroy(&dev->lock);
    free(dev);
}

const softefa_profile_t *softefa_dev_profile(const softefa_dev_t *dev)
{
    return &dev->profile;
}

void softefa_dev_gid(const softefa_dev_t *dev, uint8_t gid[16])
{
    memcpy(gid, dev->gid, sizeof(dev->gid));
}

int softefa_dev_mmap_fd(const softefa_dev_t *dev)
{
    return softefa_dev_valid(dev) ? softefa_fabric.mem_fd : -1;
}

int softefa_dev_lock(softefa_dev_t *dev)
{
    int ret = softefa_admin_lock();

    if ((ret == 0) && softefa_dev_dead(dev)) {
        softefa_admin_unlock();
        ret = EIO;
    }

    return ret;
}

int softefa_pd_hold(softefa_dev_t *dev, uint16_t pdn, int count)
{
    softefa_shm_pd_t *pd = pd_get(dev, pdn);

    if (pd == NULL) {
        return EINVAL;
    }

    pd->refs += count;
    return 0;
}

int softefa_pd_alloc(softefa_dev_t *dev, uint16_t *pdn)
{
    softefa_shm_pd_t *pd;
    uint32_t index;
    int ret, i;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        return ret;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_PD, dev->owner, &index);
    if (ret == 0) {
        pd       = &dev->shm->pd[index];
        pd->refs = 0;
        for (i = 0; i < SOFTEFA_MAX_DEVICES; ++i) {
            pd->ah_of[i] = SOFTEFA_AH_UNKNOWN;
        }
        pd->obj.state = SOFTEFA_STATE_ALIVE;
        *pdn          = index;
    }
    softefa_admin_unlock();
    return ret;
}

int softefa_pd_free(softefa_dev_t *dev, uint16_t pdn)
{
    softefa_shm_pd_t *pd;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    pd = pd_get(dev, pdn);
    if (pd == NULL) {
        ret = EINVAL;
    } else if (pd->refs > 0) {
        ret = EBUSY;
    } else {
        softefa_table_release(dev->shm, SOFTEFA_KIND_PD, pdn);
    }
    softefa_admin_unlock();
    return ret;
}

int softefa_ah_create(softefa_dev_t *dev, uint16_t pdn, const uint8_t gid[16],
                      uint16_t *ahn)
{
    softefa_table_t *table = &dev->shm->table[SOFTEFA_KIND_AH];
    softefa_shm_ah_t *ah;
    softefa_shm_pd_t *pd;
    uint32_t index;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        return ret;
    }

    pd = pd_get(dev, pdn);
    if (pd == NULL) {
        ret = EINVAL;
        goto out;
    }

    for (index = 0; index < table->backed; ++index) {
        ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, index);
        if ((ah != NULL) && (ah->pdn == pdn) && !memcmp(ah->gid, gid, 16)) {
            ++ah->refs;
            *ahn = index;
            goto out;
        }
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_AH, dev->owner, &index);
    if (ret != 0) {
        goto out;
    }

    ah         = &dev->shm->ah[index];
    ah->pdn    = pdn;
    ah->refs   = 1;
    ah->device = softefa_fabric_find(gid);
    ++ah->generation;
    memcpy(ah->gid, gid, sizeof(ah->gid));
    ++pd->refs;
    SOFTEFA_POINT("AH");
    if (ah->device != SOFTEFA_NO_DEVICE) {
        pd->ah_of[ah->device] = index;
        SOFTEFA_POINT("AH of");
        ++dev->shm->ah_for[ah->device];
        SOFTEFA_POINT("AH for");
    }
    ah->obj.state = SOFTEFA_STATE_ALIVE;
    *ahn          = index;
out:
    softefa_admin_unlock();
    return ret;
}

int softefa_ah_destroy(softefa_dev_t *dev, uint16_t pdn, uint16_t ahn)
{
    softefa_shm_ah_t *ah;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, ahn);
    if ((ah == NULL) || (ah->pdn != pdn)) {
        ret = EINVAL;
    } else if (--ah->refs == 0) {
        ah_release(dev, ah);
    }
    softefa_admin_unlock();
    return ret;
}
