/*
 * Messages with an extended header, receiving (srd-wire.md, 4, 5 and 7):
 *
 *   well formed, of our version? --> its sender's? --> a peer's, or may it make
 *   one? --> in its present association (srd_identity.c) --> srd_ctl_ops.c
 */
#include "srd/assoc/srd_ctl_ops.h"
#include "srd/assoc/srd_identity.h"
#include "srd/assoc/srd_resume.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_trace.h"
#include "srd/recv/srd_rx.h"
#include "srd/send/srd_ctl.h"
#include "srd/def/srd_upcall.h"

/* Nonzero: ext is valid, and of our version. */
static int uct_srd_receive_unpack(uct_srd_iface_t *iface,
                                  const uct_srd_rx_wc_t *rx, uint32_t imm,
                                  const void *message, uct_srd_ext_t *ext,
                                  uct_srd_ident_t *ident)
{
    switch (uct_srd_ext_unpack(message, rx->wc.byte_len, imm, ext)) {
    case UCT_SRD_EXT_OK:
        uct_srd_ctl_ident(ext, ident);
        return 1;
    case UCT_SRD_EXT_BAD_VERSION:
        uct_srd_ctl_ident(ext, ident);
        if (uct_srd_identity_check(iface, rx, ext) == UCT_SRD_IDENTITY_FORGED) {
            uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_forged));
        } else {
            uct_srd_identity_bad_version(iface, rx, ident, ext);
        }
        return 0;
    default:
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_header));
        return 0;
    }
}

/* The device names the AH that we own for whoever is behind it. Before it has
 * done so once (no_ah), or while completions are left that were written before
 * (unverified; of those that are polled now the GID is known), messages may be
 * from before the AH was made. */
static int uct_srd_receive_is_forged(const uct_srd_iface_t *iface,
                                     const uct_srd_peer_t *peer,
                                     uct_srd_identity_t identity)
{
    return (identity == UCT_SRD_IDENTITY_FORGED) ||
           ((identity == UCT_SRD_IDENTITY_ASSERTED) && (peer != NULL) &&
            peer->rx.known && (peer->ah != NULL) && !peer->rx.no_ah &&
            !iface->rx.unverified);
}

static void uct_srd_receive_count(uct_srd_iface_t *iface,
                                  const uct_srd_ident_t *ident,
                                  const uct_srd_ext_t *ext)
{
    if (ext->op == UCT_SRD_OP_DATA) {
        UCT_SRD_COUNT(iface, rx_ext);
        return;
    }

    UCT_SRD_COUNT(iface, rx_ctl);
    if (UCT_SRD_TRACE(iface)) {
        uct_srd_trace_recv_ctl(iface, ext);
    }
    uct_efa_stats_event(EFA_STATS_EVENT_CTL_RX, iface->stats, ident->gid,
                        ident->qpn, UCS_OK, ext->op, 0);
}

uct_srd_peer_t *uct_srd_upcall_received(uct_srd_iface_t *iface,
                                        const uct_srd_rx_wc_t *rx, uint32_t imm,
                                        const void *message, size_t *offset_p)
{
    const uct_srd_ctl_op_t *op;
    uct_srd_identity_t identity;
    uct_srd_peer_t *peer;
    uct_srd_ident_t ident;
    uct_srd_ext_t ext;

    if (!uct_srd_receive_unpack(iface, rx, imm, message, &ext, &ident)) {
        return NULL;
    }

    peer     = uct_srd_names_find(iface, &ident);
    identity = uct_srd_identity_check(iface, rx, &ext);
    if (uct_srd_receive_is_forged(iface, peer, identity)) {
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_forged));
        return NULL;
    }

    peer = uct_srd_names_as_sender(peer, &ident, ext.uid);
    uct_srd_receive_count(iface, &ident, &ext);
    if (ext.op == UCT_SRD_OP_REJOIN) {
        if (iface->resume->rejoin(iface, peer, &ident, &ext)) {
            return NULL;
        }
        ext.op = UCT_SRD_OP_HELLO;
        peer   = uct_srd_names_find(iface, &ident);
        peer   = uct_srd_names_as_sender(peer, &ident, ext.uid);
    }

    op = &uct_srd_ctl_ops[ext.op];
    if ((peer == NULL) ? !(op->flags & UCT_SRD_CTL_OP_MAKES) :
                         ((op->flags & UCT_SRD_CTL_OP_SAME_UID) &&
                          peer->rx.known && (peer->rx.uid != ext.uid))) {
        if (op->unknown != NULL) {
            op->unknown(iface, &ext);
        }
        return NULL;
    } else if (op->flags & UCT_SRD_CTL_OP_UNCHECKED) {
        op->handle(peer, &ext);
        return NULL;
    }

    peer = uct_srd_identity_peer(iface, peer, &ident, &ext,
                                 identity == UCT_SRD_IDENTITY_ASSERTED);
    if (peer == NULL) {
        return NULL;
    }

    /* Messages with a GID alone: there may be more from before the AH */
    if (rx->wc.slid != UCT_EFA_AHN_UNKNOWN) {
        uct_srd_peer_ah_set_no_ah(peer, 0);
    } else if (!peer->rx.started) {
        uct_srd_peer_ah_set_no_ah(peer, 1);
    }

    if (ext.op == UCT_SRD_OP_DATA) {
        *offset_p = ext.len8 * 8;
        if (uct_srd_ctl_ops_data(peer, &ext, (uint16_t)imm)) {
            return peer;
        }
        uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_failed));
        return NULL;
    }

    if (op->handle != NULL) {
        op->handle(peer, &ext);
    }
    if (!(op->flags & UCT_SRD_CTL_OP_LAST) &&
        (peer->state < UCT_SRD_PEER_FAILED)) {
        uct_srd_upcall_moved(peer);
    }

    return NULL;
}
