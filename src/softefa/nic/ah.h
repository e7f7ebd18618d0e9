/* Address handles. */
#ifndef SOFTEFA_AH_H
#define SOFTEFA_AH_H

#include "nic/object.h"

/* Of a device that is closed, under the admin lock. */
void softefa_ah_release_all(softefa_dev_t *dev);

/* Number of the PD's AH for the address of the device `of`, if that is on
 * another host than 0: all are looked at. Else, and if there is none,
 * SOFTEFA_AH_UNKNOWN. No lock. */
uint16_t softefa_ah_find_host(softefa_shm_dev_t *dev, uint16_t pdn,
                              const softefa_dev_t *of);

#endif
