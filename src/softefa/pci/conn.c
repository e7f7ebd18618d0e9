/* See conn.h. */
#define _GNU_SOURCE
#include "pci/conn.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEADER_SIZE = sizeof(softefa_vfu_header_t),
    NUM_FDS     = SOFTEFA_PCI_MAX_FDS + 1  /* one more shows that it is */
};

void softefa_pci_conn_init(softefa_pci_conn_t *conn)
{
    memset(conn, 0, sizeof(*conn));
    conn->fd       = -1;
    conn->reply_fd = -1;
}

void softefa_pci_conn_open(softefa_pci_conn_t *conn, int fd)
{
    softefa_pci_conn_init(conn);
    conn->fd = fd;
}

static void conn_close_fds(softefa_pci_conn_t *conn)
{
    while (conn->num_fds > 0) {
        close(conn->fds[--conn->num_fds]);
    }
}

void softefa_pci_conn_close(softefa_pci_conn_t *conn)
{
    conn_close_fds(conn);
    if (conn->fd >= 0) {
        close(conn->fd);
    }
    softefa_pci_conn_init(conn);
}

short softefa_pci_conn_events(const softefa_pci_conn_t *conn)
{
    return (conn->reply_size > 0) ? POLLOUT : POLLIN;
}

/* 0: sent, or nothing to send */
static int conn_send(softefa_pci_conn_t *conn)
{
    union {
        struct cmsghdr header;
        char           bytes[CMSG_SPACE(sizeof(int))];
    } control = {};
    struct msghdr msg = {};
    struct cmsghdr *cmsg;
    struct iovec iov;
    ssize_t ret;

    while (conn->reply_sent < conn->reply_size) {
        iov.iov_base   = conn->reply + conn->reply_sent;
        iov.iov_len    = conn->reply_size - conn->reply_sent;
        msg.msg_iov    = &iov;
        msg.msg_iovlen = 1;
        if (conn->reply_fd >= 0) {
            msg.msg_control    = control.bytes;
            msg.msg_controllen = sizeof(control.bytes);
            cmsg               = CMSG_FIRSTHDR(&msg);
            cmsg->cmsg_level   = SOL_SOCKET;
            cmsg->cmsg_type    = SCM_RIGHTS;
            cmsg->cmsg_len     = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(cmsg), &conn->reply_fd, sizeof(int));
        }

        ret = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (ret < 0) {
            if (errno == EINTR) {
                continue;
            }
            return (errno == EAGAIN) ? EAGAIN : ECONNRESET;
        }

        conn->reply_fd     = -1;
        msg.msg_control    = NULL;
        msg.msg_controllen = 0;
        conn->reply_sent += ret;
    }

    conn->reply_size = 0;
    conn->reply_sent = 0;
    return 0;
}

static int conn_drop(const char *why)
{
    softefa_error("the client is dropped: %s", why);
    return EPROTO;
}

/* Keeps what came along with bytes. False: more than agreed on */
static bool conn_take_control(softefa_pci_conn_t *conn, struct msghdr *msg)
{
    bool fits = !(msg->msg_flags & MSG_CTRUNC);
    struct cmsghdr *cmsg;
    size_t count, i;
    int fd;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
         cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if ((cmsg->cmsg_level != SOL_SOCKET) ||
            (cmsg->cmsg_type != SCM_RIGHTS)) {
            continue;
        }

        count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (i = 0; i < count; ++i) {
            memcpy(&fd, CMSG_DATA(cmsg) + (i * sizeof(int)), sizeof(fd));
            if (conn->num_fds < SOFTEFA_PCI_MAX_FDS) {
                conn->fds[conn->num_fds++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }

    return fits;
}

/* Receives up to `size` more bytes of the message. */
static int conn_read(softefa_pci_conn_t *conn, void *buffer, size_t size)
{
    union {
        struct cmsghdr header;
        char           bytes[CMSG_SPACE(NUM_FDS * sizeof(int))];
    } control;
    struct iovec iov  = {buffer, size};
    struct msghdr msg = {
        .msg_iov        = &iov,
        .msg_iovlen     = 1,
        .msg_control    = control.bytes,
        .msg_controllen = sizeof(control.bytes)
    };
    ssize_t ret;

    do {
        ret = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while ((ret < 0) && (errno == EINTR));

    if (ret < 0) {
        return (errno == EAGAIN) ? EAGAIN : ECONNRESET;
    }

    if (!conn_take_control(conn, &msg)) {
        return conn_drop("more descriptors in a message than were agreed on");
    }

    if (ret == 0) {
        return (conn->received > 0) ? conn_drop("it ended within a message") :
                                      ECONNRESET;
    }

    conn->received += ret;
    return 0;
}

static int conn_check_header(const softefa_pci_conn_t *conn)
{
    if ((conn->header.size < HEADER_SIZE) ||
        (conn->header.size > HEADER_SIZE + SOFTEFA_PCI_MAX_PAYLOAD)) {
        return conn_drop("the size of a message is not between 16 bytes and "
                         "what was agreed on");
    }

    if ((conn->header.flags & SOFTEFA_VFU_TYPE) != SOFTEFA_VFU_COMMAND) {
        return conn_drop("a message is not a command");
    }

    return 0;
}

int softefa_pci_conn_receive(softefa_pci_conn_t *conn)
{
    int ret = conn_send(conn);

    while ((ret == 0) && (conn->received < HEADER_SIZE)) {
        ret = conn_read(conn, (uint8_t *)&conn->header + conn->received,
                        HEADER_SIZE - conn->received);
    }
    if (ret == 0) {
        ret = conn_check_header(conn);
    }
    while ((ret == 0) && (conn->received < conn->header.size)) {
        ret = conn_read(conn, conn->payload + (conn->received - HEADER_SIZE),
                        conn->header.size - conn->received);
    }

    conn->ready = (ret == 0);
    return ret;
}

void softefa_pci_conn_reply(softefa_pci_conn_t *conn, int error, size_t size,
                            int fd)
{
    softefa_vfu_header_t header = {
        .id      = conn->header.id,
        .command = conn->header.command,
        .size    = HEADER_SIZE + ((error == 0) ? size : 0),
        .flags   = SOFTEFA_VFU_REPLY | ((error == 0) ? 0 : SOFTEFA_VFU_ERROR),
        .error   = error
    };

    conn_close_fds(conn);
    conn->received = 0;
    conn->ready    = false;
    if (conn->header.flags & SOFTEFA_VFU_NO_REPLY) {
        return;
    }

    memcpy(conn->reply, &header, sizeof(header));
    conn->reply_fd   = (error == 0) ? fd : -1;
    conn->reply_size = header.size;
    conn->reply_sent = 0;
    (void)conn_send(conn); /* what cannot be sent now, receive() sends */
}

int softefa_pci_conn_take_fd(softefa_pci_conn_t *conn)
{
    int fd;

    if (conn->num_fds == 0) {
        return -1;
    }

    fd = conn->fds[0];
    --conn->num_fds;
    memmove(conn->fds, conn->fds + 1, conn->num_fds * sizeof(conn->fds[0]));
    return fd;
}
