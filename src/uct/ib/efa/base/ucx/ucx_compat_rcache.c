/*
 * See ucx_compat_rcache.h.
 */
#include "base/ucx/ucx_compat.h"

#include <string.h>

ucs_status_t uct_efa_compat_rcache_check(const uct_efa_rcache_config_t *config)
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
                  "of two",
                  (size_t)config->alignment, UCT_EFA_RCACHE_ALIGNMENT,
                  ucs_get_page_size());
        return UCS_ERR_INVALID_PARAM;
    }
#endif

    return UCS_OK;
}

void uct_efa_compat_rcache_params(const uct_efa_rcache_config_t *config,
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

double uct_efa_compat_rcache_overhead(const uct_efa_rcache_config_t *config)
{
    /* UCX's own estimate for what it calls "auto" */
    return (config->overhead == UCS_TIME_AUTO) ?
                   180e-9 :
                   ucs_time_to_sec(config->overhead);
}

ucs_status_t uct_efa_compat_rcache_get(ucs_rcache_t *rcache, void *address,
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
