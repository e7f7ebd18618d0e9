/*
 * The interface under test (scale.h). contrib/scale.sh runs this below
 * callgrind, which counts what the functions measure_* do and nothing else, and
 * writes it down when the function end_KIND is called.
 *
 *   scale N      N peers
 *
 *   connect   an endpoint to each
 *   send      am_short to one after the other, a progress call after each
 *   receive   messages from one after the other, in batches that wait in the
 *             completion queue
 *   idle      a progress call and a flush of the interface, nothing to do
 *   seldom    am_short and a progress call, after a pause
 *   arm       events armed, a progress call
 *   fence     get_bcopy, a fence of the interface, progress until all is done
 *
 * Prints "KIND COUNT", but for what the device cannot do.
 */
#include "scale.h"

#include "tools/reader/stats_reader.h"

#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PER_PROCESS 2500u    /* of 65530 mappings a peer takes some seven      */
#define PEERS_FD    3        /* of a process of peers                          */

#define SEND_BATCH  8u       /* the peers have 16 receive buffers              */
#define SEND_NUM    256u     /* batches                                        */
#define RECV_BATCH  128u
#define RECV_NUM    16u
#define IDLE_NUM    4096u
#define SELDOM_NUM  16u
#define SELDOM_MS   110u
#define SLOW_NUM    260u     /* calls until all of them look around            */
#define SLOW_MS     11u
#define ARM_NUM     256u
#define FENCE_NUM   64u
#define FENCE_BYTES 64u
#define MEET_ROUNDS 100u

#ifdef __clang__
#  define MEASURED  __attribute__((noinline))
#else
#  define MEASURED  __attribute__((noinline, noclone))
#endif

typedef struct {
    int      fd;
    pid_t    pid;
    unsigned first, num;     /* peers                                          */
    uint32_t sent;           /* to them, ever                                  */
} process_t;

static uct_iface_h iface;
static uct_ep_h *eps;
static scale_address_t *addresses;
static unsigned num_peers, next_peer;
static process_t *processes;
static unsigned num_processes;

/* -------------------------------------------------------- other processes */

static void start(const char *program, process_t *process, unsigned first,
                  unsigned num)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    char number[16];
    char *argv[] = {(char *)program, (char *)"peers", number, NULL};
    int fds[2];

    snprintf(number, sizeof(number), "%u", num);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        scale_die("socketpair", "failed");
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], PEERS_FD);
    if (posix_spawn(&process->pid, program, &actions, NULL, argv, environ) !=
        0) {
        scale_die(program, "cannot be started");
    }
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    process->fd    = fds[0];
    process->first = first;
    process->num   = num;
}

static void start_all(const char *program)
{
    unsigned i, first;

    num_processes = (num_peers + PER_PROCESS - 1) / PER_PROCESS;
    processes     = scale_alloc(num_processes, sizeof(*processes));
    for (i = 0, first = 0; i < num_processes; ++i, first += PER_PROCESS) {
        start(program, &processes[i], first,
              (num_peers - first < PER_PROCESS) ? num_peers - first :
                                                  PER_PROCESS);
    }
}

static void tell(process_t *process, scale_word_t word, unsigned first,
                 unsigned num)
{
    scale_order_t order = {word, first, num};

    scale_put(process->fd, &order, sizeof(order));
}

/* Its answer; what arrives meanwhile may wait. */
static void await(process_t *process, bool progress)
{
    struct pollfd fd = {.fd = process->fd, .events = POLLIN};
    uint32_t word;

    while (progress && (poll(&fd, 1, 0) == 0)) {
        uct_iface_progress(iface);
    }
    if (!scale_get(process->fd, &word, sizeof(word))) {
        scale_die("peers", "their process has ended");
    }
}

/* They take what was sent to them. */
static void drain(bool progress)
{
    unsigned i;

    for (i = 0; i < num_processes; ++i) {
        tell(&processes[i], SCALE_TAKE, 0, processes[i].sent);
    }
    for (i = 0; i < num_processes; ++i) {
        await(&processes[i], progress);
    }
}

/* num messages, one from each, from the peer `first` on */
static void let_send(unsigned first, unsigned num, bool progress)
{
    process_t *process;
    unsigned part;

    while (num > 0) {
        process = &processes[first / PER_PROCESS];
        part    = process->first + process->num - first;
        part    = (part < num) ? part : num;
        tell(process, SCALE_SEND, first - process->first, part);
        await(process, progress);
        num -= part;
        first = (first + part) % num_peers;
    }
}

static void get_addresses(void)
{
    scale_address_t own;
    unsigned i, k;

    scale_get_address(iface, &own);
    for (i = 0; i < num_processes; ++i) {
        tell(&processes[i], SCALE_TELL, 0, 0);
        for (k = 0; k < processes[i].num; ++k) {
            if (!scale_get(processes[i].fd, &addresses[processes[i].first + k],
                           sizeof(addresses[0]))) {
                scale_die("peers", "their process has ended");
            }
        }
        await(&processes[i], true);
        tell(&processes[i], SCALE_CONNECT, 0, 0);
        scale_put(processes[i].fd, &own, sizeof(own));
        await(&processes[i], true);
    }
}

/* ---------------------------------------------------------------- meeting */

static void copy_path(const char *path, void *arg)
{
    snprintf(arg, PATH_MAX, "%s", path);
}

/* Messages that said who sent them */
static uint64_t count_introductions(void)
{
    char path[PATH_MAX] = "", error[256] = "no segment";
    stats_segment_t segment;
    uint64_t count;

    stats_find((uint32_t)getpid(), copy_path, path);
    if (stats_read(path, &segment, error, sizeof(error)) != 0) {
        scale_die(path, error);
    }
    count = segment.ifaces[0].tx_ext + segment.ifaces[0].rx_ext;
    stats_free(&segment);
    return count;
}

static void send_one(unsigned peer)
{
    ucs_status_t status;

    while ((status = uct_ep_am_short(eps[peer], SCALE_AM_ID, 0, NULL, 0)) ==
           UCS_ERR_NO_RESOURCE) {
        uct_iface_progress(iface);
    }
    scale_check("am_short", status);
    ++processes[peer / PER_PROCESS].sent;
}

/* Messages both ways, until nobody has to be told who we are */
static void meet(void)
{
    uint64_t before, wanted;
    unsigned round, i;

    for (round = 0; round < MEET_ROUNDS; ++round) {
        before = count_introductions();
        for (i = 0; i < num_peers; ++i) {
            send_one(i);
        }
        drain(true);
        wanted = scale_got + num_peers;
        let_send(0, num_peers, true);
        while (scale_got < wanted) {
            uct_iface_progress(iface);
        }
        if (count_introductions() == before) {
            return;
        }
    }
    scale_die("peers", "they do not come to know us");
}

/* --------------------------------------------------------------- measured */

MEASURED void measure_connect(void)
{
    unsigned i;

    for (i = 0; i < num_peers; ++i) {
        eps[i] = scale_connect(iface, &addresses[i]);
    }
}

MEASURED unsigned measure_send(unsigned num)
{
    unsigned sent = 0, i;

    for (i = 0; i < num; ++i) {
        sent += uct_ep_am_short(eps[next_peer], SCALE_AM_ID, 0, NULL, 0) ==
                UCS_OK;
        uct_iface_progress(iface);
        if (++next_peer == num_peers) {
            next_peer = 0;
        }
    }
    return sent;
}

MEASURED void measure_receive(uint64_t wanted)
{
    while (scale_got < wanted) {
        uct_iface_progress(iface);
    }
}

MEASURED void measure_idle(unsigned num)
{
    unsigned i;

    for (i = 0; i < num; ++i) {
        uct_iface_progress(iface);
        uct_iface_flush(iface, 0, NULL);
    }
}

MEASURED ucs_status_t measure_arm(void)
{
    ucs_status_t status = uct_iface_event_arm(iface, UCT_EVENT_RECV);

    uct_iface_progress(iface);
    return status;
}

static void on_data(void *arg, const void *data, size_t length)
{
    memcpy(arg, data, length);
}

MEASURED void measure_fence(uct_completion_t *comp, char *data,
                            const scale_memory_t *memory, uct_rkey_t rkey)
{
    scale_check("get_bcopy",
                uct_ep_get_bcopy(eps[0], on_data, data, FENCE_BYTES,
                                 memory->address, rkey, comp));
    scale_check("iface_fence", uct_iface_fence(iface, 0));
    while (comp->count > 0) {
        uct_iface_progress(iface);
    }
}

/* What there was since the last of these is written down. */
#define END(_kind) \
    MEASURED void end_##_kind(unsigned count) \
    { \
        printf(#_kind " %u\n", count); \
    }

END(connect)
END(send)
END(receive)
END(idle)
END(seldom)
END(arm)
END(fence)

/* ------------------------------------------------------------------ kinds */

static void send_batch(unsigned num)
{
    unsigned i;

    for (i = 0; i < num; ++i) {
        ++processes[((next_peer + i) % num_peers) / PER_PROCESS].sent;
    }
    if (measure_send(num) != num) {
        scale_die("am_short", "refused");
    }
    drain(false);
}

static void do_send(void)
{
    unsigned i;

    for (i = 0; i < SEND_NUM; ++i) {
        send_batch(SEND_BATCH);
    }
    end_send(SEND_NUM * SEND_BATCH);
}

static void do_receive(void)
{
    unsigned i, first = 0;
    uint64_t wanted = scale_got;

    for (i = 0; i < RECV_NUM; ++i) {
        wanted += RECV_BATCH;
        let_send(first, RECV_BATCH, false);
        first = (first + RECV_BATCH) % num_peers;
        measure_receive(wanted);
    }
    end_receive(RECV_NUM * RECV_BATCH);
}

static void do_seldom(void)
{
    const struct timespec pause = {.tv_nsec = SELDOM_MS * 1000000l};
    const struct timespec slow  = {.tv_nsec = SLOW_MS * 1000000l};
    unsigned i;

    /* Not each progress call looks around if they are frequent: make it known
     * that they are not. */
    for (i = 0; i < SLOW_NUM; ++i) {
        nanosleep(&slow, NULL);
        uct_iface_progress(iface);
    }
    for (i = 0; i < SELDOM_NUM; ++i) {
        nanosleep(&pause, NULL);
        send_batch(1);
    }
    end_seldom(SELDOM_NUM);
}

static void do_arm(void)
{
    unsigned i;

    for (i = 0; i < ARM_NUM; ++i) {
        if (measure_arm() == UCS_ERR_UNSUPPORTED) {
            return;
        }
    }
    end_arm(ARM_NUM);
}

static void on_fenced(uct_completion_t *self)
{
    scale_check("get_bcopy", self->status);
}

static void do_fence(void)
{
    uct_completion_t comp = {.func = on_fenced, .status = UCS_OK};
    char data[FENCE_BYTES];
    scale_memory_t memory;
    uct_rkey_bundle_t rkey;
    uct_iface_attr_t attr;
    unsigned i;

    scale_check("uct_iface_query", uct_iface_query(iface, &attr));
    if (!(attr.cap.flags & UCT_IFACE_FLAG_GET_BCOPY)) {
        return;
    }

    tell(&processes[0], SCALE_MEMORY, 0, 0);
    if (!scale_get(processes[0].fd, &memory, sizeof(memory))) {
        scale_die("peers", "their process has ended");
    }
    await(&processes[0], true);
    scale_check("uct_rkey_unpack",
                uct_rkey_unpack(scale_domains[0].component, memory.key, &rkey));
    for (i = 0; i < FENCE_NUM; ++i) {
        comp.count = 1;
        measure_fence(&comp, data, &memory, rkey.rkey);
    }
    end_fence(FENCE_NUM);
}

int main(int argc, char **argv)
{
    unsigned i;
    char *end;

    num_peers = (argc > 1) ? strtoul(argv[argc - 1], &end, 10) : 0;
    if ((num_peers == 0) || (*end != '\0')) {
        scale_die("usage", "scale N");
    }
    if (argc > 2) {
        return scale_peers(PEERS_FD, num_peers);
    }

    scale_open();
    iface     = scale_iface(&scale_domains[0]);
    eps       = scale_alloc(num_peers, sizeof(*eps));
    addresses = scale_alloc(num_peers, sizeof(*addresses));
    start_all(argv[0]);
    get_addresses();
    measure_connect();
    end_connect(num_peers);
    meet();
    do_send();
    do_receive();
    measure_idle(IDLE_NUM);
    end_idle(IDLE_NUM);
    do_seldom();
    do_arm();
    do_fence();

    for (i = 0; i < num_processes; ++i) {
        close(processes[i].fd);
    }
    for (i = 0; i < num_processes; ++i) {
        waitpid(processes[i].pid, NULL, 0);
    }
    exit(0); /* without goodbyes: they are gone */
}
