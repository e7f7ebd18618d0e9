/*
 * Component `efa`, its memory domain, and the device below it.
 */
#ifndef UCT_EFA_MD_H
#define UCT_EFA_MD_H

#include "efa_ah.h"
#include "ucx_compat.h"

#include <infiniband/efadv.h>

/* What the device said when it was opened; constant afterwards. */
typedef struct {
    struct ibv_device_attr   attr;
    struct efadv_device_attr efa;
    struct ibv_port_attr     port;
    union ibv_gid            gid;          /* port 1, index 0               */
    size_t                   max_msg_sz;   /* port: one SEND, bytes         */
    unsigned                 max_inline;   /* bytes in a WQE                */
    double                   bandwidth;    /* bytes per second of the port  */
    int                      has_sgid;     /* CQ can report source GIDs     */
    int                      has_rnr_retry;
    int                      has_rdma_read;
    int                      has_rdma_write;
    ucs_sys_device_t         sys_dev;      /* PCI locality or UNKNOWN       */
} uct_efa_device_t;

typedef struct {
    uct_md_t             super;
    struct ibv_context   *ctx;
    struct ibv_pd        *pd;
    uct_efa_device_t     dev;
    uct_efa_ah_cache_t   *ahs;
    /* registration options follow with the one-sided work */
} uct_efa_md_t;

typedef struct {
    struct ibv_mr *mr;                     /* lkey and rkey in host order   */
} uct_efa_mem_t;

extern uct_component_t uct_efa_component;

/* "%s:1": the only port EFA devices have */
const char *uct_efa_md_device_name(const uct_efa_md_t *md);

#endif
