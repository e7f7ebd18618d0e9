/*
 * Where the links of records lead.
 *
 *   ep.peer --> peer (by place)          iface.device --> device (by index)
 *   ep.iface, peer.iface, object.iface --> iface (by index)
 */
#include "tools/reader/stats_reader.h"

#include <stdlib.h>
#include <string.h>

static int peer_compare(const void *key, const void *element)
{
    uint32_t place               = *(const uint32_t *)key;
    const efa_stats_peer_t *peer = element;

    return (place > peer->rec.reserved) - (place < peer->rec.reserved);
}

const efa_stats_peer_t *stats_link_peer(const stats_segment_t *segment,
                                        const efa_stats_ep_t *ep)
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
        record = (const char *)list + middle * size;
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

const efa_stats_iface_t *stats_link_iface(const stats_segment_t *segment,
                                          uint32_t index)
{
    return find_index(segment->ifaces, segment->num_ifaces,
                      sizeof(*segment->ifaces),
                      offsetof(efa_stats_iface_t, index), index);
}

const efa_stats_device_t *stats_link_device(const stats_segment_t *segment,
                                            uint32_t index)
{
    return find_index(segment->devices, segment->num_devices,
                      sizeof(*segment->devices),
                      offsetof(efa_stats_device_t, index), index);
}
