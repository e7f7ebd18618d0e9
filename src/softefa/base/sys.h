/*
 * System calls that libsoftefa also interposes. The device half must not run
 * through its own hooks: they would take locks and recurse.
 *
 * syscall() takes longs and cannot see what it is given: an int on the stack
 * has an undefined upper half.
 */
#ifndef SOFTEFA_SYS_H
#define SOFTEFA_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int softefa_sys_openat(int dir, const char *name, int flags,
                                     int mode)
{
    return syscall(SYS_openat, (long)dir, name, (long)flags, (long)mode);
}

static inline int softefa_sys_close(int fd)
{
    return syscall(SYS_close, (long)fd);
}

static inline int softefa_sys_fstat(int fd, struct stat *st)
{
    return syscall(SYS_fstat, (long)fd, st);
}

static inline void *softefa_sys_mmap_at(size_t length, int prot, int flags,
                                        int fd, uint64_t offset)
{
    return (void *)syscall(SYS_mmap, NULL, length, (long)prot, (long)flags,
                           (long)fd, offset);
}

static inline void *softefa_sys_mmap(size_t length, int prot, int flags, int fd)
{
    return softefa_sys_mmap_at(length, prot, flags, fd, 0);
}

/* The application may have hooks in munmap() that call verbs. */
static inline void softefa_sys_munmap(void *addr, size_t length)
{
    syscall(SYS_munmap, addr, length);
}

#endif
