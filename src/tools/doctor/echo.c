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
 */
#include "tools/doctor/doctor.h"
#include "tools/doctor/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ECHO_PORT "18515"

enum {
    EXIT_USAGE   = 2,
    ECHO_TIMEOUT = 5                 /* seconds */
};

static const char echo_usage[] =
    "usage: srdtool doctor echo --server [-1] [-a ADDRESS] [-P PORT]\n"
    "                           [-t SECONDS] [DEVICE]\n"
    "       srdtool doctor echo [-i DEVICE] [-P PORT] [-t SECONDS] HOST\n"
    "\n"
    "Sends SRD messages between two hosts, both ways, without UCX. Where they\n"
    "do not arrive it says in which direction, and tells a missing rule of\n"
    "the security group from a process that is not there and from another\n"
    "subnet.\n"
    "\n"
    "  -s, --server            answer clients until interrupted\n"
    "  -1, --once              server: end after the first client\n"
    "  -a, --address ADDRESS   server: listen on this address only\n"
    "  -i, --device DEVICE     EFA device (default: the first)\n"
    "  -P, --port PORT         TCP port of the server (default: 18515)\n"
    "  -t, --timeout SECONDS   how long to wait for each step (default: 5)\n"
    "  -h, --help              this text\n"
    "\n"
    "Options of srdtool: -j JSON, -p pretty JSON, -d measured values.\n"
    "Exit status: 0 both directions work, 1 something failed, 2 wrong usage.\n";

static volatile sig_atomic_t echo_stopped;

static void echo_stop(int signal)
{
    (void)signal;
    echo_stopped = 1;
}

static int echo_direction(echo_t *echo, bool out)
{
    echo_message_t sent, received = {0};
    uint64_t ns = 0;

    if (out) {
        if (echo_srd_send(echo, &sent, &ns) != 0) {
            report_add(&echo->report, REPORT_FAIL, "send",
                       "srdtool selftest tells more",
                       "the device takes no message");
            return -1;
        }
        if (echo_tcp_put(echo, &sent, ECHO_SENT, "while messages went there") ||
            echo_tcp_get(echo, &received, ECHO_RECEIVED,
                         "while messages went there")) {
            return -1;
        }
    } else {
        if (echo_tcp_get(echo, &sent, ECHO_SENT, "while its messages came")) {
            return -1;
        }
        echo_srd_receive(echo, ntohl(sent.count));
        received.count = htonl(echo->received);
        received.wrong = htonl(echo->wrong);
        if (echo_tcp_put(echo, &received, ECHO_RECEIVED,
                         "while its messages came")) {
            return -1;
        }
    }

    echo_srd_verdict(echo, out, &sent, &received, ns);
    return 0;
}

static int echo_hello(echo_t *echo, echo_message_t *remote)
{
    static const char when[] = "at the beginning";
    echo_message_t own       = {0};

    own.qpn  = htonl(echo->ep.qp->qp_num);
    own.qkey = htonl(echo->ep.qkey);
    memcpy(own.gid, &echo->ep.gid, sizeof(own.gid));
    if (echo->server) {
        return (echo_tcp_get(echo, remote, ECHO_HELLO, when) ||
                echo_tcp_put(echo, &own, ECHO_HELLO, when)) ?
                       -1 :
                       0;
    }
    return (echo_tcp_put(echo, &own, ECHO_HELLO, when) ||
            echo_tcp_get(echo, remote, ECHO_HELLO, when)) ?
                   -1 :
                   0;
}

static void echo_refused(echo_t *echo, const char *who, int error)
{
    report_add(&echo->report, REPORT_FAIL, "address",
               (error == EINVAL) ?
                       "both devices must be in one subnet (one availability "
                       "zone)" :
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
    if (echo_tcp_put(echo, &own, ECHO_READY, "before the messages") ||
        echo_tcp_get(echo, &theirs, ECHO_READY, "before the messages")) {
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

    echo->fd = accept4(listener, (struct sockaddr *)&peer, &length,
                       SOCK_CLOEXEC);
    if (echo->fd < 0) {
        return EXIT_SUCCESS; /* it has gone again, or a signal came */
    }

    (void)getnameinfo((struct sockaddr *)&peer, length, name, sizeof(name),
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
    int status              = EXIT_SUCCESS;
    int listener;

    listener = echo_tcp_listen(echo);
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
        case 'h':
            fputs(echo_usage, stdout);
            return -1;
        default:
            if (srdtool_output_option(out, c)) {
                break;
            }
            fputs(echo_usage, stderr);
            return EXIT_USAGE;
        }
    }

    argc -= optind;
    argv += optind;
    if ((argc > 1) || (!echo->server && (argc != 1))) {
        fprintf(stderr, "srdtool: echo: %s\n%s",
                echo->server ? "one DEVICE" :
                (argc > 1)   ? "one HOST" :
                               "a HOST is missing, or --server",
                echo_usage);
        return EXIT_USAGE;
    }
    if (!echo->server) {
        echo->host = argv[0];
    } else if (argc == 1) {
        echo->device = argv[0];
    }
    return 0;
}

int echo_run(int argc, char **argv, const srdtool_output_t *given)
{
    srdtool_output_t out = *given;
    echo_t echo          = {.port       = ECHO_PORT,
                            .fd         = -1,
                            .timeout_ms = ECHO_TIMEOUT * 1000};
    char error[256];
    int ret;

    ret = echo_options(&echo, &out, argc, argv);
    if (ret != 0) {
        return (ret < 0) ? EXIT_SUCCESS : ret;
    }

    if (report_init(&echo.report, &out) != 0) {
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
        if (echo_tcp_connect(&echo) == 0) {
            echo_talk(&echo);
            close(echo.fd);
        }
        ret = report_finish(&echo.report);
    }
    verbs_ep_close(&echo.ep);
    return ret;
}
