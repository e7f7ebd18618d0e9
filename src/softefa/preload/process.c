/*
 * The end of this process: what it has in the fabric is given back, unless a
 * thread is still at work, or exit() was called in a signal handler that
 * interrupted one: then it is left as by a killed process, for others to
 * reclaim. After fork() each floor takes care of its own state
 * (pthread_atfork).
 */
#include "fabric/membership.h"
#include "preload/progress_thread.h"

static __attribute__((destructor)) void process_exit(void)
{
    if (softefa_membership_leave_begin()) {
        softefa_membership_leave_end(softefa_progress_thread_stop());
    }
}
