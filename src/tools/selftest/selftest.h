/*
 * srdtool selftest: the steps (selftest_steps.c) and their report
 * (selftest.c).
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "tools/report/report.h"
#include "tools/verbs/verbs_ep.h"

typedef struct {
    report_t      report;
    verbs_ep_t    ep;
    struct ibv_ah *ah;
    bool          soft;
    int           timeout_ms;
    uint8_t       seed;              /* of the data, another one each time */
    uint64_t      sq_ns, rq_ns;      /* of the last message, from doorbell */
    bool          dead;              /* a deadline passed: nothing is tried */
} selftest_t;

/* Usual times in us: of a NIC, *estimates* (docs/device-facts.md: 12 to 18 us
 * one way, 20 us a command); of Soft-EFA, measured on small machines. */
typedef struct {
    const char *name;                /* NULL: behind the last */
    const char *text;                /* what is done, and measured */
    unsigned   nic_us, soft_us;
    /* 0 and *ns; EOPNOTSUPP: not on this device, or another errno: both with
     * a text. */
    int        (*run)(selftest_t *test, uint64_t *ns, char *text, size_t max);
} selftest_step_t;

extern const selftest_step_t selftest_steps[];

/* argv[0] is "selftest", what follows is [DEVICE]. As doctor_run(). */
int selftest_run(int argc, char **argv, const srdtool_output_t *out);

#endif
