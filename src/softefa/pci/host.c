/*
 * The host interface of a PCI function (nic/host.h).
 *
 * Memory regions are addresses of this process (dma.h): guest memory is mapped.
 * Between two members it is copied by process_vm_*, as between two processes
 * under libsoftefa.so; docs/softefa-pci.md, "Memory", says why. The model runs
 * in the one thread there is, which asks for progress while something waits.
 */
#define _GNU_SOURCE
#include "pci/host.h"
#include "base/log.h"
#include "fabric/member.h"
#include "nic/host.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static bool host_waiting;

bool softefa_pci_host_waiting(void)
{
    return host_waiting;
}

void softefa_pci_host_set_waiting(bool waiting)
{
    host_waiting = waiting;
}

void softefa_host_wake(void)
{
    host_waiting = true;
}

/* Where Yama restricts process_vm_*, let this user's processes in. */
void softefa_host_dev_opened(void)
{
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

/* Once per process; what to do about it is the same every time. */
static int host_denied(softefa_member_t member, const char *cause)
{
    static bool logged;

    if (!logged) {
        logged = true;
        softefa_error("cannot reach the memory of process %d: %s. All members "
                      "of a fabric need one user, one PID namespace and a "
                      "kernel that allows process_vm_readv "
                      "(kernel.yama.ptrace_scope 0 or 1, no seccomp filter)",
                      member.pid, cause);
    }
    return EPERM;
}

static int host_check(softefa_member_t member)
{
    const softefa_shm_proc_t *proc = softefa_fabric.shm->proc;

    if (!softefa_member_alive(member.slot, false)) {
        return ESRCH;
    }

    return (proc[member.slot].pidns == proc[softefa_fabric.slot].pidns) ?
                   0 :
                   host_denied(member, "it is in another PID namespace");
}

static int host_result(softefa_member_t member, ssize_t ret, size_t length)
{
    if (ret == (ssize_t)length) {
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
        return host_denied(member, strerror(errno));
    default:
        return EFAULT;
    }
}

/* Within this process */
static void host_copy(const struct iovec *dst, const struct iovec *src,
                      size_t length)
{
    size_t dst_used = 0, src_used = 0, part;

    while (length > 0) {
        part = dst->iov_len - dst_used;
        part = (part < src->iov_len - src_used) ? part :
                                                  (src->iov_len - src_used);
        part = (part < length) ? part : length;
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

int softefa_host_write(softefa_member_t member, const struct iovec *local,
                       unsigned num_local, const struct iovec *remote,
                       unsigned num_remote, size_t length)
{
    int ret;

    if (member.slot == softefa_fabric.slot) {
        host_copy(remote, local, length);
        return 0;
    }

    ret = (length > 0) ? host_check(member) : 0;
    if ((ret != 0) || (length == 0)) {
        return ret;
    }

    return host_result(member,
                       process_vm_writev(member.pid, local, num_local, remote,
                                         num_remote, 0),
                       length);
}

int softefa_host_read(softefa_member_t member, const struct iovec *local,
                      unsigned num_local, const struct iovec *remote,
                      unsigned num_remote, size_t length)
{
    int ret;

    if (member.slot == softefa_fabric.slot) {
        host_copy(local, remote, length);
        return 0;
    }

    ret = (length > 0) ? host_check(member) : 0;
    if ((ret != 0) || (length == 0)) {
        return ret;
    }

    return host_result(member,
                       process_vm_readv(member.pid, local, num_local, remote,
                                        num_remote, 0),
                       length);
}
