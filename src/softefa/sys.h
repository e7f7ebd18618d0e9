/*
 * System calls that libsoftefa also interposes. The device half must not run
 * through its own hooks: they would take locks and recurse.
 */
#ifndef SOFTEFA_SYS_H
#define SOFTEFA_SYS_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int softefa_sys_openat(int dir, const char *name, int flags,
                                     int mode)
{
    return syscall(SYS_openat, dir, name, flags, mode);
}

static inline int softefa_sys_close(int fd)
{
    return syscall(SYS_close, fd);
}

static inline void *softefa_sys_mmap(size_t length, int prot, int flags, int fd)
{
    return (void*)syscall(SYS_mmap, NULL, length, prot, flags, fd, 0);
}

#endif
