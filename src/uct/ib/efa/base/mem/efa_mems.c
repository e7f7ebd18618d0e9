/*
 * All memory of a memory domain moves to the context that replaces a dead one.
 */
#include "base/ucx/ucx_compat.h"
#include "base/mem/efa_keys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Looked at by one call */
#define UCT_EFA_MINCORE_PAGES 256u

static int uct_efa_mems_is_mapped(uintptr_t start, size_t length)
{
    unsigned char pages[UCT_EFA_MINCORE_PAGES];

    return mincore((void *)start, length, pages) == 0;
}

/* A cache registers neighbours together, and keeps them so while one is in use.
 * If others were unmapped since, the longest part that is left is registered:
 * addresses in it stay valid for those who use it. */
static struct ibv_mr *uct_efa_mems_reg_rest(struct ibv_pd *pd,
                                            const uct_efa_mem_t *mem)
{
    uintptr_t first = (uintptr_t)mem->address, last = first + mem->length;
    size_t page   = ucs_get_page_size();
    uintptr_t end = ucs_align_up(last, page);
    uintptr_t run = ucs_align_down(first, page), pos = run;
    uintptr_t start = 0;
    size_t longest  = 0;
    size_t step;

    while (run < end) {
        step = ucs_min(UCT_EFA_MINCORE_PAGES * page, end - pos);
        if ((step > 0) && !uct_efa_mems_is_mapped(pos, step)) {
            step = uct_efa_mems_is_mapped(pos, page) ? page : 0;
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
        run = pos;
    }

    if (longest == 0) {
        errno = EFAULT;
        return NULL;
    }

    first = ucs_max(first, start);
    return ibv_reg_mr(pd, (void *)first, ucs_min(last, start + longest) - first,
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
                mr = uct_efa_mems_reg_rest(context->pd, mem);
            }
        }
        if (mr == NULL) {
            ucs_warn("%s: %zu bytes at %p cannot be registered with the device "
                     "after its reset: %s; transfers that use them will fail",
                     md->name, mem->length, mem->address, strerror(errno));
        }

        if (mem->mr != NULL) {
            uct_efa_keys_keep(mem, mem->generation);
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
