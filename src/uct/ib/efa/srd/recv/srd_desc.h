/*
 * Receive descriptors: srd_desc.c.
 */
#ifndef UCT_SRD_DESC_H
#define UCT_SRD_DESC_H

#include "srd/def/srd_iface_def.h"

#define UCT_SRD_RX_CHAIN_MAX 64

/* Headroom and alignment that users may ask for, bytes; memory ends before. So
 * sizes do not overflow. */
#define UCT_SRD_RX_ROOM_MAX  ((size_t)UINT32_MAX)

/* Logs the cause of a failure. */
ucs_status_t uct_srd_desc_pool_init(uct_srd_iface_t *iface,
                                    const uct_iface_params_t *params,
                                    const uct_srd_iface_config_t *config);
void         uct_srd_desc_pool_cleanup(uct_srd_iface_t *iface);

/* Replaces descriptors that users or rings keep; posts full chains. */
void uct_srd_desc_refill(uct_srd_iface_t *iface);

/* A peer was heard from for the first time. */
void uct_srd_desc_grow(uct_srd_iface_t *iface);

/* The queues are new ones, without receives. */
void uct_srd_desc_repost(uct_srd_iface_t *iface);

/* From the free list or the pool; NULL: none */
uct_srd_desc_t *uct_srd_desc_get(uct_srd_iface_t *iface);

/* To the free list */
void uct_srd_desc_put(uct_srd_iface_t *iface, uct_srd_desc_t *desc);

/* Says how data is given back if the user keeps it. */
void uct_srd_desc_set_release(uct_srd_iface_t *iface, void *data,
                              uct_recv_desc_t *release);

static UCS_F_ALWAYS_INLINE void uct_srd_desc_chain(uct_srd_iface_t *iface,
                                                   uct_srd_desc_t *desc)
{
    desc->wr.next   = iface->rx.chain;
    iface->rx.chain = &desc->wr;
    ++iface->rx.chain_len;
}

#endif
