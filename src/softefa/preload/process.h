/* This process as a member of the fabric; see process.c. */
#ifndef SOFTEFA_PROCESS_H
#define SOFTEFA_PROCESS_H

/* It has opened a device. */
void softefa_process_opened(void);

#endif
