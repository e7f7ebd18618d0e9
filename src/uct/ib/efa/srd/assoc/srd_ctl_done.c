/*
 * What follows when a control message has left, or not. Those that are lost are
 * repeated by the peer's timer, or not needed.
 */
#include "srd/assoc/srd_ctl_done.h"
#include "srd/assoc/srd_resume.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/queues/srd_queues.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_retransmit.h"
#include "srd/def/srd_upcall.h"

static void uct_srd_ctl_done_slot(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                                  unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_efa_status_action_t action    = desc->action[UCT_EFA_STATUS_CONTROL];
    uct_srd_peer_t *peer              = slot->peer;
    uct_srd_op_t op                   = slot->op;

    uct_srd_ctl_slot_put(iface, slot);
    if (peer == NULL) {
        return;
    }

    peer->ctl.byes -= (op == UCT_SRD_OP_BYE);

    switch (action) {
    case UCT_EFA_STATUS_ACTION_NONE:
        peer->ctl.retries = 0;
        peer->ctl.bye_taken |= iface->closing && (op == UCT_SRD_OP_BYE);
        if (uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED) &&
            (op != UCT_SRD_OP_REJOIN)) {
            iface->resume->found(peer);
        }
        iface->resume->lives(peer, op);
        break;
    case UCT_EFA_STATUS_ACTION_REPEAT:
        /* It is alive; the timer repeats what must be repeated. */
        iface->resume->lives(peer, op);
        break;
    case UCT_EFA_STATUS_ACTION_FAIL_IFACE:
        uct_srd_queues_set_failed(iface);
        break;
    default:
        uct_srd_retransmit_note(peer, vendor_err, peer->ctl.retries);
        if (uct_srd_gate_has(peer, UCT_SRD_GATE_BLOCKED) ||
            uct_srd_retransmit_may(peer, action, vendor_err,
                                   &peer->ctl.retries)) {
            break; /* REJOIN has its own deadline */
        }
        if (!iface->closing) {
            peer->cause = vendor_err;
            uct_srd_peer_fail_log(peer, desc->status, desc->text, desc->advice);
        }
        break;
    }

    --peer->ctl.num;
    if ((op == UCT_SRD_OP_BYE) && (peer->ctl.byes == 0)) {
        uct_srd_peer_ep_wake(peer); /* a new endpoint may have waited for it */
    }

    uct_srd_upcall_moved(peer);
}

/* As lost: whoever took it or not, the queue pair may be sound. */
static void uct_srd_ctl_done_lost(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_ctl_done_slot(iface, slot, UCT_EFA_STATUS_RNR);
}

static void uct_srd_ctl_done_drop(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->ah != NULL) {
        uct_efa_ah_put(iface->queues.context->ahs, slot->ah);
    }
}

const uct_srd_slot_ops_t uct_srd_ctl_done_ops = {
    .done    = uct_srd_ctl_done_slot,
    .keep    = uct_srd_ctl_done_lost,
    .refused = uct_srd_ctl_done_lost,
    .drop    = uct_srd_ctl_done_drop
};
