/*
 * Control messages that arrive, one function each, and the table of them
 * (srd-wire.md, 4 to 8).
 */
#include "srd/assoc/srd_ctl_ops.h"
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_end.h"
#include "srd/assoc/srd_resume.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_waiter.h"

#define UCT_SRD_ACK_MIN 1e-3   /* seconds between two HELLO_ACKs to DATA      */

static void uct_srd_ctl_ops_send_hello_ack(uct_srd_peer_t *peer)
{
    /* No slot: nobody else's AH is given up for it. */
    if ((peer->iface->tx.num_ctl == 0) ||
        (uct_srd_peer_ah_get(peer) != UCS_OK) ||
        (uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO_ACK, peer->rx.epoch) !=
         UCS_OK)) {
        return; /* HELLO comes again */
    }

    peer->rx.acked    = 1;
    peer->rx.ack_time = ucs_get_time();
    peer->ctl.ext_req = 0;
    UCT_SRD_COUNT(peer->iface, hello_ack);
}

/* The first HELLO or DATA says where the remote's sequence goes on */
static void uct_srd_ctl_ops_rx_start(uct_srd_peer_t *peer, uint32_t arg)
{
    if (!peer->rx.started) {
        peer->rx.started      = 1;
        peer->rx.ring.next    = (uint16_t)arg;
        peer->stats->rx_first = (uint16_t)(arg - peer->stats->rx_msgs);
        peer->rx.imm_base     = uct_srd_imm_pack(peer->rx.epoch, 0, 0, 0);
    }
}

static void uct_srd_ctl_ops_hello(uct_srd_peer_t *peer,
                                  const uct_srd_ext_t *ext)
{
    uct_srd_ctl_ops_rx_start(peer, ext->arg);
    uct_srd_ctl_ops_send_hello_ack(peer);
}

int uct_srd_ctl_ops_data(uct_srd_peer_t *peer, const uct_srd_ext_t *ext,
                         uint16_t psn)
{
    uct_srd_ctl_ops_rx_start(peer, ext->arg);
    /* A violation is answered by REJECT: one answer is enough. */
    if ((ucs_get_time() - peer->rx.ack_time >
         ucs_time_from_sec(UCT_SRD_ACK_MIN)) &&
        (uct_srd_ring_classify(&peer->rx.ring, psn) !=
         UCT_SRD_RING_VIOLATION)) {
        uct_srd_ctl_ops_send_hello_ack(peer);
    }

    return peer->state < UCT_SRD_PEER_FAILED;
}

static void uct_srd_ctl_ops_hello_ack(uct_srd_peer_t *peer,
                                      const uct_srd_ext_t *ext)
{
    if ((ext->arg != peer->epoch) || (peer->state != UCT_SRD_PEER_JOINING)) {
        return;
    }

    if (peer->rare->resume.rejoining) {
        peer->iface->resume->rejoined(peer, ext);
    } else {
        uct_srd_assoc_joined(peer);
    }
}

static void uct_srd_ctl_ops_rejoin_ack(uct_srd_peer_t *peer,
                                       const uct_srd_ext_t *ext)
{
    if ((ext->arg == peer->epoch) && (peer->state == UCT_SRD_PEER_JOINING) &&
        peer->rare->resume.rejoining) {
        peer->iface->resume->rejoined(peer, ext);
    }
}

/* It has followed after we gave up: it would send into the void. */
static void uct_srd_ctl_ops_rejoin_ack_unknown(uct_srd_iface_t *iface,
                                               const uct_srd_ext_t *ext)
{
    uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT, UCT_SRD_REJECT_FAILED);
}

static void uct_srd_ctl_ops_key_req(uct_srd_peer_t *peer,
                                    const uct_srd_ext_t *ext)
{
    peer->iface->resume->key_req(peer, ext);
}

static void uct_srd_ctl_ops_key_ack(uct_srd_peer_t *peer,
                                    const uct_srd_ext_t *ext)
{
    peer->iface->resume->key_ack(peer, ext);
}

static void uct_srd_ctl_ops_ext_req(uct_srd_peer_t *peer,
                                    const uct_srd_ext_t *ext)
{
    if (peer->state == UCT_SRD_PEER_JOINED) {
        uct_srd_peer_set_state(peer, UCT_SRD_PEER_NEW);
        uct_srd_gate_update(peer);
    }

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        return; /* EXT_REQ comes again */
    }

    if (uct_srd_peer_outstanding(peer) == 0) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_ACK, 0);
        return;
    }

    uct_srd_waiter_add_ext_ack(peer);
}

/* It sends headers again: we can do without its AH. */
static void uct_srd_ctl_ops_ext_ack(uct_srd_peer_t *peer,
                                    const uct_srd_ext_t *ext)
{
    if (!peer->ctl.ext_req) {
        return;
    }

    peer->ctl.ext_req = 0;
    peer->rx.acked    = 0;
    if ((peer->state == UCT_SRD_PEER_NEW) ||
        (peer->state == UCT_SRD_PEER_JOINED)) {
        uct_srd_ctl_timer_stop(peer); /* else it is HELLO's or BYE's */
    }

    if (uct_srd_peer_is_quiet(peer) &&
        !uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED)) {
        uct_srd_peer_ah_drop(peer);
        UCT_SRD_COUNT(peer->iface, ah_evict);
    }
}

static void uct_srd_ctl_ops_bye(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    if ((peer->eps.num > 0) || (uct_srd_peer_outstanding(peer) > 0) ||
        (peer->rx.ring.held > 0) ||
        (peer->rx.started && (peer->rx.ring.next != (uint16_t)ext->arg))) {
        return;
    }

    if (uct_srd_peer_ah_get(peer) == UCS_OK) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_BYE_ACK, ext->epoch);
        if (peer->state < UCT_SRD_PEER_FAILED) {
            uct_srd_end_forget(peer);
        }
    }
}

/* Farewells need no record and make none. */
static void uct_srd_ctl_ops_bye_unknown(uct_srd_iface_t *iface,
                                        const uct_srd_ext_t *ext)
{
    uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_BYE_ACK, ext->epoch);
}

static void uct_srd_ctl_ops_bye_ack(uct_srd_peer_t *peer,
                                    const uct_srd_ext_t *ext)
{
    if ((peer->state == UCT_SRD_PEER_LEAVING) && (peer->eps.num == 0) &&
        (ext->arg == peer->epoch) &&
        (!peer->rx.known || ((int32_t)(ext->epoch - peer->rx.epoch) >= 0))) {
        uct_srd_end_forget(peer);
    }
}

static void uct_srd_ctl_ops_reject(uct_srd_peer_t *peer,
                                   const uct_srd_ext_t *ext)
{
    char cause[96];

    switch (ext->arg) {
    case UCT_SRD_REJECT_FAILED:
        if (!peer->rare->resume.rejoining &&
            (!peer->rx.known || (ext->epoch != peer->rx.epoch))) {
            break; /* about an earlier association */
        }
        uct_srd_peer_fail_log(peer, UCS_ERR_CONNECTION_RESET,
                              "the remote interface gave up the association",
                              "look at the output of the remote process");
        break;
    case UCT_SRD_REJECT_RESOURCES:
        uct_srd_peer_fail_log(peer, UCS_ERR_UNREACHABLE,
                              "the remote interface has no resources for us",
                              "look at the output of the remote process");
        break;
    default:
        snprintf(cause, sizeof(cause),
                 "the remote interface refused us, reason %u", ext->arg);
        uct_srd_peer_fail_log(peer, UCS_ERR_UNREACHABLE, cause,
                              "use the same release of ucx-efa on both hosts");
        break;
    }
}

const uct_srd_ctl_op_t uct_srd_ctl_ops[UCT_SRD_OP_LAST] = {
    [UCT_SRD_OP_DATA]       = {.flags   = UCT_SRD_CTL_OP_MAKES},
    [UCT_SRD_OP_HELLO]      = {.flags   = UCT_SRD_CTL_OP_MAKES,
                               .handle  = uct_srd_ctl_ops_hello},
    [UCT_SRD_OP_HELLO_ACK]  = {.handle  = uct_srd_ctl_ops_hello_ack},
    [UCT_SRD_OP_EXT_REQ]    = {.handle  = uct_srd_ctl_ops_ext_req},
    [UCT_SRD_OP_EXT_ACK]    = {.handle  = uct_srd_ctl_ops_ext_ack},
    [UCT_SRD_OP_BYE]        = {.flags   = UCT_SRD_CTL_OP_SAME_UID |
                                          UCT_SRD_CTL_OP_LAST,
                               .handle  = uct_srd_ctl_ops_bye,
                               .unknown = uct_srd_ctl_ops_bye_unknown},
    [UCT_SRD_OP_BYE_ACK]    = {.flags   = UCT_SRD_CTL_OP_UNCHECKED,
                               .handle  = uct_srd_ctl_ops_bye_ack},
    [UCT_SRD_OP_PING]       = {.handle  = NULL},
    [UCT_SRD_OP_REJECT]     = {.flags   = UCT_SRD_CTL_OP_UNCHECKED,
                               .handle  = uct_srd_ctl_ops_reject},
    [UCT_SRD_OP_REJOIN]     = {.handle  = NULL},
    [UCT_SRD_OP_REJOIN_ACK] = {.handle  = uct_srd_ctl_ops_rejoin_ack,
                               .unknown = uct_srd_ctl_ops_rejoin_ack_unknown},
    [UCT_SRD_OP_KEY_REQ]    = {.handle  = uct_srd_ctl_ops_key_req},
    [UCT_SRD_OP_KEY_ACK]    = {.handle  = uct_srd_ctl_ops_key_ack}
};
