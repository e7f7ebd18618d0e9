/*
 * The libc functions that take paths.
 *
 *   path:  open stat access opendir ...  --> softefa_path_rewrite() --> libc
 *   open of /dev/infiniband/uverbsN      --> softefa_file_open(), and the
 *                                            application holds a duplicate of
 *                                            the fabric's memory file
 *   fstat of that                        --> a character device
 *
 * They do nothing but compare a path when the program does not use verbs.
 */
#define _GNU_SOURCE
/* Both make libc's headers replace the functions that are defined here. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include "preload/fd.h"
#include "preload/real.h"
#include "sysfs/build.h"
#include "sysfs/path.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Declares `_path` as what to use instead of `_given`, or returns _failure. */
#define REWRITE(_path, _given, _failure)                                      \
    char _path##_buf[PATH_MAX];                                               \
    const char *_path = softefa_path_rewrite(_given, _path##_buf);            \
    if ((_path) == NULL) {                                                    \
        return _failure;                                                      \
    }

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

/* ---- stat ---- */

static void stat_uverbs(struct stat *st, unsigned index)
{
    st->st_mode = S_IFCHR | 0666;
    st->st_rdev = makedev(SOFTEFA_UVERBS_MAJOR, SOFTEFA_UVERBS_MINOR + index);
    st->st_size = 0;
}

/* Whether fd is an open uverbs device; index: which one. */
static int fd_uverbs(int fd, unsigned *index)
{
    softefa_obj_t *channel;
    softefa_file_t *file;
    int result;

    file = softefa_fd_get(fd, &channel);
    if (file == NULL) {
        return 0;
    }

    *index = file->index;
    result = (channel == NULL);
    softefa_file_put(file);
    return result;
}

static int stat_path(int dirfd, const char *given, struct stat *st, int flags)
{
    int index = softefa_path_uverbs(given);
    unsigned fd_index;
    int ret;

    REWRITE(path, given, -1);
    ret = REAL(fstatat)(dirfd, path, st, flags);
    if (ret != 0) {
        return ret;
    }

    if (index >= 0) {
        stat_uverbs(st, index);
    } else if ((flags & AT_EMPTY_PATH) && (path[0] == '\0') &&
               fd_uverbs(dirfd, &fd_index)) {
        stat_uverbs(st, fd_index);
    }
    return 0;
}

static int stat_fd(int fd, struct stat *st)
{
    unsigned index;
    int ret;

    ret = REAL(fstat)(fd, st);
    if ((ret == 0) && fd_uverbs(fd, &index)) {
        stat_uverbs(st, index);
    }
    return ret;
}

static_assert(sizeof(struct stat) == sizeof(struct stat64),
              "64-bit hosts have one struct stat");

/* _prefix: a version argument that old binaries pass, or nothing. */
#define DEFINE_STAT(_suffix, _prefix, _stat, _lstat, _fstat, _fstatat)        \
    int _stat(_prefix const char *path, struct stat##_suffix *st);            \
    EXPORT int _stat(_prefix const char *path, struct stat##_suffix *st)      \
    {                                                                         \
        return stat_path(AT_FDCWD, path, (struct stat*)st, 0);                \
    }                                                                         \
    int _lstat(_prefix const char *path, struct stat##_suffix *st);           \
    EXPORT int _lstat(_prefix const char *path, struct stat##_suffix *st)     \
    {                                                                         \
        return stat_path(AT_FDCWD, path, (struct stat*)st,                    \
                         AT_SYMLINK_NOFOLLOW);                                \
    }                                                                         \
    int _fstat(_prefix int fd, struct stat##_suffix *st);                     \
    EXPORT int _fstat(_prefix int fd, struct stat##_suffix *st)               \
    {                                                                         \
        return stat_fd(fd, (struct stat*)st);                                 \
    }                                                                         \
    int _fstatat(_prefix int dirfd, const char *path,                         \
                 struct stat##_suffix *st, int flags);                        \
    EXPORT int _fstatat(_prefix int dirfd, const char *path,                  \
                        struct stat##_suffix *st, int flags)                  \
    {                                                                         \
        return stat_path(dirfd, path, (struct stat*)st, flags);               \
    }

#define NOTHING
#define VERSION int version __attribute__((unused)),

DEFINE_STAT(, NOTHING, stat, lstat, fstat, fstatat)
DEFINE_STAT(64, NOTHING, stat64, lstat64, fstat64, fstatat64)
/* glibc before 2.33 */
DEFINE_STAT(, VERSION, __xstat, __lxstat, __fxstat, __fxstatat)
DEFINE_STAT(64, VERSION, __xstat64, __lxstat64, __fxstat64, __fxstatat64)

EXPORT int statx(int dirfd, const char *given, int flags, unsigned mask,
                 struct statx *st)
{
    int index = softefa_path_uverbs(given);
    unsigned fd_index;
    int ret;

    REWRITE(path, given, -1);
    ret = REAL(statx)(dirfd, path, flags, mask, st);
    if (ret != 0) {
        return ret;
    }

    if ((index < 0) && (flags & AT_EMPTY_PATH) && (path[0] == '\0') &&
        fd_uverbs(dirfd, &fd_index)) {
        index = fd_index;
    }
    if (index >= 0) {
        st->stx_mode       = S_IFCHR | 0666;
        st->stx_rdev_major = SOFTEFA_UVERBS_MAJOR;
        st->stx_rdev_minor = SOFTEFA_UVERBS_MINOR + index;
        st->stx_size       = 0;
    }
    return 0;
}
