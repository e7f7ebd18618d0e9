/*
 * Polling the completion queue: srd_poll.c.
 */
#ifndef UCT_SRD_POLL_H
#define UCT_SRD_POLL_H

#include "srd/def/srd_iface_def.h"

/* Handles up to max_poll completions. Returns how many. */
unsigned uct_srd_poll(uct_srd_iface_t *iface);

/* Takes all completions out of the CQ, for later, with the senders that AH
 * numbers mean now. arg: the interface (peers.evicted). */
void uct_srd_poll_stash_all(void *arg);

#endif
