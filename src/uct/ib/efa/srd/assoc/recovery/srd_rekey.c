/*
 * Keys of memory after a reset of its device (srd-wire.md, 12): KEY_REQ, about
 * ours, is answered; KEY_ACK answers what send/srd_rma_key.c has asked.
 */
#include "srd/assoc/recovery/srd_rekey.h"
#include "srd/peer/srd_peer_ah.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_rma_key.h"
#include "srd/send/srd_rma_held.h"

void uct_srd_rekey_req(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uct_efa_md_t *md = uct_srd_iface_md(peer->iface);
    uct_srd_ext_t ack;
    uct_rkey_t rkey;

    uct_srd_ctl_ext_init(peer, UCT_SRD_OP_KEY_ACK, ext->arg, &ack);
    ack.generation = ext->generation;
    if (uct_efa_keys_find(md, ext->generation, ext->arg, &rkey) == UCS_OK) {
        ack.word  = uct_efa_rkey_value(rkey);
        ack.flags = UCT_SRD_TAIL_KEY |
                    (uct_efa_rkey_may(rkey, UCT_EFA_RKEY_READ) ?
                             UCT_SRD_TAIL_READ :
                             0) |
                    (uct_efa_rkey_may(rkey, UCT_EFA_RKEY_WRITE) ?
                             UCT_SRD_TAIL_WRITE :
                             0);
    }

    if (uct_srd_peer_ah_get(peer) == UCS_OK) {
        uct_srd_ctl_send_ext(peer, &ack);
    }
}

void uct_srd_rekey_ack(uct_srd_peer_t *peer, const uct_srd_ext_t *ext)
{
    uint64_t id     = uct_srd_rma_key_id(ext->generation, ext->arg);
    uct_rkey_t rkey = 0;
    khiter_t iter;
    int ret;

    /* What was not asked for would only take memory. */
    if (!peer->rare->keys.asking || (peer->rare->keys.asked != id)) {
        return;
    }

    if (ext->flags & UCT_SRD_TAIL_KEY) {
        rkey = ext->word |
               ((ext->flags & UCT_SRD_TAIL_READ) ? UCT_EFA_RKEY_READ : 0) |
               ((ext->flags & UCT_SRD_TAIL_WRITE) ? UCT_EFA_RKEY_WRITE : 0);
    }

    peer->rare->keys.asking = 0;
    iter = kh_put(uct_srd_rkeys, &peer->rare->keys.map, id, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        return; /* asked again */
    }

    kh_val(&peer->rare->keys.map, iter) = rkey;
    UCT_SRD_COUNT(peer->iface, rekeys);
    uct_srd_rma_held_post(peer);
}
