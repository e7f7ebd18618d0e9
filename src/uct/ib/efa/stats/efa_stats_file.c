/*
 * The file of a stats segment: see efa_stats_file.h.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats.h"
#include "stats/efa_stats_dir.h"
#include "stats/efa_stats_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef EFA_STATS_LIBRARY_VERSION
#  define EFA_STATS_LIBRARY_VERSION "0.1"
#endif

/* Room for some 18 000 peers with an endpoint each; holes cost nothing. */
#define UCT_EFA_STATS_SIZE EFA_STATS_MAX_SIZE

/* Pages are asked for in steps of this size */
#define UCT_EFA_STATS_STEP (64u << 10)

/* An abandoned file without a header is removed when it is this old: its owner
 * may be just about to write one. */
#define UCT_EFA_STATS_UNBORN_SECONDS 60

static_assert(UCT_EFA_STATS_SIZE <= EFA_STATS_MAX_SIZE, "readers refuse it");
static_assert(UCT_EFA_STATS_SIZE % UCT_EFA_STATS_STEP == 0, "whole steps");
static_assert(sizeof(efa_stats_header_t) <= UCT_EFA_STATS_STEP, "one step");

/* Does the file belong to a process that is gone? Logs nothing. */
static int uct_efa_stats_is_leftover(int dir_fd, const char *name)
{
    efa_stats_header_t header;
    int fd, leftover = 0;
    struct stat st;
    ssize_t length;

    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    if ((fstat(fd, &st) != 0) || !S_ISREG(st.st_mode) ||
        (st.st_uid != geteuid()) || (flock(fd, LOCK_EX | LOCK_NB) != 0)) {
        goto out;
    }

    length = pread(fd, &header, sizeof(header), 0);
    if ((length == (ssize_t)sizeof(header)) &&
        (header.magic == EFA_STATS_MAGIC)) {
        leftover = !(header.flags & EFA_STATS_FLAG_KEEP);
    } else {
        leftover = (time(NULL) - st.st_mtime) > UCT_EFA_STATS_UNBORN_SECONDS;
    }

out:
    close(fd);
    return leftover;
}

/* "ucx-efa.<pid>.<n>", and nothing that merely begins like that */
static int uct_efa_stats_is_name(const char *name)
{
    const size_t prefix = strlen(EFA_STATS_FILE_PREFIX);
    int length          = 0;
    unsigned pid, count;

    return (strncmp(name, EFA_STATS_FILE_PREFIX, prefix) == 0) &&
           (sscanf(name + prefix, "%u.%u%n", &pid, &count, &length) == 2) &&
           (name[prefix + length] == '\0');
}

static void uct_efa_stats_remove_leftovers(const char *dir_path)
{
    struct dirent *entry;
    DIR *dir;

    dir = opendir(dir_path);
    if (dir == NULL) {
        return;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (uct_efa_stats_is_name(entry->d_name) &&
            uct_efa_stats_is_leftover(dirfd(dir), entry->d_name)) {
            ucs_debug("removing %s/%s of a dead process", dir_path,
                      entry->d_name);
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }

    closedir(dir);
}

static void uct_efa_stats_read_proc(const char *path, char *buffer, size_t max)
{
    ssize_t length = 0;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        length = read(fd, buffer, max - 1);
        close(fd);
    }

    buffer[(length > 0) ? length : 0] = '\0';
}

/* Field 22 of /proc/self/stat. The name in field 2 may hold anything, also
 * blanks and parentheses: count from its end. */
static uint64_t uct_efa_stats_start_time(void)
{
    unsigned long long start_time = 0;
    char buffer[1024], *field;

    uct_efa_stats_read_proc("/proc/self/stat", buffer, sizeof(buffer));
    field = strrchr(buffer, ')');
    if (field != NULL) {
        sscanf(field,
               ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %*s %llu",
               &start_time);
    }

    return start_time;
}

static void uct_efa_stats_fill_header(uct_efa_stats_file_t *file)
{
    efa_stats_header_t *header = uct_efa_stats_file_header(file);
    struct timespec now        = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    header->version     = EFA_STATS_VERSION;
    header->header_len  = sizeof(*header);
    header->flags       = file->keep ? EFA_STATS_FLAG_KEEP : 0;
    header->size        = UCT_EFA_STATS_SIZE;
    header->used        = file->used;
    header->pid         = getpid();
    header->uid         = geteuid();
    header->start_time  = uct_efa_stats_start_time();
    header->create_time = (now.tv_sec * 1000000000ull) + now.tv_nsec;
    header->open_time   = uct_efa_stats_now();
    header->ucx_version = (UCT_VERNO_MAJOR << 16) | UCT_VERNO_MINOR;

    ucs_strncpy_zero(header->command, program_invocation_short_name,
                     sizeof(header->command));
    ucs_strncpy_zero(header->library, EFA_STATS_LIBRARY_VERSION,
                     sizeof(header->library));

    __atomic_store_n(&header->magic, EFA_STATS_MAGIC, __ATOMIC_RELEASE);
}

void uct_efa_stats_file_create(uct_efa_stats_file_t *file, int keep)
{
    const char *dir = efa_stats_dir();
    struct rlimit limit;
    void *map;
    int ret;

    uct_efa_stats_remove_leftovers(dir);

    /* Growing a file beyond this limit is a signal (SIGXFSZ), not an error */
    if ((getrlimit(RLIMIT_FSIZE, &limit) != 0) ||
        (limit.rlim_cur < UCT_EFA_STATS_SIZE)) {
        ucs_debug("no stats segment: the limit of file sizes is below %u bytes",
                  UCT_EFA_STATS_SIZE);
        goto err;
    }

    do {
        ret = snprintf(file->path, sizeof(file->path),
                       "%s/" EFA_STATS_FILE_PREFIX "%d.%u", dir, getpid(),
                       file->count++);
        if (ret >= (int)sizeof(file->path)) {
            goto err;
        }

        /* EEXIST: ours kept, or of the same pid in another container */
        file->fd = open(file->path,
                        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        S_IRUSR | S_IWUSR);
    } while ((file->fd < 0) && (errno == EEXIST) && (file->count < 1000));

    if (file->fd < 0) {
        ucs_debug("no stats segment: cannot make %s: %m", file->path);
        goto err;
    }

    ret = flock(file->fd, LOCK_EX | LOCK_NB);
    if (ret != 0) {
        ucs_debug("no stats segment: cannot lock %s: %m", file->path);
        goto err_unlink;
    }

    ret = posix_fallocate(file->fd, 0, UCT_EFA_STATS_STEP);
    if ((ret == 0) && (ftruncate(file->fd, UCT_EFA_STATS_SIZE) != 0)) {
        ret = errno;
    }
    if (ret != 0) {
        ucs_debug("no stats segment: no room for %s: %s", file->path,
                  strerror(ret));
        goto err_unlink;
    }

    map = mmap(NULL, UCT_EFA_STATS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
               file->fd, 0);
    if (map == MAP_FAILED) {
        ucs_debug("no stats segment: cannot map %s: %m", file->path);
        goto err_unlink;
    }

    file->map    = map;
    file->pid    = getpid();
    file->used   = sizeof(efa_stats_header_t);
    file->backed = UCT_EFA_STATS_STEP;
    file->keep   = keep;
    uct_efa_stats_fill_header(file);
    ucs_debug("stats segment %s", file->path);
    return;

err_unlink:
    unlink(file->path);
    close(file->fd);
err:
    file->fd      = -1;
    file->path[0] = '\0';
}

void uct_efa_stats_file_unlink(uct_efa_stats_file_t *file)
{
    if (uct_efa_stats_file_is_mine(file) && !file->keep) {
        unlink(file->path);
    }
}

void uct_efa_stats_file_destroy(uct_efa_stats_file_t *file)
{
    if (file->map == NULL) {
        return;
    }

    uct_efa_stats_file_unlink(file);
    munmap(file->map, UCT_EFA_STATS_SIZE);
    close(file->fd);
    file->map     = NULL;
    file->fd      = -1;
    file->path[0] = '\0';
}

int uct_efa_stats_file_is_mine(const uct_efa_stats_file_t *file)
{
    return (file->map != NULL) && (file->pid == getpid());
}

int uct_efa_stats_file_contains(const uct_efa_stats_file_t *file,
                                const void *block)
{
    const char *address = block;

    return (file->map != NULL) && (address >= file->map) &&
           (address < (file->map + UCT_EFA_STATS_SIZE));
}

void *uct_efa_stats_file_extend(uct_efa_stats_file_t *file, size_t length)
{
    size_t end = file->used + length;
    void *block;

    if (end > UCT_EFA_STATS_SIZE) {
        return NULL;
    }

    while (end > file->backed) {
        if (posix_fallocate(file->fd, file->backed, UCT_EFA_STATS_STEP) != 0) {
            return NULL;
        }
        file->backed += UCT_EFA_STATS_STEP;
    }

    block      = file->map + file->used;
    file->used = end;
    return block;
}

void uct_efa_stats_file_publish(uct_efa_stats_file_t *file)
{
    __atomic_store_n(&uct_efa_stats_file_header(file)->used, file->used,
                     __ATOMIC_RELEASE);
}
