/*
 * What differs between UCX's versions in the registration cache; ucx_compat.h,
 * which includes this, has the table.
 */
#ifndef UCT_EFA_UCX_COMPAT_RCACHE_H
#define UCT_EFA_UCX_COMPAT_RCACHE_H

#ifndef UCT_EFA_UCX_COMPAT_H
#  error "include base/ucx/ucx_compat.h, which includes this"
#endif

/* Does the memory domain cache unless told otherwise? efa_rcache.h */
#if UCT_EFA_UCX(1, 16)
#  define UCT_EFA_RCACHE_DEFAULT 0
#else
#  define UCT_EFA_RCACHE_DEFAULT 1
#endif

#if UCT_EFA_UCX(1, 16)
typedef ucs_rcache_config_t    uct_efa_rcache_config_t;
#  define UCT_EFA_RCACHE_CONFIG_TABLE ucs_config_rcache_table
#else
typedef uct_md_rcache_config_t uct_efa_rcache_config_t;
#  define UCT_EFA_RCACHE_CONFIG_TABLE uct_md_config_rcache_table
#endif

/* The least the cache can do: what lies beside a buffer is not its peers' */
#define UCT_EFA_RCACHE_ALIGNMENT 16
static_assert(UCT_EFA_RCACHE_ALIGNMENT == UCS_RCACHE_MIN_ALIGNMENT,
              "regions of the cache can be smaller, or must be larger");

#if UCT_EFA_UCX(1, 17)
#  define UCT_EFA_RCACHE_CONFIG_DEFAULTS ""
#else
#  define UCT_EFA_RCACHE_CONFIG_DEFAULTS \
    "RCACHE_ADDR_ALIGN=" UCS_PP_MAKE_STRING(UCT_EFA_RCACHE_ALIGNMENT)
#endif

/* What UCX's own types let through; logs what is wrong. */
ucs_status_t uct_efa_compat_rcache_check(const uct_efa_rcache_config_t *config);

/* Fills what config and version decide; the rest is zero. */
void uct_efa_compat_rcache_params(const uct_efa_rcache_config_t *config,
                           ucs_rcache_params_t *params);

/* Seconds of a look-up */
double uct_efa_compat_rcache_overhead(const uct_efa_rcache_config_t *config);

/* arg goes to mem_reg and merge. Takes a reference. */
ucs_status_t uct_efa_compat_rcache_get(ucs_rcache_t *rcache, void *address,
                                       size_t length, void *arg,
                                       ucs_rcache_region_t **region_p);

#endif
