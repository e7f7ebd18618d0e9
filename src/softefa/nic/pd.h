/* Protection domains. */
#ifndef SOFTEFA_PD_H
#define SOFTEFA_PD_H

#include "nic/object.h"

/* Takes (count 1) or drops (-1) a reference of pdn. EINVAL: not a PD of this
 * file. Under the admin lock. */
int softefa_pd_hold(softefa_dev_t *dev, uint16_t pdn, int count);

/* Under the admin lock: all of this file that nothing uses. */
void softefa_pd_release_all(softefa_dev_t *dev);

#endif
