/*
 * Sessions that go on when a device or queue pair was reset, ours or theirs
 * (srd-wire.md, section 12).
 *
 *   ours                                    theirs
 *
 *   blocked                                 suspected (srd_suspect.c)
 *     | new queue pair                        |
 *     v                                       |
 *   rejoining --- REJOIN -----------------> follow: same sequences, new
 *     |                                       | (GID, QPN, QKEY), new epoch
 *   joined <----- REJOIN_ACK -----------------+
 *     all that was kept is sent again         all that was kept is sent again
 *
 * Both sides count on with their PSNs, so what arrived before is dropped as a
 * duplicate. Each says which PSN it awaits: if the other has been told by its
 * device that this one was delivered, it is lost, and the association fails.
 */
#include "srd/assoc/recovery/srd_rejoin.h"
#include "srd/assoc/recovery/srd_successor.h"
#include "srd/assoc/recovery/srd_suspect.h"
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_identity.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/peer/srd_show.h"
#include "srd/recv/srd_rx.h"
#include "srd/send/srd_backlog.h"
#include "srd/send/srd_ctl.h"
#include "srd/def/srd_upcall.h"

#define UCT_SRD_REJOIN_MIN 10e-3  /* seconds, doubling with each try         */
#define UCT_SRD_REJOIN_AH  0.5e-3 /* likewise, while there is no AH for it    */

static const char uct_srd_rejoin_look[]  = "look at the output of the remote "
                                           "process";

static const char uct_srd_rejoin_lost[]  = "messages that its device had taken "
                                           "were lost in a reset";

/* The peer is known by ident from now on; who had that name before is one with
 * it, or fails. *told_p: whether a REJECT went there. */
static ucs_status_t uct_srd_rejoin_move(uct_srd_peer_t *peer,
                                        const uct_srd_ident_t *ident,
                                        int *told_p)
{
    uct_srd_peer_t *other;

    *told_p = 0;
    if (uct_srd_ident_equal(peer->ident, *ident)) {
        return UCS_OK;
    }

    other = uct_srd_names_find(peer->iface, ident);
    other = uct_srd_names_as_sender(other, ident, peer->rx.uid);
    if ((other == NULL) || (other == peer)) {
        /* Nobody else has it */
    } else if (uct_srd_successor_is_unused(other)) {
        uct_srd_successor_join(peer, other);
    } else {
        /* REJECT reaches that very interface, which may keep a record of it */
        *told_p = other->rx.acked || other->ctl.contacted;
        uct_srd_peer_fail_log(other, UCS_ERR_CONNECTION_RESET,
                              uct_srd_identity_moved, uct_srd_rejoin_look);
    }

    uct_srd_successor_end(peer); /* of another name than this: not the same */
    if (peer->rx.known) {
        uct_srd_identity_supersede(peer, ident);
    }
    return uct_srd_names_move(peer, ident);
}

/* ------------------------------------------------------------- our new pair */

static void uct_srd_rejoin_send(uct_srd_peer_t *peer)
{
    uct_srd_ext_t ext;

    if (ucs_get_time() > peer->rare->resume.deadline) {
        uct_srd_peer_fail_log(peer, UCS_ERR_ENDPOINT_TIMEOUT,
                              "it did not answer after the reset of our device",
                              "if both devices were reset at once, the two "
                              "cannot find each other: connect anew");
        return;
    }

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        /* Not together with the others, whose REJOINs keep all of them */
        peer->ctl.interval = ucs_time_from_sec(UCT_SRD_REJOIN_AH);
        return;
    }

    uct_srd_ctl_ext_init(peer, UCT_SRD_OP_REJOIN, peer->tx.una.una, &ext);
    ext.word  = peer->rare->resume.prev_epoch;
    ext.next  = peer->rx.ring.next;
    ext.flags = (peer->rx.started ? UCT_SRD_TAIL_NEXT : 0) |
                (peer->rare->resume.fresh ? UCT_SRD_TAIL_FRESH : 0);
    uct_srd_ctl_send_ext(peer, &ext);
}

static void uct_srd_rejoin_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, ctl.timer);

    peer->ctl.repeats = 1;
    uct_srd_rejoin_send(peer);
    uct_srd_ctl_timer_again(peer, UCT_SRD_HELLO_MAX);
    peer->ctl.repeats = 0;
}

void uct_srd_rejoin_start(uct_srd_peer_t *peer, const uct_srd_ident_t *old)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_ident_t self;
    int told;

    /* An endpoint to ourselves */
    if (uct_srd_ident_equal(peer->ident, *old)) {
        uct_srd_ctl_ident(&iface->queues.self, &self);
        if (uct_srd_rejoin_move(peer, &self, &told) != UCS_OK) {
            uct_srd_peer_fail(peer, UCS_ERR_NO_MEMORY);
            return;
        }
    }

    if (peer->rare->resume.predecessor != NULL) {
        uct_srd_gate_clear(peer, UCT_SRD_GATE_BLOCKED);
        uct_srd_show_wait(peer);
        uct_srd_ctl_timer_start(peer, UCT_SRD_REJOIN_MIN); /* waits on */
        return;
    }

    if (!peer->ctl.contacted && !peer->rx.known) {
        /* it knows nothing of us */
        uct_srd_gate_clear(peer, UCT_SRD_GATE_BLOCKED);
        if (peer->state == UCT_SRD_PEER_JOINING) {
            /* HELLO never left, for want of an AH; who waits waits for that */
            uct_srd_ctl_timer_start(peer, UCT_SRD_REJOIN_MIN);
        }
        uct_srd_show_wait(peer);
        uct_srd_peer_ep_wake(peer);
        uct_srd_upcall_moved(peer); /* nobody may need it any more */
        return;
    }

    /* Whoever has our new address may speak to us before REJOIN has told it who
     * we are: what counts is what was before the reset. */
    if (uct_srd_peer_rare_or_fail(peer) == NULL) {
        return;
    }

    if (!peer->rare->resume.rejoining) {
        peer->rare->resume.prev_epoch = peer->epoch;
        peer->rare->resume.fresh = !peer->rx.known && (peer->tx.una.una == 0) &&
                                   (peer->tx.una.ahead == 0);
    }
    peer->rare->resume.rejoining = 1;
    peer->rare->resume
            .deadline = ucs_get_time() +
                        ucs_time_from_sec(iface->config.recovery_timeout);
    peer->ctl.timer.func = uct_srd_rejoin_timer;
    peer->epoch          = ++iface->peers.epoch;
    peer->tx.imm_base    = uct_srd_imm_pack(peer->epoch, 0, 0, 0);
    peer->stats->epoch   = peer->epoch;
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

void uct_srd_rejoin_done(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    if (uct_srd_rejoin_is_lost(peer, ext)) {
        uct_srd_peer_fail_log(peer, UCS_ERR_CONNECTION_RESET,
                              uct_srd_rejoin_lost, "connect anew");
        return;
    }

    uct_srd_ctl_timer_stop(peer);
    peer->rare->resume.rejoining = 0;
    peer->ctl.timer.func         = uct_srd_assoc_timer;
    uct_srd_gate_clear(peer, UCT_SRD_GATE_BLOCKED);
    uct_srd_peer_event(peer, EFA_STATS_EVENT_REJOINED, UCS_OK, 0, 0);
    uct_srd_show_wait(peer);
    UCT_SRD_COUNT(peer->iface, rejoined);
    if (!peer->ctl.contacted) {
        uct_srd_peer_set_state(peer, UCT_SRD_PEER_NEW);
        uct_srd_peer_ep_wake(peer);
    } else if ((ext->op == UCT_SRD_OP_HELLO_ACK) ||
               (ext->flags & UCT_SRD_TAIL_NEXT)) {
        uct_srd_assoc_joined(peer);
    } else {
        uct_srd_assoc_join(peer); /* it must hear where our sequence begins */
    }

    uct_srd_backlog_resume(peer);
}

/* ----------------------------------------------------------- their new pair */

static uct_srd_peer_t *uct_srd_rejoin_find(uct_srd_iface_t *iface,
                                           uct_srd_peer_t *peer, uint64_t uid)
{
    if ((peer != NULL) && peer->rx.known && (peer->rx.uid == uid)) {
        return peer;
    }

    ucs_list_for_each(peer, &iface->peers.alive, list) {
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

    uct_srd_ctl_ext_init(peer, UCT_SRD_OP_REJOIN_ACK, peer->rx.epoch, &ext);
    ext.next  = peer->rx.ring.next;
    ext.flags = peer->rx.started ? UCT_SRD_TAIL_NEXT : 0;
    if ((uct_srd_ctl_send_ext(peer, &ext) == UCS_OK) && peer->rx.started) {
        /* It is JOINED by that, and leaves out headers, even if we had asked
         * for them, to give up its AH. */
        peer->rx.acked    = 1;
        peer->ctl.ext_req = 0;
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
        uct_srd_rx_drop(iface, peer->ident.gid, peer->ident.qpn,
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

    if (uct_srd_rejoin_move(peer, ident, &told) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a table",
                              "free memory");
        return 1;
    }

    if (uct_srd_peer_rare_or_fail(peer) == NULL) {
        return 1;
    }

    peer->rare->suspect.stale = uct_srd_peer_outstanding(peer) + peer->ctl.num;
    uct_srd_identity_heard(peer, ext);
    if (peer->rx.started) {
        peer->rx.imm_base = uct_srd_imm_pack(ext->epoch, 0, 0, 0);
    }
    uct_srd_peer_event(peer, EFA_STATS_EVENT_FOLLOWED, UCS_OK, 0, 0);
    UCT_SRD_COUNT(iface, followed);

    if (!told) {
        uct_srd_rejoin_ack(peer); /* else to the next one: one answer each */
    }
    if (uct_srd_gate_has(peer, UCT_SRD_GATE_BLOCKED) ||
        (peer->state >= UCT_SRD_PEER_FAILED)) {
        return 1; /* our own reset comes first */
    }

    if ((peer->state == UCT_SRD_PEER_JOINING) &&
        (ext->flags & UCT_SRD_TAIL_NEXT)) {
        uct_srd_assoc_joined(peer);
    }

    if (uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED)) {
        uct_srd_suspect_found(peer);
    } else {
        uct_srd_backlog_resume(peer);
    }

    if (peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_upcall_moved(peer);
    }
    return 1;
}
