/*
 * The receive FIFO of a CQ. See fifo.h.
 *
 *   record    softefa_fifo_record_t | payload, padded to a cache line; in one
 *             piece: before the end of the memory one without a QP fills up
 *
 * Death of the sender: `fifo_head` is the commit. As with an entry of the ring
 * the QP's journal tells whether its request has been taken (cq.c), whichever
 * process takes the CQ's lock next.
 */
#include "nic/fifo.h"
#include "base/point.h"
#include "config/options.h"
#include "nic/cq.h"
#include "nic/dev.h"
#include "nic/host.h"
#include "nic/mr.h"
#include "nic/rq.h"
#include "nic/rx.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <string.h>

static_assert(sizeof(softefa_fifo_record_t) == SOFTEFA_CACHE_LINE,
              "one cache line");

#define FIFO_MIN_SIZE 4096u
#define FIFO_MAX_SIZE 131072u
#define FIFO_NO_QP    UINT32_MAX
#define FIFO_BATCH    16u            /* records that one copy moves */

uint32_t softefa_fifo_size(uint64_t rings)
{
    uint32_t size = FIFO_MIN_SIZE;

    while ((size < rings) && (size < FIFO_MAX_SIZE)) {
        size *= 2;
    }
    return size;
}

static void fifo_set_tail(softefa_shm_cq_t *cq, uint32_t tail)
{
    cq->fifo_next = tail;
    cq->fifo_tail = tail;
}

/* `head` and `tail` differ, so that the first poll looks. */
void softefa_fifo_init(softefa_shm_cq_t *cq)
{
    cq->fifo_mode = SOFTEFA_FIFO_OFF;
    cq->fifo_head = 0;
    fifo_set_tail(cq, 1);
}

/* ---- the sender ---- */

/* Under the CQ's lock: where a record of `size` bytes begins, after one that
 * fills up if it must be. False: there is no room. */
static bool fifo_find(const softefa_shm_cq_t *cq, uint32_t size, uint32_t *pos)
{
    uint32_t head = cq->fifo_head;
    uint32_t room = cq->fifo_size - (head - cq->fifo_tail);
    uint32_t left = cq->fifo_size - (head & (cq->fifo_size - 1));

    *pos = head;
    if (size <= left) {
        return size <= room;
    }

    if (left + size > room) {
        return false;
    }

    softefa_fifo_at(cq, head)->size   = left;
    softefa_fifo_at(cq, head)->qp     = FIFO_NO_QP;
    softefa_fifo_at(cq, head)->sub_cq = 0;
    *pos                              = head + left;
    return true;
}

static inline uint32_t fifo_record_size(uint32_t length)
{
    return (sizeof(softefa_fifo_record_t) + length + SOFTEFA_CACHE_LINE - 1) &
           ~(SOFTEFA_CACHE_LINE - 1);
}

static void fifo_gather(void *to, const softefa_sgl_t *from)
{
    uint8_t *next = to;
    unsigned i;

    for (i = 0; i < from->count; ++i) {
        memcpy(next, from->iov[i].iov_base, from->iov[i].iov_len);
        next += from->iov[i].iov_len;
    }
}

/* The record and the request taken for it happen together or not at all, as in
 * softefa_cq_put_recv(). */
static void fifo_commit(softefa_shm_cq_t *cq, softefa_shm_qp_t *qp,
                        uint32_t head)
{
    qp->journal_lost    = 0;
    qp->journal_pos     = 0;
    qp->journal_fifo    = cq->fifo_head;
    qp->journal_in_fifo = 1;
    cq->writer          = softefa_fabric_offset(qp);
    SOFTEFA_POINT("journal");
    qp->journal_head = softefa_rq_head(qp) + 1;
    SOFTEFA_POINT("record");
    atomic_store_explicit(&cq->fifo_head, head, memory_order_release);
    SOFTEFA_POINT("commit");
    softefa_rq_set_head(qp, qp->journal_head);
    SOFTEFA_POINT("taken");
}

/* Under the CQ's lock, too */
static bool fifo_write(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const softefa_dest_t *dest, const softefa_sgl_t *local,
                       uint32_t prefix)
{
    softefa_shm_cq_t *cq        = &dest->dev->cq[dest->qp->recv_cq];
    const softefa_io_rx_t *ring = softefa_fabric_at(dest->qp->rq_ring);
    uint32_t size               = fifo_record_size(local->length);
    softefa_rx_t rx             = {.descriptors = 1};
    softefa_io_rx_t desc;
    softefa_fifo_record_t *record;
    uint32_t pos;

    if ((cq->fifo_mode != SOFTEFA_FIFO_ON) || cq->armed) {
        return false;
    }

    if (!fifo_find(cq, size, &pos)) {
        softefa_fifo_move_locked(dest->dev, cq);
        if (!fifo_find(cq, size, &pos)) {
            return false;
        }
    }

    desc           = ring[softefa_rq_head(dest->qp) & dest->qp->rq_mask];
    record         = softefa_fifo_at(cq, pos);
    record->size   = size;
    record->qp     = dest->qp - dest->dev->qp;
    record->iova   = (((uint64_t)desc.addr_hi << 32) | desc.addr_lo) + prefix;
    record->lkey   = desc.lkey_ctrl & SOFTEFA_KEY_MASK;
    record->length = local->length;
    record->sub_cq = dest->qp->recv_sub_cq;
    rx.req_id      = desc.req_id;
    softefa_rx_cqe(qp, wqe, dest, cq, rx, SOFTEFA_STATUS_OK,
                   local->length + prefix, &record->cqe);
    fifo_gather(record + 1, local);
    fifo_commit(cq, dest->qp, pos + size);
    return true;
}

bool softefa_fifo_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      const softefa_dest_t *dest, const softefa_sgl_t *local,
                      uint32_t prefix)
{
    softefa_shm_cq_t *cq = &dest->dev->cq[dest->qp->recv_cq];
    bool done;

    /* Of a process that was killed the other way finds out. */
    if (!softefa_member_alive_lately(softefa_member_slot(dest->qp->obj
                                                                 .owner)) ||
        (softefa_cq_lock(cq) != 0)) {
        return false;
    }

    done = fifo_write(qp, wqe, dest, local, prefix);
    softefa_unlock(&cq->lock);
    return done;
}

/* ---- who moves ---- */

typedef struct {
    const softefa_fifo_record_t *record[FIFO_BATCH];
    struct iovec         from[FIFO_BATCH], to[FIFO_BATCH];
    bool                 bad[FIFO_BATCH];
    unsigned             count, num_copies;
    size_t               length;
} fifo_batch_t;

/* The QP it is for; NULL: it is destroyed. */
static const softefa_shm_qp_t *
fifo_receiver(const softefa_shm_dev_t *dev, const softefa_fifo_record_t *record)
{
    const softefa_shm_qp_t *qp = &dev->qp[record->qp];
    uint32_t state             = qp->obj.state;

    return ((qp->qpn == record->cqe.qpn) && (state >= SOFTEFA_STATE_ALIVE)) ?
                   qp :
                   NULL;
}

/* Adds one. Its region may have been deregistered since. */
static void fifo_batch_add(const softefa_shm_dev_t *dev,
                           const softefa_shm_qp_t *qp,
                           const softefa_fifo_record_t *record,
                           fifo_batch_t *batch)
{
    const softefa_shm_mr_t *mr;
    softefa_sgl_t buffer = {.count = 0};
    unsigned index       = batch->count++;

    batch->record[index] = record;
    batch->bad[index]    = false;
    if (record->length == 0) {
        return;
    }

    mr = softefa_mr_find(dev, record->lkey, qp->pdn, record->iova,
                         record->length, IBV_ACCESS_LOCAL_WRITE);
    if (mr == NULL) {
        batch->bad[index] = true;
        return;
    }

    softefa_sgl_add(&buffer, mr, record->iova, record->length);
    batch->to[batch->num_copies]   = buffer.iov[0];
    batch->from[batch->num_copies] = (struct iovec){
            .iov_base = (void *)(record + 1), .iov_len = record->length};
    ++batch->num_copies;
    batch->length += record->length;
}

/* Of the first records: as many as fit, or up to one that nobody wants. */
static void fifo_batch_fill(const softefa_shm_dev_t *dev,
                            const softefa_shm_cq_t *cq, fifo_batch_t *batch)
{
    uint32_t pos = cq->fifo_tail;
    const softefa_shm_qp_t *qp;
    const softefa_fifo_record_t *record;

    batch->count      = 0;
    batch->num_copies = 0;
    batch->length     = 0;
    while ((pos != cq->fifo_head) && (batch->count < FIFO_BATCH)) {
        record = softefa_fifo_at(cq, pos);
        qp     = (record->qp == FIFO_NO_QP) ? NULL : fifo_receiver(dev, record);
        if (qp == NULL) {
            break;
        }

        fifo_batch_add(dev, qp, record, batch);
        pos += record->size;
    }
}

/* All at once; if that fails, one by one, to find out whose fault it is. */
static void fifo_batch_copy(softefa_member_t member, fifo_batch_t *batch)
{
    unsigned i, copy;

    if ((batch->num_copies == 0) ||
        (softefa_host_write(member, batch->from, batch->num_copies, batch->to,
                            batch->num_copies, batch->length) == 0)) {
        return;
    }

    for (i = 0, copy = 0; i < batch->count; ++i) {
        if ((batch->record[i]->length > 0) && !batch->bad[i]) {
            batch->bad[i] = softefa_host_write(member, &batch->from[copy], 1,
                                               &batch->to[copy], 1,
                                               batch->record[i]->length) != 0;
            ++copy;
        }
    }
}

/* The entry and the record's end happen together, also if this process dies
 * meanwhile: softefa_fifo_repair(). */
static void fifo_complete(softefa_shm_cq_t *cq, softefa_fifo_record_t *record,
                          bool bad)
{
    softefa_io_cqe_t cqe = record->cqe;

    if (bad) {
        cqe.status = SOFTEFA_STATUS_INVALID_LKEY;
    }

    record->pos = cq->head[record->sub_cq];
    SOFTEFA_POINT("moving");
    cq->fifo_next = cq->fifo_tail + record->size;
    softefa_cq_put(cq, record->sub_cq, &cqe);
    SOFTEFA_POINT("moved");
    cq->fifo_tail = cq->fifo_next;
    SOFTEFA_POINT("tail");
}

/* One that nobody wants, or that fills up. */
static void fifo_skip(softefa_shm_cq_t *cq)
{
    cq->fifo_next = cq->fifo_tail + softefa_fifo_at(cq, cq->fifo_tail)->size;
    SOFTEFA_POINT("skip");
    cq->fifo_tail = cq->fifo_next;
}

void softefa_fifo_move_locked(const softefa_shm_dev_t *dev,
                              softefa_shm_cq_t *cq)
{
    fifo_batch_t batch;
    unsigned i;

    if (cq->fifo_mode != SOFTEFA_FIFO_ON) {
        return;
    }

    while (cq->fifo_tail != cq->fifo_head) {
        fifo_batch_fill(dev, cq, &batch);
        fifo_batch_copy(softefa_member(cq->obj.owner), &batch);
        for (i = 0; i < batch.count; ++i) {
            fifo_complete(cq, (softefa_fifo_record_t *)batch.record[i],
                          batch.bad[i]);
        }
        if (batch.count == 0) {
            fifo_skip(cq);
        }
    }
}

/* ---- the owner ---- */

bool softefa_fifo_move(softefa_cq_t *handle)
{
    int ret = softefa_cq_lock(handle->shm);

    if (ret == 0) {
        softefa_fifo_move_locked(handle->dev->shm, handle->shm);
        softefa_unlock(&handle->shm->lock);
    }
    return ret != EBUSY;
}

void softefa_fifo_move_all(softefa_dev_t *dev)
{
    softefa_link_t *link;
    softefa_cq_t *cq;

    pthread_mutex_lock(&dev->lock);
    for (link = dev->cqs.next; link != &dev->cqs; link = link->next) {
        cq = softefa_container_of(link, softefa_cq_t, link);
        if (softefa_fifo_waits(cq->shm)) {
            (void)softefa_fifo_move(cq);
        }
    }
    pthread_mutex_unlock(&dev->lock);
}

void softefa_fifo_poll(softefa_cq_t *handle)
{
    softefa_shm_cq_t *cq = handle->shm;

    if (!softefa_fifo_waits(cq) || !softefa_dev_valid(handle->dev) ||
        (softefa_cq_lock(cq) != 0)) {
        return;
    }

    if (cq->fifo_mode == SOFTEFA_FIFO_OFF) {
        cq->fifo_mode = softefa_options()->fifo ? SOFTEFA_FIFO_ON :
                                                  SOFTEFA_FIFO_NEVER;
        fifo_set_tail(cq, cq->fifo_head);
    }
    softefa_fifo_move_locked(handle->dev->shm, cq);
    softefa_unlock(&cq->lock);
}

void softefa_fifo_set_seen(softefa_cq_t *handle, bool seen)
{
    softefa_shm_cq_t *cq = handle->shm;

    if (!softefa_dev_valid(handle->dev) || (softefa_cq_lock(cq) != 0)) {
        return;
    }

    softefa_fifo_move_locked(handle->dev->shm, cq);
    if (!seen) {
        cq->fifo_mode = SOFTEFA_FIFO_NEVER;
        fifo_set_tail(cq, cq->fifo_head);
    } else if (cq->fifo_mode == SOFTEFA_FIFO_NEVER) {
        cq->fifo_mode = SOFTEFA_FIFO_OFF;
        fifo_set_tail(cq, cq->fifo_head + 1);
    }
    softefa_unlock(&cq->lock);
}
