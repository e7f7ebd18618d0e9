/*
 * See event.h. Writes and reads of one event are atomic: 8 and 16 bytes.
 */
#define _GNU_SOURCE
#include "fabric/event.h"
#include "abi/uverbs_abi.h"
#include "base/log.h"
#include "base/sys.h"
#include "fabric/fabric.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    NAME_SIZE = 32
};

typedef softefa_abi_async_event_t async_event_t;

/* Writers of completion channels, opened on first use. */
static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint32_t generation;
    int      fd;                     /* + 1, 0: none */
} event_fd[SOFTEFA_MAX_CHANNELS];

static int fifo_open(const char *name, int flags)
{
    return softefa_sys_openat(softefa_fabric.dir_fd, name,
                              flags | O_NOFOLLOW | O_CLOEXEC, 0);
}

/* The reader's descriptor. Its own write end keeps it from seeing an end of
 * file. */
static int fifo_create(const char *name, int *fd)
{
    unlinkat(softefa_fabric.dir_fd, name, 0);
    if (mkfifoat(softefa_fabric.dir_fd, name, 0600) < 0) {
        return errno;
    }

    *fd = fifo_open(name, O_RDWR);
    return (*fd < 0) ? errno : 0;
}

/* Not the function: a thread cancelled in it would keep our locks. */
static bool fifo_write(int fd, const void *event, size_t size)
{
    return syscall(SYS_write, (long)fd, event, size) == (long)size;
}

/* Takes out the events equal to `event`, of `size` bytes, as many as come. The
 * others go back in their order. */
static uint32_t fifo_purge(int fd, const void *event, size_t size)
{
    uint32_t purged = 0;
    int available, i, count;
    ssize_t length;
    char *events;

    if ((ioctl(fd, FIONREAD, &available) < 0) || (available == 0)) {
        return 0;
    }

    events = malloc(available);
    if (events == NULL) {
        return 0;
    }

    length = read(fd, events, available);
    count  = (length > 0) ? (length / size) : 0;
    for (i = 0; i < count; ++i) {
        if (!memcmp(&events[i * size], event, size)) {
            ++purged;
        } else if (write(fd, &events[i * size], size) < 0) {
            softefa_error("lost an event: %s", strerror(errno));
        }
    }

    free(events);
    return purged;
}

static void channel_name(char name[NAME_SIZE], unsigned index)
{
    snprintf(name, NAME_SIZE, "ev%u", index);
}

int softefa_event_channel_create(unsigned index, int *fd, int *reader)
{
    char name[NAME_SIZE];
    int ret;

    channel_name(name, index);
    ret = fifo_create(name, fd);
    if (ret != 0) {
        return ret;
    }

    *reader = fifo_open(name, O_RDWR | O_NONBLOCK);
    if (*reader < 0) {
        ret = errno;
        softefa_sys_close(*fd);
        unlinkat(softefa_fabric.dir_fd, name, 0);
    }

    return ret;
}

void softefa_event_channel_remove(unsigned index)
{
    char name[NAME_SIZE];

    channel_name(name, index);
    unlinkat(softefa_fabric.dir_fd, name, 0);
}

void softefa_event_close(int fd)
{
    softefa_sys_close(fd);
}

/* Locked. */
static void channel_close(unsigned index)
{
    if (event_fd[index].fd > 0) {
        softefa_sys_close(event_fd[index].fd - 1);
        event_fd[index].fd = 0;
    }
}

void softefa_event_channel_close(unsigned index)
{
    pthread_mutex_lock(&event_lock);
    channel_close(index);
    pthread_mutex_unlock(&event_lock);
}

void softefa_event_fork_child(void)
{
    unsigned index;

    pthread_mutex_init(&event_lock, NULL);
    for (index = 0; index < SOFTEFA_MAX_CHANNELS; ++index) {
        channel_close(index);
    }
}

bool softefa_event_channel_raise(unsigned index, uint64_t cookie)
{
    uint32_t generation = softefa_fabric.shm->channel[index].generation;
    bool done           = false;
    char name[NAME_SIZE];

    pthread_mutex_lock(&event_lock);
    if (event_fd[index].generation != generation) {
        channel_close(index);
    }
    if (event_fd[index].fd == 0) {
        /* Opened for reading, too: without it a channel whose reader is gone
         * would be a SIGPIPE. */
        channel_name(name, index);
        event_fd[index].fd         = fifo_open(name, O_RDWR | O_NONBLOCK) + 1;
        event_fd[index].generation = generation;
    }
    if (event_fd[index].fd > 0) {
        done = fifo_write(event_fd[index].fd - 1, &cookie, sizeof(cookie));
    }
    pthread_mutex_unlock(&event_lock);
    return done;
}

uint32_t softefa_event_channel_purge(int reader, uint64_t cookie)
{
    return fifo_purge(reader, &cookie, sizeof(cookie));
}

static void async_name(char name[NAME_SIZE],
                       const softefa_event_context_t *context)
{
    snprintf(name, NAME_SIZE, "as%x.%x.%x", context->device,
             context->incarnation, context->owner);
}

int softefa_event_async_create(const softefa_event_context_t *context, int *fd)
{
    char name[NAME_SIZE];

    async_name(name, context);
    return fifo_create(name, fd);
}

void softefa_event_async_remove(const softefa_event_context_t *context)
{
    char name[NAME_SIZE];

    async_name(name, context);
    unlinkat(softefa_fabric.dir_fd, name, 0);
}

static bool async_raise(const char *name, unsigned type, uint64_t element)
{
    const async_event_t event = {.element = element, .event_type = type};
    int fd                    = fifo_open(name, O_WRONLY | O_NONBLOCK);
    bool done;

    if (fd < 0) {
        return false;
    }

    done = fifo_write(fd, &event, sizeof(event));
    softefa_sys_close(fd);
    return done;
}

bool softefa_event_async_raise(const softefa_event_context_t *context,
                               unsigned type, uint64_t element)
{
    char name[NAME_SIZE];

    async_name(name, context);
    return async_raise(name, type, element);
}

void softefa_event_async_raise_all(unsigned device, uint32_t incarnation,
                                   unsigned type)
{
    struct dirent *entry;
    char prefix[NAME_SIZE];
    DIR *dir;

    dir = opendir(softefa_fabric.dir);
    if (dir == NULL) {
        softefa_error("device %u died, and its users get no event: %s: %s",
                      device, softefa_fabric.dir, strerror(errno));
        return;
    }

    snprintf(prefix, sizeof(prefix), "as%x.%x.", device, incarnation);
    while ((entry = readdir(dir)) != NULL) {
        if (!strncmp(entry->d_name, prefix, strlen(prefix))) {
            async_raise(entry->d_name, type, 0);
        }
    }
    closedir(dir);
}

uint32_t softefa_event_async_purge(const softefa_event_context_t *context,
                                   unsigned type, uint64_t element)
{
    const async_event_t event = {.element = element, .event_type = type};
    uint32_t purged;
    char name[NAME_SIZE];
    int fd;

    async_name(name, context);
    fd = fifo_open(name, O_RDWR | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    purged = fifo_purge(fd, &event, sizeof(event));
    softefa_sys_close(fd);
    return purged;
}
