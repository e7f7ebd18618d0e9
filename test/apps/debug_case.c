/*
 * The program of docs/debugging.md: sends messages to others of its kind and
 * takes what they send, until SIGTERM. What goes wrong is done to it from
 * outside (debugging.sh), but for one fault that only a program can have: -c.
 *
 *   debug_case [-c] [-n COUNT] [-s SIZE] DIR NAME [PEER...]
 *
 *   DIR/NAME      its address, for those that name it as PEER
 *   -n COUNT      messages to each peer (without end)
 *   -s SIZE       of each (64 bytes)
 *   -c            computes as soon as all are posted: calls UCX no more, until
 *                 SIGUSR1
 *
 * One thread: post, progress, sleep a little, again. Endpoints report errors.
 */
#include <ucp/api/ucp.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AM_ID     1
#define MAX_PEERS 8
#define MAX_SIZE  (1u << 20)
#define DEPTH     1000          /* messages under way to one peer */
#define ADDRESS   1024

typedef struct {
    const char    *name;
    ucp_ep_h      ep;
    unsigned long posted;
    unsigned long done;
    bool          failed;
} peer_t;

static const char *self;
static ucp_context_h context;
static ucp_worker_h worker;
static peer_t peers[MAX_PEERS];
static int num_peers;
static unsigned long count;
static size_t size = 64;
static char sent[MAX_SIZE], received[MAX_SIZE];
static volatile sig_atomic_t ended, go_on;

static void on_signal(int number)
{
    if (number == SIGTERM) {
        ended = 1;
    }
    go_on = 1;
}

static void die(const char *what, ucs_status_t status)
{
    fprintf(stderr, "%s: %s: %s\n", self, what, ucs_status_string(status));
    exit(1);
}

static void check(const char *what, ucs_status_t status)
{
    if (status != UCS_OK) {
        die(what, status);
    }
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

static void on_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    peer_t *peer = arg;

    (void)ep;
    peer->failed = true;
    printf("%s: %s: %s\n", self, peer->name, ucs_status_string(status));
    fflush(stdout);
}

static void on_sent(void *request, ucs_status_t status, void *arg)
{
    peer_t *peer = arg;

    (void)status;
    ++peer->done;
    ucp_request_free(request);
}

static void on_fetched(void *request, ucs_status_t status, size_t length,
                       void *arg)
{
    (void)arg;
    printf("%s: %zu bytes: %s\n", self, length, ucs_status_string(status));
    fflush(stdout);
    ucp_request_free(request);
}

/* What is eager is here, what is not is fetched. */
static ucs_status_t on_message(void *arg, const void *header,
                               size_t header_length, void *data, size_t length,
                               const ucp_am_recv_param_t *recv_param)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK,
        .cb.recv_am   = on_fetched
    };
    ucs_status_ptr_t request;

    (void)arg;
    (void)header;
    (void)header_length;
    if (!(recv_param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)) {
        return UCS_OK;
    }

    request = ucp_am_recv_data_nbx(worker, data, received, length, &param);
    if (UCS_PTR_IS_ERR(request)) {
        fprintf(stderr, "%s: receive: %s\n", self,
                ucs_status_string(UCS_PTR_STATUS(request)));
    }
    return UCS_OK;
}

static void post(peer_t *peer)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK |
                        UCP_OP_ATTR_FIELD_USER_DATA,
        .cb.send      = on_sent,
        .user_data    = peer
    };
    ucs_status_ptr_t request;

    while (!peer->failed && (peer->posted - peer->done < DEPTH) &&
           ((count == 0) || (peer->posted < count))) {
        request = ucp_am_send_nbx(peer->ep, AM_ID, NULL, 0, sent, size, &param);
        ++peer->posted;
        if (request == NULL) {
            ++peer->done;
            if (peer->done % DEPTH == 0) {
                break; /* give the others a turn */
            }
        } else if (UCS_PTR_IS_ERR(request)) {
            ++peer->done;
            break;
        }
    }
}

static void publish(const char *dir)
{
    char path[512], temporary[520];
    ucp_address_t *address;
    size_t length;
    FILE *file;

    check("address", ucp_worker_get_address(worker, &address, &length));
    snprintf(path, sizeof(path), "%s/%s", dir, self);
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    file = fopen(temporary, "w");
    if ((file == NULL) || (length > ADDRESS) ||
        (fwrite(address, length, 1, file) != 1) || (fclose(file) != 0) ||
        (rename(temporary, path) != 0)) {
        die(path, UCS_ERR_IO_ERROR);
    }
    ucp_worker_release_address(worker, address);
}

/* Waits for the peer's address: debugging.sh ends who waits in vain. */
static void connect_to(peer_t *peer, const char *dir)
{
    ucp_ep_params_t params = {
        .field_mask      = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
                           UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                           UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .err_mode        = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler.cb  = on_error,
        .err_handler.arg = peer
    };
    char path[512], address[ADDRESS];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir, peer->name);
    while ((file = fopen(path, "r")) == NULL) {
        if (ended) {
            exit(0);
        }
        nap();
    }
    if (fread(address, 1, sizeof(address), file) == 0) {
        die(path, UCS_ERR_IO_ERROR);
    }
    fclose(file);
    params.address = (const ucp_address_t *)address;
    check(peer->name, ucp_ep_create(worker, &params, &peer->ep));
}

static void close_all(void)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
        .flags        = UCP_EP_CLOSE_FLAG_FORCE
    };
    ucs_status_ptr_t request;
    int i;

    for (i = 0; i < num_peers; ++i) {
        request = ucp_ep_close_nbx(peers[i].ep, &param);
        while (UCS_PTR_IS_PTR(request) &&
               (ucp_request_check_status(request) == UCS_INPROGRESS)) {
            ucp_worker_progress(worker);
        }
        if (UCS_PTR_IS_PTR(request)) {
            ucp_request_free(request);
        }
    }
    ucp_worker_destroy(worker);
    ucp_cleanup(context);
}

static void start(void)
{
    ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features   = UCP_FEATURE_AM
    };
    ucp_worker_params_t worker_params = {
        .field_mask  = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE
    };
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                      UCP_AM_HANDLER_PARAM_FIELD_CB,
        .id         = AM_ID,
        .cb         = on_message
    };

    check("ucp_init", ucp_init(&params, NULL, &context));
    check("worker", ucp_worker_create(context, &worker_params, &worker));
    check("handler", ucp_worker_set_am_recv_handler(worker, &handler));
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    bool computes           = false;
    int opt, i;

    while ((opt = getopt(argc, argv, "cn:s:")) != -1) {
        switch (opt) {
        case 'c':
            computes = true;
            break;
        case 'n':
            count = strtoul(optarg, NULL, 0);
            break;
        case 's':
            size = strtoul(optarg, NULL, 0);
            break;
        default:
            return 2;
        }
    }
    num_peers = argc - optind - 2;
    if ((num_peers < 0) || (num_peers > MAX_PEERS) || (size > MAX_SIZE)) {
        fprintf(stderr, "usage: debug_case [-c] [-n COUNT] [-s SIZE] DIR NAME "
                        "[PEER...]\n");
        return 2;
    }

    self = argv[optind + 1];
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    start();
    publish(argv[optind]);
    for (i = 0; i < num_peers; ++i) {
        peers[i].name = argv[optind + 2 + i];
        connect_to(&peers[i], argv[optind]);
    }

    while (!ended) {
        for (i = 0; i < num_peers; ++i) {
            post(&peers[i]);
        }
        /* What computes does not sleep, but that is the same to UCX. */
        while (computes && !go_on) {
            nap();
        }
        while (ucp_worker_progress(worker) != 0) {
        }
        nap();
    }

    close_all();
    return 0;
}
