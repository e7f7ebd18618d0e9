/*
 * Endpoints in the stats segment. Those that find no room share a block of
 * their interface, which is never shown.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <string.h>

void uct_efa_stats_ep_set_peer(uct_efa_stats_ep_t *ep,
                               const uct_efa_stats_peer_t *peer)
{
    const char *map = uct_efa_stats.file.map;

    ep->peer = uct_efa_stats_block_is_mine(peer) ?
                       ((const char *)peer - map) / EFA_STATS_ALIGN :
                       0;
}

uct_efa_stats_ep_t *uct_efa_stats_ep_get(uct_efa_stats_iface_t *iface,
                                         const uct_efa_stats_peer_t *peer,
                                         const char *site)
{
    uct_efa_stats_ep_t *ep;

    pthread_mutex_lock(&uct_efa_stats.lock);
    ep = uct_efa_stats_record_get(EFA_STATS_EP, sizeof(*ep));
    if (ep == NULL) {
        ep = &ucs_container_of(iface, uct_efa_stats_slot_t, iface)->no_ep;
        goto out;
    }

    ep->rec.type = EFA_STATS_EP;
    ep->index    = uct_efa_stats.num_eps++;
    ep->iface    = iface->index;
    uct_efa_stats_ep_set_peer(ep, peer);
    ep->create_time = uct_efa_stats_now();
    ucs_strncpy_zero(ep->site, site, sizeof(ep->site));
    uct_efa_stats_record_show(&ep->rec);
    uct_efa_stats_file_publish(&uct_efa_stats.file);

out:
    pthread_mutex_unlock(&uct_efa_stats.lock);
    return ep;
}

void uct_efa_stats_ep_put(uct_efa_stats_iface_t *iface, uct_efa_stats_ep_t *ep)
{
    if (ep == &ucs_container_of(iface, uct_efa_stats_slot_t, iface)->no_ep) {
        return;
    }

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats_block_is_mine(ep)) {
        uct_efa_stats_record_put(ep, EFA_STATS_EP);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}
