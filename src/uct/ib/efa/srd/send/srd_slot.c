/*
 * Slots: their memory, and what they hold on to.
 *
 *   | slots | a buffer |     made when the interface is opened
 *
 * More buffers are made when they are needed: srd_buf.c.
 */
#include "srd/send/srd_slot.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_buf.h"
#include "srd/send/srd_waiter.h"

#include <sys/mman.h>

static ucs_mpool_ops_t uct_srd_slot_waiter_mp_ops = {
    .chunk_alloc   = ucs_mpool_chunk_malloc,
    .chunk_release = ucs_mpool_chunk_free
};

/* The one behind the slots */
static uct_srd_buf_t *uct_srd_slot_first_buf(const uct_srd_iface_t *iface)
{
    return (uct_srd_buf_t *)(iface->tx.slots + iface->tx.num_slots);
}

static void uct_srd_slot_wr_init(struct ibv_send_wr *wr, unsigned flags)
{
    memset(wr, 0, sizeof(*wr));
    wr->opcode     = IBV_WR_SEND_WITH_IMM;
    wr->num_sge    = 1;
    wr->send_flags = flags;
}

/* The memory of slots, and of the buffer behind them, of buf_len bytes */
static ucs_status_t uct_srd_slots_mem_init(uct_srd_iface_t *iface,
                                           size_t buf_len)
{
    ucs_status_t status;

    iface->tx.num_slots = iface->config.tx_queue_len + UCT_SRD_CTL_SLOTS;
    iface->tx.slots_len = ucs_align_up((iface->tx.num_slots *
                                        sizeof(uct_srd_slot_t)) +
                                               buf_len,
                                       ucs_get_page_size());
    iface->tx.slots_mem = mmap(NULL, iface->tx.slots_len,
                               PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (iface->tx.slots_mem == MAP_FAILED) {
        ucs_error("srd: no memory for %u send slots (%zu bytes): %m",
                  iface->tx.num_slots, iface->tx.slots_len);
        return UCS_ERR_NO_MEMORY;
    }

    /* Gets write to the buffer */
    status = uct_efa_md_mem_reg(iface->super.md, iface->tx.slots_mem,
                                iface->tx.slots_len,
                                UCT_MD_MEM_ACCESS_LOCAL_READ |
                                        UCT_MD_MEM_ACCESS_LOCAL_WRITE,
                                &iface->tx.slots_memh);
    if (status != UCS_OK) {
        munmap(iface->tx.slots_mem, iface->tx.slots_len);
    }

    return status;
}

static void uct_srd_slots_mem_cleanup(uct_srd_iface_t *iface)
{
    uct_efa_md_mem_dereg(iface->super.md, iface->tx.slots_memh);
    munmap(iface->tx.slots_mem, iface->tx.slots_len);
}

static void uct_srd_slots_pools_cleanup(uct_srd_iface_t *iface)
{
    ucs_mpool_cleanup(&iface->tx.buf_mp, 1);
    ucs_mpool_cleanup(&iface->tx.flush_mp, 1);
}

/* Waiters, and buffers of buf_len bytes */
static ucs_status_t uct_srd_slots_pools_init(uct_srd_iface_t *iface,
                                             uct_iface_mpool_config_t mp,
                                             size_t buf_len)
{
    ucs_status_t status;

    status = uct_efa_compat_mpool_init(&iface->tx.flush_mp, 0,
                                       sizeof(uct_srd_waiter_t), 0,
                                       UCS_SYS_CACHE_LINE_SIZE, 64, UINT_MAX,
                                       &uct_srd_slot_waiter_mp_ops,
                                       "srd_flush");
    if (status != UCS_OK) {
        return status;
    }

    /* A slot has one buffer at most */
    uct_efa_compat_mpool_limit(&mp, iface->config.tx_queue_len,
                               buf_len + UCS_SYS_CACHE_LINE_SIZE);
    status = uct_iface_mpool_init(&iface->super, &iface->tx.buf_mp, buf_len,
                                  offsetof(uct_srd_buf_t, data),
                                  UCS_SYS_CACHE_LINE_SIZE, &mp,
                                  ucs_min(mp.max_bufs, 64u), uct_srd_buf_init,
                                  "srd_tx_buf");
    if (status != UCS_OK) {
        ucs_mpool_cleanup(&iface->tx.flush_mp, 1);
    }

    return status;
}

/* All slots are free. */
static void uct_srd_slots_fill(uct_srd_iface_t *iface,
                               const uct_srd_slot_ops_t *ops)
{
    uint32_t lkey = uct_efa_memh_lkey(iface->tx.slots_memh);
    uct_srd_slot_t *slot;
    unsigned i;

    iface->tx.slots = iface->tx.slots_mem;
    iface->tx.ops   = ops;
    for (i = iface->tx.num_slots; i-- > 0;) {
        slot              = &iface->tx.slots[i];
        slot->sge[0].addr = (uintptr_t)slot->data;
        slot->sge[0].lkey = lkey;
        slot->ops         = ops;
        if (i < iface->config.tx_queue_len) {
            uct_srd_slot_put(iface, slot);
        } else {
            iface->tx.ctl_free[iface->tx.num_ctl++] = slot;
        }
    }
}

ucs_status_t uct_srd_slots_init(uct_srd_iface_t *iface,
                                const uct_srd_iface_config_t *config,
                                const uct_srd_slot_ops_t *ops)
{
    size_t buf_len = sizeof(uct_srd_buf_t) + iface->config.max_msg;
    ucs_status_t status;
    unsigned i;

    iface->tx.max_inline = uct_srd_iface_md(iface)->dev.max_inline;
    ucs_arbiter_init(&iface->tx.arbiter);
    for (i = 0; i < UCT_SRD_WR_LAST; ++i) {
        uct_srd_slot_wr_init(&iface->tx.wr[i],
                             (i == UCT_SRD_WR_INLINE) ? IBV_SEND_INLINE : 0);
    }
    for (i = 0; i < UCT_SRD_POST_BATCH; ++i) {
        uct_srd_slot_wr_init(&iface->tx.wrs[i], 0);
    }

    status = uct_srd_slots_pools_init(iface, config->tx.mp, buf_len);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_srd_slots_mem_init(iface, buf_len);
    if (status != UCS_OK) {
        goto err_pools;
    }

    iface->tx.free = ucs_calloc(iface->config.tx_queue_len,
                                sizeof(*iface->tx.free), "srd_tx_free");
    if (iface->tx.free == NULL) {
        status = UCS_ERR_NO_MEMORY;
        goto err_mem;
    }

    /* Lists of operations may go beyond the window: less than twice */
    if (!uct_srd_una_pool_init(&iface->tx.unas,
                               ucs_max(2 * iface->config.tx_window, 64),
                               iface->config.tx_queue_len)) {
        status = UCS_ERR_NO_MEMORY;
        goto err_free;
    }

    uct_srd_slots_fill(iface, ops);
    uct_srd_buf_init(&iface->super.super, uct_srd_slot_first_buf(iface),
                     iface->tx.slots_memh);
    uct_srd_buf_put(iface, uct_srd_slot_first_buf(iface));
    iface->tx.num_bufs = 1;
    return UCS_OK;

err_free:
    ucs_free(iface->tx.free);
err_mem:
    uct_srd_slots_mem_cleanup(iface);
err_pools:
    uct_srd_slots_pools_cleanup(iface);
    return status;
}

void uct_srd_slots_cleanup(uct_srd_iface_t *iface)
{
    uct_srd_buf_t *buf;

    while ((buf = iface->tx.bufs) != NULL) {
        iface->tx.bufs = buf->next;
        if (buf != uct_srd_slot_first_buf(iface)) {
            ucs_mpool_put(buf);
        }
    }

    uct_srd_una_pool_cleanup(&iface->tx.unas);
    ucs_free(iface->tx.free);
    uct_srd_slots_mem_cleanup(iface);
    uct_srd_slots_pools_cleanup(iface);
    ucs_arbiter_cleanup(&iface->tx.arbiter);
}

/* One slot less refers to the user's memory. cancels: flushes that waited for
 * the last one, to be ended after the slot's own completion. */
static void uct_srd_slot_zcopy_end(uct_srd_ep_t *ep, ucs_queue_head_t *cancels)
{
    ucs_queue_head_init(cancels);
    uct_srd_peer_ep_count_zcopy(ep, -1);
    if (ep->zcopy == 0) {
        ucs_queue_splice(cancels, &ep->cancels);
    }
}

ucs_status_t uct_srd_slot_detach(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_ep_t *ep = slot->ep;
    ucs_queue_head_t cancels;
    uct_srd_buf_t *buf;

    if (slot->flags & UCT_SRD_SLOT_DEVICE) {
        return UCS_ERR_UNSUPPORTED;
    }

    buf = uct_srd_buf_get(iface);
    if (buf == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    memcpy(buf->data, slot->data, slot->sge[0].length);
    if (slot->sge[1].length > 0) {
        memcpy(buf->data + slot->sge[0].length, (void *)slot->sge[1].addr,
               slot->sge[1].length);
    }
    slot->sge[2].addr   = (uintptr_t)buf->data;
    slot->sge[2].length = slot->sge[0].length + slot->sge[1].length;
    slot->sge[2].lkey   = buf->lkey;
    slot->buf           = buf;
    slot->flags &= ~(UCT_SRD_SLOT_ZCOPY | UCT_SRD_SLOT_CANCEL);
    slot->flags |= UCT_SRD_SLOT_BUF;

    uct_srd_slot_zcopy_end(ep, &cancels);
    if (slot->comp != NULL) {
        uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
    }
    uct_srd_waiter_cancel(&cancels);

    return UCS_OK;
}

void uct_srd_slot_release(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          ucs_status_t status)
{
    unsigned flags         = slot->flags;
    uct_completion_t *comp = slot->comp;
    uct_srd_ep_t *ep       = slot->ep;
    ucs_queue_head_t cancels;

    uct_srd_slot_clear_queued(slot);
    slot->flags   = 0;
    slot->retries = 0;
    if (flags & UCT_SRD_SLOT_BUF) {
        uct_srd_buf_put(iface, slot->buf);
    }

    uct_srd_slot_put(iface, slot);

    if (flags & UCT_SRD_SLOT_ZCOPY) {
        uct_srd_slot_zcopy_end(ep, &cancels);
        if ((flags & UCT_SRD_SLOT_CANCEL) && (status == UCS_OK)) {
            status = UCS_ERR_CANCELED;
        }
        if (comp != NULL) {
            uct_invoke_completion(comp, status);
        }
        if (ucs_unlikely(!ucs_queue_is_empty(&cancels))) {
            uct_srd_waiter_cancel(&cancels);
        }
    }
}
