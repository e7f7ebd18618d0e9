/*
 * An open device: what is lost when the device is reset, and made anew.
 *
 *   memory domain --> current --> context 0   context, PD, address handles
 *   interface 1 ---------------->    |        (dead: IBV_EVENT_DEVICE_FATAL)
 *   interface 2 ------------------> context 1
 *
 * The memory domain replaces a dead context as soon as the device can be
 * opened again, and registers all memory with the new one. Interfaces follow
 * one by one, each in its own thread; the last to leave closes the old one.
 *
 *   generation   how often the device was reset, modulo 64. It is part of
 *                remote keys: one of an earlier generation means nothing to
 *                the device, but its owner can say which one replaces it.
 */
#ifndef UCT_EFA_CONTEXT_H
#define UCT_EFA_CONTEXT_H

#include "efa_ah.h"
#include "efa_window.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdint.h>

typedef struct uct_efa_md uct_efa_md_t;

#define UCT_EFA_GENERATION_BITS 6
#define UCT_EFA_GENERATION_MASK ((1u << UCT_EFA_GENERATION_BITS) - 1)

typedef struct {
    struct ibv_context *ctx;
    struct ibv_pd      *pd;
    uct_efa_ah_cache_t *ahs;
    unsigned           refs;           /* under md->lock                     */
    unsigned           generation;
    int                dead;           /* set once, by any thread            */
    uct_efa_window_device_t *win;      /* NULL: not shown (yet)              */
    uct_efa_window_object_t *pd_win;
} uct_efa_context_t;

/* Opens the device called name. Logs the cause unless `quiet`. NULL: errno
 * says why; ENODEV: it is not there. One reference. */
uct_efa_context_t *uct_efa_context_open(const char *name, unsigned generation,
                                        int quiet);

/* Shows it and what will be made of it in the window. */
void uct_efa_context_show(uct_efa_context_t *context,
                          uct_efa_window_device_t *win);

/* A reference to the memory domain's present context. */
uct_efa_context_t *uct_efa_context_get(uct_efa_md_t *md);

/* Gives one back. A device that is gone cannot refuse to be closed. */
void uct_efa_context_put(uct_efa_md_t *md, uct_efa_context_t *context);

/* Reads what the device has to say. Nonzero: the context is dead, for good. A
 * queue pair that failed alone is told by setting the int at its qp_context.
 * Any thread. */
int uct_efa_context_check(uct_efa_md_t *md, uct_efa_context_t *context);

/* The same after a command that failed like those to a device that is gone: the
 * event may come later than that. If another command fails so, too, it is. */
int uct_efa_context_probe(uct_efa_md_t *md, uct_efa_context_t *context);

/* Makes sure that md's present context is not known to be dead: UCS_OK.
 * UCS_ERR_NO_DEVICE: the device is not back yet, ask again. Memory that cannot be
 * registered with the new context is said in the log, and fails where it is
 * used. */
ucs_status_t uct_efa_context_replace(uct_efa_md_t *md);

/* How commands to a device that is gone fail. */
static inline int uct_efa_err_is_gone(int err)
{
    return (err == EIO) || (err == ENODEV);
}

/* The command failed so, or the device is known to be gone. */
int uct_efa_context_is_gone(const uct_efa_context_t *context, int err);

#endif
