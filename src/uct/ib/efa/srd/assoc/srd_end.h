/*
 * How peers end: forgotten or failed, reported to their endpoints, freed.
 */
#ifndef UCT_SRD_END_H
#define UCT_SRD_END_H

#include "srd/def/srd_iface_def.h"

/* Takes the peer out of the tables. It is freed as soon as nothing refers to
 * it: not to be touched afterwards. */
void uct_srd_end_forget(uct_srd_peer_t *peer);

/* Frees the peer if it is FAILED or GONE and unused. */
void uct_srd_end_try_free(uct_srd_peer_t *peer);

/* Is there a failure that has not been told? */
static UCS_F_ALWAYS_INLINE int uct_srd_end_must_report(uct_srd_iface_t *iface)
{
    return !ucs_list_is_empty(&iface->peers.failed) ||
           !ucs_list_is_empty(&iface->peers.failed_eps);
}

/* Tells endpoints of failed peers, and failed ones. Returns how many. */
unsigned uct_srd_end_report(uct_srd_iface_t *iface);

#endif
