/*
 * Verbs objects in the stats segment. Those that find no room share one block,
 * which nobody writes to; their device counts them all the same.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <string.h>

static uct_efa_stats_object_t uct_efa_stats_no_object;

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
    object->number      = (params->number != 0) ?
                                  params->number :
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

void uct_efa_stats_object_resize(uct_efa_stats_object_t *object, uint64_t size)
{
    if (object != &uct_efa_stats_no_object) {
        object->size = size;
    }
}
