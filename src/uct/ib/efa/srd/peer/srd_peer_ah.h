/*
 * Peers' address handles, and whom a completion means: srd_peer_ah.c.
 */
#ifndef UCT_SRD_PEER_AH_H
#define UCT_SRD_PEER_AH_H

#include "srd/def/srd_iface_def.h"

/* Makes sure the peer has an AH. UCS_ERR_NO_RESOURCE: all in use, try again
 * later; UCS_ERR_UNREACHABLE: refused. */
ucs_status_t uct_srd_peer_ah_get(uct_srd_peer_t *peer);
void         uct_srd_peer_ah_drop(uct_srd_peer_t *peer);

/* A reference to an AH, whose number is noted. As uct_efa_ah_get(). */
ucs_status_t uct_srd_peer_ah_get_gid(uct_srd_iface_t *iface, const void *gid,
                                     uct_efa_ah_t **ah_p);

/* The GID that an AH number means to us; NULL: none. */
const union ibv_gid *uct_srd_peer_ah_gid(uct_srd_iface_t *iface, uint16_t ahn);

/* The peer's (AH number, QPN) means nobody any more; means it, if it has an
 * AH. */
void         uct_srd_peer_ah_key_del(uct_srd_peer_t *peer);
ucs_status_t uct_srd_peer_ah_key_add(uct_srd_peer_t *peer);

/* Does the peer exist because of its own word alone? Of those there is a
 * limit. */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_ah_set_asserted(uct_srd_peer_t *peer, uint8_t asserted)
{
    peer->iface->rx.asserted += asserted - peer->rx.asserted;
    peer->rx.asserted = asserted;
}

/* Has the device named our AH for the peer yet? Until it has all completions
 * are read with source GIDs, where there are such. */
static UCS_F_ALWAYS_INLINE void uct_srd_peer_ah_set_no_ah(uct_srd_peer_t *peer,
                                                          uint8_t no_ah)
{
    peer->iface->rx.special += no_ah - peer->rx.no_ah;
    peer->rx.no_ah = no_ah;
    if (!no_ah) {
        uct_srd_peer_ah_set_asserted(peer, 0);
    }
}

/* May the CQ hold what a peer sent before it had an AH? */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_ah_set_unverified(uct_srd_iface_t *iface, uint8_t unverified)
{
    iface->rx.special += unverified - iface->rx.unverified;
    iface->rx.unverified = unverified;
}

/* To be called when ah, acked or state changed. */
void uct_srd_peer_ah_set_blind(uct_srd_peer_t *peer);

#endif
