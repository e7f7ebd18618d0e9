/*
 * The interface under test and its peers in other processes (scale.h).
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
#include <unistd.h>

#define MEET_ROUNDS 100u

uct_iface_h scale_own;
uct_ep_h *scale_eps;
scale_address_t *scale_addresses;
unsigned scale_num_peers, scale_per_process, scale_num_processes;
scale_process_t *scale_processes;

static void start(const char *program, scale_process_t *process, unsigned first,
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
    posix_spawn_file_actions_adddup2(&actions, fds[1], SCALE_PEERS_FD);
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

static void get_addresses(void)
{
    scale_process_t *process;
    scale_address_t own;
    unsigned i, k;

    scale_get_address(scale_own, &own);
    for (i = 0; i < scale_num_processes; ++i) {
        process = &scale_processes[i];
        scale_tell(process, SCALE_TELL, 0, 0);
        for (k = 0; k < process->num; ++k) {
            if (!scale_get(process->fd, &scale_addresses[process->first + k],
                           sizeof(scale_addresses[0]))) {
                scale_die("peers", "their process has ended");
            }
        }
        scale_await(process, true);
        scale_tell(process, SCALE_CONNECT, process->first, 0);
        scale_put(process->fd, &own, sizeof(own));
        scale_await(process, true);
    }
}

void scale_start(const char *program, unsigned num, unsigned per_process,
                 bool hosts)
{
    unsigned i, first, part;
    char host[16];

    scale_open();
    scale_own           = scale_iface(&scale_domains[0]);
    scale_num_peers     = num;
    scale_per_process   = per_process;
    scale_num_processes = (num + per_process - 1) / per_process;
    scale_processes     = scale_alloc(scale_num_processes,
                                      sizeof(*scale_processes));
    scale_eps           = scale_alloc(num, sizeof(*scale_eps));
    scale_addresses     = scale_alloc(num, sizeof(*scale_addresses));
    for (i = 0, first = 0; i < scale_num_processes; ++i, first += part) {
        part = (num - first < per_process) ? num - first : per_process;
        if (hosts) {
            snprintf(host, sizeof(host), "%u", i + 1);
            setenv("SOFTEFA_HOST", host, 1);
        }
        start(program, &scale_processes[i], first, part);
    }
    unsetenv("SOFTEFA_HOST");
    get_addresses();
}

void scale_stop(void)
{
    unsigned i;

    for (i = 0; i < scale_num_processes; ++i) {
        close(scale_processes[i].fd);
    }
    for (i = 0; i < scale_num_processes; ++i) {
        waitpid(scale_processes[i].pid, NULL, 0);
    }
    exit(0); /* without goodbyes: they are gone */
}

void scale_tell(scale_process_t *process, scale_word_t word, unsigned first,
                unsigned num)
{
    scale_order_t order = {word, first, num};

    scale_put(process->fd, &order, sizeof(order));
}

void scale_await(scale_process_t *process, bool progress)
{
    struct pollfd fd = {.fd = process->fd, .events = POLLIN};
    uint32_t word;

    while (progress && (poll(&fd, 1, 0) == 0)) {
        uct_iface_progress(scale_own);
    }
    if (!scale_get(process->fd, &word, sizeof(word))) {
        scale_die("peers", "their process has ended");
    }
}

void scale_drain(bool progress)
{
    unsigned i;

    for (i = 0; i < scale_num_processes; ++i) {
        scale_tell(&scale_processes[i], SCALE_TAKE, 0, scale_processes[i].sent);
    }
    for (i = 0; i < scale_num_processes; ++i) {
        scale_await(&scale_processes[i], progress);
    }
}

static void let(scale_word_t word, unsigned first, unsigned num, bool progress)
{
    scale_process_t *process;
    unsigned part;

    while (num > 0) {
        process = &scale_processes[first / scale_per_process];
        part    = process->first + process->num - first;
        part    = (part < num) ? part : num;
        scale_tell(process, word, first - process->first, part);
        scale_await(process, progress);
        num -= part;
        first = (first + part) % scale_num_peers;
    }
}

void scale_let_send(unsigned first, unsigned num, bool progress)
{
    let(SCALE_SEND, first, num, progress);
}

void scale_let_burst(unsigned first, unsigned num)
{
    let(SCALE_BURST, first, num, false);
}

static void copy_path(const char *path, void *arg)
{
    snprintf(arg, PATH_MAX, "%s", path);
}

void scale_segment(stats_segment_t *segment)
{
    char path[PATH_MAX] = "", error[256] = "no segment";

    stats_find((uint32_t)getpid(), copy_path, path);
    if (stats_read(path, segment, error, sizeof(error)) != 0) {
        scale_die(path, error);
    }
}

/* Messages that said who sent them */
static uint64_t count_introductions(void)
{
    stats_segment_t segment;
    uint64_t count;

    scale_segment(&segment);
    count = segment.ifaces[0].tx_ext + segment.ifaces[0].rx_ext;
    stats_free(&segment);
    return count;
}

void scale_send(unsigned peer, uint64_t header, const void *data,
                unsigned length)
{
    uct_ep_h ep = scale_eps[peer];
    ucs_status_t status;

    while ((status = uct_ep_am_short(ep, SCALE_AM_ID, header, data, length)) ==
           UCS_ERR_NO_RESOURCE) {
        uct_iface_progress(scale_own);
    }
    scale_check("am_short", status);
    ++scale_processes[peer / scale_per_process].sent;
}

void scale_meet(unsigned first, unsigned num)
{
    uint64_t before, wanted;
    unsigned round, i;

    for (round = 0; round < MEET_ROUNDS; ++round) {
        before = count_introductions();
        for (i = first; i < first + num; ++i) {
            scale_send(i, 0, NULL, 0);
        }
        scale_drain(true);
        wanted = scale_got + num;
        scale_let_send(first, num, true);
        while (scale_got < wanted) {
            uct_iface_progress(scale_own);
        }
        if (count_introductions() == before) {
            return;
        }
    }
    scale_die("peers", "they do not come to know us");
}
