/*
 * Completion channels: numbers in the shared table. What carries their events:
 * fabric/event.h.
 */
#include "nic/channel.h"
#include "fabric/admin.h"
#include "fabric/event.h"
#include "nic/dev.h"

#include <errno.h>
#include <stdlib.h>

void softefa_channel_put(softefa_shm_channel_t *shm)
{
    if (--shm->refs == 0) {
        shm->obj.state = SOFTEFA_STATE_FREE;
    }
}

static int channel_alloc(softefa_dev_t *dev, unsigned *index)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    softefa_shm_channel_t *channel;
    unsigned i;

    for (i = 0; i < SOFTEFA_MAX_CHANNELS; ++i) {
        channel = &shm->channel[i];
        if (channel->obj.state == SOFTEFA_STATE_FREE) {
            channel->obj.owner = dev->owner;
            channel->obj.state = SOFTEFA_STATE_ALIVE;
            channel->refs      = 1;
            ++channel->generation;
            if (i >= shm->num_channels) {
                shm->num_channels = i + 1;
            }
            *index = i;
            return 0;
        }
    }

    return ENOMEM;
}

int softefa_channel_create(softefa_dev_t *dev, softefa_channel_t **channel_p,
                           int *fd)
{
    softefa_channel_t *channel;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        return ENOMEM;
    }

    channel->dev = dev;
    ret          = softefa_admin_lock();
    if (ret == 0) {
        ret = channel_alloc(dev, &channel->index);
        softefa_admin_unlock();
    }
    if (ret != 0) {
        goto err;
    }

    channel->shm = &softefa_fabric.shm->channel[channel->index];
    ret = softefa_event_channel_create(channel->index, fd, &channel->reader);
    if (ret != 0) {
        goto err_put;
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->channels, &channel->link);
    pthread_mutex_unlock(&dev->lock);
    *channel_p = channel;
    return 0;

err_put:
    if (softefa_admin_lock() == 0) {
        softefa_channel_put(channel->shm);
        softefa_admin_unlock();
    }
err:
    free(channel);
    return ret;
}

int softefa_channel_destroy(softefa_channel_t *channel)
{
    softefa_dev_t *dev = channel->dev;
    int ret;

    if (softefa_dev_valid(dev)) {
        ret = softefa_admin_lock();
        if (ret == 0) {
            softefa_event_channel_remove(channel->index);
            softefa_channel_put(channel->shm);
            softefa_admin_unlock();
        } else if (!dev->closing) {
            return ret;
        }
    }

    softefa_event_channel_close(channel->index);
    softefa_event_close(channel->reader);
    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&channel->link);
    pthread_mutex_unlock(&dev->lock);
    free(channel);
    return 0;
}
