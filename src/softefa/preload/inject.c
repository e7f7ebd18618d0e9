/*
 * Orders from outside: softefa_inject(), which `efarun --inject` calls in a
 * process of its own and a test in its own process, found by dlsym().
 *
 *   fatal dev=N [return=T] [event=n]    return dev=N
 *   qp_error dev=N [qp=Q] [pid=P]
 *   pause dev=N for=T
 *   unresponsive dev=N [for=T]
 *   unreachable dev=N [for=T]
 *
 * return ends the last three as well. They hold for the device as a whole,
 * whoever uses it, and take effect before the call returns.
 */
#define _GNU_SOURCE
#include "base/log.h"
#include "config/fault_plan.h"
#include "fabric/fabric.h"
#include "fabric/membership.h"
#include "nic/device.h"
#include "nic/device_error.h"

#include <errno.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int softefa_inject(const char *spec);

static int inject_rule(const softefa_fault_rule_t *rule)
{
    uint64_t back  = rule->back;
    unsigned index = rule->dev;
    int ret;

    switch (rule->action) {
    case SOFTEFA_FAULT_FATAL:
        return softefa_device_error_fatal(index, back, rule->silent);
    case SOFTEFA_FAULT_RETURN:
        return softefa_device_return(index);
    case SOFTEFA_FAULT_QP_ERROR:
        ret = softefa_device_error_qp(index, rule->qp, rule->pid);
        if (ret == ENOENT) {
            softefa_error("inject: device %u has no such queue pair that "
                          "could fail",
                          index);
        }
        return ret;
    case SOFTEFA_FAULT_PAUSE:
        return softefa_device_set(index, SOFTEFA_PAUSED, rule->duration);
    case SOFTEFA_FAULT_UNRESPONSIVE:
        return softefa_device_set(index, SOFTEFA_UNRESPONSIVE, rule->duration);
    case SOFTEFA_FAULT_UNREACHABLE:
        return softefa_device_set(index, SOFTEFA_UNREACHABLE, rule->duration);
    default:
        softefa_error("inject: %s belongs into a plan (SOFTEFA_FAULTS)",
                      softefa_fault_plan_action_name(rule->action));
        return EINVAL;
    }
}

/* Carries out the rules of `spec`. Returns 0, or an errno that was logged. */
int softefa_inject(const char *spec)
{
    softefa_fault_plan_t plan;
    char error[256];
    unsigned i;
    int ret;

    ret = softefa_fault_plan_parse(spec, &plan, error, sizeof(error));
    if (ret != 0) {
        softefa_error("inject: %s", error);
        return ret;
    }

    if (plan.num_rules == 0) {
        softefa_error("inject: an order is missing, as in 'fatal dev=0'");
        return EINVAL;
    }

    for (i = 0; i < plan.num_rules; ++i) {
        if (plan.rule[i].dev == SOFTEFA_FAULT_ANY) {
            softefa_error("inject: %s: dev= is missing",
                          softefa_fault_plan_action_name(plan.rule[i].action));
            return EINVAL;
        }
    }

    ret = softefa_membership_join();
    if (ret != 0) {
        return ret;
    }

    if (softefa_membership_alone()) {
        softefa_error("inject: no process is in fabric %s", softefa_fabric.dir);
        return ESRCH;
    }

    for (i = 0; i < plan.num_rules; ++i) {
        ret = inject_rule(&plan.rule[i]);
        if (ret != 0) {
            return ret;
        }
    }

    return 0;
}
