/*
 * The direct data path: srd_direct.c finds out whether it can be had, and
 * srd_direct_sq.h, _rq.h and _cq.h are it.
 */
#ifndef UCT_SRD_DIRECT_H
#define UCT_SRD_DIRECT_H

#include "srd/def/srd_iface_def.h"

/* queues, which are new ones, are ours to write and to read from now on, if
 * `wanted` (ucs_ternary_auto_value_t) and the libraries allow; else libefa's.
 * Fails, and logs why, only where it is demanded. */
ucs_status_t uct_srd_direct_init(uct_srd_iface_t *iface,
                                 uct_srd_queues_t *queues, int wanted);

/* The device does not have the queues any more. */
void uct_srd_direct_cleanup(uct_srd_queues_t *queues);

#endif
