/*
 * UCX_SRD_*: what the user has set, as UCX's parser leaves it. The options are
 * in srd_iface_config.c.
 */
#ifndef UCT_SRD_CONFIG_DEF_H
#define UCT_SRD_CONFIG_DEF_H

#include "srd/def/srd_def.h"

typedef struct {
    uct_iface_config_t super;
    size_t             seg_size;      /* bytes                               */
    struct {
        unsigned                 queue_len;
        unsigned                 window;
        unsigned                 rnr_retry;
        unsigned                 retry_count;
        uct_iface_mpool_config_t mp;
    } tx;
    struct {
        unsigned                 queue_len;
        unsigned                 window;
        unsigned                 batch;
        uct_iface_mpool_config_t mp;
    } rx;
    unsigned           max_poll;
    int                events;        /* ucs_ternary_auto_value_t            */
    int                rdma;          /* ucs_ternary_auto_value_t            */
    int                direct;        /* ucs_ternary_auto_value_t            */
    double             close_timeout; /* seconds                             */
    double             gone_timeout;
    double             recovery_timeout;
    double             latency;       /* seconds; 0: of the device           */
} uct_srd_iface_config_t;

#endif
