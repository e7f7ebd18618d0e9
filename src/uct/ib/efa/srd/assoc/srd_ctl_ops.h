/*
 * Control messages that arrive: a table, by operation.
 */
#ifndef UCT_SRD_CTL_OPS_H
#define UCT_SRD_CTL_OPS_H

#include "srd/def/srd_iface_def.h"

enum {
    UCT_SRD_CTL_OP_MAKES     = UCS_BIT(0), /* a peer, if there is none       */
    UCT_SRD_CTL_OP_UNCHECKED = UCS_BIT(1), /* whatever the epoch             */
    UCT_SRD_CTL_OP_SAME_UID  = UCS_BIT(2), /* else it is from nobody we know */
    UCT_SRD_CTL_OP_LAST      = UCS_BIT(3)  /* the peer may be gone then      */
};

typedef struct {
    unsigned flags;

    /* From the peer, in its present association; NULL: it says it lives */
    void     (*handle)(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

    /* From nobody we know; NULL: nothing */
    void     (*unknown)(uct_srd_iface_t *iface, const uct_srd_ext_t *ext);
} uct_srd_ctl_op_t;

/* REJOIN has no handler here: it changes who its sender is (srd_receive.c). */
extern const uct_srd_ctl_op_t uct_srd_ctl_ops[UCT_SRD_OP_LAST];

/* DATA, a message with an extended header and this PSN. Returns whether it is
 * to be delivered. */
int uct_srd_ctl_ops_data(uct_srd_peer_t *peer, const uct_srd_ext_t *ext,
                         uint16_t psn);

#endif
