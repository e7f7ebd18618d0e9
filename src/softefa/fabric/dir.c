/*
 * The fabric's directory and the locks in its lock file. See dir.h.
 */
#define _GNU_SOURCE
#include "fabric/dir.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/point.h"
#include "base/sys.h"
#include "fabric/thread.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <time.h>

/* How long entering waits for a process that enters: a stopped one; any */
#define PATIENCE_NS 3000000000ull
#define ENTER_NS    30000000000ull

int softefa_dir_lock(int fd, int command, int type, off_t start, off_t length)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length
    };
    int ret;

    do {
        ret = fcntl(fd, command, &lock);
    } while ((ret < 0) && (errno == EINTR));

    if (ret < 0) {
        return errno;
    }

    return ((command == F_OFD_GETLK) && (lock.l_type != F_UNLCK)) ? EAGAIN : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void softefa_dir_remove_tree(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Whether another process than this one holds a slot. */
bool softefa_dir_others(int lock_fd)
{
    return softefa_dir_lock(lock_fd, F_OFD_GETLK, F_WRLCK, SOFTEFA_SLOT_BYTE(0),
                            SOFTEFA_MAX_PROCS) != 0;
}

static bool dir_is_own(int dir_fd)
{
    struct statx st;

    return (statx(dir_fd, "", AT_EMPTY_PATH, STATX_UID | STATX_MODE, &st) ==
            0) &&
           (st.stx_uid == geteuid()) && ((st.stx_mode & 0777) == 0700);
}

/* Directory and lock file, both private to this user. */
static int dir_open(softefa_fabric_t *fabric)
{
    if ((mkdir(fabric->dir, 0700) < 0) && (errno != EEXIST)) {
        softefa_error("cannot create %s: %s", fabric->dir, strerror(errno));
        return errno;
    }

    fabric->dir_fd = softefa_sys_openat(AT_FDCWD, fabric->dir,
                                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                                                O_CLOEXEC,
                                        0);
    if (fabric->dir_fd < 0) {
        if (errno == ENOENT) {
            return EAGAIN; /* removed by the last process just now */
        }
        softefa_error("cannot open %s: %s; remove it or name another fabric "
                      "(SOFTEFA_FABRIC)",
                      fabric->dir, strerror(errno));
        return errno;
    }

    if (!dir_is_own(fabric->dir_fd)) {
        softefa_error("%s does not belong to this user alone; remove it or "
                      "name another fabric (SOFTEFA_FABRIC)",
                      fabric->dir);
        return EACCES;
    }

    fabric->lock_fd = softefa_sys_openat(fabric->dir_fd, "lock",
                                         O_RDWR | O_CREAT | O_NOFOLLOW |
                                                 O_CLOEXEC,
                                         0600);
    if (fabric->lock_fd < 0) {
        if (errno == ENOENT) {
            return EAGAIN;
        }
        softefa_error("cannot open %s/lock: %s", fabric->dir, strerror(errno));
        return errno;
    }

    return 0;
}

int softefa_dir_lock_enter(int lock_fd)
{
    static const struct timespec nap = {.tv_nsec = 1000000};
    uint64_t start                   = softefa_clock_now();
    int32_t pid                      = getpid();
    int32_t holder                   = 0;
    uint64_t passed;
    int ret;

    for (;;) {
        ret = softefa_dir_lock(lock_fd, F_OFD_SETLK, F_WRLCK,
                               SOFTEFA_ENTER_BYTE, 1);
        if ((ret != EAGAIN) && (ret != EACCES)) {
            break;
        }

        passed = softefa_clock_now() - start;
        if ((passed > ENTER_NS) ||
            ((passed > PATIENCE_NS) &&
             (pread(lock_fd, &holder, sizeof(holder), 0) == sizeof(holder)) &&
             softefa_thread_stopped(holder))) {
            softefa_error("process %d, which enters or leaves the fabric, is "
                          "stopped or does not go on; let it (kill -CONT %d) "
                          "or end it (kill -9 %d)",
                          holder, holder, holder);
            return ETIME;
        }
        nanosleep(&nap, NULL);
    }

    if ((ret == 0) && (pwrite(lock_fd, &pid, sizeof(pid), 0) < 0)) {
        /* /dev/shm is full: an error where memory is needed */
    }
    SOFTEFA_POINT("attach");
    return ret;
}

/* Opens the directory and takes its lock; EAGAIN if it vanished meanwhile. */
int softefa_dir_enter(softefa_fabric_t *fabric)
{
    struct statx st;
    int ret;

    ret = dir_open(fabric);
    if (ret != 0) {
        return ret;
    }

    ret = softefa_dir_lock_enter(fabric->lock_fd);
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

void softefa_dir_close(softefa_fabric_t *fabric)
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
void softefa_dir_clean(softefa_fabric_t *fabric)
{
    char path[sizeof(fabric->dir) + 8];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/sys", fabric->dir);
    softefa_dir_remove_tree(path);
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

void softefa_dir_remove(softefa_fabric_t *fabric)
{
    if (!softefa_dir_others(fabric->lock_fd)) {
        softefa_dir_clean(fabric);
        unlinkat(fabric->dir_fd, "lock", 0);
        rmdir(fabric->dir);
    }
}

/* Removes another fabric of this user if no process lives in it. A process that
 * is joining it notices, as when the last process leaves. */
static void sweep_one(const char *name)
{
    softefa_fabric_t other = {.dir_fd = -1, .lock_fd = -1, .mem_fd = -1};

    if (snprintf(other.dir, sizeof(other.dir), "/dev/shm/%s", name) >=
        (int)sizeof(other.dir)) {
        return;
    }

    other.dir_fd = softefa_sys_openat(AT_FDCWD, other.dir,
                                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                                              O_CLOEXEC,
                                      0);
    if ((other.dir_fd < 0) || !dir_is_own(other.dir_fd)) {
        softefa_dir_close(&other);
        return;
    }

    /* Created if missing: a process that left without a descriptor to spare
     * removed the lock, but could not empty the directory. */
    other.lock_fd = softefa_sys_openat(other.dir_fd, "lock",
                                       O_RDWR | O_CREAT | O_NOFOLLOW |
                                               O_CLOEXEC,
                                       0600);
    if ((other.lock_fd >= 0) &&
        (softefa_dir_lock(other.lock_fd, F_OFD_SETLK, F_WRLCK, 0, 1) == 0)) {
        softefa_dir_remove(&other);
    }
    softefa_dir_close(&other);
}

void softefa_dir_sweep(const softefa_fabric_t *fabric)
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
            sweep_one(entry->d_name);
        }
    }
    closedir(dir);
}
