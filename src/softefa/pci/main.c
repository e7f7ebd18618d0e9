/*
 * softefa-pci: a PCI function with the NIC model, for a vfio-user client
 * (QEMU). docs/softefa-pci.md; the picture of the code is in function.h.
 *
 *   poll() --+-- the client's socket    vfu.c
 *            +-- a CQ's event           function.c
 *            +-- the device's events    function.c
 *            '-- time                   function.c
 */
#define _GNU_SOURCE
#include "base/log.h"
#include "base/util.h"
#include "config/options.h"
#include "fabric/membership.h"
#include "nic/progress.h"
#include "pci/listen.h"
#include "pci/vfu.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    const char *socket;
    unsigned   device;
    bool       once;
    bool       trace;
} main_args_t;

static volatile sig_atomic_t main_stop;
static volatile sig_atomic_t main_removed; /* the function is off the bus */

static void main_signal(int number)
{
    switch (number) {
    case SIGUSR1:
        main_removed = 1;
        break;
    case SIGUSR2:
        main_removed = 0;
        break;
    default:
        main_stop = 1;
        break;
    }
}

static void main_help(void)
{
    printf("Usage: softefa-pci --socket PATH [--device N] [--once] [--trace]\n"
           "\n"
           "Plays an EFA NIC as a PCI function for a vfio-user client:\n"
           "\n"
           "  qemu-system-x86_64 -machine q35,memory-backend=mem \\\n"
           "    -object memory-backend-memfd,id=mem,size=1G,share=on -m 1G \\\n"
           "    -device "
           "'{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\","
           "\"path\":\"PATH\"}}'\n"
           "\n"
           "  --socket PATH  where the client connects\n"
           "  --device N     the device of the fabric (default 0)\n"
           "  --once         ends when the first client is gone\n"
           "  --trace        shows the driver's admin commands on stderr\n"
           "\n"
           "SIGUSR1 takes the function off the bus, SIGUSR2 puts it back.\n"
           "Fabric, profile and faults are those of the environment:\n"
           "\n");
    softefa_options_print(stdout);
}

/* -1: go on; else the program's status */
static int main_parse(int argc, char **argv, main_args_t *args)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"device", required_argument, NULL, 'd'},
        {"once", no_argument, NULL, 'o'},
        {"trace", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {}
    };
    unsigned long value;
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        switch (c) {
        case 's':
            args->socket = optarg;
            break;
        case 'd':
            value = strtoul(optarg, &end, 10);
            if ((*optarg < '0') || (*optarg > '9') || (*end != '\0') ||
                (value >= SOFTEFA_MAX_DEVICES)) {
                softefa_error("--device %s: a number from 0 to %u", optarg,
                              SOFTEFA_MAX_DEVICES - 1);
                return 2;
            }
            args->device = value;
            break;
        case 'o':
            args->once = true;
            break;
        case 't':
            args->trace = true;
            break;
        case 'h':
            main_help();
            return 0;
        default:
            return 2; /* getopt said it */
        }
    }

    if ((args->socket == NULL) || (optind < argc)) {
        softefa_error("--socket PATH is needed, and nothing else (see "
                      "softefa-pci --help)");
        return 2;
    }

    return -1;
}

/* One at a time; another client is turned away at once. */
static void main_accept(int listen_fd, softefa_pci_client_t *client)
{
    int fd = softefa_pci_accept(listen_fd);

    if (fd < 0) {
        return;
    }

    if (client->conn.fd >= 0) {
        softefa_error("a second client is turned away: a function has one");
        close(fd);
        return;
    }

    softefa_pci_conn_open(&client->conn, fd);
    client->agreed = false;
}

/* False: the client is gone. */
static bool main_client(softefa_pci_client_t *client, softefa_pci_t *pci)
{
    int ret;

    while ((ret = softefa_pci_conn_receive(&client->conn)) == 0) {
        softefa_pci_vfu_message(client, pci);
        softefa_pci_progress(pci);
    }

    return ret == EAGAIN;
}

static void main_gone(softefa_pci_client_t *client, softefa_pci_t *pci)
{
    softefa_pci_conn_close(&client->conn);
    client->agreed = false;
    softefa_pci_detach(pci);
}

enum {
    POLL_LISTEN,
    POLL_CLIENT,
    POLL_CHANNEL,
    POLL_ASYNC,
    POLL_COUNT
};

static void main_poll(int listen_fd, const softefa_pci_client_t *client,
                      const softefa_pci_t *pci, const sigset_t *signals,
                      struct pollfd *fds)
{
    int timeout          = softefa_pci_timeout(pci);
    struct timespec time = {timeout / 1000, (timeout % 1000) * 1000000l};
    unsigned i;

    fds[POLL_LISTEN]  = (struct pollfd){listen_fd, POLLIN, 0};
    fds[POLL_CLIENT]  = (struct pollfd){client->conn.fd,
                                        softefa_pci_conn_events(&client->conn),
                                        0};
    fds[POLL_CHANNEL] = (struct pollfd){pci->dev ? pci->channel_fd : -1, POLLIN,
                                        0};
    fds[POLL_ASYNC] = (struct pollfd){pci->dev ? pci->async_fd : -1, POLLIN, 0};
    if (ppoll(fds, POLL_COUNT, (timeout < 0) ? NULL : &time, signals) < 0) {
        for (i = 0; i < POLL_COUNT; ++i) {
            fds[i].revents = 0;
        }
    }
}

static void main_loop(const main_args_t *args, int listen_fd,
                      softefa_pci_t *pci, const sigset_t *signals)
{
    static softefa_pci_client_t client;
    struct pollfd fds[POLL_COUNT];

    softefa_pci_conn_init(&client.conn);
    while (!main_stop) {
        main_poll(listen_fd, &client, pci, signals, fds);
        if (main_removed && !pci->gone) {
            softefa_pci_vanish(pci);
        } else if (!main_removed && pci->gone) {
            softefa_pci_return(pci);
        }
        softefa_pci_progress(pci);
        if ((fds[POLL_CLIENT].revents != 0) && (client.conn.fd >= 0) &&
            !main_client(&client, pci)) {
            main_gone(&client, pci);
            if (args->once) {
                break;
            }
        }
        if (fds[POLL_LISTEN].revents != 0) {
            main_accept(listen_fd, &client);
        }
    }

    softefa_pci_conn_close(&client.conn);
}

/* Signals end the loop only while it waits. */
static void main_signals(sigset_t *waiting)
{
    struct sigaction action    = {.sa_handler = main_signal};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;
    unsigned i;

    sigemptyset(&set);
    for (i = 0; i < SOFTEFA_ARRAY_SIZE(numbers); ++i) {
        sigaddset(&set, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &set, waiting);
    for (i = 0; i < SOFTEFA_ARRAY_SIZE(numbers); ++i) {
        sigdelset(waiting, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    main_args_t args = {};
    softefa_pci_t *pci;
    sigset_t signals;
    int listen_fd, ret;

    ret = main_parse(argc, argv, &args);
    if (ret >= 0) {
        return ret;
    }

    main_signals(&signals);
    ret = softefa_pci_create(args.device, &pci);
    if (ret == 0) {
        pci->trace = args.trace;
        ret        = softefa_pci_listen(args.socket, &listen_fd);
        if (ret == 0) {
            main_loop(&args, listen_fd, pci, &signals);
            unlink(args.socket);
            close(listen_fd);
        }
        softefa_pci_destroy(pci);
    }

    if (softefa_membership_leave_begin()) {
        softefa_membership_leave_end(softefa_progress_stop());
    }
    return (ret == 0) ? EXIT_SUCCESS : EXIT_FAILURE;
}
