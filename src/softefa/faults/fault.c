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
 * Each rule has a generator of its own, so that the same seed and the same
 * sequence of calls give the same faults, whatever the other rules are. Rules
 * are walked under one lock, under which no other is taken; without a plan the
 * data path does not call this.
 */
#define _GNU_SOURCE
#include "faults/fault.h"
#include "abi/efa_io.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "config/options.h"
#include "faults/fault_point.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define RNR_INTERVAL_NS 1000000ull   /* as flight.c has it */
#define EXPORT __attribute__((visibility("default")))

typedef struct {
    uint64_t         seen;           /* operations that it selects */
    uint64_t         fired;
    _Atomic uint64_t done;           /* faults */
    uint64_t         burst;          /* of them still to come */
    uint64_t         until;          /* ns: it lasts */
    uint64_t         random;
} rule_state_t;

unsigned softefa_fault_points;

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static const softefa_fault_plan_t *fault_plan;
static rule_state_t fault_state[SOFTEFA_MAX_RULES];
static bool fault_say;               /* each fault */
static bool fault_sum;               /* counts at exit */
static int64_t fault_proc;           /* softefa_fault_set_proc() */

/* The counter of rule `rule` (from 1); for tests. 0: there is no such rule. */
EXPORT uint64_t softefa_fault_count(unsigned rule);

uint64_t softefa_fault_count(unsigned rule)
{
    return ((fault_plan != NULL) && (rule > 0) &&
            (rule <= fault_plan->num_rules)) ? fault_state[rule - 1].done : 0;
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
        rule                  = &options->faults.rule[i];
        fault_state[i].random = ((options->seed + 1) * 0x9e3779b97f4a7c15ull) ^
                                ((i + 1) * 0xd1b54a32d192ed03ull);
        if (fault_state[i].random == 0) {
            fault_state[i].random = 1;
        }
        if (rule->action == SOFTEFA_FAULT_KILL) {
            softefa_fault_points |= 1u << rule->point;
        }
    }

    fault_say  = options->fault_log >= SOFTEFA_FAULT_LOG_ALL;
    fault_sum  = options->fault_log >= SOFTEFA_FAULT_LOG_COUNTS;
    fault_plan = &options->faults;
}

static void fault_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, fault_init_once);
}

void softefa_fault_set_proc(int64_t proc)
{
    fault_proc = proc;
}

void softefa_fault_fork_child(void)
{
    pthread_mutex_init(&fault_lock, NULL);
}

static __attribute__((destructor)) void fault_exit(void)
{
    unsigned i;

    for (i = 0; fault_sum && (i < fault_plan->num_rules); ++i) {
        softefa_error("fault %u (%s): %llu times of %llu, process %d", i + 1,
                      softefa_fault_plan_action_name(
                              fault_plan->rule[i].action),
                      (unsigned long long)fault_state[i].done,
                      (unsigned long long)fault_state[i].seen, (int)getpid());
    }
}

static bool rule_selects(const softefa_fault_rule_t *rule,
                         const softefa_fault_op_t *op)
{
    return ((rule->dev == SOFTEFA_FAULT_ANY) || (rule->dev == op->dev)) &&
           ((rule->peer == SOFTEFA_FAULT_ANY) || (rule->peer == op->peer)) &&
           ((rule->proc == SOFTEFA_FAULT_ANY) ||
            (rule->proc == fault_proc)) &&
           (rule->ops & (1u << op->op));
}

/* Locked, of one more operation that the rule selects. */
static bool rule_fires(unsigned i)
{
    const softefa_fault_rule_t *rule = &fault_plan->rule[i];
    rule_state_t *state              = &fault_state[i];

    ++state->seen;
    if ((state->seen <= rule->after) ||
        (((state->seen - rule->after) % rule->every) != 0) ||
        (state->fired >= rule->count) ||
        ((rule->chance < SOFTEFA_FAULT_SURE) &&
         ((softefa_random(&state->random) >> 32) >= rule->chance))) {
        return false;
    }

    ++state->fired;
    return true;
}

/* Locked. The same for a fault that lasts. */
static bool rule_lasts(unsigned i, uint64_t now)
{
    const softefa_fault_rule_t *rule = &fault_plan->rule[i];
    rule_state_t *state              = &fault_state[i];

    if (rule_fires(i)) {
        state->until = (rule->duration == SOFTEFA_FAULT_UNSET) ?
                       UINT64_MAX : now + rule->duration;
    }

    return now < state->until;
}

/* -ln(u) for a random u in (0, 1], without libm: to 5 digits. */
static double random_exp(uint64_t *random)
{
    double u = ((softefa_random(random) >> 11) + 1) / 9007199254740992.0;
    double ln = 0, z;

    for (; u < 0.5; u *= 2) {
        ln += 0.69314718056;
    }

    z = (1 - u) / (1 + u);
    return ln + (2 * z * (1 + (z * z * ((1 / 3.0) + (z * z * ((1 / 5.0) +
                 (z * z / 7.0)))))));
}

static uint64_t rule_delay(unsigned i)
{
    const softefa_fault_rule_t *rule = &fault_plan->rule[i];
    uint64_t *random                 = &fault_state[i].random;

    switch (rule->dist) {
    case SOFTEFA_DIST_UNIFORM:
        return softefa_random(random) % ((2 * rule->delay) + 1);
    case SOFTEFA_DIST_EXP:
        return random_exp(random) * rule->delay;
    default:
        return rule->delay;
    }
}

static void rule_done(unsigned i, const softefa_fault_op_t *op)
{
    uint64_t done = atomic_fetch_add(&fault_state[i].done, 1) + 1;

    if (fault_say) {
        softefa_error("fault %u (%s), %llu times: QP %u, request %u, op %u, "
                      "to AH %u QP %u", i + 1,
                      softefa_fault_plan_action_name(
                              fault_plan->rule[i].action),
                      (unsigned long long)done, op->qpn, op->req_id, op->op,
                      op->ahn, op->dest_qpn);
    }
}

/* A receiver without requests, as in nic/flight.c, for one message or more. */
static void evaluate_rnr(unsigned i, const softefa_fault_op_t *op, uint64_t now,
                         softefa_fault_result_t *result)
{
    rule_state_t *state = &fault_state[i];

    if (rule_fires(i)) {
        state->burst = fault_plan->rule[i].burst;
    }
    if (state->burst == 0) {
        return;
    }

    --state->burst;
    result->hit = true;
    if (op->rnr_retry == 7) {
        result->until = now + RNR_INTERVAL_NS;
    } else {
        result->until  = now + (op->rnr_retry * RNR_INTERVAL_NS);
        result->status = SOFTEFA_STATUS_RNR;
    }
}

/* Locked. What rule i does to a message that it selects. */
static void evaluate_rule(unsigned i, const softefa_fault_op_t *op,
                          uint64_t now, softefa_fault_result_t *result)
{
    const softefa_fault_rule_t *rule = &fault_plan->rule[i];

    switch (rule->action) {
    case SOFTEFA_FAULT_STATUS:
        if (rule_fires(i)) {
            result->status = rule->code;
            result->hit    = true;
        }
        break;
    case SOFTEFA_FAULT_UNREACHABLE:
    case SOFTEFA_FAULT_UNRESPONSIVE:
        if (rule_lasts(i, now)) {
            result->status = (rule->action == SOFTEFA_FAULT_UNREACHABLE) ?
                             SOFTEFA_STATUS_UNREACHABLE :
                             SOFTEFA_STATUS_UNRESPONSIVE;
            result->hit    = true;
        }
        break;
    case SOFTEFA_FAULT_PAUSE:
        if (rule_lasts(i, now)) {
            result->until = fault_state[i].until;
            result->hit   = true;
        }
        break;
    case SOFTEFA_FAULT_RNR:
        evaluate_rnr(i, op, now, result);
        break;
    case SOFTEFA_FAULT_DELAY:
        if (rule_fires(i)) {
            result->until = now + rule_delay(i);
            result->hit   = true;
        }
        break;
    case SOFTEFA_FAULT_DUPLICATE:
        if (rule_fires(i)) {
            result->flags = SOFTEFA_WQE_DUPLICATE;
            result->hit   = true;
        }
        break;
    case SOFTEFA_FAULT_CORRUPT:
        if ((rule->what == SOFTEFA_CORRUPT_IMM) &&
            !op->has_imm) {
            break;
        }
        if (rule_fires(i)) {
            if (rule->what == SOFTEFA_CORRUPT_IMM) {
                result->imm = 1u << (softefa_random(&fault_state[i].random) %
                                     32);
            } else {
                result->flags = SOFTEFA_WQE_CORRUPT;
            }
            result->hit = true;
        }
        break;
    default:
        break;
    }
}

void softefa_fault_evaluate(const softefa_fault_op_t *op,
                            softefa_fault_result_t *result)
{
    softefa_fault_result_t one;
    uint64_t now;
    unsigned i;

    *result = (softefa_fault_result_t){.status = SOFTEFA_STATUS_OK};
    if (fault_plan == NULL) {
        return;
    }

    now = softefa_clock_now();
    pthread_mutex_lock(&fault_lock);
    for (i = 0; i < fault_plan->num_rules; ++i) {
        if (!rule_selects(&fault_plan->rule[i], op)) {
            continue;
        }

        /* The first status counts, and the longest time. */
        one = (softefa_fault_result_t){.status = SOFTEFA_STATUS_OK};
        evaluate_rule(i, op, now, &one);
        result->flags |= one.flags;
        result->imm   ^= one.imm;
        if (!one.hit || ((one.status != SOFTEFA_STATUS_OK) &&
                         (result->status != SOFTEFA_STATUS_OK))) {
            continue;
        }

        rule_done(i, op);
        result->hit = true;
        if (one.status != SOFTEFA_STATUS_OK) {
            result->status = one.status;
        }
        if (one.until > result->until) {
            result->until = one.until;
        }
    }
    pthread_mutex_unlock(&fault_lock);
}

const softefa_fault_rule_t *
softefa_fault_fetched(const softefa_fault_op_t *op)
{
    const softefa_fault_rule_t *rule, *fatal = NULL, *qp_error = NULL;
    unsigned i;

    softefa_fault_point(SOFTEFA_POINT_FETCH);
    if (fault_plan == NULL) {
        return NULL;
    }

    pthread_mutex_lock(&fault_lock);
    for (i = 0; i < fault_plan->num_rules; ++i) {
        rule = &fault_plan->rule[i];
        if (((rule->action != SOFTEFA_FAULT_FATAL) &&
             (rule->action != SOFTEFA_FAULT_QP_ERROR)) ||
            !rule_selects(rule, op) || !rule_fires(i)) {
            continue;
        }

        rule_done(i, op);
        if (rule->action == SOFTEFA_FAULT_FATAL) {
            fatal = rule;
        } else {
            qp_error = rule;
        }
    }
    pthread_mutex_unlock(&fault_lock);
    return (fatal != NULL) ? fatal : qp_error;
}

int softefa_fault_command(unsigned index, softefa_fault_cmd_t cmd)
{
    const softefa_fault_op_t op = {.dev = index, .peer = -1};
    const softefa_fault_rule_t *rule;
    int error = 0;
    unsigned i;

    fault_init();
    if (fault_plan == NULL) {
        return 0;
    }

    pthread_mutex_lock(&fault_lock);
    for (i = 0; i < fault_plan->num_rules; ++i) {
        rule = &fault_plan->rule[i];
        if ((rule->action != SOFTEFA_FAULT_FAIL) ||
            ((rule->cmd != SOFTEFA_CMD_ANY) && (rule->cmd != (int)cmd)) ||
            !rule_selects(rule, &op) || !rule_fires(i) || (error != 0)) {
            continue;
        }

        error = rule->error;
        ++fault_state[i].done;
        if (fault_say) {
            softefa_error("fault %u (fail), %llu times: %s of device %u: %s",
                          i + 1, (unsigned long long)fault_state[i].done,
                          softefa_fault_plan_cmd_name(cmd), index,
                          strerror(error));
        }
    }
    pthread_mutex_unlock(&fault_lock);
    return error;
}

void softefa_fault_hit(softefa_point_t point)
{
    const softefa_fault_op_t op = {.dev = -1, .peer = -1};
    const softefa_fault_rule_t *rule;
    bool kill_it = false;
    unsigned i;

    pthread_mutex_lock(&fault_lock);
    for (i = 0; i < fault_plan->num_rules; ++i) {
        rule = &fault_plan->rule[i];
        if ((rule->action == SOFTEFA_FAULT_KILL) &&
            (rule->point == (int)point) && rule_selects(rule, &op) &&
            rule_fires(i)) {
            kill_it = true;
            if (fault_say) {
                softefa_error("fault %u (kill): process %d, at %s", i + 1,
                              (int)getpid(),
                              softefa_fault_plan_point_name(point));
            }
        }
    }
    pthread_mutex_unlock(&fault_lock);

    if (kill_it) {
        kill(getpid(), SIGKILL);
    }
}

unsigned softefa_fault_reorder(unsigned index)
{
    const softefa_fault_op_t op = {.dev = index, .peer = -1};
    unsigned depth       = 0;
    unsigned i;

    fault_init();
    for (i = 0; (fault_plan != NULL) && (i < fault_plan->num_rules); ++i) {
        if ((fault_plan->rule[i].action == SOFTEFA_FAULT_REORDER) &&
            rule_selects(&fault_plan->rule[i], &op)) {
            depth = fault_plan->rule[i].depth;
            ++fault_state[i].done;
        }
    }

    return depth;
}

bool softefa_fault_planned(void)
{
    fault_init();
    return fault_plan != NULL;
}
