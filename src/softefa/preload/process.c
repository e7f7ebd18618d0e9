/*
 * The beginning and the end of this process as a member of the fabric.
 *
 *   opens a device   other members may reach its memory
 *   fork()           the child has no device and no progress thread. Each floor
 *                    below takes care of its own state, too (pthread_atfork)
 *   ends             what it has in the fabric is freed, unless a thread is
 *                    still at work, or exit() was called in a signal handler
 *                    that interrupted one: then it is left as by a killed
 *                    process, for others to reclaim
 */
#include "preload/process.h"
#include "fabric/membership.h"
#include "nic/progress.h"
#include "preload/progress_thread.h"

#include <pthread.h>
#include <sys/prctl.h>

static void process_fork_child(void)
{
    softefa_progress_reset();
    softefa_progress_thread_fork_child();
}

static void process_fork_init(void)
{
    pthread_atfork(NULL, NULL, process_fork_child);
}

void softefa_process_opened(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, process_fork_init);

    /* Where Yama restricts process_vm_*, let this user's processes in. */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

static __attribute__((destructor)) void process_exit(void)
{
    if (softefa_membership_leave_begin()) {
        softefa_membership_leave_end(softefa_progress_stop());
    }
}
