/* See thread.h. */
#define _GNU_SOURCE
#include "fabric/thread.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Process state T (stopped) or t (traced) */
bool softefa_thread_stopped(int tid)
{
    char path[32], line[128];
    const char *state;
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", tid);
    fd = softefa_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }

    length = read(fd, line, sizeof(line) - 1);
    softefa_sys_close(fd);
    if (length <= 0) {
        return false;
    }

    /* "tid (any name) S ...": at most 16 bytes of name */
    line[length] = '\0';
    state        = strrchr(line, ')');
    return (state != NULL) && (state[1] == ' ') &&
           ((state[2] == 'T') || (state[2] == 't'));
}

bool softefa_thread_gone(int pid, int tid)
{
    return (syscall(SYS_tgkill, pid, tid, 0) < 0) && (errno == ESRCH);
}
