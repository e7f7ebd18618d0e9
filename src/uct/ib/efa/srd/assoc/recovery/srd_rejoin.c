/*
 * Peers, when a device or queue pair was reset: ours or theirs (srd-wire.md,
 * section 12).
 *
 *   ours                                    theirs
 *
 *   blocked                                 lost: sends end with 8, 9, 13, 15
 *     | new queue pair                        | one at a time is tried again,
 *     v                                       | every 100 ms a PING
 *   rejoining --- REJOIN -----------------> follow: same sequences, new
 *     |                                       | (GID, QPN, QKEY), new epoch
 *   joined <----- REJOIN_ACK -----------------+
 *     all that was kept is sent again         all that was kept is sent again
 *
 * Both sides count on with their PSNs, so what arrived before is dropped as a
 * duplicate. Each says which PSN it awaits: if the other has been told by its
 * device that this one was delivered, it is lost, and the association fails.
 */
#include "srd/send/srd_rma.h"
#include "srd/recv/srd_rx.h"

#define UCT_SRD_REJOIN_MIN 10e-3  /* seconds, doubling with each try          */
#define UCT_SRD_REJOIN_AH  0.5e-3 /* likewise, while there is no AH for it     */
#define UCT_SRD_LOST_PING  100e-3

static const char uct_srd_rejoin_look[]  = "look at the output of the remote "
                                           "process";
static const char uct_srd_rejoin_lost[]  = "messages that its device had taken "
                                           "were lost in a reset";

/* ------------------------------------------------------------- our new pair */

void uct_srd_rejoin_send(uct_srd_peer_t *peer)
{
    uct_srd_ext_t ext;

    if (ucs_get_time() > peer->rejoin_deadline) {
        uct_srd_peer_fail_log(peer, UCS_ERR_ENDPOINT_TIMEOUT,
                              "it did not answer after the reset of our device",
                              "if both devices were reset at once, the two "
                              "cannot find each other: connect anew");
        return;
    }

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        /* Not together with the others, whose REJOINs keep all of them */
        peer->interval = ucs_time_from_sec(UCT_SRD_REJOIN_AH);
        return;
    }

    uct_srd_ext_init(peer, UCT_SRD_OP_REJOIN, peer->tx.una.una, &ext);
    ext.word  = peer->prev_epoch;
    ext.next  = peer->rx.ring.next;
    ext.flags = (peer->rx.started ? UCT_SRD_TAIL_NEXT : 0) |
                (peer->fresh ? UCT_SRD_TAIL_FRESH : 0);
    uct_srd_ctl_send_ext(peer, &ext);
}

void uct_srd_rejoin_start(uct_srd_peer_t *peer, const uct_srd_ident_t *old)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_ident_t self;
    int told;

    /* An endpoint to ourselves */
    if (uct_srd_ident_equal(peer->ident, *old)) {
        uct_srd_ext_ident(&iface->self, &self);
        if (uct_srd_names_move(peer, &self, &told) != UCS_OK) {
            uct_srd_peer_fail(peer, UCS_ERR_NO_MEMORY);
            return;
        }
    }

    if (peer->elder != NULL) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_REJOIN_MIN); /* waits on */
        return;
    }

    if (!peer->contacted && !peer->rx.known) {
        peer->blocked = 0; /* it knows nothing of us */
        if (peer->state == UCT_SRD_PEER_JOINING) {
            /* HELLO never left, for want of an AH; who waits waits for that */
            uct_srd_ctl_timer_start(peer, UCT_SRD_REJOIN_MIN);
        }
        uct_srd_peer_show_wait(peer);
        uct_srd_peer_wake(peer);
        uct_srd_peer_tx_progress(peer); /* nobody may need it any more */
        return;
    }

    /* Whoever has our new address may speak to us before REJOIN has told it who
     * we are: what counts is what was before the reset. */
    if (!peer->rejoining) {
        peer->prev_epoch = peer->epoch;
        peer->fresh      = !peer->rx.known && (peer->tx.una.una == 0) &&
                           (peer->tx.una.ahead == 0);
    }
    peer->rejoining       = 1;
    peer->epoch           = ++iface->epoch;
    peer->tx.imm_base     = uct_srd_imm_pack(peer->epoch, 0, 0, 0);
    peer->stats->epoch      = peer->epoch;
    peer->rejoin_deadline = ucs_get_time() +
                            ucs_time_from_sec(iface->config.recovery_timeout);
    uct_srd_peer_set_state(peer, UCT_SRD_PEER_JOINING);
    uct_srd_ctl_timer_start(peer, UCT_SRD_REJOIN_MIN);
    uct_srd_rejoin_send(peer);
}

/* Has the remote, which awaits next, lost what its device took? */
static int uct_srd_rejoin_is_lost(const uct_srd_peer_t *peer,
                                  const uct_srd_ext_t *ext)
{
    return (ext->flags & UCT_SRD_TAIL_NEXT) &&
           ((int16_t)(ext->next - peer->tx.una.una) < 0);
}

/* Sends all that was kept. */
static void uct_srd_rejoin_resume(uct_srd_peer_t *peer)
{
    peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
    uct_srd_tx_queue_post(peer, &peer->tx.resend);
    uct_srd_tx_queue_post(peer, &peer->tx.held);
    uct_srd_rma_held_post(peer);
}

void uct_srd_rejoin_done(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    if (uct_srd_rejoin_is_lost(peer, ext)) {
        uct_srd_peer_fail_log(peer, UCS_ERR_CONNECTION_RESET,
                              uct_srd_rejoin_lost, "connect anew");
        return;
    }

    uct_srd_ctl_timer_stop(peer);
    peer->blocked   = 0;
    peer->rejoining = 0;
    uct_srd_peer_event(peer, EFA_STATS_EVENT_REJOINED, UCS_OK, 0, 0);
    uct_srd_peer_show_wait(peer);
    UCT_SRD_COUNT(peer->iface, rejoined);
    if (!peer->contacted) {
        uct_srd_peer_set_state(peer, UCT_SRD_PEER_NEW);
        uct_srd_peer_wake(peer);
    } else if ((ext->op == UCT_SRD_OP_HELLO_ACK) ||
               (ext->flags & UCT_SRD_TAIL_NEXT)) {
        uct_srd_ctl_joined(peer);
    } else {
        uct_srd_ctl_join(peer); /* it must hear where our sequence begins */
    }

    uct_srd_rejoin_resume(peer);
}

/* ------------------------------------------------------------ their new pair */

static uct_srd_peer_t *
uct_srd_rejoin_find(uct_srd_iface_t *iface, uct_srd_peer_t *peer, uint64_t uid)
{
    if ((peer != NULL) && peer->rx.known && (peer->rx.uid == uid)) {
        return peer;
    }

    ucs_list_for_each(peer, &iface->peers, list) {
        if (peer->rx.known && (peer->rx.uid == uid)) {
            return peer;
        }
    }

    return NULL;
}

static void uct_srd_rejoin_ack(uct_srd_peer_t *peer)
{
    uct_srd_ext_t ext;

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        return; /* REJOIN comes again */
    }

    uct_srd_ext_init(peer, UCT_SRD_OP_REJOIN_ACK, peer->rx.epoch, &ext);
    ext.next  = peer->rx.ring.next;
    ext.flags = peer->rx.started ? UCT_SRD_TAIL_NEXT : 0;
    if ((uct_srd_ctl_send_ext(peer, &ext) == UCS_OK) && peer->rx.started) {
        /* It is JOINED by that, and leaves out headers, even if we had asked for
         * them, to give up its AH. */
        peer->rx.acked = 1;
        peer->ext_req  = 0;
    }
}

int uct_srd_rejoin_receive(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                           const uct_srd_ident_t *ident,
                           const uct_srd_ext_t *ext)
{
    int begun_anew, told;

    peer = uct_srd_rejoin_find(iface, peer, ext->uid);
    if (peer == NULL) {
        if (ext->flags & UCT_SRD_TAIL_FRESH) {
            return 0;
        }
        uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT,
                           UCT_SRD_REJECT_FAILED);
        return 1;
    }

    if ((int32_t)(ext->epoch - peer->rx.epoch) < 0) {
        uct_srd_dropped(iface, peer->ident.gid, peer->ident.qpn,
                        UCT_SRD_DROP(drop_epoch));
        return 1;
    }

    if (ext->epoch == peer->rx.epoch) {
        if (uct_srd_ident_equal(peer->ident, *ident)) {
            uct_srd_rejoin_ack(peer); /* the first one was lost */
        }
        return 1;
    }

    begun_anew = (int32_t)(peer->rx.epoch - ext->word) < 0;
    if (begun_anew || uct_srd_rejoin_is_lost(peer, ext)) {
        /* The answer goes to its new queue pair, and nothing to the old one. */
        uct_srd_peer_superseded(peer,
                                begun_anew ? "the remote interface lost the "
                                             "association, then its device" :
                                             uct_srd_rejoin_lost,
                                begun_anew ? uct_srd_rejoin_look :
                                             "connect anew");
        uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT,
                           UCT_SRD_REJECT_FAILED);
        return 1;
    }

    if (uct_srd_names_move(peer, ident, &told) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a table",
                              "free memory");
        return 1;
    }

    peer->lost.stale = uct_srd_peer_outstanding(peer) + peer->tx.ctl;
    uct_srd_ctl_heard(peer, ext);
    if (peer->rx.started) {
        peer->rx.imm_base = uct_srd_imm_pack(ext->epoch, 0, 0, 0);
    }
    uct_srd_peer_event(peer, EFA_STATS_EVENT_FOLLOWED, UCS_OK, 0, 0);
    UCT_SRD_COUNT(iface, followed);

    if (!told) {
        uct_srd_rejoin_ack(peer); /* else to the next one: one answer each */
    }
    if (peer->blocked || (peer->state >= UCT_SRD_PEER_FAILED)) {
        return 1; /* our own reset comes first */
    }

    if ((peer->state == UCT_SRD_PEER_JOINING) &&
        (ext->flags & UCT_SRD_TAIL_NEXT)) {
        uct_srd_ctl_joined(peer);
    }

    if (peer->lost.is) {
        uct_srd_peer_found(peer);
    } else {
        uct_srd_rejoin_resume(peer);
    }

    if (peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_peer_tx_progress(peer);
    }
    return 1;
}

/* --------------------------------------------------------------- lost, found */

int uct_srd_peer_lose(uct_srd_peer_t *peer, unsigned vendor_err)
{
    uct_srd_iface_t *iface = peer->iface;
    ucs_time_t now         = ucs_get_time();
    char remote[64];
    int silent;

    switch (vendor_err) {
    case UCT_EFA_STATUS_REMOTE_ABORT:
    case UCT_EFA_STATUS_REMOTE_QPN:
        silent = 0;
        break;
    case UCT_EFA_STATUS_UNRESPONSIVE:
    case UCT_EFA_STATUS_UNREACHABLE:
        silent = 1;
        break;
    default:
        return 0;
    }

    /* Never heard from: it is not there, or the address is wrong. Whoever was
     * may have an endpoint to us, even if there is none here. */
    if (!peer->rx.known || iface->closing ||
        (peer->state >= UCT_SRD_PEER_FAILED)) {
        return 0;
    }

    if (peer->lost.stale > 0) {
        --peer->lost.stale;
        return 1;
    }

    if (!peer->lost.is) {
        peer->lost.is     = 1;
        peer->lost.last   = 0;
        peer->lost.since  = now;
        peer->lost.silent = !silent; /* sets the deadline below */
        uct_srd_peer_tx_update(peer); /* a success must be noticed */
        uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_LOST, UCS_OK, vendor_err,
                           0);
        uct_srd_peer_show_wait(peer);
        UCT_SRD_COUNT(iface, peers_lost);
        ucs_log((peer->num_eps == 0) ? UCS_LOG_LEVEL_DEBUG : UCS_LOG_LEVEL_DIAG,
                "srd: %s: %s; trying again for %.1f s",
                uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                                 sizeof(remote)),
                uct_efa_status_desc(vendor_err)->text,
                silent ? iface->config.recovery_timeout :
                         iface->config.gone_timeout);
    }

    peer->lost.done = uct_srd_peer_done_count(peer);
    peer->lost.desc = uct_efa_status_desc(vendor_err);
    peer->lost.code = vendor_err;
    if (peer->lost.silent != silent) {
        /* A device that answers again has been back for a moment only. */
        peer->lost.silent   = silent;
        peer->lost.deadline = silent ?
                peer->lost.since +
                        ucs_time_from_sec(iface->config.recovery_timeout) :
                now + ucs_time_from_sec(iface->config.gone_timeout);
        uct_srd_peer_lost_timer(&peer->lost.timer);
    }

    return peer->state < UCT_SRD_PEER_FAILED;
}

void uct_srd_peer_found(uct_srd_peer_t *peer)
{
    peer->lost.is = 0;
    uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_FOUND, UCS_OK, 0, 0);
    uct_srd_peer_show_wait(peer);
    uct_srd_timer_clear(&peer->iface->timers, &peer->lost.timer);
    UCT_SRD_COUNT(peer->iface, peers_found);
    uct_srd_rejoin_resume(peer);
}

void uct_srd_peer_lost_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, lost.timer);
    ucs_time_t now       = ucs_get_time();
    ucs_time_t next      = now + ucs_time_from_sec(UCT_SRD_LOST_PING);

    if ((now >= peer->lost.deadline) && !peer->lost.last) {
        /* Whoever has not called progress meanwhile has not asked, either. */
        peer->lost.last     = 1;
        peer->lost.deadline = next;
    } else if (now >= peer->lost.deadline) {
        peer->cause = peer->lost.code;
        uct_srd_peer_fail_log(peer, peer->lost.desc->status,
                              peer->lost.desc->text, peer->lost.desc->advice);
        return;
    }

    /* What waits to be sent again asks as well. */
    if (uct_srd_peer_is_quiet(peer) &&
        (uct_srd_peer_ah_get(peer) == UCS_OK)) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_PING, 0);
        if (peer->state >= UCT_SRD_PEER_FAILED) {
            return; /* the post was refused */
        }
    }

    if (uct_srd_timer_set(&peer->iface->timers, timer,
                          ucs_min(next, peer->lost.deadline)) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a timer",
                              "free memory");
    }
}
