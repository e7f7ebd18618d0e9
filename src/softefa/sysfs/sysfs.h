/*
 * The device's files: a tree in the fabric's directory that stands for parts
 * of /sys and /dev. See sysfs.c.
 */
#ifndef SOFTEFA_SYSFS_H
#define SOFTEFA_SYSFS_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    SOFTEFA_UVERBS_MAJOR = 231,
    SOFTEFA_UVERBS_MINOR = 192   /* of uverbs0 */
};

/* N if path is /dev/infiniband/uverbsN of this process's fabric, else -1. */
int softefa_path_uverbs(const char *path);

/* What to open instead of path: path itself if it is not ours, else buf. NULL
 * with errno set if path is NULL or the tree cannot be made (said on stderr).
 * Both functions take NULL: libc declares its arguments non-null, so that the
 * compiler drops such a check in the interposers. */
const char *softefa_path_rewrite(const char *path, char buf[PATH_MAX]);

/* Undoes the rewriting in an absolute path without symbolic links, in place. */
void softefa_path_restore(char path[PATH_MAX]);

/* Removes all trees in the fabric's directory. For its first and its last
 * process only. */
void softefa_sysfs_clean(const char *fabric_dir);

#endif
