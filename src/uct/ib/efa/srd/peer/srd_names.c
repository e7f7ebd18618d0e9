/*
 * The names under which a peer is found, and two names for one interface
 * (srd-wire.md, 2 and 12).
 *
 *   GID, QPN, QKEY    its own; endpoints and extended headers ask for it
 *   GID, QPN, any     once it was heard from: messages without extended header
 *   GID, any, QKEY    likewise: a reset gives an interface another QPN, and
 *                     leaves it its QKEY
 *   aliases           the first (GID, QPN, QKEY) it had, which addresses that
 *                     were published at the start tell, and the last but one
 *
 * Whoever has the new address of a peer before REJOIN has come from there would
 * begin a second association with it, and break the first. So an endpoint whose
 * address has the GID and the QKEY of a peer, and another QPN, waits:
 *
 *     heir --- is it still there? PING ---> elder, the peer of the other QPN
 *       |                                     |
 *       |<-- it answers: another interface ---+
 *       |<-- it has failed, or is gone -------+
 *       |        goes on by itself            |
 *       |                                     |
 *       +<-- REJOIN from the heir's name -----+
 *                its endpoints are the elder's
 *
 * Nothing has left for a heir, and nobody else knows of it. Only REJOIN makes
 * the two one, since GID and QKEY are no secret.
 */
#include "srd/send/srd_rma.h"

#define UCT_SRD_HEIR_ASK 10e-3 /* seconds, doubling                           */

static const char uct_srd_names_moved[] = "its queue pair number belongs to "
                                          "another interface now";

/* ------------------------------------------------------------------ the table */

uct_srd_peer_t *
uct_srd_peer_find(uct_srd_iface_t *iface, const uct_srd_ident_t *ident)
{
    khiter_t iter = kh_get(uct_srd_idents, &iface->idents, *ident);

    return (iter == kh_end(&iface->idents)) ? NULL :
           kh_val(&iface->idents, iter);
}

int uct_srd_peer_is_named(const uct_srd_peer_t *peer,
                          const uct_srd_ident_t *ident)
{
    unsigned i;

    for (i = 0; i < peer->num_aliases; ++i) {
        if (uct_srd_ident_equal(peer->aliases[i], *ident)) {
            return 1;
        }
    }

    return uct_srd_ident_equal(peer->ident, *ident);
}

/* Whoever had that name has it no more. */
static ucs_status_t
uct_srd_name_set(uct_srd_peer_t *peer, const uct_srd_ident_t *name)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter;
    int ret;

    iter = kh_put(uct_srd_idents, &iface->idents, *name, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return UCS_ERR_NO_MEMORY;
    }

    kh_val(&iface->idents, iter) = peer;
    return UCS_OK;
}

static void
uct_srd_name_clear(uct_srd_peer_t *peer, const uct_srd_ident_t *name)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter          = kh_get(uct_srd_idents, &iface->idents, *name);

    if ((iter != kh_end(&iface->idents)) &&
        (kh_val(&iface->idents, iter) == peer)) {
        kh_del(uct_srd_idents, &iface->idents, iter);
    }
}

static uct_srd_ident_t uct_srd_name_any_qkey(const uct_srd_ident_t *ident)
{
    uct_srd_ident_t any = *ident;

    any.qkey = UCT_SRD_ANY_QKEY;
    return any;
}

static uct_srd_ident_t uct_srd_name_any_qpn(const uct_srd_ident_t *ident)
{
    uct_srd_ident_t any = *ident;

    any.qpn = UCT_SRD_ANY_QPN;
    return any;
}

/* The names of who was heard from. Its predecessor at that QPN fails. */
static ucs_status_t uct_srd_names_set_known(uct_srd_peer_t *peer)
{
    uct_srd_ident_t any   = uct_srd_name_any_qkey(&peer->ident);
    uct_srd_peer_t *other = uct_srd_peer_find(peer->iface, &any);
    ucs_status_t status;

    if ((other != NULL) && (other != peer)) {
        uct_srd_peer_superseded(other, uct_srd_names_moved,
                                "the remote process was restarted or closed "
                                "its interface");
    }

    status = uct_srd_name_set(peer, &any);
    if (status != UCS_OK) {
        return status;
    }

    any = uct_srd_name_any_qpn(&peer->ident);
    return uct_srd_name_set(peer, &any);
}

static void uct_srd_names_clear_known(uct_srd_peer_t *peer)
{
    uct_srd_ident_t any_qkey = uct_srd_name_any_qkey(&peer->ident);
    uct_srd_ident_t any_qpn  = uct_srd_name_any_qpn(&peer->ident);

    uct_srd_name_clear(peer, &any_qkey);
    uct_srd_name_clear(peer, &any_qpn);
}

ucs_status_t uct_srd_names_add(uct_srd_peer_t *peer)
{
    ucs_assert(uct_srd_peer_find(peer->iface, &peer->ident) == NULL);
    return uct_srd_name_set(peer, &peer->ident);
}

void uct_srd_names_del(uct_srd_peer_t *peer)
{
    uct_srd_heir_end(peer);
    uct_srd_name_clear(peer, &peer->ident);
    uct_srd_names_clear_known(peer);
    while (peer->num_aliases > 0) {
        uct_srd_name_clear(peer, &peer->aliases[--peer->num_aliases]);
    }
}

void uct_srd_peer_set_known(uct_srd_peer_t *peer)
{
    if (peer->rx.known) {
        return;
    }

    if (uct_srd_names_set_known(peer) != UCS_OK) {
        uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY, "no memory for a table",
                              "free memory");
        return;
    }

    uct_srd_heir_end(peer); /* it speaks for itself */
    peer->rx.known = 1;
    uct_srd_rx_grow(peer->iface);
    if ((peer->ah != NULL) && (uct_srd_peer_key_add(peer) != UCS_OK)) {
        uct_srd_peer_ah_drop(peer);
    }
}

/* ident is an alias from now on. The first one stays. */
static void
uct_srd_names_keep(uct_srd_peer_t *peer, const uct_srd_ident_t *ident)
{
    if (peer->num_aliases == UCT_SRD_ALIASES) {
        uct_srd_name_clear(peer, &peer->aliases[--peer->num_aliases]);
    }
    peer->aliases[peer->num_aliases++] = *ident;
}

/* ident is none any more, if it was */
static void
uct_srd_names_drop(uct_srd_peer_t *peer, const uct_srd_ident_t *ident)
{
    unsigned i, left = 0;

    for (i = 0; i < peer->num_aliases; ++i) {
        if (uct_srd_ident_equal(peer->aliases[i], *ident)) {
            uct_srd_name_clear(peer, ident);
        } else {
            peer->aliases[left++] = peer->aliases[i];
        }
    }
    peer->num_aliases = left;
}

uct_srd_peer_t *
uct_srd_peer_as_sender(uct_srd_peer_t *peer, const uct_srd_ident_t *ident,
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

/* Nothing has left for it, and it was not heard from. */
static int uct_srd_peer_is_unused(const uct_srd_peer_t *peer)
{
    return (peer->state == UCT_SRD_PEER_NEW) && !peer->contacted &&
           !peer->rx.known && uct_srd_peer_is_quiet(peer);
}

/* The elder has the heir's name now, of which nobody else knows. */
static void uct_srd_heir_join(uct_srd_peer_t *elder, uct_srd_peer_t *heir)
{
    uct_srd_ep_t *ep;

    uct_srd_heir_end(heir);
    while (!ucs_list_is_empty(&heir->eps)) {
        ep = ucs_list_head(&heir->eps, uct_srd_ep_t, list);
        uct_srd_peer_ep_move(ep, elder);
    }

    uct_srd_peer_forget(heir);
}

ucs_status_t uct_srd_names_move(uct_srd_peer_t *peer,
                                const uct_srd_ident_t *ident, int *told_p)
{
    uct_srd_ident_t old = peer->ident;
    uct_srd_peer_t *other;
    ucs_status_t status;

    *told_p = 0;
    if (uct_srd_ident_equal(old, *ident)) {
        return UCS_OK;
    }

    other = uct_srd_peer_as_sender(uct_srd_peer_find(peer->iface, ident), ident,
                                   peer->rx.uid);
    if ((other == NULL) || (other == peer)) {
        /* Nobody else has it */
    } else if (uct_srd_peer_is_unused(other)) {
        uct_srd_heir_join(peer, other);
    } else {
        /* REJECT reaches that very interface, which may keep a record of it */
        *told_p = other->rx.acked || other->contacted;
        uct_srd_peer_fail_log(other, UCS_ERR_CONNECTION_RESET,
                              uct_srd_names_moved, "look at the output of the "
                              "remote process");
    }

    uct_srd_heir_end(peer); /* of another name than this: not the same one */
    uct_srd_peer_key_del(peer);
    uct_srd_names_clear_known(peer);
    uct_srd_names_drop(peer, ident);
    uct_srd_names_keep(peer, &old);
    peer->ident = *ident;

    status = uct_srd_name_set(peer, ident);
    if ((status == UCS_OK) && peer->rx.known) {
        status = uct_srd_names_set_known(peer);
    }
    if (status != UCS_OK) {
        return status;
    }

    if (memcmp(old.gid, ident->gid, sizeof(ident->gid)) != 0) {
        uct_srd_peer_ah_drop(peer);
    }

    peer->tx.dest.qpn  = ident->qpn;
    peer->tx.dest.qkey = ident->qkey;
    peer->stats->qpn     = ident->qpn;
    memcpy(peer->stats->gid, ident->gid, sizeof(peer->stats->gid));

    if (peer->rx.known && (peer->ah != NULL) &&
        (uct_srd_peer_key_add(peer) != UCS_OK)) {
        uct_srd_peer_ah_drop(peer);
    }

    return UCS_OK;
}

/* ---------------------------------------------------------------------- heirs */

void uct_srd_heir_wait(uct_srd_peer_t *peer)
{
    uct_srd_ident_t any   = uct_srd_name_any_qpn(&peer->ident);
    uct_srd_peer_t *elder = uct_srd_peer_find(peer->iface, &any);

    if ((elder == NULL) || (elder->heir != NULL)) {
        return;
    }

    peer->elder   = elder;
    peer->blocked = 1;
    elder->heir   = peer;
    elder->asked  = 0;
    uct_srd_peer_show_wait(peer);
    uct_srd_heir_ask(peer);
    if (peer->elder != NULL) {
        uct_srd_ctl_timer_start(peer, UCT_SRD_HEIR_ASK);
    }
}

void uct_srd_heir_ask(uct_srd_peer_t *peer)
{
    uct_srd_peer_t *elder = peer->elder;

    /* What is on its way from before says nothing about now. */
    if ((elder->tx.ctl == 0) && (uct_srd_peer_ah_get(elder) == UCS_OK)) {
        elder->asked = 1;
        uct_srd_ctl_send(elder, UCT_SRD_OP_PING, 0);
    }
}

void uct_srd_heir_answer(uct_srd_peer_t *elder, uct_srd_op_t op)
{
    if ((elder->heir != NULL) && elder->asked && (op == UCT_SRD_OP_PING)) {
        uct_srd_heir_end(elder);
    }
}

void uct_srd_heir_end(uct_srd_peer_t *peer)
{
    uct_srd_peer_t *elder = (peer->elder != NULL) ? peer->elder : peer;
    uct_srd_peer_t *heir  = elder->heir;

    if (heir == NULL) {
        return;
    }

    elder->heir   = NULL;
    heir->elder   = NULL;
    heir->blocked = heir->iface->recover.is;
    uct_srd_ctl_timer_stop(heir);
    uct_srd_peer_show_wait(heir);
    uct_srd_peer_tx_update(heir);
    uct_srd_peer_wake(heir);
}
