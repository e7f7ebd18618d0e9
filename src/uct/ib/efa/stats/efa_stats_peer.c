/*
 * What peers count in: a record, or the block of their interface for all that
 * find no room; private memory where there is no file.
 *
 * A forked child counts on in its parent's blocks where it has some, and gets
 * private ones; its puts leave the file alone.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <stdlib.h>
#include <string.h>

/* For when even malloc fails: everybody counts here, nobody reads. */
static uct_efa_stats_peer_t uct_efa_stats_last_peer;

/* Fills a hidden record and shows it */
static void uct_efa_stats_peer_set(uct_efa_stats_peer_t *peer,
                                   const uct_efa_stats_iface_t *iface,
                                   const void *gid, uint32_t qpn,
                                   uint16_t flags)
{
    if (gid != NULL) {
        memcpy(peer->gid, gid, sizeof(peer->gid));
    }
    peer->rec.type     = EFA_STATS_PEER;
    peer->rec.flags    = flags;
    peer->qpn          = qpn;
    peer->num_counters = EFA_STATS_PEER_NUM;
    peer->counters_off = EFA_STATS_PEER_OFF;
    peer->iface        = iface->index;
    peer->state        = EFA_STATS_PEER_NEW;
    peer->state_time   = uct_efa_stats_now();
    uct_efa_stats_record_show(&peer->rec);
}

/* A peer's record in the file, or the shared one of its interface; NULL if
 * there is no file. Lock held. */
static uct_efa_stats_peer_t *
uct_efa_stats_peer_get_in_file(uct_efa_stats_iface_t *iface, const void *gid,
                               uint32_t qpn)
{
    uct_efa_stats_slot_t *slot;
    uct_efa_stats_peer_t *peer;

    if (!uct_efa_stats_file_is_mine(&uct_efa_stats.file) ||
        !uct_efa_stats_file_contains(&uct_efa_stats.file, iface)) {
        return NULL;
    }

    peer = uct_efa_stats_record_get(EFA_STATS_PEER, sizeof(*peer));
    if (peer != NULL) {
        uct_efa_stats_peer_set(peer, iface, gid, qpn, 0);
        uct_efa_stats_file_publish(&uct_efa_stats.file);
        return peer;
    }

    slot = ucs_container_of(iface, uct_efa_stats_slot_t, iface);
    if (slot->overflow.rec.type != EFA_STATS_PEER) {
        uct_efa_stats_peer_set(&slot->overflow, iface, NULL, 0,
                               EFA_STATS_RECORD_OVERFLOW);
    }

    return &slot->overflow;
}

uct_efa_stats_peer_t *uct_efa_stats_peer_get(uct_efa_stats_iface_t *iface,
                                             const void *gid, uint32_t qpn)
{
    uct_efa_stats_peer_t *peer;

    pthread_mutex_lock(&uct_efa_stats.lock);
    peer = uct_efa_stats_peer_get_in_file(iface, gid, qpn);
    pthread_mutex_unlock(&uct_efa_stats.lock);

    return (peer != NULL) ?
                   peer :
                   uct_efa_stats_record_private(sizeof(*peer),
                                                &uct_efa_stats_last_peer);
}

void uct_efa_stats_peer_put(uct_efa_stats_iface_t *iface,
                            uct_efa_stats_peer_t *peer)
{
    (void)iface;

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (!uct_efa_stats_file_contains(&uct_efa_stats.file, peer)) {
        if (peer != &uct_efa_stats_last_peer) {
            free(peer);
        }
    } else if (uct_efa_stats_file_is_mine(&uct_efa_stats.file) &&
               !(peer->rec.flags & EFA_STATS_RECORD_OVERFLOW)) {
        uct_efa_stats_record_put(peer, EFA_STATS_PEER);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

void uct_efa_stats_peers_each(const uct_efa_stats_iface_t *iface,
                              void (*func)(const uct_efa_stats_peer_t *peer,
                                           void *arg),
                              void *arg)
{
    const efa_stats_record_t *rec;
    size_t pos;

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats_block_is_mine(iface)) {
        for (pos = sizeof(efa_stats_header_t); pos < uct_efa_stats.file.used;
             pos += rec->length) {
            rec = (const efa_stats_record_t *)(uct_efa_stats.file.map + pos);
            if ((rec->type == EFA_STATS_PEER) && ((rec->gen % 2) == 0) &&
                (((const uct_efa_stats_peer_t *)rec)->iface == iface->index)) {
                func((const uct_efa_stats_peer_t *)rec, arg);
            }
        }
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}
