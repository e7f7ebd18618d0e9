/*
 * The lock of a receive queue, which the sender takes to deliver.
 *
 *   holder          what a sender does
 *   works           waits: a delivery takes microseconds
 *   died            repairs (robust mutex), goes on
 *   is stopped      nothing: its message waits as for a receiver without
 *                   requests. A NIC would not notice that a process was
 *                   stopped (SIGSTOP, a debugger) in the middle of a send.
 */
#define _GNU_SOURCE
#include "object.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Tries before sleeping: longer than most deliveries; then how long at a time,
 * and tries between two looks at the holder: one that was merely preempted is
 * back before, mostly. */
#define SPINS       200
#define NAP_NS      20000
#define LOOK_ROUNDS 256

/* Process state T (stopped) or t (traced) of a thread of any process */
static bool thread_is_stopped(int tid)
{
    char path[32], line[128];
    const char *state;
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", tid);
    fd = softefa_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }

    length = read(fd, line, sizeof(line) - 1);
    softefa_sys_close(fd);
    if (length <= 0) {
        return false;
    }

    /* "tid (any name) S ...": at most 16 bytes of name */
    line[length] = '\0';
    state        = strrchr(line, ')');
    return (state != NULL) && (state[1] == ' ') &&
           ((state[2] == 'T') || (state[2] == 't'));
}

/* EBUSY: the holder is stopped. No pthread_mutex_timedlock(): valgrind refuses
 * the futex call behind it. */
static int rq_lock_wait(softefa_qp_t *sender, softefa_shm_qp_t *qp)
{
    static const struct timespec nap = {.tv_nsec = NAP_NS};
    unsigned round;
    int owner, ret;

    for (round = 1;; ++round) {
        owner = qp->lock.mutex.__data.__owner; /* a thread id */
        if ((owner != 0) && (owner == sender->stopped)) {
            return EBUSY; /* known: do not wait each time */
        }

        if (round > SPINS) {
            nanosleep(&nap, NULL);
        }

        ret = pthread_mutex_trylock(&qp->lock.mutex);
        if (ret != EBUSY) {
            return ret;
        }

        if (((round % LOOK_ROUNDS) == 0) && (owner != 0) &&
            thread_is_stopped(owner) &&
            (owner == qp->lock.mutex.__data.__owner)) {
            sender->stopped = owner;
            return EBUSY;
        }
    }
}

bool softefa_rq_lock_send(softefa_qp_t *sender, softefa_shm_qp_t *qp,
                          softefa_shm_dev_t *dev)
{
    int ret = pthread_mutex_trylock(&qp->lock.mutex);

    if (softefa_unlikely(ret == EBUSY)) {
        ret = rq_lock_wait(sender, qp);
        if (ret == EBUSY) {
            return false;
        }
    }

    if (softefa_unlikely(sender->stopped != 0)) {
        sender->stopped = 0;
    }
    if (softefa_unlikely((ret != 0) && softefa_lock_slow(&qp->lock, ret))) {
        softefa_rq_repair(qp, dev);
    }
    return true;
}

void softefa_rq_lock(softefa_shm_qp_t *qp, softefa_shm_dev_t *dev)
{
    if (softefa_unlikely(softefa_lock(&qp->lock))) {
        softefa_rq_repair(qp, dev);
    }
}
