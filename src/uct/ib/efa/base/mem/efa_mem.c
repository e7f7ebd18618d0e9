/*
 * Registers memory with the device, and says what to do when it will not.
 *
 *   access asked for --> ibv_reg_mr / ibv_reg_dmabuf_mr
 *                          |          EFAULT, host memory
 *                          |             --> without LOCAL_WRITE --> mem
 *                          |--> mem
 *                          '--> one line with the likely cause
 *
 * fork(): nothing is done here. Kernels from 5.13 on copy pinned pages for the
 * child, so that libibverbs' own protection, which costs a system call and a
 * look-up for each registration, is not needed; on older ones the user asks
 * for it with RDMAV_FORK_SAFE=1.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_caller.h"
#include "base/mem/efa_keys.h"
#include "base/mem/efa_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A region that others may write to: docs/device-facts.md, "Registration" */
#define UCT_EFA_MEM_MAX_WRITE_PAGES (1ul << 20)

/* A number behind `name` in /proc/self/status, 0 if it is not there. */
static unsigned long long uct_efa_mem_proc_status(const char *name, int base)
{
    char buffer[8192], *line;
    ssize_t length;
    int fd;

    fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }

    length = read(fd, buffer, sizeof(buffer) - 1);
    close(fd);
    if (length < 0) {
        return 0;
    }

    buffer[length] = '\0';
    line           = strstr(buffer, name);
    return (line == NULL) ? 0 : strtoull(line + strlen(name), NULL, base);
}

/* Would `length` more bytes pinned exceed the limit? *limit_p: bytes. The
 * kernel counts as it is done here; CAP_IPC_LOCK is above the limit. */
static int uct_efa_mem_is_memlock_exceeded(size_t length, size_t *limit_p)
{
    const unsigned cap_ipc_lock = 14;
    unsigned long long pinned_kb, caps;
    struct rlimit limit;

    if ((getrlimit(RLIMIT_MEMLOCK, &limit) != 0) ||
        (limit.rlim_cur == RLIM_INFINITY)) {
        return 0;
    }

    pinned_kb = uct_efa_mem_proc_status("\nVmPin:", 10);
    caps      = uct_efa_mem_proc_status("\nCapEff:", 16);
    *limit_p  = limit.rlim_cur;
    return !(caps & UCS_BIT(cap_ipc_lock)) &&
           (((pinned_kb * 1024) + length) > limit.rlim_cur);
}

/* Too many pages of the smallest size for a region that others may write? Huge
 * pages may still fit, so this is no reason to refuse it beforehand. */
static int uct_efa_mem_has_many_pages(size_t length, unsigned access)
{
    return (access & IBV_ACCESS_REMOTE_WRITE) &&
           ((length / ucs_get_page_size()) > UCT_EFA_MEM_MAX_WRITE_PAGES);
}

static void uct_efa_mem_advice(const uct_efa_md_t *md, size_t length,
                               unsigned access, int is_dmabuf, int err,
                               char *advice, size_t max)
{
    size_t limit = 0;

    advice[0] = '\0';
    if (((err == ENOMEM) || (err == EINVAL)) &&
        uct_efa_mem_has_many_pages(length, access)) {
        snprintf(advice, max,
                 "; a region that others may write has at most %lu pages: use "
                 "huge pages for it (hugetlbfs, or madvise with "
                 "MADV_HUGEPAGE), or register it in parts",
                 UCT_EFA_MEM_MAX_WRITE_PAGES);
        return;
    }

    switch (err) {
    case ENOMEM:
        if (uct_efa_mem_is_memlock_exceeded(length, &limit)) {
            snprintf(advice, max,
                     "; the limit of locked memory (RLIMIT_MEMLOCK) is %zu "
                     "KiB: raise it with `ulimit -l unlimited`, in "
                     "/etc/security/limits.conf (memlock), with "
                     "LimitMEMLOCK=infinity for a service, or with `--ulimit "
                     "memlock=-1` for a container",
                     limit / 1024);
        } else {
            snprintf(advice, max,
                     "; the host has not so much free memory, or the device "
                     "holds its %d registrations (max_mr of ibv_devinfo -v) "
                     "already: keep fewer with UCX_EFA_RCACHE_MAX_REGIONS, "
                     "from UCX 1.16 on UCX_RCACHE_MAX_REGIONS",
                     md->dev.attr.max_mr);
        }
        break;
    case EFAULT:
        snprintf(advice, max,
                 "; the memory is not mapped, or is a mapping of a device or "
                 "file that cannot be pinned%s",
                 (md->reg_mem_types & UCS_BIT(UCS_MEMORY_TYPE_CUDA)) ?
                         "" :
                         "; if it is a GPU's, load the module efa_nv_peermem "
                         "or use "
                         "UCX 1.14 or later with its module for that GPU");
        break;
    case EBADF:
        snprintf(advice, max,
                 "; the descriptor given with the memory is not open");
        break;
    case EINVAL:
    case EOPNOTSUPP:
        if (is_dmabuf) {
            snprintf(advice, max,
                     "; the descriptor is not a dma-buf or ends before the "
                     "memory does, or kernel and driver cannot use it: they "
                     "must be Linux 5.16, or the EFA driver 1.16, or later");
        } else {
            snprintf(advice, max,
                     "; the device does not take this size or access, see "
                     "max_mr_size of ibv_devinfo -v");
        }
        break;
    default:
        break;
    }
}

static void uct_efa_mem_log_error(const uct_efa_md_t *md, void *address,
                                  size_t length, unsigned access,
                                  const uct_efa_reg_params_t *params, int err)
{
    int is_dmabuf = (params->dmabuf_fd != UCT_DMABUF_FD_INVALID);
    char advice[512];

    uct_efa_mem_advice(md, length, access, is_dmabuf, err, advice,
                       sizeof(advice));
    uct_md_log_mem_reg_error(
            params->flags,
            "%s: cannot register %zu bytes at %p%s, access 0x%x: %s%s",
            md->name, length, address, is_dmabuf ? " (dma-buf)" : "", access,
            strerror(err), advice);
}

unsigned uct_efa_mem_access(const uct_efa_md_t *md, uint64_t flags)
{
    unsigned access = IBV_ACCESS_LOCAL_WRITE;

    /* Without any access flag the caller wants memory for messages. The
     * device wants LOCAL_WRITE together with REMOTE_WRITE. */
    if ((flags & UCT_MD_MEM_ACCESS_ALL) == UCT_MD_MEM_ACCESS_LOCAL_READ) {
        return 0;
    }

    if ((flags & UCT_MD_MEM_ACCESS_REMOTE_GET) && md->dev.has_rdma_read) {
        access |= IBV_ACCESS_REMOTE_READ;
    }
    if ((flags & UCT_MD_MEM_ACCESS_REMOTE_PUT) && md->dev.has_rdma_write) {
        access |= IBV_ACCESS_REMOTE_WRITE;
    }

    return access;
}

static struct ibv_mr *uct_efa_mem_reg_mr(struct ibv_pd *pd, void *address,
                                         size_t length, unsigned *access_p,
                                         const uct_efa_reg_params_t *params)
{
    struct ibv_mr *mr;

    errno = 0;
    if (params->dmabuf_fd != UCT_DMABUF_FD_INVALID) {
        return ibv_reg_dmabuf_mr(pd, params->dmabuf_offset, length,
                                 (uintptr_t)address, params->dmabuf_fd,
                                 (int)*access_p);
    }

    mr = ibv_reg_mr(pd, address, length, (int)*access_p);
    if ((mr == NULL) && (errno == EFAULT) && !params->is_exact &&
        (*access_p & ~(unsigned)IBV_ACCESS_REMOTE_READ)) {
        /* Constants and files mapped for reading can be sent, no more */
        mr = ibv_reg_mr(pd, address, length,
                        (int)(*access_p & IBV_ACCESS_REMOTE_READ));
        if (mr == NULL) {
            errno = EFAULT;
        } else {
            *access_p &= IBV_ACCESS_REMOTE_READ;
        }
    }

    return mr;
}

static void uct_efa_mem_show(uct_efa_md_t *md, uct_efa_mem_t *mem,
                             const char *site)
{
    uct_efa_stats_object_params_t params = {
        .kind  = EFA_STATS_MR,
        .size  = mem->length,
        .size2 = (uintptr_t)mem->address,
        .site  = site
    };

    mem->create_time = uct_efa_stats_now();
    mem->stats       = uct_efa_stats_object_get(md->stats, &params);
}

void uct_efa_mem_show_again(uct_efa_md_t *md, uct_efa_mem_t *mem)
{
    char site[EFA_STATS_SITE_MAX];

    ucs_strncpy_zero(site, mem->stats->site, sizeof(site));
    uct_efa_stats_object_put(md->stats, mem->stats, EFA_STATS_MR, mem->length);
    uct_efa_mem_show(md, mem, site);
}

void uct_efa_mem_leaked(const uct_efa_mem_t *mem, uct_efa_leak_t *leak)
{
    char what[64];

    snprintf(what, sizeof(what), "memory %p of %zu bytes", mem->address,
             mem->length);
    uct_efa_leak_add(leak, EFA_STATS_MR, what, mem->caller, mem->create_time);
}

ucs_status_t uct_efa_mem_init(uct_efa_md_t *md, void *address, size_t length,
                              unsigned access,
                              const uct_efa_reg_params_t *params,
                              uct_efa_mem_t *mem)
{
    char site[EFA_STATS_SITE_MAX];
    uct_efa_context_t *context;
    unsigned granted;
    int err, noted;

    mem->address   = address;
    mem->length    = length;
    mem->is_dmabuf = (params->dmabuf_fd != UCT_DMABUF_FD_INVALID);
    mem->is_remote = !!params->is_remote;
    mem->is_packed = 0;
    mem->caller    = uct_efa_caller();
    uct_efa_caller_name(mem->caller, site, sizeof(site));

    do {
        context = uct_efa_context_get(md);
        granted = access;
        mem->mr = uct_efa_mem_reg_mr(context->pd, address, length, &granted,
                                     params);
        if (mem->mr == NULL) {
            err = (errno != 0) ? errno : EIO;
            if (!uct_efa_context_is_gone(context, err) || mem->is_dmabuf ||
                !uct_efa_context_probe(md, context)) {
                uct_efa_context_put(context);
                if (!(params->flags & UCT_MD_MEM_FLAG_HIDE_ERRORS)) {
                    uct_efa_stats_device_refused(md->stats, EFA_STATS_MR, err);
                }
                uct_efa_mem_log_error(md, address, length, access, params, err);
                return (err == ENOMEM) ? UCS_ERR_NO_MEMORY : UCS_ERR_IO_ERROR;
            }
        }

        mem->access = (uint16_t)granted;
        uct_efa_mem_show(md, mem, site);
        noted = uct_efa_keys_add(md, context, mem);
        if (!noted) { /* from before a reset */
            uct_efa_stats_object_put(md->stats, mem->stats, EFA_STATS_MR,
                                     length);
            if (mem->mr != NULL) {
                ibv_dereg_mr(mem->mr);
            }
        }
        uct_efa_context_put(context);
    } while (!noted);

    ucs_trace("%s: registered %p..%p access 0x%x lkey 0x%x rkey 0x%x%s",
              md->name, address, UCS_PTR_BYTE_OFFSET(address, length),
              mem->access, mem->lkey, mem->rkey,
              mem->is_dmabuf    ? " (dma-buf)" :
              (mem->mr == NULL) ? " (waits for the device)" :
                                  "");
    return UCS_OK;
}

ucs_status_t uct_efa_mem_cleanup(uct_efa_md_t *md, uct_efa_mem_t *mem)
{
    int ret;

    uct_efa_keys_remove(md, mem);
    uct_efa_stats_object_put(md->stats, mem->stats, EFA_STATS_MR, mem->length);
    if (mem->mr == NULL) {
        return UCS_OK;
    }

    ret = ibv_dereg_mr(mem->mr);
    if ((ret != 0) && !uct_efa_err_is_gone(ret)) {
        ucs_error("%s: cannot deregister %zu bytes at %p: %s", md->name,
                  mem->length, mem->address, strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    return UCS_OK;
}
