/*
 * May messages leave at once? What the fast path of a send asks, tx.credit and
 * tx.flags of a peer, follows from much that changes seldom.
 */
#ifndef UCT_SRD_GATE_H
#define UCT_SRD_GATE_H

#include "srd/def/srd_iface_def.h"

/* Recomputes credit and flags after something that may have changed them. */
void uct_srd_gate_update(uct_srd_peer_t *peer);

#endif
