/*
 * What is held of a device. Counted whether or not an object has a record of
 * its own. Without room for its record, a device has private memory.
 *
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

/* For when even malloc fails: everybody counts here, nobody reads. */
static uct_efa_stats_device_t uct_efa_stats_last_device;

uct_efa_stats_device_t *
uct_efa_stats_device_get(const char *name,
                         const uint64_t max[EFA_STATS_KIND_LAST])
{
    uct_efa_stats_device_t *device;

    pthread_mutex_lock(&uct_efa_stats.lock);
    device = uct_efa_stats_record_get(EFA_STATS_DEVICE, sizeof(*device));
    if (device == NULL) {
        device = uct_efa_stats_record_private(sizeof(*device),
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

void uct_efa_stats_device_leaked(uct_efa_stats_device_t *device, unsigned num)
{
    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats_device_is_ours(device)) {
        device->leaked += num;
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

void uct_efa_stats_device_count(uct_efa_stats_device_t *device,
                                efa_stats_kind_t kind, uint64_t size, int add)
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
