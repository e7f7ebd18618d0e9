/* See pd.h. A PDN is the index of the table entry, 16 bits. */
#include "nic/pd.h"
#include "fabric/admin.h"
#include "fabric/table.h"
#include "nic/dev.h"

#include <errno.h>

static softefa_shm_pd_t *pd_get(softefa_dev_t *dev, uint16_t pdn)
{
    return softefa_table_get(dev->shm, SOFTEFA_KIND_PD, dev->owner, pdn);
}

int softefa_pd_hold(softefa_dev_t *dev, uint16_t pdn, int count)
{
    softefa_shm_pd_t *pd = pd_get(dev, pdn);

    if (pd == NULL) {
        return EINVAL;
    }

    pd->refs += count;
    return 0;
}

int softefa_pd_alloc(softefa_dev_t *dev, uint16_t *pdn)
{
    softefa_shm_pd_t *pd;
    uint32_t index;
    int ret, i;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_dev_lock(dev);
    if (ret != 0) {
        return ret;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_PD, dev->owner, &index);
    if (ret == 0) {
        pd       = &dev->shm->pd[index];
        pd->refs = 0;
        for (i = 0; i <= SOFTEFA_MAX_DEVICES; ++i) {
            pd->ah_of[i] = SOFTEFA_AH_UNKNOWN;
        }
        pd->obj.state = SOFTEFA_STATE_ALIVE;
        *pdn          = index;
    }
    softefa_admin_unlock();
    return ret;
}

int softefa_pd_free(softefa_dev_t *dev, uint16_t pdn)
{
    softefa_shm_pd_t *pd;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    ret = softefa_admin_lock();
    if (ret != 0) {
        return ret;
    }

    pd = pd_get(dev, pdn);
    if (pd == NULL) {
        ret = EINVAL;
    } else if (pd->refs > 0) {
        ret = EBUSY;
    } else {
        softefa_table_release(dev->shm, SOFTEFA_KIND_PD, pdn);
    }
    softefa_admin_unlock();
    return ret;
}

void softefa_pd_release_all(softefa_dev_t *dev)
{
    softefa_shm_pd_t *pd;
    uint32_t i;

    for (i = 0; i < dev->shm->table[SOFTEFA_KIND_PD].backed; ++i) {
        pd = pd_get(dev, i);
        if ((pd != NULL) && (pd->refs == 0)) {
            softefa_table_release(dev->shm, SOFTEFA_KIND_PD, i);
        }
    }
}
