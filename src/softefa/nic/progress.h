/*
 * What waits is tried again: by softefa_progress() (nic.h) where the driver
 * polls, and by whatever thread an attachment has for it.
 */
#ifndef SOFTEFA_PROGRESS_H
#define SOFTEFA_PROGRESS_H

#include <stdbool.h>

/* Retries what waits in all open devices, but for those that were polled since
 * the last call: the order of deliveries is then the application's. False:
 * nothing waits, and need not be tried before softefa_host_wake(). */
bool softefa_progress_all(void);

/* The program leaves the fabric, and its devices are invalid already: no thread
 * is in the model afterwards. False: one still is, perhaps interrupted by the
 * caller. */
bool softefa_progress_stop(void);

/* The same in a process that has no other thread, and never had the devices:
 * what was inherited is forgotten. */
void softefa_progress_reset(void);

#endif
