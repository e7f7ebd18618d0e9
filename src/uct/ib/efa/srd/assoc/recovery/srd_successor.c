/*
 * Whoever has the new address of a peer before REJOIN has come from there would
 * begin a second association with it, and break the first. So an endpoint whose
 * address has the GID and the QKEY of a peer, and another QPN, waits:
 *
 *   successor --- is it still there? PING ---> predecessor: of the other QPN
 *       |                                          |
 *       |<-- it answers: another interface --------+
 *       |<-- it has failed, or is gone ------------+
 *       |        goes on alone                     |
 *       |                                          |
 *       +<-- REJOIN from the successor's name -----+
 *                its endpoints are the predecessor's
 *
 * Nothing has left for a successor, and nobody else knows of it. Only REJOIN
 * makes the two one, since GID and QKEY are no secret.
 */
#include "srd/assoc/recovery/srd_successor.h"
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_end.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/peer/srd_peer_rare.h"
#include "srd/peer/srd_show.h"
#include "srd/send/srd_ctl.h"

#define UCT_SRD_SUCCESSOR_ASK 10e-3 /* seconds, doubling                     */

int uct_srd_successor_is_unused(const uct_srd_peer_t *peer)
{
    return (peer->state == UCT_SRD_PEER_NEW) && !peer->ctl.contacted &&
           !peer->rx.known && uct_srd_peer_is_quiet(peer);
}

void uct_srd_successor_end(uct_srd_peer_t *peer)
{
    uct_srd_peer_t *predecessor = (peer->rare->resume.predecessor != NULL) ?
                                          peer->rare->resume.predecessor :
                                          peer;
    uct_srd_peer_t *successor   = predecessor->rare->resume.successor;

    if (successor == NULL) {
        return;
    }

    predecessor->rare->resume.successor = NULL;
    successor->rare->resume.predecessor = NULL;
    uct_srd_ctl_timer_stop(successor);
    successor->ctl.timer.func = uct_srd_assoc_timer;
    uct_srd_gate_clear(successor, UCT_SRD_GATE_SUCCESSOR);
    uct_srd_gate_update(successor);
    uct_srd_show_wait(successor);
    uct_srd_peer_ep_wake(successor);
}

void uct_srd_successor_join(uct_srd_peer_t *predecessor, uct_srd_peer_t *peer)
{
    uct_srd_ep_t *ep;

    uct_srd_successor_end(peer);
    while (!ucs_list_is_empty(&peer->eps.list)) {
        ep = ucs_list_head(&peer->eps.list, uct_srd_ep_t, list);
        uct_srd_peer_ep_move(ep, predecessor);
    }

    uct_srd_end_forget(peer);
}

/* Is the predecessor still there? Not for ever: srd_suspect.c. */
static void uct_srd_successor_ask(uct_srd_peer_t *peer)
{
    uct_srd_peer_t *predecessor = peer->rare->resume.predecessor;

    /* What is on its way from before says nothing about now. */
    if ((predecessor->ctl.num == 0) &&
        (uct_srd_peer_ah_get(predecessor) == UCS_OK)) {
        predecessor->rare->resume.asked = 1;
        uct_srd_ctl_send(predecessor, UCT_SRD_OP_PING, 0);
    }
}

static void uct_srd_successor_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, ctl.timer);

    uct_srd_successor_ask(peer);
    if (peer->rare->resume.predecessor != NULL) {
        uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
    }
}

ucs_status_t uct_srd_successor_wait(uct_srd_peer_t *peer)
{
    uct_srd_peer_t *predecessor;

    predecessor = uct_srd_names_find_any_qpn(peer->iface, &peer->ident);
    if ((predecessor == NULL) ||
        (predecessor->rare->resume.successor != NULL)) {
        return UCS_OK;
    }

    if ((uct_srd_peer_rare(peer) == NULL) ||
        (uct_srd_peer_rare(predecessor) == NULL)) {
        ucs_error("srd: no memory for a peer");
        return UCS_ERR_NO_MEMORY;
    }

    peer->rare->resume.predecessor      = predecessor;
    peer->ctl.timer.func                = uct_srd_successor_timer;
    predecessor->rare->resume.successor = peer;
    predecessor->rare->resume.asked     = 0;
    uct_srd_gate_set(peer, UCT_SRD_GATE_SUCCESSOR);
    uct_srd_show_wait(peer);
    uct_srd_successor_ask(peer);
    if (peer->rare->resume.predecessor != NULL) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_SUCCESSOR_ASK);
    }
    return UCS_OK;
}

void uct_srd_successor_answer(uct_srd_peer_t *predecessor, uct_srd_op_t op)
{
    if ((predecessor->rare->resume.successor != NULL) &&
        predecessor->rare->resume.asked && (op == UCT_SRD_OP_PING)) {
        uct_srd_successor_end(predecessor);
    }
}
