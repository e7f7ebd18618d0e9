/*
 * The NIC's own counters, as its driver shows them in sysfs:
 *
 *   /sys/class/infiniband/<device>/hw_counters/<name>           the device's
 *   /sys/class/infiniband/<device>/ports/<n>/hw_counters/<name> a port's
 *
 * They count what all processes of the machine do (in a container, too), from
 * when the driver was loaded. Which there are depends on driver and device.
 * Soft-EFA has the same files (src/softefa/nic/counters.c); a tool sees them if
 * it runs below efarun --soft in the same fabric.
 */
#ifndef HW_COUNTERS_H
#define HW_COUNTERS_H

#include <stdint.h>

enum {
    HW_COUNTER_NAME_MAX = 64
};

typedef struct {
    char     name[HW_COUNTER_NAME_MAX];
    uint64_t value;
} hw_counter_t;

typedef struct {
    hw_counter_t *list;   /* in the order of names */
    unsigned     count;
} hw_counters_t;

/* Reads those of `port` (1 is EFA's only one; 0: those of the device). Files
 * that are no numbers are left out. Returns 0, or an errno with nothing to
 * free: ENOENT: no such device, or a driver without counters. */
int hw_counters_read(const char *device, unsigned port,
                     hw_counters_t *counters);

/* The device's GID, by which to tell it from one of the same name elsewhere (in
 * another Soft-EFA fabric). Returns 0 or an errno. */
int hw_counters_gid(const char *device, uint8_t gid[16]);

void hw_counters_free(hw_counters_t *counters);

/* NULL: there is none of that name. */
const hw_counter_t *hw_counters_find(const hw_counters_t *counters,
                                     const char *name);

#endif
