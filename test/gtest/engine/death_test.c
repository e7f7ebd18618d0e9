/*
 * Processes that are killed at random must not hurt others (points_test.c: at
 * every point in turn):
 *
 *   traffic   messages with checked contents between a few processes; each
 *             receive request completes at most once; all that is sent ends
 *   admin     objects are made and destroyed, so half of the kills hit the
 *             holder of the admin lock; in the end nothing is left
 *   attach    processes come and go, the last one removes the directory
 */
#define _GNU_SOURCE
#include "nic/object.h"
#include "ring.h"
#include "fabric/table.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    NUM_PROCS = 4,
    SLOT      = 2048,                /* bytes of a message, at most */
    NUM_SLOTS = 64                   /* messages each way */
};

/* What a process tells the others, in memory shared with its parent. */
typedef struct {
    _Atomic uint32_t ready;
    uint16_t         qpn;
    uint32_t         qkey, rkey, device;
    uint64_t         memory;
    _Atomic uint64_t done;           /* messages sent with success */
} member_t;

static member_t *members;

static void killed(pid_t pid)
{
    int status;

    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL));
}

/* Starts `run` in NUM_PROCS processes and replaces a random one, `kills` times,
 * after up to `usec`. */
static void kill_loop(void (*run)(unsigned), unsigned kills, unsigned usec,
                      pid_t pid[NUM_PROCS])
{
    unsigned i, n;

    for (n = 0; n < kills + NUM_PROCS; ++n) {
        i = n;
        if (n >= NUM_PROCS) {
            usleep(rand() % usec);
            i = rand() % NUM_PROCS;
            killed(pid[i]);
        }

        pid[i] = fork();
        CHECK(pid[i] >= 0);
        if (pid[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            srand(getpid());
            run(i);
            exit(0);
        }
    }
}

void expect_empty(unsigned device, uint32_t opens)
{
    softefa_shm_dev_t *dev = &softefa_fabric.shm->dev[device];
    unsigned kind, i;

    CHECK(dev->opens == opens);
    for (kind = 0; kind < SOFTEFA_NUM_KINDS; ++kind) {
        CHECK(dev->table[kind].count == 0);
        for (i = 0; i < dev->table[kind].backed; ++i) {
            CHECK(softefa_table_entry(dev, kind, i)->state ==
                  SOFTEFA_STATE_FREE);
        }
    }
    for (i = 0; i < SOFTEFA_MAX_DEVICES; ++i) {
        CHECK(dev->ah_for[i] == 0);
    }
    for (i = 0; i < SOFTEFA_HEAP_UNITS / 64; ++i) {
        CHECK(softefa_fabric.shm->heap_map[i] == 0);
    }
    for (i = 0; i < SOFTEFA_MAX_CHANNELS; ++i) {
        CHECK(softefa_fabric.shm->channel[i].obj.state == SOFTEFA_STATE_FREE);
    }
}

/* A child has no device, and its end leaves the parent's alone. */
void test_fork(void)
{
    ring_port_t port, own;
    softefa_mr_t *mr;
    ring_cq_t cq;
    ring_qp_t qp;
    uint32_t key;
    uint16_t pdn;
    int status;
    pid_t pid;

    ring_port_open(&port, 0);
    ring_cq_create(&port, &cq, 64, NULL, 0);
    CHECK(ring_qp_create(&port, &qp, &cq, &cq,
                         (softefa_qp_attr_t){.type = SOFTEFA_QP_SRD}) == 0);
    ring_qp_to_rts(&qp, RING_QKEY, 7);
    ring_put(&qp, SOFTEFA_OP_SEND,
             ring_send(&port, qp.map.qpn, 1, port.memory, 8));
    pid = fork();
    if (pid == 0) {
        CHECK(softefa_pd_alloc(port.dev, &pdn) == EIO);
        CHECK(softefa_mr_reg(port.dev, port.pdn, (uintptr_t)port.memory, 1, 0,
                             0, &mr, &key, &key) == EIO);
        softefa_engine_doorbell(qp.qp);
        softefa_dev_close(port.dev);
        ring_port_open(&own, 0);
        ring_port_close(&own);
        exit(0);
    }
    CHECK((waitpid(pid, &status, 0) == pid) && (status == 0));

    ring_cq_silent(&cq);
    ring_recv(&qp, port.memory, 64, port.lkey, 3);
    ring_doorbell(&qp);
    CHECK(ring_cq_wait(&cq).status == 0);
    CHECK(ring_cq_wait(&cq).status == 0);
    ring_port_close(&port);
}

/*
 * Traffic
 */

typedef struct {
    ring_port_t port;
    ring_cq_t   cq;
    ring_qp_t   qp;
    member_t    *own;
    uint64_t    sent[NUM_SLOTS];     /* when, ns; 0: free */
    unsigned    num_sent;
    uint8_t     posted[NUM_SLOTS];   /* receive requests */
} talker_t;

static uint8_t *talker_rx(talker_t *talker, unsigned slot)
{
    return talker->port.memory + slot * SLOT;
}

static uint8_t *talker_tx(talker_t *talker, unsigned slot)
{
    return talker->port.memory + (NUM_SLOTS + slot) * SLOT;
}

static uint8_t pattern(uint32_t seed, uint32_t index)
{
    return seed * 131 + index * 7;
}

static void talker_recv(talker_t *talker, unsigned slot)
{
    talker->posted[slot] = 1;
    ring_recv(&talker->qp, talker_rx(talker, slot), SLOT, talker->port.lkey,
              slot);
}

static void talker_open(talker_t *talker, unsigned index)
{
    unsigned i;

    memset(talker, 0, sizeof(*talker));
    talker->own         = &members[index];
    talker->own->device = index % 2;
    talker->own->qkey   = rand();
    ring_port_open(&talker->port, talker->own->device);
    ring_cq_create(&talker->port, &talker->cq, 256, NULL, 0);
    CHECK(ring_qp_create(&talker->port, &talker->qp, &talker->cq, &talker->cq,
                         (softefa_qp_attr_t){.type = SOFTEFA_QP_SRD}) == 0);
    ring_qp_to_rts(&talker->qp, talker->own->qkey, (rand() % 3) ? 7 : 2);
    for (i = 0; i < NUM_SLOTS; ++i) {
        talker_recv(talker, i);
    }

    talker->own->qpn    = talker->qp.map.qpn;
    talker->own->rkey   = talker->port.rkey;
    talker->own->memory = (uintptr_t)talker->port.memory;
    talker->own->ready  = 1;
}

/* A send ends with success or with what a killed peer looks like. */
static void talker_sent(talker_t *talker, const softefa_io_cqe_t *cqe)
{
    CHECK((cqe->req_id < NUM_SLOTS) && (talker->sent[cqe->req_id] != 0));
    talker->sent[cqe->req_id] = 0;
    --talker->num_sent;
    switch (cqe->status) {
    case SOFTEFA_STATUS_OK:
        ++talker->own->done;
        break;
    case SOFTEFA_STATUS_REMOTE_ADDRESS:
    case SOFTEFA_STATUS_REMOTE_QPN:
    case SOFTEFA_STATUS_RNR:
    case SOFTEFA_STATUS_UNRESPONSIVE:
    case SOFTEFA_STATUS_UNREACHABLE:
    case SOFTEFA_STATUS_UNKNOWN_PEER:
        break;
    default:
        fprintf(stderr, "# status %u\n", cqe->status);
        abort();
    }
}

static void talker_received(talker_t *talker, const softefa_io_cqe_t *cqe)
{
    const uint8_t *data;
    unsigned i;

    CHECK(cqe->status == 0);
    CHECK((cqe->req_id < NUM_SLOTS) && talker->posted[cqe->req_id]);
    talker->posted[cqe->req_id] = 0;
    data                        = talker_rx(talker, cqe->req_id);
    for (i = 0; i < cqe->length; ++i) {
        CHECK(data[i] == pattern(cqe->imm, i));
    }
}

static void talker_poll(talker_t *talker)
{
    softefa_io_cqe_t cqe;
    unsigned i;

    while (ring_cq_poll(&talker->cq, &cqe)) {
        CHECK(cqe.qpn == talker->qp.map.qpn);
        if (cqe.flags & SOFTEFA_CQE_SEND_QUEUE) {
            talker_sent(talker, &cqe);
        } else {
            talker_received(talker, &cqe);
        }
    }

    /* Not always at once, so that others wait for a request. */
    for (i = 0; i < NUM_SLOTS; ++i) {
        if (!talker->posted[i] && (rand() % 8 == 0)) {
            talker_recv(talker, i);
        }
    }
}

static void talker_send(talker_t *talker, const member_t *peer)
{
    uint32_t length = 1 + rand() % SLOT, seed = rand(), slot, i;
    softefa_io_wqe_t wqe;
    uint8_t *data;

    for (slot = 0; talker->sent[slot] != 0; ++slot) {
    }
    data = talker_tx(talker, slot);
    if (rand() % 5 == 0) {
        wqe = ring_rdma(&talker->port, peer->qpn, slot, peer->memory, data,
                        length);
        wqe.rdma.remote.key = peer->rkey;
    } else {
        wqe       = ring_send(&talker->port, peer->qpn, slot, data, length);
        wqe.ctrl1 = SOFTEFA_CTRL1_HAS_IMM;
        wqe.imm   = seed;
        for (i = 0; i < length; ++i) {
            data[i] = pattern(seed, i);
        }
    }

    wqe.ahn  = talker->port.ahn[peer->device];
    wqe.qkey = peer->qkey;
    ring_put(&talker->qp,
             (wqe.ctrl1 & SOFTEFA_CTRL1_HAS_IMM) ? SOFTEFA_OP_SEND :
                                                   SOFTEFA_OP_RDMA_READ,
             wqe);
    talker->sent[slot] = ring_now();
    ++talker->num_sent;
}

static void talk(unsigned index)
{
    talker_t talker;
    unsigned n, i, to;

    talker_open(&talker, index);
    for (;;) {
        talker_poll(&talker);
        to = rand() % NUM_PROCS;
        for (n = rand() % 8; (n > 0) && (talker.num_sent < NUM_SLOTS); --n) {
            if ((to != index) && members[to].ready) {
                talker_send(&talker, &members[to]);
            }
            /* Often several for one QP. */
            to = (rand() % 2) ? to : ((unsigned)rand() % NUM_PROCS);
        }
        ring_doorbell(&talker.qp);

        for (i = 0; i < NUM_SLOTS; ++i) {
            CHECK((talker.sent[i] == 0) ||
                  (ring_now() <
                   talker.sent[i] + RING_DEADLINE * 1000000000ull));
        }
    }
}

void test_kill_traffic(void)
{
    uint64_t done[NUM_PROCS], end;
    softefa_dev_t *dev, *again;
    pid_t pid[NUM_PROCS];
    unsigned i;

    members = mmap(NULL, sizeof(*members) * NUM_PROCS, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(members != MAP_FAILED);
    CHECK(softefa_dev_open(0, &dev) == 0);
    kill_loop(talk, ring_scaled(300), 20000, pid);

    /* The last ones live and still get their messages through. */
    for (i = 0; i < NUM_PROCS; ++i) {
        done[i] = members[i].done;
    }
    end = ring_deadline();
    for (i = 0; i < NUM_PROCS; ++i) {
        while (members[i].done == done[i]) {
            CHECK(ring_now() < end);
            CHECK(waitpid(pid[i], NULL, WNOHANG) == 0);
            usleep(1000);
        }
    }
    for (i = 0; i < NUM_PROCS; ++i) {
        killed(pid[i]);
    }

    CHECK(softefa_dev_open(0, &again) == 0);
    expect_empty(0, 2);
    softefa_dev_close(again);
    softefa_dev_close(dev);
}

/*
 * Admin
 */

static void administrate(unsigned index)
{
    softefa_channel_t *channel;
    softefa_mr_t *mr[8];
    ring_port_t port;
    ring_cq_t cq[2];
    ring_qp_t qp[3];
    uint32_t key;
    int fd, i;

    for (;;) {
        ring_port_open(&port, index % 2);
        for (i = 0; i < 8; ++i) {
            CHECK(softefa_mr_reg(port.dev, port.pdn, (uintptr_t)port.memory,
                                 4096, 0, IBV_ACCESS_LOCAL_WRITE, &mr[i], &key,
                                 &key) == 0);
        }
        CHECK(softefa_channel_create(port.dev, &channel, &fd) == 0);
        ring_cq_create(&port, &cq[0], 64, channel, 1);
        ring_cq_create(&port, &cq[1], 512, NULL, 0);
        for (i = 0; i < 3; ++i) {
            CHECK(ring_qp_create(&port, &qp[i], &cq[0], &cq[1],
                                 (softefa_qp_attr_t){
                                         .type = (softefa_qp_type_t)(i % 2),
                                         .sq_ring_size = 64 * (16u << i)}) ==
                  0);
            ring_qp_to_rts(&qp[i], 1, 7);
        }
        CHECK(softefa_pd_free(port.dev, port.pdn) == EBUSY);
        if (rand() % 2) {
            CHECK(softefa_qp_destroy(qp[1].qp) == 0);
            CHECK(softefa_mr_dereg(mr[3]) == 0);
            CHECK(softefa_ah_destroy(port.dev, port.pdn, port.ahn[1]) == 0);
        }
        close(fd);
        ring_port_close(&port);
    }
}

void test_kill_admin(void)
{
    softefa_dev_t *dev[2], *again;
    pid_t pid[NUM_PROCS];
    unsigned i;

    CHECK(softefa_dev_open(0, &dev[0]) == 0);
    CHECK(softefa_dev_open(1, &dev[1]) == 0);
    kill_loop(administrate, ring_scaled(600), 5000, pid);
    for (i = 0; i < NUM_PROCS; ++i) {
        killed(pid[i]);
    }

    CHECK(softefa_dev_open(0, &again) == 0);
    expect_empty(0, 2);
    expect_empty(1, 1);
    softefa_dev_close(again);
    softefa_dev_close(dev[0]);
    softefa_dev_close(dev[1]);
}

/*
 * Attach
 */

static void come_and_go(unsigned count, bool may_die)
{
    softefa_dev_t *dev;
    uint16_t pdn;
    int status;
    pid_t pid;

    for (; count > 0; --count) {
        pid = fork();
        if (pid == 0) {
            srand(getpid());
            CHECK(softefa_dev_open(0, &dev) == 0);
            CHECK(softefa_pd_alloc(dev, &pdn) == 0);
            if (may_die && (rand() % 5 == 0)) {
                raise(SIGKILL);
            }
            if (rand() % 2) {
                softefa_dev_close(dev);
            }
            exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK((status == 0) ||
              (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL)));
    }
}

void test_kill_attach(void)
{
    pid_t pid[NUM_PROCS];
    char path[128];
    unsigned i;
    int status;

    for (i = 0; i < NUM_PROCS; ++i) {
        pid[i] = fork();
        if (pid[i] == 0) {
            come_and_go(ring_scaled(200), true);
            exit(0);
        }
    }
    for (i = 0; i < NUM_PROCS; ++i) {
        CHECK((waitpid(pid[i], &status, 0) == pid[i]) && (status == 0));
    }

    come_and_go(1, false);
    snprintf(path, sizeof(path), "/dev/shm/softefa.%u.%s", (unsigned)geteuid(),
             softefa_options()->fabric);
    CHECK((access(path, F_OK) < 0) && (errno == ENOENT));
}
