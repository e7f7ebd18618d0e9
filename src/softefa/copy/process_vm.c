/*
 * DMA of members that are processes (nic/host.h), under libsoftefa.so or a
 * softefa-pci: memcpy in one process, process_vm_* between two. Addresses are
 * those of the owner's process in both.
 *
 * process_vm_* names the other process by pid. A pid is trusted for at most
 * 20 ms after the process was seen to hold its lock (softefa_member_alive), too
 * short for the number to come round again.
 */
#define _GNU_SOURCE
#include "base/log.h"
#include "base/util.h"
#include "nic/host.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>

/* Once per process and cause; what to do about it is the same every time. */
static void copy_error(softefa_member_t member, const char *cause)
{
    static atomic_bool logged;

    if (!atomic_exchange(&logged, true)) {
        softefa_error("cannot reach the memory of process %d: %s. All "
                      "members of a fabric need one user, one PID namespace "
                      "and a kernel that allows process_vm_readv "
                      "(kernel.yama.ptrace_scope 0 or 1, no seccomp filter)",
                      member.pid, cause);
    }
}

static void copy_local(const struct iovec *dst, const struct iovec *src,
                       size_t length)
{
    size_t dst_used = 0, src_used = 0, part;

    while (length > 0) {
        part = dst->iov_len - dst_used;
        if (part > src->iov_len - src_used) {
            part = src->iov_len - src_used;
        }
        if (part > length) {
            part = length;
        }
        memcpy((char *)dst->iov_base + dst_used,
               (const char *)src->iov_base + src_used, part);
        length -= part;
        dst_used += part;
        src_used += part;
        if (dst_used == dst->iov_len) {
            ++dst;
            dst_used = 0;
        }
        if (src_used == src->iov_len) {
            ++src;
            src_used = 0;
        }
    }
}

/* 0, or why not */
static int copy_check(softefa_member_t member)
{
    const softefa_shm_proc_t *proc = softefa_fabric.shm->proc;

    if (softefa_unlikely(!softefa_member_alive(member.slot, false))) {
        return ESRCH;
    }

    if (softefa_unlikely(proc[member.slot].pidns !=
                         proc[softefa_fabric.slot].pidns)) {
        copy_error(member, "it is in another PID namespace");
        return EPERM;
    }

    return 0;
}

/* A message of a word or two is not worth a call. The two words of what is 9 to
 * 15 bytes long overlap. */
static inline void copy_short(void *dst, const void *src, size_t length)
{
    uint64_t head, tail;

    if ((length < sizeof(head)) || (length > 2 * sizeof(head))) {
        memcpy(dst, src, length);
        return;
    }

    memcpy(&head, src, sizeof(head));
    memcpy(&tail, (const char *)src + length - sizeof(tail), sizeof(tail));
    memcpy(dst, &head, sizeof(head));
    memcpy((char *)dst + length - sizeof(tail), &tail, sizeof(tail));
}

/* Whether a copy is one piece to one piece of this process's own memory, as
 * most are that stay in it. */
static inline bool copy_is_simple(softefa_member_t member,
                                  const struct iovec *dst,
                                  const struct iovec *src, size_t length)
{
    return (length > 0) && (member.slot == softefa_fabric.slot) &&
           (dst->iov_len >= length) && (src->iov_len >= length);
}

/* All of a copy but that between two processes: true if nothing is left to do,
 * with its result. */
static inline bool copy_is_done(softefa_member_t member,
                                const struct iovec *dst,
                                const struct iovec *src, size_t length,
                                int *result)
{
    if (length == 0) {
        *result = 0;
    } else if (member.slot == softefa_fabric.slot) {
        copy_local(dst, src, length);
        *result = 0;
    } else {
        *result = copy_check(member);
        return *result != 0;
    }

    return true;
}

static int copy_result(softefa_member_t member, ssize_t ret, size_t length)
{
    if (softefa_likely(ret == (ssize_t)length)) {
        return 0;
    }

    if (ret >= 0) {
        return EFAULT;
    }

    switch (errno) {
    case ESRCH:
        return ESRCH;
    case EPERM:
    case ENOSYS:
        copy_error(member, strerror(errno));
        return EPERM;
    default:
        return EFAULT;
    }
}

static __attribute__((noinline)) int
host_write(softefa_member_t member, const struct iovec *local,
           unsigned num_local, const struct iovec *remote, unsigned num_remote,
           size_t length)
{
    ssize_t ret;
    int result;

    if (copy_is_done(member, remote, local, length, &result)) {
        return result;
    }

    ret = process_vm_writev(member.pid, local, num_local, remote, num_remote,
                            0);
    return copy_result(member, ret, length);
}

int softefa_host_write(softefa_member_t member, const struct iovec *local,
                       unsigned num_local, const struct iovec *remote,
                       unsigned num_remote, size_t length)
{
    if (copy_is_simple(member, remote, local, length)) {
        copy_short(remote->iov_base, local->iov_base, length);
        return 0;
    }

    return host_write(member, local, num_local, remote, num_remote, length);
}

int softefa_host_read(softefa_member_t member, const struct iovec *local,
                      unsigned num_local, const struct iovec *remote,
                      unsigned num_remote, size_t length)
{
    ssize_t ret;
    int result;

    if (copy_is_done(member, local, remote, length, &result)) {
        return result;
    }

    ret = process_vm_readv(member.pid, local, num_local, remote, num_remote, 0);
    return copy_result(member, ret, length);
}
