/*
 * Opening a device, and what its objects ask of it. Closing: dev_close.c.
 */
#define _GNU_SOURCE
#include "nic/dev.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/point.h"
#include "config/options.h"
#include "fabric/admin.h"
#include "fabric/reap.h"
#include "fabric/membership.h"
#include "fabric/memory.h"
#include "fabric/table.h"
#include "nic/ah_index.h"
#include "nic/dev_list.h"
#include "nic/device.h"
#include "nic/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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
        ret = softefa_memory_back(softefa_fabric_offset(shm),
                                  offsetof(softefa_shm_dev_t, pd));
        if (ret != 0) {
            return ret;
        }

        for (size = 1; size < profile->max_qp; size *= 2) {
        }
        shm->qp_mask = size - 1;
        memcpy(&shm->profile, &copy, sizeof(copy));
        ret = softefa_table_init(shm, profile);
        if (ret != 0) {
            return ret;
        }
        while (shm->random == 0) {
            if (getrandom(&shm->random, sizeof(shm->random), 0) < 0) {
                shm->random = softefa_clock_now();
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

    softefa_fabric.shm->status[dev->index].backed = 1;
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

    ret = softefa_membership_join();
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

    dev->ahs = calloc(1, sizeof(*dev->ahs));
    if (dev->ahs == NULL) {
        free(dev);
        return ENOMEM;
    }

    file         = next_file++;
    dev->epoch   = softefa_fabric.epoch;
    dev->owner   = (softefa_fabric.slot << 16) | file;
    dev->index   = index;
    dev->shm     = &softefa_fabric.shm->dev[index];
    dev->profile = options->profile;
    softefa_fabric_gid(index, dev->gid);
    dev->listed = (options->host == 0) ? index : SOFTEFA_MAX_DEVICES;
    pthread_mutex_init(&dev->lock, NULL);
    pthread_mutex_init(&dev->ah_lock, NULL);
    pthread_mutex_init(&dev->wait_lock, NULL);
    softefa_list_init(&dev->waiters);
    softefa_list_init(&dev->qps);
    softefa_list_init(&dev->cqs);
    softefa_list_init(&dev->mrs);
    softefa_list_init(&dev->channels);

    ret = softefa_admin_lock();
    if (ret == 0) {
        softefa_reap_dead();
        ret              = softefa_device_alive(index) ?
                                   dev_init_shared(dev, &options->profile) :
                                   ENODEV;
        dev->incarnation = softefa_fabric.shm->status[index].incarnation;
        softefa_admin_unlock();
    }
    if (ret != 0) {
        pthread_mutex_destroy(&dev->wait_lock);
        pthread_mutex_destroy(&dev->ah_lock);
        pthread_mutex_destroy(&dev->lock);
        free(dev->ahs);
        free(dev);
        return ret;
    }

    softefa_table_populate(dev->shm);
    softefa_dev_list_add(dev);
    softefa_host_dev_opened();
    *dev_p = dev;
    return 0;
}

const softefa_profile_t *softefa_dev_profile(const softefa_dev_t *dev)
{
    return &dev->profile;
}

void softefa_dev_gid(const softefa_dev_t *dev, uint8_t gid[16])
{
    memcpy(gid, dev->gid, sizeof(dev->gid));
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

bool softefa_dev_is_valid(const softefa_dev_t *dev)
{
    return softefa_dev_valid(dev);
}

bool softefa_dev_is_dead(const softefa_dev_t *dev)
{
    return softefa_dev_valid(dev) && softefa_dev_dead(dev);
}
