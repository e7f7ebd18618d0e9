/*
 * Making and taking apart QPs. Their states: qp_modify.c.
 *
 *   memory of a QP:  SQ doorbell page | RQ doorbell page | SQ | RQ
 *   QPN, 16 bits:    | generation | index : log2(roundup_pow2(max_qp)) |
 */
#include "config/options.h"
#include "fabric/admin.h"
#include "fabric/heap.h"
#include "fabric/lock.h"
#include "fabric/reap.h"
#include "fabric/table.h"
#include "faults/fault.h"
#include "nic/dev.h"
#include "nic/engine.h"
#include "nic/pd.h"
#include "nic/rq.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <string.h>

static unsigned cq_next_sub(softefa_cq_t *cq)
{
    return cq->next_sub_cq++ % cq->shm->num_sub_cqs;
}

static uint16_t qp_number(const softefa_shm_dev_t *dev, uint32_t index,
                          uint16_t generation)
{
    uint32_t upper = 65536 / (dev->qp_mask + 1);

    /* The upper bits are never zero, so that no QP is number 0 or 1. */
    return (upper < 2) ?
                   index :
                   (((generation % (upper - 1)) + 1) * (dev->qp_mask + 1) +
                    index);
}

static int qp_check_attr(const softefa_dev_t *dev,
                         const softefa_qp_attr_t *attr)
{
    uint32_t sq_size = attr->sq_entry_size ?
                               (attr->sq_ring_size / attr->sq_entry_size) :
                               0;
    uint32_t rq_size = attr->rq_ring_size / sizeof(softefa_io_rx_t);

    if (((attr->sq_entry_size != SOFTEFA_WQE_SIZE) &&
         (attr->sq_entry_size != SOFTEFA_WQE_SIZE_EX)) ||
        ((sq_size != 0) && !softefa_is_pow2(sq_size)) || (sq_size > 32768) ||
        ((rq_size != 0) && !softefa_is_pow2(rq_size)) || (rq_size > 32768) ||
        (attr->send_cq == NULL) || (attr->recv_cq == NULL) ||
        (attr->send_cq->dev != dev) || (attr->recv_cq->dev != dev)) {
        return EINVAL;
    }

    return 0;
}

/* Under the admin lock and its own, which this drops */
static void qp_init_shared(softefa_qp_t *qp, const softefa_qp_attr_t *attr,
                           uint32_t index, softefa_qp_map_t *map)
{
    softefa_shm_dev_t *dev = qp->dev->shm;
    softefa_shm_qp_t *shm  = qp->shm;
    uint64_t offset        = shm->extent.offset;

    map->sq_db_key   = offset;
    map->rq_db_key   = offset + softefa_page_size();
    map->sq_key      = offset + (2 * softefa_page_size());
    map->sq_size     = softefa_page_align(attr->sq_ring_size);
    map->rq_key      = map->sq_key + map->sq_size;
    map->rq_size     = softefa_page_align(attr->rq_ring_size);
    map->qpn         = qp_number(dev, index, ++shm->generation);
    map->send_sub_cq = cq_next_sub(qp->send_cq);
    map->recv_sub_cq = cq_next_sub(qp->recv_cq);

    shm->qpn         = map->qpn;
    shm->pdn         = attr->pdn;
    shm->qkey        = 0;
    shm->send_cq     = qp->send_cq->index;
    shm->recv_cq     = qp->recv_cq->index;
    shm->recv_sub_cq = map->recv_sub_cq;
    shm->type        = attr->type;
    shm->unsolicited = attr->unsolicited_write_recv;
    shm->rq_size     = attr->rq_ring_size / sizeof(softefa_io_rx_t);
    shm->rq_mask     = (shm->rq_size > 0) ? (shm->rq_size - 1) : 0;
    shm->rq_ring     = map->rq_key;
    shm->rq_db       = map->rq_db_key;
    shm->rdma_target = 0;
    shm->cookie      = attr->cookie;
    shm->events      = 0;
    ++qp->send_cq->shm->refs;
    ++qp->recv_cq->shm->refs;

    softefa_rq_set_head(shm, 0);
    shm->journal_head = 0;
    atomic_store_explicit(&shm->obj.state, SOFTEFA_STATE_ALIVE + IBV_QPS_RESET,
                          memory_order_release);
    softefa_unlock(&shm->lock);
}

/* Finds an entry and takes its lock. One whose lock a late sender to the QP
 * before has, and is stopped, stays reserved until this process ends. */
static int qp_take_entry(softefa_dev_t *dev, uint32_t *index_p)
{
    softefa_shm_qp_t *shm;
    int ret;

    do {
        ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_QP, dev->owner,
                                  index_p);
        if (ret != 0) {
            return ret;
        }
        shm = &dev->shm->qp[*index_p];
    } while (softefa_lock(&shm->lock) == EBUSY);

    return 0;
}

static int qp_init_local(softefa_qp_t *qp, const softefa_qp_attr_t *attr)
{
    const softefa_options_t *options = softefa_options();

    qp->sq_size   = attr->sq_ring_size / attr->sq_entry_size;
    qp->wqe_shift = (attr->sq_entry_size == SOFTEFA_WQE_SIZE) ?
                            SOFTEFA_WQE_SHIFT :
                            SOFTEFA_WQE_SHIFT_EX;
    qp->reorder   = softefa_fault_reorder(qp->dev->index);
    if (options->reorder > qp->reorder) {
        qp->reorder = options->reorder;
    }
    qp->planned = softefa_fault_planned();
    qp->slow    = qp->planned || (qp->reorder > 0);
    qp->flight  = calloc(qp->sq_size + 1, sizeof(*qp->flight));
    qp->held    = calloc(qp->sq_size + 1, sizeof(*qp->held));
    if ((qp->flight == NULL) || (qp->held == NULL)) {
        free(qp->flight);
        free(qp->held);
        return ENOMEM;
    }

    return 0;
}

/* Under the admin lock: the entry in the table, its references, its memory */
static int qp_alloc(softefa_qp_t *qp, const softefa_qp_attr_t *attr,
                    uint32_t *index)
{
    softefa_dev_t *dev = qp->dev;
    uint64_t size;
    int ret;

    ret = softefa_pd_hold(dev, attr->pdn, 1);
    if (ret != 0) {
        return ret;
    }

    ret = qp_take_entry(dev, index);
    if (ret != 0) {
        goto err_pd;
    }

    qp->shm = &dev->shm->qp[*index];
    size = (2 * softefa_page_size()) + softefa_page_align(attr->sq_ring_size) +
           softefa_page_align(attr->rq_ring_size);
    ret = softefa_heap_alloc(&qp->shm->extent, size);
    if (ret != 0) {
        goto err_table;
    }

    return 0;

err_table:
    softefa_unlock(&qp->shm->lock);
    softefa_table_release(dev->shm, SOFTEFA_KIND_QP, *index);
err_pd:
    softefa_pd_hold(dev, attr->pdn, -1);
    return ret;
}

int softefa_qp_create(softefa_dev_t *dev, const softefa_qp_attr_t *attr,
                      softefa_qp_t **qp_p, softefa_qp_map_t *map)
{
    softefa_qp_t *qp;
    uint32_t index;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = qp_check_attr(dev, attr);
    if (ret != 0) {
        return ret;
    }

    qp = calloc(1, sizeof(*qp));
    if (qp == NULL) {
        return ENOMEM;
    }

    qp->dev        = dev;
    qp->send_cq    = attr->send_cq;
    qp->recv_cq    = attr->recv_cq;
    qp->type       = attr->type;
    qp->pdn        = attr->pdn;
    qp->max_inline = attr->max_inline;
    qp->rnr_retry  = 7;
    qp->state      = IBV_QPS_RESET;
    ret            = qp_init_local(qp, attr);
    if (ret != 0) {
        goto err_free;
    }

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        goto err_local;
    }

    ret = qp_alloc(qp, attr, &index);
    if (ret == 0) {
        memset(map, 0, sizeof(*map));
        qp_init_shared(qp, attr, index, map);
    }
    softefa_admin_unlock();
    if (ret != 0) {
        goto err_local;
    }

    qp->qpn         = map->qpn;
    qp->send_sub_cq = map->send_sub_cq;
    qp->sq          = softefa_fabric_at(map->sq_key);
    qp->sq_db       = softefa_fabric_at(map->sq_db_key);
    qp->random      = (softefa_options()->seed * 0x9e3779b97f4a7c15ull) ^
                 (((uint64_t)dev->index << 32) | (index + 1));
    if (qp->random == 0) {
        qp->random = 1;
    }
    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->qps, &qp->link);
    pthread_mutex_unlock(&dev->lock);
    *qp_p = qp;
    return 0;

err_local:
    free(qp->held);
    free(qp->flight);
err_free:
    free(qp);
    return ret;
}

void softefa_qp_rings(const softefa_qp_t *qp, softefa_ring_t *sq,
                      softefa_ring_t *rq)
{
    const softefa_shm_qp_t *shm = qp->shm;

    sq->ring        = (uint8_t *)qp->sq;
    sq->entry_size  = 1u << qp->wqe_shift;
    sq->num_entries = qp->sq_size;
    sq->doorbell    = (uint32_t *)qp->sq_db;
    rq->ring        = softefa_fabric_at(shm->rq_ring);
    rq->entry_size  = sizeof(softefa_io_rx_t);
    rq->num_entries = shm->rq_size;
    rq->doorbell    = softefa_fabric_at(shm->rq_db);
}

/* Also if it fails, no message comes in any more. */
static int qp_release(softefa_qp_t *qp)
{
    softefa_dev_t *dev    = qp->dev;
    softefa_shm_qp_t *shm = qp->shm;
    int ret;

    shm->obj.state = SOFTEFA_STATE_RESERVED;
    ret            = softefa_lock_command(&shm->lock, "a receive queue");
    if (ret == ETIME) {
        return ret;
    }

    softefa_unlock(&shm->lock);
    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    softefa_reap_qp(shm);
    softefa_pd_hold(dev, qp->pdn, -1);
    --qp->send_cq->shm->refs;
    --qp->recv_cq->shm->refs;
    softefa_table_release(dev->shm, SOFTEFA_KIND_QP, shm - dev->shm->qp);
    softefa_admin_unlock();
    return 0;
}

int softefa_qp_destroy(softefa_qp_t *qp)
{
    softefa_dev_t *dev = qp->dev;
    int ret;

    if (softefa_dev_valid(dev)) {
        softefa_lock_local(&qp->lock);
        softefa_engine_flush(qp, false);
        softefa_unlock_local(&qp->lock);
        ret = qp_release(qp);
        if ((ret != 0) && !dev->closing) {
            return ret;
        }
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&qp->link);
    pthread_mutex_unlock(&dev->lock);
    free(qp->held);
    free(qp->flight);
    free(qp);
    return 0;
}
