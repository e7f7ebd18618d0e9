/*
 * The EFA devices of a machine, as /sys/class/infiniband has them.
 */
#ifndef EFA_SYSFS_H
#define EFA_SYSFS_H

#include <stdbool.h>

#define EFA_SYSFS_DIR  "/sys/class/infiniband"
#define EFA_SYSFS_NAME 64u           /* bytes of a name, with its end    */
#define EFA_SYSFS_MAX  64u           /* of a machine; p5 has 32          */

/* Whether the device `name` is one, from its vendor 0x1d0f and its id, which is
 * stored. */
bool efa_sysfs_is_efa(const char *name, unsigned *id);

/* Their names, in order. Returns how many. */
unsigned efa_sysfs_list(char names[EFA_SYSFS_MAX][EFA_SYSFS_NAME]);

#endif
