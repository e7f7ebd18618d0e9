/*
 * An association from our side: begun, joined, left (srd-wire.md, 4 to 8). What
 * the other side says is in srd_ctl_ops.c.
 */
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_end.h"
#include "srd/assoc/srd_resume.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/peer/srd_show.h"
#include "srd/send/srd_backlog.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_retransmit.h"
#include "srd/send/srd_rma_held.h"
#include "srd/send/srd_waiter.h"
#include "srd/def/srd_upcall.h"

uct_srd_peer_t *uct_srd_assoc_new(uct_srd_iface_t *iface,
                                  const uct_srd_ident_t *ident)
{
    uct_srd_peer_t *peer = uct_srd_peer_create(iface, ident);

    if (peer != NULL) {
        uct_srd_timer_init(&peer->tx.timer, uct_srd_backlog_timer);
        uct_srd_timer_init(&peer->ctl.timer, uct_srd_assoc_timer);
    }

    return peer;
}

void uct_srd_assoc_join(uct_srd_peer_t *peer)
{
    uct_srd_ctl_timer_stop(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_JOINING);
    uct_srd_ctl_timer_start(peer, UCT_SRD_HELLO_MIN);
    uct_srd_gate_update(peer);
}

void uct_srd_upcall_wants(uct_srd_peer_t *peer, uct_srd_wants_t what)
{
    if (what == UCT_SRD_WANTS_SEND) {
        uct_srd_assoc_join(peer);
    } else if ((peer->state == UCT_SRD_PEER_JOINED) ||
               (peer->state == UCT_SRD_PEER_NEW)) {
        uct_srd_assoc_join(peer);
        uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
    }
}

void uct_srd_assoc_joined(uct_srd_peer_t *peer)
{
    uct_srd_ctl_timer_stop(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_JOINED);
    if (peer->ctl.ext_req) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_HELLO_MIN); /* EXT_REQ's again */
    }
    peer->ctl.bye_sent  = 0;
    peer->ctl.confirmed = 1;
    peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS; /* the window grew */
    uct_srd_retransmit_queue(peer, &peer->tx.held);
    uct_srd_rma_held_post(peer);
}

void uct_srd_assoc_leave(uct_srd_peer_t *peer)
{
    if (uct_srd_gate_has(peer, UCT_SRD_GATE_BLOCKED) &&
        (peer->rare->resume.predecessor == NULL)) {
        return; /* first it must know who says goodbye */
    }

    if (!peer->ctl.contacted && !peer->rx.known) {
        uct_srd_end_forget(peer); /* neither side knows the other */
        return;
    }

    if (!peer->ctl.contacted || (peer->state == UCT_SRD_PEER_LEAVING)) {
        return; /* it is the remote's turn; or under way */
    }

    uct_srd_ctl_timer_stop(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_LEAVING);
    uct_srd_gate_update(peer);
    peer->ctl.bye_sent = 1;
    if (uct_srd_peer_ah_get(peer) == UCS_OK) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_BYE, peer->tx.psn);
    }
    if (peer->state == UCT_SRD_PEER_LEAVING) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_BYE_MIN);
    }
}

void uct_srd_upcall_moved(uct_srd_peer_t *peer)
{
    if (ucs_unlikely(uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED)) &&
        (peer->rare->suspect.done != uct_srd_peer_done_count(peer))) {
        peer->iface->resume->found(peer);
    }

    uct_srd_gate_update(peer);
    if (peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_end_try_free(peer);
        return;
    }

    if (ucs_unlikely(peer->tx.flags & UCT_SRD_PEER_TX_PAUSED)) {
        uct_srd_show_pause(peer);
    }

    if (peer->tx.flags & UCT_SRD_PEER_TX_WAITERS) {
        uct_srd_waiter_run(peer);
    }

    if (peer->state >= UCT_SRD_PEER_FAILED) {
        uct_srd_end_try_free(peer);
    } else if ((peer->tx.flags & UCT_SRD_PEER_TX_NO_EP) &&
               (peer->eps.num == 0) && uct_srd_peer_is_quiet(peer)) {
        uct_srd_assoc_leave(peer);
    }
}

/* HELLO need not come again yet: its AH was given up for others, nothing is
 * under way, and the next message begins anew. Of many such peers each HELLO
 * would take an AH from one that sends. */
static int uct_srd_assoc_may_rest(const uct_srd_peer_t *peer)
{
    return (peer->ah == NULL) && uct_srd_peer_is_quiet(peer) &&
           (peer->ctl.interval < ucs_time_from_sec(UCT_SRD_HELLO_REST));
}

/* Of many peers that are due at once most wait for a later time: what answers
 * others' HELLOs needs slots, too, or nobody gets on. */
static int uct_srd_assoc_is_crowded(const uct_srd_iface_t *iface)
{
    return iface->tx.num_ctl < UCT_SRD_CTL_SLOTS / 2;
}

void uct_srd_assoc_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, ctl.timer);

    peer->ctl.repeats = 1;
    if (peer->ctl.ext_req) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_REQ, 0);
    }

    switch (peer->state) {
    case UCT_SRD_PEER_JOINING:
        if (uct_srd_assoc_may_rest(peer)) {
            uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_REST);
            break;
        } else if (uct_srd_assoc_is_crowded(peer->iface)) {
            uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
            break;
        }
        /* What failed and waits to be sent again says HELLO as well. */
        (void)uct_srd_peer_ah_get(peer); /* it may have lost its own */
        uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
        UCT_SRD_COUNT(peer->iface, hello_retry);
        uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
        break;
    case UCT_SRD_PEER_LEAVING:
        if (uct_srd_peer_ah_get(peer) == UCS_OK) {
            uct_srd_ctl_send(peer, UCT_SRD_OP_BYE, peer->tx.psn);
        }
        uct_srd_ctl_timer_again(peer, UCT_SRD_BYE_MAX);
        break;
    default:
        if (peer->ctl.ext_req) {
            uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
        }
        uct_srd_peer_ep_wake(peer); /* for want of an AH */
        break;
    }
    peer->ctl.repeats = 0;
}
