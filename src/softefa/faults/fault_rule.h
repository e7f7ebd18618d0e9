/*
 * The rules of this process and how often each applied: shared by the files of
 * faults/. Each rule has a generator of its own, so that the same seed and the
 * same sequence of calls give the same faults, whatever the other rules are.
 */
#ifndef SOFTEFA_FAULT_RULE_H
#define SOFTEFA_FAULT_RULE_H

#include "faults/fault.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    uint64_t         seen;           /* operations that it selects */
    uint64_t         fired;
    _Atomic uint64_t done;           /* faults */
    uint64_t         burst;          /* of them still to come */
    uint64_t         until;          /* ns: it lasts */
    uint64_t         random;
} softefa_fault_state_t;

typedef struct {
    pthread_mutex_t            lock; /* no other is taken under it */
    const softefa_fault_plan_t *plan;
    softefa_fault_state_t      state[SOFTEFA_MAX_RULES];
    bool                       log_each;
    bool                       log_sums; /* at exit */
    int64_t                    proc;     /* softefa_fault_set_proc() */
} softefa_fault_rules_t;

extern softefa_fault_rules_t softefa_fault_rules;

bool softefa_fault_rule_selects(const softefa_fault_rule_t *rule,
                                const softefa_fault_op_t *op);

/* Locked, of one more operation that rule i selects: whether it applies; the
 * same for a fault that lasts. */
bool softefa_fault_rule_fires(unsigned i);
bool softefa_fault_rule_lasts(unsigned i, uint64_t now);

/* Of a `delay` rule, one of its delays, ns */
uint64_t softefa_fault_rule_delay(unsigned i);

/* Counts and logs a fault. */
void softefa_fault_rule_done(unsigned i, const softefa_fault_op_t *op);

#endif
