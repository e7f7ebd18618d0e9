/*
 * What differs between UCX 1.13 and 1.23, in one place.
 *
 *                     1.13 1.14 1.15 1.16 1.17 1.18 1.19 1.20 1.21 1.22 1.23
 *   md query            v1   v2 .......................................
 *   mem_reg           flags  params ...................................
 *   mkey_pack          rkey ........ +address, length .................
 *   rkey_unpack                                         +params .......
 *   mem_query            v1 ...................................... v2 .
 *   dma-buf                  yes ......................................
 *   FLAG_INVALIDATE      one ..... +_RMA ..............................
 *   UCP: memh looked at
 *     for its access                          yes .....................
 *     cached for all                     yes ..........................
 *   rcache config        uct ......... ucs ............................
 *   rcache alignment     params ........... get .......................
 *   rcache merge                                 yes ..................
 *   rcache LRU lock                                      flag .........
 *   is_sockaddr_acc.    yes ....... gone
 *   is_reachable_v2               yes; the only one used from 1.16 ....
 *     lengths of addresses                       yes ..................
 *   ep_is_connected                    yes ............................
 *   ep_invalidate     flags ............................... params ....
 *   iface_query_v2                                    yes  no   yes ...
 *   ctl_device                                                  yes ...
 *   put_sgl_zcopy                                               yes ...
 *   get_sgl_zcopy                                                    yes
 *   outstanding_purge                                                yes
 *   mpool init         args  params ...................................
 *   mpool config       2 fields  4 fields ...............................
 *   config parser      ................... +doc .......................
 *   ep_check params      flags, completion ................ completion ...
 *   am_short_fill_data                           +hint (harmless) .....
 *
 * The transport is written against the functions declared here; the table of
 * the memory domain is filled in ucx_compat.c, that of an interface by the
 * macro UCT_EFA_IFACE_INTERNAL_OPS_DEFINE.
 *
 * Include this file before every other header: it takes UCX's config.h, which
 * UCX's headers need for their layouts, and repairs what a distribution's
 * config.h says wrongly for us.
 */
#ifndef UCT_EFA_UCX_COMPAT_H
#define UCT_EFA_UCX_COMPAT_H

#ifndef _GNU_SOURCE
#  define _GNU_SOURCE 1 /* as UCX's own build has it */
#endif
#ifndef HAVE_CONFIG_H
#  define HAVE_CONFIG_H 1
#endif
#include "config.h"

/*
 * Debian's UCX says NVALGRIND. Memory that a device writes would then look
 * uninitialised under valgrind. checker.h decides it once, on first inclusion,
 * and would read config.h again: keep it from doing so.
 */
#undef NVALGRIND
#if !defined(__has_include)
#  define NVALGRIND 1
#elif !__has_include(<valgrind/memcheck.h>)
#  define NVALGRIND 1
#endif
#undef HAVE_CONFIG_H
#include <ucs/sys/checker.h>
#define HAVE_CONFIG_H 1

/* Layouts of arbiter groups, async contexts, interfaces and endpoints depend
 * on ENABLE_ASSERT and ENABLE_STATS. A release build defines neither, so it is
 * another line that tells a config.h of UCX from any other. */
#ifndef UCX_CONFIG_H
#  error "config.h is not that of UCX: make it with `ucx_info -b`"
#endif
#if defined(ENABLE_STATS) && !(ENABLE_STATS + 0)
#  error "ENABLE_STATS must be 1 or not defined, as ucx_info -b prints it"
#endif

#include <uct/api/uct.h>
#include <uct/api/v2/uct_v2.h>
#include <uct/api/version.h>
#include <uct/base/uct_iface.h>
#include <uct/base/uct_iov.inl>
#include <uct/base/uct_md.h>
#include <uct/base/uct_worker.h>
#include <ucs/arch/atomic.h>
#include <ucs/arch/bitops.h>
#include <ucs/arch/cpu.h>
#include <ucs/async/async.h>
#include <ucs/datastruct/arbiter.h>
#include <ucs/datastruct/khash.h>
#include <ucs/datastruct/list.h>
#include <ucs/datastruct/mpool.inl>
#include <ucs/datastruct/queue.h>
#include <ucs/debug/assert.h>
#include <ucs/debug/log.h>
#include <ucs/debug/memtrack_int.h>
#include <ucs/memory/memory_type.h>
#include <ucs/memory/rcache.h>
#include <ucs/stats/stats.h>
#include <ucs/sys/math.h>
#if __has_include(<ucs/sys/ptr_arith.h>)
#  include <ucs/sys/ptr_arith.h> /* from 1.17 on, taken out of math.h */
#endif
#include <ucs/sys/stubs.h>
#include <ucs/sys/string.h>
#include <ucs/sys/topo/base/topo.h>
#include <ucs/time/time.h>
#include <ucs/type/class.h>
#include <ucs/vfs/base/vfs_cb.h>
#include <ucs/vfs/base/vfs_obj.h>

#include <assert.h>

#define UCT_EFA_UCX(_major, _minor) (UCT_API >= UCT_VERSION(_major, _minor))

#if !UCT_EFA_UCX(1, 13)
#  error "UCX 1.13 or later is needed"
#endif

#if ENABLE_ASSERT
static_assert(sizeof(ucs_arbiter_group_t) == 3 * sizeof(void *),
              "ENABLE_ASSERT and the headers disagree");
#else
static_assert(sizeof(ucs_arbiter_group_t) == sizeof(void *),
              "ENABLE_ASSERT and the headers disagree");
#endif
#ifdef ENABLE_STATS
static_assert(sizeof(uct_base_ep_t) == 2 * sizeof(void *),
              "ENABLE_STATS and the headers disagree");
#else
static_assert(sizeof(uct_base_ep_t) == sizeof(void *),
              "ENABLE_STATS and the headers disagree");
#endif


/* ---------------------------------------------------------- memory domain */

/* Attributes of our memory domain; every version's query is filled from it. */
typedef struct {
    uint64_t          flags;          /* UCT_MD_FLAG_                        */
    size_t            max_reg;        /* bytes                               */
    uint64_t          reg_mem_types;
    uint64_t          cache_mem_types;
    uint64_t          access_mem_types;
    ucs_linear_func_t reg_cost;       /* seconds, seconds per byte           */
    size_t            rkey_packed_size;
    ucs_cpu_set_t     local_cpus;
    char              component_name[UCT_COMPONENT_NAME_MAX];
    char              global_id[16];  /* of the device                       */
} uct_efa_md_attr_t;

#if UCT_EFA_UCX(1, 14)
#  define UCT_EFA_MD_FLAG_REG_DMABUF UCT_MD_FLAG_REG_DMABUF
#else
#  define UCT_EFA_MD_FLAG_REG_DMABUF 0
#  define UCT_DMABUF_FD_INVALID      -1
#endif

/* In uct_efa_md_attr_t.flags: a key is worth nothing after mem_dereg with
 * invalidation. A key never allows atomics, so that goes for those as well.
 * Below it the flags of mkey_pack that make ready for it. */
#if UCT_EFA_UCX(1, 15)
#  define UCT_EFA_MD_FLAG_INVALIDATE \
    (UCT_MD_FLAG_INVALIDATE | UCT_MD_FLAG_INVALIDATE_RMA | \
     UCT_MD_FLAG_INVALIDATE_AMO)
#  define UCT_EFA_MKEY_PACK_INVALIDATE \
    (UCT_MD_MKEY_PACK_FLAG_INVALIDATE_RMA | \
     UCT_MD_MKEY_PACK_FLAG_INVALIDATE_AMO)
#else
#  define UCT_EFA_MD_FLAG_INVALIDATE UCT_MD_FLAG_INVALIDATE
#  define UCT_EFA_MKEY_PACK_INVALIDATE UCT_MD_MKEY_PACK_FLAG_INVALIDATE
#endif

typedef struct {
    uint64_t flags;                   /* UCT_MD_MEM_ACCESS_, _FLAG_          */
    int      is_remote;               /* UCX asked for access by others      */
    int      dmabuf_fd;               /* or UCT_DMABUF_FD_INVALID            */
    size_t   dmabuf_offset;           /* of the memory in it, bytes          */
    int      is_exact;                /* rather fail than grant less         */
} uct_efa_reg_params_t;

#define UCT_EFA_REG_PARAMS_INIT(_flags) \
    { \
        .flags = (_flags), .dmabuf_fd = UCT_DMABUF_FD_INVALID \
    }

/* What the memory domain implements (efa_md.c): upcalls of the tables below. */
void         uct_efa_md_close(uct_md_h md);
ucs_status_t uct_efa_md_query(uct_md_h md, uct_efa_md_attr_t *attr);
/* For this library's own memory: never cached, with exactly the access that
 * flags ask for (UCT_MD_MEM_ACCESS_). Other flags: UCT_MD_MEM_FLAG_ */
ucs_status_t uct_efa_md_mem_reg(uct_md_h md, void *address, size_t length,
                                uint64_t flags, uct_mem_h *memh_p);
/* For UCX. The handle may have other users. */
ucs_status_t uct_efa_md_mem_reg_user(uct_md_h md, void *address, size_t length,
                                     const uct_efa_reg_params_t *params,
                                     uct_mem_h *memh_p);
/* Both kinds of handles */
ucs_status_t uct_efa_md_mem_dereg(uct_md_h md, uct_mem_h memh);
/* As dereg, and calls comp once nobody reaches the memory by the handle's keys:
 * maybe at once, maybe when its last user deregisters it. On error comp is not
 * called. */
ucs_status_t uct_efa_md_mem_invalidate(uct_md_h md, uct_mem_h memh,
                                       uct_completion_t *comp);
int          uct_efa_md_can_invalidate(uct_md_h md);
/* UCT wants a key of memory that others access to have been packed for it. */
int          uct_efa_md_is_invalidatable(uct_mem_h memh);
/* for_invalidate: mem_invalidate may follow. */
ucs_status_t uct_efa_md_mkey_pack(uct_md_h md, uct_mem_h memh,
                                  int for_invalidate, void *buffer);
/* The tables and adapters made of them (ucx_compat.c). */
extern uct_md_ops_t uct_efa_md_ops;

/*
 * flags of a mem_reg as they have to be taken. Before 1.17 UCP keeps a handle
 * for one purpose and uses it for another without looking at its access, so a
 * handle for anything must be one for all. An interface's own buffers (LOCK;
 * UCP of these versions does not set it) stay for messages, also before 1.15,
 * when everything was asked for them. Flags that name no access ask for all.
 */
uint64_t uct_efa_compat_reg_flags(uint64_t flags);

/* Defines _name, a component's rkey_unpack, by _func(buffer, rkey_p, handle_p). */
#if UCT_EFA_UCX(1, 19)
#  define UCT_EFA_RKEY_UNPACK_DEFINE(_name, _func) \
    static ucs_status_t _name(uct_component_t *component, \
                              const void *rkey_buffer, \
                              const uct_rkey_unpack_params_t *params, \
                              uct_rkey_t *rkey_p, void **handle_p) \
    { \
        (void)component; \
        (void)params; \
        return _func(rkey_buffer, rkey_p, handle_p); \
    }
#else
#  define UCT_EFA_RKEY_UNPACK_DEFINE(_name, _func) \
    static ucs_status_t _name(uct_component_t *component, \
                              const void *rkey_buffer, uct_rkey_t *rkey_p, \
                              void **handle_p) \
    { \
        (void)component; \
        return _func(rkey_buffer, rkey_p, handle_p); \
    }
#endif

/* Initializer of the component's field that came with 1.16 */
#if UCT_EFA_UCX(1, 16)
#  define UCT_EFA_COMPONENT_RKEY_COMPARE .rkey_compare = uct_base_rkey_compare,
#else
#  define UCT_EFA_COMPONENT_RKEY_COMPARE
#endif


/* ------------------------------------------------------------- interface */

/* An operation that an interface does not have. UCX's own transports put this
 * function in every place; by way of void (*)(void) compilers accept it. */
#define UCT_EFA_UNSUPPORTED(_type) \
    ((_type)(void (*)(void))ucs_empty_function_return_unsupported)

/* An address of which somebody asks. Addresses may be NULL: not known (yet). */
typedef struct {
    const void *dev_addr;
    size_t     dev_addr_len;          /* or UCT_EFA_LENGTH_UNKNOWN           */
    const void *iface_addr;
    size_t     iface_addr_len;
    int        same_device;           /* nothing but our own device will do  */
} uct_efa_remote_t;

#define UCT_EFA_LENGTH_UNKNOWN SIZE_MAX

/* May it be reached? 0: no, why says why not, in at most max bytes. */
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
 * What there is not: addresses of sockets (ep_query), connections of endpoints
 * (ep_connect_to_ep_v2), endpoints for GPUs (ep_get_device_ep), and tokens that
 * say what a remote has got, with what ep_outstanding_purge makes of them.
 *
 * Used once, in the file that opens the interface:
 *   UCT_EFA_IFACE_INTERNAL_OPS_DEFINE(uct_srd_iface_internal_ops, ...);
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
/* Unpacks params, asks func, and says why not. A missing device address is not
 * reachable. */
int uct_efa_compat_is_reachable(const uct_iface_h iface,
                                const uct_iface_is_reachable_params_t *params,
                                uct_efa_is_reachable_func_t func);

#  define UCT_EFA_IS_REACHABLE_V2_DEFINE(_name, _func) \
    static int _name##_is_reachable_v2( \
            const uct_iface_h iface, \
            const uct_iface_is_reachable_params_t *params) \
    { \
        return uct_efa_compat_is_reachable(iface, params, _func); \
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
ucs_status_t uct_efa_compat_query_v2(uct_iface_h iface,
                                     uct_iface_attr_v2_t *attr,
                                     const uct_efa_sgl_max_t *max);

#  define UCT_EFA_QUERY_V2_DEFINE(_name, _sgl_max) \
    static ucs_status_t _name##_query_v2(uct_iface_h iface, \
                                         uct_iface_attr_v2_t *attr) \
    { \
        uct_efa_sgl_max_t max; \
        \
        _sgl_max(iface, &max); \
        return uct_efa_compat_query_v2(iface, attr, &max); \
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

/* Lengths of addresses among the parameters of ep_create (1.18) */
#if UCT_EFA_UCX(1, 18)
#  define UCT_EFA_EP_PARAM_LENGTH(_params, _name, _NAME) \
    (((_params)->field_mask & UCT_EP_PARAM_FIELD_##_NAME##_LENGTH) ? \
             (_params)->_name##_length : UCT_EFA_LENGTH_UNKNOWN)
#else
#  define UCT_EFA_EP_PARAM_LENGTH(_params, _name, _NAME) UCT_EFA_LENGTH_UNKNOWN
#endif

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

/* A field of ucs_config_parser_t that came with 1.17 */
#if UCT_EFA_UCX(1, 17)
#  define UCT_EFA_CONFIG_DOC .doc = ucs_config_doc_nop,
#else
#  define UCT_EFA_CONFIG_DOC
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


/* ----------------------------------------------------- registration cache */

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
ucs_status_t uct_efa_rcache_config_check(const uct_efa_rcache_config_t *config);

/* Fills what config and version decide; the rest is zero. */
void uct_efa_rcache_params(const uct_efa_rcache_config_t *config,
                           ucs_rcache_params_t *params);

/* Seconds of a look-up */
double uct_efa_rcache_overhead(const uct_efa_rcache_config_t *config);

/* arg goes to mem_reg and merge. Takes a reference. */
ucs_status_t uct_efa_ucs_rcache_get(ucs_rcache_t *rcache, void *address,
                                    size_t length, void *arg,
                                    ucs_rcache_region_t **region_p);


/* ------------------------------------------------------------------- ucs */

/* As ucs_mpool_init() of 1.13; grow is taken from ops, max_elems -1: no limit.
 * name is not copied in 1.13 and must live as long as the pool. */
ucs_status_t uct_efa_mpool_init(ucs_mpool_t *mp, size_t priv_size,
                                size_t elem_size, size_t align_offset,
                                size_t alignment, unsigned elems_per_chunk,
                                unsigned max_elems, ucs_mpool_ops_t *ops,
                                const char *name);

/* "1.13", the version this file was compiled for */
const char *uct_efa_ucx_version(void);

#endif
