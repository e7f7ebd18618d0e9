/*
 * The libc functions that take paths.
 *
 *   path:  open access opendir ...       --> softefa_path_rewrite() --> libc
 *   open of /dev/infiniband/uverbsN      --> softefa_file_open(), and the
 *                                            application holds a duplicate of
 *                                            the fabric's memory file
 *   stat of either                       --> interpose_stat.c
 *
 * They do nothing but compare a path when the program does not use verbs.
 */
#define _GNU_SOURCE
/* Both make libc's headers replace the functions that are defined here. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include "preload/fd.h"
#include "preload/real.h"
#include "preload/rewrite.h"
#include "sysfs/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- open ---- */

static int uverbs_open(unsigned index, int flags)
{
    softefa_file_t *file;
    int ret, fd;

    ret = softefa_file_open(index, &file);
    if (ret != 0) {
        errno = ret;
        return -1;
    }

    fd = REAL(fcntl)(softefa_file_mmap_fd(file),
                     (flags & O_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    if (fd < 0) {
        ret = errno;
    } else {
        ret = softefa_fd_add(fd, file, NULL);
        if (ret != 0) {
            REAL(close)(fd);
        }
    }

    softefa_file_put(file);
    if (ret != 0) {
        errno = ret;
        return -1;
    }
    return fd;
}

/* -2: not a uverbs device. */
static int try_uverbs_open(const char *path, int flags)
{
    int index;

    index = softefa_path_uverbs(path);
    return (index < 0) ? -2 : uverbs_open(index, flags);
}

#define OPEN_MODE(_mode, _flags)                                              \
    mode_t _mode = 0;                                                         \
    if (((_flags) & O_CREAT) || (((_flags) & O_TMPFILE) == O_TMPFILE)) {      \
        va_list _args;                                                        \
        va_start(_args, _flags);                                              \
        _mode = va_arg(_args, mode_t);                                        \
        va_end(_args);                                                        \
    }

#define DEFINE_OPEN(_name)                                                    \
    EXPORT int _name(const char *given, int flags, ...)                       \
    {                                                                         \
        int fd = try_uverbs_open(given, flags);                               \
        OPEN_MODE(mode, flags);                                               \
        if (fd != -2) {                                                       \
            return fd;                                                        \
        }                                                                     \
        REWRITE(path, given, -1);                                             \
        return REAL(_name)(path, flags, mode);                                \
    }

#define DEFINE_OPENAT(_name)                                                  \
    EXPORT int _name(int dirfd, const char *given, int flags, ...)            \
    {                                                                         \
        int fd = try_uverbs_open(given, flags);                               \
        OPEN_MODE(mode, flags);                                               \
        if (fd != -2) {                                                       \
            return fd;                                                        \
        }                                                                     \
        REWRITE(path, given, -1);                                             \
        return REAL(_name)(dirfd, path, flags, mode);                         \
    }

/* What open() becomes under _FORTIFY_SOURCE when it has no mode. */
#define DEFINE_OPEN_2(_name)                                                  \
    int _name(const char *given, int flags);                                  \
    EXPORT int _name(const char *given, int flags)                            \
    {                                                                         \
        int fd = try_uverbs_open(given, flags);                               \
        if (fd != -2) {                                                       \
            return fd;                                                        \
        }                                                                     \
        REWRITE(path, given, -1);                                             \
        return REAL(_name)(path, flags);                                      \
    }

#define DEFINE_OPENAT_2(_name)                                                \
    int _name(int dirfd, const char *given, int flags);                       \
    EXPORT int _name(int dirfd, const char *given, int flags)                 \
    {                                                                         \
        int fd = try_uverbs_open(given, flags);                               \
        if (fd != -2) {                                                       \
            return fd;                                                        \
        }                                                                     \
        REWRITE(path, given, -1);                                             \
        return REAL(_name)(dirfd, path, flags);                               \
    }

DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)
DEFINE_OPEN_2(__open_2)
DEFINE_OPEN_2(__open64_2)
DEFINE_OPENAT_2(__openat_2)
DEFINE_OPENAT_2(__openat64_2)

EXPORT FILE *fopen(const char *given, const char *mode)
{
    REWRITE(path, given, NULL);
    return REAL(fopen)(path, mode);
}

EXPORT FILE *fopen64(const char *given, const char *mode)
{
    REWRITE(path, given, NULL);
    return REAL(fopen64)(path, mode);
}

EXPORT DIR *opendir(const char *given)
{
    REWRITE(path, given, NULL);
    return REAL(opendir)(path);
}

EXPORT int scandir(const char *given, struct dirent ***entries,
                   int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **,
                                  const struct dirent **))
{
    REWRITE(path, given, -1);
    return REAL(scandir)(path, entries, filter, compare);
}

/* ---- access, readlink, realpath ---- */

EXPORT int access(const char *given, int mode)
{
    REWRITE(path, given, -1);
    return REAL(access)(path, mode);
}

EXPORT int eaccess(const char *given, int mode)
{
    REWRITE(path, given, -1);
    return REAL(eaccess)(path, mode);
}

EXPORT int euidaccess(const char *given, int mode)
{
    REWRITE(path, given, -1);
    return REAL(euidaccess)(path, mode);
}

EXPORT int faccessat(int dirfd, const char *given, int mode, int flags)
{
    REWRITE(path, given, -1);
    return REAL(faccessat)(dirfd, path, mode, flags);
}

EXPORT ssize_t readlink(const char *given, char *buf, size_t size)
{
    REWRITE(path, given, -1);
    return REAL(readlink)(path, buf, size);
}

EXPORT ssize_t readlinkat(int dirfd, const char *given, char *buf, size_t size)
{
    REWRITE(path, given, -1);
    return REAL(readlinkat)(dirfd, path, buf, size);
}

ssize_t __readlink_chk(const char *given, char *buf, size_t size,
                       size_t buf_size);
EXPORT ssize_t __readlink_chk(const char *given, char *buf, size_t size,
                              size_t buf_size)
{
    REWRITE(path, given, -1);
    return REAL(__readlink_chk)(path, buf, size, buf_size);
}

ssize_t __readlinkat_chk(int dirfd, const char *given, char *buf, size_t size,
                         size_t buf_size);
EXPORT ssize_t __readlinkat_chk(int dirfd, const char *given, char *buf,
                                size_t size, size_t buf_size)
{
    REWRITE(path, given, -1);
    return REAL(__readlinkat_chk)(dirfd, path, buf, size, buf_size);
}

/* ls -l asks for these */
EXPORT ssize_t getxattr(const char *given, const char *name, void *value,
                        size_t size)
{
    REWRITE(path, given, -1);
    return REAL(getxattr)(path, name, value, size);
}

EXPORT ssize_t lgetxattr(const char *given, const char *name, void *value,
                         size_t size)
{
    REWRITE(path, given, -1);
    return REAL(lgetxattr)(path, name, value, size);
}

/* The answer speaks of /sys again, as programs take it apart. */
static char *real_path_restored(const char *path, char *resolved)
{
    char result[PATH_MAX];

    if (REAL(realpath)(path, result) == NULL) {
        return NULL;
    }

    softefa_path_restore(result);
    return (resolved == NULL) ? strdup(result) : strcpy(resolved, result);
}

EXPORT char *realpath(const char *given, char *resolved)
{
    REWRITE(path, given, NULL);
    return (path == given) ? REAL(realpath)(given, resolved) :
                             real_path_restored(path, resolved);
}

char *__realpath_chk(const char *given, char *resolved, size_t size);
EXPORT char *__realpath_chk(const char *given, char *resolved, size_t size)
{
    REWRITE(path, given, NULL);
    return (path == given) ? REAL(__realpath_chk)(given, resolved, size) :
                             real_path_restored(path, resolved);
}

EXPORT char *canonicalize_file_name(const char *given)
{
    REWRITE(path, given, NULL);
    return (path == given) ? REAL(canonicalize_file_name)(given) :
                             real_path_restored(path, NULL);
}
