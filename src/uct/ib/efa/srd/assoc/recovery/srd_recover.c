/*
 * Our device was reset, or our queue pair failed: a new one, without the user
 * (srd-wire.md, section 12).
 *
 *            IBV_EVENT_DEVICE_FATAL, IBV_EVENT_QP_FATAL, status 1,
 *            or nothing comes and the device says so: srd_lost.c
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
#include "srd/assoc/recovery/srd_recover.h"
#include "srd/assoc/recovery/srd_lost.h"
#include "srd/assoc/recovery/srd_rejoin.h"
#include "srd/assoc/recovery/srd_rekey.h"
#include "srd/assoc/recovery/srd_successor.h"
#include "srd/assoc/recovery/srd_suspect.h"
#include "srd/assoc/srd_reclaim.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_show.h"
#include "srd/queues/srd_queues.h"
#include "srd/recv/srd_desc.h"
#include "srd/recv/srd_poll.h"
#include "srd/send/srd_ctl.h"

#include <errno.h>

#define UCT_SRD_RECOVER_LOOK  10e-3  /* seconds between looks at the device   */
#define UCT_SRD_RECOVER_TRY   50e-3  /* and between tries to open it,         */
#define UCT_SRD_RECOVER_LATER 1.0    /* after the time has run out            */

/* ------------------------------------------------------------------- begin */

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
        if (((slot->peer != NULL) || (slot->flags & UCT_SRD_SLOT_OTHER)) &&
            !(slot->flags & UCT_SRD_SLOT_QUEUED)) {
            slot->flags |= UCT_SRD_SLOT_LOST;
        }
    }

    for (i = 0; i < iface->tx.num_slots; ++i) {
        slot = &iface->tx.slots[i];
        if (slot->flags & UCT_SRD_SLOT_LOST) {
            slot->flags &= ~UCT_SRD_SLOT_LOST;
            slot->ops->keep(iface, slot);
        }
    }
}

static void uct_srd_recover_stop_peers(uct_srd_iface_t *iface)
{
    uct_srd_peer_t *peer;

    ucs_list_for_each(peer, &iface->peers.alive, list) {
        peer->ctl.ext_req = 0;
        uct_srd_timer_clear(&iface->timers, &peer->ctl.timer);
        uct_srd_timer_clear(&iface->timers, &peer->tx.timer);
        uct_srd_timer_clear(&iface->timers, &peer->rare->suspect.timer);
        uct_srd_gate_clear(peer, UCT_SRD_GATE_SUSPECTED);
        uct_srd_gate_set(peer, UCT_SRD_GATE_BLOCKED);
        uct_srd_show_wait(peer);
    }
}

/* Address handles and what their numbers meant */
static void uct_srd_recover_drop_ahs(uct_srd_iface_t *iface)
{
    uct_srd_peer_t *peer;

    ucs_list_for_each(peer, &iface->peers.alive, list) {
        uct_srd_peer_ah_key_del(peer);
        uct_srd_peer_ah_drop(peer);
    }

    ucs_list_for_each(peer, &iface->peers.failed, list) {
        uct_srd_peer_ah_drop(peer);
    }

    ucs_list_for_each(peer, &iface->peers.ended, list) {
        uct_srd_peer_ah_drop(peer);
    }

    kh_clear(uct_srd_keys, &iface->peers.keys);
    kh_clear(uct_srd_ahns, &iface->peers.ahns);
}

static void uct_srd_recover_begin(uct_srd_iface_t *iface)
{
    char local[64];

    UCT_SRD_COUNT(iface, resets);
    uct_srd_show_event(iface, EFA_STATS_EVENT_RESET, UCS_OK,
                       iface->queues.context->generation, 0);
    uct_srd_show_state(iface, EFA_STATS_IFACE_RECOVERING);
    iface->recover.is       = 1;
    iface->recover.began    = ucs_get_time();
    iface->recover.deadline = iface->recover.began +
                              ucs_time_from_sec(iface->config.recovery_timeout);
    ucs_warn("srd: %s: %s; its peers wait, up to %.1f s "
             "(UCX_SRD_RECOVERY_TIMEOUT)",
             uct_srd_addr_str(iface->queues.self.gid, iface->queues.self.qpn,
                              local, sizeof(local)),
             iface->queues.context->dead ? "the device was reset" :
                                           "the queue pair failed",
             iface->config.recovery_timeout);

    uct_srd_recover_stop_peers(iface);

    /* What has completed is in memory, and counts. */
    while (uct_srd_poll(iface) > 0) {
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
        (iface->rx.direct_rounds > 0) || (iface->rx.stash_len > 0) ||
        iface->tx.batching || (iface->tx.pending_ep != NULL)) {
        return;
    }

    if (!uct_srd_queues_is_failed(iface) &&
        (now - iface->recover.looked <
         ucs_time_from_sec(UCT_SRD_RECOVER_LOOK))) {
        return;
    }

    iface->recover.looked = now;
    uct_srd_lost_look(iface, now);
    if (uct_efa_context_check(uct_srd_iface_md(iface), iface->queues.context) ||
        uct_srd_queues_is_failed(iface)) {
        uct_srd_recover_begin(iface);
    }
}

void uct_srd_recover_look_now(uct_srd_iface_t *iface)
{
    iface->recover.looked = 0;
    uct_srd_recover_look(iface);
}

int uct_srd_recover_is_due(const uct_srd_iface_t *iface)
{
    return !iface->recover.is &&
           (__atomic_load_n(&iface->queues.context->dead, __ATOMIC_RELAXED) ||
            uct_srd_queues_is_failed(iface));
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
        if (i < iface->config.tx_queue_len) {
            slot->ops->renew(iface, slot, slots_lkey);
        }
    }
}

/* Fills queues with new ones on the device's present context. */
static ucs_status_t uct_srd_recover_create(uct_srd_iface_t *iface,
                                           uct_srd_queues_t *queues)
{
    ucs_status_t status = UCS_ERR_IO_ERROR;
    union ibv_gid gid;

    memset(queues, 0, sizeof(*queues));
    queues->self    = iface->queues.self;
    queues->context = uct_efa_context_get(uct_srd_iface_md(iface));
    if (ibv_query_gid(queues->context->ctx, UCT_EFA_PORT_NUM, UCT_EFA_GID_INDEX,
                      &gid) != 0) {
        goto err;
    }

    memcpy(queues->self.gid, gid.raw, sizeof(queues->self.gid));
    queues->self.features &= (1u << UCT_SRD_GENERATION_SHIFT) - 1;
    queues->self.features |= (uint32_t)queues->context->generation
                             << UCT_SRD_GENERATION_SHIFT;
    if ((iface->queues.channel != NULL) &&
        (uct_srd_channel_create(iface, queues) != UCS_OK)) {
        goto err;
    }

    status = uct_srd_queues_create(iface, queues);
    if (status == UCS_OK) {
        return UCS_OK;
    }

    uct_srd_channel_destroy(queues);
err:
    uct_efa_context_put(queues->context);
    return status;
}

/* The AH cache and who watches the device: those of the new context */
static ucs_status_t uct_srd_recover_owner(uct_srd_iface_t *iface,
                                          uct_efa_context_t *old)
{
    ucs_status_t status;

    if (old == iface->queues.context) {
        return UCS_OK;
    }

    status = uct_efa_ah_cache_add_owner(iface->queues.context->ahs,
                                        uct_srd_reclaim, iface);
    if (status != UCS_OK) {
        return status;
    }

    uct_efa_ah_cache_remove_owner(old->ahs, iface);
    if (iface->event.watcher.context != NULL) {
        uct_efa_context_watch(iface->queues.context, &iface->event.watcher);
    }
    return UCS_OK;
}

/* New queues in place of the old ones, which are still there if this fails. */
static ucs_status_t uct_srd_recover_queues(uct_srd_iface_t *iface)
{
    uct_srd_queues_t old, queues;
    ucs_status_t status;

    status = uct_srd_recover_create(iface, &queues);
    if (status != UCS_OK) {
        return status;
    }

    old                    = iface->queues;
    iface->queues          = queues;
    iface->recover.flushed = 0;
    uct_srd_recover_lkeys(iface);
    uct_srd_desc_repost(iface);
    uct_srd_desc_refill(iface);
    status = uct_srd_qp_activate(iface);
    if (status == UCS_OK) {
        status = uct_srd_recover_owner(iface, old.context);
    }
    if (status != UCS_OK) {
        queues        = iface->queues;
        iface->queues = old;
        uct_srd_queues_destroy(&queues);
        uct_efa_context_put(queues.context);
        return status;
    }

    uct_srd_queues_show(iface);
    uct_srd_queues_hide(iface, &old);
    uct_srd_queues_destroy(&old);
    uct_efa_context_put(old.context);
    return UCS_OK;
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
    iface->stats->qpn = iface->queues.self.qpn;
    memcpy(iface->stats->gid, iface->queues.self.gid,
           sizeof(iface->stats->gid));
    uct_srd_show_event(iface, EFA_STATS_EVENT_RECOVERED, UCS_OK,
                       ucs_time_to_usec(ucs_get_time() - iface->recover.began),
                       0);
    uct_srd_show_state(iface, EFA_STATS_IFACE_READY);
    ucs_diag("srd: %s goes on as %s",
             uct_srd_addr_str(old->gid, old->qpn, before, sizeof(before)),
             uct_srd_addr_str(iface->queues.self.gid, iface->queues.self.qpn,
                              now, sizeof(now)));

    uct_srd_peer_take_all(iface, &todo);
    while ((peer = uct_srd_peer_take_next(iface, &todo)) != NULL) {
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
                  uct_srd_addr_str(iface->queues.self.gid,
                                   iface->queues.self.qpn, local,
                                   sizeof(local)),
                  iface->config.recovery_timeout);
        uct_srd_show_event(iface, EFA_STATS_EVENT_GIVEN_UP, UCS_ERR_IO_ERROR, 0,
                           0);
        uct_srd_show_state(iface, EFA_STATS_IFACE_DOWN);
    }

    iface->recover.failed = 1;
    ucs_list_for_each_safe(peer, tmp, &iface->peers.alive, list) {
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

    uct_srd_ctl_ident(&iface->queues.self, &old);
    /* Each time: where the queue pair failed first, its device may follow. */
    if (uct_efa_context_check(uct_srd_iface_md(iface), iface->queues.context)) {
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

const uct_srd_resume_ops_t uct_srd_recover_resume_ops = {
    .found    = uct_srd_suspect_found,
    .lives    = uct_srd_successor_answer,
    .settled  = uct_srd_successor_end,
    .rejoin   = uct_srd_rejoin_receive,
    .rejoined = uct_srd_rejoin_done,
    .key_req  = uct_srd_rekey_req,
    .key_ack  = uct_srd_rekey_ack
};
