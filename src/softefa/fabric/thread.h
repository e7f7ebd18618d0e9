/* Threads of any process of this host. */
#ifndef SOFTEFA_THREAD_H
#define SOFTEFA_THREAD_H

#include <stdbool.h>

/* Whether it is stopped or traced */
bool softefa_thread_stopped(int tid);

/* Whether process `pid` has no such thread any more */
bool softefa_thread_gone(int pid, int tid);

#endif
