/*
 * Our device was reset, or our queue pair failed: srd_recover.c.
 */
#ifndef UCT_SRD_RECOVER_H
#define UCT_SRD_RECOVER_H

#include "srd/assoc/srd_resume.h"

extern const uct_srd_resume_ops_t uct_srd_recover_resume_ops;

/* Has the device something to say? If it or our queue pair is lost, begins to
 * recover. At most every 10 ms, unless the queue pair is known to have
 * failed. */
void uct_srd_recover_look(uct_srd_iface_t *iface);

/* The same, however short a time ago that was */
void uct_srd_recover_look_now(uct_srd_iface_t *iface);

/* Is there something to recover from that has been seen by somebody, but not by
 * recover_look()? Asks nobody. */
int uct_srd_recover_is_due(const uct_srd_iface_t *iface);

/* The timer's function */
void uct_srd_recover_try(uct_srd_timer_t *timer);

#endif
