/*
 * Keys over resets of the device: efa_keys.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/mem/efa_keys.h"
#include "base/mem/efa_rkey.h"

#define UCT_EFA_ACCESS_REMOTE (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)

/* The memory that an old key belongs to; NULL: none. Linear: called once for
 * each key that a peer uses after a reset. */
static uct_efa_mem_t *uct_efa_keys_find_old(uct_efa_md_t *md,
                                            unsigned generation, uint32_t rkey)
{
    const uct_efa_old_key_t *old;
    uct_efa_mem_t *mem;

    ucs_list_for_each(mem, &md->mems, list) {
        for (old = mem->old; old != NULL; old = old->next) {
            if ((old->rkey == rkey) && (old->generation == generation)) {
                return mem;
            }
        }
    }

    return NULL;
}

void uct_efa_keys_keep(uct_efa_mem_t *mem, unsigned generation)
{
    uct_efa_old_key_t *old;

    if (!(mem->access & UCT_EFA_ACCESS_REMOTE)) {
        return; /* no peer has it */
    }

    old = ucs_malloc(sizeof(*old), "efa_old_key");
    if (old == NULL) {
        return; /* a peer that asks for it gets "not known" */
    }

    old->rkey       = mem->rkey;
    old->generation = generation;
    old->next       = mem->old;
    mem->old        = old;
}

int uct_efa_keys_add(uct_efa_md_t *md, const uct_efa_context_t *context,
                     uct_efa_mem_t *mem)
{
    int is_current;

    mem->old = NULL;
    pthread_mutex_lock(&md->lock);
    is_current = (md->context == context);
    if (is_current) {
        if (mem->mr != NULL) {
            mem->lkey = mem->mr->lkey;
            mem->rkey = mem->mr->rkey;
        } else {
            mem->lkey = 0;
            do {
                mem->rkey = ~md->num_promised++;
            } while (uct_efa_keys_find_old(md, context->generation,
                                           mem->rkey) != NULL);
            uct_efa_keys_keep(mem, context->generation);
        }
        mem->generation = context->generation;
        ucs_list_add_tail(&md->mems, &mem->list);
    }
    pthread_mutex_unlock(&md->lock);
    return is_current;
}

void uct_efa_keys_remove(uct_efa_md_t *md, uct_efa_mem_t *mem)
{
    uct_efa_old_key_t *old;

    pthread_mutex_lock(&md->lock);
    ucs_list_del(&mem->list);
    pthread_mutex_unlock(&md->lock);

    while ((old = mem->old) != NULL) {
        mem->old = old->next;
        ucs_free(old);
    }
}

void uct_efa_keys_pack(uct_efa_md_t *md, const uct_efa_mem_t *mem, void *buffer)
{
    pthread_mutex_lock(&md->lock);
    uct_efa_rkey_pack(mem->rkey, mem->access, mem->generation, buffer);
    pthread_mutex_unlock(&md->lock);
}

ucs_status_t uct_efa_keys_find(uct_efa_md_t *md, unsigned generation,
                               uint32_t rkey, uct_rkey_t *rkey_p)
{
    ucs_status_t status = UCS_ERR_NO_ELEM;
    uct_efa_packed_rkey_t packed;
    uct_efa_mem_t *mem;
    void *handle;

    pthread_mutex_lock(&md->lock);
    mem = uct_efa_keys_find_old(md, generation, rkey);
    if ((mem != NULL) && (mem->mr != NULL)) {
        uct_efa_rkey_pack(mem->rkey, mem->access, mem->generation, &packed);
        status = uct_efa_rkey_unpack(&packed, rkey_p, &handle);
    }
    pthread_mutex_unlock(&md->lock);
    return status;
}
