/*
 * stat() and its relatives: what a path means is as in interpose_path.c; a
 * uverbs device, by its path or open, is a character device.
 */
#define _GNU_SOURCE
/* Both make libc's headers replace the functions that are defined here. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include "preload/fd.h"
#include "preload/real.h"
#include "preload/rewrite.h"
#include "sysfs/build.h"
#include "sysfs/path.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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
