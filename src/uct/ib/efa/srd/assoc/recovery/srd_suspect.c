/*
 * Peers that do not answer. Their device or ours may come back:
 *
 *   sends end with REMOTE_ABORT, REMOTE_QPN (its queue pair is gone): for
 *   GONE_TIMEOUT; UNRESPONSIVE, UNREACHABLE (its device is): RECOVERY_TIMEOUT
 *       |
 *       v                         a send completes, or REJOIN comes
 *   suspected -------------------------------------------------> as before
 *       | one message at a time is tried again, every 100 ms a PING
 *       v
 *   failed
 */
#include "srd/assoc/recovery/srd_suspect.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_show.h"
#include "srd/send/srd_backlog.h"
#include "srd/send/srd_ctl.h"
#include "srd/def/srd_upcall.h"

#define UCT_SRD_SUSPECT_PING 100e-3 /* seconds                                */

static void uct_srd_suspect_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer =
            ucs_container_of(timer, uct_srd_peer_rare_t, suspect.timer)->peer;
    ucs_time_t now  = ucs_get_time();
    ucs_time_t next = now + ucs_time_from_sec(UCT_SRD_SUSPECT_PING);

    if ((now >= peer->rare->suspect.deadline) && !peer->rare->suspect.last) {
        /* Whoever has not called progress meanwhile has not asked, either. */
        peer->rare->suspect.last     = 1;
        peer->rare->suspect.deadline = next;
    } else if (now >= peer->rare->suspect.deadline) {
        peer->cause = peer->rare->suspect.code;
        uct_srd_peer_fail_log(peer, peer->rare->suspect.desc->status,
                              peer->rare->suspect.desc->text,
                              peer->rare->suspect.desc->advice);
        return;
    }

    /* What waits to be sent again asks as well. */
    if (uct_srd_peer_is_quiet(peer) && (uct_srd_peer_ah_get(peer) == UCS_OK)) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_PING, 0);
        if (peer->state >= UCT_SRD_PEER_FAILED) {
            return; /* the post was refused */
        }
    }

    if (uct_srd_timer_set(&peer->iface->timers, timer,
                          ucs_min(next, peer->rare->suspect.deadline)) !=
        UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a timer",
                              "free memory");
    }
}

int uct_srd_upcall_suspects(uct_srd_peer_t *peer, unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_srd_iface_t *iface            = peer->iface;
    ucs_time_t now                    = ucs_get_time();
    char remote[64];
    int silent;

    silent = desc->action[UCT_EFA_STATUS_MESSAGE] !=
             UCT_EFA_STATUS_ACTION_SUSPECT_QP;

    /* Never heard from: it is not there, or the address is wrong. Whoever was
     * may have an endpoint to us, even if there is none here. */
    if (!peer->rx.known || iface->closing ||
        (peer->state >= UCT_SRD_PEER_FAILED)) {
        return 0;
    }

    if (peer->rare->suspect.stale > 0) {
        --peer->rare->suspect.stale;
        return 1;
    }

    if (uct_srd_peer_rare_or_fail(peer) == NULL) {
        return 0;
    }

    if (!uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED)) {
        peer->rare->suspect.last  = 0;
        peer->rare->suspect.since = now;
        uct_srd_timer_init(&peer->rare->suspect.timer, uct_srd_suspect_timer);
        peer->rare->suspect.silent = !silent; /* sets the deadline below */
        /* a success must be noticed */
        uct_srd_gate_set(peer, UCT_SRD_GATE_SUSPECTED);
        uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_SUSPECTED, UCS_OK,
                           vendor_err, 0);
        uct_srd_show_wait(peer);
        UCT_SRD_COUNT(iface, peers_suspected);
        ucs_log((peer->eps.num == 0) ? UCS_LOG_LEVEL_DEBUG : UCS_LOG_LEVEL_DIAG,
                "srd: %s: %s; trying again for %.1f s",
                uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                                 sizeof(remote)),
                desc->text,
                silent ? iface->config.recovery_timeout :
                         iface->config.gone_timeout);
    }

    peer->rare->suspect.done = uct_srd_peer_done_count(peer);
    peer->rare->suspect.desc = desc;
    peer->rare->suspect.code = vendor_err;
    if (peer->rare->suspect.silent != silent) {
        /* A device that answers again has been back for a moment only. */
        peer->rare->suspect.silent = silent;
        peer->rare->suspect.deadline =
                silent ? peer->rare->suspect.since +
                                 ucs_time_from_sec(iface->config
                                                           .recovery_timeout) :
                         now + ucs_time_from_sec(iface->config.gone_timeout);
        uct_srd_suspect_timer(&peer->rare->suspect.timer);
    }

    return peer->state < UCT_SRD_PEER_FAILED;
}

void uct_srd_suspect_found(uct_srd_peer_t *peer)
{
    uct_srd_gate_clear(peer, UCT_SRD_GATE_SUSPECTED);
    uct_srd_peer_event(peer, EFA_STATS_EVENT_PEER_FOUND, UCS_OK, 0, 0);
    uct_srd_show_wait(peer);
    uct_srd_timer_clear(&peer->iface->timers, &peer->rare->suspect.timer);
    UCT_SRD_COUNT(peer->iface, peers_found);
    uct_srd_backlog_resume(peer);
}
