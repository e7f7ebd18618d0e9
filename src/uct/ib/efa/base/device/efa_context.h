/*
 * An open device: the objects that a reset of the device destroys, and that are
 * created again.
 *
 *   memory domain A --> context 0   context, PD, address handles
 *     interface 1 -------> |        (dead: IBV_EVENT_DEVICE_FATAL)
 *     interface 2 ------------+
 *   memory domain B ------> context 1
 *     interface 3 ------------^
 *
 * A process opens a device once: all memory domains of that name share the
 * context, because a device has few of what a context takes (256 protection
 * domains for all processes of the host). Each memory domain replaces a dead
 * context as soon as the device can be opened again, by the one that another
 * has opened meanwhile if there is one, and registers all memory with it.
 * Interfaces follow one by one, each in its own thread; the last to leave
 * closes the old one. A forked child opens the device itself.
 *
 * The first interface that reads a device event consumes it; the others may
 * sleep. So each interface that sleeps has a watcher here, which wakes it.
 *
 *   generation   how often the device was reset, modulo 64. It is part of
 *                remote keys: one of an earlier generation means nothing to
 *                the device, but its owner can say which one replaces it.
 */
#ifndef UCT_EFA_CONTEXT_H
#define UCT_EFA_CONTEXT_H

#include "base/def/efa_def.h"
#include "base/device/efa_ah.h"
#include "stats/efa_stats.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>
#include <uct/api/uct_def.h>

#define UCT_EFA_GENERATION_BITS 6
#define UCT_EFA_GENERATION_MASK ((1u << UCT_EFA_GENERATION_BITS) - 1)

struct uct_efa_context {
    struct ibv_context     *ctx;
    struct ibv_pd          *pd;
    uct_efa_ah_cache_t     *ahs;
    uct_efa_opened_t       *opened;
    unsigned               refs;       /* under the lock of efa_context.c    */
    unsigned               generation;
    int                    dead;       /* set once, by any thread            */
    pthread_mutex_t        watch_lock;
    ucs_list_link_t        watchers;   /* uct_efa_watcher_t                  */
    uct_efa_stats_object_t *pd_stats;  /* NULL: not shown (yet)              */
};

/* A device that memory domains of this process have open */
struct uct_efa_opened {
    ucs_list_link_t        list;
    unsigned               refs;       /* memory domains                     */
    pid_t                  pid;
    uct_efa_context_t      *context;   /* newest, no reference; NULL: none   */
    uct_efa_stats_device_t *stats;     /* NULL: not shown yet                */
    char                   name[UCT_DEVICE_NAME_MAX];
};

/* context NULL: not watching */
typedef struct {
    ucs_list_link_t   list;
    uct_efa_context_t *context;
    int               timer_fd;
} uct_efa_watcher_t;

/* Opens md->name for md, or joins those that have it open: sets md->opened and
 * md->context, with a reference to each. Logs the cause of an error.
 * UCS_ERR_NO_RESOURCE: the device has no protection domain left;
 * UCS_ERR_NO_DEVICE: it is not there, or cannot be opened. */
ucs_status_t uct_efa_context_open(uct_efa_md_t *md);

/* The reverse. */
void uct_efa_context_close(uct_efa_md_t *md);

/* Shows the device, and what is made of it from now on, in the stats segment:
 * sets md->stats. max: as for uct_efa_stats_device_get(). Between
 * uct_efa_stats_open() and close(). */
void uct_efa_context_show(uct_efa_md_t *md,
                          const uint64_t max[EFA_STATS_KIND_LAST]);

/* A reference to the memory domain's present context. */
uct_efa_context_t *uct_efa_context_get(uct_efa_md_t *md);

/* Gives one back. A device that is gone cannot refuse to be closed. */
void uct_efa_context_put(uct_efa_context_t *context);

/* From now on watcher->timer_fd, a timerfd, expires when somebody has read an
 * event of context that the watcher's owner must know of. The owner may set the
 * timer for itself, too, and looks at the context after that. Ends what it
 * watched before; context NULL: stops watching. */
void uct_efa_context_watch(uct_efa_context_t *context,
                           uct_efa_watcher_t *watcher);

/* Reads what the device has to say. Nonzero: the context is dead, for good. A
 * queue pair that failed alone is marked by setting the int at its qp_context.
 * Any thread. */
int uct_efa_context_check(uct_efa_md_t *md, uct_efa_context_t *context);

/* The same after a command that failed like those to a device that is gone: the
 * event may come later than that. If another command fails so, too, it is. */
int uct_efa_context_probe(uct_efa_md_t *md, uct_efa_context_t *context);

/* It was asked, and is gone, whatever events it has. Any thread. */
void uct_efa_context_set_lost(uct_efa_md_t *md, uct_efa_context_t *context);

/* Makes sure that md's present context is not known to be dead: UCS_OK.
 * UCS_ERR_NO_DEVICE: the device is not back yet, ask again. Memory that cannot
 * be registered with the new context is named in the log, and transfers that
 * use it fail. */
ucs_status_t uct_efa_context_replace(uct_efa_md_t *md);

/* Upcall, base/mem/efa_keys.c: registers all of md's memory with context, which
 * replaces a dead one. Under md->lock. */
void uct_efa_mems_move(uct_efa_md_t *md, uct_efa_context_t *context);

/* How commands to a device that is gone fail. */
static inline int uct_efa_err_is_gone(int err)
{
    return (err == EIO) || (err == ENODEV);
}

/* The command failed so, or the device is known to be gone. */
int uct_efa_context_is_gone(const uct_efa_context_t *context, int err);

#endif
