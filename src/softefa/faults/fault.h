/*
 * The fault plan of this process (SOFTEFA_FAULTS): which rule applies to which
 * operation. It knows neither queues nor memory: the NIC model describes an
 * operation, gets a result and carries it out.
 *
 *   config/fault_plan.c   rules as text
 *   faults/fault.c        counts operations, decides, counts faults
 *   nic/engine.c          asks once for each entry it fetched, and for each
 *                         valid message; kernel/uverbs.c for each command
 *   pci/event.c, irq.c    ask for each event and interrupt
 *   nic/fault_deliver.c   delivers damaged or twice
 *   faults/fault_point.h  places in the code where a rule may kill the process
 *
 * Orders from outside for running processes (`efarun --inject`) do not come
 * here: preload/inject.c, nic/device.c.
 */
#ifndef SOFTEFA_FAULT_H
#define SOFTEFA_FAULT_H

#include "config/fault_plan.h"

#include <stdbool.h>
#include <stdint.h>

/* An operation that rules may select. */
typedef struct {
    int      dev, peer;              /* index, or SOFTEFA_FAULT_ANY: unknown */
    unsigned op;                     /* softefa_op_t */
    bool     has_imm;
    unsigned rnr_retry;              /* of the QP, 7: without end */
    unsigned qpn, req_id, ahn, dest_qpn; /* for the log */
} softefa_fault_op_t;

/* What the plan does to a message. */
typedef struct {
    int      status;                 /* not OK: not sent, completes with it */
    uint64_t until;                  /* held till then (ns), 0: not */
    unsigned flags;                  /* SOFTEFA_WQE_*: how it is delivered */
    uint32_t imm;                    /* bits of the immediate that flip */
    bool     hit;                    /* some rule applied */
} softefa_fault_result_t;

/* Of a valid message, once. */
void softefa_fault_evaluate(const softefa_fault_op_t *op,
                            softefa_fault_result_t *result);

/* Of every entry fetched: the rule whose fault hits the device or the queue
 * pair, not the message (FATAL, QP_ERROR), or NULL. May kill the process. */
const softefa_fault_rule_t *
softefa_fault_fetched(const softefa_fault_op_t *op);

/* The errno with which a command fails, 0: carry it out. */
int softefa_fault_command(unsigned index, softefa_fault_cmd_t cmd);

/* Whether an event of a completion queue, or an interrupt of this vector, is
 * lost (softefa-pci). */
bool softefa_fault_lose_event(unsigned index);
bool softefa_fault_lose_interrupt(unsigned index, unsigned vector);

/* Whether there is a plan; how deep its reorder rule for a device. */
bool     softefa_fault_planned(void);
unsigned softefa_fault_reorder(unsigned index);

/* The number that `proc=` selects this process by: its slot in the fabric. */
void softefa_fault_set_proc(int64_t proc);

void softefa_fault_fork_child(void);

#endif
