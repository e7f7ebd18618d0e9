/*
 * Whom a completion means: peers' address handles and the tables behind them.
 *
 *     (AH number, QPN) --keys--> peer       receive completions name these
 *     AH number --ahns--> GID               checks extended headers
 *                     '--> its peers        those with a key of that number
 *
 * Numbers are used again by the device. Before one changes its meaning, the CQ
 * is emptied into the stash under the old meaning (peers.evicted). This
 * holds for one interface; two on one device that together reach more hosts
 * than the device has AHs may take a number from each other.
 */
#include "srd/peer/srd_peer_ah.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_peer.h"

/* Its key means somebody else, or nobody, from now on. */
static void uct_srd_peer_ah_key_clear(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter;

    if (iface->rx.last_peer == peer) {
        iface->rx.last_peer = NULL;
        iface->rx.last_key  = UCT_SRD_NO_LAST;
    }

    if (peer->ahn.next != NULL) {
        peer->ahn.next->ahn.prev = peer->ahn.prev;
    }
    if (peer->ahn.prev != NULL) {
        peer->ahn.prev->ahn.next = peer->ahn.next;
    } else {
        iter = kh_get(uct_srd_ahns, &iface->peers.ahns, peer->ahn.key >> 16);
        kh_val(&iface->peers.ahns, iter).peers = peer->ahn.next;
    }
    peer->ahn.key = UCT_SRD_NO_KEY;
}

void uct_srd_peer_ah_key_del(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter;

    if (peer->ahn.key != UCT_SRD_NO_KEY) {
        iter = kh_get(uct_srd_keys, &iface->peers.keys, peer->ahn.key);
        kh_del(uct_srd_keys, &iface->peers.keys, iter);
        uct_srd_peer_ah_key_clear(peer);
    }
}

/* From now on the device's (AH number, QPN) means this peer */
ucs_status_t uct_srd_peer_ah_key_add(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    uint32_t key           = uct_srd_key(peer->ah->ahn, peer->ident.qpn);
    uct_srd_ahn_t *ahn;
    khiter_t iter;
    int ret;

    if (peer->ahn.key == key) {
        return UCS_OK;
    }

    uct_srd_peer_ah_key_del(peer);
    iter = kh_put(uct_srd_keys, &iface->peers.keys, key, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return UCS_ERR_NO_MEMORY;
    }

    if (ret == UCS_KH_PUT_KEY_PRESENT) {
        /* of a predecessor */
        uct_srd_peer_ah_key_clear(kh_val(&iface->peers.keys, iter));
    }

    kh_val(&iface->peers.keys, iter) = peer;
    iter = kh_get(uct_srd_ahns, &iface->peers.ahns, peer->ah->ahn);
    ahn  = &kh_val(&iface->peers.ahns, iter);
    if (ahn->peers != NULL) {
        ahn->peers->ahn.prev = peer;
    }
    peer->ahn.key  = key;
    peer->ahn.prev = NULL;
    peer->ahn.next = ahn->peers;
    ahn->peers     = peer;
    return UCS_OK;
}

void uct_srd_peer_ah_set_blind(uct_srd_peer_t *peer)
{
    uint8_t blind = peer->rx.acked && (peer->ah == NULL) &&
                    (peer->state < UCT_SRD_PEER_FAILED);

    peer->iface->rx.special += blind - peer->rx.blind;
    peer->rx.blind = blind;
}

const union ibv_gid *uct_srd_peer_ah_gid(uct_srd_iface_t *iface, uint16_t ahn)
{
    khiter_t iter = kh_get(uct_srd_ahns, &iface->peers.ahns, ahn);

    return (iter == kh_end(&iface->peers.ahns)) ?
                   NULL :
                   &kh_val(&iface->peers.ahns, iter).gid;
}

/* ahn means gid from now on. What it meant before has been stashed. */
static ucs_status_t uct_srd_peer_ah_set_gid(uct_srd_iface_t *iface,
                                            uint16_t ahn,
                                            const union ibv_gid *gid)
{
    uct_srd_ahn_t *entry;
    khiter_t iter;
    int ret;

    /* Looked up first: what is there is overwritten without memory, or messages
     * of that number would be taken for those of whom it meant before. */
    iter = kh_get(uct_srd_ahns, &iface->peers.ahns, ahn);
    if (iter == kh_end(&iface->peers.ahns)) {
        iter = kh_put(uct_srd_ahns, &iface->peers.ahns, ahn, &ret);
        if (ret == UCS_KH_PUT_FAILED) {
            return UCS_ERR_NO_MEMORY;
        }
        kh_val(&iface->peers.ahns, iter).peers = NULL;
    }

    entry = &kh_val(&iface->peers.ahns, iter);
    while ((entry->peers != NULL) &&
           (memcmp(&entry->gid, gid, sizeof(*gid)) != 0)) {
        uct_srd_peer_ah_key_del(entry->peers);
    }

    entry->gid = *gid;
    return UCS_OK;
}

ucs_status_t uct_srd_peer_ah_get_gid(uct_srd_iface_t *iface, const void *gid_p,
                                     uct_efa_ah_t **ah_p)
{
    uct_efa_ah_cache_t *ahs = iface->queues.context->ahs;
    uct_efa_ah_stats_t before, after;
    union ibv_gid gid;
    ucs_status_t status;

    /* What the dead device's cache still holds is of no use on the next one. */
    if (ucs_unlikely(iface->recover.is)) {
        return UCS_ERR_NO_RESOURCE;
    }

    memcpy(gid.raw, gid_p, sizeof(gid.raw));
    uct_efa_ah_cache_stats(ahs, &before);
    status = uct_efa_ah_get(ahs, iface, iface->peers.evicted, &gid, ah_p);
    if (status != UCS_OK) {
        return status;
    }

    uct_efa_ah_cache_stats(ahs, &after);
    UCT_SRD_COUNT_ADD(iface, ah_create, after.creates - before.creates);

    status = uct_srd_peer_ah_set_gid(iface, (*ah_p)->ahn, &gid);
    if (status != UCS_OK) {
        uct_efa_ah_put(ahs, *ah_p);
    }

    return status;
}

ucs_status_t uct_srd_peer_ah_get(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    ucs_status_t status;

    if (ucs_likely(peer->ah != NULL)) {
        return UCS_OK;
    }

    status = uct_srd_peer_ah_get_gid(iface, peer->ident.gid, &peer->ah);
    if (status != UCS_OK) {
        peer->ah = NULL;
        return status;
    }

    if (peer->rx.known && (uct_srd_peer_ah_key_add(peer) != UCS_OK)) {
        uct_efa_ah_put(iface->queues.context->ahs, peer->ah);
        peer->ah = NULL;
        return UCS_ERR_NO_RESOURCE;
    }

    ucs_list_add_tail(&iface->peers.with_ah, &peer->ahn.list);
    ++iface->peers.num_with_ah;

    /* What it sent before comes without its number. */
    peer->tx.dest.ah  = peer->ah->ibv_ah;
    peer->tx.dest.ahn = peer->ah->ahn;
    uct_srd_gate_clear(peer, UCT_SRD_GATE_NO_AH);
    if (iface->queues.cq_efa != NULL) {
        uct_srd_peer_ah_set_unverified(iface,
                                       iface->rx.unverified | peer->rx.known);
    } else {
        uct_srd_peer_ah_set_no_ah(peer, 1); /* nothing else proves it */
    }
    uct_srd_peer_ah_set_blind(peer);
    return UCS_OK;
}

/* The key stays: the cache may keep the AH, and the device report its
 * number. */
void uct_srd_peer_ah_drop(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;

    if (peer->ah == NULL) {
        return;
    }

    if (iface->rx.last_peer == peer) {
        iface->rx.last_peer = NULL;
        iface->rx.last_key  = UCT_SRD_NO_LAST;
    }

    uct_efa_ah_put(iface->queues.context->ahs, peer->ah);
    ucs_list_del(&peer->ahn.list);
    --iface->peers.num_with_ah;
    peer->ah         = NULL;
    peer->tx.dest.ah = NULL;
    /* The next send must look for an AH; the remote still knows us. */
    uct_srd_gate_set(peer, UCT_SRD_GATE_NO_AH);
    uct_srd_peer_ah_set_blind(peer);
}
