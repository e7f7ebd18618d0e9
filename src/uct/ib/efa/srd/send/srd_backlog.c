/*
 * All that waits to be sent to a peer: when it goes out.
 */
#include "srd/send/srd_backlog.h"
#include "srd/send/srd_retransmit.h"
#include "srd/send/srd_rma_held.h"
#include "srd/def/srd_upcall.h"

void uct_srd_backlog_post(uct_srd_peer_t *peer)
{
    uct_srd_retransmit_queue(peer, &peer->tx.retransmit);
    uct_srd_retransmit_queue(peer, &peer->tx.held); /* for want of an AH */
    uct_srd_rma_held_post(peer);
}

void uct_srd_backlog_resume(uct_srd_peer_t *peer)
{
    peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
    uct_srd_backlog_post(peer);
}

void uct_srd_backlog_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, tx.timer);

    uct_srd_backlog_post(peer);
    uct_srd_upcall_moved(peer);
}
