/*
 * Preloaded into MPICH's ranks: how they wait, where MPICH 4.0 waits badly over any
 * transport. What is sent and received does not change.
 *
 * - MPICH waits in a loop around ucp_worker_progress() and never gives its processor
 *   away. Where ranks are more than processors, each message takes time slices of
 *   all of them. A loop that finds nothing to do yields here.
 * - With MPICH_WAIT_PROGRESS set, a rank that waits for the launcher goes on with
 *   UCX. In MPI_Finalize() a rank that has closed its endpoints does not, while
 *   others may need it to close theirs: over UCX's tcp they hang.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rank that has a processor for itself does not lose it over a short wait */
#define IDLE_POLLS 20

static unsigned (*progress)(void *worker);
static void *wait_worker;
static __thread unsigned idle;
/* This thread is one of MPI's, and is not within UCX */
static __thread int outside;

unsigned ucp_worker_progress(void *worker);
void ucp_worker_destroy(void *worker);

unsigned ucp_worker_progress(void *worker)
{
    unsigned count;

    if (progress == NULL) {
        progress = (unsigned (*)(void *))dlsym(RTLD_NEXT,
                                               "ucp_worker_progress");
    }
    outside     = 0;
    wait_worker = worker;
    count       = progress(worker);
    outside     = 1;
    if (count != 0) {
        idle = 0;
    } else if (++idle >= IDLE_POLLS) {
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
           (getenv("MPICH_WAIT_PROGRESS") != NULL) &&
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
