/*
 * Asynchronous events: a FIFO per open context in the fabric's directory, so
 * that any process can raise one, also in a process that sleeps.
 *
 *   as<device>.<life>.<owner>      hexadecimal; life: the device's at open
 *
 *   raised by     fault_device.c: DEVICE_FATAL, to all of one life of a device;
 *                 QP_FATAL, to the QP's owner
 *   read by       libibverbs: softefa_abi_async_event_t, 16 bytes, whose writes
 *                 and reads are atomic
 *   taken back    a QP's unread ones, when it is destroyed
 *
 * The descriptor is the application's. What a killed process left has no
 * reader and is ignored.
 */
#define _GNU_SOURCE
#include "faults/fault.h"
#include "base/log.h"
#include "nic/object.h"
#include "base/sys.h"
#include "abi/uverbs_abi.h"

#include <dirent.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum {
    ASYNC_NAME = 32
};

typedef softefa_abi_async_event_t async_event_t;

static void async_name(char name[ASYNC_NAME], unsigned device, uint32_t life,
                       uint32_t owner)
{
    snprintf(name, ASYNC_NAME, "as%x.%x.%x", device, life, owner);
}

static int async_open(const char *name, int flags)
{
    return softefa_sys_openat(softefa_fabric.dir_fd, name,
                              flags | O_NOFOLLOW | O_CLOEXEC, 0);
}

int softefa_async_open(softefa_dev_t *dev, int *fd)
{
    char name[ASYNC_NAME];

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    async_name(name, dev->index, dev->life, dev->owner);
    unlinkat(softefa_fabric.dir_fd, name, 0);
    if (mkfifoat(softefa_fabric.dir_fd, name, 0600) < 0) {
        return errno;
    }

    /* Its own write end keeps the reader from seeing an end of file. */
    *fd = async_open(name, O_RDWR);
    if (*fd < 0) {
        return errno;
    }

    /* A death from now on finds the FIFO; an earlier one is told by EIO. */
    dev->async = true;
    if (softefa_dev_dead(dev)) {
        softefa_sys_close(*fd);
        return EIO;
    }

    return 0;
}

void softefa_async_close(softefa_dev_t *dev)
{
    char name[ASYNC_NAME];

    if (dev->async) {
        async_name(name, dev->index, dev->life, dev->owner);
        unlinkat(softefa_fabric.dir_fd, name, 0);
        dev->async = false;
    }
}

/* A reader that never reads loses events, as nobody waits for it. */
static bool async_raise(const char *name, unsigned type, uint64_t element)
{
    const async_event_t event = {.element = element, .event_type = type};
    int fd                    = async_open(name, O_WRONLY | O_NONBLOCK);
    bool done;

    if (fd < 0) {
        return false;
    }

    done = syscall(SYS_write, (long)fd, &event, sizeof(event)) ==
           sizeof(event);
    softefa_sys_close(fd);
    return done;
}

bool softefa_async_raise_qp(unsigned device, uint32_t life, uint32_t owner,
                            uint64_t cookie)
{
    char name[ASYNC_NAME];

    async_name(name, device, life, owner);
    return async_raise(name, IBV_EVENT_QP_FATAL, cookie);
}

void softefa_async_raise_fatal(unsigned device, uint32_t life)
{
    struct dirent *entry;
    char prefix[ASYNC_NAME];
    DIR *dir;

    dir = opendir(softefa_fabric.dir);
    if (dir == NULL) {
        softefa_error("device %u died, and its users cannot be told: %s: %s",
                      device, softefa_fabric.dir, strerror(errno));
        return;
    }

    snprintf(prefix, sizeof(prefix), "as%x.%x.", device, life);
    while ((entry = readdir(dir)) != NULL) {
        if (!strncmp(entry->d_name, prefix, strlen(prefix))) {
            async_raise(entry->d_name, IBV_EVENT_DEVICE_FATAL, 0);
        }
    }
    closedir(dir);
}

/* Unread events of this QP; the others go back in their order. */
static uint32_t async_purge(softefa_dev_t *dev, uint64_t cookie)
{
    uint32_t purged = 0;
    char name[ASYNC_NAME];
    async_event_t *events;
    ssize_t length;
    int fd, size, i, count;

    async_name(name, dev->index, dev->life, dev->owner);
    fd = async_open(name, O_RDWR | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    if ((ioctl(fd, FIONREAD, &size) < 0) || (size == 0)) {
        goto out;
    }

    events = malloc(size);
    if (events == NULL) {
        goto out;
    }

    length = read(fd, events, size);
    count  = (length > 0) ? (length / sizeof(*events)) : 0;
    for (i = 0; i < count; ++i) {
        if ((events[i].event_type == IBV_EVENT_QP_FATAL) &&
            (events[i].element == cookie)) {
            ++purged;
        } else if (write(fd, &events[i], sizeof(events[i])) < 0) {
            softefa_error("lost an asynchronous event: %s", strerror(errno));
        }
    }
    free(events);
out:
    softefa_sys_close(fd);
    return purged;
}

uint32_t softefa_async_qp_events(softefa_qp_t *qp)
{
    uint32_t events = 0;

    if (!softefa_dev_valid(qp->dev) || !softefa_trouble() ||
        (softefa_admin_lock() != 0)) {
        return 0;
    }

    if (qp->shm->events > 0) {
        qp->shm->events -= async_purge(qp->dev, qp->shm->cookie);
        events           = qp->shm->events;
    }
    softefa_admin_unlock();
    return events;
}
