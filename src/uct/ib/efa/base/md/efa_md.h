/*
 * Component `efasrd`, its memory domain, and the device below it.
 *
 *   component efasrd       efa_component.c   finds EFA devices, quietly
 *                          efa_probe.c       which can be used, and why not
 *     no other srd         efa_sole.c
 *     memory domain        efa_md.c          who registers how
 *       device             efa_device.c      what the device can do
 *       registration       efa_mem.c         one of them, and why it failed
 *         cache            efa_rcache.c      of those that others access
 *         device memory    efa_gpu.c      GPUs'
 *         remote key       efa_rkey.c        what a peer needs
 *         over resets      efa_keys.c        and what becomes of it
 *       AH cache           efa_ah.c
 *     stats segment        efa_stats.c       counters, one for the process
 *
 * A memory domain is a verbs device, and has its name. Those of one name in a
 * process share the open device (efa_context.h).
 */
#ifndef UCT_EFA_MD_H
#define UCT_EFA_MD_H

#include "base/def/efa_def.h"
#include "base/device/efa_context.h"
#include "base/device/efa_device.h"
#include "base/mem/efa_keys.h"
#include "base/mem/efa_mem.h"
#include "base/mem/efa_rcache.h"
#include "base/mem/efa_rkey.h"

typedef struct {
    uct_md_config_t          super;
    int                      stats;        /* uct_efa_stats_mode_t           */
    int                      keep_ib;      /* read by the loader, before     */
    ucs_ternary_auto_value_t gpu_direct;
    ucs_ternary_auto_value_t rcache_mode;
    uct_efa_rcache_config_t  rcache;
} uct_efa_md_config_t;

extern uct_component_t uct_efa_component;

/* ------------------------------------------------------------ efa_sole.c */

/* Takes every srd but ours off UCX's lists. When ours is registered, and before
 * it tells its devices. */
void uct_efa_sole_srd(const uct_component_t *ours);

/* -------------------------------------------------------------- efa_md.c */

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

/* ops: as this version of UCX calls them, ucx_compat_md.h */
ucs_status_t uct_efa_md_open(uct_component_t *component, uct_md_ops_t *ops,
                             const char *md_name,
                             const uct_md_config_t *md_config,
                             uct_md_h *md_p);
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
/* As dereg, and calls comp once no peer reaches the memory by the handle's
 * keys: maybe at once, maybe when its last user deregisters it. On error comp
 * is not called. */
ucs_status_t uct_efa_md_mem_invalidate(uct_md_h md, uct_mem_h memh,
                                       uct_completion_t *comp);
int          uct_efa_md_can_invalidate(uct_md_h md);
/* UCT wants a key of memory that others access to have been packed for it. */
int          uct_efa_md_is_invalidatable(uct_mem_h memh);
/* for_invalidate: mem_invalidate may follow. */
ucs_status_t uct_efa_md_mkey_pack(uct_md_h md, uct_mem_h memh,
                                  int for_invalidate, void *buffer);

extern ucs_config_field_t uct_efa_md_config_table[];

#endif
