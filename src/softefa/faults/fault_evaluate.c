/* What the rules do to a message that is about to be sent. */
#include "abi/efa_io.h"
#include "base/clock.h"
#include "base/util.h"
#include "faults/fault_rule.h"

#define RNR_INTERVAL_NS 1000000ull   /* as in nic/flight.c */

static softefa_fault_rules_t *const rules = &softefa_fault_rules;

/* A receiver without requests, as in nic/flight.c, for one message or more. */
static void evaluate_rnr(unsigned i, const softefa_fault_op_t *op, uint64_t now,
                         softefa_fault_result_t *result)
{
    softefa_fault_state_t *state = &rules->state[i];

    if (softefa_fault_rule_fires(i)) {
        state->burst = rules->plan->rule[i].burst;
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
    const softefa_fault_rule_t *rule = &rules->plan->rule[i];

    switch (rule->action) {
    case SOFTEFA_FAULT_STATUS:
        if (softefa_fault_rule_fires(i)) {
            result->status = rule->code;
            result->hit    = true;
        }
        break;
    case SOFTEFA_FAULT_UNREACHABLE:
    case SOFTEFA_FAULT_UNRESPONSIVE:
        if (softefa_fault_rule_lasts(i, now)) {
            result->status = (rule->action == SOFTEFA_FAULT_UNREACHABLE) ?
                                     SOFTEFA_STATUS_UNREACHABLE :
                                     SOFTEFA_STATUS_UNRESPONSIVE;
            result->hit    = true;
        }
        break;
    case SOFTEFA_FAULT_PAUSE:
        if (softefa_fault_rule_lasts(i, now)) {
            result->until = rules->state[i].until;
            result->hit   = true;
        }
        break;
    case SOFTEFA_FAULT_RNR:
        evaluate_rnr(i, op, now, result);
        break;
    case SOFTEFA_FAULT_DELAY:
        if (softefa_fault_rule_fires(i)) {
            result->until = now + softefa_fault_rule_delay(i);
            result->hit   = true;
        }
        break;
    case SOFTEFA_FAULT_DUPLICATE:
        if (softefa_fault_rule_fires(i)) {
            result->flags = SOFTEFA_WQE_DUPLICATE;
            result->hit   = true;
        }
        break;
    case SOFTEFA_FAULT_CORRUPT:
        if ((rule->what == SOFTEFA_CORRUPT_IMM) && !op->has_imm) {
            break;
        }
        if (softefa_fault_rule_fires(i)) {
            if (rule->what == SOFTEFA_CORRUPT_IMM) {
                result->imm = 1u
                              << (softefa_random(&rules->state[i].random) % 32);
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
    if (rules->plan == NULL) {
        return;
    }

    now = softefa_clock_now();
    pthread_mutex_lock(&rules->lock);
    for (i = 0; i < rules->plan->num_rules; ++i) {
        if (!softefa_fault_rule_selects(&rules->plan->rule[i], op)) {
            continue;
        }

        /* The first status counts, and the longest time. */
        one = (softefa_fault_result_t){.status = SOFTEFA_STATUS_OK};
        evaluate_rule(i, op, now, &one);
        result->flags |= one.flags;
        result->imm ^= one.imm;
        if (!one.hit || ((one.status != SOFTEFA_STATUS_OK) &&
                         (result->status != SOFTEFA_STATUS_OK))) {
            continue;
        }

        softefa_fault_rule_done(i, op);
        result->hit = true;
        if (one.status != SOFTEFA_STATUS_OK) {
            result->status = one.status;
        }
        if (one.until > result->until) {
            result->until = one.until;
        }
    }
    pthread_mutex_unlock(&rules->lock);
}
