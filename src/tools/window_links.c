/*
 * What the records of a window have to do with each other, and with time.
 *
 *   ep.peer --> peer (by place)          iface.device --> device (by index)
 *   ep.iface, peer.iface, object.iface --> iface (by index)
 *   peer: what its counters say together
 */
#include "window_reader.h"

#include <stdlib.h>
#include <string.h>

static int peer_compare(const void *key, const void *element)
{
    uint32_t place                = *(const uint32_t*)key;
    const efa_window_peer_t *peer = element;

    return (place > peer->rec.reserved) - (place < peer->rec.reserved);
}

const efa_window_peer_t *
window_ep_peer(const window_t *window, const efa_window_ep_t *ep)
{
    if (ep->peer == 0 || window->num_peers == 0) {
        return NULL;
    }
    return bsearch(&ep->peer, window->peers, window->num_peers,
                   sizeof(*window->peers), peer_compare);
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

const efa_window_iface_t *window_iface(const window_t *window, uint32_t index)
{
    return find_index(window->ifaces, window->num_ifaces,
                      sizeof(*window->ifaces),
                      offsetof(efa_window_iface_t, index), index);
}

const efa_window_device_t *
window_device(const window_t *window, uint32_t index)
{
    return find_index(window->devices, window->num_devices,
                      sizeof(*window->devices),
                      offsetof(efa_window_device_t, index), index);
}

uint64_t window_unacked(const efa_window_peer_t *peer)
{
    return (peer->tx_msgs > peer->tx_done) ? peer->tx_msgs - peer->tx_done : 0;
}

uint16_t window_psn_next(const efa_window_peer_t *peer)
{
    return (uint16_t)peer->tx_msgs;
}

uint16_t window_psn_una(const efa_window_peer_t *peer)
{
    return (uint16_t)peer->tx_done;
}

uint16_t window_psn_rx(const efa_window_peer_t *peer)
{
    return (uint16_t)(peer->rx_first + peer->rx_msgs);
}

uint64_t window_age(const window_t *window, uint64_t time)
{
    return (time == 0 || time > window->now) ? 0 : window->now - time;
}

uint64_t window_wall_clock(const window_t *window, uint64_t time)
{
    if (time == 0 || window->header.open_time == 0) {
        return 0;
    }
    /* modulo 2^64, also for what happened before the file was made */
    return window->header.create_time + (time - window->header.open_time);
}

static void newest(uint64_t *max, uint64_t time)
{
    if (time > *max) {
        *max = time;
    }
}

uint64_t window_event_last(const efa_window_event_entry_t *event)
{
    return event->time + (uint64_t)event->last * 1000000;
}

uint64_t window_newest(const window_t *window)
{
    uint64_t max = window->header.open_time;
    unsigned i;

    for (i = 0; i < window->num_ifaces; ++i) {
        newest(&max, window->ifaces[i].create_time);
        newest(&max, window->ifaces[i].state_time);
        newest(&max, window->ifaces[i].progress_time);
    }
    for (i = 0; i < window->num_peers; ++i) {
        newest(&max, window->peers[i].state_time);
        newest(&max, window->peers[i].done_time);
        newest(&max, window->peers[i].rx_time);
        newest(&max, window->peers[i].gap_time);
        newest(&max, window->peers[i].wait_time);
    }
    for (i = 0; i < window->num_eps; ++i) {
        newest(&max, window->eps[i].create_time);
        newest(&max, window->eps[i].wait_time);
    }
    for (i = 0; i < window->num_objects; ++i) {
        newest(&max, window->objects[i].create_time);
    }
    for (i = 0; i < window->num_events; ++i) {
        newest(&max, window_event_last(&window->events[i]));
    }
    return max;
}

/* ------------------------------------------------------- with counters */

static const uint64_t *counters(const void *record, size_t off)
{
    return (const uint64_t*)((const char*)record + off);
}

static void get_iface(const efa_window_iface_t *iface, window_entry_t *entry)
{
    entry->name         = iface->name;
    entry->gid          = iface->gid;
    entry->qpn          = iface->qpn;
    entry->index        = iface->index;
    entry->state        = window_iface_state_name(iface->state);
    entry->num_counters = iface->num_counters;
    entry->counters     = counters(iface, EFA_WINDOW_IFACE_OFF);
}

static void get_peer(const efa_window_peer_t *peer, window_entry_t *entry)
{
    entry->gid          = peer->gid;
    entry->qpn          = peer->qpn;
    entry->index        = peer->iface;
    entry->epoch        = peer->epoch;
    entry->remote_epoch = peer->remote_epoch;
    entry->overflow     = peer->rec.flags & EFA_WINDOW_RECORD_OVERFLOW;
    entry->state        = window_peer_state_name(peer->state);
    entry->num_counters = peer->num_counters;
    entry->counters     = counters(peer, EFA_WINDOW_PEER_OFF);
}

static void get_device(const efa_window_device_t *device,
                       window_entry_t *entry)
{
    entry->name         = device->name;
    entry->index        = device->index;
    entry->num_counters = device->num_counters;
    entry->counters     = counters(device, EFA_WINDOW_DEVICE_OFF);
}

bool window_next(const window_t *window, efa_window_type_t type, size_t *pos,
                 window_entry_t *entry)
{
    size_t i = (*pos)++;

    *entry = (window_entry_t){.name = "", .state = ""};
    if (type == EFA_WINDOW_IFACE && i < window->num_ifaces) {
        get_iface(&window->ifaces[i], entry);
    } else if (type == EFA_WINDOW_PEER && i < window->num_peers) {
        get_peer(&window->peers[i], entry);
    } else if (type == EFA_WINDOW_DEVICE && i < window->num_devices) {
        get_device(&window->devices[i], entry);
    } else {
        return false;
    }
    return true;
}
