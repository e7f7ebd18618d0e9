/*
 * Records with counters, one type like the other.
 */
#include "tools/reader/stats_reader.h"

static const uint64_t *counters(const void *record, size_t off)
{
    return (const uint64_t *)((const char *)record + off);
}

static void get_iface(const efa_stats_iface_t *iface, stats_entry_t *entry)
{
    entry->name         = iface->name;
    entry->gid          = iface->gid;
    entry->qpn          = iface->qpn;
    entry->index        = iface->index;
    entry->state        = stats_name_iface_state(iface->state);
    entry->num_counters = iface->num_counters;
    entry->counters     = counters(iface, EFA_STATS_IFACE_OFF);
}

static void get_peer(const efa_stats_peer_t *peer, stats_entry_t *entry)
{
    entry->gid          = peer->gid;
    entry->qpn          = peer->qpn;
    entry->index        = peer->iface;
    entry->epoch        = peer->epoch;
    entry->remote_epoch = peer->remote_epoch;
    entry->overflow     = peer->rec.flags & EFA_STATS_RECORD_OVERFLOW;
    entry->state        = stats_name_peer_state(peer->state);
    entry->num_counters = peer->num_counters;
    entry->counters     = counters(peer, EFA_STATS_PEER_OFF);
}

static void get_device(const efa_stats_device_t *device, stats_entry_t *entry)
{
    entry->name         = device->name;
    entry->index        = device->index;
    entry->num_counters = device->num_counters;
    entry->counters     = counters(device, EFA_STATS_DEVICE_OFF);
}

bool stats_entry_next(const stats_segment_t *segment, efa_stats_type_t type,
                      size_t *pos, stats_entry_t *entry)
{
    size_t i = (*pos)++;

    *entry = (stats_entry_t){.name = "", .state = ""};
    if (type == EFA_STATS_IFACE && i < segment->num_ifaces) {
        get_iface(&segment->ifaces[i], entry);
    } else if (type == EFA_STATS_PEER && i < segment->num_peers) {
        get_peer(&segment->peers[i], entry);
    } else if (type == EFA_STATS_DEVICE && i < segment->num_devices) {
        get_device(&segment->devices[i], entry);
    } else {
        return false;
    }
    return true;
}
