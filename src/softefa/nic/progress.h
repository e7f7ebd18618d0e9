/* What waits is tried again. */
#ifndef SOFTEFA_PROGRESS_H
#define SOFTEFA_PROGRESS_H

#include "nic/object.h"

/* Retries what waits in all QPs of dev; whoever runs the model calls it (see
 * nic/host.h). */
void softefa_progress_retry(softefa_dev_t *dev);

/* Waits, a second at most, until no thread is in the model for dev. */
bool softefa_progress_quiesce(softefa_dev_t *dev);

#endif
