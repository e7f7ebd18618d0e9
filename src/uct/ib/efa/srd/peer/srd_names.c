/*
 * The names under which a peer is found (srd-wire.md, 2 and 12).
 *
 *   GID, QPN, QKEY    its own; endpoints and extended headers ask for it
 *   GID, QPN, any     once it was heard from: messages without extended header
 *   GID, any, QKEY    likewise: a reset gives an interface another QPN, and
 *                     leaves it its QKEY
 *   aliases           the first (GID, QPN, QKEY) it had, which addresses that
 *                     were published at the start tell, and the last but one
 *
 * The table has no names of its own: an entry is the peer's address, with the
 * kind of the name in its low bits, and is read from the peer each time. So
 * what a name consists of changes only while it is not in the table, or an
 * equal one takes its place (uct_srd_names_rename()).
 */
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer_rare.h"
#include "srd/peer/srd_peer_ah.h"

typedef enum {
    UCT_SRD_NAME_OWN,
    UCT_SRD_NAME_ANY_QKEY,
    UCT_SRD_NAME_ANY_QPN,
    UCT_SRD_NAME_ALIAS,               /* and the next ones                    */
    UCT_SRD_NAME_IDENT = UCT_SRD_NAME_ALIAS + UCT_SRD_ALIASES,
                                      /* not in the table: what is looked for */
    UCT_SRD_NAME_LAST
} uct_srd_name_kind_t;

#define UCT_SRD_NAME_KINDS ((uct_srd_name_t)7) /* bits of the kind            */

static_assert(UCT_SRD_NAME_LAST <= UCT_SRD_NAME_KINDS + 1, "kinds fit");
static_assert(alignof(uct_srd_peer_t) > UCT_SRD_NAME_KINDS,
              "the low bits of its address are free");

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

static uct_srd_name_t uct_srd_name(const uct_srd_peer_t *peer,
                                   uct_srd_name_kind_t kind)
{
    return (uct_srd_name_t)peer | kind;
}

static uct_srd_peer_t *uct_srd_name_peer(uct_srd_name_t name)
{
    return (uct_srd_peer_t *)(name & ~UCT_SRD_NAME_KINDS);
}

static uct_srd_ident_t uct_srd_name_ident(uct_srd_name_t name)
{
    const uct_srd_peer_t *peer = uct_srd_name_peer(name);
    unsigned kind              = name & UCT_SRD_NAME_KINDS;

    switch (kind) {
    case UCT_SRD_NAME_OWN:
        return peer->ident;
    case UCT_SRD_NAME_ANY_QKEY:
        return uct_srd_names_any_qkey(&peer->ident);
    case UCT_SRD_NAME_ANY_QPN:
        return uct_srd_names_any_qpn(&peer->ident);
    case UCT_SRD_NAME_IDENT:
        return *(const uct_srd_ident_t *)peer;
    default:
        return peer->rare->aliases.idents[kind - UCT_SRD_NAME_ALIAS];
    }
}

static uint32_t uct_srd_name_hash(uct_srd_name_t name)
{
    uct_srd_ident_t ident = uct_srd_name_ident(name);

    return uct_srd_hash_ident(ident.gid, ident.qpn, ident.qkey);
}

static int uct_srd_name_equal(uct_srd_name_t a, uct_srd_name_t b)
{
    return uct_srd_ident_equal(uct_srd_name_ident(a), uct_srd_name_ident(b));
}

KHASH_IMPL(uct_srd_names, uct_srd_name_t, char, 0, uct_srd_name_hash,
           uct_srd_name_equal)

void uct_srd_names_init(uct_srd_iface_t *iface)
{
    kh_init_inplace(uct_srd_names, &iface->peers.names);
}

void uct_srd_names_cleanup(uct_srd_iface_t *iface)
{
    kh_destroy_inplace(uct_srd_names, &iface->peers.names);
}

uct_srd_peer_t *uct_srd_names_at(const uct_srd_iface_t *iface, unsigned place)
{
    return kh_exist(&iface->peers.names, place) ?
                   uct_srd_name_peer(kh_key(&iface->peers.names, place)) :
                   NULL;
}

/* Its place in the table, or the end */
static khiter_t uct_srd_names_get(uct_srd_iface_t *iface,
                                  const uct_srd_ident_t *ident)
{
    alignas(uct_srd_peer_t) uct_srd_ident_t copy = *ident;

    return kh_get(uct_srd_names, &iface->peers.names,
                  (uct_srd_name_t)&copy | UCT_SRD_NAME_IDENT);
}

uct_srd_peer_t *uct_srd_names_find(uct_srd_iface_t *iface,
                                   const uct_srd_ident_t *ident)
{
    khiter_t iter = uct_srd_names_get(iface, ident);

    return (iter == kh_end(&iface->peers.names)) ?
                   NULL :
                   uct_srd_name_peer(kh_key(&iface->peers.names, iter));
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
                                          uct_srd_name_kind_t kind)
{
    uct_srd_iface_t *iface = peer->iface;
    uct_srd_name_t name    = uct_srd_name(peer, kind);
    khiter_t iter;
    int ret;

    iter = kh_put(uct_srd_names, &iface->peers.names, name, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return UCS_ERR_NO_MEMORY;
    }

    kh_key(&iface->peers.names, iter) = name;
    return UCS_OK;
}

/* The peer's entry of that name, or the end: it is nobody's, or another's */
static khiter_t uct_srd_names_get_own(uct_srd_peer_t *peer,
                                      const uct_srd_ident_t *ident)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter          = uct_srd_names_get(iface, ident);

    return ((iter == kh_end(&iface->peers.names)) ||
            (uct_srd_name_peer(kh_key(&iface->peers.names, iter)) != peer)) ?
                   kh_end(&iface->peers.names) :
                   iter;
}

static void uct_srd_names_clear_one(uct_srd_peer_t *peer,
                                    const uct_srd_ident_t *ident)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter          = uct_srd_names_get_own(peer, ident);

    if (iter != kh_end(&iface->peers.names)) {
        kh_del(uct_srd_names, &iface->peers.names, iter);
    }
}

/* The name is to be found as one of kind, which equals it at this moment. */
static void uct_srd_names_rename(uct_srd_peer_t *peer,
                                 const uct_srd_ident_t *ident,
                                 uct_srd_name_kind_t kind)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter          = uct_srd_names_get_own(peer, ident);

    if (iter != kh_end(&iface->peers.names)) {
        kh_key(&iface->peers.names, iter) = uct_srd_name(peer, kind);
    }
}

/* The names of who was heard from */
static ucs_status_t uct_srd_names_add_known(uct_srd_peer_t *peer)
{
    ucs_status_t status = uct_srd_names_set_one(peer, UCT_SRD_NAME_ANY_QKEY);

    return (status != UCS_OK) ?
                   status :
                   uct_srd_names_set_one(peer, UCT_SRD_NAME_ANY_QPN);
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
    return uct_srd_names_set_one(peer, UCT_SRD_NAME_OWN);
}

void uct_srd_names_del(uct_srd_peer_t *peer)
{
    uct_srd_names_clear_one(peer, &peer->ident);
    uct_srd_names_clear_known(peer);
    while (peer->rare->aliases.num > 0) {
        uct_srd_names_clear_one(peer,
                                &peer->rare->aliases
                                         .idents[--peer->rare->aliases.num]);
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

/* Its own name is an alias from now on. The first one stays. */
static void uct_srd_names_keep(uct_srd_peer_t *peer)
{
    uct_srd_peer_rare_t *rare = peer->rare;
    unsigned i;

    ucs_assert(rare->peer == peer);
    if (rare->aliases.num == UCT_SRD_ALIASES) {
        uct_srd_names_clear_one(peer,
                                &rare->aliases.idents[--rare->aliases.num]);
    }

    i                       = rare->aliases.num++;
    rare->aliases.idents[i] = peer->ident;
    uct_srd_names_rename(peer, &peer->ident, UCT_SRD_NAME_ALIAS + i);
}

/* ident is none any more, if it was */
static void uct_srd_names_drop(uct_srd_peer_t *peer,
                               const uct_srd_ident_t *ident)
{
    uct_srd_peer_rare_t *rare = peer->rare;
    unsigned i, left = 0;

    for (i = 0; i < rare->aliases.num; ++i) {
        if (uct_srd_ident_equal(rare->aliases.idents[i], *ident)) {
            uct_srd_names_clear_one(peer, ident);
        } else if (left++ < i) {
            rare->aliases.idents[left - 1] = rare->aliases.idents[i];
            uct_srd_names_rename(peer, &rare->aliases.idents[i],
                                 UCT_SRD_NAME_ALIAS + left - 1);
        }
    }
    if (left < i) {
        rare->aliases.num = left;
    }
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
    uct_srd_names_keep(peer);
    peer->ident = *ident;

    status = uct_srd_names_set_one(peer, UCT_SRD_NAME_OWN);
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
