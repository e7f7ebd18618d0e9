/*
 * Attaching to the fabric and leaving it. Picture and rules: fabric.h.
 */
#define _GNU_SOURCE
#include "fabric/fabric.h"
#include "faults/fault.h"
#include "base/log.h"
#include "nic/object.h"
#include "base/sys.h"
#include "sysfs/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define FABRIC_SIZE     (SOFTEFA_HEAP_OFFSET + SOFTEFA_HEAP_SIZE)
#define FABRIC_MAGIC    0x534f4654454641ull       /* "SOFTEFA" */

/* How long attaching waits for who attaches: if that one is stopped; at all */
#define PATIENCE_NS     3000000000ull
#define ATTACH_NS       30000000000ull

softefa_fabric_t softefa_fabric = {
    .dir_fd = -1, .lock_fd = -1, .mem_fd = -1
};

static pthread_mutex_t attach_lock = PTHREAD_MUTEX_INITIALIZER;

/* Of user and fabric name, for the GIDs; 0: not computed yet. */
static _Atomic uint64_t fabric_name_hash;

/* A number that differs whenever the layout of the shared memory does. */
static uint64_t fabric_layout(void)
{
    const uint64_t parts[] = {
        SOFTEFA_LAYOUT_VERSION,
        sizeof(softefa_shm_t),
        offsetof(softefa_shm_t, fate),
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
        sizeof(pthread_mutex_t),
        SOFTEFA_HEAP_SIZE
    };
    uint64_t hash = 0xcbf29ce484222325ull;
    size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); ++i) {
        hash = (hash ^ parts[i]) * 0x100000001b3ull;
    }

    return hash;
}

/* Whether another process than this one holds a slot. */
static bool fabric_others(int lock_fd)
{
    return softefa_file_lock(lock_fd, F_OFD_GETLK, F_WRLCK,
                             SOFTEFA_SLOT_BYTE(0), SOFTEFA_MAX_PROCS) != 0;
}

static uint64_t hash_string(uint64_t hash, const char *text)
{
    for (; *text != '\0'; ++text) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
    }

    return hash;
}

/* Computed once: a process that changes its user keeps its fabric. */
static uint64_t fabric_hash(void)
{
    const softefa_options_t *options = softefa_options();
    uint64_t hash                    = fabric_name_hash;
    char text[32];

    if (hash == 0) {
        snprintf(text, sizeof(text), "%u/", (unsigned)geteuid());
        hash = hash_string(hash_string(0xcbf29ce484222325ull, text),
                           (options != NULL) ? options->fabric : "");
        fabric_name_hash = hash;
    }

    return hash;
}

/* A link local address as the hardware's: an EUI-64 made from a locally
 * administered MAC, whose last byte is the device's index. */
void softefa_fabric_gid(unsigned index, uint8_t gid[16])
{
    uint64_t hash = fabric_hash();

    memset(gid, 0, 16);
    gid[0]  = 0xfe;
    gid[1]  = 0x80;
    gid[8]  = 0x00;               /* 0x02 of the MAC, inverted by EUI-64 */
    gid[9]  = hash >> 24;
    gid[10] = hash >> 32;
    gid[11] = 0xff;
    gid[12] = 0xfe;
    gid[13] = hash >> 40;
    gid[14] = hash >> 48;
    gid[15] = index;
}

unsigned softefa_fabric_find(const uint8_t gid[16])
{
    uint8_t own[16];

    if (gid[15] >= SOFTEFA_MAX_DEVICES) {
        return SOFTEFA_NO_DEVICE;
    }

    softefa_fabric_gid(gid[15], own);
    return memcmp(gid, own, sizeof(own)) ? SOFTEFA_NO_DEVICE : gid[15];
}

static bool fabric_dir_is_own(int dir_fd)
{
    struct statx st;

    return (statx(dir_fd, "", AT_EMPTY_PATH, STATX_UID | STATX_MODE, &st) ==
            0) && (st.stx_uid == geteuid()) && ((st.stx_mode & 0777) == 0700);
}

/* A file that grows beyond the limit is a signal (SIGXFSZ), not an error. */
static int fabric_check_limit(softefa_fabric_t *fabric)
{
    struct rlimit limit;

    if ((getrlimit(RLIMIT_FSIZE, &limit) != 0) ||
        (limit.rlim_cur >= FABRIC_SIZE)) {
        return 0;
    }

    softefa_error("the limit of file sizes (ulimit -f) is %llu KiB, "
                  "%s/mem has %llu MiB, of which hardly any are used: raise "
                  "it", (unsigned long long)limit.rlim_cur >> 10, fabric->dir,
                  (unsigned long long)FABRIC_SIZE >> 20);
    return EFBIG;
}

/* Directory and lock file, both private to this user. */
static int fabric_open_dir(softefa_fabric_t *fabric)
{
    if ((mkdir(fabric->dir, 0700) < 0) && (errno != EEXIST)) {
        softefa_error("cannot create %s: %s", fabric->dir, strerror(errno));
        return errno;
    }

    fabric->dir_fd = softefa_sys_openat(AT_FDCWD, fabric->dir,
                                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                                        O_CLOEXEC, 0);
    if (fabric->dir_fd < 0) {
        if (errno == ENOENT) {
            return EAGAIN;        /* removed by the last process just now */
        }
        softefa_error("cannot open %s: %s; remove it or name another fabric "
                      "(SOFTEFA_FABRIC)", fabric->dir, strerror(errno));
        return errno;
    }

    if (!fabric_dir_is_own(fabric->dir_fd)) {
        softefa_error("%s does not belong to this user alone; remove it or "
                      "name another fabric (SOFTEFA_FABRIC)", fabric->dir);
        return EACCES;
    }

    fabric->lock_fd = softefa_sys_openat(fabric->dir_fd, "lock",
                                         O_RDWR | O_CREAT | O_NOFOLLOW |
                                         O_CLOEXEC, 0600);
    if (fabric->lock_fd < 0) {
        if (errno == ENOENT) {
            return EAGAIN;
        }
        softefa_error("cannot open %s/lock: %s", fabric->dir, strerror(errno));
        return errno;
    }

    return 0;
}

/* Byte 0 of the lock file, in which its holder writes who it is. One that is
 * stopped or does not go on is not waited for for ever. */
static int fabric_lock_file(int lock_fd)
{
    static const struct timespec nap = {.tv_nsec = 1000000};
    uint64_t start                   = softefa_now();
    int32_t pid                      = getpid();
    int32_t holder                   = 0;
    uint64_t passed;
    int ret;

    for (;;) {
        ret = softefa_file_lock(lock_fd, F_OFD_SETLK, F_WRLCK, 0, 1);
        if ((ret != EAGAIN) && (ret != EACCES)) {
            break;
        }

        passed = softefa_now() - start;
        if ((passed > ATTACH_NS) ||
            ((passed > PATIENCE_NS) &&
             (pread(lock_fd, &holder, sizeof(holder), 0) == sizeof(holder)) &&
             softefa_thread_stopped(holder))) {
            softefa_error("process %d, which enters or leaves the fabric, is "
                          "stopped or does not go on; let it (kill -CONT %d) "
                          "or end it (kill -9 %d)", holder, holder, holder);
            return ETIME;
        }
        nanosleep(&nap, NULL);
    }

    if ((ret == 0) && (pwrite(lock_fd, &pid, sizeof(pid), 0) < 0)) {
        /* /dev/shm is full: then it will be said where memory is needed */
    }
    SOFTEFA_POINT("attach");
    return ret;
}

/* Opens the directory and takes its lock; EAGAIN if it vanished meanwhile. */
static int fabric_lock_dir(softefa_fabric_t *fabric)
{
    struct statx st;
    int ret;

    ret = fabric_check_limit(fabric);
    if (ret == 0) {
        ret = fabric_open_dir(fabric);
    }
    if (ret != 0) {
        return ret;
    }

    ret = fabric_lock_file(fabric->lock_fd);
    if (ret == ETIME) {
        return ret;
    } else if (ret != 0) {
        softefa_error("cannot lock %s/lock: %s", fabric->dir, strerror(ret));
        return ret;
    }

    if ((statx(fabric->lock_fd, "", AT_EMPTY_PATH, STATX_NLINK, &st) < 0) ||
        (st.stx_nlink == 0)) {
        return EAGAIN;
    }

    return 0;
}

static void fabric_close(softefa_fabric_t *fabric)
{
    int *fds[] = {&fabric->mem_fd, &fabric->lock_fd, &fabric->dir_fd};
    size_t i;

    for (i = 0; i < sizeof(fds) / sizeof(fds[0]); ++i) {
        if (*fds[i] >= 0) {
            softefa_sys_close(*fds[i]);
            *fds[i] = -1;
        }
    }
}

/* Removes what the directory holds: mem, the FIFOs and sys, not the lock. */
static void fabric_clean_dir(softefa_fabric_t *fabric)
{
    struct dirent *entry;
    DIR *dir;

    softefa_sysfs_clean(fabric->dir);
    dir = opendir(fabric->dir);
    if (dir == NULL) {
        return;
    }

    while ((entry = readdir(dir)) != NULL) {
        if ((entry->d_name[0] != '.') && strcmp(entry->d_name, "lock")) {
            unlinkat(fabric->dir_fd, entry->d_name, 0);
        }
    }
    closedir(dir);
}

/* Under the directory's lock: nobody else is there, so nobody misses it. */
static void fabric_remove_dir(softefa_fabric_t *fabric)
{
    if (!fabric_others(fabric->lock_fd)) {
        fabric_clean_dir(fabric);
        unlinkat(fabric->dir_fd, "lock", 0);
        rmdir(fabric->dir);
    }
}

/* Removes another fabric of this user if no process lives in it: `kill -9` left
 * it, and its memory is the machine's. Who is just attaching there notices, as
 * with the last process's detaching. */
static void fabric_sweep_one(const char *name)
{
    softefa_fabric_t other = {.dir_fd = -1, .lock_fd = -1, .mem_fd = -1};

    if (snprintf(other.dir, sizeof(other.dir), "/dev/shm/%s", name) >=
        (int)sizeof(other.dir)) {
        return;
    }

    other.dir_fd = softefa_sys_openat(AT_FDCWD, other.dir,
                                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                                      O_CLOEXEC, 0);
    if ((other.dir_fd < 0) || !fabric_dir_is_own(other.dir_fd)) {
        fabric_close(&other);
        return;
    }

    /* Made if need be: who left without a descriptor to spare could not empty
     * the directory, and has removed the lock. */
    other.lock_fd = softefa_sys_openat(other.dir_fd, "lock",
                                       O_RDWR | O_CREAT | O_NOFOLLOW |
                                       O_CLOEXEC, 0600);
    if ((other.lock_fd >= 0) &&
        (softefa_file_lock(other.lock_fd, F_OFD_SETLK, F_WRLCK, 0, 1) == 0)) {
        fabric_remove_dir(&other);
    }
    fabric_close(&other);
}

static void fabric_sweep(const softefa_fabric_t *fabric)
{
    const char *own = strrchr(fabric->dir, '/') + 1;
    struct dirent *entry;
    char prefix[32];
    DIR *dir;

    dir = opendir("/dev/shm");
    if (dir == NULL) {
        return;
    }

    snprintf(prefix, sizeof(prefix), "softefa.%u.", (unsigned)geteuid());
    while ((entry = readdir(dir)) != NULL) {
        if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
            strcmp(entry->d_name, own)) {
            fabric_sweep_one(entry->d_name);
        }
    }
    closedir(dir);
}

/* Memory that can be written can be read. Without PROT_READ valgrind does not
 * search these gigabytes, mostly holes, for pointers when a process ends. */
static int fabric_map(softefa_fabric_t *fabric, uint64_t size)
{
    void *ptr = softefa_sys_mmap(size, PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                                 fabric->mem_fd);

    if (ptr == MAP_FAILED) {
        softefa_error("cannot map %s/mem, %llu MiB: %s; is there a limit on "
                      "address space (ulimit -v)?", fabric->dir,
                      (unsigned long long)(size >> 20), strerror(errno));
        return ENOMEM;
    }

    madvise(ptr, size, MADV_DONTDUMP);
    fabric->shm = ptr;
    return 0;
}

static int fabric_create(softefa_fabric_t *fabric)
{
    uint64_t size = FABRIC_SIZE;
    softefa_shm_t *shm;
    int ret;

    fabric_sweep(fabric);
    fabric_clean_dir(fabric);
    fabric->mem_fd = softefa_sys_openat(fabric->dir_fd, "mem",
                                        O_RDWR | O_CREAT | O_EXCL |
                                        O_NOFOLLOW | O_CLOEXEC, 0600);
    if ((fabric->mem_fd < 0) || (ftruncate(fabric->mem_fd, size) < 0)) {
        softefa_error("cannot create %s/mem: %s", fabric->dir,
                      strerror(errno));
        return errno;
    }

    ret = softefa_fabric_back(0, offsetof(softefa_shm_t, dev));
    if (ret == 0) {
        ret = fabric_map(fabric, size);
    }
    if (ret != 0) {
        return ret;
    }

    SOFTEFA_POINT("mapped");
    shm            = fabric->shm;
    shm->layout    = fabric_layout();
    shm->size      = size;
    softefa_lock_setup(&shm->admin);
    atomic_thread_fence(memory_order_release);
    shm->magic     = FABRIC_MAGIC;
    return 0;
}

static int fabric_join(softefa_fabric_t *fabric)
{
    uint64_t head[3];
    ssize_t length;

    fabric->mem_fd = softefa_sys_openat(fabric->dir_fd, "mem",
                                        O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fabric->mem_fd < 0) {
        softefa_error("cannot open %s/mem: %s; end the processes that use "
                      "this fabric", fabric->dir, strerror(errno));
        return errno;
    }

    length = pread(fabric->mem_fd, head, sizeof(head), 0);
    if ((length != sizeof(head)) || (head[0] != FABRIC_MAGIC) ||
        (head[1] != fabric_layout())) {
        softefa_error("fabric %s is in use by another build of libsoftefa; "
                      "use the same one or name another fabric "
                      "(SOFTEFA_FABRIC)", fabric->dir);
        return ENODEV;
    }

    return fabric_map(fabric, head[2]);
}

static uint64_t fabric_pidns(void)
{
    struct statx st;

    if (statx(AT_FDCWD, "/proc/self/ns/pid", 0, STATX_INO, &st) < 0) {
        return 0;
    }

    return st.stx_ino;
}

/* Takes a free slot; what a dead process left in it is reclaimed. */
static int fabric_take_slot(softefa_fabric_t *fabric)
{
    softefa_shm_t *shm = fabric->shm;
    uint32_t slot;
    int ret;

    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    for (slot = 0; slot < SOFTEFA_MAX_PROCS; ++slot) {
        if (softefa_file_lock(fabric->lock_fd, F_OFD_SETLK, F_WRLCK,
                              SOFTEFA_SLOT_BYTE(slot), 1) != 0) {
            continue;
        }
        if (softefa_object_reap(slot)) {
            break;
        }
        softefa_file_lock(fabric->lock_fd, F_OFD_SETLK, F_UNLCK,
                          SOFTEFA_SLOT_BYTE(slot), 1);
    }

    if (slot == SOFTEFA_MAX_PROCS) {
        softefa_error("fabric %s already has %d processes", fabric->dir,
                      SOFTEFA_MAX_PROCS);
        softefa_admin_unlock();
        return EMFILE;
    }

    fabric->slot = slot;
    SOFTEFA_POINT("slot");
    memset(&shm->proc[slot], 0, sizeof(shm->proc[slot]));
    shm->proc[slot].pid   = getpid();
    shm->proc[slot].pidns = fabric_pidns();
    shm->proc[slot].state = SOFTEFA_STATE_ALIVE;
    SOFTEFA_POINT("process");
    if (slot >= shm->num_procs) {
        shm->num_procs = slot + 1;
    }
    softefa_fabric_reap();
    softefa_admin_unlock();
    return 0;
}

/* Releases what this process has; the last one out removes the directory.
 * exit() may come from a signal handler that interrupted a lock's owner, and a
 * process that is stopped may have one: then all is left as by a killed process,
 * for others to reclaim. */
static void fabric_detach(softefa_fabric_t *fabric)
{
    if ((fabric_lock_file(fabric->lock_fd) != 0) ||
        (softefa_admin_lock() != 0)) {
        return;
    }

    if (softefa_object_reap(fabric->slot)) {
        fabric->shm->proc[fabric->slot].state = SOFTEFA_STATE_FREE;
    }
    softefa_admin_unlock();
    fabric_remove_dir(fabric);
    SOFTEFA_POINT("left");
}

static int fabric_open(softefa_fabric_t *fabric)
{
    const softefa_options_t *options = softefa_options();
    int ret;

    if (options == NULL) {
        return EINVAL;
    }

    snprintf(fabric->dir, sizeof(fabric->dir), "/dev/shm/softefa.%u.%s",
             (unsigned)geteuid(), options->fabric);
    while ((ret = fabric_lock_dir(fabric)) == EAGAIN) {
        fabric_close(fabric);
    }
    if (ret != 0) {
        goto err;
    }

    ret = fabric_others(fabric->lock_fd) ? fabric_join(fabric) :
                                           fabric_create(fabric);
    if (ret != 0) {
        goto err_remove;
    }

    ret = fabric_take_slot(fabric);
    if (ret != 0) {
        goto err_unmap;
    }

    softefa_file_lock(fabric->lock_fd, F_OFD_SETLK, F_UNLCK, 0, 1);

    /* Where Yama restricts process_vm_*, let this user's processes in. */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    return 0;

err_unmap:
    munmap(fabric->shm, fabric->shm->size);
    fabric->shm = NULL;
err_remove:
    fabric_remove_dir(fabric);
err:
    fabric_close(fabric);
    return ret;
}

/* The child of fork() is another process without devices. Its copy of the lock
 * must go, or the parent would seem alive as long as the child is. The memory
 * stays mapped: handles that the child inherited still point there, but their
 * epoch makes them inert. */
static void fabric_fork_child(void)
{
    pthread_mutex_init(&attach_lock, NULL);
    fabric_name_hash = 0;
    if (softefa_fabric.shm != NULL) {
        softefa_ticker_fork_child();
        softefa_event_fork_child();
        softefa_fault_fork_child();
        fabric_close(&softefa_fabric);
        softefa_fabric.shm = NULL;
        ++softefa_fabric.epoch;
    }
}

static void fabric_fork_prepare(void)
{
    pthread_mutex_lock(&attach_lock);
}

static void fabric_fork_parent(void)
{
    pthread_mutex_unlock(&attach_lock);
}

int softefa_fabric_attach(void)
{
    static bool fork_handler;
    int ret = 0;

    pthread_mutex_lock(&attach_lock);
    if (softefa_fabric.shm == NULL) {
        ret = fabric_open(&softefa_fabric);
        if ((ret == 0) && !fork_handler) {
            pthread_atfork(fabric_fork_prepare, fabric_fork_parent,
                           fabric_fork_child);
            fork_handler = true;
        }
    }
    pthread_mutex_unlock(&attach_lock);
    return ret;
}

bool softefa_fabric_alone(void)
{
    const softefa_shm_proc_t *own =
            &softefa_fabric.shm->proc[softefa_fabric.slot];
    unsigned index;

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        if ((own->opens[index] > 0) ||
            (softefa_fabric.shm->fate[index].life != 0)) {
            return false;
        }
    }

    return !fabric_others(softefa_fabric.lock_fd);
}

const char *softefa_fabric_dir(void)
{
    return (softefa_fabric_attach() == 0) ? softefa_fabric.dir : NULL;
}

/* The mapping stays: other libraries' destructors may still poll a CQ, other
 * threads may ring a doorbell. From the new epoch on they find no device. */
static __attribute__((destructor)) void fabric_exit(void)
{
    struct timespec until;

    if (softefa_fabric.shm == NULL) {
        return;
    }

    /* exit() in a signal handler that interrupted an attachment */
    clock_gettime(CLOCK_REALTIME, &until);
    ++until.tv_sec;
    if (pthread_mutex_timedlock(&attach_lock, &until) != 0) {
        return;
    }

    ++softefa_fabric.epoch;
    if (softefa_ticker_stop()) {
        fabric_detach(&softefa_fabric);
    }
    fabric_close(&softefa_fabric);
    pthread_mutex_unlock(&attach_lock);
}
