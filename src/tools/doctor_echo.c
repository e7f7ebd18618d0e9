/*
 * srdtool doctor echo: do SRD messages pass between two hosts, both ways?
 *
 *   client                                   server
 *     |---- TCP: HELLO {GID, QPN, QKEY} ------>|
 *     |<--- HELLO -----------------------------|
 *     |---- READY {my address handle: errno} ->|   wrong network?
 *     |<--- READY -----------------------------|
 *     |==== SRD: 8 messages ==================>|   rules of the security
 *     |---- SENT {how many, status} ---------->|   group, this direction
 *     |<--- RECEIVED {how many, wrong ones} ---|
 *     |<=== SRD: 8 messages ===================|   and the other
 *     |<--- SENT ------------------------------|
 *     |---- RECEIVED ------------------------->|
 *
 * TCP that works where SRD does not is what a security group without a rule for
 * itself looks like: such rules let TCP's port through and drop EFA's packets.
 * Every wait has a deadline; what comes by TCP is of fixed size and checked.
 */
#include "doctor.h"
#include "../uct/ib/efa/base/efa_status.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    EXIT_USAGE    = 2,

    ECHO_TIMEOUT  = 5,               /* seconds */
    ECHO_MESSAGES = 8,
    ECHO_LENGTH   = 4096,            /* bytes of each */
    ECHO_RECV     = VERBS_EP_BUFFER / 2
};

#define ECHO_PORT  "18515"
#define ECHO_MAGIC "SRDECHO1"

static_assert(ECHO_MESSAGES * ECHO_LENGTH <= VERBS_EP_BUFFER / 2,
              "half of the buffer to send from, half to receive in");
static_assert((int)ECHO_MESSAGES <= (int)VERBS_EP_DEPTH, "one queue full");

typedef enum {
    ECHO_HELLO, ECHO_READY, ECHO_SENT, ECHO_RECEIVED
} echo_type_t;

/* All numbers in network order */
typedef struct {
    char     magic[8];
    uint32_t type;
    uint32_t qpn, qkey;              /* HELLO */
    uint32_t error;                  /* READY: errno of the address handle */
    uint32_t count;                  /* SENT: delivered; RECEIVED: intact */
    uint32_t status;                 /* SENT: of the first that was not */
    uint32_t late;                   /* SENT: no completion in time */
    uint32_t wrong;                  /* RECEIVED: with other content */
    uint8_t  gid[16];                /* HELLO */
} echo_message_t;

static_assert(sizeof(echo_message_t) == 56, "no holes");

typedef struct {
    report_t      report;
    verbs_dl_t    dl;
    verbs_ep_t    ep;
    struct ibv_ah *ah;
    const char    *device, *port, *host, *address;
    bool          server, once;
    int           timeout_ms;
    int           fd;                /* TCP */
    uint32_t      remote_qpn;
    unsigned      received, wrong;
} echo_t;

static const char echo_usage[] =
    "usage: srdtool doctor echo --server [-1] [-a ADDRESS] [-P PORT]\n"
    "                           [-t SECONDS] [DEVICE]\n"
    "       srdtool doctor echo [-i DEVICE] [-P PORT] [-t SECONDS] HOST\n"
    "\n"
    "Sends SRD messages between two hosts, both ways, without UCX. Where they do\n"
    "not arrive it says in which direction, and tells a missing rule of the\n"
    "security group from a process that is not there and from another subnet.\n"
    "\n"
    "  -s, --server            answer clients until interrupted\n"
    "  -1, --once              server: end after the first client\n"
    "  -a, --address ADDRESS   server: listen on this address only\n"
    "  -i, --device DEVICE     EFA device (default: the first)\n"
    "  -P, --port PORT         TCP port of the server (default: 18515)\n"
    "  -t, --timeout SECONDS   how long to wait for each step (default: 5)\n"
    "  -h, --help              this text\n"
    "\n"
    "Options of srdtool: -j JSON, -p pretty JSON.\n"
    "Exit status: 0 both directions work, 1 something failed, 2 wrong usage.\n";

static volatile sig_atomic_t echo_stopped;

static void echo_stop(int signal)
{
    (void)signal;
    echo_stopped = 1;
}

/* --------------------------------------------------------------------- TCP */

static void echo_tcp_timeout(int fd, int timeout_ms)
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

static int echo_put(echo_t *echo, echo_message_t *message, echo_type_t type,
                    const char *when)
{
    ssize_t ret;

    memcpy(message->magic, ECHO_MAGIC, sizeof(message->magic));
    message->type = htonl(type);
    ret           = send(echo->fd, message, sizeof(*message), MSG_NOSIGNAL);
    return (ret == sizeof(*message)) ? 0 : echo_tcp_lost(echo, -1, when);
}

static int echo_get(echo_t *echo, echo_message_t *message, echo_type_t type,
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
                   "sides", "who answers is no srdtool doctor echo of this "
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
                   "server runs", echo->host, echo->port);
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

    *error = (connect(fd, address->ai_addr, address->ai_addrlen) == 0) ?
             0 : errno;
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

static int echo_connect(echo_t *echo)
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

    report_add(&echo->report, REPORT_OK, "connect", NULL,
               "%s port %s, TCP", echo->host, echo->port);
    return 0;
}

/* Returns the listening socket, or -1: said why. */
static int echo_listen(echo_t *echo)
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
        fprintf(stderr, "srdtool: cannot listen on port %s: %s; name another "
                "one with --port\n", echo->port,
                (ret != 0) ? gai_strerror(ret) : strerror(error));
    }
    return fd;
}

/* --------------------------------------------------------------------- SRD */

static uint8_t echo_byte(bool from_server, unsigned message, unsigned i)
{
    return (from_server ? 0xa5 : 0) + (message * 29) + i + (i >> 8);
}

static bool echo_intact(echo_t *echo, uint32_t place)
{
    unsigned message = (place - ECHO_RECV) / ECHO_LENGTH;
    const uint8_t *data = echo->ep.buffer + place;
    uint32_t number;
    unsigned i;

    /* Which one it is stands in front: they come in any order */
    memcpy(&number, data, sizeof(number));
    number = ntohl(number);
    if ((message >= ECHO_MESSAGES) || (number >= ECHO_MESSAGES)) {
        return false;
    }

    for (i = sizeof(number); i < ECHO_LENGTH; ++i) {
        if (data[i] != echo_byte(!echo->server, number, i)) {
            return false;
        }
    }
    return true;
}

static void echo_account(echo_t *echo, const struct ibv_wc *wc)
{
    if ((wc->status == IBV_WC_SUCCESS) && (wc->byte_len == ECHO_LENGTH) &&
        echo_intact(echo, wc->wr_id)) {
        ++echo->received;
    } else {
        ++echo->wrong;
    }
}

/* Sends all, waits for what becomes of each: result is a SENT. */
static int echo_send_all(echo_t *echo, echo_message_t *result, uint64_t *ns)
{
    unsigned delivered = 0, done = 0, status = 0, i, b;
    uint64_t start;
    uint32_t number;
    struct ibv_wc wc;
    uint8_t *data;
    int ret = 0;

    for (i = 0; i < ECHO_MESSAGES; ++i) {
        data   = echo->ep.buffer + (i * ECHO_LENGTH);
        number = htonl(i);
        memcpy(data, &number, sizeof(number));
        for (b = sizeof(number); b < ECHO_LENGTH; ++b) {
            data[b] = echo_byte(echo->server, i, b);
        }
    }

    start = verbs_ep_now();
    for (i = 0; (ret == 0) && (i < ECHO_MESSAGES); ++i) {
        ret = verbs_ep_post(&echo->ep, VERBS_EP_SEND, echo->ah,
                            echo->remote_qpn, i * ECHO_LENGTH, ECHO_LENGTH, 0,
                            0);
    }
    while ((ret == 0) && (done < ECHO_MESSAGES)) {
        ret = verbs_ep_wait(&echo->ep, &wc, echo->timeout_ms);
        if (ret != 0) {
            break;
        }
        if (wc.wr_id >= ECHO_RECV) {
            echo_account(echo, &wc);
            continue;
        }
        ++done;
        delivered += (wc.status == IBV_WC_SUCCESS);
        if ((wc.status != IBV_WC_SUCCESS) && (status == 0)) {
            status = wc.vendor_err;
        }
    }

    *ns = verbs_ep_now() - start;
    memset(result, 0, sizeof(*result));
    result->count  = htonl(delivered);
    result->status = htonl(status);
    result->late   = htonl(ret == ETIMEDOUT);
    return ((ret == 0) || (ret == ETIMEDOUT)) ? 0 : ret;
}

/* Until so many have come, intact or not, or the deadline. */
static void echo_receive(echo_t *echo, unsigned count)
{
    struct ibv_wc wc;

    while ((echo->received + echo->wrong < count) &&
           (verbs_ep_wait(&echo->ep, &wc, echo->timeout_ms) == 0)) {
        if (wc.wr_id >= ECHO_RECV) {
            echo_account(echo, &wc);
        }
    }
}

/* One direction. out: from here to the other side. */
static void echo_verdict(echo_t *echo, bool out, const echo_message_t *sent,
                         const echo_message_t *received, uint64_t ns)
{
    const char *name   = out ? "send" : "receive";
    const char *way    = out ? "from here to the other side" :
                               "from the other side to here";
    const char *rules  = out ?
            "security group: here an outbound rule, there an inbound rule that "
            "allows all traffic of the group with itself; both hosts in one "
            "subnet" :
            "security group: here an inbound rule, there an outbound rule that "
            "allows all traffic of the group with itself; both hosts in one "
            "subnet";
    unsigned delivered = ntohl(sent->count);
    unsigned status    = ntohl(sent->status);
    unsigned intact    = ntohl(received->count);
    unsigned wrong     = ntohl(received->wrong);

    report_fact_int(&echo->report, "messages", ECHO_MESSAGES);
    report_fact_int(&echo->report, "delivered", delivered);
    report_fact_int(&echo->report, "intact", intact);
    report_fact_int(&echo->report, "status", status);
    if ((delivered < ECHO_MESSAGES) && ntohl(sent->late)) {
        report_add(&echo->report, REPORT_FAIL, name, rules,
                   "TCP passes, SRD does not %s: no completion within the "
                   "deadline (%u of %u delivered)", way, delivered,
                   ECHO_MESSAGES);
    } else if ((status == UCT_EFA_STATUS_UNREACHABLE) ||
               (status == UCT_EFA_STATUS_UNRESPONSIVE)) {
        report_add(&echo->report, REPORT_FAIL, name, rules,
                   "TCP passes, SRD does not %s: status %u, %s (%u of %u "
                   "delivered)", way, status, uct_efa_status_desc(status)->text,
                   delivered, ECHO_MESSAGES);
    } else if (delivered < ECHO_MESSAGES) {
        report_add(&echo->report, REPORT_FAIL, name,
                   uct_efa_status_desc(status)->advice,
                   "%s: status %u, %s (%u of %u delivered)", way, status,
                   uct_efa_status_desc(status)->text, delivered,
                   ECHO_MESSAGES);
    } else if ((intact != ECHO_MESSAGES) || (wrong != 0)) {
        report_add(&echo->report, REPORT_FAIL, name,
                   "try other hosts; please report it",
                   "%s: %u were delivered, %u arrived intact, %u with wrong "
                   "content", way, delivered, intact, wrong);
    } else if (out) {
        report_fact_int(&echo->report, "ns", ns);
        report_add(&echo->report, REPORT_OK, name, NULL,
                   "%s: %u messages of %u bytes, %.1f us together", way,
                   delivered, ECHO_LENGTH, ns / 1e3);
    } else {
        report_add(&echo->report, REPORT_OK, name, NULL,
                   "%s: %u messages of %u bytes", way, intact, ECHO_LENGTH);
    }
}

static int echo_direction(echo_t *echo, bool out)
{
    echo_message_t sent, received = {0};
    uint64_t ns = 0;

    if (out) {
        if (echo_send_all(echo, &sent, &ns) != 0) {
            report_add(&echo->report, REPORT_FAIL, "send",
                       "srdtool selftest tells more",
                       "the device takes no message");
            return -1;
        }
        if (echo_put(echo, &sent, ECHO_SENT, "while messages went there") ||
            echo_get(echo, &received, ECHO_RECEIVED,
                     "while messages went there")) {
            return -1;
        }
    } else {
        if (echo_get(echo, &sent, ECHO_SENT, "while its messages came")) {
            return -1;
        }
        echo_receive(echo, ntohl(sent.count));
        received.count = htonl(echo->received);
        received.wrong = htonl(echo->wrong);
        if (echo_put(echo, &received, ECHO_RECEIVED,
                     "while its messages came")) {
            return -1;
        }
    }

    echo_verdict(echo, out, &sent, &received, ns);
    return 0;
}

static int echo_hello(echo_t *echo, echo_message_t *remote)
{
    echo_message_t own = {0};

    own.qpn  = htonl(echo->ep.qp->qp_num);
    own.qkey = htonl(echo->ep.qkey);
    memcpy(own.gid, &echo->ep.gid, sizeof(own.gid));
    if (echo->server) {
        return (echo_get(echo, remote, ECHO_HELLO, "at the beginning") ||
                echo_put(echo, &own, ECHO_HELLO, "at the beginning")) ? -1 : 0;
    }
    return (echo_put(echo, &own, ECHO_HELLO, "at the beginning") ||
            echo_get(echo, remote, ECHO_HELLO, "at the beginning")) ? -1 : 0;
}

static void echo_refused(echo_t *echo, const char *who, int error)
{
    report_add(&echo->report, REPORT_FAIL, "address",
               (error == EINVAL) ?
               "both devices must be in one subnet (one availability zone)" :
               "see who uses address handles: rdma res, srdtool doctor",
               "the device %s refuses the address of the other one: %s", who,
               strerror(error));
}

/* The address handle, receive requests, and whether the other side has them. */
static int echo_prepare(echo_t *echo, const echo_message_t *remote)
{
    echo_message_t own = {0}, theirs;
    char gid[INET6_ADDRSTRLEN];
    union ibv_gid remote_gid;
    int error = 0, ret = 0;
    unsigned i;

    memcpy(&remote_gid, remote->gid, sizeof(remote_gid));
    echo->remote_qpn     = ntohl(remote->qpn);
    echo->ep.remote_qkey = ntohl(remote->qkey);
    errno                = 0;
    echo->ah             = verbs_ep_ah(&echo->ep, &remote_gid);
    if (echo->ah == NULL) {
        error = (errno != 0) ? errno : EIO;
    }
    for (i = 0; (ret == 0) && (i < ECHO_MESSAGES); ++i) {
        ret = verbs_ep_post_recv(&echo->ep, ECHO_RECV + (i * ECHO_LENGTH),
                                 ECHO_LENGTH);
    }

    own.error = htonl((error != 0) ? error : ret);
    if (echo_put(echo, &own, ECHO_READY, "before the messages") ||
        echo_get(echo, &theirs, ECHO_READY, "before the messages")) {
        return -1;
    }

    if (own.error != 0) {
        echo_refused(echo, "here", ntohl(own.error));
    }
    if (theirs.error != 0) {
        echo_refused(echo, "there", ntohl(theirs.error));
    }
    if ((own.error != 0) || (theirs.error != 0)) {
        return -1;
    }

    report_add(&echo->report, REPORT_OK, "address", NULL,
               "the other side is %s, queue pair %u",
               inet_ntop(AF_INET6, remote->gid, gid, sizeof(gid)),
               echo->remote_qpn);
    return 0;
}

/* The whole conversation on a connected socket. */
static void echo_talk(echo_t *echo)
{
    echo_message_t remote;
    int ret;

    /* The other side may wait for its device that long before it answers */
    echo_tcp_timeout(echo->fd, (2 * echo->timeout_ms) + 1000);
    echo->received = 0;
    echo->wrong    = 0;
    ret            = verbs_ep_create(&echo->ep, &echo->dl);
    if (ret != 0) {
        report_add(&echo->report, REPORT_FAIL, "objects",
                   "srdtool selftest tells more", "%s", echo->ep.failed);
        return;
    }

    if ((echo_hello(echo, &remote) == 0) &&
        (echo_prepare(echo, &remote) == 0) &&
        (echo_direction(echo, !echo->server) == 0)) {
        echo_direction(echo, echo->server);
    }

    echo->dl.destroy_qp(echo->ep.qp);
    echo->ep.qp = NULL;
    if (echo->ah != NULL) {
        echo->dl.destroy_ah(echo->ah);
        echo->ah = NULL;
    }
    verbs_ep_destroy(&echo->ep);
}

/* Answers one client. Returns its exit status. */
static int echo_serve(echo_t *echo, int listener, const srdtool_output_t *out)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    char name[64]    = "?";

    echo->fd = accept4(listener, (struct sockaddr*)&peer, &length,
                       SOCK_CLOEXEC);
    if (echo->fd < 0) {
        return EXIT_SUCCESS; /* it has gone again, or a signal came */
    }

    (void)getnameinfo((struct sockaddr*)&peer, length, name, sizeof(name),
                      NULL, 0, NI_NUMERICHOST);
    if (report_init(&echo->report, out) != 0) {
        close(echo->fd);
        return EXIT_FAILURE;
    }

    report_add(&echo->report, REPORT_OK, "connect", NULL, "%s", name);
    echo_talk(echo);
    close(echo->fd);
    return report_finish(&echo->report);
}

static int echo_server(echo_t *echo, const srdtool_output_t *out)
{
    struct sigaction action = {.sa_handler = echo_stop};
    int status = EXIT_SUCCESS;
    int listener;

    listener = echo_listen(echo);
    if (listener < 0) {
        return EXIT_FAILURE;
    }

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    fprintf(stderr, "srdtool: %s answers on port %s\n",
            echo->ep.context->device->name, echo->port);
    while (!echo_stopped) {
        status |= echo_serve(echo, listener, out);
        if (echo->once) {
            break;
        }
    }

    close(listener);
    return status;
}

static int echo_options(echo_t *echo, srdtool_output_t *out, int argc,
                        char **argv)
{
    static const struct option options[] = {
        {"server", no_argument, NULL, 's'},
        {"once", no_argument, NULL, '1'},
        {"address", required_argument, NULL, 'a'},
        {"device", required_argument, NULL, 'i'},
        {"port", required_argument, NULL, 'P'},
        {"timeout", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"pretty", no_argument, NULL, 'p'},
        {"details", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}
    };
    unsigned long value;
    char *end;
    int c;

    optind = 0;
    while ((c = getopt_long(argc, argv, "s1a:i:P:t:jpdh", options, NULL)) !=
           -1) {
        switch (c) {
        case 's':
            echo->server = true;
            break;
        case '1':
            echo->once = true;
            break;
        case 'a':
            echo->address = optarg;
            break;
        case 'i':
            echo->device = optarg;
            break;
        case 'P':
        case 't':
            value = strtoul(optarg, &end, 10);
            if ((*optarg < '0') || (*optarg > '9') || (*end != '\0') ||
                (value == 0) || (value > ((c == 'P') ? 65535 : 3600))) {
                fprintf(stderr, "srdtool: %s %s: expected %s\n",
                        (c == 'P') ? "--port" : "--timeout", optarg,
                        (c == 'P') ? "a port, 1 to 65535" :
                                     "seconds, 1 to 3600");
                return EXIT_USAGE;
            }
            if (c == 'P') {
                echo->port = optarg;
            } else {
                echo->timeout_ms = value * 1000;
            }
            break;
        case 'j':
            out->json = true;
            break;
        case 'p':
            out->pretty = true;
            break;
        case 'd':
            out->details = true;
            break;
        case 'h':
            fputs(echo_usage, stdout);
            return -1;
        default:
            fputs(echo_usage, stderr);
            return EXIT_USAGE;
        }
    }

    argc -= optind;
    argv += optind;
    if ((argc > 1) || (!echo->server && (argc != 1))) {
        fputs(echo_usage, stderr);
        return EXIT_USAGE;
    }
    if (!echo->server) {
        echo->host = argv[0];
    } else if (argc == 1) {
        echo->device = argv[0];
    }
    return 0;
}

int doctor_echo(int argc, char **argv, const srdtool_output_t *given)
{
    srdtool_output_t out = *given;
    echo_t echo          = {.port = ECHO_PORT, .fd = -1,
                            .timeout_ms = ECHO_TIMEOUT * 1000};
    char error[256];
    int ret;

    ret = echo_options(&echo, &out, argc, argv);
    if (ret != 0) {
        return (ret < 0) ? EXIT_SUCCESS : ret;
    }

    if (report_init(&echo.report, &out) != 0) {
        fprintf(stderr, "srdtool: no memory\n");
        return EXIT_FAILURE;
    }

    if (verbs_dl_open(&echo.dl, error, sizeof(error)) != 0) {
        report_add(&echo.report, REPORT_FAIL, "device",
                   "install rdma-core (Debian: ibverbs-providers)", "%s",
                   error);
        return report_finish(&echo.report);
    }
    if (verbs_ep_open(&echo.ep, &echo.dl, echo.device) != 0) {
        report_add(&echo.report, REPORT_FAIL, "device",
                   "srdtool doctor says why", "%s: %s",
                   (echo.device != NULL) ? echo.device : "EFA device",
                   echo.ep.failed);
        return report_finish(&echo.report);
    }

    if (echo.server) {
        json_object_put(echo.report.checks); /* one report a client */
        ret = echo_server(&echo, &out);
    } else {
        if (echo_connect(&echo) == 0) {
            echo_talk(&echo);
            close(echo.fd);
        }
        ret = report_finish(&echo.report);
    }
    verbs_ep_close(&echo.ep);
    return ret;
}
