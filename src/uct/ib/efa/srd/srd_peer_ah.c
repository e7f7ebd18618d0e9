/*
 * Whom a completion means: peers' address handles and the tables behind them.
 *
 *     (AH number, QPN) --keys--> peer       receive completions name these
 *     AH number --ahns--> GID               checks extended headers
 *
 * Numbers are used again by the device. Before one changes its meaning, the CQ
 * is emptied into the stash under the old meaning (uct_srd_rx_stash()). This
 * holds for one interface; two on one device that together reach more hosts
 * than the device has AHs may take a number from each other.
 */
#include "srd_tx.h"

void uct_srd_peer_key_del(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    khiter_t iter;

    if (iface->rx.last_peer == peer) {
        iface->rx.last_peer = NULL;
        iface->rx.last_key  = UCT_SRD_NO_LAST;
    }

    if (peer->key != UCT_SRD_NO_KEY) {
        iter = kh_get(uct_srd_keys, &iface->keys, peer->key);
        kh_del(uct_srd_keys, &iface->keys, iter);
        peer->key = UCT_SRD_NO_KEY;
    }
}

/* From now on the device's (AH number, QPN) means this peer */
ucs_status_t uct_srd_peer_key_add(uct_srd_peer_t *peer)
{
    uct_srd_iface_t *iface = peer->iface;
    uint32_t key           = uct_srd_key(peer->ah->ahn, peer->ident.qpn);
    uct_srd_peer_t *other;
    khiter_t iter;
    int ret;

    if (peer->key == key) {
        return UCS_OK;
    }

    uct_srd_peer_key_del(peer);
    iter = kh_put(uct_srd_keys, &iface->keys, key, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return UCS_ERR_NO_MEMORY;
    }

    if (ret == UCS_KH_PUT_KEY_PRESENT) {
        /* A predecessor */
        other      = kh_val(&iface->keys, iter);
        other->key = UCT_SRD_NO_KEY;
        if (iface->rx.last_peer == other) {
            iface->rx.last_peer = NULL;
            iface->rx.last_key  = UCT_SRD_NO_LAST;
        }
    }

    peer->key                  = key;
    kh_val(&iface->keys, iter) = peer;
    return UCS_OK;
}

void uct_srd_peer_set_blind(uct_srd_peer_t *peer)
{
    uint8_t blind = peer->rx.acked && (peer->ah == NULL) &&
                    (peer->state < UCT_SRD_PEER_FAILED);

    peer->iface->rx.special += blind - peer->rx.blind;
    peer->rx.blind           = blind;
}

const union ibv_gid *
uct_srd_iface_ahn_gid(uct_srd_iface_t *iface, uint16_t ahn)
{
    khiter_t iter = kh_get(uct_srd_ahns, &iface->ahns, ahn);

    return (iter == kh_end(&iface->ahns)) ? NULL : &kh_val(&iface->ahns, iter);
}

/* ahn means gid from now on. What it meant before has been stashed. */
static ucs_status_t uct_srd_iface_ahn_set(uct_srd_iface_t *iface, uint16_t ahn,
                                          const union ibv_gid *gid)
{
    uct_srd_peer_t *peer;
    khiter_t iter;
    int ret;

    iter = kh_put(uct_srd_ahns, &iface->ahns, ahn, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return UCS_ERR_NO_MEMORY;
    }

    if ((ret == UCS_KH_PUT_KEY_PRESENT) &&
        (memcmp(&kh_val(&iface->ahns, iter), gid, sizeof(*gid)) != 0)) {
        ucs_list_for_each(peer, &iface->peers, list) {
            if ((peer->key != UCT_SRD_NO_KEY) && ((peer->key >> 16) == ahn)) {
                uct_srd_peer_key_del(peer);
            }
        }
    }

    kh_val(&iface->ahns, iter) = *gid;
    return UCS_OK;
}

ucs_status_t uct_srd_iface_ah_get(uct_srd_iface_t *iface, const void *gid_p,
                                  uct_efa_ah_t **ah_p)
{
    uct_efa_ah_cache_t *ahs = iface->context->ahs;
    uct_efa_ah_stats_t before, after;
    union ibv_gid gid;
    ucs_status_t status;

    /* What the dead device's cache still holds is of no use on the next one. */
    if (ucs_unlikely(iface->recover.is)) {
        return UCS_ERR_NO_RESOURCE;
    }

    memcpy(gid.raw, gid_p, sizeof(gid.raw));
    uct_efa_ah_cache_stats(ahs, &before);
    status = uct_efa_ah_get_notify(ahs, iface, uct_srd_rx_stash, &gid, ah_p);
    if (status != UCS_OK) {
        return status;
    }

    uct_efa_ah_cache_stats(ahs, &after);
    UCT_SRD_COUNT_ADD(iface, ah_create, after.creates - before.creates);

    status = uct_srd_iface_ahn_set(iface, (*ah_p)->ahn, &gid);
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

    status = uct_srd_iface_ah_get(iface, peer->ident.gid, &peer->ah);
    if (status != UCS_OK) {
        peer->ah = NULL;
        return status;
    }

    if (peer->rx.known && (uct_srd_peer_key_add(peer) != UCS_OK)) {
        uct_efa_ah_put(iface->context->ahs, peer->ah);
        peer->ah = NULL;
        return UCS_ERR_NO_RESOURCE;
    }

    /* What it sent before comes without its number. */
    peer->tx.dest.ah = peer->ah->ibv_ah;
    if (iface->cq_efa != NULL) {
        uct_srd_iface_set_wary(iface, iface->rx.wary | peer->rx.known);
    } else {
        uct_srd_peer_set_stranger(peer, 1); /* nothing else proves it */
    }
    uct_srd_peer_set_blind(peer);
    return UCS_OK;
}

/* The key stays: the cache may keep the AH, and the device report its number. */
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

    uct_efa_ah_put(iface->context->ahs, peer->ah);
    peer->ah         = NULL;
    peer->tx.dest.ah = NULL;
    if (peer->state == UCT_SRD_PEER_JOINED) {
        /* The next send must look for an AH; the remote still knows us. */
        peer->tx.flags  |= UCT_SRD_PEER_TX_CLOSED;
        peer->tx.credit  = 0;
    }
    uct_srd_peer_set_blind(peer);
}

/* Second chance: a peer that has sent since the last look is passed over once,
 * so that nothing has to be noted on the fast path. */
unsigned uct_srd_peer_reclaim(void *arg, unsigned wanted)
{
    uct_srd_iface_t *iface = arg;
    unsigned count         = 0;
    unsigned round;
    uct_srd_peer_t *peer, *tmp;
    uint16_t sent;

    for (round = 0; (round < 2) && (count < wanted); ++round) {
        ucs_list_for_each_safe(peer, tmp, &iface->peers, list) {
            /* One that is LEAVING, too: the remote may keep its endpoint, and
             * us waiting, for ever. Not one that is lost: it is being asked. */
            if ((peer->ah == NULL) || peer->lost.is ||
                !uct_srd_peer_is_quiet(peer)) {
                continue;
            }

            sent = peer->tx.una.una + peer->rma.una.una;
            if (peer->sweep_psn != sent) {
                peer->sweep_psn = sent;
                continue;
            }

            if (peer->rx.acked && (iface->cq_efa == NULL)) {
                if (!peer->ext_req) {
                    peer->ext_req = 1;
                    uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_REQ, 0);
                    uct_srd_ctl_timer_start(peer, 10e-3);
                }
                continue;
            }

            uct_srd_peer_ah_drop(peer);
            UCT_SRD_COUNT(iface, ah_evict);
            ucs_list_del(&peer->list);
            ucs_list_add_tail(&iface->peers, &peer->list);
            if (++count >= wanted) {
                break;
            }
        }
    }

    return count;
}
