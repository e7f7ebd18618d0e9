/* See fault_rule.h. */
#include "faults/fault_rule.h"
#include "base/log.h"
#include "base/util.h"

softefa_fault_rules_t softefa_fault_rules = {
    .lock = PTHREAD_MUTEX_INITIALIZER
};

static softefa_fault_rules_t *const rules = &softefa_fault_rules;

bool softefa_fault_rule_selects(const softefa_fault_rule_t *rule,
                                const softefa_fault_op_t *op)
{
    return ((rule->dev == SOFTEFA_FAULT_ANY) || (rule->dev == op->dev)) &&
           ((rule->peer == SOFTEFA_FAULT_ANY) || (rule->peer == op->peer)) &&
           ((rule->proc == SOFTEFA_FAULT_ANY) || (rule->proc == rules->proc)) &&
           (rule->ops & (1u << op->op));
}

bool softefa_fault_rule_fires(unsigned i)
{
    const softefa_fault_rule_t *rule = &rules->plan->rule[i];
    softefa_fault_state_t *state     = &rules->state[i];

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

bool softefa_fault_rule_lasts(unsigned i, uint64_t now)
{
    const softefa_fault_rule_t *rule = &rules->plan->rule[i];
    softefa_fault_state_t *state     = &rules->state[i];

    if (softefa_fault_rule_fires(i)) {
        state->until = (rule->duration == SOFTEFA_FAULT_UNSET) ?
                               UINT64_MAX :
                               now + rule->duration;
    }

    return now < state->until;
}

/* -ln(u) for a random u in (0, 1], without libm: to 5 digits. */
static double random_exp(uint64_t *random)
{
    double u  = ((softefa_random(random) >> 11) + 1) / 9007199254740992.0;
    double ln = 0, z;

    for (; u < 0.5; u *= 2) {
        ln += 0.69314718056;
    }

    z = (1 - u) / (1 + u);
    return ln + (2 * z *
                 (1 + (z * z *
                       ((1 / 3.0) + (z * z * ((1 / 5.0) + (z * z / 7.0)))))));
}

uint64_t softefa_fault_rule_delay(unsigned i)
{
    const softefa_fault_rule_t *rule = &rules->plan->rule[i];
    uint64_t *random                 = &rules->state[i].random;

    switch (rule->dist) {
    case SOFTEFA_DIST_UNIFORM:
        return softefa_random(random) % ((2 * rule->delay) + 1);
    case SOFTEFA_DIST_EXP:
        return random_exp(random) * rule->delay;
    default:
        return rule->delay;
    }
}

void softefa_fault_rule_done(unsigned i, const softefa_fault_op_t *op)
{
    uint64_t done = atomic_fetch_add(&rules->state[i].done, 1) + 1;

    if (rules->log_each) {
        softefa_error("fault %u (%s), %llu times: QP %u, request %u, op %u, "
                      "to AH %u QP %u",
                      i + 1,
                      softefa_fault_plan_action_name(rules->plan->rule[i]
                                                             .action),
                      (unsigned long long)done, op->qpn, op->req_id, op->op,
                      op->ahn, op->dest_qpn);
    }
}
