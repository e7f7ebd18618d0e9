/*
 * An association: begun, joined, left. States: srd_peer_def.h.
 */
#ifndef UCT_SRD_ASSOC_H
#define UCT_SRD_ASSOC_H

#include "srd/def/srd_iface_def.h"

#define UCT_SRD_HELLO_MIN 10e-3  /* seconds; doubling to                     */
#define UCT_SRD_HELLO_MAX 1.0
#define UCT_SRD_HELLO_REST 30.0 /* if nobody waits for the answer            */
#define UCT_SRD_BYE_MIN   100e-3
#define UCT_SRD_BYE_MAX   10.0

/* A peer, NEW. NULL: no memory (logged) */
uct_srd_peer_t *uct_srd_assoc_new(uct_srd_iface_t *iface,
                                  const uct_srd_ident_t *ident);

/* NEW or LEAVING: starts the handshake. The AH is there. */
void uct_srd_assoc_join(uct_srd_peer_t *peer);

/* JOINING: HELLO_ACK came. */
void uct_srd_assoc_joined(uct_srd_peer_t *peer);

/* JOINED or JOINING, nothing left to say: starts to leave. */
void uct_srd_assoc_leave(uct_srd_peer_t *peer);

/* What the peer's timer repeats, by its state (ctl.timer). */
void uct_srd_assoc_timer(uct_srd_timer_t *timer);

#endif
