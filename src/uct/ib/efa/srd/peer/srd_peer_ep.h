/*
 * A peer's endpoints: which there are, what waits in them, which have failed,
 * and what of their user's is under way. Counts are shown in the segment, too.
 */
#ifndef UCT_SRD_PEER_EP_H
#define UCT_SRD_PEER_EP_H

#include "srd/def/srd_iface_def.h"

/* An endpoint came or went, or goes to another peer, with nothing under way. */
void uct_srd_peer_ep_add(uct_srd_peer_t *peer, uct_srd_ep_t *ep);
void uct_srd_peer_ep_del(uct_srd_peer_t *peer, uct_srd_ep_t *ep);
void uct_srd_peer_ep_move(uct_srd_ep_t *ep, uct_srd_peer_t *to);

/* Schedules the pending requests of all of them. */
void uct_srd_peer_ep_wake(uct_srd_peer_t *peer);

/* An operation failed that nobody else will hear of: the endpoint alone fails,
 * and its user is told in progress. Its peer and other endpoints live on. */
void uct_srd_peer_ep_fail(uct_srd_ep_t *ep, ucs_status_t status);

/* Likewise, by the user, who need not be told */
void uct_srd_peer_ep_set_cancelled(uct_srd_ep_t *ep);

/* So many more or fewer pending requests */
void uct_srd_peer_ep_count_pending(uct_srd_ep_t *ep, int change);

/* One more or less of these */
static UCS_F_ALWAYS_INLINE void uct_srd_peer_ep_count_zcopy(uct_srd_ep_t *ep,
                                                            int change)
{
    ep->zcopy += change;
    ep->stats->zcopy += change;
}

static UCS_F_ALWAYS_INLINE void uct_srd_peer_ep_count_rma(uct_srd_ep_t *ep,
                                                          int change)
{
    ep->rma += change;
    ep->stats->rma += change;
}

#endif
