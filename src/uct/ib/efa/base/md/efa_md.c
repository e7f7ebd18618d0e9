/*
 * The memory domain: an open device, its protection domain, registrations.
 *
 *   open          context -> device attributes -> what GPUs' memory needs
 *                 -> registration cache -> stats segment
 *   mem_reg       this library's own memory        --> alone
 *   mem_reg_user  UCX's: for others' access        --> cache, if there is one
 *                        for messages, or a dma-buf --> alone
 *   invalidate    as dereg, and reports when no peer reaches the memory
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_md.h"
#include "base/md/ucx_compat_md.h"
#include "base/mem/efa_gpu.h"

#include <stdlib.h>
#include <string.h>

/* Estimates of ibv_reg_mr: a command to the device, and pinning page by page.
 * docs/device-facts.md, "Registration". */
#define UCT_EFA_REG_COST_BASE     20e-6
#define UCT_EFA_REG_COST_PER_BYTE 0.03e-9

static const char *uct_efa_stats_modes[] = {
    [UCT_EFA_STATS_NO]   = "n",
    [UCT_EFA_STATS_YES]  = "y",
    [UCT_EFA_STATS_KEEP] = "keep",
    [UCT_EFA_STATS_LAST] = NULL
};

ucs_config_field_t uct_efa_md_config_table[] = {
    {"", "", NULL, ucs_offsetof(uct_efa_md_config_t, super),
     UCS_CONFIG_TYPE_TABLE(uct_md_config_table)},

    {"STATS", "y",
     "Show the counters of this process in a small file for `srdtool stat`:\n"
     "$XDG_RUNTIME_DIR/ucx-efa.<pid>.<n>, or in /dev/shm if that is not set.\n"
     "  n    - count in private memory only\n"
     "  y    - remove the file at exit\n"
     "  keep - leave the file behind",
     ucs_offsetof(uct_efa_md_config_t, stats),
     UCS_CONFIG_TYPE_ENUM(uct_efa_stats_modes)},

    /* Here for `ucx_info -f`, and so that UCX knows the variable: the loader
     * acts on it before this table is read. */
    {"KEEP_IB", "n",
     "Let UCX's ib transports in where EFA devices are the only verbs\n"
     "devices. They open EFA devices too, and may print errors about them.",
     ucs_offsetof(uct_efa_md_config_t, keep_ib), UCS_CONFIG_TYPE_BOOL},

    {"GPU_DIRECT_RDMA", "try",
     "Let the device access GPUs' memory: by dma-buf, or CUDA memory by the\n"
     "module efa_nv_peermem. \"y\" fails where the kernel can do neither.",
     ucs_offsetof(uct_efa_md_config_t, gpu_direct), UCS_CONFIG_TYPE_TERNARY},

    {"RCACHE", UCT_EFA_RCACHE_DEFAULT ? "try" : "n",
     "Keep registrations of memory that others access. From UCX 1.16 on UCP\n"
     "does that itself (UCX_RCACHE_ENABLE); with \"y\" or \"try\" there, zero\n"
     "copy is not used by endpoints with error handling.",
     ucs_offsetof(uct_efa_md_config_t, rcache_mode), UCS_CONFIG_TYPE_TERNARY},

    {"", UCT_EFA_RCACHE_CONFIG_DEFAULTS, NULL,
     ucs_offsetof(uct_efa_md_config_t, rcache),
     UCS_CONFIG_TYPE_TABLE(UCT_EFA_RCACHE_CONFIG_TABLE)},

    {.name = NULL}
};

/* ---------------------------------------------------------- registration */

static ucs_status_t uct_efa_md_reg_alone(uct_efa_md_t *md, void *address,
                                         size_t length, unsigned access,
                                         const uct_efa_reg_params_t *params,
                                         uct_mem_h *memh_p)
{
    uct_efa_reg_params_t quiet = *params;
    ucs_status_t status;
    uct_efa_mem_t *mem;

    quiet.flags |= UCT_MD_MEM_FLAG_HIDE_ERRORS;

    mem = ucs_malloc(sizeof(*mem), "efa_mem");
    if (mem == NULL) {
        uct_md_log_mem_reg_error(params->flags,
                                 "cannot allocate a memory handle");
        return UCS_ERR_NO_MEMORY;
    }

    do {
        status = uct_efa_mem_init(md, address, length, access, &quiet, mem);
    } while ((status == UCS_ERR_NO_MEMORY) && uct_efa_rcache_give_back(md));

    if (status != UCS_OK) {
        /* Once more, to say why */
        status = uct_efa_mem_init(md, address, length, access, params, mem);
    }

    if (status != UCS_OK) {
        ucs_free(mem);
        return status;
    }

    mem->is_cached = 0;
    *memh_p        = mem;
    return UCS_OK;
}

ucs_status_t uct_efa_md_mem_reg(uct_md_h uct_md, void *address, size_t length,
                                uint64_t flags, uct_mem_h *memh_p)
{
    uct_efa_md_t *md            = ucs_derived_of(uct_md, uct_efa_md_t);
    uct_efa_reg_params_t params = UCT_EFA_REG_PARAMS_INIT(flags);

    return uct_efa_md_reg_alone(md, address, length,
                                uct_efa_mem_access(md, flags), &params, memh_p);
}

ucs_status_t uct_efa_md_mem_reg_user(uct_md_h uct_md, void *address,
                                     size_t length,
                                     const uct_efa_reg_params_t *params,
                                     uct_mem_h *memh_p)
{
    uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);
    unsigned access  = uct_efa_mem_access(md, params->flags);
    ucs_status_t status;
    uct_efa_mem_t *mem;

    /* A dma-buf may back another address tomorrow: UCP caches those, by what
     * it knows about the memory */
    if ((md->rcache != NULL) && (params->dmabuf_fd == UCT_DMABUF_FD_INVALID) &&
        (access & (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE))) {
        status = uct_efa_rcache_get(md, address, length, access, params, &mem);
        if (status != UCS_ERR_NO_ELEM) {
            *memh_p = mem;
            return status;
        }
    }

    return uct_efa_md_reg_alone(md, address, length, access, params, memh_p);
}

ucs_status_t uct_efa_md_mem_dereg(uct_md_h uct_md, uct_mem_h memh)
{
    uct_efa_md_t *md   = ucs_derived_of(uct_md, uct_efa_md_t);
    uct_efa_mem_t *mem = memh;
    ucs_status_t status;

    if (mem->is_cached) {
        uct_efa_rcache_put(md, mem);
        return UCS_OK;
    }

    status = uct_efa_mem_cleanup(md, mem);
    if (status == UCS_OK) {
        ucs_free(mem);
    }

    return status;
}

ucs_status_t uct_efa_md_mem_invalidate(uct_md_h uct_md, uct_mem_h memh,
                                       uct_completion_t *comp)
{
    uct_efa_md_t *md   = ucs_derived_of(uct_md, uct_efa_md_t);
    uct_efa_mem_t *mem = memh;
    ucs_status_t status;

    if (mem->is_cached) {
        uct_efa_rcache_invalidate(md, mem, comp);
        return UCS_OK;
    }

    status = uct_efa_md_mem_dereg(uct_md, memh);
    if (status == UCS_OK) {
        uct_invoke_completion(comp, UCS_OK);
    }

    return status;
}

int uct_efa_md_can_invalidate(uct_md_h uct_md)
{
    const uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);

    /* efa_rcache.h, "UCX from 1.16 on" */
    return (md->rcache == NULL) || UCT_EFA_RCACHE_DEFAULT;
}

int uct_efa_md_is_invalidatable(uct_mem_h memh)
{
    const uct_efa_mem_t *mem = memh;

    return !__atomic_load_n(&mem->is_remote, __ATOMIC_RELAXED) ||
           __atomic_load_n(&mem->is_packed, __ATOMIC_RELAXED);
}

ucs_status_t uct_efa_md_mkey_pack(uct_md_h uct_md, uct_mem_h memh,
                                  int for_invalidate, void *buffer)
{
    uct_efa_md_t *md   = ucs_derived_of(uct_md, uct_efa_md_t);
    uct_efa_mem_t *mem = memh;

    if (for_invalidate) {
        __atomic_store_n(&mem->is_packed, 1, __ATOMIC_RELAXED);
    }

    uct_efa_keys_pack(md, mem, buffer);
    return UCS_OK;
}

/* ------------------------------------------------------------------- query */

ucs_status_t uct_efa_md_query(uct_md_h uct_md, uct_efa_md_attr_t *attr)
{
    uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);

    memset(attr, 0, sizeof(*attr));
    attr->flags = UCT_MD_FLAG_REG | UCT_MD_FLAG_NEED_MEMH |
                  UCT_MD_FLAG_NEED_RKEY;
    if (md->has_dmabuf) {
        attr->flags |= UCT_EFA_MD_FLAG_REG_DMABUF;
    }
    if (uct_efa_md_can_invalidate(uct_md)) {
        attr->flags |= UCT_EFA_MD_FLAG_INVALIDATE;
    }
    attr->max_reg          = md->dev.attr.max_mr_size;
    attr->reg_mem_types    = md->reg_mem_types;
    /* What a dma-buf stands for as well: UCP sees to its life */
    attr->cache_mem_types  = UCS_MASK(UCS_MEMORY_TYPE_LAST);
    attr->access_mem_types = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    attr->reg_cost         = md->reg_cost;
    attr->rkey_packed_size = sizeof(uct_efa_packed_rkey_t);
    attr->local_cpus       = md->dev.local_cpus;
    ucs_strncpy_zero(attr->component_name, uct_md->component->name,
                     sizeof(attr->component_name));
    memcpy(attr->global_id, &md->dev.attr.node_guid,
           ucs_min(sizeof(attr->global_id), sizeof(md->dev.attr.node_guid)));
    return UCS_OK;
}

/* --------------------------------------------------------- open and close */

static ucs_status_t uct_efa_md_init_gpu_direct(uct_efa_md_t *md,
                                               ucs_ternary_auto_value_t mode)
{
    md->reg_mem_types = UCS_BIT(UCS_MEMORY_TYPE_HOST);
    if (mode == UCS_NO) {
        return UCS_OK;
    }

    md->reg_mem_types |= uct_efa_gpu_peer_mem_types();
    md->has_dmabuf = uct_efa_gpu_has_dmabuf(md->context->pd);
    if ((mode == UCS_YES) && !md->has_dmabuf &&
        (md->reg_mem_types == UCS_BIT(UCS_MEMORY_TYPE_HOST))) {
        ucs_error("%s: no access to GPUs' memory: that needs UCX 1.14 and "
                  "Linux 5.16 or later for dma-buf, or the kernel module "
                  "efa_nv_peermem; set UCX_EFA_GPU_DIRECT_RDMA=try to go on "
                  "without",
                  md->name);
        return UCS_ERR_UNSUPPORTED;
    }

    return UCS_OK;
}

/* The device in the stats segment, with its limits: docs/device-facts.md */
static void uct_efa_md_show(uct_efa_md_t *md)
{
    const struct ibv_device_attr *attr      = &md->dev.attr;
    const uint64_t max[EFA_STATS_KIND_LAST] = {
        [EFA_STATS_PD] = ucs_max(attr->max_pd, 0),
        [EFA_STATS_CQ] = ucs_max(attr->max_cq, 0),
        [EFA_STATS_QP] = ucs_max(attr->max_qp, 0),
        [EFA_STATS_MR] = ucs_max(attr->max_mr, 0),
        [EFA_STATS_AH] = ucs_max(attr->max_ah, 0)
    };

    uct_efa_context_show(md, max);
}

ucs_status_t uct_efa_md_open(uct_component_t *component, uct_md_ops_t *ops,
                             const char *md_name,
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

    md->super.ops       = ops;
    md->super.component = component;

    pthread_mutex_init(&md->lock, NULL);
    ucs_list_head_init(&md->mems);
    ucs_snprintf_zero(md->name, sizeof(md->name), "%s", md_name);
    ucs_snprintf_zero(md->port_name, sizeof(md->port_name), "%s:%d", md_name,
                      UCT_EFA_PORT_NUM);

    status = uct_efa_context_open(md);
    if (status != UCS_OK) {
        goto err_free;
    }

    status = uct_efa_device_query(md->context->ctx, &md->dev);
    if (status != UCS_OK) {
        goto err_close;
    }

    uct_efa_stats_open((uct_efa_stats_mode_t)config->stats);
    uct_efa_md_show(md);

    status = uct_efa_md_init_gpu_direct(md, config->gpu_direct);
    if (status != UCS_OK) {
        goto err_stats;
    }

    status = uct_efa_rcache_init(md, config->rcache_mode, &config->rcache);
    if (status != UCS_OK) {
        goto err_stats;
    }

    if (md->rcache != NULL) {
        md->reg_cost = ucs_linear_func_make(
                uct_efa_compat_rcache_overhead(&config->rcache), 0);
    } else {
        md->reg_cost = ucs_linear_func_make(UCT_EFA_REG_COST_BASE,
                                            UCT_EFA_REG_COST_PER_BYTE);
    }

    *md_p = &md->super;
    return UCS_OK;

err_stats:
    uct_efa_context_close(md);
    uct_efa_stats_close();
    goto err_free;
err_close:
    uct_efa_context_close(md);
err_free:
    pthread_mutex_destroy(&md->lock);
    ucs_free(md);
    return status;
}

/* What is left of registrations is their users': nobody can use it any more. */
static void uct_efa_md_free_mems(uct_efa_md_t *md, uct_efa_leak_t *leak)
{
    uct_efa_mem_t *mem, *tmp;

    ucs_list_for_each_safe(mem, tmp, &md->mems, list) {
        uct_efa_mem_leaked(mem, leak);
        if (!mem->is_cached && (uct_efa_mem_cleanup(md, mem) == UCS_OK)) {
            ucs_free(mem);
        }
    }
}

void uct_efa_md_close(uct_md_h uct_md)
{
    uct_efa_md_t *md = ucs_derived_of(uct_md, uct_efa_md_t);
    char where[UCT_DEVICE_NAME_MAX + 16];
    uct_efa_leak_t leak = {
        .device = md->stats,
        .where  = where
    };

    ucs_snprintf_zero(where, sizeof(where), "%s was closed", md->name);
    if (md->rcache != NULL) {
        uct_efa_rcache_leaks(md, &leak);
    }
    uct_efa_rcache_cleanup(md);
    uct_efa_md_free_mems(md, &leak);
    uct_efa_leak_end(&leak);
    uct_efa_context_close(md);
    uct_efa_stats_close();
    pthread_mutex_destroy(&md->lock);
    ucs_free(md);
}
