/*
 * The completion channel: what makes the interface's epoll set readable when
 * the CQ, once armed, has something, or the device was reset.
 */
#include "srd/queues/srd_queues.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

static int uct_srd_channel_watch(int epfd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
}

ucs_status_t uct_srd_channel_create(uct_srd_iface_t *iface,
                                    uct_srd_queues_t *queues)
{
    struct ibv_context *ctx = queues->context->ctx;
    struct ibv_comp_channel *channel;
    int flags;

    channel = ibv_create_comp_channel(ctx);
    if (channel == NULL) {
        return UCS_ERR_UNSUPPORTED;
    }

    flags = fcntl(channel->fd, F_GETFL);
    if ((flags < 0) || (fcntl(channel->fd, F_SETFL, flags | O_NONBLOCK) < 0) ||
        (uct_srd_channel_watch(iface->event.fd, channel->fd) < 0) ||
        ((uct_srd_channel_watch(iface->event.fd, ctx->async_fd) < 0) &&
         (errno != EEXIST))) {
        ibv_destroy_comp_channel(channel);
        return UCS_ERR_UNSUPPORTED;
    }

    queues->channel = channel;
    queues->unacked = 0;
    return UCS_OK;
}

void uct_srd_channel_destroy(uct_srd_queues_t *queues)
{
    if (queues->channel != NULL) {
        ibv_destroy_comp_channel(queues->channel);
        queues->channel = NULL;
    }
}
