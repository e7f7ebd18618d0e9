/* For the libc functions that take paths: interpose_path.c,
 * interpose_stat.c. */
#ifndef SOFTEFA_REWRITE_H
#define SOFTEFA_REWRITE_H

#include "sysfs/path.h"

#include <limits.h>

/* Declares `_path` as what to use instead of `_given`, or returns _failure. */
#define REWRITE(_path, _given, _failure)                                      \
    char _path##_buf[PATH_MAX];                                               \
    const char *_path = softefa_path_rewrite(_given, _path##_buf);            \
    if ((_path) == NULL) {                                                    \
        return _failure;                                                      \
    }

#endif
