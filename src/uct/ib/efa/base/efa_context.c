/*
 * Opening the device, again if need be; the picture is in efa_context.h.
 */
#include "ucx_compat.h"
#include "efa_md.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct ibv_context *
uct_efa_context_open_device(const char *name, int quiet)
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

uct_efa_context_t *
uct_efa_context_open(const char *name, unsigned generation, int quiet)
{
    struct ibv_device_attr attr;
    uct_efa_context_t *context;
    int flags, err;

    context = ucs_calloc(1, sizeof(*context), "efa_context");
    if (context == NULL) {
        err = ENOMEM;
        goto err;
    }

    context->refs       = 1;
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

void uct_efa_context_show(uct_efa_context_t *context,
                          uct_efa_window_device_t *win)
{
    uct_efa_window_object_params_t params = {
        .kind = EFA_WINDOW_PD,
        .site = "uct_efa_context_open"
    };

    context->win    = win;
    context->pd_win = uct_efa_window_object_get(win, &params);
    uct_efa_ah_cache_show(context->ahs, win);
}

static void uct_efa_context_close(uct_efa_context_t *context)
{
    int ret;

    uct_efa_ah_cache_destroy(context->ahs);

    uct_efa_window_object_put(context->win, context->pd_win, EFA_WINDOW_PD, 0);
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

    ucs_free(context);
}

uct_efa_context_t *uct_efa_context_get(uct_efa_md_t *md)
{
    uct_efa_context_t *context;

    pthread_mutex_lock(&md->lock);
    context = md->context;
    ++context->refs;
    pthread_mutex_unlock(&md->lock);
    return context;
}

void uct_efa_context_put(uct_efa_md_t *md, uct_efa_context_t *context)
{
    unsigned refs;

    pthread_mutex_lock(&md->lock);
    refs = --context->refs;
    pthread_mutex_unlock(&md->lock);
    if (refs == 0) {
        uct_efa_context_close(context);
    }
}

int uct_efa_context_is_gone(const uct_efa_context_t *context, int err)
{
    return uct_efa_err_is_gone(err) ||
           __atomic_load_n(&context->dead, __ATOMIC_RELAXED);
}

/* What an event is about: the number of a QP or port, or 0 */
static unsigned uct_efa_async_element(const struct ibv_async_event *event)
{
    switch (event->event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
        return event->element.qp->qp_num;
    case IBV_EVENT_PORT_ACTIVE:
    case IBV_EVENT_PORT_ERR:
        return event->element.port_num;
    default:
        return 0;
    }
}

static void uct_efa_context_set_dead(uct_efa_md_t *md,
                                     uct_efa_context_t *context)
{
    __atomic_store_n(&context->dead, 1, __ATOMIC_RELAXED);
    ucs_diag("%s: the device was reset or failed; waiting for it to come back "
             "(see dmesg)", uct_efa_md_device_name(md));
}

int uct_efa_context_check(uct_efa_md_t *md, uct_efa_context_t *context)
{
    struct ibv_async_event event;

    if (__atomic_load_n(&context->dead, __ATOMIC_RELAXED)) {
        return 1;
    }

    while (ibv_get_async_event(context->ctx, &event) == 0) {
        uct_efa_window_event(EFA_WINDOW_EVENT_ASYNC, NULL, NULL, 0, 0,
                             event.event_type, uct_efa_async_element(&event));
        switch (event.event_type) {
        case IBV_EVENT_DEVICE_FATAL:
            uct_efa_context_set_dead(md, context);
            break;
        case IBV_EVENT_QP_FATAL:
            __atomic_store_n((int*)event.element.qp->qp_context, 1,
                             __ATOMIC_RELAXED);
            break;
        default:
            ucs_debug("%s: %s", uct_efa_md_device_name(md),
                      ibv_event_type_str(event.event_type));
            break;
        }
        ibv_ack_async_event(&event);
    }

    return __atomic_load_n(&context->dead, __ATOMIC_RELAXED);
}

int uct_efa_context_probe(uct_efa_md_t *md, uct_efa_context_t *context)
{
    struct ibv_port_attr attr;

    if (uct_efa_context_check(md, context)) {
        return 1;
    }

    if (!uct_efa_err_is_gone(ibv_query_port(context->ctx, 1, &attr))) {
        return 0;
    }

    /* Its event may have come meanwhile, and said so. */
    if (!uct_efa_context_check(md, context)) {
        uct_efa_context_set_dead(md, context);
    }

    return 1;
}

ucs_status_t uct_efa_context_replace(uct_efa_md_t *md)
{
    ucs_status_t status = UCS_OK;
    uct_efa_context_t *context, *old = NULL;

    pthread_mutex_lock(&md->lock);
    /* One that replaced a dead one may be dead as well, before anybody has
     * begun to use it. */
    if (uct_efa_context_check(md, md->context)) {
        context = uct_efa_context_open(md->name, md->context->generation + 1,
                                       1);
        if (context == NULL) {
            status = UCS_ERR_NO_DEVICE;
        } else {
            uct_efa_context_show(context, md->win);
            ++md->win->generation;
            uct_efa_mems_move(md, context);
            old         = md->context;
            md->context = context;
        }
    }
    pthread_mutex_unlock(&md->lock);

    if (old != NULL) {
        ucs_diag("%s: the device is back", uct_efa_md_device_name(md));
        uct_efa_context_put(md, old);
    }

    return status;
}
