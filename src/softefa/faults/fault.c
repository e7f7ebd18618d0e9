/*
 * The fault plan of this process: which rule meets which operation.
 *
 *   an operation --> selected by dev, peer, op, proc?   each rule counts these
 *                        |
 *                    after, every, count, p   --> the rule fires
 *                                                    |
 *        once: status, delay, duplicate, corrupt, fail, fatal, qp_error, kill
 *        the next `burst`: rnr        for a while: pause, unreachable, ...
 *
 * Counting and applying a rule: fault_rule.c. What they do to a message:
 * fault_evaluate.c. Without a plan the data path does not call this.
 */
#define _GNU_SOURCE
#include "faults/fault.h"
#include "base/log.h"
#include "config/options.h"
#include "faults/fault_point.h"
#include "faults/fault_rule.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

unsigned softefa_fault_points;

static softefa_fault_rules_t *const rules = &softefa_fault_rules;

/* The counter of rule `rule` (from 1); for tests. 0: there is no such rule. */
EXPORT uint64_t softefa_fault_count(unsigned rule);

uint64_t softefa_fault_count(unsigned rule)
{
    return ((rules->plan != NULL) && (rule > 0) &&
            (rule <= rules->plan->num_rules)) ?
                   rules->state[rule - 1].done :
                   0;
}

static void fault_init_once(void)
{
    const softefa_options_t *options = softefa_options();
    const softefa_fault_rule_t *rule;
    unsigned i;

    if ((options == NULL) || (options->faults.num_rules == 0)) {
        return;
    }

    for (i = 0; i < options->faults.num_rules; ++i) {
        rule                   = &options->faults.rule[i];
        rules->state[i].random = ((options->seed + 1) * 0x9e3779b97f4a7c15ull) ^
                                 ((i + 1) * 0xd1b54a32d192ed03ull);
        if (rules->state[i].random == 0) {
            rules->state[i].random = 1;
        }
        if (rule->action == SOFTEFA_FAULT_KILL) {
            softefa_fault_points |= 1u << rule->point;
        }
    }

    rules->log_each = options->fault_log >= SOFTEFA_FAULT_LOG_ALL;
    rules->log_sums = options->fault_log >= SOFTEFA_FAULT_LOG_COUNTS;
    rules->plan     = &options->faults;
}

static void fault_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, fault_init_once);
}

void softefa_fault_set_proc(int64_t proc)
{
    rules->proc = proc;
}

void softefa_fault_fork_child(void)
{
    pthread_mutex_init(&rules->lock, NULL);
}

static __attribute__((destructor)) void fault_exit(void)
{
    unsigned i;

    for (i = 0; rules->log_sums && (i < rules->plan->num_rules); ++i) {
        softefa_error("fault %u (%s): %llu times of %llu, process %d", i + 1,
                      softefa_fault_plan_action_name(rules->plan->rule[i]
                                                             .action),
                      (unsigned long long)rules->state[i].done,
                      (unsigned long long)rules->state[i].seen, (int)getpid());
    }
}

const softefa_fault_rule_t *softefa_fault_fetched(const softefa_fault_op_t *op)
{
    const softefa_fault_rule_t *rule, *fatal = NULL, *qp_error = NULL;
    unsigned i;

    softefa_fault_point(SOFTEFA_POINT_FETCH);
    if (rules->plan == NULL) {
        return NULL;
    }

    pthread_mutex_lock(&rules->lock);
    for (i = 0; i < rules->plan->num_rules; ++i) {
        rule = &rules->plan->rule[i];
        if (((rule->action != SOFTEFA_FAULT_FATAL) &&
             (rule->action != SOFTEFA_FAULT_QP_ERROR)) ||
            !softefa_fault_rule_selects(rule, op) ||
            !softefa_fault_rule_fires(i)) {
            continue;
        }

        softefa_fault_rule_done(i, op);
        if (rule->action == SOFTEFA_FAULT_FATAL) {
            fatal = rule;
        } else {
            qp_error = rule;
        }
    }
    pthread_mutex_unlock(&rules->lock);
    return (fatal != NULL) ? fatal : qp_error;
}

int softefa_fault_command(unsigned index, softefa_fault_cmd_t cmd)
{
    const softefa_fault_op_t op = {.dev = index, .peer = -1};
    const softefa_fault_rule_t *rule;
    int error = 0;
    unsigned i;

    fault_init();
    if (rules->plan == NULL) {
        return 0;
    }

    pthread_mutex_lock(&rules->lock);
    for (i = 0; i < rules->plan->num_rules; ++i) {
        rule = &rules->plan->rule[i];
        if ((rule->action != SOFTEFA_FAULT_FAIL) ||
            ((rule->cmd != SOFTEFA_CMD_ANY) && (rule->cmd != (int)cmd)) ||
            !softefa_fault_rule_selects(rule, &op) ||
            !softefa_fault_rule_fires(i) || (error != 0)) {
            continue;
        }

        error = rule->error;
        ++rules->state[i].done;
        if (rules->log_each) {
            softefa_error("fault %u (fail), %llu times: %s of device %u: %s",
                          i + 1, (unsigned long long)rules->state[i].done,
                          softefa_fault_plan_cmd_name(cmd), index,
                          strerror(error));
        }
    }
    pthread_mutex_unlock(&rules->lock);
    return error;
}

static bool fault_lose(softefa_fault_t action, unsigned index, int64_t vector)
{
    const softefa_fault_op_t op = {.dev = index, .peer = -1};
    const softefa_fault_rule_t *rule;
    bool lose = false;
    unsigned i;

    fault_init();
    if (rules->plan == NULL) {
        return false;
    }

    pthread_mutex_lock(&rules->lock);
    for (i = 0; i < rules->plan->num_rules; ++i) {
        rule = &rules->plan->rule[i];
        if ((rule->action != action) ||
            ((rule->vector != SOFTEFA_FAULT_ANY) && (rule->vector != vector)) ||
            !softefa_fault_rule_selects(rule, &op) ||
            !softefa_fault_rule_fires(i)) {
            continue;
        }

        lose = true;
        ++rules->state[i].done;
        if (rules->log_each) {
            softefa_error("fault %u (%s), %llu times: device %u, vector %lld",
                          i + 1, softefa_fault_plan_action_name(action),
                          (unsigned long long)rules->state[i].done, index,
                          (long long)vector);
        }
    }
    pthread_mutex_unlock(&rules->lock);
    return lose;
}

bool softefa_fault_lose_event(unsigned index)
{
    return fault_lose(SOFTEFA_FAULT_LOSE_EVENT, index, SOFTEFA_FAULT_ANY);
}

bool softefa_fault_lose_interrupt(unsigned index, unsigned vector)
{
    return fault_lose(SOFTEFA_FAULT_LOSE_INTERRUPT, index, vector);
}

void softefa_fault_hit(softefa_point_t point)
{
    const softefa_fault_op_t op = {.dev = -1, .peer = -1};
    const softefa_fault_rule_t *rule;
    bool kill_it = false;
    unsigned i;

    pthread_mutex_lock(&rules->lock);
    for (i = 0; i < rules->plan->num_rules; ++i) {
        rule = &rules->plan->rule[i];
        if ((rule->action == SOFTEFA_FAULT_KILL) &&
            (rule->point == (int)point) &&
            softefa_fault_rule_selects(rule, &op) &&
            softefa_fault_rule_fires(i)) {
            kill_it = true;
            if (rules->log_each) {
                softefa_error("fault %u (kill): process %d, at %s", i + 1,
                              (int)getpid(),
                              softefa_fault_plan_point_name(point));
            }
        }
    }
    pthread_mutex_unlock(&rules->lock);

    if (kill_it) {
        kill(getpid(), SIGKILL);
    }
}

unsigned softefa_fault_reorder(unsigned index)
{
    const softefa_fault_op_t op = {.dev = index, .peer = -1};
    unsigned depth              = 0;
    unsigned i;

    fault_init();
    for (i = 0; (rules->plan != NULL) && (i < rules->plan->num_rules); ++i) {
        if ((rules->plan->rule[i].action == SOFTEFA_FAULT_REORDER) &&
            softefa_fault_rule_selects(&rules->plan->rule[i], &op)) {
            depth = rules->plan->rule[i].depth;
            ++rules->state[i].done;
        }
    }

    return depth;
}

bool softefa_fault_planned(void)
{
    fault_init();
    return rules->plan != NULL;
}
