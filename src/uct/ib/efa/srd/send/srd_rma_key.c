/*
 * Keys of a peer's memory after a reset of its device (srd-wire.md, 12).
 *
 *   an operation whose key is of another generation than the peer's device:
 *
 *     is the new key known? ---- yes --> goes out with it
 *            | no
 *     KEY_REQ (one at a time, again every 10 ms); the operation is held
 *            | KEY_ACK (assoc/recovery/srd_rekey.c)
 *     new key, or none: the operation fails
 *
 * UCP keeps the key it was given, so each use is translated.
 */
#include "srd/send/srd_rma_key.h"
#include "srd/peer/srd_peer_rare.h"
#include "srd/send/srd_ctl.h"

#define UCT_SRD_KEY_AGAIN 10e-3 /* seconds */

ucs_status_t uct_srd_rma_key_find(uct_srd_peer_t *peer,
                                  const uct_srd_rma_t *rma, uint32_t *rkey_p)
{
    uint64_t id    = uct_srd_rma_key_id(rma->generation, rma->rkey);
    ucs_time_t now = ucs_get_time();
    uct_srd_ext_t ext;
    khiter_t iter;

    iter = kh_get(uct_srd_rkeys, &peer->rare->keys.map, id);
    if (iter != kh_end(&peer->rare->keys.map)) {
        *rkey_p = uct_efa_rkey_value(kh_val(&peer->rare->keys.map, iter));
        return (kh_val(&peer->rare->keys.map, iter) == 0) ? UCS_ERR_NO_ELEM :
                                                            UCS_OK;
    }

    if (uct_srd_peer_rare(peer) == NULL) {
        return UCS_INPROGRESS; /* asked later */
    }

    if (!peer->rare->keys.asking ||
        (now - peer->rare->keys.time > ucs_time_from_sec(UCT_SRD_KEY_AGAIN))) {
        uct_srd_ctl_ext_init(peer, UCT_SRD_OP_KEY_REQ, rma->rkey, &ext);
        ext.generation          = rma->generation;
        peer->rare->keys.asking = 1;
        peer->rare->keys.asked  = id;
        peer->rare->keys.time   = now;
        uct_srd_ctl_send_ext(peer, &ext); /* lost: asked again */
    }

    return UCS_INPROGRESS;
}

void uct_srd_rma_key_forget(uct_srd_peer_t *peer)
{
    if (peer->rare->peer != NULL) {
        kh_clear(uct_srd_rkeys, &peer->rare->keys.map);
        peer->rare->keys.asking = 0;
    }
}
