/*
 * Registrations and keys over resets of the device: efa_keys.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/mem/efa_keys.h"
#include "base/mem/efa_rkey.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Looked at by one call */
#define UCT_EFA_MINCORE_PAGES 256u

#define UCT_EFA_ACCESS_REMOTE (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)

/* Who has the key of a peer? NULL: nobody. Linear: asked once for each key that
 * a peer uses after a reset. */
static uct_efa_mem_t *
uct_efa_mem_find_old(uct_efa_md_t *md, unsigned generation, uint32_t rkey)
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

static void uct_efa_mem_add_old(uct_efa_mem_t *mem, unsigned generation)
{
    uct_efa_old_key_t *old;

    if (!(mem->access & UCT_EFA_ACCESS_REMOTE)) {
        return; /* no peer has it */
    }

    old = ucs_malloc(sizeof(*old), "efa_old_key");
    if (old == NULL) {
        return; /* peers that use it are told that it is not known */
    }

    old->rkey       = mem->rkey;
    old->generation = generation;
    old->next       = mem->old;
    mem->old        = old;
}

int uct_efa_mem_note(uct_efa_md_t *md, const uct_efa_context_t *context,
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
            } while (uct_efa_mem_find_old(md, context->generation,
                                          mem->rkey) != NULL);
            uct_efa_mem_add_old(mem, context->generation);
        }
        mem->generation = context->generation;
        ucs_list_add_tail(&md->mems, &mem->list);
    }
    pthread_mutex_unlock(&md->lock);
    return is_current;
}

void uct_efa_mem_unnote(uct_efa_md_t *md, uct_efa_mem_t *mem)
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

static int uct_efa_is_mapped(uintptr_t start, size_t length)
{
    unsigned char pages[UCT_EFA_MINCORE_PAGES];

    return mincore((void*)start, length, pages) == 0;
}

/* A cache registers neighbours together, and keeps them so while one is in use.
 * If others were unmapped since, the longest part that is left is registered:
 * addresses in it stay valid for those who use it. */
static struct ibv_mr *
uct_efa_mem_reg_rest(struct ibv_pd *pd, const uct_efa_mem_t *mem)
{
    uintptr_t first  = (uintptr_t)mem->address, last = first + mem->length;
    size_t page      = ucs_get_page_size();
    uintptr_t end    = ucs_align_up(last, page);
    uintptr_t run    = ucs_align_down(first, page), pos = run;
    uintptr_t start  = 0;
    size_t longest   = 0;
    size_t step;

    while (run < end) {
        step = ucs_min(UCT_EFA_MINCORE_PAGES * page, end - pos);
        if ((step > 0) && !uct_efa_is_mapped(pos, step)) {
            step = uct_efa_is_mapped(pos, page) ? page : 0;
        }
        if (step > 0) {
            pos += step;
            continue;
        }
        if (pos - run > longest) {
            start   = run;
            longest = pos - run;
        }
        pos += page;
        run  = pos;
    }

    if (longest == 0) {
        errno = EFAULT;
        return NULL;
    }

    first = ucs_max(first, start);
    return ibv_reg_mr(pd, (void*)first, ucs_min(last, start + longest) - first,
                      mem->access);
}

void uct_efa_mems_move(uct_efa_md_t *md, uct_efa_context_t *context)
{
    uct_efa_mem_t *mem;
    struct ibv_mr *mr;
    int ret;

    ucs_list_for_each(mem, &md->mems, list) {
        mr = NULL;
        if (mem->is_dmabuf) {
            errno = EBADF; /* its descriptor was the caller's */
        } else {
            mr = ibv_reg_mr(context->pd, mem->address, mem->length,
                            mem->access);
            if ((mr == NULL) && (errno == EFAULT)) {
                mr = uct_efa_mem_reg_rest(context->pd, mem);
            }
        }
        if (mr == NULL) {
            ucs_warn("%s: %zu bytes at %p cannot be registered with the device "
                     "after its reset: %s; transfers that use them will fail",
                     md->name, mem->length, mem->address, strerror(errno));
        }

        if (mem->mr != NULL) {
            uct_efa_mem_add_old(mem, mem->generation);
            ret = ibv_dereg_mr(mem->mr);
            if (ret != 0) {
                ucs_trace("%s: ibv_dereg_mr after a reset: %s", md->name,
                          strerror(ret));
            }
        }

        mem->mr         = mr;
        mem->lkey       = (mr == NULL) ? 0 : mr->lkey;
        mem->rkey       = (mr == NULL) ? 0 : mr->rkey;
        mem->generation = context->generation;
        uct_efa_mem_show_again(md, mem);
    }
}

void uct_efa_mem_pack(uct_efa_md_t *md, const uct_efa_mem_t *mem, void *buffer)
{
    pthread_mutex_lock(&md->lock);
    uct_efa_rkey_pack(mem->rkey, mem->access, mem->generation, buffer);
    pthread_mutex_unlock(&md->lock);
}

ucs_status_t uct_efa_key_find(uct_efa_md_t *md, unsigned generation,
                              uint32_t rkey, uct_rkey_t *rkey_p)
{
    ucs_status_t status = UCS_ERR_NO_ELEM;
    uct_efa_packed_rkey_t packed;
    uct_efa_mem_t *mem;
    void *handle;

    pthread_mutex_lock(&md->lock);
    mem = uct_efa_mem_find_old(md, generation, rkey);
    if ((mem != NULL) && (mem->mr != NULL)) {
        uct_efa_rkey_pack(mem->rkey, mem->access, mem->generation, &packed);
        status = uct_efa_rkey_unpack(&packed, rkey_p, &handle);
    }
    pthread_mutex_unlock(&md->lock);
    return status;
}
