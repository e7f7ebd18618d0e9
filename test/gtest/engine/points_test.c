/*
 * A process ends or is stopped at each SOFTEFA_POINT of what it does, in turn;
 * the engine below this program is built with them.
 *
 *   send      to our queue: kill, stop and go on, stop and kill. We go on
 *             meanwhile; no message, request or completion is lost or comes
 *             twice; into our buffers, and through the FIFO, which the sender
 *             also moves: before its RDMA write completes
 *   admin     attaching, making and destroying objects, leaving: killed;
 *             tables and counts are right afterwards
 *   stopped   with the admin lock, the fabric's file lock, a receive queue: our
 *             commands fail after seconds, closing succeeds, nothing is left
 *             when it has gone on
 */
#define _GNU_SOURCE
#include "nic/object.h"
#include "ring.h"
#include "fabric/table.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    NUM_SENT  = 5,                   /* messages of a sender */
    NUM_OUT   = 4,                   /* of ours, to the sink */
    OWN_IMM   = 100,
    NUM_POSTS = 12,                  /* receives: theirs, ours, spare ones */
    COOKIE    = 55
};

/* What this process does at a point: nothing if `countdown` is 0. */
static struct {
    _Atomic unsigned countdown;
    unsigned         point;          /* the n-th one */
    const char       *name;          /* of this name; NULL: any */
    int              signal;
} plan;

/* Shared with the processes that are started */
static struct {
    softefa_qp_map_t map;
    uint64_t         memory;
    uint32_t         rkey;
    _Atomic uint32_t done;           /* sends completed */
    _Atomic uint32_t stage;
} *shared;

void softefa_point(const char *name)
{
    if ((plan.countdown != 0) &&
        ((plan.name == NULL) || !strcmp(plan.name, name)) &&
        (--plan.countdown == 0)) {
        kill(getpid(), plan.signal);
    }
}

static void shared_init(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    alarm(6 * RING_DEADLINE); /* ends what blocks */
}

/* Starts `run` in a process, which carries out the plan between plan_begin() and
 * plan_end(). */
static pid_t start(void (*run)(void), unsigned countdown, const char *name,
                   int signal)
{
    pid_t pid;

    shared->done  = 0;
    shared->stage = 0;
    pid           = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        plan.point  = countdown;
        plan.name   = name;
        plan.signal = signal;
        run();
        exit(0);
    }
    return pid;
}

static void plan_begin(void)
{
    plan.countdown = plan.point;
}

static void plan_end(void)
{
    plan.countdown = 0;
}

/* Until it is stopped or has ended; its status */
static int watch(pid_t pid)
{
    int status;

    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    return status;
}

static void expect_stopped(pid_t pid)
{
    int status = watch(pid);

    CHECK(WIFSTOPPED(status));
}

static void expect_success(pid_t pid)
{
    int status = watch(pid);

    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0));
}

static void wait_stage(unsigned stage)
{
    while (shared->stage < stage) {
        usleep(1000);
    }
}

/*
 * Send
 */

/* A send, three that one doorbell announces, an RDMA write with notification */
static void send_all(void)
{
    softefa_io_cqe_t cqe;
    softefa_io_wqe_t wqe;
    ring_port_t port;
    ring_cq_t cq;
    ring_qp_t qp;
    unsigned i;

    ring_port_open(&port, 1);
    ring_cq_create(&port, &cq, 64, NULL, 0);
    CHECK(ring_qp_create(&port, &qp, &cq, &cq,
                         (softefa_qp_attr_t){.type = SOFTEFA_QP_SRD}) == 0);
    ring_qp_to_rts(&qp, RING_QKEY, 7);

    plan_begin();
    for (i = 0; i < NUM_SENT; ++i) {
        if (i == NUM_SENT - 1) {
            wqe = ring_rdma(&port, shared->map.qpn, i, shared->memory,
                            port.memory, 64);
            wqe.rdma.remote.key = shared->rkey;
        } else {
            wqe = ring_send(&port, shared->map.qpn, i, port.memory, 64);
        }
        wqe.ctrl1 = SOFTEFA_CTRL1_HAS_IMM;
        wqe.imm   = i;
        ring_put(&qp,
                 (i == NUM_SENT - 1) ? SOFTEFA_OP_RDMA_WRITE : SOFTEFA_OP_SEND,
                 wqe);
        if ((i == 1) || (i == 2)) {
            continue;
        }

        ring_doorbell(&qp);
        while (shared->done <= i) {
            cqe = ring_cq_wait(&cq);
            CHECK(cqe.status == SOFTEFA_STATUS_OK);
            ++shared->done;
        }
    }
    plan_end();
    ring_port_close(&port);
}

typedef enum {
    WAY_BUFFER,                      /* messages are written to buffers */
    WAY_ARMED,                       /* until the event, then to the FIFO */
    WAY_FIFO
} way_t;

typedef struct {
    way_t             way;
    ring_port_t       port;
    softefa_channel_t *channel;
    int               fd;
    ring_cq_t         cq, other_cq, sink_cq;
    ring_qp_t         qp, other, sink;
    uint16_t          next_post, next_done;
    unsigned          own_sent, own_got; /* to our own queue */
    unsigned          num_out, out_got;  /* to the sink */
    unsigned          own_done;          /* both */
    unsigned          got[NUM_SENT];
} target_t;

static void target_open(target_t *target)
{
    softefa_qp_attr_t attr = {.type = SOFTEFA_QP_SRD};

    memset(target, 0, sizeof(*target));
    ring_port_open(&target->port, 0);
    CHECK(softefa_channel_create(target->port.dev, &target->channel,
                                 &target->fd) == 0);
    ring_cq_create(&target->port, &target->cq, 64, target->channel, COOKIE);
    ring_cq_create(&target->port, &target->other_cq, 64, NULL, 0);
    ring_cq_create(&target->port, &target->sink_cq, 64, NULL, 0);
    CHECK(ring_qp_create(&target->port, &target->qp, &target->cq, &target->cq,
                         attr) == 0);
    CHECK(ring_qp_create(&target->port, &target->other, &target->other_cq,
                         &target->other_cq, attr) == 0);
    ring_qp_to_rts(&target->qp, RING_QKEY, 7);
    CHECK(ring_qp_create(&target->port, &target->sink, &target->sink_cq,
                         &target->sink_cq, attr) == 0);
    ring_qp_to_rts(&target->other, RING_QKEY, 7);
    ring_qp_to_rts(&target->sink, RING_QKEY, 7);
    shared->map    = target->qp.map;
    shared->memory = (uintptr_t)target->port.memory;
    shared->rkey   = target->port.rkey;
}

static void target_close(target_t *target)
{
    close(target->fd);
    ring_port_close(&target->port);
}

static void target_post(target_t *target)
{
    while ((uint16_t)(target->next_post - target->next_done) < NUM_POSTS) {
        ring_recv(&target->qp, target->port.memory + 4096, 64,
                  target->port.lkey, target->next_post++);
    }
}

/* Takes what is there: requests complete in their order, each once. */
static void target_poll(target_t *target)
{
    softefa_io_cqe_t cqe;

    while (ring_cq_poll(&target->cq, &cqe)) {
        CHECK(cqe.status == SOFTEFA_STATUS_OK);
        if (cqe.flags & SOFTEFA_CQE_SEND_QUEUE) {
            ++target->own_done;
            continue;
        }
        CHECK(cqe.req_id == target->next_done);
        ++target->next_done;
        if (cqe.imm == OWN_IMM) {
            ++target->own_got;
        } else {
            CHECK(cqe.imm < NUM_SENT);
            CHECK(target->got[cqe.imm]++ == 0);
        }
    }
    while (ring_cq_poll(&target->sink_cq, &cqe)) {
        CHECK(cqe.status == SOFTEFA_STATUS_OK);
        CHECK(cqe.req_id == (uint16_t)target->out_got);
        ++target->out_got;
    }
}

static void target_send(target_t *target)
{
    softefa_io_wqe_t wqe = ring_send(&target->port, target->qp.map.qpn, 7,
                                     target->port.memory, 8);

    wqe.ctrl1 = SOFTEFA_CTRL1_HAS_IMM;
    wqe.imm   = OWN_IMM;
    ring_put(&target->qp, SOFTEFA_OP_SEND, wqe);
    ring_doorbell(&target->qp);
    ++target->own_sent;
}

static void target_settle(target_t *target)
{
    uint64_t end = ring_deadline();

    while ((target->own_done < target->own_sent + target->num_out) ||
           (target->own_got < target->own_sent) ||
           (target->out_got < target->num_out)) {
        target_poll(target);
        CHECK(ring_now() < end);
    }
    target_poll(target);
    CHECK(target->own_done == target->own_sent + target->num_out);
    CHECK(target->own_got == target->own_sent);
    CHECK(target->out_got == target->num_out);
}

/* Three at once and one: what is delivered has a completion that may have to
 * wait for our CQ, and all behind it does. */
static void target_send_out(target_t *target)
{
    unsigned i;

    for (i = 0; i < NUM_OUT; ++i) {
        ring_recv(&target->sink, target->port.memory + 4096, 64,
                  target->port.lkey, target->num_out);
        ring_put(&target->qp, SOFTEFA_OP_SEND,
                 ring_send(&target->port, target->sink.map.qpn, i,
                           target->port.memory, 8));
        ++target->num_out;
        if (i >= NUM_OUT - 2) {
            ring_doorbell(&target->qp);
        }
    }
}

/* Nobody holds this one up. */
static void other_send(target_t *target)
{
    ring_recv(&target->other, target->port.memory + 4096, 64, target->port.lkey,
              1);
    ring_put(&target->other, SOFTEFA_OP_SEND,
             ring_send(&target->port, target->other.map.qpn, 1,
                       target->port.memory, 8));
    ring_doorbell(&target->other);
    CHECK(ring_cq_wait(&target->other_cq).status == 0);
    CHECK(ring_cq_wait(&target->other_cq).status == 0);
}

static bool event_get(target_t *target, int timeout)
{
    struct pollfd pfd = {.fd = target->fd, .events = POLLIN};
    uint64_t cookie;

    if (poll(&pfd, 1, timeout) != 1) {
        return false;
    }
    CHECK(read(target->fd, &cookie, sizeof(cookie)) == sizeof(cookie));
    CHECK(cookie == COOKIE);
    return true;
}

typedef enum {
    ROUND_KILL,
    ROUND_CONT,                      /* stopped meanwhile */
    ROUND_STOP_KILL,
    NUM_ROUNDS
} round_t;

/* False: the sender has no such point */
static bool send_round(target_t *target, unsigned point, round_t kind)
{
    unsigned i, got = 0;
    bool reached;
    int status;
    pid_t pid;

    memset(target->got, 0, sizeof(target->got));
    target_post(target);
    target_poll(target);
    if (target->way != WAY_FIFO) {
        softefa_cq_arm(target->cq.cq);
    }
    pid    = start(send_all, point, NULL,
                (kind == ROUND_KILL) ? SIGKILL : SIGSTOP);
    status = watch(pid);
    if (WIFSTOPPED(status)) {
        target_send(target);
        target_send_out(target);
        target_send_out(target);
        target_send(target);
        other_send(target);
        softefa_cq_arm(target->cq.cq);
        target_poll(target);
        CHECK(kill(pid, (kind == ROUND_CONT) ? SIGCONT : SIGKILL) == 0);
        status  = watch(pid);
        reached = true;
    } else {
        reached = WIFSIGNALED(status);
    }

    if ((kind == ROUND_CONT) || !reached) {
        CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0));
    } else {
        CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL));
    }

    target_send(target);
    target_settle(target);
    for (i = 0; i < NUM_SENT; ++i) {
        got += target->got[i];
    }
    CHECK(got >= shared->done);
    CHECK((shared->done == NUM_SENT) || WIFSIGNALED(status));

    /* The event that was armed last, and the next one */
    while (event_get(target, 0)) {
    }
    target_post(target);
    softefa_cq_arm(target->cq.cq);
    target_send(target);
    CHECK(event_get(target, RING_DEADLINE * 1000));
    target_settle(target);
    return reached;
}

static void points_send(way_t way)
{
    target_t target;
    softefa_dev_t *dev;
    unsigned point;
    round_t kind;

    shared_init();
    target_open(&target);
    target.way = way;
    softefa_fifo_set_seen(target.cq.cq, way != WAY_BUFFER);
    for (kind = ROUND_KILL; kind < NUM_ROUNDS; ++kind) {
        for (point = 1; send_round(&target, point, kind); ++point) {
        }
        CHECK(point > 50);
    }
    target_close(&target);
    CHECK(softefa_dev_open(0, &dev) == 0);
    expect_empty(0, 1);
    expect_empty(1, 0);
    softefa_dev_close(dev);
}

void test_points_send(void)
{
    points_send(WAY_BUFFER);
}

void test_points_armed(void)
{
    points_send(WAY_ARMED);
}

void test_points_fifo(void)
{
    points_send(WAY_FIFO);
}

/*
 * Admin
 */

static void attach_and_leave(void)
{
    softefa_dev_t *dev;

    plan_begin();
    CHECK(softefa_dev_open(0, &dev) == 0);
    softefa_dev_close(dev);
}

static void administrate(void)
{
    softefa_channel_t *channel;
    ring_port_t port;
    ring_cq_t cq;
    ring_qp_t qp;
    int fd;

    plan_begin();
    ring_port_open(&port, 0);
    CHECK(softefa_channel_create(port.dev, &channel, &fd) == 0);
    ring_cq_create(&port, &cq, 64, channel, 1);
    CHECK(ring_qp_create(&port, &qp, &cq, &cq,
                         (softefa_qp_attr_t){.type = SOFTEFA_QP_SRD}) == 0);
    ring_qp_to_rts(&qp, RING_QKEY, 7);
    ring_qp_to(&qp, IBV_QPS_ERR);
    ring_qp_to(&qp, IBV_QPS_RESET);
    CHECK(softefa_ah_destroy(port.dev, port.pdn, port.ahn[1]) == 0);
    CHECK(softefa_mr_dereg(port.mr) == 0);
    CHECK(softefa_qp_destroy(qp.qp) == 0);
    CHECK(softefa_cq_destroy(cq.cq, &(uint32_t){0}) == 0);
    ring_port_close(&port);
    close(fd);
}

/* Each kill is followed by somebody who finds what was left. */
void test_points_admin(void)
{
    softefa_dev_t *dev, *again;
    unsigned point;
    int status;

    shared_init();
    for (point = 1;; ++point) {
        status = watch(start(attach_and_leave, point, NULL, SIGKILL));
        expect_success(start(attach_and_leave, 0, NULL, 0));
        if (!WIFSIGNALED(status)) {
            break;
        }
    }
    CHECK(point > 10);

    CHECK(softefa_dev_open(0, &dev) == 0);
    for (point = 1;; ++point) {
        status = watch(start(administrate, point, NULL, SIGKILL));
        CHECK(softefa_dev_open(0, &again) == 0);
        expect_empty(0, 2);
        softefa_dev_close(again);
        if (!WIFSIGNALED(status)) {
            break;
        }
    }
    CHECK(point > 100);
    softefa_dev_close(dev);
}

/*
 * Stopped
 */

static void make_pd(void)
{
    softefa_dev_t *dev;
    uint16_t pdn;

    CHECK(softefa_dev_open(0, &dev) == 0);
    plan_begin();
    CHECK(softefa_pd_alloc(dev, &pdn) == 0);
    plan_end();
    softefa_dev_close(dev);
}

/* Has objects, closes when it is told to */
static void close_late(void)
{
    target_t target;

    target_open(&target);
    shared->stage = 1;
    wait_stage(2);
    target_close(&target);
}

void test_stopped_admin(void)
{
    pid_t holder, closer;
    softefa_dev_t *dev;
    uint16_t pdn;

    shared_init();
    CHECK(softefa_dev_open(0, &dev) == 0);
    closer = start(close_late, 0, NULL, 0);
    wait_stage(1);
    holder = start(make_pd, 1, "lock", SIGSTOP);
    expect_stopped(holder);
    shared->stage = 2;
    CHECK(softefa_pd_alloc(dev, &pdn) == ETIME);
    CHECK(softefa_pd_alloc(dev, &pdn) == ETIME);
    expect_success(closer);

    CHECK(kill(holder, SIGCONT) == 0);
    expect_success(holder);
    CHECK(softefa_pd_alloc(dev, &pdn) == 0);
    CHECK(softefa_pd_free(dev, pdn) == 0);
    softefa_dev_close(dev);
    CHECK(softefa_dev_open(0, &dev) == 0);
    expect_empty(0, 1);
    softefa_dev_close(dev);
}

static void attach_refused(void)
{
    softefa_dev_t *dev;

    CHECK(softefa_dev_open(0, &dev) == ETIME);
    shared->stage = 1;
    wait_stage(2);
    CHECK(softefa_dev_open(0, &dev) == 0);
    softefa_dev_close(dev);
}

void test_stopped_attach(void)
{
    pid_t holder, other;

    shared_init();
    holder = start(attach_and_leave, 1, "attach", SIGSTOP);
    expect_stopped(holder);
    other = start(attach_refused, 0, NULL, 0);
    wait_stage(1);
    CHECK(kill(holder, SIGCONT) == 0);
    expect_success(holder);
    shared->stage = 2;
    expect_success(other);
}

/* Everything that a queue can be asked for while a sender has its lock */
static void give_up_queue(void)
{
    softefa_qp_mod_t reset = {
        .state = IBV_QPS_RESET, .qkey = -1, .sq_psn = -1, .rnr_retry = -1
    };
    target_t target;

    target_open(&target);
    target_post(&target);
    shared->stage = 1;
    wait_stage(2);
    CHECK(softefa_qp_modify(target.qp.qp, &reset) == ETIME);
    CHECK(softefa_qp_destroy(target.qp.qp) == ETIME);
    target_close(&target);
}

static void send_until_gone(void)
{
    softefa_io_cqe_t cqe;
    ring_port_t port;
    ring_cq_t cq;
    ring_qp_t qp;

    ring_port_open(&port, 1);
    ring_cq_create(&port, &cq, 64, NULL, 0);
    CHECK(ring_qp_create(&port, &qp, &cq, &cq,
                         (softefa_qp_attr_t){.type = SOFTEFA_QP_SRD}) == 0);
    ring_qp_to_rts(&qp, RING_QKEY, 7);
    plan_begin();
    do {
        ring_put(&qp, SOFTEFA_OP_SEND,
                 ring_send(&port, shared->map.qpn, 1, port.memory, 8));
        ring_doorbell(&qp);
        cqe = ring_cq_wait(&cq);
    } while (cqe.status == SOFTEFA_STATUS_OK);
    CHECK((cqe.status == SOFTEFA_STATUS_REMOTE_QPN) ||
          (cqe.status == SOFTEFA_STATUS_UNRESPONSIVE));
    plan_end();
    ring_port_close(&port);
}

static void expect_flushed(target_t *target, pid_t holder)
{
    unsigned count = 0, flushed = 0;
    uint64_t end = ring_deadline();
    softefa_io_cqe_t cqe;

    ring_qp_to(&target->qp, IBV_QPS_ERR);
    ring_cq_silent(&target->cq);
    CHECK(kill(holder, SIGCONT) == 0);
    expect_success(holder);
    while (count < NUM_POSTS + 1) {
        if (ring_cq_poll(&target->cq, &cqe)) {
            ++count;
            flushed += (cqe.status == SOFTEFA_STATUS_FLUSHED);
        }
        CHECK(ring_now() < end);
    }
    CHECK(flushed == NUM_POSTS);
    ring_cq_silent(&target->cq);
}

void test_stopped_queues(void)
{
    pid_t holder, giver;
    softefa_dev_t *dev;
    target_t target;

    shared_init();

    /* It has the CQ's lock, and our send and all our receives are flushed. */
    target_open(&target);
    target_post(&target);
    holder = start(send_until_gone, 1, "entry", SIGSTOP);
    expect_stopped(holder);
    ring_put(&target.qp, SOFTEFA_OP_SEND,
             ring_send(&target.port, target.qp.map.qpn, 7, target.port.memory,
                       8));
    ring_doorbell(&target.qp);
    expect_flushed(&target, holder);
    target_close(&target);

    CHECK(softefa_dev_open(0, &dev) == 0);
    giver = start(give_up_queue, 0, NULL, 0);
    wait_stage(1);
    holder = start(send_until_gone, 1, "copied", SIGSTOP);
    expect_stopped(holder);
    shared->stage = 2;
    expect_success(giver);

    /* Its memory may yet be written to. */
    CHECK(softefa_fabric.shm->dev[0].table[SOFTEFA_KIND_QP].count == 1);
    CHECK(kill(holder, SIGCONT) == 0);
    expect_success(holder);
    softefa_dev_close(dev);
    CHECK(softefa_dev_open(0, &dev) == 0);
    expect_empty(0, 1);
    softefa_dev_close(dev);
}
