/*
 * See ucx_compat_iface.h.
 */
#include "base/ucx/ucx_compat.h"

#if UCT_EFA_UCX(1, 15)
#define UCT_EFA_REACHABLE_PARAM(_params, _name, _NAME, _default) \
    (((_params)->field_mask & UCT_IFACE_IS_REACHABLE_FIELD_##_NAME) ? \
             (_params)->_name : (_default))

int uct_efa_compat_iface_is_reachable(const uct_iface_h iface,
                                      const uct_iface_is_reachable_params_t
                                              *params,
                                      uct_efa_is_reachable_func_t func)
{
    char *info      = UCT_EFA_REACHABLE_PARAM(params, info_string, INFO_STRING,
                                              NULL);
    size_t info_len = UCT_EFA_REACHABLE_PARAM(params, info_string_length,
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
    char why[128] = "";
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
ucs_status_t uct_efa_compat_iface_query_v2(uct_iface_h iface,
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

/* ----------------------------------------------------------- its pools */

void uct_efa_compat_mpool_limit(uct_iface_mpool_config_t *config, unsigned num,
                                size_t elem_size)
{
    config->bufs_grow = ucs_min(config->bufs_grow,
                                ucs_min(num, config->max_bufs));
#if UCT_EFA_UCX(1, 14)
    /* With what the pool adds to a buffer and to a chunk */
    elem_size += 256;
    config->max_chunk_size = ucs_min(config->max_chunk_size,
                                     (num + 1ul) * elem_size);
    config->max_chunk_size = ucs_max(config->max_chunk_size, 2 * elem_size);
#else
    (void)elem_size;
#endif
}

ucs_status_t uct_efa_compat_mpool_init(ucs_mpool_t *mp, size_t priv_size,
                                       size_t elem_size, size_t align_offset,
                                       size_t alignment,
                                       unsigned elems_per_chunk,
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
