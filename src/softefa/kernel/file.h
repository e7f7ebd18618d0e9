/*
 * An open file of a uverbs device.
 *
 *   fd 7 --.                            .-- handle 0: PD
 *           +--> softefa_file_t --------+-- handle 1: CQ --> softefa_cq_t
 *   fd 9 --'     (one open of uverbs0)  '-- handle 2: QP --> softefa_qp_t
 *   (dup)              |
 *                      '--> softefa_dev_t, context hooks
 *
 * A file lives as long as one descriptor in the table refers to it. Its lock
 * serialises commands, as a device's admin queue does; the data path never
 * takes it. Closing the file destroys all its objects, users before used.
 */
#ifndef SOFTEFA_FILE_H
#define SOFTEFA_FILE_H

#include "kernel/obj.h"

#include <pthread.h>
#include <sys/types.h>

typedef struct softefa_hooks softefa_hooks_t;  /* upcall.h */

struct softefa_file {
    pthread_mutex_t lock;
    unsigned        refcount;         /* of this memory, atomic */
    unsigned        num_fds;          /* open uverbs fds; table's lock */
    pid_t           pid;              /* that opened it */
    int             inherited;        /* over fork(): not to be used */
    softefa_dev_t   *dev;             /* NULL: closed */
    unsigned        index;            /* N of uverbsN */
    int             has_context;      /* GET_CONTEXT was done */
    int             has_async;        /* ASYNC_EVENT_ALLOC was done */
    softefa_hooks_t *hooks;           /* NULL until the first CQ or QP */
    softefa_file_t  *next;            /* among what a child inherited */
    softefa_obj_t   **objs;           /* by handle, NULL: free */
    uint32_t        num_objs;
    uint32_t        free_hint;        /* no free handle below this one */
};

/* Errors are positive errno values. open gives the caller a reference; close
 * destroys everything but the memory, which goes with the last reference. */
int  softefa_file_open(unsigned index, softefa_file_t **file_p);
void softefa_file_close(softefa_file_t *file);
void softefa_file_put(softefa_file_t *file);

/* The fabric's memory file, opened read-write: its offsets are the keys for
 * mmap() in command responses. A duplicate of this descriptor is what the
 * application holds as its uverbs device, so a plain mmap() of it works and
 * mmap() is not interposed (UCX patches mmap() to a bare system call). -1: the
 * device is not valid any more. */
int softefa_file_mmap_fd(const softefa_file_t *file);

#endif
