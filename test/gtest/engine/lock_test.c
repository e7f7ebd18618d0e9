/*
 * The lock between processes: who holds it has ended, and others have its slot or
 * its number meanwhile; what waits for it goes on.
 */
#define _GNU_SOURCE
#include "ring.h"
#include "fabric/dir.h"
#include "fabric/lock.h"
#include "fabric/member.h"
#include "nic/object.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A word of the fabric's memory that no object has */
static softefa_lock_t *free_lock(void)
{
    return &softefa_fabric.shm->dev[RING_DEVICES - 1]
                    .cq[SOFTEFA_MAX_DEVICES]
                    .lock;
}

static void join(softefa_dev_t **dev)
{
    CHECK(softefa_dev_open(RING_DEVICES - 1, dev) == 0);
}

static void *lock_and_end(void *lock)
{
    CHECK(softefa_lock(lock) == 0);
    return NULL;
}

/* Its process goes on */
void test_lock_of_thread(void)
{
    softefa_lock_t *lock;
    softefa_dev_t *dev;
    pthread_t thread;

    join(&dev);
    lock = free_lock();
    CHECK(pthread_create(&thread, NULL, lock_and_end, lock) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(softefa_lock(lock) == EOWNERDEAD);
    softefa_unlock(lock);
    CHECK(softefa_lock(lock) == 0);
    softefa_unlock(lock);
    softefa_dev_close(dev);
}

/* A process that does `run` and waits for its end. Returns when it has. */
static pid_t start(void (*run)(void))
{
    int pipe_fd[2];
    char done;
    pid_t pid;

    CHECK(pipe(pipe_fd) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run();
        CHECK(write(pipe_fd[1], "", 1) == 1);
        pause();
        _exit(1);
    }

    CHECK(read(pipe_fd[0], &done, 1) == 1);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    return pid;
}

/* A member, in the slot of the one before */
static void join_second(void)
{
    softefa_dev_t *dev;

    join(&dev);
    CHECK(softefa_fabric.slot == 1);
}

static void join_and_lock(void)
{
    join_second();
    CHECK(softefa_lock(free_lock()) == 0);
}

static void end_member(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

/* Killed; another process has its slot. Then the same again with a word in which
 * the dead one has the number of a thread that lives there. */
void test_lock_of_former(void)
{
    softefa_lock_t *lock;
    softefa_dev_t *dev;
    uint64_t holder;
    pid_t pid;

    join(&dev);
    lock   = free_lock();
    pid    = start(join_and_lock);
    holder = lock->holder;
    end_member(pid);

    pid = start(join_second);
    CHECK(lock->holder == holder);
    CHECK(softefa_lock(lock) == EOWNERDEAD);
    softefa_unlock(lock);

    lock->holder = (holder & ~((1ull << SOFTEFA_HOLDER_TID_BITS) - 1)) | pid;
    CHECK(softefa_lock(lock) == EOWNERDEAD);
    softefa_unlock(lock);
    end_member(pid);
    softefa_dev_close(dev);
}

/* It lives, and is stopped: EBUSY; killed: the lock is given away. */
void test_lock_of_stopped(void)
{
    softefa_lock_t *lock;
    softefa_dev_t *dev;
    pid_t pid;
    int ret;

    join(&dev);
    lock = free_lock();
    pid  = start(join_and_lock);
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitpid(pid, NULL, WUNTRACED) == pid);
    CHECK(softefa_lock(lock) == EBUSY);
    CHECK(softefa_lock_stuck(lock));
    end_member(pid);
    while ((ret = softefa_lock(lock)) == EBUSY) {
        usleep(1000); /* it was known to be stopped a moment ago */
    }
    CHECK(ret == EOWNERDEAD);
    softefa_unlock(lock);
    softefa_dev_close(dev);
}

static void enter(void)
{
    char path[128];
    int lock_fd;

    snprintf(path, sizeof(path), "%s/lock", softefa_fabric.dir);
    lock_fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(lock_fd >= 0);
    CHECK(softefa_dir_lock_enter(lock_fd) == 0);
}

/* A process that joins has no slot yet: its lock is its own until it ends. */
void test_lock_of_joining(void)
{
    softefa_lock_t *lock;
    softefa_dev_t *dev;
    pid_t pid;
    int ret;

    join(&dev);
    lock         = free_lock();
    pid          = start(enter);
    lock->holder = ((uint64_t)SOFTEFA_SLOT_JOINING << SOFTEFA_HOLDER_TID_BITS) |
                   pid;
    CHECK(softefa_lock(lock) == EBUSY);
    end_member(pid);
    while ((ret = softefa_lock(lock)) == EBUSY) {
        usleep(1000); /* it was known not to go on a moment ago */
    }
    CHECK(ret == EOWNERDEAD);
    softefa_unlock(lock);
    softefa_dev_close(dev);
}

static void *count_up(void *arg)
{
    uint64_t *count = arg;
    unsigned i;
    int ret;

    for (i = 0; i < 20000; ++i) {
        while ((ret = softefa_lock(free_lock())) == EBUSY) {
        }
        CHECK(ret == 0);
        ++*count;
        softefa_unlock(free_lock());
    }
    return NULL;
}

/* Nothing is counted twice or lost: it is a lock. */
void test_lock_excludes(void)
{
    static uint64_t count;
    pthread_t thread[4];
    softefa_dev_t *dev;
    unsigned i;

    join(&dev);
    for (i = 0; i < 4; ++i) {
        CHECK(pthread_create(&thread[i], NULL, count_up, &count) == 0);
    }
    for (i = 0; i < 4; ++i) {
        CHECK(pthread_join(thread[i], NULL) == 0);
    }
    CHECK(count == 4 * 20000);
    softefa_dev_close(dev);
}
