/*
 * The memory domain: an open device, its protection domain, registrations.
 *
 *   open    context -> PD -> device attributes -> AH cache -> window
 *   mem_reg ibv_reg_mr; what may be asked for depends on the device:
 *
 *           LOCAL_WRITE    always, except for memory that is read-only
 *           REMOTE_READ    if the device answers RDMA reads
 *           REMOTE_WRITE   if the device answers RDMA writes
 *
 * fork(): nothing is done here. Kernels from 5.13 on copy pinned pages for the
 * child, so that libibverbs' own protection, which costs a system call and a
 * look-up for each registration, is not needed; on older ones the user asks
 * for it with RDMAV_FORK_SAFE=1.
 */
#include "ucx_compat.h"
#include "efa_md.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Estimates of ibv_reg_mr: a command to the device, and pinning page by page.
 * docs/device-facts.md, "Registration". */
#define UCT_EFA_REG_COST_BASE     20e-6
#define UCT_EFA_REG_COST_PER_BYTE 0.03e-9

static const char *uct_efa_window_modes[] = {
    [UCT_EFA_WINDOW_NO]   = "n",
    [UCT_EFA_WINDOW_YES]  = "y",
    [UCT_EFA_WINDOW_KEEP] = "keep",
    [UCT_EFA_WINDOW_LAST] = NULL
};

ucs_config_field_t uct_efa_md_config_table[] = {
    {"", "", NULL, ucs_offsetof(uct_efa_md_config_t, super),
     UCS_CONFIG_TYPE_TABLE(uct_md_config_table)},

    {"WINDOW", "y",
     "Show the counters of this process in a small file for `srdtool stat`:\n"
     "$XDG_RUNTIME_DIR/ucx-efa.<pid>.<n>, or in /dev/shm if that is not set.\n"
     "  n    - count in private memory only\n"
     "  y    - remove the file at exit\n"
     "  keep - leave the file behind",
     ucs_offsetof(uct_efa_md_config_t, window),
     UCS_CONFIG_TYPE_ENUM(uct_efa_window_modes)},

    /* Here for `ucx_info -f`, and so that UCX knows the variable: the loader
     * acts on it before this table is read. */
    {"KEEP_IB", "n",
     "Let UCX's ib transports in where EFA devices are the only verbs devices.\n"
     "They open EFA devices too, and may print errors about them.",
     ucs_offsetof(uct_efa_md_config_t, keep_ib), UCS_CONFIG_TYPE_BOOL},

    {.name = NULL}
};

const char *uct_efa_md_device_name(const uct_efa_md_t *md)
{
    return md->port_name;
}

/* ---------------------------------------------------------- registration */

/* A number behind `name` in /proc/self/status, 0 if it is not there. */
static unsigned long long uct_efa_md_proc_status(const char *name, int base)
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
static int uct_efa_md_is_memlock_exceeded(size_t length, size_t *limit_p)
{
    const unsigned cap_ipc_lock = 14;
    unsigned long long pinned_kb, caps;
    struct rlimit limit;

    if ((getrlimit(RLIMIT_MEMLOCK, &limit) != 0) ||
        (limit.rlim_cur == RLIM_INFINITY)) {
        return 0;
    }

    pinned_kb = uct_efa_md_proc_status("\nVmPin:", 10);
    caps      = uct_efa_md_proc_status("\nCapEff:", 16);
    *limit_p  = limit.rlim_cur;
    return !(caps & UCS_BIT(cap_ipc_lock)) &&
           (((pinned_kb * 1024) + length) > limit.rlim_cur);
}

static void uct_efa_md_log_reg_error(uct_efa_md_t *md, void *address,
                                     size_t length, int access, uint64_t flags,
                                     int err)
{
    size_t limit = 0;
    char advice[512];

    advice[0] = '\0';
    switch (err) {
    case ENOMEM:
        if (uct_efa_md_is_memlock_exceeded(length, &limit)) {
            snprintf(advice, sizeof(advice),
                     "; the limit of locked memory (RLIMIT_MEMLOCK) is %zu "
                     "KiB: raise it with `ulimit -l unlimited`, in "
                     "/etc/security/limits.conf (memlock), with "
                     "LimitMEMLOCK=infinity for a service, or with `--ulimit "
                     "memlock=-1` for a container",
                     limit / 1024);
        } else {
            snprintf(advice, sizeof(advice),
                     "; the host has not so much free memory, or the device "
                     "holds its %d registrations (max_mr of ibv_devinfo -v) "
                     "already",
                     md->dev.attr.max_mr);
        }
        break;
    case EFAULT:
        snprintf(advice, sizeof(advice),
                 "; the memory is not mapped, or is a mapping of a device or "
                 "file that cannot be pinned");
        break;
    case EINVAL:
    case EOPNOTSUPP:
        snprintf(advice, sizeof(advice),
                 "; the device does not take this size or access, see "
                 "max_mr_size of ibv_devinfo -v");
        break;
    default:
        break;
    }

    uct_md_log_mem_reg_error(
            flags, "%s: cannot register %zu bytes at %p, access 0x%x: %s%s",
            ibv_get_device_name(md->ctx->device), length, address, access,
            strerror(err), advice);
}

static int uct_efa_md_access(const uct_efa_md_t *md, uint64_t flags)
{
    int access = IBV_ACCESS_LOCAL_WRITE;

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

ucs_status_t uct_efa_md_mem_reg(uct_md_h uct_md, void *address, size_t length,
                                uint64_t flags, uct_mem_h *memh_p)
{
    uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);
    int access       = uct_efa_md_access(md, flags);
    uct_efa_mem_t *mem;
    int err;

    mem = ucs_malloc(sizeof(*mem), "efa_mem");
    if (mem == NULL) {
        uct_md_log_mem_reg_error(flags, "cannot allocate a memory handle");
        return UCS_ERR_NO_MEMORY;
    }

    errno   = 0;
    mem->mr = ibv_reg_mr(md->pd, address, length, access);
    if ((mem->mr == NULL) && (errno == EFAULT) && (access != 0)) {
        /* Constants and files mapped for reading can be sent, no more */
        access &= IBV_ACCESS_REMOTE_READ;
        mem->mr = ibv_reg_mr(md->pd, address, length, access);
        errno   = (mem->mr == NULL) ? EFAULT : 0;
    }

    if (mem->mr == NULL) {
        err = (errno != 0) ? errno : EIO;
        uct_efa_md_log_reg_error(md, address, length, access, flags, err);
        ucs_free(mem);
        return (err == ENOMEM) ? UCS_ERR_NO_MEMORY : UCS_ERR_IO_ERROR;
    }

    ucs_trace("%s: registered %p..%p access 0x%x lkey 0x%x rkey 0x%x",
              ibv_get_device_name(md->ctx->device), address,
              UCS_PTR_BYTE_OFFSET(address, length), access, mem->mr->lkey,
              mem->mr->rkey);
    mem->access = (unsigned)access;
    *memh_p     = mem;
    return UCS_OK;
}

ucs_status_t uct_efa_md_mem_dereg(uct_md_h uct_md, uct_mem_h memh)
{
    uct_efa_md_t *md   = ucs_derived_of(uct_md, uct_efa_md_t);
    uct_efa_mem_t *mem = memh;
    int ret;

    ret = ibv_dereg_mr(mem->mr);
    if (ret != 0) {
        ucs_error("%s: cannot deregister %zu bytes at %p: %s",
                  ibv_get_device_name(md->ctx->device), mem->mr->length,
                  mem->mr->addr, strerror(ret));
        return UCS_ERR_IO_ERROR;
    }

    ucs_free(mem);
    return UCS_OK;
}

ucs_status_t uct_efa_md_mkey_pack(uct_md_h uct_md, uct_mem_h memh, void *buffer)
{
    const uct_efa_mem_t *mem = memh;

    (void)uct_md;
    uct_efa_rkey_pack(mem->mr->rkey, mem->access, buffer);
    return UCS_OK;
}

/* ------------------------------------------------------------------- query */

ucs_status_t uct_efa_md_query(uct_md_h uct_md, uct_efa_md_attr_t *attr)
{
    uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);

    memset(attr, 0, sizeof(*attr));
    attr->flags            = UCT_MD_FLAG_REG | UCT_MD_FLAG_NEED_MEMH |
                             UCT_MD_FLAG_NEED_RKEY;
    attr->max_reg          = md->dev.attr.max_mr_size;
    attr->reg_mem_types    = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    attr->cache_mem_types  = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    attr->access_mem_types = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    attr->reg_cost         = md->reg_cost;
    attr->rkey_packed_size = sizeof(uct_efa_packed_rkey_t);
    attr->local_cpus       = md->dev.local_cpus;
    ucs_strncpy_zero(attr->component_name, uct_efa_component.name,
                     sizeof(attr->component_name));
    memcpy(attr->global_id, &md->dev.attr.node_guid,
           ucs_min(sizeof(attr->global_id), sizeof(md->dev.attr.node_guid)));
    return UCS_OK;
}

/* --------------------------------------------------------- open and close */

static struct ibv_context *uct_efa_md_open_device(const char *name)
{
    struct ibv_context *ctx = NULL;
    struct ibv_device **list;
    int i, num, found = 0;

    list = ibv_get_device_list(&num);
    if (list == NULL) {
        ucs_error("cannot list RDMA devices: %s", strerror(errno));
        return NULL;
    }

    for (i = 0; i < num; ++i) {
        if (strcmp(ibv_get_device_name(list[i]), name) == 0) {
            found = 1;
            errno = 0;
            ctx   = ibv_open_device(list[i]);
            break;
        }
    }

    if (!found) {
        ucs_error("there is no RDMA device %s any more", name);
    } else if (ctx == NULL) {
        ucs_error("cannot open %s: %s", name, strerror(errno));
    }

    ibv_free_device_list(list);
    return ctx;
}

ucs_status_t uct_efa_md_open(uct_component_t *component, const char *md_name,
                             const uct_md_config_t *md_config, uct_md_h *md_p)
{
    const uct_efa_md_config_t *config = ucs_derived_of(md_config,
                                                       uct_efa_md_config_t);
    ucs_status_t status;
    uct_efa_md_t *md;

    md = ucs_calloc(1, sizeof(*md), "efa_md");
    if (md == NULL) {
        ucs_error("cannot allocate the memory domain of %s", md_name);
        return UCS_ERR_NO_MEMORY;
    }

    md->super.ops       = &uct_efa_md_ops;
    md->super.component = component;
    md->reg_cost.c      = UCT_EFA_REG_COST_BASE;
    md->reg_cost.m      = UCT_EFA_REG_COST_PER_BYTE;

    md->ctx = uct_efa_md_open_device(md_name);
    if (md->ctx == NULL) {
        status = UCS_ERR_NO_DEVICE;
        goto err_free;
    }

    status = uct_efa_device_query(md->ctx, &md->dev);
    if (status != UCS_OK) {
        goto err_close;
    }

    errno  = 0;
    md->pd = ibv_alloc_pd(md->ctx);
    if (md->pd == NULL) {
        status = (errno == ENOMEM) ? UCS_ERR_NO_RESOURCE : UCS_ERR_IO_ERROR;
        ucs_error("cannot make a protection domain on %s: %s; the device has "
                  "%d of them for all processes of this host",
                  md_name, strerror(errno), md->dev.attr.max_pd);
        goto err_close;
    }

    status = uct_efa_ah_cache_create(md->pd, &md->ahs);
    if (status != UCS_OK) {
        goto err_dealloc_pd;
    }

    ucs_snprintf_zero(md->port_name, sizeof(md->port_name), "%s:%d", md_name,
                      UCT_EFA_PORT_NUM);
    uct_efa_window_open((uct_efa_window_mode_t)config->window);

    *md_p = &md->super;
    return UCS_OK;

err_dealloc_pd:
    ibv_dealloc_pd(md->pd);
err_close:
    ibv_close_device(md->ctx);
err_free:
    ucs_free(md);
    return status;
}

void uct_efa_md_close(uct_md_h uct_md)
{
    uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);
    int ret;

    uct_efa_window_close();
    uct_efa_ah_cache_destroy(md->ahs);

    ret = ibv_dealloc_pd(md->pd);
    if (ret != 0) {
        ucs_diag("%s: cannot free the protection domain: %s; something made "
                 "with it is still there",
                 ibv_get_device_name(md->ctx->device), strerror(ret));
    }

    ret = ibv_close_device(md->ctx);
    if (ret != 0) {
        ucs_diag("cannot close an EFA device: %s", strerror(errno));
    }

    ucs_free(md);
}
