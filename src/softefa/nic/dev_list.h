/* The devices that this program has open. */
#ifndef SOFTEFA_DEV_LIST_H
#define SOFTEFA_DEV_LIST_H

#include "nic/object.h"

void softefa_dev_list_add(softefa_dev_t *dev);
void softefa_dev_list_remove(softefa_dev_t *dev);

/* Calls func for each, under the list's lock. Whether it was true for all, for
 * any of them; clear: none is in the list afterwards. */
bool softefa_dev_list_any(bool (*func)(softefa_dev_t *dev));
bool softefa_dev_list_clear(bool (*func)(softefa_dev_t *dev));

/* The same without func, where the caller is the only thread and the lock's
 * holder may be gone. */
void softefa_dev_list_reset(void);

#endif
