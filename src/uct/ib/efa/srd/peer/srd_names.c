/*
 * The names under which a peer is found (srd-wire.md, 2 and 12).
 *
 *   GID, QPN, QKEY    its own; endpoints and extended headers ask for it
 *   GID, QPN, any     once it was heard from: messages without extended header
 *   GID, any, QKEY    likewise: a reset gives an interface another QPN, and
 *                     leaves it its QKEY
 *   aliases           the first (GID, QPN, QKEY) it had, which addresses that
 *                     were published at the start tell, and the last but one
 */
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ah.h"

static uct_srd_ident_t uct_srd_names_any_qkey(const uct_srd_ident_t *ident)
{
    uct_srd_ident_t any = *ident;

    any.qkey = UCT_SRD_ANY_QKEY;
    return any;
}

static uct_srd_ident_t uct_srd_names_any_qpn(const uct_srd_ident_t *ident)
{
    uct_srd_ident_t any = *ident;

    any.qpn = UCT_SRD_ANY_QPN;
    return any;
}

uct_srd_peer_t *uct_srd_names_find(uct_srd_iface_t *iface,
                                   const uct_srd_ident_t *ident)
{
    khiter_t iter = kh_get(uct_srd_idents, &iface->peers.idents, *ident);

    return (iter == kh_end(&iface->peers.idents)) ?
                   NULL :
                   kh_val(&iface->peers.idents, iter);
}

uct_srd_peer_t *uct_srd_names_find_any_qkey(uct_srd_iface_t *iface,
                                            const uct_srd_ident_t *ident)
{
    uct_srd_ident_t any = uct_srd_names_any_qkey(ident);

    return uct_srd_names_find(iface, &any);
}

uct_srd_peer_t *uct_srd_names_find_any_qpn(uct_srd_iface_t *iface,
                                           const uct_srd_ident_t *ident)
{
    uct_srd_ident_t any = uct_srd_names_any_qpn(ident);

    return uct_srd_names_find(iface, &any);
}

int uct_srd_names_has(const uct_srd_peer_t *peer, const uct_srd_ident_t *ident)
{
    unsigned i;

    for (i = 0; i < peer->rare->aliases.num; ++i) {
        if (uct_srd_ident_equal(peer->rare->aliases.idents[i], *ident)) {
            return 1;
        }
    }

    return uct_srd_ident_equal(peer->ident, *ident);
}

/* Whoever had that name has it no more. */
static ucs_status_t uct_srd_names_set_one(uct_srd_peer_t *peer,
                                          const uct_srd_ident_t *name)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter;
    int ret;

    iter = kh_put(uct_srd_idents, &iface->peers.idents, *name, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return UCS_ERR_NO_MEMORY;
    }

    kh_val(&iface->peers.idents, iter) = peer;
    return UCS_OK;
}

static void uct_srd_names_clear_one(uct_srd_peer_t *peer,
                                    const uct_srd_ident_t *name)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter = kh_get(uct_srd_idents, &iface->peers.idents, *name);

    if ((iter != kh_end(&iface->peers.idents)) &&
        (kh_val(&iface->peers.idents, iter) == peer)) {
        kh_del(uct_srd_idents, &iface->peers.idents, iter);
    }
}

/* The names of who was heard from */
static ucs_status_t uct_srd_names_add_known(uct_srd_peer_t *peer)
{
    uct_srd_ident_t any = uct_srd_names_any_qkey(&peer->ident);
    ucs_status_t status = uct_srd_names_set_one(peer, &any);

    if (status != UCS_OK) {
        return status;
    }

    any = uct_srd_names_any_qpn(&peer->ident);
    return uct_srd_names_set_one(peer, &any);
}

static void uct_srd_names_clear_known(uct_srd_peer_t *peer)
{
    uct_srd_ident_t any_qkey = uct_srd_names_any_qkey(&peer->ident);
    uct_srd_ident_t any_qpn  = uct_srd_names_any_qpn(&peer->ident);

    uct_srd_names_clear_one(peer, &any_qkey);
    uct_srd_names_clear_one(peer, &any_qpn);
}

ucs_status_t uct_srd_names_add(uct_srd_peer_t *peer)
{
    ucs_assert(uct_srd_names_find(peer->iface, &peer->ident) == NULL);
    return uct_srd_names_set_one(peer, &peer->ident);
}

void uct_srd_names_del(uct_srd_peer_t *peer)
{
    uct_srd_names_clear_one(peer, &peer->ident);
    uct_srd_names_clear_known(peer);
    while (peer->rare->aliases.num > 0) {
        uct_srd_names_clear_one(peer,
                                &peer->rare->aliases.idents[--peer->rare->aliases.num]);
    }
}

ucs_status_t uct_srd_names_set_known(uct_srd_peer_t *peer)
{
    ucs_status_t status = uct_srd_names_add_known(peer);

    if (status != UCS_OK) {
        return status;
    }

    peer->rx.known = 1;
    if ((peer->ah != NULL) && (uct_srd_peer_ah_key_add(peer) != UCS_OK)) {
        uct_srd_peer_ah_drop(peer);
    }

    return UCS_OK;
}

/* ident is an alias from now on. The first one stays. */
static void uct_srd_names_keep(uct_srd_peer_t *peer,
                               const uct_srd_ident_t *ident)
{
    ucs_assert(peer->rare->peer == peer);
    if (peer->rare->aliases.num == UCT_SRD_ALIASES) {
        uct_srd_names_clear_one(peer,
                                &peer->rare->aliases.idents[--peer->rare->aliases.num]);
    }
    peer->rare->aliases.idents[peer->rare->aliases.num++] = *ident;
}

/* ident is none any more, if it was */
static void uct_srd_names_drop(uct_srd_peer_t *peer,
                               const uct_srd_ident_t *ident)
{
    unsigned i, left = 0;

    if (peer->rare->aliases.num == 0) {
        return;
    }

    for (i = 0; i < peer->rare->aliases.num; ++i) {
        if (uct_srd_ident_equal(peer->rare->aliases.idents[i], *ident)) {
            uct_srd_names_clear_one(peer, ident);
        } else {
            peer->rare->aliases.idents[left++] = peer->rare->aliases.idents[i];
        }
    }
    peer->rare->aliases.num = left;
}

uct_srd_peer_t *uct_srd_names_as_sender(uct_srd_peer_t *peer,
                                        const uct_srd_ident_t *ident,
                                        uint64_t uid)
{
    if ((peer != NULL) && !uct_srd_ident_equal(peer->ident, *ident) &&
        (peer->rx.uid != uid)) {
        /* Somebody else was given its old queue pair number. */
        uct_srd_names_drop(peer, ident);
        return NULL;
    }

    return peer;
}

ucs_status_t uct_srd_names_move(uct_srd_peer_t *peer,
                                const uct_srd_ident_t *ident)
{
    uct_srd_ident_t old = peer->ident;
    ucs_status_t status;

    if (uct_srd_peer_rare(peer) == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    uct_srd_peer_ah_key_del(peer);
    uct_srd_names_clear_known(peer);
    uct_srd_names_drop(peer, ident);
    uct_srd_names_keep(peer, &old);
    peer->ident = *ident;

    status = uct_srd_names_set_one(peer, ident);
    if ((status == UCS_OK) && peer->rx.known) {
        status = uct_srd_names_add_known(peer);
    }
    if (status != UCS_OK) {
        return status;
    }

    if (memcmp(old.gid, ident->gid, sizeof(ident->gid)) != 0) {
        uct_srd_peer_ah_drop(peer);
    }

    peer->tx.dest.qpn  = ident->qpn;
    peer->tx.dest.qkey = ident->qkey;
    peer->stats->qpn   = ident->qpn;
    memcpy(peer->stats->gid, ident->gid, sizeof(peer->stats->gid));

    if (peer->rx.known && (peer->ah != NULL) &&
        (uct_srd_peer_ah_key_add(peer) != UCS_OK)) {
        uct_srd_peer_ah_drop(peer);
    }

    return UCS_OK;
}
