/*
 * Messages with an extended header, receiving (srd-wire.md, 4, 5 and 7): is it
 * well formed, is it its sender's, which association does it belong to, and
 * what follows.
 */
#include "srd/recv/srd_rx.h"

#define UCT_SRD_ACK_MIN 1e-3   /* seconds between two HELLO_ACKs to DATA      */

static void uct_srd_ctl_hello_ack(uct_srd_peer_t *peer)
{
    if ((uct_srd_peer_ah_get(peer) != UCS_OK) ||
        (uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO_ACK, peer->rx.epoch) !=
         UCS_OK)) {
        return; /* HELLO comes again */
    }

    peer->rx.acked    = 1;
    peer->rx.ack_time = ucs_get_time();
    peer->ext_req     = 0;
    UCT_SRD_COUNT(peer->iface, hello_ack);
}

void uct_srd_ctl_heard(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uint8_t generation = ext->features >> UCT_SRD_GENERATION_SHIFT;

    peer->rx.uid            = ext->uid;
    peer->rx.epoch          = ext->epoch;
    peer->rx.features       = ext->features;
    peer->stats->remote_epoch = ext->epoch;
    peer->tx.window         = ucs_min(ext->window,
                                      peer->iface->config.peer_window);
    peer->stats->window       = peer->tx.window;
    if (peer->rx.generation != generation) {
        peer->rx.generation = generation;
        uct_srd_rekey_reset(peer);
    }
}

static int
uct_srd_ctl_is_refused(const uct_srd_iface_t *iface,
                       const uct_srd_ident_t *ident, uint32_t epoch)
{
    unsigned i;

    for (i = 0; i < ucs_min(iface->num_refused, UCT_SRD_REFUSED); ++i) {
        if ((iface->refused[i].epoch == epoch) &&
            uct_srd_ident_equal(iface->refused[i].ident, *ident)) {
            return 1;
        }
    }

    return 0;
}

/* There is no room for a record of the sender. It may send more before it hears
 * of that. */
static void uct_srd_ctl_refuse(uct_srd_iface_t *iface,
                               const uct_srd_ident_t *ident,
                               const uct_srd_ext_t *ext)
{
    unsigned i = iface->num_refused % UCT_SRD_REFUSED;

    uct_srd_dropped(iface, ident->gid, ident->qpn, UCT_SRD_DROP(drop_nomem));
    if ((ext->op == UCT_SRD_OP_DATA) &&
        !uct_srd_ctl_is_refused(iface, ident, ext->epoch)) {
        iface->refused[i].ident = *ident;
        iface->refused[i].epoch = ext->epoch;
        ++iface->num_refused;
    }

    uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT, UCT_SRD_REJECT_RESOURCES);
}

/* The remote's incarnation, from its header. Returns NULL if the header is an
 * old one, else the peer to go on with: peer, its successor, or a new one. */
static uct_srd_peer_t *
uct_srd_ctl_identify(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                     const uct_srd_ident_t *ident, const uct_srd_ext_t *ext,
                     uint8_t claimed)
{
    int too_many;
    int32_t age;

    if (uct_srd_ctl_is_refused(iface, ident, ext->epoch)) {
        uct_srd_ctl_refuse(iface, ident, ext);
        return NULL;
    }

    if (peer != NULL) {
        age = peer->rx.known ? (int32_t)(ext->epoch - peer->rx.epoch) : 0;

        /* Its UID depends on our identity. If that was made anew by a reset, so
         * is the UID when it begins anew: its epochs tell, as ever. */
        if (peer->rx.known && (age == 0) && (peer->rx.uid != ext->uid)) {
            uct_srd_peer_superseded(peer,
                                    "its queue pair number belongs to another "
                                    "interface now", "the remote process was "
                                    "restarted or closed its interface");
            peer = NULL;
        } else if (age < 0) {
            uct_srd_dropped(iface, peer->ident.gid, peer->ident.qpn,
                            UCT_SRD_DROP(drop_epoch));
            return NULL;
        } else if ((age > 0) && (peer->num_eps > 0) &&
                   (peer->bye_sent || !peer->confirmed)) {
            /* It believed our BYE, or gave up for our new epoch what it had
             * with an earlier one, and has begun anew; we stay. */
            uct_srd_rx_ring_purge(peer);
            peer->rx.started = 0;
            peer->rx.acked   = 0;
        } else if ((age > 0) && (peer->num_eps == 0) &&
                   (uct_srd_peer_outstanding(peer) == 0)) {
            uct_srd_peer_forget(peer);
            peer = NULL;
        } else if (age > 0) {
            uct_srd_peer_superseded(peer,
                                    "the remote interface lost the association",
                                    "the remote side closed its endpoint or "
                                    "met an error: look at its output");
            peer = NULL;
        }
    }

    if (peer == NULL) {
        /* Of claimed ones a single sender could invent any number. */
        too_many = claimed &&
                   (iface->rx.claimed >= iface->config.max_claimed);
        peer     = too_many ? NULL : uct_srd_peer_create(iface, ident);
        if ((peer == NULL) && too_many && (ext->op != UCT_SRD_OP_DATA)) {
            /* HELLO comes again, later perhaps in vain no more. */
            uct_srd_dropped(iface, ident->gid, ident->qpn,
                            UCT_SRD_DROP(drop_nomem));
            return NULL;
        } else if (peer == NULL) {
            uct_srd_ctl_refuse(iface, ident, ext);
            return NULL;
        }

        uct_srd_peer_set_claimed(peer, claimed);
    } else if (!claimed) {
        uct_srd_peer_set_claimed(peer, 0);
    }

    uct_srd_peer_set_known(peer);
    if (peer->state >= UCT_SRD_PEER_FAILED) {
        if (!peer->rx.acked && !peer->contacted) {
            /* Else it was told when the peer failed. */
            uct_srd_ctl_refuse(iface, ident, ext);
        }
        return NULL;
    }

    uct_srd_ctl_heard(peer, ext);
    return peer;
}

/* The first HELLO or DATA says where the remote's sequence goes on */
static void uct_srd_ctl_rx_start(uct_srd_peer_t *peer, uint32_t arg)
{
    if (!peer->rx.started) {
        peer->rx.started    = 1;
        peer->rx.ring.next  = (uint16_t)arg;
        peer->stats->rx_first = (uint16_t)(arg - peer->stats->rx_msgs);
        peer->rx.imm_base   = uct_srd_imm_pack(peer->rx.epoch, 0, 0, 0);
    }
}

static void uct_srd_ctl_ext_req(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_waiter_t *waiter;

    if (peer->state == UCT_SRD_PEER_JOINED) {
        uct_srd_peer_set_state(peer, UCT_SRD_PEER_NEW);
        uct_srd_peer_tx_update(peer);
    }

    if (uct_srd_peer_ah_get(peer) != UCS_OK) {
        return; /* EXT_REQ comes again */
    }

    if (uct_srd_peer_outstanding(peer) == 0) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_ACK, 0);
        return;
    }

    ucs_queue_for_each(waiter, &peer->tx.waiters, queue) {
        if (waiter->comp == NULL) {
            return;
        }
    }

    waiter = ucs_mpool_get(&iface->tx.flush_mp);
    if (waiter != NULL) {
        waiter->comp    = NULL;
        waiter->ep      = NULL;
        waiter->psn     = peer->tx.psn;
        waiter->rma_psn = peer->rma.psn;
        peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
        ucs_queue_push(&peer->tx.waiters, &waiter->queue);
    }
}

static void uct_srd_ctl_bye(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    if ((peer->num_eps > 0) || (uct_srd_peer_outstanding(peer) > 0) ||
        (peer->rx.ring.held > 0) ||
        (peer->rx.started && (peer->rx.ring.next != (uint16_t)ext->arg))) {
        return;
    }

    if (uct_srd_peer_ah_get(peer) == UCS_OK) {
        uct_srd_ctl_send(peer, UCT_SRD_OP_BYE_ACK, ext->epoch);
        if (peer->state < UCT_SRD_PEER_FAILED) {
            uct_srd_peer_forget(peer);
        }
    }
}

static void uct_srd_ctl_reject(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    char cause[96];

    switch (ext->arg) {
    case UCT_SRD_REJECT_FAILED:
        if (!peer->rejoining &&
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

/* Speaks another version: say so, once for each sender while it is the last */
static void uct_srd_ctl_bad_version(uct_srd_iface_t *iface,
                                    const uct_srd_rx_wc_t *rx,
                                    const uct_srd_ident_t *ident,
                                    const uct_srd_ext_t *ext)
{
    uct_srd_peer_t *peer;
    char cause[96];

    uct_srd_rx_dropped(iface, rx, UCT_SRD_DROP(drop_version));
    peer = uct_srd_peer_find(iface, ident);
    if ((peer != NULL) && uct_srd_ident_equal(peer->ident, *ident) &&
        (ext->op == UCT_SRD_OP_REJECT)) {
        snprintf(cause, sizeof(cause),
                 "it speaks version %u of the SRD wire protocol, we %u",
                 ext->version, UCT_SRD_WIRE_VERSION);
        uct_srd_peer_fail_log(peer, UCS_ERR_UNREACHABLE, cause,
                              "use the same release of ucx-efa on both hosts");
        return;
    }

    if ((ext->op != UCT_SRD_OP_REJECT) &&
        !uct_srd_ident_equal(iface->rejected, *ident)) {
        iface->rejected = *ident;
        uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT,
                           UCT_SRD_REJECT_VERSION);
    }
}

/* Is the identity in the header the one that the device saw? */
typedef enum {
    UCT_SRD_IDENTITY_PROVEN,
    UCT_SRD_IDENTITY_CLAIMED, /* the QPN is, of the GID the device says nothing */
    UCT_SRD_IDENTITY_FORGED
} uct_srd_identity_t;

static uct_srd_identity_t uct_srd_ctl_identity(uct_srd_iface_t *iface,
                                               const uct_srd_rx_wc_t *rx,
                                               const uct_srd_ext_t *ext)
{
    const union ibv_gid *gid = NULL;

    if (ext->qpn != rx->wc.src_qp) {
        return UCT_SRD_IDENTITY_FORGED;
    }

    if (rx->has_gid) {
        gid = &rx->gid;
    } else if (rx->wc.slid != UCT_EFA_AHN_UNKNOWN) {
        gid = uct_srd_iface_ahn_gid(iface, rx->wc.slid);
    }

    return (gid == NULL) ? UCT_SRD_IDENTITY_CLAIMED :
           (memcmp(gid->raw, ext->gid, sizeof(ext->gid)) == 0) ?
           UCT_SRD_IDENTITY_PROVEN : UCT_SRD_IDENTITY_FORGED;
}

uct_srd_peer_t *uct_srd_ctl_receive(uct_srd_iface_t *iface,
                                    const uct_srd_rx_wc_t *rx, uint32_t imm,
                                    const void *message, size_t *offset_p)
{
    uct_srd_identity_t identity;
    uct_srd_peer_t *peer;
    uct_srd_ident_t ident;
    uct_srd_ext_t ext;

    switch (uct_srd_ext_unpack(message, rx->wc.byte_len, imm, &ext)) {
    case UCT_SRD_EXT_OK:
        break;
    case UCT_SRD_EXT_BAD_VERSION:
        uct_srd_ext_ident(&ext, &ident);
        if (uct_srd_ctl_identity(iface, rx, &ext) == UCT_SRD_IDENTITY_FORGED) {
            uct_srd_rx_dropped(iface, rx, UCT_SRD_DROP(drop_forged));
        } else {
            uct_srd_ctl_bad_version(iface, rx, &ident, &ext);
        }
        return NULL;
    default:
        uct_srd_rx_dropped(iface, rx, UCT_SRD_DROP(drop_header));
        return NULL;
    }

    uct_srd_ext_ident(&ext, &ident);
    peer     = uct_srd_peer_find(iface, &ident);
    identity = uct_srd_ctl_identity(iface, rx, &ext);

    /* The device names the AH that we own for whoever is behind it. Before it
     * has done so once, or while completions are left that were written before
     * (wary; of those that are polled now the GID is known), messages may be
     * from before the AH was made. */
    if ((identity == UCT_SRD_IDENTITY_FORGED) ||
        ((identity == UCT_SRD_IDENTITY_CLAIMED) && (peer != NULL) &&
         peer->rx.known && (peer->ah != NULL) && !peer->rx.stranger &&
         !iface->rx.wary)) {
        uct_srd_rx_dropped(iface, rx, UCT_SRD_DROP(drop_forged));
        return NULL;
    }

    peer = uct_srd_peer_as_sender(peer, &ident, ext.uid);
    if (ext.op == UCT_SRD_OP_DATA) {
        UCT_SRD_COUNT(iface, rx_ext);
    } else {
        UCT_SRD_COUNT(iface, rx_ctl);
        if (UCT_SRD_TRACE(iface)) {
            uct_srd_trace_recv_ctl(iface, &ext);
        }
        uct_efa_stats_event(EFA_STATS_EVENT_CTL_RX, iface->stats, ident.gid,
                             ident.qpn, UCS_OK, ext.op, 0);
    }

    if (ext.op == UCT_SRD_OP_REJOIN) {
        if (uct_srd_rejoin_receive(iface, peer, &ident, &ext)) {
            return NULL;
        }
        ext.op = UCT_SRD_OP_HELLO;
        peer   = uct_srd_peer_find(iface, &ident);
        peer   = uct_srd_peer_as_sender(peer, &ident, ext.uid);
    }

    /* Farewells need no record and make none. */
    if ((ext.op == UCT_SRD_OP_BYE) &&
        ((peer == NULL) || (peer->rx.known && (peer->rx.uid != ext.uid)))) {
        uct_srd_ctl_answer(iface, &ext, UCT_SRD_OP_BYE_ACK, ext.epoch);
        return NULL;
    }

    if (ext.op == UCT_SRD_OP_BYE_ACK) {
        if ((peer != NULL) && (peer->state == UCT_SRD_PEER_LEAVING) &&
            (peer->num_eps == 0) && (ext.arg == peer->epoch) &&
            (!peer->rx.known || ((int32_t)(ext.epoch - peer->rx.epoch) >= 0))) {
            uct_srd_peer_forget(peer);
        }
        return NULL;
    }

    if ((peer == NULL) && (ext.op != UCT_SRD_OP_HELLO) &&
        (ext.op != UCT_SRD_OP_DATA)) {
        if (ext.op == UCT_SRD_OP_REJOIN_ACK) {
            /* It has followed after we gave up: it would send into the void. */
            uct_srd_ctl_answer(iface, &ext, UCT_SRD_OP_REJECT,
                               UCT_SRD_REJECT_FAILED);
        }
        return NULL;
    }

    if (ext.op == UCT_SRD_OP_REJECT) {
        uct_srd_ctl_reject(peer, &ext);
        return NULL;
    }

    peer = uct_srd_ctl_identify(iface, peer, &ident, &ext,
                                identity == UCT_SRD_IDENTITY_CLAIMED);
    if (peer == NULL) {
        return NULL;
    }

    /* Messages with a GID alone: there may be more from before the AH */
    if (rx->wc.slid != UCT_EFA_AHN_UNKNOWN) {
        uct_srd_peer_set_stranger(peer, 0);
    } else if (!peer->rx.started) {
        uct_srd_peer_set_stranger(peer, 1);
    }

    switch ((uct_srd_op_t)ext.op) {
    case UCT_SRD_OP_DATA:
        uct_srd_ctl_rx_start(peer, ext.arg);
        /* A violation is answered by REJECT: one answer is enough. */
        if ((ucs_get_time() - peer->rx.ack_time >
             ucs_time_from_sec(UCT_SRD_ACK_MIN)) &&
            (uct_srd_ring_classify(&peer->rx.ring, (uint16_t)imm) !=
             UCT_SRD_RING_VIOLATION)) {
            uct_srd_ctl_hello_ack(peer);
        }
        *offset_p = ext.len8 * 8;
        return (peer->state < UCT_SRD_PEER_FAILED) ? peer : NULL;
    case UCT_SRD_OP_HELLO:
        uct_srd_ctl_rx_start(peer, ext.arg);
        uct_srd_ctl_hello_ack(peer);
        break;
    case UCT_SRD_OP_HELLO_ACK:
    case UCT_SRD_OP_REJOIN_ACK:
        if ((ext.arg != peer->epoch) ||
            (peer->state != UCT_SRD_PEER_JOINING)) {
            break;
        }
        if (peer->rejoining) {
            uct_srd_rejoin_done(peer, &ext);
        } else if (ext.op == UCT_SRD_OP_HELLO_ACK) {
            uct_srd_ctl_joined(peer);
        }
        break;
    case UCT_SRD_OP_KEY_REQ:
        uct_srd_rekey_req(peer, &ext);
        break;
    case UCT_SRD_OP_KEY_ACK:
        uct_srd_rekey_ack(peer, &ext);
        break;
    case UCT_SRD_OP_EXT_REQ:
        uct_srd_ctl_ext_req(peer);
        break;
    case UCT_SRD_OP_EXT_ACK:
        if (peer->ext_req) {
            peer->ext_req  = 0;
            peer->rx.acked = 0;
            if ((peer->state == UCT_SRD_PEER_NEW) ||
                (peer->state == UCT_SRD_PEER_JOINED)) {
                uct_srd_ctl_timer_stop(peer); /* else it is HELLO's or BYE's */
            }
            if ((uct_srd_peer_outstanding(peer) == 0) &&
                (peer->tx.ctl == 0) && !peer->lost.is) {
                uct_srd_peer_ah_drop(peer);
                UCT_SRD_COUNT(iface, ah_evict);
            }
        }
        break;
    case UCT_SRD_OP_BYE:
        uct_srd_ctl_bye(peer, &ext);
        return NULL; /* peer may be gone */
    default:
        break;
    }

    if (peer->state < UCT_SRD_PEER_FAILED) {
        uct_srd_peer_tx_progress(peer);
    }

    return NULL;
}
