/* A thread that looks after what waits, if the application does not poll. */
#ifndef SOFTEFA_PROGRESS_THREAD_H
#define SOFTEFA_PROGRESS_THREAD_H

/* Something waits since just now; under a QP's lock. */
void softefa_progress_thread_wake(void);

/* The thread stayed in the parent. */
void softefa_progress_thread_fork_child(void);

#endif
