/*
 * An endpoint: a user's view of a peer. It owns pending requests and knows how
 * many zero-copy sends still read the user's memory; order and windows belong
 * to the peer.
 */
#ifndef UCT_SRD_EP_H
#define UCT_SRD_EP_H

#include "srd/uct/srd_iface.h"

struct uct_srd_ep {
    uct_base_ep_t       super;
    uct_srd_peer_t      *peer;
    ucs_arbiter_group_t pending;
    ucs_list_link_t     list;      /* in peer->eps                           */
    ucs_queue_head_t    cancels;   /* uct_srd_waiter_t: flush(CANCEL)        */
    unsigned            zcopy;     /* slots that refer to the user's memory  */
    unsigned            rma;       /* one-sided operations under way         */
    ucs_status_t        status;    /* of its own failure, see uct_srd_ep_fail */
    ucs_list_link_t     failed;    /* in iface->failed_eps, if status        */
    uint8_t             told;      /* of the peer's failure                  */
    unsigned            num_pending; /* requests in pending                  */
    unsigned            wanted;    /* slots, by a list that was refused last */
    const void          *caller;   /* who made it, efa_caller.h              */
    uint64_t            create_time; /* of the window                        */
    uct_efa_stats_ep_t *stats;
};

/* One more or less of these, also in the window */
static UCS_F_ALWAYS_INLINE void
uct_srd_ep_count_zcopy(uct_srd_ep_t *ep, int change)
{
    ep->zcopy      += change;
    ep->stats->zcopy += change;
}

static UCS_F_ALWAYS_INLINE void
uct_srd_ep_count_rma(uct_srd_ep_t *ep, int change)
{
    ep->rma      += change;
    ep->stats->rma += change;
}

#define UCT_SRD_EP_IFACE(_ep) \
    ucs_derived_of((_ep)->super.super.iface, uct_srd_iface_t)

UCS_CLASS_DECLARE_NEW_FUNC(uct_srd_ep_t, uct_ep_t, const uct_ep_params_t*);
UCS_CLASS_DECLARE_DELETE_FUNC(uct_srd_ep_t, uct_ep_t);

ucs_status_t uct_srd_ep_am_short(uct_ep_h tl_ep, uint8_t id, uint64_t header,
                                 const void *payload, unsigned length);
ucs_status_t uct_srd_ep_am_short_iov(uct_ep_h tl_ep, uint8_t id,
                                     const uct_iov_t *iov, size_t iovcnt);
ssize_t uct_srd_ep_am_bcopy(uct_ep_h tl_ep, uint8_t id, uct_pack_callback_t pack,
                            void *arg, unsigned flags);
ucs_status_t uct_srd_ep_am_zcopy(uct_ep_h tl_ep, uint8_t id, const void *header,
                                 unsigned header_length, const uct_iov_t *iov,
                                 size_t iovcnt, unsigned flags,
                                 uct_completion_t *comp);
ucs_status_t uct_srd_ep_flush(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp);
ucs_status_t uct_srd_ep_fence(uct_ep_h tl_ep, unsigned flags);
ucs_status_t uct_srd_ep_check(uct_ep_h tl_ep, unsigned flags,
                              uct_completion_t *comp);
ucs_status_t uct_srd_ep_pending_add(uct_ep_h tl_ep, uct_pending_req_t *req,
                                    unsigned flags);
void uct_srd_ep_pending_purge(uct_ep_h tl_ep, uct_pending_purge_callback_t cb,
                              void *arg);
ucs_status_t uct_srd_ep_invalidate(uct_ep_h tl_ep);
int uct_srd_ep_is_connected(uct_ep_h tl_ep, const void *dev_addr,
                            const void *iface_addr);

/* An operation failed that nobody else will hear of: the endpoint alone fails,
 * and its user is told in progress. Its peer and other endpoints live on. */
void uct_srd_ep_fail(uct_srd_ep_t *ep, ucs_status_t status);

/* Likewise, by the user, who need not be told */
void uct_srd_ep_set_cancelled(uct_srd_ep_t *ep);

ucs_status_t uct_srd_iface_fence(uct_iface_h tl_iface, unsigned flags);

/* The last zero-copy slot of a cancelled endpoint has completed. cancels: those
 * of the endpoint, but not in it any more: the callbacks may close it. */
void uct_srd_ep_cancels_end(ucs_queue_head_t *cancels);

/* So many more or fewer pending requests, also in the window */
void uct_srd_ep_count_pending(uct_srd_ep_t *ep, int change);

/* Runs pending requests that may succeed now. */
void uct_srd_iface_pending_progress(uct_srd_iface_t *iface);

#endif
