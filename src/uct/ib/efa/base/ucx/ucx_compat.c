/*
 * The tables and adapters for UCX's memory domain calls and its pools; what
 * differs is shown in ucx_compat.h.
 */
#include "base/ucx/ucx_compat.h"

#include <string.h>

const char *uct_efa_ucx_version(void)
{
    return UCS_PP_MAKE_STRING(UCT_VERNO_MAJOR) "." UCS_PP_MAKE_STRING(
            UCT_VERNO_MINOR);
}

/* ------------------------------------------------------------------ query */

#if UCT_EFA_UCX(1, 14)
static ucs_status_t uct_efa_compat_md_query(uct_md_h md,
                                            uct_md_attr_v2_t *md_attr)
{
    uint64_t field_mask = md_attr->field_mask;
    uct_efa_md_attr_t attr;
    ucs_status_t status;

    status = uct_efa_md_query(md, &attr);
    if (status != UCS_OK) {
        return status;
    }

    /* Later versions have more fields, all of them with 0 for "none" or
     * "unknown": what is not named here stays so. */
    memset(md_attr, 0, sizeof(*md_attr));
    md_attr->field_mask       = field_mask;
    md_attr->flags            = attr.flags;
    md_attr->max_reg          = attr.max_reg;
    md_attr->reg_mem_types    = attr.reg_mem_types;
    md_attr->cache_mem_types  = attr.cache_mem_types;
    md_attr->access_mem_types = attr.access_mem_types;
    md_attr->reg_cost         = attr.reg_cost;
    md_attr->rkey_packed_size = attr.rkey_packed_size;
    md_attr->local_cpus       = attr.local_cpus;
    memcpy(md_attr->component_name, attr.component_name,
           sizeof(md_attr->component_name));
    memcpy(md_attr->global_id, attr.global_id,
           ucs_min(sizeof(md_attr->global_id), sizeof(attr.global_id)));
#if UCT_EFA_UCX(1, 16)
    md_attr->reg_alignment = 1;
#endif
#if UCT_EFA_UCX(1, 22)
    /* GPUs have memory that no device can be given */
    md_attr->required_mem_flags = UCS_MEM_FLAG_REGISTRABLE;
#endif
    return UCS_OK;
}
#else
static ucs_status_t uct_efa_compat_md_query(uct_md_h md, uct_md_attr_t *md_attr)
{
    uct_efa_md_attr_t attr;
    ucs_status_t status;

    status = uct_efa_md_query(md, &attr);
    if (status != UCS_OK) {
        return status;
    }

    memset(md_attr, 0, sizeof(*md_attr));
    md_attr->cap.flags            = attr.flags;
    md_attr->cap.max_reg          = attr.max_reg;
    md_attr->cap.reg_mem_types    = attr.reg_mem_types;
    md_attr->cap.access_mem_types = attr.access_mem_types;
    md_attr->reg_cost             = attr.reg_cost;
    md_attr->rkey_packed_size     = attr.rkey_packed_size;
    md_attr->local_cpus           = attr.local_cpus;
    memcpy(md_attr->component_name, attr.component_name,
           sizeof(md_attr->component_name));
    return UCS_OK;
}
#endif

/* ----------------------------------------------------------- registration */

uint64_t uct_efa_compat_reg_flags(uint64_t flags)
{
#if !UCT_EFA_UCX(1, 17)
    if (flags & UCT_MD_MEM_FLAG_LOCK) {
        return flags & ~(uint64_t)(UCT_MD_MEM_ACCESS_REMOTE_GET |
                                   UCT_MD_MEM_ACCESS_REMOTE_PUT |
                                   UCT_MD_MEM_ACCESS_REMOTE_ATOMIC);
    }

    return flags | UCT_MD_MEM_ACCESS_RMA;
#else
    /* Where it says nothing it may want anything: the first generation of its
     * protocols packs keys of such memory for rendezvous. */
    return (flags & UCT_MD_MEM_ACCESS_ALL) ? flags :
           flags | UCT_MD_MEM_ACCESS_RMA;
#endif
}

static int uct_efa_compat_is_remote(uint64_t flags)
{
    return !!(flags & (UCT_MD_MEM_ACCESS_REMOTE_GET |
                       UCT_MD_MEM_ACCESS_REMOTE_PUT |
                       UCT_MD_MEM_ACCESS_REMOTE_ATOMIC));
}

#if UCT_EFA_UCX(1, 14)
static ucs_status_t
uct_efa_compat_mem_reg(uct_md_h md, void *address, size_t length,
                       const uct_md_mem_reg_params_t *reg_params,
                       uct_mem_h *memh_p)
{
    uint64_t flags = (reg_params->field_mask & UCT_MD_MEM_REG_FIELD_FLAGS) ?
                             reg_params->flags : 0;
    uct_efa_reg_params_t params =
            UCT_EFA_REG_PARAMS_INIT(uct_efa_compat_reg_flags(flags));

#if UCT_EFA_UCX(1, 18)
    /* All memory of the process at once: no attribute offers it */
    if (flags & UCT_MD_MEM_GVA) {
        return UCS_ERR_UNSUPPORTED;
    }
#endif
    params.is_remote = uct_efa_compat_is_remote(flags);
    if (reg_params->field_mask & UCT_MD_MEM_REG_FIELD_DMABUF_FD) {
        params.dmabuf_fd = reg_params->dmabuf_fd;
    }
    if (reg_params->field_mask & UCT_MD_MEM_REG_FIELD_DMABUF_OFFSET) {
        params.dmabuf_offset = reg_params->dmabuf_offset;
    }

    return uct_efa_md_mem_reg_user(md, address, length, &params, memh_p);
}
#else
static ucs_status_t uct_efa_compat_mem_reg(uct_md_h md, void *address,
                                           size_t length, unsigned flags,
                                           uct_mem_h *memh_p)
{
    uct_efa_reg_params_t params =
            UCT_EFA_REG_PARAMS_INIT(uct_efa_compat_reg_flags(flags));

    params.is_remote = uct_efa_compat_is_remote(flags);
    return uct_efa_md_mem_reg_user(md, address, length, &params, memh_p);
}
#endif

static ucs_status_t
uct_efa_compat_mem_dereg(uct_md_h md, const uct_md_mem_dereg_params_t *params)
{
    uct_completion_t *comp = UCT_MD_MEM_DEREG_FIELD_VALUE(
            params, comp, FIELD_COMPLETION, NULL);

    /* The macro asks for a variable of this name, and checks the flags only
     * where UCX checks parameters */
    UCT_MD_MEM_DEREG_CHECK_PARAMS(params, uct_efa_md_can_invalidate(md));

    if (!(UCT_MD_MEM_DEREG_FIELD_VALUE(params, flags, FIELD_FLAGS, 0) &
          UCT_MD_MEM_DEREG_FLAG_INVALIDATE)) {
        return uct_efa_md_mem_dereg(md, params->memh);
    }

    if (!uct_efa_md_can_invalidate(md)) {
        return UCS_ERR_UNSUPPORTED;
    } else if ((comp == NULL) || !uct_efa_md_is_invalidatable(params->memh)) {
        return UCS_ERR_INVALID_PARAM;
    }

    return uct_efa_md_mem_invalidate(md, params->memh, comp);
}

/* UCS_ERR_UNSUPPORTED: keys for other processes of the host to attach; keys for
 * what is not offered. */
static ucs_status_t
uct_efa_compat_mkey_pack_any(uct_md_h md, uct_mem_h memh,
                             const uct_md_mkey_pack_params_t *params,
                             void *buffer)
{
    unsigned flags     = (params->field_mask & UCT_MD_MKEY_PACK_FIELD_FLAGS) ?
                                 params->flags : 0;
    int for_invalidate = !!(flags & UCT_EFA_MKEY_PACK_INVALIDATE);

    if (for_invalidate && !uct_efa_md_can_invalidate(md)) {
        return UCS_ERR_UNSUPPORTED;
    }

#if UCT_EFA_UCX(1, 14)
    if (flags & UCT_MD_MKEY_PACK_FLAG_EXPORT) {
        return UCS_ERR_UNSUPPORTED;
    }
#endif

    return uct_efa_md_mkey_pack(md, memh, for_invalidate, buffer);
}

#if UCT_EFA_UCX(1, 16)
static ucs_status_t
uct_efa_compat_mkey_pack(uct_md_h md, uct_mem_h memh, void *address,
                         size_t length, const uct_md_mkey_pack_params_t *params,
                         void *buffer)
{
    (void)address;
    (void)length;
    return uct_efa_compat_mkey_pack_any(md, memh, params, buffer);
}
#else
static ucs_status_t
uct_efa_compat_mkey_pack(uct_md_h md, uct_mem_h memh,
                         const uct_md_mkey_pack_params_t *params, void *buffer)
{
    return uct_efa_compat_mkey_pack_any(md, memh, params, buffer);
}
#endif

/* What the memory domain cannot do. Functions of their own, because UCX's
 * "empty" ones would be called through a pointer of another type. */
#if !UCT_EFA_UCX(1, 16)
static int
uct_efa_compat_is_sockaddr_accessible(uct_md_h md, const ucs_sock_addr_t *addr,
                                      uct_sockaddr_accessibility_t mode)
{
    (void)md;
    (void)addr;
    (void)mode;
    return 0;
}
#endif

#if UCT_EFA_UCX(1, 14)
static ucs_status_t
uct_efa_compat_mem_attach(uct_md_h md, const void *mkey_buffer,
                          uct_md_mem_attach_params_t *params,
                          uct_mem_h *memh_p)
{
    (void)md;
    (void)mkey_buffer;
    (void)params;
    (void)memh_p;
    return UCS_ERR_UNSUPPORTED;
}
#endif

static ucs_status_t
uct_efa_compat_mem_query(uct_md_h md, const void *address, size_t length,
#if UCT_EFA_UCX(1, 22)
                         uct_md_mem_attr_v2_t *mem_attr)
#else
                         uct_md_mem_attr_t *mem_attr)
#endif
{
    (void)md;
    (void)address;
    (void)length;
    (void)mem_attr;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t
uct_efa_compat_detect_memory_type(uct_md_h md, const void *address,
                                  size_t length, ucs_memory_type_t *mem_type_p)
{
    (void)md;
    (void)address;
    (void)length;
    (void)mem_type_p;
    return UCS_ERR_UNSUPPORTED;
}

#if UCT_EFA_UCX(1, 21)
static ucs_status_t
uct_efa_compat_mem_elem_pack(uct_md_h md, uct_mem_h memh, uct_rkey_t rkey,
#if UCT_EFA_UCX(1, 23)
                             uct_device_mem_elem_t *mem_elem,
                             void **release_handle_p)
#elif UCT_EFA_UCX(1, 22)
                             uct_device_mem_elem_t *mem_elem)
#else
                             uct_device_mem_element_t *mem_elem)
#endif
{
    (void)md;
    (void)memh;
    (void)rkey;
    (void)mem_elem;
#if UCT_EFA_UCX(1, 23)
    (void)release_handle_p;
#endif
    return UCS_ERR_UNSUPPORTED;
}
#endif

#if UCT_EFA_UCX(1, 23)
static void uct_efa_compat_mem_elem_release(uct_md_h md, void *release_handle)
{
    (void)md;
    (void)release_handle;
}
#endif

/* Whoever looks at flags first does not call these. */
static ucs_status_t uct_efa_compat_mem_alloc(uct_md_h md, size_t *length_p,
                                             void **address_p,
                                             ucs_memory_type_t mem_type,
#if UCT_EFA_UCX(1, 19)
                                             ucs_sys_device_t sys_dev,
#endif
                                             unsigned flags,
                                             const char *alloc_name,
                                             uct_mem_h *memh_p)
{
    (void)md;
    (void)length_p;
    (void)address_p;
    (void)mem_type;
#if UCT_EFA_UCX(1, 19)
    (void)sys_dev;
#endif
    (void)flags;
    (void)alloc_name;
    (void)memh_p;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t uct_efa_compat_mem_free(uct_md_h md, uct_mem_h memh)
{
    (void)md;
    (void)memh;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t uct_efa_compat_mem_advise(uct_md_h md, uct_mem_h memh,
                                              void *addr, size_t length,
                                              unsigned advice)
{
    (void)md;
    (void)memh;
    (void)addr;
    (void)length;
    (void)advice;
    return UCS_ERR_UNSUPPORTED;
}

uct_md_ops_t uct_efa_md_ops = {
    .close                  = uct_efa_md_close,
    .query                  = uct_efa_compat_md_query,
    .mem_alloc              = uct_efa_compat_mem_alloc,
    .mem_free               = uct_efa_compat_mem_free,
    .mem_advise             = uct_efa_compat_mem_advise,
    .mem_reg                = uct_efa_compat_mem_reg,
    .mem_dereg              = uct_efa_compat_mem_dereg,
    .mem_query              = uct_efa_compat_mem_query,
    .mkey_pack              = uct_efa_compat_mkey_pack,
#if UCT_EFA_UCX(1, 14)
    .mem_attach             = uct_efa_compat_mem_attach,
#endif
#if !UCT_EFA_UCX(1, 16)
    .is_sockaddr_accessible = uct_efa_compat_is_sockaddr_accessible,
#endif
#if UCT_EFA_UCX(1, 21)
    .mem_elem_pack          = uct_efa_compat_mem_elem_pack,
#endif
#if UCT_EFA_UCX(1, 23)
    .mem_elem_release       = uct_efa_compat_mem_elem_release,
#endif
    .detect_memory_type     = uct_efa_compat_detect_memory_type
};

/* --------------------------------------------------------------- interface */

#if UCT_EFA_UCX(1, 15)
#define UCT_EFA_REACHABLE_PARAM(_params, _name, _NAME, _default) \
    (((_params)->field_mask & UCT_IFACE_IS_REACHABLE_FIELD_##_NAME) ? \
             (_params)->_name : (_default))

int uct_efa_compat_is_reachable(const uct_iface_h iface,
                                const uct_iface_is_reachable_params_t *params,
                                uct_efa_is_reachable_func_t func)
{
    char *info              = UCT_EFA_REACHABLE_PARAM(params, info_string,
                                                      INFO_STRING, NULL);
    size_t info_len         = UCT_EFA_REACHABLE_PARAM(params,
                                                      info_string_length,
                                                      INFO_STRING_LENGTH, 0);
    uct_efa_remote_t remote = {
        .dev_addr       = UCT_EFA_REACHABLE_PARAM(params, device_addr,
                                                  DEVICE_ADDR, NULL),
        .dev_addr_len   = UCT_EFA_LENGTH_UNKNOWN,
        .iface_addr     = UCT_EFA_REACHABLE_PARAM(params, iface_addr,
                                                  IFACE_ADDR, NULL),
        .iface_addr_len = UCT_EFA_LENGTH_UNKNOWN,
        .same_device    = UCT_EFA_REACHABLE_PARAM(
                params, scope, SCOPE, UCT_IFACE_REACHABILITY_SCOPE_NETWORK) ==
                          UCT_IFACE_REACHABILITY_SCOPE_DEVICE
    };
    char why[128]           = "";
    int result;

#if UCT_EFA_UCX(1, 18)
    remote.dev_addr_len   = UCT_EFA_REACHABLE_PARAM(params, device_addr_length,
                                                    DEVICE_ADDR_LENGTH,
                                                    UCT_EFA_LENGTH_UNKNOWN);
    remote.iface_addr_len = UCT_EFA_REACHABLE_PARAM(params, iface_addr_length,
                                                    IFACE_ADDR_LENGTH,
                                                    UCT_EFA_LENGTH_UNKNOWN);
#endif

    result = func(iface, &remote, why, sizeof(why));
    if ((info != NULL) && (info_len > 0)) {
        ucs_snprintf_safe(info, info_len, "%s", result ? "" : why);
    }

    return result;
}
#endif

#if UCT_EFA_UCX(1, 22)
ucs_status_t uct_efa_compat_query_v2(uct_iface_h iface,
                                     uct_iface_attr_v2_t *attr,
                                     const uct_efa_sgl_max_t *max)
{
    ucs_status_t status = uct_iface_base_query_v2(iface, attr);

    if (status != UCS_OK) {
        return status;
    }

    if (attr->field_mask & UCT_IFACE_ATTR_FIELD_CAP_FLAGS) {
        attr->cap.flags |= (max->put > 0) ? UCT_IFACE_FLAG_V2_PUT_SGL_ZCOPY : 0;
#if UCT_EFA_UCX(1, 23)
        attr->cap.flags |= (max->get > 0) ? UCT_IFACE_FLAG_V2_GET_SGL_ZCOPY : 0;
#endif
    }

    if (attr->field_mask & UCT_IFACE_ATTR_FIELD_MAX_PUT_SGL_ZCOPY_COUNT) {
        attr->max_put_sgl_zcopy_count = max->put;
    }

#if UCT_EFA_UCX(1, 23)
    if (attr->field_mask & UCT_IFACE_ATTR_FIELD_MAX_GET_SGL_ZCOPY_COUNT) {
        attr->max_get_sgl_zcopy_count = max->get;
    }
#endif

    return UCS_OK;
}
#endif

/* ------------------------------------------------------ registration cache */

ucs_status_t uct_efa_rcache_config_check(const uct_efa_rcache_config_t *config)
{
    /* A negative time, or one that is no number, is a very long one here */
    if ((config->overhead != UCS_TIME_AUTO) &&
        (config->overhead > ucs_time_from_sec(1))) {
        ucs_error("UCX_EFA_RCACHE_OVERHEAD: must be auto or 0 to 1s, the time "
                  "of a look-up");
        return UCS_ERR_INVALID_PARAM;
    }

#if !UCT_EFA_UCX(1, 17)
    if (!ucs_is_pow2(config->alignment) ||
        (config->alignment < UCT_EFA_RCACHE_ALIGNMENT) ||
        (config->alignment > ucs_get_page_size())) {
        ucs_error("UCX_EFA_RCACHE_ADDR_ALIGN=%zu: must be %d to %zu, a power "
                  "of two", (size_t)config->alignment,
                  UCT_EFA_RCACHE_ALIGNMENT, ucs_get_page_size());
        return UCS_ERR_INVALID_PARAM;
    }
#endif

    return UCS_OK;
}

void uct_efa_rcache_params(const uct_efa_rcache_config_t *config,
                           ucs_rcache_params_t *params)
{
    memset(params, 0, sizeof(*params));
#if UCT_EFA_UCX(1, 16)
    ucs_rcache_set_params(params, config);
#else
    uct_md_set_rcache_params(params, config);
#endif
#if !UCT_EFA_UCX(1, 17)
    params->max_alignment = ucs_get_page_size();
#endif
#if UCT_EFA_UCX(1, 21)
    params->flags |= UCS_RCACHE_FLAG_NEED_LRU_LOCK;
#endif
}

double uct_efa_rcache_overhead(const uct_efa_rcache_config_t *config)
{
    /* UCX's own estimate for what it calls "auto" */
    return (config->overhead == UCS_TIME_AUTO) ?
                   180e-9 : ucs_time_to_sec(config->overhead);
}

ucs_status_t uct_efa_ucs_rcache_get(ucs_rcache_t *rcache, void *address,
                                    size_t length, void *arg,
                                    ucs_rcache_region_t **region_p)
{
#if UCT_EFA_UCX(1, 17)
    return ucs_rcache_get(rcache, address, length, UCT_EFA_RCACHE_ALIGNMENT,
                          PROT_READ | PROT_WRITE, arg, region_p);
#else
    return ucs_rcache_get(rcache, address, length, PROT_READ | PROT_WRITE, arg,
                          region_p);
#endif
}

/* -------------------------------------------------------------- interface */

void uct_efa_compat_mpool_limit(uct_iface_mpool_config_t *config, unsigned num,
                                size_t elem_size)
{
    config->bufs_grow = ucs_min(config->bufs_grow,
                                ucs_min(num, config->max_bufs));
#if UCT_EFA_UCX(1, 14)
    /* With what the pool adds to a buffer and to a chunk */
    elem_size              += 256;
    config->max_chunk_size  = ucs_min(config->max_chunk_size,
                                      (num + 1ul) * elem_size);
    config->max_chunk_size  = ucs_max(config->max_chunk_size, 2 * elem_size);
#else
    (void)elem_size;
#endif
}

/* --------------------------------------------------------------------- ucs */

ucs_status_t uct_efa_mpool_init(ucs_mpool_t *mp, size_t priv_size,
                                size_t elem_size, size_t align_offset,
                                size_t alignment, unsigned elems_per_chunk,
                                unsigned max_elems, ucs_mpool_ops_t *ops,
                                const char *name)
{
#if UCT_EFA_UCX(1, 14)
    ucs_mpool_params_t params;

    ucs_mpool_params_reset(&params);
    params.priv_size       = priv_size;
    params.elem_size       = elem_size;
    params.align_offset    = align_offset;
    params.alignment       = alignment;
    params.elems_per_chunk = elems_per_chunk;
    params.max_elems       = max_elems;
    params.ops             = ops;
    params.name            = name;
    return ucs_mpool_init(&params, mp);
#else
    return ucs_mpool_init(mp, priv_size, elem_size, align_offset, alignment,
                          elems_per_chunk, max_elems, ops, name);
#endif
}
