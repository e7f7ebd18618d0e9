/* A thread that looks after what waits, if the application does not poll. */
#ifndef SOFTEFA_PROGRESS_THREAD_H
#define SOFTEFA_PROGRESS_THREAD_H

#include "nic/nic.h"

#include <stdbool.h>

void softefa_progress_thread_add(softefa_dev_t *dev);
void softefa_progress_thread_remove(softefa_dev_t *dev);

/* Something waits since just now; under a QP's lock. */
void softefa_progress_thread_wake(void);

/* The devices go away, after softefa_membership_leave_begin(): no thread is in
 * the model afterwards. False: one still is, perhaps interrupted by the
 * caller. */
bool softefa_progress_thread_stop(void);

#endif
