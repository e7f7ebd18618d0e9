/*
 * What few peers ever need (uct_srd_peer_rare_t): srd_peer_rare.c.
 */
#ifndef UCT_SRD_PEER_RARE_H
#define UCT_SRD_PEER_RARE_H

#include "srd/def/srd_iface_def.h"

/* Zero, not to be written to */
void uct_srd_peer_rare_init(uct_srd_peer_t *peer);
void uct_srd_peer_rare_cleanup(uct_srd_peer_t *peer);

/* To write to; NULL: no memory (not logged) */
uct_srd_peer_rare_t *uct_srd_peer_rare(uct_srd_peer_t *peer);

#endif
