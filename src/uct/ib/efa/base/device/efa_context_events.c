/*
 * Events of the device: the interface that reads one wakes those that sleep.
 * The picture is in efa_context.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/device/efa_context.h"

#include <sys/timerfd.h>

void uct_efa_context_watch(uct_efa_context_t *context,
                           uct_efa_watcher_t *watcher)
{
    uct_efa_context_t *before = watcher->context;

    if (before != NULL) {
        pthread_mutex_lock(&before->watch_lock);
        ucs_list_del(&watcher->list);
        pthread_mutex_unlock(&before->watch_lock);
    }

    watcher->context = context;
    if (context != NULL) {
        pthread_mutex_lock(&context->watch_lock);
        ucs_list_add_tail(&context->watchers, &watcher->list);
        pthread_mutex_unlock(&context->watch_lock);
    }
}

static void uct_efa_context_wake(uct_efa_context_t *context)
{
    const struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    uct_efa_watcher_t *watcher;

    pthread_mutex_lock(&context->watch_lock);
    ucs_list_for_each(watcher, &context->watchers, list) {
        if (timerfd_settime(watcher->timer_fd, 0, &soon, NULL) < 0) {
            ucs_diag("cannot wake an interface: timerfd_settime: %m");
        }
    }
    pthread_mutex_unlock(&context->watch_lock);
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
             "(see dmesg)",
             uct_efa_md_device_name(md));
    uct_efa_context_wake(context);
}

int uct_efa_context_check(uct_efa_md_t *md, uct_efa_context_t *context)
{
    struct ibv_async_event event;

    if (__atomic_load_n(&context->dead, __ATOMIC_RELAXED)) {
        return 1;
    }

    while (ibv_get_async_event(context->ctx, &event) == 0) {
        uct_efa_stats_event(EFA_STATS_EVENT_ASYNC, NULL, NULL, 0, 0,
                            event.event_type, uct_efa_async_element(&event));
        switch (event.event_type) {
        case IBV_EVENT_DEVICE_FATAL:
            uct_efa_context_set_dead(md, context);
            break;
        case IBV_EVENT_QP_FATAL:
            __atomic_store_n((int *)event.element.qp->qp_context, 1,
                             __ATOMIC_RELAXED);
            uct_efa_context_wake(context); /* may be another thread's */
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

void uct_efa_context_set_lost(uct_efa_md_t *md, uct_efa_context_t *context)
{
    /* Its event may have come meanwhile, and said so. */
    if (!uct_efa_context_check(md, context)) {
        uct_efa_context_set_dead(md, context);
    }
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

    uct_efa_context_set_lost(md, context);
    return 1;
}
