/*
 * What has arrived: receive descriptors and completions. Written by recv/.
 */
#ifndef UCT_SRD_DESC_DEF_H
#define UCT_SRD_DESC_DEF_H

#include "srd/def/srd_def.h"

/*
 *   +------+---------+----------+---------------+------------------------+
 *   | desc | padding | *release | user headroom | message                |
 *   +------+---------+----------+---------------+------------------------+
 *   ^ aligned                                   ^ aligned as the user asks;
 *                                                 what is before it as it falls
 */
struct uct_srd_desc {
    struct ibv_recv_wr wr;        /* prepared once; next links a chain       */
    struct ibv_sge     sge;
    uint32_t           length;    /* while it waits in the reorder ring:     */
    uint16_t           am_id;     /* bytes, AM id,                           */
    uint16_t           offset;    /* of the payload: 0 or UCT_SRD_EXT_LEN    */
    uct_srd_desc_t     *all;     /* next in iface->rx.all                   */
    uct_mem_h          memh;
    uint64_t           kept;      /* by the user, the reorder ring, the pool */
};

static_assert(alignof(uct_srd_desc_t) > UCT_SRD_WR_ID_SEND,
              "the low bit of its address is free");

/* Whose messages are being delivered, one behind the other */
typedef struct uct_srd_rx_current {
    uct_srd_peer_t            *peer;  /* NULL: it has ended                  */
    struct uct_srd_rx_current *outer;
} uct_srd_rx_current_t;

typedef struct {
    struct ibv_wc wc;
    int           has_gid;
    union ibv_gid gid;            /* of the sender, if has_gid               */
} uct_srd_rx_wc_t;

#endif
