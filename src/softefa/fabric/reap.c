/*
 * A member died, anywhere: its entries are released, table by table, users
 * before used; none of them as long as a process is stopped that may yet
 * complete a message in one of its queues.
 */
#include "fabric/reap.h"
#include "abi/efa_io.h"
#include "base/point.h"
#include "fabric/event.h"
#include "fabric/fabric.h"
#include "fabric/heap.h"
#include "fabric/lock.h"
#include "fabric/member.h"
#include "fabric/table.h"

#include <errno.h>

/* No message enters this queue any more: new senders see the state, and a
 * sender that holds the lock is waited for. Without it no sender is between the
 * state and the completion. False: a stopped process may yet write into it. */
static bool reap_retire_qp(softefa_shm_qp_t *qp)
{
    qp->obj.state = SOFTEFA_STATE_RESERVED;
    if (softefa_lock(&qp->lock) == EBUSY) {
        return false;
    }

    softefa_unlock(&qp->lock);
    return true;
}

void softefa_reap_qp(softefa_shm_qp_t *qp)
{
    qp->rdma_target = 0;
    softefa_heap_free(&qp->extent);
}

void softefa_reap_cq(softefa_shm_cq_t *cq)
{
    cq->obj.state = SOFTEFA_STATE_RESERVED;
    softefa_heap_free(&cq->extent);
}

static void reap_table(softefa_shm_dev_t *dev, softefa_kind_t kind,
                       uint32_t slot)
{
    softefa_shm_obj_t *obj;
    softefa_shm_pd_t *pd;
    softefa_shm_ah_t *ah;
    uint32_t index, pdn;

    for (index = 0; index < dev->table[kind].backed; ++index) {
        obj = softefa_table_entry(dev, kind, index);
        if ((obj->state == SOFTEFA_STATE_FREE) ||
            (softefa_member_slot(obj->owner) != slot)) {
            continue;
        }

        /* PDs go last and as a whole: their counts do not matter. */
        switch (kind) {
        case SOFTEFA_KIND_QP:
            softefa_reap_qp(&dev->qp[index]);
            break;
        case SOFTEFA_KIND_CQ:
            softefa_reap_cq(&dev->cq[index]);
            break;
        case SOFTEFA_KIND_AH:
            ah  = &dev->ah[index];
            pdn = ah->pdn;
            pd  = &dev->pd[pdn];
            if ((obj->state == SOFTEFA_STATE_ALIVE) &&
                (ah->device != SOFTEFA_NO_DEVICE)) {
                if (softefa_fabric_ah_is_listed(ah)) {
                    pd->ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
                }
                --dev->ah_for[ah->device];
            }
            break;
        default:
            break;
        }

        SOFTEFA_POINT("reap");
        softefa_table_release(dev, kind, index);
    }
}

static void reap_channels(uint32_t slot)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    uint32_t i;

    for (i = 0; i < shm->num_channels; ++i) {
        if ((shm->channel[i].obj.state != SOFTEFA_STATE_FREE) &&
            (softefa_member_slot(shm->channel[i].obj.owner) == slot)) {
            softefa_event_channel_remove(i);
            shm->channel[i].obj.state = SOFTEFA_STATE_FREE;
        }
    }
}

/* Also if one fails: nothing comes in any more. */
static bool reap_retire(softefa_shm_dev_t *dev, uint32_t slot)
{
    bool retired = true;
    softefa_shm_qp_t *qp;
    uint32_t i;

    for (i = 0; i < dev->table[SOFTEFA_KIND_QP].backed; ++i) {
        qp = &dev->qp[i];
        if ((qp->obj.state != SOFTEFA_STATE_FREE) &&
            (softefa_member_slot(qp->obj.owner) == slot)) {
            retired &= reap_retire_qp(qp);
        }
    }

    return retired;
}

bool softefa_reap(uint32_t slot)
{
    static const softefa_kind_t order[] = {
        SOFTEFA_KIND_QP, SOFTEFA_KIND_MR, SOFTEFA_KIND_CQ, SOFTEFA_KIND_AH,
        SOFTEFA_KIND_PD
    };
    softefa_shm_proc_t *proc = &softefa_fabric.shm->proc[slot];
    bool retired             = true;
    softefa_shm_dev_t *dev;
    unsigned index, i;

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        retired &= reap_retire(&softefa_fabric.shm->dev[index], slot);
    }
    if (!retired) {
        return false;
    }

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        /* Also without an open file: a thread may have made an object while
         * another one left the fabric. */
        dev = &softefa_fabric.shm->dev[index];
        if (dev->table[SOFTEFA_KIND_PD].limit == 0) {
            continue;
        }

        for (i = 0; i < SOFTEFA_NUM_KINDS; ++i) {
            reap_table(dev, order[i], slot);
        }
        dev->opens -= proc->opens[index];
        SOFTEFA_POINT("opens");
        proc->opens[index] = 0;
    }

    reap_channels(slot);
    return true;
}

unsigned softefa_reap_dead(void)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    unsigned count     = 0;
    uint32_t slot;

    for (slot = 0; slot < shm->num_procs; ++slot) {
        if ((shm->proc[slot].state != SOFTEFA_STATE_FREE) &&
            !softefa_member_alive(slot, true) && softefa_reap(slot)) {
            shm->proc[slot].state = SOFTEFA_STATE_FREE;
            ++count;
        }
    }

    return count;
}
