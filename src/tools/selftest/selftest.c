/*
 * srdtool selftest: does the device do its work? It sends to itself:
 *
 *   open, objects -- register -- ah -- send (SQ, RQ) -- event -- read, write
 *                                                                     |
 *                                   every object destroyed, in any case
 *
 * A failure is an error status, wrong data, a command that fails, or nothing at
 * all before the deadline. A time is never a failure: it is printed beside the
 * usual one, on a NIC or on Soft-EFA, for a person to judge.
 */
#include "tools/selftest/selftest.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_USAGE       = 2,
    SELFTEST_TIMEOUT = 5             /* seconds */
};

static const char selftest_usage[] =
    "usage: srdtool selftest [-t SECONDS] [DEVICE]\n"
    "\n"
    "Lets an EFA device (default: the first) do each of its kinds of work,\n"
    "with itself: queue pair and completion queue, doorbell to completion,\n"
    "completion event, address handle, registration, RDMA read and write. Its\n"
    "few objects are its own and are destroyed: it can run beside\n"
    "applications.\n"
    "\n"
    "  -t, --timeout SECONDS   how long to wait for a completion (default: 5)\n"
    "  -h, --help              this text\n"
    "\n"
    "Times stand beside the usual ones, and are never a failure.\n"
    "Options of srdtool: -j JSON, -p pretty JSON, -d measured values.\n"
    "Exit status: 0 all works, 1 something failed, 2 wrong usage.\n";

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

static void selftest_try(selftest_t *test, const selftest_step_t *step)
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
               "%s: %.1f us (%s: about %u us)%s", step->text, ns / 1e3,
               test->soft ? "Soft-EFA" : "a NIC", usual,
               (ns > usual * 10000ull) ? "; slow, see what else runs" : "");
}

static void selftest_device(selftest_t *test, const verbs_dl_t *dl,
                            const char *device)
{
    report_t *report = &test->report;
    verbs_ep_t *ep   = &test->ep;
    uint64_t start   = verbs_ep_now();
    const selftest_step_t *step;
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
        for (step = selftest_steps; (test->ah != NULL) && (step->name != NULL);
             ++step) {
            selftest_try(test, step);
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

int selftest_run(int argc, char **argv, const srdtool_output_t *given)
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
                fprintf(stderr,
                        "srdtool: --timeout %s: expected seconds, 1 "
                        "to 3600\n",
                        optarg);
                return EXIT_USAGE;
            }
            test.timeout_ms = value * 1000;
            break;
        case 'h':
            fputs(selftest_usage, stdout);
            return EXIT_SUCCESS;
        default:
            if (srdtool_output_option(&out, c)) {
                break;
            }
            fputs(selftest_usage, stderr);
            return EXIT_USAGE;
        }
    }
    if ((argc - optind == 1) && !strcmp(argv[optind], "help")) {
        fputs(selftest_usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc - optind > 1) {
        fprintf(stderr, "srdtool: selftest %s %s: one DEVICE\n%s", argv[optind],
                argv[optind + 1], selftest_usage);
        return EXIT_USAGE;
    }

    if (report_init(&test.report, &out) != 0) {
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
