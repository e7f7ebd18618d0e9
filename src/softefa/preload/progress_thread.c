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
#include "nic/dev.h"
#include "nic/progress.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define INTERVAL_NS    1000000
#define IDLE_LOOKS 100

static pthread_mutex_t thread_lock = PTHREAD_MUTEX_INITIALIZER; /* the list */
static softefa_link_t thread_devs  = {&thread_devs, &thread_devs};
static sem_t thread_sem;
static atomic_bool thread_exists;
static atomic_bool thread_running;

static bool thread_look(void)
{
    bool waiting = false;
    softefa_link_t *link;
    softefa_dev_t *dev;

    pthread_mutex_lock(&thread_lock);
    for (link = thread_devs.next; link != &thread_devs; link = link->next) {
        dev = softefa_container_of(link, softefa_dev_t, link);
        if ((atomic_load(&dev->waiting) > 0) && softefa_dev_valid(dev) &&
            !softefa_dev_dead(dev)) {
            waiting = true;
            if (!atomic_exchange(&dev->polled, false)) {
                softefa_progress_retry(dev);
            }
        }
    }
    pthread_mutex_unlock(&thread_lock);
    return waiting;
}

static void *thread_main(void *arg)
{
    const struct timespec interval = {.tv_nsec = INTERVAL_NS};
    unsigned idle                  = 0;

    (void)arg;
    for (;;) {
        nanosleep(&interval, NULL);
        idle = thread_look() ? 0 : (idle + 1);
        if (idle < IDLE_LOOKS) {
            continue;
        }

        /* First announce the sleep, then look once more: whoever adds a message
         * first adds, then looks whether we sleep. */
        atomic_store(&thread_running, false);
        if (!thread_look()) {
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
                      "while the application polls", strerror(ret));
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

/* Each link must stay good for softefa_progress_thread_remove(). */
static void thread_forget_all(void)
{
    softefa_link_t *link;

    while ((link = thread_devs.next) != &thread_devs) {
        softefa_list_del(link);
        softefa_list_init(link);
    }
}

/* In the child of a fork, whose only thread is the caller. */
static void thread_fork_child(void)
{
    pthread_mutex_init(&thread_lock, NULL);
    thread_forget_all();
    thread_exists  = false;
    thread_running = false;
}

static void thread_fork_init(void)
{
    pthread_atfork(NULL, NULL, thread_fork_child);
}

void softefa_progress_thread_add(softefa_dev_t *dev)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, thread_fork_init);
    pthread_mutex_lock(&thread_lock);
    softefa_list_add(&thread_devs, &dev->link);
    pthread_mutex_unlock(&thread_lock);
}

void softefa_progress_thread_remove(softefa_dev_t *dev)
{
    pthread_mutex_lock(&thread_lock);
    softefa_list_del(&dev->link);
    softefa_list_init(&dev->link);
    pthread_mutex_unlock(&thread_lock);
}

bool softefa_progress_thread_stop(void)
{
    bool quiet = true;
    softefa_link_t *link;

    pthread_mutex_lock(&thread_lock);
    for (link = thread_devs.next; link != &thread_devs; link = link->next) {
        quiet &= softefa_progress_quiesce(
                softefa_container_of(link, softefa_dev_t, link));
    }
    thread_forget_all();
    pthread_mutex_unlock(&thread_lock);
    return quiet;
}
