/*
 * Polling without libefa: srd_poll_direct.c.
 */
#ifndef UCT_SRD_POLL_DIRECT_H
#define UCT_SRD_POLL_DIRECT_H

#include "srd/def/srd_iface_def.h"
#include "srd/queues/srd_direct_cq.h"

/* Handles up to max_poll completions. Returns how many. */
unsigned uct_srd_poll_direct(uct_srd_iface_t *iface);

/* Takes up to max completions out, without handling them. Returns how many. */
unsigned uct_srd_poll_direct_read(uct_srd_iface_t *iface, uct_srd_rx_wc_t *rx,
                                  unsigned max);

#endif
