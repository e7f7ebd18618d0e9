/*
 * Where a process of this user makes its stats segment. Plain C, no dependency:
 * included by the transport and by the tools.
 */
#ifndef EFA_STATS_DIR_H
#define EFA_STATS_DIR_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* $XDG_RUNTIME_DIR, like everybody who uses that directory: only if it is
 * really ours. Valid until the environment changes. */
static inline const char *efa_stats_dir(void)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    if ((dir != NULL) && (dir[0] == '/') && (stat(dir, &st) == 0) &&
        S_ISDIR(st.st_mode) && (st.st_uid == geteuid()) &&
        ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0)) {
        return dir;
    }

    return "/dev/shm";
}

#endif
