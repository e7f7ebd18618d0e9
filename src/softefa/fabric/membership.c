/*
 * Joining the fabric and leaving it: its memory, this process's slot in it.
 */
#define _GNU_SOURCE
#include "fabric/membership.h"
#include "base/log.h"
#include "base/point.h"
#include "base/sys.h"
#include "fabric/admin.h"
#include "fabric/dir.h"
#include "fabric/event.h"
#include "fabric/fabric.h"
#include "fabric/lock.h"
#include "fabric/memory.h"
#include "fabric/reap.h"
#include "faults/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define FABRIC_SIZE  (SOFTEFA_HEAP_OFFSET + SOFTEFA_HEAP_SIZE)
#define FABRIC_MAGIC 0x534f4654454641ull      /* "SOFTEFA" */

static pthread_mutex_t join_lock = PTHREAD_MUTEX_INITIALIZER;

/* A number that differs whenever the layout of the shared memory does. */
static uint64_t membership_layout(void)
{
    const uint64_t parts[] = {
        SOFTEFA_LAYOUT_VERSION,
        sizeof(softefa_shm_t),
        offsetof(softefa_shm_t, status),
        offsetof(softefa_shm_t, heap_map),
        offsetof(softefa_shm_t, dev),
        sizeof(softefa_shm_dev_t),
        offsetof(softefa_shm_dev_t, table),
        sizeof(softefa_shm_cq_t),
        offsetof(softefa_shm_cq_t, lock),
        offsetof(softefa_shm_cq_t, head),
        sizeof(softefa_shm_qp_t),
        offsetof(softefa_shm_qp_t, lock),
        offsetof(softefa_shm_qp_t, rq_head),
        offsetof(softefa_shm_qp_t, rdma_target),
        sizeof(softefa_profile_t),
        offsetof(softefa_shm_proc_t, generation),
        SOFTEFA_HEAP_SIZE
    };
    uint64_t hash = 0xcbf29ce484222325ull;
    size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); ++i) {
        hash = (hash ^ parts[i]) * 0x100000001b3ull;
    }

    return hash;
}

/* A file that grows beyond the limit is a signal (SIGXFSZ), not an error. */
static int membership_check_limit(softefa_fabric_t *fabric)
{
    struct rlimit limit;

    if ((getrlimit(RLIMIT_FSIZE, &limit) != 0) ||
        (limit.rlim_cur >= FABRIC_SIZE)) {
        return 0;
    }

    softefa_error("the limit of file sizes (ulimit -f) is %llu KiB, "
                  "%s/mem has %llu MiB, of which hardly any are used: raise "
                  "it",
                  (unsigned long long)limit.rlim_cur >> 10, fabric->dir,
                  (unsigned long long)FABRIC_SIZE >> 20);
    return EFBIG;
}

/* Memory that can be written can be read. Without PROT_READ valgrind does not
 * search these gigabytes, mostly holes, for pointers when a process ends. */
static int membership_map(softefa_fabric_t *fabric, uint64_t size)
{
    void *ptr = softefa_sys_mmap(size, PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                                 fabric->mem_fd);

    if (ptr == MAP_FAILED) {
        softefa_error("cannot map %s/mem, %llu MiB: %s; is there a limit on "
                      "address space (ulimit -v)?",
                      fabric->dir, (unsigned long long)(size >> 20),
                      strerror(errno));
        return ENOMEM;
    }

    madvise(ptr, size, MADV_DONTDUMP);
    fabric->shm = ptr;
    return 0;
}

static int membership_create(softefa_fabric_t *fabric)
{
    uint64_t size = FABRIC_SIZE;
    softefa_shm_t *shm;
    int ret;

    softefa_dir_sweep(fabric);
    softefa_dir_clean(fabric);
    fabric->mem_fd = softefa_sys_openat(fabric->dir_fd, "mem",
                                        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
                                                O_CLOEXEC,
                                        0600);
    if ((fabric->mem_fd < 0) || (ftruncate(fabric->mem_fd, size) < 0)) {
        softefa_error("cannot create %s/mem: %s", fabric->dir, strerror(errno));
        return errno;
    }

    ret = softefa_memory_back(0, offsetof(softefa_shm_t, dev));
    if (ret == 0) {
        ret = membership_map(fabric, size);
    }
    if (ret != 0) {
        return ret;
    }

    SOFTEFA_POINT("mapped");
    shm         = fabric->shm;
    shm->layout = membership_layout();
    shm->size   = size;
    atomic_thread_fence(memory_order_release);
    shm->magic = FABRIC_MAGIC;
    return 0;
}

static int membership_map_existing(softefa_fabric_t *fabric)
{
    uint64_t head[3];
    ssize_t length;

    fabric->mem_fd = softefa_sys_openat(fabric->dir_fd, "mem",
                                        O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fabric->mem_fd < 0) {
        softefa_error("cannot open %s/mem: %s; end the processes that use "
                      "this fabric",
                      fabric->dir, strerror(errno));
        return errno;
    }

    length = pread(fabric->mem_fd, head, sizeof(head), 0);
    if ((length != sizeof(head)) || (head[0] != FABRIC_MAGIC) ||
        (head[1] != membership_layout())) {
        softefa_error("fabric %s is in use by another build of libsoftefa; "
                      "use the same one or name another fabric "
                      "(SOFTEFA_FABRIC)",
                      fabric->dir);
        return ENODEV;
    }

    return membership_map(fabric, head[2]);
}

static uint64_t membership_pidns(void)
{
    struct statx st;

    if (statx(AT_FDCWD, "/proc/self/ns/pid", 0, STATX_INO, &st) < 0) {
        return 0;
    }

    return st.stx_ino;
}

/* From the new generation on, whatever a dead process of this slot still holds
 * is known to be a dead one's. */
static void membership_fill_slot(softefa_fabric_t *fabric, uint32_t slot)
{
    softefa_shm_proc_t *proc = &fabric->shm->proc[slot];
    uint32_t generation      = (proc->generation + 1) &
                          ((1u << SOFTEFA_HOLDER_GENERATION_BITS) - 1);

    generation       = (generation == 0) ? 1 : generation;
    proc->generation = generation;
    proc->pid        = getpid();
    proc->pidns      = membership_pidns();
    memset(proc->opens, 0, sizeof(proc->opens));
    proc->state        = SOFTEFA_STATE_ALIVE;
    fabric->slot       = slot;
    fabric->generation = generation;
}

/* Takes a free slot; what a dead process left in it is reclaimed. */
static int membership_take_slot(softefa_fabric_t *fabric)
{
    softefa_shm_t *shm = fabric->shm;
    uint32_t slot;
    int ret;

    fabric->generation = 0;
    softefa_lock_identify(SOFTEFA_SLOT_JOINING, 0);
    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    for (slot = 0; slot < SOFTEFA_MAX_PROCS; ++slot) {
        if (softefa_dir_lock(fabric->lock_fd, F_OFD_SETLK, F_WRLCK,
                             SOFTEFA_SLOT_BYTE(slot), 1) != 0) {
            continue;
        }
        if (softefa_reap(slot)) {
            break;
        }
        softefa_dir_lock(fabric->lock_fd, F_OFD_SETLK, F_UNLCK,
                         SOFTEFA_SLOT_BYTE(slot), 1);
    }

    if (slot == SOFTEFA_MAX_PROCS) {
        softefa_error("fabric %s already has %d processes", fabric->dir,
                      SOFTEFA_MAX_PROCS);
        softefa_admin_unlock();
        return EMFILE;
    }

    softefa_fault_set_proc(slot);
    SOFTEFA_POINT("slot");
    membership_fill_slot(fabric, slot);
    SOFTEFA_POINT("process");
    if (slot >= shm->num_procs) {
        shm->num_procs = slot + 1;
    }
    softefa_reap_dead();
    softefa_admin_unlock();
    softefa_lock_identify(slot, fabric->generation);
    return 0;
}

/* Releases what this process has; the last one out removes the directory.
 * exit() may come from a signal handler that interrupted a lock's owner, and a
 * process that is stopped may have one: then all is left as by a killed
 * process, for others to reclaim. */
static void membership_give_back(softefa_fabric_t *fabric)
{
    if ((softefa_dir_lock_enter(fabric->lock_fd) != 0) ||
        (softefa_admin_lock() != 0)) {
        return;
    }

    if (softefa_reap(fabric->slot)) {
        fabric->shm->proc[fabric->slot].state = SOFTEFA_STATE_FREE;
    }
    softefa_admin_unlock();
    softefa_dir_remove(fabric);
    SOFTEFA_POINT("left");
}

static int membership_open(softefa_fabric_t *fabric)
{
    const softefa_options_t *options = softefa_options();
    int ret;

    if (options == NULL) {
        return EINVAL;
    }

    snprintf(fabric->dir, sizeof(fabric->dir), "/dev/shm/softefa.%u.%s",
             (unsigned)geteuid(), options->fabric);
    ret = membership_check_limit(fabric);
    if (ret != 0) {
        return ret;
    }

    while ((ret = softefa_dir_enter(fabric)) == EAGAIN) {
        softefa_dir_close(fabric);
    }
    if (ret != 0) {
        goto err;
    }

    ret = softefa_dir_others(fabric->lock_fd) ?
                  membership_map_existing(fabric) :
                  membership_create(fabric);
    if (ret != 0) {
        goto err_remove;
    }

    ret = membership_take_slot(fabric);
    if (ret != 0) {
        goto err_unmap;
    }

    softefa_dir_lock(fabric->lock_fd, F_OFD_SETLK, F_UNLCK, SOFTEFA_ENTER_BYTE,
                     1);
    return 0;

err_unmap:
    munmap(fabric->shm, fabric->shm->size);
    fabric->shm = NULL;
err_remove:
    softefa_dir_remove(fabric);
err:
    softefa_dir_close(fabric);
    return ret;
}

/* The child of fork() is another process without devices. Its copy of the lock
 * must go, or the parent would seem alive as long as the child is. The memory
 * stays mapped: handles that the child inherited still point there, but their
 * epoch makes them inert. */
static void membership_fork_child(void)
{
    pthread_mutex_init(&join_lock, NULL);
    softefa_fabric_fork_child();
    if (softefa_fabric.shm != NULL) {
        softefa_event_fork_child();
        softefa_fault_fork_child();
        softefa_dir_close(&softefa_fabric);
        softefa_fabric.shm = NULL;
        ++softefa_fabric.epoch;
    }
}

static void membership_fork_prepare(void)
{
    pthread_mutex_lock(&join_lock);
}

static void membership_fork_parent(void)
{
    pthread_mutex_unlock(&join_lock);
}

int softefa_membership_join(void)
{
    static bool fork_handler;
    int ret = 0;

    pthread_mutex_lock(&join_lock);
    if (softefa_fabric.shm == NULL) {
        ret = membership_open(&softefa_fabric);
        if ((ret == 0) && !fork_handler) {
            pthread_atfork(membership_fork_prepare, membership_fork_parent,
                           membership_fork_child);
            fork_handler = true;
        }
    }
    pthread_mutex_unlock(&join_lock);
    return ret;
}

bool softefa_membership_alone(void)
{
    const softefa_shm_proc_t *own = &softefa_fabric.shm
                                             ->proc[softefa_fabric.slot];
    unsigned index;

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        if ((own->opens[index] > 0) ||
            (softefa_fabric.shm->status[index].incarnation != 0)) {
            return false;
        }
    }

    return !softefa_dir_others(softefa_fabric.lock_fd);
}

const char *softefa_membership_dir(void)
{
    return (softefa_membership_join() == 0) ? softefa_fabric.dir : NULL;
}

bool softefa_membership_leave_begin(void)
{
    struct timespec until;

    if (softefa_fabric.shm == NULL) {
        return false;
    }

    /* exit() in a signal handler that interrupted a thread that joins */
    clock_gettime(CLOCK_REALTIME, &until);
    ++until.tv_sec;
    if (pthread_mutex_timedlock(&join_lock, &until) != 0) {
        return false;
    }

    ++softefa_fabric.epoch;
    return true;
}

/* A thread that is still in the model may have a lock: as long as it lives, the
 * descriptor that says so stays open. */
void softefa_membership_leave_end(bool quiet)
{
    if (quiet) {
        membership_give_back(&softefa_fabric);
        softefa_dir_close(&softefa_fabric);
    }
    pthread_mutex_unlock(&join_lock);
}
