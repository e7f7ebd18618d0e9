/*
 * A device that is lost without a word: srd_lost.c.
 */
#ifndef UCT_SRD_LOST_H
#define UCT_SRD_LOST_H

#include "srd/def/srd_iface_def.h"

/* When to ask the device whether it lives, if nothing ends until then.
 * UCS_TIME_INFINITY: it has nothing of ours, or is known to be lost. As of the
 * last look. */
ucs_time_t uct_srd_lost_deadline(const uct_srd_iface_t *iface);

/* Asks it, if it is time to. What it says is then known to
 * uct_efa_context_check() and uct_srd_queues_is_failed(). */
void uct_srd_lost_look(uct_srd_iface_t *iface, ucs_time_t now);

#endif
