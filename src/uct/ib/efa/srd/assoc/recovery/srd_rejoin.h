/*
 * Sessions that go on after a reset of either device: srd_rejoin.c.
 */
#ifndef UCT_SRD_REJOIN_H
#define UCT_SRD_REJOIN_H

#include "srd/def/srd_iface_def.h"

/* Our queue pair is a new one: tell the peer. old: who we were. */
void uct_srd_rejoin_start(uct_srd_peer_t *peer, const uct_srd_ident_t *old);

/* uct_srd_resume_ops_t: rejoin, rejoined */
int  uct_srd_rejoin_receive(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                            const uct_srd_ident_t *ident,
                            const uct_srd_ext_t *ext);
void uct_srd_rejoin_done(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

#endif
