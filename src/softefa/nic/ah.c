/*
 * See ah.h. An AHN is the index of the table entry, 16 bits. Equal (PD, GID)
 * share one AH, counted, which is found by ah_index.h.
 */
#include "nic/ah.h"
#include "nic/ah_index.h"
#include "base/point.h"
#include "fabric/admin.h"
#include "fabric/table.h"
#include "nic/dev.h"

#include <errno.h>
#include <string.h>

static_assert(SOFTEFA_TABLE_AH <= SOFTEFA_AH_UNKNOWN + 1, "AHN is 16 bits");

/* Under the admin lock: an AH without references */
static void ah_release(softefa_dev_t *dev, softefa_shm_ah_t *ah)
{
    softefa_shm_pd_t *pd = &dev->shm->pd[ah->pdn];
    bool alive = atomic_exchange(&ah->obj.state, SOFTEFA_STATE_RESERVED) ==
                 SOFTEFA_STATE_ALIVE;

    SOFTEFA_POINT("AH");
    --pd->refs;
    if (alive && (ah->device != SOFTEFA_NO_DEVICE)) {
        if (softefa_fabric_ah_is_listed(ah)) {
            pd->ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
        }
        SOFTEFA_POINT("AH of");
        --dev->shm->ah_for[ah->device];
        SOFTEFA_POINT("AH for");
    }
    softefa_table_release(dev->shm, SOFTEFA_KIND_AH, ah - dev->shm->ah);
}

/* Under dev->ah_lock: the PD's AH for gid, or NULL */
static softefa_shm_ah_t *ah_find(softefa_dev_t *dev, uint16_t pdn,
                                 const uint8_t gid[16])
{
    uint32_t next = dev->ahs->first[softefa_ah_index_list(pdn, gid)];
    softefa_shm_ah_t *ah;

    while (next != 0) {
        ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, next - 1);
        if ((ah != NULL) && (ah->pdn == pdn) &&
            (memcmp(ah->gid, gid, sizeof(ah->gid)) == 0)) {
            return ah;
        }
        next = dev->ahs->entry[next - 1].next;
    }

    return NULL;
}

/* A new one, with one reference */
static int ah_make(softefa_dev_t *dev, uint16_t pdn, const uint8_t gid[16],
                   uint32_t *index)
{
    softefa_shm_ah_t *ah;
    softefa_shm_pd_t *pd;
    int ret;

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        return ret;
    }

    pd = softefa_table_get(dev->shm, SOFTEFA_KIND_PD, dev->owner, pdn);
    if (pd == NULL) {
        ret = EINVAL;
        goto out;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_AH, dev->owner, index);
    if (ret != 0) {
        goto out;
    }

    ah         = &dev->shm->ah[*index];
    ah->pdn    = pdn;
    ah->refs   = 1;
    ah->device = softefa_fabric_find(gid);
    ++ah->generation;
    memcpy(ah->gid, gid, sizeof(ah->gid));
    ++pd->refs;
    SOFTEFA_POINT("AH");
    if (ah->device != SOFTEFA_NO_DEVICE) {
        if (softefa_fabric_ah_is_listed(ah)) {
            pd->ah_of[ah->device] = *index;
        }
        SOFTEFA_POINT("AH of");
        ++dev->shm->ah_for[ah->device];
        SOFTEFA_POINT("AH for");
    }
    ah->obj.state = SOFTEFA_STATE_ALIVE;
out:
    softefa_admin_unlock();
    return ret;
}

/* Of an AH that there is the owner alone counts the references. */
int softefa_ah_create(softefa_dev_t *dev, uint16_t pdn, const uint8_t gid[16],
                      uint16_t *ahn)
{
    static const uint8_t none[16];
    softefa_shm_ah_t *ah;
    uint32_t index;
    int ret = 0;

    if (!softefa_dev_valid(dev) || softefa_dev_dead(dev)) {
        return EIO;
    }

    /* what the driver sends for an AH without GRH */
    if (memcmp(gid, none, sizeof(none)) == 0) {
        return EINVAL;
    }

    pthread_mutex_lock(&dev->ah_lock);
    ah = ah_find(dev, pdn, gid);
    if (ah != NULL) {
        ++ah->refs;
        *ahn = ah - dev->shm->ah;
    } else {
        ret = ah_make(dev, pdn, gid, &index);
        if (ret == 0) {
            softefa_ah_index_add(dev->ahs, index, pdn, gid);
            *ahn = index;
        }
    }
    pthread_mutex_unlock(&dev->ah_lock);
    return ret;
}

uint16_t softefa_ah_find_host(softefa_shm_dev_t *dev, uint16_t pdn,
                              const softefa_dev_t *of)
{
    uint32_t backed = dev->table[SOFTEFA_KIND_AH].backed;
    const softefa_shm_ah_t *ah;
    uint32_t i;

    for (i = 0; (of->listed == SOFTEFA_MAX_DEVICES) && (i < backed); ++i) {
        ah = &dev->ah[i];
        if ((ah->obj.state == SOFTEFA_STATE_ALIVE) && (ah->pdn == pdn) &&
            (memcmp(ah->gid, of->gid, sizeof(ah->gid)) == 0)) {
            return i;
        }
    }

    return SOFTEFA_AH_UNKNOWN;
}

/* Under dev->ah_lock */
static int ah_put(softefa_dev_t *dev, uint16_t pdn, uint16_t ahn)
{
    softefa_shm_ah_t *ah;
    int ret;

    ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, ahn);
    if ((ah == NULL) || (ah->pdn != pdn)) {
        return EINVAL;
    }

    if (ah->refs > 1) {
        --ah->refs;
        return 0;
    }

    ret = softefa_admin_lock();
    if (ret == 0) {
        ah_release(dev, ah);
        softefa_admin_unlock();
        softefa_ah_index_remove(dev->ahs, ahn);
    }
    return ret;
}

int softefa_ah_destroy(softefa_dev_t *dev, uint16_t pdn, uint16_t ahn)
{
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    pthread_mutex_lock(&dev->ah_lock);
    ret = ah_put(dev, pdn, ahn);
    pthread_mutex_unlock(&dev->ah_lock);
    return ret;
}

void softefa_ah_release_all(softefa_dev_t *dev)
{
    softefa_shm_ah_t *ah;
    uint32_t i;

    for (i = 0; i < dev->shm->table[SOFTEFA_KIND_AH].backed; ++i) {
        ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, i);
        if (ah != NULL) {
            ah_release(dev, ah);
        }
    }
}
