/*
 * What the records of a stats segment have to do with each other and with time.
 *
 *   ep.peer --> peer (by place)          iface.device --> device (by index)
 *   ep.iface, peer.iface, object.iface --> iface (by index)
 *   peer: what its counters say together
 */
#include "tools/reader/stats_reader.h"

#include <stdlib.h>
#include <string.h>

static int peer_compare(const void *key, const void *element)
{
    uint32_t place               = *(const uint32_t*)key;
    const efa_stats_peer_t *peer = element;

    return (place > peer->rec.reserved) - (place < peer->rec.reserved);
}

const efa_stats_peer_t *
stats_ep_peer(const stats_segment_t *segment, const efa_stats_ep_t *ep)
{
    if (ep->peer == 0 || segment->num_peers == 0) {
        return NULL;
    }
    return bsearch(&ep->peer, segment->peers, segment->num_peers,
                   sizeof(*segment->peers), peer_compare);
}

/* Where `index` lies in records of an interface or a device; both are sorted by
 * it when they are read */
static const void *find_index(const void *list, unsigned num, size_t size,
                              size_t offset, uint32_t index)
{
    const char *record;
    unsigned low = 0, middle;
    uint32_t found;

    while (low < num) {
        middle = low + (num - low) / 2;
        record = (const char*)list + middle * size;
        memcpy(&found, record + offset, sizeof(found));
        if (found == index) {
            return record;
        } else if (found < index) {
            low = middle + 1;
        } else {
            num = middle;
        }
    }
    return NULL;
}

const efa_stats_iface_t *
stats_iface(const stats_segment_t *segment, uint32_t index)
{
    return find_index(segment->ifaces, segment->num_ifaces,
                      sizeof(*segment->ifaces),
                      offsetof(efa_stats_iface_t, index), index);
}

const efa_stats_device_t *
stats_device(const stats_segment_t *segment, uint32_t index)
{
    return find_index(segment->devices, segment->num_devices,
                      sizeof(*segment->devices),
                      offsetof(efa_stats_device_t, index), index);
}

uint64_t stats_unacked(const efa_stats_peer_t *peer)
{
    return (peer->tx_msgs > peer->tx_done) ? peer->tx_msgs - peer->tx_done : 0;
}

uint16_t stats_psn_next(const efa_stats_peer_t *peer)
{
    return (uint16_t)peer->tx_msgs;
}

uint16_t stats_psn_una(const efa_stats_peer_t *peer)
{
    return (uint16_t)peer->tx_done;
}

uint16_t stats_psn_rx(const efa_stats_peer_t *peer)
{
    return (uint16_t)(peer->rx_first + peer->rx_msgs);
}

uint64_t stats_age(const stats_segment_t *segment, uint64_t time)
{
    return (time == 0 || time > segment->now) ? 0 : segment->now - time;
}

uint64_t stats_wall_clock(const stats_segment_t *segment, uint64_t time)
{
    if (time == 0 || segment->header.open_time == 0) {
        return 0;
    }
    /* modulo 2^64, also for what happened before the file was made */
    return segment->header.create_time + (time - segment->header.open_time);
}

static void newest(uint64_t *max, uint64_t time)
{
    if (time > *max) {
        *max = time;
    }
}

uint64_t stats_event_last(const efa_stats_event_entry_t *event)
{
    return event->time + (uint64_t)event->last * 1000000;
}

uint64_t stats_newest(const stats_segment_t *segment)
{
    uint64_t max = segment->header.open_time;
    unsigned i;

    for (i = 0; i < segment->num_ifaces; ++i) {
        newest(&max, segment->ifaces[i].create_time);
        newest(&max, segment->ifaces[i].state_time);
        newest(&max, segment->ifaces[i].progress_time);
    }
    for (i = 0; i < segment->num_peers; ++i) {
        newest(&max, segment->peers[i].state_time);
        newest(&max, segment->peers[i].done_time);
        newest(&max, segment->peers[i].rx_time);
        newest(&max, segment->peers[i].gap_time);
        newest(&max, segment->peers[i].wait_time);
    }
    for (i = 0; i < segment->num_eps; ++i) {
        newest(&max, segment->eps[i].create_time);
        newest(&max, segment->eps[i].wait_time);
    }
    for (i = 0; i < segment->num_objects; ++i) {
        newest(&max, segment->objects[i].create_time);
    }
    for (i = 0; i < segment->num_events; ++i) {
        newest(&max, stats_event_last(&segment->events[i]));
    }
    return max;
}

/* ------------------------------------------------------- with counters */

static const uint64_t *counters(const void *record, size_t off)
{
    return (const uint64_t*)((const char*)record + off);
}

static void get_iface(const efa_stats_iface_t *iface, stats_entry_t *entry)
{
    entry->name         = iface->name;
    entry->gid          = iface->gid;
    entry->qpn          = iface->qpn;
    entry->index        = iface->index;
    entry->state        = stats_iface_state_name(iface->state);
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
    entry->state        = stats_peer_state_name(peer->state);
    entry->num_counters = peer->num_counters;
    entry->counters     = counters(peer, EFA_STATS_PEER_OFF);
}

static void get_device(const efa_stats_device_t *device,
                       stats_entry_t *entry)
{
    entry->name         = device->name;
    entry->index        = device->index;
    entry->num_counters = device->num_counters;
    entry->counters     = counters(device, EFA_STATS_DEVICE_OFF);
}

bool stats_next(const stats_segment_t *segment, efa_stats_type_t type,
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
