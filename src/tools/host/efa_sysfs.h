/*
 * The EFA devices of a machine, as /sys/class/infiniband has them.
 */
#ifndef EFA_SYSFS_H
#define EFA_SYSFS_H

#define EFA_SYSFS_DIR  "/sys/class/infiniband"
#define EFA_SYSFS_NAME 64u           /* bytes of a name, with its end    */
#define EFA_SYSFS_MAX  64u           /* of a machine; p5 has 32          */

/* Their names, in order. Returns how many. */
unsigned efa_sysfs_list(char names[EFA_SYSFS_MAX][EFA_SYSFS_NAME]);

#endif
