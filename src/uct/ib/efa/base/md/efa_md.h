/*
 * Component `efasrd`, its memory domain, and the device below it.
 *
 *   component efasrd       efa_component.c   finds EFA devices, quietly
 *     no other srd         efa_sole.c
 *     memory domain        efa_md.c          who registers how
 *       device             efa_device.c      what the device can do
 *       registration       efa_mem.c         one of them, and why it failed
 *         cache            efa_rcache.c      of those that others access
 *         device memory    efa_dmabuf.c      GPUs'
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

/* ------------------------------------------------------- efa_component.c */

typedef enum {
    UCT_EFA_PROBE_YES,          /* an EFA device that can be used           */
    UCT_EFA_PROBE_NO,           /* something else                           */
    UCT_EFA_PROBE_UNUSABLE      /* an EFA device, but ...                   */
} uct_efa_probe_t;

/* ------------------------------------------------------------ efa_sole.c */

/* Takes every srd but ours off UCX's lists. When ours is registered, and before
 * it tells its devices. */
void uct_efa_sole_srd(const uct_component_t *ours);

/* -------------------------------------------------------------- efa_md.c */

ucs_status_t uct_efa_md_open(uct_component_t *component, const char *md_name,
                             const uct_md_config_t *md_config,
                             uct_md_h *md_p);

extern ucs_config_field_t uct_efa_md_config_table[];

#endif
