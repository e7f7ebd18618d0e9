/*
 * srdtool doctor echo: the side channel. Every wait has a deadline; what comes
 * is of fixed size and checked.
 */
#include "tools/doctor/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

void echo_tcp_timeout(int fd, int timeout_ms)
{
    struct timeval limit = {.tv_sec  = timeout_ms / 1000,
                            .tv_usec = (timeout_ms % 1000) * 1000};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* Says that the conversation has ended; returns -1. */
static int echo_tcp_lost(echo_t *echo, ssize_t ret, const char *when)
{
    if (ret == 0) {
        report_add(&echo->report, REPORT_FAIL, "tcp",
                   "look at the output of the other side",
                   "the other side went away %s", when);
    } else {
        report_add(&echo->report, REPORT_FAIL, "tcp",
                   "look whether the other side still runs",
                   "no word from the other side %s: %s", when,
                   (errno == EAGAIN) ? "deadline passed" : strerror(errno));
    }
    return -1;
}

int echo_tcp_put(echo_t *echo, echo_message_t *message, echo_type_t type,
                 const char *when)
{
    ssize_t ret;

    memcpy(message->magic, ECHO_MAGIC, sizeof(message->magic));
    message->type = htonl(type);
    ret           = send(echo->fd, message, sizeof(*message), MSG_NOSIGNAL);
    return (ret == sizeof(*message)) ? 0 : echo_tcp_lost(echo, -1, when);
}

int echo_tcp_get(echo_t *echo, echo_message_t *message, echo_type_t type,
                 const char *when)
{
    ssize_t ret;

    ret = recv(echo->fd, message, sizeof(*message), MSG_WAITALL);
    if (ret != sizeof(*message)) {
        return echo_tcp_lost(echo, (ret > 0) ? 0 : ret, when);
    }

    if (memcmp(message->magic, ECHO_MAGIC, sizeof(message->magic)) ||
        (ntohl(message->type) != (uint32_t)type)) {
        report_add(&echo->report, REPORT_FAIL, "tcp",
                   "name its port with --port; use the same version on both "
                   "sides",
                   "who answers is no srdtool doctor echo of this "
                   "version");
        return -1;
    }
    return 0;
}

static int echo_connect_fail(echo_t *echo, int error)
{
    switch (error) {
    case ECONNREFUSED:
        report_add(&echo->report, REPORT_FAIL, "connect",
                   "start it there: srdtool doctor echo --server",
                   "%s port %s: connection refused: the host answers, no "
                   "server runs",
                   echo->host, echo->port);
        break;
    case EHOSTUNREACH:
    case ENETUNREACH:
        report_add(&echo->report, REPORT_FAIL, "connect",
                   "name the address of an interface in the subnet that both "
                   "hosts have in common",
                   "%s port %s: %s: another subnet, or the host is down",
                   echo->host, echo->port, strerror(error));
        break;
    default:
        report_add(&echo->report, REPORT_FAIL, "connect",
                   "check that the host is up and that the security group "
                   "lets the port through",
                   "%s port %s: %s", echo->host, echo->port, strerror(error));
    }
    return -1;
}

/* One address, within the deadline. Returns the socket, or -1 and *error. */
static int echo_connect_one(const echo_t *echo, const struct addrinfo *address,
                            int *error)
{
    socklen_t length = sizeof(*error);
    struct pollfd pfd;
    int fd;

    fd = socket(address->ai_family,
                address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *error = errno;
        return -1;
    }

    *error = (connect(fd, address->ai_addr, address->ai_addrlen) == 0) ? 0 :
                                                                         errno;
    if (*error == EINPROGRESS) {
        pfd = (struct pollfd){.fd = fd, .events = POLLOUT};
        if (poll(&pfd, 1, echo->timeout_ms) != 1) {
            *error = ETIMEDOUT;
        } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &length) != 0) {
            *error = errno;
        }
    }
    if (*error != 0) {
        close(fd);
        return -1;
    }

    fcntl(fd, F_SETFL, 0);
    return fd;
}

int echo_tcp_connect(echo_t *echo)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list, *address;
    int ret, error = ENOENT;

    ret = getaddrinfo(echo->host, echo->port, &hints, &list);
    if (ret != 0) {
        report_add(&echo->report, REPORT_FAIL, "connect",
                   "name a host by its address", "%s: %s", echo->host,
                   gai_strerror(ret));
        return -1;
    }

    echo->fd = -1;
    for (address = list; (echo->fd < 0) && (address != NULL);
         address = address->ai_next) {
        echo->fd = echo_connect_one(echo, address, &error);
    }
    freeaddrinfo(list);
    if (echo->fd < 0) {
        return echo_connect_fail(echo, error);
    }

    report_add(&echo->report, REPORT_OK, "connect", NULL, "%s port %s, TCP",
               echo->host, echo->port);
    return 0;
}

int echo_tcp_listen(echo_t *echo)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags    = AI_PASSIVE};
    int on = 1, off = 0, fd = -1, error = 0, ret;
    struct addrinfo *list, *address;

    /* "::" takes IPv4 as well, where there is IPv6 */
    ret = getaddrinfo((echo->address == NULL) ? "::" : echo->address,
                      echo->port, &hints, &list);
    if (ret != 0) {
        ret = getaddrinfo(echo->address, echo->port, &hints, &list);
    }
    for (address = (ret == 0) ? list : NULL; (fd < 0) && (address != NULL);
         address = address->ai_next) {
        fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        if ((fd >= 0) &&
            ((bind(fd, address->ai_addr, address->ai_addrlen) != 0) ||
             (listen(fd, 4) != 0))) {
            error = errno;
            close(fd);
            fd = -1;
        } else if (fd < 0) {
            error = errno;
        }
    }
    if (ret == 0) {
        freeaddrinfo(list);
    }
    if (fd < 0) {
        fprintf(stderr,
                "srdtool: cannot listen on port %s: %s; name another "
                "one with --port\n",
                echo->port, (ret != 0) ? gai_strerror(ret) : strerror(error));
    }
    return fd;
}
