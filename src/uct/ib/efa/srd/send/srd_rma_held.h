/*
 * One-sided operations that wait: srd_rma_held.c.
 */
#ifndef UCT_SRD_RMA_HELD_H
#define UCT_SRD_RMA_HELD_H

#include "srd/def/srd_iface_def.h"

/* Posts what is held if the peer is JOINED; a NEW one joins for it. */
void uct_srd_rma_held_post(uct_srd_peer_t *peer);

/* Ends what is held, of ep or (NULL) all, with status. */
void uct_srd_rma_held_purge(uct_srd_peer_t *peer, uct_srd_ep_t *ep,
                            ucs_status_t status);

#endif
