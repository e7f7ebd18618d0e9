/*
 * Who sent a message with an extended header, and in which association: is the
 * header its sender's, and of the present epoch; is there room for another
 * peer.
 */
#include "srd/assoc/srd_identity.h"
#include "srd/assoc/srd_assoc.h"
#include "srd/assoc/srd_end.h"
#include "srd/assoc/srd_resume.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/recv/srd_rx.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_rma_key.h"

void uct_srd_identity_heard(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uint8_t generation = ext->features >> UCT_SRD_GENERATION_SHIFT;

    peer->rx.uid              = ext->uid;
    peer->rx.epoch            = ext->epoch;
    peer->rx.features         = ext->features;
    peer->stats->remote_epoch = ext->epoch;
    peer->tx.window     = ucs_min(ext->window, peer->iface->config.peer_window);
    peer->stats->window = peer->tx.window;
    if (peer->rx.generation != generation) {
        peer->rx.generation = generation;
        uct_srd_rma_key_forget(peer);
    }
}

static int uct_srd_identity_is_refused(const uct_srd_iface_t *iface,
                                       const uct_srd_ident_t *ident,
                                       uint32_t epoch)
{
    unsigned i;

    for (i = 0; i < ucs_min(iface->assoc.num_refused, UCT_SRD_REFUSED); ++i) {
        if ((iface->assoc.refused[i].epoch == epoch) &&
            uct_srd_ident_equal(iface->assoc.refused[i].ident, *ident)) {
            return 1;
        }
    }

    return 0;
}

/* A message was dropped, and no record of the sender stays that would say so.
 * What it sends before it hears of that would be delivered with a gap. */
static void uct_srd_identity_set_refused(uct_srd_iface_t *iface,
                                         const uct_srd_ident_t *ident,
                                         const uct_srd_ext_t *ext)
{
    unsigned i = iface->assoc.num_refused % UCT_SRD_REFUSED;

    if ((ext->op == UCT_SRD_OP_DATA) &&
        !uct_srd_identity_is_refused(iface, ident, ext->epoch)) {
        iface->assoc.refused[i].ident = *ident;
        iface->assoc.refused[i].epoch = ext->epoch;
        ++iface->assoc.num_refused;
    }
}

/* There is no room for a record of the sender. */
static void uct_srd_identity_refuse(uct_srd_iface_t *iface,
                                    const uct_srd_ident_t *ident,
                                    const uct_srd_ext_t *ext)
{
    uct_srd_rx_drop(iface, ident->gid, ident->qpn, UCT_SRD_DROP(drop_nomem));
    uct_srd_identity_set_refused(iface, ident, ext);
    uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT, UCT_SRD_REJECT_RESOURCES);
}

uct_srd_identity_t uct_srd_identity_check(uct_srd_iface_t *iface,
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
        gid = uct_srd_peer_ah_gid(iface, rx->wc.slid);
    }

    return (gid == NULL) ? UCT_SRD_IDENTITY_ASSERTED :
           (memcmp(gid->raw, ext->gid, sizeof(ext->gid)) == 0) ?
                           UCT_SRD_IDENTITY_PROVEN :
                           UCT_SRD_IDENTITY_FORGED;
}

const char uct_srd_identity_moved[] = "its queue pair number belongs to "
                                      "another interface now";

void uct_srd_identity_supersede(uct_srd_peer_t *peer,
                                const uct_srd_ident_t *ident)
{
    uct_srd_peer_t *other = uct_srd_names_find_any_qkey(peer->iface, ident);

    if ((other != NULL) && (other != peer)) {
        uct_srd_peer_superseded(other, uct_srd_identity_moved,
                                "the remote process was restarted or closed "
                                "its interface");
    }
}

static void uct_srd_identity_set_known(uct_srd_peer_t *peer)
{
    if (peer->rx.known) {
        return;
    }

    uct_srd_identity_supersede(peer, &peer->ident);
    if (uct_srd_names_set_known(peer) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a table",
                              "free memory");
        return;
    }

    peer->iface->resume->settled(peer); /* it speaks for itself */
    uct_srd_desc_grow(peer->iface);
}

uct_srd_peer_t *uct_srd_identity_peer(uct_srd_iface_t *iface,
                                      uct_srd_peer_t *peer,
                                      const uct_srd_ident_t *ident,
                                      const uct_srd_ext_t *ext,
                                      uint8_t asserted)
{
    int too_many;
    int32_t age;

    if (uct_srd_identity_is_refused(iface, ident, ext->epoch)) {
        uct_srd_identity_refuse(iface, ident, ext);
        return NULL;
    }

    if (peer != NULL) {
        age = peer->rx.known ? (int32_t)(ext->epoch - peer->rx.epoch) : 0;

        /* Its UID depends on our identity. If that was made anew by a reset, so
         * is the UID when it begins anew: its epochs tell, as ever. */
        if (peer->rx.known && (age == 0) && (peer->rx.uid != ext->uid)) {
            uct_srd_peer_superseded(peer, uct_srd_identity_moved,
                                    "the remote process was restarted or "
                                    "closed its interface");
            peer = NULL;
        } else if (age < 0) {
            uct_srd_rx_drop(iface, peer->ident.gid, peer->ident.qpn,
                            UCT_SRD_DROP(drop_epoch));
            return NULL;
        } else if ((age > 0) && (peer->eps.num > 0) &&
                   (peer->ctl.bye_sent || !peer->ctl.confirmed)) {
            /* It believed our BYE, or gave up for our new epoch what it had
             * with an earlier one, and has begun anew; we stay. */
            uct_srd_rx_purge(peer);
            peer->rx.started = 0;
            peer->rx.acked   = 0;
        } else if ((age > 0) && (peer->eps.num == 0) &&
                   (uct_srd_peer_outstanding(peer) == 0)) {
            uct_srd_end_forget(peer);
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
        /* Of self-asserted ones a single sender could invent any number. */
        too_many = asserted && (iface->rx.asserted >= UCT_SRD_MAX_ASSERTED);
        peer     = too_many ? NULL : uct_srd_assoc_new(iface, ident);
        if ((peer == NULL) && too_many && (ext->op != UCT_SRD_OP_DATA)) {
            /* HELLO comes again, later perhaps in vain no more. */
            uct_srd_rx_drop(iface, ident->gid, ident->qpn,
                            UCT_SRD_DROP(drop_nomem));
            return NULL;
        } else if (peer == NULL) {
            uct_srd_identity_refuse(iface, ident, ext);
            return NULL;
        }

        uct_srd_peer_ah_set_asserted(peer, asserted);
    } else if (!asserted) {
        uct_srd_peer_ah_set_asserted(peer, 0);
    }

    uct_srd_identity_set_known(peer);
    if (peer->state >= UCT_SRD_PEER_FAILED) {
        if (!peer->rx.acked && !peer->ctl.contacted) {
            /* Else it was told when the peer failed. */
            uct_srd_identity_refuse(iface, ident, ext);
        } else if (ext->op == UCT_SRD_OP_DATA) {
            uct_srd_rx_drop(iface, ident->gid, ident->qpn,
                            UCT_SRD_DROP(drop_failed));
            if (!peer->rx.known) {
                uct_srd_identity_set_refused(iface, ident, ext);
            }
        }
        return NULL;
    }

    uct_srd_identity_heard(peer, ext);
    return peer;
}

void uct_srd_identity_bad_version(uct_srd_iface_t *iface,
                                  const uct_srd_rx_wc_t *rx,
                                  const uct_srd_ident_t *ident,
                                  const uct_srd_ext_t *ext)
{
    uct_srd_peer_t *peer;
    char cause[96];

    uct_srd_rx_drop_wc(iface, rx, UCT_SRD_DROP(drop_version));
    peer = uct_srd_names_find(iface, ident);
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
        !uct_srd_ident_equal(iface->assoc.rejected, *ident)) {
        iface->assoc.rejected = *ident;
        uct_srd_ctl_answer(iface, ext, UCT_SRD_OP_REJECT,
                           UCT_SRD_REJECT_VERSION);
    }
}
