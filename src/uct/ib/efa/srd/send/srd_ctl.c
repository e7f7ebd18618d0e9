/*
 * Control messages: filled, posted, and the timer that repeats them
 * (srd-wire.md, 4 to 8). None of them is in PSN order, each may be lost: what
 * expects an answer is repeated by the peer's timer, what is an answer is not.
 */
#include "srd/send/srd_ctl.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_trace.h"
#include "srd/send/srd_post.h"

void uct_srd_ctl_init(uct_srd_iface_t *iface, const uct_srd_slot_ops_t *ops)
{
    unsigned i;

    for (i = 0; i < iface->tx.num_ctl; ++i) {
        iface->tx.ctl_free[i]->ops = ops;
    }
}

static void uct_srd_ctl_ext_init_any(const uct_srd_iface_t *iface, uint64_t uid,
                                     uint32_t epoch, uct_srd_op_t op,
                                     uint32_t arg, uct_srd_ext_t *ext)
{
    *ext       = iface->queues.self;
    ext->uid   = uid;
    ext->epoch = epoch;
    ext->op    = op;
    ext->arg   = arg;
    ext->len8  = uct_srd_ext_len(op) / 8;
}

void uct_srd_ctl_ext_init(const uct_srd_peer_t *peer, uct_srd_op_t op,
                          uint32_t arg, uct_srd_ext_t *ext)
{
    uct_srd_ctl_ext_init_any(peer->iface, peer->uid, peer->epoch, op, arg, ext);
}

void uct_srd_ctl_ident(const uct_srd_ext_t *ext, uct_srd_ident_t *ident)
{
    memset(ident, 0, sizeof(*ident));
    memcpy(ident->gid, ext->gid, sizeof(ident->gid));
    ident->qpn  = ext->qpn;
    ident->qkey = ext->qkey;
}

static uct_srd_slot_t *uct_srd_ctl_slot(uct_srd_iface_t *iface,
                                        const uct_srd_ext_t *ext)
{
    uct_srd_slot_t *slot;

    if ((iface->tx.num_ctl == 0) || iface->recover.is) {
        return NULL;
    }

    slot                = iface->tx.ctl_free[--iface->tx.num_ctl];
    slot->flags         = UCT_SRD_SLOT_OTHER;
    slot->op            = ext->op;
    slot->peer          = NULL;
    slot->imm           = uct_srd_imm_pack_ctl(ext->epoch);
    slot->sge[0].length = uct_srd_ext_len(ext->op);
    uct_srd_ext_pack(ext, slot->data);
    return slot;
}

static ucs_status_t uct_srd_ctl_post(uct_srd_iface_t *iface,
                                     uct_srd_slot_t *slot)
{
    struct ibv_send_wr *wr;
    struct ibv_sge *sge;

    wr             = uct_srd_post_next(iface, &sge);
    sge[0]         = slot->sge[0];
    wr->sg_list    = sge;
    wr->num_sge    = 1;
    wr->send_flags = (sge[0].length <= iface->tx.max_inline) ? IBV_SEND_INLINE :
                                                               0;
    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_send_ctl(iface, slot);
    }

    return uct_srd_post(iface, slot, &slot->dest, wr, slot->imm);
}

void uct_srd_ctl_slot_put(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->ah != NULL) {
        uct_efa_ah_put(iface->queues.context->ahs, slot->ah);
        slot->ah = NULL;
    }

    slot->flags                             = 0;
    iface->tx.ctl_free[iface->tx.num_ctl++] = slot;
}

ucs_status_t uct_srd_ctl_send_ext(uct_srd_peer_t *peer,
                                  const uct_srd_ext_t *ext)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_op_t op        = ext->op;
    uct_srd_slot_t *slot;
    ucs_status_t status;

    /* Who does not know our new queue pair must not hear anything else from it
     * first: it would take us for somebody new. */
    if ((peer->ah == NULL) || (uct_srd_gate_has(peer, UCT_SRD_GATE_RESUME) &&
                               (op != UCT_SRD_OP_REJOIN))) {
        return UCS_ERR_NO_RESOURCE;
    }

    slot = uct_srd_ctl_slot(iface, ext);
    if (slot == NULL) {
        return UCS_ERR_NO_RESOURCE;
    }

    slot->peer = peer;
    slot->dest = peer->tx.dest;
    ++peer->ctl.num;
    peer->ctl.contacted |= (op == UCT_SRD_OP_HELLO);
    peer->ctl.byes += (op == UCT_SRD_OP_BYE);

    status = uct_srd_ctl_post(iface, slot);
    if (status != UCS_OK) {
        --peer->ctl.num;
        peer->ctl.byes -= (op == UCT_SRD_OP_BYE);
        uct_srd_ctl_slot_put(iface, slot);
        return status;
    }

    uct_srd_peer_event(peer, EFA_STATS_EVENT_CTL_TX, UCS_OK, op,
                       peer->ctl.repeats);
    UCT_SRD_COUNT(iface, tx_ctl);
    UCT_SRD_COUNT_ADD(iface, hello, op == UCT_SRD_OP_HELLO);
    return UCS_OK;
}

ucs_status_t uct_srd_ctl_send(uct_srd_peer_t *peer, uct_srd_op_t op,
                              uint32_t arg)
{
    uct_srd_ext_t ext;

    uct_srd_ctl_ext_init(peer, op, arg, &ext);
    return uct_srd_ctl_send_ext(peer, &ext);
}

/* epoch: the latest given out, so that it is not older than any association
 * there was; or that of the REJOIN which is answered too late. */
void uct_srd_ctl_answer(uct_srd_iface_t *iface, const uct_srd_ext_t *to,
                        uct_srd_op_t op, uint32_t arg)
{
    uint32_t epoch = (to->op == UCT_SRD_OP_REJOIN_ACK) ? to->arg :
                                                         iface->peers.epoch;
    uct_srd_slot_t *slot;
    uct_srd_ident_t ident;
    uct_srd_ext_t ext;

    uct_srd_ctl_ident(to, &ident);
    uct_srd_ctl_ext_init_any(iface,
                             uct_srd_uid(&iface->peers.uid_key, &ident,
                                         sizeof(ident)),
                             epoch, op, arg, &ext);
    slot = uct_srd_ctl_slot(iface, &ext);
    if (slot == NULL) {
        return;
    }

    if (uct_srd_peer_ah_get_gid(iface, to->gid, &slot->ah) != UCS_OK) {
        slot->ah = NULL;
        uct_srd_ctl_slot_put(iface, slot);
        return;
    }

    slot->dest.ah   = slot->ah->ibv_ah;
    slot->dest.ahn  = slot->ah->ahn;
    slot->dest.qpn  = to->qpn;
    slot->dest.qkey = to->qkey & UCT_SRD_QKEY_MASK;
    if (uct_srd_ctl_post(iface, slot) != UCS_OK) {
        uct_srd_ctl_slot_put(iface, slot);
        return;
    }

    uct_efa_stats_event(EFA_STATS_EVENT_CTL_TX, iface->stats, to->gid, to->qpn,
                        UCS_OK, op, 0);
    UCT_SRD_COUNT(iface, tx_ctl);
}

/* ----------------------------------------------------------------- timers */

static void uct_srd_ctl_timer_set(uct_srd_peer_t *peer)
{
    if (uct_srd_timer_set(&peer->iface->timers, &peer->ctl.timer,
                          ucs_get_time() + peer->ctl.interval) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a timer",
                              "free memory");
    }
}

void uct_srd_ctl_timer_start(uct_srd_peer_t *peer, double first)
{
    /* FAILED: the post of what the timer repeats was refused */
    if (uct_srd_timer_is_set(&peer->ctl.timer) ||
        (peer->state >= UCT_SRD_PEER_FAILED)) {
        return;
    }

    peer->ctl.interval = ucs_time_from_sec(first);
    uct_srd_ctl_timer_set(peer);
}

void uct_srd_ctl_timer_again(uct_srd_peer_t *peer, double max)
{
    if (peer->state >= UCT_SRD_PEER_FAILED) {
        return;
    }

    peer->ctl.interval = ucs_min(peer->ctl.interval * 2,
                                 ucs_time_from_sec(max));
    uct_srd_ctl_timer_set(peer);
}

void uct_srd_ctl_timer_stop(uct_srd_peer_t *peer)
{
    uct_srd_timer_clear(&peer->iface->timers, &peer->ctl.timer);
}
