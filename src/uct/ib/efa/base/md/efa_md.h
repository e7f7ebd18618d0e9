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
 *     stats segment        efa_stats.c      counters, one for the process
 *
 * A memory domain is a verbs device, and has its name. Those of one name in a
 * process share the open device (efa_context.h).
 */
#ifndef UCT_EFA_MD_H
#define UCT_EFA_MD_H

#include "base/ucx/ucx_compat.h"
#include "base/device/efa_context.h"
#include "base/mem/efa_keys.h"
#include "base/mem/efa_mem.h"
#include "base/mem/efa_rcache.h"
#include "base/mem/efa_rkey.h"
#include "stats/efa_stats.h"

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>
#include <pthread.h>

#define UCT_EFA_PORT_NUM    1      /* the only one; device-facts.md, "Port"  */
#define UCT_EFA_GID_INDEX   0      /* likewise                               */
#define UCT_EFA_VENDOR_ID   0x1d0f

/* What the device said when it was opened; constant afterwards. */
typedef struct {
    struct ibv_device_attr   attr;
    struct efadv_device_attr efa;
    struct ibv_port_attr     port;
    union ibv_gid            gid;          /* port 1, index 0               */
    size_t                   max_msg_sz;   /* port: one SEND, bytes         */
    unsigned                 max_inline;   /* bytes in a WQE                */
    double                   bandwidth;    /* bytes per second of the port  */
    double                   latency;      /* seconds, one way, an estimate */
    int                      has_sgid;     /* CQ can report source GIDs     */
    int                      has_rnr_retry;
    int                      has_rdma_read;
    int                      has_rdma_write;
    ucs_sys_device_t         sys_dev;      /* PCI locality or UNKNOWN       */
    ucs_cpu_set_t            local_cpus;   /* near the device, else all     */
} uct_efa_device_t;

typedef struct {
    uct_md_config_t          super;
    int                      stats;         /* uct_efa_stats_mode_t         */
    int                      keep_ib;      /* read by the loader, before    */
    ucs_ternary_auto_value_t gpu_direct;
    ucs_ternary_auto_value_t rcache_mode;
    uct_efa_rcache_config_t  rcache;
} uct_efa_md_config_t;

struct uct_efa_md {
    uct_md_t             super;
    uct_efa_device_t     dev;
    pthread_mutex_t      lock;             /* context, mems                  */
    uct_efa_opened_t     *opened;          /* shared with others of the name */
    uct_efa_context_t    *context;         /* the present one                */
    uct_efa_stats_device_t *stats;          /* what is held, and its limits   */
    ucs_list_link_t      mems;             /* uct_efa_mem_t, registered      */
    uint32_t             num_promised;     /* keys of memory that waits      */
    ucs_linear_func_t    reg_cost;         /* seconds, seconds per byte     */
    ucs_rcache_t         *rcache;          /* NULL: every one alone         */
    pthread_mutex_t      regions_lock;
    ucs_list_link_t      regions;          /* of rcache, oldest first       */
    unsigned             num_regions;
    uint64_t             reg_mem_types;    /* that ibv_reg_mr takes         */
    int                  has_dmabuf;
    char                 name[UCT_DEVICE_NAME_MAX]; /* rdmap0s6              */
    char                 port_name[UCT_DEVICE_NAME_MAX];
};

extern uct_component_t uct_efa_component;

/* "%s:1": the only port EFA devices have. Lives as long as the MD. */
const char *uct_efa_md_device_name(const uct_efa_md_t *md);

/* ------------------------------------------------------- efa_component.c */

typedef enum {
    UCT_EFA_PROBE_YES,          /* an EFA device that can be used           */
    UCT_EFA_PROBE_NO,           /* something else                           */
    UCT_EFA_PROBE_UNUSABLE      /* an EFA device, but ...                   */
} uct_efa_probe_t;

/* ------------------------------------------------------------ efa_sole.c */

/* Takes every srd but ours off UCX's lists. When ours is registered, and before
 * it tells its devices. */
void uct_efa_sole_srd(void);

/* ---------------------------------------------------------- efa_device.c */

/* Fills dev from ctx. Logs what is missing and how to get it. */
ucs_status_t uct_efa_device_query(struct ibv_context *ctx,
                                  uct_efa_device_t *dev);

/* Bytes per second of active_speed and active_width of struct ibv_port_attr
 * (enum codes of the InfiniBand specification); 0 for codes not known.
 * Source: docs/device-facts.md, "Port speed". */
double uct_efa_port_bandwidth(uint8_t active_speed, uint8_t active_width);

/* One way, seconds, for the generation named by the PCI device id.
 * Source: docs/device-facts.md, "Latency". */
double uct_efa_device_latency(uint32_t vendor_part_id);

/* -------------------------------------------------------------- efa_md.c */

ucs_status_t uct_efa_md_open(uct_component_t *component, const char *md_name,
                             const uct_md_config_t *md_config,
                             uct_md_h *md_p);

extern ucs_config_field_t uct_efa_md_config_table[];

#endif
