/*
 * Registrations over resets of the device: what is registered moves to the new
 * context, and keys given to peers before are answered for.
 *
 *             registered ----- device reset -----> registered
 *   (generation g, key k)                   (g + 1, k'), old: (g, k)
 *
 *   waits: registered while the device was away. Its key is a promise: it is
 *   in the list of old keys from the start, and no device ever knew it.
 */
#ifndef UCT_EFA_KEYS_H
#define UCT_EFA_KEYS_H

#include "base/mem/efa_mem.h"
#include "base/device/efa_context.h"

/* A key that was packed and is of no use any more */
struct uct_efa_old_key {
    uct_efa_old_key_t *next;
    uint32_t          rkey;
    unsigned          generation;
};

/* Of memory that is registered (mem->mr is context's), or waits for the device
 * (mr NULL). 0: the context was replaced meanwhile, nothing was added. */
int uct_efa_keys_add(uct_efa_md_t *md, const uct_efa_context_t *context,
                     uct_efa_mem_t *mem);

/* To be called before the memory is deregistered. */
void uct_efa_keys_remove(uct_efa_md_t *md, uct_efa_mem_t *mem);

/* The present key becomes an old one, if a peer may have it. Under md->lock. */
void uct_efa_keys_keep(uct_efa_mem_t *mem, unsigned generation);

/* As UCT's mkey_pack; buffer: uct_efa_packed_rkey_t. */
void uct_efa_keys_pack(uct_efa_md_t *md, const uct_efa_mem_t *mem,
                       void *buffer);

/* The key that replaces (generation, rkey), as uct_rkey_t has it.
 * UCS_ERR_NO_ELEM: the memory is not registered any more, or never was. */
ucs_status_t uct_efa_keys_find(uct_efa_md_t *md, unsigned generation,
                               uint32_t rkey, uct_rkey_t *rkey_p);

#endif
