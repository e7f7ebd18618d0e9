/* Completion channels: the shared table of them. */
#ifndef SOFTEFA_CHANNEL_H
#define SOFTEFA_CHANNEL_H

#include "nic/object.h"

/* Drops a reference, under the admin lock. */
void softefa_channel_put(softefa_shm_channel_t *shm);

#endif
