/*
 * The device's part of an interface: its context, completion queue, queue pair
 * and completion channel, and the address that others reach these by. After a
 * reset of the device all of them are other ones: assoc/recovery/ makes a new
 * struct (srd_queues.h), puts it in place of the old one, and destroys that.
 */
#ifndef UCT_SRD_QUEUES_DEF_H
#define UCT_SRD_QUEUES_DEF_H

#include "srd/def/srd_direct_def.h"

typedef struct {
    uct_srd_direct_t        direct;   /* the queues without libefa, or off   */
    struct ibv_cq           *cq;
    struct ibv_qp           *qp;
    struct ibv_qp_ex        *qp_ex;   /* the same: one-sided operations      */
    struct ibv_cq_ex        *cq_ex;   /* the same as cq                      */
    struct efadv_cq         *cq_efa;  /* likewise, NULL: no source GIDs      */
    uct_efa_context_t       *context; /* of all of these, a reference        */
    struct ibv_comp_channel *channel; /* NULL: no events                     */
    unsigned                unacked;  /* events of the channel               */
    int                     dead;     /* qp; set by any thread               */
    uct_srd_ext_t           self;     /* who we are; the UID and from epoch
                                         on vary                             */
    uct_efa_stats_object_t  *cq_stats;
    uct_efa_stats_object_t  *qp_stats;
} uct_srd_queues_t;

#endif
