/*
 * All that waits to be sent to a peer: messages to be sent again, messages too
 * long for the extended header, one-sided operations.
 */
#ifndef UCT_SRD_BACKLOG_H
#define UCT_SRD_BACKLOG_H

#include "srd/def/srd_iface_def.h"

/* Posts it, as far as the peer's state allows. */
void uct_srd_backlog_post(uct_srd_peer_t *peer);

/* As above, after a time in which nothing could be sent: who waits tries,
 * too. */
void uct_srd_backlog_resume(uct_srd_peer_t *peer);

/* The pause after a failure is over (tx.timer). */
void uct_srd_backlog_timer(uct_srd_timer_t *timer);

#endif
