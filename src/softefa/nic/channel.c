/*
 * Completion channels: a FIFO in the fabric's directory, so that any process
 * can raise an event. Events are 8-byte cookies; a write of 8 bytes is atomic.
 */
#define _GNU_SOURCE
#include "base/log.h"
#include "nic/object.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

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
    char name[SOFTEFA_CHANNEL_NAME];
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
    ret = softefa_admin_lock();
    if (ret == 0) {
        ret = channel_alloc(dev, &channel->index);
        softefa_admin_unlock();
    }
    if (ret != 0) {
        goto err;
    }

    /* Our own write end keeps the reader from seeing an end of file. */
    channel->shm = &softefa_fabric.shm->channel[channel->index];
    snprintf(name, sizeof(name), "ev%u", channel->index);
    unlinkat(softefa_fabric.dir_fd, name, 0);
    if (mkfifoat(softefa_fabric.dir_fd, name, 0600) < 0) {
        ret = errno;
        goto err_put;
    }

    *fd = softefa_sys_openat(softefa_fabric.dir_fd, name,
                             O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (*fd < 0) {
        ret = errno;
        goto err_unlink;
    }

    channel->purge_fd = softefa_sys_openat(softefa_fabric.dir_fd, name,
                                           O_RDWR | O_NONBLOCK | O_NOFOLLOW |
                                           O_CLOEXEC, 0);
    if (channel->purge_fd < 0) {
        ret = errno;
        goto err_close;
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->channels, &channel->link);
    pthread_mutex_unlock(&dev->lock);
    *channel_p = channel;
    return 0;

err_close:
    softefa_sys_close(*fd);
err_unlink:
    unlinkat(softefa_fabric.dir_fd, name, 0);
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
    char name[SOFTEFA_CHANNEL_NAME];
    int ret;

    if (softefa_dev_valid(dev)) {
        ret = softefa_admin_lock();
        if (ret == 0) {
            snprintf(name, sizeof(name), "ev%u", channel->index);
            unlinkat(softefa_fabric.dir_fd, name, 0);
            softefa_channel_put(channel->shm);
            softefa_admin_unlock();
        } else if (!dev->closing) {
            return ret;
        }
    }

    softefa_event_forget(channel->index);
    softefa_sys_close(channel->purge_fd);
    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&channel->link);
    pthread_mutex_unlock(&dev->lock);
    free(channel);
    return 0;
}

/* Takes this CQ's events out of the channel, as the kernel does when a CQ is
 * destroyed. Returns how many. The others go back in their order. */
uint32_t softefa_channel_purge(softefa_channel_t *channel, uint64_t cookie)
{
    uint32_t purged = 0;
    uint64_t *events;
    ssize_t length;
    int size, i, count;

    if ((ioctl(channel->purge_fd, FIONREAD, &size) < 0) || (size == 0)) {
        return 0;
    }

    events = malloc(size);
    if (events == NULL) {
        return 0;
    }

    length = read(channel->purge_fd, events, size);
    count  = (length > 0) ? (length / sizeof(*events)) : 0;
    for (i = 0; i < count; ++i) {
        if (events[i] == cookie) {
            ++purged;
        } else if (write(channel->purge_fd, &events[i],
                         sizeof(events[i])) < 0) {
            softefa_error("lost a completion event: %s", strerror(errno));
        }
    }

    free(events);
    return purged;
}
