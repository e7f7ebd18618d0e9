/*
 * The operations of the memory domain as this version of UCX calls them; what
 * differs is shown in ucx_compat.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_md.h"
#include "base/md/ucx_compat_md.h"

#include <string.h>

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

uint64_t uct_efa_compat_md_reg_flags(uint64_t flags)
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
    return !!(flags &
              (UCT_MD_MEM_ACCESS_REMOTE_GET | UCT_MD_MEM_ACCESS_REMOTE_PUT |
               UCT_MD_MEM_ACCESS_REMOTE_ATOMIC));
}

#if UCT_EFA_UCX(1, 14)
static ucs_status_t
uct_efa_compat_mem_reg(uct_md_h md, void *address, size_t length,
                       const uct_md_mem_reg_params_t *reg_params,
                       uct_mem_h *memh_p)
{
    uint64_t flags = (reg_params->field_mask & UCT_MD_MEM_REG_FIELD_FLAGS) ?
                             reg_params->flags :
                             0;
    uct_efa_reg_params_t params =
            UCT_EFA_REG_PARAMS_INIT(uct_efa_compat_md_reg_flags(flags));

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
            UCT_EFA_REG_PARAMS_INIT(uct_efa_compat_md_reg_flags(flags));

    params.is_remote = uct_efa_compat_is_remote(flags);
    return uct_efa_md_mem_reg_user(md, address, length, &params, memh_p);
}
#endif

static ucs_status_t
uct_efa_compat_mem_dereg(uct_md_h md, const uct_md_mem_dereg_params_t *params)
{
    uct_completion_t *comp = UCT_MD_MEM_DEREG_FIELD_VALUE(params, comp,
                                                          FIELD_COMPLETION,
                                                          NULL);

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
                                 params->flags :
                                 0;
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
                          uct_md_mem_attach_params_t *params, uct_mem_h *memh_p)
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
