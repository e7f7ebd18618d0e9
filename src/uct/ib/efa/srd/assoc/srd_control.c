/*
 * Control messages, sending: who knows whom, and until when (srd-wire.md, 4 to
 * 8). What arrives is in srd_receive.c.
 *
 * None of them is in PSN order, each may be lost: what expects an answer is
 * repeated by the peer's timer, what is an answer is not.
 */
#include "srd/send/srd_rma.h"

#define UCT_SRD_HELLO_MIN 10e-3  /* seconds; doubling to                     */
#define UCT_SRD_HELLO_MAX 1.0
#define UCT_SRD_BYE_MIN   100e-3
#define UCT_SRD_BYE_MAX   10.0

static void
uct_srd_ext_init_any(const uct_srd_iface_t *iface, uint64_t uid, uint32_t epoch,
                     uct_srd_op_t op, uint32_t arg, uct_srd_ext_t *ext)
{
    *ext       = iface->self;
    ext->uid   = uid;
    ext->epoch = epoch;
    ext->op    = op;
    ext->arg   = arg;
    ext->len8  = uct_srd_ext_len(op) / 8;
}

void uct_srd_ext_init(const uct_srd_peer_t *peer, uct_srd_op_t op, uint32_t arg,
                      uct_srd_ext_t *ext)
{
    uct_srd_ext_init_any(peer->iface, peer->uid, peer->epoch, op, arg, ext);
}

void uct_srd_ext_ident(const uct_srd_ext_t *ext, uct_srd_ident_t *ident)
{
    memset(ident, 0, sizeof(*ident));
    memcpy(ident->gid, ext->gid, sizeof(ident->gid));
    ident->qpn  = ext->qpn;
    ident->qkey = ext->qkey;
}

static uct_srd_slot_t *
uct_srd_ctl_slot(uct_srd_iface_t *iface, const uct_srd_ext_t *ext)
{
    uct_srd_slot_t *slot;

    if ((iface->tx.num_ctl == 0) || iface->recover.is) {
        return NULL;
    }

    slot                = iface->tx.ctl_free[--iface->tx.num_ctl];
    slot->flags         = UCT_SRD_SLOT_CTL;
    slot->op            = ext->op;
    slot->peer          = NULL;
    slot->imm           = uct_srd_imm_pack_ctl(ext->epoch);
    slot->sge[0].length = uct_srd_ext_len(ext->op);
    uct_srd_ext_pack(ext, slot->data);
    return slot;
}

static void uct_srd_ctl_slot_put(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_AH) {
        uct_efa_ah_put(iface->context->ahs, slot->ah);
    }

    slot->flags                              = 0;
    iface->tx.ctl_free[iface->tx.num_ctl++] = slot;
}

ucs_status_t
uct_srd_ctl_send_ext(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_op_t op        = ext->op;
    uct_srd_slot_t *slot;
    ucs_status_t status;

    /* Who does not know our new queue pair must not hear anything else from it
     * first: it would take us for somebody new. */
    if ((peer->ah == NULL) || (peer->blocked && (op != UCT_SRD_OP_REJOIN))) {
        return UCS_ERR_NO_RESOURCE;
    }

    slot = uct_srd_ctl_slot(iface, ext);
    if (slot == NULL) {
        return UCS_ERR_NO_RESOURCE;
    }

    slot->peer = peer;
    slot->dest = peer->tx.dest;
    ++peer->tx.ctl;
    peer->contacted |= (op == UCT_SRD_OP_HELLO);
    peer->tx.byes   += (op == UCT_SRD_OP_BYE);

    status = uct_srd_tx_post(iface, slot);
    if (status != UCS_OK) {
        --peer->tx.ctl;
        peer->tx.byes -= (op == UCT_SRD_OP_BYE);
        uct_srd_ctl_slot_put(iface, slot);
        return status;
    }

    uct_srd_peer_event(peer, EFA_STATS_EVENT_CTL_TX, UCS_OK, op,
                       peer->repeats);
    UCT_SRD_COUNT(iface, tx_ctl);
    UCT_SRD_COUNT_ADD(iface, hello, op == UCT_SRD_OP_HELLO);
    return UCS_OK;
}

ucs_status_t
uct_srd_ctl_send(uct_srd_peer_t *peer, uct_srd_op_t op, uint32_t arg)
{
    uct_srd_ext_t ext;

    uct_srd_ext_init(peer, op, arg, &ext);
    return uct_srd_ctl_send_ext(peer, &ext);
}

/* epoch: the latest given out, so that it is not older than any association
 * there was; or that of the REJOIN which is answered too late. */
void uct_srd_ctl_answer(uct_srd_iface_t *iface, const uct_srd_ext_t *to,
                        uct_srd_op_t op, uint32_t arg)
{
    uint32_t epoch = (to->op == UCT_SRD_OP_REJOIN_ACK) ? to->arg : iface->epoch;
    uct_srd_slot_t *slot;
    uct_srd_ident_t ident;
    uct_srd_ext_t ext;

    uct_srd_ext_ident(to, &ident);
    uct_srd_ext_init_any(iface, uct_srd_uid(&iface->uid_key, &ident,
                                            sizeof(ident)),
                         epoch, op, arg, &ext);
    slot = uct_srd_ctl_slot(iface, &ext);
    if (slot == NULL) {
        return;
    }

    if (uct_srd_iface_ah_get(iface, to->gid, &slot->ah) != UCS_OK) {
        uct_srd_ctl_slot_put(iface, slot);
        return;
    }

    slot->flags    |= UCT_SRD_SLOT_AH;
    slot->dest.ah   = slot->ah->ibv_ah;
    slot->dest.qpn  = to->qpn;
    slot->dest.qkey = to->qkey & UCT_SRD_QKEY_MASK;
    if (uct_srd_tx_post(iface, slot) != UCS_OK) {
        uct_srd_ctl_slot_put(iface, slot);
        return;
    }

    uct_efa_stats_event(EFA_STATS_EVENT_CTL_TX, iface->stats, to->gid, to->qpn,
                         UCS_OK, op, 0);
    UCT_SRD_COUNT(iface, tx_ctl);
}

void uct_srd_ctl_done(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                      unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_srd_peer_t *peer              = slot->peer;
    uct_srd_op_t op                   = slot->op;

    uct_srd_ctl_slot_put(iface, slot);
    if (peer == NULL) {
        return;
    }

    peer->tx.byes -= (op == UCT_SRD_OP_BYE);

    switch (desc->action) {
    case UCT_EFA_STATUS_ACTION_NONE:
        peer->ctl_retries = 0;
        peer->bye_taken  |= iface->closing && (op == UCT_SRD_OP_BYE);
        if (ucs_unlikely(peer->lost.is) && (op != UCT_SRD_OP_REJOIN)) {
            uct_srd_peer_found(peer);
        }
        uct_srd_heir_answer(peer, op);
        break;
    case UCT_EFA_STATUS_ACTION_RESEND:
        /* It is alive; the timer repeats what must be repeated. */
        uct_srd_heir_answer(peer, op);
        break;
    case UCT_EFA_STATUS_ACTION_FAIL_IFACE:
        uct_srd_recover_qp_dead(iface);
        break;
    default:
        uct_srd_tx_note_error(peer, vendor_err, peer->ctl_retries);
        if (peer->blocked || uct_srd_peer_lose(peer, vendor_err)) {
            break; /* REJOIN has its own deadline */
        }
        if ((desc->action == UCT_EFA_STATUS_ACTION_RETRY) &&
            (++peer->ctl_retries <= iface->config.retry_count)) {
            break;
        }
        if (!iface->closing) {
            peer->cause = vendor_err;
            uct_srd_peer_fail_log(peer, desc->status, desc->text,
                                  desc->advice);
        }
        break;
    }

    --peer->tx.ctl;
    if ((op == UCT_SRD_OP_BYE) && (peer->tx.byes == 0)) {
        uct_srd_peer_wake(peer); /* a new endpoint may have waited for it */
    }

    uct_srd_peer_tx_progress(peer);
}

/* ----------------------------------------------------------------- timers */

static void uct_srd_ctl_timer_set(uct_srd_peer_t *peer)
{
    if (uct_srd_timer_set(&peer->iface->timers, &peer->timer,
                          ucs_get_time() + peer->interval) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY,
                              "no memory for a timer", "free memory");
    }
}

void uct_srd_ctl_timer_start(uct_srd_peer_t *peer, double first)
{
    /* FAILED: the post of what the timer repeats was refused */
    if (uct_srd_timer_is_set(&peer->timer) ||
        (peer->state >= UCT_SRD_PEER_FAILED)) {
        return;
    }

    peer->interval = ucs_time_from_sec(first);
    uct_srd_ctl_timer_set(peer);
}

static void uct_srd_ctl_timer_again(uct_srd_peer_t *peer, double max)
{
    if (peer->state >= UCT_SRD_PEER_FAILED) {
        return;
    }

    peer->interval = ucs_min(peer->interval * 2, ucs_time_from_sec(max));
    uct_srd_ctl_timer_set(peer);
}

void uct_srd_ctl_timer_stop(uct_srd_peer_t *peer)
{
    uct_srd_timer_clear(&peer->iface->timers, &peer->timer);
}

void uct_srd_ctl_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, timer);

    if (peer->elder != NULL) {
        uct_srd_heir_ask(peer);
        if (peer->elder != NULL) {
            uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
        }
        return;
    }

    peer->repeats = 1;
    if (peer->ext_req) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_REQ, 0);
    }

    switch (peer->state) {
    case UCT_SRD_PEER_JOINING:
        if (peer->rejoining) {
            uct_srd_rejoin_send(peer);
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
        if (peer->ext_req) {
            uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
        }
        uct_srd_peer_wake(peer); /* for want of an AH */
        break;
    }
    peer->repeats = 0;
}

/* ------------------------------------------------------------ transitions */

void uct_srd_ctl_join(uct_srd_peer_t *peer)
{
    uct_srd_ctl_timer_stop(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_JOINING);
    uct_srd_ctl_timer_start(peer, UCT_SRD_HELLO_MIN);
    uct_srd_peer_tx_update(peer);
}

void uct_srd_ctl_join_again(uct_srd_peer_t *peer)
{
    if ((peer->state == UCT_SRD_PEER_JOINED) ||
        (peer->state == UCT_SRD_PEER_NEW)) {
        uct_srd_ctl_join(peer);
        uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
    }
}

void uct_srd_ctl_joined(uct_srd_peer_t *peer)
{
    uct_srd_ctl_timer_stop(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_JOINED);
    if (peer->ext_req) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_HELLO_MIN); /* EXT_REQ's again */
    }
    peer->bye_sent  = 0;
    peer->confirmed = 1;
    peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS; /* the window grew */
    uct_srd_tx_queue_post(peer, &peer->tx.held);
    uct_srd_rma_held_post(peer);
}

void uct_srd_ctl_leave(uct_srd_peer_t *peer)
{
    if (peer->blocked && (peer->elder == NULL)) {
        return; /* first it must know who says goodbye */
    }

    if (!peer->contacted && !peer->rx.known) {
        uct_srd_peer_forget(peer); /* neither side knows the other */
        return;
    }

    if (!peer->contacted || (peer->state == UCT_SRD_PEER_LEAVING)) {
        return; /* it is the remote's turn; or under way */
    }

    uct_srd_ctl_timer_stop(peer);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_LEAVING);
    uct_srd_peer_tx_update(peer);
    peer->bye_sent = 1;
    if (uct_srd_peer_ah_get(peer) == UCS_OK) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_BYE, peer->tx.psn);
    }
    if (peer->state == UCT_SRD_PEER_LEAVING) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_BYE_MIN);
    }
}
