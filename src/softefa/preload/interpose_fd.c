/*
 * The libc functions that take descriptors, and what else a program may ask
 * that would show the real host.
 *
 *   fd:    ioctl dup fcntl close         --> fd.c: ours? else libc
 *   socket(AF_NETLINK, .., NETLINK_RDMA) --> fails, so that libibverbs looks
 *                                            for devices in sysfs
 *
 * mmap() is not here on purpose: see softefa_file_mmap_fd(). They do nothing
 * but look up a number when the program does not use verbs.
 */
#define _GNU_SOURCE
/* Both make libc's headers replace the functions that are defined here. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include "abi/uverbs_abi.h"
#include "config/options.h"
#include "kernel/uverbs.h"
#include "preload/fd.h"
#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    softefa_obj_t *channel;
    softefa_file_t *file;
    va_list args;
    void *arg;
    int ret;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);

    file = softefa_fd_maybe(fd) ? softefa_fd_get(fd, &channel) : NULL;
    if (file == NULL) {
        return REAL(ioctl)(fd, request, arg);
    }

    if (channel != NULL) {
        ret = REAL(ioctl)(fd, request, arg);
        softefa_file_put(file);
        return ret;
    }

    if (file->inherited || (file->pid != getpid())) {
        ret = EIO; /* as for a device that was taken away */
    } else if (request != SOFTEFA_ABI_VERBS_IOCTL) {
        ret = ENOTTY;
    } else {
        ret = softefa_uverbs_ioctl(file, fd, arg);
    }

    softefa_file_put(file);
    if (ret != 0) {
        errno = ret;
        return -1;
    }
    return 0;
}

EXPORT int close(int fd)
{
    int saved_errno;

    if (softefa_fd_maybe(fd)) {
        saved_errno = errno;
        softefa_fd_closing(fd);
        errno = saved_errno;
    }
    return REAL(close)(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    if (!(flags & 4 /* CLOSE_RANGE_CLOEXEC */)) {
        softefa_fd_closing_range(first, last);
    }
    return REAL(close_range)(first, last, flags);
}

EXPORT void closefrom(int first)
{
    softefa_fd_closing_range((first < 0) ? 0 : first, ~0u);
    REAL(closefrom)(first);
}

static int duplicated(int from, int to)
{
    int saved_errno = errno;

    if ((to >= 0) && (softefa_fd_maybe(from) || softefa_fd_maybe(to))) {
        softefa_fd_dup(from, to);
        errno = saved_errno;
    }
    return to;
}

EXPORT int dup(int fd)
{
    return duplicated(fd, REAL(dup)(fd));
}

EXPORT int dup2(int fd, int to)
{
    return duplicated(fd, REAL(dup2)(fd, to));
}

EXPORT int dup3(int fd, int to, int flags)
{
    return duplicated(fd, REAL(dup3)(fd, to, flags));
}

#define DEFINE_FCNTL(_name)                                                   \
    EXPORT int _name(int fd, int cmd, ...)                                    \
    {                                                                         \
        va_list args;                                                         \
        void *arg;                                                            \
        int ret;                                                              \
                                                                              \
        va_start(args, cmd);                                                  \
        arg = va_arg(args, void*);                                            \
        va_end(args);                                                         \
        ret = REAL(_name)(fd, cmd, arg);                                      \
        return ((cmd == F_DUPFD) || (cmd == F_DUPFD_CLOEXEC)) ?               \
               duplicated(fd, ret) : ret;                                     \
    }

DEFINE_FCNTL(fcntl)
DEFINE_FCNTL(fcntl64)

EXPORT int socket(int domain, int type, int protocol)
{
    if ((domain == AF_NETLINK) && (protocol == NETLINK_RDMA) &&
        (softefa_options() != NULL)) {
        errno = EPROTONOSUPPORT;
        return -1;
    }

    return REAL(socket)(domain, type, protocol);
}

/* ---- libibverbs ---- */

/* The device copies by address and pins nothing, so a child's copy-on-write
 * does not part the parent from its buffers. Kernels with copy-on-fork report
 * the same by netlink. */
EXPORT enum ibv_fork_status ibv_is_fork_initialized(void)
{
    return IBV_FORK_UNNEEDED;
}

EXPORT int ibv_fork_init(void)
{
    return 0;
}
