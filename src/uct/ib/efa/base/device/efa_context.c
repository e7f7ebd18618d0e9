/*
 * Opening the device, again if need be; the picture is in efa_context.h.
 *
 * Locks: md->lock, then uct_efa_opened_lock, then watch_lock.
 */
#include "base/ucx/ucx_compat.h"
#include "base/device/efa_context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t uct_efa_opened_lock = PTHREAD_MUTEX_INITIALIZER;
static UCS_LIST_HEAD(uct_efa_opened_list);

static struct ibv_context *uct_efa_context_open_device(const char *name,
                                                       int quiet)
{
    struct ibv_context *ctx = NULL;
    struct ibv_device **list;
    int i, num, err = ENODEV;

    list = ibv_get_device_list(&num);
    if (list == NULL) {
        err = errno;
        if (!quiet) {
            ucs_error("cannot list RDMA devices: %s", strerror(err));
        }
        errno = err;
        return NULL;
    }

    for (i = 0; i < num; ++i) {
        if (strcmp(ibv_get_device_name(list[i]), name) == 0) {
            errno = 0;
            ctx   = ibv_open_device(list[i]);
            err   = (errno != 0) ? errno : EIO;
            if ((ctx == NULL) && !quiet) {
                ucs_error("cannot open %s: %s", name, strerror(err));
            }
            break;
        }
    }

    if ((i == num) && !quiet) {
        ucs_error("there is no RDMA device %s any more", name);
    }

    ibv_free_device_list(list);
    errno = err;
    return ctx;
}

/* ------------------------------------------------------- one for each reset */

/* NULL: errno says why; ENODEV: it is not there. No reference. */
static uct_efa_context_t *uct_efa_context_create(const char *name,
                                                 unsigned generation, int quiet)
{
    struct ibv_device_attr attr;
    uct_efa_context_t *context;
    int flags, err;

    context = ucs_calloc(1, sizeof(*context), "efa_context");
    if (context == NULL) {
        err = ENOMEM;
        goto err;
    }

    context->generation = generation & UCT_EFA_GENERATION_MASK;
    context->ctx        = uct_efa_context_open_device(name, quiet);
    if (context->ctx == NULL) {
        err = errno;
        goto err_free;
    }

    /* Asked now and then, never waited for */
    flags = fcntl(context->ctx->async_fd, F_GETFL);
    if ((flags < 0) ||
        (fcntl(context->ctx->async_fd, F_SETFL, flags | O_NONBLOCK) < 0)) {
        err = errno;
        ucs_error("%s: cannot watch the device's events: %s", name,
                  strerror(err));
        goto err_close;
    }

    errno       = 0;
    context->pd = ibv_alloc_pd(context->ctx);
    if (context->pd == NULL) {
        err = (errno != 0) ? errno : EIO;
        memset(&attr, 0, sizeof(attr));
        if (!quiet) {
            ibv_query_device(context->ctx, &attr);
            ucs_error("cannot make a protection domain on %s: %s; the device "
                      "has %d of them for all processes of this host",
                      name, strerror(err), attr.max_pd);
        }
        goto err_close;
    }

    if (uct_efa_ah_cache_create(context->pd, &context->ahs) != UCS_OK) {
        err = ENOMEM;
        goto err_dealloc_pd;
    }

    pthread_mutex_init(&context->watch_lock, NULL);
    ucs_list_head_init(&context->watchers);
    return context;

err_dealloc_pd:
    ibv_dealloc_pd(context->pd);
err_close:
    ibv_close_device(context->ctx);
err_free:
    ucs_free(context);
err:
    errno = err;
    return NULL;
}

int uct_efa_context_is_gone(const uct_efa_context_t *context, int err)
{
    return uct_efa_err_is_gone(err) ||
           __atomic_load_n(&context->dead, __ATOMIC_RELAXED);
}

static void uct_efa_context_destroy(uct_efa_context_t *context)
{
    int ret;

    uct_efa_ah_cache_destroy(context->ahs);

    if (context->pd_stats != NULL) {
        uct_efa_stats_object_put(context->opened->stats, context->pd_stats,
                                 EFA_STATS_PD, 0);
    }
    ret = ibv_dealloc_pd(context->pd);
    if ((ret != 0) && !uct_efa_context_is_gone(context, ret)) {
        ucs_diag("%s: cannot free the protection domain: %s; something made "
                 "with it is still there",
                 ibv_get_device_name(context->ctx->device), strerror(ret));
    }

    ret = ibv_close_device(context->ctx);
    if (ret != 0) {
        ucs_diag("cannot close an EFA device: %s", strerror(errno));
    }

    pthread_mutex_destroy(&context->watch_lock);
    ucs_free(context);
}

/* Lock held. Once opened->stats is there. */
static void uct_efa_context_show_one(uct_efa_context_t *context)
{
    uct_efa_stats_object_params_t params = {
        .kind = EFA_STATS_PD,
        .site = "uct_efa_context_open"
    };

    if (context->pd_stats == NULL) {
        context->pd_stats = uct_efa_stats_object_get(context->opened->stats,
                                                     &params);
        uct_efa_ah_cache_show(context->ahs, context->opened->stats);
    }
}

/* Lock held. A reference to the newest context: to another than not_this. Made
 * if there is none, or only one that is known to be dead. NULL: errno says
 * why. */
static uct_efa_context_t *
uct_efa_opened_context(uct_efa_opened_t *opened,
                       const uct_efa_context_t *not_this, int quiet)
{
    uct_efa_context_t *newest = opened->context;
    int is_reset              = (newest != NULL) || (not_this != NULL);
    unsigned generation       = 0;

    if ((newest != NULL) && (newest != not_this) &&
        !__atomic_load_n(&newest->dead, __ATOMIC_RELAXED)) {
        ++newest->refs;
        return newest;
    }

    if (newest != NULL) {
        generation = newest->generation + 1;
    } else if (not_this != NULL) {
        generation = not_this->generation + 1;
    }

    newest = uct_efa_context_create(opened->name, generation, quiet);
    if (newest == NULL) {
        return NULL;
    }

    newest->opened  = opened;
    newest->refs    = 1;
    opened->context = newest;
    if (opened->stats != NULL) {
        opened->stats->generation += is_reset;
        uct_efa_context_show_one(newest);
    }
    return newest;
}

/* ------------------------------------------------------ one for each device */

/* Lock held. NULL: no memory. */
static uct_efa_opened_t *uct_efa_opened_get(const char *name)
{
    uct_efa_opened_t *opened;

    ucs_list_for_each(opened, &uct_efa_opened_list, list) {
        /* What was open when this process was forked is its parent's */
        if ((strcmp(opened->name, name) == 0) && (opened->pid == getpid())) {
            ++opened->refs;
            return opened;
        }
    }

    opened = ucs_calloc(1, sizeof(*opened), "efa_opened");
    if (opened == NULL) {
        ucs_error("cannot allocate the record of the open device %s", name);
        return NULL;
    }

    opened->refs = 1;
    opened->pid  = getpid();
    ucs_strncpy_zero(opened->name, name, sizeof(opened->name));
    ucs_list_add_tail(&uct_efa_opened_list, &opened->list);
    return opened;
}

/* Lock held. */
static void uct_efa_opened_put(uct_efa_opened_t *opened)
{
    if (--opened->refs > 0) {
        return;
    }

    if (opened->stats != NULL) {
        uct_efa_stats_device_put(opened->stats);
    }
    ucs_list_del(&opened->list);
    ucs_free(opened);
}

ucs_status_t uct_efa_context_open(uct_efa_md_t *md)
{
    ucs_status_t status = UCS_OK;

    pthread_mutex_lock(&uct_efa_opened_lock);
    md->opened = uct_efa_opened_get(md->name);
    if (md->opened == NULL) {
        status = UCS_ERR_NO_MEMORY;
        goto out;
    }

    if (md->opened->context != NULL) {
        (void)uct_efa_context_check(md, md->opened->context);
    }
    md->context = uct_efa_opened_context(md->opened, NULL, 0);
    if (md->context == NULL) {
        status = (errno == ENOMEM) ? UCS_ERR_NO_RESOURCE : UCS_ERR_NO_DEVICE;
        uct_efa_opened_put(md->opened);
    }

out:
    pthread_mutex_unlock(&uct_efa_opened_lock);
    return status;
}

void uct_efa_context_close(uct_efa_md_t *md)
{
    uct_efa_context_put(md->context);

    pthread_mutex_lock(&uct_efa_opened_lock);
    uct_efa_opened_put(md->opened);
    pthread_mutex_unlock(&uct_efa_opened_lock);
}

void uct_efa_context_show(uct_efa_md_t *md,
                          const uint64_t max[EFA_STATS_KIND_LAST])
{
    uct_efa_opened_t *opened = md->opened;

    pthread_mutex_lock(&uct_efa_opened_lock);
    if (opened->stats == NULL) {
        opened->stats = uct_efa_stats_device_get(md->name, max);
    }
    uct_efa_context_show_one(md->context);
    md->stats = opened->stats;
    pthread_mutex_unlock(&uct_efa_opened_lock);
}

uct_efa_context_t *uct_efa_context_get(uct_efa_md_t *md)
{
    uct_efa_context_t *context;

    pthread_mutex_lock(&md->lock);
    context = md->context;
    pthread_mutex_lock(&uct_efa_opened_lock);
    ++context->refs;
    pthread_mutex_unlock(&uct_efa_opened_lock);
    pthread_mutex_unlock(&md->lock);
    return context;
}

void uct_efa_context_put(uct_efa_context_t *context)
{
    unsigned refs;

    pthread_mutex_lock(&uct_efa_opened_lock);
    refs = --context->refs;
    if ((refs == 0) && (context->opened->context == context)) {
        context->opened->context = NULL;
    }
    pthread_mutex_unlock(&uct_efa_opened_lock);
    if (refs == 0) {
        uct_efa_context_destroy(context);
    }
}

ucs_status_t uct_efa_context_replace(uct_efa_md_t *md)
{
    ucs_status_t status = UCS_OK;
    uct_efa_context_t *context, *old = NULL;

    pthread_mutex_lock(&md->lock);
    /* One that replaced a dead one may be dead as well, before anybody has
     * begun to use it. */
    if (uct_efa_context_check(md, md->context)) {
        pthread_mutex_lock(&uct_efa_opened_lock);
        context = uct_efa_opened_context(md->opened, md->context, 1);
        pthread_mutex_unlock(&uct_efa_opened_lock);
        if (context == NULL) {
            status = UCS_ERR_NO_DEVICE;
        } else {
            uct_efa_mems_move(md, context);
            old         = md->context;
            md->context = context;
        }
    }
    pthread_mutex_unlock(&md->lock);

    if (old != NULL) {
        ucs_diag("%s: the device is back", uct_efa_md_device_name(md));
        uct_efa_context_put(old);
    }

    return status;
}
