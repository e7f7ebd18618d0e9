/*
 * The helper thread: looks every millisecond after what waits (RNR, reorder)
 * in case the application does not poll. While it does, this thread keeps out
 * of its way: the order of deliveries is then the application's and the seed's.
 *
 *   NONE --first message that waits--> RUNNING <--wake-- ASLEEP
 *                                         '--nothing waited for 100 ms--^
 *
 * A process in which nothing ever waits has no such thread.
 */
#define _GNU_SOURCE
#include "base/log.h"
#include "nic/object.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#define TICK_NS    1000000
#define IDLE_TICKS 100

static pthread_mutex_t ticker_lock = PTHREAD_MUTEX_INITIALIZER; /* the list */
static softefa_link_t ticker_devs  = {&ticker_devs, &ticker_devs};
static sem_t ticker_sem;
static atomic_bool ticker_exists;
static atomic_bool ticker_running;

static bool ticker_tick(void)
{
    bool waiting = false;
    softefa_link_t *link;
    softefa_dev_t *dev;

    pthread_mutex_lock(&ticker_lock);
    for (link = ticker_devs.next; link != &ticker_devs; link = link->next) {
        dev = softefa_container_of(link, softefa_dev_t, link);
        if ((atomic_load(&dev->waiting) > 0) && softefa_dev_valid(dev) &&
            !softefa_dev_dead(dev)) {
            waiting = true;
            if (!atomic_exchange(&dev->polled, false)) {
                softefa_dev_retry(dev);
            }
        }
    }
    pthread_mutex_unlock(&ticker_lock);
    return waiting;
}

static void *ticker_main(void *arg)
{
    const struct timespec tick = {.tv_nsec = TICK_NS};
    unsigned idle              = 0;

    (void)arg;
    for (;;) {
        nanosleep(&tick, NULL);
        idle = ticker_tick() ? 0 : (idle + 1);
        if (idle < IDLE_TICKS) {
            continue;
        }

        /* First say that we sleep, then look once more: whoever adds a message
         * first adds, then looks whether we sleep. */
        atomic_store(&ticker_running, false);
        if (!ticker_tick()) {
            while ((sem_wait(&ticker_sem) < 0) && (errno == EINTR)) {
            }
        }
        atomic_store(&ticker_running, true);
        idle = 0;
    }

    return NULL;
}

static void ticker_start(void)
{
    sigset_t all, old;
    pthread_t thread;
    pthread_attr_t attr;
    int ret;

    sem_init(&ticker_sem, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    ret = pthread_create(&thread, &attr, ticker_main, NULL);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (ret != 0) {
        softefa_error("no helper thread (%s): messages that wait go on only "
                      "while the application polls", strerror(ret));
    }
}

/* Under a QP's lock, so without one of our own. */
void softefa_ticker_wake(void)
{
    if (atomic_load(&ticker_running) ||
        atomic_exchange(&ticker_running, true)) {
        return;
    }

    if (!atomic_exchange(&ticker_exists, true)) {
        ticker_start();
    } else {
        sem_post(&ticker_sem);
    }
}

void softefa_ticker_add(softefa_dev_t *dev)
{
    pthread_mutex_lock(&ticker_lock);
    softefa_list_add(&ticker_devs, &dev->link);
    pthread_mutex_unlock(&ticker_lock);
}

void softefa_ticker_remove(softefa_dev_t *dev)
{
    pthread_mutex_lock(&ticker_lock);
    softefa_list_del(&dev->link);
    softefa_list_init(&dev->link);
    pthread_mutex_unlock(&ticker_lock);
}

/* Each link must stay good for softefa_ticker_remove(). */
static void ticker_forget_all(void)
{
    softefa_link_t *link;

    while ((link = ticker_devs.next) != &ticker_devs) {
        softefa_list_del(link);
        softefa_list_init(link);
    }
}

bool softefa_ticker_stop(void)
{
    bool quiet = true;
    softefa_link_t *link;

    pthread_mutex_lock(&ticker_lock);
    for (link = ticker_devs.next; link != &ticker_devs; link = link->next) {
        quiet &= softefa_dev_quiesce(softefa_container_of(link, softefa_dev_t,
                                                          link));
    }
    ticker_forget_all();
    pthread_mutex_unlock(&ticker_lock);
    return quiet;
}

void softefa_ticker_fork_child(void)
{
    pthread_mutex_init(&ticker_lock, NULL);
    ticker_forget_all();
    ticker_exists  = false;
    ticker_running = false;
}
