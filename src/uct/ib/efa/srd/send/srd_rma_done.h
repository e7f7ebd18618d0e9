/*
 * One-sided operations that have come to their end, or not: srd_rma_done.c.
 */
#ifndef UCT_SRD_RMA_DONE_H
#define UCT_SRD_RMA_DONE_H

#include "srd/def/srd_iface_def.h"

extern const uct_srd_slot_ops_t uct_srd_rma_done_ops;

/* The operation alone fails: its completion says so; without one, its endpoint
 * fails. */
void uct_srd_rma_done_op_failed(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                const uct_efa_status_desc_t *desc);

#endif
