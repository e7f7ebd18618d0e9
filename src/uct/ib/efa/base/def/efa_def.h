/*
 * The structures of the base, which its floors share; base/md/efa_md.h has the
 * picture. Who writes what of a memory domain:
 *
 *   opened, context, stats            base/device, under lock
 *   mems, num_promised, regions       base/mem, under lock and regions_lock
 *   everything else                   base/md, when it is opened
 */
#ifndef UCT_EFA_DEF_H
#define UCT_EFA_DEF_H

#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats.h"

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>
#include <pthread.h>

#define UCT_EFA_PORT_NUM    1      /* the only one; device-facts.md, "Port"  */
#define UCT_EFA_GID_INDEX   0      /* likewise                               */
#define UCT_EFA_VENDOR_ID   0x1d0f

typedef struct uct_efa_opened uct_efa_opened_t;    /* efa_context.h          */
typedef struct uct_efa_context uct_efa_context_t;  /* likewise               */
typedef struct uct_efa_md     uct_efa_md_t;

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

struct uct_efa_md {
    uct_md_t               super;
    uct_efa_device_t       dev;
    pthread_mutex_t        lock;           /* context, mems                  */
    uct_efa_opened_t       *opened;        /* shared with others of the name */
    uct_efa_context_t      *context;       /* the present one                */
    uct_efa_stats_device_t *stats;         /* what is held, and its limits   */
    ucs_list_link_t        mems;           /* uct_efa_mem_t, registered      */
    uint32_t               num_promised;   /* keys of memory that waits      */
    ucs_linear_func_t      reg_cost;       /* seconds, seconds per byte      */
    ucs_rcache_t           *rcache;        /* NULL: every one alone          */
    pthread_mutex_t        regions_lock;
    ucs_list_link_t        regions;        /* of rcache, oldest first        */
    unsigned               num_regions;
    uint64_t               reg_mem_types;  /* that ibv_reg_mr takes          */
    int                    has_dmabuf;
    char                   name[UCT_DEVICE_NAME_MAX]; /* rdmap0s6            */
    char                   port_name[UCT_DEVICE_NAME_MAX];
};

/* "%s:1": the only port EFA devices have. Lives as long as the MD. */
static inline const char *uct_efa_md_device_name(const uct_efa_md_t *md)
{
    return md->port_name;
}

#endif
