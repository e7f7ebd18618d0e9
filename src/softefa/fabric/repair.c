/*
 * A process died with the admin lock: maps, counts and references are made anew
 * from the entries; its own, perhaps half made, are reaped later.
 */
#include "fabric/repair.h"
#include "abi/efa_io.h"
#include "fabric/fabric.h"
#include "fabric/heap.h"
#include "fabric/table.h"

/* Counts obj's reference of its PD anew. False: it has none. */
static bool repair_pd(softefa_shm_dev_t *dev, const softefa_shm_obj_t *obj,
                      uint16_t pdn)
{
    if ((obj->state == SOFTEFA_STATE_FREE) ||
        (softefa_table_get(dev, SOFTEFA_KIND_PD, obj->owner, pdn) == NULL)) {
        return false;
    }

    ++dev->pd[pdn].refs;
    return true;
}

/* Counts a use of a CQ anew; a half-made QP may name another process's. */
static void repair_cq(softefa_shm_dev_t *dev, const softefa_shm_qp_t *qp,
                      uint32_t index)
{
    softefa_shm_cq_t *cq = softefa_table_get(dev, SOFTEFA_KIND_CQ,
                                             qp->obj.owner, index);

    if (cq != NULL) {
        ++cq->refs;
    }
}

static void repair_queues(softefa_shm_dev_t *dev)
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
        if (repair_pd(dev, &qp->obj, qp->pdn)) {
            repair_cq(dev, qp, qp->send_cq);
            repair_cq(dev, qp, qp->recv_cq);
        }
    }
}

/* Whether the PD's AH for a device is one. Senders read this meanwhile, so what
 * is right is never taken away. */
static bool repair_is_ah(softefa_shm_dev_t *dev, uint32_t pdn, unsigned device)
{
    const softefa_shm_ah_t *ah = &dev->ah[dev->pd[pdn].ah_of[device]];

    return (dev->pd[pdn].ah_of[device] < dev->table[SOFTEFA_KIND_AH].backed) &&
           (ah->obj.state == SOFTEFA_STATE_ALIVE) && (ah->pdn == pdn) &&
           (ah->device == device) && softefa_fabric_ah_is_listed(ah);
}

static void repair_device(softefa_shm_dev_t *dev, unsigned index)
{
    softefa_table_t *table               = dev->table;
    uint32_t opens                       = 0;
    softefa_shm_t *shm                   = softefa_fabric.shm;
    uint32_t ah_for[SOFTEFA_MAX_DEVICES] = {0};
    softefa_shm_ah_t *ah;
    uint32_t i;
    int j;

    softefa_table_rebuild(dev);
    for (i = 0; i < shm->num_procs; ++i) {
        opens += shm->proc[i].opens[index];
    }
    dev->opens = opens;

    for (i = 0; i < table[SOFTEFA_KIND_PD].backed; ++i) {
        dev->pd[i].refs = 0;
        for (j = 0; j < SOFTEFA_MAX_DEVICES; ++j) {
            if (!repair_is_ah(dev, i, j)) {
                dev->pd[i].ah_of[j] = SOFTEFA_AH_UNKNOWN;
            }
        }
    }
    for (i = 0; i < table[SOFTEFA_KIND_AH].backed; ++i) {
        ah = &dev->ah[i];
        if (repair_pd(dev, &ah->obj, ah->pdn) &&
            (ah->obj.state == SOFTEFA_STATE_ALIVE) &&
            (ah->device != SOFTEFA_NO_DEVICE)) {
            if (softefa_fabric_ah_is_listed(ah)) {
                dev->pd[ah->pdn].ah_of[ah->device] = i;
            }
            ++ah_for[ah->device];
        }
    }
    for (j = 0; j < SOFTEFA_MAX_DEVICES; ++j) {
        dev->ah_for[j] = ah_for[j];
    }
    for (i = 0; i < table[SOFTEFA_KIND_MR].backed; ++i) {
        repair_pd(dev, &dev->mr[i].obj, dev->mr[i].pdn);
    }

    repair_queues(dev);
}

/* The owner of the admin lock died at any point. All derived state is made anew
 * from the entries; half-made entries of the dead are reaped later. */
void softefa_repair(void)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    unsigned index;

    softefa_heap_clear();
    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        if (shm->dev[index].table[SOFTEFA_KIND_PD].limit != 0) {
            repair_device(&shm->dev[index], index);
        }
    }
}
