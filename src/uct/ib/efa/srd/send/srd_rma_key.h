/*
 * Keys of a peer's memory after a reset of its device: srd_rma_key.c.
 */
#ifndef UCT_SRD_RMA_KEY_H
#define UCT_SRD_RMA_KEY_H

#include "srd/def/srd_iface_def.h"

static inline uint64_t uct_srd_rma_key_id(unsigned generation, uint32_t rkey)
{
    return ((uint64_t)generation << 32) | rkey;
}

/* The key to use now for a slot's: UCS_OK; UCS_INPROGRESS: it was asked for;
 * UCS_ERR_NO_ELEM: there is none any more. */
ucs_status_t uct_srd_rma_key_find(uct_srd_peer_t *peer,
                                  const uct_srd_rma_t *rma, uint32_t *rkey_p);

/* The remote's device has another generation: forget its keys. */
void uct_srd_rma_key_forget(uct_srd_peer_t *peer);

#endif
