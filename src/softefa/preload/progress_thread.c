/*
 * The progress thread: looks every millisecond after what waits (RNR, reorder)
 * in case the application does not poll. While it does, this thread keeps out
 * of its way: the order of deliveries is then the application's and the seed's.
 *
 *   NONE --first message that waits--> RUNNING <--wake-- ASLEEP
 *                                         '--nothing waited for 100 ms--^
 *
 * A process in which nothing ever waits has no such thread.
 */
#define _GNU_SOURCE
#include "preload/progress_thread.h"
#include "base/log.h"
#include "nic/progress.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define INTERVAL_NS 1000000
#define IDLE_LOOKS  100

static sem_t thread_sem;
static atomic_bool thread_exists;
static atomic_bool thread_running;

static void *thread_main(void *arg)
{
    const struct timespec interval = {.tv_nsec = INTERVAL_NS};
    unsigned idle                  = 0;

    (void)arg;
    for (;;) {
        nanosleep(&interval, NULL);
        idle = softefa_progress_all() ? 0 : (idle + 1);
        if (idle < IDLE_LOOKS) {
            continue;
        }

        /* First announce the sleep, then look once more: whoever adds a message
         * first adds, then looks whether we sleep. */
        atomic_store(&thread_running, false);
        if (!softefa_progress_all()) {
            while ((sem_wait(&thread_sem) < 0) && (errno == EINTR)) {
            }
        }
        atomic_store(&thread_running, true);
        idle = 0;
    }

    return NULL;
}

static void thread_start(void)
{
    sigset_t all, old;
    pthread_t thread;
    pthread_attr_t attr;
    int ret;

    sem_init(&thread_sem, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    ret = pthread_create(&thread, &attr, thread_main, NULL);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (ret != 0) {
        softefa_error("no progress thread (%s): messages that wait go on only "
                      "while the application polls",
                      strerror(ret));
    }
}

/* Under a QP's lock, so without one of our own. */
void softefa_progress_thread_wake(void)
{
    if (atomic_load(&thread_running) ||
        atomic_exchange(&thread_running, true)) {
        return;
    }

    if (!atomic_exchange(&thread_exists, true)) {
        thread_start();
    } else {
        sem_post(&thread_sem);
    }
}

void softefa_progress_thread_fork_child(void)
{
    thread_exists  = false;
    thread_running = false;
}
