/*
 * What few peers ever need: made with its first use, kept as long as the peer.
 */
#include "srd/peer/srd_peer_rare.h"

static const uct_srd_peer_rare_t uct_srd_peer_no_rare;

void uct_srd_peer_rare_init(uct_srd_peer_t *peer)
{
    /* Whoever writes to it is found out: it is const */
    peer->rare = (uct_srd_peer_rare_t *)&uct_srd_peer_no_rare;
}

uct_srd_peer_rare_t *uct_srd_peer_rare(uct_srd_peer_t *peer)
{
    uct_srd_peer_rare_t *rare;

    if (peer->rare != &uct_srd_peer_no_rare) {
        return peer->rare;
    }

    rare = ucs_calloc(1, sizeof(*rare), "uct_srd_peer_rare");
    if (rare != NULL) {
        rare->peer = peer;
        kh_init_inplace(uct_srd_rkeys, &rare->keys.map);
        peer->rare = rare;
    }
    return rare;
}

void uct_srd_peer_rare_cleanup(uct_srd_peer_t *peer)
{
    if (peer->rare != &uct_srd_peer_no_rare) {
        kh_destroy_inplace(uct_srd_rkeys, &peer->rare->keys.map);
        ucs_free(peer->rare);
    }
}
