/*
 * What follows must not overtake what there is: srd_fence.c.
 */
#ifndef UCT_SRD_FENCE_H
#define UCT_SRD_FENCE_H

#include "srd/def/srd_iface_def.h"

/* Of what is sent to the peer */
void uct_srd_fence_peer(uct_srd_peer_t *peer);

#endif
