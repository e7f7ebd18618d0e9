/*
 * Preloaded into ranks of MPI: how they wait, where they are more than the machine's
 * processors. What is sent and received does not change, over any transport.
 *
 * - MPICH waits in a loop around ucp_worker_progress() and never gives its processor
 *   away; Open MPI at most yields. Each message then takes time slices of all ranks.
 *   A loop that finds nothing to do yields here, and sleeps after a while. Not where
 *   MPICH has threads: who is here holds the lock that the others want.
 * - With MPI_WAIT_PROGRESS set, a rank that waits for the launcher goes on with UCX.
 *   In MPI_Finalize() a rank of MPICH 4.0 that has closed its endpoints does not,
 *   while others may need it to close theirs: over UCX's tcp they hang.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A rank that has a processor for itself does not lose it over a short wait */
#define POLLS_TO_YIELD 20
#define POLLS_TO_SLEEP 100
#define MIN_SLEEP_NS   20000
#define MAX_SLEEP_NS   1000000

static unsigned (*progress)(void *worker);
static void *wait_worker;
static __thread unsigned idle;
/* This thread is one of MPI's, and is not within UCX */
static __thread int outside;
/* Threads that have been here */
static _Atomic int num_threads;
static __thread int is_known;

unsigned ucp_worker_progress(void *worker);
void ucp_worker_destroy(void *worker);

static int of_mpich(void)
{
    static _Atomic int answer = -1;

    if (answer < 0) {
        answer = dlsym(RTLD_DEFAULT, "MPIX_GPU_query_support") != NULL;
    }
    return answer;
}

unsigned ucp_worker_progress(void *worker)
{
    static __thread struct timespec nap;
    unsigned count;

    if (progress == NULL) {
        progress = (unsigned (*)(void *))dlsym(RTLD_NEXT,
                                               "ucp_worker_progress");
    }
    outside     = 0;
    wait_worker = worker;
    count       = progress(worker);
    outside     = 1;
    if (!is_known) {
        is_known = 1;
        ++num_threads;
    }
    if ((num_threads > 1) && of_mpich()) {
        return count;
    }
    if (count != 0) {
        idle        = 0;
        nap.tv_nsec = MIN_SLEEP_NS;
    } else if (++idle >= POLLS_TO_SLEEP) {
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < MAX_SLEEP_NS) {
            nap.tv_nsec += nap.tv_nsec / 4;
        }
    } else if (idle >= POLLS_TO_YIELD) {
        sched_yield();
    }
    return count;
}

void ucp_worker_destroy(void *worker)
{
    void (*destroy)(void *) = (void (*)(void *))dlsym(RTLD_NEXT,
                                                      "ucp_worker_destroy");

    wait_worker = NULL;
    outside     = 0;
    destroy(worker);
}

/* What the launcher says comes by a socket that blocks */
static int from_launcher(int fd)
{
    socklen_t length = sizeof(int);
    int type;

    return outside && (wait_worker != NULL) &&
           (getenv("MPI_WAIT_PROGRESS") != NULL) &&
           ((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) &&
           (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    if (from_launcher(fd)) {
        while (poll(&ready, 1, 0) == 0) {
            ucp_worker_progress(wait_worker);
        }
    }
    return syscall(SYS_read, fd, buffer, size);
}
