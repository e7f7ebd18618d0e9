/*
 * Closing an interface: endpoints that their users forgot are named, what the
 * device has is waited for, goodbye is said, the rest is given back. Nothing
 * waits for an answer of the other side: a process that stands still must not
 * keep this one.
 *
 *   sent and not completed              what becomes of it
 *   the device has it                   waited for, up to the end of patience
 *   no buffer for it there (10), or 12  sent again, likewise
 *   needs an answer first: HELLO_ACK,   dropped
 *   REJOIN_ACK, or a suspected peer's
 *   our own device is gone              dropped
 *
 * A flush has waited for all of these. A peer of whom something is dropped is
 * told that the association has failed (REJECT), the others get a BYE; the
 * device takes it, and nobody waits for BYE_ACK.
 *
 * Patience ends after CLOSE_TIMEOUT, for all interfaces of the process at once:
 * who closes a hundred that all are stuck waits once. It begins with the first
 * that waits longer than a device needs (SOON); the next ones find it over,
 * until for CLOSE_TIMEOUT none has asked.
 */
#include "srd/uct/srd_iface.h"
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_end.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/queues/srd_queues.h"
#include "srd/recv/srd_poll.h"
#include "srd/send/srd_ctl.h"
#include "srd/def/srd_upcall.h"

#define UCT_SRD_CLOSE_SOON 1e-3  /* seconds: a device that is well needs less */
#define UCT_SRD_CLOSE_LOOK 10e-3 /* between looks at all peers                */

/* When the process began to wait for interfaces that close, and last asked
 * whether to; 0: never. Of several threads one writes, whichever. */
static ucs_time_t uct_srd_iface_close_began;
static ucs_time_t uct_srd_iface_close_asked;

static ucs_status_t uct_srd_iface_close_drop_am(UCS_V_UNUSED void *arg,
                                                UCS_V_UNUSED void *data,
                                                UCS_V_UNUSED size_t length,
                                                UCS_V_UNUSED unsigned flags)
{
    return UCS_OK;
}

/* Is the time over for an interface that waits longer than SOON? */
static int uct_srd_iface_close_is_over(const uct_srd_iface_t *iface,
                                       ucs_time_t now)
{
    ucs_time_t timeout = ucs_time_from_sec(iface->config.close_timeout);
    ucs_time_t asked   = __atomic_exchange_n(&uct_srd_iface_close_asked, now,
                                             __ATOMIC_RELAXED);
    ucs_time_t began   = __atomic_load_n(&uct_srd_iface_close_began,
                                         __ATOMIC_RELAXED);

    /* now may be a little before what another thread has read */
    if ((asked == 0) ||
        (ucs_max(now, asked) - ucs_min(now, asked) >= timeout)) {
        began = now;
        __atomic_store_n(&uct_srd_iface_close_began, began, __ATOMIC_RELAXED);
    }

    return (now >= began) && (now - began >= timeout);
}

static int uct_srd_iface_close_qp_is_dead(const uct_srd_iface_t *iface)
{
    return iface->recover.is || uct_srd_queues_is_failed(iface);
}

static int uct_srd_iface_close_may_wait(const uct_srd_iface_t *iface,
                                        ucs_time_t soon)
{
    ucs_time_t now = ucs_get_time();

    return !uct_srd_iface_close_qp_is_dead(iface) &&
           ((now < soon) || !uct_srd_iface_close_is_over(iface, now));
}

static ucs_time_t uct_srd_iface_close_soon(void)
{
    return ucs_get_time() + ucs_time_from_sec(UCT_SRD_CLOSE_SOON);
}

/* Until so many places for control messages are free, or the time is over */
static void uct_srd_iface_close_await_ctl(uct_srd_iface_t *iface,
                                          unsigned wanted, ucs_time_t soon)
{
    while ((iface->tx.num_ctl < wanted) &&
           uct_srd_iface_close_may_wait(iface, soon)) {
        uct_srd_poll(iface);
        uct_srd_end_report(iface);
    }
}

/* Lets go what waits for more than the device; all that waits, if the time is
 * over. */
static void uct_srd_iface_close_drop(uct_srd_iface_t *iface, int is_over)
{
    ucs_time_t soon = uct_srd_iface_close_soon();
    ucs_list_link_t todo;
    uct_srd_peer_t *peer;

    uct_srd_peer_take_all(iface, &todo);
    for (;;) {
        /* Before the next one: its peer may go meanwhile */
        uct_srd_iface_close_await_ctl(iface, 1, soon);
        peer = uct_srd_peer_take_next(iface, &todo);
        if (peer == NULL) {
            break;
        }

        if ((uct_srd_peer_outstanding(peer) > 0) &&
            (uct_srd_gate_has(peer,
                              UCT_SRD_GATE_RESUME | UCT_SRD_GATE_SUSPECTED) ||
             !ucs_queue_is_empty(&peer->tx.held) ||
             (is_over && !ucs_queue_is_empty(&peer->tx.retransmit)))) {
            uct_srd_peer_fail_log(peer, UCS_ERR_CANCELED,
                                  "the interface is closed while messages wait "
                                  "for the remote process",
                                  "flush endpoints before you close them");
        }
    }

    uct_srd_end_report(iface);
}

/* Is there nothing more to be expected from the device? */
static int uct_srd_iface_close_is_dead(uct_srd_iface_t *iface)
{
    return uct_efa_context_check(uct_srd_iface_md(iface),
                                 iface->queues.context) ||
           uct_srd_iface_close_qp_is_dead(iface);
}

/* Until messages have completed or were dropped. 0: the device is gone. */
static int uct_srd_iface_close_messages(uct_srd_iface_t *iface)
{
    ucs_time_t soon = uct_srd_iface_close_soon();
    ucs_time_t look = 0;
    int is_over     = 0;
    ucs_time_t now;

    for (;;) {
        now = ucs_get_time();
        if ((now >= look) || is_over) {
            if (uct_srd_iface_close_is_dead(iface)) {
                return 0;
            }
            uct_srd_iface_close_drop(iface, is_over);
            look = now + ucs_time_from_sec(UCT_SRD_CLOSE_LOOK);
        }

        if (iface->tx.num_free == iface->config.tx_queue_len) {
            return 1;
        } else if (is_over) {
            ucs_debug("srd: closing with %u messages under way",
                      iface->config.tx_queue_len - iface->tx.num_free);
            return 1;
        }

        uct_srd_poll(iface);
        uct_srd_timers_run(&iface->timers, now);
        uct_srd_end_report(iface);
        is_over = !uct_srd_iface_close_may_wait(iface, soon);
    }
}

static void uct_srd_iface_close_leave(uct_srd_iface_t *iface)
{
    ucs_time_t soon = uct_srd_iface_close_soon();
    ucs_list_link_t todo;
    uct_srd_peer_t *peer;

    uct_srd_peer_take_all(iface, &todo);
    for (;;) {
        uct_srd_iface_close_await_ctl(iface, 1, soon);
        peer = uct_srd_peer_take_next(iface, &todo);
        if (peer == NULL) {
            break;
        }

        if (uct_srd_peer_outstanding(peer) > 0) {
            continue; /* the device has it, and the time was over */
        }

        if (peer->state != UCT_SRD_PEER_LEAVING) {
            uct_srd_assoc_leave(peer);
        } else if ((peer->ctl.byes == 0) && !peer->ctl.bye_taken &&
                   (uct_srd_peer_ah_get(peer) == UCS_OK)) {
            /* Earlier ones may have come too early: the last chance */
            uct_srd_ctl_send(peer, UCT_SRD_OP_BYE, peer->tx.psn);
        }
    }

    uct_srd_iface_close_await_ctl(iface, UCT_SRD_CTL_SLOTS, soon);
}

void uct_srd_iface_close_drain(uct_srd_iface_t *iface)
{
    unsigned i;

    iface->closing = 1;
    for (i = 0; i < UCT_AM_ID_MAX; ++i) {
        iface->super.am[i].cb = uct_srd_iface_close_drop_am;
    }

    /* What has come may be an answer that something waits for. Who goes on
     * sending must not keep us here: what the queue can hold, no more. */
    for (i = iface->tx.num_slots + iface->config.rx_queue_len;
         (i > 0) && !uct_srd_iface_close_qp_is_dead(iface) &&
         (uct_srd_poll(iface) > 0);
         --i) {
        ;
    }

    if (uct_srd_iface_close_messages(iface)) {
        uct_srd_iface_close_leave(iface);
    }
}

static void uct_srd_iface_close_peer_eps(uct_srd_peer_t *peer,
                                         uct_efa_leak_t *leak)
{
    char remote[64], what[80];
    uct_srd_ep_t *ep;

    uct_srd_peer_hold(peer); /* the peer stays until all is said */
    while (!ucs_list_is_empty(&peer->eps.list)) {
        ep = ucs_list_head(&peer->eps.list, uct_srd_ep_t, list);
        snprintf(what, sizeof(what), "endpoint to %s",
                 uct_srd_addr_str(peer->ident.gid, peer->ident.qpn, remote,
                                  sizeof(remote)));
        uct_efa_leak_add(leak, EFA_STATS_KIND_LAST, what, ep->caller,
                         ep->create_time);
        uct_ep_destroy(&ep->super.super);
    }
    uct_srd_peer_release(peer);
    uct_srd_upcall_moved(peer);
}

static uct_srd_peer_t *uct_srd_iface_close_find_ep(uct_srd_iface_t *iface)
{
    ucs_list_link_t *lists[] = {&iface->peers.alive, &iface->peers.failed,
                                &iface->peers.ended};
    uct_srd_peer_t *peer;
    unsigned i;

    for (i = 0; i < ucs_static_array_size(lists); ++i) {
        ucs_list_for_each(peer, lists[i], list) {
            if (peer->eps.num > 0) {
                return peer;
            }
        }
    }

    return NULL;
}

void uct_srd_iface_close_eps(uct_srd_iface_t *iface)
{
    char local[64], where[96];
    uct_efa_leak_t leak = {
        .device = uct_srd_iface_md(iface)->stats,
        .where  = where
    };
    uct_srd_peer_t *peer;

    snprintf(where, sizeof(where), "interface %s was closed",
             uct_srd_addr_str(iface->queues.self.gid, iface->queues.self.qpn,
                              local, sizeof(local)));
    /* From the start each time: completions may close others */
    while ((peer = uct_srd_iface_close_find_ep(iface)) != NULL) {
        uct_srd_iface_close_peer_eps(peer, &leak);
    }

    uct_efa_leak_end(&leak);
}

static void uct_srd_iface_close_forget_sends(uct_srd_peer_t *peer)
{
    uct_srd_una_pool_t *unas = &peer->iface->tx.unas;

    if (uct_srd_peer_rma_outstanding(peer) > 0) {
        ucs_list_del(&peer->rma.list);
    }
    peer->ctl.num = 0;
    uct_srd_una_forget(&peer->tx.una, unas, peer->tx.psn);
    uct_srd_una_forget(&peer->rma.una, unas, peer->rma.psn);
}

void uct_srd_iface_close_forget(uct_srd_iface_t *iface)
{
    uct_srd_slot_t *slot;
    uct_srd_peer_t *peer, *tmp;
    unsigned i;

    ucs_list_for_each(peer, &iface->peers.alive, list) {
        /* their queues' slots are found below */
        ucs_queue_head_init(&peer->tx.retransmit);
        uct_srd_gate_clear(peer, UCT_SRD_GATE_RETRANSMIT);
        ucs_queue_head_init(&peer->tx.held);
        ucs_queue_head_init(&peer->rma.held);
    }

    for (i = 0; i < iface->tx.num_slots; ++i) {
        slot = &iface->tx.slots[i];
        slot->ops->drop(iface, slot);
    }

    while (!ucs_list_is_empty(&iface->peers.alive)) {
        peer = ucs_list_head(&iface->peers.alive, uct_srd_peer_t, list);
        uct_srd_iface_close_forget_sends(peer);
        uct_srd_end_forget(peer);
    }

    /* Failed ones that waited for completions */
    ucs_list_for_each_safe(peer, tmp, &iface->peers.ended, list) {
        uct_srd_iface_close_forget_sends(peer);
        uct_srd_end_try_free(peer);
    }
}
