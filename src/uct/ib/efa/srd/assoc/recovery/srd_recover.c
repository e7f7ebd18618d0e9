/*
 * Our device was reset, or our queue pair failed: a new one, without the user
 * (srd-wire.md, section 12).
 *
 *            IBV_EVENT_DEVICE_FATAL, IBV_EVENT_QP_FATAL, status 1
 *   works ---------------------------------------------------------> recovers
 *     ^       all that was received is handled, what is not known      |  |
 *     |       to be delivered is kept, all peers are blocked           |  |
 *     |                                                                |  |
 *     +---------------------- device is back: new CQ, QP, keys --------+  |
 *     |         peers: REJOIN (srd_rejoin.c)                              |
 *     |                                              RECOVERY_TIMEOUT     v
 *     +----------------------------------------------------------- failed:
 *                   device is back after all       peers fail, new ones too
 *
 * The old queues stay until there are new ones: a dead CQ is empty, a dead QP
 * swallows what is posted, so no other code asks whether they are alive. All
 * that comes in between is refused by the peers (blocked).
 */
#include "srd/send/srd_rma.h"
#include "srd/recv/srd_rx.h"

#include <errno.h>

#define UCT_SRD_RECOVER_LOOK  10e-3  /* seconds between looks at the device   */
#define UCT_SRD_RECOVER_TRY   50e-3  /* and between tries to open it,         */
#define UCT_SRD_RECOVER_LATER 1.0    /* after the time has run out            */

/* What a queue pair takes with it */
typedef struct {
    uct_efa_context_t       *context;
    struct ibv_cq           *cq;
    struct ibv_cq_ex        *cq_ex;
    struct efadv_cq         *cq_efa;
    struct ibv_qp           *qp;
    struct ibv_qp_ex        *qp_ex;
    struct ibv_comp_channel *channel;
    unsigned                unacked;
    uct_srd_ext_t           self;
    uct_efa_stats_object_t *cq_stats;
    uct_efa_stats_object_t *qp_stats;
} uct_srd_queues_t;

static void uct_srd_queues_save(const uct_srd_iface_t *iface,
                                uct_srd_queues_t *queues)
{
    queues->context = iface->context;
    queues->cq      = iface->cq;
    queues->cq_ex   = iface->cq_ex;
    queues->cq_efa  = iface->cq_efa;
    queues->qp      = iface->qp;
    queues->qp_ex   = iface->qp_ex;
    queues->channel = iface->event.channel;
    queues->unacked = iface->event.unacked;
    queues->self    = iface->self;
    queues->cq_stats  = iface->shown.cq;
    queues->qp_stats  = iface->shown.qp;
}

static void uct_srd_queues_restore(uct_srd_iface_t *iface,
                                   const uct_srd_queues_t *queues)
{
    iface->context       = queues->context;
    iface->cq            = queues->cq;
    iface->cq_ex         = queues->cq_ex;
    iface->cq_efa        = queues->cq_efa;
    iface->qp            = queues->qp;
    iface->qp_ex         = queues->qp_ex;
    iface->event.channel = queues->channel;
    iface->event.unacked = queues->unacked;
    iface->self          = queues->self;
}

/* The device may be gone, and then refuses: what it cannot free it has lost
 * anyway. */
static void uct_srd_queues_destroy(uct_srd_iface_t *iface,
                                   const uct_srd_queues_t *queues)
{
    uct_srd_queues_t present;

    uct_srd_queues_save(iface, &present);
    uct_srd_queues_restore(iface, queues);
    uct_srd_qp_destroy(iface);
    uct_srd_cq_destroy(iface);
    if (queues->channel != NULL) {
        ibv_destroy_comp_channel(queues->channel);
    }
    uct_srd_queues_restore(iface, &present);
}

/* ------------------------------------------------------------------- begin */

static void uct_srd_recover_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer = slot->peer;

    if (slot->flags & UCT_SRD_SLOT_CTL) {
        /* Lost: timers repeat what must be repeated */
        uct_srd_ctl_done(iface, slot, UCT_EFA_STATUS_RNR);
    } else if (!(slot->flags & UCT_SRD_SLOT_RMA)) {
        if (peer->state >= UCT_SRD_PEER_FAILED) {
            uct_srd_tx_error(iface, slot, UCT_EFA_STATUS_FLUSHED);
        } else {
            uct_srd_tx_keep(iface, slot);
        }
    } else if ((peer->state >= UCT_SRD_PEER_FAILED) ||
               (slot->flags & UCT_SRD_SLOT_CANCEL) || (slot->rma.ep == NULL)) {
        /* as cancelled, or with the peer's status */
        uct_srd_rma_done(iface, slot, UCT_EFA_STATUS_UNRESPONSIVE);
    } else {
        uct_srd_rma_hold(peer, slot);
    }
}

/* Slots that the device has: all but the free ones and those that wait */
static void uct_srd_recover_slots(uct_srd_iface_t *iface)
{
    uct_srd_slot_t *slot;
    unsigned i;

    for (i = 0; i < iface->tx.num_free; ++i) {
        iface->tx.free[i]->peer = NULL;
    }
    for (i = 0; i < iface->tx.num_ctl; ++i) {
        iface->tx.ctl_free[i]->peer = NULL;
    }

    /* Marked first: completions below may free others, or use free ones. */
    for (i = 0; i < iface->tx.num_slots; ++i) {
        slot = &iface->tx.slots[i];
        if (((slot->peer != NULL) || (slot->flags & UCT_SRD_SLOT_CTL)) &&
            !(slot->flags & UCT_SRD_SLOT_QUEUED)) {
            slot->flags |= UCT_SRD_SLOT_LOST;
        }
    }

    for (i = 0; i < iface->tx.num_slots; ++i) {
        slot = &iface->tx.slots[i];
        if (slot->flags & UCT_SRD_SLOT_LOST) {
            slot->flags &= ~UCT_SRD_SLOT_LOST;
            uct_srd_recover_keep(iface, slot);
        }
    }
}

static void uct_srd_recover_stop_peers(uct_srd_iface_t *iface)
{
    uct_srd_peer_t *peer;

    ucs_list_for_each(peer, &iface->peers, list) {
        peer->blocked = 1;
        peer->ext_req = 0;
        peer->lost.is = 0;
        uct_srd_timer_clear(&iface->timers, &peer->timer);
        uct_srd_timer_clear(&iface->timers, &peer->tx.timer);
        uct_srd_timer_clear(&iface->timers, &peer->lost.timer);
        uct_srd_peer_tx_update(peer);
        uct_srd_peer_show_wait(peer);
    }
}

/* Address handles and what their numbers meant */
static void uct_srd_recover_drop_ahs(uct_srd_iface_t *iface)
{
    uct_srd_peer_t *peer;

    ucs_list_for_each(peer, &iface->peers, list) {
        uct_srd_peer_key_del(peer);
        uct_srd_peer_ah_drop(peer);
    }

    ucs_list_for_each(peer, &iface->failed, list) {
        uct_srd_peer_ah_drop(peer);
    }

    ucs_list_for_each(peer, &iface->told, list) {
        uct_srd_peer_ah_drop(peer);
    }

    kh_clear(uct_srd_keys, &iface->keys);
    kh_clear(uct_srd_ahns, &iface->ahns);
}

static void uct_srd_recover_begin(uct_srd_iface_t *iface)
{
    char local[64];

    UCT_SRD_COUNT(iface, resets);
    uct_srd_iface_event(iface, EFA_STATS_EVENT_RESET, UCS_OK,
                        iface->context->generation, 0);
    uct_srd_iface_show_state(iface, EFA_STATS_IFACE_RECOVERING);
    iface->recover.is       = 1;
    iface->recover.began    = ucs_get_time();
    iface->recover.deadline = iface->recover.began +
                              ucs_time_from_sec(iface->config.recovery_timeout);
    ucs_warn("srd: %s: %s; its peers wait, up to %.1f s "
             "(UCX_SRD_RECOVERY_TIMEOUT)",
             uct_srd_addr_str(iface->self.gid, iface->self.qpn, local,
                              sizeof(local)),
             iface->context->dead ? "the device was reset" :
                                    "the queue pair failed",
             iface->config.recovery_timeout);

    uct_srd_recover_stop_peers(iface);

    /* What has completed is in memory, and counts. */
    while (uct_srd_iface_poll(iface) > 0) {
        ;
    }

    uct_srd_recover_slots(iface);
    uct_srd_recover_stop_peers(iface); /* those that were made meanwhile, too */
    uct_srd_recover_try(&iface->recover.timer);
}

void uct_srd_recover_look(uct_srd_iface_t *iface)
{
    ucs_time_t now = ucs_get_time();

    /* Not in the middle of something: again soon. */
    if (iface->recover.is || iface->closing || (iface->rx.poll != NULL) ||
        (iface->rx.stash_len > 0) || iface->tx.batching ||
        (iface->tx.pending_ep != NULL)) {
        return;
    }

    if (now - iface->recover.looked <
        ucs_time_from_sec(UCT_SRD_RECOVER_LOOK)) {
        return;
    }

    iface->recover.looked = now;
    if (uct_efa_context_check(uct_srd_iface_md(iface), iface->context) ||
        __atomic_load_n(&iface->recover.qp_dead, __ATOMIC_RELAXED)) {
        uct_srd_recover_begin(iface);
    }
}

int uct_srd_recover_is_due(const uct_srd_iface_t *iface)
{
    return !iface->recover.is &&
           (__atomic_load_n(&iface->context->dead, __ATOMIC_RELAXED) ||
            __atomic_load_n(&iface->recover.qp_dead, __ATOMIC_RELAXED));
}

void uct_srd_recover_qp_dead(uct_srd_iface_t *iface)
{
    __atomic_store_n(&iface->recover.qp_dead, 1, __ATOMIC_RELAXED);
    iface->recover.looked = 0;
    iface->rx.look_at     = 0; /* look at the end of this poll */
}

/* --------------------------------------------------------------------- end */

/* The keys of our own memory and of users' are other ones now. */
static void uct_srd_recover_lkeys(uct_srd_iface_t *iface)
{
    uint32_t slots_lkey = uct_efa_memh_lkey(iface->tx.slots_memh);
    uct_srd_slot_t *slot;
    uct_srd_desc_t *desc;
    uct_srd_buf_t *buf;
    unsigned i;

    for (buf = iface->tx.all; buf != NULL; buf = buf->all) {
        buf->lkey = uct_efa_memh_lkey(buf->memh);
    }

    for (desc = iface->rx.all; desc != NULL; desc = desc->all) {
        desc->sge.lkey = uct_efa_memh_lkey(desc->memh);
    }

    for (i = 0; i < iface->tx.num_slots; ++i) {
        slot              = &iface->tx.slots[i];
        slot->sge[0].lkey = slots_lkey;
        if (slot->flags & UCT_SRD_SLOT_RMA) {
            slot->sge[1].lkey = (slot->rma.buf != NULL) ? slot->rma.buf->lkey :
                                (slot->memh != NULL) ?
                                uct_efa_memh_lkey(slot->memh) : slots_lkey;
        } else if (slot->flags & UCT_SRD_SLOT_BUF) {
            slot->sge[2].lkey = slot->buf->lkey;
        } else if ((slot->flags & UCT_SRD_SLOT_ZCOPY) &&
                   (slot->sge[1].length > 0)) {
            slot->sge[1].lkey = uct_efa_memh_lkey(slot->memh);
        }
    }
}

/* Receive buffers: the queue has none, whatever it had. */
static void uct_srd_recover_descs(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc;

    for (desc = iface->rx.free; desc != NULL;
         desc = (uct_srd_desc_t*)desc->wr.next) {
        desc->kept = 0; /* given back before its handler returned: kept after */
    }

    iface->rx.free      = NULL;
    iface->rx.chain     = NULL;
    iface->rx.chain_len = 0;
    iface->rx.missing   = iface->rx.depth;
    for (desc = iface->rx.all; desc != NULL; desc = desc->all) {
        if (!desc->kept) {
            uct_srd_desc_put(iface, desc);
        }
    }
}

/* New queues in place of the old ones, which are still there if this fails. */
static ucs_status_t uct_srd_recover_queues(uct_srd_iface_t *iface)
{
    uct_efa_md_t *md = uct_srd_iface_md(iface);
    uct_srd_queues_t old;
    ucs_status_t status;
    union ibv_gid gid;

    uct_srd_queues_save(iface, &old);
    iface->context       = uct_efa_context_get(md);
    iface->event.channel = NULL;
    iface->event.unacked = 0;
    if (ibv_query_gid(iface->context->ctx, UCT_EFA_PORT_NUM, UCT_EFA_GID_INDEX,
                      &gid) != 0) {
        status = UCS_ERR_IO_ERROR;
        goto err;
    }

    memcpy(iface->self.gid, gid.raw, sizeof(iface->self.gid));
    iface->self.features &= (1u << UCT_SRD_GENERATION_SHIFT) - 1;
    iface->self.features |= (uint32_t)iface->context->generation <<
                            UCT_SRD_GENERATION_SHIFT;
    if ((old.channel != NULL) && (uct_srd_event_watch(iface) != UCS_OK)) {
        status = UCS_ERR_IO_ERROR;
        goto err;
    }

    status = uct_srd_cq_create(iface);
    if (status != UCS_OK) {
        goto err_channel;
    }

    status = uct_srd_qp_create(iface);
    if (status != UCS_OK) {
        goto err_cq;
    }

    __atomic_store_n(&iface->recover.qp_dead, 0, __ATOMIC_RELAXED);
    iface->recover.flushed = 0;
    uct_srd_recover_lkeys(iface);
    uct_srd_recover_descs(iface);
    uct_srd_rx_refill(iface);
    status = uct_srd_qp_activate(iface);
    if (status != UCS_OK) {
        goto err_qp;
    }

    if (old.context != iface->context) {
        status = uct_efa_ah_cache_add_owner(iface->context->ahs,
                                            uct_srd_peer_reclaim, iface);
        if (status != UCS_OK) {
            goto err_qp;
        }
        uct_efa_ah_cache_remove_owner(old.context->ahs, iface);
        if (iface->event.watcher.context != NULL) {
            uct_efa_context_watch(iface->context, &iface->event.watcher);
        }
    }

    uct_srd_iface_show_queues(iface);
    uct_srd_iface_hide_queues(iface, old.cq_stats, old.qp_stats);
    uct_srd_queues_destroy(iface, &old);
    uct_efa_context_put(old.context);
    return UCS_OK;

err_qp:
    uct_srd_qp_destroy(iface);
err_cq:
    uct_srd_cq_destroy(iface);
err_channel:
    if (iface->event.channel != NULL) {
        ibv_destroy_comp_channel(iface->event.channel);
    }
err:
    uct_efa_context_put(iface->context);
    uct_srd_queues_restore(iface, &old);
    return status;
}

static void uct_srd_recover_end(uct_srd_iface_t *iface,
                                const uct_srd_ident_t *old)
{
    ucs_list_link_t todo;
    uct_srd_peer_t *peer;
    char before[64], now[64];

    iface->recover.is     = 0;
    iface->recover.failed = 0;
    UCT_SRD_COUNT(iface, recovered);
    iface->stats->qpn       = iface->self.qpn;
    memcpy(iface->stats->gid, iface->self.gid, sizeof(iface->stats->gid));
    uct_srd_iface_event(iface, EFA_STATS_EVENT_RECOVERED, UCS_OK,
                        ucs_time_to_usec(ucs_get_time() -
                                         iface->recover.began), 0);
    uct_srd_iface_show_state(iface, EFA_STATS_IFACE_READY);
    ucs_diag("srd: %s goes on as %s",
             uct_srd_addr_str(old->gid, old->qpn, before, sizeof(before)),
             uct_srd_addr_str(iface->self.gid, iface->self.qpn, now,
                              sizeof(now)));

    uct_srd_peers_take(iface, &todo);
    while ((peer = uct_srd_peers_next(iface, &todo)) != NULL) {
        uct_srd_rejoin_start(peer, old);
    }
}

static void uct_srd_recover_give_up(uct_srd_iface_t *iface)
{
    uct_srd_peer_t *peer, *tmp;
    char local[64];

    if (!iface->recover.failed) {
        ucs_error("srd: %s: the device did not come back within %.1f s "
                  "(UCX_SRD_RECOVERY_TIMEOUT): its endpoints fail; look at the "
                  "kernel log (dmesg)",
                  uct_srd_addr_str(iface->self.gid, iface->self.qpn, local,
                                   sizeof(local)),
                  iface->config.recovery_timeout);
        uct_srd_iface_event(iface, EFA_STATS_EVENT_GIVEN_UP, UCS_ERR_IO_ERROR,
                            0, 0);
        uct_srd_iface_show_state(iface, EFA_STATS_IFACE_DOWN);
    }

    iface->recover.failed = 1;
    ucs_list_for_each_safe(peer, tmp, &iface->peers, list) {
        uct_srd_peer_fail(peer, UCS_ERR_IO_ERROR);
    }
}

void uct_srd_recover_try(uct_srd_timer_t *timer)
{
    uct_srd_iface_t *iface = ucs_container_of(timer, uct_srd_iface_t,
                                              recover.timer);
    ucs_status_t status    = UCS_OK;
    uct_srd_ident_t old;
    ucs_time_t now;

    uct_srd_ext_ident(&iface->self, &old);
    /* Each time: where the queue pair failed first, its device may follow. */
    if (uct_efa_context_check(uct_srd_iface_md(iface), iface->context)) {
        uct_srd_recover_drop_ahs(iface);
        status = uct_efa_context_replace(uct_srd_iface_md(iface));
    }
    if (status == UCS_OK) {
        status = uct_srd_recover_queues(iface);
    }
    if (status == UCS_OK) {
        uct_srd_recover_end(iface, &old);
        return;
    }

    now = ucs_get_time();
    if (now >= iface->recover.deadline) {
        uct_srd_recover_give_up(iface);
    }

    /* There is place: UCT_SRD_TIMERS_MIN, then its own */
    uct_srd_timer_set(&iface->timers, timer,
                      now + ucs_time_from_sec(iface->recover.failed ?
                                              UCT_SRD_RECOVER_LATER :
                                              UCT_SRD_RECOVER_TRY));
}
