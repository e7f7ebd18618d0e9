/*
 * Faults of a device, in the shared memory: for all processes of the fabric.
 * The picture is in fault.h.
 *
 * Death, under the admin lock:
 *
 *   life + 1        no command succeeds, no engine starts a message
 *   QPs             each under its lock: no message is being delivered, none
 *                   will be
 *   MRs, AHs        not found any more; RDMA that copies has ended
 *   CQs             each under its lock: the last completion has been written
 *   events          so who reads one has all completions that there will be
 *
 * A sender that had the RQ's lock before finishes: its message has a completion
 * in the ring, and status 0. One that finds the CQ dead has delivered nothing.
 * Who holds a lock and is stopped (SIGSTOP, a debugger) is not waited for: it
 * meets the dead CQ when it goes on.
 */
#define _GNU_SOURCE
#include "faults/fault.h"
#include "base/log.h"
#include "fabric/table.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <time.h>

#define COPY_NS 1000000000ull        /* wait for RDMA that copies, at most */

bool softefa_device_lives(unsigned index)
{
    softefa_shm_fate_t *fate = &softefa_fabric.shm->fate[index];
    uint32_t life            = fate->life;

    if (!(life & 1)) {
        return true;
    }

    if ((fate->return_at == UINT64_MAX) ||
        (softefa_now() < fate->return_at)) {
        return false;
    }

    /* Somebody may have been faster, then it lives all the same. */
    atomic_compare_exchange_strong(&fate->life, &life, life + 1);
    return true;
}

bool softefa_device_is(unsigned index, softefa_plight_t plight)
{
    uint64_t until = softefa_fabric.shm->fate[index].until[plight];

    return (until != 0) && (softefa_now() < until);
}

uint64_t softefa_device_paused(const softefa_qp_t *qp,
                               const softefa_io_wqe_t *wqe)
{
    const softefa_shm_fate_t *fate = softefa_fabric.shm->fate;
    unsigned peer                  = qp->dev->shm->ah[wqe->ahn].device;
    uint64_t until, other;

    if (!softefa_trouble()) {
        return 0;
    }

    until = fate[qp->dev->index].until[SOFTEFA_PAUSED];
    other = (peer == SOFTEFA_NO_DEVICE) ? 0 : fate[peer].until[SOFTEFA_PAUSED];
    until = (until > other) ? until : other;
    return ((until != 0) && (softefa_now() < until)) ? until : 0;
}

int softefa_device_plight(unsigned index, softefa_plight_t plight,
                          uint64_t duration)
{
    softefa_shm_fate_t *fate = &softefa_fabric.shm->fate[index];
    int ret                  = softefa_admin_lock();

    if (ret == 0) {
        fate->until[plight]         = (duration == UINT64_MAX) ? UINT64_MAX :
                                      softefa_now() + duration;
        softefa_fabric.shm->trouble = 1;
        softefa_admin_unlock();
    }
    return ret;
}

bool softefa_dev_lost(const softefa_dev_t *dev)
{
    return softefa_dev_valid(dev) && softefa_dev_dead(dev);
}

/* What the lock protects dies: after a dead owner there is nothing to repair. */
static void kill_locked(softefa_shm_obj_t *obj, softefa_lock_t *lock)
{
    int ret;

    if (obj->state < SOFTEFA_STATE_ALIVE) {
        return;
    }

    ret        = softefa_lock(lock);
    obj->state = SOFTEFA_STATE_DEAD;
    if (ret != EBUSY) {
        softefa_unlock(lock);
    }
}

static void kill_qps(softefa_shm_dev_t *dev)
{
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_QP].backed; ++i) {
        kill_locked(&dev->qp[i].obj, &dev->qp[i].lock);
    }
}

static void kill_cqs(softefa_shm_dev_t *dev)
{
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_CQ].backed; ++i) {
        kill_locked(&dev->cq[i].obj, &dev->cq[i].lock);
    }
}

static void kill_ahs(softefa_shm_dev_t *dev)
{
    softefa_shm_ah_t *ah;
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_AH].backed; ++i) {
        ah = &dev->ah[i];
        if (ah->obj.state == SOFTEFA_STATE_ALIVE) {
            ah->obj.state = SOFTEFA_STATE_DEAD;
            if (ah->device != SOFTEFA_NO_DEVICE) {
                dev->pd[ah->pdn].ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
                --dev->ah_for[ah->device];
            }
        }
    }
}

/* Any QP of any device may be copying from or to a region of this one. */
static void kill_mrs(softefa_shm_dev_t *dev, unsigned index, uint64_t until)
{
    static const struct timespec nap = {.tv_nsec = 20000};
    softefa_shm_t *shm               = softefa_fabric.shm;
    softefa_shm_qp_t *qp;
    unsigned other;
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_MR].backed; ++i) {
        if (dev->mr[i].obj.state == SOFTEFA_STATE_ALIVE) {
            dev->mr[i].obj.state = SOFTEFA_STATE_DEAD;
        }
    }

    for (other = 0; other < SOFTEFA_MAX_DEVICES; ++other) {
        if (!shm->fate[other].backed) {
            continue;
        }

        for (i = 0; i < shm->dev[other].table[SOFTEFA_KIND_QP].backed; ++i) {
            qp = &shm->dev[other].qp[i];
            while ((qp->rdma_target != 0) &&
                   ((qp->rdma_target >> 24) == index) &&
                   softefa_proc_alive(softefa_owner_slot(qp->obj.owner),
                                      true) && (softefa_now() < until)) {
                nanosleep(&nap, NULL);
            }
        }
    }
}

int softefa_device_fatal(unsigned index, uint64_t return_ns)
{
    softefa_shm_t *shm       = softefa_fabric.shm;
    softefa_shm_fate_t *fate = &shm->fate[index];
    softefa_shm_dev_t *dev   = &shm->dev[index];
    uint64_t now;
    uint32_t life;
    int ret = softefa_admin_lock();

    if (ret != 0) {
        return ret;
    }

    if (!softefa_device_lives(index)) {
        goto out;
    }

    now             = softefa_now();
    life            = fate->life;
    fate->return_at = (return_ns == UINT64_MAX) ? UINT64_MAX : now + return_ns;
    shm->trouble    = 1;
    fate->life      = life + 1;
    if (fate->backed) {
        kill_qps(dev);
        kill_ahs(dev);
        kill_mrs(dev, index, now + COPY_NS);
        kill_cqs(dev);
    }
    softefa_async_raise_fatal(index, life);
out:
    softefa_admin_unlock();
    return 0;
}

int softefa_device_return(unsigned index)
{
    softefa_shm_fate_t *fate = &softefa_fabric.shm->fate[index];
    int ret                  = softefa_admin_lock();
    int i;

    if (ret != 0) {
        return ret;
    }

    for (i = 0; i < SOFTEFA_NUM_PLIGHTS; ++i) {
        fate->until[i] = 0;
    }
    fate->return_at = 0;
    (void)softefa_device_lives(index);
    softefa_admin_unlock();
    return 0;
}

/* In which a QP can fall: all but RESET, ERR. */
static bool qp_can_fall(const softefa_shm_qp_t *qp, uint32_t qpn, int32_t pid)
{
    uint32_t state = qp->obj.state;

    if ((state < SOFTEFA_STATE_ALIVE + IBV_QPS_INIT) ||
        (state > SOFTEFA_STATE_ALIVE + IBV_QPS_SQE)) {
        return false;
    }

    return (qpn != 0) ? (qp->qpn == qpn) :
           ((state == SOFTEFA_STATE_ALIVE + IBV_QPS_RTS) &&
            ((pid == 0) || (softefa_peer(qp->obj.owner).pid == pid)));
}

int softefa_device_qp_error(unsigned index, uint32_t qpn, int32_t pid)
{
    softefa_shm_t *shm     = softefa_fabric.shm;
    softefa_shm_dev_t *dev = &shm->dev[index];
    softefa_shm_qp_t *qp   = NULL;
    uint32_t i;
    int ret;

    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    ret = ENOENT;
    if (!shm->fate[index].backed || !softefa_device_lives(index)) {
        goto out;
    }

    for (i = 0; i < dev->table[SOFTEFA_KIND_QP].backed; ++i) {
        qp = &dev->qp[i];
        if (qp_can_fall(qp, qpn, pid)) {
            break;
        }
    }
    if (i == dev->table[SOFTEFA_KIND_QP].backed) {
        goto out;
    }

    shm->trouble = 1;
    if (!softefa_rq_lock(qp, dev)) {
        ret = EBUSY;
        goto out;
    }

    qp->obj.state = SOFTEFA_STATE_ALIVE + IBV_QPS_ERR;
    (void)softefa_rq_flush(dev, qp);
    softefa_unlock(&qp->lock);

    /* Counted first: who reads it may destroy the QP at once. */
    ++qp->events;
    if (!softefa_async_raise_qp(index, shm->fate[index].life, qp->obj.owner,
                                qp->cookie)) {
        --qp->events;
    }
    ret = 0;
out:
    softefa_admin_unlock();
    return ret;
}

bool softefa_fault_fallen(softefa_qp_t *qp)
{
    if (softefa_dev_dead(qp->dev)) {
        return true;
    }

    if ((qp->state != IBV_QPS_ERR) &&
        (qp->shm->obj.state == SOFTEFA_STATE_ALIVE + IBV_QPS_ERR)) {
        qp->state = IBV_QPS_ERR;
        softefa_qp_flush_recv(qp); /* what could not be at once */
    }
    if (qp->state != IBV_QPS_ERR) {
        return false;
    }

    softefa_engine_flush(qp, true);
    return true;
}
