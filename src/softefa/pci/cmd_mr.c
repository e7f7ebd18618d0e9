/*
 * Commands of memory regions: the page list becomes one piece of this process's
 * address space (dma.h), which is what the model registers.
 *
 *   up to 4 pages        in the command
 *   direct list          in guest memory, addresses of 64 bits
 *   indirect             chunks of 4 KiB, each with the addresses of 510 lists
 *                        of 512 pages, and where the next chunk is
 */
#include "pci/admin.h"
#include "fabric/layout.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIST_SIZE  = 4096,
    LIST_PAGES = LIST_SIZE / sizeof(uint64_t),
    NEXT_PLACE = SOFTEFA_ADMIN_CHUNK_PAGES * sizeof(uint64_t),
    ACCESS_ALL = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
                 IBV_ACCESS_REMOTE_READ
};

static uint64_t buf_address(const softefa_admin_buf_t *buf)
{
    return ((uint64_t)buf->addr_hi << 32) | buf->addr_lo;
}

static int mr_direct(softefa_pci_t *pci, uint64_t address, uint64_t *pages,
                     uint64_t count)
{
    const void *list = softefa_pci_dma_at(&pci->dma, address,
                                          count * sizeof(*pages), false);

    if (list == NULL) {
        return EFAULT;
    }

    memcpy(pages, list, count * sizeof(*pages));
    return 0;
}

static int mr_indirect(softefa_pci_t *pci, uint64_t chunk, uint64_t *pages,
                       uint64_t count)
{
    softefa_admin_buf_t next;
    uint64_t address, part;
    const uint8_t *place;
    unsigned list = 0;
    int ret;

    while (count > 0) {
        if (list == SOFTEFA_ADMIN_CHUNK_PAGES) {
            place = softefa_pci_dma_at(&pci->dma, chunk + NEXT_PLACE,
                                       sizeof(next), false);
            if (place == NULL) {
                return EFAULT;
            }
            memcpy(&next, place, sizeof(next));
            chunk = buf_address(&next);
            list  = 0;
        }

        ret = mr_direct(pci, chunk + (list * sizeof(address)), &address, 1);
        if (ret != 0) {
            return ret;
        }

        part = (count < LIST_PAGES) ? count : LIST_PAGES;
        ret  = mr_direct(pci, address, pages, part);
        if (ret != 0) {
            return ret;
        }

        pages += part;
        count -= part;
        ++list;
    }

    return 0;
}

static int mr_pages(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                    uint64_t *pages, uint64_t count)
{
    uint64_t address = buf_address(&cmd->reg_mr.list);

    if (cmd->head.flags & SOFTEFA_ADMIN_CTRL) {
        return (cmd->head.flags & SOFTEFA_ADMIN_CTRL_INDIRECT) ?
                       mr_indirect(pci, address, pages, count) :
                       mr_direct(pci, address, pages, count);
    }

    if (count > SOFTEFA_ADMIN_INLINE_PAGES) {
        return EINVAL;
    }

    memcpy(pages, cmd->reg_mr.pages, count * sizeof(*pages));
    return 0;
}

static uint32_t mr_supported(const softefa_profile_t *profile)
{
    return IBV_ACCESS_LOCAL_WRITE |
           ((profile->caps & SOFTEFA_CAP_RDMA_READ) ? IBV_ACCESS_REMOTE_READ :
                                                      0) |
           ((profile->caps & SOFTEFA_CAP_RDMA_WRITE) ? IBV_ACCESS_REMOTE_WRITE :
                                                       0);
}

static int mr_check(const softefa_pci_t *pci, const softefa_admin_reg_mr_t *cmd)
{
    unsigned shift = cmd->flags & SOFTEFA_ADMIN_MR_SHIFT;

    if (cmd->flags & SOFTEFA_ADMIN_MR_PHYSICAL) {
        return EOPNOTSUPP;
    }

    return ((shift >= 12) && (shift <= 31) && (cmd->length > 0) &&
            (cmd->length <= pci->profile.max_mr_size) &&
            (cmd->iova + cmd->length > cmd->iova) &&
            !(cmd->access & ~mr_supported(&pci->profile))) ?
                   0 :
                   EINVAL;
}

/* The whole of the region, in this process */
static int mr_view(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                   softefa_pci_view_t *view)
{
    unsigned shift  = cmd->reg_mr.flags & SOFTEFA_ADMIN_MR_SHIFT;
    uint64_t offset = cmd->reg_mr.iova & ((1ull << shift) - 1);
    uint64_t count  = (offset + cmd->reg_mr.length + (1ull << shift) - 1) >>
                     shift;
    uint64_t *pages = malloc(count * sizeof(*pages));
    int ret;

    /* the command's number of pages is 0: Linux's driver never sets it */
    if (pages == NULL) {
        return ENOMEM;
    }

    ret = mr_pages(pci, cmd, pages, count);
    if (ret == 0) {
        ret = softefa_pci_view_create(&pci->dma, pages, shift, offset,
                                      cmd->reg_mr.length,
                                      !!(cmd->reg_mr.access &
                                         (IBV_ACCESS_LOCAL_WRITE |
                                          IBV_ACCESS_REMOTE_WRITE)),
                                      view);
    }
    free(pages);
    return ret;
}

int softefa_pci_cmd_reg_mr(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                           softefa_admin_resp_t *resp)
{
    const softefa_admin_reg_mr_t *req = &cmd->reg_mr;
    softefa_pci_view_t view;
    softefa_pci_mr_t *entry;
    softefa_mr_t *mr;
    int ret;

    ret = mr_check(pci, req);
    if (ret == 0) {
        ret = mr_view(pci, cmd, &view);
    }
    if (ret != 0) {
        return ret;
    }

    ret = softefa_mr_reg(pci->dev, req->pd, (uintptr_t)view.base, req->length,
                         req->iova, req->access & ACCESS_ALL, &mr,
                         &resp->reg_mr.lkey, &resp->reg_mr.rkey);
    if (ret != 0) {
        softefa_pci_view_destroy(&view);
        return ret;
    }

    entry = &pci->mr[resp->reg_mr.lkey & ((1u << SOFTEFA_MR_INDEX_BITS) - 1)];
    entry->mr   = mr;
    entry->lkey = resp->reg_mr.lkey;
    entry->view = view;
    ++pci->num_mrs;
    return 0;
}

void softefa_pci_mr_lose(softefa_pci_mr_t *mr)
{
    if (mr->mr == NULL) {
        return;
    }

    /* Whoever is stopped while it is about to write there may yet do so: the
     * addresses stay taken. */
    if (softefa_mr_dereg(mr->mr) == 0) {
        softefa_pci_view_destroy(&mr->view);
    }
    mr->mr = NULL;
}

void softefa_pci_mr_free(softefa_pci_t *pci, softefa_pci_mr_t *mr)
{
    if (mr->lkey != 0) {
        mr->lkey = 0;
        --pci->num_mrs;
    }
}

int softefa_pci_cmd_dereg_mr(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                             softefa_admin_resp_t *resp)
{
    uint32_t lkey  = cmd->object.handle;
    uint32_t index = lkey & ((1u << SOFTEFA_MR_INDEX_BITS) - 1);
    softefa_pci_mr_t *entry;
    int ret;

    (void)resp;
    if ((lkey == 0) || (index >= pci->profile.max_mr) ||
        (pci->mr[index].lkey != lkey)) {
        return EINVAL;
    }

    entry = &pci->mr[index];
    if (entry->mr != NULL) {
        ret = softefa_mr_dereg(entry->mr);
        if (ret != 0) {
            return ret;
        }
        softefa_pci_view_destroy(&entry->view);
        entry->mr = NULL;
    }
    softefa_pci_mr_free(pci, entry);
    return 0;
}
