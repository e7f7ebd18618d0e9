/*
 * What the stats segment shows of devices, verbs objects and endpoints.
 *
 *   no room for   a device      an object                 an endpoint
 *   then          private       one block for all, which  its interface's block
 *                 memory        nobody writes to          for that
 *
 * A device counts what is held of it whether or not the object has a record.
 * In a file that is kept, closed devices stay as they were.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <stdlib.h>
#include <string.h>

/* The counters begin with what is held and what there is, by kind */
static_assert(offsetof(efa_stats_device_t, pd_max) -
              offsetof(efa_stats_device_t, pd) ==
              EFA_STATS_KIND_LAST * sizeof(uint64_t), "one for each kind");

/* For when even malloc fails; and for objects without a record. */
static uct_efa_stats_device_t uct_efa_stats_last_device;
static uct_efa_stats_object_t uct_efa_stats_no_object;

/* ------------------------------------------------------------------ devices */

uct_efa_stats_device_t *
uct_efa_stats_device_get(const char *name,
                         const uint64_t max[EFA_STATS_KIND_LAST])
{
    uct_efa_stats_device_t *device;

    pthread_mutex_lock(&uct_efa_stats.lock);
    device = uct_efa_stats_record_get(EFA_STATS_DEVICE, sizeof(*device));
    if (device == NULL) {
        device = uct_efa_stats_private_get(sizeof(*device),
                                           &uct_efa_stats_last_device);
    }

    ucs_strncpy_zero(device->name, name, sizeof(device->name));
    memcpy(&device->pd_max, max, EFA_STATS_KIND_LAST * sizeof(*max));
    device->rec.type     = EFA_STATS_DEVICE;
    device->index        = uct_efa_stats.num_devices++;
    device->num_counters = EFA_STATS_DEVICE_NUM;
    device->counters_off = EFA_STATS_DEVICE_OFF;
    uct_efa_stats_record_show(&device->rec);
    if (uct_efa_stats_block_is_mine(device)) {
        uct_efa_stats_file_publish(&uct_efa_stats.file);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
    return device;
}

void uct_efa_stats_device_put(uct_efa_stats_device_t *device)
{
    pthread_mutex_lock(&uct_efa_stats.lock);
    if (!uct_efa_stats_file_contains(&uct_efa_stats.file, device)) {
        if (device != &uct_efa_stats_last_device) {
            free(device);
        }
    } else if (uct_efa_stats_block_is_mine(device) &&
               (uct_efa_stats.mode != UCT_EFA_STATS_KEEP)) {
        uct_efa_stats_record_put(device, EFA_STATS_DEVICE);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

/* May we write to it? A forked child's parent counts for itself. Lock held. */
static int uct_efa_stats_device_is_ours(const uct_efa_stats_device_t *device)
{
    return !uct_efa_stats_file_contains(&uct_efa_stats.file, device) ||
           uct_efa_stats_file_is_mine(&uct_efa_stats.file);
}

void uct_efa_stats_device_refused(uct_efa_stats_device_t *device,
                                  efa_stats_kind_t kind, int err)
{
    if (device == NULL) {
        return;
    }

    pthread_mutex_lock(&uct_efa_stats.lock);
    device->refused += uct_efa_stats_device_is_ours(device);
    pthread_mutex_unlock(&uct_efa_stats.lock);

    uct_efa_stats_event(EFA_STATS_EVENT_REFUSED, NULL, NULL, 0, 0, kind, err);
}

void uct_efa_stats_device_leaked(uct_efa_stats_device_t *device,
                                 unsigned num)
{
    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats_device_is_ours(device)) {
        device->leaked += num;
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

/* ------------------------------------------------------------------ objects */

/* One more or less is held. Lock held. */
static void uct_efa_stats_device_count(uct_efa_stats_device_t *device,
                                       efa_stats_kind_t kind, uint64_t size,
                                       int add)
{
    uint64_t *held = &device->pd;

    if (!uct_efa_stats_device_is_ours(device)) {
        return;
    }

    held[kind] += add;
    if (kind == EFA_STATS_MR) {
        device->mr_bytes += (add > 0) ? size : -size;
    }
}

uct_efa_stats_object_t *
uct_efa_stats_object_get(uct_efa_stats_device_t *device,
                         const uct_efa_stats_object_params_t *params)
{
    uct_efa_stats_object_t *object;

    if (device == NULL) {
        return &uct_efa_stats_no_object;
    }

    pthread_mutex_lock(&uct_efa_stats.lock);
    uct_efa_stats_device_count(device, params->kind, params->size, 1);

    object = uct_efa_stats_record_get(EFA_STATS_OBJECT, sizeof(*object));
    if (object == NULL) {
        object = &uct_efa_stats_no_object;
        goto out;
    }

    object->rec.type    = EFA_STATS_OBJECT;
    object->kind        = params->kind;
    object->number      = (params->number != 0) ? params->number :
                          ++uct_efa_stats.num_objects[params->kind];
    object->device      = device->index;
    object->iface       = (params->iface != NULL) ? params->iface->index :
                          EFA_STATS_NONE;
    object->create_time = uct_efa_stats_now();
    object->size        = params->size;
    object->size2       = params->size2;
    if (params->gid != NULL) {
        memcpy(object->gid, params->gid, sizeof(object->gid));
    }
    if (params->site != NULL) {
        ucs_strncpy_zero(object->site, params->site, sizeof(object->site));
    }
    uct_efa_stats_record_show(&object->rec);
    uct_efa_stats_file_publish(&uct_efa_stats.file);

out:
    pthread_mutex_unlock(&uct_efa_stats.lock);
    return object;
}

void uct_efa_stats_object_put(uct_efa_stats_device_t *device,
                              uct_efa_stats_object_t *object,
                              efa_stats_kind_t kind, uint64_t size)
{
    if (device == NULL) {
        return;
    }

    pthread_mutex_lock(&uct_efa_stats.lock);
    uct_efa_stats_device_count(device, kind, size, -1);
    if (uct_efa_stats_block_is_mine(object)) {
        uct_efa_stats_record_put(object, EFA_STATS_OBJECT);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

void uct_efa_stats_object_resize(uct_efa_stats_object_t *object,
                                 uint64_t size)
{
    if (object != &uct_efa_stats_no_object) {
        object->size = size;
    }
}

/* ---------------------------------------------------------------- endpoints */

void uct_efa_stats_ep_set_peer(uct_efa_stats_ep_t *ep,
                               const uct_efa_stats_peer_t *peer)
{
    const char *map = uct_efa_stats.file.map;

    ep->peer = uct_efa_stats_block_is_mine(peer) ?
               ((const char*)peer - map) / EFA_STATS_ALIGN : 0;
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

    ep->rec.type    = EFA_STATS_EP;
    ep->index       = uct_efa_stats.num_eps++;
    ep->iface       = iface->index;
    uct_efa_stats_ep_set_peer(ep, peer);
    ep->create_time = uct_efa_stats_now();
    ucs_strncpy_zero(ep->site, site, sizeof(ep->site));
    uct_efa_stats_record_show(&ep->rec);
    uct_efa_stats_file_publish(&uct_efa_stats.file);

out:
    pthread_mutex_unlock(&uct_efa_stats.lock);
    return ep;
}

void uct_efa_stats_ep_put(uct_efa_stats_iface_t *iface,
                          uct_efa_stats_ep_t *ep)
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
