/*
 * Which descriptors are ours.
 *
 *   chunks[fd / 1024] --> slots[fd % 1024] --> softefa_fd_t --> file
 *
 * Slots are read without a lock by softefa_fd_maybe(), which every close() of
 * the application passes; all else holds the lock. Entries of a forked child
 * stay, so that its commands fail and its close() does not reach the parent's
 * device.
 */
#define _GNU_SOURCE
#include "preload/fd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CHUNK_SLOTS = 1024,
    NUM_CHUNKS  = 1024
};

typedef _Atomic(softefa_fd_t*) fd_slot_t;

static _Atomic(fd_slot_t*) chunks[NUM_CHUNKS];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static fd_slot_t *slot_find(int fd)
{
    fd_slot_t *chunk;

    if ((fd < 0) || (fd >= NUM_CHUNKS * CHUNK_SLOTS)) {
        return NULL;
    }

    chunk = atomic_load_explicit(&chunks[fd / CHUNK_SLOTS],
                                 memory_order_acquire);
    return (chunk == NULL) ? NULL : &chunk[fd % CHUNK_SLOTS];
}

int softefa_fd_maybe(int fd)
{
    fd_slot_t *slot = slot_find(fd);

    return (slot != NULL) &&
           (atomic_load_explicit(slot, memory_order_relaxed) != NULL);
}

/* fstat() of the C library would come back to our own interposer. */
static int fd_inode(int fd, dev_t *st_dev, ino_t *st_ino)
{
    struct stat st;

    /* gcc 16 with TSan does not see that it is only read on success */
    *st_dev = 0;
    *st_ino = 0;
    if (syscall(SYS_newfstatat, fd, "", &st, 0x1000 /* AT_EMPTY_PATH */)) {
        return errno;
    }

    *st_dev = st.st_dev;
    *st_ino = st.st_ino;
    return 0;
}

/* Locked. The entry, if fd is still the file that was entered. */
static softefa_fd_t *slot_valid(int fd, fd_slot_t *slot)
{
    softefa_fd_t *entry = (slot == NULL) ? NULL : *slot;
    dev_t st_dev;
    ino_t st_ino;

    if ((entry == NULL) || fd_inode(fd, &st_dev, &st_ino) ||
        (entry->st_dev != st_dev) || (entry->st_ino != st_ino)) {
        return NULL;
    }

    return entry;
}

/* Locked. How many descriptors what this one refers to has. */
static unsigned *entry_num_fds(const softefa_fd_t *entry)
{
    return (entry->channel != NULL) ? &entry->channel->u.channel.num_fds :
                                      &entry->file->num_fds;
}

/* Unlocked: what an entry's end means for its file. */
static void entry_release(softefa_fd_t *entry, int last)
{
    softefa_file_t *file = entry->file;

    if (last && !file->inherited) {
        if (entry->channel != NULL) {
            softefa_obj_channel_closed(file, entry->channel);
        } else {
            softefa_file_close(file);
        }
    }

    softefa_file_put(file);
    free(entry);
}

/* Locked. Takes the entry out; the caller releases it after unlocking. */
static softefa_fd_t *slot_clear(fd_slot_t *slot, int *last)
{
    softefa_fd_t *entry = (slot == NULL) ? NULL : *slot;

    *last = 0;
    if (entry != NULL) {
        *slot = NULL;
        *last = (--*entry_num_fds(entry) == 0);
    }

    return entry;
}

/* Locked. */
static int slot_set(int fd, softefa_file_t *file, softefa_obj_t *channel,
                    softefa_fd_t **stale, int *stale_last)
{
    softefa_fd_t *entry;
    fd_slot_t *chunk;

    *stale = NULL;
    if ((fd < 0) || (fd >= NUM_CHUNKS * CHUNK_SLOTS)) {
        return EMFILE;
    }

    chunk = chunks[fd / CHUNK_SLOTS];
    if (chunk == NULL) {
        chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
        if (chunk == NULL) {
            return ENOMEM;
        }
        atomic_store_explicit(&chunks[fd / CHUNK_SLOTS], chunk,
                              memory_order_release);
    }

    entry = malloc(sizeof(*entry));
    if (entry == NULL) {
        return ENOMEM;
    }

    entry->file    = file;
    entry->channel = channel;
    if (fd_inode(fd, &entry->st_dev, &entry->st_ino)) {
        free(entry);
        return EBADF;
    }

    *stale = slot_clear(&chunk[fd % CHUNK_SLOTS], stale_last);
    ++*entry_num_fds(entry);
    __atomic_fetch_add(&file->refcount, 1, __ATOMIC_RELAXED);
    chunk[fd % CHUNK_SLOTS] = entry;
    return 0;
}

static void fork_prepare(void)
{
    pthread_mutex_lock(&table_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&table_lock);
}

static void fork_child(void)
{
    softefa_fd_t *entry;
    unsigned i, j;

    for (i = 0; i < NUM_CHUNKS; ++i) {
        for (j = 0; (chunks[i] != NULL) && (j < CHUNK_SLOTS); ++j) {
            entry = chunks[i][j];
            if (entry != NULL) {
                entry->file->inherited = 1;
                /* its holder may be a thread that fork() did not copy */
                pthread_mutex_init(&entry->file->lock, NULL);
            }
        }
    }

    pthread_mutex_init(&table_lock, NULL);
}

static void fork_handlers_init(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

int softefa_fd_add(int fd, softefa_file_t *file, softefa_obj_t *channel)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    softefa_fd_t *stale;
    int ret, last;

    pthread_once(&once, fork_handlers_init);

    pthread_mutex_lock(&table_lock);
    ret = slot_set(fd, file, channel, &stale, &last);
    pthread_mutex_unlock(&table_lock);

    if (stale != NULL) {
        entry_release(stale, last);
    }
    return ret;
}

softefa_file_t *softefa_fd_get(int fd, softefa_obj_t **channel_p)
{
    softefa_file_t *file = NULL;
    softefa_fd_t *entry;

    if (!softefa_fd_maybe(fd)) {
        return NULL;
    }

    pthread_mutex_lock(&table_lock);
    entry = slot_valid(fd, slot_find(fd));
    if (entry != NULL) {
        file       = entry->file;
        *channel_p = entry->channel;
        __atomic_fetch_add(&file->refcount, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&table_lock);
    return file;
}

void softefa_fd_closing(int fd)
{
    softefa_fd_t *entry;
    fd_slot_t *slot;
    int last;

    pthread_mutex_lock(&table_lock);
    slot  = slot_find(fd);
    entry = (slot == NULL) ? NULL : *slot;
    if ((entry != NULL) && !entry->file->inherited &&
        (entry->file->pid != getpid())) {
        entry = NULL; /* a vfork() child closes its own copy of fd */
    } else {
        entry = slot_clear(slot, &last);
    }
    pthread_mutex_unlock(&table_lock);

    if (entry != NULL) {
        entry_release(entry, last);
    }
}

void softefa_fd_dup(int from, int to)
{
    softefa_fd_t *entry, *stale = NULL;
    int last = 0;

    if (from == to) {
        return;
    }

    pthread_mutex_lock(&table_lock);
    entry = slot_valid(from, slot_find(from));
    if (entry == NULL) {
        stale = slot_clear(slot_find(to), &last);
    } else if (entry->file->inherited || (entry->file->pid == getpid())) {
        /* without memory for the entry, `to` is a descriptor like any other */
        (void)slot_set(to, entry->file, entry->channel, &stale, &last);
    }
    pthread_mutex_unlock(&table_lock);

    if (stale != NULL) {
        entry_release(stale, last);
    }
}

void softefa_fd_closing_range(unsigned first, unsigned last)
{
    unsigned fd;

    if (last >= NUM_CHUNKS * CHUNK_SLOTS) {
        last = NUM_CHUNKS * CHUNK_SLOTS - 1;
    }

    for (fd = first; fd <= last; ++fd) {
        if (chunks[fd / CHUNK_SLOTS] == NULL) {
            fd |= CHUNK_SLOTS - 1;
        } else if (softefa_fd_maybe(fd)) {
            softefa_fd_closing(fd);
        }
    }
}
