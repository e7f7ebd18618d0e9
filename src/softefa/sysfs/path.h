/* Paths below /sys and /dev that the device's files stand for. */
#ifndef SOFTEFA_PATH_H
#define SOFTEFA_PATH_H

#include <limits.h>

/* N if path is /dev/infiniband/uverbsN of this process's fabric, else -1. */
int softefa_path_uverbs(const char *path);

/* What to open instead of path: path itself if it is not ours, else buf. NULL
 * with errno set if path is NULL or the tree cannot be made (logged).
 * Both functions take NULL: libc declares its arguments non-null, so that the
 * compiler drops such a check in the interposers. */
const char *softefa_path_rewrite(const char *path, char buf[PATH_MAX]);

/* Undoes the rewriting in an absolute path without symbolic links, in place. */
void softefa_path_restore(char path[PATH_MAX]);

#endif
