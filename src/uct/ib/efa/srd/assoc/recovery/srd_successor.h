/*
 * A new peer that may be one we know, after a reset: srd_successor.c.
 */
#ifndef UCT_SRD_SUCCESSOR_H
#define UCT_SRD_SUCCESSOR_H

#include "srd/def/srd_iface_def.h"

/* A new peer, made for an endpoint, waits if it may be one that we know.
 * UCS_ERR_NO_MEMORY (logged): it must not be used. */
ucs_status_t uct_srd_successor_wait(uct_srd_peer_t *peer);

/* predecessor has a name that peer had: peer's endpoints are its own now. */
void uct_srd_successor_join(uct_srd_peer_t *predecessor, uct_srd_peer_t *peer);

/* Nothing has left for it, and it was not heard from. */
int uct_srd_successor_is_unused(const uct_srd_peer_t *peer);

/* uct_srd_resume_ops_t: lives, settled. Of the latter: whether the peer is
 * successor or predecessor, or neither */
void uct_srd_successor_answer(uct_srd_peer_t *predecessor, uct_srd_op_t op);
void uct_srd_successor_end(uct_srd_peer_t *peer);

#endif
