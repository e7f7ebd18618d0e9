/*
 * What interfaces count in. Each comes with the blocks for peers and endpoints
 * that find no room. Without a file, or without room in it, that is private
 * memory.
 *
 * In a file that is kept, closed interfaces stay as they were, for whoever
 * looks at it afterwards.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(uct_efa_stats_slot_t) ==
              sizeof(uct_efa_stats_iface_t) + sizeof(uct_efa_stats_peer_t) +
              sizeof(uct_efa_stats_ep_t),
              "records lie back to back");

/* For when even malloc fails: everybody counts here, nobody reads. */
static uct_efa_stats_slot_t uct_efa_stats_last_slot;

/* A slot of hidden records in the file; NULL: no file, or no room. */
static uct_efa_stats_slot_t *uct_efa_stats_slot_get(void)
{
    uct_efa_stats_slot_t *slot;

    slot = uct_efa_stats_record_get(EFA_STATS_IFACE, sizeof(*slot));
    if (slot == NULL) {
        return NULL;
    }

    if (slot->overflow.rec.length != 0) {
        uct_efa_stats_record_reset(&slot->overflow.rec);
        uct_efa_stats_record_reset(&slot->no_ep.rec);
        return slot;
    }

    slot->iface.rec.length = sizeof(slot->iface);
    uct_efa_stats_record_init(&slot->overflow.rec, sizeof(slot->overflow));
    uct_efa_stats_record_init(&slot->no_ep.rec, sizeof(slot->no_ep));
    uct_efa_stats_file_publish(&uct_efa_stats.file);
    return slot;
}

uct_efa_stats_iface_t *uct_efa_stats_iface_get(const char *name,
                                               const void *gid, uint32_t qpn)
{
    uct_efa_stats_iface_t *iface;
    uct_efa_stats_slot_t *slot;

    pthread_mutex_lock(&uct_efa_stats.lock);
    slot = uct_efa_stats_slot_get();
    if (slot == NULL) {
        slot = uct_efa_stats_record_private(sizeof(*slot),
                                            &uct_efa_stats_last_slot);
    }

    iface = &slot->iface;
    memcpy(iface->gid, gid, sizeof(iface->gid));
    ucs_strncpy_zero(iface->name, name, sizeof(iface->name));
    iface->rec.type     = EFA_STATS_IFACE;
    iface->device       = EFA_STATS_NONE;
    iface->create_time  = uct_efa_stats_now();
    iface->state_time   = iface->create_time;
    iface->qpn          = qpn;
    iface->num_counters = EFA_STATS_IFACE_NUM;
    iface->counters_off = EFA_STATS_IFACE_OFF;
    iface->index        = uct_efa_stats.num_ifaces++;
    uct_efa_stats_record_show(&iface->rec);
    pthread_mutex_unlock(&uct_efa_stats.lock);
    return iface;
}

void uct_efa_stats_iface_put(uct_efa_stats_iface_t *iface)
{
    uct_efa_stats_slot_t *slot = ucs_container_of(iface, uct_efa_stats_slot_t,
                                                  iface);

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (!uct_efa_stats_file_contains(&uct_efa_stats.file, slot)) {
        if (slot != &uct_efa_stats_last_slot) {
            free(slot);
        }
    } else if (uct_efa_stats_file_is_mine(&uct_efa_stats.file) &&
               (uct_efa_stats.mode != UCT_EFA_STATS_KEEP)) {
        uct_efa_stats_record_hide(&slot->overflow.rec);
        uct_efa_stats_record_put(slot, EFA_STATS_IFACE);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}
