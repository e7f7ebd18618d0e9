/*
 * srdtool selftest: does the device do its work? It sends to itself:
 *
 *   open -- objects -- register -- ah -- send (SQ, RQ) -- event -- read -- write
 *                                                                       |
 *                                     every object destroyed, in any case
 *
 * A failure is an error status, wrong data, a command that fails, or nothing at
 * all before the deadline. A time is none: it is printed beside what is usual,
 * on a NIC or on Soft-EFA, for a person to judge.
 */
#include "doctor_report.h"
#include "srdtool_doctor.h"
#include "verbs_ep.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

enum {
    EXIT_USAGE       = 2,

    SELFTEST_TIMEOUT = 5,            /* seconds */
    SELFTEST_ROUNDS  = 16,           /* the fastest of which is reported */
    SELFTEST_LENGTH  = 4096,         /* bytes of a message */

    /* Halves of the buffer */
    SELFTEST_SOURCE  = 0,
    SELFTEST_TARGET  = VERBS_EP_BUFFER / 2
};

typedef struct {
    report_t      report;
    verbs_ep_t    ep;
    struct ibv_ah *ah;
    bool          soft;
    int           timeout_ms;
    uint8_t       seed;              /* of the data, another one each time */
    uint64_t      sq_ns, rq_ns;      /* of the last message, from doorbell */
    bool          dead;              /* a deadline has passed: no more to it */
} selftest_t;

/* Usual times in us: of a NIC, *estimates* (docs/device-facts.md: 12 to 18 us
 * one way, 20 us a command); of Soft-EFA, measured on small machines. */
typedef struct {
    const char *name;
    unsigned   nic_us, soft_us;
    int        (*run)(selftest_t *test, uint64_t *ns, char *text, size_t max);
} selftest_step_t;

static const char selftest_usage[] =
    "usage: srdtool selftest [-t SECONDS] [DEVICE]\n"
    "\n"
    "Lets an EFA device (default: the first) do each of its kinds of work, with\n"
    "itself: queue pair and completion queue, doorbell to completion, completion\n"
    "event, address handle, registration, RDMA read and write. Its few objects\n"
    "are its own and are destroyed: it can run beside applications.\n"
    "\n"
    "  -t, --timeout SECONDS   how long to wait for a completion (default: 5)\n"
    "  -h, --help              this text\n"
    "\n"
    "Times stand beside the usual ones, and are never a failure. Options of\n"
    "srdtool: -j JSON, -p pretty JSON.\n"
    "Exit status: 0 all works, 1 something failed, 2 wrong usage.\n";

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
    uint64_t start, now;
    struct ibv_wc wc;
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
    ret   = (ret != 0) ? ret :
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
    verbs_ep_t *ep    = &test->ep;
    bool read         = (op == VERBS_EP_READ);
    uint32_t local    = read ? SELFTEST_TARGET : SELFTEST_SOURCE;
    uint32_t remote   = read ? SELFTEST_SOURCE : SELFTEST_TARGET;
    int ret           = 0;
    struct ibv_wc wc;
    uint64_t start, took;
    int i;

    *ns = UINT64_MAX;
    for (i = 0; (ret == 0) && (i < SELFTEST_ROUNDS); ++i) {
        selftest_fill(test, SELFTEST_SOURCE, ++test->seed);
        start = verbs_ep_now();
        ret   = verbs_ep_post(ep, op, test->ah, ep->qp->qp_num, local,
                              SELFTEST_LENGTH,
                              (uintptr_t)ep->buffer + remote, ep->mr->rkey);
        ret   = selftest_posted(ret, text, max);
        ret   = (ret != 0) ? ret :
                selftest_wait(test, &wc, read ? "RDMA read" : "RDMA write",
                              text, max);
        took  = verbs_ep_now() - start;
        *ns   = (took < *ns) ? took : *ns;
        ret   = (ret != 0) ? ret :
                selftest_check(test, SELFTEST_TARGET, test->seed, text, max);
    }
    return ret;
}

static int selftest_read(selftest_t *test, uint64_t *ns, char *text,
                         size_t max)
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
        snprintf(text, max, "the device or the installed rdma-core (46 and "
                 "later) has no RDMA write");
        return EOPNOTSUPP;
    }
    return selftest_rdma(test, VERBS_EP_WRITE, ns, text, max);
}

static const selftest_step_t selftest_steps[] = {
    {"register", 30, 10, selftest_register},
    {"ah", 30, 10, selftest_ah},
    {"send", 40, 2, selftest_sq},
    {"receive", 40, 2, selftest_rq},
    {"event", 60, 30, selftest_event},
    {"rdma-read", 40, 2, selftest_read},
    {"rdma-write", 40, 2, selftest_write}
};

static const char *selftest_what(const char *name)
{
    static const char *const texts[][2] = {
        {"register", "64 KiB registered, and deregistered"},
        {"ah", "address handle created, and destroyed"},
        {"send", "4 KiB to itself, doorbell to completion of the send"},
        {"receive", "the same to completion of the receive"},
        {"event", "armed CQ, doorbell to event"},
        {"rdma-read", "4 KiB read from itself, doorbell to completion"},
        {"rdma-write", "4 KiB written to itself, doorbell to completion"}
    };
    size_t i;

    for (i = 0; strcmp(texts[i][0], name); ++i) {
    }
    return texts[i][1];
}

/* Next step after an error of the device. */
static const char *selftest_next(int ret)
{
    switch (ret) {
    case ETIMEDOUT:
        return "look at the kernel log (dmesg) for messages of the efa driver; "
               "stop and start the instance if it stays";
    case ENOMEM:
        return "a limit of the device or of locked memory: see who uses the "
               "device (rdma res), and srdtool doctor";
    default:
        return "look at the kernel log (dmesg) for messages of the efa "
               "driver, and try it on another device";
    }
}

static void selftest_run(selftest_t *test, const selftest_step_t *step)
{
    unsigned usual = test->soft ? step->soft_us : step->nic_us;
    char text[256] = "";
    uint64_t ns    = 0;
    int ret;

    if (test->dead) {
        report_add(&test->report, REPORT_SKIP, step->name, NULL,
                   "the device did not answer before");
        return;
    }

    ret = step->run(test, &ns, text, sizeof(text));
    if (ret == EOPNOTSUPP) {
        report_add(&test->report, REPORT_SKIP, step->name, NULL, "%s", text);
        return;
    }
    if (ret != 0) {
        report_add(&test->report, REPORT_FAIL, step->name, selftest_next(ret),
                   "%s", text);
        return;
    }

    report_fact_int(&test->report, "ns", ns);
    report_fact_int(&test->report, "usual_us", usual);
    report_add(&test->report, REPORT_OK, step->name, NULL,
               "%s: %.1f us (%s: about %u us)%s", selftest_what(step->name),
               ns / 1e3, test->soft ? "Soft-EFA" : "a NIC", usual,
               (ns > usual * 10000ull) ? "; slow, see what else runs" : "");
}

static void selftest_device(selftest_t *test, const verbs_dl_t *dl,
                            const char *device)
{
    report_t *report = &test->report;
    verbs_ep_t *ep   = &test->ep;
    uint64_t start   = verbs_ep_now();
    size_t i;
    int ret;

    ret = verbs_ep_open(ep, dl, device);
    if (ret != 0) {
        report_add(report, REPORT_FAIL, "open", "srdtool doctor says why",
                   "%s: %s", (device != NULL) ? device : "EFA device",
                   ep->failed);
        return;
    }

    report_fact_string(report, "device", ep->context->device->name);
    report_add(report, REPORT_OK, "open", NULL, "%s%s: %.1f us",
               ep->context->device->name, test->soft ? " (Soft-EFA)" : "",
               (verbs_ep_now() - start) / 1e3);

    start = verbs_ep_now();
    ret   = verbs_ep_create(ep, dl);
    if (ret == 0) {
        report_add(report, REPORT_OK, "objects", NULL,
                   "PD, MR, CQ%s, queue pair in RTS: %.1f us",
                   (ep->channel != NULL) ? " with events" : "",
                   (verbs_ep_now() - start) / 1e3);
        test->ah = verbs_ep_ah(ep, &ep->gid);
        if (test->ah == NULL) {
            report_add(report, REPORT_FAIL, "ah", selftest_next(ENOMEM), "%s",
                       ep->failed);
        }
        for (i = 0; (test->ah != NULL) && (i < ARRAY_SIZE(selftest_steps));
             ++i) {
            selftest_run(test, &selftest_steps[i]);
        }
    } else {
        report_add(report, REPORT_FAIL, "objects", selftest_next(ret), "%s",
                   ep->failed);
    }

    /* The queue pair before the AH that its requests may use */
    if (ep->qp != NULL) {
        ret    = dl->destroy_qp(ep->qp);
        ep->qp = NULL;
        if (test->ah != NULL) {
            ret = (ret != 0) ? ret : dl->destroy_ah(test->ah);
        }
        ret = (ret != 0) ? ret : verbs_ep_destroy(ep);
        report_add(report, (ret == 0) ? REPORT_OK : REPORT_FAIL, "destroy",
                   (ret == 0) ? NULL : selftest_next(ret),
                   (ret == 0) ? "nothing is left" : "an object stays: %s",
                   strerror(ret));
    }
    verbs_ep_close(ep);
}

int srdtool_selftest(int argc, char **argv, const srdtool_output_t *given)
{
    static const struct option options[] = {
        {"timeout", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"pretty", no_argument, NULL, 'p'},
        {"details", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}
    };
    srdtool_output_t out = *given;
    selftest_t test      = {.timeout_ms = SELFTEST_TIMEOUT * 1000};
    char error[256], *end;
    unsigned long value;
    verbs_dl_t dl;
    int c, ret;

    optind = 0;
    while ((c = getopt_long(argc, argv, "t:jpdh", options, NULL)) != -1) {
        switch (c) {
        case 't':
            value = strtoul(optarg, &end, 10);
            if ((*optarg < '0') || (*optarg > '9') || (*end != '\0') ||
                (value == 0) || (value > 3600)) {
                fprintf(stderr, "srdtool: --timeout %s: expected seconds, 1 "
                        "to 3600\n", optarg);
                return EXIT_USAGE;
            }
            test.timeout_ms = value * 1000;
            break;
        case 'j':
            out.json = true;
            break;
        case 'p':
            out.pretty = true;
            break;
        case 'd':
            out.details = true;
            break;
        case 'h':
            fputs(selftest_usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(selftest_usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (argc - optind > 1) {
        fputs(selftest_usage, stderr);
        return EXIT_USAGE;
    }

    if (report_init(&test.report, &out) != 0) {
        fprintf(stderr, "srdtool: no memory\n");
        return EXIT_FAILURE;
    }

    test.soft = dlsym(RTLD_DEFAULT, "softefa_inject") != NULL;
    ret       = verbs_dl_open(&dl, error, sizeof(error));
    if (ret != 0) {
        report_add(&test.report, REPORT_FAIL, "open",
                   "install rdma-core (Debian: ibverbs-providers)", "%s",
                   error);
    } else {
        selftest_device(&test, &dl, argv[optind]);
    }
    return report_finish(&test.report);
}
