/*
 * The send side beyond the fast path (srd_tx.h): memory, handshake headers,
 * batches, errors, sending again.
 *
 * What follows an error is said by the status table (efa_status.h):
 *   RESEND  to the resend queue, timer 50 us doubling to 10 ms, without end
 *   RETRY   likewise, RETRY_COUNT times, then the peer fails
 *   FAIL_*  the peer fails; FAIL_IFACE: all peers
 */
#include "srd_tx.h"

#include <sys/mman.h>

#define UCT_SRD_BACKOFF_MIN  50e-6
#define UCT_SRD_BACKOFF_STEPS 8      /* 50 us << 8 = 12.8 ms, capped below    */
#define UCT_SRD_BACKOFF_MAX  10e-3

static ucs_mpool_ops_t uct_srd_flush_mp_ops = {
    .chunk_alloc   = ucs_mpool_chunk_malloc,
    .chunk_release = ucs_mpool_chunk_free
};

static void
uct_srd_buf_init(UCS_V_UNUSED uct_iface_h tl_iface, void *obj, uct_mem_h memh)
{
    uct_srd_buf_t *buf = obj;

    buf->lkey = uct_efa_memh_lkey(memh);
}

static void uct_srd_wr_init(struct ibv_send_wr *wr)
{
    memset(wr, 0, sizeof(*wr));
    wr->opcode = IBV_WR_SEND_WITH_IMM;
}

ucs_status_t uct_srd_tx_init(uct_srd_iface_t *iface,
                             const uct_srd_iface_config_t *config)
{
    uct_md_h md = iface->super.md;
    uct_srd_slot_t *slot;
    ucs_status_t status;
    uint32_t lkey;
    unsigned i;

    iface->tx.max_inline = uct_srd_iface_md(iface)->dev.max_inline;
    ucs_arbiter_init(&iface->tx.arbiter);
    uct_srd_wr_init(&iface->tx.wr);
    for (i = 0; i < UCT_SRD_POST_BATCH; ++i) {
        uct_srd_wr_init(&iface->tx.wrs[i]);
    }

    status = uct_efa_mpool_init(&iface->tx.flush_mp, 0,
                                sizeof(uct_srd_waiter_t), 0,
                                UCS_SYS_CACHE_LINE_SIZE, 64, UINT_MAX,
                                &uct_srd_flush_mp_ops, "srd_flush");
    if (status != UCS_OK) {
        return status;
    }

    status = uct_iface_mpool_init(&iface->super, &iface->tx.buf_mp,
                                  sizeof(uct_srd_buf_t) +
                                          iface->config.max_msg,
                                  offsetof(uct_srd_buf_t, data),
                                  UCS_SYS_CACHE_LINE_SIZE, &config->tx.mp, 64,
                                  uct_srd_buf_init, "srd_tx_buf");
    if (status != UCS_OK) {
        goto err_flush_mp;
    }

    iface->tx.num_slots = iface->config.tx_queue_len + UCT_SRD_CTL_SLOTS;
    iface->tx.slots_len = ucs_align_up(iface->tx.num_slots *
                                       sizeof(uct_srd_slot_t),
                                       ucs_get_page_size());
    iface->tx.slots_mem = mmap(NULL, iface->tx.slots_len,
                               PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (iface->tx.slots_mem == MAP_FAILED) {
        ucs_error("srd: no memory for %u send slots (%zu bytes): %m",
                  iface->tx.num_slots, iface->tx.slots_len);
        status = UCS_ERR_NO_MEMORY;
        goto err_buf_mp;
    }

    status = uct_efa_md_mem_reg(md, iface->tx.slots_mem, iface->tx.slots_len,
                                UCT_MD_MEM_ACCESS_LOCAL_READ, &iface->tx.slots_memh);
    if (status != UCS_OK) {
        goto err_unmap;
    }

    iface->tx.free = ucs_calloc(iface->config.tx_queue_len,
                                sizeof(*iface->tx.free), "srd_tx_free");
    if (iface->tx.free == NULL) {
        status = UCS_ERR_NO_MEMORY;
        goto err_dereg;
    }

    lkey            = uct_efa_memh_lkey(iface->tx.slots_memh);
    iface->tx.slots = iface->tx.slots_mem;
    for (i = iface->tx.num_slots; i-- > 0; ) {
        slot              = &iface->tx.slots[i];
        slot->sge[0].addr = (uintptr_t)slot->data;
        slot->sge[0].lkey = lkey;
        if (i < iface->config.tx_queue_len) {
            uct_srd_slot_put(iface, slot);
        } else {
            iface->tx.ctl_free[iface->tx.num_ctl++] = slot;
        }
    }

    return UCS_OK;

err_dereg:
    uct_efa_md_mem_dereg(md, iface->tx.slots_memh);
err_unmap:
    munmap(iface->tx.slots_mem, iface->tx.slots_len);
err_buf_mp:
    ucs_mpool_cleanup(&iface->tx.buf_mp, 1);
err_flush_mp:
    ucs_mpool_cleanup(&iface->tx.flush_mp, 1);
    return status;
}

void uct_srd_tx_cleanup(uct_srd_iface_t *iface)
{
    uct_srd_buf_t *buf;

    while ((buf = iface->tx.bufs) != NULL) {
        iface->tx.bufs = buf->next;
        ucs_mpool_put(buf);
    }

    ucs_free(iface->tx.free);
    uct_efa_md_mem_dereg(iface->super.md, iface->tx.slots_memh);
    munmap(iface->tx.slots_mem, iface->tx.slots_len);
    ucs_mpool_cleanup(&iface->tx.buf_mp, 1);
    ucs_mpool_cleanup(&iface->tx.flush_mp, 1);
    ucs_arbiter_cleanup(&iface->tx.arbiter);
}

uct_srd_buf_t *uct_srd_buf_get_slow(uct_srd_iface_t *iface)
{
    uct_srd_buf_t *buf = ucs_mpool_get(&iface->tx.buf_mp);

    if (buf == NULL) {
        iface->tx.bufs_short = 1;
        UCT_TL_IFACE_STAT_TX_NO_DESC(&iface->super);
    }

    return buf;
}

ucs_status_t uct_srd_tx_admit(uct_srd_ep_t *ep)
{
    uct_srd_peer_t *peer   = ep->peer;
    uct_srd_iface_t *iface = peer->iface;
    ucs_status_t status;

    if (ucs_unlikely(peer->state == UCT_SRD_PEER_FAILED)) {
        return peer->status;
    }

    if ((iface->tx.num_free == 0) ||
        (!ucs_arbiter_group_is_empty(&ep->pending) &&
         (iface->tx.pending_ep != ep)) ||
        ((uint16_t)(peer->tx.psn - peer->tx.una.una) >= peer->tx.window) ||
        !ucs_queue_is_empty(&peer->tx.resend)) {
        goto no_resource;
    }

    if ((peer->state == UCT_SRD_PEER_LEAVING) && (peer->tx.byes > 0)) {
        goto no_resource; /* the remote must see them before what follows */
    }

    status = uct_srd_peer_ah_get(peer);
    if (status == UCS_ERR_NO_RESOURCE) {
        uct_srd_ctl_timer_start(peer, 1e-3);
        goto no_resource;
    } else if (status != UCS_OK) {
        uct_srd_peer_fail(peer, status);
        return status;
    }

    if (peer->state == UCT_SRD_PEER_JOINED) {
        uct_srd_peer_tx_update(peer); /* the AH may be a new one */
    } else if (peer->state != UCT_SRD_PEER_JOINING) {
        uct_srd_ctl_join(peer);
    }

    return UCS_OK;

no_resource:
    UCT_SRD_COUNT(iface, no_resource);
    return UCS_ERR_NO_RESOURCE;
}

/* Bytes of payload */
static size_t uct_srd_slot_length(const uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_BUF) {
        return slot->sge[2].length;
    } else if (slot->flags & UCT_SRD_SLOT_ZCOPY) {
        return slot->sge[0].length + slot->sge[1].length;
    }

    return slot->sge[0].length;
}

static int uct_srd_slot_must_wait(const uct_srd_slot_t *slot)
{
    return (slot->peer->state != UCT_SRD_PEER_JOINED) &&
           (uct_srd_slot_length(slot) + UCT_SRD_EXT_LEN >
            uct_srd_iface_md(slot->peer->iface)->dev.max_msg_sz);
}

ucs_status_t uct_srd_tx_post(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_peer_t *peer   = slot->peer;
    struct ibv_send_wr *wr = &iface->tx.wrs[iface->tx.batch];
    size_t total           = uct_srd_slot_length(slot);
    struct ibv_sge *sge    = iface->tx.sges[iface->tx.batch];
    struct ibv_send_wr *bad;
    unsigned num_sge;
    uint32_t imm;
    int ret;

    if (slot->flags & UCT_SRD_SLOT_BUF) {
        sge[0]  = slot->sge[2];
        num_sge = 1;
    } else {
        sge[0]  = slot->sge[0];
        sge[1]  = slot->sge[1];
        num_sge = ((slot->flags & UCT_SRD_SLOT_ZCOPY) &&
                   (slot->sge[1].length > 0)) ? 2 : 1;
    }

    imm = slot->imm;
    if (slot->flags & UCT_SRD_SLOT_CTL) {
        memcpy(&wr->wr.ud, &slot->dest, sizeof(wr->wr.ud));
    } else {
        memcpy(&wr->wr.ud, &peer->tx.dest, sizeof(wr->wr.ud));
        imm |= uct_srd_imm_pack(peer->epoch, 0, 0, 0);
        if (peer->state != UCT_SRD_PEER_JOINED) {
            imm           |= UCT_SRD_IMM_EXT;
            sge[0].addr   -= UCT_SRD_EXT_LEN;
            sge[0].length += UCT_SRD_EXT_LEN;
            total         += UCT_SRD_EXT_LEN;
            uct_srd_ext_fill(iface, peer->epoch, UCT_SRD_OP_DATA,
                             peer->tx.una.una, (void*)sge[0].addr);
            peer->contacted = 1;
            UCT_SRD_COUNT(iface, tx_ext);
        }
    }

    if ((num_sge == 2) && (sge[0].length == 0)) {
        ++sge;
        num_sge = 1;
    }

    wr->wr_id      = (uintptr_t)slot | UCT_SRD_WR_ID_SEND;
    wr->sg_list    = sge;
    wr->num_sge    = num_sge;
    wr->imm_data   = htobe32(imm);
    wr->send_flags = (total <= iface->tx.max_inline) ? IBV_SEND_INLINE : 0;
    wr->next       = NULL;
    slot->flags   &= ~UCT_SRD_SLOT_QUEUED;

    if (iface->tx.batching) {
        if (++iface->tx.batch == UCT_SRD_POST_BATCH) {
            uct_srd_tx_batch_end(iface);
            uct_srd_tx_batch_begin(iface);
        }
        return UCS_OK;
    }

    ret = ibv_post_send(iface->qp, wr, &bad);
    if (ucs_unlikely(ret != 0)) {
        return uct_srd_tx_refused(peer, ret);
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    return UCS_OK;
}

void uct_srd_tx_batch_begin(uct_srd_iface_t *iface)
{
    iface->tx.batching = 1;
    iface->tx.batch    = 0;
}

void uct_srd_tx_batch_end(uct_srd_iface_t *iface)
{
    unsigned count = iface->tx.batch;
    struct ibv_send_wr *bad;
    uct_srd_slot_t *slot;
    unsigned i;
    int ret;

    iface->tx.batching = 0;
    iface->tx.batch    = 0;
    if (count == 0) {
        return;
    }

    for (i = 0; i < count - 1; ++i) {
        iface->tx.wrs[i].next = &iface->tx.wrs[i + 1];
    }

    UCT_SRD_COUNT(iface, tx_doorbells);
    ret = ibv_post_send(iface->qp, iface->tx.wrs, &bad);
    if (ucs_likely(ret == 0)) {
        return;
    }

    /* Their PSNs are used: the peers fail, and with them what is queued. */
    for (; bad != NULL; bad = bad->next) {
        slot = (uct_srd_slot_t*)(bad->wr_id & ~UCT_SRD_WR_ID_SEND);
        uct_srd_tx_refused(slot->peer, ret);
        if (slot->flags & UCT_SRD_SLOT_CTL) {
            uct_srd_ctl_done(iface, slot, UCT_EFA_STATUS_FLUSHED);
        } else {
            slot->flags |= UCT_SRD_SLOT_QUEUED;
            ucs_queue_push(&slot->peer->tx.resend, &slot->queue);
        }
    }
}

ucs_status_t uct_srd_tx_refused(uct_srd_peer_t *peer, int error)
{
    char cause[64];

    if (peer != NULL) {
        snprintf(cause, sizeof(cause), "ibv_post_send: %s", strerror(error));
        uct_srd_peer_fail_log(peer, UCS_ERR_IO_ERROR, cause,
                              "the local queue pair refused a send; look for "
                              "an earlier error, else please report it");
    }

    return UCS_ERR_IO_ERROR;
}

ucs_status_t uct_srd_tx_refused_slot(uct_srd_iface_t *iface,
                                     uct_srd_peer_t *peer,
                                     uct_srd_slot_t *slot, int error)
{
    slot->flags |= UCT_SRD_SLOT_SILENT;
    uct_srd_slot_release(iface, slot, UCS_ERR_IO_ERROR);
    return uct_srd_tx_refused(peer, error);
}

ucs_status_t uct_srd_tx_send(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                             uct_srd_slot_t *slot, unsigned am_id, size_t total)
{
    ucs_status_t status;

    slot->peer    = peer;
    slot->retries = 0;
    slot->imm     = (am_id << UCT_SRD_IMM_AM_SHIFT) | peer->tx.psn;

    if (uct_srd_slot_must_wait(slot)) {
        if (ucs_queue_is_empty(&peer->tx.held)) {
            uct_srd_ctl_send(peer, UCT_SRD_OP_HELLO, peer->tx.una.una);
        }
        slot->flags |= UCT_SRD_SLOT_QUEUED;
        ucs_queue_push(&peer->tx.held, &slot->queue);
    } else {
        status = uct_srd_tx_post(iface, slot);
        if (ucs_unlikely(status != UCS_OK)) {
            slot->flags |= UCT_SRD_SLOT_SILENT;
            uct_srd_slot_release(iface, slot, status);
            return status;
        }
    }

    ++peer->tx.psn;
    if (peer->tx.credit > 0) {
        --peer->tx.credit;
    }

    UCT_SRD_COUNT(iface, tx_msgs);
    UCT_SRD_COUNT_ADD(iface, tx_bytes, total);
    return UCS_OK;
}

ucs_status_t uct_srd_tx_detach(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    uct_srd_ep_t *ep   = slot->ep;
    uct_srd_buf_t *buf = uct_srd_buf_get(iface);

    if (buf == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    memcpy(buf->data, slot->data, slot->sge[0].length);
    if (slot->sge[1].length > 0) {
        memcpy(buf->data + slot->sge[0].length, (void*)slot->sge[1].addr,
               slot->sge[1].length);
    }
    slot->sge[2].addr   = (uintptr_t)buf->data;
    slot->sge[2].length = slot->sge[0].length + slot->sge[1].length;
    slot->sge[2].lkey   = buf->lkey;
    slot->buf           = buf;
    slot->flags        &= ~(UCT_SRD_SLOT_ZCOPY | UCT_SRD_SLOT_CANCEL);
    slot->flags        |= UCT_SRD_SLOT_BUF;

    --ep->zcopy;
    if (slot->comp != NULL) {
        uct_invoke_completion(slot->comp, UCS_ERR_CANCELED);
    }

    return UCS_OK;
}

void uct_srd_slot_release(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          ucs_status_t status)
{
    unsigned flags         = slot->flags;
    uct_completion_t *comp = slot->comp;
    uct_srd_ep_t *ep       = slot->ep;

    slot->flags = 0;
    if (flags & UCT_SRD_SLOT_BUF) {
        uct_srd_buf_put(iface, slot->buf);
    }

    uct_srd_slot_put(iface, slot);

    if (flags & UCT_SRD_SLOT_ZCOPY) {
        --ep->zcopy;
        if ((flags & UCT_SRD_SLOT_CANCEL) && (status == UCS_OK)) {
            status = UCS_ERR_CANCELED;
        }
        if ((comp != NULL) && !(flags & UCT_SRD_SLOT_SILENT)) {
            uct_invoke_completion(comp, status);
        }
        if (ep->zcopy == 0) {
            uct_srd_ep_cancel_done(ep);
        }
    }
}

/* The slot's message has come to its end. */
static void uct_srd_tx_finish(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                              ucs_status_t status)
{
    uct_srd_peer_t *peer = slot->peer;

    /* una moves before the user hears of it; the peer stays until all is said */
    peer->tx.credit += uct_srd_una_done(&peer->tx.una, (uint16_t)slot->imm);
    ++peer->tx.ctl;
    uct_srd_slot_release(iface, slot, status);
    --peer->tx.ctl;

    if (peer->tx.flags != 0) {
        uct_srd_peer_tx_progress(peer);
    }
}

void uct_srd_tx_done_slow(uct_srd_iface_t *iface, uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_CTL) {
        uct_srd_ctl_done(iface, slot, UCT_EFA_STATUS_OK);
        return;
    }

    uct_srd_tx_finish(iface, slot,
                      (slot->peer->state == UCT_SRD_PEER_FAILED) ?
                      slot->peer->status : UCS_OK);
}

void uct_srd_tx_purge(uct_srd_peer_t *peer, ucs_queue_head_t *queue,
                      ucs_status_t status)
{
    uct_srd_slot_t *slot;

    while (!ucs_queue_is_empty(queue)) {
        slot = ucs_queue_pull_elem_non_empty(queue, uct_srd_slot_t, queue);
        uct_srd_una_done(&peer->tx.una, (uint16_t)slot->imm);
        uct_srd_slot_release(peer->iface, slot, status);
    }
}

void uct_srd_tx_queue_post(uct_srd_peer_t *peer, ucs_queue_head_t *queue)
{
    uct_srd_iface_t *iface = peer->iface;
    int nested             = iface->tx.batching;
    uct_srd_slot_t *slot;

    if (!nested) {
        uct_srd_tx_batch_begin(iface);
    }

    while (!ucs_queue_is_empty(queue)) {
        slot = ucs_queue_head_elem_non_empty(queue, uct_srd_slot_t, queue);
        ucs_queue_pull_non_empty(queue);
        if (uct_srd_slot_must_wait(slot)) {
            ucs_queue_push(&peer->tx.held, &slot->queue);
            continue;
        }

        uct_srd_tx_post(iface, slot); /* in a batch: cannot fail here */
        if (peer->state == UCT_SRD_PEER_FAILED) {
            break;
        }
    }

    if (!nested) {
        uct_srd_tx_batch_end(iface);
    }
}

static void uct_srd_tx_resend_later(uct_srd_peer_t *peer, uct_srd_slot_t *slot)
{
    uct_srd_iface_t *iface = peer->iface;
    ucs_time_t now         = ucs_get_time();
    double delay;

    if (slot->flags & UCT_SRD_SLOT_CANCEL) {
        (void)uct_srd_tx_detach(iface, slot);
    }

    slot->flags |= UCT_SRD_SLOT_QUEUED;
    ucs_queue_push(&peer->tx.resend, &slot->queue);
    UCT_SRD_COUNT(iface, resend);
    ++peer->win->resend;

    if (!uct_srd_timer_is_set(&peer->tx.timer)) {
        /* Long since the last failure: start with short pauses again */
        if (now > peer->tx.timer.deadline +
                          ucs_time_from_sec(2 * UCT_SRD_BACKOFF_MAX)) {
            peer->tx.backoff = 0;
        }

        delay = ucs_min(UCT_SRD_BACKOFF_MIN * (1u << peer->tx.backoff),
                        UCT_SRD_BACKOFF_MAX);
        if (peer->tx.backoff < UCT_SRD_BACKOFF_STEPS) {
            ++peer->tx.backoff;
        }

        if (uct_srd_timer_set(&iface->timers, &peer->tx.timer,
                              now + ucs_time_from_sec(delay)) != UCS_OK) {
            uct_srd_peer_fail_log(peer, UCS_ERR_NO_MEMORY,
                                  "no memory for a timer", "free memory");
            return;
        }
    }

    uct_srd_peer_tx_update(peer);
}

void uct_srd_tx_timer(uct_srd_timer_t *timer)
{
    uct_srd_peer_t *peer = ucs_container_of(timer, uct_srd_peer_t, tx.timer);

    uct_srd_tx_queue_post(peer, &peer->tx.resend);
    uct_srd_peer_tx_progress(peer);
}

void uct_srd_tx_error(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                      unsigned vendor_err)
{
    const uct_efa_status_desc_t *desc = uct_efa_status_desc(vendor_err);
    uct_srd_peer_t *peer              = slot->peer;

    if (slot->flags & UCT_SRD_SLOT_CTL) {
        uct_srd_ctl_done(iface, slot, vendor_err);
        return;
    }

    if (peer->state != UCT_SRD_PEER_FAILED) {
        switch (desc->action) {
        case UCT_EFA_STATUS_ACTION_RESEND:
            UCT_SRD_COUNT(iface, rnr);
            ++peer->win->rnr;
            uct_srd_tx_resend_later(peer, slot);
            return;
        case UCT_EFA_STATUS_ACTION_RETRY:
            if (slot->retries++ < iface->config.retry_count) {
                uct_srd_tx_resend_later(peer, slot);
                return;
            }
            break;
        case UCT_EFA_STATUS_ACTION_FAIL_IFACE:
            if (!iface->closing) {
                uct_srd_iface_fail(iface, desc);
            }
            break;
        default:
            break;
        }

        UCT_SRD_COUNT(iface, tx_errors);
        uct_srd_peer_fail_log(peer, desc->status, desc->text, desc->advice);
    }

    uct_srd_tx_finish(iface, slot, peer->status);
}
