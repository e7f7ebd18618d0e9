/*
 * An endpoint: a user's view of a peer. It owns pending requests and knows how
 * many zero-copy sends still read the user's memory; order and windows belong
 * to the peer.
 */
#ifndef UCT_SRD_EP_DEF_H
#define UCT_SRD_EP_DEF_H

#include "srd/def/srd_def.h"

struct uct_srd_ep {
    uct_base_ep_t       super;

    /* written by peer/srd_peer_ep.c */
    uct_srd_peer_t      *peer;
    ucs_arbiter_group_t pending;   /* uct/srd_ep_pending.c                   */
    ucs_list_link_t     list;      /* in peer->eps                           */
    ucs_queue_head_t    cancels;   /* uct_srd_waiter_t: flush(CANCEL)        */
    unsigned            zcopy;     /* slots that refer to the user's memory  */
    unsigned            rma;       /* one-sided operations under way         */
    ucs_list_link_t     failed;    /* in peers.failed_eps, if status         */
    ucs_status_t        status;    /* of its own failure                     */
    uint8_t             reported;  /* of the peer's failure                  */
    unsigned            num_pending; /* requests in pending                  */

    /* written by uct/ */
    unsigned            wanted;    /* slots, by a list that was refused last */
    const void          *caller;   /* who made it, efa_caller.h              */
    uint64_t            create_time; /* of the segment                       */
    uct_efa_stats_ep_t  *stats;
};

#define UCT_SRD_EP_IFACE(_ep) \
    ucs_derived_of((_ep)->super.super.iface, uct_srd_iface_t)

#endif
