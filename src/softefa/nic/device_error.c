/*
 * Errors of a device and of a queue pair, for all processes of the fabric.
 *
 * Death, under the admin lock:
 *
 *   incarnation + 1        no command succeeds, no engine starts a message
 *   QPs             each under its lock: no message is being delivered, none
 *                   will be
 *   MRs, AHs        not found any more; RDMA that copies has ended
 *   CQs             each under its lock: the last completion has been written
 *   events          so a reader of one has all completions that there will be
 *
 * A sender that had the RQ's lock before finishes: its message has a completion
 * in the ring, and status 0. One that finds the CQ dead has delivered nothing.
 * A stopped process (SIGSTOP, a debugger) that holds a lock is not waited for:
 * it finds the dead CQ when it continues.
 */
#define _GNU_SOURCE
#include "nic/device_error.h"
#include "base/clock.h"
#include "fabric/admin.h"
#include "fabric/event.h"
#include "fabric/lock.h"
#include "fabric/member.h"
#include "nic/cq.h"
#include "nic/device.h"
#include "nic/fifo.h"
#include "nic/rq.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <time.h>

#define COPY_NS 1000000000ull        /* wait for RDMA that copies, at most */

/* What the lock protects dies: a dead owner leaves nothing to repair. */
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

/* No sender is in a queue any more: what they were told is there, is. */
static void move_fifos(softefa_shm_dev_t *dev)
{
    softefa_shm_cq_t *cq;
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_CQ].backed; ++i) {
        cq = &dev->cq[i];
        if ((cq->obj.state == SOFTEFA_STATE_ALIVE) && softefa_fifo_waits(cq) &&
            (softefa_cq_lock(cq) == 0)) {
            softefa_fifo_move_locked(dev, cq);
            softefa_unlock(&cq->lock);
        }
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
                if (softefa_fabric_ah_is_listed(ah)) {
                    dev->pd[ah->pdn].ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
                }
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
        if (!shm->status[other].backed) {
            continue;
        }

        for (i = 0; i < shm->dev[other].table[SOFTEFA_KIND_QP].backed; ++i) {
            qp = &shm->dev[other].qp[i];
            while ((qp->rdma_target != 0) &&
                   ((qp->rdma_target >> 24) == index) &&
                   softefa_member_alive(softefa_member_slot(qp->obj.owner),
                                        true) &&
                   (softefa_clock_now() < until)) {
                nanosleep(&nap, NULL);
            }
        }
    }
}

int softefa_device_error_fatal(unsigned index, uint64_t return_ns, bool silent)
{
    softefa_shm_t *shm           = softefa_fabric.shm;
    softefa_shm_status_t *status = &shm->status[index];
    softefa_shm_dev_t *dev       = &shm->dev[index];
    uint64_t now;
    uint32_t incarnation;
    int ret = softefa_admin_lock();

    if (ret != 0) {
        return ret;
    }

    if (!softefa_device_alive(index)) {
        goto out;
    }

    now                 = softefa_clock_now();
    incarnation         = status->incarnation;
    status->return_at   = (return_ns == UINT64_MAX) ? UINT64_MAX :
                                                      now + return_ns;
    shm->faulted        = 1;
    status->incarnation = incarnation + 1;
    if (status->backed) {
        kill_qps(dev);
        move_fifos(dev);
        kill_ahs(dev);
        kill_mrs(dev, index, now + COPY_NS);
        kill_cqs(dev);
    }
    if (!silent) {
        softefa_event_async_raise_all(index, incarnation,
                                      IBV_EVENT_DEVICE_FATAL);
    }
out:
    softefa_admin_unlock();
    return 0;
}

/* States in which a QP can fail: all but RESET, ERR. */
static bool qp_can_fail(const softefa_shm_qp_t *qp, uint32_t qpn, int32_t pid)
{
    uint32_t state = qp->obj.state;

    if ((state < SOFTEFA_STATE_ALIVE + IBV_QPS_INIT) ||
        (state > SOFTEFA_STATE_ALIVE + IBV_QPS_SQE)) {
        return false;
    }

    return (qpn != 0) ?
                   (qp->qpn == qpn) :
                   ((state == SOFTEFA_STATE_ALIVE + IBV_QPS_RTS) &&
                    ((pid == 0) || (softefa_member(qp->obj.owner).pid == pid)));
}

int softefa_device_error_qp(unsigned index, uint32_t qpn, int32_t pid)
{
    softefa_shm_t *shm              = softefa_fabric.shm;
    softefa_shm_dev_t *dev          = &shm->dev[index];
    softefa_shm_qp_t *qp            = NULL;
    softefa_event_context_t context = {.device = index};
    uint32_t i;
    int ret;

    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    ret = ENOENT;
    if (!shm->status[index].backed || !softefa_device_alive(index)) {
        goto out;
    }

    for (i = 0; i < dev->table[SOFTEFA_KIND_QP].backed; ++i) {
        qp = &dev->qp[i];
        if (qp_can_fail(qp, qpn, pid)) {
            break;
        }
    }
    if (i == dev->table[SOFTEFA_KIND_QP].backed) {
        goto out;
    }

    shm->faulted = 1;
    if (!softefa_rq_lock(qp, dev)) {
        ret = EBUSY;
        goto out;
    }

    qp->obj.state = SOFTEFA_STATE_ALIVE + IBV_QPS_ERR;
    (void)softefa_rq_flush(dev, qp);
    softefa_unlock(&qp->lock);

    /* Counted first: its reader may destroy the QP at once. */
    ++qp->events;
    context.incarnation = shm->status[index].incarnation;
    context.owner       = qp->obj.owner;
    if (!softefa_event_async_raise(&context, IBV_EVENT_QP_FATAL, qp->cookie)) {
        --qp->events;
    }
    ret = 0;
out:
    softefa_admin_unlock();
    return ret;
}
