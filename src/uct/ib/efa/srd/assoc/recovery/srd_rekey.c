/*
 * Keys of a peer's memory after a reset of its device (srd-wire.md, 12).
 *
 *   an operation whose key is of another generation than the peer's device:
 *
 *     is the new key known? ---- yes --> goes out with it
 *            | no
 *     KEY_REQ (one at a time, again every 10 ms); the operation is held
 *            | KEY_ACK
 *     new key, or none: the operation fails
 *
 * UCP keeps the key it was given, so each use is translated.
 */
#include "srd/send/srd_rma.h"

#define UCT_SRD_KEY_AGAIN 10e-3 /* seconds */

static uint64_t uct_srd_rekey_id(unsigned generation, uint32_t rkey)
{
    return ((uint64_t)generation << 32) | rkey;
}

ucs_status_t uct_srd_rekey(uct_srd_peer_t *peer, const uct_srd_rma_t *rma,
                           uint32_t *rkey_p)
{
    uint64_t id    = uct_srd_rekey_id(rma->generation, rma->rkey);
    ucs_time_t now = ucs_get_time();
    uct_srd_ext_t ext;
    khiter_t iter;

    iter = kh_get(uct_srd_rkeys, &peer->keys.map, id);
    if (iter != kh_end(&peer->keys.map)) {
        *rkey_p = uct_efa_rkey_value(kh_val(&peer->keys.map, iter));
        return (kh_val(&peer->keys.map, iter) == 0) ? UCS_ERR_NO_ELEM : UCS_OK;
    }

    if (!peer->keys.asking ||
        (now - peer->keys.time > ucs_time_from_sec(UCT_SRD_KEY_AGAIN))) {
        uct_srd_ext_init(peer, UCT_SRD_OP_KEY_REQ, rma->rkey, &ext);
        ext.generation    = rma->generation;
        peer->keys.asking = 1;
        peer->keys.asked  = id;
        peer->keys.time   = now;
        uct_srd_ctl_send_ext(peer, &ext); /* lost: asked again */
    }

    return UCS_INPROGRESS;
}

void uct_srd_rekey_req(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uct_efa_md_t *md = uct_srd_iface_md(peer->iface);
    uct_srd_ext_t ack;
    uct_rkey_t rkey;

    uct_srd_ext_init(peer, UCT_SRD_OP_KEY_ACK, ext->arg, &ack);
    ack.generation = ext->generation;
    if (uct_efa_key_find(md, ext->generation, ext->arg, &rkey) == UCS_OK) {
        ack.word  = uct_efa_rkey_value(rkey);
        ack.flags = UCT_SRD_TAIL_KEY |
                    (uct_efa_rkey_may(rkey, UCT_EFA_RKEY_READ) ?
                     UCT_SRD_TAIL_READ : 0) |
                    (uct_efa_rkey_may(rkey, UCT_EFA_RKEY_WRITE) ?
                     UCT_SRD_TAIL_WRITE : 0);
    }

    if (uct_srd_peer_ah_get(peer) == UCS_OK) {
        uct_srd_ctl_send_ext(peer, &ack);
    }
}

void uct_srd_rekey_ack(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uint64_t id     = uct_srd_rekey_id(ext->generation, ext->arg);
    uct_rkey_t rkey = 0;
    khiter_t iter;
    int ret;

    /* What was not asked for would only take memory. */
    if (!peer->keys.asking || (peer->keys.asked != id)) {
        return;
    }

    if (ext->flags & UCT_SRD_TAIL_KEY) {
        rkey = ext->word |
               ((ext->flags & UCT_SRD_TAIL_READ) ? UCT_EFA_RKEY_READ : 0) |
               ((ext->flags & UCT_SRD_TAIL_WRITE) ? UCT_EFA_RKEY_WRITE : 0);
    }

    peer->keys.asking = 0;
    iter              = kh_put(uct_srd_rkeys, &peer->keys.map, id, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return; /* asked again */
    }

    kh_val(&peer->keys.map, iter) = rkey;
    UCT_SRD_COUNT(peer->iface, rekeys);
    uct_srd_rma_held_post(peer);
}

void uct_srd_rekey_reset(uct_srd_peer_t *peer)
{
    kh_clear(uct_srd_rkeys, &peer->keys.map);
    peer->keys.asking = 0;
}
