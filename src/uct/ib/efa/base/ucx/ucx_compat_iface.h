/*
 * What differs between UCX's versions in an interface and its memory pools;
 * ucx_compat.h, which includes this, has the table.
 */
#ifndef UCT_EFA_UCX_COMPAT_IFACE_H
#define UCT_EFA_UCX_COMPAT_IFACE_H

#ifndef UCT_EFA_UCX_COMPAT_H
#  error "include base/ucx/ucx_compat.h, which includes this"
#endif

/* An operation that an interface does not have. UCX's own transports put this
 * function in every place; by way of void (*)(void) compilers accept it. */
#define UCT_EFA_UNSUPPORTED(_type) \
    ((_type)(void (*)(void))ucs_empty_function_return_unsupported)

/* A remote interface that is asked about. Addresses may be NULL: not known
 * (yet). */
typedef struct {
    const void *dev_addr;
    size_t     dev_addr_len;          /* or UCT_EFA_LENGTH_UNKNOWN           */
    const void *iface_addr;
    size_t     iface_addr_len;
    int        same_device;           /* nothing but our own device will do  */
} uct_efa_remote_t;

#define UCT_EFA_LENGTH_UNKNOWN SIZE_MAX

/* Is it reachable? 0: no, with the reason in why, at most max bytes. */
typedef int (*uct_efa_is_reachable_func_t)(uct_iface_h iface,
                                           const uct_efa_remote_t *remote,
                                           char *why, size_t max);

/* Does the endpoint lead there? Both addresses are known. */
typedef int (*uct_efa_is_connected_func_t)(uct_ep_h ep, const void *dev_addr,
                                           const void *iface_addr);

/* One-sided operations with a list of pieces: arguments as in UCT */
#define UCT_EFA_SGL_ARGS \
    uct_ep_h tl_ep, void *const *buffers, const size_t *lengths, \
    uct_mem_h const *memhs, const uint64_t *remote_addrs, \
    uct_rkey_t const *rkeys, const size_t *counts, const size_t *strides, \
    size_t count, uct_completion_t *comp

/* How many pieces, 0: none. */
typedef struct {
    size_t put;
    size_t get;
} uct_efa_sgl_max_t;

/*
 * The internal operations of an interface, from functions that are the same
 * for all versions:
 *
 *   _estimate_perf   uct_iface_estimate_perf_func_t
 *   _vfs_refresh     uct_iface_vfs_refresh_func_t
 *   _invalidate      ucs_status_t (*)(uct_ep_h ep)
 *   _is_reachable    uct_efa_is_reachable_func_t
 *   _is_connected    uct_efa_is_connected_func_t
 *   _sgl_max         void (*)(uct_iface_h, uct_efa_sgl_max_t*)
 *   _put_sgl, _get_sgl   ucs_status_t (*)(UCT_EFA_SGL_ARGS)
 *
 * Not supported: addresses of sockets (ep_query), connections of endpoints
 * (ep_connect_to_ep_v2), endpoints for GPUs (ep_get_device_ep), and tokens that
 * tell what the remote side has received, for ep_outstanding_purge.
 *
 * Used once, in the file that opens the interface:
 *   UCT_EFA_IFACE_INTERNAL_OPS_DEFINE(uct_srd_tl_internal_ops, ...);
 * defines a static table of that name.
 */
#define UCT_EFA_IFACE_INTERNAL_OPS_DEFINE(_name, _estimate_perf, _vfs_refresh, \
                                          _invalidate, _is_reachable, \
                                          _is_connected, _sgl_max, _put_sgl, \
                                          _get_sgl) \
    UCT_EFA_EP_INVALIDATE_DEFINE(_name, _invalidate) \
    UCT_EFA_IS_REACHABLE_V2_DEFINE(_name, _is_reachable) \
    UCT_EFA_IS_CONNECTED_DEFINE(_name, _is_connected) \
    UCT_EFA_QUERY_V2_DEFINE(_name, _sgl_max) \
    static uct_iface_internal_ops_t _name = { \
        .iface_estimate_perf = _estimate_perf, \
        .iface_vfs_refresh   = _vfs_refresh, \
        .ep_query            = UCT_EFA_UNSUPPORTED(uct_ep_query_func_t), \
        .ep_invalidate       = _name##_ep_invalidate, \
        UCT_EFA_INTERNAL_OPS_1_14 \
        UCT_EFA_INTERNAL_OPS_1_15(_name) \
        UCT_EFA_INTERNAL_OPS_1_16(_name) \
        UCT_EFA_INTERNAL_OPS_1_20 \
        UCT_EFA_INTERNAL_OPS_QUERY_V2(_name) \
        UCT_EFA_INTERNAL_OPS_1_22(_put_sgl) \
        UCT_EFA_INTERNAL_OPS_1_23(_get_sgl) \
    }

#if UCT_EFA_UCX(1, 21)
#  define UCT_EFA_EP_INVALIDATE_DEFINE(_name, _func) \
    static ucs_status_t _name##_ep_invalidate( \
            uct_ep_h ep, const uct_ep_invalidate_params_t *params) \
    { \
        (void)params; \
        return _func(ep); \
    }
#else
#  define UCT_EFA_EP_INVALIDATE_DEFINE(_name, _func) \
    static ucs_status_t _name##_ep_invalidate(uct_ep_h ep, unsigned flags) \
    { \
        (void)flags; \
        return _func(ep); \
    }
#endif

#if UCT_EFA_UCX(1, 15)
/* Unpacks params, calls func, and stores the reason if it is not reachable. A
 * missing device address is not reachable. */
int uct_efa_compat_iface_is_reachable(const uct_iface_h iface,
                                const uct_iface_is_reachable_params_t *params,
                                uct_efa_is_reachable_func_t func);

#  define UCT_EFA_IS_REACHABLE_V2_DEFINE(_name, _func) \
    static int _name##_is_reachable_v2( \
            const uct_iface_h iface, \
            const uct_iface_is_reachable_params_t *params) \
    { \
        return uct_efa_compat_iface_is_reachable(iface, params, _func); \
    }
#  define UCT_EFA_INTERNAL_OPS_1_15(_name) \
    .iface_is_reachable_v2 = _name##_is_reachable_v2,
#else
#  define UCT_EFA_IS_REACHABLE_V2_DEFINE(_name, _func)
#  define UCT_EFA_INTERNAL_OPS_1_15(_name)
#endif

#if UCT_EFA_UCX(1, 14)
#  define UCT_EFA_INTERNAL_OPS_1_14 \
    .ep_connect_to_ep_v2 = UCT_EFA_UNSUPPORTED(uct_ep_connect_to_ep_v2_func_t),
#else
#  define UCT_EFA_INTERNAL_OPS_1_14
#endif

#if UCT_EFA_UCX(1, 16)
#  define UCT_EFA_IS_CONNECTED_DEFINE(_name, _func) \
    static int _name##_ep_is_connected( \
            const uct_ep_h ep, const uct_ep_is_connected_params_t *params) \
    { \
        UCT_EP_IS_CONNECTED_CHECK_DEV_IFACE_ADDRS(params); \
        return _func(ep, params->device_addr, params->iface_addr); \
    }
#  define UCT_EFA_INTERNAL_OPS_1_16(_name) \
    .ep_is_connected = _name##_ep_is_connected,
#else
#  define UCT_EFA_IS_CONNECTED_DEFINE(_name, _func)
#  define UCT_EFA_INTERNAL_OPS_1_16(_name)
#endif

#if UCT_EFA_UCX(1, 20)
#  define UCT_EFA_INTERNAL_OPS_1_20 \
    .ep_get_device_ep = UCT_EFA_UNSUPPORTED(uct_ep_get_device_ep_func_t),
#else
#  define UCT_EFA_INTERNAL_OPS_1_20
#endif

#if UCT_EFA_UCX(1, 22)
ucs_status_t uct_efa_compat_iface_query_v2(uct_iface_h iface,
                                     uct_iface_attr_v2_t *attr,
                                     const uct_efa_sgl_max_t *max);

#  define UCT_EFA_QUERY_V2_DEFINE(_name, _sgl_max) \
    static ucs_status_t _name##_query_v2(uct_iface_h iface, \
                                         uct_iface_attr_v2_t *attr) \
    { \
        uct_efa_sgl_max_t max; \
        \
        _sgl_max(iface, &max); \
        return uct_efa_compat_iface_query_v2(iface, attr, &max); \
    }
#  define UCT_EFA_INTERNAL_OPS_QUERY_V2(_name) \
    .iface_query_v2 = _name##_query_v2,
#elif UCT_EFA_UCX(1, 21)
#  define UCT_EFA_INTERNAL_OPS_QUERY_V2(_name)
#elif UCT_EFA_UCX(1, 20)
#  define UCT_EFA_INTERNAL_OPS_QUERY_V2(_name) \
    .iface_query_v2         = uct_iface_base_query_v2, \
    .iface_mem_element_pack = \
            UCT_EFA_UNSUPPORTED(uct_iface_mem_element_pack_func_t),
#else
#  define UCT_EFA_INTERNAL_OPS_QUERY_V2(_name)
#endif
#if !UCT_EFA_UCX(1, 22)
#  define UCT_EFA_QUERY_V2_DEFINE(_name, _sgl_max)
#endif

#if UCT_EFA_UCX(1, 22)
#  define UCT_EFA_INTERNAL_OPS_1_22(_put_sgl) .ep_put_sgl_zcopy = _put_sgl,
#else
#  define UCT_EFA_INTERNAL_OPS_1_22(_put_sgl)
#endif

#if UCT_EFA_UCX(1, 23)
#  define UCT_EFA_INTERNAL_OPS_1_23(_get_sgl) \
    .ep_get_sgl_zcopy     = _get_sgl, \
    .ep_outstanding_purge = \
            UCT_EFA_UNSUPPORTED(uct_ep_outstanding_purge_func_t),
#else
#  define UCT_EFA_INTERNAL_OPS_1_23(_get_sgl)
#endif

/* Parameters of ep_check. From 1.22 on a completion may be given, for an answer
 * that comes later; who answers at once does not call it. */
#if UCT_EFA_UCX(1, 22)
#  define UCT_EFA_EP_CHECK_PARAMS(_flags, _comp) \
    (void)(_comp); \
    UCT_CHECK_PARAM((_flags) == 0, "Unsupported flags of ep_check: 0x%x", \
                    (_flags))
#else
#  define UCT_EFA_EP_CHECK_PARAMS(_flags, _comp) \
    UCT_CHECK_PARAM((_comp) == NULL, "Unsupported completion on ep_check"); \
    UCT_CHECK_PARAM((_flags) == 0, "Unsupported flags of ep_check: 0x%x", \
                    (_flags))
#endif

/* For uct_iface_attr.cap.flags: the transport reaches other hosts (1.18) */
#if UCT_EFA_UCX(1, 18)
#  define UCT_EFA_IFACE_FLAG_INTER_NODE UCT_IFACE_FLAG_INTER_NODE
#else
#  define UCT_EFA_IFACE_FLAG_INTER_NODE 0
#endif

/* uct_iface_attr from 1.22 on: which device controls the interface. UCX's own
 * initial value is the number of a device. */
#if UCT_EFA_UCX(1, 22)
#  define UCT_EFA_IFACE_ATTR_CPU_CONTROLS(_attr) \
    (_attr)->ctl_device = UCS_SYS_DEVICE_ID_UNKNOWN
#else
#  define UCT_EFA_IFACE_ATTR_CPU_CONTROLS(_attr) (void)(_attr)
#endif

/* Lengths of addresses among the parameters of ep_create (1.18) */
#if UCT_EFA_UCX(1, 18)
#  define UCT_EFA_EP_PARAM_LENGTH(_params, _name, _NAME) \
    (((_params)->field_mask & UCT_EP_PARAM_FIELD_##_NAME##_LENGTH) ? \
             (_params)->_name##_length : UCT_EFA_LENGTH_UNKNOWN)
#else
#  define UCT_EFA_EP_PARAM_LENGTH(_params, _name, _NAME) UCT_EFA_LENGTH_UNKNOWN
#endif

/* ----------------------------------------------------------- its pools */

/* As ucs_mpool_init() of 1.13; grow is taken from ops, max_elems -1: no limit.
 * name is not copied in 1.13 and must live as long as the pool. */
ucs_status_t uct_efa_compat_mpool_init(ucs_mpool_t *mp, size_t priv_size,
                                size_t elem_size, size_t align_offset,
                                size_t alignment, unsigned elems_per_chunk,
                                unsigned max_elems, ucs_mpool_ops_t *ops,
                                const char *name);

/*
 * Parameters of a memory pool in a configuration table, with the names that UCX
 * gives them and our types (efa_config.h). 1.14 added how pools grow.
 */
#define UCT_EFA_MPOOL_CONFIG_FIELDS(_prefix, _name, _offset) \
    {_prefix "MAX_BUFS", "-1", \
     "Number of " _name " buffers of an interface at most; -1: no limit.", \
     (_offset) + ucs_offsetof(uct_iface_mpool_config_t, max_bufs), \
     UCT_EFA_CONFIG_TYPE_LIMIT}, \
    \
    {_prefix "BUFS_GROW", "0", \
     "How many " _name " buffers are made at once; 0: the transport chooses, " \
     "more than " _prefix "QUEUE_LEN counts as that.", \
     (_offset) + ucs_offsetof(uct_iface_mpool_config_t, bufs_grow), \
     UCT_EFA_CONFIG_TYPE_UINT(0, UINT_MAX)} \
    UCT_EFA_MPOOL_CONFIG_FIELDS_1_14(_prefix, _name, _offset)

#if UCT_EFA_UCX(1, 14)
#  define UCT_EFA_MPOOL_CONFIG_FIELDS_1_14(_prefix, _name, _offset) \
    , {_prefix "MAX_CHUNK_SIZE", "128m", \
     "Bytes of " _name " buffers that are allocated at once at most; less " \
     "than one buffer counts as one, and more than " _prefix "QUEUE_LEN as " \
     "that.", \
     (_offset) + ucs_offsetof(uct_iface_mpool_config_t, max_chunk_size), \
     UCT_EFA_CONFIG_TYPE_SIZE(0)}, \
    \
    {_prefix "GROW_FACTOR", "1.0", \
     "By how much more " _name " buffers are made each time than the time " \
     "before.", \
     (_offset) + ucs_offsetof(uct_iface_mpool_config_t, grow_factor), \
     UCT_EFA_CONFIG_TYPE_FACTOR(1, 1000)}
#else
#  define UCT_EFA_MPOOL_CONFIG_FIELDS_1_14(_prefix, _name, _offset)
#endif

/*
 * A pool that grows without a limit takes minutes and all memory. Its steps are
 * limited to what is needed at once at most: num buffers of elem_size bytes,
 * with header and alignment.
 */
void uct_efa_compat_mpool_limit(uct_iface_mpool_config_t *config, unsigned num,
                                size_t elem_size);

#endif
