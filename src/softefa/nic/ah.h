/* Address handles. */
#ifndef SOFTEFA_AH_H
#define SOFTEFA_AH_H

#include "nic/object.h"

/* Under the admin lock: all of this file. */
void softefa_ah_release_all(softefa_dev_t *dev);

#endif
