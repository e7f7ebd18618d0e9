/*
 * srdtool selftest: the kinds of work, one after the other. After each, nothing
 * is posted and the CQ is empty, or the device is given up (`dead`).
 */
#include "tools/selftest/selftest.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    SELFTEST_ROUNDS = 16,            /* the fastest of which is reported */
    SELFTEST_LENGTH = 4096,          /* bytes of a message */

    /* Halves of the buffer */
    SELFTEST_SOURCE = 0,
    SELFTEST_TARGET = VERBS_EP_BUFFER / 2
};

static uint8_t selftest_byte(uint8_t seed, uint32_t i)
{
    return (seed * 31u) + i + (i >> 8);
}

static void selftest_fill(selftest_t *test, uint32_t place, uint8_t seed)
{
    uint32_t i;

    for (i = 0; i < SELFTEST_LENGTH; ++i) {
        test->ep.buffer[place + i] = selftest_byte(seed, i);
    }
}

static int selftest_check(selftest_t *test, uint32_t place, uint8_t seed,
                          char *text, size_t max)
{
    uint32_t i;

    for (i = 0; i < SELFTEST_LENGTH; ++i) {
        if (test->ep.buffer[place + i] != selftest_byte(seed, i)) {
            snprintf(text, max, "wrong data: byte %u is 0x%02x, not 0x%02x", i,
                     test->ep.buffer[place + i], selftest_byte(seed, i));
            return EIO;
        }
    }
    return 0;
}

static int selftest_wait(selftest_t *test, struct ibv_wc *wc, const char *what,
                         char *text, size_t max)
{
    char status[160];
    int ret;

    ret = verbs_ep_wait(&test->ep, wc, test->timeout_ms);
    if (ret == ETIMEDOUT) {
        test->dead = true;
        snprintf(text, max, "no completion of the %s within %d s", what,
                 test->timeout_ms / 1000);
        return ret;
    }
    if (ret != 0) {
        snprintf(text, max, "ibv_poll_cq failed");
        return ret;
    }
    if (wc->status != IBV_WC_SUCCESS) {
        snprintf(text, max, "the %s completed with %s", what,
                 verbs_ep_status(wc, status, sizeof(status)));
        return EIO;
    }
    return 0;
}

static int selftest_posted(int ret, char *text, size_t max)
{
    if (ret != 0) {
        snprintf(text, max, "cannot be posted: %s", strerror(ret));
    }
    return ret;
}

/* One message to itself, whose two completions may come in either order. */
static int selftest_message(selftest_t *test, char *text, size_t max)
{
    verbs_ep_t *ep = &test->ep;
    uint8_t seed   = ++test->seed;
    uint64_t start = 0;
    struct ibv_wc wc;
    uint64_t now;
    int ret, i;

    selftest_fill(test, SELFTEST_SOURCE, seed);
    ret = verbs_ep_post_recv(ep, SELFTEST_TARGET, SELFTEST_LENGTH);
    if (ret == 0) {
        start = verbs_ep_now();
        ret   = verbs_ep_post(ep, VERBS_EP_SEND, test->ah, ep->qp->qp_num,
                              SELFTEST_SOURCE, SELFTEST_LENGTH, 0, 0);
    }
    ret = selftest_posted(ret, text, max);
    for (i = 0; (ret == 0) && (i < 2); ++i) {
        ret = selftest_wait(test, &wc, "message to itself", text, max);
        now = verbs_ep_now();
        if ((ret == 0) && (wc.opcode & IBV_WC_RECV)) {
            test->rq_ns = now - start;
            if (wc.byte_len != SELFTEST_LENGTH) {
                snprintf(text, max, "%u bytes arrived of %u", wc.byte_len,
                         SELFTEST_LENGTH);
                ret = EIO;
            }
        } else if (ret == 0) {
            test->sq_ns = now - start;
        }
    }
    return (ret != 0) ? ret :
                        selftest_check(test, SELFTEST_TARGET, seed, text, max);
}

static int selftest_message_best(selftest_t *test, uint64_t *sq_ns,
                                 uint64_t *rq_ns, char *text, size_t max)
{
    int i, ret = 0;

    *sq_ns = *rq_ns = UINT64_MAX;
    for (i = 0; (ret == 0) && (i < SELFTEST_ROUNDS); ++i) {
        ret    = selftest_message(test, text, max);
        *sq_ns = (test->sq_ns < *sq_ns) ? test->sq_ns : *sq_ns;
        *rq_ns = (test->rq_ns < *rq_ns) ? test->rq_ns : *rq_ns;
    }
    return ret;
}

static int selftest_sq(selftest_t *test, uint64_t *ns, char *text, size_t max)
{
    uint64_t rq_ns;

    return selftest_message_best(test, ns, &rq_ns, text, max);
}

static int selftest_rq(selftest_t *test, uint64_t *ns, char *text, size_t max)
{
    uint64_t sq_ns;

    return selftest_message_best(test, &sq_ns, ns, text, max);
}

static int selftest_register(selftest_t *test, uint64_t *ns, char *text,
                             size_t max)
{
    const verbs_dl_t *dl = test->ep.dl;
    uint64_t start       = verbs_ep_now();
    struct ibv_mr *mr;
    int ret;

    mr = dl->reg_mr(test->ep.pd, test->ep.buffer, VERBS_EP_BUFFER,
                    IBV_ACCESS_LOCAL_WRITE);
    if (mr == NULL) {
        ret = (errno != 0) ? errno : EIO;
        snprintf(text, max, "ibv_reg_mr: %s", strerror(ret));
        return ret;
    }

    *ns = verbs_ep_now() - start;
    ret = dl->dereg_mr(mr);
    if (ret != 0) {
        snprintf(text, max, "ibv_dereg_mr: %s", strerror(ret));
    }
    return ret;
}

static int selftest_ah(selftest_t *test, uint64_t *ns, char *text, size_t max)
{
    uint64_t start = verbs_ep_now();
    struct ibv_ah *ah;
    int ret;

    ah = verbs_ep_ah(&test->ep, &test->ep.gid);
    if (ah == NULL) {
        ret = (errno != 0) ? errno : EIO;
        snprintf(text, max, "%s", test->ep.failed);
        return ret;
    }

    *ns = verbs_ep_now() - start;
    ret = test->ep.dl->destroy_ah(ah);
    if (ret != 0) {
        snprintf(text, max, "ibv_destroy_ah: %s", strerror(ret));
        return ret;
    }
    return 0;
}

/* Armed while the CQ is empty; then the message must wake who sleeps. */
static int selftest_event(selftest_t *test, uint64_t *ns, char *text,
                          size_t max)
{
    verbs_ep_t *ep = &test->ep;
    struct pollfd pfd;
    struct ibv_cq *cq;
    struct ibv_wc wc;
    uint64_t start;
    void *context;
    int ret, i;

    if (ep->channel == NULL) {
        snprintf(text, max, "the device has no completion events");
        return EOPNOTSUPP;
    }

    ret = ibv_req_notify_cq(ep->cq, 0);
    if (ret != 0) {
        snprintf(text, max, "ibv_req_notify_cq: %s", strerror(ret));
        return ret;
    }

    start = verbs_ep_now();
    ret   = verbs_ep_post_recv(ep, SELFTEST_TARGET, SELFTEST_LENGTH);
    ret   = (ret != 0) ?
                    ret :
                    verbs_ep_post(ep, VERBS_EP_SEND, test->ah, ep->qp->qp_num,
                                  SELFTEST_SOURCE, SELFTEST_LENGTH, 0, 0);
    ret   = selftest_posted(ret, text, max);
    if (ret != 0) {
        return ret;
    }

    pfd = (struct pollfd){.fd = ep->channel->fd, .events = POLLIN};
    if (poll(&pfd, 1, test->timeout_ms) != 1) {
        test->dead = true;
        snprintf(text, max, "no event within %d s of a CQ that was armed",
                 test->timeout_ms / 1000);
        return ETIMEDOUT;
    }

    *ns = verbs_ep_now() - start;
    ret = ep->dl->get_cq_event(ep->channel, &cq, &context);
    if (ret != 0) {
        snprintf(text, max, "ibv_get_cq_event: %s", strerror(errno));
        return EIO;
    }

    ep->dl->ack_cq_events(cq, 1);
    for (i = 0; (ret == 0) && (i < 2); ++i) {
        ret = selftest_wait(test, &wc, "message to itself", text, max);
    }
    return ret;
}

static int selftest_rdma(selftest_t *test, verbs_ep_op_t op, uint64_t *ns,
                         char *text, size_t max)
{
    verbs_ep_t *ep  = &test->ep;
    bool read       = (op == VERBS_EP_READ);
    uint32_t local  = read ? SELFTEST_TARGET : SELFTEST_SOURCE;
    uint32_t remote = read ? SELFTEST_SOURCE : SELFTEST_TARGET;
    int ret         = 0;
    struct ibv_wc wc;
    uint64_t start, took;
    int i;

    *ns = UINT64_MAX;
    for (i = 0; (ret == 0) && (i < SELFTEST_ROUNDS); ++i) {
        selftest_fill(test, SELFTEST_SOURCE, ++test->seed);
        start = verbs_ep_now();
        ret   = verbs_ep_post(ep, op, test->ah, ep->qp->qp_num, local,
                              SELFTEST_LENGTH, (uintptr_t)ep->buffer + remote,
                              ep->mr->rkey);
        ret   = selftest_posted(ret, text, max);
        ret   = (ret != 0) ? ret :
                             selftest_wait(test, &wc,
                                         read ? "RDMA read" : "RDMA write",
                                           text, max);
        took  = verbs_ep_now() - start;
        *ns   = (took < *ns) ? took : *ns;
        ret   = (ret != 0) ? ret :
                             selftest_check(test, SELFTEST_TARGET, test->seed,
                                            text, max);
    }
    return ret;
}

static int selftest_read(selftest_t *test, uint64_t *ns, char *text, size_t max)
{
    if (!test->ep.has_read) {
        snprintf(text, max, "the device has no RDMA read");
        return EOPNOTSUPP;
    }
    return selftest_rdma(test, VERBS_EP_READ, ns, text, max);
}

static int selftest_write(selftest_t *test, uint64_t *ns, char *text,
                          size_t max)
{
    if (!test->ep.has_write) {
        snprintf(text, max,
                 "the device or the installed rdma-core (46 and "
                 "later) has no RDMA write");
        return EOPNOTSUPP;
    }
    return selftest_rdma(test, VERBS_EP_WRITE, ns, text, max);
}

const selftest_step_t selftest_steps[] = {
    {"register", "64 KiB registered, and deregistered", 30, 10,
     selftest_register},
    {"ah", "address handle created, and destroyed", 30, 10, selftest_ah},
    {"send", "4 KiB to itself, doorbell to completion of the send", 40, 2,
     selftest_sq},
    {"receive", "the same to completion of the receive", 40, 2, selftest_rq},
    {"event", "armed CQ, doorbell to event", 60, 30, selftest_event},
    {"rdma-read", "4 KiB read from itself, doorbell to completion", 40, 2,
     selftest_read},
    {"rdma-write", "4 KiB written to itself, doorbell to completion", 40, 2,
     selftest_write},
    {NULL, NULL, 0, 0, NULL}
};
