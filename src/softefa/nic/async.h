/* Asynchronous events of an open device. */
#ifndef SOFTEFA_ASYNC_H
#define SOFTEFA_ASYNC_H

#include "nic/object.h"

void softefa_async_close(softefa_dev_t *dev);

#endif
