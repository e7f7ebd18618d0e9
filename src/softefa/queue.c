/*
 * Making and taking apart completion channels, CQs and QPs; QP states.
 *
 *   memory of a CQ:  doorbell page | sub-CQ 0 .. n-1
 *   memory of a QP:  SQ doorbell page | RQ doorbell page | SQ | RQ
 *
 *   QP state   receives                 sends
 *   RESET INIT no: status 9             no
 *   RTR        yes                      no
 *   RTS        yes                      yes
 *   SQD SQE    yes                      entries wait
 *   ERR        no: status 9             status 1; posted receives as well
 */
#define _GNU_SOURCE
#include "log.h"
#include "object.h"
#include "sys.h"
#include "table.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static uint64_t page_size(void)
{
    return sysconf(_SC_PAGESIZE);
}

static uint64_t page_align(uint64_t size)
{
    return (size + page_size() - 1) & ~(page_size() - 1);
}

static bool is_pow2(uint32_t value)
{
    return (value != 0) && ((value & (value - 1)) == 0);
}

/*
 * Completion channels
 */

static void channel_put(softefa_shm_channel_t *shm)
{
    if (--shm->refs == 0) {
        shm->obj.state = SOFTEFA_STATE_FREE;
    }
}

static int channel_alloc(softefa_dev_t *dev, unsigned *index)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    softefa_shm_channel_t *channel;
    unsigned i;

    for (i = 0; i < SOFTEFA_MAX_CHANNELS; ++i) {
        channel = &shm->channel[i];
        if (channel->obj.state == SOFTEFA_STATE_FREE) {
            channel->obj.owner = dev->owner;
            channel->obj.state = SOFTEFA_STATE_ALIVE;
            channel->refs      = 1;
            ++channel->generation;
            if (i >= shm->num_channels) {
                shm->num_channels = i + 1;
            }
            *index = i;
            return 0;
        }
    }

    return ENOMEM;
}

int softefa_channel_create(softefa_dev_t *dev, softefa_channel_t **channel_p,
                           int *fd)
{
    char name[SOFTEFA_CHANNEL_NAME];
    softefa_channel_t *channel;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        return ENOMEM;
    }

    channel->dev = dev;
    softefa_admin_lock();
    ret = channel_alloc(dev, &channel->index);
    softefa_admin_unlock();
    if (ret != 0) {
        goto err;
    }

    /* Our own write end keeps the reader from seeing an end of file. */
    channel->shm = &softefa_fabric.shm->channel[channel->index];
    snprintf(name, sizeof(name), "ev%u", channel->index);
    unlinkat(softefa_fabric.dir_fd, name, 0);
    if (mkfifoat(softefa_fabric.dir_fd, name, 0600) < 0) {
        ret = errno;
        goto err_put;
    }

    *fd = softefa_sys_openat(softefa_fabric.dir_fd, name,
                             O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (*fd < 0) {
        ret = errno;
        goto err_unlink;
    }

    channel->purge_fd = softefa_sys_openat(softefa_fabric.dir_fd, name,
                                           O_RDWR | O_NONBLOCK | O_NOFOLLOW |
                                           O_CLOEXEC, 0);
    if (channel->purge_fd < 0) {
        ret = errno;
        goto err_close;
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->channels, &channel->link);
    pthread_mutex_unlock(&dev->lock);
    *channel_p = channel;
    return 0;

err_close:
    softefa_sys_close(*fd);
err_unlink:
    unlinkat(softefa_fabric.dir_fd, name, 0);
err_put:
    softefa_admin_lock();
    channel_put(channel->shm);
    softefa_admin_unlock();
err:
    free(channel);
    return ret;
}

int softefa_channel_destroy(softefa_channel_t *channel)
{
    softefa_dev_t *dev = channel->dev;
    char name[SOFTEFA_CHANNEL_NAME];

    if (softefa_dev_valid(dev)) {
        snprintf(name, sizeof(name), "ev%u", channel->index);
        unlinkat(softefa_fabric.dir_fd, name, 0);
        softefa_admin_lock();
        channel_put(channel->shm);
        softefa_admin_unlock();
    }

    softefa_event_forget(channel->index);
    softefa_sys_close(channel->purge_fd);
    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&channel->link);
    pthread_mutex_unlock(&dev->lock);
    free(channel);
    return 0;
}

/* Takes this CQ's events out of the channel, as the kernel does when a CQ is
 * destroyed. Returns how many. The others go back in their order. */
static uint32_t channel_purge(softefa_channel_t *channel, uint64_t cookie)
{
    uint32_t purged = 0;
    uint64_t *events;
    ssize_t length;
    int size, i, count;

    if ((ioctl(channel->purge_fd, FIONREAD, &size) < 0) || (size == 0)) {
        return 0;
    }

    events = malloc(size);
    if (events == NULL) {
        return 0;
    }

    length = read(channel->purge_fd, events, size);
    count  = (length > 0) ? (length / sizeof(*events)) : 0;
    for (i = 0; i < count; ++i) {
        if (events[i] == cookie) {
            ++purged;
        } else if (write(channel->purge_fd, &events[i],
                         sizeof(events[i])) < 0) {
            softefa_error("lost a completion event: %s", strerror(errno));
        }
    }

    free(events);
    return purged;
}

/*
 * Completion queues
 */

int softefa_cq_create(softefa_dev_t *dev, const softefa_cq_attr_t *attr,
                      softefa_cq_t **cq_p, softefa_cq_map_t *map)
{
    uint64_t size = (uint64_t)attr->depth * attr->entry_size *
                    attr->num_sub_cqs;
    softefa_shm_cq_t *shm;
    softefa_cq_t *cq;
    uint32_t index;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    if (!is_pow2(attr->depth) || (attr->depth > dev->profile.max_cqe) ||
        ((attr->entry_size != 16) && (attr->entry_size != 32)) ||
        (attr->with_sgid && (attr->entry_size != 32)) ||
        (attr->num_sub_cqs == 0) ||
        (attr->num_sub_cqs > SOFTEFA_MAX_SUB_CQS)) {
        return EINVAL;
    }

    cq = calloc(1, sizeof(*cq));
    if (cq == NULL) {
        return ENOMEM;
    }

    softefa_admin_lock();
    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_CQ, dev->owner, &index);
    if (ret != 0) {
        goto err;
    }

    shm = &dev->shm->cq[index];
    ret = softefa_heap_alloc(&shm->extent, page_size() + page_align(size));
    if (ret != 0) {
        softefa_table_release(dev->shm, SOFTEFA_KIND_CQ, index);
        goto err;
    }

    shm->depth       = attr->depth;
    shm->entry_size  = attr->entry_size;
    shm->num_sub_cqs = attr->num_sub_cqs;
    shm->db          = shm->extent.offset;
    shm->ring        = shm->extent.offset + page_size();
    shm->cookie      = attr->cookie;
    shm->with_sgid   = attr->with_sgid;
    shm->refs        = 0;
    shm->channel     = 0;
    if (attr->channel != NULL) {
        shm->channel = attr->channel->index + 1;
        ++attr->channel->shm->refs;
    }
    softefa_lock_setup(&shm->lock);
    softefa_lock(&shm->lock);
    memset(shm->head, 0, sizeof(shm->head));
    shm->armed   = 0;
    shm->events  = 0;
    shm->overrun = 0;
    atomic_store_explicit(&shm->obj.state, SOFTEFA_STATE_ALIVE,
                          memory_order_release);
    softefa_unlock(&shm->lock);
    softefa_admin_unlock();

    cq->dev     = dev;
    cq->shm     = shm;
    cq->channel = attr->channel;
    cq->index   = index;
    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->cqs, &cq->link);
    pthread_mutex_unlock(&dev->lock);

    map->cqn       = index;
    map->ring_key  = shm->ring;
    map->ring_size = page_align(size);
    map->db_key    = shm->db;
    *cq_p          = cq;
    return 0;

err:
    softefa_admin_unlock();
    free(cq);
    return ret;
}

/* Under the admin lock. Nobody writes into the ring afterwards. */
void softefa_cq_reap(softefa_shm_cq_t *cq)
{
    if (cq->obj.state >= SOFTEFA_STATE_ALIVE) {
        softefa_lock(&cq->lock);
        cq->obj.state = SOFTEFA_STATE_RESERVED;
        softefa_unlock(&cq->lock);
    }

    softefa_heap_free(&cq->extent);
}

int softefa_cq_destroy(softefa_cq_t *cq, uint32_t *events)
{
    softefa_dev_t *dev    = cq->dev;
    softefa_shm_cq_t *shm = cq->shm;

    *events = 0;
    if (softefa_dev_valid(dev)) {
        softefa_admin_lock();
        if (shm->refs > 0) {
            softefa_admin_unlock();
            return EBUSY;
        }

        softefa_lock(&shm->lock);
        shm->obj.state = SOFTEFA_STATE_RESERVED;
        *events        = shm->events;
        softefa_unlock(&shm->lock);
        if (cq->channel != NULL) {
            *events -= channel_purge(cq->channel, shm->cookie);
            channel_put(cq->channel->shm);
        }
        softefa_cq_reap(shm);
        softefa_table_release(dev->shm, SOFTEFA_KIND_CQ, cq->index);
        softefa_admin_unlock();
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&cq->link);
    pthread_mutex_unlock(&dev->lock);
    free(cq);
    return 0;
}

/*
 * Queue pairs
 */

static unsigned cq_next_sub(softefa_cq_t *cq)
{
    return cq->next_sub_cq++ % cq->shm->num_sub_cqs;
}

static uint16_t qp_number(const softefa_shm_dev_t *dev, uint32_t index,
                          uint16_t generation)
{
    uint32_t upper = 65536 / (dev->qp_mask + 1);

    /* The upper bits are never zero, so that no QP is number 0 or 1. */
    return (upper < 2) ? index :
           (((generation % (upper - 1)) + 1) * (dev->qp_mask + 1) + index);
}

static int qp_check_attr(const softefa_dev_t *dev,
                         const softefa_qp_attr_t *attr)
{
    uint32_t sq_size = attr->sq_entry_size ?
                       (attr->sq_ring_size / attr->sq_entry_size) : 0;
    uint32_t rq_size = attr->rq_ring_size / sizeof(softefa_io_rx_t);

    if (((attr->sq_entry_size != SOFTEFA_WQE_SIZE) &&
         (attr->sq_entry_size != SOFTEFA_WQE_SIZE_EX)) ||
        ((sq_size != 0) && !is_pow2(sq_size)) || (sq_size > 32768) ||
        ((rq_size != 0) && !is_pow2(rq_size)) || (rq_size > 32768) ||
        (attr->send_cq == NULL) || (attr->recv_cq == NULL) ||
        (attr->send_cq->dev != dev) || (attr->recv_cq->dev != dev)) {
        return EINVAL;
    }

    return 0;
}

static void qp_init_shared(softefa_qp_t *qp, const softefa_qp_attr_t *attr,
                           uint32_t index, softefa_qp_map_t *map)
{
    softefa_shm_dev_t *dev = qp->dev->shm;
    softefa_shm_qp_t *shm  = qp->shm;
    uint64_t offset        = shm->extent.offset;

    map->sq_db_key   = offset;
    map->rq_db_key   = offset + page_size();
    map->sq_key      = offset + (2 * page_size());
    map->sq_size     = page_align(attr->sq_ring_size);
    map->rq_key      = map->sq_key + map->sq_size;
    map->rq_size     = page_align(attr->rq_ring_size);
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
    ++qp->send_cq->shm->refs;
    ++qp->recv_cq->shm->refs;

    softefa_lock_setup(&shm->lock);
    softefa_lock(&shm->lock);
    softefa_rq_set_head(shm, 0);
    shm->journal_head = 0;
    atomic_store_explicit(&shm->obj.state,
                          SOFTEFA_STATE_ALIVE + IBV_QPS_RESET,
                          memory_order_release);
    softefa_unlock(&shm->lock);
}

static int qp_init_local(softefa_qp_t *qp, const softefa_qp_attr_t *attr)
{
    const softefa_options_t *options = softefa_options();

    qp->sq_size   = attr->sq_ring_size / attr->sq_entry_size;
    qp->wqe_shift = (attr->sq_entry_size == SOFTEFA_WQE_SIZE) ? 6 : 7;
    qp->reorder   = options->reorder;
    qp->flight    = calloc(qp->sq_size + 1, sizeof(*qp->flight));
    qp->held      = calloc(qp->sq_size + 1, sizeof(*qp->held));
    if ((qp->flight == NULL) || (qp->held == NULL)) {
        free(qp->flight);
        free(qp->held);
        return ENOMEM;
    }

    pthread_mutex_init(&qp->lock, NULL);
    return 0;
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

    softefa_admin_lock();
    ret = softefa_pd_hold(dev, attr->pdn, 1);
    if (ret != 0) {
        goto err_unlock;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_QP, dev->owner, &index);
    if (ret != 0) {
        goto err_pd;
    }

    qp->shm = &dev->shm->qp[index];
    ret     = softefa_heap_alloc(&qp->shm->extent,
                                 (2 * page_size()) +
                                 page_align(attr->sq_ring_size) +
                                 page_align(attr->rq_ring_size));
    if (ret != 0) {
        goto err_table;
    }

    memset(map, 0, sizeof(*map));
    qp_init_shared(qp, attr, index, map);
    softefa_admin_unlock();

    qp->qpn         = map->qpn;
    qp->send_sub_cq = map->send_sub_cq;
    qp->sq          = softefa_at(map->sq_key);
    qp->sq_db       = softefa_at(map->sq_db_key);
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

err_table:
    softefa_table_release(dev->shm, SOFTEFA_KIND_QP, index);
err_pd:
    softefa_pd_hold(dev, attr->pdn, -1);
err_unlock:
    softefa_admin_unlock();
    pthread_mutex_destroy(&qp->lock);
    free(qp->held);
    free(qp->flight);
err_free:
    free(qp);
    return ret;
}

/* Under the RQ's lock: completes every posted receive with status 1. */
static void rq_flush(softefa_dev_t *dev, softefa_shm_qp_t *shm)
{
    softefa_io_rx_t *ring = softefa_at(shm->rq_ring);
    softefa_io_cqe_t cqe;
    softefa_io_rx_t *rx;

    while (softefa_rq_available(shm) > 0) {
        rx = &ring[softefa_rq_head(shm) & shm->rq_mask];
        if (rx->lkey_ctrl & SOFTEFA_RX_FIRST) {
            memset(&cqe, 0, sizeof(cqe));
            cqe.req_id = rx->req_id;
            cqe.status = SOFTEFA_STATUS_FLUSHED;
            cqe.flags  = SOFTEFA_CQE_RECV_QUEUE;
            cqe.qpn    = shm->qpn;
            cqe.ahn    = SOFTEFA_AH_UNKNOWN;
            softefa_cq_write(&dev->shm->cq[shm->recv_cq], shm->recv_sub_cq,
                             &cqe);
        }
        softefa_rq_set_head(shm, softefa_rq_head(shm) + 1);
        shm->journal_head = softefa_rq_head(shm);
    }
}

/* libefa restarts its indices at 0 in RESET, so the doorbells do too. */
static void qp_reset(softefa_qp_t *qp)
{
    softefa_shm_qp_t *shm = qp->shm;

    softefa_rq_lock(shm, qp->dev->shm);
    softefa_rq_set_head(shm, 0);
    shm->journal_head = 0;
    atomic_store((_Atomic uint32_t*)softefa_at(shm->rq_db), 0);
    softefa_unlock(&shm->lock);

    softefa_engine_flush(qp, false);
    atomic_store((_Atomic uint32_t*)qp->sq_db, 0);
    qp->sq_head     = 0;
    qp->learn_phase = true;
    qp->rnr_retry   = 7;
}

int softefa_qp_modify(softefa_qp_t *qp, const softefa_qp_mod_t *mod)
{
    softefa_dev_t *dev    = qp->dev;
    softefa_shm_qp_t *shm = qp->shm;
    int old;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    if ((mod->state > IBV_QPS_ERR) || (mod->rnr_retry > 7)) {
        return EINVAL;
    }

    pthread_mutex_lock(&qp->lock);
    old = qp->state;
    softefa_rq_lock(shm, dev->shm);
    if (mod->qkey >= 0) {
        shm->qkey = mod->qkey;
    }
    if (mod->state >= 0) {
        qp->state      = mod->state;
        shm->obj.state = SOFTEFA_STATE_ALIVE + mod->state;
        if ((mod->state == IBV_QPS_ERR) && (old != IBV_QPS_ERR)) {
            rq_flush(dev, shm);
        }
    }
    softefa_unlock(&shm->lock);

    if (mod->sq_psn >= 0) {
        qp->sq_psn = mod->sq_psn;
    }
    if (mod->rnr_retry >= 0) {
        qp->rnr_retry = mod->rnr_retry;
    }

    switch (mod->state) {
    case IBV_QPS_RESET:
        qp_reset(qp);
        break;
    case IBV_QPS_RTS:
        softefa_engine_fetch(qp);
        break;
    case IBV_QPS_ERR:
        softefa_engine_flush(qp, true);
        break;
    default:
        break;
    }
    pthread_mutex_unlock(&qp->lock);
    return 0;
}

void softefa_qp_query(const softefa_qp_t *qp, softefa_qp_mod_t *mod)
{
    mod->state     = qp->state;
    mod->qkey      = qp->shm->qkey;
    mod->sq_psn    = qp->sq_psn;
    mod->rnr_retry = qp->rnr_retry;
}

/* Under the admin lock. Nobody touches the rings afterwards. */
void softefa_qp_reap(softefa_shm_dev_t *dev, softefa_shm_qp_t *qp)
{
    if (qp->obj.state >= SOFTEFA_STATE_ALIVE) {
        softefa_rq_lock(qp, dev);
        qp->obj.state = SOFTEFA_STATE_RESERVED;
        softefa_unlock(&qp->lock);
    }

    qp->rdma_target = 0;
    softefa_heap_free(&qp->extent);
}

int softefa_qp_destroy(softefa_qp_t *qp)
{
    softefa_dev_t *dev    = qp->dev;
    softefa_shm_qp_t *shm = qp->shm;

    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&qp->link);
    pthread_mutex_unlock(&dev->lock);

    if (softefa_dev_valid(dev)) {
        pthread_mutex_lock(&qp->lock);
        softefa_engine_flush(qp, false);
        pthread_mutex_unlock(&qp->lock);

        softefa_admin_lock();
        softefa_qp_reap(dev->shm, shm);
        softefa_pd_hold(dev, qp->pdn, -1);
        --qp->send_cq->shm->refs;
        --qp->recv_cq->shm->refs;
        softefa_table_release(dev->shm, SOFTEFA_KIND_QP, shm - dev->shm->qp);
        softefa_admin_unlock();
    }

    pthread_mutex_destroy(&qp->lock);
    free(qp->held);
    free(qp->flight);
    free(qp);
    return 0;
}

/* Counts a use of a CQ anew; a half-made QP may still name a stranger's. */
static void cq_repair(softefa_shm_dev_t *dev, const softefa_shm_qp_t *qp,
                      uint32_t index)
{
    softefa_shm_cq_t *cq = softefa_table_get(dev, SOFTEFA_KIND_CQ,
                                             qp->obj.owner, index);

    if (cq != NULL) {
        ++cq->refs;
    }
}

void softefa_queue_repair(softefa_shm_dev_t *dev)
{
    softefa_shm_qp_t *qp;
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_CQ].backed; ++i) {
        dev->cq[i].refs = 0;
        softefa_heap_mark(&dev->cq[i].extent);
    }

    for (i = 0; i < dev->table[SOFTEFA_KIND_QP].backed; ++i) {
        qp = &dev->qp[i];
        softefa_heap_mark(&qp->extent);
        if (softefa_pd_repair(dev, &qp->obj, qp->pdn)) {
            cq_repair(dev, qp, qp->send_cq);
            cq_repair(dev, qp, qp->recv_cq);
        }
    }
}
