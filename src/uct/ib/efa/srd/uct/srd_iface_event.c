/*
 * Sleeping: one fd that becomes readable when there is something to progress.
 *
 *     epoll set  <-- completion channel (armed CQ)
 *                <-- timerfd (the earliest deadline of the interface, and
 *                             events of the device that another has read)
 *                <-- asynchronous events of the device (reset)
 *
 * Arming: what is already waiting makes it BUSY; then the CQ is armed, then
 * the timer is set, and what another may have read before that is looked at.
 */
#include "srd/uct/srd_iface.h"
#include "srd/assoc/recovery/srd_lost.h"
#include "srd/assoc/recovery/srd_recover.h"
#include "srd/assoc/srd_end.h"
#include "srd/peer/srd_show.h"
#include "srd/queues/srd_queues.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int uct_srd_iface_event_add(int epfd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
}

ucs_status_t uct_srd_iface_event_init(uct_srd_iface_t *iface, int wanted)
{
    iface->event.fd       = -1;
    iface->event.timer_fd = -1;

    if (wanted == UCS_NO) {
        return UCS_OK;
    }

    iface->event.timer_fd = timerfd_create(CLOCK_MONOTONIC,
                                           TFD_NONBLOCK | TFD_CLOEXEC);
    iface->event.fd       = epoll_create1(EPOLL_CLOEXEC);
    if ((iface->event.timer_fd < 0) || (iface->event.fd < 0) ||
        (uct_srd_iface_event_add(iface->event.fd, iface->event.timer_fd) < 0) ||
        (uct_srd_channel_create(iface, &iface->queues) != UCS_OK)) {
        if ((errno == EMFILE) || (errno == ENFILE)) {
            ucs_error("srd: no file descriptors for completion events on %s: "
                      "%m; raise the limit (`ulimit -n`), or do without with "
                      "UCX_SRD_EVENTS=n",
                      uct_efa_md_device_name(uct_srd_iface_md(iface)));
            uct_srd_iface_event_cleanup(iface);
            return UCS_ERR_IO_ERROR;
        }

        ucs_debug("srd: no completion events on %s: %m",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)));
        uct_srd_iface_event_cleanup(iface);
        return UCS_OK;
    }

    iface->event.watcher.timer_fd = iface->event.timer_fd;
    uct_efa_context_watch(iface->queues.context, &iface->event.watcher);
    return UCS_OK;
}

void uct_srd_iface_event_cleanup(uct_srd_iface_t *iface)
{
    uct_efa_context_watch(NULL, &iface->event.watcher);

    if (iface->event.fd >= 0) {
        close(iface->event.fd);
        iface->event.fd = -1;
    }

    if (iface->event.timer_fd >= 0) {
        close(iface->event.timer_fd);
        iface->event.timer_fd = -1;
    }

    uct_srd_channel_destroy(&iface->queues);
}

ucs_status_t uct_srd_iface_event_fd_get(uct_iface_h tl_iface, int *fd_p)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    if (iface->event.fd < 0) {
        return UCS_ERR_UNSUPPORTED;
    }

    *fd_p = iface->event.fd;
    return UCS_OK;
}

/* Wakes at the earliest deadline. BUSY: it has passed. */
static ucs_status_t uct_srd_iface_event_arm_timer(uct_srd_iface_t *iface)
{
    struct itimerspec spec = {};
    ucs_time_t deadline    = uct_srd_lost_deadline(iface);
    ucs_time_t now;
    uint64_t nsec;

    if (iface->timers.count > 0) {
        deadline = ucs_min(deadline, iface->timers.heap[0]->deadline);
    }

    if (deadline != UCS_TIME_INFINITY) {
        now = ucs_get_time();
        if (deadline <= now) {
            return UCS_ERR_BUSY;
        }

        nsec                  = (uint64_t)ucs_time_to_nsec(deadline - now) + 1;
        spec.it_value.tv_sec  = nsec / UCS_NSEC_PER_SEC;
        spec.it_value.tv_nsec = nsec % UCS_NSEC_PER_SEC;
    }

    /* Setting it also takes back an expiration that nobody has read. */
    if (timerfd_settime(iface->event.timer_fd, 0, &spec, NULL) < 0) {
        ucs_error("srd: timerfd_settime: %m");
        return UCS_ERR_IO_ERROR;
    }

    return UCS_OK;
}

/* What wakes us is armed, but for the timer */
static ucs_status_t uct_srd_iface_event_sleep(uct_srd_iface_t *iface)
{
    ucs_status_t status = uct_srd_iface_event_arm_timer(iface);

    if (status != UCS_OK) {
        return status;
    } else if (uct_srd_recover_is_due(iface)) {
        return UCS_ERR_BUSY; /* the timer may have been its news */
    }

    uct_srd_show_asleep(iface);
    return UCS_OK;
}

ucs_status_t uct_srd_iface_event_arm(uct_iface_h tl_iface,
                                     UCS_V_UNUSED unsigned events)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    unsigned count         = 0;
    struct ibv_cq *cq;
    ucs_status_t status;
    void *context;

    if (iface->queues.channel == NULL) {
        return UCS_ERR_UNSUPPORTED;
    }

    if (uct_srd_end_must_report(iface) || (iface->rx.stash_len > 0) ||
        (!ucs_arbiter_is_empty(&iface->tx.arbiter) &&
         (iface->tx.num_free > 0))) {
        return UCS_ERR_BUSY;
    }

    uct_srd_recover_look_now(iface);
    if (iface->recover.is) {
        return uct_srd_iface_event_sleep(iface); /* nothing else will come */
    }

    while (ibv_get_cq_event(iface->queues.channel, &cq, &context) == 0) {
        UCT_SRD_COUNT(iface, wakeups);
        ++count;
    }

    if (errno != EAGAIN) {
        ucs_error("srd: reading completion events failed: %m");
        return UCS_ERR_IO_ERROR;
    }

    if (count > 0) {
        uct_srd_queues_count_events(iface, count);
        return UCS_ERR_BUSY;
    }

    status = uct_srd_queues_arm(iface);
    return (status == UCS_OK) ? uct_srd_iface_event_sleep(iface) : status;
}
