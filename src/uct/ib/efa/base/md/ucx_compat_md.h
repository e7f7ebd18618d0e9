/*
 * What differs between UCX's versions in a memory domain; ucx_compat.h has the
 * table.
 */
#ifndef UCT_EFA_UCX_COMPAT_MD_H
#define UCT_EFA_UCX_COMPAT_MD_H

#include "base/ucx/ucx_compat.h"

/* From the functions of efa_md.h */
extern uct_md_ops_t uct_efa_md_ops;

#if UCT_EFA_UCX(1, 14)
#  define UCT_EFA_MD_FLAG_REG_DMABUF UCT_MD_FLAG_REG_DMABUF
#else
#  define UCT_EFA_MD_FLAG_REG_DMABUF 0
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

/*
 * flags of a mem_reg as they have to be taken. Before 1.17 UCP keeps a handle
 * for one purpose and uses it for another without looking at its access, so a
 * handle for anything must be one for all. An interface's own buffers (LOCK;
 * UCP of these versions does not set it) stay for messages, also before 1.15,
 * when everything was asked for them. Flags that name no access ask for all.
 */
uint64_t uct_efa_compat_md_reg_flags(uint64_t flags);

/* Defines _name, a component's rkey_unpack, by _func(buffer, rkey_p,
 * handle_p). */
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

#endif
