/*
 * The interface under test (scale.h). contrib/scale.sh runs this below
 * callgrind, which counts what the functions measure_* do and nothing else, and
 * writes it down when the function end_KIND is called.
 *
 *   scale instructions N      N peers
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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

#ifdef __clang__
#  define MEASURED  __attribute__((noinline))
#else
#  define MEASURED  __attribute__((noinline, noclone))
#endif


static unsigned next_peer;

/* --------------------------------------------------------------- measured */

MEASURED void measure_connect(void)
{
    unsigned i;

    for (i = 0; i < scale_num_peers; ++i) {
        scale_eps[i] = scale_connect(scale_own, &scale_addresses[i]);
    }
}

MEASURED unsigned measure_send(unsigned num)
{
    unsigned sent = 0, i;

    for (i = 0; i < num; ++i) {
        sent += uct_ep_am_short(scale_eps[next_peer], SCALE_AM_ID, 0, NULL,
                                0) == UCS_OK;
        uct_iface_progress(scale_own);
        if (++next_peer == scale_num_peers) {
            next_peer = 0;
        }
    }
    return sent;
}

MEASURED void measure_receive(uint64_t wanted)
{
    while (scale_got < wanted) {
        uct_iface_progress(scale_own);
    }
}

MEASURED void measure_idle(unsigned num)
{
    unsigned i;

    for (i = 0; i < num; ++i) {
        uct_iface_progress(scale_own);
        uct_iface_flush(scale_own, 0, NULL);
    }
}

MEASURED ucs_status_t measure_arm(void)
{
    ucs_status_t status = uct_iface_event_arm(scale_own, UCT_EVENT_RECV);

    uct_iface_progress(scale_own);
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
                uct_ep_get_bcopy(scale_eps[0], on_data, data, FENCE_BYTES,
                                 memory->address, rkey, comp));
    scale_check("iface_fence", uct_iface_fence(scale_own, 0));
    while (comp->count > 0) {
        uct_iface_progress(scale_own);
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
        ++scale_processes[((next_peer + i) % scale_num_peers) /
                          scale_per_process]
                  .sent;
    }
    if (measure_send(num) != num) {
        scale_die("am_short", "refused");
    }
    scale_drain(false);
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
        scale_let_send(first, RECV_BATCH, false);
        first = (first + RECV_BATCH) % scale_num_peers;
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
        uct_iface_progress(scale_own);
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

    scale_check("uct_iface_query", uct_iface_query(scale_own, &attr));
    if (!(attr.cap.flags & UCT_IFACE_FLAG_GET_BCOPY)) {
        return;
    }

    scale_tell(&scale_processes[0], SCALE_MEMORY, 0, 0);
    if (!scale_get(scale_processes[0].fd, &memory, sizeof(memory))) {
        scale_die("peers", "their process has ended");
    }
    scale_await(&scale_processes[0], true);
    scale_check("uct_rkey_unpack",
                uct_rkey_unpack(scale_domains[0].component, memory.key, &rkey));
    for (i = 0; i < FENCE_NUM; ++i) {
        comp.count = 1;
        measure_fence(&comp, data, &memory, rkey.rkey);
    }
    end_fence(FENCE_NUM);
}

static int scale_instructions(const char *program, unsigned num)
{
    scale_start(program, num, SCALE_PER_PROCESS, false);
    measure_connect();
    end_connect(num);
    scale_meet(0, num);
    do_send();
    do_receive();
    measure_idle(IDLE_NUM);
    end_idle(IDLE_NUM);
    do_seldom();
    do_arm();
    do_fence();
    scale_stop();
}

static unsigned number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if ((value == 0) || (value > 100000) || (*end != '\0')) {
        scale_die(text, "not a number of peers");
    }
    return value;
}

int main(int argc, char **argv)
{
    const char *mode = (argc > 1) ? argv[1] : "";
    unsigned num     = (argc > 2) ? number(argv[2]) : 0;

    if (num == 0) {
        scale_die("usage", "scale instructions|memory|incast N, or scale walk "
                           "N PER_PROCESS");
    } else if (strcmp(mode, "peers") == 0) {
        return scale_peers(SCALE_PEERS_FD, num);
    } else if (strcmp(mode, "instructions") == 0) {
        return scale_instructions(argv[0], num);
    } else if (strcmp(mode, "memory") == 0) {
        return scale_memory(argv[0], num);
    } else if (strcmp(mode, "incast") == 0) {
        return scale_incast(num);
    } else if ((strcmp(mode, "walk") == 0) && (argc > 3)) {
        return scale_walk(argv[0], num, number(argv[3]));
    }
    scale_die(mode, "unknown");
}
